//! `dvms solve --plot`: how a solve went, and the hosts before and after, as one SVG picture.

pub(super) mod axis;
mod bars;
mod cells;
pub(super) mod chart;
mod curves;
mod hosts;
pub(super) mod page;
pub(super) mod svg;

use super::paint::Paint;
use super::plan_view;
use super::trace::Trace;
use dvms_solver::file::{Plan, Problem};
use svg::{Anchor, Svg, Text};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 32.0;

const INK: &str = "#1f2933";
const FAINT: &str = "#6b7785";
const GRID: &str = "#e4e8ed";
const AXIS: &str = "#9aa5b1";
const VALUE: &str = "#2364aa";
const BOUND: &str = "#d9822b";
const BEFORE: &str = "#b6cbe3";
const OVER: &str = "#c8372d";
const OVER_BEFORE: &str = "#eba8a2";

/// The picture of a solve.
pub(crate) fn picture(problem: &Problem, plan: &Plan, trace: &Trace) -> String {
    let mut svg = Svg::new(WIDTH);
    let name = if problem.name.is_empty() { "placement" } else { &problem.name };
    svg.text((LEFT, 36.0), &Text { size: 20.0, bold: true, ..Text::default() }, name);
    let said = plan_view::headline(Paint::PLAIN, plan);
    for (i, line) in wrapped(&said, 130).iter().enumerate() {
        svg.text((LEFT, 58.0 + 16.0 * i as f64), &Text::faint(13.0), line);
    }
    let top = 64.0 + 16.0 * wrapped(&said, 130).len() as f64;
    let bottom = curves::draw(&mut svg, trace, top);
    let bottom = hosts::draw(&mut svg, problem, plan, bottom + 26.0);
    svg.finish(bottom)
}

/// A text in lines of at most so many characters, broken between words where there are any.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let used = lines[last].chars().count();
        if used > 0 && used + 1 + word.chars().count() > most {
            lines.push(word.to_owned());
        } else {
            lines[last] += if used > 0 { " " } else { "" };
            lines[last] += word;
        }
    }
    lines
}

/// Samples of what is drawn, right-aligned in a line at `y`.
fn legend(svg: &mut Svg, y: f64, entries: &[(&str, Sample<'_>)]) {
    let mut right = RIGHT;
    for (text, sample) in entries.iter().rev() {
        svg.text((right, y), &Text { anchor: Anchor::End, ..Text::faint(11.0) }, text);
        right -= svg::width(text, 11.0) + 6.0;
        match sample {
            Sample::Line { colour, dashed } => {
                svg.line(&[(right - 24.0, y - 4.0), (right, y - 4.0)], colour, 2.0, *dashed);
                right -= 24.0;
            }
            Sample::Boxes(colours) => {
                for colour in colours.iter().rev() {
                    svg.rect((right - 11.0, y - 9.0), (11.0, 11.0), colour, "");
                    right -= 11.0;
                }
            }
        }
        right -= 18.0;
    }
}

/// How something is drawn.
enum Sample<'a> {
    Line { colour: &'a str, dashed: bool },
    Boxes(&'a [&'a str]),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(hosts: usize) -> Problem {
        let host = |i: usize| {
            let state = if i == 0 { ", \"state\": \"FAILED\"" } else { "" };
            format!(
                r#"{{"name": "h{i}", "capacity": {{"cpu": 4, "memory": 9}}, "overcommit": {{"cpu": 1.5}}{state}}}"#
            )
        };
        let hosts: Vec<_> = (0..hosts).map(host).collect();
        let text = format!(
            r#"{{"name": "a < b", "hosts": [{}], "vms": [
                {{"name": "v", "host": "h1", "demand": {{"cpu": 6}}, "arrival_demand": {{"cpu": 3}}}},
                {{"name": "w", "host": "h1", "demand": {{"cpu": 3}}}}, {{"name": "x", "host": "h0", "demand": {{"cpu": 1}}}}]}}"#,
            hosts.join(",")
        );
        Problem::from_json(&text).unwrap()
    }

    const PLAN: &str = r#"{"status": "FEASIBLE", "placement": {"v": "h1", "w": "h2", "x": "h2"},
        "objectives": [{"name": "VIOLATIONS", "before": 1, "value": 0}, {"name": "MIGRATIONS", "value": 2, "bound": 1},
            {"name": "MAKESPAN", "value": 5.5, "bound": 5.5}],
        "statistics": {"solve_s": 0.5, "phase": "greedy"}}"#;

    fn drawn(problem: &Problem, plan: &Plan) -> String {
        let mut trace = Trace::default();
        trace.better(plan);
        trace.end(plan);
        picture(problem, plan, &trace)
    }

    fn titles(text: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(text).unwrap();
        let titles = document.descendants().filter(|node| node.has_tag_name("title"));
        titles.filter_map(|node| node.text()).map(str::to_owned).collect()
    }

    #[test]
    fn everything_is_in_the_picture() {
        let plan = Plan::from_json(PLAN).unwrap();
        let text = drawn(&problem(3), &plan);
        let titles = titles(&text);
        for title in [
            "0.5 s, greedy: MIGRATIONS 2 (≥ 1)",
            "0.5 s, greedy: MAKESPAN 5.5",
            "h1 before: 9 of 6 cpu (150 %)",
            "h1 after: 3 of 6 cpu (50 %)",
            "h2 after: 4 of 6 cpu (67 %)",
            "h0 (FAILED) before: 0 of 6 cpu (0 %)",
        ] {
            assert!(titles.iter().any(|known| known == title), "{title} is not in {titles:?}");
        }
        assert!(!titles.iter().any(|title| title.contains("VIOLATIONS")), "there were none all the time");
        for says in ["a &lt; b", "FEASIBLE: 0 actions", OVER_BEFORE, ">2; proved: at least 1</tspan>"] {
            assert!(text.contains(says), "{says} is not in {text}");
        }
    }

    #[test]
    fn many_hosts_are_cells_and_very_many_share_them() {
        let plan = Plan::from_json(PLAN).unwrap();
        let many = drawn(&problem(300), &plan);
        let told = titles(&many);
        let of_hosts = |titles: &[String]| titles.iter().filter(|title| title.starts_with('h')).count();
        // Two resources, before and after.
        assert_eq!(of_hosts(&told), 1200);
        assert!(told.iter().any(|title| title == "h1 before: 9 of 6 cpu (150 %)"));
        let more = drawn(&problem(20_000), &plan);
        assert!(of_hosts(&titles(&more)) <= 4 * 2500);
        assert!(more.contains("8 hosts in each"), "{}", &more[..3000]);
        assert!(titles(&more).iter().any(|t| t == "h0 to h7 before: 9 of 48 cpu (19 %), 1 over"));
    }

    #[test]
    fn no_plan_is_no_fault() {
        let none = Plan::from_json(r#"{"status": "UNKNOWN", "reason": "x"}"#).unwrap();
        for problem in [problem(3), Problem::default()] {
            let mut trace = Trace::default();
            trace.end(&none);
            let text = picture(&problem, &none, &trace);
            assert!(roxmltree::Document::parse(&text).is_ok() && text.contains("There is no plan"), "{text}");
        }
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("to be or not", 5), ["to be", "or", "not"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }
}

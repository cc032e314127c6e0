//! Small charts of a page, as wide as a phone: its style sheet has the colours (`--ink`, `--faint`, `--grid`, `--c0` to `--c9`).

use super::axis::{Time, brief, ticks, time};
use super::svg::{Anchor, Stroke, Svg, Text, escaped, width};

const WIDTH: f64 = 360.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 158.0;
const HEIGHT: f64 = 194.0;
/// Where bars begin, and end; what is behind them are their figures.
const BARS: (f64, f64) = (118.0, 286.0);
const ROW: f64 = 20.0;
/// Of longer names the end is shown.
const LONGEST_NAME: usize = 17;

const INK: &str = "var(--ink)";
const FAINT: &str = "var(--faint)";
const GRID: &str = "var(--grid)";
const COLOURS: [&str; 10] = [
    "var(--c0)",
    "var(--c1)",
    "var(--c2)",
    "var(--c3)",
    "var(--c4)",
    "var(--c5)",
    "var(--c6)",
    "var(--c7)",
    "var(--c8)",
    "var(--c9)",
];
const DASHES: [&str; 4] = ["", "6 3", "2 2.5", "9 3 2 3"];

/// How the line with this number looks: as many look different as a page has use for.
fn stroke(number: usize) -> Stroke {
    let dash = DASHES[number / COLOURS.len() % DASHES.len()];
    Stroke { colour: COLOURS[number % COLOURS.len()], width: 1.8, dash }
}

/// What is along a line of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Along {
    /// Seconds of a run, in the unit that suits.
    Clock,
    /// Seconds that something takes; each power of ten has the same length where they differ much.
    Durations,
    /// Other amounts, drawn like durations.
    Amounts,
}

/// A line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Line {
    /// Its number among all lines of the page tells its colour.
    pub(in crate::cli) number: usize,
    pub(in crate::cli) name: String,
    pub(in crate::cli) points: Vec<(f64, f64)>,
}

/// Lines over an axis; figures are from 0 on, up to `most` where that is known.
pub(in crate::cli) fn lines(lines: &[Line], along: Along, label: &str, most: Option<f64>) -> String {
    let mut svg = Svg::new(WIDTH);
    let xs = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
    let ys = lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let most = most.unwrap_or_else(|| ys.fold(0.0, f64::max) * 1.04);
    let most = if most > 0.0 { most } else { 1.0 };
    let y = |value: f64| BOTTOM - value / most * (BOTTOM - TOP);
    for tick in ticks(0.0, most, 4) {
        svg.trace(&[(LEFT, y(tick)), (RIGHT, y(tick))], &Stroke { colour: GRID, width: 1.0, dash: "" }, "");
        let look = Text { colour: FAINT, anchor: Anchor::End, size: 11.0, ..Text::default() };
        svg.text((LEFT - 6.0, y(tick) + 4.0), &look, &brief(tick));
    }
    let axis = Axis::new(along, xs);
    let look = Text { colour: FAINT, anchor: Anchor::Middle, size: 11.0, ..Text::default() };
    let mut free_from = 0.0;
    for (at, text) in axis.ticks() {
        svg.trace(&[(at, BOTTOM), (at, BOTTOM + 4.0)], &Stroke { colour: FAINT, width: 1.0, dash: "" }, "");
        let half = width(&text, 11.0) / 2.0;
        let middle = at.min(WIDTH - 2.0 - half);
        if middle - half >= free_from {
            svg.text((middle, BOTTOM + 16.0), &look, &text);
            free_from = middle + half + 6.0;
        }
    }
    svg.text((f64::midpoint(LEFT, RIGHT), BOTTOM + 31.0), &look, &label.replace("{unit}", axis.unit()));
    svg.trace(&[(LEFT, BOTTOM), (RIGHT, BOTTOM)], &Stroke { colour: FAINT, width: 1.0, dash: "" }, "");
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        let points: Vec<_> = line.points.iter().map(|(at, value)| (axis.x(*at), y(*value))).collect();
        svg.trace(&points, &stroke(line.number), &line.name);
        // A line of one point is nothing to see.
        if let [only] = points[..] {
            svg.dot(only, stroke(line.number).colour, &line.name);
        }
    }
    svg.finish_on(HEIGHT, "none")
}

/// Where figures are along the lower side.
struct Axis {
    along: Along,
    time: Time,
    until: f64,
}

impl Axis {
    fn new(along: Along, all: impl Iterator<Item = f64> + Clone) -> Self {
        let until = all.clone().fold(0.0, f64::max).max(1e-9);
        Self { along, time: Time::new(all), until }
    }

    fn x(&self, value: f64) -> f64 {
        let share = if self.along == Along::Clock { value / self.until } else { self.time.share(value) };
        LEFT + share * (RIGHT - LEFT)
    }

    /// The unit, and its seconds.
    fn clock(&self) -> (&'static str, f64) {
        match self.until {
            until if until < 600.0 => ("s", 1.0),
            until if until < 4.0 * 3600.0 => ("min", 60.0),
            until if until < 4.0 * 86_400.0 => ("h", 3600.0),
            _ => ("d", 86_400.0),
        }
    }

    fn unit(&self) -> &'static str {
        self.clock().0
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if self.along == Along::Clock {
            let unit = self.clock().1;
            let all = ticks(0.0, self.until / unit, 6).into_iter();
            return all.map(|tick| (self.x(tick * unit), brief(tick))).collect();
        }
        let text = |tick: f64| if self.along == Along::Durations { time(tick) } else { brief(tick) };
        self.time.ticks().into_iter().map(|tick| (self.x(tick), text(tick))).collect()
    }
}

/// A bar of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Bar {
    pub(in crate::cli) name: String,
    pub(in crate::cli) value: f64,
    /// The figure as it is to be read.
    pub(in crate::cli) text: String,
}

/// A bar for each, below each other, in the colours of their places.
pub(in crate::cli) fn bars(bars: &[Bar]) -> String {
    let mut svg = Svg::new(WIDTH);
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    for (i, bar) in bars.iter().enumerate() {
        let top = 4.0 + ROW * i as f64;
        let name = Text { colour: INK, anchor: Anchor::End, size: 11.0, ..Text::default() };
        svg.text((BARS.0 - 6.0, top + 12.0), &name, &shortened(&bar.name));
        let length = (bar.value / most * (BARS.1 - BARS.0)).max(0.5);
        svg.rect(
            (BARS.0, top + 2.0),
            (length, ROW - 7.0),
            stroke(i).colour,
            &format!("{}: {}", bar.name, bar.text),
        );
        let figure = Text { colour: FAINT, size: 11.0, ..Text::default() };
        svg.text((BARS.0 + length + 5.0, top + 12.0), &figure, &bar.text);
    }
    svg.finish_on(8.0 + ROW * bars.len() as f64, "none")
}

fn shortened(name: &str) -> String {
    let all = name.chars().count();
    if all <= LONGEST_NAME {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(all + 1 - LONGEST_NAME)).collect()
}

/// What lines are called, beside how they look.
pub(in crate::cli) fn key<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let entry = |(i, name): (usize, &str)| {
        let mut sample = Svg::new(28.0);
        sample.trace(&[(0.0, 6.0), (28.0, 6.0)], &Stroke { width: 2.6, ..stroke(i) }, "");
        format!("<li>{}{}</li>\n", sample.finish_on(12.0, "none").trim_end(), escaped(name))
    };
    format!("<ul class=\"key\">\n{}</ul>\n", names.enumerate().map(entry).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, points: &[(f64, f64)]) -> Line {
        Line { number, name: format!("<run {number}>"), points: points.to_vec() }
    }

    #[test]
    fn lines_are_within_the_picture_and_told_by_name() {
        let all = [line(0, &[(0.0, 0.0), (1800.0, 64.0)]), line(11, &[(900.0, 12.0)]), line(2, &[])];
        let text = lines(&all, Along::Clock, "time, {unit}", None);
        let document = roxmltree::Document::parse(&text).unwrap();
        let titles: Vec<_> = document.descendants().filter(|node| node.has_tag_name("title")).collect();
        let names: Vec<_> = titles.iter().filter_map(roxmltree::Node::text).collect();
        // A line of one point is a dot, too.
        assert_eq!(names, ["<run 0>", "<run 11>", "<run 11>"]);
        let of = |i: usize, name| titles[i].parent().unwrap().attribute(name);
        assert_eq!(of(0, "points"), Some("46,158 348,13.77"));
        assert_eq!((of(1, "stroke"), of(1, "stroke-dasharray")), (Some("var(--c1)"), Some("6 3")));
        assert!(text.contains(">time, min<") && text.contains(">30<") && text.contains(">60<"), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_no_fault() {
        for along in [Along::Clock, Along::Durations, Along::Amounts] {
            for all in [&[][..], &[line(0, &[(0.0, 0.0)])]] {
                assert!(roxmltree::Document::parse(&lines(all, along, "x", None)).is_ok());
            }
        }
        assert!(roxmltree::Document::parse(&bars(&[])).is_ok());
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let bar = |name: &str, value| Bar { name: name.to_owned(), value, text: value.to_string() };
        let text = bars(&[bar("none", 2.0), bar("a-strategy-with-a-long-name", 1.0)]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let boxes = document.descendants().filter(|node| node.has_tag_name("rect") && node.has_children());
        let widths: Vec<_> = boxes.filter_map(|node| node.attribute("width")).collect();
        assert_eq!(widths, ["168", "84"]);
        assert!(text.contains(">…with-a-long-name<"), "{text}");
    }
}

//! The structure of the page, and that the same gives the same.

use super::*;
use crate::simulator::experiment::{Experiment, run};

const HOSTILE: &str = "]]></pre></script><b> & \"x\"";

fn text() -> String {
    format!(
        "title = '{HOSTILE}'\nseconds = 700\n[hosts]\ncount = 16\ncpu = 6500\n[[run]]\nstrategy = 'none'\n[[run]]\n\
         name = 'each-half-minute'\nstrategy = 'centralised'\n# {HOSTILE}\n"
    )
}

fn report() -> Report {
    let experiment = Experiment::from_toml(&text()).unwrap();
    let runs = experiment.runs.iter().map(|it| run(&experiment, it, &mut |_| true).unwrap()).collect();
    Report { version: "1".to_owned(), experiment, runs }
}

fn drawn(report: &Report) -> String {
    page(report, &Source { command: "dvms simulate 'a & b.toml'", file: "a & b.toml", text: &text() })
}

#[test]
fn the_page_has_its_parts_in_order_and_needs_nothing_else() {
    let page = drawn(&report());
    // It is written so that readers of XML can read it.
    let xml = page.replacen("<!DOCTYPE html>", "", 1);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let told = |name: &str, attribute: &str| -> Vec<String> {
        let those = document.descendants().filter(|node| node.has_tag_name(name));
        those.filter_map(|node| node.attribute(attribute)).map(str::to_owned).collect()
    };
    assert_eq!(told("section", "id"), ["tables", "charts", "repeat"]);
    let figures = [
        "violation-time",
        "migrations",
        "energy",
        "messages",
        "busiest",
        "violations-over-time",
        "violation-durations",
        "time-to-solve",
        "partition-sizes",
        "active-hosts",
        "power",
        "load",
    ];
    assert_eq!(told("figure", "id"), figures);
    assert_eq!(told("pre", "id"), ["command", "experiment", "settings"]);
    let texts = |name: &str| -> Vec<&str> {
        let those = document.descendants().filter(|node| node.has_tag_name(name));
        those.filter_map(|node| node.text()).collect()
    };
    let headings = ["Violations", "Plans and migrations", "What it costs", "Figures", "To repeat it"];
    assert_eq!((texts("h1"), texts("h2")), (vec![HOSTILE], headings.to_vec()));
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("table")).count(), 3);
    assert!(
        !document
            .descendants()
            .any(|node| node.has_tag_name("b") && node.parent().unwrap().has_tag_name("pre"))
    );
    // Both runs are in every picture of lines, and each has its row in every table.
    for figure in document.descendants().filter(|node| node.has_tag_name("figure")) {
        let titles: Vec<_> = figure
            .descendants()
            .filter(|node| node.has_tag_name("title"))
            .filter_map(|node| node.text())
            .collect();
        let solves = ["time-to-solve", "partition-sizes"].contains(&figure.attribute("id").unwrap());
        assert_eq!(titles.len(), if solves { 1 } else { 2 }, "{titles:?}");
    }
    assert_eq!(page.matches("<th scope=\"row\">each-half-minute</th>").count(), 3);
    for foreign in ["http://", "https://", "src=", "@import", "url(", "<script"] {
        let mine = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!mine.contains(foreign), "the page needs {foreign}");
    }
}

#[test]
fn the_page_tells_how_to_have_the_same_again() {
    let report = report();
    let page = drawn(&report);
    assert_eq!(page, drawn(&self::report()), "the same page, byte for byte");
    let document = page.replacen("<!DOCTYPE html>", "", 1);
    let document = roxmltree::Document::parse(&document).unwrap();
    let of = |id: &str| {
        document.descendants().find(|node| node.attribute("id") == Some(id)).unwrap().text().unwrap()
    };
    assert_eq!(of("command"), "dvms simulate 'a & b.toml'");
    assert_eq!(of("experiment"), text().trim_end());
    let settings: serde_json::Value = serde_json::from_str(of("settings")).unwrap();
    assert_eq!(settings, serde_json::to_value(&report.experiment).unwrap());
    assert!(page.contains("seed 23, dvms 1") && page.contains("byte for byte"), "{page}");
    let mut varies = report;
    varies.experiment.compute = Compute::Measured;
    assert!(drawn(&varies).contains("differ a little each time"));
}

#[test]
fn an_interrupted_report_says_so() {
    let mut report = report();
    report.runs.pop();
    report.runs[0].complete = false;
    let page = drawn(&report);
    assert!(
        page.contains("none was interrupted after 12 min") && page.contains("1 run not begun."),
        "{page}"
    );
    report.runs.clear();
    assert!(drawn(&report).ends_with("</html>\n"));
}

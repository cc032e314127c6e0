//! Tables of small reports.

use super::read::{Run, Told};
use super::{sheet, sizes};
use crate::cli::simulate::measures::change;
use crate::cli::table::Look;
use serde_json::json;
use std::collections::BTreeMap;

fn run(name: &str, total: f64, compute_s: Option<f64>) -> Run {
    let mut figures = BTreeMap::from([("violations.all.total".to_owned(), total)]);
    figures.insert("rounds.plan.count".to_owned(), compute_s.map_or(0.0, |_| 3.0));
    figures.insert("rounds.plan.mean".to_owned(), compute_s.unwrap_or(0.0));
    Run { name: name.to_owned(), complete: true, seeds: 1, figures }
}

fn told(file: &str, hosts: u64, runs: Vec<Run>) -> Told {
    let settings = BTreeMap::from([("hosts.count".to_owned(), json!(hosts)), ("seed".to_owned(), json!(23))]);
    Told { file: file.to_owned(), version: "1".to_owned(), title: "<t>".to_owned(), settings, hosts, runs }
}

/// The cells of the line that begins so.
fn line<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn runs_of_one_name_are_side_by_side_with_their_changes() {
    let mut second = told("b.json", 64, vec![run("drs", 50.0, Some(0.002)), run("none", 0.0, None)]);
    second.settings.insert("seed".to_owned(), json!(7));
    second.runs[1].complete = false;
    let all = [told("a.json", 64, vec![run("none", 0.0, None), run("drs", 40.0, Some(0.001))]), second];
    let groups = sheet::groups(&all);
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["none", "drs"]);
    let text = sheet::text(Look::PLAIN, &all, &groups);
    assert!(text.starts_with("A  a.json: <t>\nB  b.json: <t>\n\nSettings that differ\n"), "{text}");
    assert_eq!(line(&text, "seed"), ["seed", "23", "7"]);
    let drs = &text[text.find("\ndrs\n").unwrap()..];
    assert_eq!(line(drs, "violation time"), ["violation time, host-s", "40", "50 (+25.0 %)"]);
    assert_eq!(line(drs, "compute"), ["compute, ms", "1", "2 (+100.0 %)"]);
    let none = &text[text.find("\nnone\n").unwrap()..];
    assert_eq!(line(none, "violation time"), ["violation time, host-s", "0", "0 (±0 %)"]);
    assert_eq!(line(none, "compute"), ["compute, ms", "-", "-"]);
    assert!(text.ends_with("Note: none of b.json was interrupted; its figures are up to then.\n"), "{text}");
    let value = sheet::value(&all, &groups);
    let total = &value["groups"][1]["measures"]["violations.all.total"];
    assert_eq!(total, &json!({"values": [40.0, 50.0], "change_percent": [0.0, 25.0]}));
    assert_eq!(value["settings"], json!({"seed": [23, 7]}));
}

#[test]
fn single_runs_are_compared_whatever_their_names() {
    let all = [told("a", 8, vec![run("x", 4.0, None)]), told("b", 8, vec![run("y", 2.0, None)])];
    let groups = sheet::groups(&all);
    assert_eq!((groups.len(), groups[0].name.as_str()), (1, "x / y"));
    let text = sheet::text(Look::PLAIN, &all, &groups);
    assert_eq!(line(&text, "violation time"), ["violation time, host-s", "4", "2 (-50.0 %)"]);
    let two = [
        told("a", 8, vec![run("x", 4.0, None)]),
        told("b", 8, vec![run("y", 2.0, None), run("z", 2.0, None)]),
    ];
    assert!(sheet::groups(&two).iter().all(|group| group.runs.iter().flatten().count() == 1));
}

#[test]
fn sizes_are_drawn_where_they_differ() {
    let of = |hosts: u64, total| told("f", hosts, vec![run("x", total, Some(0.001)), run("y", total, None)]);
    let all = [of(512, 80.0), of(64, 10.0), of(64, 30.0)];
    let groups = sheet::groups(&all);
    let page = sizes::page(&all, &groups).replacen("<!DOCTYPE html>", "", 1);
    let document = roxmltree::Document::parse(&page).unwrap();
    let figures = document.descendants().filter(|node| node.has_tag_name("figure"));
    let ids: Vec<_> = figures.filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids, ["violation-time", "time-to-solve", "migrations", "messages"]);
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("table")).count(), 3);
    // Half and full height: 20 of 80, which is the mean of 10 and 30, less the room above.
    let lines: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("polyline") && node.has_children())
        .filter_map(|node| node.attribute("points"))
        .collect();
    assert_eq!(lines[0], "83.75,121.94 348,13.77");
    assert_eq!(lines.len(), 3, "of x and y the violation time, of x the time to solve: {lines:?}");
    let same = [of(64, 70.0), of(64, 10.0)];
    assert!(!sizes::page(&same, &sheet::groups(&same)).contains("<figure"));
}

#[test]
fn changes_are_of_the_first() {
    assert_eq!([change(4.0, 5.0), change(0.0, 0.0), change(0.0, 1.0)], [Some(25.0), Some(0.0), None]);
}

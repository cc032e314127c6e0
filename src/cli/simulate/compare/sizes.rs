//! Reports side by side as a page, and what becomes of strategies as there are more hosts.

use super::LETTERS;
use super::read::Told;
use super::sheet::{Group, letters, notes, tables};
use crate::cli::plot::svg::escaped;
use crate::cli::simulate::page::{along, document, table};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The page; it needs nothing else.
pub(super) fn page(told: &[Told], groups: &[Group]) -> String {
    let mut body = String::from("<ul class=\"files\">\n");
    for line in letters(told) {
        let _ = writeln!(body, "<li>{}</li>", escaped(&line));
    }
    body += "</ul>\n";
    for note in notes(told, groups) {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", escaped(&note));
    }
    body += &by_size(told, groups);
    for it in tables(told, groups) {
        let headings: Vec<&str> =
            std::iter::once(it.first).chain(LETTERS.into_iter().take(told.len())).collect();
        body += &table(&it.heading, &headings, &it.rows);
    }
    document("Experiments compared", &body)
}

/// Charts of what changes with the number of hosts, if there are several numbers.
fn by_size(told: &[Told], groups: &[Group]) -> String {
    if told.iter().all(|it| it.hosts == told[0].hosts) {
        return String::new();
    }
    let points = |group: &Group, path: &str| {
        // Of as many files of one size as there are, the mean.
        let mut sizes: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (it, run) in told.iter().zip(&group.runs) {
            let value = run.and_then(|run| run.figure(path));
            sizes.entry(it.hosts).or_default().extend(value);
        }
        let known = sizes.into_iter().filter(|(_, values)| !values.is_empty());
        let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
        known.map(|(hosts, values)| (hosts as f64, mean(values))).collect()
    };
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    along::section("charts", "By size", "hosts", &names, &|number, path| points(&groups[number], path))
}

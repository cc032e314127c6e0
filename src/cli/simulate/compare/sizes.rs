//! Reports side by side as a page, and what becomes of strategies as there are more hosts.

use super::LETTERS;
use super::read::Told;
use super::sheet::{Group, letters, notes, tables};
use crate::cli::plot::chart::{self, Along, Line};
use crate::cli::plot::svg::escaped;
use crate::cli::simulate::page::{Figure, document, framed, table};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The page; it needs nothing else.
pub(super) fn page(told: &[Told], groups: &[Group]) -> String {
    let mut body = String::from("<ul class=\"files\">\n");
    for line in letters(told) {
        let _ = writeln!(body, "<li>{}</li>", escaped(&line));
    }
    body += "</ul>\n";
    for note in notes(told) {
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
    let chart = |id: &'static str, title: &'static str, said: &str, path: &str, factor: f64| {
        let line = |(number, group): (usize, &Group)| {
            // Of as many files of one size as there are, the mean.
            let mut sizes: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            for (it, run) in told.iter().zip(&group.runs) {
                let value = run.and_then(|run| run.figure(path));
                sizes.entry(it.hosts).or_default().extend(value);
            }
            let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64 * factor;
            let known = sizes.into_iter().filter(|(_, values)| !values.is_empty());
            let points = known.map(|(hosts, values)| (hosts as f64, mean(values))).collect();
            Line { number, name: group.name.clone(), points }
        };
        let lines: Vec<Line> = groups.iter().enumerate().map(line).collect();
        let drawn = chart::lines(&lines, Along::Amounts, "hosts", None);
        framed(&Figure { id, title, said: said.to_owned(), drawn })
    };
    [
        "<section id=\"charts\">\n<h2>By size</h2>\n".to_owned(),
        chart::key(groups.iter().map(|group| group.name.as_str())),
        "<div class=\"charts\">\n".to_owned(),
        chart("violation-time", "Violation time", "host-seconds", "violations.all.total", 1.0),
        chart("time-to-solve", "Time to solve", "mean, ms", "rounds.plan.mean", 1e3),
        chart("migrations", "Migrations", "that ended well", "migrations.done.count", 1.0),
        chart("messages", "Messages", "a minute and host", "traffic.messages_per_host_s", 60.0),
        "</div>\n</section>\n".to_owned(),
    ]
    .concat()
}

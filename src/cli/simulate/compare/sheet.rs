//! Reports side by side: for people, and for programs.

use super::LETTERS;
use super::read::{Run, Told};
use crate::cli::format::{count, safe};
use crate::cli::paint::Tone;
use crate::cli::simulate::measures::{MEASURES, Measure, change, signed};
use crate::cli::table::{Column, Look, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Runs that are compared: of each file one or none.
pub(super) struct Group<'t> {
    pub(super) name: String,
    pub(super) runs: Vec<Option<&'t Run>>,
}

/// What is compared with what: runs of the same name, in the order in which names come.
pub(super) fn groups(told: &[Told]) -> Vec<Group<'_>> {
    let mut names: Vec<&str> = Vec::new();
    for run in told.iter().flat_map(|it| &it.runs) {
        if !names.contains(&run.name.as_str()) {
            names.push(&run.name);
        }
    }
    let all: usize = told.iter().map(|it| it.runs.len()).sum();
    if names.len() == all && told.iter().all(|it| it.runs.len() == 1) {
        let runs = told.iter().map(|it| it.runs.first()).collect();
        return vec![Group { name: names.join(" / "), runs }];
    }
    let of = |name: &str| told.iter().map(|it| it.runs.iter().find(|run| run.name == name)).collect();
    names.into_iter().map(|name| Group { name: name.to_owned(), runs: of(name) }).collect()
}

/// A table whose first column holds names, with a column for each file.
pub(super) struct Beside {
    pub(super) heading: String,
    pub(super) first: &'static str,
    pub(super) rows: Vec<Vec<String>>,
}

/// What the files are, the settings that differ, and then each group.
pub(super) fn tables(told: &[Told], groups: &[Group]) -> Vec<Beside> {
    let mut tables = vec![settings(told)];
    tables.extend(groups.iter().map(group));
    tables
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value
            .as_f64()
            .filter(|it| it.fract() != 0.0)
            .map_or_else(|| value.to_string(), |it| it.to_string()),
    }
}

/// Paths of settings that are not the same in all files.
fn differing(told: &[Told]) -> BTreeSet<&str> {
    let all = told.iter().flat_map(|it| it.settings.keys().map(String::as_str));
    all.filter(|path| told.iter().any(|it| it.settings.get(*path) != told[0].settings.get(*path))).collect()
}

fn settings(told: &[Told]) -> Beside {
    let row = |name: &str, of: &dyn Fn(&Told) -> String| {
        std::iter::once(name.to_owned()).chain(told.iter().map(of)).collect::<Vec<_>>()
    };
    let mut rows =
        vec![row("dvms", &|it| it.version.clone()), row("hosts.count", &|it| it.hosts.to_string())];
    let others = differing(told).into_iter().filter(|path| *path != "hosts.count");
    rows.extend(others.map(|path| row(path, &|it| plain(it.settings.get(path)))));
    Beside { heading: "Settings that differ".to_owned(), first: "SETTING", rows }
}

fn group(group: &Group) -> Beside {
    let row = |measure: &Measure| {
        let values: Vec<Option<f64>> =
            group.runs.iter().map(|run| run.and_then(|run| run.figure(measure.path))).collect();
        let cell = |(i, value): (usize, &Option<f64>)| {
            let Some(value) = value else { return "-".to_owned() };
            let change = values[0].filter(|_| i > 0).and_then(|first| change(first, *value));
            let change = change.map_or(String::new(), |change| format!(" ({})", signed(change)));
            measure.text(*value) + &change
        };
        let cells = values.iter().enumerate().map(cell);
        std::iter::once(measure.name.to_owned()).chain(cells).collect()
    };
    Beside { heading: group.name.clone(), first: "MEASURE", rows: MEASURES.iter().map(row).collect() }
}

/// What a reader has to know.
pub(super) fn notes(told: &[Told], groups: &[Group]) -> Vec<String> {
    let cut = |it: &Told| {
        let runs = it.runs.iter().filter(|run| !run.complete);
        runs.map(|run| format!("{} of {} was interrupted; its figures are up to then.", run.name, it.file))
            .collect::<Vec<_>>()
    };
    told.iter().flat_map(cut).chain(groups.iter().filter_map(seeds)).collect()
}

/// Means over different numbers of seeds, which chance may tell apart.
fn seeds(group: &Group) -> Option<String> {
    let seeds = || group.runs.iter().flatten().map(|run| run.seeds);
    if seeds().all(|count| Some(count) == seeds().next()) {
        return None;
    }
    let each = LETTERS.iter().zip(&group.runs).filter_map(|(letter, run)| {
        Some(format!("{} in {letter}", count(usize::try_from((*run)?.seeds).ok()?, "seed")))
    });
    Some(format!("{} is the mean over {}.", group.name, each.collect::<Vec<_>>().join(", ")))
}

/// What each letter stands for.
pub(super) fn letters(told: &[Told]) -> Vec<String> {
    let line = |(letter, it): (&&str, &Told)| {
        let title = if it.title.is_empty() { String::new() } else { format!(": {}", it.title) };
        format!("{letter}  {}{title}", it.file)
    };
    LETTERS.iter().zip(told).map(line).collect()
}

/// For people.
pub(super) fn text(look: Look, told: &[Told], groups: &[Group]) -> String {
    let mut text: String = letters(told).iter().map(|line| safe(line) + "\n").collect();
    for it in tables(told, groups) {
        let _ = writeln!(text, "\n{}", look.paint.tone(Tone::Strong, &safe(&it.heading)));
        let letters = LETTERS.iter().take(told.len()).map(|letter| Column::Right(letter));
        let mut table =
            Table::new(look, &std::iter::once(Column::Left(it.first)).chain(letters).collect::<Vec<_>>());
        it.rows.into_iter().for_each(|row| table.row(row));
        text += &table.render();
    }
    for note in notes(told, groups) {
        let _ = writeln!(text, "\n{} {}", look.paint.tone(Tone::Warning, "Note:"), safe(&note));
    }
    text
}

/// For programs: every figure that two files have.
pub(super) fn value(told: &[Told], groups: &[Group]) -> Value {
    let file = |it: &Told| {
        json!({"file": it.file, "version": it.version, "title": it.title, "hosts": it.hosts,
            "runs": it.runs.iter().map(|run| &run.name).collect::<Vec<_>>()})
    };
    let setting = |path: &str| {
        let values = told.iter().map(|it| it.settings.get(path).cloned().unwrap_or(Value::Null));
        (path.to_owned(), values.collect::<Value>())
    };
    let group = |it: &Group| {
        let paths: BTreeSet<&String> = it.runs.iter().flatten().flat_map(|run| run.figures.keys()).collect();
        let measure = |path: &String| {
            let of = |run: Option<&Run>| run.and_then(|run| run.figures.get(path).copied());
            let values: Vec<Option<f64>> = it.runs.iter().copied().map(of).collect();
            let changes = values.iter().map(|value| change(values[0]?, (*value)?)).collect::<Vec<_>>();
            (path.clone(), json!({"values": values, "change_percent": changes}))
        };
        let names = it.runs.iter().map(|run| run.map(|run| &run.name)).collect::<Vec<_>>();
        json!({"name": it.name, "runs": names, "measures": paths.into_iter().map(measure).collect::<serde_json::Map<_, _>>()})
    };
    json!({
        "files": told.iter().map(file).collect::<Vec<_>>(),
        "settings": differing(told).into_iter().map(setting).collect::<serde_json::Map<_, _>>(),
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
    })
}

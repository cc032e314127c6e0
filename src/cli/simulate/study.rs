//! An experiment whose settings vary: its runs, and what is told of them for people.

use super::batch::{self, Job};
use super::experiment::{Given, beside, series_files, told_as_json, typed_beside};
use super::measures;
use super::page::{self, Source, along, is_measured};
use super::parquet;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::format::{count, duration, safe, seconds};
use crate::cli::input::Input;
use crate::cli::out_files::OutFiles;
use crate::cli::output::Output;
use crate::cli::paint::Tone;
use crate::cli::plot::svg::escaped;
use crate::cli::table::{Column, Look, Table};
use crate::simulator::experiment::{Axis, Group, Measured, Study, StudyReport};
use crate::solving::Stop;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Runs all points, and writes what came out.
pub(super) fn run(
    arguments: &Given,
    input: &Input,
    study: Study,
    mut files: OutFiles,
    stop: &Stop,
    output: Output,
) -> Result<Exit, Failure> {
    let report_file = arguments.report.as_deref();
    let pages = report_file.map(|path| beside(path, "groups", &mut files)).transpose()?;
    let typed = report_file.map(|path| typed_beside(path, "groups", &mut files)).transpose()?;
    let kept = arguments.checkpoints()?;
    let digits = study.points.len().to_string().len();
    let called = |number: usize, run: &str| format!("{:0digits$}-{run}", number + 1);
    let labels: Vec<String> = study.points.iter().map(|point| study.label(point)).collect();
    let mut jobs = Vec::new();
    for ((number, point), label) in study.points.iter().enumerate().zip(&labels) {
        for run in &point.experiment.runs {
            let (name, experiment) = (format!("{label} {}", run.name), &point.experiment);
            let kept = kept.as_ref().map(|kept| kept.of(&called(number, &run.name), experiment, run));
            let kept = kept.transpose()?;
            jobs.push(Job { name, experiment, run, whole: arguments.csv.is_some(), kept });
        }
    }
    let names =
        study.points.iter().enumerate().flat_map(|(number, point)| {
            point.experiment.runs.iter().map(move |run| called(number, &run.name))
        });
    let csv = arguments.csv.as_deref();
    let series = csv.map(|folder| series_files(folder, names, &mut files)).transpose()?;
    let at_once = arguments.at_once(study.points.iter().any(|point| is_measured(&point.experiment)));
    let began = Instant::now();
    let done = batch::all(&jobs, at_once, stop, !output.is_json())?;
    let took = began.elapsed();
    let whole = done.iter().all(|run| run.as_ref().is_some_and(|run| run.complete));
    let mut written = Ok(());
    for (measured, files) in done.iter().zip(series.into_iter().flatten()) {
        if let Some(measured) = measured {
            written = written.and(files.write(measured));
        }
    }
    let notes = notes(&jobs, &done);
    drop(jobs);
    let mut done = done.into_iter();
    let runs = study
        .points
        .iter()
        .map(|point| done.by_ref().take(point.experiment.runs.len()).flatten().collect::<Vec<_>>());
    let runs = runs.collect();
    let report = StudyReport::new(env!("CARGO_PKG_VERSION"), study, runs);
    // What cannot be told in one way is told in the others.
    let told = if output.is_json() {
        told_as_json(output, &report, "notes", &notes)
    } else {
        output.text(&text(output.look, &report, &notes, took)).map_err(Failure::from)
    };
    if let Some([page_file, runs_file, groups_file]) = pages {
        let command = arguments.command();
        let source = Source { command: &command, file: &input.name, text: input.text() };
        page_file.write(&page(&report, &notes, &source))?;
        runs_file.write(&report.runs_csv())?;
        groups_file.write(&report.groups_csv())?;
    }
    if let Some([runs_file, groups_file]) = typed {
        runs_file.write_bytes(&parquet::rows(report.rows()).bytes())?;
        groups_file.write_bytes(&parquet::rows(report.group_rows()).bytes())?;
    }
    told.and(written)?;
    Ok(if whole { Exit::Success } else { Exit::Failure })
}

/// What is missing, where it was interrupted.
fn notes(jobs: &[Job], done: &[Option<Measured>]) -> Vec<String> {
    let cut = |(job, run): (&Job, &Option<Measured>)| {
        let run = run.as_ref().filter(|run| !run.complete)?;
        let after = seconds(run.seconds);
        Some(format!("{} was interrupted after {after}; it is in no mean.", job.name))
    };
    let missing = done.iter().filter(|run| run.is_none()).count();
    let none = (missing > 0).then(|| format!("{} not begun.", count(missing, "run")));
    jobs.iter().zip(done).filter_map(cut).chain(none).collect()
}

const HEADINGS: [&str; 15] = [
    "RUN",
    "SEEDS",
    "VIOLATIONS",
    "HOST-S",
    "EACH, S",
    "UNTIL KNOWN, S",
    "COMPUTE, MS",
    "HOSTS",
    "MIGRATIONS",
    "PING-PONG",
    "KWH",
    "LOST VM-S",
    "LATE AFTER FAULTS, S",
    "MOST STATE, KIB",
    "MESSAGES",
];

/// What the columns after the second are.
const COLUMNS: [&str; 13] = [
    "violations.all.count",
    "violations.all.total",
    "violations.all.mean",
    "violations.to_detect.mean",
    "rounds.plan.mean",
    "rounds.partition.mean",
    "migrations.done.count",
    "migrations.ping_pong",
    "usage.energy_kwh",
    "usage.lost_vm_s",
    "violations.settling.mean",
    "memory.busiest_bytes",
    "traffic.messages",
];

/// Groups at the same place, with what that place is called.
fn sheets(report: &StudyReport) -> Vec<(String, Vec<&Group>)> {
    let mut sheets: Vec<(&[usize], Vec<&Group>)> = Vec::new();
    for group in &report.groups {
        match sheets.last_mut() {
            Some((places, groups)) if *places == group.places => groups.push(group),
            _ => sheets.push((&group.places, vec![group])),
        }
    }
    let heading = |places: &[usize]| {
        let plain = report.vary.iter().zip(places).filter(|(axis, _)| !axis.is_chance());
        let told =
            plain.map(|(axis, place)| format!("{} = {}", axis.settings.join(", "), axis.label(*place)));
        told.collect::<Vec<_>>().join("; ")
    };
    sheets.into_iter().map(|(places, groups)| (heading(places), groups)).collect()
}

/// A line of a table: mean and deviation over seeds.
fn row(group: &Group) -> Vec<String> {
    let cell = |path: &&str| {
        let (Some(over), Some(measure)) = (group.measures.get(*path), measures::called(path)) else {
            return "-".to_owned();
        };
        if over.count > 1 {
            format!("{} ± {}", measure.mean_text(over.mean), measure.mean_text(over.sd))
        } else {
            measure.text(over.mean)
        }
    };
    let seeds = group.measures.values().map(|over| over.count).max().unwrap_or(0);
    [group.run.clone(), seeds.to_string()].into_iter().chain(COLUMNS.iter().map(cell)).collect()
}

/// What varies, in words.
fn varies(axis: &Axis) -> String {
    let labels: Vec<String> = (0..axis.values.len()).map(|place| axis.label(place)).collect();
    format!("{}: {}", axis.settings.join(", "), labels.join(" | "))
}

/// For people: a table for each combination, seeds aside.
fn text(look: Look, report: &StudyReport, notes: &[String], took: Duration) -> String {
    let mut text = String::new();
    if !report.title.is_empty() {
        let _ = writeln!(text, "{}", look.paint.tone(Tone::Strong, &safe(&report.title)));
    }
    for axis in &report.vary {
        let _ = writeln!(text, "{}", safe(&varies(axis)));
    }
    for (heading, groups) in sheets(report) {
        let _ = writeln!(text, "\n{}", look.paint.tone(Tone::Strong, &safe(&heading)));
        let column =
            |(i, name): (usize, &&'static str)| if i == 0 { Column::Left(name) } else { Column::Right(name) };
        let mut table = Table::new(look, &HEADINGS.iter().enumerate().map(column).collect::<Vec<_>>());
        for group in groups {
            table.row(row(group));
        }
        text += &table.render();
    }
    for note in notes {
        let _ = writeln!(text, "\n{} {}", look.paint.tone(Tone::Warning, "Note:"), safe(note));
    }
    let runs: Vec<&Measured> = report.points.iter().flat_map(|point| &point.runs).collect();
    let events: u64 = runs.iter().map(|run| run.events).sum();
    let told = format!("{}, {events} events in {}", count(runs.len(), "run"), duration(took));
    let _ = writeln!(text, "\n{}", look.paint.tone(Tone::Faint, &told));
    text
}

/// The same as a page, with charts along the size or whatever else varies.
fn page(report: &StudyReport, notes: &[String], source: &Source) -> String {
    let title = if report.title.is_empty() { source.file } else { &report.title };
    let runs = report.points.iter().map(|point| point.runs.len()).sum();
    let mut body = format!(
        "<p>{}, {}</p>\n<p class=\"faint\">dvms {}</p>\n<ul class=\"files\">\n",
        count(report.points.len(), "set-up"),
        count(runs, "run"),
        escaped(&report.version)
    );
    for axis in &report.vary {
        let _ = writeln!(body, "<li>{}</li>", escaped(&varies(axis)));
    }
    body += "</ul>\n";
    for note in notes {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", escaped(note));
    }
    body += &charts(report);
    body += "<section id=\"tables\">\n";
    for (heading, groups) in sheets(report) {
        let rows: Vec<Vec<String>> = groups.into_iter().map(row).collect();
        let heading = if heading.is_empty() { "All seeds" } else { &heading };
        body += &page::table(heading, &HEADINGS, &rows);
    }
    body += "</section>\n";
    let settings: Vec<_> = report.points.iter().take(1).map(|point| &point.experiment).collect();
    let measured = report.points.iter().any(|point| is_measured(&point.experiment));
    body += &page::repeated(&settings, measured, source);
    page::document(title, &body)
}

/// A section for each combination of the others along the axis that is drawn: the number of hosts, or else the first one with
/// figures.
fn charts(report: &StudyReport) -> String {
    let plain = |axis: &Axis| !axis.is_chance() && axis.values.len() > 1 && axis.values[0][0].is_number();
    let sizes = |axis: &Axis| plain(axis) && axis.settings[0] == "hosts.count";
    let drawn = report.vary.iter().position(sizes).or_else(|| report.vary.iter().position(plain));
    let Some(drawn) = drawn else { return String::new() };
    let axis = &report.vary[drawn];
    let label = if axis.settings[0] == "hosts.count" { "hosts" } else { &axis.settings[0] };
    let mut names: Vec<&str> = Vec::new();
    let mut others: Vec<Vec<usize>> = Vec::new();
    for group in &report.groups {
        if !names.contains(&group.run.as_str()) {
            names.push(&group.run);
        }
        let other: Vec<usize> = elsewhere(&group.places, drawn);
        if !others.contains(&other) {
            others.push(other);
        }
    }
    let mut text = String::new();
    for (number, other) in others.iter().enumerate() {
        let rest = report.vary.iter().zip(other).enumerate();
        let rest = rest.filter(|(i, (axis, _))| *i != drawn && !axis.is_chance());
        let rest =
            rest.map(|(_, (axis, place))| format!("{} = {}", axis.settings.join(", "), axis.label(*place)));
        let heading = std::iter::once(format!("By {label}")).chain(rest).collect::<Vec<_>>().join("; ");
        let id = if number == 0 { "charts".to_owned() } else { format!("charts-{}", number + 1) };
        let points = |run: usize, path: &str| {
            let of = |group: &&Group| group.run == names[run] && elsewhere(&group.places, drawn) == *other;
            let point = |group: &Group| {
                Some((axis.values[group.places[drawn]][0].as_f64()?, group.measures.get(path)?.mean))
            };
            report.groups.iter().filter(of).filter_map(point).collect()
        };
        text += &along::section(&id, &heading, label, &names, &points);
    }
    text
}

/// Places along the other axes.
fn elsewhere(places: &[usize], drawn: usize) -> Vec<usize> {
    places.iter().enumerate().map(|(i, place)| if i == drawn { 0 } else { *place }).collect()
}

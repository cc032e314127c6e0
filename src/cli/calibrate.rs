//! `dvms calibrate`: the migration model fitted to measured migrations, beside what others would have said.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::forecast_view::percent;
use super::format::{count, figure, mib, seconds};
use super::input::Input;
use super::output::Output;
use super::table::{Column, Look, Table};
use dvms_solver::migration::Calibration;
use dvms_solver::migration::fit::{Fold, Group, cross_validated, error, error_of, fit, groups};
use dvms_solver::migration::measured::{Measured, read};
use dvms_solver::migration::rivals::{btrplace_s, naive_s};
use serde_json::json;
use std::fmt::Write as _;

/// Fits the migration model to measured migrations, and says how far off it and others are
///
/// The file has a line for each migration, comma-separated, after a line of names: `bandwidth_mbit_s`, `memory_mb`,
/// `start_s`, `end_s`, and if known `hot_dirty_mb`, `hot_dirty_s` (what is written again within so many seconds),
/// `cold_dirty_mb_s` (what is written besides) and `execution` (which repetition, for cross-validation). Other columns are
/// left aside.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What it finds goes into the settings `migration.efficiency` and `migration.setup_s` of the
coordinator, and corrects itself from there on.

Exit status: 0 it is told; 2 the file cannot be used.

Examples:
  dvms calibrate migrations.csv
  dvms calibrate migrations.csv --output json | jq .calibration")]
pub(crate) struct Arguments {
    /// The measured migrations, CSV; `-` = standard input
    file: String,
}

/// A file with all that is said of it.
struct Found {
    count: usize,
    calibration: Calibration,
    error: f64,
    built_in_error: f64,
    naive_error: f64,
    btrplace_error: f64,
    folds: Vec<Fold>,
    groups: Vec<Group>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let input = Input::read(&arguments.file)?;
    let rows = read(input.text()).map_err(|faults| refused(&input, faults))?;
    let found = found(&rows);
    if output.is_json() {
        output.value(&value(&found))?;
    } else {
        output.text(&text(output.look, &found))?;
    }
    Ok(Exit::Success)
}

fn refused(input: &Input, faults: Vec<dvms_solver::migration::measured::Fault>) -> Failure {
    let fault = |fault: dvms_solver::migration::measured::Fault| Fault {
        line: Some(fault.line),
        column: Some(fault.column),
        path: String::new(),
        message: fault.message,
    };
    let faults: Vec<Fault> = faults.into_iter().map(fault).collect();
    Failure::bad_input(format!("{} is not a table of measured migrations:", input.name)).faults(faults)
}

fn found(rows: &[Measured]) -> Found {
    let calibration = fit(rows);
    Found {
        count: rows.len(),
        calibration,
        error: error_of(&calibration, rows),
        built_in_error: error_of(&Calibration::default(), rows),
        naive_error: error(rows, |row| naive_s(&row.workload, row.path())),
        btrplace_error: error(rows, |row| btrplace_s(&row.workload, row.mbit_s)),
        folds: cross_validated(rows),
        groups: groups(rows, &calibration),
    }
}

fn value(found: &Found) -> serde_json::Value {
    let fold = |fold: &Fold| json!({"fitted": fold.fitted, "judged": fold.judged, "calibration": fold.calibration, "error": fold.error});
    let of = |(predicted_s, error): (f64, f64)| json!({"predicted_s": predicted_s, "error": error});
    let group = |group: &Group| {
        json!({
            "bandwidth_mbit_s": group.mbit_s,
            "memory_mib": group.workload.memory_mib,
            "hot_mib": group.workload.hot_mib,
            "hot_s": group.workload.hot_s,
            "cold_mib_s": group.workload.cold_mib_s,
            "count": group.count,
            "mean_s": group.mean_s,
            "median_s": group.median_s,
            "model": of(group.model),
            "naive": of(group.naive),
            "btrplace": of(group.btrplace),
        })
    };
    json!({
        "count": found.count,
        "calibration": found.calibration,
        "error": found.error,
        "built_in": {"calibration": Calibration::default(), "error": found.built_in_error},
        "naive_error": found.naive_error,
        "btrplace_error": found.btrplace_error,
        "cross_validation": found.folds.iter().map(fold).collect::<Vec<_>>(),
        "groups": found.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn text(look: Look, found: &Found) -> String {
    let Calibration { efficiency, setup_s, hot_share, .. } = found.calibration;
    let mut text = format!(
        "{} of {}.\nFitted: {} of the bandwidth gets through, each takes {} besides, {} of a hot set counts.\n\n",
        count(found.count, "migration"),
        count(found.groups.len(), "kind"),
        percent(efficiency),
        format_args!("{} s", figure(setup_s)),
        percent(hot_share),
    );
    text.push_str(&models(look, found));
    text.push('\n');
    text.push_str(&kinds(look, &found.groups));
    text
}

/// How far off each model is on average.
fn models(look: Look, found: &Found) -> String {
    let mut table = Table::new(look, &[Column::Left("MODEL"), Column::Right("MEAN ERROR")]);
    table.row(["dvms, fitted to these".to_owned(), percent(found.error)]);
    for fold in &found.folds {
        table.row([
            format!(
                "dvms, fitted to repetitions {}, judged on {}",
                listed(&fold.fitted),
                listed(&fold.judged)
            ),
            percent(fold.error),
        ]);
    }
    table.row(["dvms, as it is built in".to_owned(), percent(found.built_in_error)]);
    table.row(["BtrPlace's closed form".to_owned(), percent(found.btrplace_error)]);
    table.row(["memory ÷ bandwidth".to_owned(), percent(found.naive_error)]);
    table.render()
}

fn listed(numbers: &[i64]) -> String {
    let mut text = String::new();
    for (i, number) in numbers.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{number}");
    }
    text
}

fn kinds(look: Look, groups: &[Group]) -> String {
    let columns = [
        Column::Right("MBIT/S"),
        Column::Right("MEMORY"),
        Column::Right("HOT SET"),
        Column::Right("COLD"),
        Column::Right("COUNT"),
        Column::Right("MEAN"),
        Column::Right("MEDIAN"),
        Column::Right("DVMS"),
        Column::Right("OFF"),
        Column::Right("BTRPLACE"),
        Column::Right("OFF"),
        Column::Right("NAIVE"),
        Column::Right("OFF"),
    ];
    let mut table = Table::new(look, &columns);
    for group in groups {
        let workload = &group.workload;
        let (model, btrplace, naive) = (group.model, group.btrplace, group.naive);
        table.row([
            figure(group.mbit_s),
            mib(workload.memory_mib.round() as i64),
            format!("{} in {}", mib(workload.hot_mib.round() as i64), seconds(workload.hot_s)),
            format!("{} MiB/s", figure(workload.cold_mib_s)),
            group.count.to_string(),
            seconds(group.mean_s),
            seconds(group.median_s),
            seconds(model.0),
            percent(model.1),
            seconds(btrplace.0),
            percent(btrplace.1),
            seconds(naive.0),
            percent(naive.1),
        ]);
    }
    table.render()
}

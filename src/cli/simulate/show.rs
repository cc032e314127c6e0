//! Reports for people.

use super::sheets::{Sheet, sheets};
use crate::cli::bars::bar;
use crate::cli::format::{count, duration, figure, safe, seconds};
use crate::cli::paint::Tone;
use crate::cli::table::{Column, Look, Table};
use crate::simulator::experiment::{Measured, Progress, Report};
use std::fmt::Write as _;
use std::time::Duration;

/// The runs beside each other, and how fast that was.
pub(super) fn text(look: Look, report: &Report, took: Duration) -> String {
    let it = &report.experiment;
    let mut text = String::new();
    if !it.title.is_empty() {
        let _ = writeln!(text, "{}", look.paint.tone(Tone::Strong, &safe(&it.title)));
    }
    let (hosts, vms) = (count(it.hosts.count as usize, "host"), count(it.vms.count as usize, "VM"));
    let _ = writeln!(text, "{hosts}, {vms}, {}, seed {}\n", seconds(it.seconds), it.seed);
    let tables = sheets(&report.runs).map(|sheet| table(look, sheet));
    text += &tables.join("\n");
    for note in notes(report) {
        let _ = writeln!(text, "\n{} {note}", look.paint.tone(Tone::Warning, "Note:"));
    }
    let _ = writeln!(text, "\n{}", look.paint.tone(Tone::Faint, &speed(report, took)));
    text
}

/// What of a problem file is not meant, and what is missing where it was interrupted.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let cut = |run: &Measured| {
        let after = seconds(run.seconds);
        format!("{} was interrupted after {after}; its figures are up to then.", run.name)
    };
    let missing = report.experiment.runs.len() - report.runs.len();
    let none = (missing > 0).then(|| format!("{} not begun.", count(missing, "run")));
    let start = report.experiment.start.iter();
    let ignored = start.flat_map(|start| {
        start.ignored.iter().map(|what| format!("of {} is ignored: {what}.", safe(&start.problem)))
    });
    ignored.chain(report.runs.iter().filter(|run| !run.complete).map(cut)).chain(none).collect()
}

/// A table as terminals show it.
fn table(look: Look, sheet: Sheet) -> String {
    let column =
        |(i, name): (usize, &&'static str)| if i == 0 { Column::Left(name) } else { Column::Right(name) };
    let columns: Vec<Column> = sheet.headings.iter().enumerate().map(column).collect();
    let mut table = Table::new(look, &columns);
    sheet.rows.into_iter().for_each(|row| table.row(row));
    table.render()
}

fn speed(report: &Report, took: Duration) -> String {
    let events: u64 = report.runs.iter().map(|run| run.events).sum();
    let simulated: f64 = report.runs.iter().map(|run| run.seconds).sum();
    let host_hours = simulated / 3600.0 * f64::from(report.experiment.hosts.count);
    let a_second = |amount: f64| figure((amount / took.as_secs_f64().max(1e-9)).round());
    format!(
        "{events} events in {}: {} events and {} host-hours a second",
        duration(took),
        a_second(events as f64),
        a_second(host_hours)
    )
}

/// Before the line of a run, where there are several.
pub(super) fn which(done: usize, of: usize) -> String {
    if of > 1 { format!("{done} of {of} done; ") } else { String::new() }
}

/// How far a run is, in a line.
pub(super) fn progress(name: &str, until: f64, took: Duration, it: &Progress) -> String {
    let speed = it.now / took.as_secs_f64().max(1e-9);
    format!(
        "{name} {} {} of {} at {}×: {} over, {}, {}",
        bar(it.now / until, 20),
        seconds(it.now.floor()),
        seconds(until),
        figure(speed.round()),
        it.over,
        count(it.violations, "violation"),
        count(it.migrations as usize, "migration"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::experiment::{Experiment, run};

    fn sample(complete: bool) -> Report {
        let text = "title = 'A test'\nseconds = 700\n[hosts]\ncount = 32\ncpu = 6500\n[[run]]\nstrategy = 'none'\n\
                    [[run]]\nstrategy = 'centralised'\n";
        let experiment = Experiment::from_toml(text).unwrap();
        let runs = experiment.runs.iter().map(|it| run(&experiment, it, &mut |_| true).unwrap()).collect();
        let mut report = Report { version: "1".to_owned(), experiment, runs };
        if !complete {
            report.runs.pop();
            report.runs[0].complete = false;
        }
        report
    }

    #[test]
    fn runs_are_beside_each_other_with_their_speed() {
        let text = text(Look::PLAIN, &sample(true), Duration::from_millis(500));
        assert!(text.starts_with("A test\n32 hosts, 320 VMs, 12 min, seed 23\n"), "{text}");
        assert!(text.contains("COMPUTE, MS") && text.contains(" ± "), "{text}");
        for heading in ["UNTIL KNOWN, S", "PING-PONG", "SLATAH"] {
            let at = text.lines().position(|line| line.contains(heading)).unwrap();
            let names: Vec<_> =
                text.lines().skip(at + 1).take(2).map(|line| line.split(' ').next()).collect();
            assert_eq!(names, [Some("none"), Some("centralised")], "{text}");
        }
        assert!(text.ends_with("host-hours a second\n") && text.contains(" events in 0.5 s: "), "{text}");
    }

    #[test]
    fn what_was_interrupted_is_told() {
        let text = text(Look::PLAIN, &sample(false), Duration::from_secs(1));
        assert!(
            text.contains("Note: none was interrupted after 12 min; its figures are up to then."),
            "{text}"
        );
        assert!(text.contains("Note: 1 run not begun."), "{text}");
    }

    #[test]
    fn a_line_tells_how_far_it_is() {
        let it = Progress { now: 900.4, events: 5, over: 2, violations: 7, migrations: 1 };
        let line = progress("drs", 1800.0, Duration::from_millis(450), &it);
        assert_eq!(
            line,
            "drs ██████████·········· 15 min of 30 min at 2001×: 2 over, 7 violations, 1 migration"
        );
    }
}

//! What is drawn of a report.

use crate::cli::format::seconds;
use crate::cli::plot::axis::brief;
use crate::cli::plot::chart::{self, Along, Bar, Line};
use crate::simulator::experiment::{Measured, Report};
use crate::simulator::measures::{Bucket, Sample};

/// Points of a line over time; more are no picture.
const MOST_POINTS: usize = 180;

/// A picture with what is said of it.
pub(super) struct Figure {
    /// Of its element.
    pub(super) id: String,
    pub(super) title: &'static str,
    pub(super) said: String,
    /// SVG.
    pub(super) drawn: String,
}

/// All pictures of a report: a figure for each run, then lines; what matters most is first.
pub(super) fn all(report: &Report) -> Vec<Figure> {
    let runs = &report.runs[..];
    let bars = |id: &str, title, said: &str, value: fn(&Measured) -> f64| {
        let bar = |run: &Measured| Bar { name: run.name.clone(), value: value(run), text: brief(value(run)) };
        let drawn = chart::bars(&runs.iter().map(bar).collect::<Vec<_>>());
        Figure { id: id.to_owned(), title, said: said.to_owned(), drawn }
    };
    let over_time = |id: &str, title, said: &str, value: fn(&Sample) -> f64| {
        let longest = runs.iter().map(|run| run.series.len()).max().unwrap_or(0);
        let each = longest.div_ceil(MOST_POINTS).max(1);
        let line = |(number, run): (usize, &Measured)| thinned(number, run, each, value);
        let lines: Vec<Line> = runs.iter().enumerate().map(line).collect();
        let means = if each > 1 {
            format!("; means of {}", seconds(each as f64 * report.experiment.sample_s))
        } else {
            String::new()
        };
        let drawn = chart::lines(&lines, Along::Clock, "time, {unit}", None);
        Figure { id: id.to_owned(), title, said: format!("{said}{means}"), drawn }
    };
    let shares = |id: &str, title, said: &str, along, label, points: fn(&Measured) -> Vec<(f64, f64)>| {
        let line =
            |(number, run): (usize, &Measured)| Line { number, name: run.name.clone(), points: points(run) };
        let lines: Vec<Line> = runs.iter().enumerate().map(line).collect();
        Figure {
            id: id.to_owned(),
            title,
            said: said.to_owned(),
            drawn: chart::lines(&lines, along, label, Some(100.0)),
        }
    };
    vec![
        bars(
            "violation-time",
            "Violation time",
            "host-seconds in which more was asked of a host than it has",
            |run| run.violations.all.total,
        ),
        bars("migrations", "Migrations", "that ended well", |run| run.migrations.done.count as f64),
        bars("energy", "Energy", "kWh of all hosts", |run| run.usage.energy_kwh),
        bars("messages", "Messages", "a minute and host", |run| run.traffic.messages_per_host_s * 60.0),
        bars("busiest", "Messages of the busiest member", "sent and received, a minute", |run| {
            run.traffic.busiest_messages as f64 / run.seconds.max(1e-9) * 60.0
        }),
        over_time("violations-over-time", "Violation time so far", "host-seconds", |it| it.over_host_s),
        shares(
            "violation-durations",
            "How long violations last",
            "per cent of them that last no longer",
            Along::Durations,
            "duration",
            durations,
        ),
        shares(
            "time-to-solve",
            "Time to solve",
            "per cent of plans that were computed no slower",
            Along::Durations,
            "computing a plan",
            |run| cumulated(&run.rounds.plan_times),
        ),
        shares(
            "partition-sizes",
            "Partition sizes",
            "per cent of plans that looked at no more hosts",
            Along::Amounts,
            "hosts",
            |run| cumulated(&run.rounds.partition_sizes),
        ),
        over_time("active-hosts", "Active hosts", "that run a VM", |it| f64::from(it.active)),
        over_time("power", "Power", "kW of all hosts", |it| it.watts / 1000.0),
        over_time("load", "Load", "per cent of the CPU of hosts that are on", |it| it.load * 100.0),
    ]
}

/// A line over time of the means of so many samples each.
fn thinned(number: usize, run: &Measured, each: usize, value: fn(&Sample) -> f64) -> Line {
    let mean = |some: &[Sample]| {
        let sum = |of: fn(&Sample) -> f64| some.iter().map(of).sum::<f64>() / some.len() as f64;
        (sum(|it| it.time_s), sum(value))
    };
    Line { number, name: run.name.clone(), points: run.series.chunks(each).map(mean).collect() }
}

/// Of all violations the per cent that last no longer, at up to so many places.
fn durations(run: &Measured) -> Vec<(f64, f64)> {
    let mut all: Vec<f64> = run.log.iter().map(|it| it.lasted(run.seconds)).collect();
    all.sort_by(f64::total_cmp);
    let each = all.len().div_ceil(MOST_POINTS).max(1);
    let share = |i: usize| (i + 1) as f64 / all.len() as f64 * 100.0;
    let last = all.len().checked_sub(1);
    let places = (0..all.len()).step_by(each).chain(last.filter(|last| last % each != 0));
    places.map(|i| (all[i], share(i))).collect()
}

/// Per cent of all figures that are in this bucket or one before it, as steps.
fn cumulated(buckets: &[Bucket]) -> Vec<(f64, f64)> {
    let all: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let mut so_far = 0;
    let step = |bucket: &Bucket| {
        let share = |count: u64| count as f64 / all as f64 * 100.0;
        let before = share(so_far);
        so_far += bucket.count;
        [(bucket.from, before), (bucket.from, share(so_far))]
    };
    buckets.iter().flat_map(step).collect()
}

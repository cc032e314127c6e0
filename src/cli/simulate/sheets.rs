//! The tables of a report, for terminals and pages alike.

use crate::cli::format::figure;
use crate::simulator::experiment::Measured;
use crate::simulator::measures::Spread;

/// A table with a row for each run.
pub(super) struct Sheet {
    /// What it is about.
    pub(super) title: &'static str,
    /// Of the columns; the first holds names, the others figures.
    pub(super) headings: &'static [&'static str],
    /// As many cells as there are headings.
    pub(super) rows: Vec<Vec<String>>,
}

/// All tables.
pub(super) fn sheets(runs: &[Measured]) -> [Sheet; 3] {
    let sheet = |title, headings, row: fn(&Measured) -> Vec<String>| Sheet {
        title,
        headings,
        rows: runs.iter().map(row).collect(),
    };
    [
        sheet("Violations", VIOLATIONS, violations),
        sheet("Plans and migrations", ROUNDS, rounds),
        sheet("What it costs", COSTS, costs),
    ]
}

/// Mean and deviation: `24.4 ± 10.0`.
fn spread(it: &Spread) -> String {
    if it.count == 0 { "-".to_owned() } else { format!("{:.2} ± {:.2}", it.mean, it.sd) }
}

/// The same of seconds, in thousandths: computing takes a thousandth of a second, or a hundred of them.
fn milliseconds(it: &Spread) -> String {
    if it.count == 0 { "-".to_owned() } else { format!("{:.1} ± {:.1}", it.mean * 1e3, it.sd * 1e3) }
}

const VIOLATIONS: &[&str] =
    &["RUN", "VIOLATIONS", "OF ARRIVALS", "HOST-S", "EACH, S", "UNTIL KNOWN, S", "KNOWN, S"];

fn violations(run: &Measured) -> Vec<String> {
    let it = &run.violations;
    vec![
        run.name.clone(),
        it.all.count.to_string(),
        it.by_arrival.count.to_string(),
        format!("{:.1}", it.all.total),
        spread(&it.all),
        spread(&it.to_detect),
        spread(&it.detected),
    ]
}

const ROUNDS: &[&str] = &[
    "RUN",
    "PLANS",
    "NO PLAN",
    "NOTHING TO DO",
    "HOSTS",
    "COMPUTE, MS",
    "APPLY, S",
    "MIGRATIONS",
    "EACH, S",
    "FAILED",
    "PING-PONG",
];

fn rounds(run: &Measured) -> Vec<String> {
    let (rounds, moves) = (&run.rounds, &run.migrations);
    let hosts = if rounds.partition.count == 0 { "-".to_owned() } else { figure(rounds.partition.mean) };
    vec![
        run.name.clone(),
        rounds.plan.count.to_string(),
        rounds.no_plan.count.to_string(),
        rounds.nothing.count.to_string(),
        hosts,
        milliseconds(&rounds.plan),
        spread(&rounds.apply),
        moves.done.count.to_string(),
        spread(&moves.done),
        moves.failed.to_string(),
        moves.ping_pong.to_string(),
    ]
}

const COSTS: &[&str] = &[
    "RUN",
    "ACTIVE HOSTS",
    "KWH",
    "SLATAH",
    "PDM",
    "SLAV",
    "ESV",
    "LOST VM-S",
    "LACK, CORE-S",
    "FAIRNESS OF LOAD",
    "MOST STATE, KIB",
    "MESSAGES",
    "MIB",
    "AT THE BUSIEST",
];

fn costs(run: &Measured) -> Vec<String> {
    let (usage, traffic) = (&run.usage, &run.traffic);
    vec![
        run.name.clone(),
        figure(usage.active_hosts),
        figure(usage.energy_kwh),
        format!("{:.3} %", usage.slatah * 100.0),
        format!("{:.4} %", run.pdm * 100.0),
        format!("{:.3e}", run.slav),
        format!("{:.3e}", run.esv),
        figure(usage.lost_vm_s),
        figure(run.fairness.lack_core_s),
        format!("{:.4}", run.fairness.hosts_load),
        figure(run.memory.busiest_bytes as f64 / 1024.0),
        traffic.messages.to_string(),
        figure(traffic.bytes as f64 / 1_048_576.0),
        traffic.busiest_messages.to_string(),
    ]
}

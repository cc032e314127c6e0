//! The tables of a benchmark, and its JSON.

use super::compare::{Duel, Record};
use super::memory;
use super::rows::ROWS;
use super::summary::{Figures, LevelSummary, Summary};
use crate::cli::format::{count, figure, safe};
use crate::cli::output::Output;
use crate::cli::table::{Column, Table};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;

/// Losses that are shown one by one.
const LOSSES_SHOWN: usize = 40;

/// What is measured and what for.
pub(super) fn list(output: Output) -> io::Result<()> {
    if output.is_json() {
        let row = |row: &super::rows::Row| json!({"row": row.name, "hosts_vms": row.size(), "seeds": row.seeds, "limit_s": row.limit_s, "goal": row.goal});
        return output.value(&ROWS.iter().map(row).collect());
    }
    let columns = [
        Column::Left("ROW"),
        Column::Right("HOSTS/VMS"),
        Column::Right("SEEDS"),
        Column::Right("LIMIT S"),
        Column::Text("GOAL"),
    ];
    let mut table = Table::new(output.look, &columns);
    for row in ROWS {
        table.row([
            row.name.to_owned(),
            row.size(),
            row.seeds.to_string(),
            figure(row.limit_s),
            row.goal.to_owned(),
        ]);
    }
    output.text(&table.render())
}

/// Everything that was measured.
pub(super) fn whole(
    output: Output,
    summaries: &[Summary],
    duels: &[Duel],
    options: &Value,
) -> io::Result<()> {
    if output.is_json() {
        return output.text(&format!("{:#}\n", document(summaries, duels, options)));
    }
    output.text(&times(output, summaries))?;
    output.text(&format!("\n{}", values(output, summaries)))?;
    for summary in summaries {
        for skipped in &summary.skipped {
            output.line(&format!("{}: not measured: {}", summary.row, safe(skipped)))?;
        }
        for run in summary.runs.iter().filter(|run| !run.faults.is_empty()) {
            output.line(&format!("NOT VALID: {}: {}", safe(&run.problem), safe(&run.faults.join("; "))))?;
        }
    }
    if duels.is_empty() { Ok(()) } else { output.text(&format!("\n{}", peers(output, duels))) }
}

/// The same for programs.
pub(super) fn document(summaries: &[Summary], duels: &[Duel], options: &Value) -> Value {
    let (cpu, cores, memory_gib) = memory::machine();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "dev" } else { "release" },
        "machine": {"cpu": cpu, "cores": cores, "memory_gib": (memory_gib * 10.0).round() / 10.0},
        "options": options,
        "rows": summaries,
        "peers": {"records": Record::all(duels), "duels": duels},
    })
}

fn times(output: Output, summaries: &[Summary]) -> String {
    let columns = [
        Column::Left("ROW"),
        Column::Right("HOSTS/VMS"),
        Column::Right("PROBLEMS"),
        Column::Left("STATUS"),
        Column::Right("FIRST MED"),
        Column::Right("P95"),
        Column::Right("MAX"),
        Column::Right("PROVED"),
        Column::Right("BUT MAKESPAN"),
        Column::Right("PROOF MED"),
        Column::Right("P95"),
        Column::Right("SOLVE MAX"),
        Column::Right("MOVES"),
        Column::Right("PEAK MIB"),
    ];
    let mut table = Table::new(output.look, &columns);
    let time = |figures: Option<Figures>, of: fn(&Figures) -> f64| {
        figures.as_ref().map_or_else(|| "-".to_owned(), |figures| short(of(figures)))
    };
    for row in summaries {
        let statuses: Vec<_> = row.statuses.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let invalid = if row.wrong > 0 { format!(", {} NOT VALID", row.wrong) } else { String::new() };
        table.row([
            row.row.clone(),
            format!("{}/{}", row.hosts, row.vms),
            row.problems.to_string(),
            statuses.join(", ") + &invalid,
            time(row.first_s, |f| f.median),
            time(row.first_s, |f| f.p95),
            time(row.first_s, |f| f.max),
            format!("{}/{}", row.proved, row.problems),
            format!("{}/{}", row.closed, row.problems),
            time(row.proof_s, |f| f.median),
            time(row.proof_s, |f| f.p95),
            time(row.solve_s, |f| f.max),
            row.moves.as_ref().map_or_else(|| "-".to_owned(), |moves| figure(moves.median)),
            row.peak_mib.map_or_else(|| "-".to_owned(), |mib| format!("{mib:.0}")),
        ]);
    }
    format!("Times in seconds\n{}", table.render())
}

fn values(output: Output, summaries: &[Summary]) -> String {
    let columns = [
        Column::Left("ROW"),
        Column::Left("LEVEL"),
        Column::Right("BEFORE"),
        Column::Right("VALUE"),
        Column::Right("BOUND"),
        Column::Right("GAP MED"),
        Column::Right("GAP MAX"),
        Column::Right("MAX AT 1 S"),
        Column::Right("AT 5 S"),
        Column::Right("PROVED"),
    ];
    let mut table = Table::new(output.look, &columns);
    for row in summaries {
        for level in &row.levels {
            let nothing = || "no bound".to_owned();
            let at = |level: &LevelSummary, moment: &str| {
                level.gap_at.get(moment).map_or_else(|| "-".to_owned(), |figures| percent(figures.max))
            };
            table.row([
                row.row.clone(),
                level.name.clone(),
                figure(level.before.median),
                figure(level.value.median),
                figure(level.bound.median),
                level.gap.map_or_else(nothing, |gap| percent(gap.median)),
                level.gap.map_or_else(nothing, |gap| percent(gap.max)),
                at(level, "1"),
                at(level, "5"),
                format!("{}/{}", level.proved, row.problems),
            ]);
        }
    }
    format!("Levels of the objective, medians; gaps to the proved bound\n{}", table.render())
}

fn peers(output: Output, duels: &[Duel]) -> String {
    let columns = [
        Column::Left("PEER"),
        Column::Right("PROBLEMS"),
        Column::Right("FIRST LEVEL W/T/L"),
        Column::Right("GOAL W/T/L"),
        Column::Right("ALL LEVELS W/T/L"),
        Column::Right("MOVES FEWER/EQUAL/MORE"),
        Column::Right("ITS ANSWER INVALID"),
        Column::Right("NONE"),
        Column::Right("CANNOT EXPRESS"),
    ];
    let mut table = Table::new(output.look, &columns);
    for record in Record::all(duels) {
        let three = |counts: [usize; 3]| format!("{}/{}/{}", counts[0], counts[1], counts[2]);
        table.row([
            record.peer.clone(),
            record.problems.to_string(),
            three(record.first),
            three(record.goal),
            three(record.levels),
            three(record.moves),
            record.invalid.to_string(),
            record.nothing.to_string(),
            record.cannot.to_string(),
        ]);
    }
    let mut text = String::from(
        "Against peers at equal time: wins, ties and losses of dvms. The first level is VIOLATIONS, the goal \
         what follows it; moves where both are equal there\n",
    );
    text.push_str(&table.render());
    let losses: Vec<_> = duels.iter().filter(|duel| duel.is_lost()).collect();
    if losses.is_empty() {
        text.push_str("\nThe peers are better nowhere, on no level.\n");
    } else {
        let _ = writeln!(text, "\nOn some level the peer is better on {}:", count(losses.len(), "problem"));
        for duel in losses.iter().take(LOSSES_SHOWN) {
            let _ = writeln!(text, "  {}", safe(&duel.in_words()));
        }
        if losses.len() > LOSSES_SHOWN {
            let _ = writeln!(text, "  and {} more", losses.len() - LOSSES_SHOWN);
        }
    }
    text
}

/// Seconds with three figures that matter.
fn short(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{s:.4}"),
        s if s < 10.0 => format!("{s:.3}"),
        s => format!("{s:.1}"),
    }
}

fn percent(share: f64) -> String {
    if share == 0.0 { "0".to_owned() } else { format!("{:.2} %", share * 100.0) }
}

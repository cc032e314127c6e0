//! Figures over the runs of a row.

use super::run::Run;
use serde::Serialize;
use std::collections::BTreeMap;

/// A moment at which plans are looked at, seconds.
const MOMENTS: [f64; 2] = [1.0, 5.0];

/// Some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) median: f64,
    pub(super) p95: f64,
    pub(super) max: f64,
}

/// A level over the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LevelSummary {
    pub(super) name: String,
    pub(super) before: Figures,
    pub(super) value: Figures,
    pub(super) bound: Figures,
    /// Where the bound is more than nothing, or reached.
    pub(super) gap: Option<Figures>,
    /// Gap to the bound at the end, of the plan that was there after 1 s and 5 s; where the solves took longer.
    pub(super) gap_at: BTreeMap<String, Figures>,
    /// Runs in which the bound is reached.
    pub(super) proved: usize,
}

/// A row over its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) row: String,
    pub(super) goal: String,
    pub(super) hosts: usize,
    pub(super) vms: usize,
    pub(super) limit_s: f64,
    pub(super) problems: usize,
    pub(super) statuses: BTreeMap<String, usize>,
    pub(super) first_s: Option<Figures>,
    /// Over the runs in which every level is proved.
    pub(super) proof_s: Option<Figures>,
    pub(super) proved: usize,
    /// Every level but MAKESPAN is proved.
    pub(super) closed: usize,
    pub(super) solve_s: Option<Figures>,
    pub(super) moves: Option<Figures>,
    pub(super) peak_mib: Option<f64>,
    /// Runs whose plan the checker finds wrong.
    pub(super) wrong: usize,
    pub(super) levels: Vec<LevelSummary>,
    /// Problems that could not be made or were refused, with the reason.
    pub(super) skipped: Vec<String>,
    pub(super) runs: Vec<Run>,
}

impl Summary {
    pub(super) fn new(row: &str, goal: &str, runs: Vec<Run>, skipped: Vec<String>) -> Self {
        let all = |of: &dyn Fn(&Run) -> Option<f64>| figures(runs.iter().filter_map(of).collect());
        let count = |is: &dyn Fn(&Run) -> bool| runs.iter().filter(|run| is(run)).count();
        let mut statuses = BTreeMap::new();
        for run in &runs {
            *statuses.entry(run.status.clone()).or_default() += 1;
        }
        Self {
            row: row.to_owned(),
            goal: goal.to_owned(),
            hosts: runs.iter().map(|run| run.hosts).max().unwrap_or(0),
            vms: runs.iter().map(|run| run.vms).max().unwrap_or(0),
            limit_s: runs.iter().map(|run| run.limit_s).fold(0.0, f64::max),
            problems: runs.len(),
            statuses,
            first_s: all(&|run| run.first_s),
            proof_s: all(&|run| run.proved.then_some(run.solve_s)),
            proved: count(&|run| run.proved),
            closed: count(&Run::is_closed),
            solve_s: all(&|run| Some(run.solve_s)),
            moves: all(&|run| (!run.levels.is_empty()).then_some(run.moves as f64)),
            peak_mib: runs.iter().filter_map(|run| run.peak_mib).reduce(f64::max),
            wrong: count(&|run| !run.faults.is_empty()),
            levels: levels(&runs),
            skipped,
            runs,
        }
    }
}

fn levels(runs: &[Run]) -> Vec<LevelSummary> {
    let Some(one) = runs.iter().find(|run| !run.levels.is_empty()) else { return Vec::new() };
    let summary = |(i, level): (usize, &super::run::Level)| {
        let same = || runs.iter().filter_map(|run| run.levels.get(i)).filter(|l| l.name == level.name);
        let of = |value: &dyn Fn(&super::run::Level) -> f64| figures(same().map(value).collect());
        let gap_at = MOMENTS.iter().filter_map(|moment| {
            let long = runs.iter().filter(|run| run.limit_s > *moment);
            let gaps = long.filter_map(|run| run.levels.get(i)?.gap_of(run.value_at(i, *moment)?));
            Some((format!("{moment:.0}"), figures(gaps.collect())?))
        });
        Some(LevelSummary {
            name: level.name.clone(),
            before: of(&|level| level.before)?,
            value: of(&|level| level.value)?,
            bound: of(&|level| level.bound)?,
            gap: figures(same().filter_map(super::run::Level::gap).collect()),
            gap_at: gap_at.collect(),
            proved: same().filter(|level| level.is_proved()).count(),
        })
    };
    one.levels.iter().enumerate().filter_map(summary).collect()
}

/// `None` of no numbers.
pub(super) fn figures(mut values: Vec<f64>) -> Option<Figures> {
    values.sort_by(f64::total_cmp);
    let max = *values.last()?;
    // The least number that so many of the numbers are not above.
    let rank =
        |share: f64| values[((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some(Figures { median, p95: rank(0.95), max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_some_numbers() {
        let figure = |median, p95, max| Some(Figures { median, p95, max });
        assert_eq!(figures(vec![]), None);
        assert_eq!(figures(vec![3.0]), figure(3.0, 3.0, 3.0));
        assert_eq!(figures(vec![4.0, 1.0, 2.0, 3.0]), figure(2.5, 4.0, 4.0));
        assert_eq!(figures((1..=100).map(f64::from).collect()), figure(50.5, 95.0, 100.0));
    }
}

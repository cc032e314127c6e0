//! A calibration from measured migrations: few parameters, the least mean relative error, judged on what it has not
//! seen.
//!
//! Efficiency and the share of the hot set are tried on a grid. The best set-up time for each is a weighted median of
//! what is left, so nothing is searched there, and one migration that took for ever does not count more than any other.

use super::measured::Measured;
use super::rivals::{btrplace_s, naive_s};
use super::{Calibration, Policy, Workload, forecast};
use std::collections::{BTreeMap, BTreeSet};

/// Efficiencies that are tried, in thousandths: from, to, step; then around the best of them one by one.
const EFFICIENCY: (u32, u32, usize) = (300, 1300, 10);
/// Shares of the hot set that are tried, in twentieths.
const HOT_SHARES: u32 = 20;
/// Of shares of the hot set that explain the measurements as well but for this much, the greatest is taken: what cannot
/// be told from the set-up time is rather expected than not.
const AS_GOOD: f64 = 1e-4;

/// How far off a prediction is, one repetition judged by what was fitted to the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Repetitions that it was fitted to.
    pub fitted: Vec<i64>,
    /// Repetitions that it was judged on.
    pub judged: Vec<i64>,
    /// What was fitted.
    pub calibration: Calibration,
    /// Mean of |predicted − measured| ÷ measured.
    pub error: f64,
}

/// Migrations of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Mbit/s of the path.
    pub mbit_s: f64,
    /// What was moved.
    pub workload: Workload,
    /// How many.
    pub count: usize,
    /// Seconds, on average.
    pub mean_s: f64,
    /// Seconds, of the one in the middle.
    pub median_s: f64,
    /// What the model says, and how far off it is on average.
    pub model: (f64, f64),
    /// The same of memory ÷ bandwidth.
    pub naive: (f64, f64),
    /// The same of BtrPlace's closed form.
    pub btrplace: (f64, f64),
}

/// What is alike, with how often each duration was measured.
type Kinds<'a> = BTreeMap<[u64; 5], (&'a Measured, BTreeMap<u64, usize>)>;

/// Seconds that a calibration predicts; `None` = no end.
#[must_use]
pub fn predicted(calibration: &Calibration, row: &Measured) -> Option<f64> {
    let found = forecast(&row.workload, row.path(), &Policy::default(), calibration);
    found.converges().then_some(found.duration_s)
}

/// Mean of |predicted − measured| ÷ measured; 0 of none.
pub fn error(rows: &[Measured], predict: impl Fn(&Measured) -> f64) -> f64 {
    let off = |row: &Measured| (predict(row) - row.duration_s).abs() / row.duration_s;
    rows.iter().map(off).sum::<f64>() / rows.len().max(1) as f64
}

/// The mean relative error of a calibration; what it says does not end counts as wholly wrong.
#[must_use]
pub fn error_of(calibration: &Calibration, rows: &[Measured]) -> f64 {
    error(rows, |row| predicted(calibration, row).unwrap_or(0.0))
}

/// The calibration with the least mean relative error. Of none, the default.
#[must_use]
pub fn fit(rows: &[Measured]) -> Calibration {
    let kinds = kinds(rows);
    if kinds.is_empty() {
        return Calibration::default();
    }
    let (from, to, step) = EFFICIENCY;
    let tried = (0..=HOT_SHARES).filter_map(|twentieths| {
        let hot_share = f64::from(twentieths) / f64::from(HOT_SHARES);
        let best = |tried: &mut dyn Iterator<Item = u32>| {
            let each = tried.filter_map(|e| judged(&kinds, f64::from(e) / 1000.0, hot_share).map(|j| (j, e)));
            each.min_by(|(a, _), (b, _)| a.1.total_cmp(&b.1))
        };
        let (_, near) = best(&mut (from..=to).step_by(step))?;
        let reach = step as u32;
        best(&mut (near.saturating_sub(reach).max(1)..=near + reach)).map(|(found, _)| found)
    });
    let tried: Vec<(Calibration, f64)> = tried.collect();
    let least = tried.iter().map(|(_, error)| *error).fold(f64::INFINITY, f64::min);
    let best = tried.iter().rfind(|(_, error)| *error <= least + AS_GOOD);
    best.map_or_else(Calibration::default, |(calibration, _)| *calibration)
}

/// The best set-up time for an efficiency and a share of the hot set, and the error then. `None`: something that was
/// seen to end would not.
fn judged(kinds: &Kinds<'_>, efficiency: f64, hot_share: f64) -> Option<(Calibration, f64)> {
    let mut calibration = Calibration { efficiency, hot_share, ..Calibration::CONTRACT };
    // What is left of each duration, with its weight: relative errors count.
    let mut left = Vec::new();
    for (row, durations) in kinds.values() {
        let transfer = predicted(&calibration, row)?;
        for (duration, count) in durations {
            let duration = f64::from_bits(*duration);
            left.push((duration - transfer, *count as f64 / duration));
        }
    }
    left.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let half = left.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let middle = left.iter().find(|(_, weight)| {
        sum += weight;
        sum >= half
    });
    calibration.setup_s = middle.map_or(0.0, |(left, _)| (left * 100.0).round() / 100.0).max(0.0);
    let off: f64 = left.iter().map(|(left, weight)| (left - calibration.setup_s).abs() * weight).sum();
    let count: usize = kinds.values().flat_map(|(_, durations)| durations.values()).sum();
    Some((calibration, off / count as f64))
}

/// Judges by halves of the repetitions: fitted to the first half and judged on the second, and the other way. Empty
/// where there is one repetition only.
#[must_use]
pub fn cross_validated(rows: &[Measured]) -> Vec<Fold> {
    let all: Vec<i64> = rows.iter().map(|row| row.execution).collect::<BTreeSet<_>>().into_iter().collect();
    let (first, second) = all.split_at(all.len().div_ceil(2));
    if second.is_empty() {
        return Vec::new();
    }
    let of = |some: &[i64]| -> Vec<Measured> {
        rows.iter().filter(|row| some.contains(&row.execution)).copied().collect()
    };
    let fold = |fitted: &[i64], judged: &[i64]| {
        let calibration = fit(&of(fitted));
        let error = error_of(&calibration, &of(judged));
        Fold { fitted: fitted.to_vec(), judged: judged.to_vec(), calibration, error }
    };
    vec![fold(first, second), fold(second, first)]
}

/// Measurements by kind, with what a calibration and others say of them.
#[must_use]
pub fn groups(rows: &[Measured], calibration: &Calibration) -> Vec<Group> {
    let kinds = kinds(rows);
    let group = |(row, durations): &(&Measured, BTreeMap<u64, usize>)| {
        let each = |(duration, count): (&u64, &usize)| std::iter::repeat_n(f64::from_bits(*duration), *count);
        let durations: Vec<f64> = durations.iter().flat_map(each).collect();
        let off = |says: f64| {
            let off = durations.iter().map(|took| (says - took).abs() / took).sum::<f64>();
            (says, off / durations.len() as f64)
        };
        Group {
            mbit_s: row.mbit_s,
            workload: row.workload,
            count: durations.len(),
            mean_s: durations.iter().sum::<f64>() / durations.len() as f64,
            median_s: durations[durations.len() / 2],
            model: off(predicted(calibration, row).unwrap_or(0.0)),
            naive: off(naive_s(&row.workload, row.path())),
            btrplace: off(btrplace_s(&row.workload, row.mbit_s)),
        }
    };
    kinds.values().map(group).collect()
}

fn kinds(rows: &[Measured]) -> Kinds<'_> {
    let mut kinds = Kinds::new();
    for row in rows {
        let Workload { memory_mib, hot_mib, hot_s, cold_mib_s } = row.workload;
        // All are positive, so that their bits are in their order.
        let key = [row.mbit_s, memory_mib, hot_mib, hot_s, cold_mib_s].map(f64::to_bits);
        let (_, durations) = kinds.entry(key).or_insert((row, BTreeMap::new()));
        *durations.entry(row.duration_s.to_bits()).or_default() += 1;
    }
    kinds
}

//! What migrations have taught about hosts: an estimate for each source, for each pair of hosts, and for all together.
//!
//! A forecast uses that of the pair where enough was seen there, else that of the source, else that of all, else the
//! calibration of the settings. What is planned with is that of the source alone.

use crate::store::Way;
use dvms_solver::migration::Calibration;
use dvms_solver::migration::learned::Estimate;
use std::collections::BTreeMap;

/// Migrations that make the estimate of a pair, or of all together, count.
const ENOUGH: u64 = 3;
/// Pairs that are kept; others are told by their source.
const MOST_PAIRS: usize = 10_000;

/// The estimates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learned {
    ways: BTreeMap<Way, Estimate>,
}

/// A migration that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// Seconds that it would take at the bandwidth it was ordered with.
    pub(crate) nominal_s: f64,
    /// Seconds that it took.
    pub(crate) took_s: f64,
    /// MiB that would be sent.
    pub(crate) nominal_mib: f64,
    /// MiB that were sent; 0 = not known.
    pub(crate) moved_mib: f64,
}

impl Learned {
    /// What the store has kept.
    pub(crate) fn new(kept: impl IntoIterator<Item = (Way, Estimate)>) -> Self {
        Self { ways: kept.into_iter().collect() }
    }

    /// Takes a migration; the ways whose estimates have changed.
    pub(crate) fn learn(
        &mut self,
        base: &Calibration,
        source: &str,
        destination: &str,
        ended: Ended,
    ) -> Vec<(Way, Estimate)> {
        let mut changed = Vec::new();
        for (from, to) in [(source, destination), (source, ""), ("", "")] {
            let way = (from.to_owned(), to.to_owned());
            if !to.is_empty() && !self.ways.contains_key(&way) && self.ways.len() >= MOST_PAIRS {
                continue;
            }
            let estimate = self.ways.entry(way.clone()).or_default();
            estimate.learn(base, ended.nominal_s, ended.took_s);
            estimate.learn_volume(ended.nominal_mib, ended.moved_mib);
            changed.push((way, *estimate));
        }
        changed
    }

    /// What a migration from one host to another is forecast with.
    pub(crate) fn calibration(&self, base: &Calibration, source: &str, destination: &str) -> Calibration {
        let known = |from: &str, to: &str, enough: u64| {
            self.ways.get(&(from.to_owned(), to.to_owned())).filter(|estimate| estimate.samples >= enough)
        };
        let found = known(source, destination, ENOUGH)
            .or_else(|| known(source, "", 1))
            .or_else(|| known("", "", ENOUGH));
        found.map_or(*base, |estimate| estimate.calibration(base))
    }

    /// What was learned of migrations from a host.
    pub(crate) fn of_host(&self, host: &str) -> Option<&Estimate> {
        self.ways.get(&(host.to_owned(), String::new()))
    }

    /// Share of its bandwidth that a host is planned with.
    pub(crate) fn usable_share(&self, base: &Calibration, host: &str) -> f64 {
        self.of_host(host).map_or(1.0, |estimate| estimate.usable_share(base))
    }

    /// Hosts of which something is known.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.ways.keys().filter(|(from, to)| !from.is_empty() && to.is_empty()).map(|(from, _)| from.as_str())
    }

    /// Nothing is known of a host any more.
    pub(crate) fn forget(&mut self, host: &str) {
        self.ways.retain(|(from, to), _| from != host && to != host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(nominal_s: f64, took_s: f64) -> Ended {
        Ended { nominal_s, took_s, nominal_mib: 1000.0, moved_mib: 500.0 }
    }

    #[test]
    fn a_pair_is_told_by_itself_then_by_its_source_then_by_all() {
        let base = Calibration::default();
        let mut learned = Learned::default();
        assert_eq!(learned.calibration(&base, "a", "b"), base);
        assert_eq!(learned.of_host("a"), None);
        // a → b is slow, a → c is not.
        for _ in 0..20 {
            learned.learn(&base, "a", "b", ended(40.0, 82.0));
            learned.learn(&base, "a", "b", ended(10.0, 22.0));
            learned.learn(&base, "a", "c", ended(40.0, 42.0));
            learned.learn(&base, "a", "c", ended(10.0, 12.0));
        }
        let efficiency = |from: &str, to: &str| learned.calibration(&base, from, to).efficiency;
        assert!((efficiency("a", "b") - 0.5).abs() < 0.02, "{learned:?}");
        assert!((efficiency("a", "c") - 1.0).abs() < 0.04, "{learned:?}");
        let between = efficiency("a", "d");
        assert!(between > 0.52 && between < 0.95, "{between}");
        // Of x nothing is known but what is known of all.
        assert!((efficiency("x", "y") - between).abs() < 1e-9);
        assert!((learned.usable_share(&base, "a") - between).abs() < 1e-9);
        assert!(learned.usable_share(&base, "x") >= 1.0);
        assert!((learned.calibration(&base, "a", "b").volume - 0.5).abs() < 1e-9);
        assert_eq!(learned.hosts().collect::<Vec<_>>(), ["a"]);
        learned.forget("a");
        assert_eq!(learned.hosts().count(), 0);
        assert!((learned.calibration(&base, "a", "b").efficiency - between).abs() < 1e-9);
    }
}

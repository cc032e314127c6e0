//! How even the loads of hosts can be at all: amounts are whole multiples of a unit, hosts are of several sizes, and
//! what shares its hosts with no others leaves them less loaded than the rest.
//!
//! Let m be the highest load of a resource. A host of capacity c uses at most ⌊m c⌋ (in units), so it is at least
//! m − ⌊m c⌋ / c below m; one that only VMs of a lonely set use is at least m − d / c below, d being what they want
//! together. All that hosts are below m, weighed with their capacities, comes to m C − D, C being the capacity and D
//! the demand of all. So for each m there is a least sum of what hosts are below m, which is n times (highest − mean).
//! Only those m count that some host can reach exactly, and the least of them all is sought in ascending order.

use crate::model::Amount;
use std::collections::BTreeMap;

/// Steps of the search, each one look at one size of hosts for all VMs or for one lonely set.
const MOST_LOOKS: usize = 200_000;

/// What is known of one resource.
#[derive(Debug, Clone, Default)]
pub(super) struct Evenness {
    /// Hosts that count, by what they have (more than 0).
    pub(super) sizes: BTreeMap<Amount, usize>,
    /// All demands are multiples of it; more than 0.
    pub(super) unit: Amount,
    /// What the hosts use together at least, and at most.
    pub(super) total: (Amount, Amount),
    /// What sets of VMs want together of which each has a host to itself, at the least.
    pub(super) lonely: Vec<Amount>,
}

/// Bounds of one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Least {
    /// Of the highest utilisation.
    pub(super) highest: f64,
    /// Of the highest less the mean utilisation.
    pub(super) gap: f64,
}

/// A load that a host reaches: `used / size`.
#[derive(Debug, Clone, Copy)]
struct Load {
    used: i128,
    size: i128,
}

impl Load {
    fn value(self) -> f64 {
        self.used as f64 / self.size as f64
    }

    fn is_below(self, other: Self) -> bool {
        self.used * other.size < other.used * self.size
    }
}

impl Evenness {
    /// Bounds, when the highest utilisation is known to be at least `floor`.
    pub(super) fn least(&self, floor: f64) -> Least {
        let (unit, count) = (i128::from(self.unit.max(1)), self.sizes.values().sum::<usize>());
        let mut next: Vec<Load> = (self.sizes.keys())
            .map(|size| {
                let size = i128::from(*size);
                // Not more than it is, whatever is lost in the arithmetic.
                let used = (floor * (1.0 - 1e-12) * size as f64 / unit as f64).floor() as i128;
                Load { used: used.max(0) * unit, size }
            })
            .collect();
        let (mut highest, mut gap) = (None, f64::INFINITY);
        let mut looks = MOST_LOOKS / (self.sizes.len() * (1 + self.lonely.len())).max(1);
        while let Some(load) = next.iter().copied().reduce(|a, b| if b.is_below(a) { b } else { a }) {
            // From here on it is this at least.
            let beyond = self.slack(load) / count as f64;
            if beyond >= gap || looks == 0 {
                gap = gap.min(beyond.max(0.0));
                highest = highest.or(Some(load.value()));
                break;
            }
            looks -= 1;
            if load.value() >= floor * (1.0 - 1e-9)
                && let Some(below) = self.below(load)
            {
                highest = highest.or(Some(load.value()));
                gap = gap.min(below / count as f64);
            }
            for step in &mut next {
                if !load.is_below(*step) {
                    step.used += unit;
                }
            }
        }
        Least { highest: highest.unwrap_or(floor).max(floor), gap: if gap.is_finite() { gap } else { 0.0 } }
    }

    /// m C − D over the largest capacity: what all hosts are below a load at the least. It grows with the load.
    fn slack(&self, highest: Load) -> f64 {
        let capacity: i128 = self.sizes.iter().map(|(size, count)| i128::from(*size) * *count as i128).sum();
        let largest = self.sizes.keys().next_back().copied().unwrap_or(1);
        (highest.value() * capacity as f64 * (1.0 - 1e-12) - self.total.1 as f64) / largest as f64
    }

    /// What all hosts are below a load that is the highest, at the least; `None` if they cannot hold what they must.
    fn below(&self, highest: Load) -> Option<f64> {
        let unit = i128::from(self.unit.max(1));
        let most = |size: i128| highest.used * size / highest.size / unit * unit;
        let largest = self.sizes.keys().next_back().copied()? as f64;
        let (mut room, mut short) = (0_i128, 0.0);
        for (size, count) in &self.sizes {
            let size = i128::from(*size);
            room += most(size) * *count as i128;
            short += (highest.value() - most(size) as f64 / size as f64).max(0.0) * *count as f64;
        }
        let (mut lost, mut lonely, mut weighed) = (0_i128, 0.0, 0.0);
        for want in &self.lonely {
            let unused = |size: &Amount| (most(i128::from(*size)) - i128::from(*want)).max(0);
            let least = |of: &dyn Fn(&Amount) -> f64| self.sizes.keys().map(of).fold(f64::INFINITY, f64::min);
            lost += self.sizes.keys().map(unused).min()?;
            lonely += least(&|size| unused(size) as f64 / *size as f64);
            weighed += least(&|size| unused(size) as f64 * (1.0 / *size as f64 - 1.0 / largest));
        }
        if room - lost < i128::from(self.total.0) {
            return None;
        }
        let rest = (room - i128::from(self.total.1)) as f64 / largest;
        Some(short + lonely.max(weighed + rest).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(sizes: &[Amount]) -> BTreeMap<Amount, usize> {
        let mut counts = BTreeMap::new();
        for size in sizes {
            *counts.entry(*size).or_default() += 1;
        }
        counts
    }

    fn least(sizes: &[Amount], unit: Amount, total: Amount, lonely: &[Amount]) -> Least {
        Evenness { sizes: counted(sizes), unit, total: (total, total), lonely: lonely.to_vec() }.least(0.0)
    }

    fn assert_close(found: Least, highest: f64, gap: f64) {
        assert!((found.highest - highest).abs() < 1e-9 && (found.gap - gap).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn what_divides_evenly_is_even() {
        assert_close(least(&[10, 10], 1, 10, &[]), 0.5, 0.0);
        assert_close(least(&[10, 20], 1, 15, &[]), 0.5, 0.0);
    }

    #[test]
    fn amounts_come_in_units() {
        // 4, 4 and 4 on two hosts of 10.
        assert_close(least(&[10, 10], 4, 12, &[]), 0.8, 0.2);
        // 1 of 2 on the smaller, 2 of 3 on the larger one; or 2 of 2 and 1 of 3.
        assert_close(least(&[2, 3], 1, 3, &[]), 2.0 / 3.0, (2.0 / 3.0 - 0.5) / 2.0);
    }

    #[test]
    fn lonely_vms_leave_their_host_less_loaded() {
        // One host for 2 of 10, the others take 16.
        assert_close(least(&[10, 10, 10], 1, 18, &[2]), 0.8, 0.2);
        // The smaller one is theirs.
        assert_close(least(&[5, 10, 10], 1, 18, &[2]), 0.8, 0.4 / 3.0);
    }

    proptest! {
        /// Against all ways to use hosts in units.
        #[test]
        fn no_placement_is_below_the_bounds(
            sizes in prop::collection::vec(1_i64..9, 1..4),
            unit in 1_i64..4,
            used in prop::collection::vec(0_i64..6, 4),
            lonely in any::<bool>(),
            more in 0_i64..4,
        ) {
            let used: Vec<Amount> = used[..sizes.len()].iter().map(|n| n * unit).collect();
            let loads: Vec<f64> =
                used.iter().zip(&sizes).map(|(used, size)| *used as f64 / *size as f64).collect();
            let highest = loads.iter().copied().fold(0.0, f64::max);
            let gap = highest - loads.iter().sum::<f64>() / loads.len() as f64;
            let total: Amount = used.iter().sum();
            // The first host is that of lonely VMs.
            let lonely = if lonely { vec![used[0]] } else { vec![] };
            let known = Evenness { sizes: counted(&sizes), unit, total: ((total - more).max(0), total + more), lonely };
            let found = known.least(0.0);
            prop_assert!(found.highest <= highest + 1e-9, "{found:?} {highest}");
            prop_assert!(found.gap <= gap + 1e-9, "{found:?} {gap}");
            let found = known.least(highest);
            prop_assert!(found.highest <= highest + 1e-9 && found.gap <= gap + 1e-9, "{found:?} {gap}");
        }
    }
}

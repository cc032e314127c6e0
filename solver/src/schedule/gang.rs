//! VMs whose migrations must end together begin together, and share the bandwidths so that they end as early as they can.

use super::ground::Hop;
use super::network::{SWITCH_S, alone, hop_s, slowest};
use super::run::Run;
use crate::model::{Amount, HostId, Problem};
use std::collections::BTreeMap;

/// How much longer than the longest alone all together may take, as a power of 2.
const MOST_DOUBLINGS: u32 = 12;
/// Halvings in which the fewest seconds are found.
const HALVINGS: usize = 40;
/// Ends may be so far apart, in seconds; less than the rule allows.
const NEARLY_S: f64 = 0.9;

impl Run<'_> {
    /// Begins the last hops of all VMs of a gang, if all can begin now.
    pub(super) fn try_gang(&mut self, gang: usize) -> bool {
        let Some(hops) = self.gang_hops(gang) else { return false };
        let Some(longest) = self.gang_s(&hops) else { return false };
        let problem = self.ground.problem;
        let mut chosen = Vec::new();
        for (hop, _) in &hops {
            let rate = rate_for(problem, *hop, longest);
            let lasts = if rate > 0.0 { hop_s(problem, *hop, rate) } else { longest };
            if longest - lasts > NEARLY_S {
                // It would not converge at so slow a rate.
                return false;
            }
            chosen.push((*hop, rate, lasts));
        }
        for (hop, rate, lasts) in chosen {
            self.begin(hop, rate, lasts);
        }
        true
    }

    /// The hops with where they start, if there is room for all at once.
    fn gang_hops(&self, gang: usize) -> Option<Vec<(Hop, HostId)>> {
        let ground = self.ground;
        let mut wanted: BTreeMap<usize, Amount> = BTreeMap::new();
        let mut hops = Vec::new();
        for vm in &ground.together[gang] {
            let hop = ground.last_hop(*vm, &self.at)?;
            if self.taken[vm.index()] || !self.is_ready(hop) || !ground.may_hop(hop) {
                return None;
            }
            for (pool, amount) in ground.arrivals(hop) {
                let wanted = wanted.entry(pool).or_default();
                *wanted += amount;
                if self.ledger.room[pool] < *wanted || self.reserved.contains_key(&pool) {
                    return None;
                }
            }
            hops.push((hop, hop.left()?));
        }
        Some(hops)
    }

    /// The fewest seconds that all can take together, each with the part of the bandwidths that it needs for that.
    fn gang_s(&self, hops: &[(Hop, HostId)]) -> Option<f64> {
        let problem = self.ground.problem;
        let mut network = self.network.clone();
        let mut fits = |seconds: f64| {
            let mut begun = Vec::new();
            let all = hops.iter().all(|(hop, from)| {
                let rate = rate_for(problem, *hop, seconds);
                let may = network.admits(*from, hop.to.host, rate);
                if may {
                    network.begin(*from, hop.to.host, rate);
                    begun.push((*from, hop.to.host, rate));
                }
                may
            });
            begun.into_iter().rev().for_each(|(from, to, rate)| network.end(from, to, rate));
            all
        };
        let mut low = SWITCH_S;
        for (hop, _) in hops {
            let (rate, dirty) = (alone(problem, *hop), problem.vm(hop.vm).memory_dirty_rate);
            if rate > 0.0 {
                if rate < slowest(dirty) {
                    return None;
                }
                low = low.max(hop_s(problem, *hop, rate));
            } else if !hop.repins() && problem.memory_of(hop.vm) > 0 {
                return None;
            }
        }
        if fits(low) {
            return Some(low);
        }
        let mut high =
            (1..=MOST_DOUBLINGS).map(|n| low * f64::from(1 << n)).find(|seconds| fits(*seconds))?;
        low = low.max(high / 2.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if fits(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

/// The rate at which a hop takes so many seconds, or the least at which it converges; 0 for one that needs none.
fn rate_for(problem: &Problem, hop: Hop, seconds: f64) -> f64 {
    let (memory, dirty) = (problem.memory_of(hop.vm) as f64, problem.vm(hop.vm).memory_dirty_rate);
    if memory == 0.0 || hop.repins() {
        return 0.0;
    }
    (dirty + memory / (seconds - SWITCH_S).max(1e-9)).max(slowest(dirty))
}

//! VMs whose migrations must end together begin together, and the quick ones are slowed down.

use super::ground::Hop;
use super::network::{SWITCH_S, hop_s, slowest};
use super::run::Run;
use crate::model::{Amount, HostId};
use std::collections::BTreeMap;

/// Ends may be so far apart, in seconds; less than the rule allows.
const NEARLY_S: f64 = 0.9;

impl Run<'_> {
    /// Begins the last hops of all VMs of a gang, if all can begin now.
    pub(super) fn try_gang(&mut self, gang: usize) -> bool {
        let Some(hops) = self.gang_hops(gang) else { return false };
        let Some(rates) = self.gang_rates(&hops) else { return false };
        let problem = self.ground.problem;
        let all = hops.iter().zip(&rates);
        let longest = all.map(|((hop, _), rate)| hop_s(problem, *hop, *rate)).fold(SWITCH_S, f64::max);
        let mut chosen = Vec::new();
        for (hop, _) in &hops {
            let (memory, dirty) = (problem.memory_of(hop.vm) as f64, problem.vm(hop.vm).memory_dirty_rate);
            if memory == 0.0 || hop.repins() {
                chosen.push((*hop, 0.0, longest));
                continue;
            }
            let rate = (dirty + memory / (longest - SWITCH_S)).max(slowest(dirty));
            let lasts = hop_s(problem, *hop, rate);
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

    /// Rates that all can have at once.
    fn gang_rates(&self, hops: &[(Hop, HostId)]) -> Option<Vec<f64>> {
        let mut network = self.network.clone();
        let problem = self.ground.problem;
        let shares = problem.limits.backbone_bandwidth.is_some() || !problem.topology.is_empty();
        let mut rates = Vec::new();
        for (hop, from) in hops {
            let out = hops.iter().filter(|(_, other)| other == from).count();
            let into = hops.iter().filter(|(other, _)| other.to.host == hop.to.host).count();
            let parts = if shares { hops.len() } else { out.max(into) };
            let rate = network.offer_part(hop.vm, *from, hop.to.host, parts as f64).ok()?;
            network.begin(*from, hop.to.host, rate);
            rates.push(rate);
        }
        Some(rates)
    }
}

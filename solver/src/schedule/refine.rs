//! Better lists: what came last in a good schedule is brought forward, and the list is gone through once more.
//!
//! The order in which the hops of the best schedule began is a list that leads to it. Some hops are moved forward in
//! it at random, those that end last among them; where the schedule that follows is no longer, its order is the next
//! one to be changed.

use super::ground::Ground;
use super::run::{Run, Step};
use super::{Outcome, PLAIN};
use crate::budget::Budget;
use crate::objective::Way;
use crate::search::Random;

/// Lists that are tried.
const MOST_LISTS: usize = 2_000;
/// So many in a row that bring nothing end it.
const PATIENCE: usize = 400;
/// So many lists in a row that come to no end end it: the way that was found is of another kind.
const MOST_STUCK: usize = 12;
/// What ends in this last part of a schedule ends last.
const LAST: f64 = 0.97;
/// Parts of the hops that are moved forward.
const SHARES: [f64; 3] = [0.05, 0.15, 0.4];
/// Seconds that make no difference.
const SAME_S: f64 = 1e-6;

/// Where the search is: when each hop begins and ends, and what that comes to.
struct Walk {
    /// VMs with seconds.
    hops: Vec<(usize, f64, f64)>,
    way: Way,
}

impl Walk {
    fn at(outcome: &Outcome) -> Self {
        let hop = |step: &Step| (step.hop.vm.index(), step.start_s, step.end_s);
        Self { hops: outcome.steps.iter().map(hop).collect(), way: outcome.way }
    }

    /// Whether a schedule is as good but for the sum of its ends.
    fn is_met_by(&self, outcome: &Outcome) -> bool {
        let (mine, other) = (&self.way, &outcome.way);
        let near = |a: f64, b: f64| (a - b).abs() <= SAME_S;
        (mine.pivots, mine.detour_mib) == (other.pivots, other.detour_mib)
            && near(mine.broken, other.broken)
            && near(mine.makespan_s, other.makespan_s)
    }

    /// Ranks in the order in which its hops begin, some of them moved forward.
    fn changed(&self, ranks: &[u32], random: &mut Random) -> Vec<u32> {
        let end = self.way.makespan_s.max(SAME_S);
        let share = SHARES[random.below(SHARES.len())];
        // Who does not move comes last. Of who moves more than once the last hop counts.
        let mut keys: Vec<(f64, u32)> = ranks.iter().map(|rank| (2.0 * end, *rank)).collect();
        for (vm, start_s, end_s) in &self.hops {
            let forward = random.share() < if *end_s >= LAST * end { 0.5 } else { share };
            keys[*vm].0 = if forward { start_s * random.share() } else { *start_s };
        }
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|a, b| keys[*a].0.total_cmp(&keys[*b].0).then(keys[*a].1.cmp(&keys[*b].1)));
        let mut ranks = vec![0; keys.len()];
        for (rank, vm) in (0..).zip(order) {
            ranks[vm] = rank;
        }
        ranks
    }
}

/// A schedule that is better than the one there is, if one is found. Nothing is looked for beyond the bound in seconds.
pub(super) fn improve(ground: &Ground<'_>, from: &Outcome, bound: f64, budget: &Budget) -> Option<Outcome> {
    let mut random = Random::new(0);
    let mut policy = PLAIN.policy(ground, false);
    let mut walk = Walk::at(from);
    let mut best: Option<Outcome> = None;
    let (mut in_vain, mut stuck) = (0, 0);
    for _ in 0..MOST_LISTS {
        let known = best.as_ref().unwrap_or(from);
        if in_vain >= PATIENCE || stuck >= MOST_STUCK || known.is_best(bound) || budget.expired() {
            break;
        }
        budget.spend(walk.hops.len() as u64);
        in_vain += 1;
        stuck += 1;
        policy.ranks = walk.changed(&policy.ranks, &mut random);
        // Waiting VMs that are started at once may be in the way.
        policy.starts_last = stuck > MOST_STUCK / 2;
        let Ok(steps) = Run::new(ground, &policy).finish(budget) else { continue };
        let Ok(outcome) = Outcome::new(ground, steps) else { continue };
        stuck = if policy.starts_last { MOST_STUCK / 2 } else { 0 };
        if outcome.compare(known, ground.problem).is_lt() {
            in_vain = 0;
            walk = Walk::at(&outcome);
            best = Some(outcome);
        } else if walk.is_met_by(&outcome) {
            walk = Walk::at(&outcome);
        }
    }
    best
}

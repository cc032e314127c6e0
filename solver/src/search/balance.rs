//! Evening out loads, with as few moves as there must be.
//!
//! A balanced cluster is one that keeps within lower limits. So first a repair is made under limits that are
//! lowered towards what is known to be the least, by halves: only hosts above the limit give VMs away, and the
//! cheapest ones. Then VMs leave the hosts with the highest loads one by one, or are exchanged ([`super::level`]),
//! until that helps no more.

use super::state::State;
use super::{Random, resume};
use crate::budget::Budget;
use crate::model::{Amount, Objective, Placement};
use crate::objectives::imbalance;
use crate::screen::Space;

/// Tries in vain after which a repair under lower limits is given up.
const PATIENCE: usize = 40;
/// Limits that are tried.
const MOST_HALVES: usize = 9;
/// Smaller gains of the value than this are none.
const SMALL: f64 = 0.000_25;

/// Makes the loads more even if `IMBALANCE` is a level of the search.
pub(super) fn balance(state: &mut State<'_>, random: &mut Random, budget: &Budget) {
    if let Some(least) = least(state) {
        state.even_out(&least, random, budget);
        state.settle();
    }
}

/// What the highest load of each resource is at least, if that is a level of the search.
fn least(state: &State<'_>) -> Option<Vec<f64>> {
    let space = state.space;
    let gauge = state.gauges().imbalance().filter(|_| space.levels.contains(&Objective::Imbalance))?;
    Some((0..space.width).map(|r| imbalance::least_highest(space, r).max(gauge.mean(r))).collect())
}

/// Repairs under lower limits, if `IMBALANCE` is a level of the search.
pub(super) fn lower(state: &mut State<'_>, budget: &Budget) {
    let space = state.space;
    let Some(least) = least(state) else { return };
    let Some(gauge) = state.gauges().imbalance() else { return };
    let highest: Vec<f64> = (0..space.width).map(|r| gauge.highest(r)).collect();
    let range: f64 = highest.iter().zip(&least).map(|(high, low)| (high - low).max(0.0)).sum();
    let limits = |share: f64| -> Vec<f64> {
        highest.iter().zip(&least).map(|(high, low)| low + share * (high - low).max(0.0)).collect()
    };
    let random = &mut Random::new(1);
    let (mut low, mut high) = (0.0, 1.0);
    let mut reached = None;
    for _ in 0..MOST_HALVES {
        if budget.expired() || (high - low) * range < SMALL {
            break;
        }
        let share = f64::midpoint(low, high);
        let from = state.placement().clone();
        // Where others have gone already, what must stay together may find no room any more.
        if attempt(state, &limits(share), &from, random, budget)
            || attempt(state, &limits(share), &space.home.clone(), random, budget)
        {
            high = share;
            reached = Some(share);
        } else {
            low = share;
        }
    }
    // What was moved on the way may not be needed.
    if let Some(share) = reached {
        attempt(state, &limits(share), &space.home.clone(), random, budget);
    }
}

/// Repairs a placement under limits; whether that has made the state better.
pub(super) fn attempt(
    state: &mut State<'_>,
    limits: &[f64],
    from: &Placement,
    random: &mut Random,
    budget: &Budget,
) -> bool {
    let space = state.space;
    let lowered = lowered(space, limits);
    let mut trial = resume(&lowered, from, budget);
    trial.shake(PATIENCE, random, budget);
    let to = trial.placement().clone();
    let trial = resume(space, &to, budget);
    let better = trial.homeless() == 0 && trial.pays_since(&state.score());
    if better {
        *state = trial;
    }
    better
}

/// The same problem with less usable on online hosts.
fn lowered<'a>(space: &Space<'a>, limits: &[f64]) -> Space<'a> {
    let mut result = space.clone();
    let problem = space.problem;
    for host in problem.host_ids().filter(|host| problem.takes_vms(*host)) {
        for (r, limit) in limits.iter().enumerate() {
            let cell = host.index() * space.width + r;
            let most = (space.usable[cell] as f64 * limit + 1e-6).floor() as Amount;
            result.usable[cell] = space.usable[cell].min(most);
            result.limit[cell] = space.limit[cell].min(most);
        }
    }
    let mut levels = vec![Objective::Violations];
    let rest =
        space.levels.iter().filter(|level| !matches!(level, Objective::Imbalance | Objective::Violations));
    levels.extend(rest);
    result.aim(levels);
    result
}

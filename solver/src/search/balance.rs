//! Evening out loads, with as few moves as there must be.
//!
//! A balanced cluster is one that keeps within lower limits. So limits are lowered towards what is known to be the least,
//! by halves: first by repairs, in which only the cheapest VMs leave hosts above the limit, then by steps that take VMs
//! off such hosts or exchange them ([`Board`]). Limits that are not reached are raised again, from where they have led
//! to. That is done for all resources together, then for one at a time while no other may become higher, as what cannot
//! become more even in one of them may in another. Once nothing helps any more, the same loads are sought with cheaper
//! moves.

use super::board::Board;
use super::state::State;
use super::{Random, resume};
use crate::budget::Budget;
use crate::model::{Amount, Objective, Placement};
use crate::objectives::imbalance;
use crate::screen::Space;

/// Tries in vain after which a repair under lower limits is given up.
const SHAKES: usize = 40;
/// Limits that are tried by repairs.
const MOST_HALVES: usize = 9;
/// How much of what is left is spent before what was found is told.
const SHARE: f64 = 0.5;
/// Limits in a row that are not reached.
const MOST_FAILURES: usize = 5;
/// Rounds in which each resource has its turn.
const MOST_ROUNDS: usize = 4;
/// Steps in vain, and as many more for each host.
const PATIENCE: u64 = 100;
/// A load that is so little above what it is at least is not pressed alone.
const SMALL: f64 = 0.000_25;
/// What is not to become higher is not above its limit for rounding.
const ROUNDING: f64 = 1e-9;

/// Makes the loads more even if `IMBALANCE` is a level of the search, for a part of what is left: it may be told
/// meanwhile how far that came. Whether the score is better.
pub(super) fn balance(state: &mut State<'_>, random: &mut Random, budget: &Budget) -> bool {
    let Some(least) = least(state) else { return false };
    let budget = &budget.slice(SHARE);
    let mut any = press(state, &least, None, random, budget);
    for _ in 0..MOST_ROUNDS {
        let mut again = false;
        for r in 0..least.len() {
            again |= press(state, &least, Some(r), random, budget);
        }
        any |= again;
        if !again {
            break;
        }
    }
    any || save(state, random, budget)
}

/// What the highest load of each resource is at least, if that is a level of the search.
fn least(state: &State<'_>) -> Option<Vec<f64>> {
    let space = state.space;
    let gauge = state.gauges().imbalance().filter(|_| space.levels.contains(&Objective::Imbalance))?;
    Some((0..space.width).map(|r| imbalance::least_highest(space, r).max(gauge.mean(r))).collect())
}

fn highest(state: &State<'_>) -> Vec<f64> {
    let gauge = state.gauges().imbalance();
    gauge.map_or_else(Vec::new, |gauge| (0..state.space.width).map(|r| gauge.highest(r)).collect())
}

fn patience(state: &State<'_>) -> u64 {
    PATIENCE + state.space.open.len() as u64
}

/// Lowers the highest loads of all resources, or of one while no other may become higher, until so many limits in a
/// row are not reached. Whether that has made the score better.
fn press(
    state: &mut State<'_>,
    least: &[f64],
    only: Option<usize>,
    random: &mut Random,
    budget: &Budget,
) -> bool {
    let (mut share, mut any) = (0.5, false);
    loop {
        let highest = highest(state);
        let above = |r: usize| (highest[r] - least[r]).max(0.0);
        if only.is_some_and(|r| above(r) <= SMALL) {
            return any;
        }
        let limits = |share: f64| -> Vec<f64> {
            let limit = |r: usize| match only {
                Some(only) if only != r => highest[r] + ROUNDING,
                _ => least[r] + share * above(r),
            };
            (0..least.len()).map(limit).collect()
        };
        let (mark, before) = (state.mark(), state.score());
        let mut board = Board::new(state, &limits(share));
        let mut failures = 0;
        loop {
            let patience = patience(state);
            board.run(state, patience, random, budget);
            if state.pays_since(&before) {
                break;
            }
            failures += 1;
            if failures >= MOST_FAILURES || budget.expired() {
                let from = state.placement().clone();
                state.undo(mark);
                // What no step takes off a host may leave it by a repair, now that others have room.
                if !attempt(state, &limits(share), &from, random, budget) {
                    return any;
                }
                break;
            }
            share = f64::midpoint(share, 1.0);
            board.limit(state, &limits(share));
        }
        state.settle();
        any = true;
        // What is left is as hard as what has just been done, or harder.
        share = (2.0 * share - 1.0).max(0.5);
    }
}

/// Looks for cheaper moves that lead to loads as low: such as can be taken back, and others from the start. Whether the
/// score is better.
fn save(state: &mut State<'_>, random: &mut Random, budget: &Budget) -> bool {
    let highest = highest(state);
    if highest.is_empty() || budget.expired() {
        return false;
    }
    let limits: Vec<f64> = highest.iter().map(|highest| highest + ROUNDING).collect();
    let (mark, before) = (state.mark(), state.score());
    Board::new(state, &limits).send_home(state, random, budget);
    let mut any = state.pays_since(&before);
    if any {
        state.settle();
    } else {
        state.undo(mark);
    }
    let space = state.space;
    let mut other = resume(space, &space.home, budget);
    let mut board = Board::new(&other, &limits);
    let patience = patience(&other);
    let done = board.run(&mut other, patience, random, budget);
    if done {
        board.send_home(&mut other, random, budget);
    }
    other.settle();
    if other.homeless() == 0 && other.pays_since(&state.score()) {
        *state = other;
        any = true;
    }
    any
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
fn attempt(
    state: &mut State<'_>,
    limits: &[f64],
    from: &Placement,
    random: &mut Random,
    budget: &Budget,
) -> bool {
    let space = state.space;
    let lowered = lowered(space, limits);
    let mut trial = resume(&lowered, from, budget);
    trial.shake(SHAKES, random, budget);
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

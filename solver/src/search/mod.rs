//! The heuristic: a greedy plan first, then local search for what the bounds leave open.
//!
//! A [`State`] is a placement that may be incomplete but never breaks a hard rule, a capacity or a limit;
//! every step is an attempt that is kept if the [`Score`] does not get worse, and undone otherwise.

mod balance;
mod board;
mod chain;
mod evacuate;
mod hasten;
mod home;
mod insert;
mod kick;
mod merge;
mod neighbours;
mod numa;
mod pack;
mod polish;
mod random;
mod repair;
mod reroute;
mod score;
mod shrink;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use insert::{Fit, Means};
pub(crate) use random::Random;
pub(crate) use state::State;

use crate::budget::Budget;
use crate::model::{Objective, Placement, VmId};
use crate::screen::Space;

/// Pairs tried for an ejection by the greedy part.
const TRIES: usize = 200;

/// Tries in vain after which no cheaper moves are looked for.
const PATIENCE: usize = 150;

/// The first placement: greedy, twice if the first way of choosing hosts leaves something undone.
pub(crate) fn first<'a>(space: &'a Space<'a>, budget: &Budget) -> State<'a> {
    let start = State::new(space);
    let fits = if space.frugal { [Fit::Tight, Fit::Wide] } else { [Fit::Wide, Fit::Tight] };
    let mut best: Option<State<'a>> = None;
    for fit in fits {
        let mut state = start.clone();
        state.repair(Means::direct(budget, fit).with_ejection(2, TRIES));
        state.go_home(Means::direct(budget, fit));
        state.hasten(Means::direct(budget, Fit::Wide));
        state.settle();
        let clean = state.homeless() == 0 && state.score().value(Objective::Violations) == Some(0.0);
        if best.as_ref().is_none_or(|best| state.score().better_than(&best.score())) {
            best = Some(state);
        }
        if clean || budget.expired() {
            break;
        }
    }
    best.unwrap_or(start)
}

/// A placement with fewer hosts in use, for a plan before better ones are looked for: those with the least on them are
/// emptied for as long as the budget lasts. As for `enough`, see [`improve`].
pub(crate) fn thinned<'a>(space: &'a Space<'a>, from: &Placement, enough: u64, budget: &Budget) -> State<'a> {
    let mut state = resume(space, from, budget);
    if state.homeless() == 0 {
        state.evacuate_all(enough, Means::direct(budget, Fit::Tight));
    }
    state
}

/// Continues from a placement; what may not be where it is there is placed anew.
pub(crate) fn resume<'a>(space: &'a Space<'a>, from: &Placement, budget: &Budget) -> State<'a> {
    let (mut state, mut rest) = carry(space, from);
    rest.retain(|vm| space.home[vm.index()].is_some());
    let means = Means::direct(budget, Fit::Tight).with_ejection(2, TRIES);
    state.insert_all(rest, means);
    settle_down(&mut state, means);
    state
}

/// Brings VMs to where they are in a placement, as far as they may be there; the others that are to move, or
/// have to, are nowhere and returned.
fn carry<'a>(space: &'a Space<'a>, from: &Placement) -> (State<'a>, Vec<VmId>) {
    let mut state = State::new(space);
    let mut out = state.evict_forced();
    for vm in space.problem.vm_ids() {
        if from.site(vm.index()) != state.site(vm) && state.may_take(vm) {
            state.set(vm, None);
            out.push(vm);
        }
    }
    let mut rest = Vec::new();
    for vm in out {
        match from.site(vm.index()) {
            Some(site) if state.at(vm).is_none() && state.may_be(vm, site) => state.place(vm, Some(site)),
            _ => rest.push(vm),
        }
    }
    rest.retain(|vm| state.at(*vm).is_none());
    (state, rest)
}

/// What is left to do once all VMs that run have a place.
fn settle_down(state: &mut State<'_>, means: Means<'_>) {
    state.empty_hosts(means);
    state.relieve_all(means);
    state.start_waiting(means);
    state.go_home(Means { depth: 2, tries: TRIES, ..means });
    state.settle();
}

/// Makes a placement of its own for levels that ask for another look of the whole, if that is better: it does not
/// depend much on where VMs are now, so once is enough. As for `enough`, see [`improve`]. The first one that is better
/// is told while others are tried.
pub(crate) fn rebuild(
    state: &mut State<'_>,
    enough: u64,
    budget: &Budget,
    found: &mut dyn FnMut(&State<'_>),
) {
    if state.homeless() == 0 {
        shrink::shrink(state, enough, budget, found);
        balance::lower(state, budget);
    }
}

/// Makes a state better until nothing helps any more or the budget is spent; `enough` hosts in use are
/// known to be the least. Returns whether it got better, at once where loads did.
pub(crate) fn improve(state: &mut State<'_>, enough: u64, random: &mut Random, budget: &Budget) -> bool {
    let before = state.score();
    let direct = Means::direct(budget, Fit::Tight);
    let patience = 200 + 2 * state.space.problem.hosts.len().min(400);
    if state.homeless() == 0 && state.space.frugal {
        state.evacuate_all(enough, direct);
        state.evacuate_all(enough, direct.with_ejection(1, 60));
        state.merge_all(enough, direct);
        state.squeeze_all(enough, 60, random, direct.with_ejection(1, 30));
        state.go_home(direct);
        state.settle();
    }
    if state.homeless() == 0 {
        state.polish(random, budget);
        if balance::balance(state, random, budget) {
            state.settle();
            return true;
        }
    }
    if state.may_reroute() {
        if !state.is_clean() {
            state.shake(patience, random, budget);
        }
        state.reroute(PATIENCE, random, budget);
        state.shake(patience / 4, random, budget);
    } else {
        state.shake(patience, random, budget);
    }
    state.go_home(direct);
    state.settle();
    state.score().better_than(&before)
}

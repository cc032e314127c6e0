//! Chains of actions: the longest that `after` makes, and the one that the plan's end waits for.

use super::EPSILON_S;
use super::bounds::What;
use super::read::Move;
use super::sweep::shared;
use crate::file::ActionKind;
use crate::model::Problem;
use crate::schedule::{Parcel, SWITCH_S};
use serde::Serialize;

/// Actions of which each waits for the one before it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Chain {
    /// Their ids, in order.
    pub actions: Vec<u64>,
    /// What they take together at their best speed.
    pub seconds: f64,
}

/// An action that the end of the plan waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Critical {
    /// Its id.
    pub id: u64,
    /// What kept it from beginning before.
    #[serde(flatten)]
    pub reason: Reason,
    /// Its position.
    #[serde(skip)]
    pub(super) at: usize,
}

/// What keeps an action from beginning before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "waits", rename_all = "snake_case")]
pub enum Reason {
    /// Nothing: it begins with the plan, or when nothing holds it.
    Nothing,
    /// It comes after an action.
    After {
        /// The id of the other.
        other: u64,
    },
    /// Another action, which ended then, had a part of what they share.
    Shares {
        /// The id of the other.
        other: u64,
        /// What they share.
        what: What,
    },
}

/// Positions in an order that respects `after`; those in a circle and behind it are left out.
pub(super) fn in_order(moves: &[Move]) -> Vec<usize> {
    let mut left: Vec<usize> = moves.iter().map(|step| step.after.len()).collect();
    let mut followers = vec![Vec::new(); moves.len()];
    for (i, step) in moves.iter().enumerate() {
        step.after.iter().for_each(|before| followers[*before].push(i));
    }
    let mut order: Vec<usize> = (0..moves.len()).filter(|i| left[*i] == 0).collect();
    let mut next = 0;
    while let Some(&i) = order.get(next) {
        next += 1;
        for &follower in &followers[i] {
            left[follower] -= 1;
            if left[follower] == 0 {
                order.push(follower);
            }
        }
    }
    order
}

/// Seconds that an action takes at its best speed, alone on the infrastructure; never more than it is planned to.
fn alone_s(problem: &Problem, step: &Move) -> f64 {
    let planned = step.end_s - step.start_s;
    let best = match (step.kind, step.vm, step.ends(), step.to) {
        (ActionKind::Boot, _, _, Some(host)) => problem.host(host.host).boot_s,
        (ActionKind::Migrate, Some(vm), Some((from, to)), _) if from.host != to.host => {
            let (memory, dirty) = (problem.memory_of(vm) as f64, problem.vm(vm).memory_dirty_rate);
            Parcel { memory, dirty, fastest: problem.rate_limit(from.host, to.host) }.alone_s()
        }
        (ActionKind::Migrate, ..) => SWITCH_S,
        _ => planned,
    };
    best.min(planned)
}

/// The chain of `after` that takes longest.
pub(super) fn longest(problem: &Problem, moves: &[Move]) -> Chain {
    let mut ends = vec![0.0_f64; moves.len()];
    let mut before: Vec<Option<usize>> = vec![None; moves.len()];
    let mut links = vec![0_usize; moves.len()];
    for i in in_order(moves) {
        before[i] =
            moves[i].after.iter().copied().max_by(|a, b| ends[*a].total_cmp(&ends[*b]).then(b.cmp(a)));
        ends[i] = before[i].map_or(0.0, |before| ends[before]) + alone_s(problem, &moves[i]);
        links[i] = before[i].map_or(0, |before| links[before]) + 1;
    }
    // What takes no time may end it.
    let order =
        |a: &usize, b: &usize| ends[*a].total_cmp(&ends[*b]).then(links[*a].cmp(&links[*b])).then(b.cmp(a));
    let last = (0..moves.len()).max_by(order);
    let mut chain = Chain { actions: Vec::new(), seconds: last.map_or(0.0, |last| ends[last]) };
    let mut at = last;
    while let Some(i) = at {
        chain.actions.push(moves[i].id);
        at = before[i];
    }
    chain.actions.reverse();
    chain
}

/// Goes back from the last end: whom an action comes after, and who ended when it began and had what it needs, else
/// the last one that it comes after.
pub(super) fn critical(problem: &Problem, moves: &[Move]) -> Vec<Critical> {
    let last = (0..moves.len()).max_by(|a, b| moves[*a].end_s.total_cmp(&moves[*b].end_s).then(b.cmp(a)));
    let mut by_end: Vec<usize> = (0..moves.len()).collect();
    by_end.sort_by(|a, b| moves[*a].end_s.total_cmp(&moves[*b].end_s).then(a.cmp(b)));
    let (mut chain, mut seen) = (Vec::new(), vec![false; moves.len()]);
    let mut at = last;
    while let Some(i) = at.filter(|i| !seen[*i]) {
        seen[i] = true;
        let (reason, before) = held_by(problem, moves, &by_end, i);
        chain.push(Critical { id: moves[i].id, reason, at: i });
        at = before;
    }
    chain.reverse();
    chain
}

/// What kept an action from beginning before, and the action that did.
fn held_by(problem: &Problem, moves: &[Move], by_end: &[usize], i: usize) -> (Reason, Option<usize>) {
    let step = &moves[i];
    if step.start_s <= EPSILON_S {
        return (Reason::Nothing, None);
    }
    let after = |at: usize| (Reason::After { other: moves[at].id }, Some(at));
    let latest = step.after.iter().copied().max_by(|a, b| moves[*a].end_s.total_cmp(&moves[*b].end_s));
    if let Some(at) = latest.filter(|at| moves[*at].end_s >= step.start_s - EPSILON_S) {
        return after(at);
    }
    let mine = shared(step);
    let first = by_end.partition_point(|at| moves[*at].end_s < step.start_s - EPSILON_S);
    let then = by_end[first..].iter().take_while(|at| moves[**at].end_s <= step.start_s + EPSILON_S);
    let both = then.filter(|at| **at != i && moves[**at].start_s < step.start_s).find_map(|at| {
        let its = shared(&moves[*at]);
        mine.iter().find(|shared| its.contains(shared)).map(|shared| (*at, *shared))
    });
    if let Some((at, shared)) = both {
        let (what, _) = shared.tell(problem);
        return (Reason::Shares { other: moves[at].id, what }, Some(at));
    }
    latest.map_or((Reason::Nothing, None), after)
}

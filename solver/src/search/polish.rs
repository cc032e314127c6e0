//! Moves and exchanges for the first level that is a sum over hosts: each changes two of its terms.

use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{HostId, VmId};
use crate::objectives::Terms;

/// Passes over all hosts, at most.
const MOST_ROUNDS: usize = 12;
/// Steps of which it is tried whether they may be done, the best first.
const MOST_TRIED: usize = 6;
/// Hosts with whose VMs those of a host are exchanged.
const PARTNERS: usize = 20;

/// A move, or an exchange if there is another VM that goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    gain: std::cmp::Reverse<i64>,
    vm: VmId,
    to: HostId,
    other: Option<VmId>,
}

impl State<'_> {
    /// Moves and exchanges VMs for as long as that makes the level, and with it the score, better.
    pub(crate) fn polish(&mut self, random: &mut Random, budget: &Budget) {
        let Some(terms) = self.space.terms else { return };
        for _ in 0..MOST_ROUNDS {
            let mut hosts: Vec<HostId> =
                self.space.problem.host_ids().filter(|host| !self.on(*host).is_empty()).collect();
            random.shuffle(&mut hosts);
            let mut any = false;
            for host in hosts {
                while !budget.expired()
                    && (self.do_best(host, self.moves(terms, host, budget))
                        || self.do_best(host, self.exchanges(terms, host, random, budget)))
                {
                    any = true;
                }
            }
            if !any || budget.expired() {
                return;
            }
        }
    }

    /// What VMs that come or go (as an amount), leaving so many behind, make of a host's term.
    fn change(&self, terms: Terms, host: HostId, more: i64, count: usize) -> i64 {
        let (problem, used) = (self.space.problem, terms.used(self.used(host)));
        terms.of(problem, host, used + more, count > 0)
            - terms.of(problem, host, used, !self.on(host).is_empty())
    }

    fn moves(&self, terms: Terms, host: HostId, budget: &Budget) -> Vec<Step> {
        let (space, count) = (self.space, self.on(host).len());
        budget.spend(1 + (count * space.open.len()) as u64 / 16);
        let mut steps = Vec::new();
        for &vm in self.on(host).iter().filter(|vm| self.may_take(**vm)) {
            let need = terms.used(space.demand(vm));
            let left = self.change(terms, host, -need, count - 1);
            for &to in space.open.iter().filter(|to| **to != host) {
                let gain = -left - self.change(terms, to, need, self.on(to).len() + 1);
                if gain > 0 && self.has_room(to, vm, None) {
                    steps.push(Step { gain: std::cmp::Reverse(gain), vm, to, other: None });
                }
            }
        }
        steps
    }

    fn exchanges(&self, terms: Terms, host: HostId, random: &mut Random, budget: &Budget) -> Vec<Step> {
        let (space, count) = (self.space, self.on(host).len());
        let mut steps = Vec::new();
        for _ in 0..PARTNERS.min(space.open.len()) {
            let Some(&to) = random.pick(&space.open) else { break };
            if to == host {
                continue;
            }
            budget.spend(1 + (count * self.on(to).len()) as u64 / 16);
            for &vm in self.on(host).iter().filter(|vm| self.may_take(**vm)) {
                let need = terms.used(space.demand(vm));
                for &other in self.on(to).iter().filter(|other| self.may_take(**other)) {
                    let more = need - terms.used(space.demand(other));
                    if more == 0 {
                        continue;
                    }
                    let gain = -self.change(terms, host, -more, count)
                        - self.change(terms, to, more, self.on(to).len());
                    if gain > 0 && self.has_room(to, vm, Some(other)) && self.has_room(host, other, Some(vm))
                    {
                        steps.push(Step { gain: std::cmp::Reverse(gain), vm, to, other: Some(other) });
                    }
                }
            }
        }
        steps
    }

    /// Whether a VM has room on a host that another one leaves for it.
    pub(super) fn has_room(&self, host: HostId, vm: VmId, left_by: Option<VmId>) -> bool {
        let (used, usable, need) = (self.used(host), self.usable(host), self.space.demand(vm));
        let given = |r: usize| left_by.map_or(0, |other| self.space.demand(other)[r]);
        (0..need.len()).all(|r| need[r] == 0 || used[r] + need[r] - given(r) <= usable[r])
    }

    /// Does the best step that may be done, if it makes the score better.
    fn do_best(&mut self, from: HostId, mut steps: Vec<Step>) -> bool {
        steps.sort_unstable();
        let before = self.score();
        for step in steps.into_iter().take(MOST_TRIED) {
            let mark = self.mark();
            if self.pass(step.vm, step.to, step.other, from) && self.pays_since(&before) {
                self.settle();
                return true;
            }
            self.undo(mark);
        }
        false
    }

    /// Moves a VM, and another one the other way. If false, it is half done.
    pub(super) fn pass(&mut self, vm: VmId, to: HostId, other: Option<VmId>, from: HostId) -> bool {
        self.set(vm, None);
        if let Some(other) = other {
            self.set(other, None);
        }
        if !self.may_enter(vm, to) {
            return false;
        }
        self.set(vm, Some(to));
        let Some(other) = other else { return true };
        let back = self.may_enter(other, from);
        if back {
            self.set(other, Some(from));
        }
        back
    }
}

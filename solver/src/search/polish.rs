//! Moves and exchanges for the first level that is a sum over hosts: each changes two of its terms.

use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{HostId, Site, VmId};
use crate::objectives::Terms;
use std::cmp::Reverse;

/// Passes over all hosts, at most.
const MOST_ROUNDS: usize = 12;
/// Steps of which it is tried whether they may be done, the best first.
const MOST_TRIED: usize = 6;
/// Hosts with whose VMs those of a host are exchanged.
const PARTNERS: usize = 20;

/// A move, or an exchange if there is another VM that goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    gain: Reverse<i64>,
    vm: VmId,
    to: Site,
    other: Option<(VmId, Site)>,
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
                    && (self.do_best(self.moves(terms, host, budget))
                        || self.do_best(self.exchanges(terms, host, random, budget)))
                {
                    any = true;
                }
            }
            if !any || budget.expired() {
                return;
            }
        }
    }

    fn moves(&self, terms: Terms, host: HostId, budget: &Budget) -> Vec<Step> {
        let (space, count) = (self.space, self.on(host).len());
        budget.spend(1 + (count * space.open.len()) as u64 / 16);
        let mut steps = Vec::new();
        for &vm in self.on(host).iter().filter(|vm| self.may_take(**vm)) {
            let left = self.change(terms, host, None, Some(vm));
            for &to in space.open.iter().filter(|to| **to != host) {
                if budget.expired() {
                    return steps;
                }
                for to in space.problem.sites(vm, to) {
                    let gain = -left - self.change(terms, to.host, Some((vm, to)), None);
                    if gain > 0 && self.has_room(to, vm, None) {
                        steps.push(Step { gain: Reverse(gain), vm, to, other: None });
                    }
                }
            }
            if space.problem.host(host).numa.count() > 0 {
                for to in space.problem.sites(vm, host) {
                    let gain = -self.change(terms, host, Some((vm, to)), Some(vm));
                    if gain > 0 && self.has_room(to, vm, Some(vm)) {
                        steps.push(Step { gain: Reverse(gain), vm, to, other: None });
                    }
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
                for &other in self.on(to).iter().filter(|other| self.may_take(**other)) {
                    if budget.expired() {
                        return steps;
                    }
                    self.trade(terms, (vm, host), (other, to), &mut steps);
                }
            }
        }
        steps
    }

    /// Exchanges of two VMs that gain something, each in all ways to lie on the NUMA nodes.
    fn trade(
        &self,
        terms: Terms,
        (vm, host): (VmId, HostId),
        (other, to): (VmId, HostId),
        steps: &mut Vec<Step>,
    ) {
        let problem = self.space.problem;
        let plain = problem.host(host).numa.count() == 0 && problem.host(to).numa.count() == 0;
        let amount = |vm: VmId| terms.amount(self.space.demand(vm));
        if plain && amount(vm) == amount(other) {
            return;
        }
        for back in problem.sites(other, host) {
            let here = self.change(terms, host, Some((other, back)), Some(vm));
            for to in problem.sites(vm, to) {
                let gain = -here - self.change(terms, to.host, Some((vm, to)), Some(other));
                if gain > 0 && self.has_room(to, vm, Some(other)) && self.has_room(back, other, Some(vm)) {
                    steps.push(Step { gain: Reverse(gain), vm, to, other: Some((other, back)) });
                }
            }
        }
    }

    /// Whether a VM has room somewhere that another one leaves for it.
    pub(super) fn has_room(&self, to: Site, vm: VmId, left_by: Option<VmId>) -> bool {
        let (used, usable, need) = (self.used(to.host), self.usable(to.host), self.space.demand(vm));
        let given = |r: usize| left_by.map_or(0, |other| self.space.demand(other)[r]);
        (0..need.len()).all(|r| need[r] == 0 || used[r] + need[r] - given(r) <= usable[r])
            && (to.nodes.is_empty() || self.nodes_have_room(to, vm, left_by))
    }

    /// Does the best step that may be done, if it makes the score better.
    fn do_best(&mut self, mut steps: Vec<Step>) -> bool {
        steps.sort_unstable();
        let before = self.score();
        for step in steps.into_iter().take(MOST_TRIED) {
            let mark = self.mark();
            if self.go(step) && self.pays_since(&before) {
                self.settle();
                return true;
            }
            self.undo(mark);
        }
        false
    }

    /// Does a step. If false, it is half done.
    fn go(&mut self, step: Step) -> bool {
        self.place(step.vm, None);
        if let Some((other, _)) = step.other {
            self.place(other, None);
        }
        [Some((step.vm, step.to)), step.other].into_iter().flatten().all(|(vm, to)| {
            let may = self.may_be(vm, to);
            if may {
                self.place(vm, Some(to));
            }
            may
        })
    }
}

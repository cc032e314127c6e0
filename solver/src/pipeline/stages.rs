//! The stages of a solve.

use super::best::{Best, Offer};
use super::proof::{self, Known};
use super::provers::{Prover, provers};
use super::small;
use crate::answer::{self, Found};
use crate::backend::Exact;
use crate::budget::Budget;
use crate::file::{Conflict, Plan, Status};
use crate::milp::{self, Clash};
use crate::model::{HostId, HostState, Objective, Placement, VmId};
use crate::objective::{self, Way};
use crate::screen::Space;
use crate::search::{self, Random, State};
use crate::{Backend, Options};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// VMs that are tried to be started, and moved, one by one where all together find no order.
const MOST_STARTS: usize = 40;
const MOST_MOVERS: usize = 8;

/// How often a placement is revised whose moves find no order.
const MOST_REVISIONS: usize = 8;

/// What a better schedule is worth: a part of what is left, and no more time than this.
const RETIME_SHARE: f64 = 0.25;
const RETIME_MOST: Duration = Duration::from_secs(1);

/// Of so many VMs a first plan is made of few moves, found in this time and this part of what is left.
const MANY_VMS: usize = 30_000;
const SOON: Duration = Duration::from_millis(400);
const SOON_SHARE: f64 = 0.05;

pub(super) struct Stages<'a> {
    pub(super) space: &'a Space<'a>,
    pub(super) options: &'a Options,
    pub(super) budget: &'a Budget,
    pub(super) best: Best<'a>,
    pub(super) random: Random,
    /// VMs and hosts where no order was found for them to come there.
    pub(super) dead_ends: BTreeSet<(VmId, HostId)>,
    backend: &'static str,
    infeasible: Option<Plan>,
    /// The exact back-end has proved that no placement is better than the best plan's.
    closed: bool,
    /// A local search has come to its end by itself.
    settled: bool,
}

impl<'a> Stages<'a> {
    pub(super) fn new(
        space: &'a Space<'a>,
        options: &'a Options,
        budget: &'a Budget,
        best: Best<'a>,
    ) -> Self {
        Self {
            space,
            options,
            budget,
            best,
            random: Random::new(options.seed),
            dead_ends: BTreeSet::new(),
            backend: "heuristic",
            infeasible: None,
            closed: false,
            settled: false,
        }
    }

    pub(super) fn run(&mut self) {
        self.place();
        self.prove_or_leave();
        self.look_further();
        self.retime();
    }

    /// Where it is not proved that nothing is better, and there is time left: tries all ends if there are few, else
    /// searches on from other placements.
    fn look_further(&mut self) {
        let open = |found: &Found| {
            let bounds = self.bounds(&found.values);
            !proof::proved_until(self.space.problem, &found.values, &bounds, small::told(self.space.problem))
        };
        if self.infeasible.is_some()
            || self.search_budget().expired()
            || self.best.found().is_some_and(|found| !open(found))
        {
            return;
        }
        let all = self.try_all(self.options.backend != Backend::Heuristic);
        self.settled |= all;
        if !all {
            self.wander_on();
        }
    }

    /// Proves that nothing can be done, if no order of moves was found for any placement.
    fn prove_or_leave(&mut self) {
        let stuck = self.best.found().is_none() && self.infeasible.is_none() && !self.dead_ends.is_empty();
        let provers = provers(self.options.backend, self.space.problem);
        if let Some(prover) = provers.last().filter(|_| stuck && !self.search_budget().expired()) {
            self.infeasible = self.prove_unreachable(prover.by);
        }
    }

    /// Looks for a better schedule of the best plan, if one can matter.
    fn retime(&mut self) {
        let counts = self.space.problem.objectives.contains(&Objective::Makespan);
        if !counts || self.infeasible.is_some() || self.best.is_shortest() {
            return;
        }
        self.best.phase = "schedule";
        let budget = self.search_budget().slice(RETIME_SHARE).within(RETIME_MOST);
        if !budget.expired() {
            self.best.retime(matches!(self.options.backend, Backend::Auto | Backend::Cp), &budget);
        }
    }

    /// Looks for the best placement.
    fn place(&mut self) {
        self.best.phase = "greedy";
        let makespan = self.space.problem.objectives.iter().position(|level| *level == Objective::Makespan);
        if makespan.is_some_and(|at| at + 1 < self.space.problem.objectives.len()) {
            // What follows MAKESPAN is worth no time: a placement is made for what comes before it.
            let space = self.space.clone().in_haste();
            let state = search::first(&space, &self.search_budget());
            self.offer(state.placement());
        }
        let first = self.first();
        if self.is_done() {
            return;
        }
        self.offer_soon(&first);
        let first = self.rebuild(first);
        if self.is_done() {
            return;
        }
        let provers = provers(self.options.backend, self.space.problem);
        let level = self.space.terms.map(|terms| terms.level);
        let beside = self.options.threads > 1 && self.budget.work_limit().is_none();
        let share = match level {
            _ if provers.is_empty() => 1.0,
            // Free units are found by counting far sooner than move by move.
            Some(Objective::Fragments) => 0.15,
            // The exact back-end has little to say of it.
            Some(Objective::Imbalance) => 0.5,
            // It goes on beside the exact back-end.
            _ if beside => 0.1,
            _ => 0.5,
        };
        let from = self.local_search(first, share);
        if !provers.is_empty() && !self.is_done() {
            for prover in &provers {
                self.exact(prover, &from);
                if self.is_done() || self.infeasible.is_some() {
                    break;
                }
            }
            if !self.is_done() && self.infeasible.is_none() {
                let from = self.best.found().map_or(from, |found| found.to.clone());
                self.local_search(from, 1.0);
            }
        }
    }

    /// The first placement, as it is offered.
    fn first(&mut self) -> Placement {
        loop {
            // As long as nothing is found, half a placement is worth nothing, and what a plan takes is only guessed.
            let nothing = self.best.found().is_none();
            let budget =
                if nothing { self.budget.earlier_by(self.best.margin() / 3) } else { self.search_budget() };
            let to = search::first(self.space, &budget).placement().clone();
            let cut = budget.expired();
            let to = self.offer(&to).unwrap_or(to);
            // What it takes to make a plan was only guessed: if that is why it was cut short, there may be time for more.
            if !cut || self.search_budget().expired() {
                return to;
            }
        }
    }

    /// On very many VMs, to be packed anew, a first plan takes long: one with some hosts emptied is made before it. The
    /// clock says how many, so not under a limit of work.
    fn offer_soon(&mut self, from: &Placement) {
        let many = self.space.frugal && self.space.problem.vms.len() >= MANY_VMS;
        let planned = self.best.found().is_some_and(|found| !found.actions.is_empty());
        if !many || planned || self.budget.work_limit().is_some() {
            return;
        }
        let budget = self.search_budget().slice(SOON_SHARE).within(SOON);
        let space = self.space;
        let state = search::thinned(space, from, self.enough_hosts(&State::new(space)), &budget);
        self.offer(state.placement());
    }

    /// What the search may spend, so that a plan can be made of what it finds.
    pub(super) fn search_budget(&self) -> Budget {
        self.budget.earlier_by(self.best.margin())
    }

    /// Whether there is nothing to gain any more, or no time for it.
    fn is_done(&self) -> bool {
        let proved = |found: &Found| {
            let bounds = self.bounds(&found.values);
            proof::proved(self.space.problem, &found.values, &bounds).1
        };
        self.closed || self.search_budget().expired() || self.best.found().is_some_and(proved)
    }

    /// Takes what is proved, and tells it if that is more than was told.
    pub(super) fn learn(&mut self, known: Known) {
        self.best.exact.push(known);
        self.best.tell_bounds();
    }

    fn bounds(&self, values: &[f64]) -> Vec<Option<f64>> {
        self.best.bounds(values)
    }

    /// Offers a placement; if its moves find no order, revises it. Returns the placement that became a plan,
    /// if one did.
    pub(super) fn offer(&mut self, to: &Placement) -> Option<Placement> {
        let mut to = to.clone();
        for revision in 0..MOST_REVISIONS {
            match self.best.offer(&to) {
                Offer::Better => return Some(to),
                Offer::NotBetter => return None,
                Offer::Stuck(vms) => {
                    if vms.is_empty() || self.search_budget().expired() {
                        return None;
                    }
                    if revision == 0 {
                        // Without those moves it may still be a plan, though not as good.
                        self.offer_without(&to, &vms);
                    }
                    self.blame(&vms, &to);
                    let mut space = self.restricted();
                    if revision + 3 > MOST_REVISIONS {
                        vms.iter().filter(|vm| self.space.may_stay(**vm)).for_each(|vm| space.fix(*vm));
                    }
                    to.clone_from(search::resume(&space, &to, &self.search_budget()).placement());
                }
            }
        }
        None
    }

    /// Offers a placement without moves that found no order together, then with as many of them as find one: first
    /// those that start a VM, who matters most before others.
    pub(super) fn offer_without(&mut self, to: &Placement, vms: &BTreeSet<VmId>) {
        let space = self.space;
        let mut left = vms.clone();
        let without = |left: &BTreeSet<VmId>| {
            let mut to = to.clone();
            for vm in left {
                to.put(vm.index(), space.home.site(vm.index()));
            }
            to
        };
        let mut offered = self.best.offer(&without(&left));
        if let Offer::Stuck(more) = offered {
            left.extend(more);
            offered = self.best.offer(&without(&left));
        }
        if matches!(offered, Offer::Stuck(_)) {
            return;
        }
        let (mut waiting, movers): (Vec<VmId>, Vec<VmId>) =
            vms.iter().partition(|vm| space.home[vm.index()].is_none());
        waiting.sort_by_key(|vm| (Reverse(space.problem.vm(*vm).priority), *vm));
        let last: Vec<VmId> = waiting.iter().rev().copied().take(MOST_MOVERS).collect();
        for vm in waiting.into_iter().take(MOST_STARTS).chain(movers.into_iter().take(MOST_MOVERS)) {
            if self.search_budget().expired() {
                return;
            }
            left.remove(&vm);
            // Where it is no better than the best plan, with others it may become so.
            if matches!(self.best.offer(&without(&left)), Offer::Stuck(_)) {
                left.insert(vm);
            }
        }
        // One that is not started may be all that the others wait for. Without it alone all was tried already.
        for vm in last.into_iter().filter(|_| vms.len() > 1) {
            if self.search_budget().expired() {
                return;
            }
            self.best.offer(&without(&BTreeSet::from([vm])));
        }
    }

    /// Notes where VMs did not come to. Where some of them could end elsewhere, it is not for the others to.
    fn blame(&mut self, vms: &BTreeSet<VmId>, to: &Placement) {
        let space = self.space;
        let pairs: Vec<(VmId, HostId)> = vms.iter().filter_map(|vm| Some((*vm, to[vm.index()]?))).collect();
        let elsewhere = |(vm, host): &(VmId, HostId)| {
            let open = |other: &HostId| {
                *other != *host
                    && !self.dead_ends.contains(&(*vm, *other))
                    && space.may_go_or_return(*vm, *other)
            };
            // A VM that is down may stay so.
            space.home[vm.index()].is_none_or(|home| open(&home)) || space.open.iter().any(open)
        };
        let flexible: Vec<(VmId, HostId)> = pairs.iter().copied().filter(elsewhere).collect();
        self.dead_ends.extend(if flexible.is_empty() { pairs } else { flexible });
    }

    pub(super) fn restricted(&self) -> Space<'a> {
        let mut space = self.space.clone();
        self.dead_ends.iter().for_each(|(vm, host)| space.forbid(*vm, *host));
        space
    }

    /// Offers a placement that is made anew; returns the better one.
    fn rebuild(&mut self, from: Placement) -> Placement {
        // Of the time that is left for searching: what a plan takes is not taken off a part of it once more.
        let budget = self.search_budget().slice(0.5);
        let space = self.restricted();
        let mut state = search::resume(&space, &from, &budget);
        let (enough, before) = (self.enough_hosts(&state), state.score());
        search::rebuild(&mut state, enough, &budget, &mut |first| {
            self.offer(first.placement());
        });
        if !state.score().better_than(&before) {
            return from;
        }
        let to = state.placement().clone();
        self.offer(&to).unwrap_or(to)
    }

    /// Improves a placement for as long as it helps; returns the last one.
    fn local_search(&mut self, from: Placement, share: f64) -> Placement {
        self.best.phase = "local search";
        let part = self.budget.slice(share);
        let mut from = from;
        loop {
            let budget = part.earlier_by(self.best.margin());
            let space = self.restricted();
            let mut state = search::resume(&space, &from, &budget);
            let enough = self.enough_hosts(&state);
            let mut random = self.random.clone();
            let better = search::improve(&mut state, enough, &mut random, &budget);
            self.random = random;
            let to = state.placement().clone();
            let dead_ends = self.dead_ends.len();
            let planned = self.offer(&to);
            let revised = self.dead_ends.len() > dead_ends;
            from = planned.unwrap_or(to);
            self.settled |= !(better || revised || budget.expired());
            if !(better || revised) || self.is_done() || budget.expired() {
                return from;
            }
        }
    }

    /// The least number of hosts in use, given what the state has before that level.
    pub(super) fn enough_hosts(&self, state: &State<'_>) -> u64 {
        let problem = self.space.problem;
        let Some(at) = problem.objectives.iter().position(|level| *level == Objective::ActiveHosts) else {
            return 0;
        };
        let values = objective::values(problem, self.space.rules, state.placement(), Way::default());
        self.bounds(&values)[at].map_or(0, |bound| bound.ceil() as u64)
    }

    fn exact(&mut self, prover: &Prover, from: &Placement) {
        let start = self.best.found().map_or(from, |found| &found.to).clone();
        let mut stay = BTreeSet::new();
        for _ in 0..2 {
            let budget = prover.budget(&self.search_budget());
            if budget.expired() {
                return;
            }
            self.best.phase = "local search";
            let outcome = self.exact_beside_search(prover, &start, &stay, &budget);
            self.best.phase = "exact";
            self.backend = prover.by.name();
            if outcome.infeasible && stay.is_empty() && self.best.found().is_none() {
                self.prove_infeasible(prover.by);
                return;
            }
            let reference = outcome.best.as_ref().unwrap_or(&start);
            let values = objective::values(self.space.problem, self.space.rules, reference, Way::default());
            self.best.exact.push(Known { values, bounds: outcome.bounds });
            let Some(to) = outcome.best else {
                self.closed = outcome.proved && self.best.found().is_some_and(|found| found.to == start);
                return;
            };
            if self.best.found().is_some_and(|found| found.to == to) {
                // It was told before the end.
                self.closed = outcome.proved;
                return;
            }
            match self.best.offer(&to) {
                Offer::Better => {
                    self.closed = outcome.proved;
                    return;
                }
                Offer::Stuck(vms) if !vms.is_empty() => {
                    self.offer_without(&to, &vms);
                    self.blame(&vms, &to);
                    stay.extend(vms.into_iter().filter(|vm| self.space.may_stay(*vm)));
                    if stay.is_empty() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn prove_infeasible(&mut self, by: &dyn Exact) {
        let problem = self.space.problem;
        let clash = milp::conflict(problem, self.space.rules, by, self.budget).unwrap_or_else(|| Clash {
            things: self.broad_conflict(),
            most_moves: problem.limits.max_migrations,
        });
        let reason = answer::conflict_reason(&clash.things, clash.most_moves);
        self.infeasible = Some(answer::without(Status::Infeasible, reason, Some(clash.things)));
    }

    /// All that forces a VM to be somewhere or not: it holds together whatever is proved impossible.
    fn broad_conflict(&self) -> Conflict {
        let problem = self.space.problem;
        let draining = |host: &HostId| problem.host(*host).state == HostState::Draining;
        let running = |vm: &VmId| self.space.home[vm.index()].is_some();
        let hard = self.space.rules.list.iter().filter(|kept| kept.hard());
        Conflict {
            hosts: problem.host_ids().filter(draining).map(|host| problem.host(host).name.clone()).collect(),
            vms: problem.vm_ids().filter(running).map(|vm| problem.vm(vm).name.clone()).collect(),
            constraints: hard.map(|kept| kept.constraint.name.clone()).collect(),
        }
    }

    /// The end: what was found, and what is proved of it.
    pub(super) fn answer(mut self) -> Plan {
        if let Some(mut plan) = self.infeasible.take() {
            plan.statistics = answer::statistics(self.budget, None, self.backend);
            return plan;
        }
        let problem = self.space.problem;
        let (status, bounds) = match self.best.found() {
            None => (Status::Unknown, Vec::new()),
            Some(found) => {
                let bounds = self.bounds(&found.values);
                let status = if found.actions.is_empty() {
                    // That nothing was found in time says nothing of what could be mended.
                    if self.ends_early(&found.values, &bounds) { Status::Unknown } else { Status::NoChange }
                } else if proof::proved(problem, &found.values, &bounds).0 {
                    Status::Optimal
                } else {
                    Status::Feasible
                };
                (status, bounds)
            }
        };
        let plan = match status {
            Status::Unknown => None,
            status => self.best.finish(status, &bounds, self.backend),
        };
        plan.unwrap_or_else(|| {
            let mut plan = answer::without(Status::Unknown, self.why_not(), None);
            plan.statistics = answer::statistics(self.budget, None, self.backend);
            plan
        })
    }

    /// Whether the search had no time to find out that nothing can be done about what is violated.
    fn ends_early(&self, values: &[f64], bounds: &[Option<f64>]) -> bool {
        let levels = self.space.problem.objectives.iter().zip(values).zip(bounds);
        let mut violated = levels.filter(|((level, _), _)| **level == Objective::Violations);
        let open = violated
            .any(|((level, value), bound)| objective::order(*level, bound.unwrap_or(0.0), *value).is_lt());
        open && !self.settled && self.search_budget().expired()
    }

    /// Why there is no plan.
    fn why_not(&self) -> String {
        if let Some(refused) = &self.best.refused {
            return format!("no valid plan was found: the checker refused the best one, as {refused}");
        }
        let problem = self.space.problem;
        let end = if self.budget.is_cancelled() {
            "the solve was cancelled before a plan was found"
        } else if self.budget.is_worked_off() {
            "the work limit was reached before a plan was found"
        } else if self.search_budget().expired() {
            "time ran out before a plan was found"
        } else {
            "no plan was found, which does not prove that there is none"
        };
        let fault = objective::fault(problem, self.space.rules, &self.space.home);
        let stuck: BTreeSet<_> = self.dead_ends.iter().map(|(vm, _)| problem.vm(*vm).name.as_str()).collect();
        let mut text =
            fault.map_or_else(|| end.to_owned(), |fault| format!("{end}; if nothing is done, {fault}"));
        if !stuck.is_empty() {
            let names: Vec<_> = stuck.iter().take(5).copied().collect();
            let more = if stuck.len() > names.len() { " and more" } else { "" };
            text = format!("{text}; no order of moves was found for {}{more}", names.join(", "));
        }
        text
    }
}

//! Who is being solved for: as many at once as the settings say, each with a deadline of its own. A solver that
//! does not return is left behind.

use super::plans::Stage;
use super::{Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::coordinator::planning;
use crate::coordinator::settings::{Settings, seconds};
use crate::record::{PlanRecord, PlanState};
use crate::solving;
use dvms_solver::file::{Limits, Plan, Problem};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A solver promises to return within its time limit. After so much more it is left behind.
const GRACE: Duration = Duration::from_secs(5);
/// Solvers left behind, for each that may run at once: beyond it no other is started.
const LEFT_BEHIND: usize = 4;
/// Longest time limit that a request may ask for, where the settings have no longer one: with one solver at a
/// time, troubles wait as long.
const LONGEST: Duration = Duration::from_mins(1);

/// All solves.
#[derive(Debug, Default)]
pub(super) struct Solves {
    last: u64,
    /// For troubles: they go first.
    urgent: VecDeque<u64>,
    /// For requests.
    waiting: VecDeque<u64>,
    open: BTreeMap<u64, Solve>,
    /// Given up or not wanted any more; they have not returned yet.
    left: BTreeSet<u64>,
}

#[derive(Debug)]
struct Solve {
    owner: Owner,
    problem: Arc<Problem>,
    order: solving::Order,
    /// It is for troubles.
    urgent: bool,
    /// When it is left behind; `None` while it waits for a solver.
    until: Option<Duration>,
}

/// Who gets the answer.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// A plan.
    Plan(String),
    /// A caller who wants to know what would be done.
    WhatIf(Ticket, Box<PlanRecord>),
}

/// How soon an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// When it is as good as it gets within the limit.
    None,
    /// Soon after there is a plan that ends a trouble.
    Mend,
    /// The same; and where there is none soon, more hosts are asked rather than waited for it. Where there are none the same
    /// hosts are solved once more without this.
    Try,
}

/// The search for a plan.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The present solve.
    pub(super) solve: u64,
    /// How often the partition was made larger.
    pub(super) wider: u32,
    /// No host could be added that could help.
    pub(super) whole: bool,
    /// The VM that is to leave: the others stay.
    pub(super) only: Option<String>,
    /// It is given all its time now: with less nothing was found, and no more hosts can be asked.
    pub(super) long: bool,
    /// Its answer is wanted soon.
    pub(super) hurried: bool,
    /// Solves that were out of date when they were done.
    pub(super) stale: u32,
    /// The best so far, of those that do not solve all of it.
    pub(super) best: Option<(Arc<Problem>, Arc<Plan>)>,
}

impl Solves {
    /// Whether one for troubles, or for a request, may begin. Of several solvers one is kept for troubles, and
    /// half of what may be left behind.
    fn may_start(&self, settings: &Settings, urgent: bool) -> bool {
        let most = settings.planning.concurrent.max(1);
        let running = || self.open.values().filter(|solve| solve.until.is_some());
        let room = running().count() < most && self.left.len() < most * LEFT_BEHIND;
        let requested = running().filter(|solve| !solve.urgent).count();
        let share = requested < (most - 1).max(1) && self.left.len() < most * LEFT_BEHIND / 2;
        room && (urgent || share)
    }

    /// Whether a new solve for troubles would begin at once.
    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        self.urgent.is_empty() && self.may_start(settings, true)
    }

    /// What-ifs that wait for a solver, or have one.
    pub(super) fn what_ifs(&self) -> usize {
        self.open.values().filter(|solve| matches!(solve.owner, Owner::WhatIf(..))).count()
    }

    /// The next one that may begin.
    fn next(&mut self, settings: &Settings, requests: bool) -> Option<u64> {
        if self.may_start(settings, true)
            && let Some(id) = self.urgent.pop_front()
        {
            return Some(id);
        }
        if requests && self.may_start(settings, false) { self.waiting.pop_front() } else { None }
    }

    /// Takes one out; says whether it has a solver.
    fn drop(&mut self, id: u64) -> bool {
        self.urgent.retain(|waiting| *waiting != id);
        self.waiting.retain(|waiting| *waiting != id);
        self.open.remove(&id).is_some_and(|solve| solve.until.is_some())
    }
}

impl Core {
    /// Solves a plan's partition as it is now.
    pub(super) fn search(&mut self, id: &str, objective: &str, search: Search, now: Now) {
        self.in_scene(id, |core| core.search_here(id, objective, search, now));
    }

    fn search_here(&mut self, id: &str, objective: &str, search: Search, now: Now) {
        let shared = self.hosts_in_scene(id);
        let Some(hosts) = shared.or_else(|| self.partitions.hosts(id).cloned()) else { return };
        let (keys, limits) = match self.lives.get(id).map(|life| &life.cause) {
            Some(super::plans::Cause::Shared(shared)) => (shared.all.clone(), None),
            Some(super::plans::Cause::Troubles(keys)) => (keys.clone(), None),
            Some(super::plans::Cause::Request(request)) => (Vec::new(), request.limits.clone()),
            _ => (Vec::new(), None),
        };
        let stays = self.stay(&hosts, self.is_shared(id), now);
        let stays_too = |vm: &str| search.only.as_ref().is_some_and(|only| only != vm) || stays(vm);
        let problem = planning::problem(
            &self.cell,
            &hosts,
            objective,
            limits.as_ref(),
            &keys,
            &stays_too,
            &self.settings,
        );
        drop(stays);
        let problem = Arc::new(problem);
        let haste = if self.mends(id) && objective == "REPAIR" {
            let more = if self.is_shared(id) {
                !self.has_all_hosts(id)
            } else {
                !search.whole || !self.ring.is_alone()
            };
            if more && !search.long { Haste::Try } else { Haste::Mend }
        } else {
            Haste::None
        };
        let solve = self.ask_solver(Owner::Plan(id.to_owned()), problem, limits.as_ref(), haste);
        if let Some(stage) = self.stage(id) {
            let hurried = haste == Haste::Try;
            *stage = Stage::Solving(Search { solve, hurried, long: false, ..search });
        }
        self.change_for_good(id, |record| record.state = PlanState::Solving);
        // The next look begins those of requests, after what troubles need.
        self.start_some(false, now);
        self.urgent = true;
    }

    /// Whether a plan is for troubles.
    fn mends(&self, id: &str) -> bool {
        let cause = self.lives.get(id).map(|life| &life.cause);
        matches!(cause, Some(super::plans::Cause::Troubles(_) | super::plans::Cause::Shared(_)))
    }

    /// Puts a problem in line. Its solver gets the limit of the request, if there is one, or that of the settings; less where
    /// there is haste.
    pub(super) fn ask_solver(
        &mut self,
        owner: Owner,
        problem: Arc<Problem>,
        limits: Option<&Limits>,
        haste: Haste,
    ) -> u64 {
        let own = limits.and_then(|limits| limits.time_limit_s);
        let usual = seconds(self.settings.planning.time_limit_s);
        let limit = own.map_or(usual, |own| seconds(own).min(usual.max(LONGEST)));
        let patience = seconds(self.settings.planning.patience_s);
        let order = solving::Order {
            time_limit: if haste == Haste::Try { limit.min(patience) } else { limit },
            patience: (haste != Haste::None).then_some(patience),
            threads: self.settings.planning.threads,
            work_limit: None,
            migration_price: Some(self.settings.planning.migration_price).filter(|price| price.is_finite()),
            seed: self.settings.planning.seed,
            backend: solving::Backend::Auto,
        };
        self.solves.last += 1;
        let solve = self.solves.last;
        let urgent = matches!(&owner, Owner::Plan(id) if self.mends(id));
        self.solves.open.insert(solve, Solve { owner, problem, order, urgent, until: None });
        let line = if urgent { &mut self.solves.urgent } else { &mut self.solves.waiting };
        line.push_back(solve);
        solve
    }

    pub(super) fn start_solves(&mut self, now: Now) {
        self.start_some(true, now);
    }

    /// Starts what may begin for troubles, then also what may for requests.
    fn start_some(&mut self, requests: bool, now: Now) {
        while !self.stopping && self.leaving.is_none() {
            let Some(id) = self.solves.next(&self.settings, requests) else { return };
            let Some(solve) = self.solves.open.get_mut(&id) else { continue };
            solve.until = Some(now.at.saturating_add(solve.order.time_limit).saturating_add(GRACE));
            let (problem, order) = (solve.problem.clone(), solve.order.clone());
            self.effects.push(Effect::Solve { solve: id, problem, order });
        }
    }

    /// A solver has returned.
    pub(super) fn solved(&mut self, id: u64, outcome: Result<Plan, String>, took: Duration, now: Now) {
        self.figures.solves += 1;
        self.figures.solve_seconds += took.as_secs_f64();
        self.urgent = true;
        if !self.solves.left.remove(&id)
            && let Some(solve) = self.solves.open.remove(&id)
        {
            self.take_outcome(solve, outcome, now);
        }
        // The next look gives its place to troubles before requests.
    }

    /// Leaves solvers behind that have not returned in time.
    pub(super) fn leave_late_solves(&mut self, now: Now) {
        let late = |solve: &Solve| solve.until.is_some_and(|until| now.at > until);
        let late: Vec<u64> =
            self.solves.open.iter().filter(|(_, solve)| late(solve)).map(|(id, _)| *id).collect();
        for id in late {
            let Some(solve) = self.solves.open.remove(&id) else { continue };
            self.leave_behind(id);
            let limit = solve.order.time_limit.as_secs_f64();
            let why = format!(
                "the solver has not returned, {:.0} s after its limit of {limit} s",
                GRACE.as_secs_f64()
            );
            self.take_outcome(solve, Err(why), now);
        }
    }

    fn leave_behind(&mut self, id: u64) {
        self.solves.left.insert(id);
        self.effects.push(Effect::StopSolve(id));
    }

    fn take_outcome(&mut self, solve: Solve, outcome: Result<Plan, String>, now: Now) {
        match solve.owner {
            Owner::Plan(id) => self.plan_solved(&id, solve.problem, outcome, now),
            Owner::WhatIf(ticket, record) => {
                self.what_if_solved(ticket, *record, solve.problem, outcome, now);
            }
        }
    }

    /// Nobody wants the plan of this stage any more.
    pub(super) fn drop_solve_of(&mut self, stage: &Stage) {
        let Stage::Solving(search) = stage else { return };
        if self.solves.drop(search.solve) {
            self.leave_behind(search.solve);
        }
    }

    /// A caller does not wait any more: nobody wants to know what would be done.
    pub(super) fn caller_gone(&mut self, ticket: Ticket) {
        let theirs = |solve: &Solve| matches!(solve.owner, Owner::WhatIf(caller, _) if caller == ticket);
        let Some(id) = self.solves.open.iter().find(|(_, solve)| theirs(solve)).map(|(id, _)| *id) else {
            return;
        };
        if self.solves.drop(id) {
            self.leave_behind(id);
        }
        self.urgent = true;
    }

    /// Callers who want to know what would be done have to ask another coordinator.
    pub(super) fn refuse_what_ifs(&mut self) {
        let asked = self.solves.open.iter().filter_map(|(id, solve)| match &solve.owner {
            Owner::WhatIf(ticket, _) => Some((*id, *ticket)),
            Owner::Plan(_) => None,
        });
        for (id, ticket) in asked.collect::<Vec<_>>() {
            if self.solves.drop(id) {
                self.leave_behind(id);
            }
            self.refuse(ticket, OperateError::Stopping);
        }
    }

    /// Stops all solvers.
    pub(super) fn stop_solves(&mut self) {
        for id in std::mem::take(&mut self.solves.open).into_keys() {
            self.leave_behind(id);
        }
        self.solves.urgent.clear();
        self.solves.waiting.clear();
    }
}

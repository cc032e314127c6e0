//! What is done with what a solver has found: carried out, proposed, noted, tried with more hosts, or told to be
//! impossible.

use super::journal::event;
use super::migrations::too_fast;
use super::plans::{Cause, Proposal, Stage};
use super::solves::Search;
use super::{Answer, Core, Effect, Ticket};
use crate::coordinator::inventory::Now;
use crate::record::{Connection, Event, EventKind, Mode, PlanRecord, PlanState, Severity};
use crate::solving::left_over;
use dvms_solver::file::{Action, ActionKind, Conflict, Plan, Problem, Status};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// Solves of one partition that may be out of date when they are done.
const MOST_STALE: u32 = 3;

type Solution = (Arc<Problem>, Arc<Plan>);

impl Core {
    pub(super) fn plan_solved(
        &mut self,
        id: &str,
        problem: Arc<Problem>,
        outcome: Result<Plan, String>,
        now: Now,
    ) {
        self.in_scene(id, |core| core.judge(id, problem, outcome, now));
    }

    fn judge(&mut self, id: &str, problem: Arc<Problem>, outcome: Result<Plan, String>, now: Now) {
        let plan = Arc::new(judged(outcome));
        self.note_solution(id, &problem, &plan, now);
        let acts = plan.status.has_plan() && !plan.actions.is_empty();
        let lack = dvms_solver::lack::lack(&problem, &plan);
        if acts && left_over(&plan) <= 0.0 {
            return self.decide(id, (problem, plan), now);
        }
        if acts && let Some(Stage::Solving(search)) = self.stage(id) {
            let best = search.best.take().filter(|(_, best)| gain(best) > gain(&plan));
            search.best = Some(best.unwrap_or((problem.clone(), plan.clone())));
        }
        if self.is_shared(id) && !self.has_all_hosts(id) {
            let settled = plan.status == Status::NoChange && before(&plan) <= 0.0 && !self.held_back(id);
            if settled {
                return self.end(id, PlanState::Succeeded, "nothing is worth moving", now);
            }
            if plan.status == Status::Unknown && self.solve_longer(id, &problem, now) {
                return;
            }
            return self.found_none(id, lack, now);
        }
        if self.try_wider(id, now) {
            return;
        }
        if !is_proved(&plan) && self.is_hurried(id) {
            // Others may have room that nobody has found here so soon; where they may not be asked it takes its time.
            let partly = matches!(self.stage(id), Some(Stage::Solving(search)) if search.best.is_some());
            if !partly && !self.is_shared(id) && self.ask_others(id, &self.why_blocked(id, &plan), now) {
                return;
            }
            if self.solve_longer(id, &problem, now) {
                return;
            }
        }
        if let Some(Stage::Solving(search)) = self.stage(id)
            && let Some(best) = search.best.take()
        {
            let kept =
                self.shared(id).is_none_or(|shared| touched(&best.0, &best.1).is_subset(&shared.hosts()));
            if kept {
                self.note_solution(id, &best.0, &best.1, now);
                return self.decide(id, best, now);
            }
        }
        if self.is_shared(id) {
            return self.found_none(id, None, now);
        }
        let life = self.lives.get(id);
        let asked = life.is_some_and(|life| matches!(life.cause, Cause::Request(_)));
        let thrift = self.plans.get(id).is_some_and(|record| record.trigger == EventKind::Underload.name());
        if plan.status == Status::NoChange && (asked || thrift) {
            if thrift && self.ask_others(id, "none of them can be emptied", now) {
                return;
            }
            let why = if plan.reason.is_empty() { "nothing is worth moving" } else { &plan.reason };
            return self.end(id, PlanState::Succeeded, why, now);
        }
        let why = self.why_blocked(id, &plan);
        if !self.ask_others(id, &why, now) {
            self.end(id, PlanState::Blocked, &why, now);
        }
    }

    fn note_solution(&mut self, id: &str, problem: &Arc<Problem>, plan: &Arc<Plan>, now: Now) {
        let actions = self.waiting(problem, plan);
        self.change_for_good(id, |record| {
            record.problem = Some(problem.clone());
            record.plan = Some(plan.clone());
            record.actions = actions;
            record.solved = Some(now.wall);
        });
    }

    /// Does what the plan's mode says.
    fn decide(&mut self, id: &str, solution: Solution, now: Now) {
        let (problem, plan) = solution;
        if plan.actions.iter().any(|action| matches!(action.kind, ActionKind::Boot | ActionKind::Shutdown)) {
            let why = "the plan switches hosts on or off, which agents cannot do";
            return self.end(id, PlanState::Blocked, why, now);
        }
        if self.lives.get(id).is_some_and(|life| !self.is_needed(&life.cause)) {
            let why = "what it was made for has ended meanwhile";
            return self.end(id, PlanState::Cancelled, why, now);
        }
        if let Some(why) = self.why_stale(id) {
            return self.solve_again(id, &why, now);
        }
        if let Some(why) = self.why_it_is_too_early(&plan, now).or_else(|| self.why_unheard(id, &plan)) {
            return self.solve_again(id, &why, now);
        }
        let mut touched = touched(&problem, &plan);
        let keepers = self.keepers_for(&plan);
        if let Err(why) = self.hold_keepers(id, &keepers) {
            return self.solve_again(id, &why, now);
        }
        touched.extend(keepers);
        self.change_for_good(id, |record| record.hosts = touched.iter().cloned().collect());
        let asks = self.why_it_must_be_asked(&plan, now);
        let (mode, trigger) = self
            .plans
            .get(id)
            .map_or((Mode::Observe, String::new()), |record| (record.mode, record.trigger.clone()));
        let closed = self.closed_for(&trigger, &plan, now);
        match mode {
            Mode::Observe => {
                let why = "noted only, as its mode is OBSERVE";
                self.end(id, PlanState::Cancelled, why, now);
            }
            // Hosts of others are not held until VMs may be moved again.
            Mode::Auto if self.is_shared(id) && asks.is_none() && closed.is_some() => {
                let why = closed.unwrap_or_default();
                let why = format!("hosts of other coordinators are not kept waiting, and {why}");
                self.end(id, PlanState::Blocked, &why, now);
            }
            Mode::Auto if self.is_shared(id) && asks.is_none() => self.found(id, &touched, now),
            Mode::Auto if asks.is_none() && closed.is_some() => {
                self.schedule(id, &closed.unwrap_or_default(), now);
            }
            Mode::Auto if asks.is_none() => {
                if let Some(held) = self.partitions.hosts(id) {
                    let leaving = held.difference(&touched).cloned().collect();
                    self.shrink(id, &leaving, now);
                }
                self.execute(id, false, now);
            }
            // Troubles of others alone are not for the operators of this one.
            _ if self.shared(id).is_some_and(|shared| shared.own.is_empty()) => {
                self.found_none(id, None, now);
            }
            Mode::Recommend | Mode::Approve | Mode::Auto => self.propose(id, asks, now),
        }
    }

    fn propose(&mut self, id: &str, asks: Option<String>, now: Now) {
        let because = asks.as_ref().map(|asks| format!(", as {asks}")).unwrap_or_default();
        let said = format!("plan {id} waits for approval{because}: dvms plans approve {id}");
        self.put_forward(id, false, asks.unwrap_or_default(), said, now);
    }

    /// Proposes a plan until VMs may be moved.
    fn schedule(&mut self, id: &str, why: &str, now: Now) {
        let said =
            format!("plan {id} waits until VMs may be moved ({why}); at once: dvms plans approve {id}");
        self.put_forward(id, true, format!("waits until VMs may be moved: {why}"), said, now);
    }

    /// A plan is PROPOSED and holds no hosts.
    fn put_forward(&mut self, id: &str, scheduled: bool, message: String, said: String, now: Now) {
        self.release(id, now);
        if let Some(stage) = self.stage(id) {
            *stage = Stage::Proposed(Proposal { seen: true, since: now.at, claimed: None });
        }
        self.change_for_good(id, |record| {
            (record.state, record.scheduled, record.message) = (PlanState::Proposed, scheduled, message);
        });
        self.let_go(id, now);
        let said = event(EventKind::PlanCreated, Severity::Info, said);
        self.tell(Event { plan_id: id.to_owned(), ..said }, now);
    }

    /// Whether a plan is looked for with less time than there could be.
    fn is_hurried(&self, id: &str) -> bool {
        let stage = self.lives.get(id).map(|life| &life.stage);
        matches!(stage, Some(Stage::Solving(search)) if search.hurried)
    }

    /// Solves the same hosts once more with all the time there may be; false where that was done.
    fn solve_longer(&mut self, id: &str, problem: &Problem, now: Now) -> bool {
        let Some(Stage::Solving(search)) = self.stage(id) else { return false };
        if !search.hurried {
            return false;
        }
        let search = Search { long: true, ..std::mem::take(search) };
        self.search(id, &problem.objective, search, now);
        true
    }

    /// The state has changed while it was solved.
    fn solve_again(&mut self, id: &str, why: &str, now: Now) {
        let objective = self.plans.get(id).and_then(|record| record.problem.as_ref());
        let objective = objective.map(|problem| problem.objective.clone()).unwrap_or_default();
        let Some(Stage::Solving(search)) = self.stage(id) else { return };
        let mut search = std::mem::take(search);
        if search.stale >= MOST_STALE {
            let why = format!("the hosts change faster than they are solved: {why}");
            return self.end(id, PlanState::Blocked, &why, now);
        }
        (search.stale, search.best) = (search.stale + 1, None);
        tracing::info!(plan = id, "solving again: {why}");
        self.search(id, &objective, search, now);
    }

    /// Why a plan would hold its hosts for nothing: it starts VMs that other coordinators have not been heard about, and will
    /// be.
    fn why_it_is_too_early(&self, plan: &Plan, now: Now) -> Option<String> {
        let mut starts = plan.actions.iter().filter(|action| action.kind == ActionKind::Start);
        let vm = &starts.find(|action| self.is_being_asked_for(&action.vm, now))?.vm;
        Some(format!("the other coordinators are asked for {vm} first"))
    }

    /// Holds the hosts that keep plans for VMs of the same rules apart.
    fn hold_keepers(&mut self, id: &str, keepers: &BTreeSet<String>) -> Result<(), String> {
        let lack = |held: &BTreeSet<String>| {
            let host = keepers.iter().find(|host| !held.contains(*host))?;
            Some(format!("it does not have the host {host}, which keeps plans for VMs of one rule apart"))
        };
        if let Some(shared) = self.shared(id) {
            return lack(&shared.hosts()).map_or(Ok(()), Err);
        }
        let held = self.partitions.hosts(id).cloned().unwrap_or_default();
        match lack(&held) {
            None => Ok(()),
            Some(why) if keepers.iter().any(|host| !self.cell.hosts.contains_key(host)) => Err(why),
            Some(why) => {
                self.partitions.grow(id, keepers).map_err(|refused| format!("{why}: {refused}"))?;
                self.touch_hosts(keepers);
                Ok(())
            }
        }
    }

    /// Why a plan waits for approval whatever its mode is.
    pub(super) fn why_it_must_be_asked(&self, plan: &Plan, now: Now) -> Option<String> {
        let starts = |action: &&Action| action.kind == ActionKind::Start;
        let silent = self.members_that_are_silent(now);
        if !silent.is_empty()
            && let Some(first) = plan.actions.iter().find(starts)
        {
            return Some(format!(
                "it starts {} and perhaps others, and cannot ask coordinator {} for them: make sure that they run nowhere, as \
                 a VM that runs twice spoils its disks",
                first.vm,
                silent.join(" and ")
            ));
        }
        if self.settings.execution.restart_failed {
            return None;
        }
        let from_failed =
            |action: &&Action| action.kind == ActionKind::Start && self.failed_home(&action.vm).is_some();
        let first = plan.actions.iter().find(from_failed)?;
        let host = self.failed_home(&first.vm)?;
        Some(format!(
            "it starts {} and perhaps others of the failed host {host}: make sure that the host is off, as a VM that \
             runs twice spoils its disks",
            first.vm
        ))
    }

    /// The failed host that a VM was on.
    pub(super) fn failed_home(&self, vm: &str) -> Option<&str> {
        let failed = |host: &&str| {
            self.cell.hosts.get(*host).is_some_and(|entry| entry.connection == Connection::Failed)
        };
        self.cell.homes(vm).find(failed)
    }

    pub(super) fn why_blocked(&self, id: &str, plan: &Plan) -> String {
        let mut why = match plan.status {
            Status::Infeasible => "no plan exists".to_owned(),
            Status::Unknown => "no plan was found in time".to_owned(),
            _ => "no plan makes it better".to_owned(),
        };
        if !plan.reason.is_empty() {
            let _ = write!(why, ": {}", plan.reason);
        }
        if let Some(conflict) = &plan.conflict {
            why.push_str(&listing(conflict));
        }
        if let Some(problem) = self.plans.get(id).and_then(|record| record.problem.as_deref()) {
            why.push_str(&too_fast(problem));
        }
        why.push_str(&self.told_kept(id));
        let busy = self.busy_for(id);
        match self.cell.hosts.keys().filter(|host| busy(host)).count() {
            0 => {}
            count => _ = write!(why, "; {count} hosts are reserved by other plans and were not asked"),
        }
        why
    }

    pub(super) fn what_if_solved(
        &mut self,
        ticket: Ticket,
        mut record: PlanRecord,
        problem: Arc<Problem>,
        outcome: Result<Plan, String>,
        now: Now,
    ) {
        let plan = Arc::new(judged(outcome));
        record.state = match (plan.status, plan.actions.is_empty()) {
            (Status::Infeasible | Status::Unknown, _) => PlanState::Blocked,
            (_, true) => PlanState::Succeeded,
            (_, false) => PlanState::Proposed,
        };
        record.message.clone_from(&plan.reason);
        record.actions = self.waiting(&problem, &plan);
        record.hosts = problem.hosts.iter().map(|host| host.name.clone()).collect();
        (record.solved, record.problem, record.plan) = (Some(now.wall), Some(problem), Some(plan));
        self.effects.push(Effect::Answer { ticket, answer: Answer::Plan(Arc::new(record)) });
    }
}

/// What a solver that could not even answer comes to.
fn judged(outcome: Result<Plan, String>) -> Plan {
    outcome.unwrap_or_else(|reason| Plan { status: Status::Unknown, reason, ..Plan::default() })
}

/// Whether more time cannot change what it says.
fn is_proved(plan: &Plan) -> bool {
    matches!(plan.status, Status::Optimal | Status::Infeasible | Status::NoChange)
}

fn violations(plan: &Plan) -> Option<(f64, f64)> {
    let level = plan.objectives.iter().find(|level| level.name == "VIOLATIONS")?;
    Some((level.before, level.value))
}

fn before(plan: &Plan) -> f64 {
    violations(plan).map_or(0.0, |(before, _)| before)
}

fn gain(plan: &Plan) -> f64 {
    violations(plan).map_or(0.0, |(before, after)| before - after)
}

/// Hosts that a plan touches, those that VMs are restarted from among them.
fn touched(problem: &Problem, plan: &Plan) -> BTreeSet<String> {
    let ends = plan.actions.iter().flat_map(|action| [&action.source, &action.destination]);
    let acting: BTreeSet<&str> = plan.actions.iter().map(|action| action.vm.as_str()).collect();
    let homes = problem.vms.iter().filter(|vm| acting.contains(vm.name.as_str())).map(|vm| &vm.host);
    ends.chain(homes).filter(|host| !host.is_empty()).cloned().collect()
}

fn listing(conflict: &Conflict) -> String {
    let mut text = String::new();
    for (what, names) in
        [("hosts", &conflict.hosts), ("VMs", &conflict.vms), ("rules", &conflict.constraints)]
    {
        if !names.is_empty() {
            let more = if names.len() > 5 { " …" } else { "" };
            let first: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
            let _ = write!(text, "; {what}: {}{more}", first.join(", "));
        }
    }
    text
}

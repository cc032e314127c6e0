//! What operators and services ask for: plans, approvals, cancellations.

use super::execution::Halt;
use super::journal::event;
use super::plans::{Cause, Draft, Life, Stage};
use super::solves::{Haste, Owner, Search};
use super::{Answer, Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::{HostEntry, Now};
use crate::coordinator::planning;
use crate::partition::Answer as Reserved;
use crate::record::{Event, EventKind, Mode, Pace, PlanRecord, PlanRequest, PlanState, Severity};
use dvms_solver::file::Problem;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What-ifs at once, those that wait for a solver with them.
const MOST_WHAT_IFS: usize = 64;
/// Requested plans at once that wait for hosts or a solver, or have one.
const MOST_REQUESTS: usize = 64;
/// After which a request that was one too many may be made again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Core {
    pub(super) fn create_plan(&mut self, request: PlanRequest, ticket: Ticket, now: Now) {
        match self.try_create(request, ticket, now) {
            Ok(Some(id)) => self.answer_plan(&id, ticket),
            // A what-if is answered when it is solved.
            Ok(None) => {}
            Err(error) => self.refuse(ticket, error),
        }
    }

    fn try_create(
        &mut self,
        mut request: PlanRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<Option<String>, OperateError> {
        request.hosts.sort();
        request.hosts.dedup();
        let parameters = parameters(&request);
        if !request.validate_only
            && !request.request_id.is_empty()
            && let Some(record) = self.plans.values().find(|record| record.request_id == request.request_id)
        {
            let same = record.request == parameters;
            let reused = || OperateError::RequestIdReused(request.request_id.clone());
            return if same { Ok(Some(record.id.clone())) } else { Err(reused()) };
        }
        self.may_ask()?;
        let mode = request.mode.unwrap_or(self.settings.planning.mode);
        if request.objective.is_empty() {
            "REPAIR".clone_into(&mut request.objective);
        }
        let hosts = self.hosts_of_request(&request)?;
        let problem = self.problem_of_request(&request, &hosts, now);
        valid(&problem)?;
        let wants_power = request.limits.as_ref().is_some_and(|limits| limits.power_actions);
        if wants_power && !request.validate_only && mode != Mode::Observe {
            let field = "limits.power_actions".to_owned();
            let message = "agents cannot switch hosts on or off".to_owned();
            return Err(OperateError::Invalid { field, message });
        }
        let purpose = self.requested(&request, hosts.len());
        if request.validate_only {
            at_most(self.solves.what_ifs(), MOST_WHAT_IFS)?;
            let record = Box::new(unkept(mode, purpose, &hosts, now));
            let owner = Owner::WhatIf(ticket, record);
            self.ask_solver(owner, Arc::new(problem), request.limits.as_ref(), Haste::None);
            self.urgent = true;
            return Ok(None);
        }
        let unsolved = |life: &&Life| {
            matches!(life.cause, Cause::Request(_)) && matches!(life.stage, Stage::Queued | Stage::Solving(_))
        };
        at_most(self.lives.values().filter(unsolved).count(), MOST_REQUESTS)?;
        let draft = Draft {
            mode,
            trigger: "request".to_owned(),
            purpose,
            hosts: hosts.clone(),
            replans: 0,
            request: (request.request_id.clone(), parameters),
            pace: request.pace,
            cause: Cause::Request(Box::new(request)),
        };
        let id = self.new_plan(draft, now);
        self.request_hosts(&id, &hosts, now);
        Ok(Some(id))
    }

    /// The plan for what a requested one has left undone, in another mode where one is given.
    pub(super) fn request_again(
        &mut self,
        request: &PlanRequest,
        replans: u32,
        mode: Option<Mode>,
        now: Now,
    ) -> Option<String> {
        let hosts: BTreeSet<String> = if request.hosts.is_empty() {
            self.hosts_of_request(request).ok()?
        } else {
            let known = |host: &&String| self.cell.hosts.get(*host).is_some_and(HostEntry::is_known);
            request.hosts.iter().filter(known).cloned().collect()
        };
        if hosts.is_empty() {
            return None;
        }
        let draft = Draft {
            mode: mode.or(request.mode).unwrap_or(self.settings.planning.mode),
            trigger: "request".to_owned(),
            purpose: self.requested(request, hosts.len()),
            hosts: hosts.clone(),
            cause: Cause::Request(Box::new(request.clone())),
            replans,
            request: (String::new(), String::new()),
            pace: request.pace,
        };
        let id = self.new_plan(draft, now);
        self.request_hosts(&id, &hosts, now);
        Some(id)
    }

    /// What a requested plan is for, and what it leaves out.
    fn requested(&self, request: &PlanRequest, hosts: usize) -> String {
        let hosts = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
        let left_out = self.hosts_elsewhere();
        if !request.hosts.is_empty() || left_out == 0 {
            return format!("{} of {hosts}, as requested", request.objective);
        }
        let me = &self.settings.ring.name;
        format!(
            "{} of the {hosts} of coordinator {me}, as requested; {left_out} of other coordinators are left out",
            request.objective
        )
    }

    fn request_hosts(&mut self, id: &str, hosts: &BTreeSet<String>, now: Now) {
        match self.partitions.request(id, hosts) {
            Ok(Reserved::Granted) => {
                self.touch_hosts(hosts);
                self.granted(vec![id.to_owned()], now);
            }
            Ok(Reserved::Queued(busy)) => {
                let holders: BTreeSet<&String> = busy.values().collect();
                let holders: Vec<&str> = holders.into_iter().map(String::as_str).collect();
                let message = format!("waits for {} hosts of {}", busy.len(), holders.join(", "));
                self.change_for_good(id, |record| record.message = message);
            }
            Err(refused) => self.end(id, PlanState::Cancelled, &refused.to_string(), now),
        }
    }

    /// Those who have waited for hosts have them now.
    pub(super) fn granted(&mut self, ids: Vec<String>, now: Now) {
        for id in ids {
            let held = self.partitions.hosts(&id).cloned().unwrap_or_default();
            self.touch_hosts(&held);
            let Some(Cause::Request(request)) = self.lives.get(&id).map(|life| life.cause.clone()) else {
                self.release(&id, now);
                continue;
            };
            // Some may have gone while it waited.
            let gone =
                held.iter().filter(|host| !self.cell.hosts.get(*host).is_some_and(HostEntry::is_known));
            let gone: BTreeSet<String> = gone.cloned().collect();
            if gone.len() == held.len() {
                let why = "none of its hosts is connected any more";
                self.end(&id, PlanState::Cancelled, why, now);
                continue;
            }
            self.shrink(&id, &gone, now);
            self.change_for_good(&id, |record| record.message.clear());
            self.search(&id, &request.objective, Search { whole: true, ..Search::default() }, now);
        }
    }

    fn hosts_of_request(&self, request: &PlanRequest) -> Result<BTreeSet<String>, OperateError> {
        let connected = self.cell.hosts.iter().filter(|(_, entry)| entry.is_known());
        if request.hosts.is_empty() {
            let hosts: BTreeSet<String> = connected.map(|(name, _)| name.clone()).collect();
            let none = || OperateError::WrongState("no host is connected".to_owned());
            return if hosts.is_empty() { Err(none()) } else { Ok(hosts) };
        }
        for name in &request.hosts {
            match self.cell.hosts.get(name) {
                None => return Err(self.no_such_host(name)),
                Some(entry) if !entry.is_known() => {
                    return Err(OperateError::WrongState(format!("host {name} is not connected")));
                }
                Some(_) => {}
            }
        }
        Ok(request.hosts.iter().cloned().collect())
    }

    fn no_such_host(&self, name: &str) -> OperateError {
        match self.ring_owner(name) {
            Some(owner) => OperateError::WrongState(format!(
                "host {name} is of coordinator {owner}: a plan that is asked for is about hosts of one coordinator; ask for one \
                 for each, or leave it to them: what their hosts cannot absorb they solve together"
            )),
            None => OperateError::NotFound { kind: "host", name: name.to_owned() },
        }
    }

    fn problem_of_request(&self, request: &PlanRequest, hosts: &BTreeSet<String>, now: Now) -> Problem {
        let stays = self.stay(hosts, false, now);
        let limits = request.limits.as_ref();
        planning::problem(&self.cell, hosts, &request.objective, limits, &[], &stays, &self.settings)
    }

    fn answer_with_plan(&mut self, id: &str, outcome: Result<(), OperateError>, ticket: Ticket) {
        match outcome {
            Ok(()) => self.answer_plan(id, ticket),
            Err(error) => self.refuse(ticket, error),
        }
    }

    fn answer_plan(&mut self, id: &str, ticket: Ticket) {
        if let Some(record) = self.plans.get(id) {
            let answer = Answer::Plan(record.clone());
            self.journal.then(Effect::Answer { ticket, answer });
        }
    }

    pub(super) fn approve_plan(&mut self, id: &str, ticket: Ticket, now: Now) {
        let outcome = self.try_approve(id, now);
        self.answer_with_plan(id, outcome, ticket);
    }

    fn try_approve(&mut self, id: &str, now: Now) -> Result<(), OperateError> {
        self.may_ask()?;
        let missing = || OperateError::NotFound { kind: "plan", name: id.to_owned() };
        let record = self.plans.get(id).ok_or_else(missing)?.clone();
        match record.state {
            PlanState::Proposed => {}
            // It was approved already, or did not need to be.
            PlanState::Executing | PlanState::Succeeded if record.started.is_some() => return Ok(()),
            state => {
                let why = format!("plan {id} is {}, only one that is PROPOSED can be approved", state.name());
                return Err(OperateError::WrongState(why));
            }
        }
        if self.is_shared(id) {
            let claimed =
                matches!(self.stage(id), Some(Stage::Proposed(proposal)) if proposal.claimed.is_some());
            if claimed {
                return Ok(());
            }
            let message = format!("plan {id} is approved");
            let said = event(EventKind::Operator, Severity::Info, message);
            self.tell(Event { plan_id: id.to_owned(), ..said }, now);
            self.claim(id, now);
            return Ok(());
        }
        if let Some(why) = self.why_stale(id) {
            return Err(OperateError::Stale(format!("plan {id} does not fit any more: {why}")));
        }
        let hosts: BTreeSet<String> = record.hosts.iter().cloned().collect();
        self.reserve(id, &hosts).map_err(|why| {
            OperateError::WrongState(format!("hosts of plan {id} are {why}; approve it when they are free"))
        })?;
        let message = format!("plan {id} is approved");
        let said = event(EventKind::Operator, Severity::Info, message);
        self.tell(Event { plan_id: id.to_owned(), ..said }, now);
        self.execute(id, true, now);
        Ok(())
    }

    pub(super) fn pause_plan(&mut self, id: &str, reason: &str, ticket: Ticket, now: Now) {
        let outcome = self.try_hold(id, Some(by_an_operator("paused", reason)), now);
        self.answer_with_plan(id, outcome, ticket);
    }

    pub(super) fn resume_plan(&mut self, id: &str, ticket: Ticket, now: Now) {
        let outcome = self.try_hold(id, None, now);
        self.answer_with_plan(id, outcome, ticket);
    }

    /// Pauses a plan, or lets it go on.
    fn try_hold(&mut self, id: &str, why: Option<String>, now: Now) -> Result<(), OperateError> {
        self.may_operate()?;
        let missing = || OperateError::NotFound { kind: "plan", name: id.to_owned() };
        let record = self.plans.get(id).ok_or_else(missing)?;
        if record.state != PlanState::Executing {
            let (what, state) = (if why.is_some() { "paused" } else { "resumed" }, record.state.name());
            let message = format!("plan {id} is {state}, only one that is EXECUTING can be {what}");
            return Err(OperateError::WrongState(message));
        }
        if record.paused.is_some() == why.is_some() {
            return Ok(());
        }
        let message = format!("plan {id} is {}", why.as_deref().unwrap_or("resumed by an operator"));
        let said = event(EventKind::Operator, Severity::Info, message);
        self.tell(Event { plan_id: id.to_owned(), ..said }, now);
        self.change_for_good(id, |record| record.paused = why);
        self.pursue(id, now);
        Ok(())
    }

    pub(super) fn limit_plan(&mut self, id: &str, pace: Pace, ticket: Ticket, now: Now) {
        let outcome = self.try_limit(id, pace, now);
        self.answer_with_plan(id, outcome, ticket);
    }

    /// Changes what a plan may use at once, and the one that is made for what it leaves undone.
    fn try_limit(&mut self, id: &str, pace: Pace, now: Now) -> Result<(), OperateError> {
        self.may_operate()?;
        let missing = || OperateError::NotFound { kind: "plan", name: id.to_owned() };
        let record = self.plans.get(id).ok_or_else(missing)?;
        if record.state.is_terminal() {
            let message =
                format!("plan {id} is {}, only one that has not ended can be limited", record.state.name());
            return Err(OperateError::WrongState(message));
        }
        if record.pace == pace {
            return Ok(());
        }
        let message = format!("an operator limits plan {id} to {}", in_words(pace));
        let said = event(EventKind::Operator, Severity::Info, message);
        self.tell(Event { plan_id: id.to_owned(), ..said }, now);
        if let Some(Life { cause: Cause::Request(request), .. }) = self.lives.get_mut(id) {
            request.pace = pace;
        }
        self.change_for_good(id, |record| record.pace = pace);
        self.pursue(id, now);
        Ok(())
    }

    pub(super) fn cancel_plan(
        &mut self,
        id: &str,
        finish_running: bool,
        reason: &str,
        ticket: Ticket,
        now: Now,
    ) {
        let Some(record) = self.plans.get(id) else {
            return self.refuse(ticket, OperateError::NotFound { kind: "plan", name: id.to_owned() });
        };
        if !record.state.is_terminal() {
            if let Err(error) = self.may_operate() {
                return self.refuse(ticket, error);
            }
            let why = by_an_operator("cancelled", reason);
            let said = event(EventKind::Operator, Severity::Info, format!("plan {id} is {why}"));
            self.tell(Event { plan_id: id.to_owned(), ..said }, now);
            if matches!(self.stage(id), Some(Stage::Executing(_))) {
                self.halt(id, Halt::Cancelled(why));
                if !finish_running {
                    self.abort_all(id, now);
                }
                self.pursue(id, now);
            } else {
                self.end(id, PlanState::Cancelled, &why, now);
            }
        }
        self.answer_plan(id, ticket);
    }
}

/// `2 migrations at once, 100 MiB/s`
fn in_words(pace: Pace) -> String {
    let count = pace.max_concurrent.map(|most| format!("{most} migrations at once"));
    let rate = pace.bandwidth_mib_s.map(|rate| format!("{rate:.0} MiB/s"));
    let words: Vec<String> = count.into_iter().chain(rate).collect();
    if words.is_empty() { "nothing of its own".to_owned() } else { words.join(", ") }
}

/// `cancelled by an operator: not now`
fn by_an_operator(what: &str, reason: &str) -> String {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("{what} by an operator{because}")
}

/// What tells a repeat of a request from another one.
fn parameters(request: &PlanRequest) -> String {
    let PlanRequest { request_id: _, objective, hosts, mode, limits, pace, validate_only: _ } = request;
    let objective = if objective.is_empty() { "REPAIR" } else { objective };
    let pace = if *pace == Pace::default() { String::new() } else { format!(" {pace:?}") };
    format!("{objective} {hosts:?} {mode:?} {limits:?}{pace}")
}

fn at_most(count: usize, most: usize) -> Result<(), OperateError> {
    let message = format!("{count} requests wait for hosts or a solver already; try again later");
    if count < most { Ok(()) } else { Err(OperateError::Busy { message, retry_after: AGAIN_AFTER }) }
}

/// What the solver would refuse is told at once.
fn valid(problem: &Problem) -> Result<(), OperateError> {
    match dvms_solver::Problem::new(problem) {
        Ok(_) => Ok(()),
        Err(rejected) => {
            let (field, message) = super::fault(&rejected);
            Err(OperateError::Invalid { field, message })
        }
    }
}

fn unkept(mode: Mode, purpose: String, hosts: &BTreeSet<String>, now: Now) -> PlanRecord {
    PlanRecord {
        hosts: hosts.iter().cloned().collect(),
        ..PlanRecord::new(PlanState::Solving, mode, "request".to_owned(), purpose, now.wall)
    }
}

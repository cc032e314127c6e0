//! How a plan is carried out: an action is begun when those before it are done, hosts have a slot free, and it is
//! still safe. Execution makes no choices: what cannot be done as planned ends the plan, and the rest is planned
//! anew.

use super::journal::event;
use super::plans::{Cause, Stage};
use super::{Core, Effect};
use crate::coordinator::inventory::{Flight, Now};
use crate::coordinator::planning;
use crate::coordinator::settings::seconds;
use crate::record::{
    ActionKey, ActionState, Connection, Event, EventKind, Kept, Order, OrderKind, PlanRecord, PlanState,
    Severity, VmState,
};
use dvms_solver::file::{Action, ActionKind, Plan, Problem};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a plan may have nothing under way and nothing that can be begun, beyond the failure time-out of
/// hosts.
const IDLE_AT_MOST: Duration = Duration::from_secs(30);

/// The life of a plan that is carried out.
#[derive(Debug)]
pub(super) struct Execution {
    /// Nothing more is begun.
    pub(super) halt: Option<Halt>,
    /// Since when nothing could be begun and nothing was under way.
    idle: Option<Duration>,
    /// An operator has approved it: it goes on outside of windows and in black-outs, and starts VMs though a coordinator
    /// that is out of reach could not be asked for them.
    pub(super) approved: bool,
}

/// Why nothing more of a plan is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    Failed(String),
    Cancelled(String),
    /// VMs are not moved at this time.
    Closed(String),
    /// It was executed by the process before this one.
    Restarted,
}

/// Whether an action can be begun.
enum Ready {
    Now,
    /// A host has no slot free, or is out of reach for a moment.
    Later(String),
    /// A limit on what is under way at once is reached: others may use it for long.
    Held(String),
    /// VMs are not moved at this time.
    Closed(String),
    /// Not as it was planned.
    Never(String),
}

impl Execution {
    pub(super) fn new(halt: Option<Halt>) -> Self {
        Self { halt, idle: None, approved: false }
    }

    /// One that goes on after an orderly stop.
    pub(super) fn of(kept: Kept) -> Self {
        Self { approved: kept.approved, ..Self::new(None) }
    }
}

/// The host whose agent carries an action out.
pub(super) fn executor(action: &Action) -> &str {
    if action.kind == ActionKind::Start { &action.destination } else { &action.source }
}

/// The action of a plan.
pub(super) fn action_of(record: &PlanRecord, id: u64) -> Option<&Action> {
    record.plan.as_ref()?.actions.iter().find(|action| action.id == id)
}

impl Core {
    /// Whether anything new may be begun: what is begun must be kept first.
    pub(super) fn may_begin(&self) -> bool {
        !self.stopping && self.journal.broken().is_none()
    }

    /// Whether anything new may be planned.
    pub(super) fn may_plan(&self) -> bool {
        self.may_begin() && self.leaving.is_none()
    }

    /// An orderly stop of a coordinator that is alone: what is carried out goes on when it begins again.
    pub(super) fn keep_plans(&mut self) {
        if !self.ring.is_alone() {
            return;
        }
        let kept = self.lives.iter().filter_map(|(id, life)| match &life.stage {
            Stage::Executing(Execution { halt: None, approved, .. }) => Some((id.clone(), *approved)),
            _ => None,
        });
        for (id, approved) in kept.collect::<Vec<_>>() {
            self.change_for_good(&id, |record| record.kept = Some(Kept { approved }));
        }
    }

    /// Begins to carry out a plan that holds its hosts, which an operator may have approved.
    pub(super) fn execute(&mut self, id: &str, approved: bool, now: Now) {
        if let Some(stage) = self.stage(id) {
            *stage = Stage::Executing(Execution { approved, ..Execution::new(None) });
        }
        self.change_for_good(id, |record| {
            record.state = PlanState::Executing;
            record.started = Some(now.wall);
            record.scheduled = false;
            record.message.clear();
        });
        match self.lives.get(id).map(|life| &life.cause) {
            Some(Cause::Troubles(keys)) => self.detector.acted_on(keys),
            Some(Cause::Shared(shared)) => self.detector.acted_on(&shared.own),
            _ => {}
        }
        let Some(record) = self.plans.get(id) else { return };
        let actions = record.plan.as_ref().map_or(0, |plan| plan.actions.len());
        let message = format!(
            "plan {id} is carried out: {actions} actions on {} hosts: {}",
            record.hosts.len(),
            record.purpose
        );
        let said = event(EventKind::PlanStarted, Severity::Info, message);
        self.tell(Event { plan_id: id.to_owned(), ..said }, now);
        self.pursue(id, now);
    }

    pub(super) fn pursue_all(&mut self, now: Now) {
        let executing = self.lives.iter().filter(|(_, life)| matches!(life.stage, Stage::Executing(_)));
        let executing: Vec<String> = executing.map(|(id, _)| id.clone()).collect();
        for id in executing {
            self.pursue(&id, now);
        }
    }

    /// Begins what can be begun, ends what is over.
    pub(super) fn pursue(&mut self, id: &str, now: Now) {
        self.in_scene(id, |core| core.pursue_here(id, now));
    }

    fn pursue_here(&mut self, id: &str, now: Now) {
        let paused = self.plans.get(id).and_then(|record| record.paused.clone());
        let Some(Stage::Executing(execution)) = self.stage(id) else { return };
        let halted = execution.halt.is_some();
        if let Some(why) = paused {
            execution.idle = None;
            self.tell_wait(id, &why);
        } else if !halted && self.may_begin() {
            self.begin_what_is_ready(id, now);
        }
        self.end_if_over(id, now);
    }

    fn begin_what_is_ready(&mut self, id: &str, now: Now) {
        let Some(record) = self.plans.get(id).cloned() else { return };
        let Some(plan) = record.plan.clone() else { return };
        let done: BTreeSet<u64> = (record.actions.iter())
            .filter(|status| status.state == ActionState::Done)
            .map(|status| status.action_id)
            .collect();
        let approved = matches!(self.stage(id), Some(Stage::Executing(execution)) if execution.approved);
        let closed = if approved { None } else { self.closed(&record.trigger, now) };
        let (mut blocked, mut held, mut shut) = (None, None, None);
        let (mut begun, mut starts) = (false, false);
        for (status, action) in record.actions.iter().zip(&plan.actions) {
            if status.state != ActionState::Waiting
                || !action.after.iter().all(|before| done.contains(before))
            {
                continue;
            }
            match self.ready((&record, approved), &plan, action, closed.as_deref(), now) {
                Ready::Now => begun |= self.begin(&record, action, now),
                Ready::Later(why) => {
                    blocked = Some(why);
                    starts |= action.kind == ActionKind::Start;
                }
                Ready::Held(why) => held = Some(why),
                Ready::Closed(why) => shut = Some(why),
                Ready::Never(why) => {
                    let why = format!("action {} cannot be begun any more: {why}", action.id);
                    return self.halt(id, Halt::Failed(why));
                }
            }
        }
        let under_way = begun || self.flying(id).next().is_some();
        let waits = shut.as_ref().or(held.as_ref()).or(blocked.as_ref());
        self.tell_wait(id, waits.map_or("", String::as_str));
        if let Some(why) = shut.filter(|_| !under_way && !starts) {
            // Its hosts are not kept from others until VMs may be moved again.
            return self.halt(id, Halt::Closed(format!("what is left waits until VMs may be moved: {why}")));
        }
        let patience = seconds(self.settings.inventory.failed_after_s).saturating_add(IDLE_AT_MOST);
        let Some(Stage::Executing(execution)) = self.stage(id) else { return };
        match blocked.filter(|_| !under_way && held.is_none()) {
            None => execution.idle = None,
            Some(why) => {
                let since = *execution.idle.get_or_insert(now.at);
                if now.at > since.saturating_add(patience) {
                    self.halt(id, Halt::Failed(format!("nothing could be begun for too long: {why}")));
                }
            }
        }
    }

    fn ready(
        &self,
        (record, approved): (&PlanRecord, bool),
        plan: &Plan,
        action: &Action,
        closed: Option<&str>,
        now: Now,
    ) -> Ready {
        let mut ends = vec![action.destination.as_str()];
        if action.kind == ActionKind::Migrate {
            ends.push(&action.source);
        }
        for end in ends {
            if self.is_fenced(&record.id, end, now) {
                return Ready::Never(format!("{end} is not reserved for it any more"));
            }
            match self.cell.hosts.get(end) {
                None => return Ready::Never(format!("{end} is not known any more")),
                Some(host) if host.connection == Connection::Failed => {
                    return Ready::Never(format!("{end} has failed"));
                }
                Some(host) if !host.is_known() => return Ready::Later(format!("{end} is out of reach")),
                Some(host) => {
                    let most = host.max_migrations(&self.settings.inventory);
                    if action.kind == ActionKind::Migrate && self.cell.migrations(end) >= most {
                        return Ready::Later(format!("{end} has {most} migrations already"));
                    }
                }
            }
        }
        if let Some(why) = closed.filter(|_| action.kind == ActionKind::Migrate) {
            return Ready::Closed(why.to_owned());
        }
        if let Some(why) = self.no_bandwidth(record.problem.as_deref(), action) {
            return Ready::Later(why);
        }
        if action.kind == ActionKind::Start
            && let Some(why) = self.may_run_elsewhere(&action.vm, approved, now)
        {
            return Ready::Later(why);
        }
        if let Some(why) = self.limit_reached(record, action) {
            return Ready::Held(why);
        }
        if let Some(why) = self.turns().why_not_yet(&action.vm) {
            return Ready::Later(why);
        }
        match planning::action_unsafe(&self.cell, &self.settings, plan, action) {
            Some(why) => Ready::Never(why),
            None => Ready::Now,
        }
    }

    /// Why an order that waited must not go out any more.
    pub(super) fn why_not_begun(&self, key: &ActionKey, now: Now) -> Option<String> {
        let life = self.lives.get(&key.plan_id)?;
        if let Stage::Executing(Execution { halt: Some(halt), .. }) = &life.stage
            && let Halt::Failed(why) | Halt::Cancelled(why) = halt
        {
            return Some(format!("its agent was not told any more: {why}"));
        }
        let (_, action, _) = self.known(key)?;
        let ends = [action.destination.as_str(), action.source.as_str()];
        let end = ends.into_iter().find(|end| !end.is_empty() && self.is_fenced(&key.plan_id, end, now))?;
        Some(format!("its agent was not told any more: {end} is not reserved for its plan any more"))
    }

    /// Sends an action to its agent, as soon as the store has it; says whether it could.
    fn begin(&mut self, record: &PlanRecord, action: &Action, now: Now) -> bool {
        let id = &record.id;
        let Some(tell) = self.order(record, action) else { return false };
        let flight = self.flight_of(record, action);
        let limit = now.at.saturating_add(self.give_up_after(action));
        let key = flight.key.clone();
        let forecast = record.problem.as_deref().and_then(|problem| self.forecast(problem, action));
        let asks = self.asks_first(record, action);
        self.take_off(executor(action), &action.vm, flight, limit);
        self.not_told_yet(&key);
        self.is_asked(&key, asks.is_some().then_some(now.at));
        self.change_for_good(id, |record| {
            if let Some(status) = record.actions.iter_mut().find(|status| status.action_id == action.id) {
                (status.state, status.started) = (ActionState::Sent, Some(now.wall));
                status.forecast = forecast.or(status.forecast);
            }
        });
        self.journal.then(asks.unwrap_or(tell));
        let what = describe(action);
        let message = format!("{what} is begun: {}", action.because);
        let said = event(EventKind::ActionStarted, Severity::Info, message);
        self.tell(about(id, action, said), now);
        true
    }

    /// An action once its agent has it.
    pub(super) fn flight_of(&self, record: &PlanRecord, action: &Action) -> Flight {
        Flight {
            key: ActionKey { plan_id: record.id.clone(), action_id: action.id },
            source: self.comes_from(action),
            destination: action.destination.clone(),
            migrates: action.kind == ActionKind::Migrate,
            rate: self.rate(record.problem.as_deref(), action),
        }
    }

    /// Where the VM of an action is counted until it has ended.
    fn comes_from(&self, action: &Action) -> String {
        match action.kind {
            // Where it was, if not where the plan says.
            ActionKind::Start if action.source.is_empty() => {
                self.failed_home(&action.vm).unwrap_or_default().to_owned()
            }
            _ => action.source.clone(),
        }
    }

    /// What the agent of an action is told; `None` while it has no session.
    pub(super) fn order(&self, record: &PlanRecord, action: &Action) -> Option<Effect> {
        let host = executor(action);
        let entry = self.cell.hosts.get(host).filter(|entry| entry.is_known())?;
        let destination = self.cell.hosts.get(&action.destination)?;
        let known = self.cell.vm(&action.vm).map(|(_, vm)| vm).or_else(|| self.cell.waiting.get(&action.vm));
        let report = known.map(|vm| &vm.report);
        let execution = &self.settings.execution;
        let kind = match action.kind {
            ActionKind::Migrate => OrderKind::Migrate {
                destination: action.destination.clone(),
                destination_uri: destination.hello.migration_uri.clone(),
                bandwidth_mib_s: self.ordered(
                    &action.source,
                    &action.destination,
                    self.rate(record.problem.as_deref(), action),
                ),
                auto_converge: execution.auto_converge,
                post_copy: self.post_copy(record, action),
            },
            ActionKind::Start => {
                let there = destination.vms.get(&action.vm);
                let defined = there.is_some_and(|vm| vm.report.state == VmState::Off && vm.report.persistent);
                let definition = report.map(|report| report.definition.clone()).unwrap_or_default();
                OrderKind::Start { definition: if defined { String::new() } else { definition } }
            }
            ActionKind::Boot | ActionKind::Shutdown => return None,
        };
        let order = Order::Execute {
            key: ActionKey { plan_id: record.id.clone(), action_id: action.id },
            vm: action.vm.clone(),
            vm_uuid: report.map(|report| report.uuid.clone()).unwrap_or_default(),
            deadline: self.deadline(action),
            stall: seconds(execution.stall_s),
            kind,
        };
        Some(match self.elsewhere(&record.id, host) {
            Some(reserved) => self.forwarded(record, action, reserved, order),
            None => Effect::Tell { host: host.to_owned(), epoch: entry.epoch, order },
        })
    }

    /// MiB/s that the plan gives a migration, within what both hosts have.
    pub(super) fn rate(&self, problem: Option<&Problem>, action: &Action) -> f64 {
        let most = self.nominal(&action.source).min(self.nominal(&action.destination)).max(1.0);
        let vm = problem.and_then(|problem| problem.vms.iter().find(|vm| vm.name == action.vm));
        // The contract: duration = memory / rate ÷ (1 − dirty / rate) + 0.03.
        let planned = vm.map(|vm| {
            let memory = vm.demand.get("memory").copied().unwrap_or(0) as f64;
            memory / (action.end_s - action.start_s - 0.03).max(1e-3) + vm.memory_dirty_rate.unwrap_or(0.0)
        });
        planned.filter(|rate| rate.is_finite()).unwrap_or(most).clamp(1.0, most)
    }

    /// After which an agent aborts an action.
    fn deadline(&self, action: &Action) -> Duration {
        let execution = &self.settings.execution;
        let planned = (action.end_s - action.start_s).max(0.0);
        seconds(execution.deadline_factor * planned + execution.deadline_s)
    }

    /// After which an agent that says nothing is not waited for.
    pub(super) fn give_up_after(&self, action: &Action) -> Duration {
        self.deadline(action)
            .saturating_mul(2)
            .saturating_add(seconds(self.settings.inventory.failed_after_s))
    }

    /// Begins nothing more of a plan; the first reason counts, but for an operator's.
    pub(super) fn halt(&mut self, id: &str, halt: Halt) {
        if let Some(Stage::Executing(execution)) = self.stage(id)
            && (execution.halt.is_none() || matches!(halt, Halt::Cancelled(_)))
        {
            execution.halt = Some(halt);
            self.urgent = true;
        }
    }

    /// Ends a plan that has nothing under way and nothing left to begin.
    fn end_if_over(&mut self, id: &str, now: Now) {
        if self.flying(id).next().is_some() {
            return;
        }
        let Some(record) = self.plans.get(id) else { return };
        let all_done = record.actions.iter().all(|status| status.state == ActionState::Done);
        let Some(Stage::Executing(execution)) = self.stage(id) else { return };
        if all_done {
            self.end(id, PlanState::Succeeded, "", now);
        } else if let Some(halt) = execution.halt.take() {
            self.end_halted(id, halt, now);
        }
    }
}

/// `migration of VM v from a to b`
pub(super) fn describe(action: &Action) -> String {
    match action.kind {
        ActionKind::Migrate => {
            format!("migration of VM {} from {} to {}", action.vm, action.source, action.destination)
        }
        _ => format!("start of VM {} on {}", action.vm, action.destination),
    }
}

/// An event about an action.
pub(super) fn about(plan: &str, action: &Action, said: Event) -> Event {
    Event {
        host: executor(action).to_owned(),
        vm: action.vm.clone(),
        plan_id: plan.to_owned(),
        action_id: action.id,
        ..said
    }
}

/// A record's action by id, with the record.
pub(super) type Known = (Arc<PlanRecord>, Action, ActionState);

impl Core {
    /// An action that a plan of ours has.
    pub(super) fn known(&self, key: &ActionKey) -> Option<Known> {
        let record = self.plans.get(&key.plan_id)?;
        let status = record.actions.iter().find(|status| status.action_id == key.action_id)?;
        Some((record.clone(), action_of(record, key.action_id)?.clone(), status.state))
    }
}

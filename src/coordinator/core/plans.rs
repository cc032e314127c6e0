//! Plans and their lives: how they come, change and end.
//!
//! A plan that answers troubles holds its partition from the solve on; while it is proposed it holds none. The keys
//! of its troubles are taken from the detector until it ends, so that there is one plan for a trouble at a time.

use super::execution::Execution;
use super::journal::event;
use super::ring::Shared;
use super::solves::Search;
use super::{Core, Halt};
use crate::coordinator::detect::Key;
use crate::coordinator::inventory::Now;
use crate::coordinator::rules;
use crate::coordinator::view::PLANS_KEPT;
use crate::record::{
    ActionState, Event, EventKind, Mode, Pace, PlanRecord, PlanRequest, PlanState, Severity,
};
use crate::store;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A plan that has not ended.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) cause: Cause,
    pub(super) stage: Stage,
    /// Plans before this one that failed.
    pub(super) replans: u32,
}

/// Why there is a plan.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// It answers troubles.
    Troubles(Vec<Key>),
    /// It answers troubles with hosts of other coordinators too.
    Shared(Box<Shared>),
    /// Somebody asked for it.
    Request(Box<PlanRequest>),
    /// It is of before a restart, and what is left of it is not planned again.
    Past,
}

/// Where a plan stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits for its hosts.
    Queued,
    /// Holds its hosts; the solver has it, or will.
    Solving(Search),
    /// Waits for an operator, and holds no hosts.
    Proposed(Proposal),
    /// Holds its hosts.
    Executing(Execution),
}

/// A plan that waits for an operator.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Whether the trouble was seen since the start of the process; before it its absence says nothing.
    pub(super) seen: bool,
    pub(super) since: Duration,
    /// Since when the hosts of an approved plan are asked for, where some are of other coordinators.
    pub(super) claimed: Option<Duration>,
}

/// A new plan.
pub(super) struct Draft {
    pub(super) cause: Cause,
    pub(super) mode: Mode,
    pub(super) trigger: String,
    pub(super) purpose: String,
    pub(super) hosts: BTreeSet<String>,
    pub(super) replans: u32,
    /// The caller's id, and the parameters.
    pub(super) request: (String, String),
    pub(super) pace: Pace,
}

impl Core {
    /// Makes a plan, in state QUEUED; its hosts are not reserved yet.
    pub(super) fn new_plan(&mut self, draft: Draft, now: Now) -> String {
        let id = self.new_id(now);
        let event_ids = match &draft.cause {
            Cause::Troubles(keys) => keys.iter().filter_map(|key| self.event_of.get(key)).copied().collect(),
            Cause::Shared(shared) => {
                shared.own.iter().filter_map(|key| self.event_of.get(key)).copied().collect()
            }
            _ => Vec::new(),
        };
        let (request_id, request) = draft.request;
        let record = PlanRecord {
            id: id.clone(),
            event_ids,
            hosts: draft.hosts.into_iter().collect(),
            request_id,
            request,
            pace: draft.pace,
            ..PlanRecord::new(PlanState::Queued, draft.mode, draft.trigger, draft.purpose, now.wall)
        };
        let message = format!("plan {id} is made: {}", record.purpose);
        let said = event(EventKind::PlanCreated, Severity::Info, message);
        if let Cause::Troubles(keys) = &draft.cause {
            self.detector.taken(keys);
        }
        let host = match record.hosts.as_slice() {
            [only] => only.clone(),
            _ => String::new(),
        };
        self.plans.insert(id.clone(), Arc::new(record));
        let life = Life { cause: draft.cause, stage: Stage::Queued, replans: draft.replans };
        self.lives.insert(id.clone(), life);
        self.save(&id);
        self.tell(Event { plan_id: id.clone(), host, ..said }, now);
        id
    }

    /// Sorts by time, and after every id that was ever given here.
    fn new_id(&mut self, now: Now) -> String {
        let millis = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        self.last_plan = millis.max(self.last_plan + 1);
        self.last_plan_id()
    }

    /// The last id that was given here. Those of a member of a ring tell its name.
    pub(super) fn last_plan_id(&self) -> String {
        let member = if self.ring.is_named() { self.ring.me() } else { "" };
        plan_id(self.last_plan, member)
    }

    /// Changes a record; readers see it.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut PlanRecord)) {
        if let Some(record) = self.plans.get_mut(id) {
            let record = Arc::make_mut(record);
            change(record);
            record.revision += 1;
            self.shown.insert(id.to_owned());
        }
    }

    /// Changes a record; readers see it and the store keeps it.
    pub(super) fn change_for_good(&mut self, id: &str, change: impl FnOnce(&mut PlanRecord)) {
        self.change(id, change);
        self.save(id);
    }

    fn save(&mut self, id: &str) {
        self.shown.insert(id.to_owned());
        self.unsaved.insert(id.to_owned());
    }

    /// Hands the records that are to be kept to the journal: each once, as it is now.
    pub(super) fn save_plans(&mut self) {
        for id in std::mem::take(&mut self.unsaved) {
            if let Some(record) = self.plans.get(&id) {
                self.journal.write(store::Change::Plan(record.clone()));
            }
        }
    }

    pub(super) fn stage(&mut self, id: &str) -> Option<&mut Stage> {
        self.lives.get_mut(id).map(|life| &mut life.stage)
    }

    /// Ends a plan that has nothing in flight any more, and gives its hosts back.
    pub(super) fn end(&mut self, id: &str, state: PlanState, message: &str, now: Now) {
        let Some(life) = self.lives.remove(id) else { return };
        self.drop_solve_of(&life.stage);
        let paused = self.plans.get(id).is_some_and(|record| record.paused.is_some());
        self.change_for_good(id, |record| {
            (record.paused, record.scheduled) = (None, false);
            (record.state, record.ended) = (state, Some(now.wall));
            message.clone_into(&mut record.message);
            record.waits_for.clear();
            for status in record.actions.iter_mut().filter(|s| s.state == ActionState::Waiting) {
                status.state = ActionState::Skipped;
            }
        });
        *self.figures.plans.entry(state.name()).or_default() += 1;
        let (kind, severity) = match state {
            PlanState::Blocked => (EventKind::Blocked, Severity::Error),
            PlanState::Failed => (EventKind::PlanEnded, Severity::Warning),
            _ => (EventKind::PlanEnded, Severity::Info),
        };
        let colon = if message.is_empty() { "" } else { ": " };
        let text = format!("plan {id} is {}{colon}{message}", state.name());
        self.tell(Event { plan_id: id.to_owned(), ..event(kind, severity, text) }, now);
        self.free_hosts_of(id, now);
        let keys = match &life.cause {
            Cause::Troubles(keys) => keys.as_slice(),
            Cause::Shared(shared) => shared.own.as_slice(),
            Cause::Request(_) | Cause::Past => &[],
        };
        if let Stage::Executing(_) = &life.stage
            && !keys.is_empty()
        {
            self.detector.left_alone(keys);
            self.detect(now);
        }
        let helped = state == PlanState::Succeeded && message.is_empty();
        if let Cause::Shared(shared) = &life.cause {
            self.leave_partition(id, shared, state, now);
            // The protocol does not have those that an operator had in hand.
            match &life.stage {
                Stage::Proposed(_) => self.put_down(id, &shared.own, false, now),
                Stage::Executing(execution) if execution.approved => {
                    self.put_down(id, &self.not_raised(&shared.own), helped, now);
                }
                _ => {}
            }
        }
        // What an operator has paused goes on under another name only when that is approved.
        let mode = paused.then_some(Mode::Approve);
        if !(state == PlanState::Failed && self.succeed(id, &life, mode, now))
            && let Cause::Troubles(keys) = &life.cause
        {
            self.put_down(id, keys, helped, now);
        }
        self.urgent = true;
        self.forget_old_plans();
    }

    /// The plan that answered these troubles has ended.
    fn put_down(&mut self, id: &str, keys: &[Key], helped: bool, now: Now) {
        let passed_over = if helped { self.passed_over(id, keys) } else { Vec::new() };
        self.detector.released(keys, helped, now, &self.settings);
        self.detector.not_helped(&passed_over);
    }

    /// Those of these troubles for which a plan has done nothing, as it could not do all at once.
    pub(super) fn passed_over(&self, id: &str, keys: &[Key]) -> Vec<Key> {
        let Some(plan) = self.plans.get(id).and_then(|record| record.plan.as_ref()) else {
            return Vec::new();
        };
        let is_left = |(kind, subject): &&Key| match kind {
            EventKind::Overload | EventKind::Drain => !plan.actions.iter().any(|a| a.source == *subject),
            EventKind::VmWaiting => !plan.actions.iter().any(|a| a.vm == *subject),
            _ => false,
        };
        keys.iter().filter(is_left).cloned().collect()
    }

    /// Hosts of a plan that has ended are free, but those of an action that somebody still carries out.
    fn free_hosts_of(&mut self, id: &str, now: Now) {
        let aloft: BTreeSet<String> = self.hosts_aloft(id);
        if aloft.is_empty() {
            self.release(id, now);
        } else if let Some(held) = self.partitions.hosts(id) {
            let leaving = held.difference(&aloft).cloned().collect();
            self.shrink(id, &leaving, now);
        }
    }

    /// Ends a plan as VMs are not moved for now; what is left of a request is planned anew.
    pub(super) fn end_closed(&mut self, id: &str, why: &str, now: Now) {
        let life = self.lives.get(id);
        let request = life.and_then(|life| match &life.cause {
            Cause::Request(request) => Some((request.clone(), life.replans)),
            _ => None,
        });
        self.end(id, PlanState::Cancelled, why, now);
        let Some((request, replans)) = request.filter(|_| self.may_plan()) else { return };
        if let Some(successor) = self.request_again(&request, replans, None, now) {
            self.change_for_good(id, |record| record.successor = successor);
        }
    }

    /// Ends what is over, with its reason.
    pub(super) fn end_halted(&mut self, id: &str, halt: Halt, now: Now) {
        match halt {
            Halt::Failed(why) => self.end(id, PlanState::Failed, &why, now),
            Halt::Cancelled(why) => self.end(id, PlanState::Cancelled, &why, now),
            Halt::Closed(why) => self.end_closed(id, &why, now),
            Halt::Restarted => {
                let why = "the coordinator was restarted while it was executed; what is left is planned anew \
                           where it is still needed";
                self.end(id, PlanState::Failed, why, now);
            }
        }
    }

    /// The same for a trouble, see [`Core::busy_for_trouble`].
    pub(super) fn reserve_for_trouble(
        &mut self,
        id: &str,
        hosts: &BTreeSet<String>,
        kind: EventKind,
    ) -> Result<(), String> {
        if kind == EventKind::Underload {
            return self.reserve(id, hosts);
        }
        self.partitions.reserve_ahead(id, hosts).map_err(|refused| refused.to_string())?;
        self.touch_hosts(hosts);
        Ok(())
    }

    /// Reserves hosts for a plan now, or says who has them.
    pub(super) fn reserve(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<(), String> {
        self.partitions.reserve(id, hosts).map_err(|refused| refused.to_string())?;
        self.touch_hosts(hosts);
        Ok(())
    }

    /// Gives some hosts of a plan back.
    pub(super) fn shrink(&mut self, id: &str, leaving: &BTreeSet<String>, now: Now) {
        let granted = self.partitions.shrink(id, leaving);
        self.touch_hosts(leaving);
        self.granted(granted, now);
    }

    /// Gives all hosts of a plan back.
    pub(super) fn release(&mut self, id: &str, now: Now) {
        if let Some(hosts) = self.partitions.hosts(id).cloned() {
            self.touch_hosts(&hosts);
        }
        let granted = self.partitions.release(id);
        self.granted(granted, now);
    }

    pub(super) fn touch_hosts<'a>(&mut self, hosts: impl IntoIterator<Item = &'a String>) {
        hosts.into_iter().for_each(|host| self.cell.touch(host));
    }

    /// Whether a host is reserved for others than this plan, or others wait for it.
    pub(super) fn busy_for<'a>(&'a self, id: &'a str) -> impl Fn(&str) -> bool + use<'a> {
        let wanted: BTreeSet<&String> = self.partitions.waiting().flat_map(|(_, hosts)| hosts).collect();
        move |host| {
            self.partitions.holder(host).is_some_and(|holder| holder != id)
                || wanted.contains(&host.to_owned())
                || self.is_acted_on(host, id)
        }
    }

    /// Hosts that cannot be had for a trouble: those that others hold; for thrift also those that others wait for.
    /// Repair goes ahead of requests that wait for their hosts, as those could wait for very long.
    pub(super) fn busy_for_trouble<'a>(
        &'a self,
        id: &'a str,
        kind: EventKind,
    ) -> impl Fn(&str) -> bool + use<'a> {
        let waits = (kind == EventKind::Underload).then(|| self.busy_for(id));
        let held = move |host: &str| {
            self.partitions.holder(host).is_some_and(|holder| holder != id) || self.is_acted_on(host, id)
        };
        move |host| waits.as_ref().map_or_else(|| held(host), |busy| busy(host))
    }

    /// Whether a VM is to be left alone: something has it, or an action on it failed a short time ago.
    fn rests(&self, vm: &str, now: Now) -> bool {
        self.cell.flight(vm).is_some() || self.resting.get(vm).is_some_and(|until| now.at < *until)
    }

    /// VMs that a plan for these hosts leaves where they are.
    pub(super) fn stay<'a>(
        &'a self,
        hosts: &BTreeSet<String>,
        shared: bool,
        now: Now,
    ) -> impl Fn(&str) -> bool + 'a {
        let still = self.kept_still(hosts, shared);
        let down = self.cell.are_down();
        let turns = self.turns();
        move |vm| {
            self.rests(vm, now)
                || turns.why_not_yet(vm).is_some()
                || still.iter().any(|rule| rules::is_about(&self.cell, rule, vm))
                || (down.contains(vm) && self.is_being_asked_for(vm, now))
        }
    }

    fn forget_old_plans(&mut self) {
        let ended = self.plans.values().filter(|record| record.state.is_terminal()).count();
        let old: Vec<String> = (self.plans.values())
            .filter(|record| record.state.is_terminal())
            .take(ended.saturating_sub(PLANS_KEPT))
            .map(|record| record.id.clone())
            .collect();
        for id in old {
            self.plans.remove(&id);
            self.shown.insert(id);
        }
    }
}

/// The name of a plan that was made at this time, in milliseconds since 1970, by this member of a ring (empty = there
/// is none).
fn plan_id(millis: u64, member: &str) -> String {
    let dash = if member.is_empty() { "" } else { "-" };
    format!("p-{millis:012x}{dash}{member}")
}

/// The time in the name of a plan, and the member.
fn parts_of(id: &str) -> Option<(u64, Option<&str>)> {
    let rest = id.strip_prefix("p-")?;
    let (millis, member) =
        rest.split_once('-').map_or((rest, None), |(millis, member)| (millis, Some(member)));
    Some((u64::from_str_radix(millis, 16).ok()?, member))
}

/// The time in the name of a plan.
pub(super) fn millis_of(id: &str) -> Option<u64> {
    parts_of(id).map(|(millis, _)| millis)
}

/// The member of a ring that has made a plan.
pub(super) fn member_of(id: &str) -> Option<&str> {
    parts_of(id)?.1
}

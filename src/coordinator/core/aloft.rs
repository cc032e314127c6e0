//! Actions that agents have: which, until when they are waited for, and what becomes of those that nobody speaks of
//! any more. A VM counts at both ends until it is certain where it is.

use super::Core;
use super::Effect;
use super::execution::{Halt, about, describe};
use super::journal::event;
use crate::coordinator::inventory::{Flight, Now};
use crate::coordinator::peers::Frame;
use crate::record::{
    ActionKey, ActionProgress, ActionState, Connection, Event, EventKind, Order, PlanState, ProgressState,
    Severity, VmState,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// An action that an agent has.
#[derive(Debug)]
pub(super) struct Aloft {
    /// Whose agent has it.
    pub(super) executor: String,
    pub(super) vm: String,
    /// Its agent may have heard of it; otherwise the order waits for the store, or for `asked`.
    pub(super) told: bool,
    /// When the owner of its destination was last asked whether it expects the VM; `None` = it need not be, or has said so.
    pub(super) asked: Option<Duration>,
    /// That agent is one of another member of the ring.
    pub(super) abroad: Option<Abroad>,
    /// When it is not waited for any more; `None` = it is given up: its plan may end, its VM counts on.
    limit: Option<Duration>,
    /// Its agent was asked and does not know it.
    orphan: bool,
    /// It is to be aborted.
    abort: bool,
}

/// An action whose agent another member of the ring has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abroad {
    /// When that member was last told of it.
    pub(super) told: Duration,
    /// Progress was heard.
    pub(super) heard: bool,
    /// It is waited for so long where progress is heard after its agent has gone over to that member.
    if_heard: Option<Duration>,
    /// Its leader may begin it until then: until then it is not this member's to end.
    pub(super) kept_until: Duration,
}

impl Abroad {
    pub(super) fn since(told: Duration) -> Self {
        Self { told, heard: false, if_heard: None, kept_until: Duration::ZERO }
    }
}

impl Aloft {
    pub(super) fn new(executor: &str, vm: &str, limit: Option<Duration>, abroad: Option<Abroad>) -> Self {
        let (executor, vm) = (executor.to_owned(), vm.to_owned());
        Self { executor, vm, told: true, asked: None, abroad, limit, orphan: false, abort: false }
    }

    /// Until when it is waited for.
    pub(super) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Its agent has gone over to another member, which has not told of it yet.
    pub(super) fn has_gone(&self) -> bool {
        self.abroad.is_some_and(|abroad| abroad.if_heard.is_some())
    }

    /// Its agent is one of another member from now on, which tells of it; if it does not, it may have done so before.
    pub(super) fn goes_abroad(&mut self, now: Duration, until: Duration) {
        let limit = self.limit.unwrap_or(until);
        self.abroad = Some(Abroad { if_heard: Some(limit), ..Abroad::since(now) });
        self.limit = Some(limit.min(until));
    }
}

impl Core {
    /// From now on an agent has an action.
    pub(super) fn take_off(&mut self, executor: &str, vm: &str, flight: Flight, limit: Duration) {
        let key = flight.key.clone();
        self.cell.take_off(vm, flight);
        let ours = self.ring.sleeps() || self.cell.hosts.contains_key(executor) && !self.is_lent(executor);
        let abroad = (!ours).then(|| Abroad::since(self.looked));
        self.aloft.insert(key, Aloft::new(executor, vm, Some(limit), abroad));
    }

    /// The order to begin an action waits for the store.
    pub(super) fn not_told_yet(&mut self, key: &ActionKey) {
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.told = false;
        }
    }

    /// The order to begin an action is on its way.
    pub(super) fn told(&mut self, key: &ActionKey) {
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.told = true;
        }
    }

    /// An action is not waited for any more: it is uncertain.
    pub(super) fn give_up_on(&mut self, key: &ActionKey) {
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.limit = None;
        }
    }

    /// An action has ended.
    pub(super) fn land(&mut self, key: &ActionKey, done: bool) {
        let Some(aloft) = self.aloft.remove(key) else { return };
        self.journal.withdraw(key);
        // Another action may have the VM by now.
        let Some(flight) = self.cell.flight(&aloft.vm).filter(|flight| flight.key == *key).cloned() else {
            return;
        };
        self.cell.land(&aloft.vm, done);
        if done && (aloft.abroad.is_some() || aloft.limit.is_none()) {
            // That may be old news: its host tells whether it is there still.
            let why = format!(
                "it was told late that {} has come by action {} of {}",
                aloft.vm, key.action_id, key.plan_id
            );
            self.ask_for_all(&flight.destination, why);
        }
    }

    pub(super) fn is_aloft(&self, key: &ActionKey) -> bool {
        self.aloft.contains_key(key)
    }

    /// Whether the end of an action is waited for, and its agent can tell it.
    pub(super) fn is_waited_for(&self, key: &ActionKey) -> bool {
        self.aloft.get(key).is_some_and(|aloft| aloft.limit.is_some() && !self.has_failed(aloft))
    }

    /// Whether the host whose agent has an action has failed, or is not there any more. Of one of another member nothing
    /// is known here.
    fn has_failed(&self, aloft: &Aloft) -> bool {
        let entry = self.cell.hosts.get(&aloft.executor);
        aloft.abroad.is_none() && entry.is_none_or(|entry| entry.connection == Connection::Failed)
    }

    /// Whether the host whose agent has an action has failed.
    pub(super) fn is_with_failed(&self, key: &ActionKey) -> bool {
        self.aloft.get(key).is_some_and(|aloft| self.has_failed(aloft))
    }

    /// Actions of a plan that are waited for.
    pub(super) fn flying<'a>(&'a self, plan: &'a str) -> impl Iterator<Item = &'a ActionKey> + use<'a> {
        self.of_plan(plan).filter(|(_, aloft)| aloft.limit.is_some()).map(|(key, _)| key)
    }

    fn of_plan<'a>(&'a self, plan: &'a str) -> impl Iterator<Item = (&'a ActionKey, &'a Aloft)> + use<'a> {
        let first = ActionKey { plan_id: plan.to_owned(), action_id: 0 };
        self.aloft.range(first..).take_while(move |(key, _)| key.plan_id == plan)
    }

    /// Hosts of a plan's actions that their agents still have.
    pub(super) fn hosts_aloft(&self, plan: &str) -> BTreeSet<String> {
        let theirs = self.of_plan(plan).filter(|(_, aloft)| !self.has_failed(aloft));
        let flights = theirs.filter_map(|(_, aloft)| self.cell.flight(&aloft.vm));
        flights.flat_map(|flight| [flight.source.clone(), flight.destination.clone()]).collect()
    }

    /// An agent has spoken of an action: it is alive.
    pub(super) fn heard(&mut self, key: &ActionKey) {
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.orphan = false;
            if let Some(abroad) = &mut aloft.abroad {
                abroad.heard = true;
                aloft.limit = abroad.if_heard.take().or(aloft.limit);
            }
        }
    }

    /// Ends actions of a plan that no agent was told of yet.
    pub(super) fn withdraw_untold(&mut self, plan: &str, why: &str, now: Now) {
        let untold = self.of_plan(plan).filter(|(_, aloft)| !aloft.told);
        for key in untold.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.never_begun(&key, why, now);
        }
    }

    /// Aborts what runs of a plan.
    pub(super) fn abort_all(&mut self, plan: &str, now: Now) {
        self.withdraw_untold(plan, "it was cancelled before its agent was told", now);
        let keys: Vec<ActionKey> = self.flying(plan).cloned().collect();
        for key in keys {
            if let Some(aloft) = self.aloft.get_mut(&key) {
                aloft.abort = true;
                let host = aloft.executor.clone();
                self.tell_abort(&host, key);
            }
        }
    }

    pub(super) fn tell_abort(&mut self, host: &str, key: ActionKey) {
        if let Some(entry) = self.cell.hosts.get(host).filter(|_| !self.is_lent(host)) {
            let (host, epoch) = (host.to_owned(), entry.epoch);
            // After the order itself, which may still wait for the store.
            self.journal.then(Effect::Tell { host, epoch, order: Order::Cancel(key) });
        } else {
            self.tell_owner(host, Frame::Cancel { host: host.to_owned(), key });
        }
    }

    /// A host's new session has told which actions its agent has.
    pub(super) fn reconcile(&mut self, host: &str, actions: Vec<ActionProgress>, now: Now) {
        let told: BTreeSet<ActionKey> = actions.iter().map(|action| action.key.clone()).collect();
        // Of before: what is told may let others be begun.
        let ours = self.aloft.iter().filter(|(key, aloft)| aloft.executor == host && !told.contains(*key));
        let untold: Vec<ActionKey> = ours.map(|(key, _)| key.clone()).collect();
        for action in actions {
            let key = action.key.clone();
            self.progress(host, action, now);
            if self.aloft.get(&key).is_some_and(|aloft| aloft.abort) {
                self.tell_abort(host, key);
            }
        }
        for key in untold {
            if !self.send_again(&key, now)
                && let Some(aloft) = self.aloft.get_mut(&key)
            {
                aloft.orphan = true;
            }
        }
        self.settle_orphans(now);
    }

    /// An order that its agent never had is sent again, if it is still wanted.
    fn send_again(&mut self, key: &ActionKey, now: Now) -> bool {
        if self.aloft.get(key).is_some_and(|aloft| aloft.asked.is_some()) {
            return true;
        }
        let Some((record, action, state)) = self.known(key) else { return false };
        let halted = match self.stage(&key.plan_id) {
            Some(super::plans::Stage::Executing(execution)) => execution.halt.is_some(),
            _ => true,
        };
        if halted || state != ActionState::Sent || !self.may_begin() {
            return false;
        }
        let Some(tell) = self.order(&record, &action) else { return false };
        let limit = now.at.saturating_add(self.give_up_after(&action));
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.limit = Some(limit);
        }
        self.journal.then(tell);
        true
    }

    /// Actions that their agents do not know (their journal is gone, or they never had them) end by what is seen of
    /// their VMs.
    pub(super) fn settle_orphans(&mut self, now: Now) {
        let orphans = self.aloft.iter().filter(|(_, aloft)| aloft.orphan || self.has_failed(aloft));
        let orphans: Vec<(ActionKey, String)> =
            orphans.map(|(key, aloft)| (key.clone(), aloft.vm.clone())).collect();
        for (key, vm) in orphans {
            let Some(flight) = self.cell.flight(&vm).filter(|flight| flight.key == key) else {
                self.aloft.remove(&key);
                continue;
            };
            match self.seen_end(&vm, flight) {
                Some(true) => {
                    let why = "its agent does not know it any more; the VM is seen at its destination";
                    self.conclude(&key, true, why, now);
                }
                Some(false) => {
                    let why = "its agent does not know it, and the VM is not at its destination";
                    self.conclude(&key, false, why, now);
                }
                None if self.has_left_us(&key, &vm, flight) => {
                    let why = "its agent does not know it any more, and the VM has left the cell";
                    // After a boot of its host it waits to be started again, unless it is found elsewhere.
                    let left = !flight.destination.is_empty() && !self.cell.waiting.contains_key(&vm);
                    self.conclude(&key, left, why, now);
                }
                None => {}
            }
        }
    }

    /// Whether an action of a plan that is not known here has nothing here any more: its agent has nothing under way,
    /// the VM is not at its host, and it goes to one of another cell, whose owner tells of it.
    fn has_left_us(&self, key: &ActionKey, vm: &str, flight: &Flight) -> bool {
        let source = self.cell.hosts.get(&flight.source).filter(|entry| entry.is_known());
        let gone = source.is_some_and(|entry| !entry.vms.contains_key(vm));
        let ours = self.aloft.get(key).is_some_and(|aloft| aloft.orphan && aloft.executor == flight.source);
        gone && ours && self.known(key).is_none() && !self.cell.hosts.contains_key(&flight.destination)
    }

    /// How an action ended, by where its VM is seen; `None` = not certain.
    fn seen_end(&self, vm: &str, flight: &Flight) -> Option<bool> {
        // What a host says of the VM; `None` = it cannot be asked.
        let at = |host: &str| {
            let entry = self.cell.hosts.get(host).filter(|entry| entry.is_known())?;
            Some(entry.vms.get(vm).map_or(VmState::Off, |vm| vm.report.state))
        };
        let (source, destination) = (at(&flight.source), at(&flight.destination));
        let lives = |state: Option<VmState>| state.is_some_and(VmState::lives_here);
        let arrives = destination == Some(VmState::MigratingIn);
        if lives(destination) && !lives(source) {
            return Some(true);
        }
        // Something is under way, or the destination cannot tell.
        let silent = destination.is_none() && !lives(source);
        if silent || arrives || lives(destination) || source == Some(VmState::MigratingOut) {
            return None;
        }
        // It stayed, did not come to be, or was shut down meanwhile; a source that is out of reach may have it.
        (source.is_some() || !flight.migrates).then_some(false)
    }

    /// Ends an action that its agent was not told of.
    pub(super) fn never_begun(&mut self, key: &ActionKey, why: &str, now: Now) {
        self.in_scene(&key.plan_id, |core| core.conclude(key, false, why, now));
    }

    /// Ends an action without its agent.
    fn conclude(&mut self, key: &ActionKey, done: bool, why: &str, now: Now) {
        self.land(key, done);
        self.urgent = true;
        let Some((_, action, _)) = self.known(key) else {
            return self.end_stray(key, now);
        };
        let progress = ActionProgress { key: key.clone(), message: why.to_owned(), ..Default::default() };
        self.note_end(key, &action, done, &progress, now);
        self.after_end(key, &action, done, why, now);
    }

    /// Actions that are not waited for any more: their host has failed, or they are long past their deadline.
    pub(super) fn give_up(&mut self, now: Now) {
        let mut late = Vec::new();
        for (key, aloft) in self.aloft.iter().filter(|(_, aloft)| aloft.limit.is_some()) {
            let failed = self.has_failed(aloft);
            let late_now = aloft.limit.is_some_and(|limit| now.at > limit);
            if failed || late_now || self.is_left_to_us(key, aloft, now) {
                let host = &aloft.executor;
                let why = if failed {
                    format!("host {host} has failed while it carried it out")
                } else {
                    format!("host {host} has not told how it ended, long after its deadline")
                };
                late.push((key.clone(), why));
            }
        }
        for (key, why) in late {
            if self.give_up_abroad(&key, now) {
                continue;
            }
            let Some(aloft) = self.aloft.get_mut(&key) else { continue };
            aloft.limit = None;
            if !aloft.told {
                self.conclude(
                    &key,
                    false,
                    "its agent was not told, as it could not be stored, or its destination was not to be had",
                    now,
                );
                continue;
            }
            self.journal.withdraw(&key);
            self.ask_again(&key);
            let Some((_, action, _)) = self.known(&key) else { continue };
            let what = describe(&action);
            let message = format!(
                "{what} is uncertain: {why}. The VM counts at both hosts and is left alone until one tells"
            );
            let said = event(EventKind::Alarm, Severity::Error, message);
            self.tell(about(&key.plan_id, &action, said), now);
            self.change_for_good(&key.plan_id, |record| {
                let status = record.actions.iter_mut().find(|status| status.action_id == key.action_id);
                if let Some(status) = status {
                    (status.state, status.message) = (ActionState::Uncertain, why.clone());
                }
            });
            self.halt(&key.plan_id, Halt::Failed(format!("{what}: {why}")));
            self.pursue(&key.plan_id, now);
            if self.plans.get(&key.plan_id).is_some_and(|record| record.state != PlanState::Executing) {
                self.free_what_landed(&key.plan_id, now);
            }
        }
    }

    /// Whether nobody else looks after an action of another member's agent any more: the plan is not of here, and
    /// where it goes is not reserved for it.
    fn is_left_to_us(&self, key: &ActionKey, aloft: &Aloft, now: Now) -> bool {
        let destination = || self.cell.flight(&aloft.vm).map(|flight| flight.destination.as_str());
        let reserved = || {
            let holder = destination().and_then(|host| self.partitions.holder(host));
            holder.is_some_and(super::ring::is_of_ring)
        };
        let over = aloft.abroad.is_some_and(|abroad| now.at > abroad.kept_until);
        over && !self.plans.contains_key(&key.plan_id) && !reserved()
    }

    /// An action of another member's agent is not waited for any more: it ends by what is seen of its VM here. That
    /// member holds its hosts for it, and goes on to look after it.
    fn give_up_abroad(&mut self, key: &ActionKey, now: Now) -> bool {
        let Some(aloft) = self.aloft.get_mut(key).filter(|aloft| aloft.abroad.is_some()) else {
            return false;
        };
        let vm = aloft.vm.clone();
        let Some(flight) = self.cell.flight(&vm).filter(|flight| flight.key == *key) else {
            self.aloft.remove(key);
            return true;
        };
        // A start elsewhere is not taken for failed as nobody tells of it: the VM would be started once more.
        let known = self.cell.hosts.contains_key(&flight.destination);
        if !flight.migrates && !known && self.plans.contains_key(&key.plan_id) {
            return false;
        }
        let there = self.cell.hosts.get(&flight.destination).and_then(|host| host.vms.get(&vm));
        match there.map(|vm| vm.report.state) {
            // It is still under way: the next look asks again.
            Some(VmState::MigratingIn) => {}
            Some(state) if state.lives_here() => {
                self.conclude(key, true, "the VM is seen at its destination", now);
            }
            _ => {
                let why = "its coordinator has not told how it ended, long after its deadline";
                self.conclude(key, false, why, now);
            }
        }
        true
    }

    /// Asks the agent of an action for all that it has.
    fn ask_again(&mut self, key: &ActionKey) {
        let Some(host) = self.aloft.get(key).map(|aloft| aloft.executor.clone()) else { return };
        self.ask_for_all(&host, format!("nothing was heard of action {} of {}", key.action_id, key.plan_id));
    }

    /// Asks the agent of a host of this cell for all that it has.
    fn ask_for_all(&mut self, host: &str, why: String) {
        let here = self.cell.hosts.get(host).filter(|entry| entry.is_known() && !self.is_lent(host));
        if let Some(epoch) = here.map(|entry| entry.epoch) {
            let order = Order::Resync(why);
            self.effects.push(Effect::Tell { host: host.to_owned(), epoch, order });
        }
    }

    /// An agent speaks of an action of a plan that is not known here: its VM is on the move all the same.
    pub(super) fn stray(&mut self, host: &str, progress: &ActionProgress, now: Now) {
        let key = &progress.key;
        if !self.cell.hosts.contains_key(host) {
            // A plan that is not known any more: its owner need not say it again.
            if progress.state.is_terminal() {
                self.acknowledge(host, key);
            }
            return;
        }
        let leader = self.leader_of(&key.plan_id);
        if let Some(leader) = &leader {
            self.pass_on(leader, host, progress, now);
        }
        if progress.state.is_terminal() {
            let flight = self.cell.flight(&progress.vm).filter(|flight| flight.key == *key);
            let told = flight.is_some_and(|flight| !flight.destination.is_empty());
            self.land(key, (told || leader.is_some()) && progress.state == ProgressState::Done);
            self.end_stray(key, now);
            let (whose, severity) = match &leader {
                Some(leader) => (format!("a plan of coordinator {leader}"), Severity::Info),
                None => ("which is not known here".to_owned(), Severity::Warning),
            };
            let message = format!(
                "an action on VM {} of plan {}, {whose}, has ended at {host}: {:?}",
                progress.vm, key.plan_id, progress.state
            );
            let said = event(EventKind::ActionEnded, severity, message);
            let vm = progress.vm.clone();
            self.tell(
                Event {
                    host: host.to_owned(),
                    vm,
                    plan_id: key.plan_id.clone(),
                    action_id: key.action_id,
                    ..said
                },
                now,
            );
            if leader.is_none() {
                self.acknowledge(host, key);
            }
            return;
        }
        if self.is_aloft(key) {
            return self.heard(key);
        }
        let vm = &progress.vm;
        let lives = self.cell.hosts.get(host).is_some_and(|entry| entry.living().any(|(name, _)| name == vm));
        let arriving = |entry: &crate::coordinator::inventory::HostEntry| {
            entry.vms.get(vm).is_some_and(|vm| vm.report.state == VmState::MigratingIn)
        };
        let destination =
            self.cell.hosts.iter().find(|(_, entry)| arriving(entry)).map(|(name, _)| name.clone());
        let key = key.clone();
        let flight = if lives {
            let destination = destination.unwrap_or_default();
            let entry = self.cell.hosts.get(host);
            // Nobody knows what it was given.
            let rate = entry.map_or(0.0, |entry| entry.migration_bandwidth(&self.settings.inventory));
            Flight { key, source: host.to_owned(), destination, migrates: true, rate }
        } else {
            Flight { key, source: String::new(), destination: host.to_owned(), migrates: false, rate: 0.0 }
        };
        let key = &progress.key;
        self.hold([&flight.source, &flight.destination], &key.plan_id);
        let said = event(
            EventKind::ForeignChange,
            Severity::Warning,
            format!(
                "{host} carries out an action on VM {vm} of plan {}, which is not known here",
                key.plan_id
            ),
        );
        self.tell(Event { host: host.to_owned(), vm: vm.clone(), plan_id: key.plan_id.clone(), ..said }, now);
        self.take_off(host, vm, flight, Duration::MAX);
    }

    /// Holds hosts for something that is under way already. Where others have them, they are told by the load that
    /// is expected.
    pub(super) fn hold(&mut self, hosts: [&String; 2], plan: &str) {
        for host in hosts.into_iter().filter(|host| !host.is_empty()) {
            let only = BTreeSet::from([host.clone()]);
            if self.partitions.reserve(plan, &only).is_ok() || self.partitions.grow(plan, &only).is_ok() {
                self.cell.touch(host);
            }
        }
    }

    fn end_stray(&mut self, key: &ActionKey, now: Now) {
        self.land(key, false);
        self.free_what_landed(&key.plan_id, now);
    }

    /// Hosts of failed agents are not held for what they had.
    pub(super) fn free_what_is_held_for_nothing(&mut self, now: Now) {
        let held = self.partitions.partitions().map(|(id, _)| id);
        let dead = held.filter(|id| !self.lives.contains_key(*id) && !super::ring::is_of_ring(id));
        let dead: Vec<String> = dead.map(str::to_owned).collect();
        for id in dead {
            self.free_what_landed(&id, now);
        }
    }

    /// A plan that has ended, or is not known, holds its hosts for as long as it has something aloft.
    pub(super) fn free_what_landed(&mut self, plan: &str, now: Now) {
        if self.lives.contains_key(plan) {
            return;
        }
        let Some(held) = self.partitions.hosts(plan).cloned() else { return };
        let aloft = self.hosts_aloft(plan);
        if aloft.is_empty() {
            self.release(plan, now);
        } else {
            let leaving = held.difference(&aloft).cloned().collect();
            self.shrink(plan, &leaving, now);
        }
    }
}

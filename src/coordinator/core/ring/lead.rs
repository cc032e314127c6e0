//! Partitions that are led here: each has a plan, from its first solve on.

use super::super::execution::Halt;
use super::super::plans::{Cause, Draft, Stage};
use super::super::solves::Search;
use super::super::{Core, Life};
use super::claim::{claim_of, claimed};
use super::wishes::{key_of, trouble_of};
use crate::coordinator::detect::Key;
use crate::coordinator::inventory::Now;
use crate::partition::{
    Event, EventKey, Found, Held, Host, Input, Kind, Led, Member, Need, Outcome, PartitionId,
    Stage as PartitionStage,
};
use crate::record::{Pace, PlanRecord, PlanState};
use dvms_solver::lack::Lack;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a plan answers that may have hosts of several members.
#[derive(Debug, Clone)]
pub(in crate::coordinator::core) struct Shared {
    pub(super) partition: PartitionId,
    pub(super) version: u64,
    pub(super) hosts: BTreeMap<Host, Held>,
    /// Troubles of this cell.
    pub(in crate::coordinator::core) own: Vec<Key>,
    /// All troubles that are to be answered.
    pub(in crate::coordinator::core) all: Vec<Key>,
    /// These are all hosts that there are.
    pub(super) whole: bool,
    /// The number of the question where bound VMs are; 0 = there are none.
    pub(super) asked: u64,
}

impl Shared {
    /// Its hosts.
    pub(in crate::coordinator::core) fn hosts(&self) -> BTreeSet<String> {
        self.hosts.keys().map(ToString::to_string).collect()
    }
}

impl Core {
    /// What a shared plan is for.
    pub(in crate::coordinator::core) fn shared(&self, id: &str) -> Option<&Shared> {
        match self.lives.get(id) {
            Some(Life { cause: Cause::Shared(shared), .. }) => Some(shared),
            _ => None,
        }
    }

    pub(super) fn shared_mut(&mut self, id: &str) -> Option<&mut Shared> {
        match self.lives.get_mut(id) {
            Some(Life { cause: Cause::Shared(shared), .. }) => Some(shared),
            _ => None,
        }
    }

    /// How a shared plan has a host; `None` for other plans and hosts.
    pub(super) fn held(&self, id: &str, host: &str) -> Option<(&PartitionId, &Held)> {
        let shared = self.shared(id)?;
        shared.hosts.get(&Host::from(host)).map(|held| (&shared.partition, held))
    }

    /// A partition wants a plan.
    pub(super) fn lead(
        &mut self,
        partition: &PartitionId,
        version: u64,
        hosts: BTreeMap<Host, Held>,
        events: &[Event],
        whole: bool,
        now: Now,
    ) {
        let me = self.ring.node.me().clone();
        if let Some(id) = claimed(events, &me) {
            // An approved plan is for what it was approved for.
            self.leave_out(partition, version, |event| claim_of(event) != Some(&id), now);
            return self.claim_is_met(&id, partition, version, hosts, whole, now);
        }
        let own = events.iter().filter(|event| event.owner == me).map(key_of).collect();
        // VMs of others that are down are theirs to start: nobody else could tell them not to start them once more.
        let starts = |event: &Event| matches!(event.kind, Kind::HostFailed | Kind::VmWaiting);
        // So are plans that they have approved: their partition asks again when this one has ended.
        let ours = |event: &&Event| event.owner == me || !(starts(event) || claim_of(event).is_some());
        let all: Vec<Key> = events.iter().filter(ours).map(key_of).collect();
        self.leave_out(partition, version, |event| !ours(&event), now);
        if all.is_empty() {
            // Their turn comes when their owners lead a partition for them.
            let found = Found::Nothing;
            return self.happens(Input::Solved { partition: partition.clone(), version, found }, now);
        }
        let shared = Shared { partition: partition.clone(), version, hosts, own, all, whole, asked: 0 };
        let names = shared.hosts();
        let objective = match events.iter().map(|event| event.kind).min() {
            Some(kind) if kind.is_thrift() => "CONSOLIDATE",
            _ => "REPAIR",
        };
        let present = self.ring.plans.get(partition).filter(|id| self.lives.contains_key(*id)).cloned();
        let id = if let Some(id) = present {
            if let Some(present) = self.shared_mut(&id) {
                *present = shared;
            }
            let hosts: Vec<String> = names.into_iter().collect();
            tracing::info!(plan = id, hosts = hosts.len(), "the partition has changed; solving again");
            self.change_for_good(&id, |record| record.hosts = hosts);
            id
        } else {
            let trigger = events.iter().map(|event| event.kind).min().map(trouble_of);
            let draft = Draft {
                trigger: trigger.map(|kind| kind.name().to_owned()).unwrap_or_default(),
                mode: self.settings.planning.mode,
                purpose: self.purpose(events),
                hosts: names,
                cause: Cause::Shared(Box::new(shared)),
                replans: 0,
                request: (String::new(), String::new()),
                pace: Pace::default(),
            };
            let id = self.new_plan(draft, now);
            self.ring.plans.insert(partition.clone(), id.clone());
            id
        };
        let asked = self.in_scene(&id, |core| core.ask_where_bound_are(&id));
        if let Some(shared) = self.shared_mut(&id) {
            shared.asked = asked;
        }
        let search = match self.stage(&id) {
            Some(Stage::Solving(search)) => std::mem::take(search),
            _ => Search::default(),
        };
        self.search(&id, objective, Search { whole: true, ..search }, now);
    }

    /// Tells a partition which of its events are not answered, so that their owners are told so when it ends.
    pub(super) fn leave_out(
        &mut self,
        partition: &PartitionId,
        version: u64,
        left_out: impl Fn(&Event) -> bool,
        now: Now,
    ) {
        let led = self.ring.node.partition(partition);
        let mut events: BTreeMap<Member, BTreeSet<EventKey>> = BTreeMap::new();
        for event in led.into_iter().flat_map(Led::events).filter(|event| left_out(event)) {
            events.entry(event.owner.clone()).or_default().insert(event.key.clone());
        }
        if !events.is_empty() {
            // What the node says to that is heard with what it has said before.
            let time = self.ring.time(now);
            let partition = partition.clone();
            self.ring.node.handle_event(time, Input::LeftOut { partition, version, events });
        }
    }

    fn purpose(&self, events: &[Event]) -> String {
        let name = |event: &Event| {
            let key = key_of(event);
            let told = self.detector.standing().find(|trouble| trouble.key() == key);
            told.map_or_else(
                || format!("{} of {} at {}", key.0.name(), key.1, event.owner),
                |t| t.message.clone(),
            )
        };
        let Some(first) = events.iter().min_by_key(|event| event.kind) else { return String::new() };
        match events.len() - 1 {
            0 => name(first),
            more => format!("{} (and {more} more)", name(first)),
        }
    }

    /// What is being solved for a partition is not wanted any more.
    pub(super) fn stop_leading(&mut self, partition: &PartitionId) {
        let Some(id) = self.ring.plans.get(partition).cloned() else { return };
        if let Some(Stage::Solving(search)) = self.stage(&id) {
            let stage = Stage::Solving(Search { solve: search.solve, ..Search::default() });
            self.drop_solve_of(&stage);
        }
    }

    /// The solver has a plan for a partition that does what it is for, or as much as can be done.
    pub(in crate::coordinator::core) fn found(&mut self, id: &str, touched: &BTreeSet<String>, now: Now) {
        let touched = touched.iter().map(|host| host.as_str().into()).collect();
        self.say_found(id, Found::Plan { touched }, now);
    }

    /// The solver has no plan for these hosts: more are asked for, as many as have the room that is `lack`ing, and of these
    /// only such as have some for one of the VMs; more with each try, as VMs do not fit like water.
    pub(in crate::coordinator::core) fn found_none(&mut self, id: &str, lack: Option<Lack>, now: Now) {
        let tries = self.shared(id).map_or(1, |shared| shared.version);
        let need = lack.map(|lack| Need::after(lack.room, lack.least, tries));
        self.say_found(id, Found::None { need: need.unwrap_or_default() }, now);
    }

    /// Whether a shared plan has all hosts that there are.
    pub(in crate::coordinator::core) fn has_all_hosts(&self, id: &str) -> bool {
        self.shared(id).is_some_and(|shared| shared.whole)
    }

    fn say_found(&mut self, id: &str, found: Found, now: Now) {
        let Some(shared) = self.shared(id) else { return };
        let (partition, version) = (shared.partition.clone(), shared.version);
        self.happens(Input::Solved { partition, version, found }, now);
    }

    /// The hosts of a partition are committed: its plan begins.
    pub(super) fn carry_out_shared(
        &mut self,
        partition: &PartitionId,
        hosts: BTreeMap<Host, Held>,
        now: Now,
    ) {
        let id = self.ring.plans.get(partition).cloned().unwrap_or_default();
        let approved = match self.stage(&id) {
            Some(Stage::Solving(_)) => false,
            Some(Stage::Proposed(proposal)) if proposal.claimed.is_some() => true,
            // It has ended meanwhile.
            _ => return self.happens(Input::Executed { partition: partition.clone() }, now),
        };
        if let Some(shared) = self.shared_mut(&id) {
            shared.hosts = hosts;
        }
        self.in_scene(&id, |core| core.execute(&id, approved, now));
    }

    /// Nothing more is begun on hosts that a partition does not have any more.
    pub(super) fn fence(&mut self, partition: &PartitionId, hosts: &BTreeSet<Host>, now: Now) {
        let Some(id) = self.ring.plans.get(partition).cloned() else { return };
        let names: Vec<&str> = hosts.iter().map(Host::as_str).collect();
        let why = format!("its reservation of {} has ended", names.join(", "));
        self.withdraw_untold(&id, &format!("its agent was not told any more: {why}"), now);
        self.halt(&id, Halt::Failed(why));
    }

    /// A partition that was led here is no more.
    pub(super) fn partition_ended(&mut self, partition: &PartitionId, outcome: Option<Outcome>, now: Now) {
        let Some(id) = self.ring.plans.remove(partition) else { return };
        match self.lives.get(&id).map(|life| &life.stage) {
            // One that waits for an operator, or for its hosts, waits on: the protocol asks for them again.
            None | Some(Stage::Proposed(_)) => return,
            Some(_) => {}
        }
        let (state, why) = match outcome {
            None => (
                PlanState::Cancelled,
                "its hosts have gone over to the partition of another coordinator".to_owned(),
            ),
            Some(Outcome::Dropped) if self.leaving.is_some() => {
                (PlanState::Cancelled, super::leave::NOT_BEGUN.to_owned())
            }
            Some(Outcome::Dropped) => {
                let why =
                    "hosts were lost, needed for something more urgent, or not to be had; it is tried again";
                (PlanState::Cancelled, why.to_owned())
            }
            Some(Outcome::Solved) => {
                (PlanState::Cancelled, "what it was made for has ended meanwhile".to_owned())
            }
            Some(Outcome::Unsolved) => (PlanState::Blocked, self.why_nothing(&id)),
        };
        self.end(&id, state, &why, now);
    }

    fn why_nothing(&self, id: &str) -> String {
        let plan = self.plans.get(id).and_then(|record: &Arc<PlanRecord>| record.plan.clone());
        let why = plan.map(|plan| self.why_blocked(id, &plan)).unwrap_or_default();
        format!("with all hosts of all coordinators that can be reached, {why}")
    }

    /// A shared plan has ended: so does its partition.
    pub(in crate::coordinator::core) fn leave_partition(
        &mut self,
        id: &str,
        shared: &Shared,
        state: PlanState,
        now: Now,
    ) {
        let partition = &shared.partition;
        // Another plan may have its partition by now.
        let has_it = self.ring.plans.get(partition).is_none_or(|plan| plan == id);
        if has_it {
            self.ring.plans.remove(partition);
        }
        self.end_claim(id, now);
        let message = self.plans.get(id).map(|record| record.message.clone()).unwrap_or_default();
        let idle = state == PlanState::Succeeded && !message.is_empty();
        let helped = state == PlanState::Succeeded && !idle;
        match state {
            _ if idle => self.was_idle(&shared.own),
            PlanState::Succeeded => {
                let left = self.passed_over(id, &shared.own);
                self.has_missed(&left, false);
            }
            state => self.has_missed(&shared.own, state == PlanState::Failed),
        }
        self.keep_aloft(id, partition);
        if has_it {
            // Those of others that were not helped by it.
            let me = self.ring.node.me().clone();
            let passed_over: BTreeSet<Key> = self.passed_over(id, &shared.all).into_iter().collect();
            let left = |event: &Event| event.owner != me && (!helped || passed_over.contains(&key_of(event)));
            self.leave_out(partition, shared.version, left, now);
        }
        let led = self.ring.node.partition(partition).filter(|_| has_it);
        match led.map(|led| (led.stage().clone(), led.version())) {
            Some((PartitionStage::Executing, _)) => {
                self.happens(Input::Executed { partition: partition.clone() }, now);
            }
            Some((PartitionStage::Solving { .. }, version)) => {
                let found = Found::Nothing;
                self.happens(Input::Solved { partition: partition.clone(), version, found }, now);
            }
            _ => {}
        }
    }
}

//! What is known when the coordinator begins.

use super::execution::{Execution, Halt, action_of, executor};
use super::plans::{Cause, Life, Proposal, Stage, millis_of};
use super::ring::Membership;
use super::solves::Solves;
use super::{Core, Journal};
use crate::coordinator::detect::{Detector, Key};
use crate::coordinator::inventory::{Cell, Down, HostEntry, Now};
use crate::coordinator::learning::Learned;
use crate::coordinator::policies::{Place, Policies};
use crate::coordinator::settings::Settings;
use crate::coordinator::view::{EVENTS_KEPT, Figures, PLANS_KEPT, View};
use crate::partition::Partitions;
use crate::record::{AdminState, Connection, Event, EventKind, Hello, PlanRecord, PlanState, Usage};
use crate::store::{KeptRules, KnownHost, Store, StoreError, Way};
use dvms_solver::migration::learned::Estimate;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the store holds.
#[derive(Debug, Default)]
pub(in crate::coordinator) struct Restored {
    /// Newest first.
    pub(in crate::coordinator) plans: Vec<PlanRecord>,
    /// Newest first.
    pub(in crate::coordinator) events: Vec<Event>,
    pub(in crate::coordinator) last_event: u64,
    /// Each with the epoch at which it was said.
    pub(in crate::coordinator) wanted: BTreeMap<String, (AdminState, u64)>,
    pub(in crate::coordinator) hosts: Vec<KnownHost>,
    pub(in crate::coordinator) learned: Vec<(Way, Estimate)>,
    pub(in crate::coordinator) rules: KeptRules,
    /// Coordinators that left the ring without a word.
    pub(in crate::coordinator) departed: BTreeSet<String>,
    /// Which life of a member of a ring it is: greater than all before. It counts only where there are others.
    pub(in crate::coordinator) incarnation: u64,
}

impl Restored {
    /// Reads it.
    ///
    /// # Errors
    /// What cannot be read.
    pub(in crate::coordinator) fn read(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            // Those that have not ended are beyond the number that is kept.
            plans: store.plans(2 * PLANS_KEPT)?,
            events: store.events(EVENTS_KEPT)?,
            last_event: store.last_event_id()?,
            wanted: store.host_states()?,
            hosts: store.known_hosts()?,
            learned: store.learned()?,
            rules: store.rules()?,
            departed: store.departed()?,
            incarnation: 0,
        })
    }
}

impl Core {
    /// Begins with what the store holds; also what readers see of it.
    pub(in crate::coordinator) fn new(mut settings: Settings, restored: Restored, now: Now) -> (Self, View) {
        let Restored { plans, events, last_event, wanted, hosts, learned, rules, departed, incarnation } =
            restored;
        let mut cell = Cell::default();
        let mut kept = BTreeMap::new();
        for host in hosts {
            let admin = wanted.get(&host.name).map(|(state, _)| *state).unwrap_or_default();
            let (entry, down) = not_back_yet(host, admin, now);
            kept.insert(entry.hello.host.clone(), down.names());
            cell.revive(entry, down, now.at);
        }

        let plans: BTreeMap<_, _> = plans.into_iter().map(|plan| (plan.id.clone(), Arc::new(plan))).collect();
        let events: VecDeque<Arc<Event>> = events.into_iter().rev().map(Arc::new).collect();
        let mut ring = Membership::new(&settings.ring, incarnation, departed);
        for (host, (_, epoch)) in &wanted {
            ring.kept.said(host, *epoch);
        }
        let wanted: BTreeMap<_, _> = wanted.into_iter().map(|(host, (state, _))| (host, state)).collect();
        let place = Place::of(&settings.ring);
        let policies = Policies::new(place, std::mem::take(&mut settings.constraints), rules);
        settings.constraints = policies.in_force();
        let mut core = Self {
            settings,
            policies: Arc::new(policies),
            cell,
            detector: Detector::default(),
            partitions: Partitions::new(),
            ring,
            journal: Journal::new(last_event),
            figures: Figures::default(),
            wanted,
            kept,
            event_of: BTreeMap::new(),
            last_plan: plans.keys().filter_map(|id| millis_of(id)).max().unwrap_or(0),
            lives: BTreeMap::new(),
            solves: Solves::default(),
            learned: Learned::new(learned),
            aloft: BTreeMap::new(),
            resting: BTreeMap::new(),
            shown: plans.keys().cloned().collect(),
            plans,
            unsaved: BTreeSet::new(),
            effects: Vec::new(),
            urgent: true,
            looked: Duration::ZERO,
            due: Duration::MAX,
            leaving: None,
            stopping: false,
        };
        core.plan_with_what_was_learned();
        core.revive(&events, now);
        let mut view = View { events, ..View::default() };
        core.count();
        core.publish(&mut view);
        (core, view)
    }

    /// Takes up the plans that had not ended.
    fn revive(&mut self, events: &VecDeque<Arc<Event>>, now: Now) {
        let open = self.plans.values().filter(|record| !record.state.is_terminal()).cloned();
        for record in open.collect::<Vec<_>>() {
            let id = &record.id;
            let (cause, stage) = match record.state {
                PlanState::Proposed => {
                    let proposal = Proposal { seen: false, since: now.at, claimed: None };
                    (self.cause_of(&record, events), Stage::Proposed(proposal))
                }
                PlanState::Executing => {
                    self.revive_actions(&record, now);
                    if record.paused.is_some() {
                        // It stays as the operator has left it.
                        (self.cause_of(&record, events), Stage::Executing(Execution::new(None)))
                    } else if let Some(kept) = record.kept {
                        // That is so once: after a crash it would not be known what has become of it.
                        self.change_for_good(id, |record| record.kept = None);
                        (self.cause_of(&record, events), Stage::Executing(Execution::of(kept)))
                    } else {
                        (Cause::Past, Stage::Executing(Execution::new(Some(Halt::Restarted))))
                    }
                }
                _ => (Cause::Past, Stage::Queued),
            };
            self.lives.insert(id.clone(), Life { cause, stage, replans: 0 });
            if matches!(record.state, PlanState::Queued | PlanState::Solving) {
                self.end(id, PlanState::Cancelled, "the coordinator was restarted", now);
            }
        }
        let ended = self.plans.values().filter(|record| record.state.is_terminal()).cloned();
        for record in ended.collect::<Vec<_>>() {
            self.revive_uncertain(&record, now);
        }
        self.revive_abroad(now);
    }

    /// The troubles that a plan answers, as far as they are known; nobody else is to answer them.
    fn cause_of(&mut self, record: &PlanRecord, events: &VecDeque<Arc<Event>>) -> Cause {
        let keys = keys_of(record, events);
        self.detector.taken(&keys);
        if keys.is_empty() { Cause::Past } else { Cause::Troubles(keys) }
    }

    /// What nobody has told the end of counts at both ends, though its plan has ended.
    fn revive_uncertain(&mut self, record: &PlanRecord, now: Now) {
        for status in record.actions.iter().filter(|status| status.state.in_flight()) {
            let Some(action) = action_of(record, status.action_id) else { continue };
            let flight = self.flight_of(record, action);
            self.hold([&flight.source, &flight.destination], &record.id);
            let key = flight.key.clone();
            self.take_off(executor(action), &action.vm, flight, now.at);
            self.give_up_on(&key);
        }
    }

    /// What agents may still be doing holds its hosts and counts at both ends until they tell.
    fn revive_actions(&mut self, record: &PlanRecord, now: Now) {
        let hosts = record.hosts.iter().cloned().collect();
        // The partitions of plans that were carried out at the same time are disjoint.
        if let Err(why) = self.reserve(&record.id, &hosts) {
            tracing::error!(plan = record.id, "its hosts are not reserved again: {why}");
        }
        for status in record.actions.iter().filter(|status| status.state.in_flight()) {
            let Some(action) = action_of(record, status.action_id) else { continue };
            let flight = self.flight_of(record, action);
            let limit = now.at.saturating_add(self.give_up_after(action));
            self.take_off(executor(action), &action.vm, flight, limit);
        }
    }
}

/// The troubles that a plan answers, as its events tell them.
fn keys_of(record: &PlanRecord, events: &VecDeque<Arc<Event>>) -> Vec<Key> {
    let event = |id: &u64| {
        let at = events.binary_search_by_key(id, |event| event.id).ok()?;
        events.get(at)
    };
    let key = |event: &Arc<Event>| {
        let subject = match event.kind {
            EventKind::VmWaiting => &event.vm,
            EventKind::RuleBroken => &event.constraint,
            _ => &event.host,
        };
        (event.kind, subject.clone())
    };
    record.event_ids.iter().filter_map(event).map(key).collect()
}

/// A host of before the restart: it has until the failure time-out to come back.
pub(super) fn not_back_yet(host: KnownHost, admin: AdminState, now: Now) -> (HostEntry, Down) {
    let KnownHost { name, capacity, labels, last_seen, boot_id, vms, waiting } = host;
    let entry = HostEntry {
        hello: Hello { host: name, boot_id, capacity, labels, ..Hello::default() },
        admin,
        connection: Connection::Lost,
        epoch: 0,
        session: false,
        inventoried: false,
        seen: now.at,
        seen_wall: last_seen,
        usage: Usage::default(),
        vms: BTreeMap::new(),
        dropped: BTreeSet::new(),
    };
    (entry, Down { there: vms, waiting })
}

//! What is known when the coordinator begins.

use super::{Core, Journal};
use crate::coordinator::inventory::{Cell, HostEntry, Now};
use crate::coordinator::settings::Settings;
use crate::coordinator::view::{EVENTS_KEPT, Figures, PLANS_KEPT, View};
use crate::partition::Partitions;
use crate::record::{AdminState, Connection, Event, Hello, PlanRecord, Usage};
use crate::store::{KnownHost, Store, StoreError};
use std::collections::BTreeMap;
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
    pub(in crate::coordinator) wanted: BTreeMap<String, AdminState>,
    pub(in crate::coordinator) hosts: Vec<KnownHost>,
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
        })
    }
}

impl Core {
    /// Begins with what the store holds; also what readers see of it.
    pub(in crate::coordinator) fn new(settings: Settings, restored: Restored, now: Now) -> (Self, View) {
        let mut cell = Cell::default();
        for host in restored.hosts {
            let admin = restored.wanted.get(&host.name).copied().unwrap_or_default();
            cell.touch(&host.name);
            cell.hosts.insert(host.name.clone(), not_back_yet(host, admin, now));
        }
        let mut view = View {
            events: restored.events.into_iter().rev().map(Arc::new).collect(),
            plans: restored.plans.into_iter().map(|plan| (plan.id.clone(), Arc::new(plan))).collect(),
            ..View::default()
        };
        let mut core = Self {
            settings,
            cell,
            partitions: Partitions::new(),
            journal: Journal::new(restored.last_event),
            figures: Figures::default(),
            wanted: restored.wanted,
            effects: Vec::new(),
            stirred: true,
            looked: Duration::ZERO,
            stopping: false,
        };
        core.count();
        core.publish(&mut view);
        (core, view)
    }
}

/// A host of before the restart: it has until the failure time-out to come back.
fn not_back_yet(host: KnownHost, admin: AdminState, now: Now) -> HostEntry {
    let KnownHost { name, capacity, labels, last_seen } = host;
    HostEntry {
        hello: Hello { host: name, capacity, labels, ..Hello::default() },
        admin,
        connection: Connection::Lost,
        epoch: 0,
        inventoried: false,
        seen: now.at,
        seen_wall: last_seen,
        usage: Usage::default(),
        vms: BTreeMap::new(),
    }
}

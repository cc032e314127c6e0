//! What is published of the coordinator's state: records and figures, read without asking the deciding task.

use crate::record::{Event, HostRecord, PlanRecord, VmRecord};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events that are kept in memory and in the store.
pub const EVENTS_KEPT: usize = 10_000;
/// Plans in a terminal state that are kept in memory and in the store.
pub const PLANS_KEPT: usize = 1000;

/// The published state.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) revision: u64,
    pub(super) hosts: BTreeMap<String, Arc<HostRecord>>,
    pub(super) vms: BTreeMap<String, Arc<VmRecord>>,
    /// Oldest first.
    pub(super) events: VecDeque<Arc<Event>>,
    /// By id, which sorts by time.
    pub(super) plans: BTreeMap<String, Arc<PlanRecord>>,
    pub(super) figures: Figures,
}

/// Figures for monitoring. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Hosts by connection: `connected`, `lost`, `failed`.
    pub hosts: BTreeMap<&'static str, u64>,
    /// VMs that live somewhere.
    pub vms: u64,
    /// VMs that run nowhere and should.
    pub vms_waiting: u64,
    /// Troubles that stand now, by kind (`OVERLOAD` …).
    pub conditions: BTreeMap<&'static str, u64>,
    /// Events so far, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Plans that ended so far, by state.
    pub plans: BTreeMap<&'static str, u64>,
    /// Actions that agents have now.
    pub actions_in_flight: u64,
    /// Actions that ended so far: `done`, `failed`.
    pub actions: BTreeMap<&'static str, u64>,
    /// Partitions that hold hosts now.
    pub partitions: u64,
    /// Solves that ended so far.
    pub solves: u64,
    /// Seconds that they took together.
    pub solve_seconds: f64,
    /// Reports of agents so far.
    pub reports: u64,
}

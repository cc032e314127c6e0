//! What a coordinator has answered.

use dvms_proto::v1::plan_record::State;
use dvms_proto::v1::{Event, Host, PlanRecord, Ring};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Events that are kept for scrolling.
const EVENTS_KEPT: usize = 1000;

/// The answers to one look at everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) ring: Ring,
    pub(super) hosts: Vec<Host>,
    pub(super) vms: u32,
    /// In any order, doubled or not.
    pub(super) plans: Vec<PlanRecord>,
    /// The newest ones.
    pub(super) events: Vec<Event>,
    /// Coordinators whose part is missing.
    pub(super) silent: Vec<String>,
}

/// What is known.
#[derive(Debug, Clone)]
pub(super) struct Data {
    /// When that was.
    pub(super) at: SystemTime,
    pub(super) ring: Ring,
    pub(super) hosts: Vec<Host>,
    pub(super) vms: u32,
    /// Those under way first, then the newest.
    pub(super) plans: Vec<PlanRecord>,
    /// Newest first.
    pub(super) events: Vec<Event>,
    pub(super) silent: Vec<String>,
}

impl Data {
    /// What is known after an answer; events of before are kept.
    pub(super) fn new(answer: Answer, before: Option<Self>, now: SystemTime) -> Self {
        let Answer { ring, hosts, vms, plans, events, mut silent } = answer;
        silent.sort();
        silent.dedup();
        let plans: BTreeMap<String, PlanRecord> =
            plans.into_iter().map(|plan| (plan.id.clone(), plan)).collect();
        let mut plans: Vec<PlanRecord> = plans.into_values().rev().collect();
        plans.sort_by_key(|plan| !is_under_way(plan));
        let older = before.map(|before| before.events).unwrap_or_default();
        let place = |event: &Event| {
            let time = event.time.unwrap_or_default();
            (time.seconds, time.nanos, event.id, event.coordinator.clone())
        };
        let events: BTreeMap<_, Event> =
            older.into_iter().chain(events).map(|event| (place(&event), event)).collect();
        let events = events.into_values().rev().take(EVENTS_KEPT).collect();
        Self { at: now, ring, hosts, vms, plans, events, silent }
    }
}

/// Whether a plan has not ended.
pub(super) fn is_under_way(plan: &PlanRecord) -> bool {
    matches!(plan.state(), State::Queued | State::Solving | State::Proposed | State::Executing)
}

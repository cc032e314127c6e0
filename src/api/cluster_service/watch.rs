//! The present state, then what changes.

use super::events;
use crate::api::convert::{event_to_wire, host_to_wire, vm_to_wire};
use crate::api::error::{ApiError, Violation};
use crate::api::stream::{Caller, Ended};
use crate::coordinator::{Change, Coordinator, Subscription};
use crate::record::Event;
use dvms_proto::v1 as pb;
use pb::watch_request::Kind;
use pb::watch_response::Change as Wire;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// What a watcher wants to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    hosts: bool,
    vms: bool,
    events: bool,
}

impl Wanted {
    /// # Errors
    /// `INVALID_ARGUMENT` for each kind that there is not.
    pub(super) fn new(request: &pb::WatchRequest) -> Result<Self, ApiError> {
        let all = request.kinds.is_empty();
        let mut wanted = Self { hosts: all, vms: all, events: all };
        let mut faults = Vec::new();
        for (i, number) in request.kinds.iter().enumerate() {
            match Kind::try_from(*number) {
                Ok(Kind::Hosts) => wanted.hosts = true,
                Ok(Kind::Vms) => wanted.vms = true,
                Ok(Kind::Events) => wanted.events = true,
                Ok(Kind::Unspecified) | Err(_) => {
                    faults.push(Violation::new(format!("kinds[{i}]"), "must be HOSTS, VMS or EVENTS"));
                }
            }
        }
        if faults.is_empty() { Ok(wanted) } else { Err(ApiError::invalid(faults)) }
    }

    /// The wire form of a change, if it is wanted.
    fn wire(self, change: Change, name: &str) -> Option<Wire> {
        match change {
            Change::Host(host) => self.hosts.then(|| Wire::Host(host_to_wire(&host))),
            Change::HostGone(name) => self.hosts.then_some(Wire::HostGone(name)),
            Change::Vm(vm) => self.vms.then(|| Wire::Vm(vm_to_wire(&vm))),
            Change::VmGone(name) => self.vms.then_some(Wire::VmGone(name)),
            Change::Event(event) => self.events.then(|| Wire::Event(event_to_wire(&event, name))),
            Change::Plan(_) => None,
        }
    }
}

/// What one coordinator has to tell.
pub(super) struct Own {
    name: String,
    wanted: Wanted,
    subscription: Subscription,
    /// Events that the watcher has not read, oldest first.
    missed: Vec<Arc<Event>>,
    /// Greatest id of an event that is not to be told.
    told: u64,
}

impl Own {
    /// The present state, and the events after a position that are kept.
    pub(super) fn new(coordinator: &Coordinator, wanted: Wanted, after: Option<&pb::EventPosition>) -> Self {
        // In this order nothing falls between the two; what is in both is told once.
        let subscription = coordinator.subscribe();
        let name = coordinator.name().to_owned();
        let (mut missed, mut told) = (Vec::new(), 0);
        if let Some(after) = after.filter(|_| wanted.events) {
            missed = coordinator.events();
            told = missed.first().map_or(0, |newest| newest.id);
            missed.reverse();
            events::keep_after(&mut missed, after, &name);
        }
        Self { name, wanted, subscription, missed, told }
    }

    /// The name of the coordinator.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Tells a watcher everything, then every change, for as long as it keeps up.
pub(super) async fn follow(own: Own, caller: Caller<pb::WatchResponse>) -> Result<(), Ended> {
    let Own { name, wanted, subscription, missed, told } = own;
    let Subscription { revision: start, hosts, vms, mut changes } = subscription;
    let answer = |revision, change| pb::WatchResponse { revision, change: Some(change) };
    let present = hosts.into_iter().map(Change::Host).chain(vms.into_iter().map(Change::Vm));
    let present = present.chain(missed.into_iter().map(Change::Event));
    for change in present.filter_map(|change| wanted.wire(change, &name)) {
        caller.send(answer(start, change)).await?;
    }
    caller.send(answer(start, Wire::Synced(true))).await?;
    loop {
        match changes.recv().await {
            Ok((_, Change::Event(event))) if event.id <= told => {}
            Ok((revision, change)) if revision > start => {
                if let Some(change) = wanted.wire(change, &name) {
                    caller.send(answer(revision, change)).await?;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Err(ApiError::slow_watcher().into()),
            Err(RecvError::Closed) => return Err(ApiError::shutting_down().into()),
        }
    }
}

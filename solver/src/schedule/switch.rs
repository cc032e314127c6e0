//! Hosts that are booted and shut down, and what waits for what.
//!
//! A host is booted at once, unless others have to be shut down before it. It is shut down once all has left it
//! and, where a spare host is given up for another one, once that is there. A host that is only passed through is
//! booted and shut down again.

use crate::constraints::{Latch, Relay};
use crate::model::{HostId, HostState, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// What a schedule switches.
#[derive(Debug, Default)]
pub(super) struct Switches {
    boots: BTreeSet<HostId>,
    offs: BTreeSet<HostId>,
    /// Hosts that must be off before one is booted.
    before_boot: BTreeMap<HostId, Vec<HostId>>,
    /// Hosts that must be up before VMs come to one.
    before_entry: BTreeMap<HostId, Vec<HostId>>,
    /// What must be before a host is shut down.
    before_off: BTreeMap<HostId, BeforeOff>,
}

/// What must be before a host is shut down, beside that it is empty.
#[derive(Debug, Default, PartialEq)]
pub(super) struct BeforeOff {
    /// Hosts that are up.
    pub(super) up: Vec<HostId>,
    /// Hosts that have become empty.
    pub(super) empty: Vec<HostId>,
}

impl Switches {
    /// From the states at the end, the hosts that are up only on the way, and what rules ask of it.
    pub(super) fn new(
        problem: &Problem,
        states: &[HostState],
        passing: &[HostId],
        latches: &[Latch],
        relays: &[Relay],
    ) -> Self {
        let all: BTreeSet<HostId> = passing.iter().copied().collect();
        let mut switches = Self { boots: all.clone(), offs: all, ..Self::default() };
        for (host, state) in problem.host_ids().zip(states) {
            match (problem.host(host).state, state) {
                (HostState::Offline, HostState::Online) => _ = switches.boots.insert(host),
                (HostState::Offline, _) => {}
                (_, HostState::Offline) => _ = switches.offs.insert(host),
                _ => {}
            }
        }
        for relay in relays {
            switches.before_boot.entry(relay.boot).or_default().push(relay.off);
        }
        for latch in latches {
            for host in &latch.hosts {
                switches.before_entry.entry(*host).or_default().extend(&latch.boots);
            }
            for host in &latch.offs {
                let before = switches.before_off.entry(*host).or_default();
                before.up.extend(&latch.boots);
                before.empty.extend(latch.leave.iter().map(|(_, host)| *host));
            }
        }
        switches
    }

    /// Hosts that are booted, in order.
    pub(super) fn booted(&self) -> impl Iterator<Item = HostId> + '_ {
        self.boots.iter().copied()
    }

    /// Hosts that are shut down, in order.
    pub(super) fn shut(&self) -> impl Iterator<Item = HostId> + '_ {
        self.offs.iter().copied()
    }

    pub(super) fn is_booted(&self, host: HostId) -> bool {
        self.boots.contains(&host)
    }

    pub(super) fn is_shut(&self, host: HostId) -> bool {
        self.offs.contains(&host)
    }

    /// Hosts that must be off before one is booted.
    pub(super) fn before_boot(&self, host: HostId) -> &[HostId] {
        self.before_boot.get(&host).map_or(&[], Vec::as_slice)
    }

    /// Hosts that must be up before VMs come to one, beside itself.
    pub(super) fn before_entry(&self, host: HostId) -> &[HostId] {
        self.before_entry.get(&host).map_or(&[], Vec::as_slice)
    }

    /// What must be before a host is shut down.
    pub(super) fn before_off(&self, host: HostId) -> Option<&BeforeOff> {
        self.before_off.get(&host)
    }

    /// Whether a host that is booted can be up by now, where VMs run on these hosts and nothing else is under way.
    pub(super) fn is_up(&self, host: HostId, runs: impl Fn(HostId) -> bool + Copy) -> bool {
        self.before_boot(host).iter().all(|off| self.is_off(*off, runs, |_| false))
    }

    /// Whether a host that is to be shut down can be off by now.
    pub(super) fn is_off(
        &self,
        host: HostId,
        runs: impl Fn(HostId) -> bool,
        is_down: impl Fn(HostId) -> bool,
    ) -> bool {
        let ready = |before: &BeforeOff| {
            !before.up.iter().any(|host| is_down(*host)) && !before.empty.iter().any(|host| runs(*host))
        };
        !runs(host) && self.before_off(host).is_none_or(ready)
    }
}

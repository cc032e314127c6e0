//! What hosts carry now, and what they will carry when everything under way has ended.

use super::inventory::{Cell, HostEntry, VmEntry};
use super::settings;
use crate::record::VmState;
use std::collections::BTreeMap;

/// What is planned with, in the order of a [`Pair`].
pub(super) const RESOURCES: [&str; 2] = ["cpu", "memory"];
/// Units of the resources.
pub(super) const UNITS: [&str; 2] = ["millicores", "MiB"];

/// One amount per resource.
pub(super) use crate::partition::Amounts as Pair;
pub(super) use crate::partition::sizing::{add, exceeds};

/// What a host carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    /// What counts on the host now: VMs under way count at both ends.
    pub(super) now: Pair,
    /// What will be here when everything under way has ended well.
    pub(super) later: Pair,
    /// VMs that will be here then.
    pub(super) vms: usize,
}

/// Shares of a host above which it is overloaded, and to which it is brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub(super) overload: [f64; 2],
    pub(super) target: [f64; 2],
}

impl Levels {
    pub(super) fn new(detection: &settings::Detection) -> Self {
        Self {
            overload: [detection.cpu_overload, detection.memory_overload],
            target: [detection.cpu_target, detection.memory_target],
        }
    }

    /// Half way between target and overload. An overload has ended below it: not as soon as it dips below the
    /// level at which it began, and not only at the target, about which the load wavers after a repair.
    pub(super) fn calm(&self) -> [f64; 2] {
        [0, 1].map(|r| f64::midpoint(self.target[r], self.overload[r]))
    }
}

/// The part of an amount that is a share of it.
pub(super) fn part(amount: i64, share: f64) -> i64 {
    (amount as f64 * share + 1e-6).floor() as i64
}

/// The part of each amount that is a share of it.
pub(super) fn parts(amounts: Pair, shares: [f64; 2]) -> Pair {
    [0, 1].map(|r| part(amounts[r], shares[r]))
}

/// Used of usable, for the resource of which most is used.
pub(super) fn share(used: Pair, usable: Pair) -> f64 {
    let of = |r: usize| if used[r] == 0 { 0.0 } else { used[r] as f64 / usable[r] as f64 };
    of(0).max(of(1))
}

/// What a VM is planned with.
pub(super) fn demand(vm: &VmEntry) -> Pair {
    // Counted for all VMs of a cell at each look: without names.
    vm.planned()
}

/// What VMs may use on a host.
pub(super) fn usable(host: &HostEntry, settings: &settings::Inventory) -> Pair {
    host.usable_pair(settings)
}

pub(super) fn subtract(rest: &mut Pair, amounts: Pair) {
    for r in 0..2 {
        rest[r] = rest[r].saturating_sub(amounts[r]);
    }
}

/// The load of every host.
pub(super) fn loads(cell: &Cell) -> BTreeMap<&str, Load> {
    let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
    for (name, host) in &cell.hosts {
        let load = loads.entry(name).or_default();
        for (vm, entry) in &host.vms {
            let flight = cell.flight(vm);
            let arrives = || flight.is_some_and(|flight| flight.destination == *name);
            let leaves = || flight.is_some_and(|f| f.source == *name && f.destination != *name);
            match entry.report.state {
                state if state.lives_here() => {
                    add(&mut load.now, demand(entry));
                    // One that an operator moves away is leaving too.
                    if !leaves() && (state != VmState::MigratingOut || arrives()) {
                        add(&mut load.later, demand(entry));
                        load.vms += 1;
                    }
                }
                // One that an operator brings; ours come with their flights.
                VmState::MigratingIn if !arrives() => {
                    let coming = demand(cell.vm(vm).map_or(entry, |(_, there)| there));
                    add(&mut load.now, coming);
                    add(&mut load.later, coming);
                    load.vms += 1;
                }
                _ => {}
            }
        }
    }
    for (vm, flight) in cell.flights() {
        let Some((host, load)) = cell.hosts.get(&flight.destination).zip(loads.get_mut(&*flight.destination))
        else {
            continue;
        };
        if host.vms.get(vm).is_some_and(|entry| entry.report.state.lives_here()) {
            continue;
        }
        let coming = cell.arriving(vm).map_or([0, 0], demand);
        add(&mut load.now, coming);
        add(&mut load.later, coming);
        load.vms += 1;
    }
    loads
}

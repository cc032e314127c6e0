//! The set-up of VMPlaceS: hosts, VMs, links and load as in its files of 2015.

use super::engine::{Demand, Story};
use super::ids::VmId;
use super::injector::{Injector, Loads, Unordered, placement};
use super::world::{HostSetup, Links, MIB, MigrationModel, Power, Setup, VmSetup};

/// Milli-cores of one unit of VMPlaceS, which is a hundredth of a core.
pub(super) const UNIT: u32 = 10;
/// Of a link's bandwidth, what transfers get: the rest is overhead in SimGrid's model of TCP.
pub(super) const LINK_SHARE: f64 = 0.97;
/// Bytes a second of a network card.
pub(super) const NIC: f64 = 125e6;
/// Bytes a second of one migration.
pub(super) const MIGRATION_LIMIT: f64 = 112.0 * MIB;
/// Seconds in which a VM is switched over, measured from 62 migrations of a public trace.
pub(super) const SWITCH_S: f64 = 0.036;

/// Hosts of so many units of CPU, each with as many VMs, which need nothing at the start.
///
/// # Errors
/// The order of so many hosts is not known.
pub(super) fn setup(hosts: u32, vms: u32, capacity: u32, seed: u64) -> Result<Setup, Unordered> {
    let host = HostSetup { cpu: capacity * UNIT, memory: 32_384, power: 0, site: 0 };
    let seats = placement(hosts, vms, seed)?;
    let vm = |seat: &super::injector::Seat| VmSetup {
        host: super::ids::HostId(seat.host),
        cpu: 0,
        memory: 1024,
        dirty: f64::from(seat.dirty_percent) / 100.0,
    };
    Ok(Setup {
        hosts: vec![host; hosts as usize],
        vms: seats.iter().map(vm).collect(),
        powers: vec![Power::linear(110.0, 200.0, 10.0)],
        links: Links { nic: NIC * LINK_SHARE, site: f64::INFINITY, backbone: f64::INFINITY },
        migration: MigrationModel {
            limit: MIGRATION_LIMIT,
            switch_s: SWITCH_S,
            shared_core: true,
            slowdown: 0.1,
        },
    })
}

/// The load, without faults.
///
/// # Errors
/// The order of so many VMs is not known.
pub(super) fn story(vms: u32, until: f64, loads: Loads) -> Result<Story, Unordered> {
    let demands = Injector::new(vms, until, loads)?;
    let demands =
        demands.map(|change| Demand { time: change.time, vm: VmId(change.vm), cpu: change.load * UNIT });
    Ok(Story {
        demands: Box::new(demands),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    })
}

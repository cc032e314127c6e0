//! Hosts, VMs, migrations and faults at one instant of virtual time. Deterministic; nothing here decides anything.
//!
//! Every change costs a constant number of steps (a migration: as many as it shares links with), whatever the size of the
//! world.

mod arrays;
mod check;
mod faults;
mod lacking;
mod links;
mod lives;
mod members;
mod migrations;
mod network;
mod power;
mod setup;
#[cfg(test)]
mod tests;

pub use arrays::HostState;
pub use check::Broken;
pub(in crate::simulator) use lives::Seat;
pub use migrations::{Ended, Migration, Refusal};
pub use power::{Draw, Machine, Power};
pub use setup::{HostSetup, Links, MIB, MigrationModel, Setup, VmSetup};

use super::ids::{HostId, VmId};
use super::measures::{Cause, Moves, Usage, Violations};
use arrays::{Hosts, NONE, Vms};
use links::Cuts;
use members::Members;
use migrations::Slot;
use network::Network;

/// The world.
#[derive(Debug, Clone)]
pub struct World {
    now: f64,
    hosts: Hosts,
    vms: Vms,
    members: Members,
    network: Network,
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    powers: Vec<Power>,
    model: MigrationModel,
    sites: u32,
    cuts: Cuts,
    has_backbone: bool,
    /// How long each violation lasted.
    pub violations: Violations,
    /// Hosts in use, and energy.
    pub usage: Usage,
    /// Migrations.
    pub moves: Moves,
    /// Migrations whose end is known anew: slot, generation, time.
    pub(super) due: Vec<(u32, u32, f64)>,
    /// Hosts that have come to be over.
    pub(super) alarms: Vec<HostId>,
}

/// A host as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostNow {
    /// Whether it runs VMs.
    pub state: HostState,
    /// Milli-cores.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    /// Milli-cores that its VMs need.
    pub demand: u32,
    /// The same once all migrations under way have ended.
    pub expected: u32,
    /// MiB of its VMs, and of those that are coming.
    pub held: u32,
    /// How many VMs it has.
    pub vms: u32,
    /// Whether a VM is leaving or coming.
    pub migrating: bool,
    /// Where it stands.
    pub site: u16,
}

impl HostNow {
    /// Whether more is asked than it has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == HostState::On && self.demand > self.cpu
    }
}

/// A VM as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmNow {
    /// Where it runs; [`HostId::NOWHERE`] where it is not there.
    pub host: HostId,
    /// Milli-cores that it needs.
    pub demand: u32,
    /// MiB.
    pub memory: u32,
    /// Whether it is on its way.
    pub migrating: bool,
}

impl World {
    /// A world at time 0, with all hosts on.
    ///
    /// # Panics
    /// A VM is on a host, or a host of a kind, that is not there.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let count = setup.hosts.len();
        let sites = setup.hosts.iter().map(|host| u32::from(host.site) + 1).max().unwrap_or(0);
        let mut capacity = vec![setup.links.nic; 2 * count];
        capacity.resize(2 * count + 2 * sites as usize, setup.links.site);
        capacity.push(setup.links.backbone);
        let mut world = Self {
            now: 0.0,
            hosts: Hosts::new(setup),
            vms: Vms::new(setup),
            members: Members::new(count, setup.vms.len()),
            network: Network::new(capacity),
            slots: Vec::new(),
            free_slots: Vec::new(),
            powers: setup.powers.clone(),
            model: setup.migration,
            sites,
            cuts: Cuts::new(count, sites as usize),
            has_backbone: setup.links.backbone.is_finite(),
            violations: Violations::new(count),
            usage: Usage::default(),
            moves: Moves::default(),
            due: Vec::new(),
            alarms: Vec::new(),
        };
        world.usage.on = count as u32;
        // The last first, so that a host lists its VMs by number.
        let there = setup.vms.iter().enumerate().rev().filter(|(_, vm)| vm.host != HostId::NOWHERE);
        for (number, vm) in there {
            world.members.enter(vm.host, VmId(number as u32));
            let host = vm.host.index();
            world.hosts.count[host] += 1;
            world.hosts.demand[host] += vm.cpu;
            world.hosts.expected[host] += vm.cpu;
            world.hosts.held[host] += vm.memory;
        }
        for host in 0..count {
            world.usage.active += u32::from(world.hosts.count[host] > 0);
            world.settle(HostId(host as u32), Cause::Load);
        }
        world
    }

    /// Seconds since the start.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.now
    }

    /// How many hosts there are.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.hosts.cpu.len()
    }

    /// How many VMs there are.
    #[must_use]
    pub fn vm_count(&self) -> usize {
        self.vms.host.len()
    }

    /// All hosts.
    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.host_count() as u32).map(HostId)
    }

    /// A host as it is now.
    #[must_use]
    pub fn host(&self, id: HostId) -> HostNow {
        let (hosts, at) = (&self.hosts, id.index());
        HostNow {
            state: hosts.state[at],
            cpu: hosts.cpu[at],
            memory: hosts.memory[at],
            demand: hosts.demand[at],
            expected: hosts.expected[at],
            held: hosts.held[at],
            vms: hosts.count[at],
            migrating: hosts.is_migrating(id),
            site: hosts.site[at],
        }
    }

    /// A VM as it is now.
    #[must_use]
    pub fn vm(&self, id: VmId) -> VmNow {
        let (vms, at) = (&self.vms, id.index());
        VmNow {
            host: HostId(vms.host[at]),
            demand: vms.demand[at],
            memory: vms.memory[at],
            migrating: vms.migration[at] != NONE,
        }
    }

    /// A number that is another one whenever the host, or one of its VMs, may be otherwise than before.
    #[must_use]
    pub fn version(&self, host: HostId) -> u32 {
        self.hosts.version[host.index()]
    }

    /// The VMs of a host.
    pub fn vms_of(&self, host: HostId) -> impl Iterator<Item = VmId> + '_ {
        self.members.of(host)
    }

    /// Whether more is asked of a host than it has.
    #[must_use]
    pub fn is_over(&self, host: HostId) -> bool {
        self.hosts.over[host.index()]
    }

    /// Lets time pass until `time`, in which nothing changes.
    pub(super) fn advance(&mut self, time: f64) {
        debug_assert!(time >= self.now, "time goes on: {time} after {}", self.now);
        self.usage.pass(time - self.now);
        self.now = time;
    }

    /// From now on a VM needs so many milli-cores.
    pub(super) fn set_demand(&mut self, vm: VmId, demand: u32) {
        let at = vm.index();
        let old = self.vms.demand[at];
        if old == demand {
            return;
        }
        self.note_lack(vm);
        self.vms.asked[at] = self.vms.asked_until(vm, self.now);
        self.vms.asked_at[at] = self.now;
        self.vms.demand[at] = demand;
        let host = HostId(self.vms.host[at]);
        if host == HostId::NOWHERE {
            return;
        }
        let end = self.destination(vm).unwrap_or(host);
        self.hosts.demand[host.index()] = self.hosts.demand[host.index()] - old + demand;
        self.hosts.expected[end.index()] = self.hosts.expected[end.index()] - old + demand;
        if end != host {
            self.hosts.touch(end);
        }
        self.settle(host, Cause::Load);
    }

    /// Where a VM is on its way to.
    fn destination(&self, vm: VmId) -> Option<HostId> {
        let slot = self.vms.migration[vm.index()];
        (slot != NONE).then(|| self.slots[slot as usize].migration.to)
    }

    /// A host's demand or state has changed.
    fn settle(&mut self, host: HostId, cause: Cause) {
        self.hosts.touch(host);
        let at = host.index();
        let on = self.hosts.state[at] == HostState::On;
        let (demand, capacity) = (self.hosts.demand[at], self.hosts.cpu[at]);
        let over = on && demand > capacity;
        if over || self.hosts.over[at] {
            self.lacks_now(host, over);
        }
        if over != self.hosts.over[at] {
            self.hosts.over[at] = over;
            if over {
                self.usage.over += 1;
                self.violations.begin(host, self.now, cause);
                self.alarms.push(host);
            } else {
                self.usage.over -= 1;
                self.violations.end(host, self.now);
            }
        }
        let power = &self.powers[usize::from(self.hosts.power[at])];
        let empty = self.hosts.count[at] == 0 && self.hosts.coming[at] == 0;
        let draw = match (on, empty) {
            (false, _) => power.off(),
            (true, true) => power.empty(),
            (true, false) => power.on(demand, capacity),
        };
        let old = std::mem::replace(&mut self.hosts.draw[at], draw);
        self.usage.draw.measured += draw.measured - old.measured;
        self.usage.draw.linear += draw.linear - old.linear;
    }

    /// Demand of the VMs that run, as a share of the CPU of the hosts that are on; over all hosts.
    #[must_use]
    pub fn load(&self) -> f64 {
        let on = self.host_ids().filter(|host| self.hosts.state[host.index()] == HostState::On);
        let (demand, capacity) = on.fold((0_u64, 0_u64), |(demand, capacity), host| {
            let at = host.index();
            (demand + u64::from(self.hosts.demand[at]), capacity + u64::from(self.hosts.cpu[at]))
        });
        if capacity == 0 { 0.0 } else { demand as f64 / capacity as f64 }
    }

    /// Mean over VMs of what migrations have cost them, as a share of what they have asked for: PDM of `CloudSim`.
    #[must_use]
    pub fn pdm(&self) -> f64 {
        let share = |vm: u32| {
            let asked = self.vms.asked_until(VmId(vm), self.now);
            if asked > 0.0 { self.vms.lost[vm as usize] / asked } else { 0.0 }
        };
        let ran = (0..self.vm_count() as u32).filter(|vm| self.vms.came[*vm as usize]);
        let (sum, count) = ran.fold((0.0, 0_u32), |(sum, count), vm| (sum + share(vm), count + 1));
        sum / f64::from(count.max(1))
    }
}

//! What a run begins with: hosts, VMs, and where they are.

use super::kinds::{Place, deal, power};
use super::{Experiment, VmKind};
use crate::simulator::engine::Life;
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::{Seat, Unordered, classes, placement};
use crate::simulator::world::{HostSetup, Links, MIB, MigrationModel, Power, Setup, VmSetup};

/// Why a run cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Where VMPlaceS would put VMs is not known.
    #[error(transparent)]
    Unordered(#[from] Unordered),
    /// The trace was not read.
    #[error("the trace of the load was not read: it has no VM")]
    NoTrace,
    /// The problem was not read.
    #[error("the problem that it starts with was not read")]
    NoProblem,
    /// VMs do not fit.
    #[error(
        "VM {vm} of {of} finds no host with {memory} MiB of memory for it at the start; let there be more memory, more \
         hosts or fewer VMs"
    )]
    NoRoom {
        /// Its number.
        vm: usize,
        /// How many there are.
        of: usize,
        /// MiB.
        memory: u32,
    },
}

/// What there is at the start.
pub(super) fn setup(it: &Experiment) -> Result<Setup, Refused> {
    let network = &it.network;
    let (hosts, powers) = match it.start.as_ref().map(|start| start.given().ok_or(Refused::NoProblem)) {
        Some(given) => given.map(|given| (given.hosts.clone(), given.powers.clone()))?,
        None => hosts(it),
    };
    let link = |mb_s: Option<f64>| mb_s.map_or(f64::INFINITY, |mb_s| mb_s * 1e6 * network.link_share);
    Ok(Setup {
        vms: vms(it, &hosts)?,
        hosts,
        powers,
        links: Links {
            nic: link(Some(network.nic_mb_s)),
            site: link(network.site_mb_s),
            backbone: link(network.backbone_mb_s),
        },
        migration: MigrationModel {
            limit: network.migration_mib_s * MIB,
            switch_s: network.switch_s,
            shared_core: network.shared_core,
            slowdown: 0.1,
        },
    })
}

fn hosts(it: &Experiment) -> (Vec<HostSetup>, Vec<Power>) {
    let hosts = &it.hosts;
    let each = hosts.count.div_ceil(u32::from(hosts.sites).max(1)).max(1);
    let site = |number: u32| (number / each) as u16;
    let own = power(hosts.machine, hosts.watts, hosts.off_w)
        .unwrap_or_else(|| Power::linear(hosts.idle_w, hosts.peak_w, hosts.off_w));
    if hosts.kinds.is_empty() {
        let host = |number| HostSetup { cpu: hosts.cpu, memory: hosts.memory, power: 0, site: site(number) };
        return ((0..hosts.count).map(host).collect(), vec![own.and_empty(hosts.empty_w)]);
    }
    let powers = hosts
        .kinds
        .iter()
        .map(|kind| kind.power(hosts.off_w).unwrap_or_else(|| own.clone()).and_empty(hosts.empty_w));
    let counts: Vec<u32> = hosts.kinds.iter().map(|kind| kind.count).collect();
    let host = |(number, dealt): (u32, u16)| {
        let kind = &hosts.kinds[usize::from(dealt)];
        HostSetup { cpu: kind.cpu, memory: kind.memory, power: dealt, site: site(number) }
    };
    ((0..).zip(deal(&counts)).map(host).collect(), powers.collect())
}

/// What each VM has.
pub(super) fn sizes(it: &Experiment, count: usize) -> Vec<VmKind> {
    let given = it.start.as_ref().and_then(|start| start.given()).map_or(&[][..], |given| &given.vms);
    let kinds = &it.vms.kinds;
    let each = count.div_ceil(kinds.len().max(1)).max(1);
    let recorded = it.load.recorded();
    let size = |vm: usize| {
        if let Some(VmSetup { cpu, memory, .. }) = given.get(vm) {
            return VmKind { cpu: *cpu, memory: *memory };
        }
        let kind = kinds.get(vm / each).copied();
        let kind = kind.unwrap_or(VmKind { cpu: it.vms.cpu, memory: it.vms.memory });
        VmKind {
            cpu: recorded.as_ref().and_then(|it| it.cpu(vm)).unwrap_or(kind.cpu),
            memory: recorded.as_ref().and_then(|it| it.memory(vm)).unwrap_or(kind.memory),
        }
    };
    (0..count).map(size).collect()
}

/// Who comes and goes: those that wait at the start come then.
pub(super) fn lives(it: &Experiment) -> Vec<Life> {
    let given = it.start.as_ref().and_then(|start| start.given()).map_or(&[][..], |given| &given.vms);
    let waits = |(_, vm): &(u32, &VmSetup)| vm.host == HostId::NOWHERE;
    let waiting = (0..).zip(given).filter(waits).map(|(vm, _)| Life { time: 0.0, vm: VmId(vm), comes: true });
    waiting.chain(it.load.lives(it.vms.count, it.seconds, it.load_seed())).collect()
}

fn vms(it: &Experiment, hosts: &[HostSetup]) -> Result<Vec<VmSetup>, Refused> {
    let seed = it.load_seed();
    if it.vms.count == 0 {
        return Err(Refused::NoTrace);
    }
    let lives = lives(it);
    let last = lives.iter().map(|life| life.vm.0 + 1).max().unwrap_or(0);
    let count = it.vms.count.max(last) as usize;
    if let Some(given) = it.start.as_ref().and_then(|start| start.given()) {
        let dirty = it.vms.dirty_percent;
        let later = sizes(it, count).into_iter().zip(classes(count as u32, seed)).skip(given.vms.len());
        let later = later.map(|(size, class)| VmSetup {
            host: HostId::NOWHERE,
            cpu: 0,
            memory: size.memory,
            dirty: f64::from(dirty.unwrap_or(class)) / 100.0,
        });
        return Ok(given.vms.iter().copied().chain(later).collect());
    }
    let mut absent = vec![false; count];
    lives.iter().filter(|life| life.comes).for_each(|life| absent[life.vm.index()] = true);
    let sizes = sizes(it, count);
    let seats: Vec<Seat> = match it.place() {
        Place::Vmplaces => placement(it.hosts.count, count as u32, seed)?,
        Place::Spread | Place::FirstFit => {
            let seat = |dirty_percent| Seat { host: u32::MAX, dirty_percent };
            classes(count as u32, seed).map(seat).collect()
        }
    };
    let mut seating = Seating { hosts, used: vec![(0, 0); hosts.len()], next: 0 };
    let mut vms = Vec::with_capacity(count);
    for (vm, (seat, size)) in seats.iter().zip(sizes).enumerate() {
        let host = match it.place() {
            _ if absent[vm] => Some(u32::MAX),
            Place::Vmplaces => seating.at(seat.host, size),
            Place::Spread => seating.next(size),
            Place::FirstFit => seating.first(size),
        };
        let host = host.ok_or(Refused::NoRoom { vm, of: count, memory: size.memory })?;
        let dirty = it.vms.dirty_percent.unwrap_or(seat.dirty_percent);
        vms.push(VmSetup {
            host: HostId(host),
            cpu: 0,
            memory: size.memory,
            dirty: f64::from(dirty) / 100.0,
        });
    }
    Ok(vms)
}

/// Hosts that are filled.
struct Seating<'h> {
    hosts: &'h [HostSetup],
    /// Milli-cores and MiB.
    used: Vec<(u64, u64)>,
    /// For `Spread` the host after the last one; for `FirstFit` the first that is not full.
    next: usize,
}

impl Seating<'_> {
    fn has_memory(&self, host: usize, memory: u32) -> bool {
        self.used[host].1 + u64::from(memory) <= u64::from(self.hosts[host].memory)
    }

    fn at(&mut self, host: u32, size: VmKind) -> Option<u32> {
        if !self.has_memory(host as usize, size.memory) {
            return None;
        }
        let (cpu, memory) = &mut self.used[host as usize];
        (*cpu, *memory) = (*cpu + u64::from(size.cpu), *memory + u64::from(size.memory));
        Some(host)
    }

    fn next(&mut self, size: VmKind) -> Option<u32> {
        let count = self.hosts.len();
        let next = |step: usize| (self.next + step) % count;
        let host = (0..count).map(next).find(|host| self.has_memory(*host, size.memory))?;
        self.next = host + 1;
        self.at(host as u32, size)
    }

    fn first(&mut self, size: VmKind) -> Option<u32> {
        while self.next < self.hosts.len() && !self.has_memory(self.next, 1) {
            self.next += 1;
        }
        let has_cpu =
            |host: &usize| self.used[*host].0 + u64::from(size.cpu) <= u64::from(self.hosts[*host].cpu);
        let mut with_memory =
            (self.next..self.hosts.len()).filter(|host| self.has_memory(*host, size.memory));
        let host = with_memory.clone().find(has_cpu).or_else(|| with_memory.next())?;
        self.at(host as u32, size)
    }
}

//! Pre-copy migrations: a VM's memory is sent while it goes on writing; what is left gets less by what is sent and more by
//! what is written, until the VM stands still for a moment and is switched over.
//!
//! As a fluid: with rate r, memory S and w written a second, a migration takes S ÷ (r − w), and the moment. So does `SimGrid`'s
//! model as `VMPlaceS` uses it, to some milliseconds (docs/EXPERIMENTS.md). A VM runs, and counts, on its source until the end;
//! its memory is held at the destination from the start.

use super::arrays::NONE;
use super::setup::MIB;
use super::{HostState, World};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::Cause;

/// Of what is sent, no more than this is written anew: a VM that writes faster is slowed down (QEMU's auto-converge).
const MOST_DIRTY: f64 = 0.9;

/// A VM on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Migration {
    /// Who.
    pub vm: VmId,
    /// From where.
    pub from: HostId,
    /// Where to.
    pub to: HostId,
    /// When it began.
    pub began: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) migration: Migration,
    /// Of what was told about its end, only the last holds.
    pub(super) generation: u32,
    pub(super) alive: bool,
    /// Whether all is sent and the VM is switched over.
    switching: bool,
    /// Bytes that are to be sent, as of `updated`; and bytes that were.
    left: f64,
    sent: f64,
    updated: f64,
    rate: f64,
    written: f64,
    asked: f64,
}

/// Why a migration is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is there.
    #[error("the VM is there already")]
    There,
    /// It is on its way.
    #[error("the VM is on its way")]
    Migrating,
    /// Source or destination does not run.
    #[error("a host does not run")]
    HostDown,
    /// It has not come yet, or has left.
    #[error("the VM is not there")]
    Gone,
    /// A link between them has failed.
    #[error("the destination cannot be reached")]
    Unreachable,
    /// The destination has no memory for it.
    #[error("the destination has no memory for the VM")]
    Memory,
}

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Its slot, which is free now.
    pub slot: u32,
    /// Which.
    pub migration: Migration,
    /// Whether the VM is at its destination.
    pub well: bool,
}

impl World {
    /// Begins a migration; its slot is its name until it ends.
    ///
    /// # Errors
    /// It cannot begin; nothing has changed.
    pub(in crate::simulator) fn migrate(&mut self, vm: VmId, to: HostId) -> Result<u32, Refusal> {
        let from = HostId(self.vms.host[vm.index()]);
        let memory = self.vms.memory[vm.index()];
        let refusal = if from == HostId::NOWHERE {
            Some(Refusal::Gone)
        } else if self.vms.migration[vm.index()] != NONE {
            Some(Refusal::Migrating)
        } else if from == to {
            Some(Refusal::There)
        } else if [from, to].iter().any(|host| self.hosts.state[host.index()] != HostState::On) {
            Some(Refusal::HostDown)
        } else if !self.connected(from, to) {
            Some(Refusal::Unreachable)
        } else if self.hosts.held[to.index()] + memory > self.hosts.memory[to.index()] {
            Some(Refusal::Memory)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.moves.refused();
            return Err(refusal);
        }
        let dirty = f64::from(self.vms.dirty[vm.index()]) * self.model.limit;
        let sharing =
            if self.model.shared_core { f64::from(self.hosts.count[from.index()].max(1)) } else { 1.0 };
        let slot = Slot {
            migration: Migration { vm, from, to, began: self.now },
            generation: 0,
            alive: true,
            switching: false,
            left: f64::from(memory) * MIB,
            sent: 0.0,
            updated: self.now,
            rate: 0.0,
            written: dirty / sharing,
            asked: self.vms.asked_until(vm, self.now),
        };
        let number = self.free_slots.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(number as usize) {
            Some(old) => *old = Slot { generation: old.generation + 1, ..slot },
            None => self.slots.push(slot),
        }
        self.vms.migration[vm.index()] = number;
        let demand = self.vms.demand[vm.index()];
        self.hosts.expected[from.index()] -= demand;
        self.hosts.expected[to.index()] += demand;
        self.hosts.held[to.index()] += memory;
        self.hosts.leaving[from.index()] += 1;
        self.hosts.coming[to.index()] += 1;
        self.moves.under_way += 1;
        let (path, length) = self.path(from, to);
        self.network.add(number, &path[..length], self.model.limit);
        self.share();
        self.hosts.touch(from);
        self.settle(to, Cause::Load);
        Ok(number)
    }

    /// Links from one host to another.
    fn path(&self, from: HostId, to: HostId) -> ([u32; 5], usize) {
        let (hosts, sites) = (self.host_count() as u32, self.sites);
        let mut path = [0; 5];
        let mut length = 0;
        let mut over = |link: u32| {
            path[length] = link;
            length += 1;
        };
        over(2 * from.0);
        let (near, far) = (self.hosts.site[from.index()], self.hosts.site[to.index()]);
        if near != far {
            over(2 * hosts + 2 * u32::from(near));
            over(2 * hosts + 2 * u32::from(far) + 1);
        }
        if self.has_backbone {
            over(2 * hosts + 2 * sites);
        }
        over(2 * to.0 + 1);
        (path, length)
    }

    /// Takes over the rates that the network has shared anew.
    fn share(&mut self) {
        for flow in self.network.touched() {
            let slot = &mut self.slots[*flow as usize];
            let rate = self.network.flow(*flow).rate;
            if rate.total_cmp(&slot.rate).is_eq() {
                continue;
            }
            let passed = self.now - slot.updated;
            slot.left = (slot.left - net(slot.rate, slot.written) * passed).max(0.0);
            slot.sent += slot.rate * passed;
            slot.updated = self.now;
            slot.rate = rate;
            slot.generation += 1;
            let net = net(rate, slot.written);
            if net > 0.0 {
                self.due.push((*flow, slot.generation, self.now + slot.left / net));
            }
        }
    }

    /// What was due of a migration is there: it is switched over, or has ended. `None` where it is not over, or what was told
    /// of it does not hold any more.
    pub(in crate::simulator) fn due(&mut self, number: u32, generation: u32) -> Option<Ended> {
        let slot = &mut self.slots[number as usize];
        if !slot.alive || slot.generation != generation {
            return None;
        }
        if !slot.switching {
            slot.switching = true;
            slot.sent += slot.rate * (self.now - slot.updated);
            slot.updated = self.now;
            slot.generation += 1;
            self.due.push((number, slot.generation, self.now + self.model.switch_s));
            self.network.remove(number);
            self.share();
            return None;
        }
        let Migration { vm, from, to, began } = slot.migration;
        let (sent, asked) = (slot.sent, slot.asked);
        self.let_go(number);
        self.note_lack(vm);
        let demand = self.vms.demand[vm.index()];
        self.members.leave(from, vm);
        self.members.enter(to, vm);
        self.vms.host[vm.index()] = to.0;
        self.stays(vm);
        self.hosts.demand[from.index()] -= demand;
        self.hosts.demand[to.index()] += demand;
        self.hosts.held[from.index()] -= self.vms.memory[vm.index()];
        self.hosts.count[from.index()] -= 1;
        self.hosts.count[to.index()] += 1;
        self.usage.active -= u32::from(self.hosts.count[from.index()] == 0);
        self.usage.active += u32::from(self.hosts.count[to.index()] == 1);
        self.vms.lost[vm.index()] += self.model.slowdown * (self.vms.asked_until(vm, self.now) - asked);
        self.moves.done(self.now - began, sent, self.now - self.vms.moved[vm.index()]);
        self.vms.moved[vm.index()] = self.now;
        self.settle(from, Cause::Load);
        self.settle(to, Cause::Arrival);
        Some(Ended { slot: number, migration: Migration { vm, from, to, began }, well: true })
    }

    /// Ends a migration without effect: the VM stays at its source.
    pub(super) fn abort(&mut self, number: u32) -> Ended {
        let slot = self.slots[number as usize];
        if !slot.switching {
            self.network.remove(number);
            self.share();
        }
        let Migration { vm, from, to, .. } = slot.migration;
        self.let_go(number);
        let demand = self.vms.demand[vm.index()];
        self.hosts.expected[from.index()] += demand;
        self.hosts.expected[to.index()] -= demand;
        self.hosts.held[to.index()] -= self.vms.memory[vm.index()];
        self.moves.failed();
        self.settle(to, Cause::Load);
        Ended { slot: number, migration: slot.migration, well: false }
    }

    fn let_go(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        slot.alive = false;
        let Migration { vm, from, to, .. } = slot.migration;
        self.free_slots.push(number);
        self.vms.migration[vm.index()] = NONE;
        self.hosts.touch(from);
        self.hosts.touch(to);
        self.hosts.leaving[from.index()] -= 1;
        self.hosts.coming[to.index()] -= 1;
        self.moves.under_way -= 1;
    }

    /// Numbers of the migrations that touch a host.
    pub(super) fn touching(&self, host: HostId) -> Vec<u32> {
        let touches = |slot: &Slot| slot.alive && (slot.migration.from == host || slot.migration.to == host);
        (0..self.slots.len() as u32).filter(|number| touches(&self.slots[*number as usize])).collect()
    }
}

/// By how much less is left each second.
fn net(rate: f64, written: f64) -> f64 {
    rate - written.min(MOST_DIRTY * rate)
}

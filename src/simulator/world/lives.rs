//! VMs that come and go.

use super::arrays::NONE;
use super::{Ended, HostState, World};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::Cause;

/// Where a VM that comes is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Seat {
    /// Here.
    On(HostId),
    /// Nowhere yet; this host is off and has memory for it.
    Wake(HostId),
    /// Nowhere yet; a host is being switched on, or none has memory for it.
    None,
}

impl World {
    /// Whether a VM is there.
    #[must_use]
    pub fn is_there(&self, vm: VmId) -> bool {
        self.vms.host[vm.index()] != NONE
    }

    /// Where a VM that comes is to run, whatever the strategy: of the hosts that are on and have memory for it, the one that is
    /// used least then.
    pub(in crate::simulator) fn seat(&self, vm: VmId) -> Seat {
        let (demand, memory) = (self.vms.demand[vm.index()], self.vms.memory[vm.index()]);
        let hosts = &self.hosts;
        let has_memory = |host: &HostId| hosts.held[host.index()] + memory <= hosts.memory[host.index()];
        let state = |host: HostId| hosts.state[host.index()];
        let rank = |host: &HostId| {
            let at = host.index();
            let after = u64::from(hosts.expected[at] + demand);
            (after * 1_000_000 / u64::from(hosts.cpu[at].max(1)), *host)
        };
        let on = self.host_ids().filter(|host| state(*host) == HostState::On && has_memory(host));
        if let Some(host) = on.min_by_key(rank) {
            return Seat::On(host);
        }
        if self.host_ids().any(|host| state(host) == HostState::Booting) {
            return Seat::None;
        }
        let mut off = self.host_ids().filter(|host| state(*host) == HostState::Off && has_memory(host));
        off.next().map_or(Seat::None, Seat::Wake)
    }

    /// A VM that is not there begins to run on a host that is on and has memory for it.
    pub(in crate::simulator) fn come(&mut self, vm: VmId, host: HostId) {
        let (vm_at, at) = (vm.index(), host.index());
        debug_assert!(self.vms.host[vm_at] == NONE && self.hosts.state[at] == HostState::On);
        self.vms.host[vm_at] = host.0;
        self.vms.asked_at[vm_at] = self.now;
        self.vms.came[vm_at] = true;
        self.stays(vm);
        self.members.enter(host, vm);
        self.hosts.count[at] += 1;
        self.hosts.demand[at] += self.vms.demand[vm_at];
        self.hosts.expected[at] += self.vms.demand[vm_at];
        self.hosts.held[at] += self.vms.memory[vm_at];
        self.usage.active += u32::from(self.hosts.count[at] == 1);
        self.usage.came += 1;
        self.settle(host, Cause::Arrival);
    }

    /// A VM that is there is no more; if it was on its way, so is its migration, which has ended without effect.
    pub(in crate::simulator) fn leave(&mut self, vm: VmId) -> Option<Ended> {
        let slot = self.vms.migration[vm.index()];
        let ended = (slot != NONE).then(|| self.abort(slot));
        let (vm_at, host) = (vm.index(), HostId(self.vms.host[vm.index()]));
        let at = host.index();
        self.note_lack(vm);
        self.vms.asked[vm_at] = self.vms.asked_until(vm, self.now);
        self.vms.asked_at[vm_at] = self.now;
        self.vms.host[vm_at] = NONE;
        self.members.leave(host, vm);
        self.hosts.count[at] -= 1;
        self.hosts.demand[at] -= self.vms.demand[vm_at];
        self.hosts.expected[at] -= self.vms.demand[vm_at];
        self.hosts.held[at] -= self.vms.memory[vm_at];
        let on = self.hosts.state[at] == HostState::On;
        self.usage.active -= u32::from(on && self.hosts.count[at] == 0);
        self.usage.vms_down -= u32::from(self.hosts.state[at] == HostState::Failed);
        self.usage.left += 1;
        self.settle(host, Cause::Load);
        ended
    }
}

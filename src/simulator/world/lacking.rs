//! What VMs ask for and do not get, as more is asked of their hosts than these have: each VM of a host gets the same share of what
//! it asks for. A host adds up the share that is lacking; a VM reads off how much that was while it was there.

use super::World;
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::{FairnessReport, Sample, jain};

impl World {
    /// Seconds of all that is asked of it that a host has not given until now.
    fn host_lacked(&self, host: HostId) -> f64 {
        let (hosts, at) = (&self.hosts, host.index());
        hosts.lacked[at] + hosts.lacks[at] * (self.now - hosts.lacked_at[at])
    }

    /// A host gives less, or more, from now on.
    pub(super) fn lacks_now(&mut self, host: HostId, over: bool) {
        let at = host.index();
        self.hosts.lacked[at] = self.host_lacked(host);
        self.hosts.lacked_at[at] = self.now;
        let share = || 1.0 - f64::from(self.hosts.cpu[at]) / f64::from(self.hosts.demand[at]);
        self.hosts.lacks[at] = if over { share() } else { 0.0 };
    }

    /// Milli-core-seconds that a VM has not got until now.
    pub(super) fn vm_lacked(&self, vm: VmId) -> f64 {
        let (vms, at) = (&self.vms, vm.index());
        let host = HostId(vms.host[at]);
        if host == HostId::NOWHERE {
            return vms.lacked[at];
        }
        vms.lacked[at] + f64::from(vms.demand[at]) * (self.host_lacked(host) - vms.lacked_from[at])
    }

    /// What a VM needs, or where it is, is about to change.
    pub(super) fn note_lack(&mut self, vm: VmId) {
        self.vms.lacked[vm.index()] = self.vm_lacked(vm);
        self.stays(vm);
    }

    /// From now on it is what its host lacks.
    pub(super) fn stays(&mut self, vm: VmId) {
        let host = HostId(self.vms.host[vm.index()]);
        if host != HostId::NOWHERE {
            self.vms.lacked_from[vm.index()] = self.host_lacked(host);
        }
    }

    /// How evenly hosts that are on are loaded now.
    #[must_use]
    pub fn load_fairness(&self) -> f64 {
        let on =
            self.host_ids().map(|host| self.host(host)).filter(|host| host.state == super::HostState::On);
        jain(on.map(|host| f64::from(host.demand) / f64::from(host.cpu.max(1))))
    }

    /// How evenly load was shared at these times, and how evenly what was lacking until now.
    #[must_use]
    pub fn fairness(&self, series: &[Sample]) -> FairnessReport {
        let lacked = || {
            (0..self.vm_count() as u32)
                .filter(|vm| self.vms.came[*vm as usize])
                .map(|vm| self.vm_lacked(VmId(vm)))
        };
        FairnessReport {
            hosts_load: series.iter().map(|sample| sample.fairness).sum::<f64>() / series.len().max(1) as f64,
            vms_lack: jain(lacked()),
            lack_core_s: lacked().sum::<f64>() / 1000.0,
        }
    }
}

//! What coordinators know of hosts: what agents have reported.

use crate::partition::relief::End;
use crate::partition::{Amounts, Host, Usual, sizing};
use crate::simulator::engine::{View, ViewHost, ViewVm};
use crate::simulator::ids::{HostId, VmId};
use std::rc::Rc;
use std::time::Duration;

/// A host, as its agent has told.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The host.
    pub(super) host: ViewHost,
    /// Its VMs.
    pub(super) vms: Vec<ViewVm>,
    /// What each of them has needed so far.
    pub(super) usual: Vec<Usual>,
}

/// What the protocol calls a host. The order is that of the numbers.
pub(super) fn name_of(host: HostId) -> Host {
    Host::from(format!("h{:07}", host.0).as_str())
}

/// The host that is called so.
pub(super) fn host_of(name: &str) -> HostId {
    HostId(name.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX))
}

impl Picture {
    /// What it may take before it is as full as it may be.
    pub(super) fn free(&self, fill: f64) -> Amounts {
        let now = self.host.now;
        let usable = self.usable(fill);
        [usable.saturating_sub(now.expected).into(), now.memory.saturating_sub(now.held).into()]
    }

    /// The same by what its VMs usually need.
    pub(super) fn usually_free(&self, fill: f64, now: f64, over: f64) -> Amounts {
        let (now, over) = (Duration::from_secs_f64(now), Duration::from_secs_f64(over));
        let used: f64 = self.usual.iter().map(|vm| vm.mean(now, over)).sum();
        let cpu = i64::from(self.usable(fill)) - used as i64;
        [cpu, self.free(fill)[1]]
    }

    /// It as one end of a move, filled or brought to its share; by what its VMs need now, and what they usually need.
    pub(super) fn end(&self, fill: f64, usual: Option<(f64, f64)>) -> End<HostId> {
        let now = self.host.now;
        let cpu = i64::from(now.expected);
        let usual = usual
            .map_or(cpu, |(now, over)| i64::from(self.usable(fill)) - self.usually_free(fill, now, over)[0]);
        End {
            host: self.host.id,
            used: [cpu.max(usual), now.held.into()],
            limit: [self.usable(fill).into(), now.memory.into()],
            usable: [now.cpu.into(), now.memory.into()],
        }
    }

    /// Its VMs that can be moved, with what each needs.
    pub(super) fn movable(&self) -> Vec<(VmId, Amounts)> {
        let still = self.vms.iter().filter(|vm| !vm.migrating);
        still.map(|vm| (vm.id, [vm.demand.into(), vm.memory.into()])).collect()
    }

    fn usable(&self, fill: f64) -> u32 {
        (f64::from(self.host.now.cpu) * fill + 1e-6).floor() as u32
    }

    /// What has to leave, until it is as full as it may be.
    pub(super) fn excess(&self, fill: f64) -> Amounts {
        let now = self.host.now;
        [now.expected.saturating_sub(self.usable(fill)).into(), now.held.saturating_sub(now.memory).into()]
    }

    /// What its VMs need, those that are coming too.
    pub(super) fn used(&self) -> Amounts {
        [self.host.now.expected.into(), self.host.now.held.into()]
    }

    /// What it has.
    pub(super) fn capacity(&self) -> Amounts {
        [self.host.now.cpu.into(), self.host.now.memory.into()]
    }

    /// The part of it that is used, of the scarcer resource.
    pub(super) fn share(&self) -> f64 {
        let (used, has) = (self.used(), self.capacity());
        let of = |r: usize| used[r] as f64 / has[r].max(1) as f64;
        of(0).max(of(1))
    }

    /// How much room is looked for, for what has to leave.
    pub(super) fn wanted(&self, fill: f64) -> Amounts {
        let excess = self.excess(fill);
        sizing::wanted(excess, sizing::place(self.demands(), excess))
    }

    /// Whether more is expected of it than it has.
    pub(super) fn is_over(&self) -> bool {
        self.host.now.expected > self.host.now.cpu
    }

    /// What its VMs need, of those that can be moved.
    pub(super) fn demands(&self) -> impl Iterator<Item = Amounts> {
        let still = self.vms.iter().filter(|vm| !vm.migrating);
        still.map(|vm| [vm.demand.into(), vm.memory.into()])
    }
}

/// What the solver is told of some hosts.
pub(super) fn view(pictures: &[Rc<Picture>]) -> View {
    let mut view = View::default();
    for picture in pictures {
        view.hosts.push(ViewHost { first_vm: view.vms.len() as u32, ..picture.host });
        view.vms.extend_from_slice(&picture.vms);
    }
    view
}

/// The same, in which a VM counts with what it usually needs where it needs less just now: hosts are not packed because of a
/// quiet moment.
pub(super) fn usual_view(pictures: &[Rc<Picture>], now: f64, over: f64) -> View {
    let mut view = view(pictures);
    let (now, over) = (Duration::from_secs_f64(now), Duration::from_secs_f64(over));
    let mut pasts = pictures.iter().flat_map(|picture| &picture.usual);
    let mut vms = view.vms.iter_mut();
    for host in &mut view.hosts {
        for (vm, past) in vms.by_ref().take(host.now.vms as usize).zip(pasts.by_ref()) {
            let more = (past.mean(now, over).ceil() as u32).saturating_sub(vm.demand);
            if !vm.migrating {
                vm.demand += more;
                host.now.expected += more;
            }
        }
    }
    view
}

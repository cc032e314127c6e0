//! What coordinators know of hosts: what agents have reported.

use crate::partition::{Amounts, Host, sizing};
use crate::simulator::engine::{View, ViewHost, ViewVm};
use crate::simulator::ids::HostId;
use std::rc::Rc;

/// A host, as its agent has told.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The host.
    pub(super) host: ViewHost,
    /// Its VMs.
    pub(super) vms: Vec<ViewVm>,
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

    fn usable(&self, fill: f64) -> u32 {
        (f64::from(self.host.now.cpu) * fill + 1e-6).floor() as u32
    }

    /// What has to leave, until it is as full as it may be.
    pub(super) fn excess(&self, fill: f64) -> Amounts {
        let now = self.host.now;
        [now.expected.saturating_sub(self.usable(fill)).into(), now.held.saturating_sub(now.memory).into()]
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
pub(super) fn view<'p>(pictures: impl Iterator<Item = &'p Rc<Picture>>) -> View {
    let mut view = View::default();
    for picture in pictures {
        view.hosts.push(ViewHost { first_vm: view.vms.len() as u32, ..picture.host });
        view.vms.extend_from_slice(&picture.vms);
    }
    view
}

//! VMs that no agent can tell of: those of hosts that are out of reach, and those that wait for a place. They
//! outlive the process in the store.

use super::cell::{Cell, HostEntry, VmEntry};
use crate::record::{Connection, VmReport, VmState};
use std::collections::BTreeSet;
use std::time::Duration;

/// VMs of a host that are to be kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Down {
    /// They live there, as far as is known.
    pub(crate) there: Vec<VmReport>,
    /// They ran there and wait.
    pub(crate) waiting: Vec<VmReport>,
}

impl Down {
    /// Names of both.
    pub(crate) fn names(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let names = |vms: &[VmReport]| vms.iter().map(|vm| vm.name.clone()).collect();
        (names(&self.there), names(&self.waiting))
    }
}

/// VMs of a host that is out of reach.
fn silent(host: &HostEntry) -> impl Iterator<Item = (&String, &VmEntry)> {
    host.living().filter(move |_| host.connection != Connection::Connected)
}

impl Cell {
    /// The VMs of a host that are to be kept.
    pub(crate) fn down(&self, host: &str) -> Down {
        let Some(entry) = self.hosts.get(host) else { return Down::default() };
        let there = silent(entry).map(|(_, vm)| vm.kept()).collect();
        let waiting = entry.dropped.iter().filter_map(|vm| self.waiting.get(vm)).map(VmEntry::kept).collect();
        Down { there, waiting }
    }

    /// Their names, as [`Down::names`] tells them.
    pub(crate) fn down_names(&self, host: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let Some(entry) = self.hosts.get(host) else { return Default::default() };
        let there = silent(entry).map(|(vm, _)| vm.clone()).collect();
        let waiting = entry.dropped.iter().filter(|vm| self.waiting.contains_key(*vm)).cloned().collect();
        (there, waiting)
    }

    /// A host of before a restart of the process, with its VMs; it is not back yet.
    pub(crate) fn revive(&mut self, mut host: HostEntry, down: Down, at: Duration) {
        let name = host.hello.host.clone();
        for mut report in down.there {
            // Whatever was under way, it is not seen now.
            if report.state == VmState::MigratingOut {
                report.state = VmState::Running;
            }
            self.homes.report(&report.name, &name, true, at);
            self.waiting.remove(&report.name);
            self.revived.insert(report.name.clone());
            self.changed_vms.insert(report.name.clone());
            host.vms.insert(report.name.clone(), VmEntry::new(report, at));
        }
        for report in down.waiting {
            host.dropped.insert(report.name.clone());
            self.changed_vms.insert(report.name.clone());
            // Where it is said to live as well, it lives.
            if self.homes.all(&report.name).next().is_none() {
                self.waiting.insert(report.name.clone(), VmEntry::new(report, at));
            }
        }
        self.touch(&name);
        self.hosts.insert(name, host);
    }

    /// An agent says that a VM lives there: what the store said of it does not count any more.
    pub(super) fn believe(&mut self, host: &str, vm: &str) {
        if !self.revived.remove(vm) {
            return;
        }
        let homes: Vec<String> = self.homes.all(vm).filter(|home| *home != host).map(str::to_owned).collect();
        for home in homes {
            if let Some(entry) = self.hosts.get_mut(&home) {
                entry.vms.remove(vm);
            }
            self.homes.forget(vm);
            self.touch(&home);
        }
    }
}

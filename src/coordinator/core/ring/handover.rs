//! VMs that ran on a host until it was restarted wait for a place at the member that has the host: when the host goes over
//! to another member, so do they, and they are kept here until that one has them.

use super::super::Core;
use super::super::Effect;
use crate::coordinator::inventory::{Now, VmEntry};
use crate::coordinator::peers::Frame;
use crate::record::VmReport;
use crate::store;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was not heard is said again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// VMs that are being handed over, by host.
#[derive(Debug, Default)]
pub(in crate::coordinator::core) struct Handing {
    hosts: BTreeMap<String, (Vec<VmReport>, Duration)>,
}

impl Handing {
    /// Whether a VM is among them.
    pub(super) fn has(&self, vm: &str) -> bool {
        self.hosts.values().any(|(vms, _)| vms.iter().any(|down| down.name == vm))
    }

    /// Whether there are none.
    pub(in crate::coordinator::core) fn is_over(&self) -> bool {
        self.hosts.is_empty()
    }
}

impl Core {
    /// A host has gone over: says whether VMs go with it that are down. The store keeps it so long.
    pub(super) fn hand_over_what_is_down(&mut self, host: &str, boot: &str, to: &str, now: Now) -> bool {
        let Some(entry) = self.cell.hosts.get(host) else { return false };
        let before = &entry.hello.boot_id;
        let rebooted = !before.is_empty() && !boot.is_empty() && before != boot;
        let lived = entry.living().filter(|_| rebooted).map(|(_, vm)| vm);
        let waiting = entry.dropped.iter().filter_map(|vm| self.cell.waiting.get(vm));
        let vms: Vec<VmReport> = lived.chain(waiting).map(VmEntry::kept).collect();
        if vms.is_empty() {
            return false;
        }
        self.tell_member(to, Frame::Dropped { host: host.to_owned(), vms: vms.clone() });
        self.ring.handing.hosts.insert(host.to_owned(), (vms, now.at));
        true
    }

    /// Says again what was not heard.
    pub(super) fn hand_over_again(&mut self, now: Now) {
        let due = |(_, told): &(Vec<VmReport>, Duration)| now.at >= *told + AGAIN_AFTER;
        let due: Vec<String> = self
            .ring
            .handing
            .hosts
            .iter()
            .filter(|(_, kept)| due(kept))
            .map(|(host, _)| host.clone())
            .collect();
        for host in due {
            let Some((vms, told)) = self.ring.handing.hosts.get_mut(&host) else { continue };
            *told = now.at;
            let frame = Frame::Dropped { host: host.clone(), vms: vms.clone() };
            self.tell_owner(&host, frame);
        }
    }

    /// VMs come with a host.
    pub(super) fn dropped_come(&mut self, from: &str, host: &str, vms: Vec<VmReport>, now: Now) {
        if !self.cell.hosts.get(host).is_some_and(|entry| entry.session) {
            return;
        }
        self.take_in(host, vms, now);
        let frame = Frame::Taken { host: host.to_owned() };
        self.journal.then(Effect::Peer { to: from.to_owned(), frame });
    }

    fn take_in(&mut self, host: &str, vms: Vec<VmReport>, now: Now) {
        for vm in vms {
            self.cell.waits_since(host, VmEntry::new(vm, now.at));
        }
        self.keep_host(host);
        self.urgent = true;
    }

    /// The other member keeps them.
    pub(super) fn dropped_are_kept(&mut self, host: &str) {
        if self.ring.handing.hosts.remove(host).is_some() && !self.cell.hosts.contains_key(host) {
            self.journal.write(store::Change::HostGone(host.to_owned()));
        }
    }

    /// The host has come back before that.
    pub(in crate::coordinator::core) fn dropped_come_back(&mut self, host: &str, now: Now) {
        if let Some((vms, _)) = self.ring.handing.hosts.remove(host) {
            self.take_in(host, vms, now);
        }
    }
}

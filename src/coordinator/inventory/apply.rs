//! What agents report, into the cell.

use super::Now;
use super::cell::{Cell, HostEntry, VmEntry};
use super::settle::Settled;
use crate::coordinator::settings;
use crate::record::{AdminState, Connection, Delta, Hello, Inventory, Usage, VmReport, VmState};
use dvms_solver::file::Labels;
use std::collections::{BTreeMap, BTreeSet};

impl Cell {
    /// A session begins. What was known of the host stays until its inventory comes.
    pub(crate) fn attach(&mut self, hello: Hello, admin: AdminState, epoch: u64, now: Now) {
        self.at = now.at;
        let name = hello.host.clone();
        let fresh = || HostEntry {
            hello: Hello::default(),
            admin,
            connection: Connection::Connected,
            epoch,
            session: true,
            inventoried: false,
            seen: now.at,
            seen_wall: now.wall,
            usage: Usage::default(),
            vms: BTreeMap::new(),
            dropped: BTreeSet::new(),
        };
        let entry = self.hosts.entry(name.clone()).or_insert_with(fresh);
        // After a reboot nothing of before runs there any more: those VMs wait for a place.
        let rebooted = !entry.hello.boot_id.is_empty() && entry.hello.boot_id != hello.boot_id;
        let lived: Vec<_> = if rebooted {
            entry.living().map(|(vm, e)| (vm.clone(), e.clone())).collect()
        } else {
            Vec::new()
        };
        if rebooted {
            entry.vms.clear();
            entry.dropped = lived.iter().map(|(vm, _)| vm.clone()).collect();
        }
        (entry.hello, entry.epoch, entry.seen, entry.seen_wall) = (hello, epoch, now.at, now.wall);
        (entry.connection, entry.session, entry.inventoried) = (Connection::Connected, true, false);
        for (vm, entry) in lived {
            self.homes.report(&vm, &name, false, now.at);
            if self.homes.all(&vm).next().is_none() {
                self.waiting.insert(vm.clone(), entry);
            }
            self.changed_vms.insert(vm);
        }
        self.touch(&name);
    }

    /// A session has ended; an older one does not count.
    pub(crate) fn detach(&mut self, host: &str, epoch: u64, now: Now) -> bool {
        let Some(entry) = self.hosts.get_mut(host).filter(|entry| entry.epoch == epoch) else { return false };
        (entry.connection, entry.session, entry.seen) = (Connection::Lost, false, now.at);
        self.touch(host);
        true
    }

    /// Everything on a host.
    pub(crate) fn inventory(
        &mut self,
        host: &str,
        inventory: Inventory,
        now: Now,
        settings: &settings::Inventory,
    ) {
        let Some(entry) = self.hosts.get_mut(host) else { return };
        entry.inventoried = true;
        let named: BTreeSet<&String> = inventory.vms.iter().map(|vm| &vm.name).collect();
        let gone = entry.vms.keys().filter(|name| !named.contains(name)).cloned().collect();
        let delta = Delta { usage: Some(inventory.usage), changed: inventory.vms, gone, capacity: None };
        self.delta(host, delta, now, settings);
    }

    /// What has changed on a host.
    pub(crate) fn delta(&mut self, host: &str, delta: Delta, now: Now, settings: &settings::Inventory) {
        self.at = now.at;
        for vm in &delta.gone {
            self.depart(vm, host);
        }
        let came: Vec<_> = delta.changed.iter().map(|report| self.comes(report, host)).collect();
        let Some(entry) = self.hosts.get_mut(host) else { return };
        (entry.seen, entry.seen_wall) = (now.at, now.wall);
        if entry.connection == Connection::Lost {
            entry.connection = Connection::Connected;
        }
        if let Some(usage) = delta.usage {
            entry.usage = usage;
        }
        if let Some(capacity) = delta.capacity {
            entry.hello.capacity = capacity;
        }
        let mut spoken: Vec<(String, bool)> = Vec::new();
        for (report, came) in delta.changed.into_iter().zip(came) {
            spoken.push((report.name.clone(), report.state.lives_here()));
            entry.take(report, came, now, settings);
        }
        for vm in delta.gone {
            entry.vms.remove(&vm);
            spoken.push((vm, false));
        }
        let told: BTreeSet<&String> = spoken.iter().map(|(vm, _)| vm).collect();
        for (name, vm) in entry.vms.iter_mut().filter(|(name, _)| !told.contains(name)) {
            let before = vm.planned_cpu();
            vm.goes_on(now.at, settings);
            if vm.planned_cpu() != before {
                self.changed_vms.insert(name.clone());
            }
        }
        for (vm, lives) in spoken {
            if lives {
                self.believe(host, &vm);
            }
            if !lives && self.homes.lives(&vm, host) {
                self.note_left(&vm, "", Labels::new());
            }
            self.homes.report(&vm, host, lives, now.at);
            if lives {
                self.waiting.remove(&vm);
            }
            self.changed_vms.insert(vm);
        }
        self.touch(host);
    }

    /// The source of a VM under way does not have it any more; what it used there is not known elsewhere yet.
    fn depart(&mut self, vm: &str, host: &str) {
        if self.flights.get(vm).is_some_and(|flight| flight.source == host)
            && let Some(entry) = self.hosts.get(host).and_then(|source| source.vms.get(vm))
            && entry.report.state.lives_here()
        {
            self.departed.insert(vm.to_owned(), entry.clone());
        }
    }

    /// What is known of a VM from elsewhere when a host says for the first time that it lives there.
    fn comes(&mut self, report: &VmReport, host: &str) -> Option<VmEntry> {
        let vm = &report.name;
        if !report.state.lives_here() {
            self.depart(vm, host);
            return None;
        }
        let ours = self.flights.get(vm).is_some_and(|flight| flight.destination == host);
        let moved = || self.vm(vm).map(|(_, entry)| entry);
        let before = if ours { self.arriving(vm) } else { moved() };
        before.filter(|_| !self.homes.lives(vm, host)).cloned()
    }

    /// Time passes: sessions without reports, hosts without sessions. Returns the hosts that are LOST or FAILED
    /// from now on.
    pub(crate) fn age(&mut self, now: Now, settings: &settings::Inventory) -> Vec<(String, Connection)> {
        self.at = now.at;
        self.forget_left();
        let mut changes = Vec::new();
        for (name, entry) in &mut self.hosts {
            let silent = now.at.saturating_sub(entry.seen).as_secs_f64();
            let next = match entry.connection {
                Connection::Connected if silent > settings.lost_after_s => Connection::Lost,
                Connection::Lost if !entry.session && silent > settings.failed_after_s => Connection::Failed,
                _ => continue,
            };
            entry.connection = next;
            changes.push((name.clone(), next));
        }
        for (name, _) in &changes {
            self.changed_hosts.insert(name.clone());
        }
        changes
    }

    /// What has become of VMs without our doing, since the last call. VMs with an action in flight are not
    /// spoken about.
    pub(crate) fn news(&mut self, now: Now) -> Vec<Settled> {
        let news = self.homes.news(now.at);
        let ours = |vm: &str| self.flights.contains_key(vm);
        let kept = news.into_iter().filter(|news| match news {
            Settled::Moved { vm, .. } | Settled::Came { vm, .. } | Settled::Went { vm, .. } => !ours(vm),
            Settled::Doubled { .. } => true,
        });
        kept.collect()
    }
}

impl HostEntry {
    /// `came` = as it was elsewhere, for one that begins to live here.
    fn take(&mut self, report: VmReport, came: Option<VmEntry>, now: Now, settings: &settings::Inventory) {
        if let Some(came) = came {
            let mut entry = VmEntry::new(report.clone(), now.at);
            entry.carry(&came);
            entry.report.definition = came.report.definition;
            entry.update(report, now.at, settings);
            self.vms.insert(entry.report.name.clone(), entry);
            return;
        }
        match self.vms.get_mut(&report.name) {
            // What it used before it stood still says nothing about now.
            Some(entry) if entry.report.state != VmState::Off => entry.update(report, now.at, settings),
            _ => _ = self.vms.insert(report.name.clone(), VmEntry::new(report, now.at)),
        }
    }
}

//! Agents come, report and go.

use super::journal::event;
use super::{Core, Effect};
use crate::coordinator::inventory::{Now, Settled};
use crate::record::{Connection, Event, EventKind, Hello, Order, Report, Severity};
use crate::store::{self, KnownHost};
use std::time::Duration;

/// When agents come back to a coordinator that was stopped.
const BACK_AFTER: Duration = Duration::from_secs(2);
/// When an agent comes back whose session cannot be trusted any more.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

impl Core {
    pub(super) fn attach(&mut self, hello: Hello, epoch: u64, now: Now) {
        if self.stopping {
            return;
        }
        let host = hello.host.clone();
        let before = self.cell.hosts.get(&host).map(|entry| (entry.connection, entry.hello.boot_id.clone()));
        let admin = self.wanted.get(&host).copied().unwrap_or_default();
        let (version, driver) = (hello.agent_version.clone(), hello.driver.clone());
        let boot = hello.boot_id.clone();
        self.cell.attach(hello, admin, epoch, now);
        self.keep_host(&host);
        self.dropped_come_back(&host, now);
        self.has_come_back(&host);
        self.ring.kept.is_back(&host);
        self.urgent = true;
        let how = match before {
            Some((_, old)) if !old.is_empty() && old != boot => "has connected after a reboot",
            Some((Connection::Connected, _)) => "has connected anew",
            Some(_) => "has connected again",
            None => "has connected for the first time",
        };
        let message = format!("host {host} {how} (agent {version}, {driver}, epoch {epoch})");
        let said = event(EventKind::HostConnected, Severity::Info, message);
        self.tell(Event { host, ..said }, now);
    }

    pub(super) fn detach(&mut self, host: &str, epoch: u64, now: Now) {
        let failed = self.cell.hosts.get(host).is_some_and(|entry| entry.connection == Connection::Failed);
        // A failed host stays failed until it begins a session.
        if failed || self.stopping || !self.cell.detach(host, epoch, now) {
            return;
        }
        self.keep_host(host);
        self.urgent = true;
        if !self.was_sent_away(host) {
            self.tell_lost(host, "its session has ended", now);
        }
    }

    pub(super) fn report(&mut self, host: &str, epoch: u64, report: Report, now: Now) {
        let Some(entry) = self.cell.hosts.get(host).filter(|entry| entry.epoch == epoch) else { return };
        self.figures.reports += 1;
        match entry.connection {
            // What is known of it may be used already to restart its VMs: it has to begin anew.
            Connection::Failed => {
                let reason = "this host was declared failed as it did not report".to_owned();
                let order = Order::GoAway { reason, reconnect_after: AGAIN_AFTER };
                self.effects.push(Effect::Tell { host: host.to_owned(), epoch, order });
                self.effects.push(Effect::EndSession { host: host.to_owned(), epoch });
                return;
            }
            // Progress alone says nothing of the host: it stays lost.
            Connection::Lost if !matches!(report, Report::Progress(_)) => {
                let said =
                    event(EventKind::HostConnected, Severity::Info, format!("host {host} reports again"));
                self.tell(Event { host: host.to_owned(), ..said }, now);
            }
            Connection::Lost | Connection::Connected => {}
        }
        match report {
            Report::Inventory(mut inventory) => {
                let actions = std::mem::take(&mut inventory.actions);
                self.cell.inventory(host, inventory, now, &self.settings.inventory);
                self.reconcile(host, actions, now);
                self.urgent = true;
            }
            Report::Delta(delta) => {
                let capacity = delta.capacity.is_some();
                self.cell.delta(host, delta, now, &self.settings.inventory);
                if capacity {
                    self.keep_host(host);
                }
            }
            Report::Progress(progress) => self.progress(host, progress, now),
        }
    }

    /// Time passes: hosts are lost and fail.
    pub(super) fn age(&mut self, now: Now) {
        for (host, connection) in self.cell.age(now, &self.settings.inventory) {
            if connection == Connection::Lost {
                let why = format!("it has not reported for {} s", self.settings.inventory.lost_after_s);
                self.tell_lost(&host, &why, now);
            }
        }
    }

    fn tell_lost(&mut self, host: &str, why: &str, now: Now) {
        let said = event(EventKind::HostLost, Severity::Warning, format!("host {host} is lost: {why}"));
        self.tell(Event { host: host.to_owned(), ..said }, now);
    }

    /// What has become of VMs without our doing.
    pub(super) fn tell_news(&mut self, now: Now) {
        for news in self.cell.news(now) {
            let (kind, severity, vm, host, message) = match news {
                Settled::Moved { vm, from, to } => {
                    let message = format!("VM {vm} was moved from {from} to {to}, not by dvms");
                    (EventKind::ForeignChange, Severity::Info, vm, to, message)
                }
                // Those of a host that has just connected are not news to anyone.
                Settled::Came { .. } => continue,
                Settled::Went { vm, host } => {
                    let message = format!("VM {vm} no longer runs on {host} nor anywhere else");
                    (EventKind::ForeignChange, Severity::Info, vm, host, message)
                }
                Settled::Doubled { vm, hosts } => {
                    let message = format!(
                        "VM {vm} is reported running on {}. Stop all but one before its disks are spoiled",
                        hosts.join(" and on ")
                    );
                    (
                        EventKind::Alarm,
                        Severity::Error,
                        vm,
                        hosts.first().cloned().unwrap_or_default(),
                        message,
                    )
                }
            };
            self.tell(Event { host, vm, ..event(kind, severity, message) }, now);
        }
    }

    /// Keeps the VMs that no agent can tell of; where they are others than those that are kept.
    pub(super) fn keep_down(&mut self) {
        let other = |host: &&String| {
            let names = self.cell.down_names(host);
            self.kept.get(*host).map_or(names != Default::default(), |kept| *kept != names)
        };
        let changed: Vec<String> = self.cell.hosts.keys().filter(other).cloned().collect();
        for host in changed {
            self.keep_host(&host);
        }
    }

    /// Keeps that a host was there.
    pub(super) fn keep_host(&mut self, host: &str) {
        let Some(known) = self.known_host(host) else { return };
        self.kept.insert(host.to_owned(), self.cell.down_names(host));
        self.journal.write(store::Change::Host(known));
    }

    /// A host as it is kept.
    pub(super) fn known_host(&self, host: &str) -> Option<KnownHost> {
        let entry = self.cell.hosts.get(host)?;
        let down = self.cell.down(host);
        Some(KnownHost {
            name: host.to_owned(),
            capacity: entry.hello.capacity.clone(),
            labels: entry.hello.labels.clone(),
            last_seen: entry.seen_wall,
            boot_id: entry.hello.boot_id.clone(),
            vms: down.there,
            waiting: down.waiting,
        })
    }

    /// Ends all sessions.
    pub(super) fn send_all_away(&mut self) {
        let connected = self.cell.hosts.iter().filter(|(_, e)| e.connection != Connection::Failed);
        let hosts: Vec<_> = connected.map(|(host, _)| host.clone()).collect();
        for host in hosts {
            self.send_away(&host, BACK_AFTER);
        }
    }

    /// Ends the session of an agent, as the coordinator is being stopped.
    pub(super) fn send_away(&mut self, host: &str, reconnect_after: Duration) {
        let Some(epoch) = self.cell.hosts.get(host).map(|entry| entry.epoch) else { return };
        let reason = "the coordinator is being stopped".to_owned();
        let order = Order::GoAway { reason, reconnect_after };
        self.effects.push(Effect::Tell { host: host.to_owned(), epoch, order });
        self.effects.push(Effect::EndSession { host: host.to_owned(), epoch });
    }
}

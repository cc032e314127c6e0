//! What etcd keeps of hosts: what operators want of each, and whose cell it was in last. It is written behind the present
//! state, and decides nothing that members who are there can say themselves: between these the `cell` frames tell, and
//! the epoch of a session says which word is the newest. It is for what nobody has left to say: a coordinator that comes
//! back with an empty disk, and hosts of one that does not come back.

use super::super::Core;
use super::super::journal::event;
use crate::coordinator::inventory::Now;
use crate::coordinator::peers::KeptHost;
use crate::coordinator::settings::seconds;
use crate::record::{AdminState, Connection, Event, EventKind, HostRecord, Severity};
use crate::store;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two looks at which hosts nobody has.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is known of it.
#[derive(Debug, Default)]
pub(in crate::coordinator::core) struct Kept {
    known: bool,
    hosts: BTreeMap<String, KeptHost>,
    /// Hosts of which it was said what is wanted of them, and the last session of its agent by then.
    said: BTreeMap<String, u64>,
    /// Hosts that operators have forgotten in this life.
    pub(super) forgotten: BTreeSet<String>,
    /// Hosts that no member has, and since when.
    strays: BTreeMap<String, Duration>,
    /// Those of them that were told of.
    told: BTreeSet<String>,
    looked: Duration,
}

impl Kept {
    /// Whether etcd has told in this life.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// An operator, or the member that has the host, has said what is wanted of it.
    pub(in crate::coordinator::core) fn said(&mut self, host: &str, epoch: u64) {
        self.said.insert(host.to_owned(), epoch);
    }

    /// An operator has forgotten it.
    pub(in crate::coordinator::core) fn forget(&mut self, host: &str) {
        self.hosts.remove(host);
        self.said.remove(host);
        self.strays.remove(host);
        self.forgotten.insert(host.to_owned());
    }

    /// Its agent has come.
    pub(in crate::coordinator::core) fn is_back(&mut self, host: &str) {
        self.forgotten.remove(host);
        self.strays.remove(host);
        self.told.remove(host);
    }
}

impl Core {
    /// etcd tells what it keeps of hosts.
    pub(in crate::coordinator::core) fn hosts_kept(
        &mut self,
        all: bool,
        hosts: BTreeMap<String, Option<KeptHost>>,
        now: Now,
    ) {
        if all {
            self.ring.kept.hosts.clear();
        }
        for (host, kept) in hosts {
            match kept {
                Some(kept) => {
                    if self.is_newest(&host, &kept) {
                        self.follow_wish(&host, &kept, now);
                    }
                    self.ring.kept.hosts.insert(host, kept);
                }
                None => _ = self.ring.kept.hosts.remove(&host),
            }
        }
        self.ring.kept.known |= all;
        self.ring.show();
    }

    /// Whether nobody has said since what is wanted of a host.
    fn is_newest(&self, host: &str, kept: &KeptHost) -> bool {
        if self.ring.kept.forgotten.contains(host) {
            return false;
        }
        if kept.cell == self.ring.me() {
            // What is on the disk was written before it was sent.
            return !self.wanted.contains_key(host);
        }
        let elsewhere = self.ring.elsewhere.values().filter_map(|cell| cell.get(host));
        let said = elsewhere.map(|session| session.epoch).chain(self.ring.kept.said.get(host).copied());
        said.max().is_none_or(|epoch| epoch < kept.epoch)
    }

    fn follow_wish(&mut self, host: &str, kept: &KeptHost, now: Now) {
        let entry = self.cell.hosts.get_mut(host);
        let before = self.wanted.get(host).copied().unwrap_or_default();
        let shown = entry.as_ref().map_or(before, |entry| entry.admin);
        if before == kept.state && shown == kept.state {
            return;
        }
        if let Some(entry) = entry {
            entry.admin = kept.state;
            self.cell.touch(host);
            self.urgent = true;
            let word = match kept.state {
                AdminState::Online => "ONLINE",
                AdminState::Draining => "DRAINING",
                AdminState::Cordoned => "CORDONED",
            };
            let message =
                format!("host {host} is {word}, as etcd has kept it from coordinator {}", kept.cell);
            let said = event(EventKind::Operator, Severity::Info, message);
            self.tell(Event { host: host.to_owned(), ..said }, now);
        }
        self.wanted.insert(host.to_owned(), kept.state);
        self.ring.kept.said(host, kept.epoch);
        self.journal.write(store::Change::HostState(host.to_owned(), kept.state, kept.epoch));
    }

    /// Whether nobody has a host who could say anything of it: its last coordinator has left the ring, or is this one and has
    /// lost its disk.
    fn is_stray(&self, host: &str, kept: &KeptHost) -> bool {
        let lost = kept.cell == self.ring.me() || !self.ring.places.contains_key(&kept.cell);
        lost && !self.cell.hosts.contains_key(host)
            && !self.ring.elsewhere.values().any(|cell| cell.contains_key(host))
    }

    /// Tells the operator of hosts that nobody has. Of several members the one whose name is first does.
    pub(super) fn mind_strays(&mut self, now: Now) {
        let kept = &self.ring.kept;
        if !kept.known || now.at < kept.looked + LOOK_EVERY {
            return;
        }
        let strays = kept.hosts.iter().filter(|(host, kept)| self.is_stray(host, kept));
        let since = |host: &String| (host.clone(), kept.strays.get(host).copied().unwrap_or(now.at));
        let strays: BTreeMap<String, Duration> = strays.map(|(host, _)| since(host)).collect();
        let patience = seconds(self.settings.inventory.failed_after_s);
        let late = strays.iter().filter(|(_, since)| now.at >= **since + patience);
        let late: Vec<String> = late.map(|(host, _)| host.clone()).collect();
        let kept = &mut self.ring.kept;
        (kept.looked, kept.strays) = (now.at, strays);
        if self.ring.others().any(|other| other.as_str() < self.ring.me()) {
            return;
        }
        for host in late {
            if !self.ring.kept.told.insert(host.clone()) {
                continue;
            }
            let cell = self.ring.kept.hosts.get(&host).map(|kept| kept.cell.clone()).unwrap_or_default();
            let message = format!(
                "host {host} was of coordinator {cell}, and its agent has come to none since: what ran there is not watched. \
                 Look at it; if it will not come back, `dvms forget {host}`"
            );
            let said = event(EventKind::HostLost, Severity::Warning, message);
            self.tell(Event { host, ..said }, now);
        }
    }

    /// A host that was of this coordinator before it lost its disk, and may yet come: what runs there is not known.
    pub(super) fn own_stray(&self, now: Now) -> Option<&str> {
        let patience = seconds(self.settings.inventory.failed_after_s);
        let own = |host: &str| self.ring.kept.hosts.get(host).is_some_and(|kept| kept.cell == self.ring.me());
        let young =
            self.ring.kept.strays.iter().find(|(host, since)| own(host) && now.at < **since + patience);
        young.map(|(host, _)| host.as_str())
    }

    /// What is known of a host that nobody has.
    pub(in crate::coordinator::core) fn stray_record(&self, host: &str) -> Option<HostRecord> {
        let kept = self.ring.kept.hosts.get(host).filter(|kept| self.is_stray(host, kept))?;
        self.may_operate().ok()?;
        Some(HostRecord {
            name: host.to_owned(),
            state: kept.state,
            connection: Connection::Failed,
            epoch: kept.epoch,
            ..HostRecord::default()
        })
    }
}

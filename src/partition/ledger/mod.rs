//! The owner's side: who has reserved which hosts of this cell, and until when.
//!
//! This is where a host is in at most one partition: nobody else says who holds a host of this cell. A reservation
//! is a lease with an epoch. It is *committed* when its leader is about to carry out a plan; until then something
//! more urgent may take the host away.
//!
//! After a restart, and when a host comes from another coordinator, reservations may be running that this ledger
//! knows nothing of. Such a host is *unsettled*: for as long as such a lease can run it is granted to nobody, while
//! leaders that renew a lease are believed. No plan begins there: it may have been taken away from a leader that has not
//! heard of it, for another one that has not been heard yet. It is settled at once where the coordinator that it comes
//! from says that nobody has it.

#[cfg(test)]
mod tests;

use super::event::{Amounts, Kind, Need};
use super::growth;
use super::message::{Grant, Holder};
use super::names::{Epoch, Host, Member, PartitionId};
use super::time::{Millis, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an owner knows of a host of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Room for VMs of others.
    pub room: Amounts,
    /// It may receive VMs: it is connected, and nobody empties or keeps it.
    pub takes: bool,
    /// Actions of a partition that has ended are still under way there: nobody gets it.
    pub busy: bool,
}

/// A host of the cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Entry {
    facts: Facts,
    /// It is unsettled until then.
    unsettled: Option<Time>,
}

/// A lease on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// Who holds it.
    pub partition: PartitionId,
    /// Who leads that.
    pub leader: Member,
    /// How urgent that is.
    pub kind: Kind,
    /// Its fence.
    pub epoch: Epoch,
    /// When it ends.
    pub until: Time,
    /// Nothing may take it away.
    pub committed: bool,
    /// The request that it was granted for.
    ask: u64,
}

/// A request for hosts.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub partition: &'a PartitionId,
    pub leader: &'a Member,
    pub kind: Kind,
    pub ask: u64,
    pub named: &'a BTreeSet<Host>,
    pub need: Need,
    pub all: bool,
    pub most: u32,
}

/// Leases are to be prolonged.
#[derive(Debug, Clone)]
pub(super) struct Prolonging<'a> {
    pub partition: &'a PartitionId,
    pub leader: &'a Member,
    pub kind: Kind,
    pub hosts: &'a Leases,
    /// And committed.
    pub commit: bool,
    /// They were, as this owner has said, in this life or before.
    pub confirmed: bool,
}

/// Hosts with the epochs of reservations of them.
pub(super) type Leases = BTreeMap<Host, Epoch>;

/// What was granted, and what others have lost by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Granted {
    pub hosts: BTreeMap<Host, Grant>,
    pub more: bool,
    pub holders: BTreeMap<PartitionId, Holder>,
    pub later: bool,
    pub revoked: BTreeMap<(Member, PartitionId), Leases>,
}

/// What became of leases that were to be prolonged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Renewal {
    pub hosts: Leases,
    pub lost: Leases,
    /// All of `hosts` are committed.
    pub committed: bool,
}

/// All reservations of the hosts of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ledger {
    incarnation: u64,
    /// The last epoch of this life.
    last: u64,
    lease: Millis,
    cell: BTreeMap<Host, Entry>,
    held: BTreeMap<Host, Reservation>,
    /// Who was refused hosts, to be told when some are free.
    waiters: BTreeMap<PartitionId, Member>,
    /// Hosts have become free since somebody asked.
    freed: bool,
}

impl Ledger {
    pub(super) fn new(incarnation: u64, lease: Millis) -> Self {
        Self {
            incarnation,
            last: 0,
            lease,
            cell: BTreeMap::new(),
            held: BTreeMap::new(),
            waiters: BTreeMap::new(),
            freed: false,
        }
    }

    /// Takes a host into the cell, unsettled for a while, or changes what is known of it.
    pub(super) fn set(&mut self, host: &Host, facts: Facts, unsettled: Millis, now: Time) {
        let unsettled = (unsettled > Millis(0)).then(|| now + unsettled);
        let entry = self.cell.entry(host.clone()).or_insert(Entry { facts: Facts::default(), unsettled });
        self.freed |= facts.takes && !facts.busy && facts != entry.facts && !self.held.contains_key(host);
        entry.facts = facts;
    }

    /// Takes a host out of the cell, with the reservation of it.
    pub(super) fn remove(&mut self, host: &Host) -> Option<Reservation> {
        self.cell.remove(host);
        self.held.remove(host)
    }

    /// Grants hosts: those named that can be had, then as many as are needed, free ones before those that
    /// something less urgent holds.
    pub(super) fn reserve(&mut self, request: &Request<'_>, now: Time) -> Granted {
        let mut granted = Granted::default();
        let until = now + self.lease;
        let again = |r: &&mut Reservation| r.partition == *request.partition && r.ask == request.ask;
        for (host, reservation) in self.held.iter_mut().filter(|(_, r)| again(r)) {
            reservation.until = reservation.until.max(until);
            let room = self.cell.get(host).map_or([0, 0], |entry| entry.facts.room);
            granted.hosts.insert(host.clone(), Grant { epoch: reservation.epoch, room });
        }
        if granted.hosts.is_empty() {
            let most = request.most as usize;
            let obtainable =
                |host: &&Host| self.obtainable(host, request) && !self.is_held_by(host, request.partition);
            let mut chosen: Vec<Host> = request.named.iter().filter(obtainable).take(most).cloned().collect();
            let mut need = request.need;
            for host in &chosen {
                need.meet(self.cell[host].facts.room);
            }
            need.hosts = request.need.hosts;
            for revoking in [false, true] {
                if need.is_met() && !request.all {
                    break;
                }
                let left: Vec<_> = self
                    .cell
                    .iter()
                    .filter(|(host, _)| !chosen.contains(host) && self.held.contains_key(*host) == revoking)
                    .filter(|(host, entry)| (entry.facts.takes || request.all) && obtainable(host))
                    .map(|(host, entry)| (host, entry.facts.room))
                    .collect();
                let room = most.saturating_sub(chosen.len());
                let others = if request.all {
                    left.iter().take(room).map(|(host, _)| (*host).clone()).collect()
                } else {
                    growth::choose(&left, &need, room, request.kind.is_thrift())
                };
                for host in others {
                    need.meet(self.cell[&host].facts.room);
                    chosen.push(host);
                }
            }
            for host in chosen {
                self.take(host, request, until, &mut granted);
            }
        }
        let others: Vec<_> =
            self.cell.keys().filter(|host| !self.is_held_by(host, request.partition)).collect();
        granted.more = others
            .iter()
            .any(|host| (self.cell[*host].facts.takes || request.all) && self.obtainable(host, request));
        granted.later = self.cell.iter().any(|(host, entry)| {
            let busy = entry.facts.busy || entry.unsettled.is_some();
            entry.facts.takes && busy && !self.held.contains_key(host)
        });
        for reservation in self.held.values().filter(|r| r.partition != *request.partition) {
            let holder = Holder { leader: reservation.leader.clone(), committed: reservation.committed };
            granted.holders.insert(reservation.partition.clone(), holder);
        }
        if granted.hosts.is_empty() && !granted.more {
            self.waiters.insert(request.partition.clone(), request.leader.clone());
        }
        granted
    }

    fn take(&mut self, host: Host, request: &Request<'_>, until: Time, granted: &mut Granted) {
        self.last += 1;
        let epoch = Epoch { incarnation: self.incarnation, number: self.last };
        let reservation = Reservation {
            partition: request.partition.clone(),
            leader: request.leader.clone(),
            kind: request.kind,
            epoch,
            until,
            committed: false,
            ask: request.ask,
        };
        let room = self.cell[&host].facts.room;
        if let Some(before) = self.held.insert(host.clone(), reservation) {
            granted
                .revoked
                .entry((before.leader, before.partition))
                .or_default()
                .insert(host.clone(), before.epoch);
        }
        granted.hosts.insert(host, Grant { epoch, room });
    }

    /// Whether a host could be granted: free, or held by something less urgent that has not begun a plan.
    fn obtainable(&self, host: &Host, request: &Request<'_>) -> bool {
        let Some(entry) = self.cell.get(host) else { return false };
        let free = self.held.get(host).is_none_or(|held| !held.committed && held.kind > request.kind);
        free && !entry.facts.busy && entry.unsettled.is_none()
    }

    fn is_held_by(&self, host: &Host, partition: &PartitionId) -> bool {
        self.held.get(host).is_some_and(|held| held.partition == *partition)
    }

    /// Prolongs leases, and commits them where the leader says so. A lease that this ledger does not know is
    /// believed in on an unsettled host: of two the one that was committed before, then the one of the greater epoch. Not
    /// before the host is settled one is committed that was not.
    pub(super) fn renew(&mut self, asked: &Prolonging<'_>, now: Time) -> Renewal {
        let mut renewal = Renewal { committed: asked.commit, ..Renewal::default() };
        let until = now + self.lease;
        for (host, &epoch) in asked.hosts {
            let Some(entry) = self.cell.get(host) else {
                renewal.lost.insert(host.clone(), epoch);
                continue;
            };
            let unsettled = entry.unsettled.is_some();
            let commit = asked.commit && (asked.confirmed || !unsettled);
            let same = |held: &Reservation| held.partition == *asked.partition && held.epoch == epoch;
            let before = |held: &Reservation| (held.committed, held.epoch) < (commit, epoch);
            if let Some(held) = self.held.get_mut(host).filter(|held| same(held)) {
                held.until = held.until.max(until);
                held.committed |= commit;
                (held.kind, held.leader) = (asked.kind, asked.leader.clone());
                renewal.committed &= held.committed;
            } else if unsettled && self.held.get(host).is_none_or(before) {
                let (partition, leader) = (asked.partition.clone(), asked.leader.clone());
                let kind = asked.kind;
                let held = Reservation { partition, leader, kind, epoch, until, committed: commit, ask: 0 };
                self.held.insert(host.clone(), held);
                renewal.committed &= commit;
            } else {
                renewal.lost.insert(host.clone(), epoch);
                continue;
            }
            renewal.hosts.insert(host.clone(), epoch);
        }
        renewal
    }

    /// Ends these reservations of a partition. Of another epoch there are none: they have ended before.
    pub(super) fn release(&mut self, partition: &PartitionId, hosts: &Leases) {
        for (host, epoch) in hosts {
            if self.held.get(host).is_some_and(|held| held.partition == *partition && held.epoch == *epoch) {
                self.held.remove(host);
                self.freed = true;
            }
        }
        self.waiters.remove(partition);
    }

    /// Takes back what is not committed; whose it was.
    pub(super) fn take_back(&mut self) -> BTreeMap<(Member, PartitionId), Leases> {
        let mut taken: BTreeMap<(Member, PartitionId), Leases> = BTreeMap::new();
        for (host, held) in self.held.extract_if(.., |_, held| !held.committed) {
            taken.entry((held.leader, held.partition)).or_default().insert(host, held.epoch);
        }
        taken
    }

    /// Lets hosts go over from a partition to the one that has absorbed it.
    pub(super) fn adopt(
        &mut self,
        from: &PartitionId,
        hosts: &Leases,
        into: &Request<'_>,
        now: Time,
    ) -> Granted {
        let until = now + self.lease;
        let mut granted = Granted::default();
        for (host, epoch) in hosts {
            let Some(held) = self.held.get_mut(host) else { continue };
            let again = held.partition == *into.partition && held.ask == into.ask;
            if !again && (held.partition != *from || held.epoch != *epoch) {
                continue;
            }
            if !again {
                self.last += 1;
                held.epoch = Epoch { incarnation: self.incarnation, number: self.last };
                held.partition = into.partition.clone();
                held.ask = into.ask;
            }
            (held.leader, held.kind, held.until) = (into.leader.clone(), into.kind, held.until.max(until));
            let room = self.cell.get(host).map_or([0, 0], |entry| entry.facts.room);
            granted.hosts.insert(host.clone(), Grant { epoch: held.epoch, room });
        }
        granted
    }

    /// Ends leases that have run out, and settles hosts. To be called before anything else at a time.
    pub(super) fn expire(&mut self, now: Time) {
        let before = self.held.len();
        self.held.retain(|_, held| held.until > now);
        self.freed |= self.held.len() < before;
        for entry in self.cell.values_mut().filter(|entry| entry.unsettled.is_some_and(|until| until <= now))
        {
            entry.unsettled = None;
            self.freed = true;
        }
    }

    /// A host is settled before its time: until when it would have been unsettled.
    pub(super) fn settle(&mut self, host: &Host) -> Option<Time> {
        let until = self.cell.get_mut(host)?.unsettled.take()?;
        self.freed = true;
        Some(until)
    }

    /// Whether it is certain that nobody has reserved a host of the cell.
    #[must_use]
    pub fn nobody_has(&self, host: &Host) -> bool {
        let settled = self.cell.get(host).is_some_and(|entry| entry.unsettled.is_none());
        settled && !self.held.contains_key(host)
    }

    /// Those to be told that hosts have become free.
    pub(super) fn wake(&mut self) -> BTreeMap<PartitionId, Member> {
        if std::mem::take(&mut self.freed) { std::mem::take(&mut self.waiters) } else { BTreeMap::new() }
    }

    /// When a lease ends or a host settles next.
    pub(super) fn next(&self) -> Option<Time> {
        let leases = self.held.values().map(|held| held.until);
        let settling = self.cell.values().filter_map(|entry| entry.unsettled);
        leases.chain(settling).min()
    }

    /// Hosts that nobody has reserved and that could be.
    #[must_use]
    pub fn free(&self) -> u32 {
        let free = |(host, entry): &(&Host, &Entry)| {
            entry.facts.takes
                && !entry.facts.busy
                && entry.unsettled.is_none()
                && !self.held.contains_key(*host)
        };
        u32::try_from(self.cell.iter().filter(free).count()).unwrap_or(u32::MAX)
    }

    /// The reservation of a host.
    #[must_use]
    pub fn holder(&self, host: &Host) -> Option<&Reservation> {
        self.held.get(host)
    }

    /// All reservations.
    pub fn held(&self) -> impl Iterator<Item = (&Host, &Reservation)> {
        self.held.iter()
    }

    /// The hosts of the cell.
    pub fn cell(&self) -> impl Iterator<Item = (&Host, Facts)> {
        self.cell.iter().map(|(host, entry)| (host, entry.facts))
    }

    /// Until when a host is unsettled; `None` when it is settled, or not of this cell.
    #[must_use]
    pub fn unsettled(&self, host: &Host) -> Option<Time> {
        self.cell.get(host).and_then(|entry| entry.unsettled)
    }

    /// Whether an action of a partition may begin on a host: the fence that each one passes.
    #[must_use]
    pub fn may_act(&self, host: &Host, partition: &PartitionId, epoch: Epoch, now: Time) -> bool {
        let held = self.held.get(host);
        held.is_some_and(|held| {
            held.partition == *partition && held.epoch == epoch && held.committed && held.until > now
        })
    }
}

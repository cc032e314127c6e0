//! Leases are prolonged, of hosts and of events.

use super::Node;
use crate::partition::ledger::Leases;
use crate::partition::message::Body;
use crate::partition::names::{Host, Member, PartitionId};
use crate::partition::time::{Now, Time};
use std::collections::{BTreeMap, BTreeSet};

impl Node {
    /// Prolongs all leases of a partition, when it is time.
    pub(super) fn renew_leases(&mut self, id: &PartitionId, now: Now) {
        let every = self.settings.renew_every();
        let Some(led) = self.led.get_mut(id) else { return };
        if led.renewed + every > now.at {
            return;
        }
        led.renewed = now.at;
        let owners: BTreeSet<Member> =
            led.hosts.values().map(|hold| hold.owner.clone()).chain(led.events.keys().cloned()).collect();
        self.renew_at(id, &owners, now);
    }

    /// Prolongs what a partition has of these owners, and commits it when a plan is about to begin.
    pub(super) fn renew_at(&mut self, id: &PartitionId, owners: &BTreeSet<Member>, now: Now) {
        let Some(led) = self.led.get(id) else { return };
        let (kind, commit, mut leases) = (led.kind(), led.is_carried_out(), led.leases());
        let renew = |owner: &Member| {
            let body = Body::Renew {
                partition: id.clone(),
                kind,
                hosts: leases.remove(owner).unwrap_or_default(),
                commit,
                confirmed: led.has_committed(owner),
                events: led.events.get(owner).map(|keys| keys.keys().cloned().collect()).unwrap_or_default(),
                sent: now.at,
            };
            (owner.clone(), body)
        };
        let bodies: Vec<_> = owners.iter().map(renew).collect();
        for (owner, body) in bodies {
            self.send(&owner, body);
        }
    }

    /// Tells the owner of an event that it is in hand.
    pub(super) fn tell_in_hand(&mut self, id: &PartitionId, owner: &Member, now: Now) {
        if *owner != self.me {
            self.renew_at(id, &BTreeSet::from([owner.clone()]), now);
        }
    }

    /// An owner has prolonged leases.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn renewed(
        &mut self,
        from: &Member,
        id: &PartitionId,
        hosts: &Leases,
        lost: &Leases,
        committed: bool,
        sent: Time,
        now: Now,
    ) {
        let until = self.ends(sent, now);
        let Some(led) = self.led.get_mut(id) else {
            // The partition has ended, and its owner was not heard to know.
            let (partition, hosts) = (id.clone(), hosts.clone());
            return self.send(from, Body::Release { partition, hosts, events: BTreeMap::new() });
        };
        for (host, epoch) in hosts {
            if let Some(hold) = led.hosts.get_mut(host).filter(|hold| hold.epoch == *epoch) {
                hold.until = hold.until.max(until);
            }
        }
        // What was granted or adopted since then has another epoch.
        let ended =
            |(host, epoch): &(&Host, &_)| led.hosts.get(*host).is_some_and(|hold| hold.epoch == **epoch);
        let lost: BTreeSet<Host> = lost.iter().filter(ended).map(|(host, _)| host.clone()).collect();
        let theirs = led.hosts.iter().filter(|(_, hold)| hold.owner == *from);
        let all = lost.is_empty() && theirs.into_iter().all(|(host, _)| hosts.contains_key(host));
        self.lose(id, &lost, now);
        match (all, committed) {
            (true, true) => self.committed(id, from),
            (true, false) => self.commits_later(id, from),
            (false, _) => {}
        }
    }
}

//! A plan is committed, and carried out.

use super::Node;
use super::led::{Led, Stage};
use crate::partition::event::Outcome;
use crate::partition::io::Effect;
use crate::partition::message::Body;
use crate::partition::names::{Host, Member, PartitionId};
use crate::partition::time::Now;
use std::collections::{BTreeMap, BTreeSet};

impl Led {
    /// Whether its hosts are fixed: a plan is about to begin, or has.
    pub(super) fn is_carried_out(&self) -> bool {
        matches!(self.stage, Stage::Committing { .. } | Stage::Executing)
    }

    /// Whether an owner has said that what it holds for it is committed.
    pub(super) fn has_committed(&self, owner: &Member) -> bool {
        match &self.stage {
            Stage::Committing { pending, .. } => !pending.contains(owner),
            stage => matches!(stage, Stage::Executing),
        }
    }
}

impl Node {
    /// Gives back the hosts that a plan does not touch, and commits the others.
    pub(super) fn commit(&mut self, id: &PartitionId, touched: &BTreeSet<Host>, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        let all = led.leases();
        led.hosts.retain(|host, _| touched.contains(host));
        let pending: BTreeSet<_> = led.hosts.values().map(|hold| hold.owner.clone()).collect();
        led.stage = Stage::Committing { pending, again: now.at, tries: 0 };
        for (owner, mut hosts) in all {
            hosts.retain(|host, _| !touched.contains(host));
            if !hosts.is_empty() {
                self.send(&owner, Body::Release { partition: id.clone(), hosts, events: BTreeMap::new() });
            }
        }
        self.commit_again(id, now);
    }

    /// Asks those who have not confirmed.
    pub(super) fn commit_again(&mut self, id: &PartitionId, now: Now) {
        let (answer_within, most) = (self.settings.answer_within, self.settings.tries);
        let Some(led) = self.led.get_mut(id) else { return };
        let Stage::Committing { pending, again, tries } = &mut led.stage else { return };
        (*tries, *again) = (*tries + 1, now.at + answer_within);
        let (pending, tries) = (pending.clone(), *tries);
        if pending.is_empty() {
            return self.execute(id);
        }
        if tries > most {
            for owner in &pending {
                self.falls_silent(owner, now);
            }
            return self.end(id, Some(Outcome::Dropped));
        }
        self.renew_at(id, &pending, now);
    }

    /// An owner has committed what it holds for a partition.
    pub(super) fn committed(&mut self, id: &PartitionId, owner: &Member) {
        let Some(led) = self.led.get_mut(id) else { return };
        let Stage::Committing { pending, .. } = &mut led.stage else { return };
        pending.remove(owner);
        if pending.is_empty() {
            self.execute(id);
        }
    }

    /// An owner prolongs what it holds for a partition, and does not commit it yet: it does not know since its restart whether
    /// others count on these hosts. It is there, and asked until it knows.
    pub(super) fn commits_later(&mut self, id: &PartitionId, owner: &Member) {
        let Some(led) = self.led.get_mut(id) else { return };
        if let Stage::Committing { pending, tries, .. } = &mut led.stage
            && pending.contains(owner)
        {
            *tries = 0;
        }
    }

    fn execute(&mut self, id: &PartitionId) {
        let Some(led) = self.led.get_mut(id) else { return };
        led.stage = Stage::Executing;
        let (version, hosts) = (led.version, led.hosts());
        self.effect(Effect::Execute { partition: id.clone(), version, hosts });
    }

    /// All actions have ended. Whether the troubles are over, those see who have raised them.
    pub(super) fn executed(&mut self, id: &PartitionId) {
        if self.led.get(id).is_some_and(|led| matches!(led.stage, Stage::Executing)) {
            self.end(id, Some(Outcome::Solved));
        }
    }

    /// A partition has lost hosts.
    pub(super) fn lose(&mut self, id: &PartitionId, lost: &BTreeSet<Host>, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        let before = led.hosts.len();
        led.hosts.retain(|host, _| !lost.contains(host));
        let gone = before - led.hosts.len();
        if gone == 0 {
            return;
        }
        let missing = led.required().iter().any(|host| lost.contains(host));
        led.changed = true;
        match led.stage {
            Stage::Executing => {
                // What is under way ends at the agents; the event is raised again if it still stands.
                self.effect(Effect::Fence { partition: id.clone(), hosts: lost.clone() });
            }
            Stage::Committing { .. } => self.end(id, Some(Outcome::Dropped)),
            Stage::Gathering { .. } | Stage::Solving { .. } | Stage::Blocked { .. } if missing => {
                self.end(id, Some(Outcome::Dropped));
            }
            Stage::Solving { .. } => {
                self.cancel_solve(id);
                if let Some(led) = self.led.get_mut(id) {
                    led.need.hosts = led.need.hosts.max(u32::try_from(gone).unwrap_or(u32::MAX));
                }
                self.tour(id, now);
            }
            // A tour ends with what it has, and a merge with what both have.
            _ => {}
        }
    }

    /// An owner has taken hosts away.
    pub(super) fn revoked(&mut self, id: &PartitionId, hosts: &crate::partition::ledger::Leases, now: Now) {
        let Some(led) = self.led.get(id) else { return };
        let same =
            |(host, epoch): &(&Host, &_)| led.hosts.get(*host).is_some_and(|hold| hold.epoch == **epoch);
        let lost: BTreeSet<Host> = hosts.iter().filter(same).map(|(host, _)| host.clone()).collect();
        self.lose(id, &lost, now);
    }

    /// Leases that have run out as the leader counts them.
    pub(super) fn lose_what_has_run_out(&mut self, now: Now) {
        let mut run_out: BTreeMap<PartitionId, BTreeSet<Host>> = BTreeMap::new();
        for (id, led) in &self.led {
            for (host, _) in led.hosts.iter().filter(|(_, hold)| hold.until <= now.at) {
                run_out.entry(id.clone()).or_default().insert(host.clone());
            }
        }
        for (id, hosts) in run_out {
            self.lose(&id, &hosts, now);
        }
    }
}

//! Blocked partitions become one. Always the younger one offers itself to an older one, and while it does it takes
//! no offers; who has accepted one takes no other before that has come to an end. So there is never a merge both
//! ways, nor one with a third in between, and the oldest of those that are blocked can always accept.

use super::Node;
use super::led::Stage;
use crate::partition::event::{Event, Outcome};
use crate::partition::ledger::Leases;
use crate::partition::message::{Body, Declined, Holder};
use crate::partition::names::{EventKey, Member, PartitionId};
use crate::partition::time::{Now, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A partition that another has absorbed: what it handed over, to be said again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Tomb {
    into: PartitionId,
    leader: Member,
    ask: u64,
    hosts: BTreeMap<Member, Leases>,
    events: Vec<Event>,
    /// Its leases have ended by then.
    pub(super) until: Time,
}

impl Node {
    /// A partition that all have been asked for, and that cannot be solved: it waits, and looks for others that do.
    pub(super) fn block(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get(id) else { return };
        let until = self.backoff(led.waits, now);
        let Some(led) = self.led.get_mut(id) else { return };
        led.stage = Stage::Blocked { until };
        for (from, leader) in std::mem::take(&mut led.wants) {
            self.send(&leader, Body::Invite { from, into: id.clone() });
        }
        self.offer(id, now);
    }

    /// Offers itself to the oldest of those that hold what is lacking, if that is older.
    fn offer(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        let mut older = led.holders.iter().filter(|(holder, state)| *holder < id && !state.committed);
        let Some((into, holder)) = older.find(|(holder, _)| !led.offered.contains(*holder)) else { return };
        let (into, leader) = (into.clone(), holder.leader.clone());
        led.offered.insert(into.clone());
        led.asks += 1;
        led.stage = Stage::Offering { into, leader, again: now.at, tries: 0 };
        self.offer_again(id, now);
    }

    /// Says again that it offers itself.
    pub(super) fn offer_again(&mut self, id: &PartitionId, now: Now) {
        let (answer_within, most) = (self.settings.answer_within, self.settings.tries);
        let Some(led) = self.led.get_mut(id) else { return };
        let ask = led.asks;
        let Stage::Offering { into, leader, again, tries } = &mut led.stage else { return };
        if *tries >= most {
            return self.stay_blocked(id, now);
        }
        (*tries, *again) = (*tries + 1, now.at + answer_within);
        let (leader, into) = (leader.clone(), into.clone());
        self.send(&leader, Body::Offer { from: id.clone(), into, ask });
    }

    /// A merge has come to nothing.
    fn stay_blocked(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get(id) else { return };
        // What was lost meanwhile shows now.
        if led.required().iter().any(|host| !led.hosts.contains_key(host)) {
            return self.end(id, Some(Outcome::Dropped));
        }
        if led.events.is_empty() {
            return self.end(id, Some(Outcome::Solved));
        }
        self.block(id, now);
    }

    /// A younger partition offers itself.
    pub(super) fn offered(
        &mut self,
        from: &Member,
        young: &PartitionId,
        into: &PartitionId,
        ask: u64,
        now: Now,
    ) {
        let decline = |why| Body::Decline { from: young.clone(), into: into.clone(), ask, why };
        let Some(led) = self.led.get_mut(into) else {
            let absorbed = self.tombs.get(into).map(|tomb| (tomb.into.clone(), tomb.leader.clone()));
            let why = absorbed.map_or(Declined::Gone, |(by, leader)| Declined::Absorbed { by, leader });
            return self.send(from, decline(why));
        };
        match &led.stage {
            Stage::Blocked { .. } if into < young => {
                led.wants.remove(young);
                let (from, leader) = (young.clone(), from.clone());
                led.stage = Stage::Absorbing { from, leader, ask, again: now.at, tries: 0 };
                self.accept_again(into, now);
            }
            Stage::Absorbing { from: accepted, ask: of, .. } if accepted == young && *of == ask => {
                self.send(from, Body::Accept { from: young.clone(), into: into.clone(), ask });
            }
            Stage::Committing { .. } | Stage::Executing => self.send(from, decline(Declined::Executing)),
            _ => {
                led.wants.insert(young.clone(), from.clone());
                self.send(from, decline(Declined::NotNow));
            }
        }
    }

    /// Says again that an offer is accepted.
    pub(super) fn accept_again(&mut self, id: &PartitionId, now: Now) {
        let (answer_within, most) = (self.settings.answer_within, self.settings.tries);
        let Some(led) = self.led.get_mut(id) else { return };
        let Stage::Absorbing { from, leader, ask, again, tries } = &mut led.stage else { return };
        if *tries >= most {
            return self.stay_blocked(id, now);
        }
        (*tries, *again) = (*tries + 1, now.at + answer_within);
        let (leader, from, ask) = (leader.clone(), from.clone(), *ask);
        self.send(&leader, Body::Accept { from, into: id.clone(), ask });
    }

    /// The offer of a partition that is led here is accepted: it hands over what it has, and is no more.
    pub(super) fn accepted(
        &mut self,
        from: &Member,
        id: &PartitionId,
        into: &PartitionId,
        ask: u64,
        now: Now,
    ) {
        let stands = |led: &super::Led| {
            led.asks == ask && matches!(&led.stage, Stage::Offering { into: to, .. } if to == into)
        };
        if self.led.get(id).is_some_and(stands) {
            let Some(led) = self.led.get(id) else { return };
            let tomb = Tomb {
                into: into.clone(),
                leader: from.clone(),
                ask,
                hosts: led.leases(),
                events: led.events().cloned().collect(),
                until: now.at + self.settings.lease,
            };
            self.tombs.insert(id.clone(), tomb);
            for (young, leader) in led.wants.clone() {
                let why = Declined::Absorbed { by: into.clone(), leader: from.clone() };
                self.send(&leader, Body::Decline { from: young, into: id.clone(), ask: u64::MAX, why });
            }
            self.gone_over(id, into, from, now);
            self.end(id, None);
        }
        let handed = self.tombs.get(id).filter(|tomb| tomb.into == *into && tomb.ask == ask);
        let body = match handed {
            Some(tomb) => Body::Handover {
                from: id.clone(),
                into: into.clone(),
                ask,
                hosts: tomb.hosts.clone(),
                events: tomb.events.clone(),
            },
            None => Body::Withdraw { from: id.clone(), into: into.clone(), ask },
        };
        self.send(from, body);
    }

    /// An offer is declined.
    pub(super) fn declined(
        &mut self,
        id: &PartitionId,
        into: &PartitionId,
        ask: u64,
        why: Declined,
        now: Now,
    ) {
        let Some(led) = self.led.get_mut(id) else { return };
        // Told without being asked: who has absorbed the one that an offer was made to before.
        let told = ask == u64::MAX && matches!(led.stage, Stage::Blocked { .. });
        let asked = led.asks == ask && matches!(&led.stage, Stage::Offering { into: to, .. } if to == into);
        if !told && !asked {
            return;
        }
        match why {
            Declined::Absorbed { by, leader } => {
                led.holders.remove(into);
                if by < *id {
                    led.offered.remove(&by);
                }
                if by != *id {
                    led.holders.insert(by, Holder { leader, committed: false });
                }
            }
            Declined::Gone => drop(led.holders.remove(into)),
            Declined::Executing | Declined::NotNow => {}
        }
        self.stay_blocked(id, now);
    }

    /// An offer that was accepted does not stand any more.
    pub(super) fn withdrawn(&mut self, young: &PartitionId, into: &PartitionId, ask: u64, now: Now) {
        let Some(led) = self.led.get(into) else { return };
        if matches!(&led.stage, Stage::Absorbing { from, ask: of, .. } if from == young && *of == ask) {
            self.stay_blocked(into, now);
        }
    }

    /// A younger partition hands over what it has.
    pub(super) fn handed_over(
        &mut self,
        young: &PartitionId,
        into: &PartitionId,
        ask: u64,
        hosts: BTreeMap<Member, Leases>,
        events: Vec<Event>,
        now: Now,
    ) {
        let led = self.led.get_mut(into);
        match led {
            Some(led) if matches!(&led.stage, Stage::Absorbing { from, ask: of, .. } if from == young && *of == ask) =>
            {
                for event in events {
                    led.add(event);
                }
                // What both together lack is for the solver to say.
                led.need = crate::partition::event::Need::default();
                led.changed = true;
                led.all = false;
                led.asks += 1;
                led.stage = Stage::Adopting { from: young.clone(), pending: hosts, again: now.at, tries: 0 };
                self.adopt_again(into, now);
            }
            // Said again while the owners are being told.
            Some(led) if matches!(&led.stage, Stage::Adopting { from, .. } if from == young) => {}
            // It comes too late: nobody has what was handed over.
            _ => {
                let mut all: BTreeMap<Member, (Leases, BTreeMap<EventKey, Outcome>)> = BTreeMap::new();
                for (owner, hosts) in hosts {
                    all.entry(owner).or_default().0 = hosts;
                }
                for event in events {
                    all.entry(event.owner).or_default().1.insert(event.key, Outcome::Dropped);
                }
                for (owner, (hosts, events)) in all {
                    self.send(&owner, Body::Release { partition: young.clone(), hosts, events });
                }
            }
        }
    }

    /// Tells the owners of hosts that were handed over whose they are now.
    pub(super) fn adopt_again(&mut self, id: &PartitionId, now: Now) {
        let (answer_within, most) = (self.settings.answer_within, self.settings.tries);
        let Some(led) = self.led.get_mut(id) else { return };
        let (kind, ask) = (led.kind(), led.asks);
        let Stage::Adopting { from, pending, again, tries } = &mut led.stage else { return };
        if pending.is_empty() || *tries >= most {
            return self.merged(id, now);
        }
        (*tries, *again) = (*tries + 1, now.at + answer_within);
        let (from, pending) = (from.clone(), pending.clone());
        for (owner, hosts) in pending {
            let (from, into) = (from.clone(), id.clone());
            self.send(&owner, Body::Adopt { from, into, kind, ask, hosts, sent: now.at });
        }
    }

    /// An owner has answered; says whether the partition is adopting, and asks for nothing else.
    pub(super) fn adopted(&mut self, id: &PartitionId, owner: &Member, answered: u64, now: Now) -> bool {
        let Some(led) = self.led.get_mut(id) else { return false };
        let Stage::Adopting { pending, .. } = &mut led.stage else { return false };
        if led.asks == answered {
            pending.remove(owner);
            if pending.is_empty() {
                self.merged(id, now);
            }
        }
        true
    }

    /// Two have become one: whether they can help each other, the solver says.
    fn merged(&mut self, id: &PartitionId, now: Now) {
        let owners: BTreeSet<Member> = match self.led.get(id) {
            Some(led) => led.events.keys().cloned().collect(),
            None => return,
        };
        for owner in owners {
            self.tell_in_hand(id, &owner, now);
        }
        let Some(led) = self.led.get_mut(id) else { return };
        led.waits = 0;
        // The events of hosts that were lost on the way are raised again by their owners.
        let lacking =
            |event: &Event, led: &super::Led| event.hosts.iter().any(|host| !led.hosts.contains_key(host));
        let lost: Vec<Event> = led.events().filter(|event| lacking(event, led)).cloned().collect();
        for event in lost {
            if let Some(keys) = self.led.get_mut(id).and_then(|led| led.events.get_mut(&event.owner)) {
                keys.remove(&event.key);
            }
            let events = BTreeMap::from([(event.key, Outcome::Dropped)]);
            let body = Body::Release { partition: id.clone(), hosts: BTreeMap::new(), events };
            self.send(&event.owner, body);
        }
        let Some(led) = self.led.get_mut(id) else { return };
        led.events.retain(|_, keys| !keys.is_empty());
        if led.events.is_empty() {
            return self.end(id, Some(Outcome::Dropped));
        }
        self.tour(id, now);
    }

    /// A partition that could not take an offer can now.
    pub(super) fn invited(&mut self, from: &Member, id: &PartitionId, into: PartitionId, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        if into >= *id {
            return;
        }
        led.offered.remove(&into);
        led.holders.insert(into, Holder { leader: from.clone(), committed: false });
        if matches!(led.stage, Stage::Blocked { .. }) {
            self.offer(id, now);
        }
    }

    /// A blocked partition has waited long enough: perhaps hosts have become free.
    pub(super) fn try_again(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        led.waits += 1;
        self.tour(id, now);
    }
}

//! Troubles of this cell. Each is in the hand of one partition, led here or elsewhere, or waits for its turn. In hand
//! is a lease too: where the leader is not heard of any more, the event is raised again.

use super::Node;
use super::led::{Led, Stage};
use crate::partition::event::{Event, Kind, Need, Outcome};
use crate::partition::io::Effect;
#[cfg(test)]
use crate::partition::io::Input;
use crate::partition::message::Body;
use crate::partition::names::{EventKey, Host, Member, PartitionId};
use crate::partition::time::{Now, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A trouble of this cell that stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Standing {
    event: Event,
    care: Care,
    /// How often it was dropped.
    dropped: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Care {
    /// Nobody; from this time on something is done.
    Waits(Time),
    /// This partition, as long as its leader says so.
    InHand { partition: PartitionId, leader: Member, until: Time },
}

impl Standing {
    pub(super) fn in_hand(&self) -> Option<&PartitionId> {
        match &self.care {
            Care::InHand { partition, .. } => Some(partition),
            Care::Waits(_) => None,
        }
    }

    pub(super) fn next(&self) -> Time {
        match &self.care {
            Care::Waits(until) | Care::InHand { until, .. } => *until,
        }
    }
}

impl Node {
    /// A trouble begins, or is another than before.
    pub(super) fn raised(&mut self, event: Event, now: Now) {
        let key = event.key.clone();
        match self.events.get_mut(&key) {
            Some(standing) if standing.event == event => {}
            Some(standing) => {
                standing.event = event.clone();
                if let Care::InHand { partition, leader, .. } = &standing.care {
                    let (partition, leader) = (partition.clone(), leader.clone());
                    self.send(&leader, Body::Concern { partition, event });
                }
            }
            None => {
                self.events.insert(key, Standing { event, care: Care::Waits(now.at), dropped: 0 });
            }
        }
    }

    /// A trouble does not stand any more.
    pub(super) fn calmed(&mut self, key: &EventKey) {
        let Some(standing) = self.events.remove(key) else { return };
        if let Care::InHand { partition, leader, .. } = standing.care {
            self.send(&leader, Body::Calm { partition, event: key.clone() });
        }
    }

    /// A host has left the cell: what is reserved of it is lost, and its troubles are those of another now.
    pub(super) fn host_gone(&mut self, host: &Host) {
        if let Some(held) = self.ledger.remove(host) {
            let hosts = BTreeMap::from([(host.clone(), held.epoch)]);
            self.send(&held.leader, Body::Revoked { partition: held.partition, hosts });
        }
    }

    /// A host is unsettled no longer: what waits for that waits no longer either.
    pub(super) fn settled(&mut self, host: &Host, now: Now) {
        let Some(until) = self.ledger.settle(host) else { return };
        for standing in self.events.values_mut() {
            if standing.event.hosts.contains(host) && matches!(standing.care, Care::Waits(at) if at == until)
            {
                standing.care = Care::Waits(now.at);
            }
        }
    }

    /// Raises what waits, the most urgent first, and what nobody has in hand any more.
    pub(super) fn tick_events(&mut self, now: Now) {
        let mut due: Vec<(Kind, EventKey)> = Vec::new();
        for (key, standing) in &mut self.events {
            if let Care::InHand { until, .. } = standing.care
                && until <= now.at
            {
                standing.care = Care::Waits(now.at);
            }
            if matches!(standing.care, Care::Waits(until) if until <= now.at) {
                due.push((standing.event.kind, key.clone()));
            }
        }
        due.sort();
        for (_, key) in due {
            self.raise(&key, now);
            // What it has asked its own cell may matter for the next one.
            self.drain(now);
        }
    }

    /// Gives an event to the partition that has its hosts, or founds one for it.
    fn raise(&mut self, key: &EventKey, now: Now) {
        let Some(Standing { event, care: Care::Waits(_), .. }) = self.events.get(key) else { return };
        if self.leaving {
            // Who has its hosts then sees it too.
            self.events.remove(key);
            return;
        }
        let event = event.clone();
        let settled = event.hosts.iter().filter_map(|host| self.ledger.unsettled(host)).max();
        if let Some(settled) = settled {
            return self.wait(key, settled);
        }
        let holder = event.hosts.iter().find_map(|host| self.ledger.holder(host)).cloned();
        match holder {
            Some(held) if self.led.get(&held.partition).is_some_and(Led::takes_events) => {
                self.take_event(&held.partition, event, now);
            }
            // It takes the hosts over: what has them is less urgent.
            Some(held) if event.kind < held.kind && !held.committed => self.found(event, now),
            Some(held) => {
                let again = now.at + self.settings.answer_within;
                self.wait(key, again);
                if held.leader != self.me {
                    self.send(&held.leader, Body::Concern { partition: held.partition, event });
                }
            }
            None => self.found(event, now),
        }
    }

    fn wait(&mut self, key: &EventKey, until: Time) {
        if let Some(standing) = self.events.get_mut(key) {
            standing.care = Care::Waits(until);
        }
    }

    /// Founds a partition for an event.
    fn found(&mut self, event: Event, now: Now) {
        self.clock = self.clock.saturating_add(1);
        let id = PartitionId { number: self.clock, founder: self.me.clone(), incarnation: self.incarnation };
        self.in_hand(&event.key, &id, &self.me.clone(), now);
        let mut led = Led {
            version: 0,
            events: BTreeMap::new(),
            left_out: BTreeMap::new(),
            hosts: BTreeMap::new(),
            stage: Stage::Blocked { until: now.at },
            left: Vec::new(),
            all: false,
            silent: false,
            changed: true,
            need: Need::default(),
            asks: 0,
            waits: 0,
            renewed: now.at,
            holders: BTreeMap::new(),
            offered: BTreeSet::new(),
            wants: BTreeMap::new(),
        };
        led.add(event);
        self.led.insert(id.clone(), led);
        self.tour(&id, now);
    }

    /// A partition that is led here has an event of this cell in hand.
    fn take_event(&mut self, id: &PartitionId, event: Event, now: Now) {
        if event.owner == self.me {
            self.in_hand(&event.key, id, &self.me.clone(), now);
        }
        let Some(led) = self.led.get_mut(id) else { return };
        if led.add(event) {
            self.cancel_solve(id);
            self.tour(id, now);
        }
    }

    fn in_hand(&mut self, key: &EventKey, partition: &PartitionId, leader: &Member, now: Now) {
        let until = now.at + self.settings.lease;
        if let Some(standing) = self.events.get_mut(key) {
            standing.care = Care::InHand { partition: partition.clone(), leader: leader.clone(), until };
        }
    }

    /// A leader says which events of this cell its partition has in hand.
    pub(super) fn said_in_hand(
        &mut self,
        leader: &Member,
        partition: &PartitionId,
        events: &BTreeSet<EventKey>,
        now: Now,
    ) {
        for key in events {
            match self.events.get(key) {
                // One partition at a time: the older one.
                Some(Standing { care: Care::InHand { partition: other, .. }, .. }) if other < partition => {
                    let (partition, event) = (partition.clone(), key.clone());
                    self.send(leader, Body::Calm { partition, event });
                }
                Some(_) => self.in_hand(key, partition, leader, now),
                None => {
                    let (partition, event) = (partition.clone(), key.clone());
                    self.send(leader, Body::Calm { partition, event });
                }
            }
        }
    }

    /// A leader says that its partition has ended.
    pub(super) fn said_ended(
        &mut self,
        partition: &PartitionId,
        events: &BTreeMap<EventKey, Outcome>,
        now: Now,
    ) {
        for (key, outcome) in events {
            let Some(standing) = self.events.get(key).filter(|s| s.in_hand() == Some(partition)) else {
                continue;
            };
            let dropped = if *outcome == Outcome::Solved { 0 } else { standing.dropped + 1 };
            let wait = match outcome {
                Outcome::Solved => now.at + self.settings.backoff,
                Outcome::Dropped => self.backoff(dropped - 1, now),
                Outcome::Unsolved => now.at + self.settings.unsolved,
            };
            if let Some(standing) = self.events.get_mut(key) {
                standing.care = Care::Waits(wait);
                standing.dropped = dropped;
            }
            self.effect(Effect::Answered { event: key.clone(), outcome: *outcome });
        }
    }

    /// The events of this cell that have gone over to another partition with this one.
    pub(super) fn gone_over(&mut self, from: &PartitionId, into: &PartitionId, leader: &Member, now: Now) {
        let theirs = |standing: &Standing| standing.in_hand() == Some(from);
        let keys: Vec<_> =
            self.events.iter().filter(|(_, standing)| theirs(standing)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.in_hand(&key, into, leader, now);
        }
    }

    /// An event of another cell is about hosts of a partition that is led here.
    pub(super) fn concern(&mut self, id: &PartitionId, event: Event, now: Now) {
        let known =
            |led: &Led| led.events.get(&event.owner).is_some_and(|keys| keys.contains_key(&event.key));
        let Some(led) = self.led.get(id) else { return };
        if led.takes_events() || (known(led) && !led.is_carried_out()) {
            let owner = event.owner.clone();
            self.take_event(id, event, now);
            self.tell_in_hand(id, &owner, now);
        }
    }

    /// An event does not stand any more.
    pub(super) fn calm(&mut self, from: &Member, id: &PartitionId, key: &EventKey) {
        let Some(led) = self.led.get_mut(id) else { return };
        let Some(keys) = led.events.get_mut(from) else { return };
        if keys.remove(key).is_none() {
            return;
        }
        if keys.is_empty() {
            led.events.remove(from);
        }
        led.changed = true;
        // A plan that has begun is carried out; one in a merge goes on until that is done.
        if led.events.is_empty() && led.takes_events() {
            self.end(id, Some(Outcome::Solved));
        }
    }

    /// Ends a partition: gives everything back, and tells everyone.
    pub(super) fn end(&mut self, id: &PartitionId, outcome: Option<Outcome>) {
        self.cancel_solve(id);
        let Some(led) = self.led.remove(id) else { return };
        if let Some(outcome) = outcome {
            let mut leases = led.leases();
            for owner in led.events.keys() {
                leases.entry(owner.clone()).or_default();
            }
            for (owner, hosts) in leases {
                let keys = led.events.get(&owner).into_iter().flat_map(BTreeMap::keys);
                let left_out =
                    |key: &EventKey| led.left_out.get(&owner).is_some_and(|left| left.contains(key));
                let of = |key: &EventKey| if left_out(key) { Outcome::Dropped } else { outcome };
                let events = keys.map(|key| (key.clone(), of(key))).collect();
                self.send(&owner, Body::Release { partition: id.clone(), hosts, events });
            }
        }
        let events = led.events().cloned().collect();
        self.effect(Effect::Ended { partition: id.clone(), events, outcome });
    }
}

#[cfg(test)]
impl Input {
    /// An event of one host, for tests.
    pub(in crate::partition) fn raise(owner: &str, kind: Kind, host: &str, need: Need) -> Self {
        let key = format!("{kind:?} {host}");
        Self::Raised {
            event: Event {
                key: key.as_str().into(),
                owner: owner.into(),
                kind,
                hosts: BTreeSet::from([host.into()]),
                linked: BTreeSet::new(),
                near: BTreeSet::new(),
                need,
            },
        }
    }
}

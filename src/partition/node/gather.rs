//! A partition asks for hosts: its own cell first, then member by member, until all have been asked.

use super::Node;
use super::led::{Hold, Stage};
use crate::partition::event::Outcome;
use crate::partition::ledger::Leases;
use crate::partition::message::{Body, Grant};
use crate::partition::names::{Host, Member, PartitionId};
use crate::partition::time::{Millis, Now, Time};
use std::collections::BTreeMap;

impl Node {
    /// Begins a tour.
    pub(super) fn tour(&mut self, id: &PartitionId, now: Now) {
        let left = self.ring.tour(&self.me);
        let Some(led) = self.led.get_mut(id) else { return };
        led.left = left;
        led.silent = false;
        led.holders.clear();
        led.offered.clear();
        self.ask_next(id, None, now);
    }

    /// Asks the next member: after the own cell those that have linked hosts, then the one that the last one has named, else
    /// the first that may have free hosts, else one that is said to have none, as nobody is left out.
    pub(super) fn ask_next(&mut self, id: &PartitionId, first_out: Option<&Member>, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        let before = led.left.len();
        led.left.retain(|member| !self.silent.contains_key(member));
        led.silent |= led.left.len() < before;
        let full = |member: &&Member| **member != self.me && self.free.get(*member) == Some(&0);
        // A shortcut leads past nobody that is nearer and may have free hosts. Near ones come first.
        let reach = |member: &Member| self.ring.reach(&self.me, member);
        let nearer = |than: &Member| {
            let before = led.left.iter().take_while(|member| reach(member) < reach(than));
            before.into_iter().any(|member| !full(&member))
        };
        let named = first_out.filter(|member| led.left.contains(member) && !nearer(member));
        let near = led.near().filter(|_| !led.left.contains(&self.me));
        let Some(to) =
            near.or(named).or_else(|| led.left.iter().find(|m| !full(m))).or(led.left.first()).cloned()
        else {
            return self.toured(id, now);
        };
        led.asks += 1;
        let again = now.at + self.settings.answer_within;
        led.stage = Stage::Gathering { to, again, tries: 0 };
        self.ask(id, now);
    }

    fn ask(&mut self, id: &PartitionId, now: Now) {
        let answer_within = self.settings.answer_within;
        let Some(led) = self.led.get_mut(id) else { return };
        let kind = led.kind();
        let Stage::Gathering { to, again, tries } = &mut led.stage else { return };
        (*tries, *again) = (*tries + 1, now.at + answer_within);
        let to = to.clone();
        let wanted =
            led.events.values().flat_map(BTreeMap::values).flat_map(|e| e.hosts.iter().chain(&e.linked));
        let named = wanted.filter(|host| !led.hosts.contains_key(*host)).cloned().collect();
        let body = Body::Reserve {
            partition: id.clone(),
            kind,
            ask: led.asks,
            named,
            need: led.need,
            all: led.all,
            most: self.settings.most_hosts,
            sent: now.at,
        };
        self.send(&to, body);
    }

    /// The one asked has not answered.
    pub(super) fn ask_again(&mut self, id: &PartitionId, now: Now) {
        let Some(Stage::Gathering { to, tries, .. }) = self.led.get(id).map(|led| &led.stage) else { return };
        if *tries < self.settings.tries {
            return self.ask(id, now);
        }
        let to = to.clone();
        self.falls_silent(&to, now);
        self.ask_next(id, None, now);
    }

    /// A member does not answer: it is not asked again for a while. What it has granted without being heard ends
    /// by itself.
    pub(super) fn falls_silent(&mut self, member: &Member, now: Now) {
        if *member != self.me {
            self.silent.insert(member.clone(), now.at + self.settings.silent);
        }
    }

    /// When a lease ends that was granted or prolonged on a message sent then, by what the answer says: not later than now.
    pub(super) fn ends(&self, sent: Time, now: Now) -> Time {
        sent.min(now.at) + Millis(self.settings.lease.0.saturating_sub(self.settings.margin.0))
    }

    /// An owner has answered a request for hosts, or an adoption.
    pub(super) fn granted(&mut self, from: &Member, body: Body, now: Now) {
        let Body::Granted { partition: id, ask, hosts, more, holders, later, first_out, sent } = body else {
            return;
        };
        let until = self.ends(sent, now);
        let Some(led) = self.led.get_mut(&id).filter(|led| !led.is_carried_out() && until > now.at) else {
            // Nobody wants them, or the answer comes too late to count on it.
            return self.give_back(from, &id, hosts);
        };
        for (host, Grant { epoch, room }) in hosts.clone() {
            let hold = Hold { owner: from.clone(), epoch, until, room };
            let known = led.hosts.get(&host).map(|hold| hold.epoch);
            // An answer that was overtaken.
            if known.is_some_and(|known| known > epoch) {
                continue;
            }
            let leaves = led.is_left(&host);
            led.hosts.insert(host, hold);
            if known.is_none() {
                led.changed = true;
                // VMs are to leave there: its room is none that is lacking.
                led.need.meet(if leaves { [0, 0] } else { room });
            }
        }
        if self.adopted(&id, from, ask, now) {
            return;
        }
        let Some(led) = self.led.get_mut(&id) else { return };
        let asked = matches!(&led.stage, Stage::Gathering { to, .. } if to == from) && ask == led.asks;
        if !asked {
            return;
        }
        led.holders.extend(holders);
        led.silent |= later;
        // An event without its hosts cannot be solved: those that its owner does not give, nobody gives.
        let missing = led.events.get(from).into_iter().flat_map(BTreeMap::values);
        if missing.flat_map(|event| &event.hosts).any(|host| !led.hosts.contains_key(host)) {
            return self.end(&id, Some(Outcome::Dropped));
        }
        if hosts.is_empty() || !more {
            led.left.retain(|member| member != from);
        }
        if led.need.is_met() && led.changed && !led.all && led.near().is_none() {
            self.solve(&id, false, now);
        } else {
            self.ask_next(&id, first_out.as_ref(), now);
        }
    }

    /// Gives back what nobody here wants.
    fn give_back(&mut self, owner: &Member, id: &PartitionId, hosts: BTreeMap<Host, Grant>) {
        let led = self.led.get(id);
        let kept = |host: &Host, epoch| {
            led.and_then(|led| led.hosts.get(host)).is_some_and(|hold| hold.epoch == epoch)
        };
        let hosts: Leases = hosts
            .into_iter()
            .filter(|(host, grant)| !kept(host, grant.epoch))
            .map(|(host, grant)| (host, grant.epoch))
            .collect();
        if !hosts.is_empty() {
            self.send(owner, Body::Release { partition: id.clone(), hosts, events: BTreeMap::new() });
        }
    }

    /// All have been asked.
    fn toured(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get(id) else { return };
        let missing = led.required().iter().any(|host| !led.hosts.contains_key(host));
        if led.hosts.is_empty() || missing {
            // Nothing to solve with. Without hosts it is in nobody's way, so that it may wait.
            if missing || led.holders.is_empty() {
                return self.end(id, Some(Outcome::Dropped));
            }
            return self.block(id, now);
        }
        if led.all && led.holders.is_empty() {
            self.solve(id, true, now);
        } else if led.changed {
            self.solve(id, false, now);
        } else if led.kind().is_thrift() {
            // What is only to be saved is not worth all hosts that there are.
            self.end(id, Some(if led.holders.is_empty() { Outcome::Unsolved } else { Outcome::Dropped }));
        } else if led.holders.is_empty() {
            self.ask_for_all(id, now);
        } else {
            self.block(id, now);
        }
    }

    /// Nobody has what is lacking: the last attempt is with all hosts that there are.
    fn ask_for_all(&mut self, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        led.all = true;
        self.tour(id, now);
    }

    /// Hosts have become free at an owner that has refused some before.
    pub(super) fn freed(&mut self, from: &Member, id: &PartitionId, now: Now) {
        let Some(led) = self.led.get_mut(id) else { return };
        if !led.left.contains(from) {
            let reach = |member: &Member| self.ring.reach(&self.me, member);
            let place = led.left.partition_point(|member| reach(member) <= reach(from));
            led.left.insert(place, from.clone());
        }
        if matches!(led.stage, Stage::Blocked { .. }) {
            self.tour(id, now);
        }
    }
}

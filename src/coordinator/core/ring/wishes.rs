//! Troubles that the hosts of the cell cannot absorb become events of the protocol.

use super::super::plans::{Cause, Stage};
use super::super::{Core, Life};
use super::Raised;
use crate::coordinator::detect::{Key, Trouble};
use crate::coordinator::inventory::Now;
use crate::coordinator::planning;
use crate::partition::{Event, EventKey, Input, Kind, Member, Need, Outcome};
use crate::record::{EventKind, Mode, PlanState};
use std::collections::BTreeSet;

/// What the protocol calls a kind of trouble.
pub(super) fn kind_of(kind: EventKind) -> Kind {
    match kind {
        EventKind::HostFailed => Kind::HostFailed,
        EventKind::Overload => Kind::Overload,
        EventKind::Drain => Kind::Drain,
        EventKind::VmWaiting => Kind::VmWaiting,
        EventKind::RuleBroken => Kind::RuleBroken,
        _ => Kind::Underload,
    }
}

/// What a kind of the protocol is called here.
pub(super) fn trouble_of(kind: Kind) -> EventKind {
    match kind {
        Kind::HostFailed => EventKind::HostFailed,
        Kind::Overload => EventKind::Overload,
        Kind::Drain => EventKind::Drain,
        Kind::VmWaiting => EventKind::VmWaiting,
        Kind::RuleBroken => EventKind::RuleBroken,
        Kind::Underload => EventKind::Underload,
    }
}

/// `OVERLOAD:host7`
fn name_of(key: &Key) -> EventKey {
    format!("{}:{}", key.0.name(), key.1).as_str().into()
}

/// The trouble of an event, of whatever member.
pub(super) fn key_of(event: &Event) -> Key {
    let subject = event.key.as_str().split_once(':').map_or("", |(_, subject)| subject);
    (trouble_of(event.kind), subject.to_owned())
}

impl Core {
    /// The hosts of the cell have no plan for what this one was made for: others are asked. Says whether that helps; the
    /// plan has ended then.
    pub(in crate::coordinator::core) fn ask_others(&mut self, id: &str, why: &str, now: Now) -> bool {
        let Some(Life { cause: Cause::Troubles(keys), .. }) = self.lives.get(id) else { return false };
        let Some(record) = self.plans.get(id) else { return false };
        if self.ring.is_alone() || record.mode == Mode::Observe || !self.may_plan() {
            return false;
        }
        let keys = keys.clone();
        if !self.detector.standing().any(|trouble| keys.contains(&trouble.key())) {
            return false;
        }
        let message = format!("the hosts of this coordinator are not enough ({why}); others are asked");
        self.end(id, PlanState::Cancelled, &message, now);
        self.raise_all(&keys, now);
        true
    }

    /// Whether what would fill the hosts of the cell beyond their targets goes to others at once: there are some on the same
    /// site. If they have no room either, the last attempt has the hosts of the cell too.
    pub(in crate::coordinator::core) fn neighbours_help_first(&self, keys: &[Key]) -> bool {
        let site = |member: &str| self.ring.places.get(member).map(|place| place.site.as_str());
        let here = site(self.ring.me());
        keys.iter().all(|(kind, _)| matches!(kind, EventKind::Overload | EventKind::Drain))
            && self.settings.planning.mode != Mode::Observe
            && self.ring.up.iter().any(|member| site(member) == here)
    }

    /// Makes troubles events of the protocol; says whether any was one.
    pub(in crate::coordinator::core) fn raise_all(&mut self, keys: &[Key], now: Now) -> bool {
        let standing = self.detector.standing().filter(|trouble| keys.contains(&trouble.key()));
        let mut some = false;
        for trouble in standing.cloned().collect::<Vec<_>>() {
            some |= self.raise(&trouble, now);
        }
        some
    }

    fn raise(&mut self, trouble: &Trouble, now: Now) -> bool {
        let key = trouble.key();
        let Some(mut wish) = planning::wish(&self.cell, trouble, &self.settings) else { return false };
        wish.likely.extend(self.keepers(&wish.hosts, &trouble.subject));
        self.detector.taken(std::slice::from_ref(&key));
        let name = name_of(&key);
        let failed = self.ring.raised.get(&name).map_or(0, |raised| raised.failed);
        self.ring.raised.insert(name.clone(), Raised { key, failed, missed: false, idle: false });
        let hosts = |names: BTreeSet<String>| names.iter().map(|host| host.as_str().into()).collect();
        let event = Event {
            key: name,
            owner: self.ring.node.me().clone(),
            kind: kind_of(trouble.kind),
            hosts: hosts(wish.hosts),
            near: self.members_with(&wish.likely),
            linked: hosts(wish.likely),
            // Where room is needed, so are the hosts that have it.
            need: Need { room: wish.need, hosts: u32::from(wish.need == [0, 0]), least: wish.least },
        };
        self.happens(Input::Raised { event }, now);
        true
    }

    /// What the protocol tries again is told as it is now.
    fn raise_anew(&mut self, key: &Key, now: Now) {
        let trouble = self.detector.standing().find(|trouble| trouble.key() == *key).cloned();
        if let Some(trouble) = trouble {
            self.at_home(|core| core.raise(&trouble, now));
        }
    }

    /// The other members that have these hosts.
    pub(super) fn members_with<'a>(&self, hosts: impl IntoIterator<Item = &'a String>) -> BTreeSet<Member> {
        let here = |host: &&String| self.cell.hosts.contains_key(*host);
        let others = hosts.into_iter().filter(|host| !here(host));
        others.filter_map(|host| self.ring.owner_of(host)).map(Member::from).collect()
    }

    /// Troubles that do not stand any more.
    pub(in crate::coordinator::core) fn calm(&mut self, keys: &[Key], now: Now) {
        for key in keys {
            if self.ring.raised.remove(&name_of(key)).is_some() {
                self.detector.released(std::slice::from_ref(key), true, now, &self.settings);
                self.happens(Input::Calmed { event: name_of(key) }, now);
            }
        }
    }

    /// A plan for these troubles has not done what it was for.
    pub(super) fn has_missed(&mut self, keys: &[Key], failed: bool) {
        for key in keys {
            if let Some(raised) = self.ring.raised.get_mut(&name_of(key)) {
                raised.missed = true;
                raised.failed += u32::from(failed);
            }
        }
    }

    /// Those of these troubles that the protocol does not have in hand.
    pub(in crate::coordinator::core) fn not_raised(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter().filter(|key| !self.ring.raised.contains_key(&name_of(key))).cloned().collect()
    }

    /// A plan for these troubles has found nothing to do.
    pub(super) fn was_idle(&mut self, keys: &[Key]) {
        for key in keys {
            if let Some(raised) = self.ring.raised.get_mut(&name_of(key)) {
                raised.idle = true;
            }
        }
    }

    /// Whether a plan over several cells that waits for an operator answers a trouble.
    fn is_proposed(&self, key: &Key) -> bool {
        self.lives.values().any(|life| match (&life.cause, &life.stage) {
            (Cause::Shared(shared), Stage::Proposed(_)) => shared.own.contains(key),
            _ => false,
        })
    }

    /// The partition that had a trouble in hand has ended.
    pub(super) fn answered(&mut self, event: &EventKey, outcome: Outcome, now: Now) {
        let Some(raised) = self.ring.raised.get_mut(event) else { return };
        let (missed, key) = (std::mem::take(&mut raised.missed), raised.key.clone());
        let idle = std::mem::take(&mut raised.idle);
        if self.is_proposed(&key) {
            // An operator has it in hand.
            self.ring.raised.remove(event);
            return self.happens(Input::Calmed { event: event.clone() }, now);
        }
        let Some(raised) = self.ring.raised.get_mut(event) else { return };
        match outcome {
            // The protocol tries again by itself.
            Outcome::Dropped => return self.raise_anew(&key, now),
            Outcome::Solved if missed && raised.failed <= self.settings.execution.max_replans => {
                return self.raise_anew(&key, now);
            }
            Outcome::Solved | Outcome::Unsolved => {}
        }
        let helped = outcome == Outcome::Solved && !missed && !idle;
        self.figures.answered += u64::from(helped);
        self.ring.raised.remove(event);
        self.detector.released(&[key], helped, now, &self.settings);
        self.happens(Input::Calmed { event: event.clone() }, now);
        self.urgent = true;
    }
}

//! What is wrong, long enough to act on: hold time, hysteresis and cool-down, so that noise moves nothing.
//!
//! [`look`] says what a cell looks like now; [`Detector`] remembers since when, whether a plan answers it, and
//! how the last one ended.

mod ended;
mod look;
mod situation;
#[cfg(test)]
mod tests;

use super::inventory::{Cell, Now};
use super::settings::{Settings, seconds};
use crate::partition::{MOST_DOUBLINGS, rest};
use crate::record::{EventKind, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A trouble that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `Overload`, `Underload`, `Drain`, `HostFailed`, `VmWaiting` or `RuleBroken`.
    pub(crate) kind: EventKind,
    /// Host, VM or rule that it is about.
    pub(crate) subject: String,
    /// Empty when it is about none.
    pub(crate) host: String,
    /// Empty when it is about none.
    pub(crate) vm: String,
    /// Empty when it is about none.
    pub(crate) constraint: String,
    pub(crate) severity: Severity,
    /// One line with figures.
    pub(crate) message: String,
}

/// Kind and subject: a trouble keeps them for as long as it stands.
pub(crate) type Key = (EventKind, String);

/// What has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It has lasted for its hold time.
    Began(Trouble),
    /// It is over; the message says how.
    Ended(Trouble),
}

impl Trouble {
    pub(crate) fn key(&self) -> Key {
        (self.kind, self.subject.clone())
    }

    /// The smaller, the sooner it is worked on: VMs that are down or starve come before order and thrift.
    pub(crate) fn rank(&self) -> u8 {
        match self.kind {
            EventKind::HostFailed => 0,
            EventKind::Overload => 1,
            EventKind::Drain => 2,
            EventKind::VmWaiting => 3,
            EventKind::RuleBroken => 4,
            _ => 5,
        }
    }
}

impl PartialOrd for Trouble {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Trouble {
    /// What is to be worked on first comes first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank(), &self.subject, &self.message).cmp(&(other.rank(), &other.subject, &other.message))
    }
}

/// What is seen of a trouble at one moment.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    trouble: Trouble,
    /// Bad enough to begin; otherwise only to go on once it has begun.
    begins: bool,
    hold: Duration,
}

/// A trouble with its past.
#[derive(Debug)]
struct Watch {
    trouble: Trouble,
    since: Duration,
    hold: Duration,
    /// It has lasted for its hold time.
    stands: bool,
}

/// After a plan.
#[derive(Debug)]
struct Rest {
    from: Duration,
    cool_down: Duration,
    /// Plans in a row that did not help.
    misses: u32,
    /// What hosts and VMs there were; `None` until the next look.
    situation: Option<u64>,
}

impl Rest {
    fn until(&self) -> Duration {
        self.from.saturating_add(rest(self.cool_down, self.misses))
    }
}

/// Finds troubles in what is expected of hosts that are known.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    watches: BTreeMap<Key, Watch>,
    /// Those that a plan answers now.
    answered: BTreeSet<Key>,
    /// Those of them whose plan is carried out.
    acted_on: BTreeSet<Key>,
    rests: BTreeMap<Key, Rest>,
}

impl Detector {
    /// Looks at the cell; says what has begun and ended since the last look. It costs a walk over all VMs: call
    /// it at each tick (once a second) and when a plan or a session ends, not at each report.
    pub(crate) fn observe(&mut self, cell: &Cell, settings: &Settings, now: Now) -> Vec<Sighting> {
        let seen = look::look(cell, settings);
        let mut seen: BTreeMap<Key, Seen> = seen.into_iter().map(|seen| (seen.trouble.key(), seen)).collect();
        let mut sightings = Vec::new();
        self.watches.retain(|key, watch| {
            if let Some(seen) = seen.remove(key)
                && (watch.stands || seen.begins)
            {
                (watch.trouble, watch.hold) = (seen.trouble, seen.hold);
                return true;
            }
            if watch.stands {
                // Half-way through a plan what is under way looks done already.
                if self.acted_on.contains(key) {
                    return true;
                }
                let message = ended::message(cell, settings, &watch.trouble);
                sightings.push(Sighting::Ended(Trouble { message, ..watch.trouble.clone() }));
                // It ended; whatever made plans fail is no more.
                self.rests.get_mut(key).into_iter().for_each(|rest| rest.misses = 0);
            }
            false
        });
        for (key, Seen { trouble, hold, .. }) in seen.into_iter().filter(|(_, seen)| seen.begins) {
            self.watches.insert(key, Watch { trouble, since: now.at, hold, stands: false });
        }
        for watch in self.watches.values_mut().filter(|watch| !watch.stands) {
            if now.at >= watch.since.saturating_add(watch.hold) {
                watch.stands = true;
                sightings.push(Sighting::Began(watch.trouble.clone()));
            }
        }
        self.refresh(cell, now);
        sightings
    }

    /// Forgets cool-downs that are over, and doublings when the situation is another one.
    fn refresh(&mut self, cell: &Cell, now: Now) {
        if self.rests.values().any(|rest| rest.misses > 0) {
            let present = situation::fingerprint(cell);
            for rest in self.rests.values_mut().filter(|rest| rest.misses > 0) {
                if *rest.situation.get_or_insert(present) != present {
                    rest.misses = 0;
                }
            }
        }
        let watches = &self.watches;
        self.rests.retain(|key, rest| watches.contains_key(key) || now.at < rest.until());
    }

    /// Troubles that have lasted for their hold time, by priority.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Trouble> {
        let mut standing: Vec<_> = self.watches.values().filter(|watch| watch.stands).collect();
        standing.sort_by_key(|watch| (watch.trouble.rank(), watch.since));
        standing.into_iter().map(|watch| &watch.trouble)
    }

    /// Troubles to work on now: they stand, no plan answers them, and none ended a short time ago. The first to
    /// be worked on comes first; of the same kind the one that stands longest. Hosts are not emptied for thrift
    /// while others starve.
    pub(crate) fn due(&self, now: Now) -> Vec<Trouble> {
        self.standing().filter(|trouble| self.wanted(&trouble.key(), now.at)).cloned().collect()
    }

    fn wanted(&self, key: &Key, at: Duration) -> bool {
        let strained =
            || self.watches.iter().any(|(key, watch)| watch.stands && key.0 == EventKind::Overload);
        !self.answered.contains(key)
            && self.rests.get(key).is_none_or(|rest| rest.until() <= at)
            && !(key.0 == EventKind::Underload && strained())
    }

    /// A plan answers these now; until [`released`](Self::released) they are not due.
    pub(crate) fn taken(&mut self, keys: &[Key]) {
        self.answered.extend(keys.iter().cloned());
    }

    /// The plan that answers these is carried out: until it has ended they stand, whatever is expected.
    pub(crate) fn acted_on(&mut self, keys: &[Key]) {
        self.acted_on.extend(keys.iter().cloned());
    }

    /// Nothing is done about these any more, though they may still be answered.
    pub(crate) fn left_alone(&mut self, keys: &[Key]) {
        for key in keys {
            self.acted_on.remove(key);
        }
    }

    /// The plan that answered these has ended. `helped` = it did what it was for (whether or not the trouble is
    /// over; when it is, the next [`observe`](Self::observe) says so). A plan that was blocked, failed or found
    /// nothing to do did not.
    pub(crate) fn released(&mut self, keys: &[Key], helped: bool, now: Now, settings: &Settings) {
        let cool_down = seconds(settings.detection.cool_down_s);
        for key in keys {
            self.answered.remove(key);
            self.acted_on.remove(key);
            let misses = self.rests.get(key).map_or(0, |rest| rest.misses);
            let misses = if helped { 0 } else { (misses + 1).min(MOST_DOUBLINGS) };
            self.rests.insert(key.clone(), Rest { from: now.at, cool_down, misses, situation: None });
        }
    }

    /// The plan that has ended has done nothing for these, as others were more urgent: they need not rest.
    pub(crate) fn not_helped(&mut self, keys: &[Key]) {
        self.rests.retain(|key, _| !keys.contains(key));
    }

    /// There may be help now where there was none: what rests as nothing could be done about it rests no more.
    pub(crate) fn hope(&mut self) {
        self.rests.retain(|_, rest| rest.misses == 0);
    }

    /// How long from now something could begin or become due without new reports: call
    /// [`observe`](Self::observe) and [`due`](Self::due) then. `None` = not by the passing of time alone.
    pub(crate) fn next(&self, now: Now) -> Option<Duration> {
        let holding = self.watches.values().filter(|watch| !watch.stands);
        let begins = holding.map(|watch| watch.since.saturating_add(watch.hold));
        let resting =
            self.watches.iter().filter(|(key, watch)| watch.stands && !self.answered.contains(*key));
        let rested = resting.filter_map(|(key, _)| self.rests.get(key)).map(Rest::until);
        let next = begins.chain(rested.filter(|until| *until > now.at)).min()?;
        Some(next.saturating_sub(now.at))
    }

    /// Kinds of the troubles that stand at a host, by name.
    pub(crate) fn conditions(&self, host: &str) -> Vec<String> {
        let here = self.watches.values().filter(|watch| watch.stands && watch.trouble.host == host);
        let names: BTreeSet<_> = here.map(|watch| watch.trouble.kind.name()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Whether a trouble stands.
    pub(crate) fn stands(&self, key: &Key) -> bool {
        self.watches.get(key).is_some_and(|watch| watch.stands)
    }
}

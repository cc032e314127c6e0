//! Which process speaks under each name. While one is alive no other of its name is heard: two that take each other's hosts
//! and orders would act on VMs twice.

use crate::coordinator::Coordinator;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One that was not heard for so long is not alive: it pings, and answers pings, each second.
const ALIVE_FOR: Duration = Duration::from_secs(4);
/// What came so soon after another one was refused may have been on its way before.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Between two words of the same.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// Names and processes that are remembered; they are others' words.
const MOST: usize = 256;

/// By name. Clones are the same.
#[derive(Clone, Default)]
pub(in crate::api) struct Lives(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    lives: BTreeMap<String, Life>,
    /// Name and instance of those that were refused, and when they were first.
    refused: BTreeMap<(String, String), Instant>,
    told: BTreeMap<String, Instant>,
}

struct Life {
    instance: String,
    place: Place,
    heard: Instant,
    streams: usize,
}

/// Where a process was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It answers at this address.
    At(String),
    /// It has called from this one.
    From(String),
}

impl Place {
    fn words(&self) -> String {
        match self {
            Self::At(address) => format!("the one at {address}"),
            Self::From(address) => format!("the one that calls from {address}"),
        }
    }
}

/// A stream of a process that is heard.
pub(super) struct Voice {
    lives: Lives,
    member: String,
    instance: String,
}

/// Another process of the name is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rival {
    /// The name, both places, and what to do.
    pub(super) why: String,
    /// It is no remainder of a process that has ended: it was heard since this one was first refused.
    certain: bool,
}

impl Lives {
    /// A process has said that it is this instance of a member.
    ///
    /// # Errors
    /// Another one of the name is alive.
    pub(super) fn begin(
        &self,
        member: &str,
        instance: &str,
        place: Place,
        now: Instant,
    ) -> Result<Voice, Rival> {
        let mut known = self.known();
        let Known { lives, refused, .. } = &mut *known;
        // Who answers at the address that all know goes before one that only calls.
        let gives_way = |life: &Life| matches!((&life.place, &place), (Place::From(_), Place::At(_)));
        let rival = lives.get(member).filter(|life| {
            life.instance != instance
                && now.saturating_duration_since(life.heard) < ALIVE_FOR
                && !gives_way(life)
        });
        if let Some(rival) = rival {
            if refused.len() >= MOST {
                refused.clear();
            }
            let first = *refused.entry((member.to_owned(), instance.to_owned())).or_insert(now);
            return Err(Rival {
                why: format!(
                    "two coordinators are named {member:?}: {} is heard, {} is not. Give one of them another ring.name, or stop it",
                    rival.place.words(),
                    place.words()
                ),
                certain: rival.heard > first + ON_ITS_WAY,
            });
        }
        refused.remove(&(member.to_owned(), instance.to_owned()));
        if let Some(life) = lives.get_mut(member).filter(|life| life.instance == instance) {
            (life.heard, life.streams) = (now, life.streams + 1);
            if matches!(place, Place::At(_)) {
                life.place = place;
            }
        } else {
            let life = Life { instance: instance.to_owned(), place, heard: now, streams: 1 };
            lives.insert(member.to_owned(), life);
        }
        Ok(Voice { lives: self.clone(), member: member.to_owned(), instance: instance.to_owned() })
    }

    /// Whether something is to be told now: it was not within the last minute.
    pub(super) fn is_news(&self, what: &str, now: Instant) -> bool {
        let told = &mut self.known().told;
        if told.get(what).is_some_and(|then| now.saturating_duration_since(*then) < TOLD_EVERY) {
            return false;
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(what.to_owned(), now);
        true
    }

    /// Tells operators of two that are alive at once; once a minute at most for each name.
    pub(super) async fn tell(&self, coordinator: &Coordinator, member: &str, rival: &Rival) {
        if rival.certain && self.is_news(&format!("two {member}"), Instant::now()) {
            // The event is logged, too. Refused when the coordinator has stopped.
            let _ = coordinator.alarm(rival.why.clone()).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice {
    /// It has said something. False when it was silent for so long that another process of its name has taken its place.
    pub(super) fn heard(&self, now: Instant) -> bool {
        let lives = &mut self.lives.known().lives;
        let own = lives.get_mut(&self.member).filter(|life| life.instance == self.instance);
        own.map(|life| life.heard = now).is_some()
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let lives = &mut self.lives.known().lives;
        let Some(life) = lives.get_mut(&self.member).filter(|life| life.instance == self.instance) else {
            return;
        };
        life.streams -= 1;
        if life.streams == 0 {
            lives.remove(&self.member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Place {
        Place::At(address.into())
    }

    fn from(address: &str) -> Place {
        Place::From(address.into())
    }

    fn after(begun: Instant, seconds: f64) -> Instant {
        begun + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn while_one_is_alive_no_other_of_its_name_is_heard() {
        let (lives, t) = (Lives::default(), Instant::now());
        let first = lives.begin("east", "a", from("10.0.0.1:4000"), t).ok().unwrap();
        let _second = lives.begin("east", "a", at("10.0.0.1:7600"), t).ok().unwrap();
        let _other = lives.begin("west", "c", at("10.0.0.3:7600"), t).ok().unwrap();
        let refused = lives.begin("east", "b", from("10.0.0.9"), after(t, 1.0)).err().unwrap();
        for says in [
            "are named \"east\"",
            "at 10.0.0.1:7600 is heard",
            "calls from 10.0.0.9 is not",
            "another ring.name, or stop it",
        ] {
            assert!(refused.why.contains(says), "{says} in {}", refused.why);
        }
        assert!(!refused.certain, "the first may have ended without a word");
        assert!(first.heard(after(t, 3.0)));
        assert!(lives.begin("east", "b", from("10.0.0.9"), after(t, 3.1)).err().unwrap().certain);
    }

    #[test]
    fn one_that_has_ended_or_is_silent_keeps_nobody_out() {
        let (lives, t) = (Lives::default(), Instant::now());
        drop(lives.begin("east", "a", at("x:1"), t));
        let old = lives.begin("east", "b", from("x"), t).ok().unwrap();
        // Its connection is half open: nothing is heard any more.
        let refused = lives.begin("east", "c", from("x"), after(t, 3.9)).err().unwrap();
        assert!(!refused.certain);
        let new = lives.begin("east", "c", from("x"), after(t, 4.0)).ok().unwrap();
        assert!(!old.heard(after(t, 4.1)), "it was only frozen: the place is taken");
        drop(old);
        assert!(new.heard(after(t, 4.2)), "the end of the old one is none of its own");
        assert!(lives.begin("east", "b", from("x"), after(t, 4.3)).is_err());
    }

    #[test]
    fn who_answers_at_the_known_address_goes_before_one_that_only_calls() {
        let (lives, t) = (Lives::default(), Instant::now());
        let caller = lives.begin("east", "a", from("10.0.0.9"), t).ok().unwrap();
        let listed = lives.begin("east", "b", at("10.0.0.1:7600"), after(t, 0.1)).ok().unwrap();
        assert!(!caller.heard(after(t, 0.2)) && listed.heard(after(t, 2.0)));
        let refused = lives.begin("east", "a", from("10.0.0.9"), after(t, 2.1)).err().unwrap();
        assert!(refused.why.contains("at 10.0.0.1:7600 is heard"), "{}", refused.why);
        assert!(lives.begin("east", "c", at("10.0.0.1:7600"), after(t, 2.2)).is_err());
    }

    #[test]
    fn the_same_is_told_once_a_minute() {
        let (lives, t) = (Lives::default(), Instant::now());
        assert!(lives.is_news("a", t) && lives.is_news("b", t));
        assert!(!lives.is_news("a", after(t, 59.0)));
        assert!(lives.is_news("a", after(t, 60.0)));
    }
}

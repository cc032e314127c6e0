//! Which coordinator is taken, and when it is another one. Pure: measurements, failures, time and randomness come in,
//! the next step goes out.
//!
//! ```text
//! next ──► Measure ──measured──┐
//!   ▲ ▲──► Wait                │      the nearest first; those that are as near by the list; those that did not
//!   │ └────────────────────────┘      answer last; each once, then a pause and a new measurement
//!   └────► Take ──begun──► ended ──► next
//!             look: another is much nearer, and has been for long ──► moved ──► next
//! ```

mod order;
mod words;

use super::backoff::{Backoff, jitter};
use std::time::Duration;

/// A session that lived so long was a good one: the next failure is a new one.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// Longest that a coordinator may send an agent away for.
const LONGEST_AWAY: Duration = Duration::from_mins(1);
/// Who sends an agent away for no longer is waited for: it wants the session anew.
const SHORT_AWAY: Duration = Duration::from_millis(500);
/// Agents that lost their coordinator together come to the next one within this time, not at once.
const SPREAD: Duration = Duration::from_millis(100);
/// A measurement that is younger is not made again.
const FRESH: Duration = Duration::from_secs(2);
/// Looks in a row in which another one has to be much nearer.
const LEAST_LOOKS: u32 = 3;
/// Much nearer: at most this share of the round trip, and less by this much.
const MUCH_NEARER: (f64, Duration) = (0.5, Duration::from_millis(2));
/// One that failed is moved to only after so many times the usual wait, at most: 2 to the power of it.
const MOST_DOUBLED: u32 = 6;

/// How the nearest coordinator is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearness {
    /// Measure; otherwise coordinators are taken in the order of the list.
    pub measure: bool,
    /// Round trips that are measured of each; the least one counts.
    pub samples: u32,
    /// How long a coordinator may take for all of them.
    pub timeout: Duration,
    /// Those that are further by no more than this share count as equally near …
    pub tolerance_share: f64,
    /// … and by no more than this.
    pub tolerance: Duration,
    /// Between two measurements while a session lives; `None` = none is made.
    pub look_each: Option<Duration>,
    /// How long another one has to be much nearer before the agent goes to it; `None` = it never does.
    pub move_after: Option<Duration>,
}

impl Default for Nearness {
    fn default() -> Self {
        Self {
            measure: true,
            samples: 3,
            timeout: Duration::from_secs(1),
            tolerance_share: 0.2,
            tolerance: Duration::from_millis(1),
            look_each: Some(Duration::from_mins(5)),
            move_after: Some(Duration::from_mins(30)),
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Measure all.
    Measure,
    /// Wait.
    Wait(Duration),
    /// Begin a session with this one of the list.
    Take {
        /// Which one, from 0.
        at: usize,
        /// Why, for people.
        why: String,
    },
}

/// How a session ended, or that none began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// It broke, or none could be had.
    Lost,
    /// The coordinator wished it, for so long.
    Away(Duration),
}

/// What is known of a coordinator.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// `None` = it did not answer, or is not measured.
    round_trip: Option<Duration>,
    /// It was taken since the last good session.
    tried: bool,
    /// It does not want to be asked earlier.
    away_until: Duration,
    /// Failures since its last good session.
    failures: u32,
    /// Nobody moves to it earlier.
    shunned_until: Duration,
}

/// The decisions of one agent. Times are since its start.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    settings: Nearness,
    names: Vec<String>,
    seen: Vec<Seen>,
    measured_at: Option<Duration>,
    /// Measure before anything else is taken.
    stale: bool,
    backoff: Backoff,
    /// Nothing is taken earlier.
    not_before: Duration,
    /// Taken first, whatever is nearer.
    promised: Option<(usize, &'static str)>,
    current: Option<Current>,
    /// Sessions that were lost, or could not be had, since the last good one.
    failures: u32,
    /// It was waited for a coordinator that had sent the agent away for a moment, since the last good session.
    waited: bool,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    at: usize,
    begun: Option<Duration>,
    /// Since when, and in how many looks, another one has been much nearer.
    nearer: Option<(Duration, u32)>,
}

impl Choice {
    /// Of these coordinators, in the order of the list.
    pub(super) fn new(names: Vec<String>, settings: Nearness) -> Self {
        let seen = vec![Seen::default(); names.len()];
        let stale = settings.measure && names.len() > 1;
        Self {
            settings,
            names,
            seen,
            measured_at: None,
            stale,
            backoff: Backoff::default(),
            not_before: Duration::ZERO,
            promised: None,
            current: None,
            failures: 0,
            waited: false,
        }
    }

    /// What to do while there is no session. `random`: from 0 to 1.
    pub(super) fn next(&mut self, now: Duration, random: f64) -> Step {
        let wait = self.not_before.saturating_sub(now);
        if !wait.is_zero() {
            return Step::Wait(wait);
        }
        if let Some((at, why)) = self.promised.take() {
            return self.take(at, why.to_owned());
        }
        if self.stale {
            return Step::Measure;
        }
        let order = self.order();
        let untried = |at: &&usize| !self.seen[**at].tried;
        if let Some(&at) = order.iter().filter(untried).find(|at| self.seen[**at].away_until <= now) {
            let why = self.why(&order, at);
            return self.take(at, why);
        }
        if let Some(back) = order.iter().filter(untried).map(|at| self.seen[*at].away_until).min() {
            return Step::Wait(back.saturating_sub(now));
        }
        // All were tried in vain.
        for seen in &mut self.seen {
            seen.tried = false;
        }
        self.stale = self.measures();
        let pause = jitter(self.backoff.next(), random);
        self.not_before = now + pause;
        Step::Wait(pause)
    }

    fn measures(&self) -> bool {
        self.settings.measure && self.names.len() > 1
    }

    fn take(&mut self, at: usize, why: String) -> Step {
        self.seen[at].tried = true;
        self.current = Some(Current { at, begun: None, nearer: None });
        Step::Take { at, why }
    }

    /// These are the round trips, in the order of the list; `None` = it did not answer.
    pub(super) fn measured(&mut self, round_trips: &[Option<Duration>], now: Duration) {
        for (seen, round_trip) in self.seen.iter_mut().zip(round_trips) {
            seen.round_trip = *round_trip;
        }
        self.measured_at = Some(now);
        self.stale = false;
    }

    /// The coordinator that was taken has opened a session.
    pub(super) fn begun(&mut self, now: Duration) {
        if let Some(current) = &mut self.current {
            current.begun = Some(now);
        }
    }

    /// The session has ended, or none could be had.
    pub(super) fn ended(&mut self, end: End, now: Duration, random: f64) {
        let Some(current) = self.current.take() else { return };
        if current.begun.is_some_and(|begun| now.saturating_sub(begun) >= GOOD_SESSION) {
            self.begin_anew(current.at);
        }
        match end {
            End::Lost => self.lost(current, now, random),
            End::Away(after) => self.sent_away(current.at, after.min(LONGEST_AWAY), now, random),
        }
    }

    fn begin_anew(&mut self, good: usize) {
        for seen in &mut self.seen {
            seen.tried = false;
        }
        (self.backoff, self.failures, self.waited) = (Backoff::default(), 0, false);
        (self.seen[good].failures, self.seen[good].shunned_until) = (0, Duration::ZERO);
    }

    fn lost(&mut self, current: Current, now: Duration, random: f64) {
        let wait = self.settings.move_after.unwrap_or_default();
        let seen = &mut self.seen[current.at];
        (seen.tried, seen.round_trip) = (true, None);
        seen.shunned_until = now + wait.saturating_mul(1 << seen.failures.min(MOST_DOUBLED));
        seen.failures += 1;
        self.failures += 1;
        if current.begun.is_some() && self.names.len() > 1 {
            self.not_before = now + SPREAD.mul_f64(random);
        }
        // The first substitute is taken by what was measured last; who needs a second one looks anew.
        let fresh = self.measured_at.is_some_and(|then| now.saturating_sub(then) <= FRESH);
        self.stale = self.stale || self.measures() && self.failures > 1 && !fresh;
    }

    fn sent_away(&mut self, at: usize, after: Duration, now: Duration, random: f64) {
        self.seen[at].tried = false;
        if after <= SHORT_AWAY && !self.waited {
            self.waited = true;
            self.promised = Some((at, "it wished the session anew"));
            self.not_before = now + jitter(after, random);
            return;
        }
        self.seen[at].away_until = now + jitter(after.max(SPREAD), random);
    }

    /// A look at all while a session lives. True: another one has been much nearer for long; see [`Self::moved`].
    pub(super) fn look(&mut self, round_trips: &[Option<Duration>], now: Duration) -> bool {
        self.measured(round_trips, now);
        let nearer = self.much_nearer(now).is_some();
        let Some(current) = &mut self.current else { return false };
        current.nearer = match current.nearer {
            _ if !nearer => None,
            Some((since, looks)) => Some((since, looks + 1)),
            None => Some((now, 1)),
        };
        let Some(wait) = self.settings.move_after else { return false };
        current.nearer.is_some_and(|(since, looks)| looks >= LEAST_LOOKS && now.saturating_sub(since) >= wait)
    }

    /// The session was ended to go to the one that is much nearer.
    pub(super) fn moved(&mut self, now: Duration) {
        let Some(to) = self.much_nearer(now) else { return };
        let Some(current) = self.current.take() else { return };
        self.begin_anew(current.at);
        self.promised = Some((to, "it has been much nearer for long"));
    }

    fn much_nearer(&self, now: Duration) -> Option<usize> {
        let current = self.current?.at;
        // One that did not answer may be about to break: that is not for a look to say.
        let own = self.seen[current].round_trip?;
        let best = self.order().into_iter().find(|at| self.seen[*at].shunned_until <= now)?;
        let other = self.seen[best].round_trip?;
        let (share, less) = MUCH_NEARER;
        (best != current && other <= own.mul_f64(share) && other + less <= own).then_some(best)
    }
}

#[cfg(test)]
mod tests;

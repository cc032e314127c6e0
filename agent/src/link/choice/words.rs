//! Why a coordinator is taken, for people.

use super::Choice;
use std::fmt::Write as _;
use std::time::Duration;

/// Coordinators that a line names.
const NAMED: usize = 8;

impl Choice {
    /// Why `at` is taken where this is the order.
    pub(super) fn why(&self, order: &[usize], at: usize) -> String {
        if self.names.len() == 1 {
            return "the only one".to_owned();
        }
        let rank = order.iter().position(|other| *other == at).unwrap_or_default();
        if !self.settings.measure {
            return format!("{} of {} in the order of the list", rank + 1, self.names.len());
        }
        let mut why = match self.seen[at].round_trip {
            None => "none that answers is left".to_owned(),
            Some(_) if rank == 0 => "the nearest".to_owned(),
            Some(_) => "the next nearest".to_owned(),
        };
        let mut sign = ": ";
        for &other in order.iter().take(NAMED) {
            let _ = write!(why, "{sign}{} {}", self.names[other], distance(self.seen[other].round_trip));
            sign = ", ";
        }
        if order.len() > NAMED {
            let _ = write!(why, " and {} more", order.len() - NAMED);
        }
        why
    }

    /// How far the coordinator of the session is, and the nearest one, for people.
    pub(in crate::link) fn distances(&self) -> String {
        let order = self.order();
        let nearest = order.first().map(|at| (&self.names[*at], self.seen[*at].round_trip));
        let own = self.current.map(|current| (&self.names[current.at], self.seen[current.at].round_trip));
        let words = [own, nearest].into_iter().flatten();
        let words: Vec<String> =
            words.map(|(name, round_trip)| format!("{name} {}", distance(round_trip))).collect();
        words.join(", ")
    }
}

fn distance(round_trip: Option<Duration>) -> String {
    match round_trip {
        Some(round_trip) => format!("{:.1} ms", round_trip.as_secs_f64() * 1000.0),
        None => "does not answer".to_owned(),
    }
}

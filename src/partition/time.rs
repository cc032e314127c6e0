//! Time, as the caller tells it.

use serde::{Deserialize, Serialize};
use std::ops::Add;

/// Milliseconds since an instant of the caller's choice. Every member has a clock of its own; none is compared
/// with that of another, only lengths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(not(test), derive(Hash))]
pub struct Time(pub u64);

/// A length of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Add<Millis> for Time {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Time {
    /// How long ago `earlier` was; nothing when it is yet to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// What a call of the state machine is told: when it is, and something random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time on the member's own clock; it never goes back.
    pub at: Time,
    /// Fresh random bits; only the lengths of waits depend on them.
    pub random: u64,
}

#[cfg(test)]
thread_local! {
    /// The time that states are compared relative to, so that those which differ by a shift of time are one.
    pub(super) static BASE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
impl std::hash::Hash for Time {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // What is long past counts as just past.
        (self.0 + 1).saturating_sub(BASE.get()).hash(state);
    }
}

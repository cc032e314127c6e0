//! Counts the calls of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Calls that ended, by method and code. Clones are the same counts.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    counts: Arc<Mutex<BTreeMap<(String, &'static str), Count>>>,
}

/// How many calls ended so.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Count {
    /// Calls.
    pub calls: u64,
    /// Seconds that they took together.
    pub seconds: f64,
}

impl Calls {
    /// Counts a call that has ended. `method` must come from a closed set: each is kept for ever.
    pub fn count(&self, method: &str, code: &'static str, duration: Duration) {
        let mut counts = self.lock();
        let count = counts.entry((method.to_owned(), code)).or_default();
        count.calls += 1;
        count.seconds += duration.as_secs_f64();
    }

    /// The counts by method and code.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(String, &'static str), Count> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, &'static str), Count>> {
        // Counts are whole whoever panicked.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Lengths of time and other numbers.

use super::time::Millis;
use serde::{Deserialize, Serialize};

/// How long things may take. The same at all members, or at least `lease`, which owners and leaders must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// A reservation ends so long after it was granted or prolonged. Prolonged each third of it.
    pub lease: Millis,
    /// A leader counts a lease as ended so much earlier than its owner, for clocks that do not run equally fast.
    pub margin: Millis,
    /// A coordinator notices so soon that a host has left its cell: the time after which a silent agent counts as gone.
    pub notice: Millis,
    /// An answer is waited for so long.
    pub answer_within: Millis,
    /// Something is said so often, before its receiver counts as silent.
    pub tries: u32,
    /// A member that was silent is not asked again for so long.
    pub silent: Millis,
    /// First wait of a blocked partition, and of an event that was dropped; doubled each time.
    pub backoff: Millis,
    /// Longest such wait.
    pub backoff_most: Millis,
    /// Wait after which an event is tried again for which all hosts were not enough.
    pub unsolved: Millis,
    /// A solver that has not returned so long after it was asked has found nothing.
    pub solve_within: Millis,
    /// Hosts that one request asks for at most.
    pub most_hosts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Millis(10_000),
            margin: Millis(500),
            notice: Millis(3_000),
            answer_within: Millis(500),
            tries: 3,
            silent: Millis(5_000),
            backoff: Millis(500),
            backoff_most: Millis(8_000),
            unsolved: Millis(30_000),
            solve_within: Millis(90_000),
            most_hosts: 256,
        }
    }
}

impl Settings {
    /// How long a host that comes from elsewhere is unsettled: a lease in full that began just before its owner has
    /// noticed that the host has left.
    #[must_use]
    pub fn unsettled(&self) -> Millis {
        Millis(self.lease.0 + self.margin.0 + self.notice.0)
    }

    /// How often leases are prolonged.
    #[must_use]
    pub fn renew_every(&self) -> Millis {
        Millis(self.lease.0 / 3)
    }
}

//! Migrations: how many, how long, and how many for nothing.

use super::stats::{Spread, Tally};
use serde::{Deserialize, Serialize};

/// Who is moved again within so many seconds plays ping-pong.
pub const PING_PONG_S: f64 = 300.0;

/// All migrations.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moves {
    durations: Tally,
    failed: u64,
    refused: u64,
    ping_pong: u64,
    bytes: f64,
    /// Under way now.
    pub under_way: u32,
}

/// What is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MoveReport {
    /// Those that ended well, seconds.
    pub done: Spread,
    /// That a host's failure ended.
    pub failed: u64,
    /// Not begun: the VM was elsewhere or moving, the host down or without memory for it.
    pub refused: u64,
    /// Of VMs that were moved within 300 s before.
    pub ping_pong: u64,
    /// MiB that were sent, what was written meanwhile too.
    pub sent_mib: f64,
    /// Under way at the end.
    pub under_way: u32,
}

impl Moves {
    pub(in crate::simulator) fn done(&mut self, seconds: f64, bytes: f64, since_last: f64) {
        self.durations.add(seconds);
        self.bytes += bytes;
        self.ping_pong += u64::from(since_last < PING_PONG_S);
    }

    pub(in crate::simulator) fn failed(&mut self) {
        self.failed += 1;
    }

    pub(in crate::simulator) fn refused(&mut self) {
        self.refused += 1;
    }

    /// Those that have ended well so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.durations.spread().count
    }

    /// What is told of them.
    #[must_use]
    pub fn report(&self) -> MoveReport {
        MoveReport {
            done: self.durations.spread(),
            failed: self.failed,
            refused: self.refused,
            ping_pong: self.ping_pong,
            sent_mib: self.bytes / 1_048_576.0,
            under_way: self.under_way,
        }
    }
}

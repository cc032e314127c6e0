//! What a coordinator may order, and how it goes.
//!
//! ```text
//! order ─► refused: stale epoch, VM busy, limit, preflight
//!   │
//!   └► journal ─► ACCEPTED ─► RUNNING ─► call ended ─► look at both ends ─► DONE | FAILED
//!                                                          └► UNCERTAIN, look again ┘
//! ```
//! An outcome is kept, over restarts too, until the coordinator has acknowledged it.

mod migrate;
mod start;
mod table;
#[cfg(test)]
mod tests;

use crate::hypervisor::{Failure, Reason};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use table::{Actions, Limits};

/// Which action of which plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionKey {
    /// The plan.
    pub plan_id: String,
    /// Its action.
    pub action_id: u64,
}

impl std::fmt::Display for ActionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "action {} of plan {}", self.action_id, self.plan_id)
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its name for ever: an order that is repeated is carried out once.
    pub key: ActionKey,
    /// Fencing number of the session it came by.
    pub epoch: u64,
    /// Name of the VM.
    pub vm: String,
    /// UUID that the VM must have; empty = not checked.
    pub vm_uuid: String,
    /// Aborted after this, counted from its acceptance.
    pub deadline: Duration,
    /// A migration without progress for so long is aborted.
    pub stall: Duration,
    /// What.
    pub work: Work,
}

/// Kinds of actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Live migration of a VM that runs here.
    Migrate {
        /// Name of the host it goes to.
        destination: String,
        /// Where that host's hypervisor listens.
        destination_uri: String,
        /// MiB/s, at least 1.
        bandwidth_mib_s: u64,
        /// Slow the guest down when it writes faster than can be sent.
        auto_converge: bool,
        /// Let the guest go on at the destination when passes over its memory do not come to an end.
        #[serde(default)]
        post_copy: bool,
    },
    /// Start of a VM here.
    Start {
        /// What its former host reported; `None` = it is defined here.
        definition: Option<String>,
    },
    /// Something that this agent does not know; refused.
    Unknown,
}

/// How an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Journalled, not begun.
    Accepted,
    /// Under way.
    Running,
    /// Over: the VM is where it was wanted.
    Done,
    /// Over: the VM is where it was, or gone by someone else's doing.
    Failed,
    /// Refused before anything was done.
    Refused,
    /// One end cannot be asked; the VM counts at both.
    Uncertain,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Refused)
    }
}

/// The last that is known of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How it stands.
    pub state: State,
    /// Why, where it failed or cannot be told.
    pub reason: Option<Reason>,
    /// The same for people.
    pub message: String,
    /// Sent so far.
    pub bytes_processed: u64,
    /// Still to send.
    pub bytes_remaining: u64,
    /// Since the acceptance.
    pub elapsed: Duration,
    /// Time in which the VM ran nowhere, once it is known.
    pub downtime_ms: Option<u32>,
    /// Speed.
    pub bandwidth_mib_s: f64,
}

impl Progress {
    fn new(state: State) -> Self {
        Self {
            state,
            reason: None,
            message: String::new(),
            bytes_processed: 0,
            bytes_remaining: 0,
            elapsed: Duration::ZERO,
            downtime_ms: None,
            bandwidth_mib_s: 0.0,
        }
    }

    /// The same figures with another ending.
    fn ended(&self, state: State, failure: Option<Failure>) -> Self {
        let (reason, message) = failure.map_or((None, String::new()), |f| (Some(f.reason), f.message));
        Self { state, reason, message, ..self.clone() }
    }
}

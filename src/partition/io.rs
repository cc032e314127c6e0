//! What goes into the state machine and what comes out.

use super::event::{Event, Need, Outcome};
use super::ledger::Facts;
use super::message::Message;
use super::names::{Epoch, EventKey, Host, Member, PartitionId};
use super::ring::Ring;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Something has happened at this coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Input {
    /// Who takes part has changed.
    Ring {
        /// All members, this one too.
        ring: Ring,
    },
    /// A host of this cell has come, or something about it has changed.
    Host {
        /// Its name.
        host: Host,
        /// What is known of it.
        facts: Facts,
        /// When it comes: nobody can have reserved it before, so that it need not be unsettled.
        fresh: bool,
    },
    /// The member that a host has come from says that nothing of it is reserved: it is unsettled no longer.
    Settled {
        /// Its name.
        host: Host,
    },
    /// A host is not of this cell any more.
    HostGone {
        /// Its name.
        host: Host,
    },
    /// A trouble of this cell begins, or is another than before.
    Raised {
        /// What it is.
        event: Event,
    },
    /// It does not stand any more.
    Calmed {
        /// Its name.
        event: EventKey,
    },
    /// The solver has returned.
    Solved {
        /// Whom it solved for.
        partition: PartitionId,
        /// As it was then: an answer for another version is out of date, and dropped.
        version: u64,
        /// What it has found.
        found: Found,
    },
    /// Events that what is solved, or carried out, does not answer: whatever becomes of the partition, they are dropped
    /// when it ends, and their owners raise them again.
    LeftOut {
        /// Whose events.
        partition: PartitionId,
        /// As it was then: what was left out of another version may be answered now.
        version: u64,
        /// By owner.
        events: BTreeMap<Member, BTreeSet<EventKey>>,
    },
    /// All actions of the plan have ended, well or badly.
    Executed {
        /// Whose plan it was.
        partition: PartitionId,
    },
    /// This member is about to stop: it leads and grants nothing new, and gives up what is not carried out yet.
    Leave,
}

/// What a solver has found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Found {
    /// A plan.
    Plan {
        /// Hosts that it does something on.
        touched: BTreeSet<Host>,
    },
    /// Nothing is left to do.
    Nothing,
    /// No plan.
    None {
        /// At least this much more is needed.
        need: Need,
    },
}

/// A host of a partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// Whose cell it is of.
    pub owner: Member,
    /// The fence of actions there.
    pub epoch: Epoch,
}

/// Something is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Effect {
    /// Send this; it may be lost.
    Send {
        /// To this member, never this one itself.
        to: Member,
        /// The message.
        message: Message,
    },
    /// Look for a plan; then [`Input::Solved`].
    Solve {
        /// Whom for.
        partition: PartitionId,
        /// To be given back.
        version: u64,
        /// On these hosts.
        hosts: BTreeMap<Host, Held>,
        /// For these.
        events: Vec<Event>,
        /// These are all hosts that there are: the last attempt, with nothing held fixed.
        whole: bool,
    },
    /// The answer is not wanted any more.
    CancelSolve {
        /// Whom for.
        partition: PartitionId,
        /// As it was then.
        version: u64,
    },
    /// Carry out the plan that was found; then [`Input::Executed`].
    Execute {
        /// Whose plan.
        partition: PartitionId,
        /// The version it was found for.
        version: u64,
        /// What it has: all hosts that the plan touches.
        hosts: BTreeMap<Host, Held>,
    },
    /// Begin nothing more on these hosts: the partition does not have them any more.
    Fence {
        /// Whose plan.
        partition: PartitionId,
        /// The hosts.
        hosts: BTreeSet<Host>,
    },
    /// The partition that had an event of this cell in hand has ended, wherever it was led. Unless it is calmed, the
    /// event is raised again after a while.
    Answered {
        /// Its name.
        event: EventKey,
        /// How the partition has ended.
        outcome: Outcome,
    },
    /// A partition led here has ended.
    Ended {
        /// Which one.
        partition: PartitionId,
        /// What it was for.
        events: Vec<Event>,
        /// How; `None` when it has been absorbed by another.
        outcome: Option<Outcome>,
    },
}

//! Reasons to act.

use super::names::{EventKey, Host, Member};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What kind of trouble. The order is that of urgency: the first is the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// A host is gone; its VMs are down.
    HostFailed,
    /// A host has less than its VMs need.
    Overload,
    /// A host is to be emptied.
    Drain,
    /// A VM runs nowhere.
    VmWaiting,
    /// A rule does not hold.
    RuleBroken,
    /// A host has so little to do that it could do without its VMs.
    Underload,
}

impl Kind {
    /// Whether it is only about saving: it never holds hosts that others need.
    #[must_use]
    pub fn is_thrift(self) -> bool {
        self == Self::Underload
    }
}

/// Amounts of CPU (thousandths of a processor) and memory (MiB).
pub type Amounts = [i64; 2];

/// What a partition lacks. Only a bound: with less there is no solution, with more there may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Need {
    /// Room on further hosts.
    pub room: Amounts,
    /// Further hosts at least.
    pub hosts: u32,
    /// A host with less room than this is no help: the least of what has to find a place.
    #[serde(default)]
    pub least: Amounts,
}

impl Need {
    /// Whether nothing is lacking.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.hosts == 0 && self.room.iter().all(|amount| *amount <= 0)
    }

    /// Whether a host with so much room helps to meet it.
    #[must_use]
    pub fn is_helped_by(&self, room: Amounts) -> bool {
        room.iter().zip(self.least).all(|(room, least)| *room >= least)
    }

    /// A further host is there, with so much room.
    pub fn meet(&mut self, room: Amounts) {
        self.hosts = self.hosts.saturating_sub(1);
        if self.is_helped_by(room) {
            for (lack, room) in self.room.iter_mut().zip(room) {
                *lack = lack.saturating_sub(room.max(0)).max(0);
            }
        }
    }

    /// Something else needs room too.
    pub fn join(&mut self, other: Self) {
        // What is lacking already is the only thing that says how small a room may be.
        let least = |r: usize| self.least[r].min(other.least[r]);
        self.least =
            if self.room.iter().all(|amount| *amount <= 0) { other.least } else { [least(0), least(1)] };
        for (lack, more) in self.room.iter_mut().zip(other.room) {
            *lack = lack.saturating_add(more.max(0));
        }
        self.hosts = self.hosts.max(other.hosts);
    }
}

/// A trouble that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Its name at its owner.
    pub key: EventKey,
    /// The coordinator in whose cell it is, and which raises it again as long as it stands unsolved.
    pub owner: Member,
    /// What it is.
    pub kind: Kind,
    /// Hosts of the owner that a partition for it must have. None for a VM that waits.
    pub hosts: BTreeSet<Host>,
    /// Hosts, of any owner, with VMs that rules or traffic bind to it: asked for by name first.
    pub linked: BTreeSet<Host>,
    /// Members that have those, as far as is known: asked before others, and before the first solve.
    #[serde(default)]
    pub near: BTreeSet<Member>,
    /// What is lacking beside these.
    pub need: Need,
}

/// How a partition has ended, for one of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// A plan was carried out, or nothing was left to do.
    Solved,
    /// It was given up for now: hosts were lost, or others are more urgent. Soon again.
    Dropped,
    /// All hosts that can be reached were in the partition, and the solver has found nothing. Later again.
    Unsolved,
}

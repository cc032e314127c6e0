//! What coordinators of one infrastructure tell each other. A frame may be lost, never doubled or overtaken while a link
//! stands; what is lost is told again by whoever needs it.

use super::inventory::{HostEntry, VmEntry};
use crate::partition::{Epoch, Message, PartitionId};
use crate::record::{ActionKey, ActionProgress, AdminState, Connection, Hello, Order, Usage, VmReport};
use dvms_solver::file::Labels;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// What one coordinator tells another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Frame {
    /// A message of the partition protocol (docs/PROTOCOL.md).
    Protocol {
        /// What it says.
        message: Message,
    },
    /// Hosts of the sender that a partition led by the receiver has reserved, as they are now. Told when they are granted,
    /// and again as long as they are reserved.
    Hosts {
        /// The hosts.
        hosts: Vec<Neighbour>,
    },
    /// All hosts with a session at the sender: one that the receiver has with a smaller epoch has gone over.
    Cell {
        /// The hosts.
        hosts: BTreeMap<String, Session>,
        /// VMs of the sender that rules bind to VMs of other hosts.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        bound: BTreeMap<String, BoundVm>,
    },
    /// They are the same as before: told in the place of `cell` while nothing changes.
    Same {
        /// Of what was told last, see [`digest`].
        digest: u64,
    },
    /// They are not what the sender has heard: tell all.
    Again,
    /// An action of a plan of the sender for an agent of the receiver. Told again until progress is heard.
    Order {
        /// For which partition.
        partition: PartitionId,
        /// The epoch of the reservation of `flight.executor`: another one is refused.
        fence: Epoch,
        /// What is under way from then on.
        flight: Flying,
        /// What the agent is told.
        order: Order,
    },
    /// A VM is on its way to a host of the receiver, from one that is not of its cell.
    Inbound {
        /// What is under way.
        flight: Flying,
        /// The VM.
        vm: VmReport,
    },
    /// That has ended.
    Landed {
        /// Which action.
        key: ActionKey,
        /// The VM has arrived.
        done: bool,
    },
    /// An agent of the receiver is to abort an action.
    Cancel {
        /// The host of the agent.
        host: String,
        /// Which action.
        key: ActionKey,
    },
    /// How has an action ended of which nobody tells? Asked again each second.
    Ask {
        /// The host of the agent.
        host: String,
        /// Which action.
        key: ActionKey,
        /// The VM.
        vm: String,
    },
    /// What an agent of the receiver told of these actions is kept.
    Acknowledge {
        /// The host of the agent.
        host: String,
        /// Which actions.
        keys: Vec<ActionKey>,
    },
    /// Where are these VMs, which are down at the sender? Asked before one is started.
    Where {
        /// Which question it is.
        round: u64,
        /// The VMs.
        vms: BTreeSet<String>,
    },
    /// The answer.
    Seen {
        /// To which question.
        round: u64,
        /// What is known of the VMs.
        vms: BTreeMap<String, Sighting>,
    },
    /// VMs that ran on a host until it was restarted, and wait: the receiver has that host now, and they are for it to start.
    /// Told again until `taken` is heard.
    Dropped {
        /// The host.
        host: String,
        /// The VMs.
        vms: Vec<VmReport>,
    },
    /// They are kept.
    Taken {
        /// The host.
        host: String,
    },
    /// The sender is being stopped in good order: its agents go to others.
    Leaving,
    /// What an agent of the sender tells of an action of a plan of the receiver. An outcome is told again until it is
    /// acknowledged.
    Progress {
        /// The host of the agent.
        host: String,
        /// What it tells.
        progress: ActionProgress,
    },
}

/// What a coordinator knows of a VM that is down at another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Sighting {
    /// It is nowhere here, and nothing here is about to start it.
    Nowhere,
    /// It is down here as well. Of two coordinators the one whose name is first starts it.
    Down,
    /// It runs.
    Runs {
        /// Where.
        host: String,
    },
    /// It may be here.
    Perhaps {
        /// Why that is not certain.
        why: String,
    },
}

/// The session of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its epoch.
    pub epoch: u64,
    /// Which boot of its host it is: after another one nothing of before runs there.
    pub boot: String,
    /// What operators want of the host: it stays so when the agent goes to another coordinator.
    pub state: AdminState,
    /// Those of its labels that rules name.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// A VM that rules bind to VMs of other hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundVm {
    /// Where it runs, or will when what is under way has ended.
    pub host: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// A number that tells one list of sessions and bound VMs from another (FNV-1a; no secret depends on it).
#[must_use]
pub fn digest(hosts: &BTreeMap<String, Session>, bound: &BTreeMap<String, BoundVm>) -> u64 {
    let mut hash = Fnv::default();
    for (host, session) in hosts {
        hash.text(host).bytes([session.state as u8]).bytes(session.epoch.to_le_bytes()).text(&session.boot);
        hash.labels(&session.labels);
    }
    for (vm, bound) in bound {
        hash.text(vm).text(&bound.host).labels(&bound.labels);
    }
    hash.0
}

/// The hash function FNV-1a, of 64 bits.
#[derive(Debug)]
pub(super) struct Fnv(pub(super) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(super) fn bytes(&mut self, bytes: impl IntoIterator<Item = u8>) -> &mut Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    /// A text and its end.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.bytes().chain([0xff]))
    }

    fn labels(&mut self, labels: &Labels) {
        for (key, value) in labels {
            self.text(key).text(value);
        }
        self.bytes([0xfe]);
    }
}

impl Frame {
    /// Its type, as on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Protocol { .. } => "protocol",
            Self::Hosts { .. } => "hosts",
            Self::Cell { .. } => "cell",
            Self::Same { .. } => "same",
            Self::Again => "again",
            Self::Order { .. } => "order",
            Self::Inbound { .. } => "inbound",
            Self::Landed { .. } => "landed",
            Self::Cancel { .. } => "cancel",
            Self::Ask { .. } => "ask",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Where { .. } => "where",
            Self::Seen { .. } => "seen",
            Self::Dropped { .. } => "dropped",
            Self::Taken { .. } => "taken",
            Self::Leaving => "leaving",
            Self::Progress { .. } => "progress",
        }
    }
}

/// An action that an agent has, or is about to have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flying {
    /// Which action.
    pub key: ActionKey,
    /// The host whose agent carries it out.
    pub executor: String,
    /// The VM.
    pub vm: String,
    /// Empty for the start of a VM that waits.
    pub source: String,
    /// Where it goes.
    pub destination: String,
    /// A live migration; otherwise a start.
    pub migrates: bool,
    /// MiB/s that it may use.
    pub rate: f64,
    /// How long its end is waited for.
    pub within: Duration,
    /// It was told before, and may have been heard.
    pub again: bool,
}

/// A host of another cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Who it is, as its agent says.
    pub hello: Hello,
    /// What operators want of it.
    pub admin: AdminState,
    /// How its coordinator sees it.
    pub connection: Connection,
    /// Its present inventory is known.
    pub inventoried: bool,
    /// Of its agent's session.
    pub epoch: u64,
    /// What it uses.
    pub usage: Usage,
    /// Its VMs, with smoothed use. A definition is there only for those that may have to be started elsewhere.
    pub vms: Vec<VmReport>,
}

impl Neighbour {
    pub(super) fn of(entry: &HostEntry) -> Self {
        let known = entry.connection == Connection::Connected;
        let vm = |vm: &VmEntry| {
            let mut report = VmReport {
                cpu_millicores: vm.demand().get("cpu").copied().unwrap_or(0),
                ..vm.report.clone()
            };
            if known {
                report.definition.clear();
            }
            report
        };
        Self {
            hello: entry.hello.clone(),
            admin: entry.admin,
            connection: entry.connection,
            inventoried: entry.inventoried,
            epoch: entry.epoch,
            usage: entry.usage.clone(),
            vms: entry.vms.values().map(vm).collect(),
        }
    }

    pub(super) fn into_entry(self, at: Duration, wall: SystemTime) -> HostEntry {
        let vms = self.vms.into_iter().map(|vm| (vm.name.clone(), VmEntry::new(vm, at))).collect();
        HostEntry {
            hello: self.hello,
            admin: self.admin,
            connection: self.connection,
            epoch: self.epoch,
            session: self.connection == Connection::Connected,
            inventoried: self.inventoried,
            seen: at,
            seen_wall: wall,
            usage: self.usage,
            vms,
            dropped: BTreeSet::new(),
        }
    }
}

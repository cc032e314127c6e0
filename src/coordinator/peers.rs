//! What coordinators of one infrastructure tell each other. A frame may be lost, never doubled or overtaken while a link
//! stands; what is lost is told again by whoever needs it.

use super::inventory::{HostEntry, VmEntry};
use super::settings::RingMember;
use super::written;
use crate::fnv::Fnv;
use crate::partition::{Body, Epoch, Message, PartitionId};
use crate::record::{ActionKey, ActionProgress, AdminState, Connection, Hello, Order, Usage, VmReport};
use crate::store::KnownHost;
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
        /// What rules over several cells are judged by.
        #[serde(default)]
        known: Known,
    },
    /// They are the same as before: told in the place of `cell` while nothing changes.
    Same {
        /// Of what was told last, see [`digest`].
        digest: u64,
    },
    /// They are not what the sender has heard: tell all.
    Again {
        /// A number to be told with the answer; the greatest one is.
        #[serde(default, skip_serializing_if = "is_none")]
        round: u64,
    },
    /// An action of a plan of the sender for an agent of the receiver. Told again until progress is heard.
    Order {
        /// For which partition.
        partition: PartitionId,
        /// The epoch of the reservation of `flight.executor`: another one is refused.
        fence: Epoch,
        /// The epoch of the reservation of `flight.destination`, where the receiver has it too: another one is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<Epoch>,
        /// What is under way from then on.
        flight: Flying,
        /// What the agent is told.
        order: Order,
    },
    /// A VM is on its way to a host of the receiver, from one that is not of its cell; or, with a reservation, is about to
    /// be: the receiver answers with `expected`. Told again until that is heard.
    Inbound {
        /// What is under way.
        flight: Flying,
        /// The VM.
        vm: VmReport,
        /// By which reservation of the destination it is to be begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Hold>,
        /// When it is asked: milliseconds of the sender's clock, given back with the answer. 0 = by an older version.
        #[serde(default, skip_serializing_if = "is_none")]
        asked: u64,
    },
    /// The answer: the destination is kept for the VM, so that it may be sent; or why it must not.
    Expected {
        /// Which action.
        key: ActionKey,
        /// Why not; empty = it is expected.
        refused: String,
        /// That of the question.
        #[serde(default, skip_serializing_if = "is_none")]
        asked: u64,
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
        /// It is a migration away from that host; otherwise the VM comes to it.
        #[serde(default)]
        leaves: bool,
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
    /// A host that has failed: the sender is being stopped, and the receiver is to look after it. Told again until `taken`
    /// is heard.
    Absent {
        /// As it is kept, with its VMs.
        host: Box<KnownHost>,
        /// What operators want of it.
        state: AdminState,
    },
    /// A host has come from the sender to the receiver, and nobody has reserved it.
    Free {
        /// The host.
        host: String,
        /// The session that the sender had with its agent last.
        epoch: u64,
    },
    /// They are kept.
    Taken {
        /// The host.
        host: String,
    },
    /// An operator has said that a coordinator that left without a word will not come back.
    Departed {
        /// Its name.
        member: String,
    },
    /// The sender is being stopped in good order: its agents go to others.
    Leaving,
    /// All members, for one that hears nothing from etcd: it is to ask those too that have come since. Told when they change,
    /// and again as long as the receiver has no entry there.
    Ring {
        /// The members.
        #[serde(deserialize_with = "written::members")]
        members: Vec<RingMember>,
    },
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

/// A reservation of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whose it is.
    pub partition: PartitionId,
    /// Its fence.
    pub fence: Epoch,
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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(round: &u64) -> bool {
    *round == 0
}

/// What a coordinator tells of its cell that rules over several cells are judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// All its hosts, in reach or not, with those of their labels that rules name.
    pub hosts: BTreeMap<String, Labels>,
    /// VMs that rules bind to VMs of other hosts: those that run there, are to be started from there, or have left there in
    /// the last seconds.
    pub vms: BTreeMap<String, BoundVm>,
    /// The greatest number that the receiver has asked with.
    pub round: u64,
}

/// What etcd keeps of a host: no member may have it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptHost {
    /// What operators want of it.
    pub state: AdminState,
    /// The member with which its agent had its last session.
    pub cell: String,
    /// The epoch of that session.
    pub epoch: u64,
}

/// A VM that rules bind to VMs of other hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundVm {
    /// Where it runs, or will when what is under way has ended. Empty = nowhere.
    pub host: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// An action on it is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moving: bool,
}

/// A number that tells what was told of one cell from another (FNV-1a; no secret depends on it).
#[must_use]
pub fn digest(hosts: &BTreeMap<String, Session>, known: &Known) -> u64 {
    let mut hash = Fnv::default();
    for (host, session) in hosts {
        hash.text(host).bytes([session.state as u8]).bytes(session.epoch.to_le_bytes()).text(&session.boot);
    }
    for (host, labels) in &known.hosts {
        hash_labels(hash.text(host), labels);
    }
    for (vm, bound) in &known.vms {
        hash_labels(hash.text(vm).text(&bound.host), &bound.labels);
        if bound.moving {
            hash.bytes([1]);
        }
    }
    hash.0
}

fn hash_labels(hash: &mut Fnv, labels: &Labels) {
    for (key, value) in labels {
        hash.text(key).text(value);
    }
    hash.bytes([0xfe]);
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// This.
    Frame(Box<Frame>),
    /// Something that this version does not know; which kind.
    Unknown(String),
}

impl Frame {
    /// All types.
    const KINDS: [&str; 22] = [
        "protocol",
        "hosts",
        "cell",
        "same",
        "again",
        "order",
        "inbound",
        "expected",
        "landed",
        "cancel",
        "ask",
        "acknowledge",
        "where",
        "seen",
        "dropped",
        "absent",
        "free",
        "taken",
        "departed",
        "leaving",
        "ring",
        "progress",
    ];

    /// Reads a frame. Fields that are not known are passed over; a frame or a message of the protocol of a kind that is not
    /// known is told as such: a newer member may send it, and who sends it again knows that frames get lost.
    ///
    /// # Errors
    /// It is no frame, or one of a kind that is known with something in it that cannot be.
    pub fn read(json: &str) -> Result<Read, String> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        #[derive(Deserialize)]
        struct Said {
            message: Within,
        }
        #[derive(Deserialize)]
        struct Within {
            body: Kind,
        }
        let fault = match serde_json::from_str(json) {
            Ok(frame) => return Ok(Read::Frame(Box::new(frame))),
            Err(fault) => fault.to_string(),
        };
        let Ok(Kind { r#type: kind }) = serde_json::from_str(json) else { return Err(fault) };
        if !Self::KINDS.contains(&kind.as_str()) {
            return Ok(Read::Unknown(kind));
        }
        match serde_json::from_str(json) {
            Ok(Said { message: Within { body } })
                if kind == "protocol" && !Body::KINDS.contains(&body.r#type.as_str()) =>
            {
                Ok(Read::Unknown(format!("{kind} {}", body.r#type)))
            }
            _ => Err(fault),
        }
    }

    /// Its type, as on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Protocol { .. } => "protocol",
            Self::Hosts { .. } => "hosts",
            Self::Cell { .. } => "cell",
            Self::Same { .. } => "same",
            Self::Again { .. } => "again",
            Self::Order { .. } => "order",
            Self::Inbound { .. } => "inbound",
            Self::Expected { .. } => "expected",
            Self::Landed { .. } => "landed",
            Self::Cancel { .. } => "cancel",
            Self::Ask { .. } => "ask",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Where { .. } => "where",
            Self::Seen { .. } => "seen",
            Self::Dropped { .. } => "dropped",
            Self::Absent { .. } => "absent",
            Self::Free { .. } => "free",
            Self::Taken { .. } => "taken",
            Self::Departed { .. } => "departed",
            Self::Leaving => "leaving",
            Self::Ring { .. } => "ring",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The names between back-quotes after "expected one of".
    fn expected<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let fault = serde_json::from_str::<T>(r#"{"type":"no such thing"}"#).unwrap_err().to_string();
        let (_, names) = fault.split_once("expected one of").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn all_kinds_are_listed() {
        assert_eq!(expected::<Frame>(), Frame::KINDS);
        assert_eq!(expected::<Body>(), Body::KINDS);
    }

    #[test]
    fn what_is_new_in_a_frame_is_passed_over_and_what_cannot_be_is_refused() {
        let read = |json: &str| Frame::read(json);
        let same = Read::Frame(Box::new(Frame::Same { digest: 7 }));
        assert_eq!(read(r#"{"type":"same","digest":7,"since":{"a":[1]}}"#).unwrap(), same);
        assert_eq!(read(r#"{"type":"mood","how":"good"}"#).unwrap(), Read::Unknown("mood".into()));
        let foreign =
            r#"{"type":"protocol","message":{"free":1,"clock":2,"body":{"type":"applaud","why":3}}}"#;
        assert_eq!(read(foreign).unwrap(), Read::Unknown("protocol applaud".into()));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"same","digest":"x"}"#,
            r#"{"type":"protocol","message":7}"#,
            r#"{"type":"protocol","message":{"body":{"type":"offer"}}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

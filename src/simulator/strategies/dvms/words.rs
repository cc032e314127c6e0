//! What agents tell their coordinator, and coordinators each other.

use super::picture::Picture;
use crate::partition::Message;
use crate::simulator::ids::HostId;
use crate::simulator::measures::{HOST_BYTES, VM_BYTES};
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// A message.
#[derive(Clone)]
pub enum Word {
    /// An agent tells of its host.
    Report(Rc<Picture>),
    /// A coordinator shows another one hosts that a partition led there gets, or has.
    Hosts(Vec<Rc<Picture>>),
    /// The protocol.
    Protocol(Box<Message>),
    /// A coordinator tells an agent to switch its empty host off.
    Sleep,
    /// Nobody has room: wake a host, you or one of so many after you.
    Wake(u32),
    /// A coordinator to that which had a host: it has come here.
    Taken(HostId),
    /// The answer: it is not mine any more, and nobody has it if it is free.
    Gone {
        /// Which.
        host: HostId,
        /// Whether it is.
        free: bool,
        /// Who had it before and has not said yet that it is free.
        before: Option<usize>,
    },
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(picture) => {
                let now = picture.host.now;
                let (host, vms) = (picture.host.id.0, now.vms);
                write!(
                    f,
                    "report of host {host}: {vms} VMs need {}, {} expected, of {}",
                    now.demand, now.expected, now.cpu
                )
            }
            Self::Hosts(pictures) => {
                let hosts: Vec<u32> = pictures.iter().map(|picture| picture.host.id.0).collect();
                write!(f, "shows hosts {hosts:?}")
            }
            Self::Protocol(message) => {
                f.write_str(&serde_json::to_string(message).unwrap_or_else(|_| format!("{message:?}")))
            }
            Self::Sleep => f.write_str("sleep"),
            Self::Taken(host) => write!(f, "host {} has come here", host.0),
            Self::Gone { host, free, .. } => {
                write!(f, "host {} is yours{}", host.0, if *free { ", and free" } else { "" })
            }
            Self::Wake(more) => write!(f, "wake a host, you or one of {more} after you"),
        }
    }
}

/// A message of the protocol, as it is on the wire between coordinators (docs/PROTOCOL.md).
#[derive(Serialize)]
struct Frame<'m> {
    r#type: &'static str,
    message: &'m Message,
}

/// Bytes of a message of the protocol: what its frame has.
pub(super) fn frame_bytes(message: &Message) -> u64 {
    let frame = serde_json::to_vec(&Frame { r#type: "protocol", message });
    frame.map_or(0, |text| text.len() as u64)
}

/// Bytes of hosts that are shown.
pub(super) fn picture_bytes(pictures: &[Rc<Picture>]) -> u64 {
    pictures.iter().map(|picture| HOST_BYTES + VM_BYTES * picture.vms.len() as u64).sum()
}

/// Bytes of a report: the host, and of its VMs those that have changed.
pub(super) fn report_bytes(before: Option<&Picture>, now: &Picture) -> u64 {
    let known = before.map_or(&[][..], |before| &before.vms);
    let same = known.iter().zip(&now.vms).filter(|(before, now)| before == now).count();
    HOST_BYTES + VM_BYTES * (now.vms.len() - same) as u64
}

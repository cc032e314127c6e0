//! Links to other members of the ring, as the transport sees them.

use super::{Command, Coordinator, Shared, send_at_the_end};
use crate::coordinator::peers::Frame;
use crate::coordinator::settings::RingMember;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames that may wait for a link; one that is further behind loses what follows.
const FRAMES_WAITING: usize = 1024;

/// Numbers links, so that the end of an old one does not end its successor.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A link over which frames go to another member. Dropping it ends the link.
pub struct Link {
    member: String,
    number: u64,
    shared: Arc<Shared>,
    /// What is to be sent, in this order.
    pub frames: mpsc::Receiver<Frame>,
}

impl Link {
    /// So many bytes were sent.
    pub fn sent(&self, bytes: usize) {
        self.shared.peer_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So long a word to the member and back has taken.
    pub async fn measured(&self, round_trip: Duration) {
        // Refused when the coordinator has stopped.
        let _ =
            self.shared.commands.send(Command::PeerNear { member: self.member.clone(), round_trip }).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let command = Command::PeerDown { member: std::mem::take(&mut self.member), link: self.number };
        send_at_the_end(&self.shared.commands, command);
    }
}

impl Coordinator {
    /// A link to another member stands: what is to be sent over it. An older one gets nothing more. `None` when the
    /// coordinator has stopped.
    pub async fn link(&self, member: &str) -> Option<Link> {
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, frames) = mpsc::channel(FRAMES_WAITING);
        let command = Command::PeerUp { member: member.to_owned(), link: number, frames: sender };
        self.shared.commands.send(command).await.ok()?;
        Some(Link { member: member.to_owned(), number, shared: self.shared.clone(), frames })
    }

    /// Tells this life of this coordinator from its other lives, and from other processes of its name.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// Tells operators of something that is wrong outside of what is decided here: an ALARM. False when the coordinator
    /// has stopped.
    pub async fn alarm(&self, message: String) -> bool {
        self.shared.commands.send(Command::Alarm(message)).await.is_ok()
    }

    /// Becomes true when the coordinator has stopped.
    #[must_use]
    pub fn stopped(&self) -> tokio::sync::watch::Receiver<bool> {
        self.shared.stopped.clone()
    }

    /// These are the members of the ring from now on, this one too; those that are held have lost etcd. False when the
    /// coordinator has stopped.
    pub async fn set_members(&self, members: Vec<RingMember>, held: BTreeSet<String>) -> bool {
        self.shared.commands.send(Command::Members(members, held)).await.is_ok()
    }

    /// Another member has said something; waits while the coordinator is behind. False when it has stopped.
    pub async fn hear(&self, from: &str, frame: Frame) -> bool {
        let command = Command::Peer { from: from.to_owned(), frame: Box::new(frame) };
        self.shared.commands.send(command).await.is_ok()
    }
}

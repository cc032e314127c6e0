//! The thread that writes to the store. Whatever the disk does, the deciding task does not wait for it.

use crate::store::{Change, Store};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Between two tries to write.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Changes that may wait for the disk; beyond it the oldest events among them are dropped.
const MOST_WAITING: usize = 50_000;

/// What the thread is asked.
pub(super) enum Ask {
    /// Make this durable.
    Write { seq: u64, changes: Vec<Change> },
    /// Give an epoch greater than this one.
    Epoch { ticket: u64, at_least: u64 },
    /// Forget old plans and events.
    Prune { plans: usize, events: usize },
    /// Write what waits, once, and end.
    Stop,
}

/// What the thread says.
#[derive(Debug)]
pub(super) enum Said {
    Stored { seq: u64 },
    NotStored { message: String },
    Epoch { ticket: u64, epoch: Result<u64, String> },
}

/// Starts the thread. It ends when it is asked to, or nobody can ask it any more.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(
    store: Store,
    say: UnboundedSender<Said>,
) -> std::io::Result<(Sender<Ask>, std::thread::JoinHandle<()>)> {
    let (ask, asked) = channel();
    let keeper = Keeper { store, say, waiting: VecDeque::new(), count: 0 };
    let thread = std::thread::Builder::new().name("dvms-store".into()).spawn(move || keeper.run(&asked))?;
    Ok((ask, thread))
}

struct Keeper {
    store: Store,
    say: UnboundedSender<Said>,
    waiting: VecDeque<(u64, Vec<Change>)>,
    count: usize,
}

impl Keeper {
    fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            let first = if self.waiting.is_empty() {
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                asked.recv_timeout(AGAIN_AFTER)
            };
            let mut stop = matches!(first, Err(RecvTimeoutError::Disconnected));
            // Everything that has come meanwhile is one write.
            for ask in first.into_iter().chain(asked.try_iter()) {
                stop |= self.take(ask);
            }
            self.write();
            if stop {
                return;
            }
        }
    }

    /// Says whether to end.
    fn take(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Write { seq, changes } => {
                self.count += changes.len();
                self.waiting.push_back((seq, changes));
                self.bound();
            }
            Ask::Epoch { ticket, at_least } => {
                let epoch = self.store.next_epoch(at_least).map_err(|error| error.to_string());
                self.say(Said::Epoch { ticket, epoch });
            }
            Ask::Prune { plans, events } => {
                if let Err(error) = self.store.prune(plans, events) {
                    tracing::warn!(%error, "old records are kept for now");
                }
            }
            Ask::Stop => return true,
        }
        false
    }

    fn write(&mut self) {
        let Some((seq, _)) = self.waiting.back() else { return };
        let seq = *seq;
        let all: Vec<Change> = self.waiting.iter().flat_map(|(_, changes)| changes).cloned().collect();
        match self.store.write(&all) {
            Ok(()) => {
                self.waiting.clear();
                self.count = 0;
                self.say(Said::Stored { seq });
            }
            Err(error) => self.say(Said::NotStored { message: error.to_string() }),
        }
    }

    fn bound(&mut self) {
        while self.count > MOST_WAITING {
            let has_event = |(_, changes): &(u64, Vec<Change>)| {
                changes.iter().any(|change| matches!(change, Change::Event(_)))
            };
            let Some(at) = self.waiting.iter().position(has_event) else { return };
            let changes = &mut self.waiting[at].1;
            let before = changes.len();
            changes.retain(|change| !matches!(change, Change::Event(_)));
            self.count -= before - changes.len();
            tracing::error!("events are lost, as too many wait for the state directory");
        }
    }

    fn say(&self, said: Said) {
        // Nobody listens any more when the coordinator has given up waiting for this thread.
        let _ = self.say.send(said);
    }
}

//! What must survive the agent: the greatest epoch it has seen, and every action whose outcome the
//! coordinator has not acknowledged. A file of JSON lines, each on disk before what it announces is done;
//! rewritten without what is over when the agent starts and when it has grown.

use crate::action::{ActionKey, Order, Progress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const FILE: &str = "journal";
const LOCK: &str = "lock";
/// Lines after which the file is rewritten.
const MOST_LINES: usize = 1000;

#[derive(Serialize, Deserialize)]
enum Line {
    /// First line; readers refuse a version they do not know.
    Version(u32),
    Epoch(u64),
    Accepted {
        order: Box<Order>,
        at: SystemTime,
        #[serde(default)]
        autostart: bool,
    },
    Ended {
        key: ActionKey,
        progress: Progress,
    },
    Forgotten(ActionKey),
}

const VERSION: u32 = 1;

/// An action that is not forgotten yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was ordered.
    pub order: Order,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// The VM starts with its host, which is to be so at its destination too.
    pub autostart: bool,
    /// How it ended, if it has.
    pub ended: Option<Progress>,
}

/// The journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    /// Bytes of the file that are whole lines and on disk.
    good: u64,
    /// A write has failed: the file is made anew before the next one.
    torn: bool,
    epoch: u64,
    entries: BTreeMap<ActionKey, Entry>,
    /// Bytes that the next write may put out before it fails.
    #[cfg(test)]
    room: Option<usize>,
    /// Held as long as the journal is open; the system lets go of it when the process ends.
    _lock: File,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its directory.
    #[error("cannot {what} the journal {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line that is not ours. The last line may be torn by a crash; any other must be whole.
    #[error(
        "the journal {} is damaged in line {line} ({why}); actions may have been under way. Look at the VMs of \
         this host, then move the file away",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// It is of another version.
    #[error(
        "the journal {} was written by another version of dvms-agent (form {found}; this one knows {VERSION}). Run that \
         version: the file has what is under way, and which orders are too old",
        path.display()
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// Another agent uses it.
    #[error("another agent uses the state directory {}; each needs its own", path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
    },
}

impl Journal {
    /// Opens the journal in a directory, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be read or written, is damaged, or is used by another agent.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join(FILE);
        let failed = |what| {
            let path = path.clone();
            move |source| JournalError::Io { what, path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        let lock = File::create(directory.join(LOCK)).map_err(failed("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse { path: directory.to_owned() },
            TryLockError::Error(source) => failed("lock")(source),
        })?;
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let (epoch, entries) = replay(&path, &text)?;
        let (file, good) = rewrite(&path, epoch, &entries).map_err(failed("write"))?;
        let lines = 2 + entries.len();
        Ok(Self {
            path,
            file,
            lines,
            good,
            torn: false,
            epoch,
            entries,
            #[cfg(test)]
            room: None,
            _lock: lock,
        })
    }

    /// The greatest epoch seen; 0 = none.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Actions that are not forgotten.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<ActionKey, Entry> {
        &self.entries
    }

    /// Notes a greater epoch; a smaller one is left aside.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn raise_epoch(&mut self, epoch: u64) -> Result<(), JournalError> {
        if epoch <= self.epoch {
            return Ok(());
        }
        self.append(&Line::Epoch(epoch))?;
        self.epoch = epoch;
        Ok(())
    }

    /// Notes what is about to be done.
    ///
    /// # Errors
    /// When it is not on disk: then it must not be done.
    pub fn accept(&mut self, order: &Order, at: SystemTime) -> Result<(), JournalError> {
        self.keep(Entry { order: order.clone(), accepted: at, autostart: false, ended: None })
    }

    /// Notes that the VM of an action starts with its host.
    ///
    /// # Errors
    /// When it is not on disk: then the VM must not be sent away, or the mark may be lost.
    pub fn note_autostart(&mut self, key: &ActionKey) -> Result<(), JournalError> {
        let Some(entry) = self.entries.get(key) else { return Ok(()) };
        self.keep(Entry { autostart: true, ..entry.clone() })
    }

    fn keep(&mut self, entry: Entry) -> Result<(), JournalError> {
        self.append(&accepted(&entry))?;
        self.entries.insert(entry.order.key.clone(), entry);
        Ok(())
    }

    /// Notes how it ended.
    ///
    /// # Errors
    /// When it is not on disk: after a restart the ends are looked at again, which does no harm.
    pub fn end(&mut self, key: &ActionKey, progress: &Progress) -> Result<(), JournalError> {
        let Some(entry) = self.entries.get_mut(key) else { return Ok(()) };
        entry.ended = Some(progress.clone());
        self.append(&Line::Ended { key: key.clone(), progress: progress.clone() })
    }

    /// Drops an action whose outcome the coordinator has.
    ///
    /// # Errors
    /// When it is not on disk: after a restart the outcome is reported again, which does no harm.
    pub fn forget(&mut self, key: &ActionKey) -> Result<(), JournalError> {
        if self.entries.remove(key).is_none() {
            return Ok(());
        }
        self.append(&Line::Forgotten(key.clone()))
    }

    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        self.write(line).map_err(|source| {
            self.take_back();
            JournalError::Io { what: "write", path: self.path.clone(), source }
        })
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.torn || self.lines >= MOST_LINES + self.entries.len() {
            // Until it has succeeded, the open file may no longer be the one in the directory.
            self.torn = true;
            (self.file, self.good) = rewrite(&self.path, self.epoch, &self.entries)?;
            (self.lines, self.torn) = (2 + self.entries.len(), false);
        }
        let bytes = encode(line);
        #[cfg(test)]
        if let Some(room) = self.room.take() {
            self.file.write_all(&bytes[..room.min(bytes.len())])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.lines += 1;
        self.good += bytes.len() as u64;
        Ok(())
    }

    /// Takes away what a failed write has left: half a line would spoil the next one, and a whole one that was
    /// called failed must not be found after a restart.
    fn take_back(&mut self) {
        self.torn = true;
        let taken = self.file.set_len(self.good).and_then(|()| self.file.seek(SeekFrom::Start(self.good)));
        if let Err(error) = taken.and_then(|_| self.file.sync_data()) {
            let path = self.path.display();
            tracing::error!(%path, %error, "what a failed write has left in the journal cannot be removed yet");
        }
    }
}

fn accepted(entry: &Entry) -> Line {
    let order = Box::new(entry.order.clone());
    Line::Accepted { order, at: entry.accepted, autostart: entry.autostart }
}

fn encode(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("lines have string keys only");
    bytes.push(b'\n');
    bytes
}

type Replayed = (u64, BTreeMap<ActionKey, Entry>);

fn replay(path: &Path, text: &[u8]) -> Result<Replayed, JournalError> {
    let mut epoch = 0;
    let mut entries: BTreeMap<ActionKey, Entry> = BTreeMap::new();
    // What follows the last line break was torn by a crash: what it announces has not been done.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for (i, line) in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), line: i + 1, why };
        let line: Line = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        match line {
            Line::Version(VERSION) if i == 0 => {}
            Line::Version(found) if i == 0 => {
                return Err(JournalError::Version { path: path.to_owned(), found });
            }
            Line::Version(_) => return Err(damaged("a version comes first".into())),
            _ if i == 0 => return Err(damaged("it does not begin with a version".into())),
            Line::Epoch(seen) => epoch = epoch.max(seen),
            Line::Accepted { order, at, autostart } => {
                let entry = Entry { order: *order, accepted: at, autostart, ended: None };
                entries.insert(entry.order.key.clone(), entry);
            }
            Line::Ended { key, progress } => {
                if let Some(entry) = entries.get_mut(&key) {
                    entry.ended = Some(progress);
                }
            }
            Line::Forgotten(key) => {
                entries.remove(&key);
            }
        }
    }
    Ok((epoch, entries))
}

/// Replaces the file by one with what still counts, so that there is a whole one at any time. Answers its length
/// too.
fn rewrite(path: &Path, epoch: u64, entries: &BTreeMap<ActionKey, Entry>) -> io::Result<(File, u64)> {
    let mut bytes = encode(&Line::Version(VERSION));
    bytes.extend(encode(&Line::Epoch(epoch)));
    for (key, entry) in entries {
        bytes.extend(encode(&accepted(entry)));
        if let Some(progress) = &entry.ended {
            bytes.extend(encode(&Line::Ended { key: key.clone(), progress: progress.clone() }));
        }
    }
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests;

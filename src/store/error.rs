//! What can go wrong with the store, for people.

use std::path::PathBuf;

/// Why the store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error(
        "cannot use the state directory {path}: {source}. Let this user write there, or set state_dir in \
         the configuration to a folder that it may write",
        path = path.display()
    )]
    Directory {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another server has it.
    #[error(
        "the state directory {path} is in use by another dvms server{by}. Stop that one, or give this one \
         another state_dir",
        path = path.display()
    )]
    InUse {
        /// Which folder.
        path: PathBuf,
        /// ` (process 12)`, or nothing where that is not known.
        by: String,
    },
    /// The file cannot be read as a database.
    #[error(
        "{path} is damaged: {message}. Restore it from a backup, or move it (and the files beside it that \
         begin with its name) away to start afresh: hosts and VMs come back from the agents; plans, events \
         and the operators' host states are lost",
        path = path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        message: String,
    },
    /// The file is a database of another program.
    #[error("{path} is not a database of dvms; set state_dir to a folder of its own", path = path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} was written by a newer dvms (schema {found}; this one knows {known}). Run that version, or \
         restore the file from before the upgrade",
        path = path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// A record in the file cannot be read.
    #[error("{path}: cannot read {record}: {message}", path = path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Which record.
        record: String,
        /// What is wrong with it.
        message: String,
    },
    /// An epoch that no number is greater than.
    #[error("no epoch can follow {0}; an agent that has seen it must be given a new state directory")]
    EpochExhausted(u64),
    /// There is no thread to write with.
    #[error("cannot start the thread that writes to the state directory: {source}")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// Anything else: disk full, I/O error …
    #[error("{path}: cannot {what}: {source}", path = path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
}

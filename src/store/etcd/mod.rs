//! What members of a ring share in etcd. Nothing of the hot path waits for it: what it tells comes as news, and what is
//! written goes through a queue. While it does not answer, what was last known stays.
//!
//! ```text
//! PREFIX/members/NAME     JSON of the member, under its lease
//! PREFIX/seen/NAME/BY     JSON of a member whose own entry has gone, and whom BY still reaches; under the lease of BY
//! PREFIX/rules/NAME       JSON of a rule
//! PREFIX/rules            who has changed the rules last: written with each change, so that it has a revision
//! PREFIX/hosts/NAME       JSON: what operators want of a host, and whose cell it was in
//! ```
//!
//! One server is spoken with at a time; where it does not answer, or has lost touch with the majority, the next one is.

mod entry;
mod session;
mod writer;

pub use entry::Own;

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Rules that may be changed at once: etcd takes 128 operations in one step.
pub const MOST_AT_ONCE: usize = 100;

/// Where etcd is, and who speaks with it.
#[derive(Debug, Clone)]
pub struct Session {
    /// `host:port` of the servers.
    pub endpoints: Vec<String>,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// The name of the own entry.
    pub name: String,
    /// `host:port` that it says.
    pub address: String,
    /// What it says of which coordinator it is, over all its lives: see `value`.
    pub instance: String,
    /// All that it says: JSON with `address` and `instance`.
    pub value: String,
    /// Seconds after which it goes when this process is not heard of.
    pub ttl_s: u32,
}

/// What etcd tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This has become of the own entry.
    Own(Own),
    /// These are all members' entries, the own one too.
    Members {
        /// By name.
        own: BTreeMap<String, String>,
        /// Those that others vouch for, by name and by who does.
        seen: BTreeMap<(String, String), String>,
    },
    /// These are all rules.
    Rules {
        /// When they were last changed: greater than before each change.
        revision: u64,
        /// By name.
        rules: BTreeMap<String, String>,
    },
    /// These hosts have changed; `None` = the entry has gone.
    Hosts {
        /// These are all, and there are no others.
        all: bool,
        /// By name.
        hosts: BTreeMap<String, Option<String>>,
    },
    /// It does not answer; why. What is not written yet will not be.
    Silent(String),
}

/// What is to be written.
#[derive(Debug)]
pub enum Wish {
    /// All of these changes of rules, or none.
    Rules {
        /// Rules by name; `None` = it goes.
        change: BTreeMap<String, Option<String>>,
        /// The revision that this has made, or why it was not done.
        answer: oneshot::Sender<Result<u64, NotWritten>>,
    },
    /// This one reaches a member whose own entry has gone; `None` = no more.
    Seen {
        /// The member.
        member: String,
        /// What its entry said.
        value: Option<String>,
    },
    /// Entries of hosts; `None` = it goes.
    Hosts(BTreeMap<String, Option<String>>),
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWritten {
    /// etcd does not answer: nothing was changed.
    Silent(String),
    /// It did not answer in time: it may have been done.
    Unknown(String),
}

type Failed = String;

async fn within<T>(call: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, Failed> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

//! The own entry in etcd: which coordinator this is over all its lives, and what is done where another one has the name.

use crate::coordinator::settings::Ring;
use crate::coordinator::written;
use crate::store::etcd::{News, Own, Session, Wish};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

/// News and wishes that may wait.
const WAITING: usize = 16;
/// How long a coordinator that begins waits for etcd.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Another coordinator of this name is alive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "ring.name = {name:?} is taken: the coordinator at {address} has the entry {key} of etcd, and keeps it"
)]
pub struct Taken {
    /// The name.
    pub name: String,
    /// Where the other one is.
    pub address: String,
    /// The key of its entry.
    pub key: String,
}

impl Taken {
    pub(super) fn by(ring: &Ring, value: &str) -> Self {
        let member = written::member(&mut serde_json::Deserializer::from_str(value));
        Self {
            name: ring.name.clone(),
            address: member
                .map_or_else(|_| format!("an unknown address ({value:?})"), |member| member.address),
            key: key(ring),
        }
    }
}

pub(super) fn key(ring: &Ring) -> String {
    format!("{}/members/{}", ring.etcd.prefix, ring.name)
}

/// A way to etcd on which the own entry is kept; it ends when dropped.
#[derive(Debug)]
pub struct Entry {
    pub(super) news: mpsc::Receiver<News>,
    pub(super) wishes: mpsc::Sender<Wish>,
    /// What was told before anybody listened.
    pub(super) first: Vec<News>,
}

/// Tells etcd of a coordinator that is about to begin. Where etcd does not answer it may begin all the same.
///
/// # Errors
/// Another coordinator has the name: its entry has outlived its lease.
pub async fn enter(ring: &Ring, state_dir: &Path) -> Result<Entry, Taken> {
    let instance = instance(state_dir).unwrap_or_else(|error| {
        tracing::warn!(%error, "which coordinator this is cannot be kept in {}", state_dir.display());
        Uuid::new_v4().simple().to_string()
    });
    let Ring { name, address, site, .. } = ring.clone();
    let value = serde_json::json!({"name": name, "address": address, "site": site, "instance": instance});
    let session = Session {
        endpoints: ring.etcd.endpoints.clone(),
        prefix: ring.etcd.prefix.clone(),
        name,
        address,
        instance,
        value: value.to_string(),
        ttl_s: ring.etcd.ttl_s,
    };
    let (sender, news) = mpsc::channel(WAITING);
    let (wishes, inbox) = mpsc::channel(WAITING);
    tokio::spawn(session.run(sender, inbox));
    let mut entry = Entry { news, wishes, first: Vec::new() };
    let mut told = timeout(ANSWERS_WITHIN, entry.news.recv()).await.ok().flatten();
    while let Some(news) = told {
        match &news {
            News::Own(Own::Taken { value, alive: true }) => return Err(Taken::by(ring, value)),
            News::Own(Own::Taken { value, .. }) => {
                let Taken { address, key, .. } = Taken::by(ring, value);
                tracing::info!(
                    key,
                    address,
                    "another coordinator has the name, or has just ended: waiting for its lease"
                );
            }
            News::Own(Own::Kept) | News::Silent(_) => {
                entry.first.push(news);
                break;
            }
            _ => entry.first.push(news),
        }
        told = entry.news.recv().await;
    }
    Ok(entry)
}

/// Which coordinator this is, over all its lives: as long as it has its state directory.
fn instance(state_dir: &Path) -> io::Result<String> {
    let path = state_dir.join("instance");
    match std::fs::read_to_string(&path) {
        Ok(kept) if !kept.trim().is_empty() => return Ok(kept.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let fresh = Uuid::new_v4().simple().to_string();
    std::fs::write(&path, format!("{fresh}\n"))?;
    std::fs::File::open(&path)?.sync_all()?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_of_one_coordinator() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = instance(one.path()).unwrap();
        assert_eq!(instance(one.path()).unwrap(), first);
        assert_ne!(instance(other.path()).unwrap(), first);
        assert!(instance(&one.path().join("none")).is_err());
    }
}

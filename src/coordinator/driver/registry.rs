//! Who takes part, as etcd tells. What was last known is kept in a file, so that a coordinator that begins while etcd does
//! not answer takes part as before: one that believed to be alone could act on hosts that others have reserved.

use crate::coordinator::Coordinator;
use crate::coordinator::settings::{Ring, RingMember};
use crate::store::etcd::{Entry, News};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// News that may wait.
const WAITING: usize = 16;

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("ring.json")
}

/// A member as others have written it: a newer one may say more of itself.
#[derive(serde::Deserialize)]
struct Written {
    name: String,
    address: String,
    #[serde(default)]
    site: String,
}

impl From<Written> for RingMember {
    fn from(Written { name, address, site }: Written) -> Self {
        Self { name, address, site }
    }
}

/// Members that were last known; none where there is no file.
///
/// # Errors
/// The file cannot be read or says nothing that can be understood.
pub fn last_known(state_dir: &Path) -> io::Result<Vec<RingMember>> {
    match std::fs::read(file(state_dir)) {
        Ok(bytes) => {
            let written: Vec<Written> = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
            Ok(written.into_iter().map(RingMember::from).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn remember(state_dir: &Path, members: &[RingMember]) -> io::Result<()> {
    let (path, fresh) = (file(state_dir), state_dir.join("ring.json.new"));
    std::fs::write(&fresh, serde_json::to_vec(members)?)?;
    std::fs::File::open(&fresh)?.sync_all()?;
    std::fs::rename(fresh, path)
}

/// Tells etcd of this coordinator, and this coordinator of the others, until it stops.
pub async fn keep(coordinator: Coordinator, ring: Ring, state_dir: PathBuf) {
    let own = RingMember { name: ring.name.clone(), address: ring.address.clone(), site: ring.site.clone() };
    let entry = Entry {
        endpoints: ring.etcd.endpoints.clone(),
        prefix: ring.etcd.prefix.clone(),
        name: ring.name.clone(),
        value: serde_json::to_string(&own).unwrap_or_default(),
        ttl_s: ring.etcd.ttl_s,
    };
    let (sender, mut news) = mpsc::channel(WAITING);
    tokio::spawn(entry.keep(sender));
    let mut present: Vec<RingMember> = last_known(&state_dir).unwrap_or_default();
    let mut stopped = coordinator.stopped();
    loop {
        let told = tokio::select! {
            told = news.recv() => told,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match told {
            Some(News::Silent(why)) => {
                tracing::warn!(endpoints = ?ring.etcd.endpoints, "etcd: {why}; the members stay those last known");
            }
            Some(News::Entries(entries)) => {
                let mut members: Vec<RingMember> = Vec::new();
                for (name, value) in entries {
                    match serde_json::from_str::<Written>(&value) {
                        Ok(member) if member.name == name => members.push(member.into()),
                        _ => tracing::warn!(name, value, "etcd: an entry that is no member is left aside"),
                    }
                }
                if !members.iter().any(|member| member.name == own.name) {
                    members.push(own.clone());
                }
                if members == present {
                    continue;
                }
                let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                tracing::info!(members = names.join(" "), "the ring");
                if let Err(error) = remember(&state_dir, &members) {
                    tracing::error!(%error, "the members of the ring cannot be kept in {}", state_dir.display());
                }
                present.clone_from(&members);
                if !coordinator.set_members(members).await {
                    return;
                }
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_may_say_more_of_members() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"[{"name":"east","address":"10.0.0.1:7600","zone":"z"},{"name":"w","address":"b:1","site":"s"}]"#;
        std::fs::write(file(folder.path()), text).unwrap();
        let members = last_known(folder.path()).unwrap();
        let shown: Vec<_> = members.iter().map(|one| (one.name.as_str(), one.site.as_str())).collect();
        assert_eq!(shown, [("east", ""), ("w", "s")]);
        remember(folder.path(), &members).unwrap();
        assert_eq!(last_known(folder.path()).unwrap(), members);
    }
}

//! What is shared by etcd: who takes part, the rules, what is kept of hosts. What was last known of the members is kept in a
//! file, so that a coordinator that begins while etcd does not answer takes part as before: one that believed to be alone
//! could act on hosts that others have reserved. The rules are kept in the store.

mod hosts;
mod members;
mod own;

pub use own::{Entry, Taken, enter};

use crate::coordinator::Coordinator;
use crate::coordinator::peers::KeptHost;
use crate::coordinator::settings::{Ring, RingMember};
use crate::coordinator::written;
use crate::store::etcd::{News, Own, Wish};
use members::{Clock, Looked, Roster};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Between two looks at who is reached, and at what is to be written.
const LOOK_EVERY: Duration = Duration::from_millis(500);

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("ring.json")
}

/// Members that were last known; none where there is no file.
///
/// # Errors
/// The file cannot be read or says nothing that can be understood.
pub fn last_known(state_dir: &Path) -> io::Result<Vec<RingMember>> {
    match std::fs::read(file(state_dir)) {
        Ok(bytes) => {
            written::members(&mut serde_json::Deserializer::from_slice(&bytes)).map_err(io::Error::other)
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

/// Tells etcd of this coordinator, and this coordinator what etcd has, until it stops. `entry`: see [`enter`].
pub async fn keep(coordinator: Coordinator, ring: Ring, state_dir: PathBuf, entry: Entry) {
    let own = RingMember { name: ring.name.clone(), address: ring.address.clone(), site: ring.site.clone() };
    let Entry { mut news, wishes, first } = entry;
    // The first of a coordinator's life.
    let _ = coordinator.shared.etcd.wishes.set(wishes.clone());
    coordinator.shared.etcd.set_silent(Some("not asked yet".to_owned()));
    let link_within = Duration::from_secs(u64::from(ring.etcd.ttl_s));
    let last = last_known(&state_dir).unwrap_or_default();
    let roster = Roster::new(own, last, link_within, u64::from(ring.etcd.without_s));
    let mut stopped = coordinator.stopped();
    let began = Instant::now();
    let (kept, held) = (BTreeMap::new(), BTreeSet::new());
    let mut keeper =
        Keeper { coordinator, ring, state_dir, roster, kept, wishes, silent: true, held, rival: None };
    for told in first {
        if !keeper.hear(told).await {
            return;
        }
    }
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let goes_on = tokio::select! {
            told = news.recv() => match told {
                Some(told) => keeper.hear(told).await && keeper.look(began).await,
                None => false,
            },
            _ = looks.tick() => keeper.look(began).await,
            () = async { _ = stopped.wait_for(|stopped| *stopped).await } => false,
        };
        if !goes_on {
            return;
        }
    }
}

struct Keeper {
    coordinator: Coordinator,
    ring: Ring,
    state_dir: PathBuf,
    roster: Roster,
    /// What etcd has of hosts.
    kept: BTreeMap<String, KeptHost>,
    wishes: mpsc::Sender<Wish>,
    silent: bool,
    /// Members that have lost etcd.
    held: BTreeSet<String>,
    /// Who has the own entry in the place of this one.
    rival: Option<Taken>,
}

impl Keeper {
    /// False when the coordinator has stopped.
    async fn hear(&mut self, told: News) -> bool {
        match told {
            News::Silent(why) => {
                let endpoints = &self.ring.etcd.endpoints;
                tracing::warn!(?endpoints, "etcd: {why}; members and rules stay those last known");
                self.coordinator.shared.etcd.set_silent(Some(why));
                self.silent = true;
                self.roster.silent();
                true
            }
            News::Members { own, seen } => {
                if self.silent {
                    tracing::info!("etcd answers");
                }
                self.silent = false;
                self.coordinator.shared.etcd.set_silent(None);
                self.roster.told(own, seen);
                true
            }
            News::Own(own) => self.own(own).await,
            News::Rules { revision, rules } => self.coordinator.set_rules(revision, rules).await,
            News::Hosts { all, hosts } => {
                if all {
                    self.kept.clear();
                }
                let mut changed = BTreeMap::new();
                for (host, value) in hosts {
                    // What cannot be read is written again by who has the host.
                    let kept: Option<KeptHost> = value.and_then(|value| serde_json::from_str(&value).ok());
                    match &kept {
                        Some(kept) => _ = self.kept.insert(host.clone(), kept.clone()),
                        None => _ = self.kept.remove(&host),
                    }
                    changed.insert(host, kept);
                }
                self.coordinator.set_kept(all, changed).await
            }
        }
    }

    /// What has become of the own entry. False when the coordinator has stopped.
    async fn own(&mut self, own: Own) -> bool {
        let key = own::key(&self.ring);
        match own {
            Own::Kept => {
                if self.rival.take().is_some() {
                    tracing::info!(key, "the entry in etcd is that of this coordinator again");
                }
                true
            }
            Own::Gone => {
                let why = format!(
                    "somebody has deleted the entry of this coordinator in etcd ({key}); it is made again. If this comes \
                     again and again, another coordinator may be named {:?}: each needs a ring.name of its own",
                    self.ring.name
                );
                self.coordinator.alarm(why).await
            }
            // One of this name that has ended goes with its lease.
            Own::Taken { alive: false, .. } => true,
            Own::Taken { value, alive: true } => {
                let rival = Taken::by(&self.ring, &value);
                if self.rival.replace(rival.clone()).as_ref() == Some(&rival) {
                    return true;
                }
                let Taken { name, address, .. } = rival;
                let why = format!(
                    "two coordinators are named {name:?}: the one at {address} has the entry in etcd ({key}), so that the \
                     others know that one and not this one at {}. Give one of them another ring.name, or stop that one: \
                     this one takes part again as soon as the entry has gone",
                    self.ring.address
                );
                self.coordinator.alarm(why).await
            }
        }
    }

    /// Who takes part now, and what is to be written. False when the coordinator has stopped.
    async fn look(&mut self, began: Instant) -> bool {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let view = self.coordinator.ring();
        let Looked { members, held, vouch } = self.roster.look(Clock { at: began.elapsed(), wall }, &view);
        if !self.silent {
            for (member, value) in vouch {
                if value.is_some() {
                    tracing::warn!(member, "it has lost etcd, and is reached: it stays in the ring");
                } else {
                    tracing::info!(member, "it is not vouched for any more");
                }
                self.wish(Wish::Seen { member, value });
            }
            if view.knows_kept {
                let hosts = self.coordinator.hosts();
                let due = hosts::due(&self.ring.name, &hosts, &view.forgotten, &self.kept);
                if !due.is_empty() {
                    self.wish(Wish::Hosts(due));
                }
            }
        }
        if members.is_none() && held == self.held {
            return true;
        }
        self.held.clone_from(&held);
        let Some(members) = members else {
            return self.coordinator.set_members(self.roster.present(), held).await;
        };
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        tracing::info!(members = names.join(" "), "the ring");
        if let Err(error) = remember(&self.state_dir, &members) {
            tracing::error!(%error, "the members of the ring cannot be kept in {}", self.state_dir.display());
        }
        self.coordinator.set_members(members, held).await
    }

    /// What does not get through is wished again at the next look.
    fn wish(&self, wish: Wish) {
        let _ = self.wishes.try_send(wish);
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

//! What changes at all members, as one stream. A host or VM that goes from one member to another is told by both, in any
//! order: that it has gone counts only from who has told of it last.

use super::client;
use super::watch::{Wanted, follow};
use crate::api::error::ApiError;
use crate::api::peers::{Asked, Others, lasting};
use crate::api::stream::{Caller, Ended};
use crate::coordinator::Subscription;
use dvms_proto::v1 as pb;
use pb::watch_response::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

/// Changes of one member on their way.
const QUEUE: usize = 256;
/// Between two tries to watch a member.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The own member among the sources.
const OWN: usize = 0;

/// What a source tells.
enum Said {
    Change(Box<Change>),
    /// The watch has ended, or could not begin.
    Silent,
    /// The own watch has ended with this.
    Over(Ended),
}

/// Tells a watcher everything of all members, then every change.
pub(super) async fn follow_all(
    subscription: Subscription,
    wanted: Wanted,
    request: pb::WatchRequest,
    (others, asked): (Others, Asked),
    caller: Caller<pb::WatchResponse>,
) -> Result<(), Ended> {
    let mut names: Vec<String> = asked.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    let mut looks = tokio::time::interval(AGAIN_AFTER);
    let (say, mut said) = mpsc::channel(QUEUE);
    let mut merged = Merged::new(asked.len() + 1);
    // They end with this task.
    let mut sources = JoinSet::new();
    sources.spawn(own(subscription, wanted, say.clone()));
    for (i, (_, channel)) in asked.into_iter().enumerate() {
        if let Some(channel) = channel {
            sources.spawn(other(i + 1, channel, request.clone(), say.clone()));
        } else {
            let _ = say.send((i + 1, Said::Silent)).await;
        }
    }
    drop(say);
    loop {
        let told = tokio::select! {
            told = said.recv() => told,
            _ = looks.tick() => {
                if others.names() != names {
                    return Err(ApiError::members_changed().into());
                }
                continue;
            }
        };
        let Some((source, said)) = told else { return Ok(()) };
        let changes = match said {
            Said::Change(change) => merged.take(source, *change),
            Said::Silent => merged.silent(source),
            Said::Over(ended) => return Err(ended),
        };
        for change in changes {
            merged.revision += 1;
            let answer = pb::WatchResponse { revision: merged.revision, change: Some(change) };
            caller.send(answer).await?;
        }
    }
}

async fn own(subscription: Subscription, wanted: Wanted, say: mpsc::Sender<(usize, Said)>) {
    let (queue, mut answers) = mpsc::channel::<Result<pb::WatchResponse, Status>>(QUEUE);
    let forward = async {
        while let Some(answer) = answers.recv().await {
            let change = answer.ok().and_then(|answer| answer.change);
            if let Some(change) = change
                && say.send((OWN, Said::Change(Box::new(change)))).await.is_err()
            {
                return;
            }
        }
    };
    let (ended, ()) = tokio::join!(follow(subscription, wanted, Caller::new(queue)), forward);
    let over = ended.err().unwrap_or_else(|| ApiError::shutting_down().into());
    let _ = say.send((OWN, Said::Over(over))).await;
}

async fn other(source: usize, at: Channel, request: pb::WatchRequest, say: mpsc::Sender<(usize, Said)>) {
    loop {
        // Its end is for the loop: it is watched again.
        let _: Result<(), Status> = async {
            let mut stream = client(at.clone()).watch(lasting(request.clone())).await?.into_inner();
            while let Some(answer) = stream.message().await? {
                if let Some(change) = answer.change
                    && say.send((source, Said::Change(Box::new(change)))).await.is_err()
                {
                    return Ok(());
                }
            }
            Ok(())
        }
        .await;
        if say.send((source, Said::Silent)).await.is_err() {
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Which source has told of what last.
struct Merged {
    revision: u64,
    hosts: BTreeMap<String, usize>,
    vms: BTreeMap<String, usize>,
    /// What each source has told since its watch began; `None` once it has told all.
    telling: Vec<Option<BTreeSet<String>>>,
    /// Sources that have neither told all nor failed so far.
    awaited: BTreeSet<usize>,
}

impl Merged {
    fn new(sources: usize) -> Self {
        Self {
            revision: 0,
            hosts: BTreeMap::new(),
            vms: BTreeMap::new(),
            telling: vec![Some(BTreeSet::new()); sources],
            awaited: (0..sources).collect(),
        }
    }

    /// What the watcher is told of a change.
    fn take(&mut self, source: usize, change: Change) -> Vec<Change> {
        let mut told = |name: String| {
            if let Some(telling) = &mut self.telling[source] {
                telling.insert(name);
            }
        };
        match &change {
            Change::Host(host) => {
                told(format!("host {}", host.name));
                self.hosts.insert(host.name.clone(), source);
            }
            Change::Vm(vm) => {
                told(format!("vm {}", vm.name));
                self.vms.insert(vm.name.clone(), source);
            }
            Change::HostGone(name) => {
                if self.hosts.get(name) != Some(&source) {
                    return Vec::new();
                }
                self.hosts.remove(name);
            }
            Change::VmGone(name) => {
                if self.vms.get(name) != Some(&source) {
                    return Vec::new();
                }
                self.vms.remove(name);
            }
            // Numbers of events are those of one coordinator.
            Change::Event(_) if source != OWN => return Vec::new(),
            Change::Event(_) => {}
            Change::Synced(_) => return self.synced(source),
        }
        vec![change]
    }

    /// A source has told all: what it had before and did not tell is gone.
    fn synced(&mut self, source: usize) -> Vec<Change> {
        let told = self.telling[source].take().unwrap_or_default();
        let lost = |named: &BTreeMap<String, usize>, kind: &str| -> Vec<String> {
            let theirs = named.iter().filter(|(_, owner)| **owner == source).map(|(name, _)| name);
            theirs.filter(|name| !told.contains(&format!("{kind} {name}"))).cloned().collect()
        };
        let (hosts, vms) = (lost(&self.hosts, "host"), lost(&self.vms, "vm"));
        for host in &hosts {
            self.hosts.remove(host);
        }
        for vm in &vms {
            self.vms.remove(vm);
        }
        let gone = hosts.into_iter().map(Change::HostGone).chain(vms.into_iter().map(Change::VmGone));
        gone.chain(self.no_longer_awaited(source)).collect()
    }

    /// A source does not answer: what it has told stays until it does.
    fn silent(&mut self, source: usize) -> Vec<Change> {
        self.telling[source] = Some(BTreeSet::new());
        self.no_longer_awaited(source).into_iter().collect()
    }

    fn no_longer_awaited(&mut self, source: usize) -> Option<Change> {
        (self.awaited.remove(&source) && self.awaited.is_empty()).then_some(Change::Synced(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Change {
        Change::Host(pb::Host { name: name.to_owned(), ..pb::Host::default() })
    }

    fn vm(name: &str) -> Change {
        Change::Vm(pb::Vm { name: name.to_owned(), ..pb::Vm::default() })
    }

    #[test]
    fn it_is_synced_when_all_have_told_or_failed() {
        let mut merged = Merged::new(3);
        assert_eq!(merged.take(OWN, host("a")), [host("a")]);
        assert_eq!(merged.take(OWN, Change::Synced(true)), []);
        assert_eq!(merged.take(1, Change::Synced(true)), []);
        assert_eq!(merged.silent(2), [Change::Synced(true)]);
        // Once is enough.
        assert_eq!(merged.take(2, Change::Synced(true)), []);
    }

    #[test]
    fn what_goes_from_one_member_to_another_is_not_gone_whoever_tells_first() {
        for late in [false, true] {
            let mut merged = Merged::new(2);
            merged.take(OWN, host("a"));
            merged.take(OWN, vm("v"));
            if late {
                assert_eq!(merged.take(1, host("a")), [host("a")]);
                assert_eq!(merged.take(OWN, Change::HostGone("a".into())), []);
            } else {
                assert_eq!(merged.take(OWN, Change::HostGone("a".into())), [Change::HostGone("a".into())]);
                assert_eq!(merged.take(1, host("a")), [host("a")]);
            }
            assert_eq!(merged.take(1, vm("v")), [vm("v")]);
            assert_eq!(merged.take(OWN, Change::VmGone("v".into())), []);
            assert_eq!(merged.hosts["a"], 1);
        }
    }

    #[test]
    fn what_a_member_has_lost_while_it_was_silent_is_gone() {
        let mut merged = Merged::new(2);
        merged.take(1, host("a"));
        merged.take(1, host("b"));
        merged.take(1, vm("v"));
        merged.take(1, Change::Synced(true));
        assert_eq!(merged.silent(1), []);
        merged.take(1, host("b"));
        let gone = [Change::HostGone("a".into()), Change::VmGone("v".into())];
        assert_eq!(merged.take(1, Change::Synced(true)), gone);
    }
}

//! What changes at all members, as one stream. A host or VM that goes from one member to another is told by both, in any
//! order: that it has gone counts only from who has told of it last.

use super::client;
use super::ordered::Ordered;
use super::watch::{Own, follow};
use crate::api::error::ApiError;
use crate::api::peers::{Asked, Other, Others, lasting};
use crate::api::stream::{Caller, Ended};
use dvms_proto::v1 as pb;
use pb::watch_response::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
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
    own: Own,
    request: pb::WatchRequest,
    (others, asked): (Others, Asked),
    caller: Caller<pb::WatchResponse>,
) -> Result<(), Ended> {
    let begun = Instant::now();
    let mut names: Vec<String> = asked.iter().map(|other| other.name.clone()).collect();
    let mut merged = Merged::new([own.name()].into_iter().chain(names.iter().map(String::as_str)));
    names.sort();
    let mut looks = tokio::time::interval(AGAIN_AFTER);
    let (say, mut said) = mpsc::channel(QUEUE);
    // They end with this task.
    let mut sources = JoinSet::new();
    sources.spawn(tell_own(own, say.clone()));
    for (i, Other { name, channel, .. }) in asked.into_iter().enumerate() {
        if let Some(channel) = channel {
            let source = Source { number: i + 1, name, read: Read::new(&request), request: request.clone() };
            sources.spawn(source.tell(channel, say.clone()));
        } else {
            let _ = say.send((i + 1, Said::Silent)).await;
        }
    }
    drop(say);
    loop {
        let due = merged.due().map(|due| begun + due);
        let told = tokio::select! {
            told = said.recv() => told,
            () = at(due) => {
                merged.tell(&caller, |merged| merged.ready(begun.elapsed())).await?;
                continue;
            }
            _ = looks.tick() => {
                if others.names() != names {
                    return Err(ApiError::members_changed().into());
                }
                continue;
            }
        };
        let Some((source, said)) = told else { return Ok(()) };
        match said {
            Said::Change(change) => {
                merged.tell(&caller, |merged| merged.take(source, *change, begun.elapsed())).await?;
            }
            Said::Silent => merged.tell(&caller, |merged| merged.silent(source)).await?,
            Said::Over(ended) => return Err(ended),
        }
    }
}

/// Waits until then; for ever if there is no such time.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn tell_own(own: Own, say: mpsc::Sender<(usize, Said)>) {
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
    let (ended, ()) = tokio::join!(follow(own, Caller::new(queue)), forward);
    let over = ended.err().unwrap_or_else(|| ApiError::shutting_down().into());
    let _ = say.send((OWN, Said::Over(over))).await;
}

/// Another member that is watched.
struct Source {
    number: usize,
    name: String,
    /// How far its events were read.
    read: Read,
    request: pb::WatchRequest,
}

/// How far events were read.
struct Read {
    /// To be asked for; `None` = none of the past.
    after: Option<pb::EventPosition>,
    since: SystemTime,
}

impl Read {
    fn new(request: &pb::WatchRequest) -> Self {
        Self { after: request.after.clone(), since: SystemTime::now() }
    }

    /// A watch has ended: from now on nothing of the past is to be missed.
    fn resume(&mut self) {
        let since = Some(self.since.into());
        self.after.get_or_insert_with(|| pb::EventPosition { ids: BTreeMap::new(), since });
    }

    fn read(&mut self, member: &str, id: u64) {
        self.resume();
        if let Some(after) = &mut self.after {
            after.ids.insert(member.to_owned(), id);
        }
    }
}

impl Source {
    async fn tell(mut self, at: Channel, say: mpsc::Sender<(usize, Said)>) {
        loop {
            // Its end is for the loop: it is watched again.
            let _: Result<(), Status> = async {
                let request = pb::WatchRequest { after: self.read.after.clone(), ..self.request.clone() };
                let mut stream = client(at.clone()).watch(lasting(request)).await?.into_inner();
                while let Some(answer) = stream.message().await? {
                    let Some(mut change) = answer.change else { continue };
                    if let Change::Event(event) = &mut change {
                        // One of an older version does not say it.
                        event.coordinator.clone_from(&self.name);
                        self.read.read(&self.name, event.id);
                    }
                    if say.send((self.number, Said::Change(Box::new(change)))).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(())
            }
            .await;
            self.read.resume();
            if say.send((self.number, Said::Silent)).await.is_err() {
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Which source has told of what last.
struct Merged {
    revision: u64,
    /// Of the sources.
    names: Vec<String>,
    /// Sources that cannot be watched now.
    silent: BTreeSet<usize>,
    /// Events that are held for a moment, or until all sources have told all.
    events: Ordered,
    hosts: BTreeMap<String, usize>,
    vms: BTreeMap<String, usize>,
    /// What each source has told since its watch began; `None` once it has told all.
    telling: Vec<Option<BTreeSet<String>>>,
    /// Sources that have neither told all nor failed so far.
    awaited: BTreeSet<usize>,
}

impl Merged {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<String> = names.map(str::to_owned).collect();
        let sources = names.len();
        Self {
            revision: 0,
            names,
            silent: BTreeSet::new(),
            events: Ordered::default(),
            hosts: BTreeMap::new(),
            vms: BTreeMap::new(),
            telling: vec![Some(BTreeSet::new()); sources],
            awaited: (0..sources).collect(),
        }
    }

    /// Tells the watcher what follows from something.
    async fn tell(
        &mut self,
        caller: &Caller<pb::WatchResponse>,
        change: impl FnOnce(&mut Self) -> Vec<Change>,
    ) -> Result<(), Ended> {
        for change in change(self) {
            self.revision += 1;
            let answer = pb::WatchResponse { revision: self.revision, change: Some(change) };
            caller.send(answer).await?;
        }
        Ok(())
    }

    /// What the watcher is told of a change.
    fn take(&mut self, source: usize, change: Change, now: Duration) -> Vec<Change> {
        let mut back: Vec<Change> = self.is_back(source).into_iter().collect();
        back.extend(self.changes(source, change, now));
        back
    }

    /// Events that are to be told now.
    fn ready(&mut self, now: Duration) -> Vec<Change> {
        let events = if self.awaited.is_empty() { self.events.ready(now) } else { Vec::new() };
        events.into_iter().map(Change::Event).collect()
    }

    /// When events are to be told, if they are not held for those of others.
    fn due(&self) -> Option<Duration> {
        self.events.due().filter(|_| self.awaited.is_empty())
    }

    fn changes(&mut self, source: usize, change: Change, now: Duration) -> Vec<Change> {
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
            Change::Event(event) => {
                self.events.take(event.clone(), now);
                return Vec::new();
            }
            Change::Synced(_) => return self.synced(source),
            // It was asked for itself alone.
            Change::Silent(_) => return Vec::new(),
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
        let news = self.silent.insert(source).then(|| self.who_is_silent());
        news.into_iter().chain(self.no_longer_awaited(source)).collect()
    }

    /// A source is heard.
    fn is_back(&mut self, source: usize) -> Option<Change> {
        self.silent.remove(&source).then(|| self.who_is_silent())
    }

    fn who_is_silent(&self) -> Change {
        let mut names: Vec<String> = self.silent.iter().map(|source| self.names[*source].clone()).collect();
        names.sort();
        Change::Silent(pb::SilentMembers { names })
    }

    /// When nobody is awaited any more, events of the past come in order, then the word that this was all.
    fn no_longer_awaited(&mut self, source: usize) -> Vec<Change> {
        if !self.awaited.remove(&source) || !self.awaited.is_empty() {
            return Vec::new();
        }
        let events = self.events.all().into_iter().map(Change::Event);
        events.chain([Change::Synced(true)]).collect()
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

    fn merged_of(sources: usize) -> Merged {
        Merged::new(["0", "1", "2"].into_iter().take(sources))
    }

    fn take(merged: &mut Merged, source: usize, change: Change) -> Vec<Change> {
        merged.take(source, change, Duration::ZERO)
    }

    fn silent(names: &[&str]) -> Change {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Change::Silent(pb::SilentMembers { names })
    }

    fn event(coordinator: &str, second: i64) -> Change {
        let time = Some(prost_types::Timestamp { seconds: second, nanos: 0 });
        Change::Event(pb::Event { id: 7, time, coordinator: coordinator.to_owned(), ..pb::Event::default() })
    }

    #[test]
    fn it_is_synced_when_all_have_told_or_failed() {
        let mut merged = merged_of(3);
        assert_eq!(take(&mut merged, OWN, host("a")), [host("a")]);
        assert_eq!(take(&mut merged, OWN, Change::Synced(true)), []);
        assert_eq!(take(&mut merged, 1, Change::Synced(true)), []);
        assert_eq!(merged.silent(2), [silent(&["2"]), Change::Synced(true)]);
        // Once is enough.
        assert_eq!(merged.silent(2), []);
        assert_eq!(take(&mut merged, 2, Change::Synced(true)), [silent(&[])]);
    }

    #[test]
    fn events_of_the_past_come_in_order_before_it_is_synced_and_then_as_they_come() {
        let mut merged = merged_of(2);
        let hour = Duration::from_hours(1);
        assert_eq!(take(&mut merged, 1, event("1", 20)), []);
        assert_eq!(take(&mut merged, 1, Change::Synced(true)), []);
        // However long it takes: one that has not told all may have an earlier one.
        assert_eq!((merged.due(), merged.ready(hour)), (None, vec![]));
        assert_eq!(take(&mut merged, OWN, event("0", 10)), []);
        let past = [event("0", 10), event("1", 20), Change::Synced(true)];
        assert_eq!(take(&mut merged, OWN, Change::Synced(true)), past);
        assert_eq!(take(&mut merged, 1, event("1", 30)), []);
        assert!(merged.due().is_some());
        assert_eq!(merged.ready(hour), [event("1", 30)]);
    }

    #[test]
    fn a_member_is_asked_for_what_it_had_while_it_was_silent() {
        let mut new = Read::new(&pb::WatchRequest::default());
        assert_eq!(new.after, None);
        new.resume();
        let after = new.after.clone().unwrap();
        assert!(after.ids.is_empty() && after.since.is_some());
        new.read("west", 9);
        assert_eq!(new.after.unwrap().ids["west"], 9);
    }

    #[test]
    fn what_goes_from_one_member_to_another_is_not_gone_whoever_tells_first() {
        for late in [false, true] {
            let mut merged = merged_of(2);
            take(&mut merged, OWN, host("a"));
            take(&mut merged, OWN, vm("v"));
            if late {
                assert_eq!(take(&mut merged, 1, host("a")), [host("a")]);
                assert_eq!(take(&mut merged, OWN, Change::HostGone("a".into())), []);
            } else {
                assert_eq!(
                    take(&mut merged, OWN, Change::HostGone("a".into())),
                    [Change::HostGone("a".into())]
                );
                assert_eq!(take(&mut merged, 1, host("a")), [host("a")]);
            }
            assert_eq!(take(&mut merged, 1, vm("v")), [vm("v")]);
            assert_eq!(take(&mut merged, OWN, Change::VmGone("v".into())), []);
            assert_eq!(merged.hosts["a"], 1);
        }
    }

    #[test]
    fn what_a_member_has_lost_while_it_was_silent_is_gone() {
        let mut merged = merged_of(2);
        take(&mut merged, 1, host("a"));
        take(&mut merged, 1, host("b"));
        take(&mut merged, 1, vm("v"));
        take(&mut merged, 1, Change::Synced(true));
        assert_eq!(merged.silent(1), [silent(&["1"])]);
        assert_eq!(take(&mut merged, 1, host("b")), [silent(&[]), host("b")]);
        let gone = [Change::HostGone("a".into()), Change::VmGone("v".into())];
        assert_eq!(take(&mut merged, 1, Change::Synced(true)), gone);
    }
}

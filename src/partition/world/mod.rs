//! A small world to try the protocol in: coordinators, a network that loses, doubles and delays, a solver that knows
//! the truth, agents that carry out. One step at a time, so that every order of steps can be tried.
//!
//! Loads are in units: a host is over by some, or has room for some. A partition can be solved when its hosts have
//! as much room as they are over together, and when there are enough of them: some overloads are given a least number
//! of hosts, which stands for whatever makes a problem hard.

mod brief;
mod check;
mod explore;
mod fair;
mod faulty;
mod large;
mod orders;
mod scenarios;
mod sites;
mod steps;
mod urgency;
mod walks;

use super::*;
use brief::brief;
use std::collections::{BTreeMap, BTreeSet};

/// What the world is made of.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Member → its hosts: negative = over by, else room for.
    pub(super) cells: Vec<(&'static str, Vec<(&'static str, i64)>)>,
    /// Hosts that are over, and how many hosts a partition must have for a plan to be found.
    pub(super) least: Vec<(&'static str, usize)>,
    /// Troubles of hosts that are over, where they are not overloads.
    pub(super) kinds: Vec<(&'static str, Kind)>,
    /// Faults that may happen, each so often.
    pub(super) faults: Faults,
    /// How far the clock of a member is ahead of that of the one before it.
    pub(super) skew: u64,
}

/// How often each fault may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Faults {
    pub(super) lose: u8,
    pub(super) double: u8,
    pub(super) overtake: u8,
    /// Time goes on while something is still to happen.
    pub(super) slow: u8,
    pub(super) crash: u8,
    /// Time goes on while a member is down.
    pub(super) absent: u8,
    /// An event ends by itself, or begins.
    pub(super) change: u8,
    /// A host leaves a cell for another.
    pub(super) moves: u8,
}

/// From whom, to whom.
type Way = (Member, Member);

/// A plan that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    leader: Member,
    /// Which life of the leader.
    life: u64,
    hosts: BTreeMap<Host, Held>,
    fenced: BTreeSet<Host>,
    /// Its actions are at the agents.
    begun: bool,
    /// Some owner has refused one.
    refused: bool,
}

/// Someone asks a solver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    life: u64,
    hosts: BTreeSet<Host>,
    whole: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    now: Time,
    skew: u64,
    nodes: BTreeMap<Member, Node>,
    lives: BTreeMap<Member, u64>,
    cells: BTreeMap<Member, BTreeSet<Host>>,
    down: BTreeSet<Member>,
    /// The truth: negative = over by.
    room: BTreeMap<Host, i64>,
    /// Hosts that a partition for this one has at least.
    least: BTreeMap<Host, usize>,
    kinds: BTreeMap<Host, Kind>,
    /// Hosts that have left a cell whose owner has not noticed yet, by when it does, and the life of the new owner.
    leaving: BTreeMap<Host, (Member, Time, u64)>,
    /// Hosts where actions are under way, and whose.
    aloft: BTreeMap<Host, PartitionId>,
    /// Messages in order of sending: between two members they arrive in that order unless one overtakes.
    net: BTreeMap<Way, Vec<Message>>,
    solves: BTreeMap<(Member, PartitionId, u64), Asked>,
    runs: BTreeMap<PartitionId, Run>,
    faults: Faults,
    /// Members between which nothing passes.
    cut: BTreeSet<Way>,
    pub(super) seen: Seen,
}

/// What has happened. Not part of the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) log: Vec<String>,
    pub(super) keep_log: bool,
    /// What owners of events were told of them, where a log is kept.
    pub(super) answers: Vec<(String, Outcome)>,
    pub(super) messages: u64,
    pub(super) merges: u64,
    pub(super) executed: u64,
    pub(super) unsolved: u64,
    pub(super) largest: usize,
}

impl PartialEq for Seen {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seen {}

impl std::hash::Hash for Seen {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// Short waits, so that few steps of time pass.
pub(super) fn settings() -> Settings {
    Settings {
        lease: Millis(40),
        margin: Millis(2),
        notice: Millis(6),
        answer_within: Millis(5),
        tries: 2,
        silent: Millis(15),
        backoff: Millis(8),
        backoff_most: Millis(64),
        unsolved: Millis(100),
        solve_within: Millis(10_000),
        most_hosts: 64,
    }
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut world = Self::new_quiet(plan);
        world.raise_all();
        world
    }

    /// A world whose coordinators have not been told of anything.
    pub(super) fn new_quiet(plan: &Plan) -> Self {
        let mut world = Self {
            now: Time(1_000),
            skew: plan.skew,
            nodes: BTreeMap::new(),
            lives: BTreeMap::new(),
            cells: BTreeMap::new(),
            down: BTreeSet::new(),
            room: BTreeMap::new(),
            least: plan.least.iter().map(|(host, least)| ((*host).into(), *least)).collect(),
            kinds: plan.kinds.iter().map(|(host, kind)| ((*host).into(), *kind)).collect(),
            leaving: BTreeMap::new(),
            aloft: BTreeMap::new(),
            net: BTreeMap::new(),
            solves: BTreeMap::new(),
            runs: BTreeMap::new(),
            faults: plan.faults,
            cut: BTreeSet::new(),
            seen: Seen::default(),
        };
        for (member, hosts) in &plan.cells {
            let hosts = hosts.iter().map(|(host, room)| {
                let host = Host::from(*host);
                world.room.insert(host.clone(), *room);
                host
            });
            world.cells.insert((*member).into(), hosts.collect());
        }
        for member in world.cells.keys().cloned().collect::<Vec<_>>() {
            world.start(&member, true);
        }
        world
    }

    fn ring(&self) -> Ring {
        Ring::new(self.cells.keys().map(|member| (member.clone(), Place::default())).collect())
    }

    /// Begins a life of a member.
    fn start(&mut self, member: &Member, fresh: bool) {
        let life = self.lives.entry(member.clone()).or_insert(0);
        *life += 1;
        let node = Node::new(member.clone(), *life, settings());
        self.nodes.insert(member.clone(), node);
        let ring = self.ring();
        self.tell(member, Input::Ring { ring });
        for host in self.cells[member].clone() {
            let facts = self.facts(&host);
            self.tell(member, Input::Host { host, facts, fresh });
        }
    }

    fn facts(&self, host: &Host) -> Facts {
        let room = self.room[host];
        let busy = self.aloft.contains_key(host);
        Facts { room: [room, 0], takes: room > 0, busy }
    }

    /// What the member's clock says.
    fn clock(&self, member: &Member) -> Now {
        let place = self.cells.keys().position(|other| other == member).unwrap_or(0) as u64;
        Now { at: Time(self.now.0 + place * self.skew), random: 0 }
    }

    fn tell(&mut self, member: &Member, input: Input) {
        let now = self.clock(member);
        if let Some(node) = self.nodes.get_mut(member) {
            let text = brief(&input);
            node.handle_event(now, input);
            if let Some(text) = text {
                self.note(|| format!("{member}: {text}"));
            }
            self.take_effects(member);
        }
    }

    fn owner(&self, host: &Host) -> Member {
        let theirs = self.cells.iter().find(|(_, hosts)| hosts.contains(host));
        theirs.expect("a host of the world").0.clone()
    }

    /// Tells owners what stands and what does not.
    fn raise_all(&mut self) {
        for host in self.room.keys().cloned().collect::<Vec<_>>() {
            self.raise(&host);
        }
    }

    fn raise(&mut self, host: &Host) {
        let owner = self.owner(host);
        let kind = self.kinds.get(host).copied().unwrap_or(Kind::Overload);
        if self.room[host] < 0 {
            let need = Need { room: [-self.room[host], 0], hosts: 1, ..Need::default() };
            self.tell(&owner, Input::raise(owner.as_str(), kind, host.as_str(), need));
        } else if let Some(node) = self.nodes.get(&owner) {
            let key = EventKey::from(format!("{kind:?} {host}").as_str());
            if node.events().any(|(standing, _)| *standing == key) {
                self.tell(&owner, Input::Calmed { event: key });
            }
        }
    }

    fn take_effects(&mut self, member: &Member) {
        let life = self.lives[member];
        while let Some(effect) = self.nodes.get_mut(member).and_then(Node::poll_effect) {
            match effect {
                Effect::Send { to, message } => {
                    assert_ne!(to, *member, "a message to itself");
                    self.seen.messages += 1;
                    self.net.entry((member.clone(), to)).or_default().push(message);
                }
                Effect::Solve { partition, version, hosts, whole, .. } => {
                    self.seen.largest = self.seen.largest.max(hosts.len());
                    let (names, all) =
                        (brief::names(hosts.keys()), if whole { ", all there are" } else { "" });
                    self.note(|| format!("{member}: {partition} is solved with {names}{all}"));
                    let hosts = hosts.into_keys().collect();
                    self.solves.insert((member.clone(), partition, version), Asked { life, hosts, whole });
                }
                Effect::CancelSolve { partition, version } => {
                    self.solves.remove(&(member.clone(), partition, version));
                }
                Effect::Execute { partition, hosts, .. } => {
                    let names = brief::names(hosts.keys());
                    self.note(|| format!("{member}: {partition} is carried out on {names}"));
                    let run = Run {
                        leader: member.clone(),
                        life,
                        hosts,
                        fenced: BTreeSet::new(),
                        begun: false,
                        refused: false,
                    };
                    let before = self.runs.insert(partition.clone(), run);
                    assert!(before.is_none(), "{partition} is carried out twice");
                }
                Effect::Fence { partition, hosts } => {
                    if let Some(run) = self.runs.get_mut(&partition) {
                        run.fenced.extend(hosts);
                    }
                }
                Effect::Answered { event, outcome } => {
                    if self.seen.keep_log {
                        self.seen.answers.push((event.to_string(), outcome));
                    }
                }
                Effect::Ended { outcome, partition, .. } => {
                    self.seen.merges += u64::from(outcome.is_none());
                    self.seen.unsolved += u64::from(outcome == Some(Outcome::Unsolved));
                    let how = outcome
                        .map_or("absorbed".to_owned(), |outcome| format!("{outcome:?}").to_lowercase());
                    self.note(|| format!("{member}: {partition} ends, {how}"));
                }
            }
        }
    }
}

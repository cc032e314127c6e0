//! The published ring protocol, one host a member: DVMS (Quesnel, Lèbre, Südholt, CCPE 2013; the variant with shortcut and merge
//! of Quesnel's thesis, 2013, section 6.1.4, as in BeyondTheClouds/DVMS at 7ab8052 and 5a47003).
//!
//! An overloaded host begins a partition of itself and sends a token to the next host of the ring. A free host that gets it joins,
//! leads, tells all members, and solves for them; if that fails, the token goes on to the first host that is out of the partition.
//! A host of another partition passes it on to the first one out of its own. Where the token comes home, no host is free: the
//! partition is blocked; two blocked ones that meet are merged, in a fixed order; one that comes home blocked is dissolved, and
//! the initiator begins anew.
//!
//! Ours, where the shipped code is silent or loses tokens: a merge that is refused passes the token on; who merges leads; who is
//! asked for a merge grants it only while its partition is still the one of the token; leaders tell members that they are there
//! while they compute, too; a partition that nothing is left to do for is dissolved as solved; the ring is that of the hosts whose
//! agents run, as an overlay (Chord) sees to, here at once, and a member of the partition of one that fails sees it at once.
//! Time-outs are those of the code.

#[cfg(test)]
mod tests;
mod token;

use super::super::decision::{Decision, Repair, repair};
use super::super::engine::{Context, Ordering, Outcome, Strategy, View};
use super::super::ids::{Agent, HostId};
use super::super::measures::{Verdict, bytes_of};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use token::{Node, Partition, State};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classic {
    /// How often a host looks whether it is overloaded, seconds.
    pub monitor_s: f64,
    /// A partition of fewer hosts does not solve.
    pub least: u32,
    /// A partition that was not heard of for so many seconds is dissolved.
    pub timeout_s: f64,
    /// How often that is looked at, and members are told that their leader is there, seconds.
    pub check_s: f64,
    /// Units of work of the solver.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
    /// Whether migrations of a plan begin in its order, or all at once.
    pub planned: bool,
}

impl Default for Classic {
    fn default() -> Self {
        let repair = Repair::default();
        Self {
            monitor_s: 1.0,
            least: 2,
            timeout_s: 3.5,
            check_s: 0.5,
            work_limit: repair.work_limit,
            fill: repair.fill,
            planned: false,
        }
    }
}

/// What members tell each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// The token of a partition, and who has sent it off.
    Token(Box<Partition>, HostId),
    /// This is your partition now; the first host out of it.
    Join(Box<Partition>, HostId),
    /// Your partition is in this state now.
    Become(u64, State),
    /// Your leader is there.
    Alive(u64),
    /// You are free.
    Dissolve(u64),
    /// Is this partition still there? Asked by who has got its token, which is sent back with the answer.
    StillThere(Box<Partition>, HostId),
    /// It is, or is not.
    Answer(Box<Partition>, HostId, bool),
    /// May mine be merged with yours?
    MayMerge(Box<Partition>, HostId),
    /// It may, or may not.
    Merge(Box<Partition>, HostId, bool),
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct DvmsClassic {
    how: Classic,
    nodes: Vec<Node>,
    /// Hosts that run: what the overlay knows.
    ring: BTreeSet<HostId>,
    partitions: u64,
}

/// Bytes of a partition besides its hosts.
const PARTITION_BYTES: u64 = 64;
const MEMBER_BYTES: u64 = 8;

fn bytes(partition: &Partition) -> u64 {
    PARTITION_BYTES + MEMBER_BYTES * partition.hosts.len() as u64
}

impl DvmsClassic {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Classic) -> Self {
        Self { how, nodes: Vec::new(), ring: BTreeSet::new(), partitions: 0 }
    }

    /// The next host of the ring.
    fn next(&self, host: HostId) -> HostId {
        let after = self.ring.range((std::ops::Bound::Excluded(host), std::ops::Bound::Unbounded)).next();
        after.or_else(|| self.ring.first()).copied().unwrap_or(host)
    }

    /// Where a token goes on from a host: the first one out of its partition that it knows of.
    fn exit(&self, host: HostId) -> HostId {
        let first_out = self.nodes[host.index()].first_out;
        first_out.filter(|first_out| self.ring.contains(first_out)).unwrap_or_else(|| self.next(host))
    }

    fn fresh(&mut self) -> u64 {
        self.partitions += 1;
        self.partitions
    }

    fn mine(&self, host: HostId) -> Option<&Partition> {
        self.nodes[host.index()].mine.as_deref()
    }

    /// Sends the token of a host's partition off.
    fn send_off(&self, host: HostId, context: &mut Context<Word>) {
        let Some(mine) = self.mine(host) else { return };
        let to = self.exit(host);
        context.send(host.agent(), to.agent(), Word::Token(Box::new(mine.clone()), host), bytes(mine));
    }

    fn pass_on(&self, host: HostId, token: Box<Partition>, emitter: HostId, context: &mut Context<Word>) {
        let size = bytes(&token);
        context.send(host.agent(), self.exit(host).agent(), Word::Token(token, emitter), size);
    }

    /// Tells something to the other members of a host's partition.
    fn tell(&self, host: HostId, context: &mut Context<Word>, word: impl Fn(&Partition) -> (Word, u64)) {
        let Some(mine) = self.mine(host) else { return };
        for other in mine.hosts.iter().filter(|other| **other != host) {
            let (word, size) = word(mine);
            context.send(host.agent(), other.agent(), word, size);
        }
    }

    /// A host has a partition from now on, leads it, and solves for it.
    fn lead(&mut self, host: HostId, partition: Partition, context: &mut Context<Word>) {
        let first_out = self.next(host);
        self.take(host, Some(Box::new(partition)), context);
        self.nodes[host.index()].first_out = Some(first_out);
        self.tell(host, context, |mine| (Word::Join(Box::new(mine.clone()), first_out), bytes(mine)));
        let Some(mine) = self.mine(host) else { return };
        if mine.hosts.len() < self.how.least as usize {
            self.send_off(host, context);
        } else {
            let (tag, hosts) = (mine.id as u32, mine.hosts.clone());
            self.nodes[host.index()].working = true;
            context.collect(host.agent(), tag, hosts);
        }
    }

    /// A host is of a partition, or of none.
    fn take(&mut self, host: HostId, partition: Option<Box<Partition>>, context: &mut Context<Word>) {
        let now = context.now();
        let node = &mut self.nodes[host.index()];
        if partition.is_some() && node.mine.is_none() {
            node.watch += 1;
            context.timer(host.agent(), self.how.check_s, node.watch);
        }
        node.first_out = node.first_out.filter(|_| partition.is_some());
        node.mine = partition;
        node.heard = now;
        node.locked = false;
        node.working = false;
    }

    fn dissolve(&mut self, host: HostId, context: &mut Context<Word>) {
        self.tell(host, context, |mine| (Word::Dissolve(mine.id), MEMBER_BYTES));
        self.take(host, None, context);
    }

    fn become_state(&mut self, host: HostId, state: State, context: &mut Context<Word>) {
        if let Some(mine) = &mut self.nodes[host.index()].mine {
            mine.state = state;
        }
        self.tell(host, context, |mine| (Word::Become(mine.id, state), MEMBER_BYTES));
    }

    /// The partition that an answer is about is still led by this host, and works.
    fn is_about(&self, host: HostId, tag: u32) -> bool {
        let node = &self.nodes[host.index()];
        node.working && node.mine.as_deref().is_some_and(|mine| mine.id as u32 == tag && mine.leader == host)
    }

    /// Hosts of the partitions that are solved or carried out now.
    #[cfg(test)]
    fn at_work(&self) -> impl Iterator<Item = &[HostId]> {
        let working = self.nodes.iter().filter(|node| node.working);
        working.filter_map(|node| node.mine.as_deref()).map(|mine| mine.hosts.as_slice())
    }

    /// How many hosts are reserved.
    #[cfg(test)]
    fn reserved(&self) -> usize {
        self.nodes.iter().filter(|node| node.mine.is_some()).count()
    }
}

impl Strategy for DvmsClassic {
    type Message = Word;

    fn state_bytes(&self, agent: Agent) -> u64 {
        let Some(node) = self.nodes.get(agent.index()) else { return 0 };
        let partition = node.mine.as_ref().map_or(0, |mine| {
            bytes_of::<Partition>(1) + bytes_of::<HostId>(mine.initiators.len() + mine.hosts.len())
        });
        // And the next one of the ring.
        bytes_of::<Node>(1) + bytes_of::<HostId>(1) + partition
    }

    fn groups(&self) -> Vec<Vec<HostId>> {
        let mut groups: BTreeMap<u64, Vec<HostId>> = BTreeMap::new();
        for mine in self.nodes.iter().filter_map(|node| node.mine.as_deref()) {
            groups.entry(mine.id).or_insert_with(|| mine.hosts.clone());
        }
        groups.into_values().collect()
    }

    fn monitor_period(&self) -> Option<f64> {
        Some(self.how.monitor_s)
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count() as u32;
        self.nodes = vec![Node::default(); hosts as usize];
        self.ring = (0..hosts).map(HostId).collect();
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        if self.mine(host).is_some() || context.local(host.agent()).migrating {
            return;
        }
        let id = self.fresh();
        let partition =
            Partition { id, initiators: vec![host], leader: host, hosts: vec![host], state: State::Growing };
        self.take(host, Some(Box::new(partition)), context);
        self.nodes[host.index()].first_out = Some(self.next(host));
        self.send_off(host, context);
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        let host = HostId(agent.0);
        let node = &self.nodes[host.index()];
        if node.mine.is_none() || node.watch != timer {
            return;
        }
        context.timer(agent, self.how.check_s, timer);
        if node.working {
            // Who computes or applies is there.
            self.nodes[host.index()].heard = context.now();
            self.tell(host, context, |mine| (Word::Alive(mine.id), MEMBER_BYTES));
        } else if context.now() - node.heard > self.how.timeout_s {
            self.dissolve(host, context);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        let (host, other) = (HostId(to.0), HostId(from.0));
        match word {
            Word::Token(token, emitter) => self.token(host, token, emitter, context),
            Word::Join(partition, first_out) => self.join(host, partition, first_out, context),
            Word::Become(id, state) => {
                let now = context.now();
                let node = &mut self.nodes[host.index()];
                if let Some(mine) = node.mine.as_mut().filter(|mine| mine.id == id) {
                    (mine.state, node.heard) = (state, now);
                }
            }
            Word::Alive(id) => {
                if self.mine(host).is_some_and(|mine| mine.id == id) {
                    self.nodes[host.index()].heard = context.now();
                }
            }
            Word::Dissolve(id) => {
                if self.mine(host).is_some_and(|mine| mine.id == id) {
                    self.take(host, None, context);
                }
            }
            Word::StillThere(token, emitter) => {
                let there = self.mine(host).is_some_and(|mine| mine.id == token.id);
                context.send(to, from, Word::Answer(token, emitter, there), PARTITION_BYTES);
            }
            Word::Answer(token, emitter, there) => {
                // If it is not free any more, the token is treated as one that has just come.
                if there && self.mine(host).is_none() {
                    self.grow(host, &token, context);
                } else if there {
                    self.token(host, token, emitter, context);
                }
            }
            Word::MayMerge(token, emitter) => {
                let node = &mut self.nodes[host.index()];
                let same = node
                    .mine
                    .as_deref()
                    .is_some_and(|mine| mine.id == token.id && mine.state == State::Blocked);
                let granted = same && !node.locked;
                node.locked |= granted;
                context.send(to, other.agent(), Word::Merge(token, emitter, granted), PARTITION_BYTES);
            }
            Word::Merge(token, emitter, granted) => self.merge(host, token, emitter, granted, context),
        }
    }

    fn collected(&mut self, agent: Agent, tag: u32, view: View, context: &mut Context<Word>) {
        if self.is_about(HostId(agent.0), tag) {
            let how = Repair { work_limit: self.how.work_limit, fill: self.how.fill, ..Repair::default() };
            context.compute(agent, tag, view.hosts.len(), || repair(&view, how));
        }
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Word>) {
        let host = HostId(agent.0);
        if !self.is_about(host, tag) {
            return;
        }
        match decision.verdict {
            Verdict::Nothing => self.dissolve(host, context),
            Verdict::NoPlan => {
                self.nodes[host.index()].working = false;
                self.send_off(host, context);
            }
            Verdict::Plan => {
                self.become_state(host, State::Finishing, context);
                let ordering = if self.how.planned { Ordering::Planned } else { Ordering::AtOnce };
                context.execute(agent, tag, decision.moves, ordering);
            }
        }
    }

    fn executed(&mut self, agent: Agent, tag: u32, _: Outcome, context: &mut Context<Word>) {
        let host = HostId(agent.0);
        if self.is_about(host, tag) {
            self.dissolve(host, context);
        }
    }

    fn went_down(&mut self, host: HostId, context: &mut Context<Word>) {
        self.ring.remove(&host);
        let Some(mine) = self.nodes[host.index()].mine.take() else { return };
        self.nodes[host.index()] = Node { watch: self.nodes[host.index()].watch, ..Node::default() };
        // Who sees it: of its partition, the first other one.
        let Some(witness) = mine
            .hosts
            .iter()
            .copied()
            .find(|other| *other != host && self.mine(*other).is_some_and(|theirs| theirs.id == mine.id))
        else {
            return;
        };
        self.lost(witness, host, context);
    }

    fn came_up(&mut self, host: HostId, _: &mut Context<Word>) {
        self.ring.insert(host);
    }
}

//! What a cell cannot absorb becomes an event of the protocol; and what the protocol says is done.

use super::coordinator::{Answers, Care, Job, touched};
use super::picture::host_of;
use super::words::{Word, frame_bytes};
use super::{Dvms, WAKE, time};
use crate::partition::{
    Body, Effect, Event, EventKey, Found, Held, Host, Input, Kind, Member, Need, Node, Outcome, PartitionId,
    sizing,
};
use crate::simulator::engine::Context;
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Plans in a row that are made for what failed ones left undone.
const MOST_REPLANS: u32 = 3;
const OVERLOAD: &str = "OVERLOAD";
const UNDERLOAD: &str = "UNDERLOAD";

impl Dvms {
    /// What the protocol calls a trouble of a host.
    pub(super) fn event_of(&self, kind: Kind, host: HostId) -> EventKey {
        let what = if kind.is_thrift() { UNDERLOAD } else { OVERLOAD };
        format!("{what}:{}", self.names[host.index()]).as_str().into()
    }

    /// The agent that a member runs at.
    pub(super) fn agent_of(&self, member: &Member) -> Option<Agent> {
        let number: usize = member.as_str().get(1..)?.parse().ok()?;
        self.coordinators.get(number).map(|coordinator| coordinator.agent)
    }

    /// Something has happened at a coordinator.
    pub(super) fn happens(&mut self, k: usize, input: Input, context: &mut Context<Word>) {
        let now = self.clock(k, context);
        let Some(node) = &mut self.coordinators[k].node else { return };
        node.handle_event(now, input);
        self.follow(k, context);
    }

    /// Time has passed.
    pub(super) fn awake(&mut self, k: usize, context: &mut Context<Word>) {
        let now = self.clock(k, context);
        let it = &mut self.coordinators[k];
        if now.at.0 >= it.wake {
            it.wake = u64::MAX;
        }
        let Some(node) = &mut it.node else { return };
        if node.next_timeout().is_some_and(|due| due <= now.at) {
            node.handle_timeout(now);
        }
        self.follow(k, context);
    }

    /// A trouble becomes an event, or is told as it is now.
    pub(super) fn raise(&mut self, k: usize, kind: Kind, host: HostId, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let Some(picture) = it.kept(host).picture.clone() else { return };
        let failed = match it.kept(host).trouble(kind).care {
            Care::Ring { failed, .. } => failed,
            Care::Nobody | Care::Cell => 0,
        };
        let care = Care::Ring { acted: false, missed: false, idle: false, failed };
        it.kept_mut(host).trouble_mut(kind).care = care;
        // An underload is answered only where little is enough.
        let (excess, room) = if kind.is_thrift() {
            let used = picture.used();
            (used, used)
        } else {
            (picture.excess(self.how.fill), picture.wanted(self.how.fill))
        };
        let event = Event {
            key: self.event_of(kind, host),
            owner: self.coordinators[k].member.clone(),
            kind,
            hosts: BTreeSet::from([self.names[host.index()].clone()]),
            linked: BTreeSet::new(),
            near: BTreeSet::new(),
            need: Need {
                room,
                hosts: u32::from(excess == [0, 0]),
                least: sizing::least(picture.demands(), excess),
            },
        };
        self.happens(k, Input::Raised { event }, context);
    }

    /// Does what the protocol says.
    pub(super) fn follow(&mut self, k: usize, context: &mut Context<Word>) {
        while let Some(effect) = self.coordinators[k].node.as_mut().and_then(Node::poll_effect) {
            match effect {
                Effect::Send { to, message } => {
                    if let Body::Granted { hosts, .. } = &message.body
                        && !hosts.is_empty()
                    {
                        let hosts: Vec<Host> = hosts.keys().cloned().collect();
                        self.show(k, &to, &hosts, context);
                    }
                    if let Some(agent) = self.agent_of(&to) {
                        let bytes = frame_bytes(&message);
                        let from = self.coordinators[k].agent;
                        context.send(from, agent, Word::Protocol(Box::new(message)), bytes);
                    }
                }
                Effect::Solve { partition, version, hosts, events, whole } => {
                    self.lead(k, partition, version, hosts, &events, whole, context);
                }
                Effect::CancelSolve { partition, .. } => {
                    // Its answer is not taken.
                    if let Some(tag) = self.coordinators[k].led.get(&partition).copied() {
                        self.coordinators[k].line.retain(|(waiting, _)| *waiting != tag);
                    }
                }
                Effect::Execute { partition, hosts, .. } => self.begin_shared(k, &partition, hosts, context),
                Effect::Fence { partition, .. } => {
                    if let Some(tag) = self.coordinators[k].led.get(&partition) {
                        context.halt(self.coordinators[k].agent, *tag);
                    }
                }
                Effect::Ended { partition, .. } => {
                    let it = &mut self.coordinators[k];
                    if let Some(tag) = it.led.remove(&partition) {
                        it.jobs.remove(&tag);
                        it.line.retain(|(waiting, _)| *waiting != tag);
                    }
                }
                Effect::Answered { event, outcome } => self.answered(k, &event, outcome, context),
            }
        }
        self.set_clock(k, context);
    }

    /// Sees to it that the protocol is called when it wants to be.
    fn set_clock(&mut self, k: usize, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let Some(due) = it.node.as_ref().and_then(Node::next_timeout) else { return };
        let due = due.0.max(time(context.now()).0 + 1);
        if due < it.wake {
            it.wake = due;
            it.timer(due as f64 / 1000.0 - context.now() + 1e-7, WAKE, context);
        }
    }

    /// A partition wants a plan.
    #[expect(clippy::too_many_arguments, reason = "what the protocol says")]
    fn lead(
        &mut self,
        k: usize,
        partition: PartitionId,
        version: u64,
        hosts: BTreeMap<Host, Held>,
        events: &[Event],
        whole: bool,
        context: &mut Context<Word>,
    ) {
        let tag = self.fresh();
        let it = &mut self.coordinators[k];
        let before = it.led.insert(partition.clone(), tag).and_then(|tag| it.jobs.remove(&tag));
        let best = before.and_then(|job| job.best);
        let own = events.iter().filter(|event| event.owner == it.member);
        let own = own
            .flat_map(|event| event.hosts.iter().map(|host| (event.kind, host_of(host.as_str()))))
            .collect();
        let kind = events.iter().map(|event| event.kind).min().unwrap_or(Kind::Overload);
        let view = hosts.keys().map(|host| host_of(host.as_str())).collect::<Vec<_>>();
        let view = self.view_for(k, kind, view.into_iter(), context.now());
        let answers = Answers::Ring { partition, version, hosts, kind, own, whole };
        let it = &mut self.coordinators[k];
        it.jobs.insert(tag, Job { answers, lack: None, best, moves: Vec::new(), acts: false });
        self.search(k, tag, view, context);
    }

    /// A solver has returned for a partition.
    pub(super) fn found(&mut self, k: usize, tag: u32, verdict: Verdict, context: &mut Context<Word>) {
        let strained = !self.coordinators[k].over.is_empty();
        let Some(job) = self.coordinators[k].jobs.get_mut(&tag) else { return };
        let Answers::Ring { partition, version, hosts, kind, own, whole } = &job.answers else { return };
        let (partition, version) = (partition.clone(), *version);
        let holds = |host: &HostId| hosts.contains_key(&self.names[host.index()]);
        if *whole
            && job.moves.is_empty()
            && let Some((_, best)) = job.best.take()
            && touched(&best).iter().all(holds)
        {
            job.moves = best;
        }
        let found = if verdict == Verdict::Nothing || (kind.is_thrift() && strained) {
            for (kind, host) in own.clone().into_iter().filter(|(kind, _)| kind.is_thrift()) {
                if let Care::Ring { idle, .. } =
                    &mut self.coordinators[k].kept_mut(host).trouble_mut(kind).care
                {
                    *idle = true;
                }
            }
            Found::Nothing
        } else if job.moves.is_empty() {
            let lack = job.lack.filter(|_| !*whole);
            let need = lack.map(|lack| Need::after(lack.room, lack.least, version));
            Found::None { need: need.unwrap_or_default() }
        } else {
            let touched = touched(&job.moves).into_iter().map(|host| self.names[host.index()].clone());
            Found::Plan { touched: touched.collect() }
        };
        self.happens(k, Input::Solved { partition, version, found }, context);
    }

    /// The hosts of a partition are committed: its plan begins, if each owner lets it through.
    fn begin_shared(
        &mut self,
        k: usize,
        partition: &PartitionId,
        held: BTreeMap<Host, Held>,
        context: &mut Context<Word>,
    ) {
        let now = context.now();
        let leader = self.coordinators[k].agent;
        let through = held.iter().all(|(host, it)| {
            let host = host_of(host.as_str());
            context.connected(leader, self.coordinators[self.owner(host)].agent)
                && self.lets_through(host, partition, it.epoch, now)
        });
        let it = &mut self.coordinators[k];
        let tag = it.led.get(partition).copied();
        let Some((tag, job)) = tag.and_then(|tag| Some((tag, it.jobs.get_mut(&tag)?))) else {
            return self.happens(k, Input::Executed { partition: partition.clone() }, context);
        };
        let Answers::Ring { own, hosts, .. } = &mut job.answers else { return };
        *hosts = held;
        let own = own.clone();
        if !through {
            return self.ring_carried_out(k, tag, false, context);
        }
        job.acts = true;
        let (moves, agent) = (job.moves.clone(), it.agent);
        for (kind, host) in own {
            if let Care::Ring { acted, .. } = &mut it.kept_mut(host).trouble_mut(kind).care {
                *acted = true;
            }
        }
        self.execute(agent, tag, moves, context);
    }

    /// The plan of a partition has ended.
    pub(super) fn ring_carried_out(&mut self, k: usize, tag: u32, well: bool, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let Some(Job { answers: Answers::Ring { partition, own, .. }, .. }) = it.jobs.get(&tag) else {
            return;
        };
        let (partition, own) = (partition.clone(), own.clone());
        for (kind, host) in own {
            if let Care::Ring { acted, missed, failed, .. } = &mut it.kept_mut(host).trouble_mut(kind).care {
                *acted = false;
                *missed |= !well;
                *failed += u32::from(!well);
            }
        }
        self.happens(k, Input::Executed { partition }, context);
    }

    /// The partition that had a trouble of this cell in hand has ended.
    fn answered(&mut self, k: usize, event: &EventKey, outcome: Outcome, context: &mut Context<Word>) {
        let (what, host) = event.as_str().split_once(':').unwrap_or_default();
        let (kind, host) = (if what == UNDERLOAD { Kind::Underload } else { Kind::Overload }, host_of(host));
        if !self.coordinators[k].has(host) {
            return;
        }
        let Care::Ring { missed, failed, idle, .. } = self.coordinators[k].kept(host).trouble(kind).care
        else {
            return;
        };
        let again = match outcome {
            Outcome::Dropped => true,
            Outcome::Solved => missed && failed <= MOST_REPLANS,
            Outcome::Unsolved => false,
        };
        let now = context.now();
        if again && self.stands(k, kind, host, now) {
            return self.raise(k, kind, host, context);
        }
        let helped = outcome == Outcome::Solved && !missed && !idle;
        self.rest(k, kind, host, helped, now);
        self.happens(k, Input::Calmed { event: event.clone() }, context);
        if outcome == Outcome::Unsolved && !kind.is_thrift() && self.stands(k, kind, host, now) {
            self.wake_for(k, host, context);
        }
    }
}

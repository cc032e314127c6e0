//! The protocol of production: coordinators with cells of hosts, which are members of a ring (docs/PROTOCOL.md). What reserves
//! hosts is `partition::Node`, the code that runs in coordinators, one of it for each; what is around it does here what the
//! coordinator does there:
//!
//! * Agents report each second. An overload is answered with hosts of the cell first: the host itself and the most helpful
//!   others, few at first, more after each try in vain (`partition::sizing`).
//! * Where the hosts of the cell together have less room than is needed, or there is no plan for them that is enough, the
//!   overload becomes an event of the protocol, which gathers hosts of other members. Owners show the leader the hosts that it
//!   gets. A plan that leaves something says what is lacking.
//! * A partition is solved on what its leader was told. Its hosts are committed, but for those that the plan does not touch;
//!   each is looked at once more at its owner when the plan begins. When it has ended, hosts are free again.
//! * Where one VM is enough, the one is moved that leaves most room at both ends (`partition::relief`).
//! * Hosts with little to do are emptied, where that is wanted (`under`); see `thrift`.
//! * A trouble rests after a plan, longer after one that did not help.
//!
//! Ours, that is, other than in production: the trigger is that of the other strategies (more expected than there is, at once,
//! no hysteresis); a coordinator looks when an agent has told of an overload, not at its next look; it runs on the first host of
//! its cell, and fails with it, or alone; where agents go then is in `homes`; VMs of failed hosts wait for their host, as here nothing starts them elsewhere; an action is
//! not a message of its own; of what coordinators tell each other beside the protocol only hosts of partitions are sent.

mod cell;
mod coordinator;
mod homes;
mod memory;
mod own;
mod picture;
mod ring;
mod settings;
#[cfg(test)]
mod tests;
mod thrift;
mod words;

pub use settings::Ringed;
pub use words::Word;

use crate::partition::{self, Host, Millis, Place, Ring, Time, Usual};
use crate::simulator::decision::Decision;
use crate::simulator::engine::{Context, Outcome, Strategy};
use crate::simulator::ids::{Agent, HostId};
use coordinator::Coordinator;
use picture::Picture;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The strategy.
#[derive(Debug)]
pub struct Dvms {
    how: Ringed,
    /// What the protocol calls each host.
    names: Vec<Host>,
    /// Hosts of a cell.
    size: usize,
    ring: Ring,
    coordinators: Vec<Coordinator>,
    /// Of each host, the coordinator that it reports to.
    owners: Vec<u32>,
    /// Hosts that do not reach theirs, and since when.
    apart: BTreeMap<HostId, f64>,
    /// What the agent of each host has told last.
    told: Vec<Option<Rc<Picture>>>,
    /// What agents know of the past of each VM.
    pasts: Vec<Option<Usual>>,
    /// Of each host its version when its agent has told it last.
    versions: Vec<u32>,
    jobs: u32,
}

const REPORT: u32 = 0;
const LOOK: u32 = 1;
const WAKE: u32 = 2;
const SHOW: u32 = 3;
/// What a timer is for is in its last bits; above is in which life it was set.
const KINDS: u32 = 4;
/// Between two looks of a coordinator.
const LOOK_S: f64 = 1.0;

/// The protocol's clock.
fn time(now: f64) -> Time {
    Time((now * 1000.0 + 1e-6).floor() as u64)
}

impl Dvms {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Ringed) -> Self {
        let (names, coordinators, told) = (Vec::new(), Vec::new(), Vec::new());
        let (versions, pasts, owners, apart) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        let ring = Ring::default();
        Self { how, names, size: 1, ring, coordinators, owners, apart, told, pasts, versions, jobs: 0 }
    }

    /// Which coordinator has a host in its cell.
    fn owner(&self, host: HostId) -> usize {
        self.owners[host.index()] as usize
    }

    /// The coordinator that runs at an agent: on the first of those hosts that it has at the start.
    fn at(&self, agent: Agent) -> Option<usize> {
        let first = agent.index() / self.size;
        (self.coordinators.get(first)?.agent == agent).then_some(first)
    }

    /// The next report of a host's agent.
    fn report_later(&self, host: HostId, seconds: f64, context: &mut Context<Word>) {
        let life = self.at(host.agent()).map_or(0, |k| self.coordinators[k].agent_life);
        context.timer(host.agent(), seconds, REPORT + KINDS * life);
    }

    /// What a call of the protocol is told.
    fn clock(&self, k: usize, context: &mut Context<Word>) -> partition::Now {
        let random = context.random(self.coordinators[k].agent).bits();
        partition::Now { at: time(context.now()), random }
    }

    /// A new number for a job: no answer is taken for that of another life.
    fn fresh(&mut self) -> u32 {
        self.jobs += 1;
        self.jobs
    }

    fn timers(&self) -> partition::Settings {
        partition::Settings {
            lease: Millis((self.how.lease_s * 1000.0) as u64),
            ..partition::Settings::default()
        }
    }
}

impl Strategy for Dvms {
    type Message = Word;

    fn state_bytes(&self, agent: Agent) -> u64 {
        self.bytes(agent)
    }

    fn groups(&self) -> Vec<Vec<HostId>> {
        self.coordinators.iter().flat_map(|it| it.jobs.values()).map(|job| job.answers.hosts()).collect()
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        self.size = self.how.cell_size(hosts);
        self.names = (0..hosts as u32).map(|host| picture::name_of(HostId(host))).collect();
        (self.told, self.versions) = (vec![None; hosts], vec![0; hosts]);
        self.owners = (0..hosts).map(|host| (host / self.size) as u32).collect();
        let count = hosts.div_ceil(self.size);
        let mut members = BTreeMap::new();
        for k in 0..count {
            let first = (k * self.size) as u32;
            let last = ((k + 1) * self.size).min(hosts) as u32;
            let member = partition::Member::from(format!("c{k:07}").as_str());
            let agent = HostId(first).agent();
            let site = format!("site{}", context.local(agent).site);
            members.insert(member.clone(), Place { site, distance: Millis(0) });
            self.coordinators.push(Coordinator::new(agent, member, (first..last).map(HostId)));
        }
        self.ring = Ring::new(members);
        for k in 0..count {
            self.begin_life(k, context);
        }
        for host in 0..hosts as u32 {
            let phase = context.random(HostId(host).agent()).fraction() * self.how.report_s;
            self.report_later(HostId(host), phase, context);
        }
    }

    fn coordinators(&self, _: &Context<Word>) -> Vec<Agent> {
        self.coordinators.iter().map(|it| it.agent).collect()
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        let (kind, life) = (timer % KINDS, timer / KINDS);
        if kind == REPORT {
            let host = HostId(agent.0);
            let is_of_now = self.at(agent).is_none_or(|k| self.coordinators[k].agent_life == life);
            if is_of_now && context.agent_runs(host) {
                self.report_later(host, self.how.report_s, context);
                self.report(host, context);
            }
            return;
        }
        let Some(k) = self.at(agent).filter(|k| self.coordinators[*k].lives(life)) else { return };
        match kind {
            LOOK => {
                self.coordinators[k].timer(LOOK_S, LOOK, context);
                self.look(k, context);
            }
            WAKE => self.awake(k, context),
            _ => self.show_again(k, context),
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        if matches!(word, Word::Sleep) {
            if context.agent_runs(HostId(to.0)) {
                self.sleep(HostId(to.0), context);
            }
            return;
        }
        let Some(k) = self.at(to).filter(|k| self.coordinators[*k].node.is_some()) else { return };
        match word {
            Word::Sleep => {}
            Word::Wake(left) => self.wake(k, left, context),
            Word::Report(picture) => self.reported(k, picture, context),
            Word::Taken(host) => {
                if let Some(by) = self.at(from) {
                    self.taken(k, host, by, context);
                }
            }
            Word::Gone { host, free, before } => self.gone(k, host, (free, before), context),
            Word::Hosts(pictures) => self.shown(k, pictures, context),
            Word::Protocol(message) => {
                let Some(sender) = self.at(from) else { return };
                let sender = self.coordinators[sender].member.clone();
                let now = self.clock(k, context);
                if let Some(node) = &mut self.coordinators[k].node {
                    node.handle_message(now, &sender, *message);
                }
                self.follow(k, context);
            }
        }
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Word>) {
        let Some(k) = self.at(agent) else { return };
        // Of a life before it knows nothing.
        if !self.coordinators[k].solving.remove(&tag) {
            return;
        }
        self.judge(k, tag, decision, context);
        self.next_in_line(k, context);
        self.answer(k, context);
    }

    fn executed(&mut self, agent: Agent, tag: u32, outcome: Outcome, context: &mut Context<Word>) {
        let Some(k) = self.at(agent) else { return };
        self.carried_out(k, tag, outcome, context);
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        self.told[host.index()] = None;
        self.apart.remove(&host);
        self.report_later(host, self.how.report_s, context);
        if let Some(k) = self.at(host.agent()) {
            self.begin_life(k, context);
        }
    }

    fn went_down(&mut self, host: HostId, _: &mut Context<Word>) {
        if let Some(k) = self.at(host.agent()) {
            self.coordinators[k].forget();
        }
    }

    fn agent_came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        self.told[host.index()] = None;
        self.apart.remove(&host);
        if let Some(k) = self.at(host.agent()) {
            self.coordinators[k].agent_life += 1;
        }
        self.report_later(host, self.how.report_s, context);
    }

    fn agent_went_down(&mut self, _: HostId, _: &mut Context<Word>) {}

    fn coordinator_went_down(&mut self, number: u32, _: &mut Context<Word>) {
        self.coordinators[number as usize].forget();
    }

    fn coordinator_came_up(&mut self, number: u32, context: &mut Context<Word>) {
        self.begin_life(number as usize, context);
    }
}

//! The only door between a strategy and the world: what is seen, said and done through it takes its time and is counted.

use super::events::Event;
use super::executor::Running;
use super::faults::Absent;
use super::log::{Happening, Log};
use super::mail::Letter;
use super::slab::Slab;
use crate::simulator::decision::{Compute, Decision, Stopwatch};
use crate::simulator::ids::{Agent, HostId, VmId};
use crate::simulator::measures::{HEADER_BYTES, HOST_BYTES, Memory, Rounds, Traffic, VM_BYTES, bytes_of};
use crate::simulator::queue::Queue;
use crate::simulator::random::Random;
use crate::simulator::world::{HostNow, World};

/// What messages and computations cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Of all randomness of agents and messages.
    pub seed: u64,
    /// Seconds that a message takes within a site.
    pub latency_s: f64,
    /// Seconds that a message takes between sites.
    pub wan_latency_s: f64,
    /// A message takes up to this share of its time longer, at random.
    pub jitter: f64,
    /// Share of messages that are lost.
    pub loss: f64,
    /// Seconds that a host takes to boot.
    pub boot_s: f64,
    /// What computing takes.
    pub compute: Compute,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            seed: 0,
            latency_s: 0.0006,
            wan_latency_s: 0.01,
            jitter: 0.0,
            loss: 0.0,
            boot_s: 120.0,
            compute: Compute::default(),
        }
    }
}

/// Hosts as they were when they were asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Those that answered.
    pub hosts: Vec<ViewHost>,
    /// Their VMs, one host after the other.
    pub vms: Vec<ViewVm>,
}

/// A host of a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewHost {
    /// Which.
    pub id: HostId,
    /// How it was.
    pub now: HostNow,
    /// Where its VMs begin in [`View::vms`]; there are `now.vms` of them.
    pub first_vm: u32,
}

/// A VM of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewVm {
    /// Which.
    pub id: VmId,
    /// Milli-cores.
    pub demand: u32,
    /// MiB.
    pub memory: u32,
    /// Whether it was on its way.
    pub migrating: bool,
}

impl View {
    /// What it takes in memory, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        bytes_of::<ViewHost>(self.hosts.len()) + bytes_of::<ViewVm>(self.vms.len())
    }

    /// The VMs of one of its hosts.
    #[must_use]
    pub fn vms_of(&self, host: &ViewHost) -> &[ViewVm] {
        &self.vms[host.first_vm as usize..][..host.now.vms as usize]
    }
}

/// The door.
pub struct Context<M> {
    pub(super) world: World,
    pub(super) queue: Queue<Event>,
    pub(super) conditions: Conditions,
    pub(super) chance: Random,
    pub(super) letters: Slab<Letter<M>>,
    pub(super) plans: Slab<Running>,
    /// Of each migration's slot, its plan and its place in it.
    pub(super) owners: Vec<(u32, u32)>,
    looks: Slab<Look>,
    answers: Slab<Answer>,
    /// How often each agent has begun anew.
    lives: Vec<u32>,
    pub(super) absent: Absent,
    randoms: Vec<Random>,
    monitor_period: Option<f64>,
    reporting: Vec<bool>,
    /// What is noted, where that is wanted.
    pub(super) log: Option<Log>,
    /// A message in words.
    pub(super) tell: fn(&M) -> String,
    /// Rounds of look, compute, apply.
    pub rounds: Rounds,
    /// Messages.
    pub traffic: Traffic,
    /// What members keep.
    pub memory: Memory,
}

#[derive(Debug, Clone)]
struct Look {
    agent: Agent,
    /// In which life it asked: who has begun anew since is not told.
    life: u32,
    tag: u32,
    asked: f64,
    hosts: Vec<HostId>,
    view: View,
}

#[derive(Debug, Clone)]
struct Answer {
    agent: Agent,
    life: u32,
    tag: u32,
    decision: Decision,
}

impl<M> Context<M> {
    pub(super) fn new(
        world: World,
        services: usize,
        monitor_period: Option<f64>,
        conditions: Conditions,
    ) -> Self {
        let hosts = world.host_count();
        let agents = hosts + services;
        Self {
            world,
            queue: Queue::default(),
            conditions,
            chance: Random::new(conditions.seed, u64::MAX),
            letters: Slab::default(),
            plans: Slab::default(),
            owners: Vec::new(),
            looks: Slab::default(),
            answers: Slab::default(),
            lives: vec![0; agents],
            absent: Absent::new(hosts, agents),
            randoms: (0..agents as u64).map(|agent| Random::new(conditions.seed, agent)).collect(),
            monitor_period,
            reporting: vec![false; hosts],
            log: None,
            tell: |_| String::new(),
            rounds: Rounds::new(agents),
            traffic: Traffic::new(agents),
            memory: Memory::new(agents),
        }
    }

    /// Seconds since the start.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.world.now()
    }

    /// How many hosts there are.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.world.host_count()
    }

    /// How many agents there are, services among them.
    #[must_use]
    pub fn agent_count(&self) -> usize {
        self.randoms.len()
    }

    /// A service of the strategy, from 0.
    #[must_use]
    pub fn service(&self, number: u32) -> Agent {
        Agent(self.host_count() as u32 + number)
    }

    /// The host of an agent; `None` for a service.
    #[must_use]
    pub fn host_of(&self, agent: Agent) -> Option<HostId> {
        (agent.index() < self.host_count()).then_some(HostId(agent.0))
    }

    /// Where an agent is; services are at the first site.
    pub(super) fn site_of(&self, agent: Agent) -> u16 {
        self.host_of(agent).map_or(0, |host| self.world.host(host).site)
    }

    /// The agent's own stream of randomness.
    pub fn random(&mut self, agent: Agent) -> &mut Random {
        &mut self.randoms[agent.index()]
    }

    /// An agent's own host as it is now. An agent sees no other without asking.
    ///
    /// # Panics
    /// The agent is a service, which has no host.
    #[must_use]
    pub fn local(&self, agent: Agent) -> HostNow {
        self.world.host(self.host_of(agent).expect("a service has no host of its own"))
    }

    /// The VMs of an agent's own host, those on their way marked; `into` is emptied first.
    pub fn local_vms(&self, agent: Agent, into: &mut Vec<ViewVm>) {
        into.clear();
        if let Some(host) = self.host_of(agent) {
            into.extend(self.world.vms_of(host).map(|vm| view_of(&self.world, vm)));
        }
    }

    /// A number that is another one whenever what [`Self::local`] and [`Self::local_vms`] tell may be something else.
    #[must_use]
    pub fn version(&self, agent: Agent) -> u32 {
        self.host_of(agent).map_or(0, |host| self.world.version(host))
    }

    /// Wakes the agent after so many seconds, unless it or its host fails.
    pub fn timer(&mut self, agent: Agent, seconds: f64, timer: u32) {
        let life = self.life(agent);
        self.queue.push_after(self.world.now(), seconds, Event::Timer { agent, timer, life });
    }

    /// Asks hosts how they are, a message and an answer each, which may be lost. Those whose agents run and can be reached answer;
    /// the others are not waited for.
    pub fn collect(&mut self, agent: Agent, tag: u32, hosts: Vec<HostId>) {
        self.note(|_| Happening::Asks { agent: agent.0, hosts: hosts.iter().map(|host| host.0).collect() });
        let latency = self.latency_to_all(agent, &hosts);
        let life = self.life(agent);
        let look = Look { agent, life, tag, asked: self.now(), hosts, view: View::default() };
        let slot = self.looks.put(look);
        self.queue.push(self.now() + latency, Event::Look { slot });
    }

    pub(super) fn look(&mut self, slot: u32) {
        let Some(look) = self.looks.get_mut(slot) else { return };
        let (agent, hosts) = (look.agent, std::mem::take(&mut look.hosts));
        let mut view = View::default();
        for host in &hosts {
            self.traffic.send(agent, host.agent(), 1, HEADER_BYTES);
            if !self.reaches(agent, *host) || self.is_lost() {
                self.traffic.lose();
                continue;
            }
            let now = self.world.host(*host);
            self.traffic.send(
                host.agent(),
                agent,
                1,
                HEADER_BYTES + HOST_BYTES + VM_BYTES * u64::from(now.vms),
            );
            if self.is_lost() {
                self.traffic.lose();
                continue;
            }
            view.hosts.push(ViewHost { id: *host, now, first_vm: view.vms.len() as u32 });
            view.vms.extend(self.world.vms_of(*host).map(|vm| view_of(&self.world, vm)));
        }
        if let Some(look) = self.looks.get_mut(slot) {
            look.view = view;
        }
        let latency = self.latency_to_all(agent, &hosts);
        self.queue.push(self.now() + latency, Event::Collected { slot });
    }

    pub(super) fn collected(&mut self, slot: u32) -> Option<(Agent, u32, View)> {
        let Look { agent, life, tag, asked, view, .. } = self.looks.take(slot)?;
        self.rounds.looked(self.now() - asked);
        self.note(|_| Happening::Answers { agent: agent.0, hosts: view.hosts.len(), vms: view.vms.len() });
        if !self.goes_on(agent, life) {
            return None;
        }
        for host in view.hosts.iter().filter(|host| host.now.is_over()) {
            self.detected(host.id);
        }
        self.memory.views(agent, view.bytes());
        Some((agent, tag, view))
    }

    /// Somebody knows that a host is overloaded.
    pub fn detected(&mut self, host: HostId) {
        let now = self.now();
        self.world.violations.detect(host, now);
    }

    /// Has an agent compute something about so many hosts: it takes its time until the decision is told.
    pub fn compute(&mut self, agent: Agent, tag: u32, hosts: usize, decide: impl FnOnce() -> Decision) {
        let watch = Stopwatch::start(self.conditions.compute);
        let decision = decide();
        let seconds = watch.seconds(&decision);
        self.rounds.computed(agent, decision.verdict, seconds, hosts);
        self.note(|_| Happening::Computes { agent: agent.0, tag, hosts, took_s: seconds });
        let life = self.life(agent);
        let slot = self.answers.put(Answer { agent, life, tag, decision });
        self.queue.push(self.now() + seconds, Event::Decided { slot });
    }

    pub(super) fn decided(&mut self, slot: u32) -> Option<(Agent, u32, Decision)> {
        let Answer { agent, life, tag, decision } = self.answers.take(slot)?;
        let verdict = decision.verdict.name();
        self.note_moves(&decision.moves, |moves| Happening::Decides { agent: agent.0, tag, verdict, moves });
        self.goes_on(agent, life).then_some((agent, tag, decision))
    }

    /// Switches an agent's own host off, where it is empty and nothing is coming. Whether it is off.
    pub fn switch_off(&mut self, agent: Agent) -> bool {
        let own = self.host_of(agent).filter(|host| self.agent_runs(*host));
        let off = own.is_some_and(|host| self.world.switch_off(host));
        if off {
            self.note(|_| Happening::HostOff { host: agent.0 });
            self.forget(agent);
        }
        off
    }

    /// Wakes a host that is off, as a management board does; [`super::Strategy::came_up`] tells when it is up.
    pub fn switch_on(&mut self, host: HostId) {
        if self.world.switch_on(host) {
            self.note(|_| Happening::HostWakes { host: host.0 });
            self.queue.push(self.now() + self.conditions.boot_s, Event::Booted { host });
        }
    }

    /// The agent of a host that goes down forgets its timers.
    pub(super) fn forget(&mut self, agent: Agent) {
        self.lives[agent.index()] += 1;
    }

    pub(super) fn life(&self, agent: Agent) -> u32 {
        self.lives[agent.index()]
    }

    pub(super) fn is_alive(&self, agent: Agent, life: u32) -> bool {
        self.lives[agent.index()] == life
    }

    /// Whether an agent runs, and has not begun anew since.
    pub(super) fn goes_on(&self, agent: Agent, life: u32) -> bool {
        self.is_up(agent) && self.is_alive(agent, life)
    }

    /// Puts into the queue what the world says of the future.
    pub(super) fn take_notice(&mut self) {
        for (slot, generation, time) in self.world.due.drain(..) {
            self.queue.push(time, Event::Due { slot, generation });
        }
        while let Some(host) = self.world.alarms.pop() {
            let Some(period) = self.monitor_period else { continue };
            if std::mem::replace(&mut self.reporting[host.index()], true) {
                continue;
            }
            // Agents do not look at the same time.
            let phase = period * Random::new(self.conditions.seed, u64::from(host.0) << 32).fraction();
            let passed = ((self.now() - phase) / period).floor() + 1.0;
            self.queue.push(phase + passed * period, Event::Report { host });
        }
    }

    /// The agent of a host looks. Whether it finds an overload.
    pub(super) fn reports(&mut self, host: HostId) -> bool {
        let (over, runs) = (self.world.is_over(host), self.agent_runs(host));
        self.reporting[host.index()] = over;
        if over && runs {
            self.detected(host);
        }
        if over {
            let next = self.now() + self.monitor_period.unwrap_or(f64::INFINITY);
            self.queue.push(next, Event::Report { host });
        }
        over && runs
    }
}

fn view_of(world: &World, id: VmId) -> ViewVm {
    let now = world.vm(id);
    ViewVm { id, demand: now.demand, memory: now.memory, migrating: now.migrating }
}

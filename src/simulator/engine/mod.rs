//! Virtual time: whatever happens next happens, to the world and to the strategy, until the end.

mod context;
mod events;
mod executor;
mod faults;
mod lives;
mod log;
mod mail;
mod slab;
#[cfg(test)]
pub(in crate::simulator) mod tests;

pub use context::{Conditions, Context, View, ViewHost, ViewVm};
pub use executor::{Ordering, Outcome};
pub use faults::Failing;
#[cfg(test)]
pub(in crate::simulator) use faults::Part;
pub use lives::Life;
pub use log::{Entry, Happening, Step};

use super::decision::Decision;
use super::ids::{Agent, HostId, VmId};
use super::injector::Fault;
use super::measures::Sample;
use super::world::{Setup, World};
use events::Event;
use faults::Changes;
use std::collections::VecDeque;

/// A strategy: who decides when on what. It learns of the world, and acts on it, through the context only.
///
/// An agent is whoever decides. Agents of hosts have the numbers of their hosts and go down with them; services come after
/// all hosts. A strategy may have coordinators, which are services or run where the agent of a host runs, as a process of their
/// own, and can fail alone; other services do not fail.
#[expect(unused_variables, reason = "a strategy says what it reacts to")]
pub trait Strategy {
    /// What its agents tell each other.
    type Message: std::fmt::Debug;

    /// How many services it runs besides the agents of the hosts.
    fn services(&self, hosts: usize) -> usize {
        0
    }

    /// How often the agent of a host looks whether it is overloaded, seconds; `None` = it does not.
    fn monitor_period(&self) -> Option<f64> {
        None
    }

    /// The run begins.
    fn start(&mut self, context: &mut Context<Self::Message>) {}

    /// A time has come that was set by [`Context::timer`].
    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Self::Message>) {}

    /// A message has come.
    fn message(
        &mut self,
        to: Agent,
        from: Agent,
        message: Self::Message,
        context: &mut Context<Self::Message>,
    ) {
    }

    /// The agent of a host has looked and found it overloaded; again each period while it is.
    fn overloaded(&mut self, host: HostId, context: &mut Context<Self::Message>) {}

    /// What was asked for by [`Context::collect`] is there.
    fn collected(&mut self, agent: Agent, tag: u32, view: View, context: &mut Context<Self::Message>) {}

    /// What was begun by [`Context::compute`] is done.
    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Self::Message>) {}

    /// A plan that was given to [`Context::execute`] has come to its end.
    fn executed(&mut self, agent: Agent, tag: u32, outcome: Outcome, context: &mut Context<Self::Message>) {}

    /// Hosts that are together of one plan now, or of one that is looked for. None is told where these are just the hosts
    /// of the plans that are carried out.
    fn groups(&self) -> Vec<Vec<HostId>> {
        Vec::new()
    }

    /// Bytes that an agent keeps now: an estimate by what its collections hold. What it has only while it decides, a
    /// [`View`], is counted besides. 0 where it keeps nothing.
    fn state_bytes(&self, agent: Agent) -> u64 {
        0
    }

    /// A host is up after it was down or switched off, and all that runs there; its agent has forgotten its timers.
    fn came_up(&mut self, host: HostId, context: &mut Context<Self::Message>) {}

    /// A host has failed. No agent is told: a strategy may only forget what the agent of that host knew, and the coordinator there.
    fn went_down(&mut self, host: HostId, context: &mut Context<Self::Message>) {}

    /// The agent of a host that goes on runs again. Where a coordinator is beside it, timers of the agent were not forgotten.
    fn agent_came_up(&mut self, host: HostId, context: &mut Context<Self::Message>) {
        self.came_up(host, context);
    }

    /// The agent of a host has failed, but the host goes on. As little is told as of a host.
    fn agent_went_down(&mut self, host: HostId, context: &mut Context<Self::Message>) {
        self.went_down(host, context);
    }

    /// Once it has begun: the agents at which its coordinators run, one each.
    fn coordinators(&self, context: &Context<Self::Message>) -> Vec<Agent> {
        Vec::new()
    }

    /// A coordinator has failed, and with it what it knew. Its plans begin nothing more.
    fn coordinator_went_down(&mut self, number: u32, context: &mut Context<Self::Message>) {}

    /// It runs again. Where it is not a service, its timers were not forgotten.
    fn coordinator_came_up(&mut self, number: u32, context: &mut Context<Self::Message>) {}
}

/// From now on a VM needs so many milli-cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Seconds.
    pub time: f64,
    /// Whose.
    pub vm: VmId,
    /// Milli-cores.
    pub cpu: u32,
}

/// What happens in the world whatever the strategy does; each in order of time.
pub struct Story {
    /// What VMs need; of those that are not there, what they will need when they come.
    pub demands: Box<dyn Iterator<Item = Demand>>,
    /// VMs that come and go.
    pub lives: Box<dyn Iterator<Item = Life>>,
    /// Hosts that fail and come up again.
    pub faults: Box<dyn Iterator<Item = Fault>>,
    /// What else fails.
    pub failing: Failing,
    /// Hosts that are off at the start; empty ones.
    pub off: Vec<HostId>,
    /// Whether a host with a migration is spared, as in `VMPlaceS`.
    pub spare_migrating: bool,
}

impl Default for Story {
    /// Nothing happens.
    fn default() -> Self {
        Self {
            demands: Box::new(std::iter::empty()),
            lives: Box::new(std::iter::empty()),
            faults: Box::new(std::iter::empty()),
            failing: Failing::default(),
            off: Vec::new(),
            spare_migrating: true,
        }
    }
}

/// A run.
pub struct Simulation<S: Strategy> {
    strategy: S,
    context: Context<S::Message>,
    story: Story,
    next_demand: Option<Demand>,
    next_life: Option<Life>,
    changes: Changes,
    /// VMs that are to run and have no host.
    waiting: VecDeque<VmId>,
    events: u64,
    series: Vec<Sample>,
    sample_s: f64,
    until: f64,
}

impl<S: Strategy> Simulation<S> {
    /// Begins at time 0 and ends at `until`; takes a sample each `sample_s` seconds.
    pub fn new(
        setup: &Setup,
        conditions: Conditions,
        mut story: Story,
        mut strategy: S,
        until: f64,
        sample_s: f64,
    ) -> Self {
        let services = strategy.services(setup.hosts.len());
        let mut context = Context::new(World::new(setup), services, strategy.monitor_period(), conditions);
        context.tell = |message| format!("{message:?}");
        context.queue.push(0.0, Event::Sample);
        strategy.start(&mut context);
        for host in story.off.drain(..) {
            if context.switch_off(host.agent()) {
                strategy.went_down(host, &mut context);
            }
        }
        let coordinators = strategy.coordinators(&context);
        let counts = (setup.hosts.len() as u32, context.world.site_count(), coordinators.len() as u32);
        context.absent.coordinate(coordinators);
        let faults = std::mem::replace(&mut story.faults, Box::new(std::iter::empty()));
        let changes = Changes::new(faults, story.failing, counts, until);
        let (next_demand, next_life) = (story.demands.next(), story.lives.next());
        let mut simulation = Self {
            strategy,
            context,
            story,
            next_demand,
            next_life,
            changes,
            waiting: VecDeque::new(),
            events: 0,
            series: Vec::new(),
            sample_s,
            until,
        };
        simulation.context.take_notice();
        simulation
    }

    /// When the next thing happens, of the load, of lives, of faults and of the rest.
    fn due(&self) -> [f64; 4] {
        let demand = self.next_demand.map_or(f64::INFINITY, |demand| demand.time);
        let life = self.next_life.map_or(f64::INFINITY, |life| life.time);
        [demand, life, self.changes.next_time(), self.context.queue.next_time().unwrap_or(f64::INFINITY)]
    }

    /// When the next thing happens, seconds.
    #[must_use]
    pub fn next_time(&self) -> f64 {
        self.due().into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Lets the next thing happen. Whether there was one before the end.
    pub fn step(&mut self) -> bool {
        let [demand, life, fault, queued] = self.due();
        let time = demand.min(life).min(fault).min(queued);
        if time >= self.until {
            self.context.world.advance(self.until.max(self.context.world.now()));
            return false;
        }
        self.context.world.advance(time);
        self.events += 1;
        // At the same time: load, then who comes and goes, then faults, then the rest.
        if demand <= time {
            if let Some(demand) = self.next_demand.take() {
                self.context.note(|it| {
                    let now = it.world.vm(demand.vm);
                    let host = log::somewhere(now.host);
                    Happening::Demand { vm: demand.vm.0, host, before: now.demand, now: demand.cpu }
                });
                self.context.world.set_demand(demand.vm, demand.cpu);
            }
            self.next_demand = self.story.demands.next();
        } else if life <= time {
            if let Some(life) = self.next_life.take() {
                self.live(life);
            }
            self.next_life = self.story.lives.next();
        } else if fault <= time {
            if let Some(change) = self.changes.next() {
                self.change(change);
            }
        } else if let Some((_, event)) = self.context.queue.pop() {
            self.happen(event);
        }
        self.context.note_violations();
        self.context.take_notice();
        true
    }

    fn happen(&mut self, event: Event) {
        let (strategy, context) = (&mut self.strategy, &mut self.context);
        match event {
            Event::Timer { agent, timer, life } => {
                if context.is_alive(agent, life) {
                    strategy.timer(agent, timer, context);
                }
            }
            Event::Mail { slot } => {
                if let Some((to, from, message)) = context.deliver(slot) {
                    strategy.message(to, from, message, context);
                }
            }
            Event::Due { slot, generation } => {
                if let Some(ended) = context.world.due(slot, generation) {
                    self.migration_ended(&ended);
                }
            }
            Event::Report { host } => {
                if context.reports(host) {
                    strategy.overloaded(host, context);
                }
            }
            Event::Look { slot } => context.look(slot),
            Event::Collected { slot } => {
                if let Some((agent, tag, view)) = context.collected(slot) {
                    strategy.collected(agent, tag, view, context);
                }
            }
            Event::Decided { slot } => {
                if let Some((agent, tag, decision)) = context.decided(slot) {
                    strategy.decided(agent, tag, decision, context);
                }
            }
            Event::Booted { host } => {
                if context.world.booted(host) {
                    self.host_runs(host);
                }
            }
            Event::Empty { plan } => self.plan_ended(plan),
            Event::Sample => self.sample(),
        }
    }

    fn migration_ended(&mut self, ended: &super::world::Ended) {
        if let Some(plan) = self.context.step_ended(ended) {
            self.plan_ended(plan);
        }
    }

    fn plan_ended(&mut self, plan: u32) {
        if let Some((agent, tag, outcome)) = self.context.close(plan) {
            self.strategy.executed(agent, tag, outcome, &mut self.context);
        }
    }

    fn sample(&mut self) {
        let world = &self.context.world;
        let usage = world.usage.report(world.now());
        self.series.push(Sample {
            time_s: world.now(),
            load: world.load(),
            over: world.usage.over,
            over_host_s: usage.over_host_s,
            active: world.usage.active,
            on: world.usage.on,
            watts: world.usage.draw.measured as f64 / 1000.0,
            migrating: world.moves.under_way,
            migrated: world.moves.count(),
            messages: self.context.traffic.count(),
            fairness: world.load_fairness(),
        });
        self.context.queue.push(world.now() + self.sample_s, Event::Sample);
        for agent in (0..self.context.agent_count() as u32).map(Agent) {
            self.context.memory.keeps(agent, self.strategy.state_bytes(agent));
        }
    }

    /// Lets everything happen; asks each some thousand events, and after each computation, whether to go on. Whether the end was
    /// reached.
    pub fn run(&mut self, go_on: &mut dyn FnMut(&Self) -> bool) -> bool {
        loop {
            let computed = self.context.rounds.count();
            for _ in 0..4096 {
                if !self.step() {
                    return true;
                }
                // One takes as long as very many other events.
                if self.context.rounds.count() != computed {
                    break;
                }
            }
            if !go_on(self) {
                return false;
            }
        }
    }

    /// Lets everything happen; shows how it is each so many seconds at most, and asks whether to go on. Whether the end was
    /// reached.
    pub fn watch(&mut self, every_s: f64, go_on: &mut dyn FnMut(&Self) -> bool) -> bool {
        let mut next = 0.0;
        while self.step() {
            let now = self.world().now();
            if now >= next {
                next = now + every_s;
                if !go_on(self) {
                    return false;
                }
            }
        }
        true
    }

    /// The world as it is now.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.context.world
    }

    /// What is measured besides the world.
    #[must_use]
    pub fn context(&self) -> &Context<S::Message> {
        &self.context
    }

    /// The strategy as it is now.
    #[must_use]
    pub fn strategy(&self) -> &S {
        &self.strategy
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Samples so far.
    #[must_use]
    pub fn series(&self) -> &[Sample] {
        &self.series
    }
}

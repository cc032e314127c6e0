//! What fails by itself and comes back: hosts, agents, links and coordinators.

use super::log::Happening;
use super::{Context, Simulation, Strategy};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::injector::{Crashes, Fault, Outages};
use crate::simulator::world::Ended;

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Part {
    /// A host with all that runs there.
    Host(HostId),
    /// The agent of a host alone: nobody tells of the host or acts there; VMs and migrations go on.
    Agent(HostId),
    /// The link of a host: what runs there goes on, and hears of nobody.
    Link(HostId),
    /// The link of a site to others.
    Site(u16),
    /// A coordinator of the strategy, by number, with all that it knows; the host that it runs on goes on.
    Coordinator(u32),
}

/// A part fails or is there again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub(super) time: f64,
    pub(super) part: Part,
    pub(super) up: bool,
}

/// How often parts fail besides whole hosts; `None` = never.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Failing {
    /// Agents of hosts.
    pub agents: Option<Outages>,
    /// Links of hosts.
    pub links: Option<Outages>,
    /// Links of sites; of a single one none fails.
    pub sites: Option<Outages>,
    /// Coordinators of strategies that have some.
    pub coordinators: Option<Outages>,
}

/// All changes in order of time; at the same time hosts come first, then agents, links, sites and coordinators.
pub(super) struct Changes {
    streams: [Box<dyn Iterator<Item = Change>>; 5],
    next: [Option<Change>; 5],
}

impl Changes {
    /// Those of hosts are given; of the others there are so many hosts, sites and coordinators.
    pub(super) fn new(
        hosts: Box<dyn Iterator<Item = Fault>>,
        failing: Failing,
        (host_count, site_count, coordinators): (u32, u32, u32),
        until: f64,
    ) -> Self {
        let stream = |outages: Option<Outages>, count: u32, part: fn(u32) -> Part| {
            let faults = outages.map(|outages| Crashes::new(count, until, outages));
            of(faults.into_iter().flatten(), part)
        };
        let sites = failing.sites.filter(|_| site_count > 1);
        let mut streams = [
            of(hosts, |host| Part::Host(HostId(host))),
            stream(failing.agents, host_count, |host| Part::Agent(HostId(host))),
            stream(failing.links, host_count, |host| Part::Link(HostId(host))),
            stream(sites, site_count, |site| Part::Site(site as u16)),
            stream(failing.coordinators, coordinators, Part::Coordinator),
        ];
        let next = streams.each_mut().map(Iterator::next);
        Self { streams, next }
    }

    /// Just these.
    #[cfg(test)]
    fn listed(changes: &[(f64, Part, bool)]) -> Self {
        let none = || Box::new(std::iter::empty()) as Box<dyn Iterator<Item = Change>>;
        let all: Vec<Change> =
            changes.iter().map(|(time, part, up)| Change { time: *time, part: *part, up: *up }).collect();
        let mut streams =
            [Box::new(all.into_iter()) as Box<dyn Iterator<Item = Change>>, none(), none(), none(), none()];
        let next = streams.each_mut().map(Iterator::next);
        Self { streams, next }
    }

    fn first(&self) -> usize {
        let time = |at: &usize| self.next[*at].map_or(f64::INFINITY, |change| change.time);
        (0..self.next.len()).min_by(|a, b| time(a).total_cmp(&time(b))).unwrap_or(0)
    }

    /// When the next one is due.
    pub(super) fn next_time(&self) -> f64 {
        self.next[self.first()].map_or(f64::INFINITY, |change| change.time)
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        let at = self.first();
        std::mem::replace(&mut self.next[at], self.streams[at].next())
    }
}

fn of(
    faults: impl Iterator<Item = Fault> + 'static,
    part: fn(u32) -> Part,
) -> Box<dyn Iterator<Item = Change>> {
    Box::new(faults.map(move |Fault { time, host, up }| Change { time, part: part(host), up }))
}

/// No coordinator.
const NOBODY: u32 = u32::MAX;

/// Which processes do not run although the host does.
#[derive(Debug, Clone)]
pub(super) struct Absent {
    /// Of each host, its agent.
    agents: Vec<bool>,
    /// Coordinators by number: the agent that each runs at, and whether it is down.
    coordinators: Vec<(Agent, bool)>,
    /// The coordinator at each agent.
    at: Vec<u32>,
}

impl Absent {
    pub(super) fn new(hosts: usize, agents: usize) -> Self {
        Self { agents: vec![false; hosts], coordinators: Vec::new(), at: vec![NOBODY; agents] }
    }

    /// Coordinators run at these agents.
    pub(super) fn coordinate(&mut self, agents: Vec<Agent>) {
        for (number, agent) in agents.iter().enumerate() {
            self.at[agent.index()] = number as u32;
        }
        self.coordinators = agents.into_iter().map(|agent| (agent, false)).collect();
    }

    /// Whether a coordinator runs at an agent; `None` = there is none.
    fn coordinates(&self, agent: Agent) -> Option<bool> {
        self.coordinators.get(self.at[agent.index()] as usize).map(|(_, down)| !down)
    }

    /// All processes of a host run.
    fn all_run(&mut self, host: HostId) {
        self.agents[host.index()] = false;
        if let Some((_, down)) = self.coordinators.get_mut(self.at[host.index()] as usize) {
            *down = false;
        }
    }
}

impl<M> Context<M> {
    /// Whether somebody takes messages and timers at an agent: only who does acts.
    #[must_use]
    pub fn is_up(&self, agent: Agent) -> bool {
        let coordinates = self.absent.coordinates(agent);
        match self.host_of(agent) {
            Some(host) => self.agent_runs(host) || (coordinates == Some(true) && self.world.runs(host)),
            None => coordinates != Some(false),
        }
    }

    /// Whether the agent of a host runs: it does not while its host is down.
    #[must_use]
    pub fn agent_runs(&self, host: HostId) -> bool {
        self.world.runs(host) && !self.absent.agents[host.index()]
    }

    /// Whether a message can go from one agent to another, as far as links are concerned.
    #[must_use]
    pub fn connected(&self, from: Agent, to: Agent) -> bool {
        match (self.host_of(from), self.host_of(to)) {
            (Some(from), Some(to)) => self.world.connected(from, to),
            // Services are at the first site.
            (Some(host), None) | (None, Some(host)) => self.world.reaches(host, 0),
            (None, None) => true,
        }
    }

    /// Whether an agent can have the agent of a host do something, or be told by it.
    #[must_use]
    pub fn reaches(&self, from: Agent, host: HostId) -> bool {
        self.agent_runs(host) && self.connected(from, host.agent())
    }

    /// Whether who calls another agent is told at once that nobody runs there, instead of hearing nothing: its host runs.
    #[must_use]
    pub fn refuses(&self, from: Agent, to: Agent) -> bool {
        let runs = self.host_of(to).is_none_or(|host| self.world.runs(host));
        runs && self.connected(from, to)
    }

    fn fault(&mut self, what: Happening) {
        self.note(|_| what);
        self.world.violations.fault(self.world.now());
    }
}

#[cfg(test)]
impl<S: Strategy> Simulation<S> {
    /// Just these parts fail and are there again.
    pub(in crate::simulator) fn with_changes(mut self, changes: &[(f64, Part, bool)]) -> Self {
        self.changes = Changes::listed(changes);
        self
    }

    /// Has the strategy do something.
    pub(in crate::simulator) fn with_strategy(&mut self, act: impl FnOnce(&mut S, &mut Context<S::Message>)) {
        act(&mut self.strategy, &mut self.context);
        self.context.take_notice();
    }
}

impl<S: Strategy> Simulation<S> {
    /// A part fails or is there again.
    pub(super) fn change(&mut self, Change { part, up, .. }: Change) {
        match (part, up) {
            (Part::Host(host), false) => self.host_fails(host),
            (Part::Host(host), true) => {
                if self.context.world.recover(host) {
                    self.host_runs(host);
                }
            }
            (Part::Agent(host), false) => self.agent_fails(host),
            (Part::Agent(host), true) => self.agent_begins(host),
            (Part::Link(host), false) => {
                let ended = self.context.world.cut(host);
                self.went_apart(Happening::LinkDown { host: host.0 }, ended);
            }
            (Part::Link(host), true) => {
                if self.context.world.mend(host) {
                    self.context.note(|_| Happening::LinkUp { host: host.0 });
                }
            }
            (Part::Site(site), false) => {
                let ended = self.context.world.cut_site(site);
                self.went_apart(Happening::SiteDown { site }, ended);
            }
            (Part::Site(site), true) => {
                if self.context.world.mend_site(site) {
                    self.context.note(|_| Happening::SiteUp { site });
                }
            }
            (Part::Coordinator(number), false) => self.coordinator_fails(number),
            (Part::Coordinator(number), true) => self.coordinator_begins(number),
        }
    }

    /// A host runs, and all that runs there.
    pub(super) fn host_runs(&mut self, host: HostId) {
        self.context.note(|_| Happening::HostUp { host: host.0 });
        self.context.absent.all_run(host);
        self.strategy.came_up(host, &mut self.context);
        self.seat_waiting();
    }

    fn host_fails(&mut self, host: HostId) {
        if self.story.spare_migrating && self.context.world.host(host).migrating {
            return;
        }
        let Some((ran, ended)) = self.context.world.fail(host) else { return };
        self.context.note(|_| Happening::HostDown { host: host.0 });
        if ran {
            self.context.forget(host.agent());
            self.context.halt_all(host.agent());
            self.strategy.went_down(host, &mut self.context);
        }
        for ended in ended {
            self.migration_ended(&ended);
        }
    }

    fn agent_fails(&mut self, host: HostId) {
        let context = &mut self.context;
        if !context.agent_runs(host) {
            return;
        }
        context.fault(Happening::AgentDown { host: host.0 });
        context.absent.agents[host.index()] = true;
        if context.absent.coordinates(host.agent()).is_none() {
            context.forget(host.agent());
            context.halt_all(host.agent());
        }
        self.strategy.agent_went_down(host, context);
    }

    fn agent_begins(&mut self, host: HostId) {
        let context = &mut self.context;
        // It may have begun with its host.
        if !std::mem::take(&mut context.absent.agents[host.index()]) || !context.world.runs(host) {
            return;
        }
        context.fault(Happening::AgentUp { host: host.0 });
        self.strategy.agent_came_up(host, context);
    }

    /// A link has failed, if `ended` says so, and these migrations with it.
    fn went_apart(&mut self, what: Happening, ended: Option<Vec<Ended>>) {
        let Some(ended) = ended else { return };
        self.context.note(|_| what);
        for ended in ended {
            self.migration_ended(&ended);
        }
    }

    fn coordinator_fails(&mut self, number: u32) {
        let context = &mut self.context;
        let Some((agent, down)) = context.absent.coordinators.get(number as usize).copied() else { return };
        // It may have failed with its host.
        if down || context.host_of(agent).is_some_and(|host| !context.world.runs(host)) {
            return;
        }
        context.fault(Happening::CoordinatorDown { coordinator: number, agent: agent.0 });
        context.absent.coordinators[number as usize].1 = true;
        if context.host_of(agent).is_none() {
            context.forget(agent);
        }
        context.halt_all(agent);
        self.strategy.coordinator_went_down(number, context);
    }

    fn coordinator_begins(&mut self, number: u32) {
        let context = &mut self.context;
        let Some((agent, down)) = context.absent.coordinators.get_mut(number as usize) else { return };
        let (agent, was) = (*agent, std::mem::take(down));
        // It may have begun with its host, or will.
        if !was || context.host_of(agent).is_some_and(|host| !context.world.runs(host)) {
            return;
        }
        context.fault(Happening::CoordinatorUp { coordinator: number, agent: agent.0 });
        self.strategy.coordinator_came_up(number, context);
    }
}

//! Managers of groups of hosts, each in a loop: look at the group, compute, apply, wait. The centralised strategy has one of
//! them, the hierarchical strategy several.

use super::relocation::relocate;
use crate::simulator::decision::{Decision, Packing, Repair, pack, repair};
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, View};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{Verdict, bytes_of};

/// When a manager begins a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trigger {
    /// So many seconds after the round before began, or when that one has ended, whichever is later.
    Periodic {
        /// Seconds.
        period_s: f64,
    },
    /// When the agent of a host tells that it is overloaded.
    Reactive {
        /// How often agents look, seconds.
        report_s: f64,
        /// Between two rounds, seconds at least.
        pause_s: f64,
    },
}

/// How a manager decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// With the solver.
    Repair(Repair),
    /// With Snooze's own rule: from overloaded hosts the smallest VMs that are enough, each to the least loaded host that has
    /// room up to this share of its CPU.
    Greedy {
        /// Share of a host's CPU up to which VMs are put there.
        fill: f64,
    },
    /// Onto fewer hosts.
    Pack(Packing),
}

/// How managers work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Management {
    /// Hosts of a group; `None` = all are one.
    pub group: Option<u32>,
    /// When.
    pub trigger: Trigger,
    /// How.
    pub rule: Rule,
    /// In which order migrations begin.
    pub ordering: Ordering,
    /// A manager looks each so many seconds whether its plan has come to its end; 0 = it is told.
    pub poll_s: f64,
    /// Seconds between two heartbeats; `None` = there are none.
    pub heartbeat_s: Option<f64>,
}

/// The managers.
#[derive(Debug, Clone)]
pub struct Managers {
    how: Management,
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    hosts: Vec<HostId>,
    /// When the round that is under way, or the last one, began.
    began: f64,
    /// When its plan began.
    applied: f64,
    busy: bool,
}

const ROUND: u32 = 0;
const POLL: u32 = 1;
const HEARTBEAT: u32 = 2;
/// Bytes of a heartbeat, or of the summary of a group, besides the header.
const BEAT_BYTES: u64 = 24;

/// What agents of hosts tell their manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

impl Managers {
    /// Managers that work like this.
    #[must_use]
    pub fn new(how: Management) -> Self {
        Self { how, groups: Vec::new() }
    }

    fn group_count(&self, hosts: usize) -> usize {
        self.how.group.map_or(1, |size| hosts.div_ceil(size.max(1) as usize)).max(1)
    }

    fn number(agent: Agent, context: &Context<Overloaded>) -> usize {
        agent.index() - context.host_count()
    }

    fn begin(&mut self, agent: Agent, context: &mut Context<Overloaded>) {
        let group = &mut self.groups[Self::number(agent, context)];
        group.busy = true;
        group.began = context.now();
        context.collect(agent, ROUND, group.hosts.clone());
    }

    /// A manager begins.
    fn wind_up(&self, number: u32, context: &mut Context<Overloaded>) {
        let agent = context.service(number);
        if let Trigger::Periodic { period_s } = self.how.trigger {
            context.timer(agent, period_s, ROUND);
        }
        if let Some(seconds) = self.how.heartbeat_s {
            context.timer(agent, seconds, HEARTBEAT);
        }
    }

    fn end(&mut self, agent: Agent, context: &mut Context<Overloaded>) {
        let group = &mut self.groups[Self::number(agent, context)];
        group.busy = false;
        if let Trigger::Periodic { period_s } = self.how.trigger {
            let passed = context.now() - group.began;
            context.timer(agent, (period_s - passed).max(0.0), ROUND);
        }
    }

    /// Hosts tell their managers, these the leader, who tells all managers, and these their hosts, that they are there.
    fn heartbeat(&self, agent: Agent, context: &mut Context<Overloaded>) {
        let leader = context.service(0);
        for host in &self.groups[Self::number(agent, context)].hosts {
            context.count(host.agent(), agent, BEAT_BYTES);
            context.count(agent, host.agent(), BEAT_BYTES);
        }
        if agent != leader {
            context.count(agent, leader, BEAT_BYTES);
            context.count(leader, agent, BEAT_BYTES);
        }
    }
}

/// Decides about the hosts of a group.
pub(super) fn decide(view: &View, rule: Rule) -> Decision {
    match rule {
        Rule::Repair(how) => repair(view, how),
        Rule::Greedy { fill } => relocate(view, fill),
        Rule::Pack(how) => pack(view, how),
    }
}

impl Strategy for Managers {
    type Message = Overloaded;

    fn services(&self, hosts: usize) -> usize {
        self.group_count(hosts)
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        // The agent of a host keeps nothing. A manager knows its hosts.
        let hosts = self.groups.iter().map(|group| group.hosts.len()).sum::<usize>();
        match agent.index().checked_sub(hosts).and_then(|number| self.groups.get(number)) {
            Some(group) => bytes_of::<Group>(1) + bytes_of::<HostId>(group.hosts.len()),
            None => 0,
        }
    }

    fn monitor_period(&self) -> Option<f64> {
        match self.how.trigger {
            Trigger::Periodic { .. } => None,
            Trigger::Reactive { report_s, .. } => Some(report_s),
        }
    }

    fn start(&mut self, context: &mut Context<Overloaded>) {
        let count = self.group_count(context.host_count());
        let none = Group { hosts: Vec::new(), began: f64::NEG_INFINITY, applied: 0.0, busy: false };
        self.groups = vec![none; count];
        // Each host that joins goes to the manager with the fewest.
        for host in 0..context.host_count() as u32 {
            self.groups[host as usize % count].hosts.push(HostId(host));
        }
        for number in 0..count as u32 {
            self.wind_up(number, context);
        }
    }

    fn coordinators(&self, context: &Context<Overloaded>) -> Vec<Agent> {
        (0..self.groups.len() as u32).map(|number| context.service(number)).collect()
    }

    fn coordinator_came_up(&mut self, number: u32, context: &mut Context<Overloaded>) {
        let group = &mut self.groups[number as usize];
        (group.busy, group.began) = (false, f64::NEG_INFINITY);
        self.wind_up(number, context);
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Overloaded>) {
        match timer {
            ROUND => self.begin(agent, context),
            POLL => self.end(agent, context),
            _ => {
                self.heartbeat(agent, context);
                context.timer(agent, self.how.heartbeat_s.unwrap_or(f64::INFINITY), HEARTBEAT);
            }
        }
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Overloaded>) {
        let manager = context.service(host.0 % self.groups.len() as u32);
        context.send(host.agent(), manager, Overloaded, BEAT_BYTES);
    }

    fn message(&mut self, to: Agent, _: Agent, _: Overloaded, context: &mut Context<Overloaded>) {
        let Trigger::Reactive { pause_s, .. } = self.how.trigger else { return };
        let group = &self.groups[Self::number(to, context)];
        // A busy manager drops it; it is told again as long as it is so.
        if !group.busy && context.now() - group.began >= pause_s {
            self.begin(to, context);
        }
    }

    fn collected(&mut self, agent: Agent, tag: u32, view: View, context: &mut Context<Overloaded>) {
        let rule = self.how.rule;
        context.compute(agent, tag, view.hosts.len(), || decide(&view, rule));
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Overloaded>) {
        if decision.verdict != Verdict::Plan {
            self.end(agent, context);
            return;
        }
        self.groups[Self::number(agent, context)].applied = context.now();
        context.execute(agent, tag, decision.moves, self.how.ordering);
    }

    fn executed(&mut self, agent: Agent, _: u32, _: Outcome, context: &mut Context<Overloaded>) {
        let passed = context.now() - self.groups[Self::number(agent, context)].applied;
        if self.how.poll_s > 0.0 {
            let polled = (passed / self.how.poll_s).ceil() * self.how.poll_s;
            context.timer(agent, polled - passed, POLL);
        } else {
            self.end(agent, context);
        }
    }
}

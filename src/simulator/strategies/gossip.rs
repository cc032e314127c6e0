//! Consolidation by gossip: V-MAN (Marzolla, Babaoglu, Panzieri, WoWMoM 2011).
//!
//! Each host now and then asks a few others how full they are; of each pair, the emptier one gives VMs to the fuller one as far
//! as there is room. The fuller of a pair never loses, so that hosts that are empty stay so. Ours, as the paper has VMs of one
//! size: fuller is who is expected to use the larger share of CPU or memory, ties by number; VMs go in order of size; both have
//! room up to a share of what they have; hosts that are empty, or of which a VM is on its way, take no part; the others are
//! drawn evenly from all hosts, where the paper has a peer-sampling service.

use crate::simulator::decision::Move;
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{HOST_BYTES, VM_BYTES, bytes_of};
use crate::simulator::world::HostNow;
use serde::{Deserialize, Serialize};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gossiping {
    /// Seconds between two rounds of a host.
    pub period_s: f64,
    /// Others that are asked in a round.
    pub neighbours: u32,
    /// Share of a host's CPU and memory up to which it is filled.
    pub fill: f64,
}

impl Default for Gossiping {
    fn default() -> Self {
        Self { period_s: 60.0, neighbours: 20, fill: 0.85 }
    }
}

/// What hosts tell each other.
#[derive(Debug, Clone)]
pub enum Gossip {
    /// How I am, with my VMs; there are so many more that I shall ask.
    Hello(Box<HostNow>, Vec<ViewVm>, u32),
    /// Give me these: I have room for them.
    Give(Vec<ViewVm>),
    /// You have got what there was to get.
    Took(u32),
    /// Not now, or there is nothing to be done between us; go on with the next.
    Nothing(u32),
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct VMan {
    how: Gossiping,
    /// Of each host, the number of the exchange that it is in; 0 = none.
    exchange: Vec<u32>,
    exchanges: u32,
    room: Vec<ViewVm>,
}

impl VMan {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Gossiping) -> Self {
        Self { how, exchange: Vec::new(), exchanges: 0, room: Vec::new() }
    }

    /// Asks the next of so many others.
    fn ask(&mut self, agent: Agent, left: u32, context: &mut Context<Gossip>) {
        let hosts = context.host_count() as u32;
        if left == 0 || hosts < 2 || !takes_part(agent, context) {
            self.free(agent);
            return;
        }
        // Who does not answer is given up.
        self.engage(agent, context);
        let drawn = context.random(agent).below(hosts - 1);
        let other = Agent(if drawn >= agent.0 { drawn + 1 } else { drawn });
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        let bytes = HOST_BYTES + VM_BYTES * vms.len() as u64;
        let hello = Gossip::Hello(Box::new(context.local(agent)), vms, left - 1);
        context.send(agent, other, hello, bytes);
    }

    /// An exchange begins; it is given up if nothing is heard of it.
    fn engage(&mut self, agent: Agent, context: &mut Context<Gossip>) {
        // 0 is for rounds.
        self.exchanges = self.exchanges.checked_add(1).unwrap_or(1);
        self.exchange[agent.index()] = self.exchanges;
        context.timer(agent, LOST_S, self.exchanges);
    }

    fn free(&mut self, agent: Agent) {
        self.exchange[agent.index()] = 0;
    }

    fn is_busy(&self, agent: Agent) -> bool {
        self.exchange[agent.index()] != 0
    }

    /// Somebody asks: who is emptier gives.
    fn hello(
        &mut self,
        (to, from): (Agent, Agent),
        theirs: &HostNow,
        vms: &[ViewVm],
        left: u32,
        context: &mut Context<Gossip>,
    ) {
        let mine = context.local(to);
        if self.is_busy(to) || !takes_part(to, context) {
            context.send(to, from, Gossip::Nothing(left), 0);
            return;
        }
        let they_are_emptier = (share(theirs), from) < (share(&mine), to);
        if they_are_emptier {
            let wanted = self.fitting(vms, &mine);
            if wanted.is_empty() {
                context.send(to, from, Gossip::Nothing(left), 0);
            } else {
                self.engage(to, context);
                let bytes = VM_BYTES * wanted.len() as u64;
                context.send(to, from, Gossip::Give(wanted), bytes);
            }
            return;
        }
        let mut own = std::mem::take(&mut self.room);
        context.local_vms(to, &mut own);
        let given = self.fitting(&own, theirs);
        self.room = own;
        if given.is_empty() {
            context.send(to, from, Gossip::Nothing(left), 0);
        } else {
            self.engage(to, context);
            give(to, from, &given, context);
        }
    }

    /// The VMs that a host has room for, in order of size.
    fn fitting(&self, vms: &[ViewVm], host: &HostNow) -> Vec<ViewVm> {
        let usable = |whole: u32, used: u32| {
            let usable = (f64::from(whole) * self.how.fill + 1e-6).floor() as u32;
            usable.saturating_sub(used)
        };
        let (mut cpu, mut memory) = (usable(host.cpu, host.expected), usable(host.memory, host.held));
        let mut sorted = vms.to_vec();
        sorted.sort_by_key(|vm| (vm.demand, vm.memory, vm.id));
        sorted.retain(|vm| {
            let fits = !vm.migrating && vm.demand <= cpu && vm.memory <= memory;
            if fits {
                cpu -= vm.demand;
                memory -= vm.memory;
            }
            fits
        });
        sorted
    }
}

/// Whether a host has a VM and none is on its way.
fn takes_part(agent: Agent, context: &Context<Gossip>) -> bool {
    let now = context.local(agent);
    now.vms > 0 && !now.migrating
}

/// How full a host is expected to be, in ten-thousandths.
fn share(host: &HostNow) -> u64 {
    let of = |used: u32, whole: u32| u64::from(used) * 10_000 / u64::from(whole.max(1));
    of(host.expected, host.cpu).max(of(host.held, host.memory))
}

/// Sends VMs on their way to the host of another agent.
fn give(from: Agent, to: Agent, vms: &[ViewVm], context: &mut Context<Gossip>) {
    let step = |vm: &ViewVm| Move { vm: vm.id, from: HostId(from.0), to: HostId(to.0), after: Vec::new() };
    context.execute(from, to.0, vms.iter().map(step).collect(), Ordering::AtOnce);
}

const ROUND: u32 = 0;
/// Seconds until an exchange of which nothing is heard any more is given up. Migrations are seen by themselves.
const LOST_S: f64 = 1.0;

impl Strategy for VMan {
    type Message = Gossip;

    fn state_bytes(&self, agent: Agent) -> u64 {
        // The number of its exchange; others are drawn of all hosts anew each time.
        self.exchange.get(agent.index()).map_or(0, |_| bytes_of::<u32>(1))
    }

    fn start(&mut self, context: &mut Context<Gossip>) {
        self.exchange = vec![0; context.host_count()];
        for host in 0..context.host_count() as u32 {
            self.came_up(HostId(host), context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Gossip>) {
        if timer != ROUND {
            if self.exchange[agent.index()] == timer {
                self.free(agent);
            }
            return;
        }
        if !self.is_busy(agent) {
            self.ask(agent, self.how.neighbours, context);
        }
        context.timer(agent, self.how.period_s, ROUND);
    }

    fn message(&mut self, to: Agent, from: Agent, message: Gossip, context: &mut Context<Gossip>) {
        match message {
            Gossip::Hello(theirs, vms, left) => self.hello((to, from), &theirs, &vms, left, context),
            Gossip::Give(vms) => {
                if context.local(to).migrating {
                    self.free(to);
                    context.send(to, from, Gossip::Took(0), 0);
                } else {
                    give(to, from, &vms, context);
                }
            }
            Gossip::Took(_) => self.free(to),
            Gossip::Nothing(left) => self.ask(to, left, context),
        }
    }

    fn executed(&mut self, agent: Agent, tag: u32, outcome: Outcome, context: &mut Context<Gossip>) {
        self.free(agent);
        context.send(agent, Agent(tag), Gossip::Took(outcome.done), 0);
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Gossip>) {
        self.free(host.agent());
        let phase = self.how.period_s * context.random(host.agent()).fraction();
        context.timer(host.agent(), phase, ROUND);
    }
}

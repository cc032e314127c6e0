//! Agents that weigh criteria: Yazir, Matthews, Farahbod, Neville, Guitouni, Ganti, Coady (IEEE CLOUD 2010), with
//! [PROMETHEE II](promethee) as in their later IMPROMPTU.
//!
//! Each host has an agent. All tell a shared store how they are; an agent that has something to decide gets what is known of all.
//! Is the host overloaded, it ranks its VMs (soon moved, nearest to what is too much, steady, not moved lately) and then the
//! hosts with room for the first of them (room, steady, nothing on its way, in use); the best one reserves, else the next, three
//! at most. Is the host used little, all of its VMs go, or none, to the hosts with the least room.
//!
//! Only the abstract could be read, so that this is in the manner of the paper, not a reproduction. Ours: the criteria and
//! weights (docs/EXPERIMENTS.md), the linear preference with 5 % and 30 % of the range, what is used
//! little (30 % of CPU and memory), fifty hosts at most that are compared, drawn from those with room; a host that could not be
//! emptied waits a minute; steadiness is the variance of CPU, each look weighing a quarter; hosts are never switched off, so that
//! "is on" is "is in use"; where no host has room for the first VM, the next is tried. A source has no migration under way, a
//! destination may.

mod choice;
pub mod promethee;
#[cfg(test)]
mod tests;

use crate::simulator::decision::{Decision, Effort, Move};
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{HOST_BYTES, VM_BYTES, Verdict, bytes_of};
use crate::simulator::world::{HostNow, HostState};
use choice::Leaver;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weighing {
    /// Seconds between two times that an agent tells the store how its host is.
    pub period_s: f64,
    /// How often a host looks whether it is overloaded, seconds.
    pub monitor_s: f64,
    /// Below this share of CPU and of memory a host is to be emptied; 0 = never.
    pub under: f64,
    /// Hosts that are compared at most.
    pub candidates: u32,
    /// Share of a host's CPU up to which it takes VMs of overloaded hosts.
    pub fill: f64,
    /// Share of a host's CPU and memory up to which it takes VMs of hosts that are used little.
    pub pack_fill: f64,
}

impl Default for Weighing {
    fn default() -> Self {
        Self { period_s: 3.0, monitor_s: 1.0, under: 0.3, candidates: 50, fill: 1.0, pack_fill: 0.85 }
    }
}

/// What destinations are weighed by.
#[derive(Debug, Clone, Copy)]
struct Criteria {
    packs: bool,
    cpu: f64,
    memory: f64,
}

impl Criteria {
    fn of(how: &Weighing, packs: bool) -> Self {
        if packs {
            Self { packs, cpu: how.pack_fill, memory: how.pack_fill }
        } else {
            Self { packs, cpu: how.fill, memory: 1.0 }
        }
    }

    fn weights(&self) -> &'static [f64] {
        // Free CPU, free memory, on its way; and variance, in use.
        if self.packs { &[0.5, 0.3, 0.2] } else { &[0.35, 0.2, 0.15, 0.2, 0.1] }
    }
}

/// What the store knows of a host.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    host: HostId,
    now: HostNow,
    variance: f64,
    at: f64,
}

impl Known {
    fn free(&self, how: &Criteria) -> (i64, i64) {
        let usable = |whole: u32, fill: f64| (f64::from(whole) * fill + 1e-6).floor() as i64;
        let cpu = usable(self.now.cpu, how.cpu) - i64::from(self.now.expected);
        (cpu, usable(self.now.memory, how.memory) - i64::from(self.now.held))
    }

    fn has_room(&self, vm: &ViewVm, how: &Criteria) -> bool {
        let (cpu, memory) = self.free(how);
        // Who is empty is not packed.
        i64::from(vm.demand) <= cpu && i64::from(vm.memory) <= memory && !(how.packs && self.now.vms == 0)
    }

    /// How good it is by each criterion; more is better.
    fn row(&self, how: &Criteria) -> Vec<f64> {
        let (cpu, memory) = self.free(how);
        let on_its_way = -f64::from(u8::from(self.now.migrating));
        if how.packs {
            vec![-(cpu as f64), -(memory as f64), on_its_way]
        } else {
            vec![cpu as f64, memory as f64, on_its_way, -self.variance, f64::from(u8::from(self.now.vms > 0))]
        }
    }

    fn enter(&mut self, vm: &ViewVm) {
        self.now.expected += vm.demand;
        self.now.held += vm.memory;
    }
}

/// What agents tell each other. Numbers are those of what an agent decides.
#[derive(Debug, Clone)]
pub enum Word {
    /// An agent to the store: so it is here.
    State(Box<Known>),
    /// An agent to the store: how are they all?
    Ask(u32),
    /// The store to an agent: so.
    All(u32, Vec<Known>),
    /// An agent to another: have room for these; they pack, or not.
    Reserve(u32, Vec<ViewVm>, bool),
    /// I have, or not.
    Reserved(u32, bool),
    /// They are on their way, or will not come.
    Begun,
}

/// Mean and variance of what something needs, the last looks weighing more.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    mean: f64,
    variance: f64,
    /// Since when it is where it is.
    since: f64,
    seen: bool,
}

impl Past {
    fn look(&mut self, value: f64) {
        if !std::mem::replace(&mut self.seen, true) {
            self.mean = value;
            return;
        }
        let far = value - self.mean;
        self.mean += far / 4.0;
        self.variance = 0.75 * (self.variance + far * far / 4.0);
    }
}

#[derive(Debug, Clone, Default)]
struct Node {
    past: Past,
    /// The number of what it is engaged in; 0 = nothing.
    engaged: u32,
    /// It does not try to be emptied before.
    not_before: f64,
    task: Option<Task>,
}

#[derive(Debug, Clone)]
struct Task {
    packs: bool,
    /// Destinations one after the other, or all VMs to be moved.
    moves: Vec<Move>,
    vms: BTreeMap<u32, ViewVm>,
    /// Who has reserved, and how many have not answered.
    reserved: Vec<HostId>,
    waiting: usize,
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct Mcda {
    how: Weighing,
    nodes: Vec<Node>,
    /// Of each VM, as its host knows it; it goes along with the VM.
    pasts: Vec<Past>,
    store: Vec<Option<Known>>,
    last: u32,
}

const TICK: u32 = 0;
/// Seconds for which something is waited.
const LOST_S: f64 = 1.0;
/// Seconds until a host that could not be emptied tries again.
const PAUSE_S: f64 = 60.0;
/// After so many periods without news the store forgets a host.
const SILENT: f64 = 3.0;
const LONG_S: f64 = 600.0;

impl Mcda {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Weighing) -> Self {
        Self { how, nodes: Vec::new(), pasts: Vec::new(), store: Vec::new(), last: 0 }
    }

    fn engage(&mut self, agent: Agent, context: &mut Context<Word>) -> u32 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.nodes[agent.index()].engaged = self.last;
        context.timer(agent, LOST_S, self.last);
        self.last
    }

    fn tick(&mut self, agent: Agent, context: &mut Context<Word>) {
        let (now, time) = (context.local(agent), context.now());
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        for vm in &vms {
            let at = vm.id.index();
            if self.pasts.len() <= at {
                self.pasts.resize(at + 1, Past::default());
            }
            self.pasts[at].look(f64::from(vm.demand));
        }
        let node = &mut self.nodes[agent.index()];
        node.past.look(f64::from(now.demand));
        let known = Known { host: HostId(agent.0), now, variance: node.past.variance, at: time };
        context.send(agent, context.service(0), Word::State(Box::new(known)), HOST_BYTES);
        let below = |used: u32, whole: u32| f64::from(used) < self.how.under * f64::from(whole);
        let is_under = below(now.expected, now.cpu) && below(now.held, now.memory);
        if is_under && now.vms > 0 && time >= node.not_before {
            self.begin(agent, true, context);
        }
    }

    fn begin(&mut self, agent: Agent, packs: bool, context: &mut Context<Word>) {
        if self.nodes[agent.index()].engaged != 0 || context.local(agent).migrating {
            return;
        }
        let number = self.engage(agent, context);
        let node = &mut self.nodes[agent.index()];
        if packs {
            node.not_before = context.now() + PAUSE_S;
        }
        node.task =
            Some(Task { packs, moves: Vec::new(), vms: BTreeMap::new(), reserved: Vec::new(), waiting: 0 });
        context.send(agent, context.service(0), Word::Ask(number), 0);
    }

    /// What the agent knows of all is there: it decides.
    fn weigh(&mut self, agent: Agent, number: u32, mut known: Vec<Known>, context: &mut Context<Word>) {
        let from = HostId(agent.0);
        let (now, time) = (context.local(agent), context.now());
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        let Some(task) = &mut self.nodes[agent.index()].task else { return };
        task.vms = vms.iter().map(|vm| (vm.id.0, *vm)).collect();
        let packs = task.packs;
        let criteria = Criteria::of(&self.how, packs);
        let smallest = vms.iter().filter(|vm| vm.demand > 0).min_by_key(|vm| vm.demand).copied();
        known.retain(|it| it.host != from && smallest.is_none_or(|vm| it.has_room(&vm, &criteria)));
        let most = self.how.candidates as usize;
        if known.len() > most {
            for at in 0..most {
                let other = at + context.random(agent).below((known.len() - at) as u32) as usize;
                known.swap(at, other);
            }
            known.truncate(most);
            known.sort_by_key(|it| it.host);
        }
        let excess = now.expected.saturating_sub((f64::from(now.cpu) * self.how.fill + 1e-6).floor() as u32);
        let leavers: Vec<Leaver> = vms
            .iter()
            .filter(|vm| !vm.migrating && vm.demand > 0)
            .map(|vm| {
                let past = self.pasts.get(vm.id.index()).copied().unwrap_or_default();
                Leaver { vm: *vm, variance: past.variance, stayed: (time - past.since).min(LONG_S) }
            })
            .collect();
        // While it computes it is engaged; the time-out is for what it hears of others.
        self.nodes[agent.index()].engaged = number;
        context.compute(agent, number, known.len() + 1, || {
            let (hosts, mut work) = (known.len() as u64, 0);
            let moves = if packs {
                choice::evacuation(from, vms, known, &criteria, &mut work)
            } else {
                choice::relief(from, excess, &leavers, &known, &criteria, &mut work)
            };
            let verdict = match (packs, moves.is_empty()) {
                (_, false) => Verdict::Plan,
                (true, true) => Verdict::Nothing,
                (false, true) => Verdict::NoPlan,
            };
            Decision { verdict, moves, effort: Effort { hosts, vms: leavers.len() as u64, work } }
        });
    }

    /// Asks the next destination of a VM, or all destinations of all.
    fn reserve(&mut self, agent: Agent, context: &mut Context<Word>) {
        let number = self.engage(agent, context);
        let Some(task) = &mut self.nodes[agent.index()].task else { return };
        let count = if task.packs { task.moves.len() } else { 1 };
        let mut by_host: BTreeMap<HostId, Vec<ViewVm>> = BTreeMap::new();
        for step in task.moves.iter().take(count) {
            by_host.entry(step.to).or_default().extend(task.vms.get(&step.vm.0));
        }
        task.waiting = by_host.len();
        if by_host.is_empty() {
            self.end(agent);
            return;
        }
        let packs = task.packs;
        for (host, vms) in by_host {
            let bytes = VM_BYTES * vms.len() as u64;
            context.send(agent, host.agent(), Word::Reserve(number, vms, packs), bytes);
        }
    }

    fn reserved(&mut self, (to, from): (Agent, Agent), number: u32, will: bool, context: &mut Context<Word>) {
        let node = &mut self.nodes[to.index()];
        let task = node.task.as_mut().filter(|_| node.engaged == number);
        let Some(task) = task else {
            if will {
                context.send(to, from, Word::Begun, 0);
            }
            return;
        };
        task.waiting = task.waiting.saturating_sub(1);
        if will {
            task.reserved.push(HostId(from.0));
        }
        if task.packs {
            if task.waiting > 0 {
                return;
            }
            let wanted = task.moves.iter().map(|step| step.to).collect::<std::collections::BTreeSet<_>>();
            let all = wanted.len() == task.reserved.len();
            let (moves, reserved) = (std::mem::take(&mut task.moves), std::mem::take(&mut task.reserved));
            self.end(to);
            if all {
                self.go(to, moves, context);
            }
            for host in reserved {
                context.send(to, host.agent(), Word::Begun, 0);
            }
        } else if will {
            let moves = vec![task.moves.remove(0)];
            self.end(to);
            self.go(to, moves, context);
            context.send(to, from, Word::Begun, 0);
        } else {
            task.moves.remove(0);
            self.reserve(to, context);
        }
    }

    fn go(&mut self, agent: Agent, moves: Vec<Move>, context: &mut Context<Word>) {
        let time = context.now();
        for step in &moves {
            if let Some(past) = self.pasts.get_mut(step.vm.index()) {
                past.since = time;
            }
        }
        context.execute(agent, 0, moves, Ordering::AtOnce);
    }

    fn end(&mut self, agent: Agent) {
        let node = &mut self.nodes[agent.index()];
        (node.engaged, node.task) = (0, None);
    }
}

impl Strategy for Mcda {
    type Message = Word;

    fn services(&self, _: usize) -> usize {
        1
    }

    fn monitor_period(&self) -> Option<f64> {
        Some(self.how.monitor_s)
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        let Some(node) = self.nodes.get(agent.index()) else {
            return bytes_of::<(HostId, Known)>(self.store.iter().flatten().count());
        };
        let task = node.task.as_ref().map_or(0, |task| {
            bytes_of::<Move>(task.moves.len())
                + bytes_of::<(u32, ViewVm)>(task.vms.len())
                + bytes_of::<HostId>(task.reserved.len())
        });
        // What is known of a VM goes along with it: each host is taken to have as many as the mean has.
        let pasts = self.pasts.len().div_ceil(self.nodes.len().max(1));
        bytes_of::<Node>(1) + bytes_of::<Past>(pasts) + task
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        self.nodes = vec![Node::default(); hosts];
        self.store = vec![None; hosts];
        for host in 0..hosts as u32 {
            self.came_up(HostId(host), context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        if timer == TICK {
            context.timer(agent, self.how.period_s, TICK);
            self.tick(agent, context);
            return;
        }
        let node = &mut self.nodes[agent.index()];
        if node.engaged == timer {
            let reserved = node.task.take().map(|task| task.reserved).unwrap_or_default();
            self.end(agent);
            for host in reserved {
                context.send(agent, host.agent(), Word::Begun, 0);
            }
        }
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        let now = context.local(host.agent());
        if now.expected > now.cpu {
            self.begin(host.agent(), false, context);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        match word {
            Word::State(known) => self.store[known.host.index()] = Some(*known),
            Word::Ask(number) => {
                let since = context.now() - SILENT * self.how.period_s;
                let known =
                    self.store.iter().flatten().filter(|it| {
                        it.at >= since && it.now.state == HostState::On && it.host.agent() != from
                    });
                let known: Vec<Known> = known.copied().collect();
                let bytes = HOST_BYTES * known.len() as u64;
                context.send(to, from, Word::All(number, known), bytes);
            }
            Word::All(number, known) => {
                if self.nodes[to.index()].engaged == number {
                    self.weigh(to, number, known, context);
                }
            }
            Word::Reserve(number, vms, packs) => {
                let now = context.local(to);
                let mut known = Known { host: HostId(to.0), now, variance: 0.0, at: 0.0 };
                let criteria = Criteria::of(&self.how, packs);
                let mut will = self.nodes[to.index()].engaged == 0;
                for vm in &vms {
                    will = will && known.has_room(vm, &criteria);
                    known.enter(vm);
                }
                if will {
                    self.engage(to, context);
                }
                context.send(to, from, Word::Reserved(number, will), 0);
            }
            Word::Reserved(number, will) => self.reserved((to, from), number, will, context),
            Word::Begun => self.end(to),
        }
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Word>) {
        let node = &mut self.nodes[agent.index()];
        let Some(task) = node.task.as_mut().filter(|_| node.engaged == tag) else { return };
        task.moves = decision.moves;
        self.reserve(agent, context);
    }

    fn executed(&mut self, agent: Agent, _: u32, _: Outcome, _: &mut Context<Word>) {
        self.nodes[agent.index()].not_before = 0.0;
    }

    fn coordinators(&self, context: &Context<Word>) -> Vec<Agent> {
        vec![context.service(0)]
    }

    fn coordinator_went_down(&mut self, _: u32, _: &mut Context<Word>) {
        self.store.fill(None);
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        self.nodes[host.index()] = Node::default();
        let phase = self.how.period_s * context.random(host.agent()).fraction();
        context.timer(host.agent(), phase, TICK);
    }
}

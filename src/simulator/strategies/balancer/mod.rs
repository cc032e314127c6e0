//! Collaborative dynamic load balancing, in the manner of Rouzaud-Cornabas (Euro-Par 2010 workshops): agents balance by what is
//! reserved on hosts (their quota) and by what is used of them.
//!
//! The agent of a host that has been overloaded for some looks in a row asks a few others, drawn from all, how they are. It picks
//! the VM that brings its own score nearest to the mean of theirs when it leaves, the one with the least memory of two alike, and
//! the host among them with room that has the lowest score with the VM. That one reserves, the VM goes. Where nobody will do,
//! twice as many are asked, until all have been.
//!
//! Only the abstract could be read, so that this is in the manner of the paper, not a reproduction. Ours: a score is the weighted
//! sum over CPU and memory of reserved and used shares, half and half; a look each second and three in a row; eight are asked
//! first; VMs have one core as their quota. The score with the VM must be lower than that of the host that it leaves, by `gain`,
//! where hosts are to be balanced for its own sake; it is 0, as quotas of hosts with as many VMs are alike and a host that is
//! asked for one more has already the higher score by that. There are no VMs that begin, so that placement is left out.

#[cfg(test)]
mod tests;

use crate::simulator::engine::{Context, Strategy, ViewVm};
use crate::simulator::ids::{Agent, HostId, VmId};
use crate::simulator::measures::{HOST_BYTES, VM_BYTES, bytes_of};
use crate::simulator::world::HostNow;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Balancing {
    /// How often an agent looks, seconds.
    pub monitor_s: f64,
    /// Looks in a row that must find the host overloaded.
    pub samples: u32,
    /// Others that are asked first; twice as many each time that nobody will do.
    pub asked: u32,
    /// Part of what is reserved in a score; the rest is what is used.
    pub quota_part: f64,
    /// Part of memory in a score; the rest is CPU.
    pub memory_part: f64,
    /// Milli-cores that a VM has reserved.
    pub quota: u32,
    /// How much lower the score of the destination must be.
    pub gain: f64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            monitor_s: 1.0,
            samples: 3,
            asked: 8,
            quota_part: 0.5,
            memory_part: 0.0,
            quota: 1000,
            gain: 0.0,
            fill: 1.0,
        }
    }
}

impl Balancing {
    /// The score of a host that uses so many milli-cores and MiB with so many VMs: the higher, the fuller.
    #[must_use]
    pub fn score(&self, host: &HostNow, cpu: u32, memory: u32, vms: u32) -> f64 {
        let of = |used: f64, whole: u32| used / f64::from(whole.max(1));
        let reserved = f64::from(vms) * f64::from(self.quota);
        let both = |reserved: f64, used: f64| self.quota_part * reserved + (1.0 - self.quota_part) * used;
        let cpu = both(of(reserved, host.cpu), of(f64::from(cpu), host.cpu));
        // What a VM has of memory, it has reserved.
        let memory = of(f64::from(memory), host.memory);
        (1.0 - self.memory_part) * cpu + self.memory_part * memory
    }

    fn own(&self, host: &HostNow) -> f64 {
        self.score(host, host.expected, host.held, host.vms)
    }

    fn without(&self, host: &HostNow, vm: &ViewVm) -> f64 {
        let (cpu, memory) = (host.expected.saturating_sub(vm.demand), host.held.saturating_sub(vm.memory));
        self.score(host, cpu, memory, host.vms.saturating_sub(1))
    }

    fn with(&self, host: &HostNow, vm: &ViewVm) -> f64 {
        self.score(host, host.expected + vm.demand, host.held + vm.memory, host.vms + 1)
    }

    fn has_room(&self, host: &HostNow, vm: &ViewVm) -> bool {
        let usable = (f64::from(host.cpu) * self.fill + 1e-6).floor() as u32;
        !host.migrating && host.expected + vm.demand <= usable && host.held + vm.memory <= host.memory
    }

    /// Which VM leaves, so that the host comes nearest to a score.
    #[must_use]
    pub fn leaving(&self, host: &HostNow, vms: &[ViewVm], mean: f64) -> Option<ViewVm> {
        let candidates = vms.iter().filter(|vm| !vm.migrating && vm.demand > 0);
        let far = |vm: &ViewVm| (self.without(host, vm) - mean).abs();
        let before = |a: &&ViewVm, b: &&ViewVm| {
            far(a).total_cmp(&far(b)).then((a.memory, a.id).cmp(&(b.memory, b.id)))
        };
        candidates.min_by(before).copied()
    }

    /// The host with room that has the lowest score with the VM, lower than that of its own host by enough.
    #[must_use]
    pub fn destination(
        &self,
        own: &HostNow,
        vm: &ViewVm,
        answers: &BTreeMap<HostId, HostNow>,
    ) -> Option<HostId> {
        let limit = self.own(own) - self.gain;
        let fitting = answers.iter().filter(|(_, host)| self.has_room(host, vm));
        let scored = fitting.map(|(id, host)| (self.with(host, vm), *id));
        let best = scored.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        best.filter(|(score, _)| *score < limit).map(|(_, id)| id)
    }
}

/// What agents tell each other. Numbers are those of searches.
#[derive(Debug, Clone)]
pub enum Word {
    /// How are you?
    Ask(u32),
    /// So.
    State(u32, Box<HostNow>),
    /// Have room for this one.
    Reserve(u32, ViewVm),
    /// I have, or not.
    Reserved(u32, VmId, bool),
    /// It is on its way, or will not come.
    Begun,
}

#[derive(Debug, Clone)]
struct Search {
    number: u32,
    /// How many are asked this time.
    size: u32,
    waiting: BTreeSet<HostId>,
    answers: BTreeMap<HostId, HostNow>,
    reserving: bool,
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct Balancer {
    how: Balancing,
    searches: BTreeMap<Agent, Search>,
    last_search: u32,
    /// Of each host: looks in a row that found it overloaded, and when the last one was.
    looks: Vec<(u32, f64)>,
    /// Of each host: for whom it has reserved; given up after a second.
    reserved: Vec<Option<(Agent, f64)>>,
}

/// Seconds for which an answer is waited.
const ANSWERS_S: f64 = 1.0;

impl Balancer {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Balancing) -> Self {
        Self { how, searches: BTreeMap::new(), last_search: 0, looks: Vec::new(), reserved: Vec::new() }
    }

    /// Asks so many, drawn from all others.
    fn ask(&mut self, agent: Agent, size: u32, context: &mut Context<Word>) {
        let others = context.host_count() as u32 - 1;
        if others == 0 {
            return;
        }
        let size = size.min(others);
        let mut waiting = BTreeSet::new();
        // Floyd's way to draw some of many.
        for last in others - size..others {
            let drawn = context.random(agent).below(last + 1);
            let of = |drawn: u32| HostId(if drawn >= agent.0 { drawn + 1 } else { drawn });
            if !waiting.insert(of(drawn)) {
                waiting.insert(of(last));
            }
        }
        self.last_search = self.last_search.wrapping_add(1);
        let number = self.last_search;
        for host in &waiting {
            context.send(agent, host.agent(), Word::Ask(number), 0);
        }
        let search = Search { number, size, waiting, answers: BTreeMap::new(), reserving: false };
        self.searches.insert(agent, search);
        context.timer(agent, ANSWERS_S, number);
    }

    fn search(&mut self, agent: Agent, number: u32) -> Option<&mut Search> {
        self.searches.get_mut(&agent).filter(|search| search.number == number)
    }

    /// All have answered, or nobody is waited for any more.
    fn choose(&mut self, agent: Agent, context: &mut Context<Word>) {
        let Some(search) = self.searches.get_mut(&agent) else { return };
        search.waiting.clear();
        let own = context.local(agent);
        if own.migrating || own.expected <= own.cpu {
            self.searches.remove(&agent);
            return;
        }
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        let how = self.how;
        let scores: Vec<f64> = search.answers.values().map(|host| how.own(host)).collect();
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        let vm = how.leaving(&own, &vms, mean);
        let found = vm.and_then(|vm| Some((vm, how.destination(&own, &vm, &search.answers)?)));
        let Some((vm, host)) = found else {
            self.more(agent, context);
            return;
        };
        search.reserving = true;
        search.answers.remove(&host);
        // What is heard from now on is of this: the number changes.
        self.last_search = self.last_search.wrapping_add(1);
        search.number = self.last_search;
        context.timer(agent, ANSWERS_S, search.number);
        context.send(agent, host.agent(), Word::Reserve(search.number, vm), VM_BYTES);
    }

    /// Nobody will do: twice as many are asked, unless all have been.
    fn more(&mut self, agent: Agent, context: &mut Context<Word>) {
        let Some(search) = self.searches.remove(&agent) else { return };
        if (search.size as usize) < context.host_count() - 1 {
            self.ask(agent, search.size.saturating_mul(2), context);
        }
    }

    fn reserve(&mut self, (to, from): (Agent, Agent), number: u32, vm: ViewVm, context: &mut Context<Word>) {
        let (own, time) = (context.local(to), context.now());
        let taken = self.reserved[to.index()].is_some_and(|(_, until)| until > time);
        let will = !taken && !self.searches.contains_key(&to) && self.how.has_room(&own, &vm);
        if will {
            self.reserved[to.index()] = Some((from, time + ANSWERS_S));
        }
        context.send(to, from, Word::Reserved(number, vm.id, will), 0);
    }
}

impl Strategy for Balancer {
    type Message = Word;

    fn monitor_period(&self) -> Option<f64> {
        Some(self.how.monitor_s)
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        let search = self.searches.get(&agent).map_or(0, |search| {
            bytes_of::<Search>(1)
                + bytes_of::<HostId>(search.waiting.len())
                + bytes_of::<(HostId, HostNow)>(search.answers.len())
        });
        bytes_of::<(u32, f64)>(1) + bytes_of::<Option<(Agent, f64)>>(1) + search
    }

    fn start(&mut self, context: &mut Context<Word>) {
        self.looks = vec![(0, f64::NEG_INFINITY); context.host_count()];
        self.reserved = vec![None; context.host_count()];
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        let (agent, time) = (host.agent(), context.now());
        let (count, last) = &mut self.looks[host.index()];
        *count = if time - *last < 1.5 * self.how.monitor_s { *count + 1 } else { 1 };
        *last = time;
        let own = context.local(agent);
        if *count >= self.how.samples
            && own.expected > own.cpu
            && !own.migrating
            && !self.searches.contains_key(&agent)
        {
            self.ask(agent, self.how.asked, context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        let Some(search) = self.search(agent, timer) else { return };
        if search.reserving {
            // Nobody has answered: the next best.
            search.reserving = false;
            self.choose(agent, context);
        } else if !search.waiting.is_empty() {
            self.choose(agent, context);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        match word {
            Word::Ask(number) => {
                let now = context.local(to);
                context.send(to, from, Word::State(number, Box::new(now)), HOST_BYTES);
            }
            Word::State(number, now) => {
                let Some(search) = self.search(to, number).filter(|search| !search.waiting.is_empty()) else {
                    return;
                };
                search.waiting.remove(&HostId(from.0));
                search.answers.insert(HostId(from.0), *now);
                if search.waiting.is_empty() {
                    self.choose(to, context);
                }
            }
            Word::Reserve(number, vm) => self.reserve((to, from), number, vm, context),
            Word::Reserved(number, vm, will) => {
                let waited = self.search(to, number).is_some();
                if waited && will {
                    self.searches.remove(&to);
                    context.migrate(to, from.0, vm, HostId(from.0));
                } else if waited {
                    self.choose(to, context);
                }
                if will {
                    context.send(to, from, Word::Begun, 0);
                }
            }
            Word::Begun => {
                self.reserved[to.index()] = self.reserved[to.index()].filter(|(by, _)| *by != from);
            }
        }
    }

    fn came_up(&mut self, host: HostId, _: &mut Context<Word>) {
        self.searches.remove(&host.agent());
        self.reserved[host.index()] = None;
        self.looks[host.index()] = (0, f64::NEG_INFINITY);
    }
}

//! Bernoulli trials: ecoCloud (Mastroianni, Meo, Papuzzo, Euro-Par 2011 and IEEE TCC 2013).
//!
//! A host that is used little, or nearly too much, lets chance decide, by a function of its use, whether one of its VMs should
//! leave. A manager then invites other hosts; each lets chance decide, by another function of its use, whether it is available,
//! and the manager takes one of these. Who is left without VMs sleeps. Where nobody is available for a VM of a host that is
//! used too much, a sleeping host is woken. Of CPU and memory the one that is used more counts.
//!
//! Ours: which hosts sleep outlasts a failure of the manager; the manager waits a tenth of a second for answers; a host that has just been woken accepts unconditionally for half an
//! hour; one migration of a host at a time. Where `invited` is set, so many hosts are drawn instead of a broadcast.

use crate::simulator::engine::{Context, Outcome, Strategy, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{VM_BYTES, bytes_of};
use crate::simulator::world::HostNow;
use serde::{Deserialize, Serialize};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trials {
    /// Seconds between two trials of a host.
    pub period_s: f64,
    /// Use up to which a host accepts VMs.
    pub accept: f64,
    /// Shape of the function of acceptance.
    pub shape: f64,
    /// Below this use VMs leave, so that the host may sleep.
    pub low: f64,
    /// Exponent of the function for those.
    pub alpha: f64,
    /// Above this use VMs leave, so that the host is not overloaded.
    pub high: f64,
    /// Exponent of the function for those.
    pub beta: f64,
    /// Hosts that are invited; 0 = all.
    pub invited: u32,
    /// Whether empty hosts are switched off.
    pub sleep: bool,
    /// Whether memory has a trial of its own (the paper of 2013), or is only not to be used beyond `accept` (that of 2011).
    pub memory_trial: bool,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            period_s: 30.0,
            accept: 0.9,
            shape: 3.0,
            low: 0.5,
            alpha: 0.25,
            high: 0.95,
            beta: 0.25,
            invited: 0,
            sleep: true,
            memory_trial: false,
        }
    }
}

impl Trials {
    /// How probably a host that is used by `x` accepts a VM, up to a use of `limit`: 0 when it is empty or at the limit, 1 in
    /// between, where the next VM fills it best.
    #[must_use]
    pub fn acceptance(&self, x: f64, limit: f64) -> f64 {
        if !(0.0..=limit).contains(&x) || limit <= 0.0 {
            return 0.0;
        }
        let p = self.shape;
        let most = p.powf(p) / (p + 1.0).powf(p + 1.0) * limit.powf(p + 1.0);
        (x.powf(p) * (limit - x) / most).min(1.0)
    }

    /// How probably a VM leaves a host that is used little: 1 when it is nearly empty.
    #[must_use]
    pub fn leaving_low(&self, x: f64) -> f64 {
        if x < self.low { (1.0 - x / self.low).powf(self.alpha) } else { 0.0 }
    }

    /// How probably a VM leaves a host that is used too much: 1 when it is full.
    #[must_use]
    pub fn leaving_high(&self, x: f64) -> f64 {
        if x > self.high { (1.0 + (x - 1.0) / (1.0 - self.high)).min(1.0).powf(self.beta) } else { 0.0 }
    }
}

/// What agents tell each other.
#[derive(Debug, Clone, Copy)]
pub enum Word {
    /// A host to the manager: find a place for this VM.
    Place(ViewVm, Call),
    /// The manager to a host: would you take this VM?
    Invite(u32, ViewVm, f64),
    /// A host to the manager: I would.
    Available(u32),
    /// The manager to the host that asked: go there.
    Go(ViewVm, HostId),
    /// The manager to the host that asked: nobody.
    Nobody,
    /// A host to the manager: I sleep from now on.
    Asleep,
}

/// What a place is looked for with.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Use of the destination at most.
    limit: f64,
    /// Whether a sleeping host may be woken for it.
    may_wake: bool,
}

#[derive(Debug, Clone)]
struct Search {
    from: Agent,
    vm: ViewVm,
    call: Call,
    available: Vec<Agent>,
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct EcoCloud {
    how: Trials,
    /// Of the manager: what it looks for; a number is used once.
    searches: std::collections::BTreeMap<u32, Search>,
    next_search: u32,
    /// Of the manager: who sleeps, and what woken hosts are for.
    asleep: std::collections::BTreeSet<HostId>,
    waking: std::collections::BTreeMap<HostId, (Agent, ViewVm)>,
    /// Of each host: whether a VM of it is being placed, and until when it accepts everything.
    placing: Vec<bool>,
    eager_until: Vec<f64>,
    room: Vec<ViewVm>,
}

/// Seconds that the manager waits for answers.
const ANSWERS_S: f64 = 0.1;
/// Seconds for which a host that was woken accepts everything.
const EAGER_S: f64 = 1800.0;
/// Seconds after which a host does not wait for the manager any more.
const GIVE_UP_S: f64 = 400.0;

/// Timers of hosts; those of the manager are numbers of searches.
const TRIAL: u32 = 0;
const GIVE_UP: u32 = 1;

impl EcoCloud {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Trials) -> Self {
        Self {
            how,
            searches: std::collections::BTreeMap::new(),
            next_search: 0,
            asleep: std::collections::BTreeSet::new(),
            waking: std::collections::BTreeMap::new(),
            placing: Vec::new(),
            eager_until: Vec::new(),
            room: Vec::new(),
        }
    }

    /// A host looks at itself.
    fn trial(&mut self, agent: Agent, context: &mut Context<Word>) {
        let now = context.local(agent);
        if now.vms == 0 && !now.migrating {
            if self.how.sleep && context.now() >= self.eager_until[agent.index()] && context.switch_off(agent)
            {
                context.send(agent, context.service(0), Word::Asleep, 0);
            }
            return;
        }
        if self.placing[agent.index()] || now.migrating {
            return;
        }
        let x = share(&now);
        let (probability, high) = if x > self.how.high {
            (self.how.leaving_high(x), true)
        } else {
            (self.how.leaving_low(x), false)
        };
        if probability <= 0.0 || !context.random(agent).happens(probability) {
            return;
        }
        let Some(vm) = self.pick(agent, &now, high.then_some(x), context) else { return };
        let limit = if high { 0.9 * x } else { self.how.accept };
        self.placing[agent.index()] = true;
        context.timer(agent, GIVE_UP_S, GIVE_UP);
        let call = Call { limit: limit.min(self.how.accept), may_wake: high };
        context.send(agent, context.service(0), Word::Place(vm, call), VM_BYTES);
    }

    /// Which VM leaves: any one; where too much is used, one that is enough, else the largest.
    fn pick(
        &mut self,
        agent: Agent,
        now: &HostNow,
        high: Option<f64>,
        context: &mut Context<Word>,
    ) -> Option<ViewVm> {
        let mut vms = std::mem::take(&mut self.room);
        context.local_vms(agent, &mut vms);
        let part = |vm: &ViewVm| f64::from(vm.demand) / f64::from(now.cpu.max(1));
        let largest = vms.iter().copied().max_by_key(|vm| (vm.demand, vm.id));
        if let Some(x) = high {
            vms.retain(|vm| part(vm) > x - self.how.high);
        }
        let drawn = context.random(agent).below(vms.len() as u32) as usize;
        let vm = vms.get(drawn).copied().or(largest);
        self.room = vms;
        vm
    }

    /// The manager looks for a place.
    fn place(&mut self, from: Agent, vm: ViewVm, call: Call, context: &mut Context<Word>) {
        let manager = context.service(0);
        let number = self.next_search;
        self.next_search += 1;
        self.searches.insert(number, Search { from, vm, call, available: Vec::new() });
        let hosts = context.host_count() as u32;
        let invite = Word::Invite(number, vm, call.limit);
        if self.how.invited == 0 {
            for host in (0..hosts).map(HostId).filter(|host| host.agent() != from) {
                if !self.asleep.contains(&host) {
                    context.send(manager, host.agent(), invite, VM_BYTES);
                }
            }
        } else {
            for _ in 0..self.how.invited.min(hosts) {
                let host = HostId(context.random(manager).below(hosts));
                if host.agent() != from && !self.asleep.contains(&host) {
                    context.send(manager, host.agent(), invite, VM_BYTES);
                }
            }
        }
        context.timer(manager, ANSWERS_S, number);
    }

    /// The manager has waited for answers.
    fn choose(&mut self, number: u32, context: &mut Context<Word>) {
        let Some(Search { from, vm, call, mut available }) = self.searches.remove(&number) else { return };
        let manager = context.service(0);
        available.sort_unstable();
        available.dedup();
        if available.is_empty() {
            match if call.may_wake { self.asleep.pop_first() } else { None } {
                Some(host) => {
                    self.waking.insert(host, (from, vm));
                    context.switch_on(host);
                }
                None => context.send(manager, from, Word::Nobody, 0),
            }
            return;
        }
        let drawn = context.random(manager).below(available.len() as u32) as usize;
        context.send(manager, from, Word::Go(vm, HostId(available[drawn].0)), VM_BYTES);
    }

    /// A host is asked whether it would take a VM.
    fn invited(&mut self, agent: Agent, vm: &ViewVm, limit: f64, context: &mut Context<Word>) -> bool {
        let now = context.local(agent);
        let uses = [(now.expected, vm.demand, now.cpu), (now.held, vm.memory, now.memory)].map(
            |(used, more, whole)| {
                let whole = f64::from(whole.max(1));
                (f64::from(used) / whole, f64::from(used + more) / whole)
            },
        );
        if uses.iter().any(|(_, after)| *after > limit) {
            return false;
        }
        if context.now() < self.eager_until[agent.index()] {
            return true;
        }
        let how = self.how;
        uses.iter()
            .take(1 + usize::from(how.memory_trial))
            .all(|(x, _)| context.random(agent).happens(how.acceptance(*x, limit)))
    }
}

/// How much of a host is expected to be used, by the resource that is used most.
fn share(host: &HostNow) -> f64 {
    let of = |used: u32, whole: u32| f64::from(used) / f64::from(whole.max(1));
    of(host.expected, host.cpu).max(of(host.held, host.memory))
}

impl Strategy for EcoCloud {
    type Message = Word;

    fn services(&self, _: usize) -> usize {
        1
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        if self.placing.get(agent.index()).is_some() {
            return bytes_of::<(bool, f64)>(1);
        }
        let available = self.searches.values().map(|search| search.available.len()).sum();
        bytes_of::<(u32, Search)>(self.searches.len())
            + bytes_of::<Agent>(available)
            + bytes_of::<HostId>(self.asleep.len())
            + bytes_of::<(HostId, Agent, ViewVm)>(self.waking.len())
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        self.placing = vec![false; hosts];
        self.eager_until = vec![f64::NEG_INFINITY; hosts];
        for host in 0..hosts as u32 {
            self.begin(HostId(host), context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        if context.host_of(agent).is_none() {
            self.choose(timer, context);
        } else if timer == GIVE_UP {
            self.placing[agent.index()] = false;
        } else {
            context.timer(agent, self.how.period_s, TRIAL);
            self.trial(agent, context);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        match word {
            Word::Place(vm, call) => self.place(from, vm, call, context),
            Word::Invite(number, vm, limit) => {
                if self.invited(to, &vm, limit, context) {
                    context.send(to, from, Word::Available(number), 0);
                }
            }
            Word::Available(number) => {
                if let Some(search) = self.searches.get_mut(&number) {
                    search.available.push(from);
                }
            }
            Word::Go(vm, host) => context.migrate(to, 0, vm.id, host),
            Word::Nobody => self.placing[to.index()] = false,
            Word::Asleep => _ = self.asleep.insert(HostId(from.0)),
        }
    }

    fn executed(&mut self, agent: Agent, _: u32, _: Outcome, _: &mut Context<Word>) {
        self.placing[agent.index()] = false;
    }

    fn coordinators(&self, context: &Context<Word>) -> Vec<Agent> {
        vec![context.service(0)]
    }

    fn coordinator_went_down(&mut self, _: u32, _: &mut Context<Word>) {
        self.searches.clear();
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        self.placing[host.index()] = false;
        self.asleep.remove(&host);
        self.begin(host, context);
        if let Some((from, vm)) = self.waking.remove(&host) {
            self.eager_until[host.index()] = context.now() + EAGER_S;
            let manager = context.service(0);
            context.send(manager, from, Word::Go(vm, host), VM_BYTES);
        }
    }
}

impl EcoCloud {
    /// A host begins its trials, not at the same time as others.
    fn begin(&mut self, host: HostId, context: &mut Context<Word>) {
        let phase = self.how.period_s * context.random(host.agent()).fraction();
        context.timer(host.agent(), phase, TRIAL);
    }
}

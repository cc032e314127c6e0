//! Consolidation by random neighbourhoods: Feller, Morin, Esnault (`CloudCom` 2012, RR-8032).
//!
//! Hosts know a few others by [CYCLON](super::overlay). Now and then a host locks those that it knows; who is locked already,
//! or migrates, refuses. With the state of those that are locked, and its own, it computes a packing (first fit decreasing,
//! Sercon, or an ant colony), has it carried out if it releases a host, and unlocks them. As views change all the time, packings
//! of a few become one of all. A lock ends by itself after its lease, which is
//! renewed as long as the plan is carried out.
//!
//! Ours: a neighbourhood is the whole view; the constants (16 neighbours, a shuffle of 8 entries each 10 s, a packing each
//! 180 s, a lease of 60 s); who does not answer within a second takes no part; all migrations of a plan begin at once. The
//! paper does not say what is done about overloads. So here a host that finds itself overloaded can (`when`) lock its
//! neighbourhood at once and have the solver repair it: the very decision of the other strategies, on a random partition.

#[cfg(test)]
mod tests;

use super::overlay::{Overlay, Shuffle};
use crate::simulator::decision::{Algorithm, Colony, Decision, Packing, Repair, pack, repair};
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, View, ViewHost, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{HOST_BYTES, VM_BYTES, Verdict, bytes_of};
use crate::simulator::world::HostNow;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When a host locks its neighbourhood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Each period, to pack.
    Periodic,
    /// When it is overloaded, to repair.
    Overload,
    /// Both.
    Both,
}

/// By which rule it packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// First fit decreasing.
    Ffd,
    /// Sercon.
    Sercon,
    /// An ant colony.
    Aco,
}

impl Rule {
    /// The algorithm, as it comes.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Ffd => Algorithm::Ffd,
            Self::Sercon => Algorithm::Sercon,
            Self::Aco => Algorithm::Aco(Colony::default()),
        }
    }
}

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Neighbourhoods {
    /// When a host locks its neighbourhood.
    pub when: When,
    /// By which rule it packs.
    pub decide: Rule,
    /// Others that a host knows.
    pub neighbours: u32,
    /// Entries that are swapped.
    pub shuffle: u32,
    /// Seconds between two swaps of a host.
    pub shuffle_s: f64,
    /// Seconds between two packings that a host begins.
    pub period_s: f64,
    /// Seconds after which a lock ends by itself.
    pub lease_s: f64,
    /// How often a host looks whether it is overloaded, seconds.
    pub monitor_s: f64,
    /// Share of a host's CPU and memory up to which it is packed.
    pub fill: f64,
    /// Share of a host's CPU up to which a repair puts VMs there.
    pub repair_fill: f64,
    /// Units of the solver's work for a repair.
    pub work_limit: u64,
}

impl Default for Neighbourhoods {
    fn default() -> Self {
        let repair = Repair::default();
        Self {
            when: When::Periodic,
            decide: Rule::Aco,
            neighbours: 16,
            shuffle: 8,
            shuffle_s: 10.0,
            period_s: 180.0,
            lease_s: 60.0,
            monitor_s: 1.0,
            fill: 0.85,
            repair_fill: repair.fill,
            work_limit: repair.work_limit,
        }
    }
}

/// What hosts tell each other. Numbers are those of rounds.
#[derive(Debug, Clone)]
pub enum Word {
    /// About the overlay.
    Overlay(Shuffle),
    /// Be mine for a while.
    Lock(u32),
    /// I am, and this is how I am.
    Granted(u32, Box<HostNow>, Vec<ViewVm>),
    /// I am not.
    Refused(u32),
    /// It lasts longer: be mine for another while.
    Keep(u32),
    /// You are free.
    Unlock(u32),
}

#[derive(Debug, Clone)]
struct Round {
    number: u32,
    packs: bool,
    /// Whether its plan is under way.
    applies: bool,
    asked: f64,
    /// Who has not answered yet; `None` = nobody is waited for any more.
    waiting: Option<BTreeSet<HostId>>,
    answers: BTreeMap<HostId, (HostNow, Vec<ViewVm>)>,
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct P2p {
    how: Neighbourhoods,
    overlay: Overlay,
    /// Of each host, the round that it is locked for; 0 = none.
    locked: Vec<u32>,
    /// Of each host, when that ends by itself.
    lease: Vec<f64>,
    rounds: BTreeMap<Agent, Round>,
    last_round: u32,
}

const PACK: u32 = 0;
const SHUFFLE: u32 = 1;
/// Timers from here on are of rounds.
const ROUNDS: u32 = 2;
/// Seconds for which answers are waited.
const ANSWERS_S: f64 = 1.0;

impl P2p {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Neighbourhoods) -> Self {
        let overlay = Overlay::new(0, 0, 1);
        let (locked, lease) = (Vec::new(), Vec::new());
        Self { how, overlay, locked, lease, rounds: BTreeMap::new(), last_round: 0 }
    }

    /// Locks the neighbourhood, unless the host itself is locked or migrates.
    fn begin(&mut self, agent: Agent, packs: bool, context: &mut Context<Word>) {
        let own = context.local(agent);
        if self.locked[agent.index()] != 0 || own.migrating {
            return;
        }
        self.last_round = self.last_round.checked_add(1).filter(|it| *it < u32::MAX - ROUNDS).unwrap_or(1);
        let number = self.last_round;
        self.locked[agent.index()] = number;
        let members: BTreeSet<HostId> = self.overlay.known(HostId(agent.0)).collect();
        for host in &members {
            context.send(agent, host.agent(), Word::Lock(number), 0);
        }
        let asked = context.now();
        let round =
            Round { number, packs, applies: false, asked, waiting: Some(members), answers: BTreeMap::new() };
        self.rounds.insert(agent, round);
        context.timer(agent, ANSWERS_S, ROUNDS + number);
    }

    fn lock(&mut self, agent: Agent, by: Agent, number: u32, context: &mut Context<Word>) {
        let now = context.local(agent);
        if self.locked[agent.index()] != 0 || now.migrating {
            context.send(agent, by, Word::Refused(number), 0);
            return;
        }
        self.locked[agent.index()] = number;
        self.hold(agent, number, context);
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        let bytes = HOST_BYTES + VM_BYTES * vms.len() as u64;
        context.send(agent, by, Word::Granted(number, Box::new(now), vms), bytes);
    }

    /// A host is locked for another lease.
    fn hold(&mut self, agent: Agent, number: u32, context: &mut Context<Word>) {
        self.lease[agent.index()] = context.now() + self.how.lease_s;
        context.timer(agent, self.how.lease_s, ROUNDS + number);
    }

    /// Who leads tells the others that its plan is not at its end.
    fn keep(&mut self, agent: Agent, context: &mut Context<Word>) {
        let Some(round) = self.rounds.get(&agent) else { return };
        for host in round.answers.keys().filter(|host| host.agent() != agent) {
            context.send(agent, host.agent(), Word::Keep(round.number), 0);
        }
        context.timer(agent, self.how.lease_s / 2.0, ROUNDS + round.number);
    }

    /// Somebody has answered; the last one ends the waiting.
    fn answered(
        &mut self,
        (agent, from): (Agent, Agent),
        number: u32,
        state: Option<(HostNow, Vec<ViewVm>)>,
        context: &mut Context<Word>,
    ) {
        let round = self.rounds.get_mut(&agent).filter(|round| round.number == number);
        let waiting = round.and_then(|round| round.waiting.as_mut().map(|it| (it, &mut round.answers)));
        let Some((waiting, answers)) = waiting else {
            // Too late: it is not needed any more.
            if state.is_some() {
                context.send(agent, from, Word::Unlock(number), 0);
            }
            return;
        };
        waiting.remove(&HostId(from.0));
        if let Some(state) = state {
            answers.insert(HostId(from.0), state);
        }
        if waiting.is_empty() {
            self.gathered(agent, context);
        }
    }

    /// Nobody is waited for any more.
    fn gathered(&mut self, agent: Agent, context: &mut Context<Word>) {
        let Some(round) = self.rounds.get_mut(&agent) else { return };
        round.waiting = None;
        if round.answers.is_empty() {
            self.end(agent, context);
            return;
        }
        let mut own = Vec::new();
        context.local_vms(agent, &mut own);
        round.answers.insert(HostId(agent.0), (context.local(agent), own));
        let mut view = View::default();
        for (id, (now, vms)) in &round.answers {
            view.hosts.push(ViewHost { id: *id, now: *now, first_vm: view.vms.len() as u32 });
            view.vms.extend_from_slice(vms);
        }
        context.rounds.looked(context.now() - round.asked);
        for host in view.hosts.iter().filter(|host| host.now.is_over()) {
            context.detected(host.id);
        }
        let (how, packs) = (self.how, round.packs);
        let number = round.number;
        context.compute(agent, number, view.hosts.len(), || {
            if packs {
                pack(&view, Packing { algorithm: how.decide.algorithm(), fill: how.fill })
            } else {
                let repairing =
                    Repair { fill: how.repair_fill, work_limit: how.work_limit, ..Repair::default() };
                repair(&view, repairing)
            }
        });
    }

    /// Unlocks all.
    fn end(&mut self, agent: Agent, context: &mut Context<Word>) {
        let Some(round) = self.rounds.remove(&agent) else { return };
        self.locked[agent.index()] = 0;
        for host in round.answers.keys().filter(|host| host.agent() != agent) {
            context.send(agent, host.agent(), Word::Unlock(round.number), 0);
        }
    }

    fn is_of(&self, agent: Agent, number: u32) -> bool {
        self.rounds.get(&agent).is_some_and(|round| round.number == number)
    }
}

impl Strategy for P2p {
    type Message = Word;

    fn monitor_period(&self) -> Option<f64> {
        (self.how.when != When::Periodic).then_some(self.how.monitor_s)
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        let round = self.rounds.get(&agent).map_or(0, |round| {
            let vms = round.answers.values().map(|(_, vms)| vms.len()).sum();
            bytes_of::<Round>(1)
                + bytes_of::<HostId>(round.waiting.as_ref().map_or(0, BTreeSet::len))
                + bytes_of::<(HostId, HostNow, Vec<ViewVm>)>(round.answers.len())
                + bytes_of::<ViewVm>(vms)
        });
        // Whom it is locked for, and until when.
        self.overlay.state_bytes(HostId(agent.0)) + bytes_of::<(u32, f64)>(1) + round
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        self.overlay = Overlay::new(hosts, self.how.neighbours, self.how.shuffle);
        self.locked = vec![0; hosts];
        self.lease = vec![0.0; hosts];
        for host in 0..hosts as u32 {
            self.came_up(HostId(host), context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        match timer {
            PACK => {
                context.timer(agent, self.how.period_s, PACK);
                if context.local(agent).vms > 0 {
                    self.begin(agent, true, context);
                }
            }
            SHUFFLE => {
                context.timer(agent, self.how.shuffle_s, SHUFFLE);
                if let Some((other, word)) = self.overlay.begin(HostId(agent.0), context.random(agent)) {
                    let bytes = word.bytes();
                    context.send(agent, other.agent(), Word::Overlay(word), bytes);
                }
            }
            _ => {
                let number = timer - ROUNDS;
                if self.is_of(agent, number) {
                    if self.rounds[&agent].waiting.is_some() {
                        self.gathered(agent, context);
                    } else if self.rounds[&agent].applies {
                        self.keep(agent, context);
                    }
                } else if self.locked[agent.index()] == number && context.now() >= self.lease[agent.index()] {
                    self.locked[agent.index()] = 0;
                }
            }
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        match word {
            Word::Overlay(word) => {
                if let Some(answer) =
                    self.overlay.hear(HostId(to.0), HostId(from.0), &word, context.random(to))
                {
                    let bytes = answer.bytes();
                    context.send(to, from, Word::Overlay(answer), bytes);
                }
            }
            Word::Lock(number) => self.lock(to, from, number, context),
            Word::Granted(number, now, vms) => {
                self.answered((to, from), number, Some((*now, vms)), context);
            }
            Word::Refused(number) => self.answered((to, from), number, None, context),
            Word::Keep(number) => {
                if self.locked[to.index()] == number {
                    self.hold(to, number, context);
                }
            }
            Word::Unlock(number) => {
                if self.locked[to.index()] == number {
                    self.locked[to.index()] = 0;
                }
            }
        }
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        let now = context.local(host.agent());
        if now.expected > now.cpu {
            self.begin(host.agent(), false, context);
        }
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Word>) {
        if !self.is_of(agent, tag) {
            return;
        }
        if decision.verdict != Verdict::Plan {
            self.end(agent, context);
            return;
        }
        if let Some(round) = self.rounds.get_mut(&agent) {
            round.applies = true;
            context.timer(agent, self.how.lease_s / 2.0, ROUNDS + tag);
        }
        // Those that others have to move are told to them, and they tell when it is done.
        let sources: BTreeSet<HostId> = decision.moves.iter().map(|step| step.from).collect();
        for host in sources.into_iter().filter(|host| host.agent() != agent) {
            let moves = decision.moves.iter().filter(|step| step.from == host).count() as u64;
            context.count(agent, host.agent(), VM_BYTES * moves);
            context.count(host.agent(), agent, 0);
        }
        context.execute(agent, tag, decision.moves, Ordering::AtOnce);
    }

    fn executed(&mut self, agent: Agent, tag: u32, _: Outcome, context: &mut Context<Word>) {
        if self.is_of(agent, tag) {
            self.end(agent, context);
        }
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        let agent = host.agent();
        self.rounds.remove(&agent);
        self.locked[host.index()] = 0;
        self.overlay.join(host, context.random(agent));
        let phase = self.how.shuffle_s * context.random(agent).fraction();
        context.timer(agent, phase, SHUFFLE);
        if self.how.when != When::Overload {
            let phase = self.how.period_s * context.random(agent).fraction();
            context.timer(agent, phase, PACK);
        }
    }
}

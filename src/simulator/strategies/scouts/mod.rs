//! Scouts, in the manner of the bio-inspired self-organisation of Barbagallo, Di Nitto, Dubois, Mirandola (SOAR 2009, LNCS
//! 6090): a host is a colony that sends scouts.
//!
//! A scout walks from host to host over an [overlay](super::overlay), drawing where it goes next, and comes home after so many
//! steps with what it has seen. The host then decides alone. Where it is overloaded, it sends its smallest VMs to the least
//! loaded of those that it knows, until it is filled no more than it should be. Where it is filled less than that, it sends
//! its VMs, the largest first, to the fullest that are fuller than itself, so that they never go round. Who is left without VMs
//! sleeps. As what is known may be old, the destination looks again before it takes anything.
//!
//! Only the abstract could be read, so that this is in the manner of the paper, not a reproduction. Ours are all constants (10
//! steps, a scout each 30 s, 90 %, knowledge older than 60 s is dropped), that an offer is of several VMs at once, that hosts of
//! which a VM is on its way neither send nor take, that a host that finds itself overloaded decides on what it knows without
//! waiting for a scout, and how sleepers wake: who gives its last VM to a host tells it, and that host may wake it when
//! nobody that it knows has room.

#[cfg(test)]
mod tests;

use super::overlay::{Overlay, Shuffle};
use crate::simulator::decision::Move;
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, ViewVm};
use crate::simulator::ids::{Agent, HostId, VmId};
use crate::simulator::measures::{HOST_BYTES, VM_BYTES, bytes_of};
use crate::simulator::world::HostNow;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scouting {
    /// Seconds between two scouts of a host.
    pub period_s: f64,
    /// Hosts that a scout visits.
    pub steps: u32,
    /// Seconds after which what a scout has seen is too old.
    pub stale_s: f64,
    /// Share of a host's CPU and memory up to which it is filled; below it, a host gives its VMs away.
    pub fill: f64,
    /// Whether hosts give their VMs away to be empty; else they are only relieved.
    pub consolidate: bool,
    /// Whether empty hosts are switched off.
    pub sleep: bool,
    /// How often a host looks whether it is overloaded, seconds.
    pub monitor_s: f64,
    /// Others that a host knows in the overlay.
    pub neighbours: u32,
    /// Seconds between two swaps of the overlay.
    pub shuffle_s: f64,
}

impl Default for Scouting {
    fn default() -> Self {
        Self {
            period_s: 30.0,
            steps: 10,
            stale_s: 60.0,
            fill: 0.9,
            consolidate: true,
            sleep: true,
            monitor_s: 1.0,
            neighbours: 20,
            shuffle_s: 10.0,
        }
    }
}

/// What is known of a host.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    now: HostNow,
    at: f64,
}

/// A scout on its way.
#[derive(Debug, Clone)]
pub struct Scout {
    home: HostId,
    previous: HostId,
    left: u32,
    seen: Vec<(HostId, Seen)>,
}

/// What hosts tell each other.
#[derive(Debug, Clone)]
pub enum Word {
    /// About the overlay.
    Overlay(Shuffle),
    /// Walks.
    Scout(Box<Scout>),
    /// Would you take these? The share of the host that asks, where it wants to be empty.
    Offer(Vec<ViewVm>, Option<u64>),
    /// I take these, and so I am.
    Accept(Vec<VmId>, Box<HostNow>),
    /// They are on their way, or will not come. Whether they were my last, so that I may sleep.
    Begun(bool),
    /// I have been woken.
    Awake(Box<HostNow>),
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct Scouts {
    how: Scouting,
    overlay: Overlay,
    colonies: Vec<Colony>,
    engagements: u32,
}

#[derive(Debug, Clone, Default)]
struct Colony {
    known: BTreeMap<HostId, Seen>,
    /// The number of what it is engaged in; 0 = nothing.
    engaged: u32,
    /// Offers that have not been answered.
    offers: u32,
    /// Who sleeps and may be woken, and who was woken and by whom this one was.
    sleepers: BTreeSet<HostId>,
    woken_by: Option<HostId>,
}

const SCOUT: u32 = 0;
const SHUFFLE: u32 = 1;
/// Timers from here on are of engagements.
const ENGAGEMENTS: u32 = 2;
/// Seconds until an offer of which nothing is heard is given up.
const LOST_S: f64 = 1.0;
/// Entries of the overlay that are swapped.
const LENGTH: u32 = 8;

impl Scouts {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Scouting) -> Self {
        Self { how, overlay: Overlay::new(0, 0, 1), colonies: Vec::new(), engagements: 0 }
    }

    fn engage(&mut self, agent: Agent, context: &mut Context<Word>) {
        self.engagements = self.engagements.checked_add(1).filter(|it| *it < u32::MAX - 2).unwrap_or(1);
        self.colonies[agent.index()].engaged = self.engagements;
        context.timer(agent, LOST_S, ENGAGEMENTS + self.engagements);
    }

    /// The next host of a walk; not the one before.
    fn send_on(&mut self, agent: Agent, mut scout: Box<Scout>, context: &mut Context<Word>) {
        let here = HostId(agent.0);
        let to = if scout.left == 0 {
            scout.home
        } else {
            let known = self.overlay.known(here).filter(|host| *host != scout.previous);
            let others: Vec<HostId> = known.collect();
            let drawn = context.random(agent).below(others.len() as u32) as usize;
            scout.left -= 1;
            // Who knows nobody else lets it go home.
            others.get(drawn).copied().unwrap_or(scout.home)
        };
        scout.previous = here;
        let bytes = HOST_BYTES * scout.seen.len() as u64;
        context.send(agent, to.agent(), Word::Scout(scout), bytes);
    }

    fn visited(&mut self, agent: Agent, mut scout: Box<Scout>, context: &mut Context<Word>) {
        let here = HostId(agent.0);
        if scout.home != here {
            scout.seen.push((here, Seen { now: context.local(agent), at: context.now() }));
            self.send_on(agent, scout, context);
        } else if scout.left == 0 {
            self.colonies[agent.index()].known.extend(scout.seen);
            self.decide(agent, self.how.consolidate, context);
        } else {
            // It has come by; there is nothing to be learned here.
            self.send_on(agent, scout, context);
        }
    }

    /// The host decides on what it knows.
    fn decide(&mut self, agent: Agent, consolidates: bool, context: &mut Context<Word>) {
        let (own, time) = (context.local(agent), context.now());
        if own.migrating || self.colonies[agent.index()].engaged != 0 {
            return;
        }
        let stale = time - self.how.stale_s;
        self.colonies[agent.index()].known.retain(|_, seen| seen.at >= stale);
        let is_over = own.expected > own.cpu;
        let goal = usable(own.cpu, self.how.fill);
        if own.vms == 0 || !(is_over || consolidates && own.expected < goal) {
            return;
        }
        let mut vms = Vec::new();
        context.local_vms(agent, &mut vms);
        let (offers, all) = if is_over {
            self.relieve(agent, own.expected - goal, vms)
        } else {
            (self.consolidate(agent, &own, vms), true)
        };
        if !all {
            self.wake(agent, context);
        }
        if offers.is_empty() {
            return;
        }
        self.engage(agent, context);
        self.colonies[agent.index()].offers = offers.len() as u32;
        for (host, vms) in offers {
            let bytes = VM_BYTES * vms.len() as u64;
            let load = (!is_over).then(|| share(&own));
            context.send(agent, host.agent(), Word::Offer(vms, load), bytes);
        }
    }

    /// The smallest VMs until it is enough, each to the least loaded with room. Whether all that must leave find a place.
    fn relieve(
        &self,
        agent: Agent,
        mut too_much: u32,
        mut vms: Vec<ViewVm>,
    ) -> (BTreeMap<HostId, Vec<ViewVm>>, bool) {
        let mut known = self.known(agent);
        let mut offers: BTreeMap<HostId, Vec<ViewVm>> = BTreeMap::new();
        vms.sort_by_key(|vm| (vm.demand, vm.id));
        for vm in vms.iter().filter(|vm| vm.demand > 0) {
            if too_much == 0 {
                break;
            }
            known.sort_by_key(|(host, now)| (share(now), *host));
            let Some((host, now)) = known.iter_mut().find(|(_, now)| self.has_room(now, &[*vm])) else {
                continue;
            };
            enter(now, vm);
            offers.entry(*host).or_default().push(*vm);
            too_much = too_much.saturating_sub(vm.demand);
        }
        (offers, too_much == 0)
    }

    /// The largest VMs first, each to the fullest with room that is fuller than this host.
    fn consolidate(
        &self,
        agent: Agent,
        own: &HostNow,
        mut vms: Vec<ViewVm>,
    ) -> BTreeMap<HostId, Vec<ViewVm>> {
        let mut known = self.known(agent);
        let me = (share(own), HostId(agent.0));
        known.retain(|(host, now)| now.vms > 0 && is_fuller((share(now), *host), me));
        let mut offers: BTreeMap<HostId, Vec<ViewVm>> = BTreeMap::new();
        vms.sort_by_key(|vm| (std::cmp::Reverse((vm.demand, vm.memory)), vm.id));
        for vm in &vms {
            known.sort_by_key(|(host, now)| (std::cmp::Reverse(share(now)), *host));
            if let Some((host, now)) = known.iter_mut().find(|(_, now)| self.has_room(now, &[*vm])) {
                enter(now, vm);
                offers.entry(*host).or_default().push(*vm);
            }
        }
        offers
    }

    fn known(&self, agent: Agent) -> Vec<(HostId, HostNow)> {
        self.colonies[agent.index()].known.iter().map(|(host, seen)| (*host, seen.now)).collect()
    }

    /// Whether VMs fit onto a host that is not busy.
    fn has_room(&self, host: &HostNow, vms: &[ViewVm]) -> bool {
        let (cpu, memory) =
            vms.iter().fold((0, 0), |(cpu, memory), vm| (cpu + vm.demand, memory + vm.memory));
        !host.migrating
            && host.expected + cpu <= usable(host.cpu, self.how.fill)
            && host.held + memory <= usable(host.memory, self.how.fill)
    }

    /// Nobody has room: one of those that sleep is woken.
    fn wake(&mut self, agent: Agent, context: &mut Context<Word>) {
        if let Some(host) = self.colonies[agent.index()].sleepers.pop_first() {
            self.colonies[host.index()].woken_by = Some(HostId(agent.0));
            context.count(agent, host.agent(), 0);
            context.switch_on(host);
        }
    }

    /// Somebody offers VMs: those that fit are taken.
    fn offered(
        &mut self,
        (to, from): (Agent, Agent),
        vms: &[ViewVm],
        load: Option<u64>,
        context: &mut Context<Word>,
    ) {
        let own = context.local(to);
        let mut after = own;
        let wants = self.colonies[to.index()].engaged == 0
            && load.is_none_or(|load| {
                own.vms > 0 && is_fuller((share(&own), HostId(to.0)), (load, HostId(from.0)))
            });
        let mut taken = Vec::new();
        for vm in vms.iter().filter(|_| wants) {
            if self.has_room(&after, &[*vm]) {
                enter(&mut after, vm);
                taken.push(vm.id);
            }
        }
        if !taken.is_empty() {
            self.engage(to, context);
        }
        let bytes = HOST_BYTES + VM_BYTES * taken.len() as u64;
        context.send(to, from, Word::Accept(taken, Box::new(after)), bytes);
    }

    /// An offer is answered: what is taken goes.
    fn accepted(
        &mut self,
        (to, from): (Agent, Agent),
        vms: &[VmId],
        theirs: HostNow,
        context: &mut Context<Word>,
    ) {
        let time = context.now();
        let colony = &mut self.colonies[to.index()];
        colony.known.insert(HostId(from.0), Seen { now: theirs, at: time });
        let in_time = colony.engaged != 0 && colony.offers > 0;
        if in_time {
            colony.offers -= 1;
            if colony.offers == 0 {
                colony.engaged = 0;
            }
        }
        if vms.is_empty() {
            return;
        }
        let (source, target) = (HostId(to.0), HostId(from.0));
        if in_time {
            let step = |vm: &VmId| Move { vm: *vm, from: source, to: target, after: Vec::new() };
            context.execute(to, from.0, vms.iter().map(step).collect(), Ordering::AtOnce);
        }
        let mut left = Vec::new();
        context.local_vms(to, &mut left);
        let last = self.how.sleep && in_time && left.iter().all(|vm| vm.migrating);
        context.send(to, from, Word::Begun(last), 0);
    }

    /// An empty host that is not needed sleeps.
    fn rest(&mut self, agent: Agent, context: &mut Context<Word>) {
        let now = context.local(agent);
        let colony = &self.colonies[agent.index()];
        if self.how.sleep && self.how.consolidate && now.vms == 0 && !now.migrating && colony.engaged == 0 {
            context.switch_off(agent);
        }
    }
}

fn usable(whole: u32, fill: f64) -> u32 {
    (f64::from(whole) * fill + 1e-6).floor() as u32
}

/// How full a host is expected to be, in millionths of what is used most.
fn share(host: &HostNow) -> u64 {
    let of = |used: u32, whole: u32| u64::from(used) * 1_000_000 / u64::from(whole.max(1));
    of(host.expected, host.cpu).max(of(host.held, host.memory))
}

/// Whether one is fuller than another; of two alike, the one with the lower number is.
fn is_fuller(one: (u64, HostId), other: (u64, HostId)) -> bool {
    one.0 > other.0 || one.0 == other.0 && one.1 < other.1
}

fn enter(host: &mut HostNow, vm: &ViewVm) {
    host.expected += vm.demand;
    host.held += vm.memory;
}

impl Strategy for Scouts {
    type Message = Word;

    fn monitor_period(&self) -> Option<f64> {
        Some(self.how.monitor_s)
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        let Some(colony) = self.colonies.get(agent.index()) else { return 0 };
        bytes_of::<Colony>(1)
            + bytes_of::<(HostId, Seen)>(colony.known.len())
            + bytes_of::<HostId>(colony.sleepers.len())
            + self.overlay.state_bytes(HostId(agent.0))
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        self.overlay = Overlay::new(hosts, self.how.neighbours, LENGTH);
        self.colonies = vec![Colony::default(); hosts];
        for host in 0..hosts as u32 {
            self.came_up(HostId(host), context);
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        let here = HostId(agent.0);
        match timer {
            SCOUT => {
                context.timer(agent, self.how.period_s, SCOUT);
                // Who is empty has nothing to send for.
                if context.local(agent).vms > 0 {
                    let scout = Scout { home: here, previous: here, left: self.how.steps, seen: Vec::new() };
                    self.send_on(agent, Box::new(scout), context);
                } else {
                    self.rest(agent, context);
                }
            }
            SHUFFLE => {
                context.timer(agent, self.how.shuffle_s, SHUFFLE);
                if let Some((other, word)) = self.overlay.begin(here, context.random(agent)) {
                    let bytes = word.bytes();
                    context.send(agent, other.agent(), Word::Overlay(word), bytes);
                }
            }
            _ => {
                let colony = &mut self.colonies[agent.index()];
                if colony.engaged == timer - ENGAGEMENTS {
                    (colony.engaged, colony.offers) = (0, 0);
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
            Word::Scout(scout) => self.visited(to, scout, context),
            Word::Offer(vms, load) => self.offered((to, from), &vms, load, context),
            Word::Accept(vms, theirs) => self.accepted((to, from), &vms, *theirs, context),
            Word::Begun(last) => {
                let colony = &mut self.colonies[to.index()];
                colony.engaged = 0;
                if last {
                    colony.sleepers.insert(HostId(from.0));
                }
            }
            Word::Awake(theirs) => {
                let seen = Seen { now: *theirs, at: context.now() };
                self.colonies[to.index()].known.insert(HostId(from.0), seen);
                self.decide(to, false, context);
            }
        }
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        self.decide(host.agent(), false, context);
    }

    fn executed(&mut self, agent: Agent, _: u32, _: Outcome, context: &mut Context<Word>) {
        self.rest(agent, context);
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        let agent = host.agent();
        let waker = self.colonies[host.index()].woken_by;
        self.colonies[host.index()] = Colony::default();
        self.overlay.join(host, context.random(agent));
        let phase = self.how.shuffle_s * context.random(agent).fraction();
        context.timer(agent, phase, SHUFFLE);
        let phase = self.how.period_s * context.random(agent).fraction();
        context.timer(agent, phase, SCOUT);
        if let Some(waker) = waker {
            let now = context.local(agent);
            context.send(agent, waker.agent(), Word::Awake(Box::new(now)), HOST_BYTES);
        }
    }
}

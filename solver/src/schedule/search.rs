//! The last resort where moves block each other: a search over placements, one hop after the other.
//!
//! It is A* with a node for each placement that can be come to. If it ends without having met one that is
//! wanted, there is no way, and that is a proof. Waiting VMs are left out: they only take room, so that
//! it is best to start them when all others are in their places.

use super::ground::{Ground, Hop};
use crate::budget::Budget;
use crate::model::{Amount, HostId, Placement, Site, VmId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    /// Hops one after the other; then all of the VMs are in their places.
    Found(Vec<Hop>),
    /// There is none with these VMs.
    Nowhere,
    /// It was given up.
    Unknown,
}

/// How far to look.
pub(super) struct Scope {
    /// VMs that may move; they include all that must.
    pub(super) who: Vec<VmId>,
    /// How many of the roomiest hosts a VM may step aside to; `None` = all, which makes it a proof.
    pub(super) hosts: Option<usize>,
    /// Most hops.
    pub(super) most_hops: u64,
    /// Most placements.
    pub(super) most_placements: usize,
}

/// How much an estimate counts: more than 1 finds a way sooner, not always the shortest.
const HASTE: u64 = 2;

struct Node {
    state: Box<[u16]>,
    cost: u64,
    hops: u64,
    by: Option<(u32, Hop)>,
}

struct Search<'a> {
    ground: &'a Ground<'a>,
    scope: &'a Scope,
    /// Room without the VMs that may move, and hosts of the others.
    bare: Vec<Amount>,
    still: BTreeSet<HostId>,
    goal: Vec<u16>,
    /// What a hop of each VM costs.
    price: Vec<u64>,
    haste: u64,
    nodes: Vec<Node>,
    known: HashMap<Box<[u16]>, u32>,
    open: BinaryHeap<Reverse<(u64, u64, u32)>>,
    whole: bool,
    sites: Sites,
}

/// Numbers of the places that VMs can be at.
struct Sites {
    list: Vec<Site>,
    numbers: HashMap<Site, u16>,
}

impl Sites {
    fn new(ground: &Ground<'_>) -> Self {
        let mut sites = Self { list: Vec::new(), numbers: HashMap::new() };
        let plain = ground.problem.host_ids().take(usize::from(u16::MAX)).map(Site::plain);
        plain.for_each(|site| _ = sites.number(site));
        sites
    }

    /// `None` if there are too many.
    fn number(&mut self, site: Site) -> Option<u16> {
        if let Some(number) = self.numbers.get(&site) {
            return Some(*number);
        }
        let number = u16::try_from(self.list.len()).ok()?;
        self.list.push(site);
        self.numbers.insert(site, number);
        Some(number)
    }
}

/// Looks for hops from a placement with nothing in flight to the one that is wanted.
pub(super) fn route(
    ground: &Ground<'_>,
    at: &Placement,
    room: &[Amount],
    scope: &Scope,
    budget: &Budget,
) -> Route {
    let mut sites = Sites::new(ground);
    let states = scope.who.iter().map(|vm| {
        let (from, to) = (at.site(vm.index())?, ground.to.site(vm.index())?);
        Some((sites.number(from)?, sites.number(to)?))
    });
    let Some(states) = states.collect::<Option<Vec<_>>>() else { return Route::Unknown };
    let mut bare = room.to_vec();
    for vm in &scope.who {
        let held = at.site(vm.index()).into_iter().flat_map(|site| ground.holds(*vm, site));
        held.for_each(|(pool, amount)| bare[pool] += amount);
    }
    // Where hops are limited they are counted; else it is better to leave alone what need not move.
    let limited = ground.problem.limits.max_migrations.is_some();
    let stays = |vm: &VmId| ground.start.site(vm.index()) == ground.to.site(vm.index());
    let price = scope.who.iter().map(|vm| if !limited && stays(vm) { 3 } else { 1 }).collect();
    let mut search = Search {
        ground,
        scope,
        bare,
        still: still(ground, at, &scope.who),
        goal: states.iter().map(|(_, to)| *to).collect(),
        price,
        haste: if limited { 1 } else { HASTE },
        nodes: Vec::new(),
        known: HashMap::new(),
        open: BinaryHeap::new(),
        whole: scope.hosts.is_none() && ground.knows_all_sites(&scope.who),
        sites,
    };
    search.add(states.iter().map(|(from, _)| *from).collect(), 0, 0, None);
    search.run(budget)
}

/// Hosts of all VMs but these; none where no host is booted, as nobody asks then.
fn still(ground: &Ground<'_>, at: &Placement, who: &[VmId]) -> BTreeSet<HostId> {
    if ground.switches.booted().next().is_none() {
        return BTreeSet::new();
    }
    let moves: BTreeSet<VmId> = who.iter().copied().collect();
    let others = at.iter().enumerate().filter(|(vm, _)| !moves.contains(&VmId::from(*vm)));
    others.filter_map(|(_, host)| *host).collect()
}

impl Search<'_> {
    fn run(&mut self, budget: &Budget) -> Route {
        while let Some(Reverse((_, cost, node))) = self.open.pop() {
            let i = node as usize;
            if self.nodes[i].cost < u64::MAX - cost {
                continue; // it was found again, cheaper, and is done
            }
            if *self.nodes[i].state == *self.goal {
                return Route::Found(self.path(node));
            }
            budget.spend(1);
            if self.nodes.len() > self.scope.most_placements || budget.expired() {
                return Route::Unknown;
            }
            self.expand(node);
        }
        if self.whole { Route::Nowhere } else { Route::Unknown }
    }

    fn expand(&mut self, node: u32) {
        let state = self.nodes[node as usize].state.clone();
        let (cost, hops) = (self.nodes[node as usize].cost, self.nodes[node as usize].hops);
        let mut room = self.bare.clone();
        for (vm, site) in self.scope.who.iter().zip(&state) {
            let site = self.sites.list[usize::from(*site)];
            self.ground.holds(*vm, site).for_each(|(pool, amount)| room[pool] -= amount);
        }
        let hosts = self.hosts(&room);
        let used = self.used(&state);
        for (i, vm) in self.scope.who.iter().enumerate() {
            let from = self.sites.list[usize::from(state[i])];
            let goal = self.sites.list[usize::from(self.goal[i])];
            let sites = hosts.iter().flat_map(|host| self.ground.problem.sites(*vm, *host));
            let sites: Vec<Site> = sites.chain(self.scope.hosts.map(|_| goal)).collect();
            for to in sites {
                let hop = Hop { vm: *vm, from: Some(from), to };
                let is_up = || self.ground.is_up(hop, |host| used.contains(&host));
                if to == from || !self.ground.fits(&room, hop) || !self.ground.may_hop(hop) || !is_up() {
                    continue;
                }
                let Some(number) = self.sites.number(to) else {
                    self.whole = false;
                    continue;
                };
                let mut next = state.clone();
                next[i] = number;
                self.add(next, cost + self.price[i], hops + 1, Some((node, hop)));
            }
        }
    }

    /// Hosts on which VMs run.
    fn used(&self, state: &[u16]) -> BTreeSet<HostId> {
        if self.ground.switches.booted().next().is_none() {
            return BTreeSet::new(); // nobody asks
        }
        let moved = state.iter().map(|site| self.sites.list[usize::from(*site)].host);
        self.still.iter().copied().chain(moved).collect()
    }

    /// Hosts to step aside to.
    fn hosts(&self, room: &[Amount]) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = self.ground.problem.host_ids().collect();
        if let Some(most) = self.scope.hosts {
            hosts.sort_by(|a, b| {
                self.ground.spare(room, *b).total_cmp(&self.ground.spare(room, *a)).then(a.cmp(b))
            });
            hosts.truncate(most);
        }
        hosts
    }

    fn add(&mut self, state: Box<[u16]>, cost: u64, hops: u64, by: Option<(u32, Hop)>) {
        let wrong = || state.iter().zip(&self.goal).enumerate().filter(|(_, (at, goal))| at != goal);
        if hops + wrong().count() as u64 > self.scope.most_hops {
            return;
        }
        let estimate: u64 = wrong().map(|(i, _)| self.price[i]).sum();
        let node = match self.known.get(&state) {
            Some(&node) if self.nodes[node as usize].cost <= cost => return,
            Some(&node) => {
                let known = &mut self.nodes[node as usize];
                (known.cost, known.hops, known.by) = (cost, hops, by);
                node
            }
            None => {
                let node = self.nodes.len() as u32;
                self.known.insert(state.clone(), node);
                self.nodes.push(Node { state, cost, hops, by });
                node
            }
        };
        // Of two that look alike, the one that has come further.
        self.open.push(Reverse((cost + self.haste * estimate, u64::MAX - cost, node)));
    }

    fn path(&self, node: u32) -> Vec<Hop> {
        let mut hops = Vec::new();
        let mut at = node;
        while let Some((before, hop)) = self.nodes[at as usize].by {
            hops.push(hop);
            at = before;
        }
        hops.reverse();
        hops
    }
}

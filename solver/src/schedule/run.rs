//! A list schedule: time goes from one end of a migration to the next; whatever may begin begins, by rank.

use super::ground::{Ground, Hop};
use super::ledger::Ledger;
use super::network::{Busy, Network, Shares, Sharing, hop_s, lines};
use super::pivot::{self, View};
use super::search::{self, Route, Scope};
use crate::budget::Budget;
use crate::model::{HostId, Placement, VmId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// A hop with its times. A step's number is its position in the order of start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) hop: Hop,
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    /// Steps that must have ended.
    pub(super) after: Vec<u32>,
    pub(super) rate: f64,
}

/// How a schedule is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) sharing: Sharing,
    /// Parts of bandwidths, where each VM has its own.
    pub(super) shares: Shares,
    pub(super) ranks: Vec<u32>,
    /// Waiting VMs are started when no migration waits any more: they take room and never give any back.
    pub(super) starts_last: bool,
    /// VMs step aside as soon as few migrations are under way, not only when none can go on.
    pub(super) eager: bool,
}

/// VMs that had not come to their place when nothing could go on.
pub(super) struct Deadlock {
    pub(super) left: Vec<VmId>,
}

/// With more VMs than this left, a search over placements is not worth its time.
const FEW: usize = 12;
/// How often, in one schedule, VMs that need not move are asked to step aside.
const DETOURS: u32 = 24;
/// So many of those that wait are looked at when somebody may step aside early.
const GLANCE: usize = 128;
/// How many forced hops are looked at.
const LOOK_AHEAD: usize = 64;

/// Ends in the order of time. Times are never negative, so that their bits are in the same order.
type Ends = BinaryHeap<Reverse<(u64, u32)>>;

pub(super) struct Run<'g> {
    pub(super) ground: &'g Ground<'g>,
    policy: &'g Policy,
    pub(super) ledger: Ledger,
    pub(super) network: Network<'g>,
    pub(super) at: Placement,
    now: f64,
    steps: Vec<Step>,
    ends: Ends,
    in_flight: Vec<bool>,
    /// In flight, or to be moved by a hop in `forced`.
    pub(super) taken: Vec<bool>,
    last_step: BTreeMap<VmId, u32>,
    /// VMs that wait to leave or to enter each host, and to enter each value of a spread.
    at_host: Vec<Vec<VmId>>,
    at_pool: BTreeMap<usize, Vec<VmId>>,
    /// VMs for which only a line had too little, for each such line by rank.
    at_line: BTreeMap<usize, BTreeMap<u32, VmId>>,
    /// What breaks a deadlock, in this order; nobody else may enter the pools that it needs.
    forced: VecDeque<Hop>,
    /// Hosts that are still being booted, with the time when they are up; the last first.
    boots: Vec<(f64, HostId)>,
    /// Hosts that are booted once others have been shut down.
    boots_later: Vec<HostId>,
    /// Hosts that are not up yet.
    down: BTreeSet<HostId>,
    pub(super) reserved: BTreeMap<usize, u32>,
    /// VMs that are not yet where they end, and how many of them wait to migrate.
    left: usize,
    migrations_left: usize,
    hops_left: u64,
    /// How often others may be asked to step aside.
    detours_left: u32,
    /// Fewer migrations at once than this are few.
    brisk: usize,
    /// How many have ended, and when to look again whether someone should step aside.
    ended: usize,
    next_look: usize,
    /// Pools to which starts have given back.
    given: Vec<usize>,
}

impl<'g> Run<'g> {
    pub(super) fn new(ground: &'g Ground<'g>, policy: &'g Policy) -> Self {
        let problem = ground.problem;
        let most = problem.limits.max_migrations.unwrap_or(u64::MAX);
        let mut run = Self {
            ground,
            policy,
            ledger: Ledger::new(ground),
            network: Network::new(problem, policy.sharing, &policy.shares),
            at: ground.start.clone(),
            now: 0.0,
            steps: Vec::new(),
            ends: Ends::new(),
            in_flight: vec![false; problem.vms.len()],
            taken: vec![false; problem.vms.len()],
            last_step: BTreeMap::new(),
            at_host: vec![Vec::new(); problem.hosts.len()],
            at_pool: BTreeMap::new(),
            at_line: BTreeMap::new(),
            forced: VecDeque::new(),
            boots: Vec::new(),
            boots_later: Vec::new(),
            down: ground.switches.booted().collect(),
            reserved: BTreeMap::new(),
            left: 0,
            migrations_left: 0,
            hops_left: 0,
            detours_left: DETOURS,
            brisk: 0,
            ended: 0,
            next_look: 0,
            given: Vec::new(),
        };
        run.boots_later = ground.switches.booted().collect();
        run.boot();
        for vm in ground.movers() {
            run.wait(vm);
            run.left += 1;
            run.migrations_left += usize::from(run.at[vm.index()].is_some());
        }
        let hops = ground.movers().filter_map(|vm| ground.last_hop(vm, &ground.start));
        let hosts: BTreeSet<HostId> =
            hops.flat_map(|hop| hop.from.into_iter().chain([hop.to])).map(|site| site.host).collect();
        run.brisk = hosts.len().div_ceil(5);
        // Beyond so many detours something goes in circles.
        let sensible = 6 * run.migrations_left as u64 + 12;
        run.hops_left = most.min(sensible).saturating_sub(run.migrations_left as u64);
        run
    }

    /// Puts a VM where it is found when something there changes.
    fn wait(&mut self, vm: VmId) {
        let Some(hop) = self.ground.last_hop(vm, &self.at) else { return };
        self.at_host[hop.to.index()].push(vm);
        if let Some(from) = hop.from {
            self.at_host[from.index()].push(vm);
        }
        for (pool, _) in self.ground.arrivals(hop).filter(|(pool, _)| self.ground.is_of_rule(*pool)) {
            self.at_pool.entry(pool).or_default().push(vm);
        }
    }

    /// Has these hops done before anything else, each when it has room.
    pub(super) fn by(mut self, hops: Vec<Hop>) -> Self {
        self.force(hops);
        self
    }

    /// Runs to the end, through pivots where needed.
    pub(super) fn finish(mut self, budget: &Budget) -> Result<Vec<Step>, Deadlock> {
        let mut woken: Vec<VmId> = self.ground.movers().collect();
        for turn in 1_u32.. {
            self.begin_forced();
            self.begin_all(woken);
            while !self.given.is_empty() {
                let pools = std::mem::take(&mut self.given);
                let mut woken = Vec::new();
                for pool in pools {
                    self.wake_pool(pool, &mut woken);
                }
                self.begin_all(woken);
            }
            if turn.is_multiple_of(256) && budget.expired() {
                return Err(self.deadlock());
            }
            if self.policy.eager && self.is_slow() {
                self.step_aside();
            }
            self.boot();
            if let Some(up) = self.boot_next() {
                woken = up;
                continue;
            }
            if !self.ends.is_empty() {
                woken = self.end_next();
                continue;
            }
            if self.left == 0 {
                break;
            }
            budget.spend(1);
            if !self.forced.is_empty() || budget.expired() {
                return Err(self.deadlock());
            }
            let Some(hops) = self.way_out(budget) else { return Err(self.deadlock()) };
            self.force(hops);
            woken = Vec::new();
        }
        Ok(self.steps)
    }

    /// Does these hops and nothing else, in this order and at these rates: each begins as soon as all before it have
    /// begun and it can. `None`: not all of them can be done so.
    pub(super) fn in_order(mut self, hops: &[(Hop, f64)]) -> Option<Vec<Step>> {
        for (hop, rate) in hops {
            while !self.can_begin(*hop, *rate) {
                self.boot();
                if self.boot_next().is_none() {
                    if self.ends.is_empty() {
                        return None;
                    }
                    self.end_next();
                }
            }
            self.begin(*hop, *rate, duration(self.ground, *hop, *rate));
        }
        while !self.ends.is_empty() {
            self.end_next();
        }
        (self.left == 0).then_some(self.steps)
    }

    fn can_begin(&self, hop: Hop, rate: f64) -> bool {
        !self.in_flight[hop.vm.index()]
            && self.at.site(hop.vm.index()) == hop.from
            && self.ground.fits(&self.ledger.room, hop)
            && self.is_ready(hop)
            && self.ground.may_hop(hop)
            && hop.from.is_none_or(|from| self.network.admits(from.host, hop.to.host, rate))
    }

    /// Nothing is in flight, and nothing can begin.
    fn way_out(&mut self, budget: &Budget) -> Option<Vec<Hop>> {
        let left: Vec<VmId> = self.left_vms().collect();
        let room = &self.ledger.room;
        let view = View {
            at: &self.at,
            room,
            left: &left,
            down: &self.down,
            taken: &self.taken,
            emptying: &BTreeSet::new(),
            most: self.hops_left,
        };
        let hops = pivot::unlock(self.ground, &view, false).or_else(|| {
            // Those that need not move may have to move time and again: not for ever.
            self.detours_left = self.detours_left.checked_sub(1)?;
            pivot::unlock(self.ground, &view, true)
        });
        hops.or_else(|| {
            let mut who: Vec<VmId> = left.into_iter().filter(|vm| self.at[vm.index()].is_some()).collect();
            if who.is_empty() || who.len() > FEW {
                return None;
            }
            // Those beside them may step aside as well.
            let ends = who.iter().flat_map(|vm| [self.at[vm.index()], self.ground.to[vm.index()]]);
            let hosts: BTreeSet<HostId> = ends.flatten().collect();
            let here = |vm: &VmId| {
                let host = self.ground.start[vm.index()].and(self.at[vm.index()]);
                host.is_some_and(|host| hosts.contains(&host))
            };
            let beside = self.ground.problem.vm_ids().filter(|vm| !who.contains(vm) && here(vm));
            let beside: Vec<VmId> = beside.take(2 * FEW).collect();
            who.extend(beside);
            let most_hops = self.migrations_left as u64 + self.hops_left;
            let scope = Scope { who, hosts: Some(6), most_hops, most_placements: 3000 };
            match search::route(self.ground, &self.at, room, &scope, budget) {
                Route::Found(hops) => Some(hops),
                Route::Nowhere | Route::Unknown => None,
            }
        })
    }

    /// Few migrations are under way for so many that wait.
    fn is_slow(&self) -> bool {
        let busy = self.ends.len() + self.forced.len();
        self.ended >= self.next_look && busy < self.brisk && busy < self.migrations_left
    }

    /// Lets VMs step aside until more is under way again.
    fn step_aside(&mut self) {
        let mut left: Vec<VmId> = self.left_vms().filter(|vm| !self.taken[vm.index()]).collect();
        left.sort_unstable_by_key(|vm| self.policy.ranks[vm.index()]);
        left.truncate(GLANCE);
        let mut emptying: BTreeSet<HostId> =
            (self.ends.iter().filter_map(|Reverse((_, step))| self.steps[*step as usize].hop.from))
                .map(|site| site.host)
                .collect();
        let mut room = self.ledger.room.clone();
        for hop in &self.forced {
            self.ground.arrivals(*hop).for_each(|(pool, amount)| room[pool] -= amount);
            emptying.extend(hop.from.map(|site| site.host));
        }
        while self.is_slow() {
            let view = View {
                at: &self.at,
                room: &room,
                left: &left,
                down: &self.down,
                taken: &self.taken,
                emptying: &emptying,
                most: self.hops_left,
            };
            let Some(hops) = pivot::unlock(self.ground, &view, false) else { break };
            for hop in &hops {
                self.ground.arrivals(*hop).for_each(|(pool, amount)| room[pool] -= amount);
                emptying.extend(hop.from.map(|site| site.host));
            }
            self.force(hops);
            self.begin_forced();
        }
        self.next_look = self.ended + self.brisk / 4 + 1;
    }

    fn left_vms(&self) -> impl Iterator<Item = VmId> + '_ {
        self.ground.problem.vm_ids().filter(|vm| !self.is_there(*vm))
    }

    /// Whether a VM is where it ends.
    fn is_there(&self, vm: VmId) -> bool {
        self.at.site(vm.index()) == self.ground.to.site(vm.index())
    }

    fn deadlock(&self) -> Deadlock {
        Deadlock { left: self.left_vms().collect() }
    }

    fn force(&mut self, hops: Vec<Hop>) {
        for hop in hops {
            self.taken[hop.vm.index()] = true;
            for (pool, _) in self.ground.arrivals(hop) {
                *self.reserved.entry(pool).or_default() += 1;
            }
            self.forced.push_back(hop);
        }
    }

    /// Begins what can of the forced hops. One goes before another that was to go before it only if it takes
    /// nothing that the other needs.
    fn begin_forced(&mut self) {
        let mut claimed: BTreeSet<usize> = BTreeSet::new();
        let mut held: BTreeSet<VmId> = BTreeSet::new();
        let mut i = 0;
        while i < self.forced.len().min(LOOK_AHEAD) {
            let hop = self.forced[i];
            let free = !held.contains(&hop.vm)
                && self.at.site(hop.vm.index()) == hop.from
                && self.ground.arrivals(hop).all(|(pool, _)| !claimed.contains(&pool))
                && self.ground.fits(&self.ledger.room, hop)
                && self.is_ready(hop);
            let rate = hop.from.filter(|_| free && !self.in_flight[hop.vm.index()]);
            let rate = rate.and_then(|from| self.network.offer(hop.vm, from.host, hop.to.host).ok());
            if let Some(rate) = rate {
                self.forced.remove(i);
                self.begin_one_forced(hop, rate);
            } else {
                claimed.extend(self.ground.arrivals(hop).map(|(pool, _)| pool));
                held.insert(hop.vm);
                i += 1;
            }
        }
    }

    fn begin_one_forced(&mut self, hop: Hop, rate: f64) {
        for (pool, _) in self.ground.arrivals(hop) {
            if let Some(count) = self.reserved.get_mut(&pool) {
                *count -= 1;
                if *count == 0 {
                    self.reserved.remove(&pool);
                }
            }
        }
        let was_left = !self.is_there(hop.vm);
        if self.ground.to.site(hop.vm.index()) != Some(hop.to) {
            self.hops_left = self.hops_left.saturating_sub(if was_left { 1 } else { 2 });
        }
        self.begin(hop, rate, duration(self.ground, hop, rate));
    }

    /// Begins what can of these VMs' last hops, by rank.
    fn begin_all(&mut self, mut vms: Vec<VmId>) {
        vms.sort_unstable_by_key(|vm| self.policy.ranks[vm.index()]);
        vms.dedup();
        for vm in vms {
            self.try_begin(vm);
        }
    }

    fn try_begin(&mut self, vm: VmId) -> bool {
        let Some(hop) = self.ground.last_hop(vm, &self.at) else { return false };
        if hop.from.is_some()
            && let Some(&gang) = self.ground.gang_of.get(&vm)
        {
            return self.try_gang(gang);
        }
        let waits = self.taken[vm.index()]
            || (hop.from.is_none() && self.policy.starts_last && self.migrations_left > 0)
            || !self.is_ready(hop)
            || !self.ground.may_hop(hop);
        if waits {
            return false;
        }
        let offered = hop.from.map_or(Ok(0.0), |from| self.network.offer(vm, from.host, hop.to.host));
        let reserved = || self.ground.arrivals(hop).any(|(pool, _)| self.reserved.contains_key(&pool));
        if offered == Err(Busy::Host) || !self.ground.fits(&self.ledger.room, hop) || reserved() {
            return false;
        }
        match offered {
            Ok(rate) => {
                self.begin(hop, rate, duration(self.ground, hop, rate));
                true
            }
            Err(Busy::Line(line)) => {
                self.at_line.entry(line).or_default().insert(self.policy.ranks[vm.index()], vm);
                false
            }
            Err(Busy::Host) => false,
        }
    }

    pub(super) fn begin(&mut self, hop: Hop, rate: f64, duration_s: f64) {
        let step = self.steps.len() as u32;
        let mut after: Vec<u32> = self.last_step.insert(hop.vm, step).into_iter().collect();
        self.ledger.take(self.ground, hop, &mut after);
        after.sort_unstable();
        after.dedup();
        let end_s = match hop.from {
            Some(from) => {
                self.network.begin(from.host, hop.to.host, rate);
                self.now + duration_s
            }
            None => self.now,
        };
        self.in_flight[hop.vm.index()] = true;
        self.taken[hop.vm.index()] = true;
        self.steps.push(Step { hop, start_s: self.now, end_s, after, rate });
        if hop.from.is_some() {
            self.ends.push(Reverse((end_s.to_bits(), step)));
        } else {
            self.given.extend(self.ground.departures(hop).map(|(pool, _)| pool));
            self.ledger.give_back(self.ground, hop, step);
            self.arrive(hop);
        }
    }

    /// The VM is where it was going.
    fn arrive(&mut self, hop: Hop) {
        let (vm, to) = (hop.vm.index(), self.ground.to.site(hop.vm.index()));
        let (was_left, is_left) = (self.at.site(vm) != to, Some(hop.to) != to);
        self.at.put(vm, Some(hop.to));
        self.in_flight[vm] = false;
        self.left = self.left + usize::from(is_left) - usize::from(was_left);
        if hop.from.is_some() {
            self.migrations_left = self.migrations_left + usize::from(is_left) - usize::from(was_left);
        }
        self.taken[vm] = self.forced.iter().any(|forced| forced.vm == hop.vm);
        if is_left {
            self.wait(hop.vm);
        }
    }

    fn wake_pool(&mut self, pool: usize, woken: &mut Vec<VmId>) {
        if let Some(waiting) = self.at_pool.get_mut(&pool) {
            let (ground, at) = (self.ground, &self.at);
            waiting.retain(|vm| ground.last_hop(*vm, at).is_some());
            woken.extend(&*waiting);
        }
    }

    /// Whether the host of a hop takes VMs by now, or the VM stays there.
    pub(super) fn is_ready(&self, hop: Hop) -> bool {
        let is_up = |host: &HostId| !self.down.contains(host);
        let host = hop.to.host;
        hop.repins()
            || self.ground.opens_s(host).is_some()
                && is_up(&host)
                && self.ground.switches.before_entry(host).iter().all(is_up)
    }

    /// Begins to boot hosts that wait for nothing any more.
    fn boot(&mut self) {
        if self.boots_later.is_empty() {
            return;
        }
        let used: BTreeSet<HostId> = self.at.iter().flatten().copied().collect();
        let (switches, down) = (&self.ground.switches, &self.down);
        let is_free = |host: HostId| {
            let off = |off: &HostId| {
                switches.is_off(*off, |host| used.contains(&host), |host| down.contains(&host))
            };
            switches.before_boot(host).iter().all(off)
        };
        let (begun, later): (Vec<HostId>, Vec<HostId>) =
            std::mem::take(&mut self.boots_later).into_iter().partition(|host| is_free(*host));
        self.boots_later = later;
        self.boots
            .extend(begun.into_iter().map(|host| (self.now + self.ground.problem.host(host).boot_s, host)));
        self.boots.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    }

    /// Goes on to when the next host is up, if that is before the next end; returns the VMs that wait.
    fn boot_next(&mut self) -> Option<Vec<VmId>> {
        let &(time, _) = self.boots.last()?;
        if self.ends.peek().is_some_and(|Reverse((end, _))| f64::from_bits(*end) < time) {
            return None;
        }
        while let Some((_, host)) = self.boots.pop_if(|(up, _)| *up <= time) {
            self.down.remove(&host);
        }
        self.now = self.now.max(time);
        Some(self.left_vms().collect())
    }

    /// Goes on to the next end; returns the VMs that may be able to begin now.
    fn end_next(&mut self) -> Vec<VmId> {
        let mut ended = Vec::new();
        while let Some(&Reverse((time, step))) = self.ends.peek() {
            let time = f64::from_bits(time);
            if !ended.is_empty() && time > self.now {
                break;
            }
            self.now = time;
            self.ends.pop();
            ended.push(step);
        }
        self.ended += ended.len();
        let mut hosts: Vec<HostId> = Vec::new();
        let mut pools: Vec<usize> = Vec::new();
        let mut freed: BTreeSet<usize> = BTreeSet::new();
        for step in ended {
            let Step { hop, rate, .. } = self.steps[step as usize];
            let Some(from) = hop.from else { continue };
            self.network.end(from.host, hop.to.host, rate);
            freed.extend(lines(self.ground.problem, from.host, hop.to.host));
            self.ledger.give_back(self.ground, hop, step);
            self.arrive(hop);
            hosts.extend([from.host, hop.to.host]);
            pools.extend(self.ground.departures(hop).map(|(pool, _)| pool));
        }
        let mut woken = Vec::new();
        if self.ends.is_empty() || self.migrations_left == 0 {
            woken.extend(self.left_vms());
            self.at_line.clear();
            return woken;
        }
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let (ground, at) = (self.ground, &self.at);
            self.at_host[host.index()].retain(|vm| {
                let ends = |hop: Hop| [hop.from.map(|from| from.host), Some(hop.to.host)];
                ground.last_hop(*vm, at).is_some_and(|hop| ends(hop).contains(&Some(host)))
            });
            woken.extend(&self.at_host[host.index()]);
        }
        for pool in pools {
            self.wake_pool(pool, &mut woken);
        }
        // The first of those that wait for a line; all of them get their turn when nothing else goes.
        for line in freed {
            let Some(waiting) = self.at_line.get_mut(&line) else { continue };
            let next: Vec<u32> = waiting.keys().take(64).copied().collect();
            woken.extend(next.into_iter().filter_map(|rank| waiting.remove(&rank)));
        }
        woken
    }
}

/// Seconds of a hop at a rate; a start takes none.
fn duration(ground: &Ground<'_>, hop: Hop, rate: f64) -> f64 {
    if hop.from.is_some() { hop_s(ground.problem, hop, rate) } else { 0.0 }
}

//! What does not change while a schedule is made: who may hop where, and what a hop takes and gives back.
//!
//! Everything that can be full is a *pool* with a room in integers: a resource of a host or of one of its NUMA
//! nodes (a cell of [`Problem`]), or one of a rule that must be kept on the way. A hop takes from the pools of
//! the place that it goes to when it begins, and gives back to those of the place that it leaves when it ends;
//! of what is the same pool only the difference. What some hops must have done before others
//! is a pool that begins over by one for each, and that those others need without taking from it.
//! VMs are resized at the end of the plan: here they take what they have at present.

use super::switch::Switches;
use crate::constraints::{Act, Course, Gate, Kept, Limit, Pass, Rules};
use crate::model::{Amount, HostId, HostState, Placement, Problem, Site, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// One VM goes to a host: by live migration, or (from nowhere) by being started. Or it is re-pinned: it goes to
/// other NUMA nodes of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    pub(super) vm: VmId,
    pub(super) from: Option<Site>,
    pub(super) to: Site,
}

impl Hop {
    /// Whether it stays on its host.
    pub(super) fn repins(&self) -> bool {
        self.from.is_some_and(|from| from.host == self.to.host)
    }

    /// The host that it comes from.
    pub(super) fn left(&self) -> Option<HostId> {
        self.from.map(|from| from.host)
    }

    /// Whether it is a live migration from host to host.
    pub(super) fn migrates(&self) -> bool {
        self.from.is_some() && !self.repins()
    }
}

/// A limit and its first pool.
struct Limited {
    limit: Limit,
    first: usize,
}

impl Limited {
    fn pool(&self, problem: &Problem, host: HostId) -> Option<usize> {
        self.limit.pools.of(problem, host).map(|pool| self.first + pool)
    }
}

/// A pool that hops need not to be over, perhaps of these VMs only.
type Wait = (usize, Option<Vec<VmId>>);

/// Hops that others wait for, and those others, as pools.
#[derive(Default)]
struct Latches {
    /// Given back by a VM that leaves a host.
    leave: BTreeMap<VmId, Vec<(HostId, usize)>>,
    /// Given back by a VM that comes to where it ends.
    arrive: BTreeMap<VmId, Vec<usize>>,
    /// Needed by every hop of a VM.
    by_vm: BTreeMap<VmId, Vec<usize>>,
    /// Needed by every hop to a host, perhaps of some VMs only.
    by_host: BTreeMap<HostId, Vec<Wait>>,
}

/// The problem and the placement to come to, as the schedule sees them.
pub(super) struct Ground<'a> {
    pub(super) problem: &'a Problem,
    pub(super) start: Placement,
    pub(super) to: &'a Placement,
    /// Room of each pool at the start; less than 0 where a host is over.
    pub(super) room: Vec<Amount>,
    width: usize,
    /// Pools that are cells of hosts and NUMA nodes.
    cells: usize,
    limits: Vec<Limited>,
    /// Positions in `limits`: of those that count each VM, and of those that count all on each host.
    limits_of_vm: Vec<Vec<u32>>,
    limits_of_host: Vec<Vec<u32>>,
    latches: Latches,
    gates: Vec<Gate>,
    /// Positions in `gates`, for each VM and for each host that is entered.
    gates_of_vm: Vec<Vec<u32>>,
    gates_of_host: Vec<Vec<u32>>,
    /// VMs whose last migrations end together, and where in that list each such VM is.
    pub(super) together: Vec<Vec<VmId>>,
    pub(super) gang_of: BTreeMap<VmId, usize>,
    /// A soft rule is among those that are kept, as the plan's value counts on it.
    pub(super) keeps_soft: bool,
    /// A soft rule is among those that hold at both ends: a plan may break it on the way after all, at its price.
    pub(super) may_break: bool,
    /// Weights of those that are not kept here on the way, and so may or may not be broken there.
    pub(super) loose: f64,
    /// More is asked than rules demand: that there is no way proves nothing.
    pub(super) narrow: bool,
    /// VMs that cannot come to their place as rules are kept here.
    pub(super) blocked: Vec<VmId>,
    /// Rules about plans that hold, as far as placements tell.
    of_plans: Vec<&'a Kept<'a>>,
    /// Hosts that are booted and shut down.
    pub(super) switches: Switches,
}

impl<'a> Ground<'a> {
    /// With `soft`, soft rules that hold at both ends are kept as well. `passing` are hosts that are off at both ends
    /// and up in between.
    pub(super) fn new(
        problem: &'a Problem,
        rules: &'a Rules<'a>,
        to: &'a Placement,
        soft: bool,
        passing: &[HostId],
    ) -> Self {
        let (width, start) = (problem.resources.len(), problem.initial());
        let used = crate::objective::present_usage(problem, &start);
        // What NUMA nodes bound the host does not.
        let mut room = vec![Amount::MAX / 4; used.len()];
        problem.bounds().for_each(|bound| room[bound.cell] = bound.usable - used[bound.cell]);
        let states = rules.states_at_end(problem, to);
        let mut course = Course::new(problem, &start, to, &states, passing);
        let (mut keeps_soft, mut may_break, mut loose, mut of_plans) = (false, false, 0.0, Vec::new());
        let end = rules.tally(to);
        for kept in &rules.list {
            if !kept.always && !kept.rule.is_of_plans() || !kept.hard() && kept.fails(&end) {
                continue;
            }
            if kept.rule.is_of_plans() {
                of_plans.push(kept);
            }
            may_break |= !kept.hard();
            if !kept.hard() && !soft {
                // What a plan does to a rule about plans is told by its actions.
                if !kept.rule.is_of_plans() {
                    loose += kept.constraint.soft_weight.unwrap_or(0.0);
                }
                continue;
            }
            keeps_soft |= !kept.hard();
            kept.rule.course(&mut course);
        }
        let Course { limits, gates, latches, relays, together, narrow, blocked, .. } = course;
        let switches = Switches::new(problem, &states, passing, &latches, &relays);
        let together = joined(together);
        let of = |(i, gang): (usize, &Vec<VmId>)| gang.iter().map(move |vm| (*vm, i)).collect::<Vec<_>>();
        let gang_of = together.iter().enumerate().flat_map(of).collect();
        let mut ground = Self {
            problem,
            to,
            cells: room.len(),
            room,
            width,
            gang_of,
            limits: Vec::new(),
            limits_of_vm: vec![Vec::new(); problem.vms.len()],
            limits_of_host: vec![Vec::new(); problem.hosts.len()],
            latches: Latches::default(),
            gates: Vec::new(),
            gates_of_vm: vec![Vec::new(); problem.vms.len()],
            gates_of_host: vec![Vec::new(); problem.hosts.len()],
            together,
            keeps_soft,
            may_break,
            loose,
            narrow,
            blocked,
            of_plans,
            switches,
            start,
        };
        for limit in limits {
            ground.add_limit(limit);
        }
        for latch in latches {
            ground.add_latch(latch);
        }
        for gate in gates {
            ground.add_gate(gate);
        }
        ground
    }

    fn add_limit(&mut self, limit: Limit) {
        let number = self.limits.len() as u32;
        if let Some(vms) = &limit.vms {
            for vm in vms {
                self.limits_of_vm[vm.index()].push(number);
            }
        } else {
            let inside = self.problem.host_ids().filter(|host| limit.pools.of(self.problem, *host).is_some());
            inside.for_each(|host| self.limits_of_host[host.index()].push(number));
        }
        let limited = Limited { first: self.room.len(), limit };
        self.room.extend(&limited.limit.rooms);
        let all: Vec<VmId> = limited.limit.vms.clone().unwrap_or_else(|| self.problem.vm_ids().collect());
        for vm in all {
            if let Some(pool) = self.start[vm.index()].and_then(|host| limited.pool(self.problem, host)) {
                self.room[pool] -= self.amount(&limited.limit, vm);
            }
        }
        self.limits.push(limited);
    }

    /// When VMs may come to a host at the earliest, in seconds: at once, or when it has been booted, if nothing holds
    /// that up. `None` = never.
    pub(super) fn opens_s(&self, host: HostId) -> Option<f64> {
        let known = self.problem.host(host);
        match known.state {
            HostState::Online => Some(0.0),
            HostState::Offline => self.switches.is_booted(host).then_some(known.boot_s),
            HostState::Draining | HostState::Cordoned | HostState::Failed => None,
        }
    }

    fn add_latch(&mut self, latch: crate::constraints::Latch) {
        let pool = self.room.len();
        self.room.push(-number(latch.leave.len() + latch.arrive.len()));
        for (vm, host) in latch.leave {
            self.latches.leave.entry(vm).or_default().push((host, pool));
        }
        for vm in latch.arrive {
            self.latches.arrive.entry(vm).or_default().push(pool);
        }
        for vm in latch.vms {
            self.latches.by_vm.entry(vm).or_default().push(pool);
        }
        for host in latch.hosts {
            self.latches.by_host.entry(host).or_default().push((pool, latch.only.clone()));
        }
    }

    fn add_gate(&mut self, gate: Gate) {
        let number = self.gates.len() as u32;
        match &gate.vms {
            Some(vms) => vms.iter().for_each(|vm| self.gates_of_vm[vm.index()].push(number)),
            None => gate.hosts.iter().for_each(|host| self.gates_of_host[host.index()].push(number)),
        }
        self.gates.push(gate);
    }

    fn amount(&self, limit: &Limit, vm: VmId) -> Amount {
        limit.resource.map_or(1, |r| self.problem.vm(vm).present[r])
    }

    /// Whether a pool is one of a rule, not a resource of a host.
    pub(super) fn is_of_rule(&self, pool: usize) -> bool {
        pool >= self.cells
    }

    /// Whether a pool is a resource of a NUMA node.
    pub(super) fn is_node(&self, pool: usize) -> bool {
        (self.problem.hosts.len() * self.width..self.cells).contains(&pool)
    }

    /// The host of a pool that is a resource of one.
    pub(super) fn host_of(&self, pool: usize) -> Option<HostId> {
        if self.is_of_rule(pool) {
            return None;
        }
        if self.is_node(pool) {
            let has = |host: &HostId| self.problem.bounds_of(*host).any(|bound| bound.cell == pool);
            return self.problem.host_ids().find(has);
        }
        Some(HostId::from(pool / self.width))
    }

    /// Whether [`Problem::sites`] knows all places on all hosts.
    pub(super) fn knows_all_sites(&self, vms: &[VmId]) -> bool {
        let all = |vm: &VmId| self.problem.host_ids().all(|host| self.problem.ways(*vm, host).1);
        !self.problem.has_numa() || vms.iter().all(all)
    }

    /// What a VM holds in the pools while it runs on a host.
    pub(super) fn holds(&self, vm: VmId, site: Site) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let away = self.to.site(vm.index()) != Some(site);
        let arrive = self.latches.arrive.get(&vm).filter(|_| away);
        self.needs(vm, site, None)
            .chain(self.limited(vm, Some(site.host), None))
            .chain(self.leaves(vm, Some(site.host)))
            .chain(arrive.into_iter().flatten().map(|pool| (*pool, 1)))
    }

    /// What a hop takes when it begins.
    pub(super) fn arrivals(&self, hop: Hop) -> impl Iterator<Item = (usize, Amount)> + '_ {
        self.needs(hop.vm, hop.to, hop.from)
            .chain(self.limited(hop.vm, Some(hop.to.host), hop.left()))
            .chain(self.waits(hop))
    }

    /// What a hop gives back when it ends.
    pub(super) fn departures(&self, hop: Hop) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let needs = hop.from.map(|from| self.needs(hop.vm, from, Some(hop.to)));
        let ends = self.to.site(hop.vm.index()) == Some(hop.to);
        let arrive = self.latches.arrive.get(&hop.vm).filter(|_| ends);
        let left = hop.left().filter(|_| !hop.repins());
        needs
            .into_iter()
            .flatten()
            .chain(self.limited(hop.vm, hop.left(), Some(hop.to.host)))
            .chain(self.leaves(hop.vm, left))
            .chain(arrive.into_iter().flatten().map(|pool| (*pool, 1)))
    }

    /// What a VM takes here, beyond what it takes of the same pools there.
    fn needs(&self, vm: VmId, here: Site, there: Option<Site>) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let (present, problem) = (&self.problem.vm(vm).present, self.problem);
        let there = there.filter(|there| there.host == here.host);
        let more = problem.loads(present, here).map(move |(pool, amount)| {
            (pool, if there.is_some() { amount - problem.load(present, there, pool) } else { amount })
        });
        more.filter(|(_, amount)| *amount > 0)
    }

    /// Pools of limits that `here` is in and that matter, going from or to `there`.
    fn limited(
        &self,
        vm: VmId,
        here: Option<HostId>,
        there: Option<HostId>,
    ) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let on_host = here.map_or(&[][..], |here| &self.limits_of_host[here.index()]);
        self.limits_of_vm[vm.index()].iter().chain(on_host).filter_map(move |&i| {
            let limited = &self.limits[i as usize];
            let pool = limited.pool(self.problem, here?)?;
            let same = || there.and_then(|there| limited.pool(self.problem, there)) == Some(pool);
            let amount = self.amount(&limited.limit, vm);
            let again = limited.limit.twice && there != here;
            (amount > 0 && (again || !same())).then_some((pool, amount))
        })
    }

    fn leaves(&self, vm: VmId, from: Option<HostId>) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let pools = self.latches.leave.get(&vm).into_iter().flatten();
        pools.filter(move |(host, _)| Some(*host) == from).map(|(_, pool)| (*pool, 1))
    }

    /// Pools that a hop needs not to be over.
    fn waits(&self, hop: Hop) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let by_vm = self.latches.by_vm.get(&hop.vm).into_iter().flatten().copied();
        let by_host = self.latches.by_host.get(&hop.to.host).filter(|_| !hop.repins()).into_iter().flatten();
        let waits = move |only: &Option<Vec<VmId>>| {
            only.as_ref().is_none_or(|vms| vms.binary_search(&hop.vm).is_ok())
        };
        by_vm.chain(by_host.filter(move |(_, only)| waits(only)).map(|(pool, _)| *pool)).map(|pool| (pool, 0))
    }

    /// Whether there is room for a hop to begin.
    pub(super) fn fits(&self, room: &[Amount], hop: Hop) -> bool {
        self.arrivals(hop).all(|(pool, amount)| room[pool] >= amount)
    }

    /// Room of a host's scarcest resource, in parts of what is usable of it.
    pub(super) fn spare(&self, room: &[Amount], host: HostId) -> f64 {
        let pools = &room[host.index() * self.width..][..self.width];
        let usable = &self.problem.host(host).usable;
        let parts = pools.iter().zip(usable).filter(|(_, usable)| **usable > 0);
        let whole = parts.map(|(room, usable)| *room as f64 / *usable as f64).fold(1.0, f64::min);
        let nodes = self.problem.bounds_of(host).filter(|bound| bound.node.is_some() && bound.usable > 0);
        // Any node may be the one that is needed.
        let best = nodes.map(|bound| room[bound.cell] as f64 / bound.usable as f64).reduce(f64::max);
        best.map_or(whole, |best| whole.min(best))
    }

    /// Whether a hop is allowed at all, however much room there is.
    pub(super) fn may_hop(&self, hop: Hop) -> bool {
        let Hop { vm, from, to } = hop;
        let (start, end) = (self.start.site(vm.index()), self.to.site(vm.index()));
        let pass = Pass { problem: self.problem, vm, from, to, start, end };
        let moved = &self.problem.vm(vm);
        (hop.repins() && from != Some(to) && self.problem.can_repin(vm, to.host)
            || self.opens_s(to.host).is_some()
                && from.is_none_or(|from| {
                    from.host != to.host && self.problem.can_migrate(vm, from.host, to.host)
                }))
            && !(moved.pinned && moved.host.is_some())
            && (self.gates_of_vm[vm.index()].iter().chain(&self.gates_of_host[to.host.index()]))
                .all(|gate| (self.gates[*gate as usize].opens)(&pass))
    }

    /// Whether the host of a hop can be up by the time that all VMs are where they are, and nothing is under way.
    pub(super) fn is_up(&self, hop: Hop, runs: impl Fn(HostId) -> bool + Copy) -> bool {
        let host = hop.to.host;
        let all = self.switches.before_entry(host).iter().chain([&host]);
        hop.repins() || all.into_iter().all(|host| self.switches.is_up(*host, runs))
    }

    /// The hop of a VM to where it ends.
    pub(super) fn last_hop(&self, vm: VmId, at: &Placement) -> Option<Hop> {
        let (from, to) = (at.site(vm.index()), self.to.site(vm.index())?);
        (from != Some(to)).then_some(Hop { vm, from, to })
    }

    /// VMs that do not end where they start.
    pub(super) fn movers(&self) -> impl Iterator<Item = VmId> + '_ {
        let pairs = self.start.sites().zip(self.to.sites()).enumerate();
        pairs.filter(|(_, (start, to))| start != to).map(|(vm, _)| VmId::from(vm))
    }

    /// Whether one of the VM's amounts is short on the host that it leaves.
    pub(super) fn relieves(&self, hop: Hop) -> bool {
        self.departures(hop).any(|(pool, _)| self.room[pool] < 0)
    }

    /// The rules about plans that actions break: VMs that move though hard ones forbid it so, and the weights of
    /// the soft ones.
    pub(super) fn judge(&self, acts: &[Act]) -> (BTreeSet<VmId>, f64) {
        if self.of_plans.is_empty() {
            return (BTreeSet::new(), 0.0);
        }
        let mut of_vm: BTreeMap<VmId, Vec<Act>> = BTreeMap::new();
        let mut of_host: BTreeMap<HostId, Vec<Act>> = BTreeMap::new();
        for act in acts {
            of_vm.entry(act.vm).or_default().push(*act);
            for host in act.from.into_iter().chain([act.to]) {
                of_host.entry(host).or_default().push(*act);
            }
        }
        let (mut wrong, mut soft) = (BTreeSet::new(), 0.0);
        for kept in &self.of_plans {
            let named = kept.vms.iter().filter_map(|vm| of_vm.get(vm)).flatten();
            let there = kept.rule.hosts().iter().filter_map(|host| of_host.get(host)).flatten();
            let mine: Vec<Act> = named.chain(there).copied().collect();
            if !mine.is_empty() && kept.rule.broken_by(&mine) {
                match kept.constraint.soft_weight {
                    Some(weight) => soft += weight,
                    None => wrong.extend(mine.iter().map(|act| act.vm)),
                }
            }
        }
        (wrong, soft)
    }
}

/// Gangs that share a VM are one.
fn joined(gangs: Vec<Vec<VmId>>) -> Vec<Vec<VmId>> {
    let mut result: Vec<Vec<VmId>> = Vec::new();
    for mut gang in gangs {
        let (shares, apart): (Vec<_>, Vec<_>) =
            result.into_iter().partition(|other| other.iter().any(|vm| gang.contains(vm)));
        gang.extend(shares.into_iter().flatten());
        gang.sort_unstable();
        gang.dedup();
        result = apart;
        result.push(gang);
    }
    result
}

/// A number of things.
fn number(things: usize) -> Amount {
    Amount::try_from(things).unwrap_or(Amount::MAX)
}

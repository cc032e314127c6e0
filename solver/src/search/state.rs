//! A placement under change, with everything that is asked of it kept up to date, and an undo.

use super::numa::Pick;
use super::score::Score;
use crate::constraints::{Kept, Tally};
use crate::model::{Amount, HostId, Objective, Placement, Site, VmId};
use crate::objective::OVERLOAD_WEIGHT;
use crate::objectives::Gauges;
use crate::screen::Space;

/// Invariant, once [`State::evict_forced`](super::repair) is done: every VM that has a host may be there, as
/// states, capacities and hard rules have it. What cannot be placed is nowhere.
#[derive(Debug, Clone)]
pub(crate) struct State<'a> {
    pub(crate) space: &'a Space<'a>,
    at: Placement,
    used: Vec<Amount>,
    /// VMs that take more of a cell than at the start: they came to the host, or to the NUMA node.
    foreign: Vec<u32>,
    tally: Tally,
    on: Vec<Vec<VmId>>,
    /// Position of each VM in the list of its host.
    slot: Vec<u32>,
    /// MiB that come to each host.
    arriving: Vec<Amount>,
    /// Soft rules that do not hold, by position in the list of rules.
    broken: Vec<bool>,
    /// Soft rules to be judged anew; empty between changes.
    touched: Vec<u32>,
    homeless: u64,
    over: u64,
    idle: u64,
    soft: f64,
    active: u64,
    movers: u64,
    cost: Amount,
    gauges: Gauges,
    journal: Vec<(VmId, Option<Site>)>,
}

impl<'a> State<'a> {
    /// Nothing has moved.
    pub(crate) fn new(space: &'a Space<'a>) -> Self {
        let problem = space.problem;
        let nowhere = Placement::nowhere(problem.vms.len());
        let idle = |vm: &VmId| space.home[vm.index()].is_none();
        let mut state = Self {
            used: vec![0; space.usable.len()],
            foreign: vec![0; space.usable.len()],
            tally: space.rules.tally(&nowhere),
            on: vec![Vec::new(); problem.hosts.len()],
            slot: vec![0; problem.vms.len()],
            arriving: vec![0; problem.hosts.len()],
            broken: vec![false; space.rules.list.len()],
            touched: Vec::new(),
            homeless: problem.vm_ids().filter(|vm| !idle(vm)).count() as u64,
            over: 0,
            idle: problem.vm_ids().filter(idle).map(|vm| u64::from(problem.vm(vm).priority)).sum(),
            soft: 0.0,
            active: 0,
            movers: 0,
            cost: 0,
            gauges: Gauges::new(problem),
            journal: Vec::new(),
            at: nowhere,
            space,
        };
        if space.rules.any_switches() {
            // Where nothing runs rules may ask for other states than those that hosts have then by themselves.
            problem.host_ids().for_each(|host| state.gauge(host));
        }
        for vm in problem.vm_ids() {
            state.place(vm, space.home.site(vm.index()));
        }
        state.journal.clear();
        // Some rules are broken by no VM.
        for (i, kept) in space.rules.list.iter().enumerate() {
            if let Some(weight) = kept.constraint.soft_weight
                && kept.fails(&state.tally) != state.broken[i]
            {
                state.broken[i] = !state.broken[i];
                state.soft += weight;
            }
        }
        state
    }

    /// VMs that a rule can be mended by: those it names, and all where it has a say, without order.
    pub(crate) fn subjects(&self, kept: &Kept<'_>) -> Vec<VmId> {
        let mut hosts = kept.rule.hosts().to_vec();
        hosts.extend(kept.vms.iter().filter_map(|vm| self.at(*vm)).filter(|h| kept.guards(&self.tally, *h)));
        hosts.sort_unstable();
        hosts.dedup();
        let named = kept.vms.iter().copied().filter(|vm| self.at(*vm).is_some());
        let mut vms: Vec<VmId> = named.chain(hosts.iter().flat_map(|host| self.on(*host).to_vec())).collect();
        vms.sort_unstable();
        vms.dedup();
        vms
    }

    /// The same in the order in which they are best taken away.
    pub(crate) fn subjects_in_order(&self, kept: &Kept<'_>) -> Vec<VmId> {
        let space = self.space;
        let mut vms = self.subjects(kept);
        if !kept.rule.empties_hosts() {
            // Others before those that the rule is about, where it tells them apart.
            let named = |vm: &VmId| kept.vms.binary_search(vm).is_ok();
            vms.sort_by_cached_key(|vm| (space.fixed[vm.index()], named(vm), space.memory(*vm), *vm));
            return vms;
        }
        // Whole hosts, the one with the least to move first.
        let key = |vm: &VmId| {
            let host = self.at(*vm);
            let all = host.map_or(&[][..], |host| self.on(host));
            let memory: Amount = all.iter().map(|vm| space.memory(*vm)).sum();
            (all.iter().any(|vm| space.fixed[vm.index()]), memory, host, *vm)
        };
        vms.sort_by_cached_key(key);
        vms
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.at
    }

    pub(crate) fn at(&self, vm: VmId) -> Option<HostId> {
        self.at[vm.index()]
    }

    /// The VMs on a host, in no order.
    pub(crate) fn on(&self, host: HostId) -> &[VmId] {
        &self.on[host.index()]
    }

    pub(crate) fn used(&self, host: HostId) -> &[Amount] {
        &self.used[host.index() * self.space.width..][..self.space.width]
    }

    pub(crate) fn usable(&self, host: HostId) -> &[Amount] {
        &self.space.usable[host.index() * self.space.width..][..self.space.width]
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Values of the objectives that weigh hosts.
    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// MiB that come to a host.
    pub(crate) fn arriving(&self, host: HostId) -> Amount {
        self.arriving[host.index()]
    }

    /// VMs that run at the start and are nowhere.
    pub(crate) fn homeless(&self) -> u64 {
        self.homeless
    }

    /// Hosts that run a VM.
    pub(crate) fn active(&self) -> u64 {
        self.active
    }

    /// Whether a waiting VM that counts has no place.
    pub(crate) fn waits(&self) -> bool {
        self.idle > 0
    }

    pub(crate) fn is_over(&self, host: HostId) -> bool {
        let cells = host.index() * self.space.width..(host.index() + 1) * self.space.width;
        let over = |cell: usize| self.used[cell] > self.space.limit[cell];
        cells.into_iter().any(over) || self.space.problem.node_cells(host).any(over)
    }

    /// What is in use of a cell.
    pub(super) fn used_of(&self, cell: usize) -> Amount {
        self.used[cell]
    }

    /// Where a VM is, with its NUMA nodes.
    pub(crate) fn site(&self, vm: VmId) -> Option<Site> {
        self.at.site(vm.index())
    }

    /// Whether the VM runs at the start and is elsewhere.
    pub(crate) fn has_moved(&self, vm: VmId) -> bool {
        let home = self.space.home.site(vm.index());
        home.is_some() && self.at(vm).is_some() && self.site(vm) != home
    }

    /// Whether a VM that is at home may be taken away, as far as the number of moves goes.
    pub(crate) fn may_take(&self, vm: VmId) -> bool {
        let counts_already =
            self.space.home[vm.index()].is_none() || self.site(vm) != self.space.home.site(vm.index());
        !self.space.fixed[vm.index()]
            && (counts_already || self.movers + self.homeless < self.space.most_moves)
    }

    /// How many more VMs may leave where they are now.
    pub(super) fn moves_left(&self) -> u64 {
        self.space.most_moves.saturating_sub(self.movers + self.homeless)
    }

    /// Whether a VM that is nowhere may come to a host.
    pub(crate) fn may_enter(&self, vm: VmId, host: HostId) -> bool {
        let at_home = self.space.home[vm.index()] == Some(host);
        let has_room = || {
            let plain = self.space.problem.host(host).numa.count() == 0;
            if plain {
                self.fits(vm, Site::plain(host))
            } else {
                self.pick(vm, host, Pick::default()).is_some()
            }
        };
        self.may_have_room(vm, host)
            && (if at_home { !self.space.must_leave(vm) } else { self.space.may_go(vm, host) })
            && has_room()
            && self.space.rules.admit(&self.tally, vm, host)
    }

    /// A first look: whether there is room on a host for what a VM that is nowhere takes of it as a whole.
    pub(super) fn may_have_room(&self, vm: VmId, host: HostId) -> bool {
        let (space, base) = (self.space, host.index() * self.space.width);
        let (used, limit) = (&self.used[base..], &space.limit[base..]);
        let mut cells = space.demand(vm).iter().zip(used).zip(limit);
        space.home[vm.index()] == Some(host)
            || cells.all(|((need, used), limit)| *need == 0 || used + need <= *limit)
    }

    /// Whether a VM that is nowhere may come to a host and certain NUMA nodes of it.
    pub(crate) fn may_be(&self, vm: VmId, site: Site) -> bool {
        let home = self.space.home.site(vm.index());
        let goes = match home.filter(|home| home.host == site.host) {
            Some(home) => !self.space.must_leave(vm) && (home == site || self.space.may_repin(vm)),
            None => self.space.may_go(vm, site.host),
        };
        goes && self.space.problem.is_site(vm, site)
            && self.fits(vm, site)
            && self.space.rules.admit(&self.tally, vm, site.host)
    }

    /// A VM that comes needs room in all it demands; one that was there before may stay in an excess that was
    /// there at the start, as long as nobody came into it.
    pub(super) fn fits(&self, vm: VmId, site: Site) -> bool {
        let (space, base) = (self.space, site.index() * self.space.width);
        let at_home = space.home[vm.index()] == Some(site.host);
        let mut demand = space.demand(vm).iter().enumerate();
        demand.all(|(r, &need)| self.admits(base + r, need, if at_home { need } else { 0 }))
            && (space.plain || space.besides(vm, site).all(|(cell, need, had)| self.admits(cell, need, had)))
    }

    /// Whether a cell has room for an amount of a VM that had so much of it at the start.
    pub(super) fn admits(&self, cell: usize, need: Amount, had: Amount) -> bool {
        let mut room = self.space.limit[cell];
        if had >= need && self.foreign[cell] == 0 {
            room = room.max(self.space.home_used[cell]);
        }
        need == 0 || self.used[cell] + need <= room
    }

    /// Puts a VM on a host, or nowhere. Whether it may be there is the caller's to know. Where the host has NUMA
    /// nodes, those are taken that suit best.
    pub(crate) fn set(&mut self, vm: VmId, to: Option<HostId>) {
        if self.at(vm) != to {
            let site = to.map(|host| self.best_site(vm, host));
            self.place(vm, site);
        }
    }

    /// Puts a VM somewhere, or nowhere. Whether it may be there is the caller's to know.
    pub(crate) fn place(&mut self, vm: VmId, to: Option<Site>) {
        let from = self.site(vm);
        if from == to {
            return;
        }
        self.journal.push((vm, from));
        self.put(vm, from, to);
    }

    fn put(&mut self, vm: VmId, from: Option<Site>, to: Option<Site>) {
        if let Some(site) = from {
            self.touch(vm, site.host);
            self.leave(vm, site);
        }
        self.at.put(vm.index(), to);
        if let Some(site) = to {
            self.enter(vm, site);
            self.touch(vm, site.host);
        }
        self.weigh_soft_rules();
    }

    /// Notes the rules that a VM on a host matters to.
    fn touch(&mut self, vm: VmId, host: HostId) {
        if self.space.rules.any_soft {
            self.space.rules.touch(&self.tally, vm, host, &mut self.touched);
        }
    }

    fn leave(&mut self, vm: VmId, site: Site) {
        let (space, host, h) = (self.space, site.host, site.index());
        let home = space.home[vm.index()];
        let moved = space.home.site(vm.index()) != Some(site);
        let stranger = home != Some(host);
        for (r, &need) in space.demand(vm).iter().enumerate() {
            let cell = h * space.width + r;
            let was_over = self.used[cell] > space.limit[cell];
            self.used[cell] -= need;
            self.over -= u64::from(was_over && self.used[cell] <= space.limit[cell]);
            self.foreign[cell] -= u32::from(stranger && need > 0);
        }
        for (cell, need, had) in self.besides(vm, site) {
            let was_over = cell < space.cells && self.used[cell] > space.limit[cell];
            self.used[cell] -= need;
            self.over -= u64::from(was_over && self.used[cell] <= space.limit[cell]);
            self.foreign[cell] -= u32::from(need > had);
        }
        space.rules.leave(&mut self.tally, vm, host);
        let slot = self.slot[vm.index()] as usize;
        self.on[h].swap_remove(slot);
        if let Some(other) = self.on[h].get(slot) {
            self.slot[other.index()] = slot as u32;
        }
        self.active -= u64::from(self.on[h].is_empty());
        self.gauge_all(host);
        if stranger {
            self.arriving[h] -= space.memory(vm);
        }
        if home.is_none() {
            self.idle += u64::from(space.problem.vm(vm).priority);
        } else {
            self.homeless += 1;
            self.movers -= u64::from(moved);
            if stranger {
                self.cost -= space.memory(vm);
            }
        }
    }

    fn enter(&mut self, vm: VmId, site: Site) {
        let (space, host, h) = (self.space, site.host, site.index());
        let home = space.home[vm.index()];
        let moved = space.home.site(vm.index()) != Some(site);
        let stranger = home != Some(host);
        for (r, &need) in space.demand(vm).iter().enumerate() {
            let cell = h * space.width + r;
            let was_over = self.used[cell] > space.limit[cell];
            self.used[cell] += need;
            self.over += u64::from(!was_over && self.used[cell] > space.limit[cell]);
            self.foreign[cell] += u32::from(stranger && need > 0);
        }
        for (cell, need, had) in self.besides(vm, site) {
            let was_within = cell < space.cells && self.used[cell] <= space.limit[cell];
            self.used[cell] += need;
            self.over += u64::from(was_within && self.used[cell] > space.limit[cell]);
            self.foreign[cell] += u32::from(need > had);
        }
        space.rules.enter(&mut self.tally, vm, host);
        self.active += u64::from(self.on[h].is_empty());
        self.slot[vm.index()] = self.on[h].len() as u32;
        self.on[h].push(vm);
        self.gauge_all(host);
        if stranger {
            self.arriving[h] += space.memory(vm);
        }
        if home.is_none() {
            self.idle -= u64::from(space.problem.vm(vm).priority);
        } else {
            self.homeless -= 1;
            self.movers += u64::from(moved);
            if stranger {
                self.cost += space.memory(vm);
            }
        }
    }

    /// What a VM takes besides its demand of its host.
    fn besides(&self, vm: VmId, site: Site) -> impl Iterator<Item = (usize, Amount, Amount)> + use<'a> {
        let space = self.space;
        (!space.plain).then(|| space.besides(vm, site)).into_iter().flatten()
    }

    /// Weighs a host anew that runs something else, or is in another state at the end.
    fn gauge(&mut self, host: HostId) {
        let Self { space, tally, .. } = self;
        let state = || space.rules.state_at_end(space.problem, tally, host);
        self.gauges.update(space.problem, host, &self.used, state);
    }

    /// The same with the hosts that were switched for it.
    fn gauge_all(&mut self, host: HostId) {
        self.gauge(host);
        for i in 0..self.tally.switched().len() {
            self.gauge(self.tally.switched()[i]);
        }
    }

    fn weigh_soft_rules(&mut self) {
        while let Some(i) = self.touched.pop() {
            let kept = &self.space.rules.list[i as usize];
            let Some(weight) = kept.constraint.soft_weight else { continue };
            let broken = kept.fails(&self.tally);
            let was = std::mem::replace(&mut self.broken[i as usize], broken);
            if broken != was {
                self.soft += if broken { weight } else { -weight };
            }
        }
    }

    /// A point to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Takes back all that was done since a mark.
    pub(crate) fn undo(&mut self, mark: usize) {
        while self.journal.len() > mark {
            if let Some((vm, to)) = self.journal.pop() {
                let from = self.site(vm);
                self.put(vm, from, to);
            }
        }
    }

    /// Forgets how it came to be as it is: marks made before have no meaning any more.
    pub(crate) fn settle(&mut self) {
        self.journal.clear();
    }

    /// Whether it is better than it was, and that is worth the moves.
    pub(super) fn pays_since(&self, before: &Score) -> bool {
        self.score().pays_more_than(before, self.space.price)
    }

    pub(crate) fn score(&self) -> Score {
        let value = |level: Objective| match level {
            Objective::Violations => OVERLOAD_WEIGHT * self.over as f64 + self.idle as f64 + self.soft,
            Objective::ActiveHosts => self.active as f64,
            Objective::Migrations => self.movers as f64,
            Objective::MigrationCost => self.cost as f64,
            Objective::Energy | Objective::Imbalance | Objective::Fragments => self.gauges.value(level),
            Objective::Makespan => 0.0,
        };
        Score::new(self.homeless, self.space.levels.iter().map(|level| (*level, value(*level))))
    }
}

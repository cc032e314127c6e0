//! What never changes while a problem is searched: who may go where at all, and flat tables for speed.

use crate::constraints::{Flock, Kept, Known, Rules};
use crate::model::{Amount, Bound, HostId, HostState, Objective, Placement, Problem, Site, VmId, part};
use crate::objective;
use crate::objectives::Terms;
use std::collections::{BTreeMap, BTreeSet};

/// More than any amounts come to.
const NO_BOUND: Amount = Amount::MAX / 4;

/// Facts of a problem, and what is forbidden beyond its rules because no schedule was found for it.
#[derive(Debug, Clone)]
pub(crate) struct Space<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) rules: &'a Rules<'a>,
    /// Where the VMs run at the start.
    pub(crate) home: Placement,
    /// Use at the start, by cell (see [`Problem`]; `host * width + resource` first), with what VMs are to have
    /// at the end. Where VMs are resized, the same follows with what they have while the plan runs.
    pub(crate) home_used: Vec<Amount>,
    /// How many VMs each host runs at the start.
    pub(crate) home_count: Vec<u32>,
    /// Usable amounts, as many as in `home_used`. Of what NUMA nodes bound, a host has what they have together.
    pub(crate) usable: Vec<Amount>,
    /// What may be in use of each cell: no bound where NUMA nodes bound it instead.
    pub(crate) limit: Vec<Amount>,
    /// Cells without those that are about the time while the plan runs.
    pub(crate) cells: usize,
    /// Demands at the end, `vm * width + resource`.
    demand: Vec<Amount>,
    /// Some VM is resized.
    resizes: bool,
    /// Hosts that VMs may enter.
    pub(crate) open: Vec<HostId>,
    is_open: Vec<bool>,
    /// Hosts that are to be left, as if they were draining.
    closed: Vec<bool>,
    /// VMs that run and can only stay as they are, or are down and can start nowhere.
    pub(crate) fixed: Vec<bool>,
    /// The first of the running VMs that hard gathers keep on one host with it.
    unit: Vec<VmId>,
    forbidden: BTreeSet<(VmId, HostId)>,
    /// Running VMs that can migrate between their home and every host, as far as rates and slots go.
    roams: Vec<bool>,
    /// A VM takes its demand of its host and nothing else: there are no NUMA nodes, and no VM is resized.
    pub(crate) plain: bool,
    /// MiB that moving each VM transfers.
    memory: Vec<Amount>,
    /// MIGRATE actions that may be used; `u64::MAX` without a limit.
    pub(crate) most_moves: u64,
    /// Levels that the search compares: those of the problem without `MAKESPAN`, which a placement does not
    /// tell, then fewest and cheapest moves, as a move without use is never wanted.
    pub(crate) levels: Vec<Objective>,
    /// The first of them that is a sum over hosts.
    pub(crate) terms: Option<Terms>,
    /// MiB that one unit of a gain is worth; `None` = any number.
    pub(crate) price: Option<f64>,
    /// Hosts that run nothing are worth something.
    pub(crate) frugal: bool,
    /// Resources, at least 1.
    pub(crate) width: usize,
    /// How large each VM is: the mean share of what a host has.
    pub(crate) size: Vec<f64>,
    /// One over the mean usable amount of a host, by resource.
    pub(crate) scale: Vec<f64>,
}

impl<'a> Space<'a> {
    pub(crate) fn new(problem: &'a Problem, rules: &'a Rules<'a>) -> Self {
        let width = problem.resources.len();
        let home = problem.initial();
        let mut home_count = vec![0; problem.hosts.len()];
        home.iter().flatten().for_each(|host| home_count[host.index()] += 1);
        let open: Vec<_> = problem.host_ids().filter(|host| problem.takes_vms(*host)).collect();
        let mut is_open = vec![false; problem.hosts.len()];
        for host in &open {
            is_open[host.index()] = true;
        }
        let demand: Vec<_> = problem.vms.iter().flat_map(|vm| vm.demand.iter().copied()).collect();
        let resizes = problem.resizes();
        let (mut usable, mut limit) = (vec![0; problem.cells()], vec![NO_BOUND; problem.cells()]);
        for bound in problem.bounds() {
            limit[bound.cell] = bound.usable;
            usable[bound.cell] = bound.usable;
            if bound.node.is_some() {
                usable[bound.host.index() * width + bound.resource] += bound.usable;
            }
        }
        let mut home_used = objective::usage(problem, &home);
        if resizes {
            usable.extend_from_within(..);
            limit.extend_from_within(..);
            home_used.extend(objective::present_usage(problem, &home));
        }
        let scale: Vec<f64> = (0..width)
            .map(|r| {
                let total: Amount = open.iter().map(|host| usable[host.index() * width + r]).sum();
                if total > 0 { open.len() as f64 / total as f64 } else { 0.0 }
            })
            .collect();
        let size = (0..problem.vms.len()).map(|vm| bulk(&demand[vm * width..][..width], &scale)).collect();
        let memory = problem.vm_ids().map(|vm| problem.memory_of(vm)).collect();
        let mut space = Self {
            home_used,
            home_count,
            usable,
            limit,
            cells: problem.cells(),
            demand,
            resizes,
            open,
            is_open,
            closed: vec![false; problem.hosts.len()],
            fixed: Vec::new(),
            unit: units(problem, rules, &home),
            forbidden: BTreeSet::new(),
            roams: roams(problem, &home),
            plain: !resizes && !problem.has_numa(),
            memory,
            most_moves: problem.limits.max_migrations.unwrap_or(u64::MAX),
            levels: Vec::new(),
            terms: None,
            frugal: false,
            price: None,
            width,
            size,
            scale,
            problem,
            rules,
            home,
        };
        space.aim(levels(problem, false));
        space.fixed = problem.vm_ids().map(|vm| space.is_fixed(vm)).collect();
        space
    }

    /// The same with another set of levels: those that follow `MAKESPAN` matter less than it, and as what
    /// is moved takes time, moves that serve only them are not made.
    pub(crate) fn in_haste(mut self) -> Self {
        let levels = levels(self.problem, true);
        self.aim(levels);
        self
    }

    /// Sets the levels that the search compares.
    pub(crate) fn aim(&mut self, levels: Vec<Objective>) {
        let powers = self.problem.limits.power_actions && levels.contains(&Objective::Energy);
        self.frugal = powers || levels.contains(&Objective::ActiveHosts);
        self.terms = Terms::first(self.problem, &levels);
        self.levels = levels;
    }

    /// The same with hosts closed: what runs there leaves, as if they were draining.
    pub(crate) fn closing(&self, hosts: impl IntoIterator<Item = HostId>) -> Self {
        let mut space = self.clone();
        for host in hosts {
            space.closed[host.index()] = true;
            space.is_open[host.index()] = false;
        }
        space.open.retain(|host| !space.closed[host.index()]);
        space
    }

    /// Forbids a VM to end on a host.
    pub(crate) fn forbid(&mut self, vm: VmId, host: HostId) {
        self.forbidden.insert((vm, host));
    }

    /// Makes a running VM stay.
    pub(crate) fn fix(&mut self, vm: VmId) {
        self.fixed[vm.index()] = true;
    }

    /// What a VM takes where it is besides its demand of the host, with what it took of the same cell at the
    /// start: of NUMA nodes, and of all cells while the plan runs.
    pub(crate) fn besides(
        &self,
        vm: VmId,
        site: Site,
    ) -> impl Iterator<Item = (usize, Amount, Amount)> + use<'a> {
        let (problem, home, cells) = (self.problem, self.home.site(vm.index()), self.cells);
        let (demand, present): (&'a [Amount], &'a [Amount]) =
            (&problem.vm(vm).demand, if self.resizes { &problem.vm(vm).present } else { &[] });
        let with_before = move |takes: &'a [Amount], first: usize| {
            move |(cell, amount)| (first + cell, amount, problem.load(takes, home, cell))
        };
        let nodes = problem.node_loads(demand, site).map(with_before(demand, 0));
        nodes.chain(problem.loads(present, site).map(with_before(present, cells)))
    }

    /// What a host can have in use of a resource at the end, if what is over may stay so.
    pub(crate) fn most(&self, host: HostId, resource: usize) -> Amount {
        let bounds = self.problem.bounds_of(host).filter(|bound| bound.resource == resource);
        bounds.map(|bound| bound.usable.max(self.home_used[bound.cell])).sum()
    }

    /// Whether a running VM may end on other NUMA nodes of its host.
    pub(crate) fn may_repin(&self, vm: VmId) -> bool {
        let Some(home) = self.home[vm.index()] else { return false };
        !self.fixed[vm.index()]
            && !self.must_leave(vm)
            && self.problem.can_repin(vm, home)
            && (self.forbidden.is_empty() || !self.forbidden.contains(&(vm, home)))
    }

    /// Whether a host could take a VM if it were empty.
    pub(super) fn large_enough(&self, vm: VmId, host: HostId) -> bool {
        let (problem, known) = (self.problem, self.problem.vm(vm));
        let count = known.numa_count;
        [&known.demand, &known.present].into_iter().all(|takes| {
            let fits = |bound: &Bound, first: bool| match bound.node {
                None => takes[bound.resource] <= bound.usable,
                Some(_) => part(takes[bound.resource], count, first) <= bound.usable,
            };
            let nodes = problem.host(host).numa.count();
            let node_fits = |node: usize, first: bool| {
                let mut bounds = problem.bounds_of(host).filter(|bound| bound.node == Some(node));
                bounds.all(|bound| fits(&bound, first))
            };
            problem.bounds_of(host).filter(|bound| bound.node.is_none()).all(|bound| fits(&bound, true))
                && (nodes == 0
                    || (0..nodes).filter(|node| node_fits(*node, false)).count() >= count as usize
                        && (0..nodes).any(|node| node_fits(node, true)))
        })
    }

    /// What the VM needs at the end.
    pub(crate) fn demand(&self, vm: VmId) -> &[Amount] {
        &self.demand[vm.index() * self.width..][..self.width]
    }

    /// Whether a running VM has to leave its host, whatever the objective.
    pub(crate) fn must_leave(&self, vm: VmId) -> bool {
        self.home[vm.index()].is_some_and(|host| {
            self.closed[host.index()] || self.problem.host(host).state == HostState::Draining
        })
    }

    /// Whether states, links and rules about the way let the VM go to a host that is not its home.
    pub(crate) fn may_go(&self, vm: VmId, host: HostId) -> bool {
        self.is_open[host.index()]
            && !self.fixed[vm.index()]
            && self.reaches(vm, host)
            && (self.forbidden.is_empty() || !self.forbidden.contains(&(vm, host)))
    }

    /// Whether the VM may go to a host, or return there if it is its home, as far as it alone goes.
    pub(crate) fn may_go_or_return(&self, vm: VmId, host: HostId) -> bool {
        let at_home = self.home[vm.index()] == Some(host);
        (if at_home { !self.must_leave(vm) } else { self.may_go(vm, host) })
            && self.forbidding(vm, host).next().is_none()
    }

    /// Whether links and rules about the way let the VM go to a host.
    pub(crate) fn reaches(&self, vm: VmId, host: HostId) -> bool {
        let Some(home) = self.home[vm.index()] else { return true };
        (self.roams[vm.index()] || self.problem.can_reach(vm, home, host))
            && self.rules.holding(vm, host).next().is_none()
    }

    /// The hard rules that let the VM be on the host in no placement.
    pub(crate) fn forbidding(&self, vm: VmId, host: HostId) -> impl Iterator<Item = &'a Kept<'a>> {
        let rules: &'a Rules<'a> = self.rules;
        rules.against(vm, host)
    }

    /// What hard rules keep together with a VM and more.
    pub(crate) fn flocks_of(&self, vm: VmId) -> impl Iterator<Item = Flock<'a>> + use<'a> {
        let rules: &'a Rules<'a> = self.rules;
        let flocks = rules.of(vm).filter(|kept| kept.hard()).flat_map(|kept| kept.rule.flocks());
        flocks.filter(move |flock| flock.vms.len() > 1 && flock.vms.binary_search(&vm).is_ok())
    }

    /// Whether a running VM may be where it is at the end of some plan, as far as it alone goes.
    pub(crate) fn may_stay(&self, vm: VmId) -> bool {
        let home = self.home[vm.index()];
        !self.must_leave(vm) && home.is_none_or(|home| self.forbidding(vm, home).next().is_none())
    }

    /// Whether some host that is not its home could take the VM if it were empty.
    pub(crate) fn could_go_somewhere(&self, vm: VmId) -> bool {
        self.open.iter().any(|host| {
            self.home[vm.index()] != Some(*host)
                && self.may_go(vm, *host)
                && self.large_enough(vm, *host)
                && self.forbidding(vm, *host).next().is_none()
        })
    }

    /// What some VMs need together.
    pub(crate) fn sum(&self, vms: &[VmId]) -> Vec<Amount> {
        let mut sum = vec![0; self.width];
        for vm in vms {
            crate::model::add(&mut sum, self.demand(*vm));
        }
        sum
    }

    /// Groups of VMs that leave a host together or not at all, in order.
    pub(crate) fn units(&self, vms: impl IntoIterator<Item = VmId>) -> Vec<Vec<VmId>> {
        let mut units: BTreeMap<VmId, Vec<VmId>> = BTreeMap::new();
        for vm in vms {
            units.entry(self.unit[vm.index()]).or_default().push(vm);
        }
        units.into_values().collect()
    }

    /// MiB that moving a VM costs.
    pub(crate) fn memory(&self, vm: VmId) -> Amount {
        self.memory[vm.index()]
    }

    fn is_fixed(&self, vm: VmId) -> bool {
        let Some(home) = self.home[vm.index()] else {
            // A pinned VM of a failed host stays down.
            return self.problem.vm(vm).pinned && self.problem.vm(vm).host.is_some();
        };
        let leaves = || self.open.iter().any(|host| *host != home && self.reaches(vm, *host));
        self.problem.vm(vm).pinned
            || self.rules.pin(vm)
            || !(self.problem.can_repin(vm, home) || !self.rules.moor(vm) && leaves())
    }
}

/// How large amounts are, each times its scale: the mean of them, and the most.
pub(crate) fn bulk(amounts: &[Amount], scale: &[f64]) -> f64 {
    let shares = amounts.iter().zip(scale).map(|(amount, scale)| *amount as f64 * scale);
    let (sum, most) = shares.fold((0.0, 0.0_f64), |(sum, most), share| (sum + share, most.max(share)));
    sum / scale.len().max(1) as f64 + most
}

fn levels(problem: &Problem, in_haste: bool) -> Vec<Objective> {
    use Objective::{Makespan, MigrationCost, Migrations};
    let all = problem.objectives.iter().copied();
    let mut levels: Vec<_> = if in_haste {
        all.take_while(|level| *level != Makespan).collect()
    } else {
        all.filter(|level| *level != Makespan).collect()
    };
    for level in [MigrationCost, Migrations] {
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
    levels
}

/// Which running VMs can migrate from their home to whatever host and back.
fn roams(problem: &Problem, home: &Placement) -> Vec<bool> {
    let Some(slowest) = problem.host_ids().min_by(|a, b| {
        let rate = |host: &HostId| problem.host(*host).migration_bandwidth;
        rate(a).total_cmp(&rate(b))
    }) else {
        return Vec::new();
    };
    let all = problem.hosts.iter().all(|host| host.max_migrations > 0) && problem.topology.is_empty();
    let roams = |vm: VmId| home[vm.index()].is_some_and(|home| problem.can_migrate(vm, home, slowest));
    problem.vm_ids().map(|vm| all && roams(vm)).collect()
}

/// For each VM the first of the running ones that hard gathers keep on one host with it.
fn units(problem: &Problem, rules: &Rules<'_>, home: &Placement) -> Vec<VmId> {
    let mut unit: Vec<VmId> = problem.vm_ids().collect();
    let root = |unit: &[VmId], mut vm: VmId| {
        while unit[vm.index()] != vm {
            vm = unit[vm.index()];
        }
        vm
    };
    for kept in rules.list.iter().filter(|kept| kept.hard()) {
        for flock in kept.rule.flocks().into_iter().filter(|flock| flock.places.are_hosts()) {
            let mut first = None;
            for vm in flock.vms.iter().copied().filter(|vm| home[vm.index()].is_some()) {
                let (a, b) = (root(&unit, *first.get_or_insert(vm)), root(&unit, vm));
                unit[a.max(b).index()] = a.min(b);
            }
        }
    }
    problem.vm_ids().map(|vm| root(&unit, vm)).collect()
}

impl Known for Space<'_> {
    fn problem(&self) -> &Problem {
        self.problem
    }

    fn home(&self, vm: VmId) -> Option<HostId> {
        self.home[vm.index()]
    }

    fn is_fixed(&self, vm: VmId) -> bool {
        self.home[vm.index()].is_some() && self.fixed[vm.index()]
    }

    fn may_stay(&self, vm: VmId) -> bool {
        Space::may_stay(self, vm)
    }

    fn open(&self) -> &[HostId] {
        &self.open
    }

    fn shortage(&self, vms: &[VmId], hosts: &[HostId]) -> Option<(String, Amount, Amount)> {
        super::impossible::shortage(self, vms, hosts).map(|(what, need, room)| (what.to_owned(), need, room))
    }
}

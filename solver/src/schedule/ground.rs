//! What does not change while a schedule is made: who may hop where, and what a hop takes and gives back.
//!
//! Everything that can be full is a *pool* with a room in integers: a resource of a host, or a value of
//! the scope of a spread that must always hold. A hop takes from the pools of the host that it enters when
//! it begins, and gives back to those of the host that it leaves when it ends. VMs are resized at the end of
//! the plan: here they take what they have at present.

use crate::constraints::{Kept, Rules, breaks_on_the_way};
use crate::model::{Amount, Body, HostId, HostState, Placement, Problem, Scope, VmId};

/// One VM goes to a host: by live migration, or (from nowhere) by being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    pub(super) vm: VmId,
    pub(super) from: Option<HostId>,
    pub(super) to: HostId,
}

/// The pools of a spread: one for each value of its scope.
#[derive(Debug)]
struct Spread<'a> {
    scope: &'a Scope,
    first: usize,
}

impl Spread<'_> {
    fn pool(&self, host: HostId) -> usize {
        self.first + self.scope.value_of[host.index()] as usize
    }
}

/// The problem and the placement to come to, as the schedule sees them.
pub(super) struct Ground<'a> {
    pub(super) problem: &'a Problem,
    pub(super) start: Placement,
    pub(super) to: &'a Placement,
    /// Room of each pool at the start; less than 0 where a host is over.
    pub(super) room: Vec<Amount>,
    width: usize,
    spreads: Vec<Spread<'a>>,
    /// Positions in `spreads`, for each VM.
    spreads_of: Vec<Vec<u32>>,
    /// Fences, bans and gathers that must always hold, for each VM.
    gates_of: Vec<Vec<&'a Kept<'a>>>,
    /// A soft rule is among those that are kept, as the plan's value counts on it.
    pub(super) keeps_soft: bool,
}

impl<'a> Ground<'a> {
    pub(super) fn new(problem: &'a Problem, rules: &'a Rules<'a>, to: &'a Placement) -> Self {
        let (width, start) = (problem.resources.len(), problem.initial());
        let used = crate::objective::present_usage(problem, &start);
        let usable = problem.hosts.iter().flat_map(|host| host.usable.iter());
        let mut ground = Self {
            problem,
            to,
            room: usable.zip(used).map(|(usable, used)| usable - used).collect(),
            width,
            spreads: Vec::new(),
            spreads_of: vec![Vec::new(); problem.vms.len()],
            gates_of: vec![Vec::new(); problem.vms.len()],
            keeps_soft: false,
            start,
        };
        let end = rules.tally(to);
        for kept in rules.list.iter().filter(|kept| kept.always) {
            let kept_to_the_end = || kept.holds(&end) && !breaks_on_the_way(problem, kept, to);
            if !kept.hard() && !kept_to_the_end() {
                continue;
            }
            ground.keeps_soft |= !kept.hard();
            ground.keep(kept);
        }
        ground
    }

    fn keep(&mut self, kept: &'a Kept<'a>) {
        let Body::Spread { vms, scope, max } = &kept.constraint.body else {
            for vm in kept.vms {
                self.gates_of[vm.index()].push(kept);
            }
            return;
        };
        let scope = &self.problem.scopes[scope.index()];
        let spread = Spread { scope, first: self.room.len() };
        self.room.resize(self.room.len() + scope.values as usize, Amount::from(*max));
        for vm in vms {
            self.spreads_of[vm.index()].push(self.spreads.len() as u32);
            if let Some(host) = self.start[vm.index()] {
                self.room[spread.pool(host)] -= 1;
            }
        }
        self.spreads.push(spread);
    }

    /// Whether a pool is a value of a spread, not a resource of a host.
    pub(super) fn is_spread(&self, pool: usize) -> bool {
        pool >= self.problem.hosts.len() * self.width
    }

    /// The host of a pool that is a resource of one.
    pub(super) fn host_of(&self, pool: usize) -> Option<HostId> {
        (!self.is_spread(pool)).then(|| HostId::from(pool / self.width))
    }

    /// What a VM holds in the pools of a host while it runs there.
    pub(super) fn holds(&self, vm: VmId, host: HostId) -> impl Iterator<Item = (usize, Amount)> + '_ {
        self.arrivals(Hop { vm, from: None, to: host })
    }

    /// What a hop takes when it begins.
    pub(super) fn arrivals(&self, hop: Hop) -> impl Iterator<Item = (usize, Amount)> + '_ {
        self.needs(hop.vm, hop.to).chain(self.values(hop.vm, Some(hop.to), hop.from))
    }

    /// What a hop gives back when it ends.
    pub(super) fn departures(&self, hop: Hop) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let needs = hop.from.map(|from| self.needs(hop.vm, from));
        needs.into_iter().flatten().chain(self.values(hop.vm, hop.from, Some(hop.to)))
    }

    fn needs(&self, vm: VmId, host: HostId) -> impl Iterator<Item = (usize, Amount)> + '_ {
        let first = host.index() * self.width;
        let takes = self.problem.vm(vm).present.iter().enumerate();
        takes.filter(|(_, amount)| **amount > 0).map(move |(r, amount)| (first + r, *amount))
    }

    /// Values of spreads that `here` is in and `there` is not.
    fn values(
        &self,
        vm: VmId,
        here: Option<HostId>,
        there: Option<HostId>,
    ) -> impl Iterator<Item = (usize, Amount)> + '_ {
        self.spreads_of[vm.index()].iter().filter_map(move |&i| {
            let spread = &self.spreads[i as usize];
            let pool = spread.pool(here?);
            (there.map(|there| spread.pool(there)) != Some(pool)).then_some((pool, 1))
        })
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
        parts.map(|(room, usable)| *room as f64 / *usable as f64).fold(1.0, f64::min)
    }

    /// Whether a hop is allowed at all, however much room there is.
    pub(super) fn may_hop(&self, hop: Hop) -> bool {
        let Hop { vm, from, to } = hop;
        let moved = &self.problem.vm(vm);
        let allowed = self.problem.host(to).state == HostState::Online
            && !(moved.pinned && moved.host.is_some())
            && self.gates_of[vm.index()].iter().all(|kept| match &kept.constraint.body {
                Body::Gather { scope, .. } => {
                    let value = |host: HostId| self.problem.scopes[scope.index()].value_of[host.index()];
                    from.is_none_or(|from| value(from) == value(to))
                }
                // Fences and bans remember nothing.
                _ => kept.rule.admits(&[], to),
            });
        allowed && from.is_none_or(|from| from != to && self.problem.can_migrate(vm, from, to))
    }

    /// The hop of a VM to where it ends.
    pub(super) fn last_hop(&self, vm: VmId, at: &Placement) -> Option<Hop> {
        let (from, to) = (at[vm.index()], self.to[vm.index()]?);
        (from != Some(to)).then_some(Hop { vm, from, to })
    }

    /// VMs that do not end where they start.
    pub(super) fn movers(&self) -> impl Iterator<Item = VmId> + '_ {
        let pairs = self.start.iter().zip(self.to).enumerate();
        pairs.filter(|(_, (start, to))| start != to).map(|(vm, _)| VmId::from(vm))
    }

    /// Whether one of the VM's amounts is short on the host that it leaves.
    pub(super) fn relieves(&self, hop: Hop) -> bool {
        self.departures(hop).any(|(pool, _)| self.room[pool] < 0)
    }
}

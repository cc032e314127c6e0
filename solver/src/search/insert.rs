//! Finding a place for a VM: directly, by making room (ejection), or together with those it belongs to.

use super::numa::Pick;
use super::state::State;
use crate::budget::Budget;
use crate::constraints::Flock;
use crate::model::{Amount, Bound, HostId, Objective, Site, VmId};
use crate::objectives::Terms;
use std::cmp::Ordering;

/// Which of the hosts that can take a VM is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The one that is left with the least room: keeps large pieces free elsewhere.
    Tight,
    /// The one to which the least is under way, then with the most room: short plans, even load.
    Wide,
}

/// How a place is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) fit: Fit,
    /// Ejections in a row: 0 = nobody makes room.
    pub(crate) depth: u32,
    /// Pairs of host and VM to be ejected that are tried.
    pub(crate) tries: usize,
}

impl<'a> Means<'a> {
    pub(crate) fn direct(budget: &'a Budget, fit: Fit) -> Self {
        Self { budget, fit, depth: 0, tries: 0 }
    }

    pub(crate) fn with_ejection(self, depth: u32, tries: usize) -> Self {
        Self { depth, tries, ..self }
    }
}

/// Less is better.
#[derive(Debug, Clone, Copy)]
struct Key {
    /// Soft weights broken by it.
    price: f64,
    /// Whether a host must be brought into use, where that matters more than what follows.
    opens: bool,
    /// What it adds to the first level that is a sum over hosts.
    adds: i64,
    /// Whether the host must be booted.
    boots: bool,
    fit: [f64; 2],
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        (self.price.total_cmp(&other.price))
            .then(self.opens.cmp(&other.opens))
            .then(self.adds.cmp(&other.adds))
            .then(self.boots.cmp(&other.boots))
            .then(self.fit[0].total_cmp(&other.fit[0]))
            .then(self.fit[1].total_cmp(&other.fit[1]))
    }
}

impl<'a> State<'a> {
    /// Places a VM that is nowhere; `avoid` is not considered. Whatever was tried in vain is undone.
    pub(crate) fn insert(&mut self, vm: VmId, avoid: Option<HostId>, means: Means<'_>) -> bool {
        if self.space.home[vm.index()].is_none() && self.space.fixed[vm.index()] {
            return false;
        }
        if let Some(host) = self.best_host(vm, avoid, means, |_| true) {
            self.set(vm, Some(host));
            return true;
        }
        (means.depth > 0 && self.eject_for(vm, avoid, means)) || self.insert_gathered(vm, avoid, means)
    }

    /// Places a VM that is nowhere on one of some hosts, as it is.
    pub(crate) fn insert_within(
        &mut self,
        vm: VmId,
        means: Means<'_>,
        within: impl Fn(HostId) -> bool,
    ) -> bool {
        let place = self.best_host(vm, None, means, within);
        place.inspect(|host| self.set(vm, Some(*host))).is_some()
    }

    /// The best host that can take a VM as it is. Going home costs nothing and is always best.
    fn best_host(
        &self,
        vm: VmId,
        avoid: Option<HostId>,
        means: Means<'_>,
        within: impl Fn(HostId) -> bool,
    ) -> Option<HostId> {
        let home = self.space.home[vm.index()];
        let soft = self.space.rules.any_soft;
        if let Some(home) = home
            && avoid != Some(home)
            && within(home)
            && self.may_enter(vm, home)
            && (!soft || self.space.rules.price(self.tally(), vm, home) == 0.0)
        {
            return Some(home);
        }
        means.budget.spend(self.space.open.len() as u64);
        let at = |wanted| self.space.levels.iter().position(|level| *level == wanted);
        let terms = self.space.terms;
        let sum_at = terms.and_then(|terms| at(terms.level)).unwrap_or(usize::MAX);
        let frugal = at(Objective::ActiveHosts).is_some_and(|at| at < sum_at);
        // Where the key costs less to tell than whether the VM may come, it is told first.
        let early = terms.is_none() && !soft;
        let mut best: Option<(Key, HostId)> = None;
        for &host in &self.space.open {
            if avoid == Some(host)
                || !self.may_have_room(vm, host)
                || !within(host)
                || !early && !self.may_enter(vm, host)
            {
                continue;
            }
            let key = Key {
                price: if soft { self.space.rules.price(self.tally(), vm, host) } else { 0.0 },
                opens: frugal && self.on(host).is_empty(),
                adds: terms
                    .map_or(0, |terms| self.change(terms, host, Some((vm, self.best_site(vm, host))), None)),
                boots: self.on(host).is_empty() && self.space.problem.boots(host),
                fit: self.fit(vm, host, means.fit),
            };
            if best.as_ref().is_none_or(|(least, _)| key.compare(least) == Ordering::Less)
                && (!early || self.may_enter(vm, host))
            {
                best = Some((key, host));
            }
        }
        best.map(|(_, host)| host)
    }

    /// What a VM that comes to a host, and another one that leaves it, add to a level.
    pub(super) fn change(
        &self,
        terms: Terms,
        host: HostId,
        come: Option<(VmId, Site)>,
        go: Option<VmId>,
    ) -> i64 {
        let (problem, count) = (self.space.problem, self.on(host).len());
        let used = |bound: &Bound| self.used_of(bound.cell);
        let of =
            |vm: VmId, site: Site, bound: &Bound| bound.part(terms.amount(self.space.demand(vm)), site.nodes);
        let go = go.and_then(|vm| Some((vm, self.site(vm)?)));
        let after = |bound: &Bound| {
            let more = come.map_or(0, |(vm, site)| of(vm, site, bound));
            used(bound) + more - go.map_or(0, |(vm, site)| of(vm, site, bound))
        };
        let runs = count + usize::from(come.is_some()) > usize::from(go.is_some());
        terms.of(problem, host, after, runs) - terms.of(problem, host, used, count > 0)
    }

    fn fit(&self, vm: VmId, host: HostId, fit: Fit) -> [f64; 2] {
        let (mut sum, mut least, mut most) = (0.0, f64::INFINITY, 0.0_f64);
        let demand = self.space.demand(vm);
        for (r, scale) in self.space.scale.iter().enumerate() {
            // What would be left free, in shares of a mean host.
            let left = (self.usable(host)[r] - self.used(host)[r] - demand[r]) as f64 * scale;
            sum += left;
            least = least.min(left);
            most = most.max(left);
        }
        match fit {
            // Little left, and what is left in proportion ("residual" best fit, reference/solver.md 4.1).
            Fit::Tight if self.space.width > 0 => [sum + 1.5 * (most - least), 0.0],
            Fit::Tight => [0.0; 2],
            Fit::Wide => {
                let rate = self.space.problem.host(host).migration_bandwidth;
                let moved = (self.arriving(host) + self.space.memory(vm)) as f64;
                [if rate > 0.0 { moved / rate } else { 0.0 }, -least]
            }
        }
    }

    /// Takes another VM off a host to make room, and places that one elsewhere.
    fn eject_for(&mut self, vm: VmId, avoid: Option<HostId>, means: Means<'_>) -> bool {
        let mut pairs = self.ejections(vm, avoid);
        means.budget.spend(self.space.open.len() as u64);
        pairs.sort_unstable_by_key(|(cost, host, other)| (*cost, *host, *other));
        let deeper = Means { depth: means.depth - 1, tries: means.tries / 8, ..means };
        for (_, host, other) in pairs.into_iter().take(means.tries) {
            if means.budget.expired() {
                return false;
            }
            let mark = self.mark();
            self.set(other, None);
            if self.may_enter(vm, host) {
                self.set(vm, Some(host));
                if self.repin(other, host) || self.insert(other, Some(host), deeper) {
                    return true;
                }
            }
            self.undo(mark);
        }
        false
    }

    /// Pairs of a host and a VM on it whose leaving makes enough room, with what moving it costs.
    fn ejections(&self, vm: VmId, avoid: Option<HostId>) -> Vec<(Amount, HostId, VmId)> {
        let demand = self.space.demand(vm);
        let home = self.space.home[vm.index()];
        let mut pairs = Vec::new();
        for &host in &self.space.open {
            if avoid == Some(host) || (home != Some(host) && !self.space.may_go(vm, host)) {
                continue;
            }
            let (used, usable) = (self.used(host), self.usable(host));
            let lacking = |r: usize| used[r] + demand[r] - usable[r];
            let nodes = self.space.problem.host(host).numa.count() > 0;
            for &other in self.on(host) {
                let given = self.space.demand(other);
                let enough = if nodes {
                    let pick = Pick { without: Some(other), ..Pick::default() };
                    self.pick(vm, host, pick).is_some()
                } else {
                    (0..demand.len()).all(|r| demand[r] == 0 || given[r] >= lacking(r))
                };
                if enough && other != vm && self.may_take(other) {
                    let cost = if self.has_moved(other) { 0 } else { self.space.memory(other) };
                    pairs.push((cost, host, other));
                }
            }
        }
        pairs
    }

    /// Places a VM together with the others that hard rules keep with it: all leave, and all go to one place
    /// that can take them.
    fn insert_gathered(&mut self, vm: VmId, avoid: Option<HostId>, means: Means<'_>) -> bool {
        let Some((flock, mut members)) = self.gathered(vm) else { return false };
        let places = flock.places;
        // Members that wait and have no place yet can follow later.
        members.retain(|member| {
            *member == vm || self.at(*member).is_some() || self.space.home[member.index()].is_some()
        });
        let mark = self.mark();
        for &member in members.iter().filter(|member| **member != vm) {
            if self.at(member).is_some() && !self.may_take(member) {
                self.undo(mark);
                return false;
            }
            self.set(member, None);
        }
        members
            .sort_by(|a, b| self.space.size[b.index()].total_cmp(&self.space.size[a.index()]).then(a.cmp(b)));
        let without = self.mark();
        let direct = Means { depth: 0, ..means };
        let mut tried = std::collections::BTreeSet::new();
        // Places where members have their homes come first, as staying is free.
        let homes: Vec<_> = members.iter().filter_map(|member| self.space.home[member.index()]).collect();
        let hosts: Vec<_> = homes.into_iter().chain(self.space.open.iter().copied()).collect();
        let pairs =
            hosts.into_iter().flat_map(|host| places.of(host).into_iter().map(move |place| (host, place)));
        for (seat, place) in pairs {
            if means.budget.expired() || !tried.insert(place) {
                continue;
            }
            let all = members.iter().all(|&member| {
                // With one host for all, none may stay where one may not be.
                let never = avoid.filter(|_| places.are_hosts() || member == vm);
                let bound = flock.vms.binary_search(&member).is_ok();
                if bound && places.are_hosts() {
                    let goes = Some(seat) != never && self.may_enter(member, seat);
                    if goes {
                        self.set(member, Some(seat));
                    }
                    return goes;
                }
                self.insert_within(member, direct, |host| {
                    (!bound || places.contains(place, host)) && Some(host) != never
                })
            });
            if all {
                return true;
            }
            self.undo(without);
        }
        self.undo(mark);
        false
    }

    /// All that hard rules bind to a VM, itself included, and the flock of its own with the most places.
    fn gathered(&self, vm: VmId) -> Option<(Flock<'a>, Vec<VmId>)> {
        let space = self.space;
        let flock = space.flocks_of(vm).max_by_key(|flock| flock.places.count())?;
        let mut members = vec![vm];
        let mut next = 0;
        while next < members.len() {
            for flock in space.flocks_of(members[next]) {
                for other in flock.vms {
                    if !members.contains(other) {
                        members.push(*other);
                    }
                }
            }
            next += 1;
        }
        Some((flock, members))
    }
}

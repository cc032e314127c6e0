//! A placement without one of its VMs, and what speaks against each host for it.

use super::room::Load;
use super::words;
use crate::constraints::{Kept, Rules, Tally};
use crate::model::{Amount, Bound, HostId, HostState, Placement, Problem, VmId};
use crate::objective;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that speaks against a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What sort of thing.
    pub kind: CauseKind,
    /// The resource, the rule or the host.
    pub subject: String,
    /// How much of a resource is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<Amount>,
    /// One sentence.
    pub text: String,
}

/// What sort of thing speaks against a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The state of the host.
    State,
    /// The VM is pinned.
    Pinned,
    /// No migration between the hosts can come to an end.
    Link,
    /// The limits of the plan allow no migration.
    Limit,
    /// The host has fewer NUMA nodes than the VM is split over.
    Nodes,
    /// Too little of a resource is left.
    Room,
    /// A rule.
    Rule,
}

/// Where all other VMs are.
pub(super) struct Ground<'a> {
    pub(super) problem: &'a Problem,
    pub(super) rules: &'a Rules<'a>,
    pub(super) vm: VmId,
    /// Where the VM runs.
    pub(super) home: Option<HostId>,
    /// The others.
    pub(super) others: Placement,
    end: Vec<Amount>,
    present: Vec<Amount>,
    pub(super) tally: Tally,
    /// Positions of rules that held before what was changed here, and do not any more.
    upset: Vec<usize>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(problem: &'a Problem, rules: &'a Rules<'a>, vm: VmId) -> Self {
        let mut others = problem.initial();
        let home = others[vm.index()].take();
        Self {
            end: objective::usage(problem, &others),
            present: objective::present_usage(problem, &others),
            tally: rules.tally(&others),
            upset: Vec::new(),
            problem,
            rules,
            vm,
            home,
            others,
        }
    }

    /// The ground of a problem that was made of another one's by changes which leave its VMs and rules.
    pub(super) fn after(problem: &'a Problem, rules: &'a Rules<'a>, before: &Ground<'_>) -> Self {
        let mut ground = Self::new(problem, rules, before.vm);
        let then = before.with(&before.tally, before.home);
        let pairs = rules.list.iter().zip(&before.rules.list).enumerate();
        let upset = pairs.filter(|(_, (now, was))| now.fails(&ground.tally) && !was.fails(&then));
        ground.upset = upset.map(|(i, _)| i).collect();
        ground
    }

    /// What the other VMs use of a host.
    pub(super) fn load(&self, host: HostId) -> Load<'a> {
        Load::new(self.problem, host, &self.end, &self.present)
    }

    /// The rules that name the VM, that look at it where it is, or that are among the others given; and whether
    /// they hold with it where it is, and are not only among those.
    pub(super) fn rules_now(&self, others: &BTreeSet<&str>) -> Vec<(&Kept<'a>, bool, bool)> {
        let tally = self.with(&self.tally, self.home);
        let mut about: BTreeSet<&str> = self.rules.of(self.vm).map(Kept::name).collect();
        about.extend(self.home.iter().flat_map(|home| self.rules.at(&tally, self.vm, *home)).map(Kept::name));
        let list = self.rules.list.iter();
        list.filter(|kept| about.contains(kept.name()) || others.contains(kept.name()))
            .map(|kept| (kept, kept.holds(&tally), about.contains(kept.name())))
            .collect()
    }

    fn with(&self, tally: &Tally, host: Option<HostId>) -> Tally {
        let mut tally = tally.clone();
        if let Some(host) = host {
            self.rules.enter(&mut tally, self.vm, host);
        }
        tally
    }

    /// All that speaks against a host other than where the VM runs.
    pub(super) fn causes(&self, host: HostId) -> Vec<Cause> {
        let mut causes = self.standing(host);
        let load = self.load(host);
        // Where nodes leave a choice, the least of it is told.
        let short = load
            .shorts(self.vm)
            .into_iter()
            .min_by_key(|short| (short.len(), short.values().sum::<Amount>()));
        causes
            .extend(short.unwrap_or_default().into_iter().map(|(r, short)| self.room(host, r, short, &load)));
        let blocking = self.blocking(&self.tally, host);
        causes.extend(blocking.map(|kept| self.rule(kept, host)));
        causes
    }

    /// What speaks against a host whatever the other VMs do, rules left aside.
    pub(super) fn standing(&self, host: HostId) -> Vec<Cause> {
        let (problem, vm) = (self.problem, self.problem.vm(self.vm));
        let mut causes = Vec::new();
        let mut add = |kind, subject: &str, text: String| {
            causes.push(Cause { kind, subject: subject.to_owned(), short: None, text });
        };
        let there = problem.host(host);
        if !problem.takes_vms(host) {
            add(CauseKind::State, &there.name, words::closed(&there.name, there.state));
        }
        let (have, want) = (there.numa.count(), vm.numa_count);
        if have > 0 && (want as usize) > have {
            add(CauseKind::Nodes, &there.name, words::nodes(&there.name, have, want));
        }
        if vm.pinned && vm.host.is_some() {
            add(CauseKind::Pinned, &vm.name, words::pinned(&vm.name, self.home.is_some()));
        }
        if let Some(home) = self.home {
            if problem.limits.max_migrations == Some(0) {
                add(CauseKind::Limit, "max_migrations", words::no_migrations());
            }
            if !problem.can_reach(self.vm, home, host) {
                add(CauseKind::Link, &there.name, words::link(problem, self.vm, home, host));
            }
        }
        causes
    }

    /// Whether a rule does not let the VM come to a host.
    pub(super) fn blocks(&self, kept: &Kept<'_>, tally: &Tally, host: HostId) -> bool {
        !self.rules.admits(kept, tally, self.vm, host)
            || (self.home.is_some() && !kept.lets_go(self.vm, host))
    }

    /// The hard rules that do not let the VM come to a host, those about the host or about who is there among them.
    pub(super) fn blocking<'t>(
        &'t self,
        tally: &'t Tally,
        host: HostId,
    ) -> impl Iterator<Item = &'t Kept<'a>> + 't {
        let blocks = move |kept: &&'t Kept<'a>| kept.hard() && self.blocks(kept, tally, host);
        let is_told = move |kept: &Kept<'a>| {
            let mut told = self.rules.at(tally, self.vm, host);
            told.any(|other| std::ptr::eq(other, kept) && blocks(&other))
        };
        let upset = self.upset(tally).filter(move |kept| kept.hard() && !is_told(kept));
        self.rules.at(tally, self.vm, host).filter(blocks).chain(upset)
    }

    /// The rules that do not hold because of what was changed.
    fn upset<'t>(&'t self, tally: &'t Tally) -> impl Iterator<Item = &'t Kept<'a>> + 't {
        self.upset.iter().map(|i| &self.rules.list[*i]).filter(|kept| kept.fails(tally))
    }

    /// What the changes have set against a host: hard rules, if it is not for them that it is closed.
    pub(super) fn set_against(&self, host: HostId) -> Vec<Cause> {
        let tally = self.with(&self.tally, Some(host));
        let there = &self.problem.host(host).name;
        let cause = |kept: &Kept<'_>| {
            let why = kept.why(self.problem, &tally, self.vm, host);
            let text = words::once_changed(there, kept.name(), &why);
            Cause { kind: CauseKind::Rule, subject: kept.name().to_owned(), short: None, text }
        };
        self.upset(&self.tally).filter(|kept| kept.hard()).map(cause).collect()
    }

    fn room(&self, host: HostId, r: usize, short: Amount, load: &Load<'_>) -> Cause {
        let (problem, vm) = (self.problem, self.problem.vm(self.vm));
        let (resource, there) = (&problem.resources[r], problem.host(host));
        let text = if there.numa.bounds(r) {
            words::node_room(&there.name, resource, vm.numa_count, short)
        } else {
            let used = load.used(&problem.whole(host, r));
            let needs = [vm.demand[r], vm.present[r]].into_iter().zip(used);
            let (need, used) = needs.max_by_key(|(need, used)| (*need > 0, need + used)).unwrap_or_default();
            words::room(&there.name, resource, need, there.usable[r] - used, there.usable[r])
        };
        Cause { kind: CauseKind::Room, subject: resource.clone(), short: Some(short), text }
    }

    fn rule(&self, kept: &Kept<'_>, host: HostId) -> Cause {
        let name = &kept.constraint.name;
        let text = if self.rules.admits(kept, &self.tally, self.vm, host) {
            words::on_the_way(name)
        } else {
            let tally = self.with(&self.tally, Some(host));
            words::rule(name, &kept.why(self.problem, &tally, self.vm, host))
        };
        Cause { kind: CauseKind::Rule, subject: name.clone(), short: None, text }
    }

    /// Soft rules that are kept without the VM, and broken by its coming to a host.
    pub(super) fn breaks(&self, host: HostId) -> BTreeMap<String, f64> {
        let broken = |kept: &&Kept<'_>| kept.holds(&self.tally) && self.blocks(kept, &self.tally, host);
        let weight = |kept: &Kept<'_>| Some((kept.constraint.name.clone(), kept.constraint.soft_weight?));
        let upset = self.upset(&self.tally);
        self.rules.at(&self.tally, self.vm, host).filter(broken).chain(upset).filter_map(weight).collect()
    }

    /// What is wrong with where the VM is.
    pub(super) fn wrong(&self) -> Vec<Cause> {
        let problem = self.problem;
        let Some(host) = problem.vm(self.vm).host else { return Vec::new() };
        let there = problem.host(host);
        let mut causes = Vec::new();
        if matches!(there.state, HostState::Draining | HostState::Failed) {
            let text = words::closed(&there.name, there.state);
            causes.push(Cause { kind: CauseKind::State, subject: there.name.clone(), short: None, text });
        }
        if self.home.is_none() {
            return causes;
        }
        let mut load = self.load(host);
        let home = problem.initial().site(self.vm.index());
        if let Some(site) = home {
            load.shift(problem.vm(self.vm), site, 1);
        }
        let needs = |bound: &Bound| {
            let vm = problem.vm(self.vm);
            [&vm.demand, &vm.present].map(|takes| problem.load(takes, home, bound.cell))
        };
        for bound in problem.bounds_of(host) {
            let pairs = needs(&bound).into_iter().zip(load.used(&bound));
            let over = pairs.filter(|(need, _)| *need > 0).map(|(_, used)| used - bound.usable).max();
            let Some(short) = over.filter(|over| *over > 0) else { continue };
            let resource = &problem.resources[bound.resource];
            let text = words::over(&problem.place_name(host, bound.node), resource, short);
            causes.push(Cause { kind: CauseKind::Room, subject: resource.clone(), short: Some(short), text });
        }
        let tally = self.with(&self.tally, Some(host));
        let at_fault = |kept: &&Kept<'_>| !kept.holds(&tally) && kept.at_fault(&tally, self.vm, host);
        for kept in self.rules.at(&tally, self.vm, host).filter(at_fault) {
            let name = &kept.constraint.name;
            let text = words::broken(name, &kept.why(problem, &tally, self.vm, host));
            causes.push(Cause { kind: CauseKind::Rule, subject: name.clone(), short: None, text });
        }
        causes
    }
}

//! All ends of a small problem, the best first: where few placements are possible, none is missed.

use super::best::Offer;
use super::proof::Known;
use super::stages::Stages;
use crate::budget::Budget;
use crate::model::{Amount, Objective, Placement, Problem, Site, VmId};
use crate::objective::{self, Way};
use crate::screen::Space;
use std::cmp::Ordering;

/// Ways to place all VMs, up to which all are looked at.
const MOST_WAYS: usize = 60_000;
/// With more VMs they are not looked at, whatever they may do; and the places of all in all ways are no more than this.
const MOST_VMS: usize = 500;
const MOST_PLACES: usize = 2_000_000;
/// Steps of the search for one unit of work.
const STEPS: u64 = 8;
/// Ends in a row that are tried and make no better plan.
const MOST_IN_VAIN: usize = 400;

impl Stages<'_> {
    /// Looks at all ends if there are few, and makes a plan of the best that can be reached, by the levels before
    /// `MAKESPAN`; `proves` = what is found counts as a proof. False if there are too many, or no time.
    pub(super) fn try_all(&mut self, proves: bool) -> bool {
        let budget = self.search_budget();
        let problem = self.space.problem;
        let Some(ends) = all(self.space, &budget) else { return false };
        self.best.phase = "exact";
        if let Some(values) = least(problem, &ends).filter(|_| proves) {
            let count = proved_by_all(problem);
            let bounds = values.iter().enumerate().map(|(i, value)| (i < count).then_some(*value));
            let known = Known::new(&values, &bounds.collect::<Vec<_>>());
            if self.budget.work_limit().is_some() {
                self.best.exact.push(known);
            } else {
                self.learn(known);
            }
        }
        let mut in_vain = 0;
        for end in &ends {
            let better = |found: &[f64]| compare(problem, &end.values, found).is_lt();
            let helps = self.best.found().is_none_or(|found| better(&found.values));
            if in_vain >= MOST_IN_VAIN || helps && self.search_budget().expired() {
                break;
            }
            if !helps {
                continue;
            }
            in_vain = if self.best.offer(&end.to) == Offer::Better { 0 } else { in_vain + 1 };
        }
        true
    }
}

/// Levels that a placement tells.
pub(super) fn told(problem: &Problem) -> usize {
    problem.objectives.iter().take_while(|level| **level != Objective::Makespan).count()
}

/// Levels of which all ends tell a bound: with power actions a plan may leave hosts that run nothing in other states than
/// the rules ask for and energy suggests, which is not tried.
fn proved_by_all(problem: &Problem) -> usize {
    use Objective::{Energy, Fragments, Imbalance, Makespan};
    let powers = problem.limits.power_actions;
    let open =
        |level: &Objective| *level == Makespan || powers && matches!(level, Energy | Fragments | Imbalance);
    problem.objectives.iter().take_while(|level| !open(level)).count()
}

/// The least value of each level that a placement tells, among the ends that are as good on those before it.
fn least(problem: &Problem, ends: &[End]) -> Option<Vec<f64>> {
    let mut left: Vec<&End> = ends.iter().collect();
    let mut values = left.first()?.values.clone();
    for (i, level) in problem.objectives.iter().enumerate().take(told(problem)) {
        let least = left.iter().map(|end| end.values[i]).fold(f64::INFINITY, f64::min);
        left.retain(|end| objective::order(*level, end.values[i], least).is_le());
        values[i] = least;
    }
    Some(values)
}

/// By the levels that a placement tells. That values count as the same that are near makes it no order to sort by.
fn compare(problem: &Problem, a: &[f64], b: &[f64]) -> Ordering {
    let count = told(problem);
    objective::compare(problem, &a[..count], &b[..count])
}

/// A placement that a plan may end in.
struct End {
    to: Placement,
    values: Vec<f64>,
    /// A move without use is never wanted.
    cost: (Amount, usize),
}

/// All ends, the best first; `None` if there may be too many, or the budget is spent.
fn all(space: &Space<'_>, budget: &Budget) -> Option<Vec<End>> {
    let problem = space.problem;
    let mut choices: Vec<(VmId, Vec<Option<Site>>)> = Vec::new();
    let mut ways = 1_usize;
    if problem.vms.len() > MOST_VMS {
        return None;
    }
    let most = MOST_WAYS.min(MOST_PLACES / problem.vms.len().max(1));
    for vm in problem.vm_ids() {
        let sites = sites(space, vm)?;
        ways = ways.checked_mul(sites.len()).filter(|ways| *ways <= most)?;
        choices.push((vm, sites));
    }
    // Those with little choice first, so that what has no room is seen soon.
    choices.sort_by_key(|(vm, sites)| (sites.len(), *vm));
    let mut tree = Tree {
        space,
        budget,
        choices: &choices,
        used: vec![0; problem.cells()],
        to: Placement::nowhere(problem.vms.len()),
        movers: 0,
        steps: 0,
        ends: Vec::new(),
    };
    if !tree.descend(0) {
        return None;
    }
    let mut ends = tree.ends;
    let count = told(problem);
    let by_values = |a: &End, b: &End| {
        let pairs = a.values[..count].iter().zip(&b.values[..count]);
        pairs.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    ends.sort_by(|a, b| by_values(a, b).then(a.cost.cmp(&b.cost)).then_with(|| a.to.cmp(&b.to)));
    Some(ends)
}

/// Where a VM may end, as far as it alone goes; `None` where there are too many ways to tell.
fn sites(space: &Space<'_>, vm: VmId) -> Option<Vec<Option<Site>>> {
    let (problem, home) = (space.problem, space.home.site(vm.index()));
    let mut sites = Vec::new();
    if home.is_none_or(|_| space.may_stay(vm)) {
        sites.push(home);
    }
    for host in problem.host_ids() {
        let at_home = home.is_some_and(|home| home.host == host);
        let goes = if at_home { space.may_repin(vm) } else { space.may_go(vm, host) };
        if !goes || space.forbidding(vm, host).next().is_some() {
            continue;
        }
        let (ways, complete) = problem.ways(vm, host);
        if !complete {
            return None;
        }
        sites.extend(ways.into_iter().map(|nodes| Some(Site { host, nodes })).filter(|site| *site != home));
    }
    Some(sites)
}

struct Tree<'t, 'a> {
    space: &'t Space<'a>,
    budget: &'t Budget,
    choices: &'t [(VmId, Vec<Option<Site>>)],
    /// By cell, of those that have a place.
    used: Vec<Amount>,
    to: Placement,
    /// VMs that run and go elsewhere.
    movers: u64,
    steps: u64,
    ends: Vec<End>,
}

impl Tree<'_, '_> {
    /// Places the VMs from a position on in all ways; false if the budget is spent.
    fn descend(&mut self, at: usize) -> bool {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) {
            self.budget.spend(1);
            if self.budget.expired() {
                return false;
            }
        }
        let choices = self.choices;
        let Some((vm, sites)) = choices.get(at) else {
            self.note();
            return true;
        };
        let home = self.space.home.site(vm.index());
        for site in sites {
            let moves = u64::from(home.is_some() && *site != home);
            if self.movers + moves > self.space.most_moves {
                continue;
            }
            self.add(*vm, *site, 1);
            self.to.put(vm.index(), *site);
            self.movers += moves;
            let goes_on = (*site == home || self.has_room(*vm, *site)).then(|| self.descend(at + 1));
            self.movers -= moves;
            self.to.put(vm.index(), None);
            self.add(*vm, *site, -1);
            if goes_on == Some(false) {
                return false;
            }
        }
        true
    }

    fn add(&mut self, vm: VmId, site: Option<Site>, times: Amount) {
        let problem = self.space.problem;
        for (cell, amount) in site.into_iter().flat_map(|site| problem.loads(&problem.vm(vm).demand, site)) {
            self.used[cell] += times * amount;
        }
    }

    /// Whether nothing that a VM takes more of than before is over where it has come to: others only add to it.
    fn has_room(&self, vm: VmId, site: Option<Site>) -> bool {
        let (problem, home) = (self.space.problem, self.space.home.site(vm.index()));
        let Some(site) = site else { return true };
        let takes = &problem.vm(vm).demand;
        let mut over = problem.bounds_of(site.host).filter(|bound| self.used[bound.cell] > bound.usable);
        !over.any(|bound| problem.load(takes, Some(site), bound.cell) > problem.load(takes, home, bound.cell))
    }

    fn note(&mut self) {
        let (problem, rules) = (self.space.problem, self.space.rules);
        if objective::fault(problem, rules, &self.to).is_none() {
            let values = objective::values(problem, rules, &self.to, Way::default());
            let cost = (
                objective::moved_mib(problem, &self.to, Way::default()),
                objective::movers(problem, &self.to).count(),
            );
            self.ends.push(End { to: self.to.clone(), values, cost });
        }
    }
}

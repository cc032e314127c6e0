//! `FRAGMENTS`: what online hosts, or their NUMA nodes, have free of a resource beyond whole units of it.

use crate::milp::{Level, Model, Term, gcd};
use crate::model::{Amount, Bound, Fragment, HostId, HostState, Problem, part};
use crate::screen::Space;

/// What a host has free beyond whole units.
pub(super) fn of_host(
    problem: &Problem,
    host: HostId,
    state: HostState,
    resource: usize,
    used: impl Fn(&Bound) -> Amount,
) -> i64 {
    let Some(Fragment { unit, .. }) = problem.fragment.filter(|_| state == HostState::Online) else {
        return 0;
    };
    let bounds = problem.bounds_for(host, resource);
    bounds.map(|bound| (bound.usable - used(&bound)).max(0) % unit).sum()
}

/// Resource and unit.
fn wanted(problem: &Problem) -> Option<(usize, Amount)> {
    let Fragment { resource, unit } = problem.fragment?;
    Some((resource?, unit))
}

/// A lower bound of the value.
pub(crate) fn bound(space: &Space<'_>) -> f64 {
    let problem = space.problem;
    let Some((r, unit)) = wanted(problem) else { return 0.0 };
    if problem.limits.power_actions {
        return 0.0;
    }
    // All that is in use is a multiple of what the demands have in common.
    let numa = problem.has_numa();
    let common = problem.vms.iter().fold(unit, |common, vm| {
        let (amount, count) = (vm.demand[r], if numa { vm.numa_count } else { 1 });
        let parts = gcd(part(amount, count, false), part(amount, count, true));
        gcd(common, gcd(amount, parts))
    });
    let bounds = || {
        let hosts = problem.host_ids().filter(|host| problem.host(*host).state == HostState::Online);
        hosts.flat_map(|host| problem.bounds_for(host, r))
    };
    let over = |bound: &Bound| space.home_used[bound.cell] > bound.usable;
    let least: Amount = bounds().filter(|bound| !over(bound)).map(|bound| bound.usable % common).sum();
    // Where all that is in use at the end is known, so is what is free, and the fragments with it up to units.
    let known = |vm: usize| {
        let home = space.home[vm];
        space.problem.vms[vm].demand[r] == 0
            || home.is_some_and(|home| {
                matches!(problem.host(home).state, HostState::Online | HostState::Draining)
            })
    };
    if bounds().any(|bound| over(&bound)) || !(0..problem.vms.len()).all(known) {
        return least as f64;
    }
    let used: i128 = problem.vms.iter().map(|vm| i128::from(vm.demand[r])).sum();
    let usable: i128 = bounds().map(|bound| i128::from(bound.usable)).sum();
    let beyond = i128::from(unit);
    let missing = (usable - used - i128::from(least)).rem_euclid(beyond);
    (i128::from(least) + missing) as f64
}

/// Adds the columns and rows.
pub(crate) fn add(model: &mut Model<'_>) {
    let problem = model.problem();
    let Some((r, unit)) = wanted(problem) else { return };
    if model.is_pooled() || problem.limits.power_actions {
        return;
    }
    let total: Amount = problem.vms.iter().map(|vm| vm.demand[r]).sum();
    let online = problem.host_ids().filter(|host| problem.host(*host).state == HostState::Online);
    for bound in online.flat_map(|host| problem.bounds_for(host, r)) {
        let usable = bound.usable;
        let most = usable / unit;
        let units = model.new_column(most);
        let (used, fixed) = model.use_of(&bound);
        let over = model.is_over(&bound);
        // used + unit * units <= usable, but for one that stays over: it has no units.
        let mut row = used.clone();
        row.push((units, unit));
        row.extend(over.map(|over| (over, usable - total.max(usable))));
        model.new_row(row, usable - fixed);
        let fragment = over.map(|over| {
            model.new_row(vec![(units, 1), (over, most)], most);
            // fragment >= usable - used - unit * units
            let fragment = model.new_column(usable);
            let mut row: Vec<Term> = used.into_iter().map(|(column, amount)| (column, -amount)).collect();
            row.extend([(units, -unit), (fragment, -1)]);
            model.new_row(row, fixed - usable);
            fragment
        });
        model.gauges.units.push((bound, units, fragment));
    }
}

pub(crate) fn level(model: &Model<'_>) -> Option<Level> {
    let problem = model.problem();
    let Some((_, unit)) = wanted(problem) else {
        return Some(Level::in_units(Vec::new(), 0, 1.0));
    };
    if model.is_pooled() || problem.limits.power_actions {
        return None;
    }
    let mut terms: Vec<Term> = Vec::new();
    let mut weights = vec![0_i64; model.columns()];
    let mut constant: i64 = 0;
    for (bound, units, fragment) in &model.gauges.units {
        if let Some(fragment) = fragment {
            terms.push((*fragment, 1));
            continue;
        }
        let (cells, fixed) = model.use_of(bound);
        constant += bound.usable - fixed;
        for (column, amount) in cells {
            weights[column as usize] -= amount;
        }
        terms.push((*units, -unit));
    }
    let (cells, shifted) = model.weigh_cells(&weights);
    terms.extend(cells);
    Some(Level::in_units(terms, constant + shifted, 1.0))
}

/// The columns of a placement.
pub(crate) fn point(model: &Model<'_>, used: &[Amount], point: &mut [i64]) {
    let problem = model.problem();
    let Some((_, unit)) = wanted(problem) else { return };
    for (bound, units, fragment) in &model.gauges.units {
        let free = (bound.usable - used[bound.cell]).max(0);
        point[*units as usize] = free / unit;
        if let Some(fragment) = fragment {
            point[*fragment as usize] = free % unit;
        }
    }
}

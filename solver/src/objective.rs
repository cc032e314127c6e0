//! Values of the objective's levels, how two of them compare, and whether a placement may be an end.

use crate::constraints::Rules;
use crate::model::{Amount, Amounts, HostState, Objective, Placement, Problem, Site, Vm, VmId};
use crate::objectives::{Gauges, Scene, energy};
use std::cmp::Ordering;

/// What `VIOLATIONS` counts for each host and resource that is over at the end.
pub(crate) const OVERLOAD_WEIGHT: f64 = 1000.0;

/// What a placement alone does not tell of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Way {
    /// MIGRATE actions beyond one for each VM that ends elsewhere.
    pub(crate) pivots: u64,
    /// MiB of memory of the VMs that step aside and end where they began.
    pub(crate) detour_mib: Amount,
    /// Seconds until the last action ends.
    pub(crate) makespan_s: f64,
    /// Weights of soft rules that the placement keeps and the way to it breaks.
    pub(crate) broken: f64,
}

/// Use of each resource on each host at the end of a plan, `host * resources + resource`; then of the NUMA
/// nodes, in their cells.
pub(crate) fn usage(problem: &Problem, at: &Placement) -> Vec<Amount> {
    problem.use_of(at, |vm| &vm.demand)
}

/// The same while the plan runs, as VMs are resized at its end.
pub(crate) fn present_usage(problem: &Problem, at: &Placement) -> Vec<Amount> {
    problem.use_of(at, |vm| &vm.present)
}

/// The VMs that run at the start and end on another host, or on other NUMA nodes of theirs.
pub(crate) fn movers<'a>(problem: &'a Problem, to: &'a Placement) -> impl Iterator<Item = VmId> + 'a {
    let home = problem.initial();
    problem.vm_ids().filter(move |vm| {
        let from = home.site(vm.index());
        from.is_some() && from != to.site(vm.index())
    })
}

/// Those of them that end on another host.
fn travellers<'a>(problem: &'a Problem, to: &'a Placement) -> impl Iterator<Item = VmId> + 'a {
    movers(problem, to).filter(|vm| problem.vm(*vm).host != to[vm.index()])
}

/// One value per level of the problem's objective, in its order, once a plan has led to a placement.
pub(crate) fn values(problem: &Problem, rules: &Rules<'_>, to: &Placement, way: Way) -> Vec<f64> {
    let violations = || violations(problem, to, rules.soft_weight(&rules.tally(to)));
    values_in(problem, to, way, violations, || Scene::after(problem, rules, to))
}

/// The values before anything is done.
pub(crate) fn values_before(problem: &Problem, rules: &Rules<'_>) -> Vec<f64> {
    let start = problem.initial();
    let violations = || violations(problem, &start, rules.soft_weight_now(&rules.tally(&start)));
    values_in(problem, &start, Way::default(), violations, || Scene::before(problem))
}

fn values_in(
    problem: &Problem,
    to: &Placement,
    way: Way,
    violations: impl Fn() -> f64,
    scene: impl Fn() -> Scene,
) -> Vec<f64> {
    let gauges = std::cell::LazyCell::new(|| Gauges::of(problem, &scene()));
    let level = |objective: &Objective| match objective {
        Objective::Violations => violations() + way.broken,
        Objective::ActiveHosts => {
            let mut active = vec![false; problem.hosts.len()];
            to.iter().flatten().for_each(|host| active[host.index()] = true);
            active.into_iter().filter(|active| *active).count() as f64
        }
        Objective::Migrations => (movers(problem, to).count() as u64 + way.pivots) as f64,
        Objective::MigrationCost => moved_mib(problem, to, way) as f64,
        Objective::Energy | Objective::Imbalance | Objective::Fragments => gauges.value(*objective),
        Objective::Makespan => way.makespan_s,
    };
    problem.objectives.iter().map(level).collect()
}

fn violations(problem: &Problem, to: &Placement, broken: f64) -> f64 {
    let used = usage(problem, to);
    let over = problem.bounds().filter(|bound| used[bound.cell] > bound.usable).count();
    let unplaced: u64 = (problem.vms.iter().zip(to))
        .filter(|(_, at)| at.is_none())
        .map(|(vm, _)| u64::from(vm.priority))
        .sum();
    OVERLOAD_WEIGHT * over as f64 + unplaced as f64 + broken
}

/// How far two values of a level may be apart and still count as the same.
pub(crate) fn tolerance(level: Objective, value: f64) -> f64 {
    let absolute = match level {
        Objective::Makespan => 0.01,
        Objective::Energy => 0.1,
        _ => 1e-6,
    };
    // However heavy other rules are, a VM that waits counts.
    let relative = if level == Objective::Violations { 1e-14 } else { 1e-9 };
    absolute + relative * value.abs()
}

/// How two values of a level compare; `Less` is better.
pub(crate) fn order(level: Objective, a: f64, b: f64) -> Ordering {
    if level == Objective::Energy {
        energy::step(a).total_cmp(&energy::step(b))
    } else if (a - b).abs() > tolerance(level, a.max(b)) {
        a.total_cmp(&b)
    } else {
        Ordering::Equal
    }
}

/// Lexicographic; `Less` is better. Levels that `a` or `b` leaves out are not compared.
pub(crate) fn compare(problem: &Problem, a: &[f64], b: &[f64]) -> Ordering {
    for ((level, a), b) in problem.objectives.iter().zip(a).zip(b) {
        let order = order(*level, *a, *b);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Whether a gain is worth its moves: `price` MiB for each unit of the first level that gets better. `pairs` are
/// the levels with the values before and after, `more` the MiB that are moved more than before.
pub(crate) fn pays(
    price: Option<f64>,
    pairs: impl Iterator<Item = (Objective, f64, f64)>,
    more: f64,
) -> bool {
    let Some(price) = price.filter(|_| more > 0.0) else { return true };
    let first = pairs.into_iter().find(|(level, before, after)| order(*level, *before, *after).is_ne());
    first.is_some_and(|(level, before, after)| {
        level == Objective::Violations || more <= price * (before - after) + 1e-6
    })
}

/// MiB of the VMs that move.
pub(crate) fn moved_mib(problem: &Problem, to: &Placement, way: Way) -> Amount {
    travellers(problem, to).map(|vm| problem.memory_of(vm)).sum::<Amount>() + way.detour_mib
}

/// Why no plan may end in a placement; `None` when one may. Says nothing about the way there.
pub(crate) fn fault(problem: &Problem, rules: &Rules<'_>, to: &Placement) -> Option<String> {
    let (initial, at) = (problem.initial(), to);
    for (i, (from, to)) in initial.iter().zip(to).enumerate() {
        let (vm, name) = (&problem.vms[i], &problem.vms[i].name);
        if let Some(fault) = node_fault(problem, rules, VmId::from(i), initial.site(i), at.site(i)) {
            return Some(fault);
        }
        match (from, to) {
            (Some(from), None) => {
                return Some(format!("{name} runs on {} and would stop", problem.host(*from).name));
            }
            (from, Some(to)) if from != &Some(*to) => {
                let host = problem.host(*to);
                if !problem.takes_vms(*to) {
                    return Some(format!("{name} would enter {}, which takes no VMs", host.name));
                }
                if vm.pinned && vm.host.is_some() {
                    return Some(format!("{name} is pinned and would go to {}", host.name));
                }
                if let Some(from) = from.filter(|from| !problem.can_reach(VmId::from(i), *from, *to)) {
                    let from = &problem.host(from).name;
                    return Some(format!(
                        "no migration of {name} from {from} to {} can come to an end",
                        host.name
                    ));
                }
            }
            (Some(from), Some(_)) if problem.host(*from).state == HostState::Draining => {
                return Some(format!(
                    "{name} would stay on {}, which is to be emptied",
                    problem.host(*from).name
                ));
            }
            _ => {}
        }
    }
    let tally = rules.tally(to);
    if let Some(kept) = rules.broken(&tally) {
        return Some(format!("the rule {} would not hold", kept.constraint.name));
    }
    if let Some(kept) = rules.failed(&tally) {
        return Some(format!("the rule {} would not hold on the way", kept.constraint.name));
    }
    if let Some(most) = problem.limits.max_migrations
        && movers(problem, to).count() as u64 > most
    {
        return Some(format!("more than {most} migrations would be needed"));
    }
    overload(problem, &initial, to, &usage(problem, to), |vm| &vm.demand).or_else(|| {
        // The last that came found room, and nothing was resized yet.
        let present = || overload(problem, &initial, to, &present_usage(problem, to), |vm| &vm.present);
        problem.resizes().then(present).flatten()
    })
}

/// Whether a VM could not be on its NUMA nodes, or not come to them on its host.
fn node_fault(
    problem: &Problem,
    rules: &Rules<'_>,
    vm: VmId,
    from: Option<Site>,
    to: Option<Site>,
) -> Option<String> {
    let to = to.filter(|to| from != Some(*to))?;
    let (name, host) = (&problem.vm(vm).name, &problem.host(to.host).name);
    if !problem.is_site(vm, to) {
        return Some(format!("{name} would lie on no right NUMA nodes of {host}"));
    }
    let stays = from.is_some_and(|from| from.host == to.host);
    (stays && (rules.pin(vm) || !problem.can_repin(vm, to.host)))
        .then(|| format!("{name} would go to other NUMA nodes of {host}, which it cannot"))
}

/// A host or NUMA node may end over its capacity only if it was so before, and no VM came there, or holds more
/// of it, that needs what is short.
fn overload(
    problem: &Problem,
    initial: &Placement,
    to: &Placement,
    used: &[Amount],
    takes: impl Fn(&Vm) -> &Amounts,
) -> Option<String> {
    let is_over = problem.bounds().any(|bound| used[bound.cell] > bound.usable);
    if !is_over {
        return None;
    }
    for (i, vm) in problem.vms.iter().enumerate() {
        let (from, to) = (initial.site(i), to.site(i));
        let Some(to) = to.filter(|to| from != Some(*to)) else { continue };
        for bound in problem.bounds_of(to.host).filter(|bound| used[bound.cell] > bound.usable) {
            let load = |site: Option<Site>| problem.load(takes(vm), site, bound.cell);
            if load(Some(to)) > load(from) {
                let place = problem.place_name(bound.host, bound.node);
                let what = &problem.resources[bound.resource];
                return Some(format!("{} would enter {place}, which has too little {what}", vm.name));
            }
        }
    }
    None
}

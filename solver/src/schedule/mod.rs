//! How to get from the present placement to a new one: who moves when, who waits for whom, and which VMs
//! must step aside where moves block each other.
//!
//! A schedule is made by going through time ([`run`]): what may begin begins, by rank ([`rank`]), with the
//! slots and the bandwidth there are ([`network`]). The [`ledger`] notes whose room each hop takes, and that is
//! what it waits for. Where nothing can go on, [`pivot`] moves VMs aside, and where there is nowhere to go to, hosts
//! are booted to be passed through ([`passing`]). Several policies are tried, and [`rounds`]; the best schedule wins. Where that is worth
//! the time, its order is changed at random ([`refine`]), and the CP solver looks for a better timing of small plans
//! ([`exact`]).

mod after;
mod bound;
mod exact;
mod gang;
mod ground;
mod ledger;
mod network;
mod passing;
mod pivot;
mod port;
mod power;
mod rank;
mod reach;
mod refine;
mod rounds;
mod run;
mod search;
mod switch;
#[cfg(test)]
pub(crate) mod tests;

use crate::budget::Budget;
use crate::constraints::{Act, Rules};
use crate::file::Action;
use crate::model::{HostId, Objective, Placement, Problem, VmId};
use crate::objective::Way;
pub(crate) use bound::Holds;
use ground::Ground;
pub(crate) use network::{SWITCH_S, lines};
use network::{Shares, Sharing, level_shares};
pub(crate) use port::{Parcel, least_s};
use rank::Order;
use reach::Reached;
use run::{Deadlock, Policy, Run, Step};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// Actions with times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    /// Boots, then moves in the order of start, then shutdowns, but what others wait for before them; ids from 1;
    /// `because` is left empty.
    pub(crate) actions: Vec<Action>,
    pub(crate) way: Way,
    /// Soft rules were not looked at on the way: `way.broken` counts all of them, broken or not.
    pub(crate) loose: bool,
    /// No schedule of the same moves ends before, in seconds.
    pub(crate) makespan_bound: f64,
    /// When the first schedule was there, from the start of the solve; what came then was polish.
    pub(crate) first: Duration,
}

/// How much is done for a good schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    List,
    Refined,
    Exact,
}

/// No order was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// VMs that do not come to their place.
    pub(crate) vms: BTreeSet<VmId>,
    /// There is none: the placement cannot be reached, whatever is done on the way.
    pub(crate) proved: bool,
}

/// What any schedule that leads to a placement must wait for, with the seconds that it takes at least.
pub(crate) fn bounds(problem: &Problem, rules: &Rules<'_>, to: &Placement) -> Vec<(Holds, f64)> {
    let mut bounds = Vec::new();
    bound::parts(&Ground::new(problem, rules, to, true, &[]), &mut |holds, seconds| {
        bounds.push((holds, seconds));
    });
    bounds
}

/// Finds actions that lead from the present placement to another, safe at every instant.
///
/// # Errors
/// When no order was found, be it that there is none or that the budget ended.
pub(crate) fn schedule(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    budget: &Budget,
) -> Result<Timed, Stuck> {
    over_any_hosts(problem, rules, to, Effort::List, budget)
}

/// As [`schedule`]; then better ones are looked for as long as the budget lasts, or nothing helps any more: with `cp`
/// also by the CP solver.
///
/// # Errors
/// As [`schedule`].
pub(crate) fn thorough(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    cp: bool,
    budget: &Budget,
) -> Result<Timed, Stuck> {
    over_any_hosts(problem, rules, to, if cp { Effort::Exact } else { Effort::Refined }, budget)
}

/// By the hosts there are; else, where power actions are allowed, by hosts that are booted for it.
fn over_any_hosts(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    effort: Effort,
    budget: &Budget,
) -> Result<Timed, Stuck> {
    let through = |hosts: &[HostId]| through(problem, rules, to, hosts, effort, budget);
    let stuck = match through(&[]) {
        Err(stuck) if !stuck.proved => stuck,
        other => return other,
    };
    for hosts in passing::choices(problem, rules, to, &stuck.vms) {
        if budget.expired() {
            break;
        }
        match through(&hosts) {
            Err(stuck) if !stuck.proved => {}
            Err(stuck) => return Err(stuck),
            Ok(timed) => {
                let used = passing::used(problem, &hosts, &timed.actions);
                let fewer = (used.len() < hosts.len()).then(|| through(&used));
                return Ok(fewer.and_then(Result::ok).unwrap_or(timed));
            }
        }
    }
    Err(stuck)
}

/// As [`over_any_hosts`], with these hosts booted and shut down again.
fn through(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    passing: &[HostId],
    effort: Effort,
    budget: &Budget,
) -> Result<Timed, Stuck> {
    let ground = Ground::new(problem, rules, to, true, passing);
    match on_ground(&ground, effort, budget) {
        Err(stuck) if ground.may_break && !budget.expired() => {
            // A soft rule may be what stands in the way.
            let ground = Ground::new(problem, rules, to, false, passing);
            on_ground(&ground, effort, budget)
                .map_err(|other| if other.vms.is_empty() { stuck } else { other })
        }
        other => other,
    }
}

fn on_ground(ground: &Ground<'_>, effort: Effort, budget: &Budget) -> Result<Timed, Stuck> {
    if !ground.blocked.is_empty() {
        return Err(Stuck { vms: ground.blocked.iter().copied().collect(), proved: false });
    }
    let problem = ground.problem;
    let never: BTreeSet<VmId> = ground.movers().filter(|vm| cannot_come(ground, *vm)).collect();
    if !never.is_empty() {
        // Where links are narrow, a way round may be open to it though the straight one is not.
        let straight = problem.topology.is_empty();
        let all: Vec<VmId> = problem.vm_ids().collect();
        let proved = straight && !ground.narrow && !ground.keeps_soft && ground.knows_all_sites(&all);
        return Err(Stuck { vms: never, proved });
    }
    let bound = bound::makespan_s(ground);
    let mut best: Option<Outcome> = None;
    let mut first: Option<Duration> = None;
    let mut left: Option<BTreeSet<VmId>> = None;
    for (i, style) in policies(ground.movers().count()).enumerate() {
        if i > 0 && budget.expired() {
            break;
        }
        // Who steps aside before it must is worth a look only where others wait long for room.
        let is_close = |best: &Outcome| best.way.makespan_s <= CLOSE * bound;
        if style.eager && best.as_ref().is_some_and(is_close) {
            continue;
        }
        match try_policy(ground, style, budget) {
            Ok(steps) => match Outcome::new(ground, steps) {
                Ok(outcome) => {
                    first.get_or_insert_with(|| budget.since_start());
                    keep_better(&mut best, outcome, problem);
                }
                Err(broken) => _ = left.get_or_insert(broken),
            },
            Err(Deadlock { left: vms }) if left.as_ref().is_none_or(|left| vms.len() < left.len()) => {
                left = Some(vms.into_iter().collect());
            }
            Err(_) => {}
        }
        if best.as_ref().is_some_and(|best| best.is_best(bound)) {
            break;
        }
    }
    if best.as_ref().is_some_and(|best| best.way.makespan_s > NEAR * bound) && !budget.expired() {
        in_rounds(ground, budget, &mut best);
    }
    if best.is_none() {
        match reach::anyhow(ground, budget) {
            Reached::By(hops) => {
                for style in policies(hops.len()) {
                    let policy = style.policy(ground, true);
                    if let Ok(steps) = Run::new(ground, &policy).by(hops.clone()).finish(budget)
                        && let Ok(outcome) = Outcome::new(ground, steps)
                    {
                        keep_better(&mut best, outcome, problem);
                    }
                }
            }
            Reached::Never(vms) => {
                // Those that a list schedule brings home are not what blocks. Where rules about plans are kept,
                // those that wait to be started may block as well.
                let left = left.unwrap_or_else(|| vms.clone());
                let vms = if ground.narrow { left } else { vms.intersection(&left).copied().collect() };
                // Here no other hosts are booted than those that are up at the end or passed through.
                let boots = |host| ground.problem.boots(host) && ground.opens_s(host).is_none();
                let narrow = ground.narrow || ground.problem.host_ids().any(boots);
                return Err(Stuck { vms, proved: !ground.keeps_soft && !narrow });
            }
            Reached::Unknown => {}
        }
    }
    if effort != Effort::List {
        refine_and_retime(ground, bound, effort, budget, &mut best);
    }
    match best {
        Some(best) => {
            let actions = power::actions(ground, &best.steps, &best.times);
            let first = first.unwrap_or_else(|| budget.since_start());
            Ok(Timed { actions, way: best.way, loose: ground.loose > 0.0, makespan_bound: bound, first })
        }
        None => Err(Stuck { vms: left.unwrap_or_default(), proved: false }),
    }
}

/// Tries whether rounds are shorter.
fn in_rounds(ground: &Ground<'_>, budget: &Budget, best: &mut Option<Outcome>) {
    let Some(hops) = rounds::hops(ground) else { return };
    budget.spend(hops.len() as u64);
    let policy = PLAIN.policy(ground, false);
    let steps = Run::new(ground, &policy).in_order(&hops);
    if let Some(outcome) = steps.and_then(|steps| Outcome::new(ground, steps).ok()) {
        keep_better(best, outcome, ground.problem);
    }
}

/// Looks for a better schedule than the best one.
fn refine_and_retime(
    ground: &Ground<'_>,
    bound: f64,
    effort: Effort,
    budget: &Budget,
    best: &mut Option<Outcome>,
) {
    let open = |best: &Option<Outcome>| best.as_ref().is_some_and(|best| !best.is_best(bound));
    let half = budget.slice(0.5);
    if let Some(list) = best.as_ref().filter(|_| open(best))
        && let Some(better) = refine::improve(ground, list, bound, &half)
    {
        keep_better(best, better, ground.problem);
    }
    if let Some(list) = best.as_ref().filter(|_| effort == Effort::Exact && open(best)) {
        let found = exact::improve(ground, &PLAIN.policy(ground, false), list, budget);
        for outcome in found.into_iter().filter_map(|steps| Outcome::new(ground, steps).ok()) {
            keep_better(best, outcome, ground.problem);
        }
    }
}

/// Waiting VMs are started as soon as they can; if that gets in the way of others, last.
fn try_policy(ground: &Ground<'_>, style: Style, budget: &Budget) -> Result<Vec<Step>, Deadlock> {
    let mut policy = style.policy(ground, false);
    let tried = Run::new(ground, &policy).finish(budget);
    let waiting = || ground.movers().any(|vm| ground.start[vm.index()].is_none());
    if tried.is_ok() || budget.expired() || !waiting() {
        return tried;
    }
    policy.starts_last = true;
    Run::new(ground, &policy).finish(budget)
}

fn keep_better(best: &mut Option<Outcome>, outcome: Outcome, problem: &Problem) {
    if best.as_ref().is_none_or(|best| outcome.compare(best, problem).is_lt()) {
        *best = Some(outcome);
    }
}

/// Whether a VM cannot come to its place, alone on the infrastructure.
fn cannot_come(ground: &Ground<'_>, vm: VmId) -> bool {
    ground.last_hop(vm, &ground.start).is_none_or(|hop| !ground.may_hop(hop))
}

/// One way to make a schedule.
#[derive(Debug, Clone, Copy)]
struct Style {
    order: Order,
    sharing: Sharing,
    eager: bool,
}

impl Style {
    fn policy(self, ground: &Ground<'_>, starts_last: bool) -> Policy {
        let Self { order, sharing, eager } = self;
        let hops = || ground.movers().filter_map(|vm| ground.last_hop(vm, &ground.start)).collect::<Vec<_>>();
        let shares = if sharing.level { level_shares(ground.problem, &hops()) } else { Shares::new() };
        Policy { sharing, shares, ranks: rank::ranks(ground, order), starts_last, eager }
    }
}

/// Who steps aside before it must is worth a look where a schedule is longer than so many times the bound.
const CLOSE: f64 = 1.05;

/// Rounds are worth a look where a schedule is longer than so many times the bound.
const NEAR: f64 = 1.002;

/// Each migration at full speed.
const ALONE: Sharing = Sharing { least: 1.0, parts: 1.0, level: false };
/// What is tried first.
const PLAIN: Style = Style { order: Order::Busiest, sharing: ALONE, eager: false };

/// What is tried, for so many moves.
fn policies(moves: usize) -> impl Iterator<Item = Style> {
    let alone = ALONE;
    let what_is_left = Sharing { least: 0.5, ..alone };
    let half = Sharing { parts: 2.0, ..alone };
    let quarter = Sharing { parts: 4.0, ..alone };
    let level = Sharing { level: true, ..alone };
    let all = [
        (PLAIN.order, PLAIN.sharing, PLAIN.eager),
        (Order::Busiest, level, false),
        (Order::Busiest, alone, true),
        (Order::Row, alone, false),
        (Order::Row, alone, true),
        (Order::Busiest, half, false),
        (Order::Shortest, alone, false),
        (Order::Busiest, what_is_left, false),
        (Order::Busiest, quarter, false),
        (Order::Any(1), alone, true),
        (Order::Any(2), alone, true),
    ];
    let most = match moves {
        0..=3000 => all.len(),
        3001..=20_000 => 5,
        _ => 3,
    };
    all.into_iter().take(most).map(|(order, sharing, eager)| Style { order, sharing, eager })
}

/// A schedule and what it comes to.
struct Outcome {
    steps: Vec<Step>,
    /// When hosts are switched.
    times: power::Times,
    way: Way,
    sum_of_ends_s: f64,
}

impl Outcome {
    /// An error names VMs that move though a hard rule about plans does not hold so; or none, if hosts wait for each
    /// other to be switched.
    fn new(ground: &Ground<'_>, steps: Vec<Step>) -> Result<Self, BTreeSet<VmId>> {
        let times = power::times(ground, &steps).ok_or_else(BTreeSet::new)?;
        let act = |step: &Step| Act {
            vm: step.hop.vm,
            from: step.hop.left(),
            to: step.hop.to.host,
            start_s: step.start_s,
            end_s: step.end_s,
        };
        let (wrong, broken) = ground.judge(&steps.iter().map(act).collect::<Vec<_>>());
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let migrations = steps.iter().filter(|step| step.hop.from.is_some());
        let moved: BTreeSet<VmId> = migrations.clone().map(|step| step.hop.vm).collect();
        let stays = |vm: &&VmId| ground.start.site(vm.index()) == ground.to.site(vm.index());
        let needed = moved.len() - moved.iter().filter(stays).count();
        // Those that were on another host and end where they began, be it on other NUMA nodes.
        let away: BTreeSet<VmId> =
            steps.iter().filter(|step| step.hop.migrates()).map(|step| step.hop.vm).collect();
        let aside = away.iter().filter(|vm| ground.start[vm.index()] == ground.to[vm.index()]);
        let way = Way {
            pivots: (migrations.count() - needed) as u64,
            detour_mib: aside.map(|vm| ground.problem.memory_of(*vm)).sum(),
            makespan_s: steps.iter().map(|step| step.end_s).fold(times.last_s(), f64::max),
            broken: broken + ground.loose,
        };
        let sum_of_ends_s = steps.iter().map(|step| step.end_s).sum();
        Ok(Self { steps, times, way, sum_of_ends_s })
    }

    /// By the levels of the problem, then by makespan, pivots and the sum of the ends.
    fn compare(&self, other: &Self, problem: &Problem) -> Ordering {
        let (a, b) = (&self.way, &other.way);
        for level in &problem.objectives {
            let order = match level {
                Objective::Migrations => a.pivots.cmp(&b.pivots),
                Objective::MigrationCost => a.detour_mib.cmp(&b.detour_mib),
                Objective::Makespan => a.makespan_s.total_cmp(&b.makespan_s),
                Objective::Violations => a.broken.total_cmp(&b.broken),
                // These a placement tells, whatever the way to it.
                _ => Ordering::Equal,
            };
            if order.is_ne() {
                return order;
            }
        }
        (a.detour_mib.cmp(&b.detour_mib))
            .then(a.makespan_s.total_cmp(&b.makespan_s))
            .then(a.pivots.cmp(&b.pivots))
            .then(self.sum_of_ends_s.total_cmp(&other.sum_of_ends_s))
    }

    /// Whether no other policy can be better in what counts.
    fn is_best(&self, bound: f64) -> bool {
        self.way.pivots == 0 && self.way.broken == 0.0 && self.way.makespan_s <= bound * (1.0 + 1e-9)
    }
}

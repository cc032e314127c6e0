//! One solve, measured and judged.

use super::memory;
use crate::solving::{Engine, Order, Solver as _, Stop};
use dvms_solver::check::{Violation, check};
use dvms_solver::file::{ActionKind, Plan, Problem, Statistic, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// A level of the objective, recomputed by the checker, with the bound that the solver claims.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Level {
    pub(super) name: String,
    pub(super) before: f64,
    pub(super) value: f64,
    pub(super) bound: f64,
    /// What comes on top of value and bound before they are compared: 0, but for `IMBALANCE` the mean loads, so that
    /// highest loads are compared.
    pub(super) base: f64,
}

impl Level {
    /// How far the value is above the bound, as a share of the bound; `None` where the bound is nothing.
    pub(super) fn gap(&self) -> Option<f64> {
        self.gap_of(self.value)
    }

    /// The same for another value of the level.
    pub(super) fn gap_of(&self, value: f64) -> Option<f64> {
        gap(self.base + value, self.base + self.bound)
    }

    /// Whether the bound is reached.
    pub(super) fn is_proved(&self) -> bool {
        // Schedules are told to a hundredth of a second, watts to a half.
        let slack = match self.name.as_str() {
            "MAKESPAN" => 0.01,
            "ENERGY" => 0.5,
            _ => 1e-6,
        };
        self.value <= self.bound + slack
    }
}

/// How far a value is above a bound, as a share of the bound; `None` where the bound is nothing.
pub(super) fn gap(value: f64, bound: f64) -> Option<f64> {
    if value <= bound { Some(0.0) } else { (bound > 0.0).then(|| (value - bound) / bound) }
}

/// When a plan was there, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    pub(super) at_s: f64,
    pub(super) values: Vec<f64>,
}

/// What a solve came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Run {
    pub(super) problem: String,
    pub(super) hosts: usize,
    pub(super) vms: usize,
    pub(super) rules: usize,
    pub(super) limit_s: f64,
    pub(super) status: String,
    pub(super) backend: String,
    pub(super) first_s: Option<f64>,
    pub(super) solve_s: f64,
    /// Every level is proved, or that there is no plan.
    pub(super) proved: bool,
    pub(super) levels: Vec<Level>,
    pub(super) moves: usize,
    pub(super) starts: usize,
    /// What else the plan does: VMs that move more than once, hosts booted or shut down.
    pub(super) actions: usize,
    /// Most memory of the process while it solved, MiB; `None` where the system does not tell.
    pub(super) peak_mib: Option<f64>,
    /// What the checker finds wrong; empty = valid.
    pub(super) faults: Vec<String>,
    pub(super) steps: Vec<Step>,
}

impl Run {
    /// Whether every level but the time that the plan takes is proved.
    pub(super) fn is_closed(&self) -> bool {
        let mut levels = self.levels.iter().filter(|level| level.name != "MAKESPAN");
        self.proved || (!self.levels.is_empty() && levels.all(Level::is_proved))
    }

    /// The value of a level once so many seconds have passed.
    pub(super) fn value_at(&self, level: usize, seconds: f64) -> Option<f64> {
        let last = self.steps.iter().rfind(|step| step.at_s <= seconds)?;
        last.values.get(level).copied()
    }
}

/// Solves a problem and judges the plan.
///
/// # Errors
/// Why the problem is refused.
pub(super) fn run(name: &str, problem: &Problem, order: &Order) -> Result<(Run, Plan), String> {
    memory::forget_peak();
    let began = Instant::now();
    let mut steps: Vec<Step> = Vec::new();
    let solved = Engine.solve(problem, order, &Stop::default(), &mut |plan| {
        let values = plan.objectives.iter().map(|level| level.value).collect();
        steps.push(Step { at_s: began.elapsed().as_secs_f64(), values });
    });
    let solve_s = began.elapsed().as_secs_f64();
    let peak_mib = memory::peak_mib();
    let plan = solved.map_err(|rejected| {
        let first = rejected.faults.first().map(|fault| format!("{}: {}", fault.path, fault.message));
        first.unwrap_or_else(|| "refused".to_owned())
    })?;
    let judged = check(problem, &plan);
    let bound = |i: usize| plan.objectives.get(i).and_then(|level| level.bound).unwrap_or(0.0);
    let levels: Vec<Level> = (judged.levels.iter().enumerate())
        .map(|(i, (name, before, value))| Level {
            name: name.clone(),
            before: *before,
            value: *value,
            bound: bound(i),
            base: if name == "IMBALANCE" { mean_loads(problem) } else { 0.0 },
        })
        .collect();
    let proved = match plan.status {
        Status::Optimal | Status::Infeasible => true,
        Status::NoChange => levels.iter().all(Level::is_proved),
        Status::Feasible | Status::Unknown => false,
    };
    let of = |kind: ActionKind| plan.actions.iter().filter(|action| action.kind == kind).count();
    let (moves, starts) = (of(ActionKind::Migrate), of(ActionKind::Start));
    let backend = match plan.statistics.get("backend") {
        Some(Statistic::Text(backend)) => backend.clone(),
        _ => String::new(),
    };
    let run = Run {
        problem: name.to_owned(),
        hosts: problem.hosts.len(),
        vms: problem.vms.len(),
        rules: problem.constraints.len(),
        limit_s: order.time_limit.as_secs_f64(),
        status: plan.status.name().to_owned(),
        backend,
        first_s: steps.first().map(|step| step.at_s),
        solve_s,
        proved,
        moves,
        starts,
        actions: plan.actions.len(),
        peak_mib,
        faults: judged.violations.iter().map(Violation::to_string).collect(),
        levels,
        steps,
    };
    Ok((run, plan))
}

/// What the mean load would be if all hosts were of one size, in 1/1000 and summed over resources.
fn mean_loads(problem: &Problem) -> f64 {
    let (mut wanted, mut there) = (BTreeMap::<&str, f64>::new(), BTreeMap::<&str, f64>::new());
    for (name, amount) in problem.vms.iter().flat_map(|vm| &vm.demand) {
        *wanted.entry(name).or_default() += *amount as f64;
    }
    for host in problem.hosts.iter().filter(|host| matches!(host.state.as_str(), "" | "ONLINE")) {
        for (name, amount) in &host.capacity {
            *there.entry(name).or_default() += *amount as f64 * host.overcommit.get(name).unwrap_or(&1.0);
        }
    }
    let load = |(name, there): (&&str, &f64)| wanted.get(name).copied().unwrap_or(0.0) / there.max(1.0);
    1000.0 * there.iter().map(load).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;
    use crate::solving::Backend;
    use std::time::Duration;

    #[test]
    fn gaps_are_shares_of_the_bound() {
        assert!((gap(103.0, 100.0).unwrap() - 0.03).abs() < 1e-9);
        assert_eq!((gap(5.0, 5.0), gap(4.0, 5.0), gap(2.0, 0.0)), (Some(0.0), Some(0.0), None));
    }

    #[test]
    fn imbalances_are_compared_as_highest_loads() {
        let row = ROWS.iter().find(|row| row.name == "balance-64").unwrap();
        let problem = row.problem(1, true).unwrap();
        let base = mean_loads(&problem);
        assert!((200.0..2000.0).contains(&base), "two resources: {base}");
        let level =
            |base: f64| Level { name: "IMBALANCE".into(), before: 90.0, value: 30.0, bound: 10.0, base };
        assert_eq!(level(0.0).gap(), Some(2.0));
        assert_eq!((level(990.0).gap(), level(990.0).gap_of(40.0)), (Some(0.02), Some(0.03)));
    }

    #[test]
    fn a_run_tells_what_the_plan_comes_to() {
        let problem = ROWS[0].problem(1, true).unwrap();
        let order = Order {
            time_limit: Duration::from_secs(2),
            patience: None,
            threads: 2,
            seed: 0,
            work_limit: None,
            migration_price: None,
            backend: Backend::Auto,
        };
        let (run, plan) = run("one", &problem, &order).unwrap();
        assert!(plan.status.has_plan() && run.faults.is_empty(), "{run:?}");
        assert!(run.first_s.unwrap() <= run.solve_s);
        let names: Vec<_> = run.levels.iter().map(|level| level.name.as_str()).collect();
        assert_eq!(names, ["VIOLATIONS", "MIGRATION_COST", "MAKESPAN"]);
        assert!(run.levels[0].before >= 1000.0 && run.moves > 0);
        assert_eq!(run.value_at(0, 1e9), Some(run.levels[0].value));
        assert_eq!(run.value_at(0, -1.0), None);
        assert!(run.peak_mib.is_none_or(|mib| mib > 1.0));
    }
}

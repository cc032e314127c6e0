//! A plan with its migrations forecast: how long it takes, what is moved, how long guests stand still.

use super::{Forecast, Path, Workload};
use crate::file::{Action, ActionKind, HotSet, Plan, Problem, Statistic, Vm};
use crate::schedule::SWITCH_S;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the contract gives a host that says nothing, MiB/s.
const BANDWIDTH: f64 = 1000.0;
/// Times of a plan that are nearer are the same.
const SAME_S: f64 = 1e-6;

/// A migration of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its action in the plan.
    pub id: u64,
    /// What is moved.
    pub vm: String,
    /// MiB/s that the plan gives it.
    pub rate_mib_s: f64,
    /// What is to be expected.
    pub forecast: Forecast,
}

/// What a plan comes to, by forecasts of its migrations.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Migrations that are forecast.
    pub migrations: usize,
    /// Seconds from the first action to the last end.
    pub duration_s: f64,
    /// Seconds that guests stand still, one with the other.
    pub downtime_s: f64,
    /// Seconds that one guest stands still at most.
    pub longest_downtime_s: f64,
    /// MiB that are sent.
    pub moved_mib: f64,
    /// Migrations that do not end.
    pub endless: usize,
}

/// What is known of a VM's memory.
fn workload(vm: &Vm, hot: Option<&HotSet>) -> Workload {
    Workload {
        memory_mib: vm.demand.get("memory").copied().unwrap_or(0).max(0) as f64,
        cold_mib_s: vm.memory_dirty_rate.unwrap_or(0.0).max(0.0),
        hot_mib: hot.and_then(|hot| hot.size).unwrap_or(0.0).max(0.0),
        hot_s: hot.and_then(|hot| hot.within_s).unwrap_or(0.0).max(0.0),
    }
}

/// MiB/s that a plan gives a migration: its time read as the contract says, memory ÷ (rate − dirty rate) + 0.03 s.
#[must_use]
pub fn rate(problem: &Problem, workload: &Workload, action: &Action) -> f64 {
    let transfer = action.end_s - action.start_s - SWITCH_S;
    let planned = workload.cold_mib_s + workload.memory_mib / transfer;
    if transfer > 0.0 && planned.is_finite() && planned > 0.0 {
        return planned;
    }
    let ends =
        problem.hosts.iter().filter(|host| host.name == action.source || host.name == action.destination);
    ends.map(|host| host.migration_bandwidth.unwrap_or(BANDWIDTH)).fold(BANDWIDTH, f64::min)
}

/// Forecasts the migrations of a plan from one host to another; what only changes NUMA nodes uses no network. `how` gets
/// the action, what is moved, and what it goes through at the rate of the plan.
pub fn steps(
    problem: &Problem,
    plan: &Plan,
    mut how: impl FnMut(&Action, &Workload, Path) -> Forecast,
) -> Vec<Step> {
    let migrations =
        plan.actions.iter().filter(|a| a.kind == ActionKind::Migrate && a.source != a.destination);
    let moved: HashSet<&str> = migrations.clone().map(|action| action.vm.as_str()).collect();
    let moved = problem.vms.iter().filter(|vm| moved.contains(vm.name.as_str()));
    let vms: HashMap<&str, &Vm> = moved.map(|vm| (vm.name.as_str(), vm)).collect();
    let step = |action: &Action| {
        let vm = vms.get(action.vm.as_str())?;
        let hot = problem.network.iter().flat_map(|network| &network.hot_sets).find(|hot| hot.vm == vm.name);
        let workload = workload(vm, hot);
        let rate_mib_s = rate(problem, &workload, action);
        let forecast = how(action, &workload, Path { bandwidth_mib_s: rate_mib_s });
        Some(Step { id: action.id, vm: action.vm.clone(), rate_mib_s, forecast })
    };
    migrations.filter_map(step).collect()
}

/// What a plan comes to. Actions that are not forecast take as long as they are planned to.
pub fn totals<'a>(plan: &Plan, forecasts: impl IntoIterator<Item = (u64, &'a Forecast)>) -> Totals {
    let forecasts: BTreeMap<u64, &Forecast> = forecasts.into_iter().collect();
    let took = |action: &Action| {
        forecasts.get(&action.id).map_or(action.end_s - action.start_s, |forecast| forecast.duration_s)
    };
    let mut totals = Totals { duration_s: duration(plan, took), ..Totals::default() };
    for forecast in forecasts.values() {
        totals.migrations += 1;
        totals.downtime_s += forecast.downtime_s;
        totals.longest_downtime_s = totals.longest_downtime_s.max(forecast.downtime_s);
        totals.moved_mib += forecast.moved_mib;
        totals.endless += usize::from(!forecast.converges());
    }
    totals
}

/// Seconds until the last action of a plan has ended, where each takes as long as is said. One begins when those that it
/// is `after` have ended, and those that touch one of its hosts and were to have ended by then.
fn duration(plan: &Plan, took: impl Fn(&Action) -> f64) -> f64 {
    let mut order: Vec<&Action> = plan.actions.iter().collect();
    order.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.end_s.total_cmp(&b.end_s)));
    let mut ended: HashMap<u64, f64> = HashMap::new();
    // By host: when each was planned to end, and does.
    let mut there: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
    for action in order {
        let before = action.after.iter().filter_map(|id| ended.get(id)).copied();
        let mut start = before.fold(0.0, f64::max);
        let hosts = [action.source.as_str(), action.destination.as_str()];
        let hosts = hosts.into_iter().filter(|host| !host.is_empty());
        for (planned, end) in hosts.clone().filter_map(|host| there.get(host)).flatten() {
            if *planned <= action.start_s + SAME_S {
                start = start.max(*end);
            }
        }
        let end = start + took(action).max(0.0);
        ended.insert(action.id, end);
        hosts.for_each(|host| there.entry(host).or_default().push((action.end_s, end)));
    }
    ended.into_values().fold(0.0, f64::max)
}

impl Totals {
    /// As statistics of a plan, in names that begin with `forecast_`; empty without migrations.
    #[must_use]
    pub fn statistics(&self) -> BTreeMap<String, Statistic> {
        if self.migrations == 0 {
            return BTreeMap::new();
        }
        let figures = [
            ("duration_s", self.duration_s),
            ("downtime_s", self.downtime_s),
            ("longest_downtime_s", self.longest_downtime_s),
            ("moved_mib", self.moved_mib),
            ("endless", self.endless as f64),
        ];
        // To thousandths: more is not known.
        let figure = |(name, value): (&str, f64)| {
            (format!("forecast_{name}"), Statistic::Number((value * 1000.0).round() / 1000.0))
        };
        figures.into_iter().map(figure).collect()
    }
}

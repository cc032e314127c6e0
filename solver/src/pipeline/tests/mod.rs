mod goals;
mod golden;
mod infeasible;
mod monotone;
mod promises;
pub(crate) mod random;
mod reached;
mod rules;
mod soft;
mod switching;

use crate::file::{Plan, Problem, Status};
use crate::{Backend, Cancel, Options, check, solve};
use std::time::Duration;

/// Enough for any of these problems, and always the same.
fn options() -> Options {
    Options { time_limit: Duration::from_mins(2), work_limit: Some(300_000), ..Options::default() }
}

fn heuristic() -> Options {
    Options { backend: Backend::Heuristic, ..options() }
}

/// Solves, and judges every plan that is given out; the last one is returned.
#[track_caller]
fn solved_with(problem: &Problem, options: &Options) -> Plan {
    let mut given: Vec<Plan> = Vec::new();
    let plan = solve(problem, options, &Cancel::default(), &mut |plan| given.push(plan.clone())).unwrap();
    for plan in given.iter().chain([&plan]) {
        let violations = check::check(problem, plan).violations;
        assert!(violations.is_empty(), "{violations:?} in {} of {}", plan.to_json(), problem.to_json());
    }
    for pair in given.windows(2) {
        let values = |plan: &Plan| plan.objectives.iter().map(|o| o.value).collect::<Vec<_>>();
        let ends = |plan: &Plan| plan.actions.iter().map(|action| action.end_s).sum::<f64>();
        // With the same values, what ends earlier is better.
        assert!(
            (values(&pair[1]), ends(&pair[1])) < (values(&pair[0]), ends(&pair[0])),
            "given out though it is no better: {}",
            problem.to_json()
        );
    }
    match given.last() {
        Some(last) => assert_eq!((&last.actions, &last.placement), (&plan.actions, &plan.placement)),
        None => assert!(!plan.status.has_plan()),
    }
    plan
}

#[track_caller]
fn solved(json: &str) -> Plan {
    solved_with(&parse(json), &options())
}

#[track_caller]
fn parse(json: &str) -> Problem {
    Problem::from_json(json).unwrap_or_else(|error| panic!("{error:?} in {json}"))
}

/// `vm source destination because` of each action, sorted.
fn actions(plan: &Plan) -> Vec<String> {
    let line = |a: &crate::file::Action| format!("{} {}>{}: {}", a.vm, a.source, a.destination, a.because);
    let mut lines: Vec<_> = plan.actions.iter().map(line).collect();
    lines.sort();
    lines
}

#[track_caller]
fn value(plan: &Plan, level: &str) -> f64 {
    plan.objectives.iter().find(|o| o.name == level).unwrap_or_else(|| panic!("no {level}")).value
}

/// Hosts of 10 cpu and 10 GiB, by name and state.
fn hosts(list: &[(&str, &str)]) -> String {
    let host = |(name, state): &(&str, &str)| {
        format!(
            r#"{{"name": "{name}", "state": "{state}", "capacity": {{"cpu": 10000, "memory": 10240}},
                "labels": {{"rack": "r-{}"}}}}"#,
            &name[..1]
        )
    };
    format!("[{}]", list.iter().map(host).collect::<Vec<_>>().join(", "))
}

/// A VM of so many cores and GiB.
fn vm(name: &str, host: &str, cores: u32, gib: u32) -> String {
    vm_with(name, host, cores, gib, "")
}

fn vm_with(name: &str, host: &str, cores: u32, gib: u32, more: &str) -> String {
    format!(
        r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {}, "memory": {}}}{more}}}"#,
        cores * 1000,
        gib * 1024
    )
}

fn problem(hosts: &str, vms: &[String], more: &str) -> String {
    format!(r#"{{"hosts": {hosts}, "vms": [{}]{more}}}"#, vms.join(", "))
}

/// The problem that is left once a plan has been carried out.
fn carried_out(problem: &Problem, plan: &Plan) -> Problem {
    let mut next = problem.clone();
    for action in &plan.actions {
        let switched = if action.source.is_empty() { &action.destination } else { &action.source };
        let state = match action.kind {
            crate::file::ActionKind::Boot => "ONLINE",
            crate::file::ActionKind::Shutdown => "OFFLINE",
            _ => continue,
        };
        next.hosts.iter_mut().filter(|h| h.name == *switched).for_each(|h| h.state = state.to_owned());
    }
    for vm in &mut next.vms {
        if let Some(host) = plan.placement.get(&vm.name) {
            vm.host.clone_from(host);
            if let Some(numa) = &mut vm.numa {
                numa.nodes = plan.numa_placement.get(&vm.name).cloned().unwrap_or_default();
            }
        }
        vm.demand.append(&mut vm.arrival_demand);
    }
    next
}

#[track_caller]
fn assert_status(plan: &Plan, status: Status) {
    assert_eq!(plan.status, status, "{}", plan.to_json());
}

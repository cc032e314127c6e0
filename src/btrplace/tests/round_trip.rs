//! There and back: what comes back says the same.

use super::super::{Instance, Options, Unit, export, import};
use dvms_solver::Cancel;
use dvms_solver::file::{Plan, Problem, Status};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Through JSON text, as files go.
fn there_and_back(problem: &Problem) -> Problem {
    let exported = export(problem, &BTreeSet::new()).unwrap();
    let text = serde_json::to_string(&exported.instance).unwrap();
    let instance: Instance = serde_json::from_str(&text).unwrap();
    assert_eq!(instance, exported.instance);
    // Amounts are what they are.
    let unit = |name: &str| (name.to_owned(), Unit { name: name.to_owned(), factor: 1 });
    let options = Options { units: ["cpu", "memory"].map(unit).into(), ..Options::default() };
    import(&instance, &options).unwrap().problem
}

fn solved(problem: &Problem) -> Plan {
    let options = dvms_solver::Options {
        work_limit: Some(200_000),
        threads: 1,
        time_limit: std::time::Duration::from_secs(30),
        ..dvms_solver::Options::default()
    };
    dvms_solver::solve(problem, &options, &Cancel::default(), &mut |_| ()).unwrap()
}

/// Problems of up to four hosts and six VMs, with rules that both sides know.
fn problems() -> impl Strategy<Value = Problem> {
    let hosts = prop::collection::vec((6..20i64, 6..20i64, 0..9u8), 2..5);
    let vms = prop::collection::vec((1..6i64, 1..6i64, 0..5usize, 0..8u8), 1..7);
    let rules = prop::collection::vec((0..9u8, 0..6usize, 0..6usize, 0..4usize), 0..4);
    (hosts, vms, rules).prop_map(|(hosts, vms, rules)| {
        let (h, v) = (hosts.len(), vms.len());
        let host = |i: usize| format!("n{}", i % h);
        let vm = |i: usize| format!("vm{}", i % v);
        let two = |a: usize, b: usize| BTreeSet::from([vm(a), vm(b)]);
        let host_files: Vec<Value> = hosts.iter().enumerate().map(|(i, (cpu, memory, state))| {
            let state = match state { 0 => "DRAINING", 1 => "CORDONED", 2 => "OFFLINE", _ => "ONLINE" };
            json!({"name": host(i), "capacity": {"cpu": cpu, "memory": memory}, "state": state})
        }).collect();
        let vm_files: Vec<Value> = vms.iter().enumerate().map(|(i, (cpu, memory, at, more))| {
            let off = host_files[at % h]["state"] == "OFFLINE" || *at == 4;
            let mut file = json!({"name": vm(i), "demand": {"cpu": cpu, "memory": memory}});
            if !off {
                file["host"] = json!(host(*at));
                if *more == 0 {
                    file["arrival_demand"] = json!({"cpu": cpu + 2});
                }
            }
            file
        }).collect();
        let rule_files: Vec<Value> = rules.iter().enumerate().map(|(i, (kind, a, b, c))| {
            let mut rule = match kind {
                0 => json!({"spread": {"vms": two(*a, *b)}}),
                1 => json!({"gather": {"vms": two(*a, *b)}}),
                2 => json!({"fence": {"vms": [vm(*a)], "hosts": BTreeSet::from([host(*c), host(*b)])}}),
                3 => json!({"ban": {"vms": [vm(*a)], "hosts": [host(*c)]}}),
                4 => json!({"lonely": {"vms": [vm(*a)]}}),
                5 => json!({"among": {"vms": two(*a, *b), "host_groups": [{"hosts": [host(0)]}, {"hosts": [host(1)]}]}}),
                6 => json!({"running_capacity": {"hosts": [host(*c)], "max": b + 1}}),
                7 => json!({"resource_capacity": {"hosts": [host(*c)], "resource": "cpu", "max": a + 9}}),
                _ => json!({"root": {"vms": [vm(*a)]}}),
            };
            rule["name"] = json!(format!("r{i}"));
            rule
        }).collect();
        let file = json!({"hosts": host_files, "vms": vm_files, "constraints": rule_files});
        Problem::from_json(&file.to_string()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The same is possible and the same is best. What a VM that finds no place is worth is not carried over, so
    /// only problems count in which all do.
    #[test]
    fn the_same_is_best(problem in problems()) {
        if dvms_solver::Problem::new(&problem).is_err() {
            return Ok(());
        }
        let back = there_and_back(&problem);
        let (before, after) = (solved(&problem), solved(&back));
        prop_assume!(before.status != Status::Unknown && after.status != Status::Unknown);
        prop_assert_eq!(before.status == Status::Infeasible, after.status == Status::Infeasible,
            "{}\n{}", problem.to_json(), back.to_json());
        let proved = |plan: &Plan| matches!(plan.status, Status::Optimal | Status::NoChange);
        if proved(&before) && proved(&after) {
            let value = |plan: &Plan, name: &str| plan.objectives.iter().find(|level| level.name == name).map(|level| level.value);
            for level in ["VIOLATIONS", "MIGRATION_COST"] {
                prop_assert_eq!(value(&before, level), value(&after, level), "{}", level);
            }
        }
    }
}

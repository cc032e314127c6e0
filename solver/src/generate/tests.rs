use super::*;
use crate::check::{check, check_placement};
use crate::file::{Plan, Status};
use crate::{Cancel, Options, Problem as Model, solve};
use std::collections::{BTreeMap, BTreeSet};

const ALL: [Scenario; 9] = [
    Scenario::Repair,
    Scenario::Failure,
    Scenario::Drain,
    Scenario::Pending,
    Scenario::Consolidate,
    Scenario::Balance,
    Scenario::Defragment,
    Scenario::LoadIncrease,
    Scenario::NodeRelease,
];

fn placement(problem: &Problem) -> BTreeMap<String, String> {
    let placed = problem.vms.iter().filter(|vm| !vm.host.is_empty());
    placed.map(|vm| (vm.name.clone(), vm.host.clone())).collect()
}

fn is_over(problem: &Problem, resource: &str) -> usize {
    let mut used = BTreeMap::<&str, i64>::new();
    for vm in &problem.vms {
        let amount = vm.arrival_demand.get(resource).unwrap_or(&vm.demand[resource]);
        *used.entry(vm.host.as_str()).or_default() += amount;
    }
    let over = |host: &&crate::file::Host| {
        used.get(host.name.as_str()).is_some_and(|used| *used > host.capacity[resource])
    };
    problem.hosts.iter().filter(over).count()
}

#[test]
fn the_same_recipe_gives_the_same_problem_and_another_seed_another() {
    for scenario in ALL {
        let recipe = Recipe::new(scenario, 40);
        let problem = recipe.problem().expect("it has room");
        assert_eq!(Some(&problem), recipe.problem().as_ref(), "{scenario:?}");
        let other = Recipe { seed: 2, ..recipe }.problem().expect("it has room");
        assert_ne!(problem.vms, other.vms, "{scenario:?}");
        assert_eq!((problem.hosts.len(), problem.vms.len()), (40, recipe.vms), "{scenario:?}");
    }
}

#[test]
fn problems_are_of_the_contract_and_broken_as_they_should() {
    for scenario in ALL {
        for seed in 1..=3 {
            let recipe = Recipe { seed, ..Recipe::new(scenario, 40) };
            let problem = recipe.problem().expect("it has room");
            let text = problem.to_json();
            assert_eq!(Problem::from_json(&text).expect("it is read"), problem);
            let state = |state: &str| problem.hosts.iter().filter(|host| host.state == state).count();
            let waiting = problem.vms.iter().filter(|vm| vm.host.is_empty()).count();
            let over = is_over(&problem, "cpu") + is_over(&problem, "memory");
            let broken = (over, state("FAILED"), state("DRAINING"), state("OFFLINE"), waiting);
            match scenario {
                Scenario::Repair => assert_eq!(broken, (4, 0, 0, 0, 0)),
                Scenario::Failure => assert_eq!(broken, (0, 1, 0, 0, 0)),
                Scenario::Drain => assert_eq!(broken, (0, 0, 2, 0, 0)),
                Scenario::Pending => assert_eq!(broken, (0, 0, 0, 0, 20)),
                Scenario::LoadIncrease => assert!(problem.vms.iter().any(|vm| !vm.arrival_demand.is_empty())),
                Scenario::NodeRelease => assert!(state("OFFLINE") == 2 && waiting > 0),
                _ => assert_eq!(broken, (0, 0, 0, 0, 0)),
            }
            let nodes = if scenario == Scenario::Defragment { 2 } else { 0 };
            assert!(problem.hosts.iter().all(|host| host.numa_nodes.len() == nodes));
            Model::new(&problem).expect("it can be solved");
        }
    }
}

#[test]
fn every_rule_holds_before_anything_is_done() {
    for scenario in [Scenario::Consolidate, Scenario::Repair, Scenario::LoadIncrease] {
        for (seed, load) in [(1, 0.5), (2, 0.7), (3, 0.8)] {
            let recipe = Recipe { seed, load, ..Recipe::new(scenario, 40) };
            let problem = recipe.problem().expect("it has room");
            let judged = check_placement(&problem, &placement(&problem));
            assert!(judged.violations.is_empty(), "{scenario:?} {seed}: {:?}", judged.violations);
            assert!(!problem.constraints.is_empty());
        }
    }
    let kinds = |problem: &Problem| -> BTreeSet<&str> {
        problem.constraints.iter().filter_map(|rule| Some(rule.body.as_ref()?.kind())).collect()
    };
    let problem = Recipe::new(Scenario::Consolidate, 64).problem().expect("it has room");
    let all = BTreeSet::from(["spread", "gather", "fence", "ban", "lonely"]);
    assert_eq!(kinds(&problem), all);
    let free = Recipe { constraints: 0.0, ..Recipe::new(Scenario::Consolidate, 64) };
    assert!(free.problem().expect("it has room").constraints.is_empty());
}

#[test]
fn the_load_is_what_was_asked_for() {
    for (fleet, load) in
        [(Fleet::Classes, 0.5), (Fleet::Classes, 0.8), (Fleet::Mixed, 0.4), (Fleet::Identical, 0.45)]
    {
        let recipe = Recipe { load, fleet, ..Recipe::new(Scenario::Consolidate, 64) };
        let problem = recipe.problem().expect("it has room");
        for resource in ["cpu", "memory"] {
            let used: i64 = problem.vms.iter().map(|vm| vm.demand[resource]).sum();
            let all: i64 = problem.hosts.iter().map(|host| host.capacity[resource]).sum();
            let real = used as f64 / all as f64;
            // Equal VMs have 1 GiB of memory, whatever the load of the cpu.
            let wanted = if fleet == Fleet::Identical && resource == "memory" { 10.0 / 32.0 } else { load };
            assert!((real - wanted).abs() < 0.02, "{fleet:?} {resource}: {real} for {wanted}");
        }
        let sizes: BTreeSet<i64> = problem.hosts.iter().map(|host| host.capacity["cpu"]).collect();
        assert_eq!(sizes.len(), if fleet == Fleet::Identical { 1 } else { 3 }, "{sizes:?}");
        let most: i64 = problem.vms.iter().map(|vm| vm.demand["cpu"]).max().expect("there are VMs");
        assert!(most <= sizes.first().expect("there are hosts") * 6 / 10 + 100, "{most} of {sizes:?}");
    }
}

#[test]
fn nodes_hold_what_lies_on_them() {
    for scenario in [Scenario::Defragment, Scenario::Consolidate] {
        let recipe = Recipe { numa: true, ..Recipe::new(scenario, 16) };
        let problem = recipe.problem().expect("it has room");
        let mut used = BTreeMap::<(&str, i64, &str), i64>::new();
        for vm in &problem.vms {
            let numa = vm.numa.as_ref().expect("it lies on nodes");
            assert_eq!(numa.count, Some(numa.nodes.len() as i64));
            for (i, node) in numa.nodes.iter().enumerate() {
                for (resource, amount) in &vm.demand {
                    let (count, rest) = (numa.nodes.len() as i64, i == 0);
                    let part = amount / count + if rest { amount % count } else { 0 };
                    *used.entry((vm.host.as_str(), *node, resource.as_str())).or_default() += part;
                }
            }
        }
        for host in &problem.hosts {
            for (node, part) in host.numa_nodes.iter().enumerate() {
                for (resource, capacity) in &part.capacity {
                    let used = used.get(&(host.name.as_str(), node as i64, resource.as_str()));
                    assert!(used.is_none_or(|used| used <= capacity), "{} {node} {resource}", host.name);
                    assert_eq!(host.capacity[resource], 2 * capacity);
                }
            }
        }
    }
}

#[test]
fn an_end_is_judged_as_the_plan_that_leads_to_it() {
    let recipe = Recipe { load: 0.6, ..Recipe::new(Scenario::Repair, 12) };
    let problem = recipe.problem().expect("it has room");
    let plan = solve(&problem, &Options::default(), &Cancel::default(), &mut |_| ()).expect("it is good");
    assert!(plan.status.has_plan());
    let (whole, end) = (check(&problem, &plan), check_placement(&problem, &plan.placement));
    assert_eq!((&whole.violations, &end.violations), (&Vec::new(), &Vec::new()));
    for (whole, end) in whole.levels.iter().zip(&end.levels) {
        let same = whole.0 == "MAKESPAN" || whole == end;
        assert!(same, "{whole:?} {end:?}");
    }
    // Moved where no room or no right is, it is no end.
    let stay = placement(&problem);
    let everyone: BTreeMap<_, _> =
        stay.keys().map(|vm| (vm.clone(), problem.hosts[0].name.clone())).collect();
    assert!(!check_placement(&problem, &everyone).violations.is_empty());
    let mut lost = stay.clone();
    lost.pop_first();
    assert!(!check_placement(&problem, &lost).violations.is_empty(), "a VM that runs is not stopped");
    let mut nowhere = stay;
    nowhere.values_mut().next().expect("there are VMs").push('x');
    assert!(!check_placement(&problem, &nowhere).violations.is_empty());
    // Doing nothing leaves what is over as it is.
    let idle = Plan { status: Status::NoChange, placement: placement(&problem), ..Plan::default() };
    let end = check_placement(&problem, &idle.placement);
    assert_eq!(end.levels.iter().map(|(_, before, value)| before - value).sum::<f64>(), 0.0);
    assert!(end.violations.is_empty(), "{:?}", end.violations);
}

//! A cluster as a problem.

use super::Scenario;
use super::cluster::Cluster;
use super::disturb::Trouble;
use super::draws;
use crate::file::{Amounts, Constraint, Fragment, Host, Labels, Limits, NumaNode, Problem, Vm, VmNuma};
use crate::search::Random;

pub(super) fn host_name(host: usize) -> String {
    format!("h{:05}", host + 1)
}

pub(super) fn vm_name(vm: usize) -> String {
    format!("vm{:06}", vm + 1)
}

pub(super) fn amounts(cpu: i64, memory: i64) -> Amounts {
    Amounts::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)])
}

pub(super) fn problem(
    cluster: &Cluster<'_>,
    constraints: Vec<Constraint>,
    trouble: &Trouble,
    random: &mut Random,
) -> Problem {
    let recipe = cluster.recipe;
    let mut problem = Problem {
        name: format!("{}-{}-{}-{}", recipe.scenario.name(), recipe.hosts, recipe.vms, recipe.seed),
        hosts: (0..recipe.hosts).map(|host| write_host(cluster, trouble, host)).collect(),
        vms: (0..recipe.vms).map(|vm| write_vm(cluster, trouble, vm, random)).collect(),
        constraints,
        ..Problem::default()
    };
    let objective = match recipe.scenario {
        Scenario::Consolidate => "CONSOLIDATE",
        Scenario::Balance => "BALANCE",
        Scenario::Defragment => {
            let levels = ["VIOLATIONS", "FRAGMENTS", "MIGRATIONS", "MIGRATION_COST", "MAKESPAN"];
            problem.objectives = levels.map(str::to_owned).to_vec();
            problem.fragment = Some(Fragment { resource: "cpu".to_owned(), unit: 8000 });
            problem.limits = Some(Limits { max_migrations: Some(50), ..Limits::default() });
            ""
        }
        _ => "REPAIR",
    };
    objective.clone_into(&mut problem.objective);
    problem
}

fn write_host(cluster: &Cluster<'_>, trouble: &Trouble, host: usize) -> Host {
    let [cpu, memory] = cluster.room[host];
    let node = || NumaNode { capacity: amounts(cpu / 2, memory / 2) };
    let rack = format!("r{}", cluster.rack[host] + 1);
    Host {
        name: host_name(host),
        // Nodes have equal parts, and add up to the host.
        capacity: if cluster.recipe.has_numa() {
            amounts(cpu / 2 * 2, memory / 2 * 2)
        } else {
            amounts(cpu, memory)
        },
        numa_nodes: if cluster.recipe.has_numa() { vec![node(), node()] } else { Vec::new() },
        state: trouble.states.get(&host).copied().unwrap_or_default().to_owned(),
        labels: Labels::from([("rack".to_owned(), rack), ("zone".to_owned(), cluster.zone[host].to_owned())]),
        ..Host::default()
    }
}

fn write_vm(cluster: &Cluster<'_>, trouble: &Trouble, vm: usize, random: &mut Random) -> Vm {
    let waits = trouble.waiting.contains(&vm);
    let host = cluster.at[vm].filter(|_| !waits).map(host_name);
    let [cpu, memory] = cluster.need[vm];
    let numa = || {
        let nodes = cluster.nodes[vm].iter().map(|node| i64::from(*node == 1));
        VmNuma {
            count: Some(if cluster.count[vm] == 2 { 2 } else { 1 }),
            nodes: if waits { Vec::new() } else { nodes.collect() },
        }
    };
    let dirty = random.share() < 0.2;
    Vm {
        name: vm_name(vm),
        host: host.unwrap_or_default(),
        demand: amounts(cpu, memory),
        numa: cluster.recipe.has_numa().then(numa),
        memory_dirty_rate: dirty.then(|| draws::whole(random, 20, 200) as f64),
        ..Vm::default()
    }
}

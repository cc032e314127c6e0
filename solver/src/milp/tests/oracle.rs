//! Tiny random problems, and all their placements one by one.

use crate::constraints::Rules;
use crate::file;
use crate::model::{Placement, Problem};
use crate::objective::{self, Way};
use crate::testing::{self, KINDS};
use proptest::prelude::*;
use serde_json::{Value, json};

/// All placements whatever: all hosts for all VMs, and all NUMA nodes there.
pub(super) fn all_placements(problem: &Problem) -> Vec<Placement> {
    let sites: Vec<Vec<_>> = (problem.vm_ids())
        .map(|vm| {
            let sites = problem.host_ids().flat_map(|host| problem.sites(vm, host));
            std::iter::once(None).chain(sites.map(Some)).collect()
        })
        .collect();
    let mut result = Vec::new();
    let mut choice = vec![0; problem.vms.len()];
    loop {
        result.push(choice.iter().zip(&sites).map(|(c, sites)| sites[*c]).collect());
        let Some(next) = (0..choice.len()).find(|vm| choice[*vm] + 1 < sites[*vm].len()) else {
            return result;
        };
        choice[..next].fill(0);
        choice[next] += 1;
    }
}

/// Every placement that a plan may end in, found without any of the back-end's thoughts: all of them judged by
/// `objective::fault`, and with moves only where a live migration converges.
pub(super) fn all_ends(problem: &Problem, rules: &Rules<'_>) -> Vec<Placement> {
    let initial = problem.initial();
    let reached = |to: &Placement| {
        let mut moves = problem.vm_ids().zip(&initial).zip(to);
        moves.all(|((vm, from), to)| match (from, to) {
            (Some(from), Some(to)) => from == to || problem.can_migrate(vm, *from, *to),
            _ => true,
        })
    };
    let mut result = all_placements(problem);
    result.retain(|to| reached(to) && objective::fault(problem, rules, to).is_none());
    result
}

pub(super) fn values(problem: &Problem, rules: &Rules<'_>, at: &Placement) -> Vec<f64> {
    objective::values(problem, rules, at, Way::default())
}

fn host() -> impl Strategy<Value = Value> {
    let state = prop_oneof![
        6 => Just("ONLINE"), 1 => Just("DRAINING"), 1 => Just("CORDONED"), 1 => Just("FAILED"),
        1 => Just("OFFLINE"),
    ];
    let bandwidth = prop_oneof![8 => Just(1000.0), 1 => Just(100.0), 1 => Just(0.0)];
    let slots = prop_oneof![9 => Just(2), 1 => Just(0)];
    let over = prop_oneof![3 => Just(1.0), 1 => Just(1.5)];
    (state, 0..9_i64, 0..7_i64, bandwidth, slots, over, "[rs]").prop_map(
        |(state, cpu, memory, bandwidth, slots, over, rack)| {
            // In steps that are much larger than what makes a difference.
            let (idle, peak) =
                (if slots > 0 { 100 } else { 50 }, [0, 5, 20, -5][(memory % 4) as usize] * cpu);
            json!({"capacity": {"cpu": cpu * 100, "memory": memory}, "state": state,
                "idle_watts": idle, "peak_watts": idle + peak, "off_watts": 8,
                "overcommit": {"cpu": over}, "migration_bandwidth": bandwidth, "max_migrations": slots,
                "labels": {"rack": rack}})
        },
    )
}

fn vm() -> impl Strategy<Value = Value> {
    let demand = prop_oneof![
        3 => Just((200, 1)), 3 => Just((100, 2)), 1 => Just((300, 3)), 1 => Just((0, 1)), 1 => Just((0, 0)),
    ];
    let pinned = prop_oneof![7 => Just(false), 1 => Just(true)];
    let dirty = prop_oneof![7 => Just(0.0), 1 => Just(90.0), 1 => Just(900.0)];
    let priority = prop_oneof![Just(100), Just(1), Just(0)];
    let resize = prop_oneof![
        6 => Just(json!({})), 1 => Just(json!({"cpu": 300})), 1 => Just(json!({"cpu": 100, "memory": 0})),
    ];
    let nodes =
        prop_oneof![2 => Just(vec![0]), 2 => Just(vec![1]), 1 => Just(vec![0, 1]), 1 => Just(vec![1, 0])];
    (0..6_usize, demand, pinned, dirty, priority, resize, nodes).prop_map(
        |(at, (cpu, memory), pinned, dirty, priority, resize, nodes)| {
            json!({"at": at, "demand": {"cpu": cpu, "memory": memory}, "pinned": pinned,
                "numa": {"count": nodes.len(), "nodes": nodes},
                "memory_dirty_rate": dirty, "priority": priority, "arrival_demand": resize})
        },
    )
}

/// Kind, seed, weight, continuous.
type Draft = (u8, u64, Option<f64>, bool);

fn rule() -> impl Strategy<Value = Draft> {
    let soft =
        prop_oneof![3 => Just(None), 2 => Just(Some(7.0)), 1 => Just(Some(0.25)), 1 => Just(Some(0.3))];
    (0..KINDS, any::<u64>(), soft, any::<bool>())
}

fn objectives() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(["VIOLATIONS", "MIGRATION_COST", "MAKESPAN"])),
        Just(json!(["VIOLATIONS", "ACTIVE_HOSTS", "MIGRATION_COST", "MAKESPAN"])),
        Just(json!(["ACTIVE_HOSTS", "MIGRATIONS", "VIOLATIONS"])),
        Just(json!(["MIGRATIONS", "VIOLATIONS", "ACTIVE_HOSTS"])),
        Just(json!(["VIOLATIONS", "IMBALANCE", "MIGRATION_COST", "MAKESPAN"])),
        Just(json!(["VIOLATIONS", "ENERGY", "MIGRATION_COST", "MAKESPAN"])),
        Just(json!(["VIOLATIONS", "FRAGMENTS", "MIGRATIONS"])),
        Just(json!(["ENERGY", "IMBALANCE", "VIOLATIONS"])),
        Just(json!(["FRAGMENTS", "ACTIVE_HOSTS", "IMBALANCE", "MIGRATION_COST"])),
    ]
}

/// At most 4 hosts and 6 VMs, everything else as wild as the contract allows.
pub(super) fn problem() -> impl Strategy<Value = file::Problem> {
    let hosts = proptest::collection::vec(host(), 1..=4);
    let vms = proptest::collection::vec(vm(), 1..=6);
    let rules = proptest::collection::vec(rule(), 0..=3);
    let most = prop_oneof![3 => Just(None), 1 => (0..4).prop_map(Some)];
    let numa = prop_oneof![2 => Just(None), 1 => any::<u8>().prop_map(Some)];
    (hosts, vms, rules, objectives(), most, numa).prop_map(|(hosts, vms, rules, objectives, most, numa)| {
        let (mut hosts, mut vms) = (hosts, vms);
        lay_out(&mut hosts, &mut vms, numa);
        let rules = testing::about_states(rules, |rule| (&mut rule.0, rule.1));
        let text = assemble(hosts, vms, &objectives, most).to_string();
        let mut problem = file::Problem::from_json(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        testing::label(&mut problem, rules.first().map_or(0, |rule| rule.1));
        problem.constraints = (rules.into_iter().enumerate())
            .map(|(i, (kind, seed, soft, always))| {
                testing::constraint(format!("r{i}"), kind, seed, soft, always, &problem)
            })
            .collect();
        problem
    })
}

/// Gives hosts NUMA nodes, by the bits of a number, and takes theirs from VMs elsewhere. A host is several
/// places then, so that there are fewer of them.
fn lay_out(hosts: &mut Vec<Value>, vms: &mut Vec<Value>, numa: Option<u8>) {
    if numa.is_some() {
        hosts.truncate(3);
        vms.truncate(4);
    }
    for (i, host) in hosts.iter_mut().enumerate() {
        let bits = numa.unwrap_or(0) >> (2 * i);
        let capacity = host["capacity"].clone();
        let (cpu, memory) = (capacity["cpu"].as_i64().unwrap(), capacity["memory"].as_i64().unwrap());
        let node = |first: bool| {
            let share = |all: i64| if first { all - all / 2 } else { all / 2 };
            let mut capacity = json!({"cpu": share(cpu)});
            if bits & 2 > 0 {
                capacity["memory"] = json!(share(memory));
            }
            json!({"capacity": capacity})
        };
        if bits & 1 > 0 {
            host["numa_nodes"] = json!([node(true), node(false)]);
        }
    }
    for vm in vms {
        let at = vm["at"].as_u64().unwrap() as usize;
        let on_nodes =
            hosts.get(at).is_some_and(|host| host["state"] != "OFFLINE" && host.get("numa_nodes").is_some());
        if !on_nodes {
            vm["numa"]["nodes"] = json!([]);
        }
    }
}

fn assemble(mut hosts: Vec<Value>, mut vms: Vec<Value>, objectives: &Value, most: Option<i32>) -> Value {
    for (i, host) in hosts.iter_mut().enumerate() {
        host["name"] = json!(format!("h{i}"));
    }
    for (i, vm) in vms.iter_mut().enumerate() {
        vm["name"] = json!(format!("v{i}"));
        let at = vm["at"].as_u64().unwrap() as usize;
        vm.as_object_mut().unwrap().remove("at");
        if let Some(host) = hosts.get(at)
            && host["state"] != "OFFLINE"
        {
            vm["host"] = host["name"].clone();
        }
    }
    // What power actions make of loads and fragments is not proved.
    let open =
        objectives.as_array().unwrap().iter().any(|level| *level == "IMBALANCE" || *level == "FRAGMENTS");
    let mut limits = json!({"power_actions": !open && hosts[0]["idle_watts"] == 100});
    if let Some(most) = most {
        limits["max_migrations"] = json!(most);
    }
    // Of what the first VM needs it depends what is counted, and by which unit.
    let first = vms[0]["demand"]["cpu"].as_i64().unwrap();
    let fragment = if first > 100 {
        json!({"resource": "memory", "unit": 3})
    } else {
        json!({"resource": "cpu", "unit": 250})
    };
    json!({"hosts": hosts, "vms": vms, "objectives": objectives, "limits": limits,
        "fragment": fragment})
}

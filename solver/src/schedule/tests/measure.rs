//! Figures, not promises: `cargo test -p dvms-solver --lib --release measure -- --ignored --nocapture`.

use super::generate::Random;
use super::{Case, budget};
use crate::constraints::Rules;
use crate::file;
use crate::model::{HostId, Placement};
use std::time::Instant;

/// Hosts with 64 cores, and VMs on them up to a share of it.
fn cluster(hosts: usize, load: f64, random: &mut Random) -> Case {
    let mut problem = file::Problem::default();
    for i in 0..hosts {
        problem.hosts.push(file::Host {
            name: format!("h{i}"),
            capacity: [("cpu".to_owned(), 64), ("memory".to_owned(), 262_144)].into(),
            ..file::Host::default()
        });
        let (mut cpu, mut memory, mut n) = (0, 0, 0);
        loop {
            let (c, m) = (1 << random.below(5), 1024 << random.below(5));
            if (cpu + c) as f64 > 64.0 * load || (memory + m) as f64 > 262_144.0 * load {
                break;
            }
            (cpu, memory, n) = (cpu + c, memory + m, n + 1);
            problem.vms.push(file::Vm {
                name: format!("v{i}-{n}"),
                host: format!("h{i}"),
                demand: [("cpu".to_owned(), c), ("memory".to_owned(), m)].into(),
                memory_dirty_rate: Some(random.below(100) as f64),
                ..file::Vm::default()
            });
        }
    }
    Case::of(problem)
}

/// Every VM of a share of the hosts goes to a random host with room.
fn drained(case: &Case, every: usize, random: &mut Random) -> Placement {
    scattered(case, random, |host| host.index() % every == 0, |host| host.index() % every != 0)
}

fn scattered(
    case: &Case,
    random: &mut Random,
    leaves: impl Fn(HostId) -> bool,
    takes: impl Fn(HostId) -> bool,
) -> Placement {
    let problem = &case.problem;
    let mut to = problem.initial();
    let moved: Vec<usize> = (0..to.len()).filter(|vm| leaves(to[*vm].unwrap())).collect();
    for vm in &moved {
        to[*vm] = None;
    }
    let width = problem.resources.len();
    let mut used = crate::objective::usage(problem, &to);
    for vm in moved {
        let demand = &problem.vms[vm].demand;
        let start = problem.initial()[vm].unwrap();
        let mut tries = (0..200).map(|_| HostId::from(random.below(problem.hosts.len())));
        let host = tries.find(|host| {
            let usable = &problem.host(*host).usable;
            takes(*host) && (0..width).all(|r| used[host.index() * width + r] + demand[r] <= usable[r])
        });
        let host = host.unwrap_or(start);
        to[vm] = Some(host);
        crate::model::add(&mut used[host.index() * width..][..width], demand);
    }
    to
}

/// Every host sends all to the next.
fn shifted(case: &Case) -> Placement {
    let hosts = case.problem.hosts.len();
    case.problem.initial().iter().map(|at| at.map(|host| HostId::from((host.index() + 1) % hosts))).collect()
}

/// Hosts filled up to a share by large VMs: moves block each other.
fn tight(hosts: usize, load: f64, random: &mut Random) -> Case {
    let mut problem = file::Problem::default();
    for i in 0..hosts {
        problem.hosts.push(file::Host {
            name: format!("h{i}"),
            capacity: [("cpu".to_owned(), 64), ("memory".to_owned(), 262_144)].into(),
            ..file::Host::default()
        });
        let mut cpu = 0;
        for n in 0..40 {
            let c = [4, 8, 8, 16][random.below(4)];
            if (cpu + c) as f64 > 64.0 * load {
                continue;
            }
            cpu += c;
            problem.vms.push(file::Vm {
                name: format!("v{i}-{n}"),
                host: format!("h{i}"),
                demand: [("cpu".to_owned(), c), ("memory".to_owned(), c * 1024)].into(),
                ..file::Vm::default()
            });
        }
    }
    Case::of(problem)
}

/// The VMs of each host change places with those of another that is as full.
fn exchanged(case: &Case, random: &mut Random) -> Placement {
    let hosts = case.problem.hosts.len();
    let mut other: Vec<usize> = (0..hosts).collect();
    for i in (1..hosts).rev() {
        other.swap(i, random.below(i + 1));
    }
    case.problem.initial().iter().map(|at| at.map(|host| HostId::from(other[host.index()]))).collect()
}

fn measure(name: &str, case: &Case, to: &Placement) {
    let rules = Rules::new(&case.problem);
    let moves = case.problem.initial().iter().zip(to).filter(|(a, b)| a != b).count();
    let begun = Instant::now();
    let result = super::schedule(&case.problem, &rules, to, &budget());
    let took = begun.elapsed();
    match result {
        Ok(timed) => {
            let edges: usize = timed.actions.iter().map(|action| action.after.len()).sum();
            println!(
                "{name}: {moves} moves, {:.1} s, bound {:.1} s (x{:.2}), {} pivots, {edges} edges, {took:?}",
                timed.way.makespan_s,
                timed.makespan_bound,
                timed.way.makespan_s / timed.makespan_bound,
                timed.way.pivots
            );
            if moves <= 1500 {
                case.assert_valid(to, &timed);
            }
        }
        Err(stuck) => {
            println!("{name}: {moves} moves, stuck {} (proved {}), {took:?}", stuck.vms.len(), stuck.proved);
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_schedules() {
    let mut random = Random(1);
    for (hosts, load) in [(64, 0.5), (64, 0.8), (1000, 0.5), (1000, 0.8)] {
        let case = cluster(hosts, load, &mut random);
        let to = drained(&case, 4, &mut random);
        measure(&format!("drain of a quarter, {hosts} hosts at {load}"), &case, &to);
    }
    for (hosts, load) in [(64, 0.6), (64, 0.8), (100, 0.85), (64, 0.9), (1000, 0.7), (1000, 0.8)] {
        let case = cluster(hosts, load, &mut random);
        let to = scattered(&case, &mut random, |_| true, |_| true);
        measure(&format!("all to random hosts, {hosts} hosts at {load}"), &case, &to);
        measure(&format!("all to the next host, {hosts} hosts at {load}"), &case, &shifted(&case));
    }
    for (hosts, load) in [(20, 0.9), (64, 0.9), (64, 0.95), (64, 1.0), (200, 0.95), (1000, 0.9), (1000, 0.95)]
    {
        let case = tight(hosts, load, &mut random);
        measure(
            &format!("large VMs to another host, {hosts} hosts at {load}"),
            &case,
            &exchanged(&case, &mut random),
        );
        let to = scattered(&case, &mut random, |_| true, |_| true);
        measure(&format!("large VMs to random hosts, {hosts} hosts at {load}"), &case, &to);
    }
}

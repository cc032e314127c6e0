//! The same problem, seed and work limit give the same plan. In a process of its own, as solves of `HiGHS` that
//! other tests have left behind at their deadlines count for all of a process.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use dvms_solver::{Cancel, Options, file, solve};
use std::time::Duration;

/// Forty hosts about two thirds full, every tenth over its capacity.
fn problem(objective: &str) -> file::Problem {
    let amounts = |cpu: i64, memory: i64| [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into();
    let host = |i: usize| file::Host {
        name: format!("h{i}"),
        capacity: amounts(if i.is_multiple_of(10) { 9_000 } else { 16_000 }, 65_536),
        ..file::Host::default()
    };
    let vm = |(i, n): (usize, i64)| file::Vm {
        name: format!("v{i}"),
        host: format!("h{}", i / 10),
        demand: amounts(600 + n * 7919 % 900, 2048 + n * 104_729 % 4096),
        ..file::Vm::default()
    };
    file::Problem {
        hosts: (0..40).map(host).collect(),
        vms: (0..400).zip(0..).map(vm).collect(),
        objective: objective.to_owned(),
        ..file::Problem::default()
    }
}

#[test]
fn the_same_work_gives_the_same_plan() {
    for objective in ["REPAIR", "CONSOLIDATE"] {
        let problem = problem(objective);
        for (work, threads) in [(2_000, 1), (60_000, 1), (20_000, 3)] {
            let options = Options {
                threads,
                time_limit: Duration::from_mins(10),
                work_limit: Some(work),
                seed: 7,
                ..Options::default()
            };
            let plan = || {
                let mut plan = solve(&problem, &options, &Cancel::default(), &mut |_| ()).unwrap();
                plan.statistics.clear();
                plan
            };
            let first = plan();
            assert!(first.status.has_plan());
            assert_eq!(first, plan(), "{objective} {work} {threads}");
        }
    }
}

//! Deadlines, requests to stop, work limits: on instances that `HiGHS` would take minutes for.

use crate::backend::Exact;
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::cp::Cp;
use crate::file;
use crate::milp::levels::{self, Means};
use crate::milp::{Highs, Outcome, Request, conflict, improve};
use crate::model::{HostState, Problem};
use crate::objective::{self, Way};
use serde_json::json;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Promised are some 20 ms after a deadline and 100 ms after a request; the machine may be busy.
const GRACE: Duration = Duration::from_millis(1500);

/// No two VMs alike, two resources, all hosts in use: the hosts that are needed can hardly be proved.
pub(super) fn hard(hosts: usize, vms: usize) -> Problem {
    let mut state = 1_u64;
    let mut draw = |low: u64, high: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (state >> 33) % (high - low)
    };
    let each = 12 * vms / hosts;
    let hosts_json: Vec<_> = (0..hosts)
        .map(|i| json!({"name": format!("h{i}"), "capacity": {"cpu": each * 100, "memory": each * 1000}}))
        .collect();
    let vms_json: Vec<_> = (0..vms)
        .map(|i| {
            json!({"name": format!("v{i}"), "host": format!("h{}", i % hosts),
                "demand": {"cpu": draw(100, 900), "memory": draw(1000, 9000)}})
        })
        .collect();
    let spread: Vec<_> = (0..vms / 8)
        .map(|i| {
            let vms: Vec<_> = (0..4).map(|k| format!("v{}", i * 8 + k)).collect();
            json!({"name": format!("s{i}"), "spread": {"vms": vms}})
        })
        .collect();
    let text =
        json!({"hosts": hosts_json, "vms": vms_json, "constraints": spread, "objective": "CONSOLIDATE"});
    Problem::new(&file::Problem::from_json(&text.to_string()).unwrap()).unwrap()
}

fn run(by: &dyn Exact, problem: &Problem, budget: &Budget, seed: u64) -> Outcome {
    let start = problem.initial();
    improve(&Request {
        by,
        problem,
        start: &start,
        budget,
        seed,
        stay: &BTreeSet::new(),
        found: &|_| (),
        proved: &|_, _| (),
    })
}

/// What comes back is an end and better, however the solve was cut.
fn assert_valid(problem: &Problem, outcome: &Outcome) {
    let rules = Rules::new(problem);
    let start = problem.initial();
    let values = |at| objective::values(problem, &rules, at, Way::default());
    if let Some(best) = &outcome.best {
        assert_eq!(objective::fault(problem, &rules, best), None);
        assert_eq!(objective::compare(problem, &values(best), &values(&start)), Ordering::Less);
    }
    let end = values(outcome.best.as_ref().unwrap_or(&start));
    for (bound, value) in outcome.bounds.iter().zip(end) {
        assert!(bound.is_none_or(|bound| bound <= value + 1e-6), "{bound:?} {value}");
    }
    assert!(!outcome.infeasible);
}

/// One test for all, so that not more solves are left behind at a time than may be.
#[test]
fn deadlines_and_requests_to_stop_are_kept() {
    // The full model is used for the first, parts for the others.
    let (highs, cp): (&dyn Exact, &dyn Exact) = (&Highs, &Cp);
    for (by, hosts, vms) in [
        (highs, 40, 440),
        (highs, 100, 1000),
        (highs, 400, 4000),
        (cp, 20, 200),
        (cp, 40, 440),
        (cp, 400, 4000),
    ] {
        let problem = hard(hosts, vms);
        let limit = Duration::from_millis(400);
        let budget = Budget::new(limit, None, &Cancel::default());
        let outcome = run(by, &problem, &budget, 0);
        let took = budget.since_start();
        assert!(took < limit + GRACE, "{} {hosts} hosts: {took:?} instead of {limit:?}", by.name());
        assert!(!outcome.proved);
        assert_valid(&problem, &outcome);
        eprintln!("{} {hosts} hosts: back after {took:?} of {limit:?}", by.name());
    }
    let problem = hard(40, 440);
    for by in [highs, cp] {
        let cancel = Cancel::default();
        let budget = Budget::new(Duration::from_mins(10), None, &cancel);
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            cancel.now();
            Instant::now()
        });
        let outcome = run(by, &problem, &budget, 0);
        let late = stopper.join().unwrap().elapsed();
        assert!(late < GRACE, "{} was back {late:?} after it was asked to stop", by.name());
        eprintln!("{}: back {late:?} after the request", by.name());
        assert!(!outcome.proved);
        assert_valid(&problem, &outcome);
    }
}

/// Too large for the full model, so that the pooled one must do.
#[test]
fn a_conflict_in_a_large_problem_is_small() {
    let mut problem = hard(100, 1000);
    problem.hosts[7].state = HostState::Draining;
    problem.vms[107].pinned = true;
    let budget = Budget::new(Duration::from_mins(10), None, &Cancel::default());
    let found =
        conflict(&problem, &Rules::new(&problem), &Highs, &budget).expect("v107 can neither stay nor leave");
    let found = found.things;
    assert_eq!((found.hosts, found.vms), (vec!["h7".to_owned()], vec!["v107".to_owned()]));
    assert_eq!(found.constraints, Vec::<String>::new());
    eprintln!("found in {:?}", budget.since_start());
    // Time for the first answer, hardly for more: what is named is then more than is needed.
    let budget = Budget::new(Duration::from_millis(400), None, &Cancel::default());
    let found = conflict(&problem, &Rules::new(&problem), &Highs, &budget);
    assert!(budget.since_start() < Duration::from_millis(400) + GRACE);
    assert!(found.is_none_or(|found| found.things.vms.contains(&"v107".to_owned())));
}

/// Amounts of which not all are seen by `HiGHS`, as they are too far apart in one row.
#[test]
fn nothing_wrong_is_proved_of_amounts_that_are_far_apart() {
    let large = 1_i64 << 52;
    let file = file::Problem::from_json(&format!(
        r#"{{"hosts": [{{"name": "a", "capacity": {{"cpu": {}}}}}, 
             {{"name": "b", "capacity": {{"cpu": {large}, "memory": {large}}}}}],
            "vms": [{{"name": "v", "host": "a", "demand": {{"cpu": {large}, "memory": {large}}}}},
             {{"name": "w", "host": "a", "demand": {{"cpu": 1, "memory": 1}}}}]}}"#,
        large - 1
    ));
    let problem = Problem::new(&file.unwrap()).unwrap();
    let budget = Budget::new(Duration::from_mins(10), None, &Cancel::default());
    let outcome = run(&Highs, &problem, &budget, 0);
    assert!(!outcome.infeasible);
    if outcome.proved {
        // The large one moves; then only memory is short where it was, as there is none.
        let rules = Rules::new(&problem);
        let best = outcome.best.as_ref().expect("better than nothing done");
        let values = objective::values(&problem, &rules, best, Way::default());
        assert_eq!(values[..2], [1000.0, large as f64]);
    }
    assert_valid(&problem, &outcome);
}

#[test]
fn without_time_nothing_is_done() {
    let problem = hard(10, 100);
    for limit in [Duration::ZERO, Duration::from_millis(1)] {
        let budget = Budget::new(limit, None, &Cancel::default());
        let outcome = run(&Highs, &problem, &budget, 0);
        assert!(outcome.best.is_none() && !outcome.proved && !outcome.infeasible);
        assert!(conflict(&problem, &Rules::new(&problem), &Highs, &budget).is_none());
    }
}

#[test]
fn a_work_limit_gives_the_same_each_time() {
    let problem = hard(8, 40);
    let (highs, cp): (&dyn Exact, &dyn Exact) = (&Highs, &Cp);
    let parts = Means { most_columns: 0, ..Means::default() };
    for (by, means) in [(highs, Means::default()), (highs, parts), (cp, Means::default()), (cp, parts)] {
        for seed in 0..2 {
            let outcome = || {
                let budget = Budget::new(Duration::from_mins(10), Some(20_000), &Cancel::default());
                let start = problem.initial();
                let request = Request {
                    by,
                    problem: &problem,
                    start: &start,
                    budget: &budget,
                    seed,
                    stay: &BTreeSet::new(),
                    found: &|_| (),
                    proved: &|_, _| (),
                };
                let outcome = levels::run(&request, means);
                assert_valid(&problem, &outcome);
                (outcome.best, outcome.bounds, budget.work_done())
            };
            let first = outcome();
            assert!(first.0.is_some(), "the work is enough for something");
            assert_eq!(first, outcome());
        }
    }
}

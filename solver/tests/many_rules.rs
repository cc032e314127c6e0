//! Very many rules that say the same: an answer in time, and a right one.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use dvms_solver::file::{Problem, Status};
use dvms_solver::{Cancel, Options, check, solve};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const RULES: usize = 1_000_000;

/// Two hosts, `a` and `b` on the first; each rule has a name of its own and this body.
fn problem(body: &str) -> String {
    let mut text = String::from(
        r#"{"objective": "REPAIR", "hosts": [{"name": "h1", "capacity": {"cpu": 9, "memory": 9}},
            {"name": "h2", "capacity": {"cpu": 9, "memory": 9}}],
            "vms": [{"name": "a", "host": "h1", "demand": {"cpu": 1, "memory": 1}},
            {"name": "b", "host": "h1", "demand": {"cpu": 1, "memory": 1}}], "constraints": ["#,
    );
    for i in 0..RULES {
        let comma = if i == 0 { "" } else { "," };
        write!(text, "{comma}{{\"name\":\"r{i}\",{body}}}").unwrap();
    }
    text + "]}"
}

#[test]
fn a_million_equal_rules_are_kept() {
    let begun = Instant::now();
    let problem = Problem::from_json(&problem(r#""spread":{"vms":["a","b"]}"#)).unwrap();
    eprintln!("read in {:?}", begun.elapsed());
    let options = Options { time_limit: Duration::from_secs(20), ..Options::default() };
    let begun = Instant::now();
    let plan = solve(&problem, &options, &Cancel::default(), &mut |_| ()).unwrap();
    eprintln!("{} in {:?}", plan.status.name(), begun.elapsed());
    assert!(
        matches!(plan.status, Status::Optimal | Status::Feasible),
        "{}: {}",
        plan.status.name(),
        plan.reason
    );
    assert_eq!(plan.actions.len(), 1);
    assert_eq!(check::check(&problem, &plan).violations, []);
}

#[test]
fn of_a_million_rules_that_cannot_hold_few_are_named() {
    let problem = Problem::from_json(&problem(r#""ban":{"vms":["a"],"hosts":["h1","h2"]}"#)).unwrap();
    let options = Options { time_limit: Duration::from_secs(20), ..Options::default() };
    let begun = Instant::now();
    let plan = solve(&problem, &options, &Cancel::default(), &mut |_| ()).unwrap();
    eprintln!("{} in {:?}", plan.status.name(), begun.elapsed());
    assert_eq!(plan.status, Status::Infeasible, "{}", plan.reason);
    let conflict = plan.conflict.expect("it is told what conflicts");
    assert_eq!(conflict.constraints.len(), 1, "one of them is enough");
}

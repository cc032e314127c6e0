//! `dvms check`.

use super::command::{in_root, run, run_with};

const PROBLEM: &str = r#"{"hosts": [
  {"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}},
  {"name": "h2", "capacity": {"cpu": 4000, "memory": 8192}}],
 "vms": [{"name": "a", "host": "h1", "demand": {"cpu": 3000, "memory": 1024}},
         {"name": "b", "host": "h1", "demand": {"cpu": 3000, "memory": 1024}}]}"#;

/// Moves `a` to h2, at a given speed and onto a given host.
fn plan(destination: &str, end_s: f64) -> String {
    format!(
        r#"{{"status": "FEASIBLE", "actions": [{{"id": 1, "type": "MIGRATE", "vm": "a", "source": "h1",
         "destination": "{destination}", "start_s": 0, "end_s": {end_s}, "after": [],
         "because": "h1 is over its cpu capacity"}}], "placement": {{"a": "{destination}", "b": "h1"}},
         "unplaced": [], "objectives": [{{"name": "VIOLATIONS", "before": 1000, "value": 0}},
         {{"name": "MIGRATION_COST", "before": 0, "value": 1024}},
         {{"name": "MAKESPAN", "before": 0, "value": {end_s}}}], "statistics": {{}}}}"#
    )
}

fn files(problem: &str, plan: &str) -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (problem_path, plan_path) = (path("problem.json"), path("plan.json"));
    std::fs::write(&problem_path, problem).unwrap();
    std::fs::write(&plan_path, plan).unwrap();
    (folder, problem_path, plan_path)
}

#[test]
fn a_valid_plan_is_said_to_be_valid() {
    let (_folder, problem, plan) = files(PROBLEM, &plan("h2", 1.054));
    let done = run(&["check", &problem, &plan]).expect(0);
    assert_eq!(
        done.stdout,
        "The FEASIBLE plan of 1 action is valid.\nVIOLATIONS 1000 → 0, MIGRATION_COST 0 → 1024, MAKESPAN 0 → 1.05\n"
    );
    let done = run(&["check", &problem, &plan, "--output", "json"]).expect(0);
    assert_eq!(done.json()["valid"], true);
    assert_eq!(done.json()["objectives"][1]["value"], 1024.0);
}

#[test]
fn a_plan_that_breaks_rules_is_shown_with_each_of_them() {
    // Too fast, and back onto the full host.
    let (_folder, problem, plan) = files(PROBLEM, &plan("h1", 0.01));
    let done = run(&["check", &problem, &plan]).expect(1);
    assert!(done.stdout.starts_with("The plan is not valid; it has "), "{}", done.stdout);
    assert!(done.stdout.contains("RULE  SUBJECT"), "{}", done.stdout);
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    let done = run(&["check", &problem, &plan, "-o", "json"]).expect(1);
    assert_eq!(done.json()["valid"], false);
    let violations = done.json()["violations"].as_array().unwrap().clone();
    assert!(!violations.is_empty());
    for violation in violations {
        assert!(violation["rule"].is_u64() && !violation["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_plan_that_is_none_is_bad_input() {
    let (_folder, problem, _) = files(PROBLEM, "");
    for (plan, says) in [
        (r#"{"status": "GREAT"}"#, "line 1, column 18: status: unknown variant `GREAT`"),
        (r#"{"status": "FEASIBLE", "moves": []}"#, "moves: unknown field `moves`"),
        ("", "standard input is empty"),
    ] {
        let done = run_with(&["check", &problem, "-"], plan).expect(2);
        assert!(done.stderr.contains(says), "{says:?} is not in {}", done.stderr);
    }
    run(&["check", &in_root("docs/examples/rack.json"), "/nonexistent"]).expect(2);
    run(&["check", "-", "-"]).expect(2);
}

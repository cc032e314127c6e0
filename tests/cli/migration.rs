//! `dvms calibrate` and `dvms forecast`.

use super::command::{in_root, run, run_with};

#[test]
fn a_calibration_is_told_beside_what_others_say() {
    let done = run(&["calibrate", &in_root("docs/examples/migrations.csv")]).expect(0);
    for says in [
        "8 migrations of 4 kinds.\n",
        "dvms, fitted to these",
        "dvms, fitted to repetitions 1, judged on 2",
        "dvms, as it is built in",
        "BtrPlace's closed form",
        "memory ÷ bandwidth",
        "96 MiB in 2 s",
    ] {
        assert!(done.stdout.contains(says), "{says:?} is not in\n{}", done.stdout);
    }
    let told =
        run(&["calibrate", &in_root("docs/examples/migrations.csv"), "--output", "json"]).expect(0).json();
    let figure = |path: &str| {
        told.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or_else(|| panic!("{path}"))
    };
    assert!(figure("/error") < 0.03 && figure("/built_in/error") < 0.04, "{told}");
    assert!(figure("/naive_error") > 0.08 && figure("/btrplace_error") > 0.08, "{told}");
    assert!((figure("/calibration/efficiency") - 0.95).abs() < 0.05, "{told}");
    assert_eq!(told["groups"].as_array().unwrap().len(), 4);
}

#[test]
fn a_table_that_cannot_be_used_is_refused_with_its_places() {
    let text = "bandwidth_mbit_s,memory_mb,start_s,end_s\n500,2000,0,40\n500,much,0,40\n500,2000,40,40\n";
    let done = run_with(&["calibrate", "-"], text).expect(2);
    for says in [
        "line 3, column 5: memory_mb: \"much\" is not a number",
        "line 4, column 13: end_s: 40 is not after start_s",
    ] {
        assert!(done.stderr.contains(says), "{says:?} is not in {}", done.stderr);
    }
    assert!(done.stdout.is_empty());
    let error: serde_json::Value =
        serde_json::from_str(&run_with(&["calibrate", "-", "--output", "json"], text).expect(2).stderr)
            .unwrap();
    assert_eq!(
        (&error["error"]["faults"][0]["line"], &error["error"]["faults"][0]["column"]),
        (&3.into(), &5.into())
    );
}

const HOSTS: &str = r#""hosts": [
    {"name": "a", "capacity": {"cpu": 1000, "memory": 10000}, "state": "DRAINING", "migration_bandwidth": 100},
    {"name": "b", "capacity": {"cpu": 1000, "memory": 10000}, "migration_bandwidth": 100}]"#;

fn problem(more: &str) -> String {
    format!(r#"{{{HOSTS}, "vms": [{{"name": "v", "host": "a", "demand": {{"memory": 1000}}}}]{more}}}"#)
}

#[test]
fn a_solve_tells_what_its_migrations_take() {
    let done = run_with(&["solve", "-"], &problem("")).expect(0);
    assert!(done.stdout.contains("\nExpected: 1 migration in 12.4 s, 1000 MiB sent"), "{}", done.stdout);
    assert!(
        done.stdout.contains(" 1  v   pre-copy    100    12.4 s     30 ms  1000 MiB\n"),
        "{}",
        done.stdout
    );
    let told = run_with(&["solve", "-", "--output", "json"], &problem("")).expect(0).json();
    let figure = |name: &str| told["statistics"][name].as_f64().unwrap_or_else(|| panic!("{name}: {told}"));
    assert!(
        (figure("forecast_duration_s") - 12.389).abs() < 0.01
            && figure("forecast_moved_mib").round() as i64 == 1000,
        "{told}"
    );
    // The plan's own times are the contract's.
    assert_eq!(told["actions"][0]["end_s"], 10.03);
}

#[test]
fn what_a_plan_takes_depends_on_what_is_known_and_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let (problem_file, plan_file) = (folder.path().join("problem.json"), folder.path().join("plan.json"));
    let (problem_path, plan_path) = (problem_file.to_str().unwrap(), plan_file.to_str().unwrap());
    std::fs::write(&problem_file, problem("")).unwrap();
    run(&["solve", problem_path, "--out", plan_path]).expect(0);
    let told = |arguments: &[&str]| {
        let all = [&["forecast", problem_path, plan_path, "--output", "json"], arguments].concat();
        run(&all).expect(0).json()
    };
    let plain = told(&[]);
    assert!((plain["duration_s"].as_f64().unwrap() - 12.389).abs() < 0.01, "{plain}");
    let slow = told(&["--efficiency", "0.5", "--setup", "10"]);
    assert!((slow["duration_s"].as_f64().unwrap() - 30.03).abs() < 0.01, "{slow}");
    // It writes all of its hot set, 400 MiB, again and again: 0.3 of it counts.
    let hot = r#", "network": {"hot_sets": [{"vm": "v", "size": 900, "within_s": 1}]}"#;
    std::fs::write(&problem_file, problem(hot)).unwrap();
    let mode = |arguments: &[&str], code: i32| {
        let all = [&["forecast", problem_path, plan_path, "--output", "json"], arguments].concat();
        run(&all).expect(code).json()["migrations"][0]["mode"].as_str().unwrap().to_owned()
    };
    assert_eq!(mode(&[], 0), "AUTO_CONVERGE");
    assert_eq!(mode(&["--post-copy"], 0), "POST_COPY");
    assert_eq!(mode(&["--no-auto-converge"], 1), "NEVER");
    let done = run(&["forecast", problem_path, plan_path, "--no-auto-converge"]).expect(1);
    assert!(done.stdout.contains("1 of them would not end"), "{}", done.stdout);
    // The times of plans do not change with it, and neither does what is valid.
    run(&["check", problem_path, plan_path]).expect(0);
    for (arguments, says) in [(&["--efficiency", "0"][..], "--efficiency"), (&["--setup", "x"], "--setup")] {
        let done = run(&[&["forecast", problem_path, plan_path], arguments].concat()).expect(2);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}

#[test]
fn a_hot_set_of_nobody_is_refused_at_its_place() {
    let hot = |set: &str| problem(&format!(r#", "network": {{"hot_sets": [{set}]}}"#));
    for (set, says) in [
        (r#"{"vm": "x", "size": 1}"#, "network.hot_sets[0].vm: unknown VM \"x\""),
        (r#"{"vm": "v"}, {"vm": "v"}"#, "network.hot_sets[1].vm: \"v\" has a hot set already"),
        (r#"{"vm": "v", "size": -1}"#, "network.hot_sets[0].size: "),
        (r#"{"vm": "v", "within": 1}"#, "network.hot_sets[0].within: unknown field"),
    ] {
        let done = run_with(&["solve", "-"], &hot(set)).expect(2);
        assert!(done.stderr.contains(says), "{says:?} is not in {}", done.stderr);
    }
}

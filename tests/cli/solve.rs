//! `dvms solve`: good files and every kind of bad ones.

use super::command::{Done, dvms, end_of, in_root, root, run, run_with};
use std::path::Path;
use std::process::{Command, Stdio};

fn refused(text: &str) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("plan.json");
    let done = run_with(&["solve", "-", "--out", out.to_str().unwrap()], text).expect(2);
    assert!(!out.exists(), "a plan was written for bad input");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
    assert!(done.stdout.is_empty(), "{}", done.stdout);
    done
}

#[test]
fn every_kind_of_bad_text_is_refused_with_its_place() {
    let host = r#"{"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}}"#;
    for (text, says) in [
        ("{\"hosts\": [\n  {\"name\": \"h1\",}\n]}", "line 2, column 17: hosts[0]: trailing comma"),
        ("{\"hosts\": [", "line 1, column 11: hosts"),
        ("{\"hosts\":\n [{\"nam\": \"h1\"}]}", "line 2, column 8: hosts[0].nam: unknown field `nam`"),
        (r#"{"hosts": [], "hosts": []}"#, "duplicate field `hosts`"),
        (r#"{"hosts": [{"name": "h1", "capacity": {"cpu": -1}}]}"#, "hosts[0].capacity.cpu: "),
        (
            r#"{"hosts": [{"name": "h1", "capacity": {"cpu": 99999999999999999999}}]}"#,
            "hosts[0].capacity.cpu: ",
        ),
        (
            r#"{"hosts": [{"name": "h1", "capacity": {"cpu": 9223372036854775807}}]}"#,
            "hosts[0].capacity.cpu: ",
        ),
        ("", "standard input is empty"),
        ("  \n", "standard input is empty"),
        ("[]", "line 1, column "),
        ("not json", "line 1, column 2: expected ident"),
        (&format!("{{\"hosts\": [{host}]}} x"), "trailing characters"),
    ] {
        let done = refused(text);
        assert!(done.stderr.contains(says), "{says:?} is not in {}", done.stderr);
    }
}

#[test]
fn what_is_read_well_but_means_nothing_is_refused_at_its_place() {
    let text = r#"{"hosts": [
  {"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}},
  {"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}}],
 "vms": [
  {"name": "a", "host": "h9", "demand": {"cpu": 1000, "memory": 1024}},
  {"name": "b c", "host": "h1", "demand": {"cpu": 1000, "memory": 1024}}],
 "constraints": [
  {"name": "one", "sync": {"vms": ["none"]}},
  {"name": "two", "spread": {"vms": ["nobody"]}}],
 "network": {"links": [{"name": "l", "a": "h1", "b": "nowhere"}]}}"#;
    let done = refused(text);
    for says in [
        "line 3, column 12: hosts[1].name: ",
        "line 5, column 25: vms[0].host: ",
        "line 6, column 12: vms[1].name: ",
        "line 8, column 36: constraints[0].sync.vms[0]: ",
        "line 9, column 38: constraints[1].spread.vms[0]: ",
    ] {
        assert!(done.stderr.contains(says), "{says:?} is not in\n{}", done.stderr);
    }
    assert!(done.stderr.contains("network.links[0].b: there is no host and no switch \"nowhere\""));

    // Programs get the same.
    let done = run_with(&["solve", "-", "--output", "json"], text).expect(2);
    assert!(done.stdout.is_empty());
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    let faults = error["error"]["faults"].as_array().unwrap();
    let host = faults.iter().find(|fault| fault["path"] == "vms[0].host").unwrap();
    assert_eq!((&host["line"], &host["column"]), (&5.into(), &25.into()));
}

#[test]
fn what_is_no_file_of_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("garbage");
    std::fs::write(&binary, b"{\"hosts\":\n \xff\xfe\x00\x01").unwrap();
    let done = run(&["solve", binary.to_str().unwrap()]).expect(2);
    assert!(done.stderr.contains("line 2, column 2: is not UTF-8"), "{}", done.stderr);
    let done = run(&["solve", folder.path().to_str().unwrap()]).expect(2);
    assert!(done.stderr.contains("cannot read") && done.stderr.contains("directory"), "{}", done.stderr);
    let done = run(&["solve", "/nonexistent/rack.json"]).expect(2);
    assert!(done.stderr.contains("cannot read /nonexistent/rack.json: No such file"), "{}", done.stderr);
}

#[test]
fn arguments_are_judged_before_anything_else() {
    let rack = in_root("docs/examples/rack.json");
    for arguments in [
        &["--time-limit", "0"][..],
        &["--time-limit", "soon"],
        &["--time-limit", "nan"],
        &["--time-limit", "-1"],
        &["--migration-price", "-3"],
        &["--threads", "0"],
        &["--backend", "oracle"],
        &["--objective", "BEAUTY"],
    ] {
        let done = run(&[&["solve", &rack], arguments].concat()).expect(2);
        let invalid = format!("invalid value '{}' for '{}", arguments[1], arguments[0]);
        assert!(done.stderr.contains(&invalid), "{}", done.stderr);
    }
}

#[test]
fn every_named_list_of_objectives_is_planned_with() {
    let rack = in_root("docs/examples/rack.json");
    for (name, levels) in [
        ("repair", &["VIOLATIONS", "MIGRATION_COST", "MAKESPAN"][..]),
        ("CONSOLIDATE", &["VIOLATIONS", "ACTIVE_HOSTS", "MIGRATION_COST", "MAKESPAN"]),
        ("balance", &["VIOLATIONS", "IMBALANCE", "MIGRATION_COST", "MAKESPAN"]),
        ("power", &["VIOLATIONS", "ENERGY", "MIGRATION_COST", "MAKESPAN"]),
    ] {
        let plan = run(&["solve", &rack, "--objective", name, "--output", "json"]).expect(0).json();
        let named =
            plan["objectives"].as_array().unwrap().iter().map(|level| level["name"].as_str().unwrap());
        assert_eq!(named.collect::<Vec<_>>(), levels, "{name}");
    }
}

#[test]
fn every_back_end_plans_and_says_that_it_did() {
    let rack = in_root("docs/examples/rack.json");
    for backend in ["auto", "heuristic", "highs", "cp"] {
        let plan = run(&["solve", &rack, "--backend", backend, "--output", "json"]).expect(0).json();
        let by = plan["statistics"]["backend"].as_str().unwrap();
        assert!(["heuristic", backend].contains(&by) || backend == "auto", "{by} instead of {backend}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_the_solve() {
    let rack = in_root("docs/examples/rack.json");
    let done = run(&["solve", &rack, "--out", "/nonexistent/plan.json"]).expect(1);
    assert!(done.stderr.contains("cannot write /nonexistent/plan.json: No such file"), "{}", done.stderr);
    let done = run(&["solve", &rack, "--out", root().to_str().unwrap()]).expect(1);
    assert!(done.stderr.contains("it is a directory"), "{}", done.stderr);
}

/// The exit status that a status of a plan must have.
pub(crate) fn exit_of(status: &str) -> i32 {
    match status {
        "OPTIMAL" | "FEASIBLE" | "NO_CHANGE" => 0,
        "INFEASIBLE" => 3,
        "UNKNOWN" => 4,
        other => panic!("{other} is no status"),
    }
}

#[test]
fn an_interrupt_ends_the_solve_with_a_plan() {
    let text = std::fs::read_to_string(in_root("docs/examples/rack.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("problem.json"), folder.path().join("plan.json"));
    std::fs::write(&file, text).unwrap();
    let arguments = ["solve", file.to_str().unwrap(), "--out", out.to_str().unwrap(), "--time-limit", "50"];
    let mut child = dvms(&arguments).stdout(Stdio::null()).spawn().unwrap();
    // Before it listens, the signal ends it as it ends any program; afterwards with the best plan so far.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let kill = format!("kill -INT {} 2>/dev/null || true", child.id());
    Command::new("sh").args(["-c", &kill]).status().unwrap();
    let status = end_of(&mut child, "an interrupted solve");
    if let Some(code) = status.code() {
        let plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
        assert_eq!(code, exit_of(plan["status"].as_str().unwrap()), "{plan}");
    }
}

#[test]
fn the_same_work_gives_the_same_plan_with_any_number_of_threads() {
    let rack = in_root("docs/examples/rack.json");
    for threads in ["1", "2", "3"] {
        let options = ["--objective", "CONSOLIDATE", "--work-limit", "5000", "--threads", threads];
        let plan = || {
            let arguments = [&["solve", &rack, "--seed", "3", "--output", "json"], &options[..]].concat();
            let mut plan = run(&arguments).expect(0).json();
            plan.as_object_mut().unwrap().remove("statistics");
            plan
        };
        assert_eq!(plan(), plan(), "{threads} threads");
    }
    run(&["solve", &rack, "--work-limit", "-1"]).expect(2);
}

#[test]
fn devices_are_not_replaced() {
    let rack = in_root("docs/examples/rack.json");
    run(&["solve", &rack, "--out", "/dev/null"]);
    assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let rack = in_root("docs/examples/rack.json");
    for arguments in [&["solve", &rack, "--output", "json"][..], &["completions", "bash"], &["--help"]] {
        let mut child = dvms(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.is_empty(), "{arguments:?}: {stderr}");
        assert!(matches!(output.status.code(), Some(0 | 4)), "{arguments:?}: {:?}", output.status);
    }
}

#[test]
fn colours_are_for_terminals_only() {
    let text = r#"{"hosts": [{"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}}], "vms": []}"#;
    let plain = run_with(&["solve", "-"], text).expect(0);
    assert!(!plain.stdout.contains('\x1b'), "{}", plain.stdout);
    let coloured = run_with(&["solve", "-", "--color", "always"], text).expect(0);
    assert!(coloured.stdout.contains("\x1b[32m"), "{}", coloured.stdout);
}

#[test]
fn each_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(&["completions", shell]).expect(0);
        for word in ["uncordon", "finish-running"] {
            assert!(done.stdout.contains(word), "{shell}: {word}");
        }
    }
    run(&["completions", "cmd.exe"]).expect(2);
}

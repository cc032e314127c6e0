//! `dvms whatif`.

use super::command::{Done, in_root, run, run_with};

fn rack() -> String {
    in_root("docs/examples/rack.json")
}

fn whatif(arguments: &[&str]) -> Done {
    run(&[&["whatif", &rack()], arguments].concat())
}

fn json(arguments: &[&str]) -> serde_json::Value {
    whatif(&[arguments, &["--output", "json"]].concat()).expect(0).json()
}

#[test]
fn both_plans_are_shown_side_by_side() {
    let done = whatif(&["--add-hosts", "2:like=h1", "--drop-rule", "web-apart"]).expect(0);
    let told = &done.stdout;
    assert!(told.starts_with("What if: without the rule web-apart; 2 more hosts like h1.\n\n"), "{told}");
    assert!(told.contains("AS IT IS") && told.contains("WHAT IF") && told.contains("DIFFERENCE"), "{told}");
    let row = |name: &str| {
        let line =
            told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {told}"));
        line[name.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("hosts  "), ["4", "6", "+2"]);
    assert!(row("status").iter().all(|status| status == "OPTIMAL" || status == "FEASIBLE"), "{told}");
    assert_eq!(row("VIOLATIONS"), ["1000", "→", "0", "1000", "→", "0", "="]);
    assert!(done.stderr.is_empty(), "{}", done.stderr);
}

#[test]
fn each_edit_is_made() {
    let told = json(&["--add-vms", "3:cpu=1000,memory=1024", "--add-vms", "1:like=db1,cpu=1"]);
    assert_eq!(told["edits"][0], "3 more VMs of cpu 1000, memory 1024");
    assert_eq!((&told["before"]["vms"], &told["after"]["vms"]), (&7.into(), &11.into()));
    assert!(told["after"]["starts"].as_u64().unwrap() >= 3, "{told}");

    let told = json(&["--remove-host", "h2", "--add-hosts", "1:like=h1"]);
    let placement = told["after"]["plan"]["placement"].as_object().unwrap();
    assert!(placement.values().all(|host| host != "h2"), "{told}");
    assert!(placement.values().any(|host| host == "new-host-1"), "{told}");

    // Half of the machine is gone: some VMs find no place, and none is on the lost hosts.
    let told = json(&["--lose", "rack=a"]);
    let placement = told["after"]["plan"]["placement"].as_object().unwrap();
    assert!(placement.values().all(|host| host != "h1" && host != "h2"), "{told}");
    assert!(!told["after"]["unplaced"].as_array().unwrap().is_empty(), "{told}");

    let rule = r#"{"name": "off", "ban": {"vms": ["batch1"], "hosts": ["h1"]}}"#;
    let told = json(&["--add-rule", rule]);
    assert_ne!(told["after"]["plan"]["placement"]["batch1"], "h1");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("rules.json"), format!("[{rule}]")).unwrap();
    let (out, problem) = (path("plan.json"), path("problem.json"));
    let rules = path("rules.json");
    whatif(&["--add-rule", &rules, "--out", &out, "--out-problem", &problem]).expect(0);
    // The plan that is written is one of the problem that is written.
    run(&["check", &problem, &out]).expect(0);
    assert!(std::fs::read_to_string(&problem).unwrap().contains("\"off\""));
}

#[test]
fn what_cannot_be_is_told_by_its_exit_status() {
    let rule = r#"{"name": "off", "ban": {"vms": ["batch1"], "hosts": ["h1", "h2", "h3", "h4"]}}"#;
    let done = whatif(&["--add-rule", rule]).expect(3);
    assert!(done.stdout.contains("INFEASIBLE") && done.stdout.contains("off"), "{}", done.stdout);
    assert!(done.stdout.contains("These cannot hold together"), "{}", done.stdout);
    assert!(done.stdout.contains("INFEASIBLE: "), "the reason is told: {}", done.stdout);
}

#[test]
fn a_plan_that_is_given_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json").to_str().unwrap().to_owned();
    run(&["solve", &rack(), "--out", &plan]).expect(0);
    let done = whatif(&["--compare", &plan]).expect(0);
    assert!(done.stdout.contains("AS GIVEN"), "{}", done.stdout);
    let told = json(&["--compare", &plan, "--objective", "consolidate"]);
    // Of a plan that was made for something else the checker finds the levels.
    assert_eq!(told["before"]["objectives"][1]["name"], "ACTIVE_HOSTS");
    let value = |side: &str| told[side]["objectives"][1]["value"].as_f64().unwrap();
    assert!(value("after") <= value("before"), "{told}");

    let text = std::fs::read_to_string(&plan).unwrap().replace("\"h3\"", "\"h4\"");
    std::fs::write(&plan, text).unwrap();
    let done = whatif(&["--compare", &plan]).expect(2);
    assert!(done.stderr.contains("is not a valid plan of the problem:"), "{}", done.stderr);
}

#[test]
fn two_plans_that_are_given_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (repair, thrift) = (file("repair.json"), file("thrift.json"));
    run(&["solve", &rack(), "--out", &repair]).expect(0);
    run(&["solve", &rack(), "--objective", "consolidate", "--out", &thrift]).expect(0);
    let done = whatif(&["--compare", &repair, "--with", &thrift]).expect(0);
    for part in ["AS GIVEN", "THE OTHER", "DIFFERENT", "migrations"] {
        assert!(done.stdout.contains(part), "{part} is not in {}", done.stdout);
    }
    let told = json(&["--compare", &repair, "--with", &thrift]);
    let differing = told["differing"].as_array().unwrap();
    assert!(!differing.is_empty());
    for one in differing {
        let vm = one["vm"].as_str().unwrap();
        assert_eq!(one["before"], told["before"]["plan"]["placement"][vm]);
        assert_eq!(one["after"], told["after"]["plan"]["placement"][vm]);
    }
    let same = json(&["--compare", &repair, "--with", &repair]);
    assert_eq!(same["differing"].as_array().map(Vec::len), Some(0));
    let done = whatif(&["--with", &thrift]).expect(2);
    assert!(done.stderr.contains("--compare"), "{}", done.stderr);
    let done = whatif(&["--compare", &repair, "--with", &thrift, "--drop-rule", "web-apart"]).expect(2);
    assert!(done.stderr.contains("--drop-rule"), "{}", done.stderr);
}

#[test]
fn what_cannot_be_edited_is_bad_input() {
    let ban = |vm: &str| format!(r#"{{"name": "off", "ban": {{"vms": ["{vm}"], "hosts": ["h1"]}}}}"#);
    for (arguments, says) in [
        (&[][..], "nothing is to be different"),
        (&["--add-hosts", "0"], "--add-hosts"),
        (&["--add-hosts", "1:like=h9"], "--add-hosts: there is no host \"h9\" in the problem"),
        (&["--add-vms", "2"], "--add-vms"),
        (&["--add-vms", "2:gpu=1"], "--add-vms: demand.gpu: unknown resource \"gpu\""),
        (&["--remove-host", "h9"], "--remove-host: there is no host \"h9\""),
        (&["--lose", "rack=z"], "--lose: no host has the label rack = z"),
        (&["--lose", "rack"], "--lose"),
        (&["--drop-rule", "x"], "--drop-rule: there is no rule \"x\""),
        (&["--add-rule", "{"], "--add-rule is not JSON:\n  line 1, column 1: EOF"),
        (&["--add-rule", "[\n {\"name\": \"x\"}"], "--add-rule is not JSON:\n  line 2, column 14: EOF"),
        (&["--add-rule", "{}], \"vms\": [{}"], "--add-rule is not JSON:\n  line 1, column 3: trailing"),
        (
            &["--add-rule", "{\"nam\": \"x\"}"],
            "--add-rule is not a rule:\n  line 1, column 6: nam: unknown field `nam`",
        ),
        (&["--add-rule", "[{\n\"name\": 3}]"], "--add-rule is not a rule:\n  line 2, column 9: [0].name: "),
        (&["--add-rule", &ban("v9")], "--add-rule: ban.vms[0]: unknown vm \"v9\""),
        (&["--add-rule", "/nonexistent"], "cannot read /nonexistent"),
        (&["--compare", "/nonexistent"], "cannot read /nonexistent"),
        (&["--drop-rule", "web-apart", "--objective", "BEAUTY"], "--objective"),
    ] {
        let done = whatif(arguments).expect(2);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{says:?} is not in {}", done.stderr);
    }
    let done = run_with(&["whatif", "-", "--lose", "rack=a"], "{\"hosts\": 3}").expect(2);
    assert!(done.stderr.contains("line 1, column 11: hosts: "), "{}", done.stderr);
    run(&["whatif", "-", "--compare", "-"]).expect(2);
}

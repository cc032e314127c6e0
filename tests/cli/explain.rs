//! `dvms explain`.

use super::command::{in_root, run, run_with};

fn rack() -> String {
    in_root("docs/examples/rack.json")
}

#[test]
fn a_vm_is_explained() {
    let done = run(&["explain", &rack(), "--vm", "web1"]).expect(0);
    let told = &done.stdout;
    assert!(told.starts_with("web1 runs on h1.\n  h1 is 3000 millicores over its cpu limit\n"), "{told}");
    for says in [
        "A solve of the whole (",
        "web-apart",
        "spread, continuous",
        "the rule web-apart forbids it: 2 of its VMs run on h2, at most 1 may",
        "h4 is DRAINING: its VMs have to leave and none may enter",
        "1 of 3 other hosts would take it",
    ] {
        assert!(told.contains(says), "{says:?} is not in\n{told}");
    }
    assert!(done.stderr.is_empty(), "{}", done.stderr);
}

#[test]
fn programs_get_the_same() {
    let arguments = ["explain", &rack(), "--vm", "web1", "--host", "h2", "--output", "json"];
    let told = run(&arguments).expect(0).json();
    assert_eq!((&told["vm"], &told["host"], &told["running"]), (&"web1".into(), &"h1".into(), &true.into()));
    assert_eq!(told["wrong"][0]["short"], 3000);
    let hosts = told["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 3);
    let causes = hosts[0]["causes"].as_array().unwrap();
    assert_eq!((&causes[0]["kind"], &causes[0]["subject"]), (&"rule".into(), &"web-apart".into()));
    let changes = &told["changes"];
    assert_eq!((&changes["host"], &changes["minimal"]), (&"h2".into(), &true.into()));
    assert_eq!(changes["least"][0]["kind"], "leave");
    assert_eq!(changes["least"][0]["subject"], "web2");
    assert_eq!(changes["in_place"][0]["kind"], "drop_rule");
    assert!(told["solve"]["host"].is_string(), "{}", told["solve"]);
    // The others can make way, and the plan that does it is there.
    let asked = &told["asked"];
    assert_eq!((&asked["changed"], &asked["plan"]["placement"]["web1"]), (&false.into(), &"h2".into()));
    let short = run(&[&arguments[..], &["--no-solve"]].concat()).expect(0).json();
    assert!(short["solve"].is_null() && short["asked"].is_null());
    assert_eq!(short["changes"], told["changes"]);
}

#[test]
fn what_would_have_to_change_is_told() {
    let done = run(&["explain", &rack(), "--vm", "db1", "--host", "h4"]).expect(0);
    let says = "\nFor db1 to go to h4, all of this would have to change (proved: nothing smaller is enough):
  - h4 becomes ONLINE
  - db2 leaves h3
Or, with all other VMs where they are:
  - h4 becomes ONLINE
  - the rule databases-in-two-racks is dropped
A solve that holds db1 to h4, once that is changed, finds a plan of ";
    assert!(done.stdout.contains(says), "{}", done.stdout);
    let text = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 4, "memory": 9}}, {"name": "b", "capacity": {"cpu": 4, "memory": 9}}],
        "vms": [{"name": "v", "host": "a", "demand": {"cpu": 3, "memory": 2}},
                {"name": "w", "host": "b", "demand": {"cpu": 3, "memory": 2}}]}"#;
    let done = run_with(&["explain", "-", "--vm", "v", "--host", "b"], text).expect(0);
    assert!(done.stdout.contains("  - w leaves b\n"), "{}", done.stdout);
    assert!(done.stdout.contains("  - b gets 2 millicores more usable cpu\n"), "{}", done.stdout);
    assert!(done.stdout.contains("A solve that holds v to b "), "{}", done.stdout);
    let done = run_with(&["explain", "-", "--vm", "v", "--host", "a"], text).expect(0);
    assert!(done.stdout.contains("v is on a already.\n"), "{}", done.stdout);
}

/// A proof is told once, in whole sentences.
#[test]
fn a_proof_that_there_is_no_plan_is_a_sentence() {
    let host = |name: &str, state: &str| {
        format!(r#"{{"name": "{name}", "capacity": {{"cpu": 10, "memory": 10}}, "state": "{state}"}}"#)
    };
    let vm = |name: &str, host: &str| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": 6, "memory": 6}}}}"#)
    };
    let hosts = [("a", "DRAINING"), ("b", "ONLINE"), ("c", "ONLINE")].map(|(name, state)| host(name, state));
    let vms = [("v", "a"), ("w", "b"), ("x", "c")].map(|(name, at)| vm(name, at));
    let text = format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts.join(", "), vms.join(", "));
    let done = run_with(&["explain", "-", "--vm", "v", "--host", "b"], &text).expect(0);
    let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("A solve ")).collect();
    assert_eq!(lines.len(), 2, "{}", done.stdout);
    assert!(lines.iter().all(|line| line.ends_with('.') && !line.contains("  ")), "{lines:#?}");
    assert!(lines[0].starts_with("A solve of the whole says INFEASIBLE: "), "{lines:#?}");
    assert_eq!(lines[1].matches("proved").count(), 1, "{lines:#?}");
}

#[test]
fn what_is_not_there_is_bad_input() {
    for (arguments, says) in [
        (&["--vm", "nobody"][..], "--vm: there is no VM \"nobody\" in the problem"),
        (&["--vm", "web1", "--host", "h9"], "--host: there is no host \"h9\" in the problem"),
        (&[], "--vm"),
        (&["--vm", "web1", "--time-limit", "0"], "--time-limit"),
    ] {
        let done = run(&[&["explain", &rack()], arguments].concat()).expect(2);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{says:?}: {}", done.stderr);
    }
    let done = run_with(&["explain", "-", "--vm", "v"], r#"{"vms": [{"name": "v", "host": "x"}]}"#).expect(2);
    assert!(done.stderr.contains("line 1, column 32: vms[0].host: unknown host \"x\""), "{}", done.stderr);
    run(&["explain", "/nonexistent", "--vm", "v"]).expect(2);
}

//! Plans that `dvms solve` makes: what they come to, and that both checkers find them valid.

use super::command::{Done, finish, in_root, root, run, run_with};
use super::solve::exit_of;
use std::path::Path;
use std::process::Command;

/// Solves, writes the plan, judges it by both checkers; gives the plan and what was printed.
fn solve(problem: &str, arguments: &[&str]) -> (serde_json::Value, Done) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, out) = (path("problem.json"), path("plan.json"));
    std::fs::write(&file, problem).unwrap();
    let done = run(&[&["solve", &file, "--out", &out], arguments].concat());
    let text = std::fs::read_to_string(&out)
        .unwrap_or_else(|error| panic!("no plan file: {error}; stderr: {}", done.stderr));
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(done.code, Some(exit_of(plan["status"].as_str().unwrap())), "{text}");
    run(&["check", &file, &out]).expect(0);
    judge(Path::new(&file), Path::new(&out));
    (plan, done)
}

/// The judge of the contract, where it is there.
fn judge(problem: &Path, plan: &Path) {
    let script = root().join("../shared/check_plan.py");
    if !script.is_file() {
        eprintln!("SKIPPED: {} is not there to judge the plan", script.display());
        return;
    }
    let mut command = Command::new("python3");
    command.arg(script).args([problem, plan]);
    let done = finish(command, "");
    assert_eq!(done.code, Some(0), "check_plan.py: {}{}", done.stdout, done.stderr);
}

#[test]
fn the_example_is_solved() {
    let text = std::fs::read_to_string(in_root("docs/examples/rack.json")).unwrap();
    let (plan, done) = solve(&text, &["--time-limit", "5"]);
    assert!(["OPTIMAL", "FEASIBLE"].contains(&plan["status"].as_str().unwrap()), "{plan}");
    assert_eq!(plan["objectives"][0]["value"], 0.0, "the example's overload can be repaired: {plan}");
    for action in plan["actions"].as_array().unwrap() {
        assert!(done.stdout.contains(action["because"].as_str().unwrap()), "{}", done.stdout);
    }
    assert!(done.stdout.contains("OBJECTIVE") && done.stdout.contains("VIOLATIONS"), "{}", done.stdout);
    assert!(done.stderr.is_empty(), "nothing to say where nobody looks: {}", done.stderr);
    // A plan for another objective is judged by a problem that asks for it.
    let other = text.replace("\"REPAIR\"", "\"CONSOLIDATE\"");
    let (asked, _) = solve(&other, &["--time-limit", "5", "--objective", "consolidate"]);
    assert_eq!(asked["objectives"][1]["name"], "ACTIVE_HOSTS");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("plan.json");
    let file = in_root("docs/examples/rack.json");
    let arguments = ["solve", &file, "--time-limit", "5", "--objective", "consolidate", "--out"];
    run(&[&arguments[..], &[out.to_str().unwrap()]].concat()).expect(0);
    let overridden: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(overridden["objectives"], asked["objectives"], "the option wins over the file");
}

#[test]
fn nothing_to_do_is_a_success() {
    let text = r#"{"hosts": [{"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}}],
        "vms": [{"name": "a", "host": "h1", "demand": {"cpu": 1000, "memory": 1024}}]}"#;
    let (plan, done) = solve(text, &[]);
    // Proved or judged: both say that nothing moves.
    assert!(plan["actions"].as_array().unwrap().is_empty(), "{plan}");
    assert_eq!(done.code, Some(0));
    // Written to standard output for programs, the same in both ways.
    let done = run_with(&["solve", "-", "--output", "json"], text).expect(0);
    assert_eq!(done.json()["placement"], plan["placement"]);
}

/// Where nothing can be done, what stays is told, and where to ask for more.
#[test]
fn what_stays_as_it_is_is_told() {
    let text = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 50, "memory": 50}}],
        "vms": [{"name": "v", "host": "a", "demand": {"cpu": 60, "memory": 10}},
                {"name": "w", "demand": {"cpu": 100, "memory": 100}}]}"#;
    let (plan, done) = solve(text, &[]);
    assert_eq!(plan["status"], "NO_CHANGE");
    let says = "\nStays as it is: 1 VM waits, and 1 host is over (a). `dvms explain FILE --vm w` says why.\n";
    assert!(done.stdout.contains(says), "{}", done.stdout);
}

#[test]
fn a_contradiction_is_told_in_words_and_in_the_plan_file() {
    let text = r#"{"hosts": [{"name": "h1", "capacity": {"cpu": 4000, "memory": 8192}, "state": "DRAINING"},
        {"name": "h2", "capacity": {"cpu": 4000, "memory": 8192}}],
        "vms": [{"name": "fixed", "host": "h1", "pinned": true, "demand": {"cpu": 1000, "memory": 1024}}]}"#;
    let (plan, done) = solve(text, &["--time-limit", "5"]);
    assert_eq!(plan["status"], "INFEASIBLE", "{plan}");
    assert_eq!(done.code, Some(3));
    assert!(done.stdout.contains("These cannot hold together:"), "{}", done.stdout);
    assert!(done.stdout.contains("fixed") && done.stdout.contains("h1"), "{}", done.stdout);
    assert!(done.stdout.contains("The plan is in "), "{}", done.stdout);
}

#[test]
fn a_hard_problem_in_no_time_has_an_honest_status() {
    // 60 hosts to be emptied onto 30, with spreads: what is found in a millisecond is for the solver to say.
    let host = |i: usize| {
        let state = if i < 60 { "DRAINING" } else { "ONLINE" };
        format!(r#"{{"name": "h{i}", "capacity": {{"cpu": 16000, "memory": 65536}}, "state": "{state}"}}"#)
    };
    let vm = |i: usize| {
        let (cpu, memory) = (700 + i * 37 % 900, 2048 + i * 331 % 4096);
        format!(
            r#"{{"name": "v{i}", "host": "h{}", "demand": {{"cpu": {cpu}, "memory": {memory}}}}}"#,
            i % 60
        )
    };
    let list = |items: Vec<String>| items.join(",");
    let vms: Vec<_> = (0..300).map(|i| format!("\"v{i}\"")).collect();
    let text = format!(
        r#"{{"hosts": [{}], "vms": [{}], "constraints": [{{"name": "s", "spread": {{"vms": [{}], "max": 10}}}}]}}"#,
        list((0..90).map(host).collect()),
        list((0..300).map(vm).collect()),
        vms.join(",")
    );
    let (plan, _) = solve(&text, &["--time-limit", "0.001"]);
    assert_ne!(plan["status"], "INFEASIBLE", "nobody can prove that: {}", plan["reason"]);
}

#[test]
fn a_solve_is_traced_and_drawn() {
    let text = std::fs::read_to_string(in_root("docs/examples/rack.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (traced, drawn) = (path("trace.json"), path("solve.svg"));
    let (plan, _) = solve(&text, &["--trace", &traced, "--plot", &drawn]);
    let trace: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&traced).unwrap()).unwrap();
    assert_eq!(trace["levels"][0], "VIOLATIONS");
    let points = trace["points"].as_array().unwrap();
    assert!(!points.is_empty(), "{trace}");
    let mut last = 0.0;
    for point in points {
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        assert!(number(&point["time_s"]) >= last && !point["phase"].as_str().unwrap().is_empty(), "{point}");
        last = number(&point["time_s"]);
        let (values, bounds) = (point["values"].as_array().unwrap(), point["bounds"].as_array().unwrap());
        assert_eq!((values.len(), bounds.len()), (3, 3));
        assert!(values.iter().zip(bounds).all(|(value, bound)| number(bound) <= number(value)), "{point}");
    }
    let values: Vec<_> = plan["objectives"].as_array().unwrap().iter().map(|level| &level["value"]).collect();
    assert_eq!(trace["end"]["values"].as_array().unwrap().iter().collect::<Vec<_>>(), values);
    assert_eq!(trace["end"]["status"], plan["status"]);
    let svg = std::fs::read_to_string(&drawn).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let titles =
        document.descendants().filter(|node| node.has_tag_name("title")).filter_map(|node| node.text());
    let titles: Vec<_> = titles.collect();
    assert!(titles.contains(&"h1 before: 19000 of 16000 cpu (119 %)"), "{titles:?}");
    assert!(
        titles.iter().any(|title| title.starts_with("h4 (DRAINING) after: 0 of 16000 cpu")),
        "{titles:?}"
    );
    // Where it cannot be written, nothing is solved.
    run(&["solve", &in_root("docs/examples/rack.json"), "--plot", "/nonexistent/x.svg"]).expect(1);
}

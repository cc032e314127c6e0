//! `dvms gantt` and `--gantt`: plans over time.

use super::command::{in_root, run, run_with};

/// A plan for the example.
fn solved(folder: &std::path::Path) -> (String, String) {
    let plan = folder.join("plan.json").to_str().unwrap().to_owned();
    let problem = in_root("docs/examples/rack.json");
    run(&["solve", &problem, "--time-limit", "2", "--out", &plan]).expect(0);
    (problem, plan)
}

#[test]
fn a_plan_is_drawn_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let (problem, plan) = solved(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (svg, html) = (path("plan.svg"), path("plan.html"));
    let done = run(&["gantt", &problem, &plan, "--ascii", "--svg", &svg, "--html", &html]).expect(0);
    assert!(done.stdout.starts_with("makespan ") && done.stdout.contains(", bound "), "{}", done.stdout);
    assert!(done.stdout.contains("The end waits for:") && done.stdout.is_ascii(), "{}", done.stdout);
    assert!(done.stdout.contains(&format!("The page is in {html}.")), "{}", done.stdout);
    let svg = std::fs::read_to_string(svg).unwrap();
    let actions = roxmltree::Document::parse(&svg).unwrap();
    let bars = actions.descendants().filter(|node| node.attribute("data-action").is_some()).count();
    let data = run(&["gantt", &problem, &plan, "--output", "json"]).expect(0).json();
    assert_eq!(data["actions"].as_array().unwrap().len(), bars);
    assert_eq!(data["hosts"].as_array().unwrap().len(), 4);
    assert!(data["bounds"][0]["seconds"].as_f64().unwrap() <= data["makespan_s"].as_f64().unwrap() + 1e-6);
    assert!(std::fs::read_to_string(html).unwrap().ends_with("</html>\n"));
}

#[test]
fn steps_are_told_one_by_one_or_all() {
    let folder = tempfile::tempdir().unwrap();
    let (problem, plan) = solved(folder.path());
    let all = run(&["gantt", &problem, &plan, "--step"]).expect(0).stdout;
    let steps = run(&["gantt", &problem, &plan, "--step", "-o", "json"]).expect(0).json();
    let count = steps.as_array().unwrap().len();
    assert_eq!(all.matches("Step ").count(), count);
    let first = run(&["gantt", &problem, &plan, "--step=1"]).expect(0).stdout;
    assert!(all.starts_with(&first) && first.contains("begins"), "{first}");
    let beyond = run(&["gantt", &problem, &plan, &format!("--step={}", count + 1)]).expect(2);
    assert!(beyond.stderr.contains(&format!("there is no step {}", count + 1)), "{}", beyond.stderr);
}

#[test]
fn what_was_solved_is_drawn_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let problem = in_root("docs/examples/rack.json");
    let page = folder.path().join("page.html");
    let shown =
        run(&["solve", &problem, "--time-limit", "2", "--html", page.to_str().unwrap()]).expect(0).stdout;
    assert!(shown.contains("makespan ") && shown.contains("The page is in"), "{shown}");
    assert!(page.is_file());
    // With --output json the plan is what is printed, as without a picture.
    let other = folder.path().join("other.html");
    let json = ["--time-limit", "2", "--output", "json", "--html", other.to_str().unwrap()];
    let told = run(&[&["solve", &problem], &json[..]].concat()).expect(0);
    assert!(dvms_solver::file::Plan::from_json(&told.stdout).is_ok() && other.is_file(), "{}", told.stdout);
    for shown in ["--gantt", "--step"] {
        let refused = run(&["solve", &problem, shown, "--output", "json"]).expect(2);
        assert!(refused.stderr.contains("--output json prints the plan"), "{}", refused.stderr);
    }
    let none = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 1}, "state": "DRAINING"}],
        "vms": [{"name": "v", "host": "a", "demand": {"cpu": 1}, "pinned": true}]}"#;
    let told = run_with(&["solve", "-", "--gantt"], none).expect(3).stdout;
    assert!(told.contains("INFEASIBLE") && told.contains("nothing to draw"), "{told}");
}

#[test]
fn a_plan_of_another_problem_is_refused_and_a_wrong_one_drawn_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let problem = folder.path().join("problem.json");
    let text = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 1}}, {"name": "b", "capacity": {"cpu": 1}}],
        "vms": [{"name": "v", "host": "a", "demand": {"cpu": 1}}, {"name": "w", "host": "b", "demand": {"cpu": 1}}]}"#;
    std::fs::write(&problem, text).unwrap();
    let draw = |to: &str| {
        let plan = format!(
            r#"{{"status": "FEASIBLE", "placement": {{"v": "b", "w": "b"}}, "actions": [{{"id": 1, "type": "MIGRATE", "vm": "v",
            "source": "a", "destination": "{to}", "end_s": 0.03, "because": "x"}}]}}"#
        );
        run_with(&["gantt", problem.to_str().unwrap(), "-"], &plan)
    };
    let refused = draw("c").expect(2);
    let says = "actions[0].destination: the problem has no host \"c\"";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    let drawn = draw("b").expect(0).stdout;
    assert!(drawn.contains("not valid") && drawn.contains("at most 2 of 1"), "{drawn}");
}

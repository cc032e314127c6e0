//! `dvms bench`: it measures what it says, and its problems and plans are judged from outside.

use super::command::{finish, in_root, root, run};
use std::path::Path;
use std::process::Command;

/// All problem files that were written.
fn problems(folder: &Path) -> Vec<std::path::PathBuf> {
    let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = inside(folder).flat_map(|row| inside(&row).collect::<Vec<_>>()).collect();
    files.sort();
    files
}

#[test]
fn every_row_is_listed_with_its_goal() {
    let rows = run(&["bench", "--list", "--output", "json"]).expect(0).json();
    let rows = rows.as_array().unwrap();
    for name in
        ["repair-64", "repair-64-tight", "repair-1000", "btrplace", "consolidate-mixed", "balance-256"]
    {
        assert!(rows.iter().any(|row| row["row"] == name), "{name} is not in {rows:?}");
    }
    let table = run(&["bench", "--list"]).expect(0).stdout;
    for row in rows {
        let (name, goal) = (row["row"].as_str().unwrap(), row["goal"].as_str().unwrap());
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(goal)), "{name}");
    }
}

#[test]
fn a_quick_run_measures_valid_plans_of_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (written, out) = (path("problems"), path("all.json"));
    let rows =
        ["repair-64", "drain-64", "pending-64", "failure-64", "consolidate-64", "balance-64", "btrplace"];
    let chosen: Vec<&str> = rows.iter().flat_map(|row| ["--row", row]).collect();
    let options = ["bench", "--quick", "--time-limit", "0.5", "--write", &written, "--out", &out];
    let done = run(&[&options[..], &chosen].concat()).expect(0);
    for row in rows {
        assert!(done.stdout.contains(row), "{row} is not in {}", done.stdout);
        assert!(done.stderr.contains(&format!("{row} 2/2 ")), "{row}: {}", done.stderr);
    }
    let text = std::fs::read_to_string(&out).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(document["machine"]["cores"].as_u64().unwrap() >= 1);
    let measured = document["rows"].as_array().unwrap();
    assert_eq!(measured.len(), rows.len());
    for row in measured {
        assert_eq!((&row["problems"], &row["wrong"]), (&2.into(), &0.into()), "{row}");
        for solve in row["runs"].as_array().unwrap() {
            assert!(solve["faults"].as_array().unwrap().is_empty(), "{solve}");
            assert!(solve["first_s"].as_f64().unwrap() <= solve["solve_s"].as_f64().unwrap(), "{solve}");
            for level in solve["levels"].as_array().unwrap() {
                let value = |name: &str| level[name].as_f64().unwrap();
                assert!(value("bound") <= value("value") + 0.01, "{level}");
            }
        }
    }

    // The files are problems like any other: measured again they come to the same, and the contract's judge
    // reads them.
    assert_eq!(problems(Path::new(&written)).len(), 2 * rows.len());
    let again = ["bench", "--problems", &written, "--row", "repair-64", "--output", "json"];
    let again = run(&again).expect(0).json();
    let before = |document: &serde_json::Value| document["rows"][0]["levels"][0]["before"].clone();
    assert_eq!(before(&again), before(&document));
    let script = root().join("../shared/check_plan.py");
    if !script.is_file() {
        eprintln!("SKIPPED: {} is not there to judge the plans", script.display());
        return;
    }
    for file in problems(Path::new(&written)) {
        let plan = path("plan.json");
        run(&["solve", file.to_str().unwrap(), "--time-limit", "0.3", "--out", &plan]).expect(0);
        let mut judge = Command::new("python3");
        judge.arg(&script).arg(&file).arg(&plan);
        let judged = finish(judge, "");
        assert_eq!(judged.code, Some(0), "{}: {}{}", file.display(), judged.stdout, judged.stderr);
    }
}

#[test]
fn peers_are_asked_about_the_same_problems_where_they_are_installed() {
    let folder = in_root("benches/peers");
    let ask = ["bench", "--quick", "--row", "repair-64", "--seeds", "1", "--output", "json", "--peers-dir"];
    if !root().join("benches/peers/.venv/bin/python").is_file() {
        let done = run(&[&ask[..], &[&folder, "--peers"]].concat()).expect(1);
        assert!(done.stderr.contains("make peers"), "{}", done.stderr);
        eprintln!("SKIPPED: the peers are not installed; `make peers` installs them");
        return;
    }
    let document = run(&[&ask[..], &[&folder, "--peers"]].concat()).expect(0).json();
    let duels = document["peers"]["duels"].as_array().unwrap();
    let peers: Vec<_> = duels.iter().map(|duel| duel["peer"].as_str().unwrap()).collect();
    assert_eq!(peers, ["rebalancer-local", "rebalancer-highs", "cp-sat", "highs", "ffd"]);
    for duel in duels {
        // They may find nothing in a second, but they must have been asked.
        let known = ["placed", "invalid", "nothing"].contains(&duel["answer"]["outcome"].as_str().unwrap());
        assert!(known, "{duel}");
        let why = duel["answer"]["why"].as_str().unwrap_or_default();
        assert!(!why.contains("Error"), "{duel}");
    }
    let placed = duels.iter().filter(|duel| duel["answer"]["outcome"] == "placed").count();
    assert!(placed >= 1, "{duels:?}");
}

#[test]
fn what_there_is_not_is_refused() {
    let done = run(&["bench", "--row", "repair-65"]).expect(2);
    assert!(done.stderr.contains("repair-65 is no row; there are repair-64, "), "{}", done.stderr);
    run(&["bench", "--problems", "/nonexistent"]).expect(2);
    let empty = tempfile::tempdir().unwrap();
    let done = run(&["bench", "--problems", empty.path().to_str().unwrap()]).expect(2);
    assert!(done.stderr.contains("no problem files"), "{}", done.stderr);
    let done = run(&["bench", "--peers", "--peers-dir", empty.path().to_str().unwrap()]).expect(2);
    assert!(done.stderr.contains("has no drivers"), "{}", done.stderr);
    run(&["bench", "--peers", "gurobi"]).expect(2);
    std::fs::write(empty.path().join("bad.json"), "{\"hosts\": 1}").unwrap();
    run(&["bench", "--problems", empty.path().to_str().unwrap()]).expect(2);
}

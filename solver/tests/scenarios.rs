//! Generated problems, solved and judged from outside: by `check_plan.py`, which shares no code with this
//! project, where it is there.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use dvms_solver::{Cancel, Options, check, file, solve};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const KINDS: &str = "spread,gather,fence,ban,lonely";

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    path.exists().then_some(path)
}

/// Standard output of a Python script.
fn python(script: &Path, arguments: &[&str]) -> String {
    let output = Command::new("python3").arg(script).args(arguments).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}: {text}{errors}", script.display());
    text.into_owned()
}

fn generated(
    scenario: &str,
    hosts: u32,
    vms: u32,
    seed: u64,
    load: &str,
    more: &[&str],
) -> Option<file::Problem> {
    let generator = shared("generate_problem.py")?;
    let (hosts, vms, seed) = (hosts.to_string(), vms.to_string(), seed.to_string());
    let size = ["--hosts", &hosts, "--vms", &vms, "--seed", &seed, "--scenario", scenario, "--load", load];
    let rules = ["--constraints", "0.3", "--kinds", KINDS];
    let text = python(&generator, &[&size[..], &rules[..], more].concat());
    Some(file::Problem::from_json(&text).unwrap())
}

/// Solves; every plan given out must please both judges.
fn judged(name: &str, problem: &file::Problem, options: &Options) -> file::Plan {
    let mut given = Vec::new();
    let plan = solve(problem, options, &Cancel::default(), &mut |plan| given.push(plan.clone())).unwrap();
    given.push(plan.clone());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (i, plan) in given.iter().enumerate() {
        assert_eq!(check::check(problem, plan).violations, [], "{name}");
        if let Some(judge) = shared("check_plan.py") {
            let [a, b] = ["problem", "plan"].map(|what| folder.join(format!("{name}-{i}-{what}.json")));
            std::fs::write(&a, problem.to_json()).unwrap();
            std::fs::write(&b, plan.to_json()).unwrap();
            python(&judge, &[&a.to_string_lossy(), &b.to_string_lossy(), "--shake", "3"]);
        }
    }
    plan
}

fn value(plan: &file::Plan, level: &str) -> (f64, f64) {
    let found = plan.objectives.iter().find(|o| o.name == level).unwrap();
    (found.before, found.value)
}

/// Whether the judge and the generator of the contract are here; says so if not.
fn can_judge() -> bool {
    let can = shared("generate_problem.py").is_some() && shared("check_plan.py").is_some();
    if !can {
        eprintln!("SKIPPED: ../shared with generate_problem.py and check_plan.py is not here");
    }
    can
}

fn options(work: u64) -> Options {
    Options { time_limit: Duration::from_mins(5), work_limit: Some(work), ..Options::default() }
}

#[test]
fn generated_problems_are_solved_and_judged_from_outside() {
    if !can_judge() {
        return;
    }
    for scenario in ["repair", "failure", "drain", "pending", "consolidate"] {
        for (hosts, vms, load, seeds) in [(8, 60, "0.6", 1..3), (40, 400, "0.75", 3..4)] {
            for seed in seeds {
                let name = format!("{scenario}-{hosts}-{seed}");
                let problem = generated(scenario, hosts, vms, seed, load, &[]).unwrap();
                let plan = judged(&name, &problem, &options(150_000));
                assert!(plan.status.has_plan(), "{name}: {}", plan.reason);
                let (before, after) = value(&plan, "VIOLATIONS");
                assert!(after == 0.0, "{name}: VIOLATIONS {before} to {after}");
                if scenario == "consolidate" {
                    let (before, after) = value(&plan, "ACTIVE_HOSTS");
                    assert!(after <= 0.85 * before, "{name}: ACTIVE_HOSTS {before} to {after}");
                }
            }
        }
    }
}

#[test]
fn generated_clusters_are_evened_out_and_gathered_and_judged_from_outside() {
    if !can_judge() {
        return;
    }
    for (scenario, load, level, most) in
        [("balance", "0.6", "IMBALANCE", 0.5), ("defragment", "0.9", "FRAGMENTS", 0.95)]
    {
        for (hosts, vms, seed) in [(8, 60, 1), (24, 200, 2)] {
            let name = format!("{scenario}-{hosts}-{seed}");
            let problem = generated(scenario, hosts, vms, seed, load, &[]).unwrap();
            let plan = judged(&name, &problem, &options(150_000));
            assert!(plan.status.has_plan(), "{name}: {}", plan.reason);
            assert!(value(&plan, "VIOLATIONS").1 == 0.0, "{name}: VIOLATIONS");
            let (before, after) = value(&plan, level);
            // Eight hosts can be such that nothing gathers.
            let most = if hosts == 8 { 1.0 } else { most };
            assert!(after <= most * before, "{name}: {level} {before} to {after}");
        }
    }
}

#[test]
fn generated_numa_nodes_and_equal_vms_are_judged_from_outside() {
    if !can_judge() {
        return;
    }
    for (kind, more) in [("numa", &["--numa"][..]), ("identical", &["--identical"][..])] {
        for scenario in ["repair", "failure", "drain", "pending", "consolidate", "balance"] {
            let name = format!("{scenario}-{kind}");
            let problem = generated(scenario, 12, 90, 5, "0.6", more).unwrap();
            let plan = judged(&name, &problem, &options(100_000));
            assert!(plan.status.has_plan(), "{name}: {}", plan.reason);
            assert!(value(&plan, "VIOLATIONS").1 == 0.0, "{name}: VIOLATIONS");
        }
    }
}

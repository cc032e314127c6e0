//! Random plans, good and bad, judged by this checker and by the judge of the contract.

use crate::check::{Judgement, check};
use crate::file::{self, Action, ActionKind, ObjectiveValue, Plan, Problem, Status};
use crate::testing::{self, KINDS};
use crate::{Cancel, Options, solve};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

fn amounts(cpu: usize, memory: usize) -> file::Amounts {
    [("cpu".to_owned(), cpu as i64), ("memory".to_owned(), memory as i64)].into()
}

/// Roomy hosts, so that it is the rules that matter.
fn problem(random: &mut Random) -> Problem {
    let mut problem = Problem::default();
    for i in 0..3 + random.below(2) {
        let state = ["", "", "", "", "", "FAILED", "OFFLINE", "DRAINING", "CORDONED"][random.below(9)];
        problem.hosts.push(file::Host {
            name: format!("h{i}"),
            state: state.to_owned(),
            capacity: amounts(30 + random.below(10), 9000),
            labels: [("rack".to_owned(), format!("r{}", i % 2))].into(),
            max_migrations: Some(9),
            migration_bandwidth: Some(10_000.0),
            ..file::Host::default()
        });
    }
    for i in 0..2 + random.below(5) {
        let host = random.below(problem.hosts.len() + 1);
        let host = problem.hosts.get(host).filter(|host| host.state != "OFFLINE");
        let resized = random.below(6) == 0;
        problem.vms.push(file::Vm {
            name: format!("v{i}"),
            host: host.map_or_else(String::new, |host| host.name.clone()),
            demand: amounts(random.below(8), 100 * (1 + random.below(9))),
            arrival_demand: if resized { amounts(random.below(8), 100) } else { file::Amounts::new() },
            ..file::Vm::default()
        });
    }
    testing::label(&mut problem, random.below(1 << 30) as u64);
    for i in 0..=random.below(3) {
        let (kind, seed) = (random.below(usize::from(KINDS)) as u8, random.below(1 << 30) as u64);
        let soft = (random.below(3) == 0).then_some(5.0);
        let rule = testing::constraint(format!("c{i}"), kind, seed, soft, random.below(2) == 0, &problem);
        problem.constraints.push(rule);
    }
    problem
}

/// Moves at random, each VM at most twice, some waiting for others.
fn plan(problem: &Problem, random: &mut Random) -> Plan {
    let failed = |host: &str| problem.hosts.iter().any(|h| h.name == host && h.state == "FAILED");
    let mut at: std::collections::BTreeMap<String, String> = (problem.vms.iter())
        .filter(|vm| !vm.host.is_empty() && !failed(&vm.host))
        .map(|vm| (vm.name.clone(), vm.host.clone()))
        .collect();
    let mut last: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut actions: Vec<Action> = Vec::new();
    for _ in 0..random.below(5) {
        let vm = &problem.vms[random.below(problem.vms.len())];
        let destination = &problem.hosts[random.below(problem.hosts.len())];
        let online = destination.state.is_empty();
        if at.get(&vm.name) == Some(&destination.name) || !online {
            continue;
        }
        let mut after: Vec<u64> = last.get(&vm.name).map(|i| *i as u64 + 1).into_iter().collect();
        for other in 0..actions.len() {
            if random.below(2) == 0 && !after.contains(&(other as u64 + 1)) {
                after.push(other as u64 + 1);
            }
        }
        let ends = after.iter().map(|id| actions[*id as usize - 1].end_s).fold(0.0, f64::max);
        let start_s = ends + [0.0, 0.0, 0.4, 1.5][random.below(4)];
        let migrate = at.contains_key(&vm.name);
        last.insert(vm.name.clone(), actions.len());
        actions.push(Action {
            id: actions.len() as u64 + 1,
            kind: if migrate { ActionKind::Migrate } else { ActionKind::Start },
            vm: vm.name.clone(),
            source: at.get(&vm.name).unwrap_or(&vm.host).clone(),
            destination: destination.name.clone(),
            start_s,
            end_s: start_s + if migrate { [0.5, 1.0, 3.0][random.below(3)] } else { 0.0 },
            after,
            because: "a test wants it".to_owned(),
            numa: Vec::new(),
        });
        at.insert(vm.name.clone(), destination.name.clone());
    }
    let unplaced = problem.vms.iter().map(|vm| vm.name.clone()).filter(|vm| !at.contains_key(vm)).collect();
    let mut plan = Plan { status: Status::Feasible, actions, placement: at, unplaced, ..Plan::default() };
    let claim =
        |(name, before, value): (String, f64, f64)| ObjectiveValue { name, before, value, bound: Some(0.0) };
    plan.objectives = check(problem, &plan).levels.into_iter().map(claim).collect();
    plan
}

const SCRIPT: &str = r"
import json, sys
sys.path.insert(0, sys.argv[1])
from check_plan import read_problem, read_plan, check
for line in sys.stdin:
    problem, plan = json.loads(line)
    problem = read_problem(problem)
    violations, _ = check(problem, read_plan(plan, problem), 30)
    print(json.dumps(violations))
";

/// What the judge of the contract says of each plan, if it is there.
fn judged(cases: &[(Problem, Plan)]) -> Option<Vec<Vec<String>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    if !folder.join("check_plan.py").is_file() {
        eprintln!("SKIPPED: {} has no check_plan.py", folder.display());
        return None;
    }
    let mut child = (Command::new("python3").args(["-B", "-c", SCRIPT]).arg(&folder))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: Vec<String> =
        cases.iter().map(|(problem, plan)| serde_json::to_string(&(problem, plan)).unwrap()).collect();
    let writer = std::thread::spawn(move || {
        for line in lines {
            writeln!(stdin, "{line}").unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn is_of_order(judgement: &Judgement) -> bool {
    judgement.violations.iter().all(|violation| violation.rule == 7)
}

#[test]
fn the_judge_of_the_contract_says_the_same_of_rules() {
    let mut random = Random(11);
    let cases: Vec<(Problem, Plan)> = (0..3000)
        .map(|_| {
            let problem = problem(&mut random);
            let plan = plan(&problem, &mut random);
            (problem, plan)
        })
        .collect();
    let Some(theirs) = judged(&cases) else { return };
    assert_eq!(theirs.len(), cases.len());
    let (mut valid, mut invalid) = (0, 0);
    for ((problem, plan), theirs) in cases.iter().zip(theirs) {
        let mine = check(problem, plan);
        let what = || format!("{:?} {theirs:?}\n{}\n{}", mine.violations, problem.to_json(), plan.to_json());
        if mine.violations.is_empty() {
            assert!(theirs.is_empty(), "only the other finds fault: {}", what());
            valid += 1;
        } else if !is_of_order(&mine) {
            // What `after` allows is proved here and only tried out there.
            assert!(!theirs.is_empty(), "only this one finds fault: {}", what());
            invalid += 1;
        }
    }
    assert!(valid > 400 && invalid > 400, "{valid} valid, {invalid} invalid");
}

#[test]
fn plans_that_leave_the_solver_are_valid_for_the_judge_of_the_contract() {
    let mut random = Random(23);
    let options =
        Options { time_limit: Duration::from_mins(1), work_limit: Some(30_000), ..Options::default() };
    let cases: Vec<(Problem, Plan)> = (0..500)
        .map(|_| {
            let mut problem = problem(&mut random);
            // Some tight hosts, so that moves have to wait for each other.
            for host in &mut problem.hosts {
                if random.below(2) == 0 {
                    host.capacity = amounts(10 + random.below(8), 2000);
                }
            }
            let plan = solve(&problem, &options, &Cancel::default(), &mut |_| {}).unwrap();
            (problem, plan)
        })
        .collect();
    let with_actions = cases.iter().filter(|(_, plan)| !plan.actions.is_empty()).count();
    assert!(with_actions > 200, "{with_actions}");
    let Some(theirs) = judged(&cases) else { return };
    for ((problem, plan), theirs) in cases.iter().zip(theirs) {
        assert!(theirs.is_empty(), "{theirs:?}\n{}\n{}", problem.to_json(), plan.to_json());
    }
}

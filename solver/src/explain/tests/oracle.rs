//! Random small problems: what is told against all that can be changed, tried set by set.

use super::super::{ChangeKind, Changes, changed, explain};
use crate::constraints::Rules;
use crate::file;
use crate::model::Problem;
use crate::objective;
use crate::pipeline::tests::random::problems;
use proptest::prelude::*;

/// More of a resource than any VM needs.
const PLENTY: i64 = 1_000_000;

/// Something that an operator can change.
#[derive(Debug, Clone)]
enum Knob {
    State,
    Pin,
    Link,
    Limit,
    Nodes,
    Capacity(String),
    Rule(String),
}

fn knobs(problem: &file::Problem) -> Vec<Knob> {
    let resources = ["cpu", "memory"].map(|name| Knob::Capacity(name.to_owned()));
    let rules = problem.constraints.iter().map(|rule| Knob::Rule(rule.name.clone()));
    [Knob::State, Knob::Pin, Knob::Link, Knob::Limit, Knob::Nodes]
        .into_iter()
        .chain(resources)
        .chain(rules)
        .collect()
}

fn turn(problem: &mut file::Problem, vm: usize, host: usize, knob: &Knob) {
    match knob {
        Knob::State => {
            let there = &mut problem.hosts[host];
            // What was down stays so.
            let down = |vm: &&mut file::Vm| there.state == "FAILED" && vm.host == there.name;
            problem.vms.iter_mut().filter(down).for_each(send_away);
            there.state.clear();
        }
        Knob::Pin => problem.vms[vm].pinned = false,
        Knob::Link => problem.vms[vm].memory_dirty_rate = None,
        Knob::Limit => problem.limits.get_or_insert_default().max_migrations = None,
        Knob::Nodes => {
            let have = problem.hosts[host].numa_nodes.len();
            if let Some(numa) = problem.vms[vm].numa.as_mut().filter(|_| have > 0) {
                numa.count = Some(numa.count.unwrap_or(1).min(have as i64));
                numa.nodes.truncate(have);
            }
        }
        Knob::Capacity(name) => {
            let there = &mut problem.hosts[host];
            let bound = there.numa_nodes.iter().any(|node| node.capacity.contains_key(name));
            for node in there.numa_nodes.iter_mut().filter(|_| bound) {
                *node.capacity.entry(name.clone()).or_default() += PLENTY;
            }
            let times = if bound { there.numa_nodes.len() as i64 } else { 1 };
            *there.capacity.entry(name.clone()).or_default() += PLENTY * times;
        }
        Knob::Rule(name) => problem.constraints.retain(|rule| rule.name != *name),
    }
}

/// It runs nowhere.
fn send_away(vm: &mut file::Vm) {
    vm.host.clear();
    vm.numa.iter_mut().for_each(|numa| numa.nodes.clear());
}

/// Whether the VM may be on the host when some others run nowhere.
fn allowed(problem: &file::Problem, vm: usize, host: usize, gone: &[usize]) -> bool {
    let mut problem = problem.clone();
    for other in gone {
        send_away(&mut problem.vms[*other]);
    }
    let model = Problem::new(&problem).expect("what is changed stays a problem");
    let rules = Rules::new(&model);
    model.sites(vm.into(), host.into()).any(|site| {
        let mut to = model.initial();
        to.put(vm, Some(site));
        objective::fault(&model, &rules, &to).is_none()
    })
}

fn subsets<T: Clone>(of: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0_u32..1 << of.len()).map(|set| {
        let chosen = of.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
        chosen.map(|(_, one)| one.clone()).collect()
    })
}

/// The fewest knobs, then the fewest VMs that leave.
fn fewest(problem: &file::Problem, vm: usize, host: usize) -> (usize, usize) {
    let runs = |other: &usize| {
        let at = problem.hosts.iter().find(|host| host.name == problem.vms[*other].host);
        *other != vm && !problem.vms[*other].pinned && at.is_some_and(|at| at.state != "FAILED")
    };
    let others: Vec<usize> = (0..problem.vms.len()).filter(runs).collect();
    let mut sets: Vec<_> = subsets(&knobs(problem)).collect();
    sets.sort_by_key(Vec::len);
    let mut best: Option<(usize, usize)> = None;
    for set in sets {
        if best.is_some_and(|best| set.len() > best.0) {
            break;
        }
        let mut turned = problem.clone();
        for knob in &set {
            turn(&mut turned, vm, host, knob);
        }
        let enough = |gone: &Vec<usize>| allowed(&turned, vm, host, gone);
        if let Some(leaving) = subsets(&others).filter(enough).map(|gone| gone.len()).min() {
            let found = (set.len(), leaving);
            best = Some(best.map_or(found, |best| best.min(found)));
        }
    }
    best.expect("with everything changed it may go there")
}

/// Whether the VM may go to the host once the changes are made.
fn suffices(problem: &file::Problem, vm: usize, host: usize, changes: &[super::super::Change]) -> bool {
    let (name, there) = (&problem.vms[vm].name, &problem.hosts[host].name);
    let eased = changed(problem, name, there, changes).unwrap();
    let leaves = |other: &usize| {
        changes.iter().any(|c| c.kind == ChangeKind::Leave && c.subject == problem.vms[*other].name)
    };
    let gone: Vec<usize> = (0..problem.vms.len()).filter(leaves).collect();
    allowed(&eased, vm, host, &gone)
}

fn judge(problem: &file::Problem, vm: usize, host: usize, changes: &Changes) -> Result<(), TestCaseError> {
    let json = problem.to_json();
    prop_assert!(suffices(problem, vm, host, &changes.least), "not enough: {:?} {}", changes, json);
    for i in 0..changes.least.len() {
        let mut fewer = changes.least.clone();
        fewer.remove(i);
        prop_assert!(!suffices(problem, vm, host, &fewer), "too much: {:?} {}", changes, json);
    }
    let leaving = changes.least.iter().filter(|change| change.kind == ChangeKind::Leave).count();
    prop_assert!(changes.minimal, "so few VMs can all be tried");
    prop_assert_eq!(
        (changes.least.len() - leaving, leaving),
        fewest(problem, vm, host),
        "not the least: {:?} {}",
        changes,
        json
    );
    if leaving > 0 {
        prop_assert!(suffices(problem, vm, host, &changes.in_place), "in place: {:?} {}", changes, json);
        prop_assert!(changes.in_place.iter().all(|change| change.kind != ChangeKind::Leave));
    } else {
        prop_assert!(changes.in_place.is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..ProptestConfig::with_cases(150)
    })]

    #[test]
    fn changes_are_enough_needed_and_least(
        problem in problems(),
        vm in any::<prop::sample::Index>(),
        host in any::<prop::sample::Index>(),
    ) {
        let model = Problem::new(&problem).expect("the problem is valid");
        let rules = Rules::new(&model);
        // Faults of others would hide what is told of this VM.
        prop_assume!(objective::fault(&model, &rules, &model.initial()).is_none());
        let (vm, host) = (vm.index(problem.vms.len()), host.index(problem.hosts.len()));
        prop_assume!(problem.vms[vm].host != problem.hosts[host].name);
        let name = &problem.vms[vm].name;
        let explanation = explain(&problem, name, Some(&problem.hosts[host].name)).unwrap();
        for verdict in &explanation.hosts {
            let at = problem.hosts.iter().position(|host| host.name == verdict.host).unwrap();
            prop_assert_eq!(
                verdict.admits,
                allowed(&problem, vm, at, &[]),
                "{:?} {}",
                verdict,
                problem.to_json()
            );
        }
        judge(&problem, vm, host, &explanation.changes.unwrap())?;
    }
}

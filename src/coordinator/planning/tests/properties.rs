//! What holds for any cell.

use super::*;
use crate::coordinator::rules;
use crate::coordinator::testing::report;
use crate::record::{AdminState, Connection, VmReport, VmState};
use dvms_solver::check::check;
use dvms_solver::file::{Plan, Status};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A host: rack (0 = no label), admin, connection, and whether it is busy.
type HostSeed = (u8, u8, u8, bool);
/// A VM: application, host, cpu, memory, state, where it flies to if it does.
type VmSeed = (u8, usize, i64, i64, u8, Option<usize>);
/// A rule: kind, application, hosts, scope, continuous, soft.
type RuleSeed = (u8, u8, u8, bool, bool, bool);

#[derive(Debug, Clone)]
struct Seed {
    hosts: Vec<HostSeed>,
    vms: Vec<VmSeed>,
    rules: Vec<RuleSeed>,
    /// Hosts of the partition, as bits.
    chosen: u8,
}

fn seed(calm: bool) -> impl Strategy<Value = Seed> {
    let most = if calm { 1 } else { 12_u8 };
    let host = (0..4_u8, 0..most, 0..most, prop::bool::weighted(0.3));
    let flight = prop::option::weighted(if calm { 0.001 } else { 0.15 }, 0..6_usize);
    let vm = (0..3_u8, 0..6_usize, 0..5_000_i64, 0..5_000_i64, 0..most, flight);
    let rule = (0..4_u8, 0..3_u8, any::<u8>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    let hosts = prop::collection::vec(host, 1..7);
    let (vms, rules) = (prop::collection::vec(vm, 0..14), prop::collection::vec(rule, 0..5));
    let chosen = if calm { (255_u8..=255).boxed() } else { any::<u8>().boxed() };
    (hosts, vms, rules, chosen).prop_map(|(hosts, vms, rules, chosen)| Seed { hosts, vms, rules, chosen })
}

fn build(seed: &Seed) -> World {
    let mut world = World::new(0);
    let count = seed.hosts.len();
    let name = |i: usize| format!("h{}", i % count);
    for (i, (rack, ..)) in seed.hosts.iter().enumerate() {
        let labels = if *rack == 0 { String::new() } else { format!("rack=r{rack}") };
        world.host(&name(i), &labels);
    }
    for (i, &(app, host, cpu, memory, state, flight)) in seed.vms.iter().enumerate() {
        let vm = format!("{}{i}", ["a", "b", "c "][usize::from(app)]);
        let state = match state {
            9 => VmState::Paused,
            10 => VmState::MigratingOut,
            11 => VmState::Off,
            _ => VmState::Running,
        };
        let mut said = report(&vm, state, cpu, memory);
        if cpu % 7 == 0 {
            said = VmReport { definition: String::new(), dirty_rate_mib_s: Some(f64::NAN), ..said };
        }
        world.says(&name(host), said.clone());
        if memory % 11 == 0 {
            world.says(&name(host + 1), said);
        }
        if let Some(to) = flight.filter(|to| name(*to) != name(host)) {
            world.flies(&vm, &name(host), &name(to));
        }
    }
    for (i, &(_, admin, connection, _)) in seed.hosts.iter().enumerate() {
        match admin {
            9 => world.reboots(&name(i), Vec::new()),
            10 => world.state(&name(i), AdminState::Draining),
            11 => world.state(&name(i), AdminState::Cordoned),
            _ => {}
        }
        match connection {
            10 => world.connection(&name(i), Connection::Lost),
            11 => world.connection(&name(i), Connection::Failed),
            _ => {}
        }
    }
    for (i, rule) in seed.rules.iter().enumerate() {
        world.rule(&rule_of(i, *rule, count));
    }
    world
}

fn rule_of(i: usize, (kind, app, hosts, rack, continuous, soft): RuleSeed, count: usize) -> String {
    let vms = format!(r#""vm_selector": {{"app": "{}"}}"#, ["a", "b", "c "][usize::from(app)]);
    let scope = if rack { r#", "scope": "rack""# } else { "" };
    let chosen = (0..count).filter(|h| hosts >> h & 1 == 1).map(|h| format!(r#""h{h}""#));
    let listed: Vec<_> = chosen.chain([r#""elsewhere""#.to_owned()]).collect();
    let listed = listed.join(", ");
    let max = 1 + hosts % 3;
    let body = match kind {
        0 => format!(r#""spread": {{{vms}{scope}, "max": {max}}}"#),
        1 => format!(r#""gather": {{{vms}{scope}}}"#),
        2 => format!(r#""fence": {{{vms}, "hosts": [{listed}]}}"#),
        _ => format!(r#""ban": {{{vms}, "hosts": [{listed}]}}"#),
    };
    let soft = if soft { r#", "soft_weight": 2.0"# } else { "" };
    format!(r#"{{"name": "rule{i}", {body}, "continuous": {continuous}{soft}}}"#)
}

fn chosen(world: &World, seed: &Seed) -> BTreeSet<String> {
    let names = world.cell.hosts.keys().enumerate();
    names.filter(|(i, _)| seed.chosen >> i & 1 == 1).map(|(_, name)| name.clone()).collect()
}

/// The problem of the chosen hosts, while the third VM rests.
fn made(world: &World, seed: &Seed, answers: &[Key]) -> Problem {
    let rests = |vm: &str| vm.ends_with('3');
    let hosts = chosen(world, seed);
    problem(&world.cell, &hosts, "REPAIR", None, answers, &rests, &world.settings)
}

/// Hard rules of a problem that a placement breaks, with no action.
fn broken_in(problem: &Problem, places: &BTreeMap<String, String>) -> Vec<String> {
    let mut problem = problem.clone();
    for vm in &mut problem.vms {
        vm.host = places.get(&vm.name).cloned().unwrap_or_default();
    }
    problem.hosts.iter_mut().for_each(|host| host.state = "ONLINE".into());
    let plan = Plan { status: Status::Feasible, placement: places.clone(), ..Plan::default() };
    let all = check(&problem, &plan).violations;
    let broken = all.into_iter().filter(|violation| violation.rule == 5);
    broken.map(|violation| violation.subject).collect()
}

/// Where the VMs of a problem are, those of failed hosts left out.
fn places(problem: &Problem) -> BTreeMap<String, String> {
    let failed = |name: &str| problem.hosts.iter().any(|host| host.name == name && host.state == "FAILED");
    let up = problem.vms.iter().filter(|vm| !vm.host.is_empty() && !failed(&vm.host));
    up.map(|vm| (vm.name.clone(), vm.host.clone())).collect()
}

fn hard_broken(world: &World, places: &rules::Places) -> BTreeSet<String> {
    let rules = &world.settings.constraints;
    let hard = |name: &String| rules.iter().any(|rule| rule.name == *name && rule.soft_weight.is_none());
    rules::broken(&world.cell, rules, places).into_keys().filter(hard).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The solver takes every problem that is made, of any cell, partition and troubles.
    #[test]
    fn a_problem_is_always_valid(seed in seed(false)) {
        let world = build(&seed);
        let keys: Vec<Key> = due(&world).iter().map(Trouble::key).collect();
        for answers in [&keys[..], &[]] {
            let made = made(&world, &seed, answers);
            let valid = dvms_solver::Problem::new(&made);
            prop_assert!(valid.is_ok(), "{}", valid.unwrap_err());
        }
    }

    /// When a plan is to mend no rule and to empty no host, doing nothing is a valid plan: whatever else is wrong
    /// in the cell cannot make it infeasible.
    #[test]
    fn what_a_plan_is_not_for_is_not_in_its_way(seed in seed(false)) {
        let world = build(&seed);
        let answers = [key(EventKind::Overload, "h0")];
        let made = made(&world, &seed, &answers);
        let placement = places(&made);
        let unplaced = made.vms.iter().map(|vm| &vm.name).filter(|vm| !placement.contains_key(*vm));
        let unplaced = unplaced.cloned().collect();
        let plan = Plan { status: Status::NoChange, placement, unplaced, ..Plan::default() };
        let violations = check(&made, &plan).violations;
        let real: Vec<_> = violations.iter().filter(|violation| violation.rule != 0).collect();
        prop_assert!(real.is_empty(), "{real:?}\n{made:?}");
    }

    /// Wherever a plan brings the VMs of a partition within the rules of its problem, no rule of the cell breaks
    /// that held before.
    #[test]
    fn what_holds_in_the_problem_holds_in_the_cell(seed in seed(false), to in prop::collection::vec(0..6_usize, 20)) {
        let world = build(&seed);
        let answers = [key(EventKind::Overload, "h0")];
        let made = made(&world, &seed, &answers);
        let receivers: Vec<_> = made.hosts.iter().filter(|host| host.state == "ONLINE").collect();
        prop_assume!(!receivers.is_empty());
        let mut there = places(&made);
        for (vm, to) in made.vms.iter().zip(&to).filter(|(vm, _)| !vm.pinned) {
            if to % 2 == 0 {
                there.insert(vm.name.clone(), receivers[to % receivers.len()].name.clone());
            }
        }
        if broken_in(&made, &there).is_empty() {
            let before = rules::places(&world.cell, &world.settings.constraints);
            let mut after = before.clone();
            after.extend(there);
            let (before, after) = (hard_broken(&world, &before), hard_broken(&world, &after));
            prop_assert!(after.is_subset(&before), "{after:?} {before:?}\n{made:?}");
        }
    }

    /// With the whole cell in the problem and nothing that is fixed, its rules are the operator's: no more and no
    /// less is forbidden.
    #[test]
    fn in_the_whole_cell_rules_are_what_they_are(seed in seed(true), to in prop::collection::vec(0..6_usize, 20)) {
        let mut seed = seed;
        // None flies, is on two hosts, or has a name that no problem takes.
        for vm in &mut seed.vms {
            (vm.0, vm.3, vm.5) = (vm.0 % 2, vm.3 / 11 * 11 + 1, None);
        }
        let world = build(&seed);
        let made = problem_of(&world, &(world.cell.hosts.keys().map(String::as_str).collect::<Vec<_>>()), &[]);
        prop_assert!(made.vms.iter().all(|vm| !vm.pinned) && made.vms.len() == seed.vms.len());
        let mut there = places(&made);
        for (host, to) in there.values_mut().zip(&to) {
            host.clone_from(&made.hosts[to % made.hosts.len()].name);
        }
        let broken = broken_in(&made, &there);
        prop_assert_eq!(broken.is_empty(), hard_broken(&world, &there).is_empty(), "{:?}", made);
    }

    /// A partition has the troubled host, nothing that is busy, and grows until it has all that could help.
    #[test]
    fn asks_never_take_what_is_busy_and_grow_to_the_whole(seed in seed(false)) {
        let world = build(&seed);
        let busy: BTreeSet<String> = (seed.hosts.iter().enumerate())
            .filter(|(_, host)| host.3)
            .map(|(i, _)| format!("h{i}"))
            .collect();
        let is_busy = |host: &str| busy.contains(host);
        for trouble in due(&world) {
            let troubles = std::slice::from_ref(&trouble);
            let mut last: Option<Ask> = None;
            for wider in 0..6 {
                let asked = ask(&world.cell, troubles, &is_busy, &world.settings, wider);
                prop_assert!(wider == 0 || asked.is_some() == last.is_some());
                let Some(asked) = asked else { break };
                prop_assert!(asked.hosts.is_disjoint(&busy), "{asked:?}");
                prop_assert!(trouble.host.is_empty() || asked.hosts.contains(&trouble.host));
                prop_assert_eq!(&asked.keys[0], &trouble.key());
                if let Some(last) = &last {
                    prop_assert!(last.hosts.is_subset(&asked.hosts), "{last:?} {asked:?}");
                    prop_assert!(!last.whole || asked.hosts == last.hosts);
                }
                last = Some(asked);
            }
            if let Some(last) = last.filter(|last| last.objective == "REPAIR") {
                let free = world.cell.hosts.iter().filter(|(name, host)| host.is_known() && !is_busy(name));
                let missing: Vec<_> = free.filter(|(name, _)| !last.hosts.contains(*name)).collect();
                prop_assert!(last.whole && missing.is_empty(), "{missing:?}");
            }
        }
    }
}

//! The states of empty hosts against all states that there are.

use crate::constraints::{Body, Rules};
use crate::file;
use crate::model::{HostId, HostState, Objective, Placement, Problem, Site, VmId};
use crate::objectives::{Gauges, Scene};
use crate::testing::{self, holds_in};
use proptest::prelude::*;
use serde_json::{Value, json};

fn asks(body: &Body) -> Option<&[HostId]> {
    match body {
        Body::MaxOnline(rule) => Some(&rule.hosts),
        Body::SpareHosts(rule) => Some(&rule.hosts),
        _ => None,
    }
}

/// All states that hosts may be in at the end where some run VMs: those that run none may be up or off if a rule
/// counts them.
fn all_states(problem: &Problem, to: &Placement) -> Vec<Vec<HostState>> {
    let counted = |host: HostId| {
        problem.constraints.iter().filter_map(|rule| asks(&rule.body)).any(|h| h.contains(&host))
    };
    let mut all = vec![Vec::new()];
    for host in problem.host_ids() {
        let (now, runs) = (problem.host(host).state, to.iter().flatten().any(|at| *at == host));
        let up = if now == HostState::Offline { HostState::Online } else { now };
        let options = match now {
            _ if !counted(host) => vec![problem.state_at_end(host, runs)],
            HostState::Failed => vec![now],
            _ if runs => vec![up],
            _ => vec![up, HostState::Offline],
        };
        all = all.iter().flat_map(|one| options.iter().map(|state| [&one[..], &[*state]].concat())).collect();
    }
    all
}

fn places(to: &Placement) -> Vec<(VmId, HostId)> {
    to.iter().enumerate().filter_map(|(vm, host)| host.map(|host| (VmId::from(vm), host))).collect()
}

/// Hard rules that do not hold in some states, then the first levels as far as states of hosts tell them exactly.
fn worth(problem: &Problem, to: &Placement, states: &[HostState]) -> Vec<f64> {
    let broken = |soft: bool| {
        let rules = problem.constraints.iter().filter(move |rule| rule.soft_weight.is_some() == soft);
        rules.filter(|rule| !holds_in(problem, states, &rule.body, &places(to), true))
    };
    let scene = Scene { used: crate::objective::usage(problem, to), states: states.to_vec() };
    let gauges = Gauges::of(problem, &scene);
    let exact = |level: &&Objective| matches!(level, Objective::Violations | Objective::Energy);
    let levels = problem.objectives.iter().take_while(exact).map(|level| match level {
        Objective::Violations => broken(true).filter_map(|rule| rule.soft_weight).sum(),
        level => (gauges.value(*level) * 1000.0).round() / 1000.0,
    });
    std::iter::once(broken(false).count() as f64).chain(levels).collect()
}

fn host() -> impl Strategy<Value = Value> {
    let state = prop_oneof![
        5 => Just("ONLINE"), 4 => Just("OFFLINE"), 1 => Just("DRAINING"), 1 => Just("CORDONED"), 1 => Just("FAILED"),
    ];
    let idle = prop_oneof![3 => Just(100), 1 => Just(60), 1 => Just(80)];
    (state, idle, 1..3_i64).prop_map(|(state, idle, cpu)| {
        json!({"capacity": {"cpu": cpu}, "state": state, "idle_watts": idle, "boot_s": 60 * cpu})
    })
}

fn problem() -> impl Strategy<Value = Problem> {
    let hosts = proptest::collection::vec(host(), 1..=6);
    let soft = prop_oneof![2 => Just(None), 1 => Just(Some(7.0)), 1 => Just(Some(0.5))];
    let rules = proptest::collection::vec((any::<u64>(), soft, any::<bool>()), 1..=4);
    let objectives = prop_oneof![
        Just(json!(["VIOLATIONS", "ENERGY", "MIGRATION_COST"])),
        Just(json!(["ENERGY", "VIOLATIONS"])),
        Just(json!(["VIOLATIONS", "MIGRATION_COST"])),
        Just(json!(["VIOLATIONS", "IMBALANCE", "ENERGY"])),
    ];
    (hosts, rules, objectives).prop_map(|(mut hosts, rules, objectives)| {
        for (i, host) in hosts.iter_mut().enumerate() {
            host["name"] = json!(format!("h{i}"));
        }
        let vms: Vec<Value> = (0..hosts.len()).map(|i| json!({"name": format!("v{i}")})).collect();
        let text =
            json!({"hosts": hosts, "vms": vms, "objectives": objectives, "limits": {"power_actions": true}});
        let mut file = file::Problem::from_json(&text.to_string()).unwrap();
        for (i, (seed, soft, always)) in rules.into_iter().enumerate() {
            let kind = if seed % 2 == 0 { 9 } else { 14 };
            file.constraints.push(testing::constraint(format!("r{i}"), kind, seed, soft, always, &file));
        }
        Problem::new(&file).unwrap()
    })
}

/// The VM of each host runs there if the bit of the host is set and it may.
fn placement(problem: &Problem, bits: u8) -> Placement {
    let runs = |host: HostId| {
        let closed = problem.host(host).state == HostState::Failed;
        (!closed && bits >> host.index() & 1 == 1).then_some(Site::plain(host))
    };
    problem.host_ids().map(runs).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_other_states_of_empty_hosts_are_better(problem in problem(), bits in any::<u8>()) {
        let (rules, to) = (Rules::new(&problem), placement(&problem, bits));
        let states = rules.states_at_end(&problem, &to);
        let all = all_states(&problem, &to);
        prop_assert!(all.contains(&states), "{states:?}");
        let mine = worth(&problem, &to, &states);
        let best = all.iter().map(|states| worth(&problem, &to, states)).reduce(|a, b| if b < a { b } else { a });
        prop_assert_eq!(Some(&mine), best.as_ref(), "{:?}", states);
        let tally = rules.tally(&to);
        for kept in &rules.list {
            let holds = holds_in(&problem, &states, &kept.constraint.body, &places(&to), true);
            prop_assert_eq!(kept.holds(&tally), holds, "{}", kept.name());
        }
        for host in problem.host_ids() {
            prop_assert_eq!(rules.state_at_end(&problem, &tally, host), states[host.index()]);
        }
    }

    #[test]
    fn step_by_step_it_comes_to_the_same(problem in problem(), bits in any::<u8>(), order in any::<u64>()) {
        let (rules, to) = (Rules::new(&problem), placement(&problem, bits));
        let mut tally = rules.tally(&Placement::nowhere(problem.vms.len()));
        let mut list = places(&to);
        let turn = order as usize % list.len().max(1);
        list.rotate_left(turn);
        for (vm, host) in list {
            let (admits, price) = (rules.admit(&tally, vm, host), rules.price(&tally, vm, host));
            let before = rules.soft_weight(&tally);
            rules.enter(&mut tally, vm, host);
            let broken = |kept: &crate::constraints::Kept<'_>| {
                kept.hard() && kept.rule.hosts().contains(&host) && !kept.holds(&tally)
            };
            prop_assert_eq!(admits, !rules.list.iter().any(broken));
            // What one rule costs may be paid for by another one that is broken for it already.
            prop_assert!(rules.soft_weight(&tally) <= before + price + 1e-9);
        }
        prop_assert_eq!(&tally, &rules.tally(&to));
        // A host that is emptied breaks nothing.
        for (vm, host) in places(&to) {
            let was = (rules.broken(&tally).is_some(), rules.soft_weight(&tally));
            rules.leave(&mut tally, vm, host);
            let now = (rules.broken(&tally).is_some(), rules.soft_weight(&tally));
            prop_assert!(!now.0 || was.0);
            prop_assert!(problem.objectives[0] != Objective::Violations || was.0 || now.1 <= was.1 + 1e-9);
        }
        prop_assert_eq!(&tally, &rules.tally(&Placement::nowhere(problem.vms.len())));
    }
}

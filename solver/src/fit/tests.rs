use super::question::Question;
use super::{Fit, Room, Unfit, Wish, bound, fit};
use crate::constraints::Rules;
use crate::file::{self, Plan, Problem};
use crate::model::{self, Placement, Site};
use crate::objective;
use crate::pipeline::tests::random::problems;
use crate::{Cancel, Options, check, solve};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn problem(json: &str) -> Problem {
    Problem::from_json(json).unwrap_or_else(|error| panic!("{error:?} in {json}"))
}

fn wish(cpu: i64, memory: i64) -> Wish {
    let demand = [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into();
    Wish { vm: file::Vm { demand, ..file::Vm::default() }, ..Wish::default() }
}

/// Solves, and judges the plan.
fn solved(problem: &Problem) -> Result<Plan, model::Rejected> {
    let options =
        Options { time_limit: Duration::from_mins(2), work_limit: Some(300_000), ..Options::default() };
    let plan = solve(problem, &options, &Cancel::default(), &mut |_| {})?;
    let violations = check::check(problem, &plan).violations;
    assert!(violations.is_empty(), "{violations:?} in {}", plan.to_json());
    Ok(plan)
}

fn fitted(problem: &Problem, wish: &Wish, moves: Option<u64>) -> Fit {
    fit(problem, wish, moves, &mut solved).unwrap()
}

/// `fits bound by`.
fn told(room: &Room) -> (u64, u64, &str) {
    assert_eq!(room.proved, room.fits == room.bound);
    assert_eq!(room.hosts.values().sum::<u64>(), room.fits);
    (room.fits, room.bound, room.bound_by)
}

/// Two hosts of 10, half full with VMs of 3 and 2, and more.
const HOSTS: &str = r#"{"name": "a", "capacity": {"cpu": 10, "memory": 100}, "labels": {"rack": "r"}},
    {"name": "b", "capacity": {"cpu": 10, "memory": 100}, "labels": {"rack": "r"}}"#;
const VMS: &str = r#"{"name": "v", "host": "a", "demand": {"cpu": 3}}, {"name": "w", "host": "a", "demand": {"cpu": 2}},
    {"name": "x", "host": "b", "demand": {"cpu": 3}}, {"name": "y", "host": "b", "demand": {"cpu": 2}}"#;

fn halves(hosts: &str, vms: &str, rules: &str) -> Problem {
    problem(&format!(r#"{{"hosts": [{HOSTS}{hosts}], "vms": [{VMS}{vms}], "constraints": [{rules}]}}"#))
}

#[test]
fn what_fits_is_counted_host_by_host() {
    let found = fitted(&halves("", "", ""), &wish(2, 10), None);
    assert_eq!(told(&found.as_it_is), (4, 4, "counting"));
    assert_eq!(found.as_it_is.hosts, [("a".to_owned(), 2), ("b".to_owned(), 2)].into());
    assert!(found.with_moves.is_none() && found.notes.is_empty());
    // Nothing else is short.
    assert_eq!(told(&fitted(&halves("", "", ""), &wish(0, 30), None).as_it_is), (6, 6, "counting"));
}

#[test]
fn migrations_make_room() {
    // 5 are free on each; w gone from a leaves 7, and b 3.
    let found = fitted(&halves("", "", ""), &wish(7, 1), Some(1));
    assert_eq!(told(&found.as_it_is), (0, 0, "counting"));
    let room = found.with_moves.unwrap();
    assert_eq!(told(&room), (1, 1, "counting"));
    let plan = room.plan.unwrap();
    let moved: Vec<_> = plan.actions.iter().map(|action| action.vm.as_str()).collect();
    assert_eq!((moved.len(), moved[1]), (2, "new-vm-1"));
    // All 10 are free in two halves: one fits with both VMs of a host gone.
    let room = |moves| fitted(&halves("", "", ""), &wish(10, 1), Some(moves)).with_moves.unwrap();
    assert_eq!((told(&room(1)).0, told(&room(2)).0, room(2).proved), (0, 1, true));
}

#[test]
fn the_bound_of_a_solve_closes_what_counting_leaves_open() {
    // What may not enter a host now cannot while nothing moves.
    let rule = r#"{"name": "alone", "lonely": {"vms": ["v", "w"]}}"#;
    let found = fitted(&halves("", "", rule), &wish(2, 1), Some(2));
    assert_eq!(told(&found.as_it_is), (2, 2, "counting"));
    // By counting 2 and 2 fit, but each host is to run 3 VMs at most together with the new ones.
    let apart = Wish { spread: Some(("host".into(), 1)), ..wish(2, 1) };
    assert_eq!(told(&fitted(&halves("", "", ""), &apart, None).as_it_is), (2, 2, "counting"));
    let rack = Wish { spread: Some(("rack".into(), 3)), ..wish(2, 1) };
    assert_eq!(told(&fitted(&halves("", "", ""), &rack, None).as_it_is), (3, 3, "counting"));
    // Labels bring the rules of others, of which counting knows nothing.
    let web1 = r#", {"name": "web1", "host": "a", "demand": {"cpu": 1}, "labels": {"app": "web"}}"#;
    let rule = r#"{"name": "apart", "spread": {"vm_selector": {"app": "web"}, "max": 2}}"#;
    let mut web = wish(1, 1);
    web.vm.labels = [("app".to_owned(), "web".to_owned())].into();
    let found = fitted(&halves("", web1, rule), &web, None);
    assert_eq!(told(&found.as_it_is), (3, 3, "solver"));
}

#[test]
fn states_and_rules_are_kept_and_what_is_left_aside_is_told() {
    let hosts = r#", {"name": "c", "capacity": {"cpu": 10, "memory": 100}, "state": "DRAINING"},
        {"name": "d", "capacity": {"cpu": 10, "memory": 100}, "state": "FAILED"},
        {"name": "e", "capacity": {"cpu": 10, "memory": 100}, "state": "CORDONED"}"#;
    let vms = r#", {"name": "stays", "host": "c", "demand": {"cpu": 3}, "pinned": true},
        {"name": "down", "host": "d", "demand": {"cpu": 3}}, {"name": "waits", "demand": {"cpu": 3}}"#;
    let rules = r#"{"name": "broken", "gather": {"vms": ["v", "x"]}},
        {"name": "soft", "soft_weight": 3, "ban": {"vms": ["v"], "hosts": ["b"]}}"#;
    let found = fitted(&halves(hosts, vms, rules), &wish(5, 1), Some(1));
    assert_eq!(told(&found.as_it_is), (2, 2, "counting"));
    assert_eq!(told(found.with_moves.as_ref().unwrap()), (2, 2, "counting"));
    assert_eq!(
        found.notes,
        [
            "hosts that are to be emptied keep their VMs: c",
            "VMs that wait to be placed or are down are not counted: down, waits",
            "soft rules are left aside: soft",
            "rules that do not hold now are left aside: broken",
        ]
    );
    let only = Wish { hosts: vec!["b".into(), "e".into()], ..wish(5, 1) };
    assert_eq!(told(&fitted(&halves(hosts, vms, rules), &only, None).as_it_is), (1, 1, "counting"));
}

#[test]
fn hosts_that_may_be_booted_count_last() {
    let hosts = r#", {"name": "c", "capacity": {"cpu": 10, "memory": 100}, "state": "OFFLINE"}"#;
    let mut problem = halves(hosts, "", "");
    let found = fitted(&problem, &wish(5, 1), None).as_it_is;
    assert_eq!((told(&found), &found.boots), ((2, 2, "counting"), &vec![]));
    problem.limits = Some(file::Limits { power_actions: true, ..Default::default() });
    let found = fitted(&problem, &wish(5, 1), None).as_it_is;
    assert_eq!((told(&found), &found.boots), ((4, 4, "counting"), &vec!["c".to_owned()]));
    // With migrations, too: 10 more need a host of their own.
    let room = fitted(&problem, &wish(10, 1), Some(2)).with_moves.unwrap();
    assert_eq!((told(&room), &room.boots), ((2, 2, "counting"), &vec!["c".to_owned()]));
    let plan = room.plan.unwrap();
    assert_eq!(plan.actions.iter().filter(|action| action.kind == file::ActionKind::Boot).count(), 1);
    // Nothing is booted without need.
    let apart = Wish { spread: Some(("rack".into(), 2)), hosts: vec!["c".into(), "a".into()], ..wish(5, 1) };
    let found = fitted(&problem, &apart, None).as_it_is;
    assert_eq!((told(&found), &found.boots), ((3, 3, "counting"), &vec!["c".to_owned()]));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let problem = halves("", "", "");
    let refused = |wish: &Wish| fit(&problem, wish, None, &mut solved).unwrap_err();
    assert_eq!(refused(&wish(0, 0)), Unfit::Nothing);
    let gpu =
        Wish { vm: file::Vm { demand: [("gpu".to_owned(), 1)].into(), ..Default::default() }, ..wish(1, 1) };
    assert!(matches!(refused(&gpu), Unfit::Rejected(_)));
    let scope = Wish { spread: Some(("zone".into(), 1)), ..wish(1, 1) };
    assert!(matches!(refused(&scope), Unfit::Rejected(_)));
    let host = Wish { hosts: vec!["z".into()], ..wish(1, 1) };
    assert!(matches!(refused(&host), Unfit::Rejected(_)));
    // A standard resource that nobody has is known, and there is nothing of it.
    let disk =
        Wish { vm: file::Vm { demand: [("disk".to_owned(), 1)].into(), ..Default::default() }, ..wish(1, 1) };
    assert_eq!(told(&fitted(&problem, &disk, Some(3)).with_moves.unwrap()), (0, 0, "counting"));
}

#[test]
fn very_many_are_counted_without_names() {
    let problem = problem(r#"{"hosts": [{"name": "a", "capacity": {"cpu": 9000000}}]}"#);
    let found = fitted(&problem, &wish(1, 0), None);
    let room = found.as_it_is;
    assert_eq!((room.fits, room.bound, room.proved), (50_000, 9_000_000, false));
    assert!(
        found.notes.iter().any(|note| note.starts_with("no more than 50000 are placed")),
        "{:?}",
        found.notes
    );
}

/// The most that fit, by trying every placement.
fn most(question: &Question, count: u64, moves: u64) -> u64 {
    let asked = question.ask(count, moves);
    let model = model::Problem::new(&asked.problem).unwrap();
    let rules = Rules::new(&model);
    let home = model.initial();
    let old = model.vms.len() - asked.names.len();
    let online: Vec<_> = model.host_ids().filter(|host| model.takes_vms(*host)).collect();
    let sites = |vm: usize, hosts: &[model::HostId]| -> Vec<Site> {
        hosts.iter().flat_map(|host| model.sites(vm.into(), *host)).collect()
    };
    let choices: Vec<Vec<Option<Site>>> = (0..old)
        .map(|vm| {
            // VMs that wait go on waiting; one that stays may go to other nodes.
            let hosts: Vec<_> = (online.iter().copied().chain(home[vm])).collect();
            let all = if home[vm].is_some() { sites(vm, &hosts) } else { Vec::new() };
            let elsewhere: BTreeSet<Site> =
                all.into_iter().filter(|site| Some(*site) != home.site(vm)).collect();
            std::iter::once(home.site(vm)).chain(elsewhere.into_iter().map(Some)).collect()
        })
        .collect();
    let new = if asked.names.is_empty() { Vec::new() } else { sites(old, &online) };
    let mut most = 0;
    let mut at = vec![0; old];
    loop {
        let base: Vec<Option<Site>> =
            at.iter().zip(&choices).map(|(i, list): (&usize, &Vec<_>)| list[*i]).collect();
        let elsewhere = at.iter().filter(|i| **i > 0).count() as u64;
        if elsewhere <= moves {
            most = most.max(fill(&model, &rules, &base, &new, asked.names.len()));
        }
        let Some(next) = (0..at.len()).find(|vm| at[*vm] + 1 < choices[*vm].len()) else { break };
        at[..next].fill(0);
        at[next] += 1;
    }
    most
}

/// The most of the new VMs, tried in all numbers on each site.
fn fill(
    model: &model::Problem,
    rules: &Rules<'_>,
    base: &[Option<Site>],
    sites: &[Site],
    count: usize,
) -> u64 {
    fn place(
        ask: &dyn Fn(&[Site]) -> bool,
        sites: &[Site],
        from: usize,
        chosen: &mut Vec<Site>,
        count: usize,
    ) -> u64 {
        let mut most = if ask(chosen) { chosen.len() as u64 } else { 0 };
        if chosen.len() < count {
            for (i, site) in sites.iter().enumerate().skip(from) {
                chosen.push(*site);
                most = most.max(place(ask, sites, i, chosen, count));
                chosen.pop();
            }
        }
        most
    }
    let ask = |chosen: &[Site]| {
        let new = chosen.iter().copied().map(Some).chain(std::iter::repeat(None));
        let to: Placement = base.iter().copied().chain(new).take(model.vms.len()).collect();
        objective::fault(model, rules, &to).is_none()
    };
    place(&ask, sites, 0, &mut Vec::new(), count)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..ProptestConfig::with_cases(150)
    })]

    #[test]
    fn what_fits_does_and_what_is_bounded_out_does_not(
        problem in problems(),
        cpu in 0_i64..5,
        memory in 0_i64..5,
        moves in 0_u64..3,
        spread in prop::option::weighted(0.3, (prop::sample::select(vec!["host", "rack"]), 1_u32..3)),
        only in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        prop_assume!(cpu + memory > 0);
        let mut wish = wish(cpu, memory * 100);
        wish.spread = spread.map(|(scope, max)| (scope.to_owned(), max));
        wish.hosts = only.map(|host| host.get(&problem.hosts).name.clone()).into_iter().collect();
        let question = Question::new(&problem, &wish).unwrap();
        let count = bound::count(&question, moves);
        prop_assume!((1..=4).contains(&count));
        let found = fitted(&problem, &wish, Some(moves));
        let room = found.with_moves.as_ref().unwrap();
        let json = problem.to_json();
        let truth = most(&question, count, moves);
        prop_assert!(room.fits <= truth, "{} do not fit but {}: {:?} {}", room.fits, truth, wish, json);
        prop_assert!(room.bound >= truth, "{} is no bound of {}: {:?} {}", room.bound, truth, wish, json);
        let truth = most(&question, bound::count(&question, 0), 0);
        prop_assert!(found.as_it_is.fits <= truth && truth <= found.as_it_is.bound, "{:?} {}", found, json);
        told(room);
        told(&found.as_it_is);
    }
}

use super::generate::{self, Size};
use super::{Case, Timed, judge_all, random_way_s};
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::model::Placement;
use crate::schedule::ground::Ground;
use crate::schedule::rank::Order;
use crate::schedule::run::Step;
use crate::schedule::{Outcome, PLAIN, Style, exact, thorough, try_policy};
use proptest::prelude::*;
use std::time::Duration;

fn case(hosts: usize, vms: usize, odd: bool, seed: u64) -> Option<(Case, Placement)> {
    generate::case(Size { hosts, vms, odd, numa: seed.is_multiple_of(3) }, seed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_schedule_is_valid(hosts in 2_usize..8, vms in 1_usize..26, odd: bool, seed: u64) {
        if let Some((case, to)) = case(hosts, vms, odd, seed)
            && let Ok(timed) = case.schedule(&to)
        {
            case.assert_valid(&to, &timed);
        }
    }

    #[test]
    fn a_schedule_is_the_same_each_time(hosts in 2_usize..6, vms in 1_usize..14, seed: u64) {
        if let Some((case, to)) = case(hosts, vms, true, seed) {
            // When it was there is not part of it.
            let schedule = || case.schedule(&to).map(|timed| Timed { first: Duration::ZERO, ..timed });
            prop_assert_eq!(schedule(), schedule());
        }
    }
}

#[test]
fn a_better_timing_is_valid_and_never_worse() {
    let (mut looked, mut better) = (0, 0);
    for seed in 0..150 {
        let (hosts, vms) = (3 + seed as usize % 5, 6 + seed as usize % 17);
        let Some((case, to)) = case(hosts, vms, seed % 2 == 0, seed) else { continue };
        let Ok(list) = case.schedule(&to) else { continue };
        let rules = Rules::new(&case.problem);
        let budget = Budget::new(Duration::from_mins(1), Some(30_000), &Cancel::default());
        let timed = thorough(&case.problem, &rules, &to, true, &budget).unwrap();
        case.assert_valid(&to, &timed);
        assert!(timed.way.makespan_s <= list.way.makespan_s * (1.0 + 1e-9), "seed {seed}");
        looked += 1;
        better += usize::from(timed.way.makespan_s < 0.995 * list.way.makespan_s);
    }
    println!("{better} of {looked} schedules became shorter");
    assert!(better >= 3, "{better} of {looked}");
}

#[test]
fn no_row_of_hops_ends_before_the_bound() {
    let mut done = 0;
    for seed in 0..3000 {
        let (hosts, vms) = (3 + seed as usize % 4, 2 + seed as usize % 9);
        let Some((case, to)) = case(hosts, vms, seed % 2 == 0, seed) else { continue };
        let rules = Rules::new(&case.problem);
        let Some((bound, end)) = random_way_s(&case.problem, &rules, &to, seed) else { continue };
        assert!(bound <= end * (1.0 + 1e-9) + 1e-9, "seed {seed}: bound {bound}, end {end}");
        done += 1;
    }
    assert!(done > 300, "{done}");
}

#[test]
fn the_cp_solver_alone_makes_schedules_shorter_also_on_numa_nodes() {
    let (mut shorter, mut on_nodes) = (0, 0);
    for seed in 0..200 {
        let Some((case, to)) = case(4, 6 + seed as usize % 9, seed % 2 == 0, seed) else { continue };
        let rules = Rules::new(&case.problem);
        let ground = Ground::new(&case.problem, &rules, &to, true, &[]);
        let budget = Budget::new(Duration::from_mins(1), None, &Cancel::default());
        let style = Style { order: Order::Any(seed), ..PLAIN };
        let Ok(steps) = try_policy(&ground, style, &budget) else { continue };
        let Ok(list) = Outcome::new(&ground, steps) else { continue };
        let found = exact::improve(&ground, &PLAIN.policy(&ground, false), &list, &budget);
        let better = |steps: &Vec<Step>| {
            Outcome::new(&ground, steps.clone())
                .is_ok_and(|found| found.way.makespan_s < 0.99 * list.way.makespan_s)
        };
        if found.iter().any(better) {
            shorter += 1;
            on_nodes += usize::from(case.problem.has_numa());
        }
    }
    assert!(shorter >= 10 && on_nodes >= 1, "{shorter}, {on_nodes} of them on NUMA nodes");
}

#[test]
fn what_has_no_memory_needs_no_bandwidth_however_dirty() {
    let (case, to) = case(4, 6, true, 842_693_629_657_403_863).unwrap();
    let timed = case.schedule(&to).unwrap();
    case.assert_valid(&to, &timed);
}

#[test]
fn the_judge_of_the_contract_agrees() {
    let mut plans = Vec::new();
    let mut pivots = 0;
    for seed in 0.. {
        let (hosts, vms) = (3 + seed as usize % 4, 8 + seed as usize % 13);
        let Some((case, to)) = case(hosts, vms, seed % 3 != 0, seed) else { continue };
        let Ok(timed) = case.schedule(&to) else { continue };
        if timed.way.pivots > 0 || plans.len() % 2 == 0 {
            pivots += timed.way.pivots;
            plans.push((case.file.clone(), case.plan(&to, &timed)));
        }
        if plans.len() == 24 {
            break;
        }
    }
    assert!(pivots > 0, "some of the plans should need pivots");
    judge_all("random", &plans);
}

#[test]
fn a_soft_rule_that_holds_at_both_ends_is_kept_on_the_way() {
    // The value of the plan counts on it.
    let mut met = 0;
    for seed in 0..400 {
        let Some((case, to)) = case(4, 10, true, seed) else { continue };
        let rules = Rules::new(&case.problem);
        let soft = rules.list.iter().any(|kept| kept.always && !kept.hard() && kept.holds(&rules.tally(&to)));
        // Where none is found that keeps them, they are counted as if all were broken: the value is for who asked.
        if let (true, Ok(timed)) = (soft, case.schedule(&to))
            && !timed.loose
        {
            case.assert_valid(&to, &timed);
            met += 1;
        }
    }
    assert!(met > 10, "{met}");
}

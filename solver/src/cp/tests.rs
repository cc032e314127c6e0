//! The CP solver against all points of small models, and its promises about time and work.

use super::Cp;
use crate::backend::{End, Exact, GAP, Solved, Task};
use crate::budget::{Budget, Cancel};
use crate::milp::{Linear, Term, activity};
use proptest::prelude::*;
use std::time::Duration;

const LONG: Duration = Duration::from_mins(10);

fn plenty() -> Budget {
    Budget::new(LONG, None, &Cancel::default())
}

fn solve(task: Task, budget: &Budget) -> Option<Solved> {
    Cp.solve(task, budget, budget, &mut drop)
}

/// Columns' upper bounds, rows (factors, right-hand side, equality), goal, gap.
type Draft = (Vec<i64>, Vec<(Vec<i64>, i64, bool)>, Vec<i64>, f64);

fn draft() -> impl Strategy<Value = Draft> {
    let upper = prop::collection::vec(prop_oneof![3 => Just(1_i64), 1 => 2..4_i64, 1 => Just(20)], 4);
    let factor = prop_oneof![3 => Just(0_i64), 3 => Just(1), 1 => Just(-1), 1 => -4..5_i64, 1 => Just(700)];
    let row = (
        prop::collection::vec(factor, 6),
        prop_oneof![3 => -2..7_i64, 1 => 650..1500_i64],
        prop::bool::weighted(0.2),
    );
    let goal = prop::collection::vec(prop_oneof![1 => Just(0_i64), 3 => -6..7_i64, 1 => Just(50)], 4);
    (upper, prop::collection::vec(row, 0..6), goal, prop_oneof![3 => Just(GAP), 1 => Just(3.5)])
}

fn task((upper, rows, goal, gap): &Draft) -> Task {
    let mut linear = Linear::default();
    let columns: Vec<_> = upper.iter().map(|upper| linear.column(*upper)).collect();
    let terms =
        |factors: &[i64]| -> Vec<Term> { columns.iter().copied().zip(factors.iter().copied()).collect() };
    for (factors, rhs, equal) in rows {
        if *equal { linear.equal(terms(factors), *rhs) } else { linear.at_most(terms(factors), *rhs) }
    }
    Task { linear, goal: terms(goal), start: None, seed: 0, gap: *gap }
}

fn points(task: &Task) -> Vec<(i64, Vec<i64>)> {
    let mut points = vec![Vec::new()];
    for upper in &task.linear.upper {
        let longer =
            |point: &Vec<i64>| (0..=*upper).map(|x| [point.as_slice(), &[x]].concat()).collect::<Vec<_>>();
        points = points.iter().flat_map(longer).collect();
    }
    points.retain(|point| task.linear.holds(point));
    let value = |point: &Vec<i64>| i64::try_from(activity(&task.goal, |c| point[c as usize])).unwrap();
    let mut points: Vec<_> = points.into_iter().map(|point| (value(&point), point)).collect();
    points.sort();
    points
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn it_is_right_about_every_point(draft in draft(), seed in 0..9_u64, from in prop::option::of(any::<prop::sample::Index>())) {
        let mut task = task(&draft);
        let points = points(&task);
        task.seed = seed;
        task.start = from.filter(|_| !points.is_empty()).map(|from| from.get(&points).1.clone());
        let gap = if task.gap < 1.0 { 0 } else { task.gap as i64 };
        let solved = solve(task, &plenty()).expect("the numbers are small");
        let Some((least, _)) = points.first() else {
            prop_assert_eq!(solved, Solved::without_point(End::Infeasible));
            return Ok(());
        };
        prop_assert_eq!(solved.end, End::Optimal);
        let (bound, point) = (solved.bound.unwrap(), solved.point.unwrap());
        let found = points.iter().find(|(_, other)| *other == point).expect("it is a point of the model");
        prop_assert!(bound <= *least && found.0 <= bound + gap, "{bound} {found:?}, the optimum is {least}");
    }

    #[test]
    fn what_is_cut_short_is_no_less_true(draft in draft(), work in 1..40_u64) {
        let task = task(&draft);
        let points = points(&task);
        let solved = || {
            let budget = Budget::new(LONG, Some(work), &Cancel::default());
            (solve(task.clone(), &budget), budget.work_done())
        };
        let (first, done) = solved();
        prop_assert!(done <= work);
        prop_assert_eq!(&solved(), &(first.clone(), done), "the same work gives the same");
        let Some(first) = first else { return Ok(()) };
        prop_assert!(first.end != End::Infeasible || points.is_empty());
        if let Some((least, _)) = points.first() {
            prop_assert!(first.bound.is_none_or(|bound| bound <= *least));
        }
        prop_assert!(first.point.is_none_or(|point| points.iter().any(|(_, other)| *other == point)));
    }
}

/// More things than places, in whole numbers: no learned clause makes that short.
fn pigeons(holes: usize) -> Task {
    let mut linear = Linear::default();
    let columns: Vec<Vec<_>> = (0..=holes).map(|_| (0..holes).map(|_| linear.column(1)).collect()).collect();
    for row in &columns {
        linear.equal(row.iter().map(|column| (*column, 1)).collect(), 1);
    }
    for hole in 0..holes {
        linear.at_most(columns.iter().map(|row| (row[hole], 1)).collect(), 1);
    }
    Task { linear, goal: Vec::new(), start: None, seed: 0, gap: GAP }
}

#[test]
fn who_is_asked_to_stop_claims_nothing() {
    let cancel = Cancel::default();
    let budget = Budget::new(LONG, None, &cancel);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.now();
    });
    let solved = solve(pigeons(14), &budget);
    stopper.join().unwrap();
    assert!(solved.is_none_or(|solved| (solved.end, solved.point) == (End::Stopped, None)));
    let solved = solve(pigeons(5), &plenty()).unwrap();
    assert_eq!(solved.end, End::Infeasible);
}

#[test]
fn what_does_not_fit_its_numbers_is_declined() {
    let mut linear = Linear::default();
    let (a, b) = (linear.column(1), linear.column(1));
    linear.at_most(vec![(a, 1 << 40), (b, 3)], 1 << 40);
    let task = Task { linear, goal: vec![(a, -1)], start: None, seed: 0, gap: GAP };
    assert_eq!(solve(task, &plenty()), None);
    let mut linear = Linear::default();
    let a = linear.column(1);
    let task = Task { linear, goal: vec![(a, -(1 << 31))], start: None, seed: 0, gap: GAP };
    assert_eq!(solve(task, &plenty()), None);
}

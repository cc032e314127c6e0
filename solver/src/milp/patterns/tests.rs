//! Bounds and points of small models, known by hand.

use super::improve;
use crate::backend::News;
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::file;
use crate::milp::MOST_COLUMNS;
use crate::milp::ends::Ends;
use crate::milp::level::Level;
use crate::milp::model::{Arrivals, Model, Shape};
use crate::model::{Objective, Problem, Site};
use std::time::Duration;

/// The highest bound of `MIGRATION_COST`, and the least value of the points that are told, from where these VMs are moved.
fn bounds(json: &str, moved: &[(&str, &str)], work: Option<u64>) -> (f64, Option<f64>) {
    let problem = Problem::new(&file::Problem::from_json(json).unwrap()).unwrap();
    let rules = Rules::new(&problem);
    let ends = Ends::new(&problem, &rules);
    let shape = Shape::whole(Arrivals::Each, true, MOST_COLUMNS);
    let model = Model::new(&problem, &rules, &ends, &shape).unwrap();
    let mut start = problem.initial();
    for (vm, host) in moved {
        let vm = problem.vm_ids().find(|id| problem.vm(*id).name == *vm).unwrap();
        let host = problem.host_ids().find(|id| problem.host(*id).name == *host).unwrap();
        start.put(vm.index(), Some(Site::plain(host)));
    }
    let start = model.point(&start).unwrap();
    assert!(model.linear.holds(&start));
    let level = Level::new(&model, Objective::MigrationCost).unwrap();
    let violations = Level::new(&model, Objective::Violations).unwrap();
    let held = vec![(violations.terms.clone(), violations.at_most(0.0))];
    let value = |point: &[i64]| {
        let sum = level.terms.iter().map(|(column, factor)| factor * point[*column as usize]).sum();
        level.value(sum)
    };
    let budget = Budget::new(Duration::from_mins(10), work, &Cancel::default());
    let (mut bound, mut least) = (0.0_f64, None);
    improve(&model, &level.terms, &held, &start, &budget, &mut |news| match news {
        News::Bound(sum) => bound = bound.max(level.value(sum)),
        News::Point(point) => least = Some(value(&point).min(least.unwrap_or(f64::INFINITY))),
    });
    (bound, least)
}

/// v or w must leave a; v fits on b only, and only if both small ones of b make room, which fit on c only.
fn chain(rules: &str) -> String {
    let vm = |name: &str, host: &str, cpu: i64, memory: i64| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": {memory}}}}}"#)
    };
    let vms = [
        vm("v", "a", 5, 50),
        vm("w", "a", 6, 60),
        vm("u", "b", 5, 50),
        vm("s", "b", 1, 10),
        vm("t", "b", 1, 10),
        vm("x", "c", 8, 80),
        vm("y", "c", 0, 30),
    ];
    format!(
        r#"{{"objective": "REPAIR", "hosts": [{{"name": "a", "capacity": {{"cpu": 10, "memory": 1000}}}},
          {{"name": "b", "capacity": {{"cpu": 10, "memory": 1000}}}},
          {{"name": "c", "capacity": {{"cpu": 10, "memory": 1000}}}}], "vms": [{}], "constraints": [{rules}]}}"#,
        vms.join(", ")
    )
}

#[test]
fn that_others_must_make_room_is_in_the_bound() {
    let moved = [("v", "b"), ("s", "c"), ("t", "c"), ("y", "b")];
    // What is needless is found, too.
    assert_eq!(bounds(&chain(""), &moved, None), (70.0, Some(70.0)));
    assert_eq!(bounds(&chain(""), &moved, Some(1_000_000)), (70.0, Some(70.0)), "under a limit of work");
}

#[test]
fn rules_of_a_host_and_of_several_are_in_it() {
    // y goes where s goes, and t with them.
    let gather = r#"{"name": "g", "gather": {"vms": ["s", "t", "y"]}}, {"name": "f", "fence": {"vms": ["y"], "hosts": ["c"]}}"#;
    assert_eq!(bounds(&chain(gather), &[("v", "b"), ("s", "c"), ("t", "c")], None).0, 70.0);
    // Who is with u is alone with it: s and t must leave b anyway, and v cannot come.
    let lonely = r#"{"name": "l", "lonely": {"vms": ["u", "v"]}}, {"name": "p", "spread": {"vms": ["s", "x"], "max": 1}},
        {"name": "n", "ban": {"vms": ["t"], "hosts": ["a"]}}"#;
    let moved = [("v", "b"), ("s", "a"), ("t", "c")];
    assert_eq!(bounds(&chain(lonely), &moved, None).0, 70.0);
    let apart = r#"{"name": "p", "spread": {"vms": ["s", "x"], "max": 1}}"#;
    assert_eq!(bounds(&chain(apart), &[("v", "b"), ("s", "a"), ("t", "c")], None).0, 70.0);
}

#[test]
fn nothing_is_told_of_what_it_has_no_words_for() {
    let json = r#"{"objective": "REPAIR", "hosts": [{"name": "a", "capacity": {"cpu": 1, "memory": 9}},
        {"name": "b", "capacity": {"cpu": 9, "memory": 9}}],
        "vms": [{"name": "v", "host": "a", "demand": {"cpu": 3, "memory": 5}}, {"name": "w", "priority": 0, "demand": {"cpu": 1}}]}"#;
    assert_eq!(bounds(json, &[("v", "b")], None), (0.0, None));
}

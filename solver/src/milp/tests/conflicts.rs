//! What is named as a conflict has no solution, and is no larger than need be.

use super::oracle::{all_ends, problem};
use crate::backend::Exact;
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::cp::Cp;
use crate::file;
use crate::milp::Highs;
use crate::milp::conflict::{self, Thing};
use crate::model::Problem;
use proptest::prelude::*;
use std::time::Duration;

fn plenty() -> Budget {
    Budget::new(Duration::from_mins(10), None, &Cancel::default())
}

/// The things that a conflict names.
fn things(problem: &Problem, conflict: &file::Conflict) -> Vec<Thing> {
    let vm = |name: &String| problem.vms.iter().position(|vm| vm.name == *name).unwrap();
    let rule = |name: &String| problem.constraints.iter().position(|rule| rule.name == *name).unwrap();
    let host = |name: &String| problem.hosts.iter().position(|host| host.name == *name).unwrap();
    let vms = conflict.vms.iter().map(|name| Thing::Vm(vm(name)));
    let rules = conflict.constraints.iter().map(|name| Thing::Rule(rule(name)));
    let hosts = conflict.hosts.iter().map(|name| Thing::Host(host(name)));
    vms.chain(rules).chain(hosts).collect()
}

fn has_ends(problem: &Problem, rules: &Rules<'_>, things: &[Thing]) -> bool {
    let part = conflict::part(problem, rules, things);
    !all_ends(&part, &Rules::new(&part)).is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn conflicts_are_true_and_irreducible(file in problem(), cp in any::<bool>()) {
        let by: &dyn Exact = if cp { &Cp } else { &Highs };
        let problem = Problem::new(&file).unwrap();
        let rules = Rules::new(&problem);
        let found = conflict::conflict(&problem, &rules, by, &plenty());
        if !all_ends(&problem, &rules).is_empty() {
            prop_assert!(found.is_none());
            return Ok(());
        }
        let found = found.expect("there is no end, and a reason is found");
        // The limit of moves is part of it only where it is told.
        let mut problem = problem.clone();
        problem.limits.max_migrations = found.most_moves;
        let rules = Rules::new(&problem);
        let found = things(&problem, &found.things);
        prop_assert!(!has_ends(&problem, &rules, &found), "{found:?}");
        for thing in &found {
            let rest: Vec<_> = found.iter().filter(|other| *other != thing).copied().collect();
            prop_assert!(has_ends(&problem, &rules, &rest), "{thing:?} of {found:?} is not needed");
        }
    }

    #[test]
    fn leaving_things_out_only_allows_more(file in problem(), bits in proptest::collection::vec(any::<bool>(), 13)) {
        let problem = Problem::new(&file).unwrap();
        let rules = Rules::new(&problem);
        if !all_ends(&problem, &rules).is_empty() {
            let all = conflict::everything(&problem, &rules);
            let some: Vec<_> = all.into_iter().zip(&bits).filter(|(_, bit)| **bit).map(|(t, _)| t).collect();
            prop_assert!(has_ends(&problem, &rules, &some), "{some:?}");
        }
    }
}

#[test]
fn a_conflict_names_what_matters_only() {
    let file = file::Problem::from_json(
        r#"{"hosts": [{"name": "a", "state": "DRAINING", "capacity": {"cpu": 10}},
             {"name": "b", "capacity": {"cpu": 10}}, {"name": "c", "capacity": {"cpu": 10}}],
            "vms": [{"name": "v", "host": "a", "demand": {"cpu": 6}},
             {"name": "w", "host": "b", "demand": {"cpu": 6}, "pinned": true},
             {"name": "x", "host": "c", "demand": {"cpu": 1}}],
            "constraints": [{"name": "f", "fence": {"vms": ["v", "x"], "hosts": ["a", "b", "c"]}},
             {"name": "n", "ban": {"vms": ["v", "w"], "hosts": ["c"]}}]}"#,
    )
    .unwrap();
    let problem = Problem::new(&file).unwrap();
    let found = conflict::conflict(&problem, &Rules::new(&problem), &Highs, &plenty()).unwrap().things;
    assert_eq!((found.vms.join(" "), found.hosts.join(" ")), ("v w".into(), "a b".into()));
    assert_eq!(found.constraints, ["n"]);
}

#[test]
fn the_limit_of_migrations_is_told_where_it_matters_only() {
    let limited = |most: u64| {
        let file = file::Problem::from_json(&format!(
            r#"{{"hosts": [{{"name": "a", "state": "DRAINING", "capacity": {{"cpu": 10}}}},
                 {{"name": "b", "capacity": {{"cpu": 10}}}}],
                "vms": [{{"name": "v", "host": "a", "demand": {{"cpu": 3}}}},
                 {{"name": "w", "host": "a", "demand": {{"cpu": 3}}}}],
                "limits": {{"max_migrations": {most}}}}}"#
        ));
        let problem = Problem::new(&file.unwrap()).unwrap();
        conflict::conflict(&problem, &Rules::new(&problem), &Highs, &plenty())
    };
    assert_eq!(limited(2), None);
    let found = limited(1).unwrap();
    assert_eq!((found.things.vms.join(" "), found.things.hosts.join(" ")), ("v w".into(), "a".into()));
    assert_eq!(found.most_moves, Some(1));
}

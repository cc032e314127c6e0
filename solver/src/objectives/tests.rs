//! What the objectives that weigh hosts mean, in small examples with figures worked out by hand.

use super::{Gauges, Scene, energy, fragments, imbalance};
use crate::constraints::Rules;
use crate::file;
use crate::model::{Objective, Problem};
use crate::objective;
use crate::screen::Space;

fn problem(json: &str) -> Problem {
    Problem::new(&file::Problem::from_json(json).unwrap()).unwrap()
}

/// Two online hosts of different size, one that is off, one that has failed, one that is drained.
fn five(objectives: &str) -> Problem {
    problem(&format!(
        r#"{{"hosts": [
            {{"name": "a", "capacity": {{"cpu": 10, "memory": 100}}, "idle_watts": 80, "peak_watts": 180}},
            {{"name": "b", "capacity": {{"cpu": 20, "memory": 50}}, "overcommit": {{"cpu": 2}}}},
            {{"name": "c", "capacity": {{"cpu": 10}}, "state": "OFFLINE", "off_watts": 7}},
            {{"name": "d", "capacity": {{"cpu": 10}}, "state": "FAILED", "off_watts": 9}},
            {{"name": "e", "capacity": {{"cpu": 8, "memory": 100}}, "state": "DRAINING"}}],
          "vms": [
            {{"name": "u", "host": "a", "demand": {{"cpu": 5, "memory": 30}}}},
            {{"name": "v", "host": "b", "demand": {{"cpu": 30, "memory": 10}}}},
            {{"name": "w", "host": "d", "demand": {{"cpu": 4}}}},
            {{"name": "x", "host": "e", "demand": {{"cpu": 4, "memory": 50}}}}],
          "fragment": {{"resource": "cpu", "unit": 4}}, "objectives": {objectives}}}"#
    ))
}

fn before(problem: &Problem, level: Objective) -> f64 {
    Gauges::of(problem, &Scene::before(problem)).value(level)
}

#[test]
fn energy_is_linear_in_cpu_over_capacity_and_at_most_peak() {
    let problem = five(r#"["ENERGY"]"#);
    // a: 80 + 100 * 5 / 10; b: 30 of 20 is all, 200; c and d are down; e: 100 + 100 * 4 / 8.
    assert_eq!(before(&problem, Objective::Energy), 130.0 + 200.0 + 7.0 + 9.0 + 150.0);
}

#[test]
fn imbalance_is_highest_less_mean_of_online_hosts_in_thousandths() {
    let problem = five(r#"["IMBALANCE"]"#);
    // cpu: 0.5 and 30 / 40, so 0.75 - 0.625; memory: 0.3 and 0.2, so 0.3 - 0.25.
    assert_eq!(before(&problem, Objective::Imbalance), 175.0);
    // Halves are rounded up: 1 / 16 - 1 / 32 is 31.25, 2 / 16 - 1 / 16 is 62.5.
    for (cpu, value) in [(1, 31.0), (2, 63.0), (6, 188.0)] {
        let problem = self::problem(&format!(
            r#"{{"hosts": [{{"name": "a", "capacity": {{"cpu": 16}}}}, {{"name": "b", "capacity": {{"cpu": 16}}}}],
                "vms": [{{"name": "v", "host": "a", "demand": {{"cpu": {cpu}}}}}], "objectives": ["IMBALANCE"]}}"#
        ));
        assert_eq!(before(&problem, Objective::Imbalance), value);
    }
}

#[test]
fn fragments_are_what_is_free_beyond_whole_units() {
    let problem = five(r#"["FRAGMENTS"]"#);
    // a: 5 free, 1 beyond a unit of 4; b: 10 free, 2; the others are not online.
    assert_eq!(before(&problem, Objective::Fragments), 3.0);
    let over = self::problem(
        r#"{"hosts": [{"name": "a", "capacity": {"cpu": 5}}], "fragment": {"resource": "cpu", "unit": 4},
            "vms": [{"name": "v", "host": "a", "demand": {"cpu": 6}}], "objectives": ["FRAGMENTS"]}"#,
    );
    assert_eq!(before(&over, Objective::Fragments), 0.0, "nothing is free on a host that is over");
}

#[test]
fn energies_in_the_same_tenth_of_a_watt_are_the_same() {
    use std::cmp::Ordering::{Equal, Less};
    for (a, b, order) in [(100.0, 100.05, Equal), (100.0, 100.2, Less), (0.0, 0.1, Less)] {
        assert_eq!(objective::order(Objective::Energy, a, b), order, "{a} {b}");
        assert_eq!(objective::order(Objective::Energy, b, a), order.reverse());
    }
    // Unlike a tolerance, steps do not let many small losses pass for none.
    assert_eq!(objective::order(Objective::Energy, 100.0, 100.05), Equal);
    assert_eq!(objective::order(Objective::Energy, 100.05, 100.1), Less);
}

#[test]
fn the_bounds_are_reached_where_they_are_known_to_be() {
    // The largest VM alone: 9 of 10 against a mean of 10 / 20.
    let bounded = |vms: &[i64], more: &str| {
        let vms: Vec<_> = (vms.iter().enumerate())
            .map(|(i, cpu)| {
                format!(r#"{{"name": "v{i}", "host": "a", "demand": {{"cpu": {cpu}, "memory": 1}}}}"#)
            })
            .collect();
        problem(&format!(
            r#"{{"hosts": [{{"name": "a", "capacity": {{"cpu": 10}}, "peak_watts": 150}},
                {{"name": "b", "capacity": {{"cpu": 10}}, "peak_watts": 300}}], "vms": [{}],
                "fragment": {{"resource": "cpu", "unit": 4}},
                "objectives": ["IMBALANCE", "ENERGY", "FRAGMENTS"]{more}}}"#,
            vms.join(", ")
        ))
    };
    let bounds = |problem: &Problem| {
        let rules = Rules::new(problem);
        let space = Space::new(problem, &rules);
        [imbalance::bound(&space), energy::bound(&space, 1), fragments::bound(&space)]
    };
    // 10 on a draw 150, the rest of b idles at 100.
    let [imbalance, energy, fragments] = bounds(&bounded(&[9, 1], ""));
    assert_eq!(imbalance, 400.0);
    assert!((energy - 250.0).abs() < 1e-3, "{energy}");
    // Ten are free: two at least are in no unit of 4.
    assert_eq!(fragments, 2.0);
    // Three of 4 on two hosts: two of them share one.
    assert_eq!(bounds(&bounded(&[4, 4, 4], ""))[0], 200.0);
    // Nothing may move: all stays on a.
    let stuck = bounded(&[2, 2, 2], r#", "limits": {"max_migrations": 0}"#);
    assert_eq!(bounds(&stuck)[0], 300.0);
    assert_eq!(bounds(&bounded(&[2, 2, 2], ""))[0], 100.0);
}

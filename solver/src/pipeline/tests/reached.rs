//! What is reached on small problems whatever the searches happen to try first.

use super::*;

/// The rule `s` asks that v4 and v3 arrive together, which the first plan that is found does not do: a placement with the
/// same values has a plan that does.
const TOGETHER: &str = r#"{"objectives": ["VIOLATIONS", "FRAGMENTS", "MAKESPAN"],
  "fragment": {"resource": "cpu", "unit": 4000},
  "hosts": [
    {"name": "h0", "capacity": {"cpu": 8000, "memory": 12288}, "state": "DRAINING"},
    {"name": "h1", "capacity": {"cpu": 12000, "memory": 8192}, "overcommit": {"cpu": 2.0}},
    {"name": "h3", "capacity": {"cpu": 12000, "memory": 16384}, "max_migrations": 1},
    {"name": "h4", "capacity": {"cpu": 12000, "memory": 12288}}],
  "vms": [
    {"name": "v0", "host": "h3", "demand": {"cpu": 500, "memory": 2048}, "arrival_demand": {"cpu": 4000}},
    {"name": "v1", "host": "h1", "demand": {"cpu": 2000, "memory": 2048}},
    {"name": "v2", "host": "h4", "demand": {"cpu": 1000, "memory": 5120}, "pinned": true, "priority": 0},
    {"name": "v3", "host": "h1", "demand": {"cpu": 500, "memory": 5120}, "memory_dirty_rate": 400.0},
    {"name": "v4", "host": "h0", "demand": {"cpu": 0, "memory": 2048}},
    {"name": "v5", "host": "h0", "demand": {"cpu": 500, "memory": 2048}, "arrival_demand": {"cpu": 4000}},
    {"name": "v6", "host": "h3", "demand": {"cpu": 500, "memory": 5120}, "arrival_demand": {"cpu": 4000},
      "priority": 0},
    {"name": "v7", "host": "h0", "demand": {"cpu": 2000, "memory": 2048}, "priority": 0}],
  "constraints": [
    {"name": "g", "soft_weight": 500, "gather": {"vms": ["v4", "v3"]}},
    {"name": "s", "soft_weight": 1, "sync": {"vms": ["v4", "v3"]}}]}"#;

#[test]
fn what_the_way_to_one_placement_breaks_another_one_keeps() {
    let problem = parse(TOGETHER);
    for seed in 0..6 {
        for backend in [Backend::Auto, Backend::Highs, Backend::Cp] {
            let plan = solved_with(&problem, &Options { seed, backend, threads: 1, ..options() });
            let values = (value(&plan, "VIOLATIONS"), value(&plan, "FRAGMENTS"));
            assert_eq!(values, (0.0, 2500.0), "seed {seed}, {backend:?}");
        }
    }
}

/// The search among placements at random has to do where there are too many to try all of them.
#[test]
fn a_search_goes_on_from_other_placements_where_the_way_breaks_a_rule() {
    let mut problem = parse(TOGETHER);
    for i in 0..6 {
        let vm = |name: &str| problem.vms.iter().find(|vm| vm.name == name).cloned().unwrap();
        let mut more = vm("v4");
        more.name = format!("w{i}");
        more.host = "h1".to_owned();
        more.demand.insert("memory".to_owned(), 1 + i);
        problem.vms.push(more);
    }
    for seed in 0..4 {
        let plan = solved_with(&problem, &Options { seed, threads: 1, ..options() });
        assert_eq!(value(&plan, "VIOLATIONS"), 0.0, "seed {seed}");
    }
}

#[test]
fn the_order_of_hosts_does_not_change_how_even_loads_become_with_power_actions() {
    let json = r#"{"objectives": ["IMBALANCE", "MAKESPAN"], "limits": {"power_actions": true}, "hosts": [
        {"name": "h0", "capacity": {"cpu": 4000, "memory": 12288}},
        {"name": "h1", "capacity": {"cpu": 12000, "memory": 16384}},
        {"name": "h2", "capacity": {"cpu": 8000, "memory": 12288}},
        {"name": "h3", "capacity": {"cpu": 4000, "memory": 16384}}],
      "vms": [{"name": "v0", "demand": {"cpu": 1000, "memory": 4096}},
        {"name": "v1", "host": "h0", "demand": {"cpu": 3000, "memory": 4096}},
        {"name": "v2", "demand": {"cpu": 0, "memory": 2048}, "priority": 50},
        {"name": "v3", "host": "h2", "demand": {"cpu": 2000, "memory": 4096}, "arrival_demand": {"cpu": 4000}},
        {"name": "v4", "demand": {"cpu": 3000, "memory": 1024}}]}"#;
    let mut problem = parse(json);
    for _ in 0..4 {
        problem.hosts.rotate_left(1);
        problem.vms.rotate_left(1);
        for seed in 0..3 {
            let plan = solved_with(&problem, &Options { seed, threads: 1, ..options() });
            assert_eq!(value(&plan, "IMBALANCE"), 208.0, "{:?}", problem.hosts);
        }
    }
}

/// Values that are nearly the same are no order to sort ends by.
#[test]
fn ends_whose_values_are_nearly_the_same_are_all_tried() {
    let host = |i: usize| format!(r#"{{"name": "h{i}", "capacity": {{"cpu": 9, "memory": 100000}}}}"#);
    let vm = |i: usize| {
        let memory = 10 + 7 * i;
        format!(r#"{{"name": "v{i}", "host": "h{i}", "demand": {{"cpu": 1, "memory": {memory}}}}}"#)
    };
    let rule = |i: usize| {
        let weight = 4e-7 * (1.0 + 0.37 * i as f64);
        let host = i + 1;
        format!(
            r#"{{"name": "f{i}", "soft_weight": {weight}, "fence": {{"vms": ["v{i}"], "hosts": ["h{host}"]}}}}"#
        )
    };
    let list = |items: Vec<String>| items.join(", ");
    let json = format!(
        r#"{{"objective": "REPAIR", "hosts": [{}], "vms": [{}], "constraints": [{}]}}"#,
        list((0..5).map(host).collect()),
        list((0..3).map(vm).collect()),
        list((0..3).map(rule).collect())
    );
    let plan = solve(&parse(&json), &options(), &Cancel::default(), &mut |_| ()).unwrap();
    assert!(plan.status.has_plan());
}

/// Very many VMs that cannot move are no reason to look at all ends.
#[test]
fn two_that_want_to_swap_among_very_many_that_stay() {
    let many = 3_000;
    let vm = |name: String, host: &str, cpu: usize, more: &str| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": 1}}{more}}}"#)
    };
    let mut vms: Vec<String> =
        (0..many).map(|i| vm(format!("p{i}"), "a", 1, r#", "pinned": true"#)).collect();
    vms.push(vm("v".into(), "a", 5, ""));
    vms.push(vm("w".into(), "b", 5, ""));
    let json = format!(
        r#"{{"objective": "REPAIR", "hosts": [{{"name": "a", "capacity": {{"cpu": {}, "memory": 9000}}}},
          {{"name": "b", "capacity": {{"cpu": 5, "memory": 9000}}}}], "vms": [{}], "constraints": [
          {{"name": "fv", "fence": {{"vms": ["v"], "hosts": ["b"]}}}}, {{"name": "fw", "fence": {{"vms": ["w"], "hosts": ["a"]}}}}]}}"#,
        many + 5,
        vms.join(", ")
    );
    assert!(!solved(&json).status.has_plan());
}

use super::*;
use crate::coordinator::testing::report;
use crate::record::{AdminState, Connection, VmState};

const FREE: &dyn Fn(&str) -> bool = &|_| false;

fn asked(world: &World, busy: &dyn Fn(&str) -> bool, wider: u32) -> Option<Ask> {
    ask(&world.cell, &due(world), busy, &world.settings, wider)
}

/// Names of the hosts, joined.
fn hosts(ask: Option<Ask>) -> String {
    ask.map_or("nothing".to_owned(), |ask| Vec::from_iter(ask.hosts).join(" "))
}

/// h1 is overloaded; the others carry more the greater their number.
fn overloaded() -> World {
    let mut world = World::new(9);
    world.vm("a1", "h1", 5_000, 1_000);
    world.vm("a2", "h1", 4_500, 1_000);
    for i in 2..=9 {
        world.vm(&format!("b{i}"), &format!("h{i}"), 3_000 + i * 500, 1_000);
    }
    world
}

#[test]
fn an_overload_takes_the_hosts_with_most_room_and_ever_more_of_them() {
    let world = overloaded();
    let ask = asked(&world, FREE, 0).unwrap();
    // 1500 are to leave; with slack 3000; h2 has 4000 to its target. Two at least.
    assert_eq!(ask.hosts, set(&["h1", "h2", "h3"]));
    assert_eq!((ask.objective.as_str(), ask.whole), ("REPAIR", false));
    assert_eq!(ask.keys, [key(EventKind::Overload, "h1")]);
    assert!(ask.purpose.starts_with("h1 is expected to use 9500 of 10000"), "{}", ask.purpose);
    let ask = asked(&world, FREE, 1).unwrap();
    assert_eq!((ask.hosts.len(), ask.whole), (9, true));
}

#[test]
fn room_is_looked_for_that_the_vm_needs_that_has_to_leave() {
    let mut world = World::new(9);
    world.vm("a1", "h1", 4_600, 1_000);
    world.vm("a2", "h1", 4_500, 1_000);
    (2..=9).for_each(|i| world.vm(&format!("b{i}"), &format!("h{i}"), 7_000, 1_000));
    // 1100 are to leave, and no VM is smaller than 4500; the others have 1000 each to their targets.
    assert_eq!(hosts(asked(&world, FREE, 0)), "h1 h2 h3 h4 h5 h6");
}

#[test]
fn a_wider_try_does_not_take_all_at_once_in_a_large_cell() {
    let mut world = World::new(100);
    world.vm("a1", "h1", 9_500, 1_000);
    let sizes: Vec<_> = (0..5).map(|wider| asked(&world, FREE, wider)).map(|ask| ask.unwrap()).collect();
    let counts: Vec<_> = sizes.iter().map(|ask| ask.hosts.len()).collect();
    assert_eq!(counts, [3, 9, 33, 100, 100]);
    assert_eq!(sizes.iter().map(|ask| ask.whole).collect::<Vec<_>>(), [false, false, false, true, true]);
}

#[test]
fn busy_hosts_are_passed_by_and_the_troubled_one_is_waited_for() {
    let world = overloaded();
    let busy = |host: &str| host == "h2" || host == "h4";
    assert_eq!(hosts(asked(&world, &busy, 0)), "h1 h3 h5");
    assert_eq!(hosts(asked(&world, &busy, 9)), "h1 h3 h5 h6 h7 h8 h9");
    assert_eq!(hosts(asked(&world, &|host| host == "h1", 0)), "nothing");
    assert_eq!(hosts(asked(&world, &|host| host != "h1", 0)), "nothing", "it waits for a receiver");
}

#[test]
fn the_next_trouble_is_worked_on_while_the_first_one_waits() {
    let mut world = overloaded();
    world.vm("b9x", "h9", 3_000, 100);
    let ask = asked(&world, &|host| host == "h1", 0).unwrap();
    assert_eq!(ask.keys, [key(EventKind::Overload, "h9")]);
    assert!(!ask.hosts.contains("h1"));
}

#[test]
fn hosts_in_trouble_are_no_receivers_at_first() {
    let mut world = World::new(4);
    for host in ["h1", "h2"] {
        world.vm(host, host, 9_500, 1_000);
    }
    assert_eq!(hosts(asked(&world, FREE, 0)), "h1 h3 h4");
    let ask = asked(&world, FREE, 1).unwrap();
    assert_eq!(ask.keys, [key(EventKind::Overload, "h1"), key(EventKind::Overload, "h2")]);
    assert!(ask.purpose.ends_with("(and 1 more)"), "{}", ask.purpose);
}

#[test]
fn a_drain_needs_room_for_all() {
    let mut world = World::new(6);
    (0..8).for_each(|i| world.vm(&format!("a{i}"), "h1", 1_000, 1_100));
    world.state("h1", AdminState::Draining);
    world.state("h2", AdminState::Cordoned);
    world.connection("h3", Connection::Lost);
    // 8800 MiB with slack: two empty hosts of 10,000.
    assert_eq!(hosts(asked(&world, FREE, 0)), "h1 h4 h5");
    assert_eq!(hosts(asked(&world, FREE, 3)), "h1 h2 h4 h5 h6", "a silent host can do nothing");
}

#[test]
fn rules_say_which_hosts_are_likely() {
    let mut world = overloaded();
    world.rule(r#"{"name": "in", "fence": {"vms": ["a1"], "hosts": ["h1", "h8"]}}"#);
    assert_eq!(hosts(asked(&world, FREE, 0)), "h1 h2 h8");
}

#[test]
fn a_broken_rule_takes_the_hosts_of_those_that_break_it() {
    let mut world = World::new(6);
    world.rule(r#"{"name": "apart", "spread": {"vm_selector": {"app": "a"}}}"#);
    (1..=3).for_each(|i| world.vm(&format!("a{i}"), &format!("h{}", i.min(2)), 1_000, 1_000));
    world.vm("b1", "h3", 1_000, 1_000);
    let ask = asked(&world, FREE, 0).unwrap();
    assert_eq!(ask.keys[0], key(EventKind::RuleBroken, "apart"));
    assert!(ask.hosts.contains("h2") && !ask.hosts.contains("h1"), "{:?}", ask.hosts);
}

#[test]
fn a_failed_host_is_in_its_partition_and_in_no_other() {
    let mut world = overloaded();
    world.vm("x", "h9", 100, 100);
    world.connection("h9", Connection::Failed);
    let ask = asked(&world, FREE, 0).unwrap();
    assert_eq!(ask.keys, [key(EventKind::HostFailed, "h9")]);
    assert!(ask.hosts.contains("h9"));
    let ask = asked(&world, &|host| host == "h9", 9).unwrap();
    assert_eq!(ask.keys, [key(EventKind::Overload, "h1")]);
}

#[test]
fn vms_that_wait_are_started_where_they_are_defined() {
    let mut world = World::new(3);
    for vm in ["a", "b", "c"] {
        world.vm(vm, "h1", 100, 100);
    }
    world.reboots("h1", ["a", "b"].map(|vm| report(vm, VmState::Off, 0, 0)).to_vec());
    let ask = asked(&world, FREE, 0).unwrap();
    assert_eq!(ask.hosts, set(&["h1"]));
    assert_eq!(ask.keys, [key(EventKind::VmWaiting, "a"), key(EventKind::VmWaiting, "b")]);
    // c is defined nowhere any more: anyone may start it.
    let ask = asked(&world, &|host| host == "h1", 0).unwrap();
    assert_eq!(ask.keys, [key(EventKind::VmWaiting, "c")]);
    assert_eq!(ask.hosts, set(&["h2", "h3"]));
}

#[test]
fn a_consolidation_takes_the_emptiest_hosts() {
    let mut world = World::new(6);
    for (i, cpu) in [1_500, 1_000, 4_000, 6_000, 7_000].into_iter().enumerate() {
        world.vm(&format!("a{i}"), &format!("h{}", i + 1), cpu, 500);
    }
    world.settings.planning.consolidate_hosts = 4;
    let ask = asked(&world, FREE, 0).unwrap();
    assert_eq!(ask.hosts, set(&["h1", "h2", "h3", "h4"]), "h6 is empty, h5 is the fullest");
    assert_eq!(ask.objective, "CONSOLIDATE");
    assert_eq!(ask.keys, [key(EventKind::Underload, "h1"), key(EventKind::Underload, "h2")]);
    assert_eq!(hosts(asked(&world, &|host| host != "h1", 0)), "nothing");
}

#[test]
fn the_vm_leaves_that_leaves_most_room_at_both_ends() {
    let mut world = World::new(4);
    (1..=5).for_each(|i| world.vm(&format!("a{i}"), "h1", 1_500 + i * 130, 1_000));
    world.vm("b", "h2", 4_000, 1_000);
    world.vm("c", "h3", 2_000, 1_000);
    world.vm("d", "h4", 7_000, 1_000);
    let of = |world: &World, wider| asked(world, FREE, wider).map(|ask| (ask.hosts, ask.only)).unwrap();
    assert_eq!(of(&world, 0).1, None, "not where it is not wanted");
    world.settings.planning.roomy = true;
    // 9450 of 10000 are used, 1450 are to leave: each VM is enough, and the largest leaves most.
    assert_eq!(of(&world, 0), (set(&["h1", "h3"]), Some("a5".to_owned())));
    assert_eq!(of(&world, 1).1, None, "a wider try is for the solver");
    let busy = asked(&world, &|host| host == "h3", 0).unwrap();
    assert_eq!((busy.hosts, busy.only.as_deref()), (set(&["h1", "h2"]), Some("a5")));
    // What rules are about is for the solver.
    world.rule(r#"{"name": "r", "ban": {"vms": ["a5"], "hosts": ["h4"]}}"#);
    assert_eq!(of(&world, 0).1, Some("a4".to_owned()));
    // So is what one VM alone cannot end.
    world.vm("e", "h1", 5_000, 1_000);
    world.vm("a5", "h1", 5_000, 1_000);
    assert_eq!(of(&world, 0).1, None);
}

use super::*;
use crate::coordinator::settings::Uplink;
use crate::coordinator::testing::report;
use crate::record::{AdminState, Connection, VmState};
use dvms_solver::file::{Body, Host, Vm};

fn host<'a>(problem: &'a Problem, name: &str) -> &'a Host {
    problem.hosts.iter().find(|host| host.name == name).expect("the host is in the problem")
}

fn vm<'a>(problem: &'a Problem, name: &str) -> Option<&'a Vm> {
    problem.vms.iter().find(|vm| vm.name == name)
}

fn cpu(problem: &Problem, name: &str) -> i64 {
    host(problem, name).capacity["cpu"]
}

#[test]
fn receivers_are_filled_to_the_target_and_full_hosts_are_not_over() {
    let mut world = World::new(4);
    world.vm("a", "h1", 9_500, 1_000);
    world.vm("b", "h2", 8_400, 1_000);
    world.vm("c", "h3", 3_000, 1_000);
    let made = problem_of(&world, &["h1", "h2", "h3"], &[]);
    assert_eq!(["h1", "h2", "h3"].map(|name| cpu(&made, name)), [8_000, 8_400, 8_000]);
    assert_eq!(host(&made, "h1").capacity["memory"], 10_000);
    assert_eq!(vm(&made, "a").unwrap().demand["cpu"], 9_500);
    assert_eq!((made.hosts.len(), made.vms.len()), (3, 3));
    // While an overload stands, coming back under the limit is not enough.
    let answers = [key(EventKind::Overload, "h2")];
    assert_eq!(cpu(&problem_of(&world, &["h1", "h2", "h3"], &answers), "h2"), 8_000);
}

#[test]
fn receivers_are_filled_further_when_the_targets_cannot_be_enough() {
    let mut world = World::new(2);
    world.vm("a", "h1", 6_000, 1_000);
    world.vm("b", "h2", 2_500, 1_000);
    world.state("h1", AdminState::Draining);
    let made = problem_of(&world, &["h1", "h2"], &[key(EventKind::Drain, "h1")]);
    assert_eq!((cpu(&made, "h2"), host(&made, "h1").state.as_str()), (8_500, "DRAINING"));
    let made = problem_of(&world, &["h1", "h2"], &[key(EventKind::Overload, "h2")]);
    assert_eq!((cpu(&made, "h2"), host(&made, "h1").state.as_str()), (8_000, "CORDONED"));
}

#[test]
fn usable_is_what_the_settings_say() {
    let mut world = World::new(1);
    world.settings.inventory.cpu_overcommit = 2.0;
    world.settings.inventory.memory_reserve = 0.1;
    let made = problem_of(&world, &["h1"], &[]);
    let host = host(&made, "h1");
    assert_eq!((host.capacity["cpu"], host.capacity["memory"]), (16_000, 9_000));
    assert_eq!((host.max_migrations, host.migration_bandwidth), (Some(2), Some(100.0)));
}

#[test]
fn what_is_on_the_move_counts_at_both_ends() {
    let mut world = World::new(3);
    world.vm("a", "h1", 2_000, 1_000);
    world.flies("a", "h1", "h2");
    let made = problem_of(&world, &["h1", "h2"], &[]);
    let a = vm(&made, "a").unwrap();
    assert_eq!((a.host.as_str(), a.pinned), ("h2", true));
    assert_eq!((cpu(&made, "h1"), cpu(&made, "h2")), (6_000, 8_000));
    assert_eq!((host(&made, "h1").max_migrations, host(&made, "h2").max_migrations), (Some(1), Some(1)));
    // The destination is not in the partition: here it only takes room.
    let made = problem_of(&world, &["h1", "h3"], &[]);
    assert_eq!((vm(&made, "a"), cpu(&made, "h1"), cpu(&made, "h3")), (None, 6_000, 8_000));
    // One that an operator brings.
    world.says("h3", report("b", VmState::MigratingIn, 0, 0));
    world.says("h1", report("b", VmState::MigratingOut, 500, 100));
    let made = problem_of(&world, &["h1", "h3"], &[]);
    assert_eq!((vm(&made, "b").map(|vm| vm.pinned), cpu(&made, "h3")), (Some(true), 7_500));
}

#[test]
fn what_cannot_move_is_pinned_and_never_makes_a_drain_impossible() {
    let mut world = World::new(3);
    world.vm("a", "h1", 1_000, 100);
    world.says("h1", report("b", VmState::Paused, 0, 300));
    world.says("h1", report("off", VmState::Off, 0, 0));
    world.vm("bad name", "h1", 700, 100);
    let made = problem_of(&world, &["h1", "h2"], &[]);
    assert_eq!(
        made.vms.iter().map(|vm| (vm.name.as_str(), vm.pinned)).collect::<Vec<_>>(),
        [("a", false), ("b", true)]
    );
    assert_eq!(cpu(&made, "h1"), 7_300, "what cannot be named takes room");
    world.state("h1", AdminState::Draining);
    let made = problem_of(&world, &["h1", "h2"], &[]);
    assert_eq!((made.vms.len(), vm(&made, "a").unwrap().pinned), (1, false));
    assert_eq!(host(&made, "h1").capacity["memory"], 10_000 - 400);
    let rests = |vm: &str| vm == "a";
    let made = problem(&world.cell, &set(&["h1"]), "REPAIR", None, &[], &rests, &world.settings);
    assert!(made.vms.is_empty(), "an action on it failed a short time ago");
}

#[test]
fn silent_hosts_stay_as_they_are_and_failed_ones_are_restarted_from() {
    let mut world = World::new(4);
    world.vm("a", "h1", 9_900, 100);
    world.vm("b", "h2", 9_900, 100);
    let undefined =
        crate::record::VmReport { definition: String::new(), ..report("c", VmState::Running, 1, 1) };
    world.says("h2", undefined);
    world.vm("d", "h2", 100, 100);
    world.vm("d", "h3", 100, 100);
    world.connection("h1", Connection::Lost);
    world.connection("h2", Connection::Failed);
    let made = problem_of(&world, &["h1", "h2", "h3", "h4"], &[]);
    assert_eq!(
        ["h1", "h2", "h3"].map(|name| host(&made, name).state.as_str()),
        ["CORDONED", "FAILED", "ONLINE"]
    );
    assert!(vm(&made, "a").unwrap().pinned && cpu(&made, "h1") >= 9_900);
    assert_eq!(vm(&made, "b").map(|vm| (vm.host.as_str(), vm.pinned)), Some(("h2", false)));
    assert!(vm(&made, "c").unwrap().pinned, "there is nothing to start it from");
    assert_eq!(vm(&made, "d").unwrap().host, "h3", "it is elsewhere");
}

#[test]
fn a_vm_that_waits_is_in_the_problem_of_the_plan_that_answers_it_only() {
    let mut world = World::new(3);
    world.vm("a", "h1", 100, 100);
    world.vm("b", "h1", 100, 100);
    world.reboots("h1", vec![report("a", VmState::Off, 0, 0)]);
    let answers = [key(EventKind::VmWaiting, "a"), key(EventKind::VmWaiting, "b")];
    assert!(problem_of(&world, &["h1", "h2"], &[]).vms.is_empty());
    let made = problem_of(&world, &["h1", "h2"], &answers);
    assert_eq!(made.vms.iter().map(|vm| vm.host.as_str()).collect::<Vec<_>>(), ["", ""]);
    let [rule] = made.constraints.as_slice() else { panic!("{:?}", made.constraints) };
    let Some(Body::Fence { vms, hosts }) = &rule.body else { panic!("{rule:?}") };
    assert_eq!((&vms.vms[..], &hosts.hosts[..]), (&["a".to_owned()][..], &["h1".to_owned()][..]));
    let made = problem_of(&world, &["h2", "h3"], &answers);
    assert_eq!(made.vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// Names of the rules, with `~` for soft ones.
fn rules(problem: &Problem) -> Vec<String> {
    let soft = |weight: Option<f64>| if weight.is_some() { "~" } else { "" };
    problem.constraints.iter().map(|rule| format!("{}{}", soft(rule.soft_weight), rule.name)).collect()
}

#[test]
fn a_broken_rule_binds_only_the_plan_that_mends_it() {
    let mut world = World::new(3);
    world.rule(r#"{"name": "in", "fence": {"vms": ["a", "b"], "hosts": ["h2"]}}"#);
    world.rule(r#"{"name": "apart", "spread": {"vms": ["c", "d"]}}"#);
    for (vm, host) in [("a", "h1"), ("b", "h2"), ("c", "h3"), ("d", "h3")] {
        world.vm(vm, host, 100, 100);
    }
    let all = ["h1", "h2", "h3"];
    assert_eq!(rules(&problem_of(&world, &all, &[])), ["in", "apart"]);
    let answers = [key(EventKind::RuleBroken, "apart")];
    assert_eq!(rules(&problem_of(&world, &all, &answers)), ["in", "~in@astray", "apart"]);
    let answers = [key(EventKind::RuleBroken, "in")];
    assert_eq!(rules(&problem_of(&world, &all, &answers)), ["in", "~apart"]);
    assert_eq!(rules(&problem_of(&world, &["h3"], &answers)), ["~apart"]);
}

#[test]
fn vms_elsewhere_keep_their_share_of_a_rule() {
    let mut world = World::new(0);
    for (host, rack) in [("h1", "r1"), ("h2", "r2"), ("h3", "r2"), ("h4", "r3")] {
        world.host(host, &format!("rack={rack}"));
    }
    world.rule(r#"{"name": "apart", "spread": {"vm_selector": {"app": "a"}, "scope": "rack"}}"#);
    world.rule(r#"{"name": "near", "gather": {"vm_selector": {"app": "b"}, "scope": "rack"}}"#);
    world.vm("a1", "h1", 100, 100);
    world.vm("a2", "h3", 100, 100);
    world.vm("b1", "h3", 100, 100);
    world.vm("b2", "h2", 100, 100);
    // h3 has r2's share of `apart`, and is where the VMs of `near` belong.
    let made = problem_of(&world, &["h1", "h2", "h4"], &[key(EventKind::Overload, "h1")]);
    let bodies: Vec<_> =
        made.constraints.iter().map(|rule| (rule.name.as_str(), rule.body.clone())).collect();
    let ban = |vm: &str, closed: &[&str]| {
        let vms = dvms_solver::file::Vms { vms: vec![vm.into()], ..Default::default() };
        let hosts = closed.iter().map(|&host| host.to_owned()).collect();
        Some(Body::Ban { vms, hosts: dvms_solver::file::Hosts { hosts, ..Default::default() } })
    };
    assert_eq!(bodies[0], ("apart@h2", ban("a1", &["h2"])));
    assert_eq!(bodies[1], ("near@h1", ban("b2", &["h1", "h4"])));
    assert_eq!(bodies[2].0, "near");
    assert_eq!(bodies.len(), 3);
}

/// VMs that a rule whose name begins so closes a host to.
fn closed<'a>(made: &'a Problem, rule: &str, host: &str) -> Vec<&'a str> {
    let bans = made.constraints.iter().filter(|r| r.name.starts_with(rule) && r.soft_weight.is_none());
    let vms = bans.filter_map(|rule| match &rule.body {
        Some(Body::Ban { vms, hosts }) if hosts.hosts.iter().any(|h| h == host) => Some(vms),
        _ => None,
    });
    vms.flat_map(|vms| vms.vms.iter().map(String::as_str)).collect()
}

#[test]
fn a_broken_rule_that_another_plan_mends_takes_no_further_vms_where_it_is_broken() {
    let mut world = World::new(4);
    world.rule(r#"{"name": "apart", "spread": {"vm_selector": {"app": "a"}, "max": 2}}"#);
    world.rule(r#"{"name": "near", "gather": {"vm_selector": {"app": "b"}}}"#);
    for (vm, host) in [("a1", "h1"), ("a2", "h1"), ("a3", "h1"), ("a4", "h2"), ("a5", "h2"), ("a6", "h3")] {
        world.vm(vm, host, 100, 100);
    }
    for (vm, host) in [("b1", "h1"), ("b2", "h1"), ("b3", "h2")] {
        world.vm(vm, host, 100, 100);
    }
    let answers = [key(EventKind::Overload, "h1")];
    let made = problem_of(&world, &["h1", "h2", "h3", "h4"], &answers);
    assert!(rules(&made).contains(&"~apart".to_owned()) && rules(&made).contains(&"~near".to_owned()));
    assert_eq!(closed(&made, "apart", "h1"), ["a4", "a5", "a6"]);
    assert_eq!(closed(&made, "apart", "h2"), ["a1", "a2", "a3", "a6"], "it is full");
    assert_eq!(closed(&made, "apart", "h3"), [""; 0]);
    assert_eq!(closed(&made, "near", "h1"), ["b3"; 0], "where others are already it may be mended");
    assert_eq!(closed(&made, "near", "h3"), ["b1", "b2", "b3"]);
    assert_eq!(closed(&made, "near", "h4"), ["b1", "b2", "b3"]);
    // VMs elsewhere count as well.
    let made = problem_of(&world, &["h2", "h3", "h4"], &answers);
    assert_eq!(closed(&made, "apart", "h2"), ["a6"]);
    assert_eq!(closed(&made, "near", "h3"), ["b3"]);
}

#[test]
fn uplinks_are_links_of_the_problem() {
    let mut world = World::new(4);
    assert_eq!(problem_of(&world, &["h1", "h2"], &[]).network, None);
    for (host, rack, site) in [("h1", "r1", "s 1"), ("h2", "r2", "s 1"), ("h3", "r3", "s2")] {
        let labels = &mut world.cell.hosts.get_mut(host).unwrap().hello.labels;
        labels.insert("rack".into(), rack.into());
        labels.insert("site".into(), site.into());
    }
    let uplink =
        |label: &str, bandwidth_mib_s| Uplink { label: label.into(), max_concurrent: None, bandwidth_mib_s };
    world.settings.execution.uplinks =
        vec![uplink("rack", Some(80.0)), uplink("site", Some(30.0)), uplink("room", None)];
    let made = problem_of(&world, &["h1", "h2", "h3", "h4"], &[]);
    let network = made.network.clone().unwrap();
    let names: Vec<&str> = network.switches.iter().map(|switch| switch.name.as_str()).collect();
    assert_eq!(names, ["core", "site:s_1", "site:s2", "rack:r1", "rack:r2", "rack:r3"]);
    let model = dvms_solver::Problem::new(&made).unwrap();
    let rate = |a: &str, b: &str| {
        let host = |name: &str| model.host_ids().find(|host| model.host(*host).name == name).unwrap();
        model.rate_limit(host(a), host(b)).round() as i64
    };
    // Within a site over racks, between sites, and where no label tells anything but the core.
    assert_eq!([rate("h1", "h2"), rate("h1", "h3"), rate("h3", "h4"), rate("h4", "h4")], [80, 30, 30, 100]);

    // One with more values than a problem may have switches is left out; the coarser ones stay.
    let mut large = World::new(4_100);
    for (i, host) in large.cell.hosts.values_mut().enumerate() {
        host.hello.labels.insert("rack".into(), format!("r{i}"));
        host.hello.labels.insert("site".into(), "s".into());
    }
    large.settings.execution.uplinks = world.settings.execution.uplinks.clone();
    let names: Vec<String> = large.cell.hosts.keys().cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let made = problem_of(&large, &names, &[]);
    assert_eq!(made.network.as_ref().unwrap().switches.len(), 2, "the core and the site");
    dvms_solver::Problem::new(&made).unwrap();

    // A rack in two sites is no tree: what is coarser counts, the other when migrations begin only.
    world.cell.hosts.get_mut("h3").unwrap().hello.labels.insert("rack".into(), "r1".into());
    let network = problem_of(&world, &["h1", "h2", "h3", "h4"], &[]).network.unwrap();
    let labels: Vec<&str> = network.switches.iter().map(|switch| &switch.name[..4]).collect();
    assert_eq!(labels.iter().filter(|label| **label != "core").count(), 2, "{labels:?}");
}

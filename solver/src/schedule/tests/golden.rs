use super::{Case, schedule, waits};
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::file::ActionKind;
use std::time::Duration;

/// Hosts `name cpu` and VMs `name host cpu memory`, with more fields as JSON.
fn case(hosts: &[(&str, i64, &str)], vms: &[(&str, &str, i64, i64, &str)], more: &str) -> Case {
    let hosts: Vec<_> = (hosts.iter())
        .map(|(name, cpu, more)| {
            format!(r#"{{"name": "{name}", "capacity": {{"cpu": {cpu}, "memory": 100000}}{more}}}"#)
        })
        .collect();
    let vms: Vec<_> = (vms.iter())
        .map(|(name, host, cpu, memory, more)| {
            format!(
                r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": {memory}}}{more}}}"#
            )
        })
        .collect();
    Case::new(&format!(r#"{{"hosts": [{}], "vms": [{}]{more}}}"#, hosts.join(","), vms.join(",")))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn nothing_to_do_is_no_action() {
    let case = case(&[("a", 10, "")], &[("x", "a", 1, 1, "")], "");
    let timed = case.valid(&case.to(&[]));
    assert_eq!((timed.actions.len(), timed.way.makespan_s, timed.makespan_bound), (0, 0.0, 0.0));
}

#[test]
fn one_move_takes_what_the_contract_says() {
    // 1000 MiB at 1000 MiB/s with 500 MiB/s dirty: 1 / (1 − 0.5) + 0.03.
    let case =
        case(&[("a", 10, ""), ("b", 10, "")], &[("x", "a", 1, 1000, r#", "memory_dirty_rate": 500"#)], "");
    let timed = case.valid(&case.to(&[("x", "b")]));
    assert!(close(timed.way.makespan_s, 2.03) && close(timed.makespan_bound, 2.03));
    assert_eq!(timed.way.pivots, 0);
}

#[test]
fn what_leaves_a_host_ends_together_so_that_its_pauses_are_one() {
    // 1000 MiB/s, two at once. One after the other each adds its pause of 0.03 s.
    for (sizes, best) in [
        (&[1000, 1000][..], 2.03),
        (&[4000, 2000], 6.03),
        // Two lanes of 3000 MiB, and one pause more for one of them, which is given more: 3 / (T − 0.03) + 3 / (T − 0.06) = 1.
        (&[3000, 2000, 1000], 6.045_037_5),
        // The small ones share a lane, whose three pauses cost little.
        (&[9000, 1000, 1000, 1000], 12.045_056_4),
        (&[1000; 4], 4.06),
    ] {
        let vms: Vec<String> = (0..sizes.len()).map(|i| format!("v{i}")).collect();
        let hosts = ["a", "t0", "t1", "t2", "t3"].map(|name| (name, 10, ""));
        let running: Vec<_> =
            vms.iter().zip(sizes).map(|(name, size)| (name.as_str(), "a", 1, *size, "")).collect();
        let case = case(&hosts, &running, "");
        let targets: Vec<String> = (0..sizes.len()).map(|i| format!("t{i}")).collect();
        let to: Vec<_> = vms.iter().zip(&targets).map(|(vm, to)| (vm.as_str(), to.as_str())).collect();
        let timed = case.valid(&case.to(&to));
        assert!(close(timed.way.makespan_s, best), "{sizes:?}: {}", timed.way.makespan_s);
        // Equal ones cannot be faster, and it is known.
        let equal = sizes.iter().all(|size| *size == sizes[0]);
        assert!(!equal || close(timed.makespan_bound, best), "{sizes:?}: bound {}", timed.makespan_bound);
    }
}

#[test]
fn a_vm_that_is_dirty_too_fast_or_has_a_host_without_slots_cannot_go() {
    for (host, vm) in [
        ("", r#", "memory_dirty_rate": 800"#),
        (r#", "max_migrations": 0"#, ""),
        (r#", "migration_bandwidth": 0"#, ""),
        (r#", "state": "CORDONED""#, ""),
    ] {
        let case = case(&[("a", 10, ""), ("b", 10, host)], &[("x", "a", 1, 1000, vm)], "");
        let stuck = case.stuck(&case.to(&[("x", "b")]));
        assert!(stuck.proved && stuck.vms.contains(&case.vm("x")) && stuck.vms.len() == 1);
    }
}

#[test]
fn two_full_hosts_swap_through_a_third() {
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "a")]));
    assert_eq!((timed.actions.len(), timed.way.pivots), (3, 1));
    // The smaller one steps aside.
    assert_eq!((timed.actions[0].vm.as_str(), timed.actions[0].destination.as_str()), ("y", "c"));
    assert_eq!(waits(&timed)["x>b"], ["y"]);
    assert_eq!(waits(&timed)["y>a"], ["x"]);
    assert!(close(timed.way.makespan_s, 1.03 + 4.03 + 1.03));
}

#[test]
fn two_full_hosts_cannot_swap_without_a_third() {
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 9, "")],
        &[("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")],
        "",
    );
    let stuck = case.stuck(&case.to(&[("x", "b"), ("y", "a")]));
    assert_eq!(stuck.vms, [case.vm("x"), case.vm("y")].into());
    assert!(stuck.proved);
}

#[test]
fn a_budget_that_has_ended_proves_nothing() {
    let case =
        case(&[("a", 10, ""), ("b", 10, "")], &[("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")], "");
    let to = case.to(&[("x", "b"), ("y", "a")]);
    assert!(case.stuck(&to).proved);
    let ended = Budget::new(Duration::ZERO, None, &Cancel::default());
    let stuck = schedule(&case.problem, &Rules::new(&case.problem), &to, &ended).unwrap_err();
    assert!(!stuck.proved && stuck.vms.len() == 2);
}

#[test]
fn a_pivot_counts_against_the_limit_of_migrations() {
    let hosts = [("a", 10, ""), ("b", 10, ""), ("c", 10, "")];
    let vms = [("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")];
    let few = case(&hosts, &vms, r#", "limits": {"max_migrations": 2}"#);
    assert!(few.stuck(&few.to(&[("x", "b"), ("y", "a")])).proved);
    let enough = case(&hosts, &vms, r#", "limits": {"max_migrations": 3}"#);
    enough.valid(&enough.to(&[("x", "b"), ("y", "a")]));
}

#[test]
fn a_pivot_goes_only_where_it_may() {
    for third in [
        r#", "state": "DRAINING""#,
        r#", "state": "CORDONED""#,
        r#", "state": "OFFLINE""#,
        r#", "max_migrations": 0"#,
    ] {
        let case = case(
            &[("a", 10, ""), ("b", 10, ""), ("c", 10, third)],
            &[("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")],
            "",
        );
        assert!(case.stuck(&case.to(&[("x", "b"), ("y", "a")])).proved, "{third}");
    }
    // y, the cheaper one, may never be on c.
    let banned = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 10, 4000, ""), ("y", "b", 10, 1000, "")],
        r#", "constraints": [{"name": "no", "continuous": true, "ban": {"vms": ["y"], "hosts": ["c"]}}]"#,
    );
    let timed = banned.valid(&banned.to(&[("x", "b"), ("y", "a")]));
    assert_eq!(timed.actions[0].vm, "x");
}

#[test]
fn a_chain_goes_from_its_free_end() {
    let full: Vec<_> = ["a", "b", "c"].into_iter().map(|host| (host, 10, "")).collect();
    let case = case(
        &[full, vec![("d", 10, "")]].concat(),
        &[("x", "a", 10, 1000, ""), ("y", "b", 10, 1000, ""), ("z", "c", 10, 1000, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "c"), ("z", "d")]));
    let order: Vec<_> = timed.actions.iter().map(|action| action.vm.as_str()).collect();
    assert_eq!(order, ["z", "y", "x"]);
    assert_eq!(
        (&waits(&timed)["y>c"], &waits(&timed)["x>b"]),
        (&vec!["z".to_owned()], &vec!["y".to_owned()])
    );
    assert!(close(timed.way.makespan_s, 3.0 * 1.03));
}

#[test]
fn an_overload_is_relieved_first() {
    // Both want the one slot of c; the longer of them would go first otherwise.
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 20, r#", "max_migrations": 1"#)],
        &[("x", "a", 5, 9000, ""), ("y", "b", 6, 1000, ""), ("z", "b", 6, 1000, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "c"), ("y", "c")]));
    let order: Vec<_> = timed.actions.iter().map(|action| action.vm.as_str()).collect();
    assert_eq!(order, ["y", "x"]);
}

#[test]
fn a_host_that_is_over_takes_nothing_before_it_has_room() {
    // b is over by 2. x needs 3 there: both y and z must have left it.
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 3, 100, ""), ("y", "b", 3, 1000, ""), ("z", "b", 3, 2000, ""), ("w", "b", 6, 1, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "c"), ("z", "c")]));
    assert_eq!(waits(&timed)["x>b"].len(), 2);
}

#[test]
fn a_continuous_spread_forces_an_order() {
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 1, 1000, ""), ("y", "b", 1, 1000, "")],
        r#", "constraints": [{"name": "apart", "continuous": true, "spread": {"vms": ["x", "y"]}}]"#,
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "c")]));
    assert_eq!(waits(&timed)["x>b"], ["y"]);
    // A swap needs a pivot for the rule alone.
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "a")]));
    assert_eq!((timed.actions.len(), timed.way.pivots), (3, 1));
}

#[test]
fn a_spread_over_racks_is_kept_by_pivots_too() {
    let rack = |name: &'static str| match name {
        "1" => r#", "labels": {"rack": "r1"}"#,
        "2" => r#", "labels": {"rack": "r2"}"#,
        _ => r#", "labels": {"rack": "r3"}"#,
    };
    let case = case(
        &[("a", 10, rack("1")), ("a2", 10, rack("1")), ("b", 10, rack("2")), ("c", 10, rack("3"))],
        &[("x", "a", 1, 1000, ""), ("y", "b", 1, 2000, "")],
        r#", "constraints": [{"name": "apart", "continuous": true, "spread": {"vms": ["x", "y"], "scope": "rack"}}]"#,
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "a2")]));
    assert_eq!(timed.way.pivots, 1);
    assert_eq!(timed.actions[0].destination, "c");
    // Within its rack a VM may go as it likes.
    assert_eq!(case.valid(&case.to(&[("x", "a2")])).actions.len(), 1);
}

#[test]
fn slots_of_hosts_are_kept() {
    let vms: Vec<String> = (0..6).map(|i| format!("v{i}")).collect();
    let list: Vec<_> = vms.iter().map(|vm| (vm.as_str(), "a", 1, 0, "")).collect();
    let case =
        case(&[("a", 10, r#", "max_migrations": 3"#), ("b", 10, r#", "max_migrations": 9"#)], &list, "");
    let changes: Vec<_> = vms.iter().map(|vm| (vm.as_str(), "b")).collect();
    let timed = case.valid(&case.to(&changes));
    // No memory: each takes 0.03 s and no bandwidth, three at once.
    assert!(close(timed.way.makespan_s, 0.06), "{}", timed.way.makespan_s);
    assert!(close(timed.makespan_bound, 0.06));
}

#[test]
fn the_backbone_is_shared() {
    let names: Vec<(String, String)> = (0..4).map(|i| (format!("s{i}"), format!("d{i}"))).collect();
    let hosts: Vec<_> =
        names.iter().flat_map(|(s, d)| [(s.as_str(), 10, ""), (d.as_str(), 10, "")]).collect();
    let vms: Vec<_> = names.iter().map(|(s, _)| (s.as_str(), s.as_str(), 1, 1000, "")).collect();
    let case = case(&hosts, &vms, r#", "limits": {"backbone_bandwidth": 2000}"#);
    let changes: Vec<_> = names.iter().map(|(s, d)| (s.as_str(), d.as_str())).collect();
    let timed = case.valid(&case.to(&changes));
    // 4000 MiB through 2000 MiB/s.
    assert!(close(timed.makespan_bound, 2.0));
    assert!(timed.way.makespan_s < 2.061, "{}", timed.way.makespan_s);
}

#[test]
fn what_writes_as_it_goes_goes_one_at_a_time_in_rounds() {
    // From 12 hosts to 6, four to each; to share a port would cost time.
    let slow = r#", "migration_bandwidth": 100, "max_migrations": 9"#;
    let names: Vec<String> = (0..18).map(|i| format!("h{i}")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (name.as_str(), 40, slow)).collect();
    for seed in 0..8_u64 {
        let mut random = super::generate::Random(seed);
        let vms: Vec<(String, usize)> = (0..24).map(|i| (format!("v{i}"), random.below(12))).collect();
        let dirty = r#", "memory_dirty_rate": 20"#;
        let list: Vec<_> =
            vms.iter().map(|(vm, from)| (vm.as_str(), names[*from].as_str(), 1, 800, dirty)).collect();
        let case = case(&hosts, &list, "");
        let to: Vec<_> =
            vms.iter().enumerate().map(|(i, (vm, _))| (vm.as_str(), names[12 + i % 6].as_str())).collect();
        let timed = case.valid(&case.to(&to));
        let leave = |host: usize| vms.iter().filter(|(_, from)| *from == host).count();
        let busiest = (0..12).map(leave).max().unwrap().max(4);
        // 800 MiB at 80 MiB/s beyond what is written.
        assert!(close(timed.way.makespan_s, busiest as f64 * 10.03), "{seed}: {}", timed.way.makespan_s);
        assert!(close(timed.makespan_bound, timed.way.makespan_s), "{seed}: bound {}", timed.makespan_bound);
    }
}

#[test]
fn waiting_vms_and_those_of_a_failed_host_are_started_where_room_was_made() {
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("f", 10, r#", "state": "FAILED""#)],
        &[("x", "a", 8, 1000, ""), ("w", "", 5, 1000, ""), ("d", "f", 4, 1000, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("w", "a"), ("d", "a")]));
    assert_eq!(timed.actions[0].vm, "x");
    for action in &timed.actions[1..] {
        assert_eq!((action.kind, action.after.as_slice()), (ActionKind::Start, [1].as_slice()));
        assert_eq!(action.source, if action.vm == "d" { "f" } else { "" });
        assert_eq!(action.start_s, timed.actions[0].end_s);
    }
}

#[test]
fn a_start_does_not_take_the_room_that_a_pivot_needs() {
    // w fits on c at once, but then nothing can step aside.
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 10, 1000, ""), ("y", "b", 10, 1000, ""), ("w", "", 5, 1000, "")],
        "",
    );
    let timed = case.valid(&case.to(&[("x", "b"), ("y", "a"), ("w", "c")]));
    assert_eq!(timed.actions.len(), 4);
}

#[test]
fn a_drain_uses_all_slots() {
    let vms: Vec<String> = (0..30).map(|i| format!("v{i}")).collect();
    let list: Vec<_> = vms.iter().map(|vm| (vm.as_str(), "a", 1, 1000, "")).collect();
    let names: Vec<String> = (0..10).map(|i| format!("h{i}")).collect();
    let slow = r#", "migration_bandwidth": 125"#;
    let mut hosts = vec![("a", 40, r#", "state": "DRAINING", "max_migrations": 8"#)];
    hosts.extend(names.iter().map(|name| (name.as_str(), 10, slow)));
    let case = case(&hosts, &list, "");
    let changes: Vec<_> =
        vms.iter().enumerate().map(|(i, vm)| (vm.as_str(), names[i % 10].as_str())).collect();
    let timed = case.valid(&case.to(&changes));
    // Each takes 8.03 s at 125 MiB/s, eight at once: four rounds.
    assert!(close(timed.way.makespan_s, 4.0 * 8.03), "{}", timed.way.makespan_s);
    assert!(timed.actions.iter().all(|action| action.after.is_empty()), "there is room for all");
}

#[test]
fn several_step_aside_together_if_one_is_not_enough() {
    let tight = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 4, ""), ("d", 4, "")],
        &[("x", "a", 10, 90000, ""), ("p", "b", 4, 100, ""), ("q", "b", 4, 100, ""), ("r", "b", 2, 100, "")],
        "",
    );
    // c or d must take two of them: 4 + 4 and 2 do not fit on two hosts of 4.
    let to = tight.to(&[("x", "b"), ("p", "a"), ("q", "a"), ("r", "a")]);
    assert!(tight.stuck(&to).proved);
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 6, ""), ("d", 4, "")],
        &[("x", "a", 10, 90000, ""), ("p", "b", 4, 100, ""), ("q", "b", 4, 100, ""), ("r", "b", 2, 100, "")],
        "",
    );
    let timed = case.valid(&to);
    assert_eq!((timed.way.pivots, timed.actions.len()), (3, 7));
}

#[test]
fn a_bystander_steps_aside_and_comes_back_only_if_it_must() {
    let vms = [("x", "a", 10, 100, ""), ("y", "b", 10, 100, ""), ("s", "c", 5, 50, "")];
    let hosts = [("a", 10, ""), ("b", 10, ""), ("c", 10, ""), ("d", 5, "")];
    let free = case(&hosts, &vms, r#", "objective": "REPAIR""#);
    let to = free.to(&[("x", "b"), ("y", "a")]);
    let timed = free.valid(&to);
    assert_eq!((timed.way.pivots, timed.way.detour_mib), (3, 50));
    let last = timed.actions.iter().rfind(|action| action.vm == "s").unwrap();
    assert_eq!(last.destination, "c");
    let pinned = [vms[0], vms[1], ("s", "c", 5, 50, r#", "pinned": true"#)];
    let pinned = case(&hosts, &pinned, "");
    assert!(pinned.stuck(&to).proved);
}

#[test]
fn who_ends_together_shares_the_bandwidth_by_what_is_to_be_sent() {
    let case = case(
        &[("a", 10, ""), ("b", 10, ""), ("c", 10, "")],
        &[("x", "a", 1, 500, ""), ("y", "a", 1, 9000, "")],
        r#", "constraints": [{"name": "s", "sync": {"vms": ["x", "y"]}}]"#,
    );
    let to = case.to(&[("x", "b"), ("y", "c")]);
    let timed = case.schedule(&to).unwrap();
    case.assert_valid(&to, &timed);
    // 9500 MiB at 1000 MiB/s, and one pause.
    assert!(close(timed.way.makespan_s, 9.53), "{}", timed.way.makespan_s);
}

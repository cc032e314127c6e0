//! Small plans whose course can be worked out by hand.

use super::super::{Real, Run, Timeline};
use super::{carried, chain, timeline, used};
use crate::file::{Plan, Problem};

/// Hosts of 10 cores and 1000 MiB/s, one migration of 1000 MiB lasts 1.03 s.
fn hosts(list: &[(&str, &str)]) -> String {
    let host = |(name, more): &(&str, &str)| {
        format!(r#"{{"name": "{name}", "capacity": {{"cpu": 10, "memory": 99000}}{more}}}"#)
    };
    list.iter().map(host).collect::<Vec<_>>().join(", ")
}

fn vm(name: &str, host: &str, cpu: i64) -> String {
    format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": 1000}}}}"#)
}

#[test]
fn a_swap_goes_through_a_pivot() {
    let vms = [vm("x", "a", 8), vm("y", "b", 8)].join(", ");
    let problem = format!(
        r#"{{"hosts": [{}], "vms": [{vms}], "objectives": ["MAKESPAN"]}}"#,
        hosts(&[("a", ""), ("b", ""), ("c", "")])
    );
    let actions = r#"[
        {"id": 1, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "c", "start_s": 0, "end_s": 1.03, "after": []},
        {"id": 2, "type": "MIGRATE", "vm": "y", "source": "b", "destination": "a", "start_s": 1.03, "end_s": 2.06, "after": [1]},
        {"id": 3, "type": "MIGRATE", "vm": "x", "source": "c", "destination": "b", "start_s": 2.06, "end_s": 3.09, "after": [1, 2]}]"#;
    let timeline = timeline(&problem, actions, r#"{"x": "b", "y": "a"}"#);
    // On the way a VM counts at both ends.
    assert_eq!(used(&timeline, "a", "cpu"), [(0.0, 8)]);
    assert_eq!(used(&timeline, "b", "cpu"), [(0.0, 8)]);
    assert_eq!(used(&timeline, "c", "cpu"), [(0.0, 8), (3.09, 0)]);
    assert_eq!(carried(&timeline, "port of a in"), [(0.0, 0.0), (1.03, 1000.0), (2.06, 0.0)]);
    assert_eq!(carried(&timeline, "migrations at c"), [(0.0, 1.0), (1.03, 0.0), (2.06, 1.0), (3.09, 0.0)]);
    assert_eq!(chain(&timeline), ["1 first", "2 after 1", "3 after 2"]);
    assert_eq!((timeline.chain.actions.as_slice(), timeline.chain.seconds), (&[1, 2, 3][..], 3.09));
    // Either could go first, and then the other has to wait for it.
    let bound = timeline.bound().unwrap();
    assert!((bound.seconds - 2.06).abs() < 1e-9, "{:?}", timeline.bounds);
    let steps: Vec<_> = timeline.steps.iter().map(|s| (s.at_s, s.ends.clone(), s.begins.clone())).collect();
    assert_eq!(
        steps,
        [(0.0, vec![], vec![1]), (1.03, vec![1], vec![2]), (2.06, vec![2], vec![3]), (3.09, vec![3], vec![])]
    );
    // It leaves a as the other comes: nothing else is used than before.
    assert!(timeline.steps[1].changes.is_empty(), "{:?}", timeline.steps[1].changes);
    assert_eq!(timeline.waiting(0), [(2, vec![1]), (3, vec![1, 2])]);
    assert_eq!(timeline.waiting(1), [(3, vec![2])]);
}

#[test]
fn what_shares_a_port_without_waiting_is_a_chain_as_well() {
    let vms = [vm("x", "a", 1), vm("y", "a", 1), vm("z", "a", 1)].join(", ");
    let one = r#", "max_migrations": 1, "state": "DRAINING""#;
    let problem = format!(r#"{{"hosts": [{}], "vms": [{vms}]}}"#, hosts(&[("a", one), ("b", "")]));
    let actions = r#"[
        {"id": 7, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "b", "start_s": 0, "end_s": 1.03},
        {"id": 8, "type": "MIGRATE", "vm": "y", "source": "a", "destination": "b", "start_s": 1.03, "end_s": 2.06},
        {"id": 9, "type": "MIGRATE", "vm": "z", "source": "a", "destination": "b", "start_s": 2.06, "end_s": 3.09}]"#;
    let timeline = timeline(&problem, actions, r#"{"x": "b", "y": "b", "z": "b"}"#);
    assert_eq!(
        chain(&timeline),
        ["7 first", "8 shares port of a out with 7", "9 shares port of a out with 8"]
    );
    assert_eq!((timeline.chain.actions.len(), timeline.chain.seconds), (1, 1.03));
    let bound = timeline.bound().unwrap();
    assert_eq!((bound.what.to_string().as_str(), (bound.seconds * 100.0).round()), ("port of a out", 309.0));
    assert_eq!(timeline.loads[0].busy_s.max(3.0), timeline.loads[0].busy_s);
    assert!(timeline.waiting(0).iter().all(|(_, open)| open.is_empty()));
}

#[test]
fn a_host_is_booted_before_a_vm_comes() {
    let problem = format!(
        r#"{{"hosts": [{}], "vms": [{}], "limits": {{"power_actions": true}}}}"#,
        hosts(&[("a", r#", "state": "DRAINING""#), ("b", r#", "state": "OFFLINE", "boot_s": 60"#)]),
        vm("x", "a", 4)
    );
    let actions = r#"[
        {"id": 1, "type": "BOOT", "destination": "b", "start_s": 0, "end_s": 60},
        {"id": 2, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "b", "start_s": 60, "end_s": 61.03, "after": [1]},
        {"id": 3, "type": "SHUTDOWN", "source": "a", "start_s": 61.03, "end_s": 61.03, "after": [2]}]"#;
    let timeline = timeline(&problem, actions, r#"{"x": "b"}"#);
    let states = |i: usize| timeline.hosts[i].states.steps().collect::<Vec<_>>();
    assert_eq!(states(0), [(0.0, "DRAINING"), (61.03, "OFFLINE")]);
    assert_eq!(states(1), [(0.0, "BOOTING"), (60.0, "ONLINE")]);
    assert_eq!(used(&timeline, "b", "cpu"), [(0.0, 0), (60.0, 4)]);
    assert_eq!(timeline.chain.actions, [1, 2, 3]);
    let bound = timeline.bound().unwrap();
    assert_eq!((bound.what.to_string().as_str(), bound.seconds), ("way of x once there is room", 61.03));
    let boot = timeline.bounds.iter().find(|bound| bound.what.to_string() == "boot of b").unwrap();
    assert_eq!(boot.seconds, 60.0);
}

#[test]
fn two_transfers_share_a_link() {
    let network = r#""network": {"switches": [{"name": "l"}, {"name": "r"}], "links": [
        {"name": "up", "a": "l", "b": "r", "bandwidth": 1000}, {"name": "la", "a": "a", "b": "l"},
        {"name": "lb", "a": "b", "b": "l"}, {"name": "rc", "a": "c", "b": "r"}, {"name": "rd", "a": "d", "b": "r"}]}"#;
    let drains = r#", "state": "DRAINING""#;
    let problem = format!(
        r#"{{"hosts": [{}], "vms": [{}, {}], {network}}}"#,
        hosts(&[("a", drains), ("b", drains), ("c", ""), ("d", "")]),
        vm("x", "a", 1),
        vm("y", "b", 1)
    );
    let actions = r#"[
        {"id": 1, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "c", "start_s": 0, "end_s": 2.03},
        {"id": 2, "type": "MIGRATE", "vm": "y", "source": "b", "destination": "d", "start_s": 0, "end_s": 2.03}]"#;
    let timeline = timeline(&problem, actions, r#"{"x": "c", "y": "d"}"#);
    assert_eq!(carried(&timeline, "link up from l"), [(0.0, 1000.0), (2.03, 0.0)]);
    assert_eq!(timeline.loads[0].what.to_string(), "link up from l", "the busiest is the first");
    assert!((timeline.actions[0].rate_mib_s - 500.0).abs() < 1e-6);
    let bound = timeline.bound().unwrap();
    assert_eq!((bound.what.to_string().as_str(), bound.seconds), ("link up from l", 2.0));
    assert_eq!(chain(&timeline).len(), 1);
}

#[test]
fn what_really_happens_stands_beside_the_plan() {
    let text = format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts(&[("a", ""), ("b", "")]), vm("x", "a", 4));
    let problem = crate::Problem::new(&Problem::from_json(&text).unwrap()).unwrap();
    let text = r#"{"status": "FEASIBLE", "actions": [
        {"id": 1, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "b", "end_s": 1.03}]}"#;
    let plan = Plan::from_json(text).unwrap();
    let real = Real { id: 1, state: "RUNNING".to_owned(), start_s: Some(0.5), end_s: None };
    let run = Run { actions: vec![real.clone()], now_s: 4.0 };
    let timeline = Timeline::new(&problem, &plan, Some(&run)).unwrap();
    assert_eq!((timeline.makespan_s, timeline.real_s, timeline.until_s()), (1.03, Some(4.0), 4.0));
    assert_eq!(timeline.actions[0].real, Some(real));
    let written = serde_json::to_value(&timeline).unwrap();
    assert_eq!(written["actions"][0]["vm"], "x");
    assert_eq!(written["actions"][0]["real"]["state"], "RUNNING");
    assert_eq!(written["hosts"][1]["uses"][0]["steps"], serde_json::json!([[0.0, 4]]));
}

#[test]
fn what_cannot_be_drawn_is_named_with_its_place() {
    let text = format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts(&[("a", ""), ("b", "")]), vm("x", "a", 4));
    let problem = crate::Problem::new(&Problem::from_json(&text).unwrap()).unwrap();
    let faults = |actions: &str| {
        let text = format!(r#"{{"status": "FEASIBLE", "actions": [{actions}]}}"#);
        let rejected = Timeline::new(&problem, &Plan::from_json(&text).unwrap(), None).unwrap_err();
        rejected.faults.into_iter().map(|fault| fault.path).collect::<Vec<_>>()
    };
    let action = |id: u64, more: &str| {
        format!(r#"{{"id": {id}, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "b", {more}}}"#)
    };
    assert_eq!(
        faults(r#"{"id": 1, "type": "MIGRATE", "vm": "v", "source": "g", "destination": "b"}"#),
        ["actions[0].vm", "actions[0].source"]
    );
    assert_eq!(faults(&action(1, r#""start_s": 3, "end_s": 2"#)), ["actions[0].end_s"]);
    assert_eq!(faults(&action(1, r#""after": [4]"#)), ["actions[0].after"]);
    assert_eq!(faults(&action(1, r#""numa": [0]"#)), ["actions[0].numa"]);
    assert_eq!(
        faults(&[action(1, r#""after": []"#), action(1, r#""after": []"#)].join(",")),
        ["actions[1].id"]
    );
    assert_eq!(faults(&[action(1, r#""after": [2]"#), action(2, r#""after": [1]"#)].join(",")), ["actions"]);
}

//! Writing instances and plans.

use super::super::format::{Constraint as Theirs, Deed, Event};
use super::super::{export, export_plan};
use super::named;
use dvms_solver::file::{Plan, Problem};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn problem(value: &Value) -> Problem {
    let problem = Problem::from_json(&value.to_string()).unwrap();
    dvms_solver::Problem::new(&problem).unwrap();
    problem
}

#[allow(clippy::needless_pass_by_value, reason = "files are written where they are used")]
fn rack(constraints: Value) -> Problem {
    problem(&json!({
        "hosts": [
            {"name": "a", "capacity": {"memory": 1000}, "overcommit": {"memory": 1.5}, "labels": {"rack": "r1"}},
            {"name": "b", "capacity": {"memory": 1000}, "labels": {"rack": "r1"}},
            {"name": "c", "capacity": {"memory": 1000}, "state": "CORDONED", "labels": {"rack": "r2"}},
            {"name": "d", "capacity": {"memory": 1000}, "state": "FAILED"},
        ],
        "vms": [
            {"name": "x", "host": "a", "demand": {"memory": 100}, "arrival_demand": {"memory": 150}},
            {"name": "y", "host": "c", "demand": {"memory": 200}, "pinned": true},
            {"name": "z", "host": "d", "demand": {"memory": 300}},
            {"name": "w", "host": "b", "demand": {"memory": 1}, "arrival_demand": {"memory": 2}},
        ],
        "constraints": constraints,
    }))
}

fn constraints(rules: Value) -> Vec<Theirs> {
    export(&rack(rules), &BTreeSet::new()).unwrap().instance.constraints
}

#[test]
fn states_become_constraints() {
    let instance = export(&rack(json!([])), &BTreeSet::new()).unwrap().instance;
    let mapping = &instance.model.mapping;
    assert_eq!(mapping.offline_nodes, [3]);
    assert_eq!(mapping.online_nodes[&2].running, [1]);
    // Down with its host.
    assert_eq!(mapping.ready_vms, [2]);
    let closed = |vm| Theirs::Ban { vm, nodes: vec![2], continuous: false };
    let preserve = |vm, amount| Theirs::Preserve { vm, rc: "memory".to_owned(), amount };
    let expected = [
        Theirs::Online { node: 0 },
        Theirs::Online { node: 1 },
        Theirs::Online { node: 2 },
        Theirs::Offline { node: 3 },
        preserve(0, 150),
        closed(0),
        Theirs::Root { vm: 1 },
        Theirs::Running { vm: 2 },
        closed(2),
        preserve(3, 2),
        closed(3),
    ];
    assert_eq!(instance.constraints, expected);
    let memory = &instance.model.views[0];
    assert_eq!(memory["nodes"], json!({"0": 1500, "1": 1000, "2": 1000, "3": 1000}));
    let names = instance.model.views.iter().find(|view| view["id"] == "ns" && view["type"] == "vm").unwrap();
    assert_eq!(names["map"], json!({"x": 0, "y": 1, "z": 2, "w": 3}));
}

#[test]
fn a_scope_becomes_groups_of_nodes() {
    let all = constraints(json!([{"name": "r", "gather": {"vms": ["x", "w"], "scope": "rack"}}]));
    let Some(Theirs::Among { vms, parts, continuous: false }) = all.last() else { panic!("{all:?}") };
    assert_eq!(*vms, [0, 3]);
    assert_eq!(*parts, [vec![0, 1], vec![2], vec![3]]);
}

#[test]
fn what_it_has_no_words_for_is_named() {
    for (rule, feature) in [
        (json!({"spread": {"vms": ["x", "w"], "scope": "rack"}}), "spread"),
        (json!({"spread": {"vms": ["x", "w"], "max": 2}}), "spread"),
        (json!({"soft_weight": 2, "ban": {"vms": ["x"], "hosts": ["b"]}}), "soft-rules"),
        (json!({"headroom": {"hosts": ["a"], "resource": "memory", "min": 1}}), "headroom"),
        (json!({"spare_hosts": {"hosts": ["a", "b"], "min": 0}}), "spare-hosts"),
        (
            json!({"among": {"vms": ["x"], "host_groups": [{"hosts": ["a"]}, {"hosts": ["a", "b"]}]}}),
            "overlapping-groups",
        ),
    ] {
        let mut rule = rule;
        rule["name"] = json!("r");
        let gaps = export(&rack(json!([rule])), &BTreeSet::new()).unwrap_err();
        assert_eq!(named(&gaps), [feature], "{rule}");
        assert_eq!(gaps.0[0].path, "constraints[0]");
        export(&rack(json!([rule])), &BTreeSet::from([feature.to_owned()])).unwrap();
    }
    let mut even = rack(json!([]));
    "BALANCE".clone_into(&mut even.objective);
    assert_eq!(named(&export(&even, &BTreeSet::new()).unwrap_err()), ["objective"]);
}

#[test]
fn links_are_as_they_can_be_said_or_named() {
    let of = |link: Value| {
        let mut wire = json!({"name": "wire", "a": "a", "b": "s", "bandwidth": 100.0});
        wire.as_object_mut().unwrap().extend(link.as_object().unwrap().clone());
        let network = json!({
            "switches": [{"name": "s"}],
            "links": [wire, {"name": "other", "a": "b", "b": "s", "latency_ms": 0.0}],
        });
        let host = |name: &str| json!({"name": name, "capacity": {"memory": 1000}});
        problem(&json!({"hosts": [host("a"), host("b")], "vms": [], "network": network}))
    };
    assert_eq!(export(&of(json!({})), &BTreeSet::new()).unwrap().instance.constraints.len(), 2);
    for (link, feature) in
        [(json!({"half_duplex": true}), "half-duplex"), (json!({"latency_ms": 0.5}), "latency")]
    {
        let gaps = export(&of(link.clone()), &BTreeSet::new()).unwrap_err();
        assert_eq!((named(&gaps), gaps.0[0].path.as_str()), (vec![feature], "network.links[0]"));
        export(&of(link), &BTreeSet::from([feature.to_owned()])).unwrap();
    }
}

#[test]
fn a_plan_allocates_what_changes() {
    let problem = rack(json!([]));
    let plan = json!({
        "status": "FEASIBLE",
        "actions": [
            {"id": 1, "type": "MIGRATE", "vm": "x", "source": "a", "destination": "b", "start_s": 0, "end_s": 0.13, "because": "b"},
            {"id": 2, "type": "START", "vm": "z", "destination": "b", "start_s": 0.13, "end_s": 0.13, "after": [1], "because": "b"},
        ],
        "placement": {"x": "b", "y": "c", "z": "b", "w": "b"},
    });
    let plan = Plan::from_json(&plan.to_string()).unwrap();
    let (written, notes) = export_plan(&problem, &plan, &BTreeSet::new()).unwrap();
    assert_eq!(notes.len(), 1);
    let [moved, started, grown] = written.actions.as_slice() else { panic!("{written:?}") };
    assert!(matches!(moved.what, Deed::Migrate { vm: 0, from: 0, to: 1, .. }));
    let rc = "memory".to_owned();
    assert_eq!(moved.hooks.post, [Event::Allocate { vm: 0, rc: rc.clone(), amount: 150 }]);
    assert_eq!((moved.start, moved.end, started.start, started.end), (0, 1, 1, 2));
    assert_eq!(started.what, Deed::BootVm { vm: 2, on: 1 });
    assert_eq!(grown.what, Deed::Allocate { vm: 3, on: 1, rc, amount: 2 });
    assert_eq!((grown.start, grown.end), (2, 2));
    assert!(written.origin.is_some());
}

proptest! {
    /// What ended by the start of another still does, each lasts as long as it must, and `after` is kept.
    #[test]
    fn whole_seconds_keep_the_order(times in prop::collection::vec((0.0..20.0f64, 0.0..9.0f64), 1..14)) {
        let hosts: Vec<Value> =
            (0..2).map(|i| json!({"name": format!("n{i}"), "capacity": {"memory": 9000}})).collect();
        let vms: Vec<Value> = (0..times.len())
            .map(|i| json!({"name": format!("vm{i}"), "host": "n0", "demand": {"memory": 1}}))
            .collect();
        let problem = problem(&json!({"hosts": hosts, "vms": vms}));
        let actions: Vec<Value> = times.iter().enumerate().map(|(i, (start, lasts))| {
            let ended = |j: &usize| times[*j].0 + times[*j].1 <= *start && j != &i && times[*j].0 < *start;
            let after: Vec<usize> = (0..times.len()).filter(ended).map(|j| j + 1).take(2).collect();
            json!({"id": i + 1, "type": "MIGRATE", "vm": format!("vm{i}"), "source": "n0", "destination": "n1",
                "start_s": start, "end_s": start + lasts, "after": after, "because": "b"})
        }).collect();
        let plan = Plan::from_json(&json!({"status": "FEASIBLE", "actions": actions}).to_string()).unwrap();
        let (written, _) = export_plan(&problem, &plan, &BTreeSet::new()).unwrap();
        for (i, action) in written.actions.iter().enumerate() {
            prop_assert!((action.end - action.start) as f64 >= times[i].1 - 1e-6);
            prop_assert!(action.end > action.start);
            for (j, other) in written.actions.iter().enumerate() {
                if i != j && times[j].0 + times[j].1 <= times[i].0 && times[j].0 < times[i].0 {
                    prop_assert!(other.end <= action.start, "{j} then {i}: {times:?}");
                }
            }
        }
    }
}

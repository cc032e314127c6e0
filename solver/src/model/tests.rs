use super::{Body, HostState, Objective, Problem};
use crate::constraints::{Fence, Gather, Spread};
use crate::file;

fn build(json: &str) -> Result<Problem, super::Rejected> {
    Problem::new(&file::Problem::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}")))
}

/// A problem of two hosts and one VM with one part replaced.
fn with(part: &str) -> String {
    let rest = match part {
        p if p.starts_with("\"hosts\"") => r#""vms": []"#,
        p if p.starts_with("\"vms\"") => r#""hosts": [{"name": "a", "capacity": {"cpu": 9}}]"#,
        _ => {
            r#""hosts": [{"name": "a", "capacity": {"cpu": 9}, "labels": {"rack": "r"}}, {"name": "b"}],
               "vms": [{"name": "v", "host": "a", "labels": {"app": "web"}}]"#
        }
    };
    format!("{{{part}, {rest}}}")
}

#[track_caller]
fn refused(part: &str, path: &str, says: &str, unsupported: bool) {
    let faults = build(&with(part)).expect_err(part).faults;
    let found =
        faults.iter().any(|f| f.path == path && f.message.contains(says) && f.unsupported == unsupported);
    assert!(found, "{part}: no fault {path:?} saying {says:?} among {faults:?}");
}

#[test]
fn wrong_values_are_refused_with_their_path() {
    for (part, path, says) in [
        (r#""hosts": [{"name": ""}]"#, "hosts[0].name", "is not a name"),
        (r#""hosts": [{"name": "a b"}]"#, "hosts[0].name", "is not a name"),
        (r#""hosts": [{"name": "é"}]"#, "hosts[0].name", "is not a name"),
        (r#""hosts": [{"name": "a"}, {"name": "a"}]"#, "hosts[1].name", "already used by hosts[0]"),
        (r#""hosts": [{"name": "a", "state": "BROKEN"}]"#, "hosts[0].state", "must be ONLINE"),
        (r#""hosts": [{"name": "a", "state": "online"}]"#, "hosts[0].state", "must be ONLINE"),
        (
            r#""hosts": [{"name": "a", "capacity": {"cpu": -1}}]"#,
            "hosts[0].capacity.cpu",
            "within 0..2^53, is -1",
        ),
        (
            r#""hosts": [{"name": "a", "capacity": {"cpu": 9007199254740993}}]"#,
            "hosts[0].capacity.cpu",
            "2^53",
        ),
        (r#""hosts": [{"name": "a", "capacity": {"c p": 1}}]"#, "hosts[0].capacity.c p", "is not a name"),
        (r#""hosts": [{"name": "a", "overcommit": {"cpu": -0.5}}]"#, "hosts[0].overcommit.cpu", "ratio"),
        (r#""hosts": [{"name": "a", "overcommit": {"cpu": 1e300}}]"#, "hosts[0].overcommit.cpu", "ratio"),
        (
            r#""hosts": [{"name": "a", "overcommit": {"gpu": 1}}]"#,
            "hosts[0].overcommit.gpu",
            "unknown resource",
        ),
        (
            r#""hosts": [{"name": "a", "capacity": {"cpu": 9007199254740992}, "overcommit": {"cpu": 2}}]"#,
            "hosts[0].overcommit.cpu",
            "beyond 2^53",
        ),
        (
            r#""hosts": [{"name": "a", "migration_bandwidth": -1}]"#,
            "hosts[0].migration_bandwidth",
            "at least 0",
        ),
        (r#""hosts": [{"name": "a", "max_migrations": -1}]"#, "hosts[0].max_migrations", "within"),
        (r#""hosts": [{"name": "a", "boot_s": -1}]"#, "hosts[0].boot_s", "at least 0"),
        (r#""hosts": [{"name": "a", "peak_watts": 1e10}]"#, "hosts[0].peak_watts", "at most 1e9"),
        (r#""hosts": [{"name": "a", "boot_s": 1e308}]"#, "hosts[0].boot_s", "at most 1e9, is 1e308"),
        (
            r#""hosts": [{"name": "a", "migration_bandwidth": 1e-306}]"#,
            "hosts[0].migration_bandwidth",
            "must be 0 or at least 1e-6 MiB/s",
        ),
        (r#""hosts": [{"name": "a", "migration_bandwidth": 1e19}]"#, "hosts[0].migration_bandwidth", "1e18"),
        (r#""objectives": ["FRAGMENTS"]"#, "fragment", "is missing"),
        (r#""vms": [{"name": ""}]"#, "vms[0].name", "is not a name"),
        (r#""vms": [{"name": "v"}, {"name": "w"}, {"name": "v"}]"#, "vms[2].name", "already used by vms[0]"),
        (r#""vms": [{"name": "v", "host": "x"}]"#, "vms[0].host", "unknown host \"x\""),
        (r#""vms": [{"name": "v", "demand": {"cpu": -3}}]"#, "vms[0].demand.cpu", "is -3"),
        (r#""vms": [{"name": "v", "demand": {"gpu": 1}}]"#, "vms[0].demand.gpu", "unknown resource"),
        (r#""vms": [{"name": "v", "arrival_demand": {"cpu": -1}}]"#, "vms[0].arrival_demand.cpu", "is -1"),
        (r#""vms": [{"name": "v", "arrival_demand": {"x": 1}}]"#, "vms[0].arrival_demand.x", "unknown"),
        (r#""vms": [{"name": "v", "memory_dirty_rate": -1}]"#, "vms[0].memory_dirty_rate", "at least 0"),
        (r#""vms": [{"name": "v", "memory_dirty_rate": 1e300}]"#, "vms[0].memory_dirty_rate", "at most"),
        (r#""vms": [{"name": "v", "priority": 1001}]"#, "vms[0].priority", "0..1000"),
        (r#""vms": [{"name": "v", "priority": -1}]"#, "vms[0].priority", "0..1000"),
        (
            r#""hosts": [{"name": "a", "capacity": {"cpu": 9}, "numa_nodes": [{"capacity": {"cpu": 4}}, {}]}]"#,
            "hosts[0].numa_nodes",
            "the nodes have 4 cpu together, the host 9",
        ),
        (
            r#""hosts": [{"name": "a", "capacity": {"cpu": 9}, "numa_nodes": [{"capacity": {"cpu": -1}}]}]"#,
            "hosts[0].numa_nodes[0].capacity.cpu",
            "is -1",
        ),
        (r#""vms": [{"name": "v", "numa": {"count": 0}}]"#, "vms[0].numa.count", "at least 1"),
        (r#""vms": [{"name": "v", "numa": {"nodes": [0]}}]"#, "vms[0].numa.nodes", "no NUMA nodes"),
        (r#""objective": "REPAIRS""#, "objective", "must be REPAIR"),
        (r#""objective": "REPAIR", "objectives": ["VIOLATIONS"]"#, "objective", "not both"),
        (r#""objectives": ["VIOLATIONS", "SPEED"]"#, "objectives[1]", "unknown objective"),
        (r#""objectives": ["MAKESPAN", "MAKESPAN"]"#, "objectives[1]", "twice"),
        (r#""limits": {"max_migrations": -1}"#, "limits.max_migrations", "negative"),
        (r#""limits": {"time_limit_s": -1}"#, "limits.time_limit_s", "at least 0"),
        (r#""limits": {"backbone_bandwidth": -1}"#, "limits.backbone_bandwidth", "at least 0"),
        (r#""limits": {"backbone_bandwidth": 1e-7}"#, "limits.backbone_bandwidth", "at least 1e-6"),
        (r#""fragment": {"resource": "gpu", "unit": 1}"#, "fragment.resource", "unknown resource"),
        (r#""fragment": {"resource": "cpu", "unit": 0}"#, "fragment.unit", "at least 1"),
    ] {
        refused(part, path, says, false);
    }
}

#[test]
fn wrong_rules_are_refused_with_their_path() {
    for (rule, path, says) in [
        (r#"{"name": ""}"#, "constraints[0].name", "is not a name"),
        (r#"{"name": "c"}"#, "constraints[0]", "needs a body"),
        (
            r#"{"name": "c", "soft_weight": 0, "spread": {"vms": ["v"]}}"#,
            "constraints[0].soft_weight",
            "above 0",
        ),
        (
            r#"{"name": "c", "soft_weight": -1, "spread": {"vms": ["v"]}}"#,
            "constraints[0].soft_weight",
            "above 0",
        ),
        (r#"{"name": "c", "spread": {}}"#, "constraints[0].spread", "give either vms or vm_selector"),
        (r#"{"name": "c", "spread": {"vms": []}}"#, "constraints[0].spread", "give either"),
        (
            r#"{"name": "c", "spread": {"vms": ["v"], "vm_selector": {"app": "web"}}}"#,
            "constraints[0].spread",
            "give either",
        ),
        (
            r#"{"name": "c", "spread": {"vms": ["v", "w"]}}"#,
            "constraints[0].spread.vms[1]",
            "unknown vm \"w\"",
        ),
        (r#"{"name": "c", "spread": {"vms": ["v"], "max": -1}}"#, "constraints[0].spread.max", "within"),
        (
            r#"{"name": "c", "spread": {"vms": ["v"], "scope": "zone"}}"#,
            "constraints[0].spread.scope",
            "unknown scope",
        ),
        (
            r#"{"name": "c", "gather": {"vms": ["v"], "scope": ""}}"#,
            "constraints[0].gather.scope",
            "unknown scope",
        ),
        (r#"{"name": "c", "ban": {"vms": ["v"]}}"#, "constraints[0].ban", "give either hosts"),
        (
            r#"{"name": "c", "fence": {"vms": ["v"], "hosts": ["a", "z"]}}"#,
            "constraints[0].fence.hosts[1]",
            "unknown host",
        ),
        (
            r#"{"name": "c", "ban": {"vms": ["v"], "hosts": ["a"]}}, {"name": "c", "ban": {"vms": ["v"], "hosts": ["b"]}}"#,
            "constraints[1].name",
            "already used",
        ),
        (
            r#"{"name": "c", "max_online": {"hosts": ["a"]}}"#,
            "constraints[0].max_online.max",
            "must be given",
        ),
        (
            r#"{"name": "c", "spare_hosts": {"hosts": ["a"]}}"#,
            "constraints[0].spare_hosts.min",
            "must be given",
        ),
        (
            r#"{"name": "c", "running_capacity": {"hosts": ["a"], "max": -1}}"#,
            "constraints[0].running_capacity.max",
            "within",
        ),
        (
            r#"{"name": "c", "headroom": {"hosts": ["a"], "resource": "gpu", "min": 1}}"#,
            "constraints[0].headroom.resource",
            "unknown resource",
        ),
        (
            r#"{"name": "c", "resource_capacity": {"hosts": ["a"], "resource": "cpu", "max": -2}}"#,
            "constraints[0].resource_capacity.max",
            "negative",
        ),
        (
            r#"{"name": "c", "split": {"groups": [{"vms": ["v"]}, {"vms": ["w"]}]}}"#,
            "constraints[0].split.groups[1].vms[0]",
            "unknown vm",
        ),
        (
            r#"{"name": "c", "among": {"vms": ["v"], "host_groups": [{}]}}"#,
            "constraints[0].among.host_groups[0]",
            "give either",
        ),
        (
            r#"{"name": "c", "before": {"first": {"vms": ["v"]}, "second": {"vms": ["x"]}}}"#,
            "constraints[0].before.second.vms[0]",
            "unknown vm",
        ),
    ] {
        refused(&format!("\"constraints\": [{rule}]"), path, says, false);
    }
}

#[test]
fn what_is_not_planned_with_is_refused_by_name() {
    let nodes = vec!["{}"; super::Nodes::MOST + 1].join(", ");
    let part = format!(r#""hosts": [{{"name": "a", "numa_nodes": [{nodes}]}}]"#);
    refused(&part, "hosts[0].numa_nodes", "more than", true);
}

#[test]
fn every_fault_is_listed() {
    let json = r#"{"hosts": [{"name": "a b", "state": "X", "boot_s": -1}], "objective": "Y",
        "vms": [{"name": "v", "host": "q", "priority": 5000, "demand": {"cpu": -1, "gpu": 2}}]}"#;
    let rejected = build(json).unwrap_err();
    let paths: Vec<_> = rejected.faults.iter().map(|fault| fault.path.as_str()).collect();
    for path in [
        "hosts[0].name",
        "hosts[0].state",
        "hosts[0].boot_s",
        "vms[0].host",
        "vms[0].priority",
        "vms[0].demand.cpu",
        "vms[0].demand.gpu",
        "objective",
    ] {
        assert!(paths.contains(&path), "{path} is missing in {paths:?}");
    }
    assert_eq!(rejected.to_string().lines().count(), rejected.faults.len());
}

#[test]
fn an_offline_host_holds_no_vm_and_infinite_numbers_from_messages_are_refused() {
    let rejected =
        build(r#"{"hosts": [{"name": "a", "state": "OFFLINE"}], "vms": [{"name": "v", "host": "a"}]}"#);
    assert_eq!(rejected.unwrap_err().faults[0].path, "vms[0].host");
    // JSON has no such numbers, but a protobuf message does.
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut problem = file::Problem::default();
        problem.hosts.push(file::Host {
            name: "a".into(),
            migration_bandwidth: Some(value),
            overcommit: [("cpu".to_owned(), value)].into(),
            ..file::Host::default()
        });
        problem.vms.push(file::Vm {
            name: "v".into(),
            memory_dirty_rate: Some(value),
            ..file::Vm::default()
        });
        problem.limits = Some(file::Limits { time_limit_s: Some(value), ..file::Limits::default() });
        problem.constraints.push(file::Constraint {
            name: "c".into(),
            soft_weight: Some(value),
            body: Some(file::Body::Gather {
                vms: file::Vms { vms: vec!["v".into()], ..file::Vms::default() },
                scope: None,
            }),
            ..file::Constraint::default()
        });
        let faults = Problem::new(&problem).unwrap_err().faults;
        assert_eq!(faults.len(), 5, "{faults:?}");
    }
}

#[test]
fn sums_that_would_overflow_are_refused() {
    let most = 1_i64 << 53;
    let vm = |name: &str| format!(r#"{{"name": "{name}", "demand": {{"cpu": {most}}}}}"#);
    refused(&format!(r#""vms": [{}, {}]"#, vm("v"), vm("w")), "vms", "beyond 2^53", false);
    let host = |i: usize| format!(r#"{{"name": "h{i}", "capacity": {{"cpu": {most}}}}}"#);
    let hosts: Vec<_> = (0..600).map(host).collect();
    refused(&format!(r#""hosts": [{}]"#, hosts.join(",")), "hosts", "beyond 2^62", false);
    assert!(build(&with(&format!(r#""hosts": [{}]"#, hosts[..500].join(",")))).is_ok());
}

#[test]
fn names_selectors_scopes_and_defaults_are_resolved() {
    let problem = build(
        r#"{"hosts": [{"name": "a", "capacity": {"cpu": 3, "gpu": 1}, "overcommit": {"cpu": 1.1}, "labels": {"rack": "r1"}},
            {"name": "b", "state": "FAILED"}, {"name": "c", "labels": {"rack": "r1"}, "state": "DRAINING"}],
            "vms": [{"name": "v", "host": "b", "labels": {"app": "web", "x": "1"}}, {"name": "w", "host": "a",
            "demand": {"disk": 4, "memory": 2}}, {"name": "u", "labels": {"app": "web"}, "numa": {"count": 2}}],
            "constraints": [
            {"name": "s", "spread": {"vm_selector": {"app": "web"}, "scope": "rack"}},
            {"name": "f", "soft_weight": 3, "continuous": true, "fence": {"vms": ["w", "v", "w"], "host_selector": {"rack": "r1"}}},
            {"name": "g", "gather": {"vm_selector": {"app": "none"}}}],
            "fragment": {"resource": "cpu", "unit": 2}, "objective": "CONSOLIDATE"}"#,
    )
    .unwrap();
    assert_eq!(problem.resources, ["cpu", "disk", "gpu", "memory"]);
    assert_eq!(problem.hosts[0].usable[0], 3, "floor(3.3)");
    assert_eq!(problem.hosts[1].capacity[0], 0);
    assert_eq!((problem.hosts[0].migration_bandwidth, problem.hosts[0].max_migrations), (1000.0, 2));
    assert_eq!(problem.hosts[2].state, HostState::Draining);
    assert_eq!((problem.vms[0].priority, problem.vms[0].memory_dirty_rate), (100, 0.0));
    let ids = |list: &[super::VmId]| list.iter().map(|id| id.index()).collect::<Vec<_>>();
    let Body::Spread(Spread { vms, scope, max: 1 }) = &problem.constraints[0].body else { panic!() };
    assert_eq!(ids(vms), [0, 2]);
    let rack = &problem.scopes[scope.index()];
    assert_eq!((rack.name.as_str(), rack.values), ("rack", 2));
    assert!(rack.value_of[0] == rack.value_of[2] && rack.value_of[0] != rack.value_of[1]);
    let Body::Fence(Fence { vms, hosts }) = &problem.constraints[1].body else { panic!() };
    assert_eq!((ids(vms), hosts.len()), (vec![0, 1], 2));
    assert!(matches!(&problem.constraints[2].body, Body::Gather(Gather { vms, .. }) if vms.is_empty()));
    assert_eq!(problem.objectives[1], Objective::ActiveHosts);
    let initial = problem.initial();
    assert_eq!((initial[0], initial[2]), (None, None), "a failed host's VM is down");
    assert!(initial[1].is_some());
}

#[test]
fn what_a_vm_is_to_have_at_the_end_replaces_what_it_names() {
    let problem = build(
        r#"{"hosts": [{"name": "a", "capacity": {"cpu": 9, "memory": 9}}], "vms": [
            {"name": "v", "host": "a", "demand": {"cpu": 3, "memory": 2}, "arrival_demand": {"cpu": 5}},
            {"name": "w", "demand": {"memory": 4}, "arrival_demand": {"memory": 0, "cpu": 1}}]}"#,
    );
    let problem = problem.unwrap();
    assert_eq!((&*problem.vms[0].present, &*problem.vms[0].demand), (&[3, 2][..], &[5, 2][..]));
    assert_eq!((&*problem.vms[1].present, &*problem.vms[1].demand), (&[0, 4][..], &[1, 0][..]));
    assert!(problem.resizes());
    assert_eq!(problem.memory_of(super::VmId(1)), 4, "what is moved is what it has while the plan runs");
}

#[test]
fn wrong_nodes_of_vms_are_refused() {
    let with = |numa: &str, state: &str| {
        build(&format!(
            r#"{{"hosts": [{{"name": "a", "capacity": {{"cpu": 9}}, "state": "{state}", "numa_nodes": [
                {{"capacity": {{"cpu": 4}}}}, {{"capacity": {{"cpu": 5}}}}, {{"capacity": {{}}}}]}}],
                "vms": [{{"name": "v", "host": "a", "demand": {{"cpu": 3}}{numa}}}]}}"#
        ))
    };
    for (numa, says) in [
        ("", "must name 1 of the 3 NUMA nodes of a"),
        (r#", "numa": {"nodes": [3]}"#, "a has no NUMA node 3"),
        (r#", "numa": {"nodes": [-1]}"#, "a has no NUMA node -1"),
        (r#", "numa": {"count": 2, "nodes": [1]}"#, "must name 2 distinct"),
        (r#", "numa": {"count": 2, "nodes": [1, 1]}"#, "must name 2 distinct"),
        (r#", "numa": {"nodes": [0, 1]}"#, "must name 1 distinct"),
    ] {
        let faults = with(numa, "ONLINE").expect_err(numa).faults;
        assert!(faults[0].path == "vms[0].numa.nodes" && faults[0].message.contains(says), "{faults:?}");
    }
    assert!(with("", "FAILED").is_ok(), "what is down may have lost its nodes");
    // What cannot be divided makes the order of the nodes count, and only that.
    let nodes = |numa: &str| with(numa, "ONLINE").unwrap().vms[0].nodes;
    assert_ne!(
        nodes(r#", "numa": {"count": 2, "nodes": [1, 0]}"#),
        nodes(r#", "numa": {"count": 2, "nodes": [0, 1]}"#)
    );
    assert_eq!(
        nodes(r#", "numa": {"count": 3, "nodes": [2, 1, 0]}"#),
        nodes(r#", "numa": {"count": 3, "nodes": [0, 1, 2]}"#)
    );
}

#[test]
fn overcommit_is_rounded_as_the_contract_says() {
    // 0.29 × 100 is 28.999… in floating point; the contract adds 10⁻⁶ before it rounds down.
    let problem =
        build(r#"{"hosts": [{"name": "a", "capacity": {"cpu": 100}, "overcommit": {"cpu": 0.29}}]}"#);
    assert_eq!(problem.unwrap().hosts[0].usable[0], 29);
}

//! Reading instances and plans.

use super::super::{Imported, Options, Unit, import, import_plan};
use super::{instance, named, read};
use dvms_solver::file::{ActionKind, Amounts, Body, Problem};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn imported(value: &Value) -> Imported {
    let imported = import(&read(value), &Options::default()).unwrap();
    dvms_solver::Problem::new(&imported.problem).unwrap();
    imported
}

/// The same, of what the solver may not plan with.
fn unchecked(value: &Value) -> Problem {
    import(&read(value), &Options::default()).unwrap().problem
}

/// Names of what an instance with these constraints cannot say.
fn refused(constraints: Value) -> Vec<String> {
    let gaps = import(&read(&instance(constraints)), &Options::default()).unwrap_err();
    named(&gaps).into_iter().map(str::to_owned).collect()
}

fn memory(amount: i64) -> Amounts {
    [("memory".to_owned(), amount)].into_iter().collect()
}

#[test]
fn hosts_and_vms_keep_their_states_and_amounts() {
    let imported = imported(&instance(json!([{"id": "running", "vm": 3}, {"id": "offline", "node": 3}])));
    let Problem { hosts, vms, limits, objective, .. } = imported.problem;
    let states: Vec<_> = hosts.iter().map(|host| (host.name.as_str(), host.state.as_str())).collect();
    assert_eq!(states, [("n1", ""), ("n2", ""), ("n3", "OFFLINE")]);
    assert_eq!(hosts[0].capacity, memory(8 * 1024));
    assert_eq!(hosts[1].capacity, memory(16 * 1024));
    let at: Vec<_> = vms.iter().map(|vm| (vm.name.as_str(), vm.host.as_str())).collect();
    assert_eq!(at, [("vm1", "n1"), ("vm2", "n1"), ("vm3", "")]);
    assert_eq!((&vms[0].demand, &vms[1].demand), (&memory(2048), &memory(1024)));
    // The only node that is off must stay so.
    assert_eq!(limits, None);
    assert_eq!(objective, "REPAIR");
    assert!(imported.notes.iter().any(|note| note.contains("boot")), "{:?}", imported.notes);
}

#[test]
fn nodes_that_nothing_holds_may_be_switched() {
    let problem = imported(&instance(json!([]))).problem;
    assert!(problem.limits.unwrap().power_actions);
    assert_eq!(problem.hosts[2].boot_s, Some(40.0));
    // One that must be off is emptied and shut down.
    let problem = unchecked(&instance(json!([{"id": "offline", "node": 1}])));
    assert!(problem.limits.unwrap().power_actions);
    let [rule] = problem.constraints.as_slice() else { panic!("{:?}", problem.constraints) };
    assert!(matches!(&rule.body, Some(Body::MaxOnline { hosts, max: Some(0) }) if hosts.hosts == ["n1"]));
}

#[test]
fn a_vm_that_waits_and_need_not_run_is_left_out() {
    let imported = imported(&instance(json!([{"id": "spread", "vms": [1, 3], "continuous": true}])));
    assert_eq!(imported.problem.vms.len(), 2);
    assert!(imported.problem.constraints[0].continuous);
    let body = imported.problem.constraints[0].body.as_ref().unwrap();
    assert!(matches!(body, Body::Spread { vms, .. } if vms.vms == ["vm1"]), "{body:?}");
}

#[test]
fn of_vms_that_will_not_run_nothing_is_demanded() {
    let problem = imported(&instance(json!([
        {"id": "offline", "node": 3},
        {"id": "ban", "vm": 3, "nodes": [1]},
        {"id": "ban", "vm": 1, "nodes": []},
        {"id": "Precedence", "vm1": 3, "vm2": 1},
        {"id": "split", "parts": [[3], [1], [2]]},
    ])))
    .problem;
    let [rule] = problem.constraints.as_slice() else { panic!("{:?}", problem.constraints) };
    assert!(matches!(&rule.body, Some(Body::Split { groups }) if groups.len() == 2));
}

#[test]
fn each_constraint_has_its_rule() {
    let both = json!([
        {"id": "gather", "vms": [1, 2], "continuous": false},
        {"id": "lonely", "vms": [1]},
        {"id": "fence", "vm": 1, "nodes": [1, 2], "continuous": true},
        {"id": "ban", "vm": 1, "nodes": [2]},
        {"id": "split", "parts": [[1], [2]]},
        {"id": "among", "vms": [1, 2], "parts": [[1], [2]]},
        {"id": "among", "vms": [1, 2], "parts": [[2, 3], [1]]},
        {"id": "splitAmong", "vParts": [[1], [2]], "pParts": [[1], [2]]},
        {"id": "root", "vm": 2},
        {"id": "quarantine", "node": 2},
        {"id": "maxOnline", "nodes": [1, 2], "amount": 2},
        {"id": "runningCapacity", "nodes": [1], "amount": 4},
        {"id": "resourceCapacity", "nodes": [1], "rc": "mem", "amount": 5},
        {"id": "Precedence", "vm1": 1, "vm2": 2},
        {"id": "Sync", "vms": [1, 2]},
        {"id": "preserve", "vm": 1, "rc": "mem", "amount": 3},
        {"id": "preserve", "vm": 1, "rc": "mem", "amount": 1},
        {"id": "overbook", "node": 2, "rc": "mem", "ratio": 1.5, "continuous": true},
        {"id": "overbook", "node": 2, "rc": "mem", "ratio": 1.25, "continuous": true},
    ]);
    let problem = unchecked(&instance(both));
    let kinds: Vec<_> = problem.constraints.iter().map(|rule| rule.body.as_ref().unwrap().kind()).collect();
    let expected = [
        "gather",
        "lonely",
        "fence",
        "ban",
        "split",
        "among",
        "gather",
        "split_among",
        "root",
        "quarantine",
        "max_online",
        "running_capacity",
        "resource_capacity",
        "before",
        "sync",
    ];
    assert_eq!(kinds, expected);
    let names: BTreeSet<&str> = problem.constraints.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.len(), problem.constraints.len());
    assert!(problem.constraints[8].continuous && problem.constraints[9].continuous);
    // Groups that hold all hosts are values of a label; equal groups share one.
    assert!(
        matches!(&problem.constraints[6].body, Some(Body::Gather { scope: Some(s), .. }) if s == "parts2")
    );
    assert_eq!(problem.hosts[0].labels.len(), 2);
    assert!(matches!(&problem.constraints[12].body, Some(Body::ResourceCapacity { max: Some(5120), .. })));
    // Of several the most is kept, and the least ratio.
    assert_eq!(problem.vms[0].arrival_demand, memory(3 * 1024));
    assert_eq!(problem.hosts[1].overcommit, [("memory".to_owned(), 1.25)].into());
}

#[test]
fn an_order_of_boots_is_kept() {
    let value = instance(json!([{"id": "running", "vm": 3}, {"id": "seq", "vms": [3]}]));
    assert!(imported(&value).problem.constraints.is_empty());
    assert_eq!(refused(json!([{"id": "seq", "vms": [1, 2]}])), ["seq"]);
    let mut value = instance(json!([
        {"id": "running", "vm": 3}, {"id": "running", "vm": 4}, {"id": "running", "vm": 5},
        {"id": "seq", "vms": [3, 4, 5]},
    ]));
    value["model"]["mapping"]["readyVMs"] = json!([3, 4, 5]);
    let problem = imported(&value).problem;
    let names: Vec<&str> = problem.constraints.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["c3-before.0", "c3-before.1"]);
}

#[test]
fn what_problems_have_no_words_for_is_named() {
    for (constraint, feature) in [
        (json!({"id": "noDelay", "vm": 1}), "noDelay"),
        (json!({"id": "Serialize", "vms": [1, 2]}), "Serialize"),
        (json!({"id": "Deadline", "vm": 1, "timestamp": "+00:01:00"}), "Deadline"),
        (json!({"id": "ready", "vm": 1}), "ready"),
        (json!({"id": "sleeping", "vm": 1}), "sleeping"),
        (json!({"id": "killed", "vm": 1}), "killed"),
        (json!({"id": "running", "vm": 9}), "forge"),
        (json!({"id": "online", "node": 3}), "online"),
        (json!({"id": "ban", "vm": 7, "nodes": [1]}), "elements"),
        (json!({"id": "ban", "vm": 1, "nodes": [7]}), "elements"),
        (json!({"id": "preserve", "vm": 1, "rc": "disk", "amount": 1}), "resources"),
        (json!({"id": "overbook", "node": 1, "rc": "mem", "ratio": 2.0}), "overbook"),
    ] {
        assert_eq!(refused(json!([constraint])), [feature], "{constraint}");
    }
    // All at once, each with its place and count.
    let value = instance(json!([
        {"id": "noDelay", "vm": 1}, {"id": "noDelay", "vm": 2}, {"id": "killed", "vm": 2}
    ]));
    let gaps = import(&read(&value), &Options::default()).unwrap_err();
    let told: Vec<_> =
        gaps.0.iter().map(|gap| (gap.feature.as_str(), gap.count, gap.path.as_str())).collect();
    assert_eq!(told, [("killed", 1, "constraints[2]"), ("noDelay", 2, "constraints[0]")]);
    // One of them left out still leaves the other.
    let leave_out = |names: &[&str]| Options {
        leave_out: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    };
    let gaps = import(&read(&value), &leave_out(&["noDelay"])).unwrap_err();
    assert_eq!(named(&gaps), ["killed"]);
    let done = import(&read(&value), &leave_out(&["noDelay", "killed", "seq"])).unwrap();
    assert!(done.notes.contains(&"left out as asked: noDelay".to_owned()), "{:?}", done.notes);
    assert!(done.notes.contains(&"there is no seq to leave out".to_owned()), "{:?}", done.notes);
}

#[test]
fn constraints_of_no_kind_are_not_read() {
    let value = instance(json!([{"id": "sprad", "vms": [1]}]));
    let error = serde_json::from_value::<super::super::Instance>(value).unwrap_err().to_string();
    assert!(error.contains("unknown variant `sprad`"), "{error}");
}

#[test]
fn units_are_guessed_or_given() {
    let mut value = instance(json!([]));
    value["model"]["views"] = json!([
        {"id": "shareableResource", "rcId": "memory", "defCapacity": 8, "defConsumption": 1},
        {"id": "shareableResource", "rcId": "uCpu", "defCapacity": 5, "defConsumption": 2},
    ]);
    let problem = imported(&value).problem;
    assert_eq!(problem.hosts[0].capacity["memory"], 80);
    assert_eq!(problem.hosts[0].capacity["cpu"], 500);
    let unit = |name: &str, factor| Unit { name: name.to_owned(), factor };
    let options = Options {
        units: [("memory".to_owned(), unit("memory", 3)), ("uCpu".to_owned(), unit("gpu", 1))].into(),
        ..Options::default()
    };
    let problem = import(&read(&value), &options).unwrap().problem;
    assert_eq!(problem.hosts[0].capacity["memory"], 24);
    assert_eq!(problem.hosts[0].capacity["gpu"], 5);
    let twice = Options { units: [("uCpu".to_owned(), unit("memory", 1))].into(), ..Options::default() };
    assert_eq!(named(&import(&read(&value), &twice).unwrap_err()), ["resource-names"]);
    let unknown = Options { units: [("disk".to_owned(), unit("disk", 1))].into(), ..Options::default() };
    assert_eq!(named(&import(&read(&value), &unknown).unwrap_err()), ["units"]);
}

#[test]
fn without_memory_migrations_are_counted() {
    let mut value = instance(json!([]));
    value["model"]["views"][0]["rcId"] = json!("cpu");
    let problem = imported(&value).problem;
    assert_eq!(problem.objectives, ["VIOLATIONS", "MIGRATIONS", "MAKESPAN"]);
}

#[test]
fn names_are_those_of_name_views() {
    let mut value = instance(json!([{"id": "ban", "vm": 1, "nodes": [2]}]));
    let views = value["model"]["views"].as_array_mut().unwrap();
    views.push(json!({"id": "ns", "type": "vm", "map": {"web": 1, "db": 2}}));
    views.push(json!({"id": "ns", "type": "node", "map": {"a": 1, "b 2": 2, "c": 3}}));
    let imported = imported(&value);
    assert_eq!(imported.problem.vms[0].name, "web");
    // Not all hosts have one of the right form.
    assert_eq!(imported.problem.hosts[0].name, "n1");
    assert!(imported.notes.iter().any(|note| note.contains("views[2]")), "{:?}", imported.notes);
}

/// A link of a node or a switch to a switch.
fn link(id: i64, capacity: i64, switch: i64, kind: &str, other: i64) -> Value {
    json!({"id": id, "capacity": capacity, "switch": switch, "physicalElement": {"type": kind, "id": other}})
}

#[test]
fn one_switch_is_the_backbone() {
    let mut value = instance(json!([]));
    let nodes = [1, 2, 3].map(|node| link(node, 900, 0, "node", node));
    let net = |capacity| json!({"id": "net", "switches": [{"id": 0, "capacity": capacity}], "links": nodes, "routing": {"type": "default"}});
    value["model"]["attributes"]["vms"]["1"]["coldDirtyRate"] = json!(2.5);
    value["model"]["attributes"]["vms"]["1"]["memUsed"] = json!(1000);
    value["model"]["views"].as_array_mut().unwrap().push(net(1800));
    let imported = imported(&value);
    let problem = &imported.problem;
    assert_eq!(problem.hosts[0].migration_bandwidth, Some(100.0));
    assert_eq!(problem.limits.as_ref().unwrap().backbone_bandwidth, Some(200.0));
    assert_eq!(problem.vms[0].memory_dirty_rate, Some(2.5));
    assert!(imported.notes.iter().any(|note| note.starts_with("1 VMs use another")), "{:?}", imported.notes);
    // One that carries all that its nodes can send does not bind.
    value["model"]["views"][1] = net(2700);
    assert_eq!(unchecked(&value).limits.unwrap().backbone_bandwidth, None);
    value["model"]["views"][1] = net(-1);
    assert_eq!(unchecked(&value).limits.unwrap().backbone_bandwidth, None);
}

#[test]
fn narrow_links_between_switches_are_carried_over() {
    let net = |up: i64| {
        let links = [
            link(1, 900, 1, "node", 1),
            link(2, 900, 2, "node", 2),
            link(3, 900, 2, "node", 3),
            link(4, up, 1, "switch", 0),
            link(5, up, 2, "switch", 0),
        ];
        let switches = [0, 1, 2].map(|id| json!({"id": id, "capacity": -1}));
        json!({"id": "net", "switches": switches, "links": links})
    };
    let mut value = instance(json!([]));
    value["model"]["views"].as_array_mut().unwrap().push(net(900));
    let problem = unchecked(&value);
    assert_eq!(problem.network, None, "one node is all that can send through either");
    value["model"]["views"][1] = net(450);
    let network = unchecked(&value).network.unwrap();
    assert_eq!(network.switches.len(), 3);
    let up = network.links.iter().find(|link| link.name == "l4").unwrap();
    assert_eq!((up.a.as_str(), up.b.as_str(), up.bandwidth), ("s1", "s0", Some(50.0)));
    assert_eq!(network.links[0].b, "n1");
    // A node may be called what the switch would be.
    let names = json!({"id": "ns", "type": "node", "map": {"s1": 1, "b": 2, "c": 3}});
    value["model"]["views"].as_array_mut().unwrap().push(names);
    let network = unchecked(&value).network.unwrap();
    assert_eq!((network.links[0].a.as_str(), network.links[0].b.as_str()), ("s1_", "s1"));
    assert_eq!(network.switches[1].name, "s1_");
}

#[test]
fn a_plan_is_read_with_its_order() {
    let value = instance(json!([{"id": "running", "vm": 3}]));
    let plan = json!({"origin": value["model"], "actions": [
        {"id": "bootVM", "vm": 3, "on": 3, "start": 45, "end": 46, "hooks": {"pre": [], "post": []}},
        {"id": "migrateVM", "vm": 1, "from": 1, "to": 2, "bw": 2_147_483_647, "start": 0, "end": 5, "hooks": {}},
        {"id": "bootNode", "node": 3, "start": 0, "end": 40},
        {"id": "allocate", "vm": 2, "on": 1, "rc": "mem", "amount": 2, "start": 5, "end": 5},
    ]});
    let plan = serde_json::from_value(plan).unwrap();
    let (plan, notes) = import_plan(&read(&value), &plan, &Options::default()).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let told: Vec<_> = plan.actions.iter().map(|a| (a.kind, a.vm.as_str(), a.after.as_slice())).collect();
    let expected: [(ActionKind, &str, &[u64]); 3] =
        [(ActionKind::Migrate, "vm1", &[]), (ActionKind::Boot, "", &[]), (ActionKind::Start, "vm3", &[2])];
    assert_eq!(told, expected);
    assert_eq!(plan.placement["vm1"], "n2");
    assert_eq!(plan.placement["vm3"], "n3");
    assert!(plan.unplaced.is_empty());
}

#[test]
fn what_plans_have_no_words_for_is_named() {
    let value = instance(json!([]));
    let plan = json!({"actions": [
        {"id": "shutdownVM", "vm": 1, "on": 1, "start": 0, "end": 1},
        {"id": "suspendVM", "vm": 2, "from": 1, "to": 1, "start": 0, "end": 1},
        {"id": "migrateVM", "vm": 2, "from": 1, "to": 2, "start": 0, "end": 5,
         "hooks": {"post": [{"id": "substitutedVM", "vm": 2, "newVm": 9}]}},
    ]});
    let gaps =
        import_plan(&read(&value), &serde_json::from_value(plan).unwrap(), &Options::default()).unwrap_err();
    assert_eq!(named(&gaps), ["ready", "sleeping", "substitutedVM"]);
}

//! NUMA nodes: what they hold, and moves between those of a host.

use super::*;

/// a has two NUMA nodes of 5 cpu and c three of 3 cpu, b has none; x lies on both nodes of a, y on b.
fn numa() -> Problem {
    base().tap(|p| {
        let node = |cpu: i64| crate::file::NumaNode { capacity: [("cpu".to_owned(), cpu)].into() };
        p.hosts[0].numa_nodes = vec![node(5); 2];
        p.hosts[2].numa_nodes = vec![node(3); 3];
        p.hosts[2].capacity.insert("cpu".into(), 9);
        let nodes = |count: i64, nodes: Vec<i64>| Some(crate::file::VmNuma { count: Some(count), nodes });
        p.vms[0].numa = nodes(2, vec![0, 1]);
        p.vms[0].demand.insert("cpu".into(), 7);
        p.vms[1].numa = nodes(2, vec![]);
    })
}

fn on(action: Action, nodes: &[i64]) -> Action {
    Action { numa: nodes.to_vec(), ..action }
}

#[test]
fn numa_nodes_hold_their_parts_and_no_more() {
    // x: 4 on node 0 and 3 on node 1 of a. z: 1 of one node.
    let problem = numa();
    let z = |nodes: &[i64]| vec![on(start(1, "z", "a"), nodes)];
    valid(&problem, z(&[0]));
    valid(&problem, z(&[1]));
    let larger = numa().tap(|p| p.vms[2].demand.insert("cpu".into(), 2));
    valid(&larger, z(&[1]));
    breaks(2, "actions[id=1]", "NUMA node 0 of a then uses 6 cpu of 5", &judge(&larger, z(&[0])));
    breaks(7, "hosts[a].numa_nodes[0].cpu", "6 of 5", &judge(&larger, z(&[0])));
    breaks(2, "hosts[a].numa_nodes[0].cpu", "ends with 6 of 5", &judge(&larger, z(&[0])));
    // y: 3 each on two nodes of c.
    let move_y = |nodes: &[i64]| on(migrate(1, "y", ["b", "c"], [0.0, 1.0], &[]), nodes);
    valid(&problem, vec![move_y(&[2, 0])]);
    breaks(
        2,
        "actions[id=2]",
        "NUMA node 2 of c",
        &judge(&problem, vec![move_y(&[2, 0]), on(start(2, "z", "c"), &[2])]),
    );
    for wrong in [&[][..], &[1], &[1, 1], &[1, 3], &[-1, 0]] {
        breaks(0, "actions[0]", "distinct NUMA nodes", &judge(&problem, vec![move_y(wrong)]));
    }
    let to_b = migrate(1, "x", ["a", "b"], [0.0, 1.0], &[]);
    breaks(0, "actions[0]", "has none", &judge(&problem, vec![on(to_b, &[0, 1])]));
    let mut other = plan(&problem, vec![move_y(&[2, 0])]);
    other.numa_placement.insert("y".into(), vec![0, 2]);
    breaks(4, "numa_placement.y", "the plan says [0, 2]", &check(&problem, &other));
}

#[test]
fn a_vm_is_repinned_within_its_host() {
    let problem = numa();
    let repin = |id, vm, host, times, nodes: &[i64]| on(migrate(id, vm, [host, host], times, &[]), nodes);
    // On the way x holds 4 of both nodes.
    let levels = valid(&problem, vec![repin(1, "x", "a", [0.0, 0.03], &[1, 0])]);
    assert_eq!(levels[1].2, 0.0, "it costs nothing");
    breaks(
        4,
        "actions[id=1]",
        "where it is",
        &judge(&problem, vec![repin(1, "x", "a", [0.0, 0.03], &[0, 1])]),
    );
    breaks(3, "actions[id=1]", "0.03", &judge(&problem, vec![repin(1, "x", "a", [0.0, 0.02], &[1, 0])]));
    let order = vec![on(start(1, "z", "a"), &[1]), repin(2, "x", "a", [1.0, 2.0], &[1, 0])];
    valid(&problem, order.clone());
    let larger = numa().tap(|p| p.vms[2].demand.insert("cpu".into(), 2));
    breaks(7, "hosts[a].numa_nodes[1].cpu", "6 of 5", &judge(&larger, order));
    let slots = numa().tap(|p| p.hosts[0].max_migrations = Some(1));
    valid(&slots, vec![repin(1, "x", "a", [0.0, 0.03], &[1, 0])]);
    let none = numa().tap(|p| p.hosts[0].max_migrations = Some(0));
    breaks(3, "actions[id=1]", "at most 0", &judge(&none, vec![repin(1, "x", "a", [0.0, 0.03], &[1, 0])]));
    // A host that takes no VMs has them go between its nodes all the same, but not what is pinned.
    let cordoned = numa().tap(|p| p.hosts[0].state = "CORDONED".into());
    valid(&cordoned, vec![repin(1, "x", "a", [0.0, 0.03], &[1, 0])]);
    let pinned = numa().tap(|p| p.vms[0].pinned = true);
    breaks(5, "actions[id=1]", "pinned", &judge(&pinned, vec![repin(1, "x", "a", [0.0, 0.03], &[1, 0])]));
    let plain = judge(&problem, vec![migrate(1, "y", ["b", "b"], [0.0, 1.0], &[])]);
    breaks(0, "actions[0]", "the same host", &plain);
}

#[test]
fn what_is_over_on_a_node_counts_by_node() {
    let over = numa().tap(|p| p.vms[0].demand.insert("cpu".into(), 12));
    assert_eq!(valid(&over, vec![])[0].1, 2100.0, "both nodes, and z waits");
    // Of a node that is over none may get more.
    let more = numa().tap(|p| p.vms[0].demand.insert("cpu".into(), 11));
    breaks(
        2,
        "actions[id=1]",
        "NUMA node 1 of a then uses 6",
        &judge(&more, vec![on(migrate(1, "x", ["a", "a"], [0.0, 1.0], &[]), &[1, 0])]),
    );
}

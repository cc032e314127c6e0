//! What is proved impossible, and how it is said.

use super::*;

#[track_caller]
fn refused(json: &str) -> (String, [Vec<String>; 3]) {
    let plan = solved(json);
    assert_status(&plan, Status::Infeasible);
    let conflict = plan.conflict.unwrap();
    (plan.reason, [conflict.hosts, conflict.vms, conflict.constraints])
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_pinned_vm_on_a_draining_host() {
    let list = hosts(&[("a", "DRAINING"), ("b", "ONLINE")]);
    let (reason, conflict) =
        refused(&problem(&list, &[vm_with("p", "a", 1, 1, r#", "pinned": true"#), vm("q", "a", 1, 1)], ""));
    assert_eq!(reason, "p is pinned to a, but a is draining");
    assert_eq!(conflict, [names(&["a"]), names(&["p"]), vec![]]);
}

#[test]
fn a_vm_that_must_leave_and_finds_no_host() {
    let list = hosts(&[("a", "DRAINING"), ("b", "ONLINE"), ("c", "CORDONED"), ("d", "ONLINE")]);
    let more = r#", "constraints": [{"name": "no-b", "ban": {"vms": ["v"], "hosts": ["b"]}},
                                    {"name": "no-d", "fence": {"vms": ["v"], "hosts": ["a", "b"]}}]"#;
    let (reason, conflict) = refused(&problem(&list, &[vm("v", "a", 1, 1)], more));
    assert_eq!(
        reason,
        "v must leave a, as a is draining, and none of the 3 other hosts can take it: 1 cordoned, \
         1 ruled out by no-b, 1 ruled out by no-d"
    );
    assert_eq!(conflict, [names(&["a", "c"]), names(&["v"]), names(&["no-b", "no-d"])]);
    let list = hosts(&[("a", "DRAINING"), ("b", "ONLINE")]);
    let (reason, _) = refused(&problem(&list, &[vm("v", "a", 11, 1)], ""));
    assert_eq!(
        reason,
        "v must leave a, as a is draining, and the only other host cannot take it: 1 with less cpu than it \
         needs (11000)"
    );
    let hot = vm_with("v", "a", 1, 1, r#", "memory_dirty_rate": 800"#);
    let (reason, _) = refused(&problem(&list, &[hot], ""));
    assert!(reason.ends_with("1 to which no migration of it can come to an end"), "{reason}");
    let more = r#", "constraints": [{"name": "g", "gather": {"vms": ["v", "w"]}, "continuous": true}]"#;
    let (reason, conflict) = refused(&problem(&list, &[vm("v", "a", 1, 1), vm("w", "a", 1, 1)], more));
    assert!(reason.ends_with("1 ruled out by g, which holds all the way"), "{reason}");
    assert_eq!(conflict[2], ["g"]);
}

#[test]
fn rules_that_cannot_hold() {
    let list = hosts(&[("a", "ONLINE"), ("b", "ONLINE")]);
    let pinned = |name: &str, host: &str| vm_with(name, host, 1, 1, r#", "pinned": true"#);
    let more = r#", "constraints": [{"name": "s", "spread": {"vms": ["v", "w"]}}]"#;
    let (reason, conflict) = refused(&problem(&list, &[pinned("v", "a"), pinned("w", "a")], more));
    assert_eq!(reason, "s lets at most 1 of its VMs share a host, but v, w cannot move");
    assert_eq!(conflict, [names(&["a"]), names(&["v", "w"]), names(&["s"])]);
    let more = r#", "constraints": [{"name": "s", "spread": {"vms": ["v", "w", "x"]}}]"#;
    let three = [vm("v", "a", 1, 1), vm("w", "a", 1, 1), vm("x", "b", 1, 1)];
    let (reason, _) = refused(&problem(&list, &three, more));
    assert_eq!(reason, "s lets at most 1 of its VMs share a host, but 3 of them run and only 2 can take VMs");
    let more = r#", "constraints": [{"name": "g", "gather": {"vms": ["v", "w"]}}]"#;
    let (reason, _) = refused(&problem(&list, &[pinned("v", "a"), pinned("w", "b")], more));
    assert_eq!(reason, "g wants one host for all, but neither v nor w can move");
    let more = r#", "constraints": [{"name": "f", "fence": {"vms": ["v", "w"], "hosts": ["b"]}}]"#;
    let (reason, conflict) = refused(&problem(&list, &[vm("v", "a", 6, 1), vm("w", "a", 6, 1)], more));
    assert!(reason.contains("the running VMs of f need 12000 cpu"), "{reason}");
    assert_eq!(conflict[0], ["b"]);
}

#[test]
fn draining_more_than_fits_elsewhere() {
    let list = hosts(&[("a", "DRAINING"), ("b", "ONLINE")]);
    let (reason, conflict) = refused(&problem(&list, &[vm("v", "a", 6, 1), vm("w", "b", 6, 1)], ""));
    assert_eq!(reason, "without a the hosts have 10000 cpu, but the running VMs need 12000");
    assert_eq!(conflict, [names(&["a", "b"]), names(&["v", "w"]), vec![]]);
}

#[test]
fn what_only_a_search_can_prove_is_proved_by_the_exact_back_end() {
    // In sum they fit, but not as they are cut.
    let list = hosts(&[("a", "DRAINING"), ("b", "ONLINE"), ("c", "ONLINE")]);
    let json = problem(&list, &[vm("v", "a", 6, 1), vm("w", "b", 6, 1), vm("x", "c", 6, 1)], "");
    let (reason, conflict) = refused(&json);
    assert!(reason.starts_with("proved: no placement satisfies the VM"), "{reason}");
    assert!(!conflict[1].is_empty());
    let plan = solved_with(&parse(&json), &heuristic());
    assert_status(&plan, Status::Unknown);
    assert!(plan.reason.contains("v would stay on a, which is to be emptied"), "{}", plan.reason);
}

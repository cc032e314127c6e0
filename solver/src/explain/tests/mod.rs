mod oracle;

use super::{CauseKind, ChangeKind, Explanation, Left, Unexplained, changed, explain, left, requiring};
use crate::file::Problem;

/// Three hosts of 10 cores and 10 GiB, two racks.
fn problem(vms: &str, rules: &str) -> Problem {
    let host = |name: &str, rack: &str, more: &str| {
        format!(
            r#"{{"name": "{name}", "capacity": {{"cpu": 10000, "memory": 10240}},
                "labels": {{"rack": "{rack}"}}{more}}}"#
        )
    };
    let hosts = [host("a", "r", ""), host("b", "r", ""), host("c", "s", r#", "state": "CORDONED""#)];
    let json = format!(r#"{{"hosts": [{}], "vms": [{vms}], "constraints": [{rules}]}}"#, hosts.join(", "));
    Problem::from_json(&json).unwrap_or_else(|error| panic!("{error:?} in {json}"))
}

fn vm(name: &str, host: &str, cpu: u32, memory: u32, more: &str) -> String {
    format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": {memory}}}{more}}}"#)
}

/// `host: cause; cause` of each other host.
fn told(explanation: &Explanation) -> Vec<String> {
    let causes = |verdict: &super::Verdict| {
        verdict.causes.iter().map(|cause| cause.text.as_str()).collect::<Vec<_>>().join("; ")
    };
    explanation.hosts.iter().map(|verdict| format!("{}: {}", verdict.host, causes(verdict))).collect()
}

/// The sentences of what would have to change at least.
fn least(explanation: &Explanation) -> Vec<&str> {
    let changes = explanation.changes.as_ref().unwrap();
    changes.least.iter().map(|change| change.text.as_str()).collect()
}

#[test]
fn each_host_has_its_causes() {
    let vms = [
        vm("v", "a", 4000, 1024, ""),
        vm("w", "b", 7000, 9728, ""),
        vm("x", "b", 1000, 512, ""),
        vm("lost", "", 100, 100, ""),
    ];
    let rules = r#"{"name": "apart", "spread": {"vms": ["v", "x"]}},
        {"name": "here", "fence": {"vms": ["v"], "hosts": ["a", "c"]}},
        {"name": "wish", "soft_weight": 5, "ban": {"vms": ["v"], "hosts": ["c"]}}"#;
    let problem = problem(&vms.join(", "), rules);
    let explanation = explain(&problem, "v", None).unwrap();
    assert_eq!(
        told(&explanation),
        [
            "b: b has 2000 millicores of 10000 millicores cpu free, and 4000 millicores are needed; \
             b has 0 MiB of 10240 MiB memory free, and 1024 MiB are needed; \
             the rule apart forbids it: 2 of its VMs run on b, at most 1 may; \
             the rule here forbids it: b is outside the fence",
            "c: c is CORDONED: no VM may enter it",
        ]
    );
    assert_eq!((explanation.host.as_deref(), explanation.running), (Some("a"), true));
    assert!(explanation.wrong.is_empty() && explanation.changes.is_none());
    let shorts: Vec<_> = explanation.hosts[0].causes.iter().filter_map(|cause| cause.short).collect();
    assert_eq!(shorts, [2000, 1024]);
    assert_eq!(explanation.hosts[1].breaks.get("wish"), Some(&5.0));
    let bonds = explanation.rules.iter().map(|b| (b.rule.as_str(), b.kind.as_str(), b.excludes, b.alone));
    assert_eq!(
        bonds.collect::<Vec<_>>(),
        [("apart", "spread", 1, 0), ("here", "fence", 1, 0), ("wish", "ban", 1, 0)]
    );
    let needs = explanation.resources.iter().map(|n| (n.resource.as_str(), n.demand, n.excludes, n.alone));
    assert_eq!(needs.collect::<Vec<_>>(), [("cpu", 4000, 1, 0), ("memory", 1024, 1, 0)]);

    let waiting = explain(&problem, "lost", None).unwrap();
    assert_eq!((waiting.host, waiting.running), (None, false));
    let admits: Vec<_> = waiting.hosts.iter().map(|host| (host.host.as_str(), host.admits)).collect();
    assert_eq!(admits, [("a", true), ("b", false), ("c", false)]);
}

#[test]
fn what_is_wrong_where_it_is_is_told() {
    let vms = [vm("v", "a", 8000, 1024, ""), vm("w", "a", 7000, 1024, ""), vm("x", "c", 1, 1, "")];
    let rules = r#"{"name": "apart", "spread": {"vms": ["v", "w"]}}"#;
    let explanation = explain(&problem(&vms.join(", "), rules), "v", None).unwrap();
    let texts: Vec<_> = explanation.wrong.iter().map(|cause| cause.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "a is 5000 millicores over its cpu limit",
            "the rule apart does not hold: 2 of its VMs run on a, at most 1 may"
        ]
    );
    assert!(!explanation.rules[0].holds);
    assert!(explanation.hosts[0].admits, "{:?}", explanation.hosts);
}

#[test]
fn pins_links_and_limits_are_causes() {
    let vms = [
        vm("v", "a", 1000, 1024, r#", "pinned": true"#),
        vm("hot", "a", 1000, 1024, r#", "memory_dirty_rate": 900.5"#),
    ];
    let mut problem = problem(&vms.join(", "), "");
    problem.limits = Some(crate::file::Limits { max_migrations: Some(0), ..Default::default() });
    let explanation = explain(&problem, "v", Some("b")).unwrap();
    let kinds: Vec<_> = explanation.hosts[0].causes.iter().map(|cause| cause.kind).collect();
    assert_eq!(kinds, [CauseKind::Pinned, CauseKind::Limit]);
    assert_eq!(
        least(&explanation),
        ["v is no longer pinned", "the limits of the plan allow a migration (max_migrations)"]
    );
    let hot = explain(&problem, "hot", Some("b")).unwrap();
    assert_eq!(
        hot.hosts[0].causes[1].text,
        "a migration from a to b comes to no end: the VM changes 900.5 MiB/s of its memory, and at 1000 MiB/s \
         that must be below 800"
    );
    let changes = hot.changes.unwrap();
    assert_eq!(changes.least[1].amount, Some(1126));
    let eased = changed(&problem, "hot", "b", &changes.least).unwrap();
    assert!(explain(&eased, "hot", None).unwrap().hosts[0].admits);
}

/// What has no bandwidth, or no slots, is named.
#[test]
fn who_lets_no_migration_end_is_named() {
    let problem = problem(&vm("v", "a", 1000, 1024, ""), "");
    let said = |change: &dyn Fn(&mut Problem)| {
        let mut problem = problem.clone();
        change(&mut problem);
        let explanation = explain(&problem, "v", None).unwrap();
        explanation.hosts[0].causes.iter().map(|cause| cause.text.clone()).collect::<Vec<_>>().join("; ")
    };
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(
            said(&|problem| problem.hosts[i].migration_bandwidth = Some(0.0)),
            format!("{name} has no bandwidth for migrations (its migration_bandwidth is 0)")
        );
        assert_eq!(
            said(&|problem| problem.hosts[i].max_migrations = Some(0)),
            format!("{name} takes part in no migration (its max_migrations is 0)")
        );
    }
    let limits = crate::file::Limits { backbone_bandwidth: Some(0.0), ..Default::default() };
    assert_eq!(
        said(&|problem| problem.limits = Some(limits.clone())),
        "the limits leave no bandwidth for migrations (backbone_bandwidth is 0)"
    );
    let link = crate::file::Link { name: "l".into(), a: "b".into(), b: "c".into(), ..Default::default() };
    assert_eq!(
        said(&|problem| problem.network =
            Some(crate::file::Network { links: vec![link.clone()], ..Default::default() })),
        "the network has no way with bandwidth for migrations between a and b"
    );
}

/// What is wrong and stays so where nothing is done.
#[test]
fn what_is_left_is_counted() {
    let vms = [
        vm("v", "a", 11000, 1024, ""),
        vm("w", "b", 9000, 1024, ""),
        vm("x", "", 1, 1, ""),
        vm("y", "", 1, 1, ""),
    ];
    let mut problem = problem(&vms.join(", "), "");
    let found = left(&problem).unwrap();
    assert_eq!((found.waiting, found.over), (vec!["x".to_owned(), "y".into()], vec!["a".to_owned()]));
    assert_eq!(found.ask.as_deref(), Some("x"));
    problem.vms.truncate(2);
    assert_eq!(left(&problem).unwrap().ask.as_deref(), Some("v"));
    problem.vms.remove(0);
    assert_eq!(left(&problem), Ok(Left::default()));
}

#[test]
fn the_fewest_vms_leave() {
    // b is full and 9 cores are needed: no VM alone is enough, and of the pairs only w and x are.
    let vms = [
        vm("v", "a", 9000, 1024, ""),
        vm("w", "b", 6000, 4096, ""),
        vm("x", "b", 3000, 512, ""),
        vm("y", "b", 1000, 512, ""),
    ];
    let problem = problem(&vms.join(", "), "");
    let explanation = explain(&problem, "v", Some("b")).unwrap();
    let changes = explanation.changes.as_ref().unwrap();
    assert!(changes.minimal);
    assert_eq!(least(&explanation), ["w leaves b", "x leaves b"]);
    let in_place: Vec<_> = changes.in_place.iter().map(|change| change.text.as_str()).collect();
    assert_eq!(in_place, ["b gets 9000 millicores more usable cpu"]);
}

#[test]
fn a_rule_is_dropped_only_where_no_vm_that_leaves_helps() {
    let vms = [vm("v", "a", 1000, 1024, ""), vm("w", "b", 1000, 1024, ""), vm("far", "c", 1000, 1024, "")];
    let rules = r#"{"name": "apart", "spread": {"vms": ["v", "w"]}},
        {"name": "off", "ban": {"vms": ["v"], "hosts": ["b"]}}"#;
    let explanation = explain(&problem(&vms.join(", "), rules), "v", Some("b")).unwrap();
    assert_eq!(least(&explanation), ["the rule off is dropped", "w leaves b"]);
    // A VM of a rule need not be on the host.
    let rules = r#"{"name": "together", "gather": {"vms": ["v", "far"], "scope": "rack"}}"#;
    let explanation = explain(&problem(&vms.join(", "), rules), "v", Some("b")).unwrap();
    assert_eq!(least(&explanation), ["far leaves c"]);
    // It is where it is asked to be.
    let explanation = explain(&problem(&vms.join(", "), rules), "v", Some("a")).unwrap();
    assert!(least(&explanation).is_empty());
}

#[test]
fn a_host_that_may_be_booted_takes_it() {
    let mut problem = problem(&vm("v", "a", 1000, 1024, ""), "");
    problem.hosts[2].state = "OFFLINE".to_owned();
    let off = explain(&problem, "v", Some("c")).unwrap();
    assert_eq!(told(&off)[1], "c: c is OFFLINE: it is powered down, and no plan may boot it");
    assert_eq!((off.hosts[1].admits, off.hosts[1].boots), (false, false));
    assert_eq!(least(&off), ["c becomes ONLINE"]);
    problem.limits = Some(crate::file::Limits { power_actions: true, ..Default::default() });
    let off = explain(&problem, "v", Some("c")).unwrap();
    assert_eq!((off.hosts[1].admits, off.hosts[1].boots, off.hosts[0].boots), (true, true, false));
    assert!(least(&off).is_empty());
    problem.hosts[2].state = "FAILED".to_owned();
    let failed = explain(&problem, "v", Some("c")).unwrap();
    assert_eq!((failed.hosts[1].admits, failed.hosts[1].boots), (false, false));
}

#[test]
fn rules_about_states_are_asked_once_the_host_is_online() {
    let few = r#"{"name": "few", "max_online": {"hosts": ["a", "b", "c"], "max": 2}}"#;
    let with = |state: &str, rule: &str| {
        let mut problem = problem(&vm("v", "a", 1000, 1024, ""), rule);
        problem.hosts[2].state = state.to_owned();
        explain(&problem, "v", Some("c")).unwrap()
    };
    let off = with("OFFLINE", few);
    assert_eq!(
        told(&off)[1],
        "c: c is OFFLINE: it is powered down, and no plan may boot it; \
         if c took VMs, the rule few would forbid it: 3 of its hosts are online, at most 2 may be"
    );
    assert_eq!(least(&off), ["c becomes ONLINE", "the rule few is dropped"]);
    assert!(off.changes.as_ref().unwrap().minimal);
    let bond = |bond: &super::Bond| (bond.rule.clone(), bond.holds, bond.names, bond.excludes);
    assert_eq!(off.rules.iter().map(bond).collect::<Vec<_>>(), [("few".to_owned(), true, false, 1)]);
    // What is broken already, or would only be a pity, keeps nobody away.
    assert_eq!(least(&with("CORDONED", few)), ["c becomes ONLINE"]);
    let soft = with("OFFLINE", &few.replace(r#""max_online""#, r#""soft_weight": 7, "max_online""#));
    assert_eq!(least(&soft), ["c becomes ONLINE"]);
    assert_eq!(soft.hosts[1].breaks.get("few"), Some(&7.0));
}

#[test]
fn vms_elsewhere_leave_where_a_rule_counts_them() {
    // On a host that takes none, so that it may leave but is not counted.
    let vms = [
        vm("v", "c", 2000, 1024, ""),
        vm("w", "a", 2000, 1024, ""),
        vm("x", "a", 1000, 512, ""),
        vm("y", "b", 1000, 2048, ""),
    ];
    let asked = |rule: &str| explain(&problem(&vms.join(", "), rule), "v", Some("b")).unwrap();
    let most = r#"{"name": "most", "running_capacity": {"hosts": ["a", "b"], "max": 3}}"#;
    assert_eq!(least(&asked(most)), ["x leaves a"]);
    let cpu =
        r#"{"name": "cpu", "resource_capacity": {"hosts": ["a", "b"], "resource": "cpu", "max": 4000}}"#;
    let explanation = asked(cpu);
    assert_eq!(least(&explanation), ["w leaves a"]);
    let bonds: Vec<_> = explanation.rules.iter().map(|bond| (bond.rule.as_str(), bond.excludes)).collect();
    assert_eq!(bonds, [("cpu", 2)]);
    // Only what is on the host itself counts here.
    let free = r#"{"name": "free", "headroom": {"hosts": ["a", "b"], "resource": "cpu", "min": 8000}}"#;
    assert_eq!(least(&asked(free)), ["y leaves b"]);
    // A host that is emptied is as spare as the one that is filled was.
    let spare = r#"{"name": "spare", "spare_hosts": {"hosts": ["a", "b"], "min": 1}}"#;
    let vms = [vm("v", "c", 1, 1, ""), vm("w", "a", 1, 1, ""), vm("x", "a", 1, 1, "")];
    let explanation = explain(&problem(&vms.join(", "), spare), "v", Some("b")).unwrap();
    assert_eq!(least(&explanation), ["w leaves a", "x leaves a"]);
}

#[test]
fn more_capacity_is_enough_for_what_is_to_stay_free_too() {
    let vms = [vm("v", "a", 4000, 1024, ""), vm("w", "b", 7000, 1024, r#", "pinned": true"#)];
    let free = |name: &str, min: u32| {
        format!(r#"{{"name": "{name}", "headroom": {{"hosts": ["b"], "resource": "cpu", "min": {min}}}}}"#)
    };
    let asked = |cpu: u32, rules: &[String]| {
        let vms = [vm("v", "a", cpu, 1024, ""), vms[1].clone()];
        explain(&problem(&vms.join(", "), &rules.join(", ")), "v", Some("b")).unwrap()
    };
    // 7 of 10 cores are in use.
    let [some, more] = [free("some", 2000), free("more", 2500)];
    assert_eq!(least(&asked(2000, std::slice::from_ref(&some))), ["the rule some is dropped"]);
    assert_eq!(least(&asked(4000, std::slice::from_ref(&some))), ["b gets 3000 millicores more usable cpu"]);
    assert_eq!(least(&asked(2000, &[some, more])), ["b gets 1500 millicores more usable cpu"]);
}

#[test]
fn with_too_many_sets_nothing_can_be_left_out() {
    // 60 VMs of 100 on b, 31 of them have to leave: more sets than can be tried.
    let small = |i: usize| vm(&format!("s{i}"), "b", 150, 10, "");
    let mut vms: Vec<_> = (0..60).map(small).collect();
    vms.push(vm("v", "a", 5600, 10, ""));
    let problem = problem(&vms.join(", "), "");
    let explanation = explain(&problem, "v", Some("b")).unwrap();
    let changes = explanation.changes.unwrap();
    // 9000 in use, 1000 free, 4600 short: 31 of 150 are 4650.
    let leaving = changes.least.iter().filter(|change| change.kind == ChangeKind::Leave).count();
    assert_eq!((leaving, changes.least.len()), (31, 31));
}

#[test]
fn the_node_that_lacks_least_is_not_the_one_that_others_can_leave() {
    // All that node 0 lacks x can give; node 1 lacks less, but nobody is there to leave it.
    let json = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 9, "memory": 900}},
        {"name": "b", "capacity": {"cpu": 5, "memory": 200},
         "numa_nodes": [{"capacity": {"cpu": 5, "memory": 200}}, {"capacity": {"cpu": 0, "memory": 0}}]}],
      "vms": [{"name": "v", "host": "a", "demand": {"cpu": 4, "memory": 100}, "arrival_demand": {"cpu": 0}},
        {"name": "x", "host": "b", "demand": {"cpu": 2, "memory": 300}, "numa": {"nodes": [0]}}]}"#;
    let explanation = explain(&Problem::from_json(json).unwrap(), "v", Some("b")).unwrap();
    assert_eq!(least(&explanation), ["x leaves b"]);
    assert!(explanation.changes.unwrap().minimal);
}

#[test]
fn numa_nodes_are_counted_one_by_one() {
    let json = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 9, "memory": 9}},
        {"name": "b", "capacity": {"cpu": 8, "memory": 9}, "numa_nodes": [{"capacity": {"cpu": 4}}, {"capacity": {"cpu": 4}}]}],
      "vms": [{"name": "v", "host": "a", "demand": {"cpu": 3}}, {"name": "wide", "demand": {"cpu": 4}, "numa": {"count": 2}},
        {"name": "three", "demand": {"cpu": 3}, "numa": {"count": 3}},
        {"name": "x", "host": "b", "demand": {"cpu": 2, "memory": 1}, "numa": {"nodes": [0]}},
        {"name": "y", "host": "b", "demand": {"cpu": 3, "memory": 2}, "numa": {"nodes": [1]}}]}"#;
    let mut problem = Problem::from_json(json).unwrap();
    // Of the 8 on b 3 are free, but not on one node.
    let narrow = explain(&problem, "v", Some("b")).unwrap();
    assert_eq!(
        told(&narrow),
        ["b: b has no NUMA node with room for it: 1 millicores cpu are missing on the best"]
    );
    assert_eq!(least(&narrow), ["x leaves b"]);
    let in_place = &narrow.changes.as_ref().unwrap().in_place;
    assert_eq!(in_place[0].text, "each NUMA node of b gets 1 millicores more usable cpu");
    let eased = changed(&problem, "v", "b", in_place).unwrap();
    assert!(explain(&eased, "v", None).unwrap().hosts[0].admits);
    let wide = explain(&problem, "wide", Some("b")).unwrap();
    assert_eq!(
        told(&wide)[1],
        "b: b has no 2 NUMA nodes with room for it: 1 millicores cpu are missing on the best"
    );
    assert_eq!(least(&wide), ["y leaves b"]);
    let three = explain(&problem, "three", Some("b")).unwrap();
    assert_eq!(
        told(&three)[1].split(';').next(),
        Some("b: b has 2 of the 3 NUMA nodes that the VM is split over")
    );
    assert_eq!(least(&three), ["three is split over at most 2 NUMA nodes"]);
    // What is wrong is told of the node.
    problem.vms[3].demand.insert("cpu".to_owned(), 5);
    let over = explain(&problem, "x", None).unwrap();
    assert_eq!(over.wrong[0].text, "NUMA node 0 of b is 1 millicores over its cpu limit");
}

#[test]
fn what_is_not_there_cannot_be_explained() {
    let problem = problem(&vm("v", "a", 1, 1, ""), "");
    assert_eq!(explain(&problem, "nobody", None), Err(Unexplained::NoVm("nobody".into())));
    assert_eq!(explain(&problem, "v", Some("nowhere")), Err(Unexplained::NoHost("nowhere".into())));
    let broken = Problem { objective: "BEAUTY".into(), ..problem };
    assert!(matches!(explain(&broken, "v", None), Err(Unexplained::Rejected(_))));
}

#[test]
fn the_rule_that_is_added_has_a_name_of_its_own() {
    let rules = r#"{"name": "asked-for", "ban": {"vms": ["v"], "hosts": ["c"]}}"#;
    let problem = problem(&vm("v", "a", 1, 1, ""), rules);
    let (asked, name) = requiring(&problem, "v", "b");
    assert_eq!(name, "asked-for-1");
    let explanation = explain(&asked, "v", None).unwrap();
    assert!(explanation.hosts[0].admits);
    assert!(!explanation.rules.iter().find(|rule| rule.rule == name).unwrap().holds);
}

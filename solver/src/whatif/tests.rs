use super::{Edit, Refused, edit};
use crate::file::{Amounts, Constraint, Problem};

const PROBLEM: &str = r#"{"hosts": [
    {"name": "a", "capacity": {"cpu": 10}, "labels": {"rack": "r"}, "state": "CORDONED"},
    {"name": "b", "capacity": {"cpu": 20}, "labels": {"rack": "r"}},
    {"name": "c", "capacity": {"cpu": 30}, "labels": {"rack": "s"}, "state": "OFFLINE"},
    {"name": "new-host-2"}],
  "vms": [{"name": "v", "host": "a", "demand": {"cpu": 4}, "pinned": true, "labels": {"app": "web"}, "priority": 7}],
  "constraints": [{"name": "off", "ban": {"vms": ["v"], "hosts": ["b"]}}]}"#;

fn edited(change: &Edit) -> Result<Problem, Refused> {
    let mut problem = Problem::from_json(PROBLEM).unwrap();
    edit(&mut problem, change)?;
    // What comes out is a problem.
    crate::Problem::new(&problem).unwrap();
    Ok(problem)
}

fn states(problem: &Problem) -> Vec<&str> {
    problem.hosts.iter().map(|host| host.state.as_str()).collect()
}

#[test]
fn hosts_are_added_online_under_free_names() {
    let problem = edited(&Edit::AddHosts { count: 2, like: None }).unwrap();
    let added = &problem.hosts[4..];
    assert_eq!(added.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["new-host-1", "new-host-3"]);
    for host in added {
        assert_eq!((host.capacity["cpu"], host.labels["rack"].as_str(), host.state.as_str()), (10, "r", ""));
    }
    let problem = edited(&Edit::AddHosts { count: 1, like: Some("c".into()) }).unwrap();
    assert_eq!((problem.hosts[4].capacity["cpu"], problem.hosts[4].state.as_str()), (30, ""));
}

#[test]
fn hosts_that_are_removed_are_drained_and_hosts_that_are_lost_have_failed() {
    assert_eq!(states(&edited(&Edit::RemoveHost("a".into())).unwrap()), ["DRAINING", "", "OFFLINE", ""]);
    assert_eq!(states(&edited(&Edit::RemoveHost("c".into())).unwrap()), ["CORDONED", "", "FAILED", ""]);
    let lose = |scope: &str, value: &str| edited(&Edit::Lose { scope: scope.into(), value: value.into() });
    assert_eq!(states(&lose("rack", "r").unwrap()), ["FAILED", "FAILED", "OFFLINE", ""]);
    assert_eq!(states(&lose("host", "b").unwrap()), ["CORDONED", "FAILED", "OFFLINE", ""]);
    for (scope, value) in [("rack", "q"), ("zone", "r"), ("host", "r")] {
        let refused = Refused::NoScope { scope: scope.into(), value: value.into() };
        assert_eq!(lose(scope, value), Err(refused));
    }
}

#[test]
fn a_host_that_is_off_is_booted_unless_it_was_removed() {
    let text = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 1}},
            {"name": "b", "capacity": {"cpu": 9}, "state": "OFFLINE", "idle_watts": 50, "peak_watts": 90}],
        "vms": [{"name": "v", "demand": {"cpu": 4}}], "limits": {"power_actions": true}}"#;
    let placed = |problem: &Problem| {
        let plan = crate::solve(problem, &crate::Options::default(), &crate::Cancel::default(), &mut |_| {})
            .unwrap();
        plan.placement.get("v").cloned()
    };
    let mut problem = Problem::from_json(text).unwrap();
    assert_eq!(placed(&problem).as_deref(), Some("b"));
    edit(&mut problem, &Edit::RemoveHost("b".into())).unwrap();
    assert_eq!(placed(&problem), None);
}

#[test]
fn vms_are_added_to_wait() {
    let demand: Amounts = [("cpu".to_owned(), 9), ("memory".to_owned(), 5)].into();
    let problem = edited(&Edit::AddVms { count: 2, like: Some("v".into()), demand: demand.clone() }).unwrap();
    let added = &problem.vms[1];
    assert_eq!((added.name.as_str(), added.host.as_str(), added.pinned), ("new-vm-1", "", false));
    assert_eq!((&added.demand, added.labels["app"].as_str(), added.priority), (&demand, "web", Some(7)));
    let problem = edited(&Edit::AddVms { count: 1, like: None, demand: demand.clone() }).unwrap();
    assert_eq!((problem.vms.len(), &problem.vms[1].demand, problem.vms[1].priority), (2, &demand, None));
}

#[test]
fn rules_come_and_go() {
    assert!(edited(&Edit::DropRule("off".into())).unwrap().constraints.is_empty());
    let rule =
        Constraint { name: "on".into(), ..Problem::from_json(PROBLEM).unwrap().constraints[0].clone() };
    assert_eq!(edited(&Edit::AddRule(rule.clone())).unwrap().constraints.len(), 2);
    let taken = Constraint { name: "off".into(), ..rule };
    assert_eq!(edited(&Edit::AddRule(taken)), Err(Refused::Taken("off".into())));
}

#[test]
fn what_is_not_there_cannot_be_edited() {
    let missing = |kind, name: &str| Err(Refused::Missing { kind, name: name.into() });
    assert_eq!(edited(&Edit::RemoveHost("x".into())), missing("host", "x"));
    assert_eq!(edited(&Edit::AddHosts { count: 1, like: Some("x".into()) }), missing("host", "x"));
    let vms = |count, like: Option<&str>| Edit::AddVms {
        count,
        like: like.map(str::to_owned),
        demand: Amounts::default(),
    };
    assert_eq!(edited(&vms(1, Some("x"))), missing("VM", "x"));
    assert_eq!(edited(&Edit::DropRule("x".into())), missing("rule", "x"));
    for count in [0, 100_001, u32::MAX] {
        assert_eq!(edited(&vms(count, None)), Err(Refused::Count));
    }
    let refused = edit(&mut Problem::default(), &Edit::AddHosts { count: 1, like: None });
    assert!(matches!(refused, Err(Refused::Missing { kind: "host", .. })));
}

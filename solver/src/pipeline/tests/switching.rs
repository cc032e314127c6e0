//! Rules about which hosts are online, beside power actions.

use super::*;
use crate::file::ActionKind;

const REPAIR: &str = "";
const POWER: &str = r#", "objective": "POWER""#;

/// A problem with power actions and these rules.
fn powered(list: &[(&str, &str)], vms: &[String], rules: &str, more: &str) -> String {
    let more = format!(r#"{more}, "limits": {{"power_actions": true}}, "constraints": [{rules}]"#);
    problem(&hosts(list), vms, &more)
}

fn rule(name: &str, body: &str) -> String {
    format!(r#"{{"name": "{name}", {body}}}"#)
}

/// Kind, host or VM, and what each waits for.
fn told(plan: &Plan) -> Vec<(ActionKind, &str, &[u64])> {
    (plan.actions.iter())
        .map(|a| {
            let host = if a.source.is_empty() { a.destination.as_str() } else { a.source.as_str() };
            (a.kind, if a.vm.is_empty() { host } else { a.vm.as_str() }, a.after.as_slice())
        })
        .collect()
}

/// Every level but `MAKESPAN` is proved.
#[track_caller]
fn assert_proved(plan: &Plan) {
    assert!(plan.status.has_plan(), "{}", plan.to_json());
    for level in plan.objectives.iter().filter(|level| level.name != "MAKESPAN") {
        assert!((level.bound.unwrap_or(0.0) - level.value).abs() < 1e-3, "{}", plan.to_json());
    }
}

#[test]
fn an_empty_host_is_booted_to_be_spare() {
    let spare = rule("reserve", r#""spare_hosts": {"hosts": ["a", "b"], "min": 1}"#);
    let text = powered(&[("a", "ONLINE"), ("b", "OFFLINE")], &[vm("v", "a", 4, 4)], &spare, REPAIR);
    let plan = solved(&text);
    assert_proved(&plan);
    assert_eq!(actions(&plan), [" >b: the rule reserve wants 1 of its hosts online and without VMs"]);
    assert_eq!((value(&plan, "MIGRATION_COST"), value(&plan, "MAKESPAN")), (0.0, 120.0));
    assert_status(&solved_with(&carried_out(&parse(&text), &plan), &options()), Status::NoChange);
    // Not without leave.
    let without = text.replace(r#""power_actions": true"#, r#""power_actions": false"#);
    assert_status(&solved(&without), Status::Infeasible);
    // Where energy counts, the one that draws least is left up.
    let cheap = text.replace(r#""name": "b","#, r#""name": "b", "idle_watts": 40,"#);
    let spare = cheap.replace(r#"["a", "b"]"#, r#"["a", "b", "c"]"#);
    let third =
        spare.replacen(r#""hosts": ["#, r#""hosts": [{"name": "c", "capacity": {"cpu": 10000}}, "#, 1);
    let plan = solved(&third);
    assert_status(&plan, Status::NoChange);
    let plan = solved(&third.replacen(r#""vms""#, r#""objective": "POWER", "vms""#, 1));
    assert_proved(&plan);
    assert_eq!(told(&plan), [(ActionKind::Boot, "b", &[][..]), (ActionKind::Shutdown, "c", &[])]);
    assert_eq!(value(&plan, "ENERGY"), 140.0 + 40.0 + 10.0);
}

#[test]
fn empty_hosts_are_shut_down_where_too_many_are_online() {
    let most = rule("few", r#""max_online": {"hosts": ["a", "b", "c", "d"], "max": 2}"#);
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "DRAINING"), ("d", "FAILED")];
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &most, REPAIR));
    assert_proved(&plan);
    let why = "runs no VM, and the rule few lets at most 2 of its hosts be online";
    assert_eq!(plan.actions.len(), 1);
    assert!(plan.actions[0].because.ends_with(why), "{}", plan.actions[0].because);
    // Where all run VMs, those of one go to another.
    let vms = [vm("v", "a", 4, 4), vm("w", "b", 4, 4), vm("x", "c", 4, 4)];
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "ONLINE"), ("d", "OFFLINE")];
    for backend in [Backend::Heuristic, Backend::Highs, Backend::Cp] {
        let text = powered(&list, &vms, &most, REPAIR);
        let plan = solved_with(&parse(&text), &Options { backend, ..options() });
        assert_eq!(value(&plan, "MIGRATION_COST"), 4096.0);
        let kinds: Vec<_> = plan.actions.iter().map(|a| a.kind).collect();
        assert_eq!(kinds, [ActionKind::Migrate, ActionKind::Shutdown]);
        assert_eq!(plan.actions[1].after, [1]);
    }
}

#[test]
fn rules_that_share_hosts_are_kept_together() {
    let rules = |max: u32| {
        let most = format!(r#""max_online": {{"hosts": ["a", "b", "c"], "max": {max}}}"#);
        let spare = r#""spare_hosts": {"hosts": ["b", "c", "d"], "min": 1}"#;
        [rule("few", &most), rule("reserve", spare)].join(", ")
    };
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "ONLINE"), ("d", "OFFLINE")];
    let vms = [vm("v", "a", 4, 4), vm("w", "b", 4, 2)];
    // c is the spare one; where it may not be online as well, d is.
    assert_status(&solved(&powered(&list, &vms, &rules(3), REPAIR)), Status::NoChange);
    let plan = solved(&powered(&list, &vms, &rules(2), REPAIR));
    assert_proved(&plan);
    assert_eq!(told(&plan), [(ActionKind::Boot, "d", &[][..]), (ActionKind::Shutdown, "c", &[])]);
    // With one only, w has to move as well.
    let plan = solved(&powered(&list, &vms, &rules(1), REPAIR));
    assert_proved(&plan);
    assert_eq!((value(&plan, "MIGRATION_COST"), plan.actions.len()), (2048.0, 4));
}

#[test]
fn soft_rules_about_states_have_their_price() {
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "ONLINE")];
    let spare = rule("reserve", r#""soft_weight": 5, "spare_hosts": {"hosts": ["b", "c"], "min": 1}"#);
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &spare, POWER));
    assert_proved(&plan);
    assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "ENERGY")), (0.0, 140.0 + 100.0 + 10.0));
    let first = r#", "objectives": ["ENERGY", "VIOLATIONS"]"#;
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &spare, first));
    assert_proved(&plan);
    assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "ENERGY")), (5.0, 140.0 + 10.0 + 10.0));
    // The heavier of two that cannot both hold.
    let none = rule("off", r#""soft_weight": 7, "max_online": {"hosts": ["b", "c"], "max": 0}"#);
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &format!("{spare}, {none}"), REPAIR));
    assert_proved(&plan);
    assert_eq!((value(&plan, "VIOLATIONS"), plan.objectives[0].before), (5.0, 7.0));
    assert_eq!(plan.actions.len(), 2);
}

#[test]
fn where_few_may_be_online_at_any_time_one_is_shut_down_before_another_is_booted() {
    let most = rule("few", r#""continuous": true, "max_online": {"hosts": ["a", "b"], "max": 1}"#);
    let fence = rule("there", r#""fence": {"vms": ["w"], "hosts": ["b"]}"#);
    let rules = format!("{most}, {fence}");
    let list = [("a", "ONLINE"), ("b", "OFFLINE"), ("c", "ONLINE")];
    let plan = solved(&powered(&list, &[vm("w", "", 4, 4)], &rules, REPAIR));
    assert_proved(&plan);
    assert_eq!(
        told(&plan),
        [(ActionKind::Shutdown, "a", &[][..]), (ActionKind::Boot, "b", &[1]), (ActionKind::Start, "w", &[2])]
    );
    // What runs on a goes elsewhere first.
    let vms = [vm("v", "a", 4, 4), vm("w", "", 4, 4)];
    let plan = solved(&powered(&list, &vms, &rules, REPAIR));
    assert_proved(&plan);
    assert_eq!(
        told(&plan),
        [
            (ActionKind::Migrate, "v", &[][..]),
            (ActionKind::Shutdown, "a", &[1]),
            (ActionKind::Boot, "b", &[2]),
            (ActionKind::Start, "w", &[3]),
        ]
    );
    assert!(plan.actions[2].start_s >= plan.actions[0].end_s && plan.actions[3].start_s >= 120.0);
}

#[test]
fn where_hosts_must_be_spare_at_any_time_one_is_booted_before_another_is_taken() {
    let spare = rule("reserve", r#""continuous": true, "spare_hosts": {"hosts": ["a", "b"], "min": 1}"#);
    let fence = rule("there", r#""fence": {"vms": ["w"], "hosts": ["a"]}"#);
    let list = [("a", "ONLINE"), ("b", "OFFLINE")];
    let plan = solved(&powered(&list, &[vm("w", "", 4, 4)], &format!("{spare}, {fence}"), REPAIR));
    assert_proved(&plan);
    assert_eq!(told(&plan), [(ActionKind::Boot, "b", &[][..]), (ActionKind::Start, "w", &[1])]);
    // The one that draws more is shut down when the other one is there.
    let text =
        powered(&list, &[], &spare, POWER).replace(r#""name": "b","#, r#""name": "b", "idle_watts": 40,"#);
    let plan = solved(&text);
    assert_proved(&plan);
    assert_eq!(told(&plan), [(ActionKind::Boot, "b", &[][..]), (ActionKind::Shutdown, "a", &[1])]);
    assert_eq!(plan.actions[1].start_s, 120.0);
}

#[test]
fn where_neither_order_is_possible_nothing_is_switched_in_vain() {
    // Too few spare ones for a moment, or too many online: a stays, though b would draw less.
    let most = rule("few", r#""continuous": true, "max_online": {"hosts": ["a", "b"], "max": 1}"#);
    let spare = rule("reserve", r#""continuous": true, "spare_hosts": {"hosts": ["a", "b"], "min": 1}"#);
    let text = powered(&[("a", "ONLINE"), ("b", "OFFLINE")], &[], &format!("{most}, {spare}"), POWER);
    let plan = solved(&text.replace(r#""name": "b","#, r#""name": "b", "idle_watts": 40,"#));
    assert_status(&plan, Status::NoChange);
    assert!(plan.objectives[1].bound.unwrap() <= 50.0, "that is not proved to be the least");
}

#[test]
fn what_states_cannot_be_is_named() {
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "OFFLINE")];
    let named = |rules: &[&str], vms: &[String]| {
        let plan = solved(&powered(&list, vms, &rules.join(", "), REPAIR));
        assert_status(&plan, Status::Infeasible);
        assert!(!plan.reason.is_empty());
        let mut conflict = plan.conflict.unwrap();
        conflict.constraints.sort();
        (conflict.constraints, conflict.vms)
    };
    let few = rule("few", r#""max_online": {"hosts": ["a", "b", "c"], "max": 2}"#);
    let spare = rule("reserve", r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 2}"#);
    let more = rule("more", r#""spare_hosts": {"hosts": ["a", "c"], "min": 3}"#);
    let vms = [vm("v", "a", 8, 4), vm("w", "b", 8, 4)];
    assert_eq!(named(&[&more], &[]).0, ["more"]);
    assert_eq!(
        named(&[&few, &rule("all", r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 3}"#)], &[]).0,
        ["all", "few"]
    );
    // They need two hosts, so that only one is left.
    assert_eq!(named(&[&spare], &vms), (vec!["reserve".to_owned()], vec!["v".to_owned(), "w".to_owned()]));
    let one = rule("one", r#""max_online": {"hosts": ["a", "b", "c"], "max": 1}"#);
    assert_eq!(named(&[&one], &vms), (vec!["one".to_owned()], vec!["v".to_owned(), "w".to_owned()]));
    // The same for hosts whose VMs cannot move.
    let pinned = [("v", "a"), ("w", "b")].map(|(vm, host)| vm_with(vm, host, 1, 1, r#", "pinned": true"#));
    assert_eq!(named(&[&one], &pinned).0, ["one"]);
    assert_eq!(
        named(&[&few, &rule("r", r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 1}"#)], &pinned).0,
        ["few", "r"]
    );
}

/// Two VMs that fill two hosts change places.
fn swap(list: &[(&str, &str)], more_rules: &[String]) -> String {
    let fence =
        |vm: &str, host: &str| rule(vm, &format!(r#""fence": {{"vms": ["{vm}"], "hosts": ["{host}"]}}"#));
    let mut rules = vec![fence("v", "b"), fence("w", "a")];
    rules.extend_from_slice(more_rules);
    powered(list, &[vm("v", "a", 10, 10), vm("w", "b", 10, 10)], &rules.join(", "), REPAIR)
}

#[test]
fn a_host_is_booted_to_be_passed_through() {
    let text = swap(&[("a", "ONLINE"), ("b", "ONLINE"), ("c", "OFFLINE"), ("d", "OFFLINE")], &[]);
    let plan = solved(&text);
    assert_eq!(
        told(&plan),
        [
            (ActionKind::Boot, "c", &[][..]),
            (ActionKind::Migrate, "w", &[1]),
            (ActionKind::Migrate, "v", &[2]),
            (ActionKind::Migrate, "w", &[3]),
            (ActionKind::Shutdown, "c", &[4]),
        ],
        "{}",
        plan.to_json()
    );
    assert_eq!(plan.actions[0].because, "VMs go by way of c, as no other order of moves was found");
    assert_eq!(plan.actions[4].because, "c was booted only to be passed through");
    // Not without leave, and not where all of them may not be online.
    let without = text.replace(r#""power_actions": true"#, r#""power_actions": false"#);
    assert_status(&solved(&without), Status::Infeasible);
    let few = |max: u32| {
        rule(
            "few",
            &format!(r#""continuous": true, "max_online": {{"hosts": ["a", "b", "c"], "max": {max}}}"#),
        )
    };
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "OFFLINE")];
    assert!(!solved(&swap(&list, &[few(2)])).status.has_plan());
    assert!(solved(&swap(&list, &[few(3)])).status.has_plan());
}

#[test]
fn vms_step_aside_between_a_shutdown_and_a_boot() {
    let rules = [
        rule("to", r#""fence": {"vms": ["v"], "hosts": ["b"]}"#),
        rule("few", r#""continuous": true, "max_online": {"hosts": ["a", "b"], "max": 1}"#),
    ];
    let list = [("a", "ONLINE"), ("b", "OFFLINE"), ("c", "OFFLINE")];
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &rules.join(", "), REPAIR));
    assert_eq!(
        told(&plan),
        [
            (ActionKind::Boot, "c", &[][..]),
            (ActionKind::Migrate, "v", &[1]),
            (ActionKind::Shutdown, "a", &[2]),
            (ActionKind::Boot, "b", &[3]),
            (ActionKind::Migrate, "v", &[4, 2]),
            (ActionKind::Shutdown, "c", &[5]),
        ],
        "{}",
        plan.to_json()
    );
}

#[test]
fn a_host_is_booted_so_that_enough_stay_spare() {
    let rules = [
        rule("to", r#""fence": {"vms": ["v"], "hosts": ["b"]}"#),
        rule("reserve", r#""continuous": true, "spare_hosts": {"hosts": ["a", "b"], "min": 1}"#),
    ];
    let list = [("a", "ONLINE"), ("b", "ONLINE"), ("c", "OFFLINE")];
    let plan = solved(&powered(&list, &[vm("v", "a", 4, 4)], &rules.join(", "), REPAIR));
    assert!(plan.status.has_plan(), "{}", plan.to_json());
    let kinds: Vec<ActionKind> = plan.actions.iter().map(|action| action.kind).collect();
    assert_eq!(kinds, [ActionKind::Boot, ActionKind::Migrate, ActionKind::Migrate, ActionKind::Shutdown]);
}

//! Soft rules at their price: on the way, and however heavy others are.

use super::*;

const ONLINE: &str = "ONLINE";

/// a on h1 and b on h2 that want to change places, and are to be apart all the way at a price of 5.
fn swap(fences: &str) -> String {
    let list = hosts(&[("h1", ONLINE), ("h2", ONLINE)]);
    let rules = format!(
        r#", "constraints": [
            {{"name": "fa", {fences}"fence": {{"vms": ["a"], "hosts": ["h2"]}}}},
            {{"name": "fb", {fences}"fence": {{"vms": ["b"], "hosts": ["h1"]}}}},
            {{"name": "apart", "soft_weight": 5, "continuous": true, "spread": {{"vms": ["a", "b"]}}}}]"#
    );
    problem(&list, &[vm("a", "h1", 1, 1), vm("b", "h2", 1, 1)], &rules)
}

#[test]
fn a_soft_rule_is_broken_on_the_way_when_nothing_else_helps() {
    for fences in ["", r#""soft_weight": 100, "#] {
        let plan = solved(&swap(fences));
        assert_eq!(plan.actions.len(), 2, "{}", plan.to_json());
        assert_eq!(value(&plan, "VIOLATIONS"), 5.0);
    }
}

#[test]
fn a_soft_rule_that_costs_more_than_the_plan_gains_is_kept() {
    let plan = solved(&swap(r#""soft_weight": 2, "#));
    assert_eq!((plan.actions.len(), value(&plan, "VIOLATIONS")), (0, 4.0));
}

#[test]
fn a_vm_that_waits_counts_beside_the_heaviest_rule() {
    for weight in [1e9, 1e10, 1e12] {
        let list = hosts(&[("h1", ONLINE), ("h2", ONLINE)]);
        let rule = format!(
            r#", "constraints": [{{"name": "never", "soft_weight": {weight}, "ban": {{"vms": ["a"], "hosts": ["h1", "h2"]}}}}]"#
        );
        let waits = vm_with("w", "", 1, 1, r#", "priority": 1"#);
        let plan = solved(&problem(&list, &[vm("a", "h1", 1, 1), waits], &rule));
        assert_eq!(plan.unplaced, [""; 0], "{weight}: {}", plan.to_json());
    }
}

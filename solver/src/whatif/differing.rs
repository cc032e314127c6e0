//! What two plans leave in different places.

use crate::file::Plan;
use std::collections::BTreeSet;

/// A VM that two plans leave in different places.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Differing {
    /// The VM.
    pub vm: String,
    /// Its host after the first plan; `None` = it runs nowhere.
    pub before: Option<String>,
    /// Its host after the second.
    pub after: Option<String>,
}

/// The VMs that two plans leave in different places, by name; those that only one of the problems has with them.
/// None where one of the two is no plan.
#[must_use]
pub fn differing(before: &Plan, after: &Plan) -> Vec<Differing> {
    if !before.status.has_plan() || !after.status.has_plan() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = before.placement.keys().chain(after.placement.keys()).collect();
    let host = |plan: &Plan, vm: &String| plan.placement.get(vm).cloned();
    let all = names.into_iter().map(|vm| Differing {
        vm: vm.clone(),
        before: host(before, vm),
        after: host(after, vm),
    });
    all.filter(|differing| differing.before != differing.after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Status;

    #[test]
    fn vms_in_different_places_are_told_by_name() {
        let plan = |status, placement: &[(&str, &str)]| {
            let placement =
                placement.iter().map(|(vm, host)| ((*vm).to_owned(), (*host).to_owned())).collect();
            Plan { status, placement, ..Plan::default() }
        };
        let first = plan(Status::Optimal, &[("a", "h1"), ("b", "h1"), ("c", "h2")]);
        let second = plan(Status::Feasible, &[("a", "h1"), ("b", "h3"), ("d", "h2")]);
        let told = |vm: &str, before: Option<&str>, after: Option<&str>| Differing {
            vm: vm.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let expected =
            [told("b", Some("h1"), Some("h3")), told("c", Some("h2"), None), told("d", None, Some("h2"))];
        assert_eq!(differing(&first, &second), expected);
        assert_eq!(differing(&first, &first), []);
        assert_eq!(differing(&first, &plan(Status::Unknown, &[])), []);
    }
}

//! Rules that say the same.

use super::{Constraint, Problem};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

impl Problem {
    /// The same problem with one rule of those that demand the same, the first; a soft one gets the weights of all. It
    /// has the same plans with the same values.
    #[must_use]
    pub(crate) fn without_twins(mut self) -> Self {
        let mut left: Vec<Option<Constraint>> = self.constraints.drain(..).map(Some).collect();
        let mut first = BTreeMap::new();
        let mut more = vec![0.0; left.len()];
        let mut twins = Vec::new();
        for (i, rule) in left.iter().enumerate() {
            let Some(rule) = rule else { continue };
            match first.entry((&rule.body, rule.continuous, rule.soft_weight.is_some())) {
                Entry::Vacant(place) => _ = place.insert(i),
                Entry::Occupied(place) => {
                    more[*place.get()] += rule.soft_weight.unwrap_or(0.0);
                    twins.push(i);
                }
            }
        }
        for i in twins {
            left[i] = None;
        }
        self.constraints = (left.into_iter().zip(more))
            .filter_map(|(rule, more)| {
                let rule = rule?;
                Some(Constraint { soft_weight: rule.soft_weight.map(|weight| weight + more), ..rule })
            })
            .collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::{Problem, file};

    #[test]
    fn of_rules_that_demand_the_same_the_first_is_left() {
        let file = file::Problem::from_json(
            r#"{"hosts": [{"name": "h1", "labels": {"rack": "a"}}, {"name": "h2"}],
                "vms": [{"name": "a", "labels": {"app": "web"}}, {"name": "b", "labels": {"app": "web"}}],
                "constraints": [
                    {"name": "r1", "spread": {"vms": ["a", "b"]}},
                    {"name": "r2", "soft_weight": 2, "spread": {"vms": ["a", "b"]}},
                    {"name": "r3", "spread": {"vm_selector": {"app": "web"}, "scope": "host", "max": 1}},
                    {"name": "r4", "continuous": true, "spread": {"vms": ["b", "a"]}},
                    {"name": "r5", "soft_weight": 3, "spread": {"vms": ["b", "a", "a"]}},
                    {"name": "r6", "spread": {"vms": ["a", "b"], "scope": "rack"}},
                    {"name": "r7", "spread": {"vms": ["a", "b"], "max": 2}}
                ]}"#,
        );
        let problem = Problem::new(&file.unwrap()).unwrap().without_twins();
        let left: Vec<_> = problem.constraints.iter().map(|rule| (&*rule.name, rule.soft_weight)).collect();
        let expected = [("r1", None), ("r2", Some(5.0)), ("r4", None), ("r6", None), ("r7", None)];
        assert_eq!(left, expected);
    }
}

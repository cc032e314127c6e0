//! VMs that must be at one place, as rows over pairs of them: where one of the two is, there is the other.

use crate::constraints::{Kept, Places};
use crate::milp::linear::{Row, Term};
use crate::milp::model::Model;
use crate::model::VmId;
use std::collections::BTreeMap;

/// Whether all that a rule says of its VMs is said by [`rows`].
pub(super) fn tells(kept: &Kept<'_>) -> bool {
    let flocks = kept.rule.flocks();
    kept.hard() && !flocks.is_empty() && flocks.iter().all(|flock| matches!(flock.places, Places::Scope(..)))
}

/// The rows of all rules that keep VMs together.
pub(super) fn rows(model: &Model<'_>) -> Vec<Row> {
    let mut class_of: BTreeMap<VmId, usize> = BTreeMap::new();
    for (number, class) in model.parts.classes.iter().enumerate() {
        class.members.iter().for_each(|vm| _ = class_of.insert(*vm, number));
    }
    let ended: BTreeMap<VmId, _> = model.parts.fixed.iter().copied().collect();
    let mut result = Vec::new();
    for kept in model.rules.list.iter().filter(|kept| tells(kept)) {
        for flock in kept.rule.flocks() {
            // By place: the columns of a VM that are there, and whether it is in any case.
            let at = |vm: &VmId, place: usize| -> (Vec<Term>, i64) {
                if let Some(class) = class_of.get(vm) {
                    let cells = model.cells[model.of_class[*class].clone()].iter();
                    let there = cells.filter(|cell| flock.places.contains(place, cell.site.host));
                    return (there.map(|cell| (cell.column, 1)).collect(), 0);
                }
                let end = ended.get(vm).copied().flatten();
                (Vec::new(), i64::from(end.is_some_and(|site| flock.places.contains(place, site.host))))
            };
            let runs = |vm: &&VmId| class_of.contains_key(vm) || ended.get(vm).is_some_and(Option::is_some);
            let vms: Vec<&VmId> = flock.vms.iter().filter(runs).collect();
            for pair in vms.windows(2) {
                for place in 0..flock.places.count() {
                    let ((mut terms, one), (other, two)) = (at(pair[0], place), at(pair[1], place));
                    terms.extend(other.into_iter().map(|(column, factor)| (column, -factor)));
                    if !terms.is_empty() {
                        result.push(Row { terms, rhs: two - one, equal: true });
                    }
                }
            }
        }
    }
    result
}

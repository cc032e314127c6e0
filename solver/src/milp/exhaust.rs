//! All ends that a plan may have, one after the other.

use super::ends::Ends;
use super::linear::{Term, count};
use super::model::{Model, Shape};
use super::{MOST_COLUMNS, MOST_NONZEROS};
use crate::backend::{End, Exact, Task};
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{Placement, Problem};

/// One question takes at most this share of the time that is left.
const SHARE: f64 = 0.5;

/// Shows ends to `dismiss`, up to `most`, until that dismisses one no more. Whether all there are have been shown and
/// dismissed.
pub(crate) fn exhaust(
    problem: &Problem,
    rules: &Rules<'_>,
    by: &dyn Exact,
    budget: &Budget,
    most: usize,
    dismiss: &mut dyn FnMut(&Placement) -> bool,
) -> bool {
    let ends = Ends::new(problem, rules);
    let shape = Shape {
        held: &|_| None,
        entered: None,
        pooled: false,
        whole: true,
        named: true,
        most_columns: MOST_COLUMNS,
    };
    let Some(mut model) = Model::new(problem, rules, &ends, &shape) else { return false };
    if model.linear.nonzeros > MOST_NONZEROS || model.linear.wide {
        return false;
    }
    for _ in 0..most {
        let task = Task { linear: model.linear.clone(), goal: Vec::new(), start: None, seed: 0, gap: 0.0 };
        budget.spend(1);
        let Some(solved) = by.solve(task, &budget.slice(SHARE), budget) else { return false };
        if solved.end == End::Infeasible {
            return true;
        }
        let Some(point) = solved.point.filter(|point| model.linear.holds(point)) else { return false };
        if budget.expired() || !dismiss(&model.placement(&point)) {
            return false;
        }
        // Not all VMs are where they are here: each has one column that is 1.
        let cells = model.cells.iter().map(|cell| cell.column).chain(model.down.iter().copied().flatten());
        let terms: Vec<Term> =
            cells.filter(|column| point[*column as usize] > 0).map(|column| (column, 1)).collect();
        if terms.is_empty() {
            return true;
        }
        let places = count(terms.len());
        model.linear.at_most(terms, places - 1);
    }
    false
}

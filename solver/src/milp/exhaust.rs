//! All ends that a plan may have, one after the other.

use super::ends::Ends;
use super::linear::{Term, count};
use super::model::{Arrivals, Model, Shape};
use super::{MOST_COLUMNS, MOST_NONZEROS};
use crate::backend::{End, Exact, Task};
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{Placement, Problem, VmId};

/// One question takes at most this share of the time that is left.
const SHARE: f64 = 0.5;

/// What is said of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is none.
    Dismissed,
    /// Neither it nor any other in which the VMs that run now are where they are in it.
    WhoeverStarts,
    /// It may be one.
    Open,
}

/// Shows ends to `judge`, up to `most`, until that leaves one open. Whether all there are have been dismissed.
pub(crate) fn exhaust(
    problem: &Problem,
    rules: &Rules<'_>,
    by: &dyn Exact,
    budget: &Budget,
    most: usize,
    judge: &mut dyn FnMut(&Placement) -> Verdict,
) -> bool {
    let ends = Ends::new(problem, rules);
    let shape = Shape::whole(Arrivals::Each, true, MOST_COLUMNS);
    let Some(mut model) = Model::new(problem, rules, &ends, &shape) else { return false };
    // Of very many ways to lie on NUMA nodes not all are in the model.
    let all_ways = |vm: VmId| problem.host_ids().all(|host| problem.ways(vm, host).1);
    let complete = !problem.has_numa() || problem.vm_ids().all(all_ways);
    if model.linear.nonzeros > MOST_NONZEROS || model.linear.wide || !complete {
        return false;
    }
    for _ in 0..most {
        let task = Task { linear: model.linear.clone(), goal: Vec::new(), start: None, seed: 0, gap: 0.0 };
        budget.spend(1);
        let Some(solved) = by.solve(task, &budget.slice(SHARE), budget, &mut drop) else { return false };
        if solved.end == End::Infeasible {
            return true;
        }
        let Some(point) = solved.point.filter(|point| model.linear.holds(point)) else { return false };
        if budget.expired() {
            return false;
        }
        let verdict = judge(&model.placement(&point));
        if verdict == Verdict::Open {
            return false;
        }
        // Not all VMs are where they are here: each has one column that is 1.
        let counts = |class: usize| verdict == Verdict::Dismissed || model.parts.classes[class].runs();
        let running = model.cells.iter().map(|cell| (cell.class, cell.column));
        let down = model.down.iter().enumerate().filter_map(|(class, column)| Some((class, (*column)?)));
        let cells = running.chain(down).filter(|(class, _)| counts(*class)).map(|(_, column)| column);
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

//! The exact part: a reduced model in whole numbers that starts from a known placement, for a back-end that proves
//! ([`crate::backend::Exact`]), and the one of them that is `HiGHS`.
//!
//! * [`ends`]: where each VM may end; [`class`]: VMs that are alike are counted.
//! * [`linear`], [`model`], [`capacity`], [`rows`], [`level`]: the model, in whole numbers only.
//! * [`highs`], [`callback`], [`worker`]: one solve in `HiGHS`, which tells what it finds, on a thread that can be left
//!   behind.
//! * [`levels`]: the levels of the objective one after the other; [`nearby`]: a few hosts at a time.
//! * [`conflict`]: why there is no solution; [`exhaust`]: all ends there are.
//!
//! Three models are used. The full one has exactly the ends that a plan may have. The pooled one weighs
//! arrivals against what all hosts have together; it is small and allows more, so that its bounds hold for
//! the problem, and often they are what the start already has. Between them, [`groups`]: arrivals are counted by host, but
//! only by groups of VMs. On a host with NUMA nodes VMs are counted by the
//! nodes that they lie on; there is only the full model of such problems. Whatever comes back from a back-end is
//! judged anew by [`crate::objective`]; what is not valid and better is dropped.
//!
//! The same request with the same seed gives the same outcome, if no solve is cut by time. Under a work limit
//! `HiGHS` is cut by nodes of its tree: one costs as much work as the model has columns.

mod callback;
mod capacity;
mod class;
mod conflict;
mod ends;
mod exhaust;
mod groups;
mod highs;
mod level;
mod levels;
mod linear;
mod model;
mod nearby;
mod patterns;
mod rows;
#[cfg(test)]
mod tests;
mod view;
mod worker;

#[cfg(test)]
pub(crate) use conflict::part_of;
pub(crate) use conflict::{Clash, completed, conflict, few};
pub(crate) use exhaust::{Verdict, exhaust};
pub(crate) use level::Level;
pub(crate) use linear::{Column, Linear, Row, Term, activity, count, gcd};
pub(crate) use model::Model;
pub(crate) use worker::{Highs, Line, left_behind, wait};

use crate::backend::Exact;
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{Placement, Problem, VmId};
use std::collections::BTreeSet;

/// Larger models are not built. Measured on one core, `HiGHS` 1.16, no two VMs alike, a fifth of a second asked
/// for: 18,000 columns (40 hosts, 440 VMs) are built in 0.01 s and come back within 0.05 s after their time;
/// 36,000 (60, 600) in 0.03 s and 0.13 s late; 100,000 (100, 1,000) in 0.11 s and 0.55 s late, with nothing
/// found. A model of this size takes less than 200 MB.
pub(crate) const MOST_COLUMNS: usize = 20_000;
const MOST_NONZEROS: usize = 200_000;

/// What is to be improved, and with what means.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) by: &'a dyn Exact,
    pub(crate) problem: &'a Problem,
    /// A placement that a plan may end in; the search begins there. If it is none, any that is found is
    /// better.
    pub(crate) start: &'a Placement,
    pub(crate) budget: &'a Budget,
    pub(crate) seed: u64,
    /// VMs that must not move, as no schedule was found for them. With any, nothing is proved.
    pub(crate) stay: &'a BTreeSet<VmId>,
    /// Told each placement that is better than the start and those before it.
    pub(crate) found: &'a dyn Fn(&Placement),
    /// Told each time that more is proved: the values of the best placement so far, and a bound of each level given
    /// that those before it have these values, as in [`Outcome::bounds`].
    pub(crate) proved: &'a Proved<'a>,
}

/// Takes values and bounds of all levels.
pub(crate) type Proved<'a> = dyn Fn(&[f64], &[Option<f64>]) + 'a;

/// What the back-end came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// `None` = nothing better than the start.
    pub(crate) best: Option<Placement>,
    /// A proved lower bound per level of the problem's objective, given the levels before it at the value
    /// they have in `best` (or in the start).
    pub(crate) bounds: Vec<Option<f64>>,
    /// `best` (or the start) is optimal on every level but `MAKESPAN`.
    pub(crate) proved: bool,
    /// Proved: there is no placement that a plan may end in.
    pub(crate) infeasible: bool,
}

/// Looks for a better placement until the budget is spent, and for a proof that there is none. Returns soon
/// after the deadline or a request to stop, whatever the back-end does.
pub(crate) fn improve(request: &Request<'_>) -> Outcome {
    levels::run(request, levels::Means::default())
}

/// Columns and non-zeros of the whole model of a problem; `None` if it is too large to be built.
pub(crate) fn size(problem: &Problem, rules: &Rules<'_>) -> Option<(usize, usize)> {
    let ends = ends::Ends::new(problem, rules);
    let shape = model::Shape::whole(model::Arrivals::Each, false, MOST_COLUMNS);
    let model = Model::new(problem, rules, &ends, &shape)?;
    Some((model.columns(), model.linear.nonzeros))
}

//! The exact back-end: a reduced mixed-integer model in `HiGHS` that starts from a known placement.

use crate::budget::Budget;
use crate::model::{Placement, Problem, VmId};
use std::collections::BTreeSet;

/// What is to be improved, and with what means.
#[derive(Debug)]
#[expect(dead_code, reason = "the type comes before the back-end that reads it")]
pub(crate) struct Request<'a> {
    pub(crate) problem: &'a Problem,
    /// A placement that a plan may end in; the search begins there.
    pub(crate) start: &'a Placement,
    pub(crate) budget: &'a Budget,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    /// VMs that must not move, as no schedule was found for them.
    pub(crate) stay: &'a BTreeSet<VmId>,
}

/// What the back-end came to.
#[derive(Debug, Clone, Default)]
#[expect(dead_code, reason = "the type comes before the back-end that fills it")]
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

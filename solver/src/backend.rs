//! Back-ends that can prove, behind one trait: a sum of columns is minimised under rows, all in whole numbers.
//!
//! What a rule or an objective means is stated once, as rows ([`crate::constraints`], [`crate::objectives`]); each
//! back-end makes of them what it is good with: `HiGHS` relaxations, the CP solver clauses and propagators.

use crate::budget::Budget;
use crate::milp::{Linear, Term};

/// Solutions are optimal if their value (a whole number) is less than 1 above the bound.
pub(crate) const GAP: f64 = 0.9;

/// What is to be solved.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) linear: Linear,
    /// Minimised.
    pub(crate) goal: Vec<Term>,
    /// A point that keeps all rows.
    pub(crate) start: Option<Vec<i64>>,
    pub(crate) seed: u64,
    /// How far above the bound a solution may be to be called optimal, at least [`GAP`].
    pub(crate) gap: f64,
}

impl Task {
    /// What needs no search.
    pub(crate) fn plain(&self) -> Option<Solved> {
        if self.linear.impossible {
            return Some(Solved::without_point(End::Infeasible));
        }
        // Rows without columns were judged when they were made.
        let empty = || Solved { bound: Some(0), point: Some(Vec::new()), end: End::Optimal };
        (self.linear.columns() == 0).then(empty)
    }
}

/// How a solve ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Optimal,
    Infeasible,
    /// By a limit, or by trouble.
    Stopped,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solved {
    pub(crate) end: End,
    /// No point has a smaller goal.
    pub(crate) bound: Option<i64>,
    /// The best point found. Its rows are not checked here.
    pub(crate) point: Option<Vec<i64>>,
}

impl Solved {
    pub(crate) fn without_point(end: End) -> Self {
        Self { end, bound: None, point: None }
    }
}

/// What a back-end tells while it works. It stays true when nothing else comes of the solve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// No point has a smaller goal.
    Bound(i64),
    /// A point that is better than those before it. Its rows are not checked here.
    Point(Vec<i64>),
}

/// A back-end that can prove.
pub(crate) trait Exact: Sync {
    /// As statistics call it.
    fn name(&self) -> &'static str;

    /// Solves for as long as `part` allows, in which the work is counted, and tells news on this thread. Returns by the
    /// deadline of `whole`, of which that is a part, and soon after a request to stop. `None`: nothing came of it
    /// but news.
    fn solve(&self, task: Task, part: &Budget, whole: &Budget, told: &mut dyn FnMut(News)) -> Option<Solved>;
}

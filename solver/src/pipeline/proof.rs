//! What is proved of the best plan: bounds from the screen and from the exact back-end.

use crate::model::{Objective, Problem};
use crate::objective;

/// Bounds of the exact back-end, and the values that those before each level must have for them to hold.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) values: Vec<f64>,
    pub(super) bounds: Vec<Option<f64>>,
}

impl Known {
    pub(super) fn new(values: &[f64], bounds: &[Option<f64>]) -> Self {
        Self { values: values.to_vec(), bounds: bounds.to_vec() }
    }
}

/// The best bound of each level for a plan with these values.
pub(super) fn combine(
    problem: &Problem,
    values: &[f64],
    screened: &[f64],
    exact: &[Known],
) -> Vec<Option<f64>> {
    (0..values.len())
        .map(|i| {
            let holds = |known: &&Known| {
                let levels = problem.objectives.iter().take(i);
                let mut pairs = levels.zip(values.iter().zip(&known.values));
                // What was proved for larger values of the levels before holds for these.
                pairs.all(|(level, (a, b))| *a <= b + slack(*level, *b))
            };
            let exact = exact.iter().filter(holds).filter_map(|known| known.bounds.get(i).copied().flatten());
            Some(exact.fold(screened.get(i).copied().unwrap_or(0.0), f64::max))
        })
        .collect()
}

/// How much larger a value may be to count as no larger.
fn slack(level: Objective, value: f64) -> f64 {
    if level == Objective::Energy { 1e-6 } else { objective::tolerance(level, value) }
}

/// Whether a value is proved to be the least.
fn is_reached(level: Objective, value: f64, bound: Option<f64>) -> bool {
    bound.unwrap_or(0.0) >= value - objective::tolerance(level, value)
}

/// Whether each level is proved; the second leaves `MAKESPAN` out.
pub(super) fn proved(problem: &Problem, values: &[f64], bounds: &[Option<f64>]) -> (bool, bool) {
    let mut all = true;
    let mut placement = true;
    for ((level, value), bound) in problem.objectives.iter().zip(values).zip(bounds) {
        let reached = is_reached(*level, *value, *bound);
        all &= reached;
        placement &= reached || *level == Objective::Makespan;
    }
    (all, placement)
}

/// Whether each of the first levels is proved.
pub(super) fn proved_until(problem: &Problem, values: &[f64], bounds: &[Option<f64>], count: usize) -> bool {
    let mut levels = problem.objectives.iter().zip(values).zip(bounds).take(count);
    levels.all(|((level, value), bound)| is_reached(*level, *value, *bound))
}

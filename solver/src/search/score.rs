//! How good a state of the search is.

use crate::model::Objective;
use crate::objective;
use std::cmp::Ordering;

/// The seven levels that a placement has, and two more that break ties.
const MOST_LEVELS: usize = 9;

/// Less is better: first the running VMs without a place, then the levels of the search in their order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score {
    /// VMs that run at the start and are nowhere; no plan may end so.
    pub(crate) homeless: u64,
    levels: [(Option<Objective>, f64); MOST_LEVELS],
}

impl Score {
    pub(crate) fn new(homeless: u64, values: impl Iterator<Item = (Objective, f64)>) -> Self {
        let mut levels = [(None, 0.0); MOST_LEVELS];
        levels.iter_mut().zip(values).for_each(|(slot, (level, value))| *slot = (Some(level), value));
        Self { homeless, levels }
    }

    /// Compares as the objective does, with its tolerances.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        if self.homeless != other.homeless {
            return self.homeless.cmp(&other.homeless);
        }
        for ((level, a), (_, b)) in self.levels.iter().zip(&other.levels) {
            let Some(level) = level else { break };
            let order = objective::order(*level, *a, *b);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    pub(crate) fn better_than(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Less
    }

    /// Whether it is better than another state, and the gain is worth the moves that it needs more.
    pub(crate) fn pays_more_than(&self, other: &Self, price: Option<f64>) -> bool {
        let cost = |score: &Self| score.value(Objective::MigrationCost).unwrap_or(0.0);
        let pairs = self.levels.iter().zip(&other.levels);
        let pairs = pairs.filter_map(|((level, after), (_, before))| Some(((*level)?, *before, *after)));
        self.better_than(other)
            && (self.homeless < other.homeless || objective::pays(price, pairs, cost(self) - cost(other)))
    }

    /// The value of a level, if the search has it.
    pub(crate) fn value(&self, wanted: Objective) -> Option<f64> {
        self.levels.iter().find(|(level, _)| *level == Some(wanted)).map(|(_, value)| *value)
    }
}

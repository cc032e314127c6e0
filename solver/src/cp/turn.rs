//! How long the solver goes on at once.

use super::branch::Decided;
use crate::budget::Budget;
use pumpkin_core::termination::TerminationCondition;

/// Ends the solver's turn: each decision and each conflict is a step, and a unit of work.
pub(super) struct Turn<'b> {
    budget: &'b Budget,
    left: u64,
    decided: Decided,
}

impl<'b> Turn<'b> {
    /// So many steps, as long as the budget lasts.
    pub(super) fn new(budget: &'b Budget, left: u64, decided: Decided) -> Self {
        Self { budget, left, decided }
    }
}

impl TerminationCondition for Turn<'_> {
    fn should_stop(&mut self) -> bool {
        // One that was stopped with nothing decided cannot be asked again, in version 0.5.
        let may_end = self.decided.take();
        if self.left == 0 && may_end || self.budget.expired() {
            return true;
        }
        self.left = self.left.saturating_sub(1);
        self.budget.spend(1);
        false
    }
}

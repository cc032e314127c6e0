//! What is decided first: columns as they were at the start, one after the other.

use crate::milp::{Linear, Term};
use pumpkin_core::branching::branchers::autonomous_search::AutonomousSearch;
use pumpkin_core::branching::{Brancher, BrancherEvent, SelectionContext};
use pumpkin_core::predicates::{Predicate, PredicateConstructor};
use pumpkin_core::results::SolutionReference;
use pumpkin_core::variables::DomainId;
use std::cell::Cell;
use std::rc::Rc;

/// Whether something was decided since somebody last looked.
pub(super) type Decided = Rc<Cell<bool>>;

/// Decides what has been in conflicts of late, as in the best solution; all else as hoped.
#[derive(Debug)]
pub(super) struct Decider {
    inner: AutonomousSearch<Hoped>,
    decided: Decided,
}

impl Decider {
    pub(super) fn new(hoped: Hoped) -> Self {
        Self { inner: AutonomousSearch::new(hoped), decided: Decided::default() }
    }

    pub(super) fn decided(&self) -> Decided {
        Rc::clone(&self.decided)
    }
}

impl Brancher for Decider {
    fn next_decision(&mut self, context: &mut SelectionContext) -> Option<Predicate> {
        let decision = self.inner.next_decision(context);
        self.decided.set(decision.is_some());
        decision
    }

    fn on_conflict(&mut self) {
        self.inner.on_conflict();
    }

    fn on_backtrack(&mut self) {
        self.inner.on_backtrack();
    }

    fn on_solution(&mut self, solution: SolutionReference) {
        self.inner.on_solution(solution);
    }

    fn on_appearance_in_conflict_predicate(&mut self, predicate: Predicate) {
        self.inner.on_appearance_in_conflict_predicate(predicate);
    }

    fn on_restart(&mut self) {
        self.inner.on_restart();
    }

    fn synchronise(&mut self, context: &mut SelectionContext) {
        self.inner.synchronise(context);
    }

    fn is_restart_pointless(&mut self) -> bool {
        self.inner.is_restart_pointless()
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        self.inner.subscribe_to_events()
    }
}

/// Decides columns in a fixed order, each for the value that it is hoped to have.
#[derive(Debug)]
pub(super) struct Hoped {
    /// Column and value.
    order: Vec<(DomainId, i32)>,
    /// All before this one are decided.
    next: usize,
}

impl Hoped {
    /// For the start, if there is one; else for what is good for the goal, and what can be chosen at all.
    pub(super) fn new(
        columns: &[DomainId],
        linear: &Linear,
        goal: &[Term],
        start: Option<&[i64]>,
        seed: u64,
    ) -> Self {
        let mut hoped = linear.lower.clone();
        if let Some(start) = start {
            hoped.copy_from_slice(start);
        } else {
            for (column, _) in linear.rows.iter().filter(|row| row.equal).flat_map(|row| &row.terms) {
                hoped[*column as usize] = linear.upper[*column as usize];
            }
            for (column, factor) in goal {
                let bounds = if *factor < 0 { &linear.upper } else { &linear.lower };
                hoped[*column as usize] = bounds[*column as usize];
            }
        }
        let mut order: Vec<_> =
            columns.iter().copied().zip(hoped.into_iter().map(super::post::small)).collect();
        let turn = seed as usize % order.len().max(1);
        order.rotate_left(turn);
        Self { order, next: 0 }
    }
}

impl Brancher for Hoped {
    fn next_decision(&mut self, context: &mut SelectionContext) -> Option<Predicate> {
        while let Some((column, hoped)) = self.order.get(self.next) {
            if !context.is_integer_fixed(*column) {
                let (lower, upper) = (context.lower_bound(*column), context.upper_bound(*column));
                return Some(if *hoped >= upper {
                    column.lower_bound_predicate(upper)
                } else if *hoped > lower {
                    column.lower_bound_predicate(*hoped)
                } else {
                    column.upper_bound_predicate(lower)
                });
            }
            self.next += 1;
        }
        // Sums: each is only to be large enough.
        let open = context.get_domains().find(|domain| !context.is_integer_fixed(*domain))?;
        Some(open.upper_bound_predicate(context.lower_bound(open)))
    }

    fn on_backtrack(&mut self) {
        self.next = 0;
    }

    fn synchronise(&mut self, _: &mut SelectionContext) {
        self.next = 0;
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        vec![BrancherEvent::Backtrack, BrancherEvent::Synchronise]
    }
}

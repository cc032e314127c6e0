//! What is decided first: columns as they were at the start, one after the other; tasks by when they can begin.

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

/// Decides what has been in conflicts of late, as in the best solution; all else as `B` does.
#[derive(Debug)]
pub(super) struct Decider<B> {
    inner: AutonomousSearch<B>,
    decided: Decided,
}

impl<B: Brancher> Decider<B> {
    pub(super) fn new(else_by: B) -> Self {
        Self { inner: AutonomousSearch::new(else_by), decided: Decided::default() }
    }

    pub(super) fn decided(&self) -> Decided {
        Rc::clone(&self.decided)
    }
}

impl<B: Brancher> Brancher for Decider<B> {
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

/// Begins what can begin first, each task as soon as it can.
#[derive(Debug)]
pub(super) struct Earliest {
    /// When tasks begin; of those that can begin at the same time the first goes first.
    pub(super) starts: Vec<DomainId>,
    /// Conditions between tasks of which as many as can be are to be true.
    pub(super) conditions: Vec<DomainId>,
}

impl Brancher for Earliest {
    fn next_decision(&mut self, context: &mut SelectionContext) -> Option<Predicate> {
        let open = self.starts.iter().filter(|start| !context.is_integer_fixed(**start));
        if let Some(first) = open.min_by_key(|start| context.lower_bound(**start)) {
            return Some(first.upper_bound_predicate(context.lower_bound(*first)));
        }
        if let Some(open) = self.conditions.iter().find(|condition| !context.is_integer_fixed(**condition)) {
            return Some(open.lower_bound_predicate(1));
        }
        let open = context.get_domains().find(|domain| !context.is_integer_fixed(*domain))?;
        Some(open.upper_bound_predicate(context.lower_bound(open)))
    }

    fn subscribe_to_events(&self) -> Vec<BrancherEvent> {
        Vec::new()
    }
}

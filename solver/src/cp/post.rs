//! Columns and rows as variables, clauses and propagators.

use crate::backend::Task;
use crate::budget::Budget;
use crate::milp::{Column, Linear, Row, Term};
use pumpkin_constraints::less_than_or_equals;
use pumpkin_core::Solver;
use pumpkin_core::constraints::Constraint;
use pumpkin_core::options::SolverOptions;
use pumpkin_core::predicates::{Predicate, PredicateConstructor};
use pumpkin_core::proof::ConstraintTag;
use pumpkin_core::variables::{DomainId, TransformableVariable};

/// Megabytes that are set aside for what is learned; it grows when there is need.
const RESERVED: usize = 1;

/// No sum may reach further, so that nothing overflows 32 bits.
pub(super) const FURTHEST: i64 = 1 << 30;

/// Whether all of a task can be said in numbers of 32 bits.
pub(super) fn fits(task: &Task) -> bool {
    let linear = &task.linear;
    let reach = |terms: &[Term]| -> i128 {
        let size = |(column, factor): &Term| {
            let most = linear.lower[*column as usize].abs().max(linear.upper[*column as usize].abs());
            i128::from(factor.unsigned_abs()) * i128::from(most.max(1))
        };
        terms.iter().map(size).sum()
    };
    let row_fits = |row: &Row| reach(&row.terms) + i128::from(row.rhs.unsigned_abs()) <= i128::from(FURTHEST);
    let columns = linear.lower.iter().chain(&linear.upper);
    columns.clone().all(|bound| bound.unsigned_abs() <= FURTHEST.unsigned_abs())
        && linear.rows.iter().all(row_fits)
        && reach(&task.goal) <= i128::from(FURTHEST)
}

/// A number of 32 bits. That it is one was looked at before.
pub(super) fn small(number: i64) -> i32 {
    i32::try_from(number).expect("all numbers were judged before any is posted")
}

/// A solver without anything in it.
pub(super) fn solver() -> Solver {
    Solver::with_options(SolverOptions { memory_preallocated: RESERVED, ..SolverOptions::default() })
}

/// A variable for each column.
pub(super) fn columns(solver: &mut Solver, linear: &Linear) -> Vec<DomainId> {
    let bounds = linear.lower.iter().zip(&linear.upper);
    bounds.map(|(lower, upper)| solver.new_bounded_integer(small(*lower), small(*upper))).collect()
}

/// How often the budget is looked at while rows are posted.
const ROWS_AT_ONCE: usize = 64;

/// All rows; stops where they turn out to contradict each other. Whether that was done before the budget ended.
pub(super) fn rows(solver: &mut Solver, columns: &[DomainId], linear: &Linear, budget: &Budget) -> bool {
    let tag = solver.new_constraint_tag();
    for (i, row) in linear.rows.iter().enumerate() {
        if i % ROWS_AT_ONCE == 0 && budget.expired() {
            return false;
        }
        let terms = merged(&row.terms);
        at_most(solver, columns, linear, &terms, row.rhs, tag);
        if row.equal {
            let opposite: Vec<Term> = terms.iter().map(|(column, factor)| (*column, -factor)).collect();
            at_most(solver, columns, linear, &opposite, -row.rhs, tag);
        }
        if solver.is_inconsistent() {
            return true;
        }
    }
    true
}

/// Each column once, if it counts.
pub(super) fn merged(terms: &[Term]) -> Vec<Term> {
    let mut terms = terms.to_vec();
    terms.sort_unstable();
    terms.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    terms.retain(|(_, factor)| *factor != 0);
    terms
}

fn at_most(
    solver: &mut Solver,
    columns: &[DomainId],
    linear: &Linear,
    terms: &[Term],
    rhs: i64,
    tag: ConstraintTag,
) {
    if let Some(clauses) = clauses(linear, terms, rhs) {
        for clause in clauses {
            let literals = clause.into_iter().map(|(column, is)| literal(columns, column, is));
            solver.add_clause(literals.collect::<Vec<_>>(), tag);
            if solver.is_inconsistent() {
                return;
            }
        }
        return;
    }
    let views: Vec<_> =
        terms.iter().map(|(column, factor)| columns[*column as usize].scaled(small(*factor))).collect();
    less_than_or_equals(views, small(rhs), tag).post(solver);
}

/// That a column of 0 and 1 is 1, or 0.
fn literal(columns: &[DomainId], column: Column, is: bool) -> Predicate {
    let variable = columns[column as usize];
    if is { variable.lower_bound_predicate(1) } else { variable.upper_bound_predicate(0) }
}

/// The clauses that say the same as a row of columns within 0 and 1: one, or those of one column with each of the
/// others. `None` where there are none that simple.
fn clauses(linear: &Linear, terms: &[Term], rhs: i64) -> Option<Vec<Vec<(Column, bool)>>> {
    let binary = |column: Column| linear.lower[column as usize] >= 0 && linear.upper[column as usize] <= 1;
    if !terms.iter().all(|(column, _)| binary(*column)) {
        return None;
    }
    // As weights of literals, all positive.
    let negative: i64 = terms.iter().map(|(_, factor)| (*factor).min(0)).sum();
    let room = rhs - negative;
    let mut weights: Vec<(i64, Column, bool)> =
        terms.iter().map(|(column, factor)| (factor.abs(), *column, *factor > 0)).collect();
    weights.sort_unstable();
    let total: i64 = weights.iter().map(|(weight, ..)| weight).sum();
    // A clause says that not all of its literals are what they must not all be.
    let not = |(_, column, is): &(i64, Column, bool)| (*column, !is);
    if total <= room {
        return Some(Vec::new());
    }
    if room < 0 {
        return Some(vec![Vec::new()]);
    }
    let (least, (most, rest)) = (weights.first()?.0, weights.split_last()?);
    if total - least <= room {
        return Some(vec![weights.iter().map(not).collect()]);
    }
    let pairs = total - most.0 <= room && most.0 + least > room && most.0 <= room;
    pairs.then(|| rest.iter().map(|other| vec![not(most), not(other)]).collect())
}

#[cfg(test)]
mod tests {
    use super::{Linear, clauses, merged};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn clauses_say_what_their_row_says(
            factors in proptest::collection::vec(prop_oneof![-3..=3_i64, Just(1), Just(1), Just(-4)], 4), rhs in -4..6_i64,
        ) {
            let mut linear = Linear::default();
            let terms: Vec<_> = factors.iter().map(|factor| (linear.column(1), *factor)).collect();
            let Some(clauses) = clauses(&linear, &merged(&terms), rhs) else { return Ok(()) };
            for number in 0..16_u32 {
                let value = |column: u32| (number >> column) & 1 == 1;
                let sum: i64 = terms.iter().filter(|(column, _)| value(*column)).map(|(_, factor)| factor).sum();
                let holds = clauses.iter().all(|clause| clause.iter().any(|(column, is)| value(*column) == *is));
                prop_assert_eq!(holds, sum <= rhs, "{:?} of {:?} at most {}", clauses, terms, rhs);
            }
        }
    }

    #[test]
    fn choices_and_conditions_are_clauses() {
        let mut linear = Linear::default();
        let [a, b, c] = [(); 3].map(|()| linear.column(1));
        assert_eq!(clauses(&linear, &[(a, -1), (b, -1), (c, -1)], -1).map(|list| list.len()), Some(1));
        assert_eq!(clauses(&linear, &[(a, 1), (b, 1), (c, -2)], 0).map(|list| list.len()), Some(2));
        assert_eq!(
            clauses(&linear, &[(a, 1), (b, 1), (c, 1)], 1),
            None,
            "it takes more than two such clauses"
        );
        let wide = linear.column(2);
        assert_eq!(clauses(&linear, &[(a, 1), (wide, 1)], 1), None);
    }
}

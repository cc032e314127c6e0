//! A linear model in whole numbers. Rows are kept as small as they can be without changing their meaning.

/// Position of a column.
pub(crate) type Column = u32;

/// Column and its factor.
pub(crate) type Term = (Column, i64);

/// Σ factor × column is at most (or exactly) a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) terms: Vec<Term>,
    pub(crate) rhs: i64,
    pub(crate) equal: bool,
}

impl Row {
    fn holds(&self, point: &[i64]) -> bool {
        let sum = activity(&self.terms, |column| point[column as usize]);
        if self.equal { sum == i128::from(self.rhs) } else { sum <= i128::from(self.rhs) }
    }
}

/// `HiGHS` takes very small factors for none, which could make a row say more than it does. With factors
/// further apart than this a model is of no use for proofs.
const WIDEST: u64 = 1 << 36;

/// Columns are whole numbers within bounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Linear {
    pub(crate) lower: Vec<i64>,
    pub(crate) upper: Vec<i64>,
    pub(crate) rows: Vec<Row>,
    pub(super) nonzeros: usize,
    /// Some row cannot hold, whatever the columns.
    pub(crate) impossible: bool,
    /// The factors of some row are too far apart for proofs.
    pub(super) wide: bool,
}

impl Linear {
    pub(crate) fn columns(&self) -> usize {
        self.upper.len()
    }

    /// A new column within 0 and `upper`.
    pub(crate) fn column(&mut self, upper: i64) -> Column {
        self.lower.push(0);
        self.upper.push(upper);
        (self.upper.len() - 1) as Column
    }

    /// The column is at least 1.
    pub(super) fn force(&mut self, column: Column) {
        self.lower[column as usize] = 1;
    }

    pub(crate) fn at_most(&mut self, terms: Vec<Term>, rhs: i64) {
        if let Some(row) = self.small(terms, rhs) {
            self.nonzeros += row.terms.len();
            self.rows.push(row);
        }
    }

    pub(crate) fn equal(&mut self, terms: Vec<Term>, rhs: i64) {
        if terms.is_empty() {
            self.impossible |= rhs != 0;
        } else {
            self.nonzeros += terms.len();
            self.rows.push(Row { terms, rhs, equal: true });
        }
    }

    /// A row divided by what its factors have in common; none if it holds anyway.
    fn small(&mut self, mut terms: Vec<Term>, rhs: i64) -> Option<Row> {
        terms.retain(|(_, factor)| *factor != 0);
        let (lower, upper) = (&self.lower, &self.upper);
        let most: i128 = extreme(&terms, lower, upper);
        if most <= i128::from(rhs) {
            return None;
        }
        let common = terms.iter().fold(0, |common, (_, factor)| gcd(common, *factor));
        if common == 0 {
            self.impossible = true;
            return None;
        }
        if common > 1 {
            for (_, factor) in &mut terms {
                *factor /= common;
            }
        }
        let sizes = || terms.iter().map(|(_, factor)| factor.unsigned_abs());
        let (least, most) = (sizes().min().unwrap_or(1), sizes().max().unwrap_or(1));
        self.wide |= most / least > WIDEST;
        Some(Row { terms, rhs: rhs.div_euclid(common), equal: false })
    }

    /// Whether a point keeps all bounds and rows.
    pub(crate) fn holds(&self, point: &[i64]) -> bool {
        let within = point.iter().enumerate().all(|(i, x)| (self.lower[i]..=self.upper[i]).contains(x));
        !self.impossible && within && self.rows.iter().all(|row| row.holds(point))
    }
}

/// The largest that the sum can become.
fn extreme(terms: &[Term], lower: &[i64], upper: &[i64]) -> i128 {
    let end = |(column, factor): &Term| {
        let i = *column as usize;
        i128::from(*factor) * i128::from(if *factor > 0 { upper[i] } else { lower[i] })
    };
    terms.iter().map(end).sum()
}

pub(crate) fn activity(terms: &[Term], value: impl Fn(Column) -> i64) -> i128 {
    terms.iter().map(|(column, factor)| i128::from(*factor) * i128::from(value(*column))).sum()
}

/// Greatest common divisor, not negative; that of 0 and a number is the number.
pub(crate) fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

/// A number of things.
pub(crate) fn count(things: usize) -> i64 {
    i64::try_from(things).expect("validated problems have fewer than 2^32 of anything")
}

#[cfg(test)]
mod tests {
    use super::Linear;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_made_small_without_a_change_of_meaning(
            factors in proptest::collection::vec(-6..=6_i64, 3), scale in 1..40_i64, rhs in -200..200_i64,
        ) {
            let mut linear = Linear::default();
            let columns: Vec<_> = (0..3).map(|_| linear.column(2)).collect();
            linear.at_most(columns.iter().copied().zip(factors.iter().map(|f| f * scale)).collect(), rhs);
            for number in 0..27 {
                let point = [number % 3, number / 3 % 3, number / 9];
                let sum: i64 = factors.iter().zip(point).map(|(f, x)| f * scale * x).sum();
                prop_assert_eq!(linear.holds(&point), sum <= rhs);
            }
        }
    }

    #[test]
    fn factors_too_far_apart_are_told() {
        for (large, wide) in [(1 << 36, false), (1 << 38, true)] {
            let mut linear = Linear::default();
            let (a, b) = (linear.column(1), linear.column(1));
            linear.at_most(vec![(a, 1), (b, large)], 1);
            assert_eq!(linear.wide, wide);
        }
    }
}

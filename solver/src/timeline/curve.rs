//! Values that change from one instant to the next.

use serde::Serialize;

/// A value from each instant on, until the next. It is written as pairs of seconds and value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Curve<T>(Vec<(f64, T)>);

impl<T: Copy + PartialEq> Curve<T> {
    /// A value from the start on.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(vec![(0.0, value)])
    }

    /// Sets the value from an instant on, which is not before those that were set.
    pub(super) fn set(&mut self, at_s: f64, value: T) {
        let last = self.0.len() - 1;
        if self.0[last].1 == value {
            return;
        }
        if self.0[last].0 < at_s {
            self.0.push((at_s, value));
        } else {
            self.0[last].1 = value;
            if last > 0 && self.0[last - 1].1 == value {
                self.0.pop();
            }
        }
    }

    /// The value at an instant.
    #[must_use]
    pub fn at(&self, at_s: f64) -> T {
        let later = self.0.partition_point(|(from, _)| *from <= at_s);
        self.0[later.max(1) - 1].1
    }

    /// Each value with the second from which on it is the one.
    pub fn steps(&self) -> impl Iterator<Item = (f64, T)> + '_ {
        self.0.iter().copied()
    }

    /// Each value that holds for some of the time from one instant to another, with the part of it that it holds for.
    pub fn between(&self, from_s: f64, to_s: f64) -> impl Iterator<Item = (f64, T)> + '_ {
        let first = self.0.partition_point(|(at, _)| *at <= from_s).max(1) - 1;
        let inside = self.0[first..].iter().enumerate().take_while(move |(i, (at, _))| *i == 0 || *at < to_s);
        inside.map(move |(i, (at, value))| {
            let next = self.0.get(first + i + 1).map_or(to_s, |(next, _)| next.min(to_s));
            ((next - at.max(from_s)).max(0.0), *value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_until_the_next() {
        let mut curve = Curve::new(1);
        for (at, value) in [(0.0, 2), (1.0, 2), (2.0, 3), (2.0, 4), (3.0, 5), (3.0, 4)] {
            curve.set(at, value);
        }
        assert_eq!(curve.steps().collect::<Vec<_>>(), [(0.0, 2), (2.0, 4)]);
        assert_eq!([-1.0, 0.0, 1.9, 2.0, 9.0].map(|at| curve.at(at)), [2, 2, 2, 4, 4]);
        assert_eq!(curve.between(1.5, 3.0).collect::<Vec<_>>(), [(0.5, 2), (1.0, 4)]);
        assert_eq!(curve.between(2.0, 3.0).collect::<Vec<_>>(), [(1.0, 4)]);
    }
}

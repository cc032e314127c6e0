//! Figures about many figures.

use serde::{Deserialize, Serialize};

/// Count, mean and spread of many figures, kept up one by one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    count: u64,
    sum: f64,
    squares: f64,
    max: f64,
}

/// What is told of a [`Tally`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total: f64,
    /// 0 where there are none.
    pub mean: f64,
    /// Standard deviation of the population.
    pub sd: f64,
    /// 0 where there are none.
    pub max: f64,
}

impl Tally {
    /// One more; not negative.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        self.max = self.max.max(value);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is told of it.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let count = self.count.max(1) as f64;
        let mean = self.sum / count;
        let sd = (self.squares / count - mean * mean).max(0.0).sqrt();
        Spread { count: self.count, total: self.sum, mean, sd, max: self.max }
    }
}

impl FromIterator<f64> for Tally {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut tally = Self::default();
        values.into_iter().for_each(|value| tally.add(value));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn mean_and_deviation_are_those_of_all() {
        let spread = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().collect::<Tally>().spread();
        assert_eq!(
            (spread.count, spread.total, spread.mean, spread.sd, spread.max),
            (8, 40.0, 5.0, 2.0, 9.0)
        );
        assert_eq!(Tally::default().spread().mean, 0.0);
    }
}

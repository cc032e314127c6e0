//! How figures are distributed, in a bounded number of steps and bytes, however many they are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bits of the fraction of a figure that tell its bucket: each power of two has eight.
const FRACTION_BITS: u32 = 3;
const DROPPED: u32 = f64::MANTISSA_DIGITS - 1 - FRACTION_BITS;

/// Counts by bucket. A bucket is at most an eighth of its figures wide, and whole numbers up to 16 have one of their own; which
/// bucket a figure is in is told by its bits alone, so that it is the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    counts: BTreeMap<u64, u64>,
}

/// What is told of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The least figure of it.
    pub from: f64,
    /// All figures of it are less.
    pub below: f64,
    /// How many there are.
    pub count: u64,
}

impl Histogram {
    /// One more; not negative.
    pub fn add(&mut self, value: f64) {
        // Adding zero makes of -0 a 0.
        *self.counts.entry((value.max(0.0) + 0.0).to_bits() >> DROPPED).or_default() += 1;
    }

    /// The buckets that hold something, in order.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let bound = |key: u64| f64::from_bits(key << DROPPED);
        self.counts
            .iter()
            .map(|(key, count)| Bucket { from: bound(*key), below: bound(key + 1), count: *count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_in_a_narrow_bucket_and_small_whole_numbers_have_their_own() {
        let mut all = Histogram::default();
        let figures = [0.0, -0.0, 3e-4, 0.095, 0.0951, 1.0, 2.0, 15.0, 16.0, 17.0, 1e9];
        for figure in figures {
            all.add(figure);
        }
        let buckets = all.buckets();
        for figure in figures {
            let bucket = buckets.iter().find(|it| it.from <= figure && figure < it.below).unwrap();
            assert!(figure == 0.0 || bucket.below - bucket.from <= bucket.from / 8.0, "{bucket:?}");
        }
        let counts: Vec<u64> = buckets.iter().map(|it| it.count).collect();
        assert_eq!(counts, [2, 1, 2, 1, 1, 1, 2, 1]);
        assert_eq!((buckets[4].from, buckets[5].from, buckets[6].from), (2.0, 15.0, 16.0));
    }
}

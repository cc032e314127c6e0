//! How many VMs of a rule are at each of many places, in little room: a rule of a few VMs uses a few cells,
//! however many places there are.

/// A number of things.
pub(super) fn number(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

/// Where a count is, in the cells of its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// At most so many places have VMs at the same time.
    entries: usize,
    /// One cell for each place; else a sorted list of places that have VMs, after its length.
    dense: bool,
}

impl Counts {
    /// For so many VMs and places.
    pub(super) fn new(vms: usize, places: usize) -> Self {
        let dense = 2 * vms + 1 >= places;
        Self { entries: if dense { places } else { vms }, dense }
    }

    /// How many cells it takes.
    pub(super) fn cells(self) -> usize {
        if self.dense { self.entries } else { 1 + 2 * self.entries }
    }

    /// Where in the list a place is, or would be.
    fn find(cells: &[i64], place: usize) -> Result<usize, usize> {
        let used = cells[0] as usize;
        let (mut low, mut high) = (0, used);
        while low < high {
            let middle = usize::midpoint(low, high);
            match (cells[1 + 2 * middle] as usize).cmp(&place) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    pub(super) fn get(self, cells: &[i64], place: usize) -> i64 {
        if self.dense {
            return cells[place];
        }
        Self::find(cells, place).map_or(0, |i| cells[2 + 2 * i])
    }

    /// One more; returns how many there are then.
    pub(super) fn add(self, cells: &mut [i64], place: usize) -> i64 {
        if self.dense {
            cells[place] += 1;
            return cells[place];
        }
        let i = Self::find(cells, place).unwrap_or_else(|i| {
            let used = cells[0] as usize;
            cells.copy_within(1 + 2 * i..=2 * used, 3 + 2 * i);
            (cells[1 + 2 * i], cells[2 + 2 * i]) = (number(place), 0);
            cells[0] += 1;
            i
        });
        cells[2 + 2 * i] += 1;
        cells[2 + 2 * i]
    }

    /// One less; returns how many there are then.
    pub(super) fn take(self, cells: &mut [i64], place: usize) -> i64 {
        if self.dense {
            cells[place] -= 1;
            return cells[place];
        }
        let Ok(i) = Self::find(cells, place) else { return 0 };
        cells[2 + 2 * i] -= 1;
        let left = cells[2 + 2 * i];
        if left == 0 {
            let used = cells[0] as usize;
            cells.copy_within(3 + 2 * i..=2 * used, 1 + 2 * i);
            (cells[2 * used - 1], cells[2 * used]) = (0, 0);
            cells[0] -= 1;
        }
        left
    }

    /// The place with the most; of several the first.
    pub(super) fn fullest(self, cells: &[i64]) -> Option<usize> {
        let list: Vec<(i64, usize)> = if self.dense {
            cells[..self.entries].iter().copied().zip(0..).collect()
        } else {
            (0..cells[0] as usize).map(|i| (cells[2 + 2 * i], cells[1 + 2 * i] as usize)).collect()
        };
        let most = list.iter().map(|(count, _)| *count).max()?;
        list.into_iter().find(|(count, _)| *count == most).map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_lists_count_as_long_ones_do(moves in proptest::collection::vec((0..5_usize, 0..40_usize), 0..60)) {
            let (short, long) = (Counts::new(5, 40), Counts::new(40, 40));
            prop_assert!(!short.dense && long.dense && short.cells() == 11);
            let (mut a, mut b) = (vec![0; short.cells()], vec![0; long.cells()]);
            // Each of five VMs is at one place at most.
            let mut at = [None; 5];
            for (vm, place) in moves {
                if let Some(from) = at[vm] {
                    prop_assert_eq!(short.take(&mut a, from), long.take(&mut b, from));
                }
                at[vm] = if at[vm] == Some(place) { None } else { Some(place) };
                if at[vm].is_some() {
                    prop_assert_eq!(short.add(&mut a, place), long.add(&mut b, place));
                }
                for place in 0..40 {
                    prop_assert_eq!(short.get(&a, place), long.get(&b, place));
                }
                prop_assert_eq!(short.fullest(&a), long.fullest(&b).filter(|_| at.iter().any(Option::is_some)));
            }
            for (vm, from) in at.into_iter().enumerate() {
                prop_assert!(vm < 5);
                from.map(|from| short.take(&mut a, from));
            }
            prop_assert!(a.iter().all(|cell| *cell == 0), "no trace is left");
        }
    }
}

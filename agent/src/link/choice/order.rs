//! Nearest first.

use super::Choice;

impl Choice {
    /// All of them in the order in which they are taken: of those that are left, the nearest and all that count as equally
    /// near, by the list; and so on; then those that did not answer.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut far: Vec<usize> =
            (0..self.seen.len()).filter(|at| self.seen[*at].round_trip.is_none()).collect();
        let mut left: Vec<_> =
            self.seen.iter().enumerate().filter_map(|(at, seen)| Some((seen.round_trip?, at))).collect();
        left.sort_unstable();
        let mut order = Vec::with_capacity(self.seen.len());
        while let Some(&(least, _)) = left.first() {
            let most = least + least.mul_f64(self.settings.tolerance_share).max(self.settings.tolerance);
            let equals = left.partition_point(|(round_trip, _)| *round_trip <= most);
            let mut near: Vec<usize> = left.drain(..equals).map(|(_, at)| at).collect();
            near.sort_unstable();
            order.append(&mut near);
        }
        order.append(&mut far);
        order
    }
}

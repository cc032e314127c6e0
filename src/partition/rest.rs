//! How long a trouble is left alone after a plan for it.

use std::time::Duration;

/// Plans in a row that did not help, beyond which the rest grows no longer.
pub const MOST_DOUBLINGS: u32 = 4;

/// The cool-down, twice as long after each plan in a row that did not help, up to 16 times.
#[must_use]
pub fn rest(cool_down: Duration, misses: u32) -> Duration {
    cool_down.saturating_mul(1 << misses.min(MOST_DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_doubled_up_to_sixteen_times() {
        let lengths = [0, 1, 4, 9].map(|misses| rest(Duration::from_secs(30), misses).as_secs());
        assert_eq!(lengths, [30, 60, 480, 480]);
    }
}

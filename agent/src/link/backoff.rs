//! Pauses between two tries.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles from try to try.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.tries)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        pause
    }
}

/// Between half and all of a pause, so that agents which lost their coordinator together come back apart. `random`: from 0
/// to 1.
pub(super) fn jitter(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..50).map(|_| backoff.next()).collect();
        assert_eq!(pauses[0], FIRST);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[49], LONGEST);
    }

    #[test]
    fn jitter_keeps_at_least_half() {
        let second = Duration::from_secs(1);
        assert_eq!((jitter(second, 0.0), jitter(second, 1.0)), (second / 2, second));
        assert!((second / 2..second).contains(&jitter(second, 0.3)));
    }
}

//! What a VM usually needs: the mean over its past, in which what is longer ago weighs less. What it needs at this moment says
//! little of what it will need after the next change; of two hosts with the same room now, the one whose VMs usually need less
//! has more of it later.

use std::time::Duration;

/// The past of something that is told of when it changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    since: Duration,
    at: Duration,
    /// What it has needed since `at`.
    value: f64,
    /// The weighted sum up to `at`.
    sum: f64,
}

impl Usual {
    /// Something that is seen for the first time, and needs so much.
    #[must_use]
    pub fn new(value: f64, now: Duration) -> Self {
        Self { since: now, at: now, value, sum: 0.0 }
    }

    /// From now on it needs so much; `over` = the time after which a third of the past counts.
    pub fn tell(&mut self, value: f64, now: Duration, over: Duration) {
        if value.to_bits() != self.value.to_bits() {
            self.sum = self.sum_at(now, over);
            (self.value, self.at) = (value, now.max(self.at));
        }
    }

    /// The mean of what it has needed. At the beginning all that is known weighs the same.
    #[must_use]
    pub fn mean(&self, now: Duration, over: Duration) -> f64 {
        let all = 1.0 - decay(now.saturating_sub(self.since), over);
        if all < 1e-9 { self.value } else { self.sum_at(now, over) / all }
    }

    fn sum_at(&self, now: Duration, over: Duration) -> f64 {
        let left = decay(now.saturating_sub(self.at), over);
        self.sum * left + self.value * (1.0 - left)
    }
}

/// How much of the past is left after a time.
fn decay(passed: Duration, over: Duration) -> f64 {
    if over.is_zero() { 0.0 } else { (-passed.as_secs_f64() / over.as_secs_f64()).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_mins(10);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_longer_ago_weighs_less() {
        let mut vm = Usual::new(100.0, s(50));
        assert!((vm.mean(s(50), OVER) - 100.0).abs() < 1e-9);
        assert!((vm.mean(s(9000), OVER) - 100.0).abs() < 1e-9);
        // As long so as so: what is later weighs more.
        vm.tell(0.0, s(350), OVER);
        let mean = vm.mean(s(650), OVER);
        let (first, second) = (1.0 - (-0.5_f64).exp(), (-0.5_f64).exp());
        assert!((mean - 100.0 * second * first / (1.0 - (-1.0_f64).exp())).abs() < 1e-9, "{mean}");
        assert!(mean < 50.0 && vm.mean(s(1250), OVER) < mean);
        // Told twice it is the same.
        let before = vm;
        vm.tell(0.0, s(700), OVER);
        assert_eq!(vm, before);
        vm.tell(40.0, s(800), OVER);
        assert!((vm.mean(s(90_000), OVER) - 40.0).abs() < 1e-6);
        assert!((vm.mean(s(800), Duration::ZERO) - 40.0).abs() < 1e-9, "without a past");
    }
}

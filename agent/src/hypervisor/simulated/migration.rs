//! A simulated live migration: memory is sent while the guest goes on writing.

/// The VM stands still while it hands over what was still to send.
pub(super) const DOWNTIME_S: f64 = 0.03;
/// The guest is slowed down after this many seconds without convergence, and again after as many more.
const THROTTLE_EVERY_S: f64 = 2.0;
const THROTTLE_STEP_PERCENT: u32 = 20;
const MOST_THROTTLE_PERCENT: u32 = 99;
const MIB: f64 = 1_048_576.0;

/// One migration under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Migration {
    /// Number that is never used again.
    pub(super) id: u64,
    pub(super) vm: String,
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) memory_mib: f64,
    pub(super) dirty_mib_s: f64,
    pub(super) limit_mib_s: f64,
    pub(super) auto_converge: bool,
    /// It goes on at the destination: what it writes is there already.
    pub(super) post_copy: bool,
    pub(super) begun_s: f64,
    pub(super) sent_mib: f64,
    pub(super) left_mib: f64,
    pub(super) throttle_percent: u32,
    /// Present speed, set by whoever knows how many share the links.
    pub(super) rate_mib_s: f64,
    /// Fails when this much was sent.
    pub(super) fails_at_mib: Option<f64>,
}

impl Migration {
    fn dirty(&self) -> f64 {
        if self.post_copy {
            return 0.0;
        }
        self.dirty_mib_s * f64::from(100 - self.throttle_percent) / 100.0
    }

    /// What can be sent in the time that the VM may stand still.
    fn handover_mib(&self) -> f64 {
        (self.rate_mib_s * DOWNTIME_S).max(0.1)
    }

    /// Seconds until it ends, fails or slows the guest down, at the present rate; infinite = it does not.
    pub(super) fn seconds_to_event(&self, now_s: f64) -> f64 {
        let gain = self.rate_mib_s - self.dirty();
        let mut next = f64::INFINITY;
        if gain > 0.0 {
            next = (self.left_mib - self.handover_mib()).max(0.0) / gain;
        }
        if let Some(at) = self.fails_at_mib.filter(|_| self.rate_mib_s > 0.0) {
            next = next.min((at - self.sent_mib).max(0.0) / self.rate_mib_s);
        }
        if let Some(at_s) = self.throttles_at_s() {
            next = next.min((at_s - now_s).max(0.0));
        }
        next
    }

    /// When the guest is slowed down further, if it has to be.
    fn throttles_at_s(&self) -> Option<f64> {
        let converges = self.dirty() < 0.8 * self.rate_mib_s;
        let wanted = self.auto_converge && !converges && self.throttle_percent < MOST_THROTTLE_PERCENT;
        let steps = f64::from(self.throttle_percent / THROTTLE_STEP_PERCENT + 1);
        wanted.then_some(self.begun_s + steps * THROTTLE_EVERY_S)
    }

    /// Goes on for a while, in which the rate stays.
    pub(super) fn advance(&mut self, seconds: f64, now_s: f64) {
        self.sent_mib += self.rate_mib_s * seconds;
        let left = self.left_mib - (self.rate_mib_s - self.dirty()) * seconds;
        // A guest cannot dirty more than it has.
        self.left_mib = left.clamp(0.0, self.memory_mib);
        if self.throttles_at_s().is_some_and(|at_s| now_s + 1e-9 >= at_s) {
            self.throttle_percent =
                (self.throttle_percent + THROTTLE_STEP_PERCENT).min(MOST_THROTTLE_PERCENT);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.rate_mib_s > 0.0 && self.left_mib <= self.handover_mib() + 1e-6
    }

    pub(super) fn has_failed(&self) -> bool {
        self.fails_at_mib.is_some_and(|at| self.sent_mib + 1e-6 >= at)
    }

    pub(super) fn sent_bytes(&self) -> u64 {
        (self.sent_mib * MIB) as u64
    }

    pub(super) fn left_bytes(&self) -> u64 {
        (self.left_mib * MIB) as u64
    }

    pub(super) fn total_bytes(&self) -> u64 {
        (self.memory_mib * MIB) as u64
    }
}

//! The only clock of the simulator, and it is read only where a run is to take the times of this machine.

use super::Decision;
use super::compute::Compute;
use std::time::Instant;

/// Measures one computation.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    compute: Compute,
    began: Option<Instant>,
}

impl Stopwatch {
    /// Begins now.
    #[must_use]
    pub fn start(compute: Compute) -> Self {
        Self { compute, began: (compute == Compute::Measured).then(Instant::now) }
    }

    /// Seconds that the decision takes in virtual time.
    #[must_use]
    pub fn seconds(&self, decision: &Decision) -> f64 {
        let measured = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        self.compute.seconds(decision, measured)
    }
}

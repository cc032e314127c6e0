//! What a simulated VM does with its CPU.

/// CPU that a VM wants, over time. What it gets is bounded by its vCPUs and by what its host has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Milli-cores on average.
    pub mean_millicores: f64,
    /// Milli-cores that it swings up and down around the mean.
    pub swing_millicores: f64,
    /// Seconds of one swing.
    pub period_s: f64,
    /// Where in the swing it begins, as a share of the period.
    pub phase: f64,
}

impl Load {
    /// Always the same.
    #[must_use]
    pub fn constant(millicores: f64) -> Self {
        Self { mean_millicores: millicores, swing_millicores: 0.0, period_s: 60.0, phase: 0.0 }
    }

    /// The same course with another mean and swing.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            mean_millicores: self.mean_millicores * factor,
            swing_millicores: self.swing_millicores * factor,
            ..self
        }
    }

    /// Milli-cores wanted at a time, not below 0.
    #[must_use]
    pub fn at(&self, now_s: f64) -> f64 {
        let turn = now_s / self.period_s.max(1e-3) + self.phase;
        let swing = self.swing_millicores * (turn * std::f64::consts::TAU).sin();
        (self.mean_millicores + swing).max(0.0)
    }
}

//! What migrations from a host have taught: how much of the nominal speed is reached, and what each takes besides.
//!
//! One that would take `x` seconds at the nominal bandwidth takes `setup + x ÷ efficiency`. Both are fitted to what was
//! measured, by least squares of the relative errors; older measurements count less with each new one, and the
//! calibration that was begun with counts as long as measurements do not say otherwise. One that is far off is taken
//! for less far off than it was, so that it moves the estimate without upsetting it.

use super::Calibration;
use serde::{Deserialize, Serialize};

/// What an older measurement counts when a new one comes.
const FADING: f64 = 0.8;
/// How surely the calibration is believed: its set-up time to a second, its efficiency to three tenths, in units of
/// relative errors of 5 %.
const PRIOR: f64 = 0.0025;
const SETUP_S: f64 = 1.0;
const SLOWNESS: f64 = 0.3;
/// How many times longer or shorter than expected a measurement is believed to be; the first few may be further off.
const BELIEVED: f64 = 2.0;
const BELIEVED_AT_FIRST: f64 = 8.0;
const FIRST: u64 = 3;
/// Estimates stay within these.
const EFFICIENCY: (f64, f64) = (0.02, 50.0);
const SETUP: (f64, f64) = (0.0, 120.0);
const VOLUME: (f64, f64) = (0.01, 20.0);

/// An estimate that follows measurements.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Migrations that it has seen.
    pub samples: u64,
    /// How far off what it would have said of each before seeing it was on average, as a share of what it took; recent
    /// ones count more.
    pub error: f64,
    /// MiB that were sent for each that was expected.
    pub volume: f64,
    /// Sums over measurements of 1 ÷ y², x ÷ y², x² ÷ y², 1 ÷ y, x ÷ y.
    sums: [f64; 5],
}

/// Least share of the nominal bandwidth that is planned with, whatever was seen.
const LEAST_PLANNED: f64 = 0.3;
/// No migration is taken to last less, in seconds.
const SHORTEST_S: f64 = 1e-3;

impl Estimate {
    /// Takes a migration that would take so many seconds at the nominal bandwidth, and took so many. `base` is what is
    /// believed before anything is measured. Figures that no migration has are left aside.
    pub fn learn(&mut self, base: &Calibration, nominal_s: f64, took_s: f64) {
        let fine = |value: f64| value.is_finite() && value > 0.0;
        if !fine(nominal_s) || !fine(took_s) {
            return;
        }
        let (setup_s, slowness) = self.fitted(base);
        let expected = setup_s + slowness * nominal_s;
        self.samples += 1;
        let weight = (1.0 / self.samples as f64).max(1.0 - FADING);
        self.error += weight * ((expected - took_s).abs() / took_s.max(SHORTEST_S) - self.error);
        let far = if self.samples <= FIRST { BELIEVED_AT_FIRST } else { BELIEVED };
        let took = took_s.clamp(expected / far, expected * far);
        let square = took * took;
        let new =
            [1.0 / square, nominal_s / square, nominal_s * nominal_s / square, 1.0 / took, nominal_s / took];
        for (sum, new) in self.sums.iter_mut().zip(new) {
            *sum = *sum * FADING + new;
        }
    }

    /// Takes how much was sent, and how much was expected before anything was learned. MiB.
    pub fn learn_volume(&mut self, expected_mib: f64, moved_mib: f64) {
        let ratio = moved_mib / expected_mib;
        if ratio.is_finite() && ratio > 0.0 {
            let ratio = ratio.clamp(VOLUME.0, VOLUME.1);
            let weight = (1.0 / self.samples.max(1) as f64).max(1.0 - FADING);
            self.volume =
                if self.volume > 0.0 { self.volume + weight * (ratio - self.volume) } else { ratio };
        }
    }

    /// What measurements make of a calibration.
    #[must_use]
    pub fn calibration(&self, base: &Calibration) -> Calibration {
        if self.samples == 0 {
            return *base;
        }
        let (setup_s, slowness) = self.fitted(base);
        let volume = if self.volume > 0.0 { self.volume } else { base.volume };
        Calibration { efficiency: 1.0 / slowness, setup_s, volume, ..*base }
    }

    /// Share of the nominal bandwidth that is to be planned with: what a migration was seen to reach, and never more
    /// than there is. Nor much less: where nothing can be planned to move any more, nothing better is ever seen.
    #[must_use]
    pub fn usable_share(&self, base: &Calibration) -> f64 {
        if self.samples == 0 { 1.0 } else { self.calibration(base).efficiency.clamp(LEAST_PLANNED, 1.0) }
    }

    /// Set-up seconds, and how many times the nominal time a transfer takes.
    fn fitted(&self, base: &Calibration) -> (f64, f64) {
        let (setup, slow) = (base.setup_s, 1.0 / base.efficiency);
        let believed = |spread: f64| PRIOR / (spread * spread);
        let (of_setup, of_slow) = (believed(SETUP_S), believed(SLOWNESS * slow));
        let [one, nominal, square, took, product] = self.sums;
        // Two equations with two unknowns: what is best for the set-up time, and for the slowness.
        let (first, second) = (one + of_setup, square + of_slow);
        let (right, below) = (took + of_setup * setup, product + of_slow * slow);
        let determinant = first * second - nominal * nominal;
        let (least, most) = (1.0 / EFFICIENCY.1, 1.0 / EFFICIENCY.0);
        let setup = ((right * second - nominal * below) / determinant).clamp(SETUP.0, SETUP.1);
        // The best for this set-up time, which may have been cut.
        (setup, ((below - nominal * setup) / second).clamp(least, most))
    }
}

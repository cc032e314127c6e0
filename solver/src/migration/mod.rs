//! How long a live migration really takes: what is sent in each pass, how long the guest stands still, whether it
//! comes to an end at all.
//!
//! The contract's times (memory ÷ (rate − dirty rate) + 0.03 s) are what plans are made and judged with. This model
//! stands beside them: it plays a migration pass by pass with a hot and a cold set of pages, with auto-converge and
//! post-copy as QEMU has them, and it is calibrated with measured migrations ([`Calibration::KVM`]).
//!
//! ```text
//! model      a workload, a path, a policy, a calibration → a forecast
//! measured   timed migrations of a file
//! fit        measured migrations → a calibration, and how far off it is
//! rivals     what others would have said, to compare with
//! learned    an estimate that follows one migration after the other
//! course     a plan with its migrations forecast
//! ```

pub mod course;
pub mod fit;
pub mod learned;
pub mod measured;
mod model;
pub mod rivals;
#[cfg(test)]
mod tests;

pub use model::{CONVERGES, Calibration, Forecast, Mode, Path, Policy, Workload, forecast};

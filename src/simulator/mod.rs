//! The laboratory: whole infrastructures in virtual time, with the load that others have used, so that strategies can be
//! compared with each other and with what was published (docs/EXPERIMENTS.md).
//!
//! Pure: an experiment and a seed in, measures out; no clock, no files.

pub mod injector;
pub mod java;

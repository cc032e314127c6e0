//! Placement problems in, checked migration plans out.
#![forbid(unsafe_code)]

pub mod check;
pub mod file;
pub mod model;

pub use model::{Fault, Problem, Rejected};

//! Figures for Prometheus, and a sign of life, over HTTP.

mod calls;

pub use calls::{Calls, Count};

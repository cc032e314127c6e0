//! What is measured of a run, one file each. Every event costs a constant number of steps.

mod histogram;
mod moves;
mod rounds;
mod series;
mod stats;
mod traffic;
mod usage;
mod violations;

pub use histogram::{Bucket, Histogram};
pub use moves::{MoveReport, Moves, PING_PONG_S};
pub use rounds::{RoundReport, Rounds, Verdict};
pub use series::Sample;
pub use stats::{Spread, Tally};
pub use traffic::{HEADER_BYTES, HOST_BYTES, Traffic, TrafficReport, VM_BYTES};
pub use usage::{Usage, UsageReport};
pub use violations::{Cause, Violation, ViolationReport, Violations};

//! What is measured of a run, one file each. Every event costs a constant number of steps.

mod fairness;
mod histogram;
mod memory;
mod moves;
mod rounds;
mod series;
mod settling;
mod stats;
mod traffic;
mod usage;
mod violations;

pub use fairness::{FairnessReport, jain};
pub use histogram::{Bucket, Histogram};
pub use memory::{Memory, MemoryReport, bytes_of};
pub use moves::{MoveReport, Moves, PING_PONG_S};
pub use rounds::{RoundReport, Rounds, Verdict};
pub use series::Sample;
pub use settling::{LATE_S, settling};
pub use stats::{Spread, Tally};
pub use traffic::{HEADER_BYTES, HOST_BYTES, Traffic, TrafficReport, VM_BYTES};
pub use usage::{Usage, UsageReport};
pub use violations::{Cause, Violation, ViolationReport, Violations};

//! How something is decided, apart from who decides on what: strategies that are compared can share it.

#[cfg(test)]
mod calibration;
mod compute;
mod consolidate;
mod packing;
mod repair;
mod stopwatch;
#[cfg(test)]
mod tests;

pub use compute::{Compute, Effort};
pub use consolidate::{Consolidation, consolidate};
pub use packing::{Algorithm, Colony, Packing, pack};
pub use repair::{Repair, repair, repair_or_lack};
pub use stopwatch::Stopwatch;

use super::ids::{HostId, VmId};
use super::measures::Verdict;

/// A VM is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Who.
    pub vm: VmId,
    /// From where.
    pub from: HostId,
    /// Where to.
    pub to: HostId,
    /// Places in the plan of the moves that must have ended.
    pub after: Vec<u32>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What it came to.
    pub verdict: Verdict,
    /// The plan.
    pub moves: Vec<Move>,
    /// What it took.
    pub effort: Effort,
}

//! What VMs need over time, besides the load of VMPlaceS (`injector`): steps, a day and its night, a crowd, VMs that come and
//! go, and traces of real ones. Each is behind [`Load`]; the same seed gives the same events.
//!
//! Needs are percent of the CPU of a VM: 100 = all that its kind has.

mod arrivals;
mod azure;
mod bitbrains;
mod constant;
mod planetlab;
mod poisson;
mod steps;
#[cfg(test)]
mod tests;
mod trace;

pub use arrivals::Arrivals;
pub use azure::{Azure, azure};
pub use bitbrains::bitbrains;
pub use constant::Constant;
pub use planetlab::planetlab;
pub use poisson::Poisson;
pub use steps::{Crowd, Day, Gaussian};
pub use trace::{Row, Text, TextFault, Trace};

use super::engine::Life;

/// From now on a VM needs this much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Seconds.
    pub time: f64,
    /// Number of the VM, from 0.
    pub vm: u32,
    /// Percent of what it has.
    pub percent: f64,
}

/// Needs in order of time.
pub type Needs = Box<dyn Iterator<Item = Need>>;

/// What VMs need over time.
pub trait Load {
    /// What VMs need before `until` (seconds), in order of time. There are `vms`, and those that `lives` adds.
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs;

    /// Who comes and goes before `until`, in order of time. Whoever comes was not there before; numbers from `vms` on are more
    /// VMs.
    fn lives(&self, vms: u32, until: f64, seed: u64) -> Vec<Life> {
        let _ = (vms, until, seed);
        Vec::new()
    }
}

/// Streams of randomness of loads are none of those of agents.
const STREAM: u64 = 1 << 40;

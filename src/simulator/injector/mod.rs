//! The load injector of VMPlaceS, event for event: which VM needs how much from when on, where VMs are at the start, and
//! which hosts crash.
//!
//! After the behaviour of `Injector.java` and `SimulatorManager.java` of VMPlaceS as of 2015 (Lèbre, Pastor, Südholt,
//! Euro-Par 2015). Every stream of random numbers is a `java.util.Random` of its own with the same seed.

mod crashes;
mod placement;
#[cfg(test)]
mod tests;

pub use crashes::{Crashes, Fault, Outages};
pub use placement::{DIRTY_PERCENT, Seat, classes, placement};

use super::java::{JavaRandom, hash_map_order};

/// Steps of a load: it is rounded to a multiple of a tenth of a core.
const SLOTS: f64 = 10.0;
/// Percent of a core that one step is.
const SLOT_PERCENT: u32 = 10;

/// What the load is to be like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loads {
    /// Mean demand of a VM, percent of a core.
    pub mean: f64,
    /// Its standard deviation.
    pub sd: f64,
    /// Mean seconds between two changes of one VM.
    pub period_s: f64,
    /// Of every stream.
    pub seed: u64,
}

impl Default for Loads {
    fn default() -> Self {
        Self { mean: 60.0, sd: 20.0, period_s: 300.0, seed: 23 }
    }
}

/// From this time on the VM needs this much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadChange {
    /// Seconds.
    pub time: f64,
    /// Number of the VM, from 0.
    pub vm: u32,
    /// Percent of a core.
    pub load: u32,
}

/// There are so many hosts or VMs that the order in which Java walks them is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the order in which Java walks {count} {what} is not modelled: a bucket of its map would hold more than 8 of them"
)]
pub struct Unordered {
    /// `hosts` or `VMs`.
    pub what: &'static str,
    /// How many.
    pub count: u32,
}

/// The changes of load, in order of time. All demands are 0 before.
#[derive(Debug, Clone)]
pub struct Injector {
    order: Vec<u32>,
    loads: Loads,
    rate: f64,
    until: f64,
    next: f64,
    gaps: JavaRandom,
    gaussians: JavaRandom,
    choice: JavaRandom,
}

impl Injector {
    /// The changes of so many VMs (1 or more) before `until` (seconds).
    ///
    /// # Errors
    /// The order of so many VMs is not known.
    pub fn new(vms: u32, until: f64, loads: Loads) -> Result<Self, Unordered> {
        let order = hash_map_order("vm-", vms).ok_or(Unordered { what: "VMs", count: vms })?;
        let mut gaps = JavaRandom::new(loads.seed);
        // In this order: `vms / period` can differ in the last bit.
        let rate = (1.0 / loads.period_s) * f64::from(vms);
        let next = gaps.exponential(rate);
        let (gaussians, choice) = (JavaRandom::new(loads.seed), JavaRandom::new(loads.seed));
        Ok(Self { order, loads, rate, until, next, gaps, gaussians, choice })
    }
}

impl Iterator for Injector {
    type Item = LoadChange;

    fn next(&mut self) -> Option<LoadChange> {
        let time = self.next;
        if self.order.is_empty() || time.partial_cmp(&self.until) != Some(std::cmp::Ordering::Less) {
            return None;
        }
        let vm = self.order[self.choice.below(self.order.len() as u32) as usize];
        let percent = (self.gaussians.gaussian() * self.loads.sd + self.loads.mean).clamp(0.0, 100.0);
        let load = (percent * SLOTS / 100.0 + 0.5).floor() as u32 * SLOT_PERCENT;
        self.next += self.gaps.exponential(self.rate);
        Some(LoadChange { time, vm, load })
    }
}

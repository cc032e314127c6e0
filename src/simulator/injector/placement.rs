//! Where the VMs are at the start, and of which class each is.

use super::Unordered;
use crate::simulator::java::{JavaRandom, hash_map_order};

/// How much memory the VMs of each class write, percent of the bandwidth of a migration.
pub const DIRTY_PERCENT: [u32; 8] = [10, 20, 30, 40, 50, 60, 70, 80];

/// Of one VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Number of its host.
    pub host: u32,
    /// One of [`DIRTY_PERCENT`].
    pub dirty_percent: u32,
}

/// The seat of each VM by number: hosts are filled one after the other, in the order in which Java walks them.
///
/// # Errors
/// The order of so many hosts is not known.
pub fn placement(hosts: u32, vms: u32, seed: u64) -> Result<Vec<Seat>, Unordered> {
    let order = hash_map_order("node", hosts).ok_or(Unordered { what: "hosts", count: hosts })?;
    let each = vms.div_ceil(hosts.max(1)).max(1);
    let seat = |(vm, dirty_percent): (u32, u32)| Seat { host: order[(vm / each) as usize], dirty_percent };
    Ok((0..).zip(classes(vms, seed)).map(seat).collect())
}

/// How much memory each VM writes, by number: one of [`DIRTY_PERCENT`].
pub fn classes(vms: u32, seed: u64) -> impl Iterator<Item = u32> {
    let mut classes = JavaRandom::new(seed);
    (0..vms).map(move |_| DIRTY_PERCENT[classes.below(DIRTY_PERCENT.len() as u32) as usize])
}

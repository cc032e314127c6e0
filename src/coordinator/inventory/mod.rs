//! The present state of the cell: hosts, VMs, migrations in flight. Made of what agents report; what is expected
//! counts migrations at both ends.

mod afar;
mod apply;
mod cell;
mod down;
mod settle;

#[cfg(test)]
mod tests;

pub(super) use cell::{Cell, Flight, HostEntry, VmEntry};
pub(super) use down::Down;
pub(super) use settle::Settled;

use std::time::{Duration, SystemTime};

/// The time of an input: for durations, and for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Now {
    /// Since the coordinator began; never goes back.
    pub(crate) at: Duration,
    /// By the wall clock.
    pub(crate) wall: SystemTime,
}

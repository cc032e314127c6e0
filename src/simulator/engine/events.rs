//! What can be due.

use crate::simulator::ids::{Agent, HostId};

/// Something that happens at a time. Small: there may be millions in the queue.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// An agent's own.
    Timer {
        agent: Agent,
        timer: u32,
        /// Timers of a host's agent end with the host.
        life: u32,
    },
    /// A message arrives.
    Mail { slot: u32 },
    /// Something about a migration.
    Due { slot: u32, generation: u32 },
    /// The agent of a host looks at it.
    Report { host: HostId },
    /// Hosts are looked at for a strategy.
    Look { slot: u32 },
    /// What was seen is there.
    Collected { slot: u32 },
    /// A computation ends.
    Decided { slot: u32 },
    /// A host that was switched on is up.
    Booted { host: HostId },
    /// A plan of which nothing was to be done has ended.
    Empty { plan: u32 },
    /// Figures are taken.
    Sample,
}

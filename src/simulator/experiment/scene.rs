//! A run as it is at a moment, for those who watch it.

use super::Progress;
use crate::simulator::engine::{Simulation, Strategy};
use crate::simulator::ids::HostId;
use crate::simulator::world::HostNow;

/// A run as it is now, whatever its strategy.
pub trait Scene {
    /// How far it is.
    fn progress(&self) -> Progress;

    /// All hosts, in order.
    fn hosts(&self) -> Vec<HostNow>;

    /// Hosts that are together of one plan, or of one that is looked for; a host is of one group only.
    fn groups(&self) -> Vec<Vec<HostId>>;
}

impl<S: Strategy> Scene for Simulation<S> {
    fn progress(&self) -> Progress {
        let world = self.world();
        Progress {
            now: world.now(),
            events: self.events(),
            over: world.usage.over,
            violations: world.violations.log().len(),
            migrations: world.moves.count(),
        }
    }

    fn hosts(&self) -> Vec<HostNow> {
        (0..self.world().host_count() as u32).map(|host| self.world().host(HostId(host))).collect()
    }

    fn groups(&self) -> Vec<Vec<HostId>> {
        let told = self.strategy().groups();
        let mut groups = if told.is_empty() { self.context().groups() } else { told };
        let mut taken = vec![false; self.world().host_count()];
        for group in &mut groups {
            group.retain(|host| !std::mem::replace(&mut taken[host.index()], true));
        }
        groups.retain(|group| !group.is_empty());
        groups
    }
}

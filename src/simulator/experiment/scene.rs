//! A run as it is at a moment, for those who watch it.

use super::Progress;
use crate::simulator::engine::{Entry, Simulation, Strategy};
use crate::simulator::ids::HostId;
use crate::simulator::measures::Violation;
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

/// A run that is played.
pub trait Played: Scene {
    /// Plays it; asks each some thousand events whether to go on. Whether the end was reached.
    fn play(&mut self, go_on: &mut dyn FnMut(&dyn Scene) -> bool) -> bool;

    /// The same; asks, and shows how it is, each so many virtual seconds at most.
    fn show(&mut self, every_s: f64, go_on: &mut dyn FnMut(&dyn Scene) -> bool) -> bool;

    /// When the next thing happens, seconds.
    fn next_time(&self) -> f64;

    /// Lets it happen. Whether there was one before the end.
    fn step(&mut self) -> bool;

    /// Notes everything from now on, or no more.
    fn note(&mut self, wanted: bool);

    /// What was noted since it was asked last.
    fn noted(&mut self) -> Vec<Entry>;

    /// All violations so far.
    fn violations(&self) -> &[Violation];
}

impl<S: Strategy> Played for Simulation<S> {
    fn play(&mut self, go_on: &mut dyn FnMut(&dyn Scene) -> bool) -> bool {
        self.run(&mut |simulation| go_on(simulation))
    }

    fn show(&mut self, every_s: f64, go_on: &mut dyn FnMut(&dyn Scene) -> bool) -> bool {
        self.watch(every_s, &mut |simulation| go_on(simulation))
    }

    fn next_time(&self) -> f64 {
        Self::next_time(self)
    }

    fn step(&mut self) -> bool {
        Self::step(self)
    }

    fn note(&mut self, wanted: bool) {
        Self::note(self, wanted);
    }

    fn noted(&mut self) -> Vec<Entry> {
        Self::noted(self)
    }

    fn violations(&self) -> &[Violation] {
        self.world().violations.log()
    }
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

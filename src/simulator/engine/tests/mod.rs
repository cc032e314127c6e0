//! Runs.

mod alone;
mod cloudsim;
mod faults;

use super::*;
use crate::simulator::injector::Loads;
use crate::simulator::vmplaces;

/// A run of the VMPlaceS set-up, all invariants checked after every event.
pub(in crate::simulator) fn checked<S: Strategy>(
    hosts: u32,
    seconds: f64,
    loads: Loads,
    capacity: u32,
    strategy: S,
) -> Simulation<S> {
    let mut simulation = vmplaces_run(hosts, seconds, loads, capacity, strategy);
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
    }
    simulation
}

/// The same, before its first event.
pub(in crate::simulator) fn vmplaces_run<S: Strategy>(
    hosts: u32,
    seconds: f64,
    loads: Loads,
    capacity: u32,
    strategy: S,
) -> Simulation<S> {
    let setup = vmplaces::setup(hosts, hosts * 10, capacity, 23).unwrap();
    let story = vmplaces::story(hosts * 10, seconds, loads).unwrap();
    Simulation::new(&setup, Conditions::default(), story, strategy, seconds, 60.0)
}

//! The core in a world of its own: hosts, VMs, agents, a network that loses sessions, a disk and a solver, all in
//! virtual time. What must always hold is checked after each step.

mod agent;
mod bandwidth;
mod chaos;
mod checks;
mod crowd;
mod forgetting;
mod migrations;
mod operators;
mod pace;
mod policies;
mod restarts;
mod ring;
mod seats;
pub(in crate::coordinator) mod solver;
mod stories;
mod world;

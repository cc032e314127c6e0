//! dvms on real hypervisors: a coordinator, agents and QEMU guests on the test bed, used by the command line as an
//! operator would.
//!
//! Needs root and libvirt; elsewhere each test says that it was skipped. The tests run one at a time, as their
//! guests share the machine's cores.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cluster;
mod figures;
mod guests;
#[allow(dead_code, unreachable_pub, reason = "shared with the agent's tests, which use other parts of it")]
#[path = "../testbed/testbed.rs"]
mod testbed;

mod agents;
mod consolidate;
mod demo;
mod drain;
mod fetched;
mod foreign;
mod light;
mod overload;
mod ring;
mod routes;
mod rules;

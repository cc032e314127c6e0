//! The API as its callers see it: every service over loopback, with real clients, and with agents that are real
//! or lie.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

mod agents;
mod cluster;
mod edge;
mod etcd;
mod events;
mod fuzz;
mod garbage;
mod nearest;
mod placement;
mod plans;
mod proxy;
mod ring;
mod scale;
mod sessions;
mod strangers;
mod support;
mod versions;
mod why;

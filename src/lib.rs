//! dvms, a virtual-machine placement engine: the coordinator service and the command line.
//!
//! `api` is the gRPC edge (wire types stop there), `cli` the commands, `config` the one configuration
//! file. What they drive is in the modules and crates below them, which know nothing of them.
#![forbid(unsafe_code)]

pub mod api;
pub mod btrplace;
pub mod cli;
pub mod config;
pub mod coordinator;
mod fnv;
pub mod json;
mod lines;
pub mod metrics;
pub mod partition;
pub mod record;
pub mod simulator;
pub mod solving;
pub mod store;

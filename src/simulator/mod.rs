//! The laboratory: whole infrastructures in virtual time, with the load that others have used, so that strategies can be
//! compared with each other and with what was published (docs/EXPERIMENTS.md).
//!
//! Pure: an experiment and a seed in, measures out; no files, threads or unordered maps. The clock is read where computing
//! is to take the time of this machine, and nowhere else.
//!
//! `world` is what there is and happens by itself, `engine` lets time pass and is the only door between the world and a
//! strategy (`strategies`, one file each); `decision` is how something is decided, whoever decides; `measures` is what is
//! counted.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::unreadable_literal,
        reason = "tests compare exact results, and figures as others have told them"
    )
)]

pub mod decision;
pub mod engine;
pub mod experiment;
pub mod ids;
pub mod injector;
pub mod java;
pub mod load;
pub mod measures;
mod queue;
mod random;
pub mod strategies;
#[cfg(test)]
mod vmplaces;
pub mod world;

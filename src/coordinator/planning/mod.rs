//! From troubles to a problem: which hosts are needed, what the solver is told of them, and whether a plan made
//! of it still fits.

mod ask;
mod capacity;
mod fresh;
mod linked;
mod network;
mod rules;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use ask::{Ask, ask, rooms, wish};
pub(crate) use fresh::{action_unsafe, stale};
pub(crate) use snapshot::problem;

//! For tests only: rules drawn at random, and a reading of what they mean that shares nothing with the solver's.

mod draw;
mod meaning;

pub(crate) use draw::{KINDS, constraint};
pub(crate) use meaning::{broken_by_end, holds};

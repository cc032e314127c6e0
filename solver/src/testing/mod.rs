//! For tests only: rules drawn at random, a reading of what they mean that shares nothing with the solver's, texts
//! that are nearly right, and what must hold of any input ([`fuzz`]).

#[cfg(test)]
mod draw;
pub mod fuzz;
#[cfg(test)]
mod meaning;
pub mod mutate;

#[cfg(test)]
pub(crate) use draw::{KINDS, about_states, constraint, label};
#[cfg(test)]
pub(crate) use meaning::{broken_by_end, holds, holds_in};

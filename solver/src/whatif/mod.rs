//! Problems with something else in them: what if there were more hosts, fewer rules, a rack less?
//!
//! An [`Edit`] works on the file form, so that what comes out is read and judged like any other problem.

mod differing;
mod edit;
mod given;
#[cfg(test)]
mod tests;

pub use differing::{Differing, differing};
pub(crate) use edit::fresh_names;
pub use edit::{Edit, Refused, edit};
pub use given::given;

//! What can be known of a problem without a search: who may go where, what cannot be, what is at least
//! needed.

mod bounds;
mod circle;
mod closing;
mod closing_tree;
mod cover;
mod facts;
mod impossible;
mod makespan;
mod space;

pub(crate) use bounds::{bounds, lonely_sets};
pub(crate) use closing::{Closing, Counted};
pub(crate) use cover::{Item, cover};
pub(crate) use facts::Facts;
pub(crate) use impossible::impossible;
pub(crate) use makespan::out_of_s;
pub(crate) use space::{Space, bulk};

//! Does nothing: what the load comes to by itself.

use crate::simulator::engine::Strategy;

/// The strategy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Strategy for Nothing {
    type Message = ();
}

//! Keeps virtual machines on the right hosts: inventory → detection → planning → execution. What decides
//! (`core`) is a state machine without I/O that takes the time with each input; one task (`driver`) feeds it,
//! runs solvers on threads, keeps the store and publishes the view that the handle reads.

pub mod calendar;
mod core;
mod detect;
mod driver;
mod handle;
mod inventory;
mod learning;
mod load;
pub mod peers;
mod planning;
pub mod policies;
pub(crate) mod ranges;
mod rules;
pub mod settings;
#[cfg(test)]
mod testing;
mod view;
mod written;

pub use driver::registry;
pub use handle::{
    AgentSession, AttachError, Change, Coordinator, Link, OperateError, Reports, Subscription, Teller,
};
pub use settings::Settings;
pub use view::{
    EVENTS_KEPT, Figures, GrowthStep, GrowthView, OtherMember, PLANS_KEPT, PartitionView, RingView, Why,
};

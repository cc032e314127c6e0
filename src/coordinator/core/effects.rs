//! What goes into the core and what comes out.

use crate::coordinator::handle::OperateError;
use crate::record::{AdminState, Hello, HostRecord, Order, PlanRecord, Report};
use crate::store;
use std::sync::Arc;

/// Names a caller who waits for an answer.
pub(in crate::coordinator) type Ticket = u64;

/// Something has happened.
#[derive(Debug, Clone)]
pub(in crate::coordinator) enum Input {
    /// An agent has begun a session with this fencing number.
    Attach { hello: Box<Hello>, epoch: u64 },
    /// A session has ended.
    Detach { host: String, epoch: u64 },
    /// An agent has spoken.
    Report { host: String, epoch: u64, report: Report },
    /// An operator wants something of a host.
    SetHostState { host: String, state: AdminState, reason: String, ticket: Ticket },
    /// All writes up to this one are durable.
    Stored { seq: u64 },
    /// The last try to write failed; it is tried again.
    NotStored { message: String },
    /// Time has passed.
    Tick,
    /// Stop.
    Shutdown,
}

/// Something is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::coordinator) enum Effect {
    /// Tell an agent, if its session is still this one.
    Tell { host: String, epoch: u64, order: Order },
    /// End the session of an agent, after what it was told.
    EndSession { host: String, epoch: u64 },
    /// Make this durable, after all before it; then [`Input::Stored`].
    Write { seq: u64, changes: Vec<store::Change> },
    /// Forget what is too old.
    Prune,
    /// Answer a caller.
    Answer { ticket: Ticket, answer: Answer },
}

/// What a caller is answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::coordinator) enum Answer {
    /// A host.
    Host(Arc<HostRecord>),
    /// A plan.
    Plan(Arc<PlanRecord>),
    /// No.
    Refused(OperateError),
}

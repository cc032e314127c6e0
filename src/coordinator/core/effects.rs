//! What goes into the core and what comes out.

use crate::coordinator::handle::OperateError;
use crate::coordinator::peers::{Frame, KeptHost};
use crate::coordinator::policies::Policies;
use crate::coordinator::settings::RingMember;
use crate::record::{ActionKey, AdminState, Hello, HostRecord, Order, Pace, PlanRecord, PlanRequest, Report};
use crate::solving;
use crate::store;
use dvms_solver::file::{Constraint, Plan, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

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
    /// An operator knows that a host will not come back.
    ForgetHost { host: String, with_vms: bool, reason: String, ticket: Ticket },
    /// A coordinator that left without a word will not come back.
    ForgetMember { member: String, reason: String, ticket: Ticket },
    /// Somebody asks for a plan.
    CreatePlan { request: Box<PlanRequest>, ticket: Ticket },
    /// An operator lets a plan be carried out.
    ApprovePlan { id: String, ticket: Ticket },
    /// An operator ends a plan.
    CancelPlan { id: String, finish_running: bool, reason: String, ticket: Ticket },
    /// An operator lets a plan begin nothing more for a while.
    PausePlan { id: String, reason: String, ticket: Ticket },
    /// An operator lets it go on.
    ResumePlan { id: String, ticket: Ticket },
    /// An operator changes what it may use at once.
    LimitPlan { id: String, pace: Pace, ticket: Ticket },
    /// A caller does not wait for an answer any more.
    CallerGone { ticket: Ticket },
    /// A solver has returned: with a plan that has passed the checker, or why there is none.
    Solved { solve: u64, outcome: Result<Plan, String>, took: Duration },
    /// All writes up to this one are durable.
    Stored { seq: u64 },
    /// The last try to write failed; it is tried again.
    NotStored { message: String },
    /// These are the members of the ring, this one too; those that are held have lost etcd.
    Members { members: Vec<RingMember>, held: BTreeSet<String> },
    /// These are the rules that etcd keeps, by name.
    Rules { revision: u64, rules: BTreeMap<String, String> },
    /// An operator changes rules that are kept here; `None` = it goes.
    ChangeRules { change: BTreeMap<String, Option<Constraint>>, ticket: Ticket },
    /// This is what etcd keeps of hosts: of all, or of those that have changed.
    HostsKept { all: bool, hosts: BTreeMap<String, Option<KeptHost>> },
    /// A link to another member of the ring stands, in both directions as far as is known.
    PeerUp { member: String },
    /// It does not stand any more.
    PeerDown { member: String },
    /// So long a word to it and back takes.
    PeerNear { member: String, round_trip: Duration },
    /// Something outside of what is decided here is wrong that operators have to know.
    Alarm { message: String },
    /// Another member has said something.
    Peer { from: String, frame: Box<Frame> },
    /// Time has passed.
    Tick,
    /// Stop; at once, or when what is under way has ended, if others serve on meanwhile.
    Shutdown { at_once: bool },
}

/// Something is to be done.
#[expect(clippy::large_enum_variant, reason = "most are frames and orders, and none is kept for long")]
#[derive(Debug, Clone, PartialEq)]
pub(in crate::coordinator) enum Effect {
    /// Tell an agent, if its session is still this one.
    Tell { host: String, epoch: u64, order: Order },
    /// Tell another member of the ring; it may be lost.
    Peer { to: String, frame: Frame },
    /// End the session of an agent, after what it was told.
    EndSession { host: String, epoch: u64 },
    /// Make this durable, after all before it; then [`Input::Stored`].
    Write { seq: u64, changes: Vec<store::Change> },
    /// Solve this on a thread; then [`Input::Solved`].
    Solve { solve: u64, problem: Arc<Problem>, order: solving::Order },
    /// Ask a solver to return.
    StopSolve(u64),
    /// Forget what is too old.
    Prune,
    /// It is over.
    Stopped,
    /// Answer a caller.
    Answer { ticket: Ticket, answer: Answer },
}

impl Effect {
    /// The action that an agent begins by this, be it through another member.
    pub(super) fn begins(&self) -> Option<&ActionKey> {
        match self {
            Self::Tell { order: Order::Execute { key, .. }, .. } => Some(key),
            Self::Peer { frame: Frame::Order { flight, .. }, .. } => Some(&flight.key),
            _ => None,
        }
    }
}

/// What a caller is answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::coordinator) enum Answer {
    /// A host.
    Host(Arc<HostRecord>),
    /// A plan.
    Plan(Arc<PlanRecord>),
    /// It is done.
    Done,
    /// The rules.
    Policies(Arc<Policies>),
    /// No.
    Refused(OperateError),
}

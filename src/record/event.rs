//! Reasons to act, and things that an operator should know.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A reason to act, or something that an operator should know. Names are empty where they do not apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Rises with time; given by the store.
    pub id: u64,
    /// When.
    pub time: SystemTime,
    /// What.
    pub kind: EventKind,
    /// How bad.
    pub severity: Severity,
    /// About which host.
    #[serde(default)]
    pub host: String,
    /// About which VM.
    #[serde(default)]
    pub vm: String,
    /// About which rule.
    #[serde(default)]
    pub constraint: String,
    /// About which plan.
    #[serde(default)]
    pub plan_id: String,
    /// About which action of the plan; 0 = none.
    #[serde(default)]
    pub action_id: u64,
    /// One line for people, with the figures.
    pub message: String,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// A host is expected to use more than it may.
    Overload,
    /// A host uses so little that its VMs should move together elsewhere.
    Underload,
    /// An operator wants a host emptied.
    Drain,
    /// A host is gone for longer than the failure time-out.
    HostFailed,
    /// A VM runs nowhere and should.
    VmWaiting,
    /// A rule does not hold.
    RuleBroken,
    /// One of the above has ended.
    Resolved,
    /// An agent has connected.
    HostConnected,
    /// An agent's session has ended.
    HostLost,
    /// A plan was asked for or is needed.
    PlanCreated,
    /// A plan is being executed.
    PlanStarted,
    /// A plan has ended.
    PlanEnded,
    /// An action was begun.
    ActionStarted,
    /// An action has ended.
    ActionEnded,
    /// What happened cannot be solved with the hosts there are.
    Blocked,
    /// A VM moved, came or went without our doing.
    ForeignChange,
    /// An operator did something.
    Operator,
    /// Somebody must look at once.
    Alarm,
}

impl EventKind {
    /// Those that plans are made for.
    pub const TROUBLES: [Self; 6] =
        [Self::Overload, Self::Underload, Self::Drain, Self::HostFailed, Self::VmWaiting, Self::RuleBroken];

    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overload => "OVERLOAD",
            Self::Underload => "UNDERLOAD",
            Self::Drain => "DRAIN",
            Self::HostFailed => "HOST_FAILED",
            Self::VmWaiting => "VM_WAITING",
            Self::RuleBroken => "RULE_BROKEN",
            Self::Resolved => "RESOLVED",
            Self::HostConnected => "HOST_CONNECTED",
            Self::HostLost => "HOST_LOST",
            Self::PlanCreated => "PLAN_CREATED",
            Self::PlanStarted => "PLAN_STARTED",
            Self::PlanEnded => "PLAN_ENDED",
            Self::ActionStarted => "ACTION_STARTED",
            Self::ActionEnded => "ACTION_ENDED",
            Self::Blocked => "BLOCKED",
            Self::ForeignChange => "FOREIGN_CHANGE",
            Self::Operator => "OPERATOR",
            Self::Alarm => "ALARM",
        }
    }
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is not as it should be; dvms works on it.
    Warning,
    /// Somebody should look.
    Error,
}

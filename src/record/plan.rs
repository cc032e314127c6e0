//! Plans with their lives.

use super::{ActionProgress, MigrationForecast};
use dvms_solver::file::{Limits, Plan, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;

/// A plan with its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Unique; sorts by time of creation. Empty for a plan that is only validated.
    pub id: String,
    /// Where it stands.
    pub state: PlanState,
    /// What may be done with it.
    pub mode: Mode,
    /// What asked for it: an event's kind, or `request`.
    pub trigger: String,
    /// One line: what it is for.
    pub purpose: String,
    /// Ids of the events that it answers.
    pub event_ids: Vec<u64>,
    /// Hosts of the partition, sorted.
    pub hosts: Vec<String>,
    /// The problem that was solved; `None` while it waits.
    pub problem: Option<Arc<Problem>>,
    /// `None` while it is solved.
    pub plan: Option<Arc<Plan>>,
    /// One per action of the plan, in its order.
    pub actions: Vec<ActionStatus>,
    /// When it was asked for.
    pub created: SystemTime,
    /// When the solver had ended.
    pub solved: Option<SystemTime>,
    /// When the first action was released.
    pub started: Option<SystemTime>,
    /// When it came into a terminal state.
    pub ended: Option<SystemTime>,
    /// For FAILED, BLOCKED and CANCELLED: why, in one line.
    pub message: String,
    /// The plan that was made for what this one left undone; empty = none.
    pub successor: String,
    /// Rises with each change of the record.
    pub revision: u64,
    /// An operator has paused it: nothing more is begun. Why, for the log.
    #[serde(default)]
    pub paused: Option<String>,
    /// The coordinator was stopped in good order while it was executed, and goes on with it when it begins again.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// PROPOSED until VMs may be moved, then it is executed by itself.
    #[serde(default)]
    pub scheduled: bool,
    /// Why actions wait that could be begun; empty = none does. Not kept.
    #[serde(skip)]
    pub waits_for: String,
    /// What it may use at once.
    #[serde(default)]
    pub pace: Pace,
    /// The caller's id of the request; empty = none.
    #[serde(default)]
    pub request_id: String,
    /// The parameters of the request, to tell a repeat from another request; empty = none.
    #[serde(default)]
    pub request: String,
}

impl PlanRecord {
    /// A plan that was just asked for: nothing is known of it but what for. It has no id yet.
    #[must_use]
    pub fn new(state: PlanState, mode: Mode, trigger: String, purpose: String, created: SystemTime) -> Self {
        Self {
            id: String::new(),
            state,
            mode,
            trigger,
            purpose,
            event_ids: Vec::new(),
            hosts: Vec::new(),
            problem: None,
            plan: None,
            actions: Vec::new(),
            created,
            solved: None,
            started: None,
            ended: None,
            message: String::new(),
            successor: String::new(),
            revision: 1,
            paused: None,
            kept: None,
            scheduled: false,
            waits_for: String::new(),
            pace: Pace::default(),
            request_id: String::new(),
            request: String::new(),
        }
    }
}

/// What is to be known of a plan that goes on after an orderly stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// An operator has approved it.
    pub approved: bool,
}

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Migrations; `None` = no limit.
    pub max_concurrent: Option<u32>,
    /// MiB/s of all of them together; `None` = no limit. One that would be alone may always go.
    pub bandwidth_mib_s: Option<f64>,
}

/// Where a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanState {
    /// Waits for hosts that another partition holds.
    Queued,
    /// The solver works on it.
    Solving,
    /// Waits for approval, or is a recommendation only.
    Proposed,
    /// Its actions are carried out.
    Executing,
    /// Every action is done, or there was nothing to do.
    Succeeded,
    /// Some action failed.
    Failed,
    /// Ended by an operator, or by what made it needless.
    Cancelled,
    /// No plan exists for the hosts there are, or none was found in time.
    Blocked,
}

impl PlanState {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Blocked)
    }

    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Solving => "SOLVING",
            Self::Proposed => "PROPOSED",
            Self::Executing => "EXECUTING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Blocked => "BLOCKED",
        }
    }
}

/// What may be done with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Solve and record; never executed.
    Observe,
    /// Shown as a recommendation that can be approved.
    Recommend,
    /// Waits for approval.
    Approve,
    /// Executed at once.
    #[default]
    Auto,
}

/// How an action of a plan stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionStatus {
    /// Its id in the plan.
    pub action_id: u64,
    /// Where it stands.
    pub state: ActionState,
    /// Last word of the agent.
    pub progress: Option<ActionProgress>,
    /// When it was sent.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub ended: Option<SystemTime>,
    /// Why it failed or was skipped.
    pub message: String,
    /// What is expected of it, if it is a migration; from when it is begun on as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<MigrationForecast>,
}

impl ActionStatus {
    /// An action that is not begun.
    #[must_use]
    pub fn waiting(action_id: u64) -> Self {
        Self {
            action_id,
            state: ActionState::Waiting,
            progress: None,
            started: None,
            ended: None,
            message: String::new(),
            forecast: None,
        }
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActionState {
    /// Waits for its predecessors.
    Waiting,
    /// Sent to the agent.
    Sent,
    /// The agent carries it out.
    Running,
    /// Done.
    Done,
    /// Failed or refused.
    Failed,
    /// Never begun.
    Skipped,
    /// The agent cannot tell yet.
    Uncertain,
}

impl ActionState {
    /// Whether the agent has it: its VM counts at both ends.
    #[must_use]
    pub fn in_flight(self) -> bool {
        matches!(self, Self::Sent | Self::Running | Self::Uncertain)
    }
}

/// A request for a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanRequest {
    /// Chosen by the caller; empty = not idempotent.
    pub request_id: String,
    /// `REPAIR`, `CONSOLIDATE` …; empty = `REPAIR`.
    pub objective: String,
    /// Empty = all.
    pub hosts: Vec<String>,
    /// `None` = the coordinator's.
    pub mode: Option<Mode>,
    /// Limits of solve and plan.
    pub limits: Option<Limits>,
    /// What it may use at once.
    pub pace: Pace,
    /// Solve and return; store and reserve nothing.
    pub validate_only: bool,
}

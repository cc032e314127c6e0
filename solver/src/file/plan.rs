use std::collections::BTreeMap;

/// A plan as it is written in a file or sent in a message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub status: Status,
    pub reason: String,
    pub actions: Vec<Action>,
    /// Final host of every running VM.
    pub placement: BTreeMap<String, String>,
    /// VMs that run nowhere at the end.
    pub unplaced: Vec<String>,
    pub objectives: Vec<ObjectiveValue>,
    pub conflict: Option<Conflict>,
    /// Free form: `solve_s`, `first_plan_s`, `backend`, `nodes` …
    pub statistics: BTreeMap<String, Statistic>,
    /// NUMA nodes of VMs on hosts that have them.
    pub numa_placement: BTreeMap<String, Vec<i64>>,
}

/// What a solve can honestly say (problem-format, Plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Every objective level is proved.
    Optimal,
    /// A checked plan, with bounds.
    Feasible,
    /// Proved or judged that nothing is worth moving.
    NoChange,
    /// Proved that no plan exists; `conflict` says why.
    Infeasible,
    /// Time ran out with no plan.
    #[default]
    Unknown,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub id: u64,
    pub kind: ActionKind,
    /// Empty for BOOT and SHUTDOWN.
    pub vm: String,
    pub source: String,
    pub destination: String,
    pub start_s: f64,
    pub end_s: f64,
    /// Ids of actions that must have ended.
    pub after: Vec<u64>,
    /// One line: what triggered or requires this action.
    pub because: String,
    pub numa: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Live migration from `source` to `destination`.
    Migrate,
    /// Start at `destination`, from no host or from a failed one.
    Start,
    /// Power on `destination`.
    Boot,
    /// Power off `source`.
    Shutdown,
}

/// One level of the objective, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveValue {
    pub name: String,
    pub before: f64,
    pub value: f64,
    /// Proved lower bound of the level, given the levels before it at their value.
    pub bound: Option<f64>,
}

/// A small set of things that cannot hold together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conflict {
    pub hosts: Vec<String>,
    pub vms: Vec<String>,
    pub constraints: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statistic {
    Number(f64),
    Text(String),
}

//! `dvms.v1.Plan`.

use super::de::strict_object;
use super::{de, is_default};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A plan as it is written in a file or sent in a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Plan {
    /// What the solver can say of it.
    pub status: Status,
    /// Sentences for INFEASIBLE and UNKNOWN.
    #[serde(default, deserialize_with = "de::or_default")]
    pub reason: String,
    /// The steps; `after` makes them a DAG.
    #[serde(default, deserialize_with = "de::or_default")]
    pub actions: Vec<Action>,
    /// Final host of every running VM.
    #[serde(default, deserialize_with = "de::map")]
    pub placement: BTreeMap<String, String>,
    /// VMs that run nowhere at the end.
    #[serde(default, deserialize_with = "de::or_default")]
    pub unplaced: Vec<String>,
    /// One entry per level of the problem's objective.
    #[serde(default, deserialize_with = "de::or_default")]
    pub objectives: Vec<ObjectiveValue>,
    /// With INFEASIBLE.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conflict: Option<Conflict>,
    /// Free form: `solve_s`, `first_plan_s`, `backend`, `nodes` …
    #[serde(default, deserialize_with = "de::map")]
    pub statistics: BTreeMap<String, Statistic>,
    /// NUMA nodes of VMs on hosts that have them.
    #[serde(
        default,
        alias = "numaPlacement",
        skip_serializing_if = "is_default",
        deserialize_with = "de::node_lists"
    )]
    pub numa_placement: BTreeMap<String, Vec<i64>>,
}

/// What a solve can honestly say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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

impl Status {
    /// As written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Optimal => "OPTIMAL",
            Self::Feasible => "FEASIBLE",
            Self::NoChange => "NO_CHANGE",
            Self::Infeasible => "INFEASIBLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Whether there is a placement to go to.
    #[must_use]
    pub fn has_plan(self) -> bool {
        matches!(self, Self::Optimal | Self::Feasible | Self::NoChange)
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Action {
    /// Unique in the plan, from 1.
    #[serde(deserialize_with = "de::id")]
    pub id: u64,
    /// What is done.
    #[serde(rename = "type")]
    pub kind: ActionKind,
    /// Empty for BOOT and SHUTDOWN.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub vm: String,
    /// The host that the VM leaves.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub source: String,
    /// The host that the VM enters.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub destination: String,
    /// Seconds from the start of the plan.
    #[serde(default, alias = "startS", deserialize_with = "de::float")]
    pub start_s: f64,
    /// Seconds from the start of the plan.
    #[serde(default, alias = "endS", deserialize_with = "de::float")]
    pub end_s: f64,
    /// Ids of actions that must have ended.
    #[serde(default, deserialize_with = "de::ids")]
    pub after: Vec<u64>,
    /// One line: what triggered or requires this action.
    #[serde(default, deserialize_with = "de::or_default")]
    pub because: String,
    /// NUMA nodes at the destination.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "de::integers")]
    pub numa: Vec<i64>,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ObjectiveValue {
    /// Name of the level.
    pub name: String,
    /// Value if nothing is done.
    #[serde(default, deserialize_with = "de::float")]
    pub before: f64,
    /// Value of the plan.
    #[serde(default, deserialize_with = "de::float")]
    pub value: f64,
    /// Proved lower bound of the level, given the levels before it at their value.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "de::maybe_float")]
    pub bound: Option<f64>,
}

/// A small set of things that cannot hold together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Conflict {
    /// Names of hosts.
    #[serde(deserialize_with = "de::or_default")]
    pub hosts: Vec<String>,
    /// Names of VMs.
    #[serde(deserialize_with = "de::or_default")]
    pub vms: Vec<String>,
    /// Names of rules.
    #[serde(deserialize_with = "de::or_default")]
    pub constraints: Vec<String>,
}

/// A figure or a word about the solve.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Statistic {
    /// A figure.
    Number(f64),
    /// A word; anything else that a file may hold is kept here as its JSON text.
    Text(String),
}

impl<'de> Deserialize<'de> for Statistic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(word) => Self::Text(word),
            other => other.as_f64().map_or_else(|| Self::Text(other.to_string()), Self::Number),
        })
    }
}

strict_object!(Plan, Action, ObjectiveValue, Conflict);

//! The file form of problems and plans: plain data with names, one to one with the messages
//! `dvms.v1.Problem` and `dvms.v1.Plan`. Reading is strict, and an error carries the JSON path.

mod constraint;
mod de;
mod plan;
mod problem;
mod read;

#[cfg(test)]
mod tests;

pub use constraint::{Body, Constraint, Hosts, Vms};
pub use plan::{Action, ActionKind, Conflict, ObjectiveValue, Plan, Statistic, Status};
pub use problem::{Fragment, Host, HotSet, Limits, Link, Network, NumaNode, Problem, Switch, Vm, VmNuma};
pub use read::{ReadError, read};

use std::collections::BTreeMap;

/// Amount per resource name.
pub type Amounts = BTreeMap<String, i64>;
/// Free key/value pairs.
pub type Labels = BTreeMap<String, String>;

/// For `skip_serializing_if`.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

//! The file form of problems and plans: plain data with names, one to one with the messages
//! `dvms.v1.Problem` and `dvms.v1.Plan`. Reading is strict, and an error carries the JSON path.

mod plan;
mod problem;

pub use plan::*;
pub use problem::*;

use std::collections::BTreeMap;

/// Amount per resource name.
pub type Amounts = BTreeMap<String, i64>;
/// Free key/value pairs.
pub type Labels = BTreeMap<String, String>;

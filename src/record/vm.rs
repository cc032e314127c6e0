//! A virtual machine as the coordinator sees it.

use super::VmState;
use std::collections::BTreeMap;

/// A virtual machine as the coordinator sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VmRecord {
    /// Unique.
    pub name: String,
    /// libvirt's UUID.
    pub uuid: String,
    /// Where it runs; empty = waiting.
    pub host: String,
    /// What it does.
    pub state: VmState,
    /// What is planned with, by resource, in the units of a problem.
    pub demand: BTreeMap<String, i64>,
    /// What it last used; 1000 = one core.
    pub cpu_millicores: i64,
    /// MiB that it last held.
    pub memory_mib: i64,
    /// Free key/value.
    pub labels: BTreeMap<String, String>,
    /// Where it is on its way to; empty = nowhere.
    pub migrating_to: String,
    /// The plan that moves it; empty = none.
    pub plan_id: String,
    /// Names of the rules that apply to it.
    pub constraints: Vec<String>,
}

//! A hypervisor as the coordinator sees it.

use super::{Capacity, MigrationRecord, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// A hypervisor as the coordinator sees it. Maps of amounts are by resource, in the units of a problem.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostRecord {
    /// Unique.
    pub name: String,
    /// What the operator wants.
    pub state: AdminState,
    /// Whether its agent is connected.
    pub connection: Connection,
    /// What it has.
    pub capacity: Capacity,
    /// What it last reported.
    pub usage: Usage,
    /// What VMs are expected to use when the migrations in flight have ended, counted at both ends.
    pub expected: BTreeMap<String, i64>,
    /// What VMs may use: capacity with overcommit, less the reserve.
    pub usable: BTreeMap<String, i64>,
    /// From the agent's configuration.
    pub labels: BTreeMap<String, String>,
    /// VMs on the host, in any state.
    pub vm_count: u32,
    /// For people.
    pub agent_version: String,
    /// `libvirt` or `simulated`.
    pub driver: String,
    /// When it last reported.
    pub last_report: Option<SystemTime>,
    /// Fencing number of its session.
    pub epoch: u64,
    /// The partition that has reserved it; empty = none.
    pub partition: String,
    /// Migrations that touch it now.
    pub migrations: u32,
    /// What is detected now, one name each (`OVERLOAD`, `UNDERLOAD`, `DRAIN` …), sorted.
    pub conditions: Vec<String>,
    /// What migrations from it have taught; `None` = none was measured yet.
    pub migration: Option<MigrationRecord>,
}

/// What an operator wants of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AdminState {
    /// Takes VMs.
    #[default]
    Online,
    /// Its VMs are to leave, none may enter.
    Draining,
    /// None may enter; those there stay.
    Cordoned,
}

/// Whether a host's agent is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Connection {
    /// It is.
    Connected,
    /// For less than the failure time-out it is not.
    #[default]
    Lost,
    /// For longer.
    Failed,
}

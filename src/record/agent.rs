//! What agents say and what they are told.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who an agent is: the first message of a session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Name of the host.
    pub host: String,
    /// Changes at each boot of the host.
    pub boot_id: String,
    /// For people.
    pub agent_version: String,
    /// The greatest epoch that the agent has seen; 0 = none.
    pub epoch: u64,
    /// Free key/value: rack, zone …
    pub labels: BTreeMap<String, String>,
    /// What the host has.
    pub capacity: Capacity,
    /// Where the hypervisors of other hosts reach this one.
    pub migration_uri: String,
    /// Name of the hypervisor driver.
    pub driver: String,
}

/// What a host has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// 1000 = one core.
    pub cpu_millicores: i64,
    /// MiB.
    pub memory_mib: i64,
    /// Mbit/s; 0 = not known.
    pub network_mbits: i64,
    /// MiB/s that migrations may use in each direction; 0 = not known.
    pub migration_bandwidth_mib_s: f64,
    /// Migrations that may touch the host at once; 0 = the coordinator decides.
    pub max_migrations: u32,
    /// NUMA cells, for display.
    pub numa_cells: Vec<NumaCell>,
}

/// A NUMA cell of a host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NumaCell {
    /// Number of the cell.
    pub id: u32,
    /// 1000 = one core.
    pub cpu_millicores: i64,
    /// MiB.
    pub memory_mib: i64,
}

/// What a host uses, all VMs and itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// 1000 = one core.
    pub cpu_millicores: i64,
    /// MiB.
    pub memory_mib: i64,
    /// Mbit/s.
    pub network_mbits: i64,
    /// Share of the last 10 s in which some task waited for a processor, in 1/1000; `None` where not known.
    pub cpu_pressure_permille: Option<u32>,
    /// The same for memory.
    pub memory_pressure_permille: Option<u32>,
}

/// One VM as its host sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VmReport {
    /// Name, unique in the infrastructure.
    pub name: String,
    /// libvirt's UUID.
    pub uuid: String,
    /// What it does.
    pub state: VmState,
    /// Virtual processors.
    pub vcpus: i64,
    /// MiB that it may use at most.
    pub memory_max_mib: i64,
    /// What it uses now; 1000 = one core.
    pub cpu_millicores: i64,
    /// MiB that count for it on its host, and that a destination must have.
    pub memory_mib: i64,
    /// Mbit/s.
    pub network_mbits: i64,
    /// MiB/s; `None` = not measured.
    pub dirty_rate_mib_s: Option<f64>,
    /// Free key/value.
    pub labels: BTreeMap<String, String>,
    /// Survives a shutdown.
    pub persistent: bool,
    /// What is needed to start it elsewhere; empty in a delta = unchanged.
    pub definition: String,
}

/// What a VM does, as its host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VmState {
    /// It runs.
    Running,
    /// Its processors stand still.
    Paused,
    /// Defined here, not running.
    #[default]
    Off,
    /// Runs here, on its way to another host.
    MigratingOut,
    /// Does not run yet: a migration to this host is under way.
    MigratingIn,
    /// Crashed.
    Crashed,
}

impl VmState {
    /// Whether the VM lives on the host that reports it: it takes resources there and is nowhere else.
    #[must_use]
    pub fn lives_here(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::MigratingOut)
    }
}

/// All there is on a host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// What the host uses.
    pub usage: Usage,
    /// Every VM.
    pub vms: Vec<VmReport>,
    /// Every action in the agent's journal that runs or whose outcome is not acknowledged.
    pub actions: Vec<ActionProgress>,
}

/// What has changed since the last report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delta {
    /// `None` = unchanged.
    pub usage: Option<Usage>,
    /// New or changed VMs.
    pub changed: Vec<VmReport>,
    /// Names of VMs no longer on the host.
    pub gone: Vec<String>,
    /// `Some` when it has changed.
    pub capacity: Option<Capacity>,
}

/// An agent's message after its hello.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Replaces all that is known of the host.
    Inventory(Inventory),
    /// Changes; an empty one is the heartbeat.
    Delta(Delta),
    /// How an action stands.
    Progress(ActionProgress),
}

/// Names an action of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ActionKey {
    /// The plan.
    pub plan_id: String,
    /// The action in it.
    pub action_id: u64,
}

/// How an action stands, as its agent says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ActionProgress {
    /// Which action.
    pub key: ActionKey,
    /// How it stands.
    pub state: ProgressState,
    /// Which VM.
    pub vm: String,
    /// Why it failed, for people.
    pub message: String,
    /// Why it failed, for programs.
    pub reason: Option<FailureReason>,
    /// Bytes.
    pub bytes_processed: u64,
    /// Bytes.
    pub bytes_remaining: u64,
    /// Seconds since it was begun.
    pub elapsed_s: f64,
    /// Measured pause of the guest, milliseconds.
    pub downtime_ms: Option<u32>,
    /// MiB/s.
    pub bandwidth_mib_s: f64,
}

/// The states of an action at its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProgressState {
    /// Written to the journal, not begun.
    #[default]
    Accepted,
    /// Under way.
    Running,
    /// Ended: the VM is where the action wanted it.
    Done,
    /// Ended: the VM is where it was.
    Failed,
    /// Refused before anything was done.
    Refused,
    /// One end cannot be asked; the VM counts at both.
    Uncertain,
}

impl ProgressState {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Refused)
    }
}

/// Why an action failed or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureReason {
    /// The order's epoch is older than one the agent has seen.
    StaleEpoch,
    /// The VM is not (running) on this host.
    VmNotHere,
    /// The VM has another job.
    VmBusy,
    /// The destination does not answer.
    DestinationUnreachable,
    /// A VM of this name or UUID is at the destination.
    NameClash,
    /// No progress for the stall limit.
    Stalled,
    /// The deadline has passed.
    Deadline,
    /// It was cancelled.
    Cancelled,
    /// The hypervisor refused or failed.
    HypervisorError,
    /// The hypervisor cannot do it.
    NotSupported,
    /// The VM ended meanwhile.
    VmEnded,
    /// The VM is nowhere, or on two hosts. An operator must look.
    Alarm,
    /// The agent's own limits are reached.
    Limit,
}

/// What a coordinator tells an agent after the welcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Carry out an action.
    Execute {
        /// Which action.
        key: ActionKey,
        /// The VM.
        vm: String,
        /// Its UUID; empty = not known.
        vm_uuid: String,
        /// After which it is aborted.
        deadline: Duration,
        /// After which a migration without progress is aborted.
        stall: Duration,
        /// What to do.
        kind: OrderKind,
    },
    /// Abort an action.
    Cancel(ActionKey),
    /// The outcome of these actions is kept; the agent may forget them.
    Acknowledge(Vec<ActionKey>),
    /// Send a full inventory; why.
    Resync(String),
    /// The session ends; reconnect after a while.
    GoAway {
        /// Why.
        reason: String,
        /// How long to wait.
        reconnect_after: Duration,
    },
}

/// What an agent carries out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Live migration of a VM that runs on the agent's host.
    Migrate {
        /// Name of the destination host.
        destination: String,
        /// Its `migration_uri`.
        destination_uri: String,
        /// MiB/s, at least 1.
        bandwidth_mib_s: f64,
        /// Slow the guest when it writes faster than the link.
        auto_converge: bool,
        /// Let the guest go on at the destination before its memory is there.
        post_copy: bool,
    },
    /// Start a VM on the agent's host.
    Start {
        /// What its former host reported; empty = defined here.
        definition: String,
    },
}

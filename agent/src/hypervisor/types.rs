//! What goes in and out of a hypervisor. Units are in the names; amounts are those of the API.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A VM. The UUID decides; the name is for people and must agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmKey {
    /// Name, unique on the host.
    pub name: String,
    /// UUID, lower case with hyphens.
    pub uuid: String,
}

impl std::fmt::Display for VmKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.uuid)
    }
}

/// What the host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// All cores, 1000 each.
    pub cpu_millicores: i64,
    /// Memory the kernel can give out.
    pub memory_mib: i64,
    /// Fastest network interface; 0 = not known.
    pub network_mbits: i64,
    /// NUMA cells; empty = not known.
    pub numa_cells: Vec<NumaCell>,
}

/// One NUMA cell of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumaCell {
    /// Number the kernel gives it.
    pub id: u32,
    /// Its cores, 1000 each.
    pub cpu_millicores: i64,
    /// Its memory.
    pub memory_mib: i64,
}

/// Who the host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDescription {
    /// Host name, as the hypervisor says it.
    pub name: String,
    /// Identity of the hypervisor; differs between any two hosts.
    pub uuid: String,
    /// What it has.
    pub capacity: Capacity,
    /// Driver and versions, for people.
    pub version: String,
}

/// State of a VM on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmState {
    /// Runs here.
    Running,
    /// Here, its vCPUs stand still.
    Paused,
    /// Defined here, not running.
    Off,
    /// Runs here, on its way to another host.
    MigratingOut,
    /// A migration to this host is under way; the VM does not run here yet.
    MigratingIn,
    /// Its hypervisor process has died.
    Crashed,
}

/// One VM as its host sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct VmStatus {
    /// Which VM.
    pub key: VmKey,
    /// How it is.
    pub state: VmState,
    /// vCPUs it may use.
    pub vcpus: i64,
    /// Memory it may use.
    pub memory_max_mib: i64,
    /// CPU time it used since the last sample, per time.
    pub cpu_millicores: i64,
    /// Memory that counts for it on its host and that a destination must have: the most that it may be given, with
    /// what its hypervisor process needs besides. 0 when it does not run.
    pub memory_mib: i64,
    /// What the guest itself says it uses; `None` where it does not say, or not lately.
    pub memory_used_mib: Option<i64>,
    /// Traffic of its interfaces, both directions.
    pub network_mbits: i64,
    /// Last measured dirty rate, MiB/s; `None` = not measured of late.
    pub dirty_rate_mib_s: Option<f64>,
    /// Operator's labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its definition stays on the host when it is shut down.
    pub persistent: bool,
    /// What another host needs to start it.
    pub definition: Arc<str>,
}

/// What the host uses, its own processes included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostUsage {
    /// CPU time used since the last sample, per time.
    pub cpu_millicores: i64,
    /// Memory in use; buffers and caches count as free.
    pub memory_mib: i64,
    /// Traffic of the VMs' interfaces, both directions.
    pub network_mbits: i64,
    /// Share of the last 10 s in which some task waited for CPU; `None` = the kernel does not say.
    pub cpu_pressure_permille: Option<u32>,
    /// The same for memory.
    pub memory_pressure_permille: Option<u32>,
}

/// All there is on the host at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The host.
    pub usage: HostUsage,
    /// VMs by name, those that are off included.
    pub vms: BTreeMap<String, VmStatus>,
}

/// A live migration out of this host.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationOrder {
    /// Which VM.
    pub vm: VmKey,
    /// Name of the destination host, for messages.
    pub destination: String,
    /// Where the destination's hypervisor listens, as its agent has announced it.
    pub destination_uri: String,
    /// MiB/s, at least 1.
    pub bandwidth_mib_s: u64,
    /// Slow the guest down step by step when it writes faster than can be sent.
    pub auto_converge: bool,
    /// Let the guest go on at the destination when passes over its memory do not come to an end, see
    /// [`super::Hypervisor::post_copy`].
    pub post_copy: bool,
    /// It starts with its host: a mark that a migration does not carry over.
    pub autostart: bool,
}

/// What is known of a VM before its migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// It starts with its host; to be in the order from then on.
    pub autostart: bool,
}

/// Start of a VM on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOrder {
    /// Which VM; an empty UUID = the one of that name.
    pub vm: VmKey,
    /// What its former host reported; `None` = it is defined here.
    pub definition: Option<String>,
}

/// A running migration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Job {
    /// Sent so far.
    pub bytes_processed: u64,
    /// Still to send, as of now; rises while the guest writes.
    pub bytes_remaining: u64,
    /// All of the VM's memory (and disks).
    pub bytes_total: u64,
    /// Pass over the memory, from 1.
    pub iteration: u64,
    /// Speed of the last second.
    pub bandwidth_mib_s: f64,
    /// How far the guest is slowed down, percent.
    pub throttle_percent: u32,
    /// Since it began.
    pub elapsed: Duration,
}

/// What a migration that succeeded took. Fields that are not known are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Finished {
    /// Time in which the VM ran nowhere.
    pub downtime_ms: Option<u32>,
    /// All that was sent.
    pub bytes_processed: Option<u64>,
    /// Average speed.
    pub bandwidth_mib_s: Option<f64>,
}

/// Why not; the closed set of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// The order carries an epoch older than one already seen.
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
    /// Cancelled by the coordinator or by someone at the hypervisor.
    Cancelled,
    /// The hypervisor says no, or does not answer.
    HypervisorError,
    /// This hypervisor cannot do that.
    NotSupported,
    /// The VM was shut down, destroyed or crashed meanwhile.
    VmEnded,
    /// On neither host, or running on both.
    Alarm,
    /// A limit of the agent: concurrent actions, or memory of the host that would be overcommitted.
    Limit,
}

/// How far something came that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The hypervisor was not asked for it, and will not be.
    Unasked,
    /// The answer came: it is not done.
    Answered,
    /// The answer was lost, not given: it may be done yet.
    Lost,
}

/// What was tried, on what, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// How far it came.
    pub effect: Effect,
}

impl Failure {
    /// A failure with its text, said by who was asked.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), effect: Effect::Answered }
    }

    /// The same, with its answer lost.
    #[must_use]
    pub fn lost(self) -> Self {
        Self { effect: Effect::Lost, ..self }
    }

    /// The same, of something that nobody was asked for.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { effect: Effect::Unasked, ..self }
    }

    /// Whether what was asked for may be done yet.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.effect == Effect::Lost
    }
}

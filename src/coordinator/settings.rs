//! The coordinator's settings: sections `[inventory]`, `[detection]`, `[planning]`, `[execution]`, `[migration]` and
//! `[ring]` of the configuration file.

use super::calendar::Period;
use super::ranges::{bound, in_range};
use crate::record::{Mode, Pace};
use dvms_solver::file::Constraint;
use dvms_solver::migration::Calibration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All that the coordinator is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// `[inventory]`
    pub inventory: Inventory,
    /// `[detection]`
    pub detection: Detection,
    /// `[planning]`
    pub planning: Planning,
    /// `[execution]`
    pub execution: Execution,
    /// `[migration]`
    pub migration: Migration,
    /// `[ring]`
    pub ring: Ring,
    /// The operator's rules.
    pub constraints: Vec<Constraint>,
}

/// `[inventory]`: agents' sessions and what hosts may carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inventory {
    /// Seconds between two reports of an agent.
    pub report_interval_s: f64,
    /// Seconds without a report after which a host is LOST although its stream stands.
    pub lost_after_s: f64,
    /// Seconds without a session after which a host is FAILED.
    pub failed_after_s: f64,
    /// Time constant, in seconds, of the smoothing of VMs' cpu use; 0 = none.
    pub smoothing_s: f64,
    /// Time constant, in seconds, of the mean by which hosts are told whose VMs usually use little; 0 = by what they use now.
    pub usual_s: f64,
    /// Millicores that VMs may use for each millicore of a host.
    pub cpu_overcommit: f64,
    /// MiB that VMs may use for each MiB of a host.
    pub memory_overcommit: f64,
    /// Share of a host's cpu that is kept for itself.
    pub cpu_reserve: f64,
    /// Share of a host's memory that is kept for itself.
    pub memory_reserve: f64,
    /// MiB/s that migrations may use on a host whose agent does not say.
    pub migration_bandwidth_mib_s: f64,
    /// Migrations that may touch a host at once, where its agent does not say.
    pub max_migrations: u32,
}

impl Inventory {
    /// See `usual_s`.
    pub(super) fn usual(&self) -> Duration {
        seconds(self.usual_s)
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self {
            report_interval_s: 1.0,
            lost_after_s: 5.0,
            failed_after_s: 60.0,
            smoothing_s: 10.0,
            usual_s: 600.0,
            cpu_overcommit: 1.0,
            memory_overcommit: 1.0,
            cpu_reserve: 0.0,
            memory_reserve: 0.05,
            migration_bandwidth_mib_s: 100.0,
            max_migrations: 2,
        }
    }
}

/// `[detection]`: what is trouble, and how long it must last. Shares are of what VMs may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// Above this share of its cpu a host is overloaded.
    pub cpu_overload: f64,
    /// A plan brings an overloaded host's cpu to this share or below.
    pub cpu_target: f64,
    /// Above this share of its memory a host is overloaded.
    pub memory_overload: f64,
    /// A plan brings an overloaded host's memory to this share or below.
    pub memory_target: f64,
    /// Seconds that an overload or a broken rule must last.
    pub hold_s: f64,
    /// Below this share of both cpu and memory a host is underloaded; 0 = never.
    pub underload: f64,
    /// Seconds that an underload must last.
    pub underload_hold_s: f64,
    /// Seconds after a plan in which the same trouble gets no other one; twice as long after each that did
    /// not help, up to 16 times.
    pub cool_down_s: f64,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            cpu_overload: 0.9,
            cpu_target: 0.8,
            memory_overload: 1.0,
            memory_target: 1.0,
            hold_s: 10.0,
            underload: 0.2,
            underload_hold_s: 600.0,
            cool_down_s: 30.0,
        }
    }
}

/// `[planning]`: partitions and solves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Planning {
    /// `observe`, `recommend`, `approve` or `auto`: what is done with plans that dvms makes by itself.
    pub mode: Mode,
    /// Seconds for each solve. A request may ask for up to a minute, or for this where it is more.
    pub time_limit_s: f64,
    /// Seconds that a plan for a trouble is made better once there is one that ends it, and seconds of a solve for hosts that
    /// are not all that could be asked: more of them are likelier to help than more time.
    pub patience_s: f64,
    /// Solves at once. Of several one is kept for troubles; with one troubles go before requests that wait.
    pub concurrent: usize,
    /// Threads of one solve.
    pub threads: usize,
    /// Where the search starts; the same inventory and seed give the same plan.
    pub seed: u64,
    /// Whether of the VMs that are enough alone the one leaves an overloaded host, and to where, that leaves most room at both
    /// ends; where that is no plan, at wider tries, and otherwise always, the solver alone decides.
    pub roomy: bool,
    /// Hosts of a consolidation, at most.
    pub consolidate_hosts: usize,
    /// MiB that may be moved for one unit of what is gained (a host, a thousandth of load …); no plan is made that costs
    /// more. What ends an overload or a broken rule is worth any move; infinite, so is the rest.
    pub migration_price: f64,
}

impl Default for Planning {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            time_limit_s: 5.0,
            patience_s: 0.5,
            concurrent: 2,
            threads: 1,
            seed: 0,
            roomy: false,
            consolidate_hosts: 64,
            migration_price: f64::INFINITY,
        }
    }
}

/// `[execution]`: how plans are carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Execution {
    /// An action is aborted after this many times its planned duration, and `deadline_s` more.
    pub deadline_factor: f64,
    /// See `deadline_factor`.
    pub deadline_s: f64,
    /// Seconds without progress after which a migration is aborted.
    pub stall_s: f64,
    /// Slow guests that write faster than the link takes.
    pub auto_converge: bool,
    /// Restart the VMs of a failed host without asking. dvms cannot tell a dead host from one that is only
    /// out of its reach, and a VM that runs twice spoils its disks: set it only where failed hosts are
    /// fenced. Otherwise such plans wait for approval.
    pub restart_failed: bool,
    /// Seconds for which a VM whose action failed is left alone.
    pub vm_cool_down_s: f64,
    /// Plans in a row that are made for what failed ones left undone.
    pub max_replans: u32,
    /// Seconds that a stop waits for plans that are carried out, where other coordinators take over; 0 = it does not.
    pub finish_within_s: f64,
    /// Migrations at once, of all plans; 0 = no limit.
    pub max_concurrent: u32,
    /// MiB/s of the migrations of all plans together; infinite = no limit. One that would be alone may always go.
    pub bandwidth_mib_s: f64,
    /// What may go in and out of each value of a label of hosts at once.
    pub uplinks: Vec<Uplink>,
    /// When VMs may be moved; none = always.
    pub windows: Vec<Period>,
    /// When they may not.
    pub blackouts: Vec<Period>,
}

/// `[[execution.uplinks]]`: what joins the hosts with one value of a label (a rack, a room, a site) with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplink {
    /// The label: each of its values has an uplink. Hosts without it are not limited.
    pub label: String,
    /// Migrations at once, those that come and those that go counted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// MiB/s that come, and MiB/s that go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_mib_s: Option<f64>,
}

impl Execution {
    /// What all plans together may use at once.
    #[must_use]
    pub fn pace(&self) -> Pace {
        let most = Some(self.max_concurrent).filter(|most| *most > 0);
        Pace {
            max_concurrent: most,
            bandwidth_mib_s: Some(self.bandwidth_mib_s).filter(|rate| rate.is_finite()),
        }
    }

    fn faults(&self, wrong: &mut dyn FnMut(&str, String)) {
        for (i, uplink) in self.uplinks.iter().enumerate() {
            if uplink.max_concurrent == Some(0) {
                let message = "must be at least 1; leave it out for no limit";
                wrong(&format!("execution.uplinks[{i}].max_concurrent"), message.to_owned());
            }
            if uplink.bandwidth_mib_s.is_some_and(|rate| rate.is_nan() || rate < 1.0) {
                let message = "must be at least 1; leave it out for no limit";
                wrong(&format!("execution.uplinks[{i}].bandwidth_mib_s"), message.to_owned());
            }
        }
        for (path, periods) in [("windows", &self.windows), ("blackouts", &self.blackouts)] {
            for (i, period) in periods.iter().enumerate() {
                period
                    .faults(&mut |field, message| wrong(&format!("execution.{path}[{i}].{field}"), message));
            }
        }
    }
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            deadline_factor: 4.0,
            deadline_s: 60.0,
            stall_s: 30.0,
            auto_converge: true,
            restart_failed: false,
            vm_cool_down_s: 60.0,
            max_replans: 3,
            finish_within_s: 120.0,
            max_concurrent: 0,
            bandwidth_mib_s: f64::INFINITY,
            uplinks: Vec::new(),
            windows: Vec::new(),
            blackouts: Vec::new(),
        }
    }
}

/// `[migration]`: what is expected of migrations before any was measured, and what may be done about guests that write
/// faster than is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Migration {
    /// Share of a migration's bandwidth that gets through, as `dvms calibrate` finds it.
    pub efficiency: f64,
    /// Seconds that each migration takes besides.
    pub setup_s: f64,
    /// Plan with the bandwidth that migrations from a host were seen to reach, where that is less than it should have.
    pub learn: bool,
    /// `never` or `when_needed`: whether a guest that writes faster than is sent is moved by post-copy. A host that is
    /// lost meanwhile loses the guest.
    pub post_copy: PostCopy,
}

/// When post-copy is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostCopy {
    /// Such guests stay where they are.
    #[default]
    Never,
    /// Where passes over the memory would not come to an end.
    WhenNeeded,
}

impl Default for Migration {
    fn default() -> Self {
        let Calibration { efficiency, setup_s, .. } = Calibration::default();
        Self { efficiency, setup_s, learn: true, post_copy: PostCopy::Never }
    }
}

impl Migration {
    /// What migrations are forecast with before any was measured.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        Calibration { efficiency: self.efficiency, setup_s: self.setup_s, ..Calibration::default() }
    }
}

/// `[ring]`: the coordinators that serve one infrastructure together. Without members a coordinator is alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ring {
    /// What the others call this coordinator; empty = the name of the machine. One of the members, if there are any.
    pub name: String,
    /// Seconds after which a reservation of a host ends whose leader is not heard of. The same at all members.
    pub lease_s: f64,
    /// `host:port` where other members reach this one, if etcd tells them; else their lists do.
    pub address: String,
    /// Where this coordinator is, if etcd tells the others; hosts of members of the same site are preferred.
    pub site: String,
    /// All members, this one too; the same list at each of them. Not with etcd, which knows them.
    pub members: Vec<RingMember>,
    /// Where members are told of each other.
    pub etcd: Etcd,
}

/// `[ring.etcd]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Etcd {
    /// `host:port` of each server of it; none = the list of members is fixed.
    pub endpoints: Vec<String>,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// Seconds after which a member that is not heard of is none any more.
    pub ttl_s: u32,
    /// Seconds for which a member that has lost etcd stays one all the same, as long as another one reaches it.
    pub without_s: u32,
}

impl Default for Etcd {
    fn default() -> Self {
        Self { endpoints: Vec::new(), prefix: "/dvms".to_owned(), ttl_s: 10, without_s: 3600 }
    }
}

/// A member of the ring.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingMember {
    /// Its name.
    pub name: String,
    /// `host:port` where its API is served.
    pub address: String,
    /// Where it is: hosts of members of the same site are preferred.
    #[serde(default)]
    pub site: String,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            name: String::new(),
            lease_s: 3.0,
            address: String::new(),
            site: String::new(),
            members: Vec::new(),
            etcd: Etcd::default(),
        }
    }
}

impl Ring {
    fn faults(&self, wrong: &mut dyn FnMut(&str, String)) {
        let is_name = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            (1..=64).contains(&text.len()) && text.chars().all(allowed)
        };
        if !self.name.is_empty() && !is_name(&self.name) {
            wrong("ring.name", "must be 1 to 64 letters, digits, _ or -".to_owned());
        }
        in_range("ring.lease_s", self.lease_s, (2.0, 600.0), wrong);
        let is_address = |text: &str| {
            let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.is_some_and(|port| port > 0)
        };
        let dynamic = !self.etcd.endpoints.is_empty();
        for (i, endpoint) in self.etcd.endpoints.iter().enumerate() {
            if !is_address(endpoint) {
                wrong(&format!("ring.etcd.endpoints[{i}]"), format!("must be host:port, is {endpoint:?}"));
            }
        }
        if !(2..=600).contains(&self.etcd.ttl_s) {
            wrong("ring.etcd.ttl_s", format!("must be from 2 to 600, is {}", self.etcd.ttl_s));
        }
        if self.etcd.without_s > 86_400 {
            wrong("ring.etcd.without_s", format!("must be from 0 to 86400, is {}", self.etcd.without_s));
        }
        if !self.etcd.prefix.starts_with('/') || self.etcd.prefix.ends_with('/') {
            wrong(
                "ring.etcd.prefix",
                format!("must begin with / and not end with it, is {:?}", self.etcd.prefix),
            );
        }
        if dynamic && !self.members.is_empty() {
            wrong("ring.members", "cannot be set together with ring.etcd.endpoints".to_owned());
        }
        if dynamic && self.name.is_empty() {
            wrong("ring.name", "must be set with ring.etcd.endpoints".to_owned());
        }
        if dynamic && !is_address(&self.address) {
            let message = "must be host:port, where the other members reach this one";
            wrong("ring.address", format!("{message}; it is {:?}", self.address));
        }
        for (path, value) in [("ring.address", &self.address), ("ring.site", &self.site)] {
            if !dynamic && !value.is_empty() {
                wrong(path, "is for ring.etcd only: without it ring.members tells".to_owned());
            }
        }
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeMap::new());
        for (i, member) in self.members.iter().enumerate() {
            let place = |field: &str| format!("ring.members[{i}].{field}");
            if !is_name(&member.name) {
                wrong(&place("name"), "must be 1 to 64 letters, digits, _ or -".to_owned());
            }
            if !names.insert(&member.name) {
                wrong(&place("name"), format!("{} is there twice", member.name));
            }
            if !is_address(&member.address) {
                wrong(&place("address"), format!("must be host:port, is {:?}", member.address));
            } else if let Some(other) = addresses.insert(&member.address, &member.name) {
                wrong(&place("address"), format!("{} is there twice: {other} has it too", member.address));
            }
        }
        if !self.members.is_empty() && self.name.is_empty() {
            wrong("ring.name", "must be set where there are members: which of them is this one?".to_owned());
        } else if !self.members.is_empty() && !names.contains(&self.name) {
            wrong("ring.name", format!("{} is none of ring.members", self.name));
        }
    }
}

impl Settings {
    /// Reports every fault of the values: path of the setting, and what is wrong with it. Rules are judged
    /// by the configuration.
    pub fn faults(&self, wrong: &mut dyn FnMut(&str, String)) {
        let Inventory { report_interval_s, lost_after_s, failed_after_s, smoothing_s, .. } = self.inventory;
        let Detection { cpu_overload, cpu_target, memory_overload, memory_target, .. } = self.detection;
        // What is refused itself is no bound: the widest one is, in its place.
        let report = bound(report_interval_s, (0.1, 60.0), 0.1);
        let lost = bound(lost_after_s, (report * 2.0, 600.0), report * 2.0);
        let (cpu, memory) = (bound(cpu_overload, (0.01, 1.0), 1.0), bound(memory_overload, (0.01, 1.0), 1.0));
        let low = bound(cpu_target, (0.01, cpu), cpu).min(bound(memory_target, (0.01, memory), memory));
        let ranges = [
            ("inventory.report_interval_s", report_interval_s, 0.1, 60.0),
            ("inventory.lost_after_s", lost_after_s, report * 2.0, 600.0),
            ("inventory.failed_after_s", failed_after_s, lost, 86_400.0),
            ("inventory.smoothing_s", smoothing_s, 0.0, 3600.0),
            ("inventory.usual_s", self.inventory.usual_s, 0.0, 1e6),
            ("inventory.cpu_overcommit", self.inventory.cpu_overcommit, 0.1, 100.0),
            ("inventory.memory_overcommit", self.inventory.memory_overcommit, 0.1, 100.0),
            ("inventory.cpu_reserve", self.inventory.cpu_reserve, 0.0, 0.9),
            ("inventory.memory_reserve", self.inventory.memory_reserve, 0.0, 0.9),
            ("inventory.migration_bandwidth_mib_s", self.inventory.migration_bandwidth_mib_s, 1.0, 1e6),
            ("inventory.max_migrations", f64::from(self.inventory.max_migrations), 1.0, 64.0),
            ("detection.cpu_overload", cpu_overload, 0.01, 1.0),
            ("detection.cpu_target", cpu_target, 0.01, cpu),
            ("detection.memory_overload", memory_overload, 0.01, 1.0),
            ("detection.memory_target", memory_target, 0.01, memory),
            ("detection.hold_s", self.detection.hold_s, 0.0, 86_400.0),
            ("detection.underload", self.detection.underload, 0.0, low),
            ("detection.underload_hold_s", self.detection.underload_hold_s, 0.0, 1e7),
            ("detection.cool_down_s", self.detection.cool_down_s, 0.0, 86_400.0),
            ("planning.time_limit_s", self.planning.time_limit_s, 0.1, 600.0),
            ("planning.patience_s", self.planning.patience_s, 0.05, 600.0),
            ("planning.concurrent", self.planning.concurrent as f64, 1.0, 256.0),
            ("planning.threads", self.planning.threads as f64, 1.0, 256.0),
            ("planning.migration_price", self.planning.migration_price, 0.0, f64::INFINITY),
            ("planning.consolidate_hosts", self.planning.consolidate_hosts as f64, 2.0, 100_000.0),
            ("execution.deadline_factor", self.execution.deadline_factor, 1.0, 1000.0),
            ("execution.deadline_s", self.execution.deadline_s, 1.0, 86_400.0),
            ("execution.stall_s", self.execution.stall_s, 1.0, 86_400.0),
            ("execution.vm_cool_down_s", self.execution.vm_cool_down_s, 0.0, 86_400.0),
            ("migration.efficiency", self.migration.efficiency, 0.05, 2.0),
            ("migration.setup_s", self.migration.setup_s, 0.0, 120.0),
            ("execution.max_replans", f64::from(self.execution.max_replans), 0.0, 100.0),
            ("execution.finish_within_s", self.execution.finish_within_s, 0.0, 86_400.0),
            ("execution.max_concurrent", f64::from(self.execution.max_concurrent), 0.0, 1e6),
            ("execution.bandwidth_mib_s", self.execution.bandwidth_mib_s, 1.0, f64::INFINITY),
        ];
        for (path, value, least, most) in ranges {
            in_range(path, value, (least, most), wrong);
        }
        self.execution.faults(wrong);
        self.ring.faults(wrong);
    }
}

/// Seconds of a setting, validated to be finite and not negative.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}

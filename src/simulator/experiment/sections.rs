//! The sections of an experiment file. What is not said is as in VMPlaceS.

use super::kinds::{HostKind, Place, VmKind, watts_faults};
use crate::simulator::decision::Compute;
use crate::simulator::world::Machine;
use serde::{Deserialize, Serialize};

/// Tells a fault: the setting, and what is wrong.
pub(super) type Wrong<'w> = dyn FnMut(&str, String) + 'w;

/// Tells where a figure is not within bounds.
pub(super) fn within(value: f64, low: f64, high: f64, path: &str, wrong: &mut Wrong) {
    // A bound that is another setting, and makes no sense itself, is told there.
    let bounded = low <= high;
    if bounded && !(low..=high).contains(&value) {
        wrong(path, format!("must be between {low} and {high}, not {value}"));
    }
}

/// The hosts; all are of one kind where no kinds are said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hosts {
    /// How many; where kinds are said, those of all kinds.
    pub count: u32,
    /// Milli-cores of each.
    pub cpu: u32,
    /// MiB of each.
    pub memory: u32,
    /// Watts without load.
    pub idle_w: f64,
    /// Watts with all of its CPU in use.
    pub peak_w: f64,
    /// Watts when it is off.
    pub off_w: f64,
    /// A machine whose measured watts are taken instead.
    pub machine: Option<Machine>,
    /// The same, as eleven figures: at 0, 10, …, 100 % of its CPU.
    pub watts: Option<[f64; 11]>,
    /// Watts of one that is on and has no VM; absent = as without load. `CloudSim` has 0.
    pub empty_w: Option<f64>,
    /// Over how many sites they are spread, evenly, in order.
    pub sites: u16,
    /// Seconds until one that is switched on runs.
    pub boot_s: f64,
    /// Of how many kinds they are, spread evenly over the numbers.
    #[serde(rename = "kind", skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<HostKind>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            count: 64,
            cpu: 7000,
            memory: 32_384,
            idle_w: 110.0,
            peak_w: 200.0,
            off_w: 10.0,
            machine: None,
            watts: None,
            empty_w: None,
            sites: 1,
            boot_s: 120.0,
            kinds: Vec::new(),
        }
    }
}

impl Hosts {
    pub(super) fn faults(&self, wrong: &mut Wrong) {
        within(f64::from(self.count), 1.0, 1e6, "hosts.count", wrong);
        within(f64::from(self.cpu), 1.0, 1e8, "hosts.cpu", wrong);
        within(f64::from(self.memory), 1.0, 1e9, "hosts.memory", wrong);
        within(self.idle_w, 0.0, 1e5, "hosts.idle_w", wrong);
        within(self.peak_w, self.idle_w, 1e5, "hosts.peak_w", wrong);
        within(self.off_w, 0.0, 1e5, "hosts.off_w", wrong);
        within(f64::from(self.sites), 1.0, f64::from(self.count.clamp(1, 1000)), "hosts.sites", wrong);
        within(self.boot_s, 0.0, 1e5, "hosts.boot_s", wrong);
        within(self.empty_w.unwrap_or(0.0), 0.0, 1e5, "hosts.empty_w", wrong);
        watts_faults(self.machine, self.watts.as_ref(), "hosts", wrong);
        for (i, kind) in self.kinds.iter().enumerate() {
            kind.faults(&format!("hosts.kind[{i}]"), wrong);
        }
    }
}

/// The VMs; all are of one size where no kinds are said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vms {
    /// How many, at the start.
    pub count: u32,
    /// Milli-cores of each: loads are percent of it.
    pub cpu: u32,
    /// MiB of each.
    pub memory: u32,
    /// What each writes, percent of the bandwidth of a migration; absent = the classes of VMPlaceS.
    pub dirty_percent: Option<u32>,
    /// Where they are at the start; absent = as VMPlaceS puts them, or first fit where there are kinds or a trace.
    pub place: Option<Place>,
    /// Kinds; the first has the first VMs, and so on, all as many.
    #[serde(rename = "kind", skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<VmKind>,
}

impl Default for Vms {
    fn default() -> Self {
        Self { count: 640, cpu: 1000, memory: 1024, dirty_percent: None, place: None, kinds: Vec::new() }
    }
}

impl Vms {
    pub(super) fn faults(&self, hosts: &Hosts, recorded: bool, wrong: &mut Wrong) {
        let least = if recorded { 0.0 } else { 1.0 };
        within(f64::from(self.count), least, 2e7, "vms.count", wrong);
        within(f64::from(self.memory), 1.0, 1e8, "vms.memory", wrong);
        within(f64::from(self.cpu), 1.0, 1e7, "vms.cpu", wrong);
        within(f64::from(self.dirty_percent.unwrap_or(0)), 0.0, 1000.0, "vms.dirty_percent", wrong);
        for (i, kind) in self.kinds.iter().enumerate() {
            kind.faults(&format!("vms.kind[{i}]"), wrong);
        }
        // Of others it is known only when they are put somewhere.
        if recorded || !self.kinds.is_empty() || !hosts.kinds.is_empty() {
            return;
        }
        let each = u64::from(self.count.div_ceil(hosts.count.max(1)));
        let memory = each * u64::from(self.memory);
        if memory > u64::from(hosts.memory) {
            let have = hosts.memory;
            wrong("vms.memory", format!("{each} VMs on a host need {memory} MiB, but it has {have}"));
        }
    }
}

/// Links, messages and migrations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// MB/s (10⁶ bytes) that a host can send, and receive.
    pub nic_mb_s: f64,
    /// MB/s that a site can send to others, and receive; absent = any amount.
    pub site_mb_s: Option<f64>,
    /// MB/s that all migrations share; absent = any amount.
    pub backbone_mb_s: Option<f64>,
    /// Of each link, what transfers get.
    pub link_share: f64,
    /// MiB/s that one migration can use.
    pub migration_mib_s: f64,
    /// Seconds in which a VM is switched over.
    pub switch_s: f64,
    /// Whether the VMs of a host share one core, so that each writes less memory where there are many.
    pub shared_core: bool,
    /// Milliseconds that a message takes within a site.
    pub latency_ms: f64,
    /// Milliseconds that a message takes between sites.
    pub wan_latency_ms: f64,
    /// A message takes up to this share of its time longer.
    pub jitter: f64,
    /// Share of messages that are lost.
    pub loss: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            nic_mb_s: 125.0,
            site_mb_s: None,
            backbone_mb_s: None,
            link_share: 0.97,
            migration_mib_s: 112.0,
            switch_s: 0.036,
            shared_core: true,
            latency_ms: 0.6,
            wan_latency_ms: 10.0,
            jitter: 0.0,
            loss: 0.0,
        }
    }
}

impl Network {
    pub(super) fn faults(&self, wrong: &mut Wrong) {
        within(self.nic_mb_s, 1e-3, 1e6, "network.nic_mb_s", wrong);
        within(self.site_mb_s.unwrap_or(1.0), 1e-3, 1e9, "network.site_mb_s", wrong);
        within(self.backbone_mb_s.unwrap_or(1.0), 1e-3, 1e9, "network.backbone_mb_s", wrong);
        within(self.link_share, 0.01, 1.0, "network.link_share", wrong);
        within(self.migration_mib_s, 1e-3, 1e6, "network.migration_mib_s", wrong);
        within(self.switch_s, 0.0, 60.0, "network.switch_s", wrong);
        within(self.latency_ms, 0.0, 60_000.0, "network.latency_ms", wrong);
        within(self.wan_latency_ms, 0.0, 60_000.0, "network.wan_latency_ms", wrong);
        within(self.jitter, 0.0, 100.0, "network.jitter", wrong);
        within(self.loss, 0.0, 1.0, "network.loss", wrong);
    }
}

/// Faults of what is said of computing.
pub(super) fn compute_faults(compute: Compute, path: &str, wrong: &mut Wrong) {
    if let Compute::Fixed { plan_s, nothing_s } = compute {
        within(plan_s, 0.0, 1e6, &format!("{path}.plan_s"), wrong);
        within(nothing_s, 0.0, 1e6, &format!("{path}.nothing_s"), wrong);
    }
}

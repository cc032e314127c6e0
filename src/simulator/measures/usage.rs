//! How many hosts are in use over time, and the energy that they take.

use crate::simulator::world::Draw;
use serde::{Deserialize, Serialize};

const MILLIWATT_SECONDS_PER_KWH: f64 = 3.6e9;

/// What is so now, and its sums over time. The present is in whole numbers: after millions of changes it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Hosts that are on and run a VM.
    pub active: u32,
    /// Hosts that are on.
    pub on: u32,
    /// Hosts that are on and of which more is asked than they have.
    pub over: u32,
    /// VMs whose host is down.
    pub vms_down: u32,
    /// VMs that are to run and for which no host has memory.
    pub waiting: u32,
    /// VMs that have come after the start.
    pub came: u64,
    /// VMs that have left.
    pub left: u64,
    /// Milliwatts by both models.
    pub draw: Draw,
    active_s: f64,
    on_s: f64,
    over_s: f64,
    down_s: f64,
    waiting_s: f64,
    energy: f64,
    energy_linear: f64,
}

/// What is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Mean number of hosts that ran a VM.
    pub active_hosts: f64,
    /// Mean number of hosts that were on.
    pub hosts_on: f64,
    /// By what was measured of the machines, where that is known; else linear.
    pub energy_kwh: f64,
    /// Linear between idle and peak.
    pub energy_linear_kwh: f64,
    /// Host-seconds in which more was asked of a host than it has.
    pub over_host_s: f64,
    /// Share of the time of active hosts in which more was asked than they have: SLATAH of `CloudSim`.
    pub slatah: f64,
    /// VM-seconds in which a VM did not run, as its host was down.
    pub lost_vm_s: f64,
    /// VMs that have come after the start.
    pub vms_came: u64,
    /// VMs that have left.
    pub vms_left: u64,
    /// VM-seconds in which a VM was to run and no host had memory for it.
    pub waiting_vm_s: f64,
}

impl Usage {
    /// Lets time pass.
    pub(in crate::simulator) fn pass(&mut self, seconds: f64) {
        self.active_s += f64::from(self.active) * seconds;
        self.on_s += f64::from(self.on) * seconds;
        self.over_s += f64::from(self.over) * seconds;
        self.down_s += f64::from(self.vms_down) * seconds;
        self.waiting_s += f64::from(self.waiting) * seconds;
        self.energy += self.draw.measured as f64 * seconds;
        self.energy_linear += self.draw.linear as f64 * seconds;
    }

    /// What is told after so many seconds.
    #[must_use]
    pub fn report(&self, seconds: f64) -> UsageReport {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        UsageReport {
            active_hosts: share(self.active_s, seconds),
            hosts_on: share(self.on_s, seconds),
            energy_kwh: self.energy / MILLIWATT_SECONDS_PER_KWH,
            energy_linear_kwh: self.energy_linear / MILLIWATT_SECONDS_PER_KWH,
            over_host_s: self.over_s,
            slatah: share(self.over_s, self.active_s),
            lost_vm_s: self.down_s,
            vms_came: self.came,
            vms_left: self.left,
            waiting_vm_s: self.waiting_s,
        }
    }
}

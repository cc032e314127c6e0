//! How it works.

use crate::partition::sizing::FEWEST;
use crate::simulator::decision::{Consolidation, Repair};
use serde::{Deserialize, Serialize};

/// Settings. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of an experiment file")]
pub struct Ringed {
    /// Hosts of a coordinator's cell.
    pub hosts_per_cell: u32,
    /// How many coordinators share the hosts evenly; 0 = as many as `hosts_per_cell` says.
    pub coordinators: u32,
    /// How often agents report.
    pub report_s: f64,
    /// An agent that was not heard of for so long is out of reach.
    pub lost_after_s: f64,
    /// After a plan its trouble rests so long; twice as long after each plan in a row that did not help.
    pub cool_down_s: f64,
    /// A reservation ends so long after its leader was heard last.
    pub lease_s: f64,
    /// Hosts that may take VMs, at least, beside the overloaded one, where a cell answers a trouble alone.
    pub fewest: u32,
    /// Solves at once of one coordinator.
    pub concurrent: u32,
    /// Units of work of the solver.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there, and to which an overloaded one is brought: the target.
    pub fill: f64,
    /// Seconds of their past by which hosts are told whose VMs usually need little; 0 = by what they need now only.
    pub usual_s: f64,
    /// Whether of the VMs that are enough alone the one leaves an overloaded host, and to where, that leaves most room at both
    /// ends; where that is no plan, and at wider tries, the solver alone decides.
    pub roomy: bool,
    /// Below this share of both its CPU and memory a host is underloaded, and is emptied if others can take its VMs; 0 = never.
    pub under: f64,
    /// Seconds that an underload must last.
    pub under_hold_s: f64,
    /// After a plan an underload rests so long; twice as long after each plan in a row that did not help.
    pub under_cool_down_s: f64,
    /// Share of a host's CPU up to which it is packed.
    pub pack_fill: f64,
    /// Hosts that are packed together, at most, where a cell answers an underload alone.
    pub pack_hosts: u32,
    /// MiB that may be moved for each host that is emptied; 0 = however much.
    pub pack_price_mib: f64,
    /// Whether hosts that are empty are switched off, where hosts are emptied; they are woken when nobody has room.
    pub sleep: bool,
    /// Whether among plans that move as little, one is preferred that spreads the load.
    pub spread: bool,
    /// Whether migrations of a plan begin in its order, or all at once.
    pub planned: bool,
}

impl Default for Ringed {
    fn default() -> Self {
        let repair = Repair::default();
        Self {
            hosts_per_cell: 64,
            coordinators: 0,
            report_s: 1.0,
            lost_after_s: 5.0,
            cool_down_s: 1.0,
            lease_s: 3.0,
            fewest: FEWEST as u32,
            concurrent: 2,
            work_limit: repair.work_limit,
            fill: repair.fill,
            usual_s: 600.0,
            roomy: true,
            under: 0.0,
            under_hold_s: 600.0,
            under_cool_down_s: 30.0,
            pack_fill: 0.8,
            pack_hosts: 64,
            pack_price_mib: 0.0,
            sleep: true,
            spread: repair.spread,
            planned: true,
        }
    }
}

impl Ringed {
    /// How hosts are shared: of each cell, the number of hosts, but for the last one which may have fewer.
    pub(super) fn cell_size(&self, hosts: usize) -> usize {
        let size = match self.coordinators {
            0 => self.hosts_per_cell as usize,
            coordinators => hosts.div_ceil(coordinators as usize),
        };
        size.clamp(1, hosts.max(1))
    }

    /// How hosts are packed.
    pub(super) fn consolidation(&self) -> Consolidation {
        Consolidation { work_limit: self.work_limit, fill: self.pack_fill, price_mib: self.pack_price_mib }
    }

    /// Whether empty hosts are put to sleep.
    pub(super) fn sleeps(&self) -> bool {
        self.under > 0.0 && self.sleep
    }

    /// How plans are decided.
    pub(super) fn repair(&self) -> Repair {
        Repair { work_limit: self.work_limit, fill: self.fill, relief: self.fill, spread: self.spread }
    }
}

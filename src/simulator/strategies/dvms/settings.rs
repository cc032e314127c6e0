//! How it works.

use crate::partition::sizing::FEWEST;
use crate::simulator::decision::Repair;
use serde::{Deserialize, Serialize};

/// Settings. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

    /// How plans are decided.
    pub(super) fn repair(&self) -> Repair {
        Repair { work_limit: self.work_limit, fill: self.fill, relief: self.fill, spread: self.spread }
    }
}

//! `fence {vms, hosts}`: every VM of the set runs on one of the hosts.

use super::Rule;
use crate::model::{HostId, Problem};

/// One counter: the VMs that run outside.
#[derive(Debug)]
pub(super) struct Fence {
    inside: Vec<bool>,
}

impl Fence {
    pub(super) fn new(problem: &Problem, hosts: &[HostId]) -> Self {
        Self { inside: super::members(problem, hosts) }
    }
}

impl Rule for Fence {
    fn cells(&self) -> usize {
        1
    }

    fn enter(&self, cells: &mut [u32], host: HostId) {
        cells[0] += u32::from(!self.inside[host.index()]);
    }

    fn leave(&self, cells: &mut [u32], host: HostId) {
        cells[0] -= u32::from(!self.inside[host.index()]);
    }

    fn admits(&self, _: &[u32], host: HostId) -> bool {
        self.inside[host.index()]
    }

    fn holds(&self, cells: &[u32]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, _: &[u32], host: HostId) -> bool {
        !self.inside[host.index()]
    }

    fn why(&self, problem: &Problem, _: &[u32], host: HostId) -> String {
        format!("{} is outside the fence", problem.host(host).name)
    }
}

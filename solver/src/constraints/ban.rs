//! `ban {vms, hosts}`: no VM of the set runs on any of the hosts.

use super::Rule;
use crate::model::{HostId, Problem};

/// One counter: the VMs that run on the hosts.
#[derive(Debug)]
pub(super) struct Ban {
    inside: Vec<bool>,
}

impl Ban {
    pub(super) fn new(problem: &Problem, hosts: &[HostId]) -> Self {
        Self { inside: super::members(problem, hosts) }
    }
}

impl Rule for Ban {
    fn cells(&self) -> usize {
        1
    }

    fn enter(&self, cells: &mut [u32], host: HostId) {
        cells[0] += u32::from(self.inside[host.index()]);
    }

    fn leave(&self, cells: &mut [u32], host: HostId) {
        cells[0] -= u32::from(self.inside[host.index()]);
    }

    fn admits(&self, _: &[u32], host: HostId) -> bool {
        !self.inside[host.index()]
    }

    fn holds(&self, cells: &[u32]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, _: &[u32], host: HostId) -> bool {
        self.inside[host.index()]
    }

    fn why(&self, problem: &Problem, _: &[u32], host: HostId) -> String {
        format!("{} is banned", problem.host(host).name)
    }
}

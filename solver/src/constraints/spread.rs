//! `spread {vms, scope, max}`: no value of the scope (host, rack …) runs more than `max` of the VMs.
//!
//! Where it is continuous, a VM in migration counts at both ends: a VM comes to a full value only after
//! another has left it. The schedule sees to that.

use super::Rule;
use crate::model::{HostId, Problem, Scope};

/// One counter per value of the scope, then how many values are over the maximum.
#[derive(Debug)]
pub(super) struct Spread<'a> {
    pub(super) scope: &'a Scope,
    pub(super) max: u32,
}

impl Spread<'_> {
    fn value(&self, host: HostId) -> usize {
        self.scope.value_of[host.index()] as usize
    }

    fn over(&self) -> usize {
        self.scope.values as usize
    }
}

impl Rule for Spread<'_> {
    fn cells(&self) -> usize {
        self.scope.values as usize + 1
    }

    fn enter(&self, cells: &mut [u32], host: HostId) {
        let cell = &mut cells[self.value(host)];
        *cell += 1;
        if *cell == self.max + 1 {
            cells[self.over()] += 1;
        }
    }

    fn leave(&self, cells: &mut [u32], host: HostId) {
        let cell = &mut cells[self.value(host)];
        *cell -= 1;
        if *cell == self.max {
            cells[self.over()] -= 1;
        }
    }

    fn admits(&self, cells: &[u32], host: HostId) -> bool {
        cells[self.value(host)] < self.max
    }

    fn holds(&self, cells: &[u32]) -> bool {
        cells[self.over()] == 0
    }

    fn at_fault(&self, cells: &[u32], host: HostId) -> bool {
        cells[self.value(host)] > self.max
    }

    fn why(&self, problem: &Problem, cells: &[u32], host: HostId) -> String {
        let (count, max, host) = (cells[self.value(host)], self.max, &problem.host(host).name);
        if self.scope.name == "host" {
            format!("{count} of its VMs run on {host}, at most {max} may")
        } else {
            format!("{count} of its VMs run in the {} of {host}, at most {max} may", self.scope.name)
        }
    }
}

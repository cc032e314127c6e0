//! `gather {vms, scope}`: all running VMs of the set share one value of the scope.
//!
//! Where it is continuous, none of its VMs can go to another value, as it would run in both on the way;
//! with the scope `host` its VMs cannot move at all.

use super::Rule;
use crate::model::{HostId, Problem, Scope};

/// One counter per value of the scope, then how many values are used.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    pub(super) scope: &'a Scope,
}

impl Gather<'_> {
    fn value(&self, host: HostId) -> usize {
        self.scope.value_of[host.index()] as usize
    }

    fn used(&self) -> usize {
        self.scope.values as usize
    }
}

impl Rule for Gather<'_> {
    fn cells(&self) -> usize {
        self.scope.values as usize + 1
    }

    fn enter(&self, cells: &mut [u32], host: HostId) {
        let cell = &mut cells[self.value(host)];
        *cell += 1;
        if *cell == 1 {
            cells[self.used()] += 1;
        }
    }

    fn leave(&self, cells: &mut [u32], host: HostId) {
        let cell = &mut cells[self.value(host)];
        *cell -= 1;
        if *cell == 0 {
            cells[self.used()] -= 1;
        }
    }

    fn admits(&self, cells: &[u32], host: HostId) -> bool {
        match cells[self.used()] {
            0 => true,
            1 => cells[self.value(host)] > 0,
            _ => false,
        }
    }

    fn holds(&self, cells: &[u32]) -> bool {
        cells[self.used()] <= 1
    }

    fn at_fault(&self, cells: &[u32], host: HostId) -> bool {
        let most = cells[..self.used()].iter().max().copied().unwrap_or(0);
        !self.holds(cells) && {
            let first = cells.iter().position(|count| *count == most);
            first != Some(self.value(host))
        }
    }

    fn why(&self, problem: &Problem, cells: &[u32], host: HostId) -> String {
        let (used, host) = (cells[self.used()], &problem.host(host).name);
        format!("its VMs run on {used} values of {}, {host} is not where most of them are", self.scope.name)
    }
}

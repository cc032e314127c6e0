//! Elements have numbers there and names here.

use super::super::format::{NameView, View};
use dvms_solver::file::{Hosts, Problem, Vms};
use std::collections::BTreeMap;

/// The numbers of VMs and hosts.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    problem: &'a Problem,
    vms: BTreeMap<&'a str, i64>,
    hosts: BTreeMap<&'a str, i64>,
    /// Whether names are told in views, as numbers do not follow from them.
    named: bool,
}

impl<'a> Numbers<'a> {
    /// `vm12` and `n3` are 12 and 3, as the import names them; if others are among them, all are counted.
    pub(super) fn new(problem: &'a Problem) -> Self {
        let vms: Vec<&str> = problem.vms.iter().map(|vm| vm.name.as_str()).collect();
        let hosts: Vec<&str> = problem.hosts.iter().map(|host| host.name.as_str()).collect();
        let plain = (numbered(&vms, "vm"), numbered(&hosts, "n"));
        if let (Some(vms), Some(hosts)) = plain {
            return Self { problem, vms, hosts, named: false };
        }
        let count = |names: Vec<&'a str>| names.into_iter().zip(0..).collect();
        Self { problem, vms: count(vms), hosts: count(hosts), named: true }
    }

    pub(super) fn vm(&self, name: &str) -> Option<i64> {
        self.vms.get(name).copied()
    }

    pub(super) fn host(&self, name: &str) -> Option<i64> {
        self.hosts.get(name).copied()
    }

    /// The VMs of a set.
    pub(super) fn vms(&self, set: &Vms) -> Vec<i64> {
        if set.vm_selector.is_empty() {
            return set.vms.iter().filter_map(|name| self.vm(name)).collect();
        }
        let selected = self
            .problem
            .vms
            .iter()
            .filter(|vm| set.vm_selector.iter().all(|(key, value)| vm.labels.get(key) == Some(value)));
        selected.filter_map(|vm| self.vm(&vm.name)).collect()
    }

    /// The hosts of a set.
    pub(super) fn hosts(&self, set: &Hosts) -> Vec<i64> {
        if set.host_selector.is_empty() {
            return set.hosts.iter().filter_map(|name| self.host(name)).collect();
        }
        let selected =
            self.problem.hosts.iter().filter(|host| {
                set.host_selector.iter().all(|(key, value)| host.labels.get(key) == Some(value))
            });
        selected.filter_map(|host| self.host(&host.name)).collect()
    }

    /// Views that tell the names, where they do not follow from the numbers.
    pub(super) fn views(&self) -> Vec<View> {
        if !self.named {
            return Vec::new();
        }
        let view = |kind: &str, numbers: &BTreeMap<&str, i64>| {
            let map = numbers.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
            View::Names(NameView { kind: kind.to_owned(), map })
        };
        vec![view("vm", &self.vms), view("node", &self.hosts)]
    }
}

/// The numbers in the names, if all have one after the prefix and no two the same.
fn numbered<'a>(names: &[&'a str], prefix: &str) -> Option<BTreeMap<&'a str, i64>> {
    let number = |name: &&'a str| {
        let digits = name.strip_prefix(prefix)?;
        let number: i32 = digits.parse().ok()?;
        (number.to_string() == digits).then_some((*name, i64::from(number)))
    };
    names.iter().map(number).collect()
}

//! `quarantine {hosts}`: no VM enters or leaves the hosts, also not by being started.

use super::read::Reader;
use super::rule::{Part, all_named};
use super::unary::{self, Unary};
use super::{Act, Cell, Course, Draft, HostSet, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Problem, VmId};

/// No VM enters or leaves the hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantine {
    /// Sorted.
    pub hosts: Vec<HostId>,
}

impl Quarantine {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Quarantine { hosts } = body else { return None };
        Some(Self { hosts: reader.hosts(hosts) })
    }

    pub(super) fn part(&self, _: &Part<'_>) -> Self {
        self.clone()
    }

    /// VMs that are there, be they down.
    fn inside(&self, problem: &Problem) -> Vec<VmId> {
        let inside = HostSet::new(&self.hosts);
        problem.vm_ids().filter(|vm| problem.vm(*vm).host.is_some_and(|host| inside.contains(host))).collect()
    }
}

impl Meaning for Quarantine {
    fn named(&self, problem: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.inside(problem))
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Quarantined {
            quarantine: self,
            problem,
            hosts: HostSet::new(&self.hosts),
            inside: self.inside(problem),
        })
    }
}

#[derive(Debug)]
struct Quarantined<'a> {
    quarantine: &'a Quarantine,
    problem: &'a Problem,
    hosts: HostSet,
    inside: Vec<VmId>,
}

impl Unary for Quarantined<'_> {
    fn allows(&self, vm: VmId, host: HostId) -> bool {
        if self.problem.running_on(vm) == Some(host) {
            return true;
        }
        let leaves = self.problem.vm(vm).host.is_some_and(|host| self.hosts.contains(host));
        !leaves && !self.hosts.contains(host)
    }
}

impl Rule for Quarantined<'_> {
    unary::unary!();

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        let (vm, host) = (&problem.vm(at.vm).name, &problem.host(at.host).name);
        format!("{vm} has come to {host} from or to a host in quarantine")
    }

    fn adds_up(&self) -> bool {
        false
    }

    fn hosts(&self) -> &[HostId] {
        &self.quarantine.hosts
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        self.allows(vm, host)
    }

    fn moors(&self, vm: VmId) -> bool {
        self.problem.vm(vm).host.is_some_and(|host| self.hosts.contains(host))
    }

    fn rows(&self, draft: &mut dyn Draft) {
        draft.all_stay(&self.inside);
        let leaves = |vm: VmId| self.problem.vm(vm).host.is_some_and(|host| self.hosts.contains(host));
        let wrong = |cell: &&Cell| !cell.stays && (leaves(cell.vm) || self.hosts.contains(cell.host));
        let mut cells: Vec<Cell> = draft.members(&self.inside).cells.iter().filter(wrong).copied().collect();
        let mut fails = draft.members(&self.inside).ended.iter().any(|(vm, host)| !self.allows(*vm, *host));
        for host in &self.quarantine.hosts {
            let there = draft.on(*host);
            cells.extend(there.cells.iter().filter(wrong));
            fails |= there.ended.iter().any(|(vm, host)| !self.allows(*vm, *host));
        }
        if fails {
            draft.fails();
        }
        for cell in cells {
            draft.only_if(&[cell], &[]);
        }
    }

    fn is_of_plans(&self) -> bool {
        true
    }

    fn course(&self, course: &mut Course<'_>) {
        course.gate(&self.inside, |_| false);
        course.gate_hosts(self.quarantine.hosts.clone(), |_| false);
    }

    fn broken_by(&self, acts: &[Act]) -> bool {
        acts.iter().any(|act| {
            let source = act.from.or(self.problem.vm(act.vm).host);
            self.hosts.contains(act.to) || source.is_some_and(|host| self.hosts.contains(host))
        })
    }
}

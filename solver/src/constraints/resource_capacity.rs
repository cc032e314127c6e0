//! `resource_capacity {hosts, resource, max}`: the VMs on the hosts use at most `max` of the resource together.
//!
//! Where it is continuous, a VM that moves from one of the hosts to another counts twice on its way.

use super::draft::most;
use super::known::conflict;
use super::read::Reader;
use super::rule::Part;
use super::{Course, Draft, HostSet, Impossible, Known, Limit, Meaning, Members, Pools, Rule, Seat};
use crate::file;
use crate::model::{Amount, HostId, Problem, VmId};

/// The VMs on the hosts use at most `max` of the resource together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceCapacity {
    /// Sorted.
    pub hosts: Vec<HostId>,
    /// Its number; `None` = one that no VM demands.
    pub resource: Option<usize>,
    /// The most of it.
    pub max: Amount,
}

impl ResourceCapacity {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::ResourceCapacity { hosts, resource, max } = body else { return None };
        let (resource, max) = (reader.resource(resource), reader.amount("max", *max));
        Some(Self { hosts: reader.hosts(hosts), resource, max })
    }

    pub(super) fn part(&self, _: &Part<'_>) -> Self {
        self.clone()
    }
}

impl Meaning for ResourceCapacity {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        Vec::new()
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Used { rule: self, problem, inside: HostSet::new(&self.hosts), always: false })
    }
}

/// What is in use on the hosts at the end, and what while the plan runs, as VMs are resized at its end.
#[derive(Debug)]
struct Used<'a> {
    rule: &'a ResourceCapacity,
    problem: &'a Problem,
    inside: HostSet,
    always: bool,
}

impl Used<'_> {
    fn need(&self, vm: VmId) -> Amount {
        self.rule.resource.map_or(0, |r| self.problem.vm(vm).demand[r])
    }

    fn present(&self, vm: VmId) -> Amount {
        self.rule.resource.map_or(0, |r| self.problem.vm(vm).present[r])
    }

    fn name(&self) -> &str {
        self.rule.resource.map_or("of it", |r| self.problem.resources[r].as_str())
    }
}

impl Rule for Used<'_> {
    fn cells(&self) -> usize {
        2
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        cells[0] += self.need(at.vm);
        cells[1] += self.present(at.vm);
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        cells[0] -= self.need(at.vm);
        cells[1] -= self.present(at.vm);
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let (need, now) = (self.need(at.vm), self.present(at.vm));
        (need == 0 || cells[0] + need <= self.rule.max)
            && (!self.always || now == 0 || cells[1] + now <= self.rule.max)
    }

    fn holds_at_start(&self, cells: &[i64]) -> bool {
        cells[1] <= self.rule.max
    }

    fn always(&mut self, _: &[i64]) {
        self.always = true;
    }

    fn fails(&self, cells: &[i64]) -> bool {
        !self.holds(cells) || self.always && cells[1] > self.rule.max
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] <= self.rule.max
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        !self.holds(cells) && self.inside.contains(at.host) && self.need(at.vm) > 0
    }

    fn why(&self, _: &Problem, cells: &[i64], _: Seat) -> String {
        format!("its hosts use {} {}, at most {} may be", cells[0], self.name(), self.rule.max)
    }

    fn hosts(&self) -> &[HostId] {
        &self.rule.hosts
    }

    fn ever(&self, vm: VmId, host: HostId) -> bool {
        self.need(vm) <= self.rule.max || !self.inside.contains(host)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let mut all = Members::default();
        for host in &self.rule.hosts {
            let there = draft.on(*host);
            all.cells.extend(there.cells);
            all.ended.extend(there.ended);
        }
        for present in [false, true].into_iter().take(1 + usize::from(self.always)) {
            let takes = |vm: VmId| if present { self.present(vm) } else { self.need(vm) };
            let (terms, used) = all.sum(takes);
            let room = self.rule.max - used;
            draft.at_most(terms, room, most(&all, takes).saturating_sub(room));
        }
    }

    fn course(&self, course: &mut Course<'_>) {
        if self.rule.resource.is_none() {
            return;
        }
        course.limits.push(Limit {
            pools: Pools::Some(self.rule.hosts.iter().map(|host| (*host, 0)).collect()),
            rooms: vec![self.rule.max],
            vms: None,
            resource: self.rule.resource,
            twice: true,
        });
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let fixed = known.problem().vm_ids().filter(|vm| known.is_fixed(*vm) && self.need(*vm) > 0);
        let inside = |vm: &VmId| known.home(*vm).is_some_and(|home| self.inside.contains(home));
        let stay: Vec<VmId> = fixed.filter(inside).collect();
        let used: Amount = stay.iter().map(|vm| self.need(*vm)).sum();
        (used > self.rule.max).then(|| {
            let (max, what) = (self.rule.max, self.name());
            let reason = format!(
                "{name} lets its hosts use at most {max} {what}, but what cannot move from there uses {used}"
            );
            let homes: Vec<_> = stay.iter().filter_map(|vm| known.home(*vm)).collect();
            (reason, conflict(known.problem(), homes, stay, [name]))
        })
    }
}

//! `running_capacity {hosts, max}`: at most `max` VMs run on the hosts together.

use super::counts::number;
use super::draft::most;
use super::known::conflict;
use super::read::Reader;
use super::rule::Part;
use super::{Course, Draft, HostSet, Impossible, Known, Limit, Meaning, Members, Pools, Rule, Seat};
use crate::file;
use crate::model::{Amount, HostId, Problem, VmId};

/// At most `max` VMs run on the hosts together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningCapacity {
    /// Sorted.
    pub hosts: Vec<HostId>,
    /// Most VMs.
    pub max: u32,
}

impl RunningCapacity {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::RunningCapacity { hosts, max } = body else { return None };
        let max = reader.needed("max", *max);
        Some(Self { hosts: reader.hosts(hosts), max: reader.count("max", max) })
    }

    pub(super) fn part(&self, _: &Part<'_>) -> Self {
        self.clone()
    }
}

impl Meaning for RunningCapacity {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        Vec::new()
    }

    fn rule<'a>(&'a self, _: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Running { rule: self, inside: HostSet::new(&self.hosts), max: i64::from(self.max) })
    }
}

/// One counter: the VMs on the hosts.
#[derive(Debug)]
struct Running<'a> {
    rule: &'a RunningCapacity,
    inside: HostSet,
    max: i64,
}

impl Rule for Running<'_> {
    fn cells(&self) -> usize {
        1
    }

    fn enter(&self, cells: &mut [i64], _: Seat) {
        cells[0] += 1;
    }

    fn leave(&self, cells: &mut [i64], _: Seat) {
        cells[0] -= 1;
    }

    fn admits(&self, cells: &[i64], _: Seat) -> bool {
        cells[0] < self.max
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] <= self.max
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        !self.holds(cells) && self.inside.contains(at.host)
    }

    fn why(&self, _: &Problem, cells: &[i64], _: Seat) -> String {
        format!("{} VMs run on its hosts, at most {} may", cells[0], self.max)
    }

    fn hosts(&self) -> &[HostId] {
        &self.rule.hosts
    }

    fn ever(&self, _: VmId, host: HostId) -> bool {
        self.max > 0 || !self.inside.contains(host)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let mut all = Members::default();
        for host in &self.rule.hosts {
            let there = draft.on(*host);
            all.cells.extend(there.cells);
            all.ended.extend(there.ended);
        }
        let room = self.max - number(all.ended.len());
        let terms = all.cells.iter().map(|cell| (cell.column, 1)).collect();
        draft.at_most(terms, room, most(&all, |_| 1).saturating_sub(room));
    }

    fn course(&self, course: &mut Course<'_>) {
        course.limits.push(Limit {
            pools: Pools::Some(self.rule.hosts.iter().map(|host| (*host, 0)).collect()),
            rooms: vec![Amount::from(self.rule.max)],
            vms: None,
            resource: None,
            twice: false,
        });
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let fixed = known.problem().vm_ids().filter(|vm| known.is_fixed(*vm));
        let inside = |vm: &VmId| known.home(*vm).is_some_and(|home| self.inside.contains(home));
        let stay: Vec<VmId> = fixed.filter(inside).collect();
        (number(stay.len()) > self.max).then(|| {
            let reason = format!(
                "{name} lets at most {} VMs run on its hosts, but {} there cannot move",
                self.max,
                stay.len()
            );
            let some: Vec<VmId> = stay.into_iter().take(self.max as usize + 1).collect();
            let homes: Vec<_> = some.iter().filter_map(|vm| known.home(*vm)).collect();
            (reason, conflict(known.problem(), homes, some, [name]))
        })
    }
}

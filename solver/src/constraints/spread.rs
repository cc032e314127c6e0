//! `spread {vms, scope, max}`: no value of the scope (host, rack …) runs more than `max` of the VMs.
//!
//! Where it is continuous, a VM in migration counts at both ends: a VM comes to a full value only after
//! another has left it. The schedule sees to that.

use super::counts::{Counts, number};
use super::draft::most;
use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, all_named};
use super::{Course, Draft, Impossible, Known, Limit, Meaning, Members, Pools, Rule, Seat};
use crate::file;
use crate::model::{Amount, HostId, Problem, Scope, ScopeId, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// More values of a scope than this are many.
const MANY: u32 = 500;

/// No value of the scope runs more than `max` of the VMs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spread {
    /// Sorted.
    pub vms: Vec<VmId>,
    /// What has values.
    pub scope: ScopeId,
    /// Most VMs at one value.
    pub max: u32,
}

impl Spread {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Spread { vms, scope, max } = body else { return None };
        let max = reader.count("max", max.unwrap_or(1));
        Some(Self { vms: reader.vms(vms), scope: reader.scope(scope.as_deref())?, max })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms), ..*self }
    }
}

impl Meaning for Spread {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let scope = &problem.scopes[self.scope.index()];
        let counts = Counts::new(self.vms.len(), scope.values as usize);
        Box::new(Spreading { spread: self, scope, counts, max: i64::from(self.max) })
    }
}

/// How many values are over the maximum, then a counter for each value.
#[derive(Debug)]
struct Spreading<'a> {
    spread: &'a Spread,
    scope: &'a Scope,
    counts: Counts,
    max: i64,
}

impl Spreading<'_> {
    fn value(&self, host: HostId) -> usize {
        self.scope.value_of[host.index()] as usize
    }

    fn count(&self, cells: &[i64], host: HostId) -> i64 {
        self.counts.get(&cells[1..], self.value(host))
    }
}

impl Rule for Spreading<'_> {
    fn cells(&self) -> usize {
        1 + self.counts.cells()
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        if self.counts.add(&mut cells[1..], self.value(at.host)) == self.max + 1 {
            cells[0] += 1;
        }
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        if self.counts.take(&mut cells[1..], self.value(at.host)) == self.max {
            cells[0] -= 1;
        }
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        self.count(cells, at.host) < self.max
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        self.count(cells, at.host) > self.max
    }

    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String {
        let (count, max, host) = (self.count(cells, at.host), self.max, &problem.host(at.host).name);
        if self.scope.name == "host" {
            format!("{count} of its VMs run on {host}, at most {max} may")
        } else {
            format!("{count} of its VMs run in the {} of {host}, at most {max} may", self.scope.name)
        }
    }

    fn ever(&self, _: VmId, _: HostId) -> bool {
        self.max > 0
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let members = draft.members(&self.spread.vms);
        let mut by_value: BTreeMap<usize, Members> = BTreeMap::new();
        for cell in members.cells {
            by_value.entry(self.value(cell.host)).or_default().cells.push(cell);
        }
        for (vm, host) in members.ended {
            by_value.entry(self.value(host)).or_default().ended.push((vm, host));
        }
        for there in by_value.into_values() {
            let room = self.max - number(there.ended.len());
            let terms = there.cells.iter().map(|cell| (cell.column, 1)).collect();
            draft.at_most(terms, room, most(&there, |_| 1) - room);
        }
    }

    fn course(&self, course: &mut Course<'_>) {
        if self.scope.values > MANY && !self.spread.vms.iter().any(|vm| course.moves(*vm)) {
            // Pools of so many values are worth it for those only that have to move.
            course.narrow = true;
            course.gate(&self.spread.vms, |_| false);
            return;
        }
        course.limits.push(Limit {
            pools: Pools::Values(self.spread.scope),
            rooms: vec![Amount::from(self.spread.max); self.scope.values as usize],
            vms: Some(self.spread.vms.clone()),
            resource: None,
            twice: false,
        });
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let problem = known.problem();
        let mut stay: BTreeMap<usize, Vec<(VmId, HostId)>> = BTreeMap::new();
        let mut places: BTreeSet<usize> = known.open().iter().map(|host| self.value(*host)).collect();
        let running: Vec<VmId> =
            self.spread.vms.iter().copied().filter(|vm| known.home(*vm).is_some()).collect();
        for &vm in &running {
            let Some(home) = known.home(vm) else { continue };
            if known.may_stay(vm) {
                places.insert(self.value(home));
            }
            if known.is_fixed(vm) {
                stay.entry(self.value(home)).or_default().push((vm, home));
            }
        }
        let (max, most, scope) = (self.spread.max, u64::from(self.spread.max), &self.scope.name);
        if let Some(list) = stay.into_values().find(|list| list.len() as u64 > most) {
            let list = &list[..=max as usize];
            let names: Vec<_> = list.iter().map(|(vm, _)| problem.vm(*vm).name.as_str()).collect();
            let reason = format!(
                "{name} lets at most {max} of its VMs share a {scope}, but {} cannot move",
                names.join(", ")
            );
            let hosts = list.iter().map(|(_, host)| *host);
            return Some((reason, conflict(problem, hosts, list.iter().map(|(vm, _)| *vm), [name])));
        }
        (running.len() as u64 > most * places.len() as u64).then(|| {
            let reason = format!(
                "{name} lets at most {max} of its VMs share a {scope}, but {} of them run and only {} can take VMs",
                running.len(),
                places.len()
            );
            let enough = (most * places.len() as u64 + 1) as usize;
            (reason, conflict(problem, [], running.into_iter().take(enough), [name]))
        })
    }
}

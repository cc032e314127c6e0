//! `gather {vms, scope}`: all running VMs of the set share one value of the scope.
//!
//! Where it is continuous, none of its VMs can go to another value, as it would run in both on the way;
//! with the scope `host` its VMs cannot move at all.

use super::counts::{Counts, number};
use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, all_named};
use super::{Cell, Course, Draft, Flock, Impossible, Known, Meaning, Places, Rule, Seat};
use crate::file;
use crate::model::{HostId, Placement, Problem, Scope, ScopeId, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// All placed VMs of the set share one value of the scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gather {
    /// Sorted.
    pub vms: Vec<VmId>,
    /// What has values.
    pub scope: ScopeId,
}

impl Gather {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Gather { vms, scope } = body else { return None };
        Some(Self { vms: reader.vms(vms), scope: reader.scope(scope.as_deref())? })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms), ..*self }
    }
}

impl Meaning for Gather {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let scope = &problem.scopes[self.scope.index()];
        let counts = Counts::new(self.vms.len(), scope.values as usize);
        // They run at one value if the rule must always hold.
        let home = self.vms.iter().find_map(|vm| problem.running_on(*vm));
        let home = home.map(|host| scope.value_of[host.index()] as usize);
        Box::new(Gathering { gather: self, problem, scope, counts, home, always: false })
    }
}

/// How many values are used, how many VMs that run at the start are at another value than then, then a counter
/// for each value.
#[derive(Debug)]
struct Gathering<'a> {
    gather: &'a Gather,
    problem: &'a Problem,
    scope: &'a Scope,
    counts: Counts,
    home: Option<usize>,
    always: bool,
}

impl Gathering<'_> {
    fn value(&self, host: HostId) -> usize {
        self.scope.value_of[host.index()] as usize
    }

    /// A VM would run at two values on its way.
    fn crosses(&self, vm: VmId, host: HostId) -> bool {
        self.always && self.home != Some(self.value(host)) && self.problem.running_on(vm).is_some()
    }
}

impl Rule for Gathering<'_> {
    fn cells(&self) -> usize {
        2 + self.counts.cells()
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        cells[1] += i64::from(self.crosses(at.vm, at.host));
        if self.counts.add(&mut cells[2..], self.value(at.host)) == 1 {
            cells[0] += 1;
        }
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        cells[1] -= i64::from(self.crosses(at.vm, at.host));
        if self.counts.take(&mut cells[2..], self.value(at.host)) == 0 {
            cells[0] -= 1;
        }
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let fits = match cells[0] {
            0 => true,
            1 => self.counts.get(&cells[2..], self.value(at.host)) > 0,
            _ => false,
        };
        fits && !self.crosses(at.vm, at.host)
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] <= 1
    }

    fn fails(&self, cells: &[i64]) -> bool {
        !self.holds(cells) || cells[1] > 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        !self.holds(cells) && self.counts.fullest(&cells[2..]) != Some(self.value(at.host))
    }

    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String {
        let (used, host) = (cells[0], &problem.host(at.host).name);
        format!("its VMs run on {used} values of {}, {host} is not where most of them are", self.scope.name)
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        !self.crosses(vm, host)
    }

    fn moors(&self, vm: VmId) -> bool {
        self.always && self.gather.scope.index() == 0 && self.problem.running_on(vm).is_some()
    }

    fn pins(&self, _: VmId) -> bool {
        // On other nodes it is on the same host all the time.
        false
    }

    fn always(&mut self, _: &[i64]) {
        self.always = true;
    }

    fn flocks(&self) -> Vec<Flock<'_>> {
        let places = Places::Scope(self.gather.scope, &self.scope.value_of);
        vec![Flock { vms: &self.gather.vms, places }]
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let members = draft.members(&self.gather.vms);
        let mut by_value: BTreeMap<usize, Vec<Cell>> = BTreeMap::new();
        for cell in &members.cells {
            by_value.entry(self.value(cell.host)).or_default().push(*cell);
        }
        let ended: BTreeSet<usize> = members.ended.iter().map(|(_, host)| self.value(*host)).collect();
        let all: BTreeSet<usize> = by_value.keys().chain(&ended).copied().collect();
        if all.len() > 1 {
            let mut terms = Vec::new();
            for value in &all {
                let used = draft.mark(*value as u32);
                terms.push((used, 1));
                if ended.contains(value) {
                    draft.force(used);
                }
                for cells in
                    by_value.get(value).map_or(&[][..], Vec::as_slice).chunk_by(|a, b| a.class == b.class)
                {
                    // Also when the rule does not hold the value is used.
                    let most: i64 = cells.iter().map(|cell| cell.most).sum();
                    let most = most.min(draft.class_size(cells[0].class));
                    let row = cells.iter().map(|cell| (cell.column, 1)).chain([(used, -most)]).collect();
                    draft.at_most(row, 0, 0);
                }
            }
            draft.at_most(terms, 1, number(all.len()) - 1);
        }
        // Where it must always hold, its VMs cannot come from another value.
        if members.ended.iter().any(|(vm, host)| self.crosses(*vm, *host)) {
            draft.fails();
        }
        let crossing = |cell: &&Cell| !cell.stays && self.crosses(cell.vm, cell.host);
        let cells: Vec<Cell> = members.cells.iter().filter(crossing).copied().collect();
        for cells in cells.chunk_by(|a, b| a.class == b.class) {
            draft.only_if(cells, &[]);
        }
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let hosts = self.gather.vms.iter().filter_map(|vm| at[vm.index()]);
        hosts.map(|host| (self.value(host) as u32, 1)).collect()
    }

    fn course(&self, course: &mut Course<'_>) {
        let scope = self.gather.scope.index();
        course.gate(&self.gather.vms, move |pass| {
            let value = |host: HostId| pass.problem.scopes[scope].value_of[host.index()];
            pass.from.is_none_or(|from| value(from.host) == value(pass.to.host))
        });
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let fixed = self.gather.vms.iter().filter(|vm| known.is_fixed(**vm));
        let mut stay = fixed.filter_map(|vm| known.home(*vm).map(|home| (*vm, home)));
        let first = stay.next()?;
        let apart = stay.find(|other| self.value(other.1) != self.value(first.1))?;
        let problem = known.problem();
        let (a, b) = (&problem.vm(first.0).name, &problem.vm(apart.0).name);
        let reason =
            format!("{name} wants one {} for all, but neither {a} nor {b} can move", self.scope.name);
        Some((reason, conflict(problem, [first.1, apart.1], [first.0, apart.0], [name])))
    }
}

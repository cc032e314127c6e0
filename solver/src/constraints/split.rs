//! `split {groups}`: no host runs VMs of two different groups. A VM in two groups can run nowhere.

use super::counts::{Counts, number};
use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, groups_named};
use super::{Course, Draft, Impossible, Known, Latch, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Placement, Problem, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// No host runs VMs of two different groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split {
    /// Each sorted.
    pub groups: Vec<Vec<VmId>>,
}

impl Split {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Split { groups } = body else { return None };
        Some(Self { groups: reader.groups(groups) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { groups: self.groups.iter().map(|group| part.vms(group)).collect() }
    }
}

impl Meaning for Split {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        groups_named(&self.groups)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let mut of: BTreeMap<VmId, Vec<usize>> = BTreeMap::new();
        for (g, group) in self.groups.iter().enumerate() {
            for vm in group {
                of.entry(*vm).or_default().push(g);
            }
        }
        let members: usize = self.groups.iter().map(Vec::len).sum();
        let hosts = problem.hosts.len();
        Box::new(Parted {
            groups: &self.groups,
            of,
            counts: Counts::new(members, hosts * self.groups.len()),
            kinds: Counts::new(members, hosts),
            hosts,
        })
    }
}

/// How many hosts run two groups or more; the groups on each host; the VMs of each group on each host.
#[derive(Debug)]
struct Parted<'a> {
    groups: &'a [Vec<VmId>],
    of: BTreeMap<VmId, Vec<usize>>,
    /// By group and host.
    counts: Counts,
    /// By host.
    kinds: Counts,
    hosts: usize,
}

impl Parted<'_> {
    fn groups_of(&self, vm: VmId) -> &[usize] {
        self.of.get(&vm).map_or(&[], Vec::as_slice)
    }

    fn kinds_on(&self, cells: &[i64], host: HostId) -> i64 {
        self.kinds.get(&cells[1..], host.index())
    }

    fn split<'c>(&self, cells: &'c mut [i64]) -> (&'c mut i64, &'c mut [i64], &'c mut [i64]) {
        let (broken, rest) = cells.split_at_mut(1);
        let (kinds, counts) = rest.split_at_mut(self.kinds.cells());
        (&mut broken[0], kinds, counts)
    }
}

impl Rule for Parted<'_> {
    fn cells(&self) -> usize {
        1 + self.kinds.cells() + self.counts.cells()
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        let host = at.host.index();
        let (broken, kinds, counts) = self.split(cells);
        for group in self.groups_of(at.vm) {
            if self.counts.add(counts, group * self.hosts + host) == 1 && self.kinds.add(kinds, host) == 2 {
                *broken += 1;
            }
        }
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        let host = at.host.index();
        let (broken, kinds, counts) = self.split(cells);
        for group in self.groups_of(at.vm) {
            if self.counts.take(counts, group * self.hosts + host) == 0 && self.kinds.take(kinds, host) == 1 {
                *broken -= 1;
            }
        }
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let [group] = self.groups_of(at.vm) else { return false };
        let counts = &cells[1 + self.kinds.cells()..];
        let mine = self.counts.get(counts, group * self.hosts + at.host.index()) > 0;
        self.kinds_on(cells, at.host) == i64::from(mine)
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        self.kinds_on(cells, at.host) > 1
    }

    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String {
        let (host, kinds) = (&problem.host(at.host).name, self.kinds_on(cells, at.host));
        format!("{host} runs VMs of {kinds} of its groups")
    }

    fn ever(&self, vm: VmId, _: HostId) -> bool {
        self.groups_of(vm).len() < 2
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let mut here: BTreeMap<HostId, Vec<u32>> = BTreeMap::new();
        for (g, group) in self.groups.iter().enumerate() {
            let members = draft.members(group);
            let cells = members.cells.iter().map(|cell| cell.host);
            let hosts: BTreeSet<HostId> = cells.chain(members.ended.iter().map(|(_, host)| *host)).collect();
            for host in hosts {
                let there = members.on(|other| other == host);
                let mark = draft.mark((g * self.hosts + host.index()) as u32);
                for cell in &there.cells {
                    let most = cell.most.min(draft.class_size(cell.class));
                    draft.at_most(vec![(cell.column, 1), (mark, -most)], 0, 0);
                }
                if !there.ended.is_empty() {
                    draft.force(mark);
                }
                here.entry(host).or_default().push(mark);
            }
        }
        for marks in here.into_values() {
            let slack = number(marks.len()) - 1;
            draft.at_most(marks.into_iter().map(|mark| (mark, 1)).collect(), 1, slack);
        }
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let groups = self.groups.iter().enumerate();
        let places = groups.flat_map(|(g, group)| group.iter().map(move |vm| (g, at[vm.index()])));
        places.filter_map(|(g, host)| Some(((g * self.hosts + host?.index()) as u32, 1))).collect()
    }

    /// A host that changes from one group to another does so once, and no VM of a group passes through a host
    /// where none of its group starts or ends.
    fn course(&self, course: &mut Course<'_>) {
        let mut kinds: BTreeMap<HostId, [Option<usize>; 2]> = BTreeMap::new();
        for (g, group) in self.groups.iter().enumerate() {
            for vm in group {
                for (i, at) in [course.start, course.to].into_iter().enumerate() {
                    if let Some(host) = at[vm.index()] {
                        kinds.entry(host).or_default()[i] = Some(g);
                    }
                }
            }
        }
        course.narrow = true;
        for (host, kind) in &kinds {
            let [Some(first), Some(last)] = *kind else { continue };
            if first != last {
                let there = self.groups[first].iter().filter(|vm| course.start[vm.index()] == Some(*host));
                course.latches.push(Latch {
                    leave: there.map(|vm| (*vm, *host)).collect(),
                    hosts: vec![*host],
                    only: Some(self.groups[last].clone()),
                    ..Latch::default()
                });
            }
        }
        let kinds: BTreeMap<HostId, usize> =
            (kinds.into_iter()).filter_map(|(host, [first, last])| Some((host, last.or(first)?))).collect();
        for (g, group) in self.groups.iter().enumerate() {
            let kinds = kinds.clone();
            course.gate(group, move |pass| kinds.get(&pass.to.host) == Some(&g));
        }
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let problem = known.problem();
        let running = |vm: &&VmId| known.home(**vm).is_some();
        if let Some((vm, _)) = self.of.iter().find(|(vm, groups)| groups.len() > 1 && running(vm)) {
            let reason =
                format!("{} is in two groups of {name}, so that it can run nowhere", problem.vm(*vm).name);
            return Some((reason, conflict(problem, [], [*vm], [name])));
        }
        let mut fixed: BTreeMap<HostId, (usize, VmId)> = BTreeMap::new();
        for (vm, groups) in self.of.iter().filter(|(vm, _)| known.is_fixed(**vm)) {
            let (Some(home), [group]) = (known.home(*vm), groups.as_slice()) else { continue };
            let (other, first) = *fixed.entry(home).or_insert((*group, *vm));
            if other != *group {
                let (a, b) = (&problem.vm(first).name, &problem.vm(*vm).name);
                let reason = format!("{name} keeps {a} and {b} apart, but neither can move");
                return Some((reason, conflict(problem, [home], [first, *vm], [name])));
            }
        }
        None
    }
}

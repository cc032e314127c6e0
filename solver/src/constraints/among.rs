//! `among {vms, host_groups}`: all running VMs of the set are inside one single group of hosts.
//!
//! Where it is continuous, its VMs can only go where groups that share hosts lead from where they are. A
//! schedule keeps them inside one group all the way.

use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, all_named};
use super::{Cell, Course, Draft, Flock, HostSet, Impossible, Known, Meaning, Places, Rule, Seat};
use crate::file;
use crate::model::{HostId, Placement, Problem, VmId};
use std::collections::BTreeMap;

/// All VMs of the set run inside one single host group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Among {
    /// Sorted.
    pub vms: Vec<VmId>,
    /// Each sorted; they may overlap.
    pub host_groups: Vec<Vec<HostId>>,
}

impl Among {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Among { vms, host_groups } = body else { return None };
        Some(Self { vms: reader.vms(vms), host_groups: reader.host_groups(host_groups) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms), host_groups: self.host_groups.clone() }
    }
}

impl Meaning for Among {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let groups: Vec<HostSet> = self.host_groups.iter().map(|hosts| HostSet::new(hosts)).collect();
        Box::new(Amongst { among: self, problem, groups, reach: None })
    }
}

/// The hosts that can be come to from where VMs run, by way of groups that share hosts.
pub(super) fn reach(groups: &[HostSet], homes: &[HostId]) -> HostSet {
    let holds = |group: &HostSet| homes.iter().all(|host| group.contains(*host));
    let mut reached: Vec<bool> = groups.iter().map(holds).collect();
    let mut todo: Vec<usize> = (0..groups.len()).filter(|i| reached[*i]).collect();
    while let Some(at) = todo.pop() {
        for next in 0..groups.len() {
            if !reached[next] && groups[at].overlaps(&groups[next]) {
                reached[next] = true;
                todo.push(next);
            }
        }
    }
    HostSet::union(groups.iter().zip(reached).filter(|(_, reached)| *reached).map(|(group, _)| group))
}

/// For each group the VMs outside it; how many groups have such; the VMs that are cut off where they are.
#[derive(Debug)]
struct Amongst<'a> {
    among: &'a Among,
    problem: &'a Problem,
    groups: Vec<HostSet>,
    /// Hosts that can be come to, if it must always hold.
    reach: Option<HostSet>,
}

impl Amongst<'_> {
    /// The VM cannot come to the host as it must be inside a group all the way.
    fn is_cut_off(&self, vm: VmId, host: HostId) -> bool {
        self.reach.as_ref().is_some_and(|reach| {
            !reach.contains(host) && self.problem.running_on(vm).is_some_and(|home| home != host)
        })
    }

    /// Cell of the VMs that cannot have come to where they are.
    fn cut_off(&self) -> usize {
        self.groups.len() + 1
    }
}

impl Rule for Amongst<'_> {
    fn cells(&self) -> usize {
        self.groups.len() + 2
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        for (i, group) in self.groups.iter().enumerate() {
            if !group.contains(at.host) {
                cells[i] += 1;
                if cells[i] == 1 {
                    cells[self.groups.len()] += 1;
                }
            }
        }
        cells[self.cut_off()] += i64::from(self.is_cut_off(at.vm, at.host));
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        for (i, group) in self.groups.iter().enumerate() {
            if !group.contains(at.host) {
                cells[i] -= 1;
                if cells[i] == 0 {
                    cells[self.groups.len()] -= 1;
                }
            }
        }
        cells[self.cut_off()] -= i64::from(self.is_cut_off(at.vm, at.host));
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let mut groups = self.groups.iter().enumerate();
        groups.any(|(i, group)| cells[i] == 0 && group.contains(at.host)) && !self.is_cut_off(at.vm, at.host)
    }

    fn holds(&self, cells: &[i64]) -> bool {
        (cells[self.groups.len()] as usize) < self.groups.len()
    }

    fn fails(&self, cells: &[i64]) -> bool {
        !self.holds(cells) || cells[self.cut_off()] > 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        // Any group that most of them are in may be the one.
        let least = cells[..self.groups.len()].iter().min();
        let best = |i: &usize| Some(&cells[*i]) == least;
        !self.holds(cells)
            && (self.groups.is_empty()
                || (0..self.groups.len()).filter(best).any(|i| !self.groups[i].contains(at.host)))
    }

    fn why(&self, _: &Problem, _: &[i64], _: Seat) -> String {
        "no one of its groups of hosts has all of its VMs".to_owned()
    }

    fn ever(&self, _: VmId, host: HostId) -> bool {
        self.groups.iter().any(|group| group.contains(host))
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        !self.is_cut_off(vm, host)
    }

    fn always(&mut self, _: &[i64]) {
        let vms = self.among.vms.iter();
        let homes: Vec<HostId> = vms.filter_map(|vm| self.problem.running_on(*vm)).collect();
        self.reach = Some(reach(&self.groups, &homes));
    }

    fn flocks(&self) -> Vec<Flock<'_>> {
        vec![Flock { vms: &self.among.vms, places: Places::Groups(&self.groups) }]
    }

    fn rows(&self, draft: &mut dyn Draft) {
        if self.groups.is_empty() {
            draft.fails();
            return;
        }
        let members = draft.members(&self.among.vms);
        let chosen: Vec<u32> = (0..self.groups.len()).map(|i| draft.mark(i as u32)).collect();
        draft.at_most(chosen.iter().map(|column| (*column, 1)).collect(), 1, 0);
        let with = |host: HostId| -> Vec<u32> {
            chosen
                .iter()
                .zip(&self.groups)
                .filter(|(_, g)| g.contains(host))
                .map(|(column, _)| *column)
                .collect()
        };
        for cell in &members.cells {
            draft.only_if(&[*cell], &with(cell.host));
        }
        for (vm, host) in &members.ended {
            draft.at_most(with(*host).into_iter().map(|column| (column, -1)).collect(), -1, 1);
            if self.is_cut_off(*vm, *host) {
                draft.fails();
            }
        }
        let cut_off = |cell: &&Cell| !cell.stays && self.is_cut_off(cell.vm, cell.host);
        for cell in members.cells.iter().filter(cut_off) {
            draft.only_if(&[*cell], &[]);
        }
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let hosts: Vec<HostId> = self.among.vms.iter().filter_map(|vm| at[vm.index()]).collect();
        let all = |group: &HostSet| hosts.iter().all(|host| group.contains(*host));
        self.groups.iter().position(all).map(|i| (i as u32, 1)).into_iter().collect()
    }

    fn course(&self, course: &mut Course<'_>) {
        let ends = |vm: &VmId| [course.start[vm.index()], course.to[vm.index()]];
        let hosts: Vec<HostId> = self.among.vms.iter().flat_map(ends).flatten().collect();
        course.narrow |= self.groups.len() > 1;
        if let Some(group) = self.groups.iter().find(|group| hosts.iter().all(|host| group.contains(*host))) {
            let group = group.clone();
            course.gate(&self.among.vms, move |pass| group.contains(pass.to.host));
        } else {
            let movers = self.among.vms.iter().copied().filter(|vm| course.moves(*vm));
            let movers: Vec<VmId> = movers.collect();
            course.blocked.extend(movers);
        }
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        if self.groups.is_empty() {
            let reason = format!("{name} wants its VMs inside one of no groups of hosts");
            return Some((reason, conflict(known.problem(), [], [], [name])));
        }
        let fixed = self.among.vms.iter().filter(|vm| known.is_fixed(**vm));
        let stay: Vec<(VmId, HostId)> =
            fixed.filter_map(|vm| known.home(*vm).map(|home| (*vm, home))).collect();
        let holds = |group: &HostSet| stay.iter().all(|(_, home)| group.contains(*home));
        if self.groups.iter().any(holds) {
            return None;
        }
        let names: Vec<_> =
            stay.iter().take(5).map(|(vm, _)| known.problem().vm(*vm).name.as_str()).collect();
        let reason =
            format!("{name} wants one group of hosts for all, but {} cannot move into one", names.join(", "));
        let (vms, homes): (Vec<_>, Vec<_>) = stay.iter().copied().unzip();
        Some((reason, conflict(known.problem(), homes, vms, [name])))
    }
}

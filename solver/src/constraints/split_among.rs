//! `split_among {groups, host_groups}`: each group of VMs is inside one group of hosts, and no two are in the
//! same one. Groups of hosts may overlap: a VM group is given one of those that hold it.
//!
//! A schedule keeps each VM group inside one group of hosts all the way.

use super::among::reach;
use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, groups_named};
use super::{Course, Draft, Flock, HostSet, Impossible, Known, Meaning, Places, Rule, Seat};
use crate::file;
use crate::model::{HostId, Placement, Problem, VmId};
use std::collections::BTreeMap;

/// Each VM group inside one host group, no two in the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SplitAmong {
    /// Each sorted.
    pub groups: Vec<Vec<VmId>>,
    /// Each sorted; they may overlap.
    pub host_groups: Vec<Vec<HostId>>,
}

impl SplitAmong {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::SplitAmong { groups, host_groups } = body else { return None };
        Some(Self { groups: reader.groups(groups), host_groups: reader.host_groups(host_groups) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        let groups = self.groups.iter().map(|group| part.vms(group)).collect();
        Self { groups, host_groups: self.host_groups.clone() }
    }
}

impl Meaning for SplitAmong {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        groups_named(&self.groups)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let places: Vec<HostSet> = self.host_groups.iter().map(|hosts| HostSet::new(hosts)).collect();
        let mut of: BTreeMap<VmId, Vec<usize>> = BTreeMap::new();
        for (g, group) in self.groups.iter().enumerate() {
            for vm in group {
                of.entry(*vm).or_default().push(g);
            }
        }
        Box::new(Apart { groups: &self.groups, problem, places, of, reach: Vec::new() })
    }
}

/// For each group of VMs and each place the VMs outside it; how many VMs of each group run; whether the rule does
/// not hold; the VMs that cannot have come to where they are.
#[derive(Debug)]
struct Apart<'a> {
    groups: &'a [Vec<VmId>],
    problem: &'a Problem,
    places: Vec<HostSet>,
    of: BTreeMap<VmId, Vec<usize>>,
    /// For each group the hosts that it can come to, if the rule must always hold.
    reach: Vec<HostSet>,
}

impl Apart<'_> {
    fn outside(&self, group: usize, place: usize) -> usize {
        group * self.places.len() + place
    }

    fn running(&self, group: usize) -> usize {
        self.groups.len() * self.places.len() + group
    }

    fn broken(&self) -> usize {
        self.running(self.groups.len())
    }

    fn groups_of(&self, vm: VmId) -> &[usize] {
        self.of.get(&vm).map_or(&[], Vec::as_slice)
    }

    fn is_cut_off(&self, vm: VmId, host: HostId) -> bool {
        if self.reach.is_empty() {
            return false;
        }
        let reached = |group: &usize| self.reach[*group].contains(host);
        !self.groups_of(vm).iter().all(reached)
            && self.problem.running_on(vm).is_some_and(|home| home != host)
    }

    /// One VM more or less.
    fn count(&self, cells: &mut [i64], at: Seat, step: i64) {
        let mut changes = false;
        for &group in self.groups_of(at.vm) {
            let mut add = |cell: usize| {
                let before = cells[cell];
                cells[cell] += step;
                changes |= (before == 0) != (cells[cell] == 0);
            };
            add(self.running(group));
            for (i, place) in self.places.iter().enumerate() {
                if !place.contains(at.host) {
                    add(self.outside(group, i));
                }
            }
        }
        cells[self.broken() + 1] += step * i64::from(self.is_cut_off(at.vm, at.host));
        if changes {
            self.judge(cells);
        }
    }

    fn judge(&self, cells: &mut [i64]) {
        let options = |group: usize| -> Option<Vec<usize>> {
            let free = |place: &usize| cells[self.outside(group, *place)] == 0;
            (cells[self.running(group)] > 0).then(|| (0..self.places.len()).filter(free).collect())
        };
        let all: Vec<_> = (0..self.groups.len()).map(options).collect();
        cells[self.broken()] = i64::from(assign(&all).is_err());
    }
}

/// Gives each group that has options one of them, no two the same; an error names a group that gets none.
fn assign(options: &[Option<Vec<usize>>]) -> Result<Vec<Option<usize>>, usize> {
    fn settle(
        group: usize,
        options: &[Option<Vec<usize>>],
        owner: &mut BTreeMap<usize, usize>,
        seen: &mut Vec<usize>,
    ) -> bool {
        for &place in options[group].iter().flatten() {
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let before = owner.get(&place).copied();
            if before.is_none_or(|before| settle(before, options, owner, seen)) {
                owner.insert(place, group);
                return true;
            }
        }
        false
    }
    let mut owner = BTreeMap::new();
    for group in (0..options.len()).filter(|group| options[*group].is_some()) {
        if !settle(group, options, &mut owner, &mut Vec::new()) {
            return Err(group);
        }
    }
    let mut result = vec![None; options.len()];
    for (place, group) in owner {
        result[group] = Some(place);
    }
    Ok(result)
}

impl Rule for Apart<'_> {
    fn cells(&self) -> usize {
        self.broken() + 2
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        self.count(cells, at, 1);
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        self.count(cells, at, -1);
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let mine = self.groups_of(at.vm);
        let free = |group: usize, place: usize| cells[self.outside(group, place)] == 0;
        let open = |group: &usize| {
            (0..self.places.len()).any(|place| free(*group, place) && self.places[place].contains(at.host))
        };
        if !mine.iter().all(open) || self.is_cut_off(at.vm, at.host) {
            return false;
        }
        // Mostly it changes nothing: all places that its group may have are where it comes to.
        let unchanged = |group: &usize| {
            let mut places = 0..self.places.len();
            cells[self.running(*group)] > 0
                && places.all(|place| !free(*group, place) || self.places[place].contains(at.host))
        };
        if mine.iter().all(unchanged) {
            return self.holds(cells);
        }
        let options = |group: usize| -> Option<Vec<usize>> {
            let comes = mine.contains(&group);
            let fits =
                |place: &usize| free(group, *place) && (!comes || self.places[*place].contains(at.host));
            (comes || cells[self.running(group)] > 0).then(|| (0..self.places.len()).filter(fits).collect())
        };
        let all: Vec<_> = (0..self.groups.len()).map(options).collect();
        assign(&all).is_ok()
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[self.broken()] == 0
    }

    fn fails(&self, cells: &[i64]) -> bool {
        cells[self.broken()] > 0 || cells[self.broken() + 1] > 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        if self.holds(cells) {
            return false;
        }
        let options = |group: usize| -> Option<Vec<usize>> {
            let free = |place: &usize| cells[self.outside(group, *place)] == 0;
            (cells[self.running(group)] > 0).then(|| (0..self.places.len()).filter(free).collect())
        };
        let all: Vec<_> = (0..self.groups.len()).map(options).collect();
        let torn = |group: usize| all[group].as_ref().is_some_and(Vec::is_empty);
        let mine = self.groups_of(at.vm);
        if (0..self.groups.len()).any(torn) {
            return mine.iter().any(|&group| {
                // Any place that most of them are in may be the one.
                let count = |place: &usize| cells[self.outside(group, *place)];
                let least = (0..self.places.len()).map(|place| count(&place)).min();
                let mut best = (0..self.places.len()).filter(|place| Some(count(place)) == least);
                torn(group)
                    && (self.places.is_empty() || best.any(|place| !self.places[place].contains(at.host)))
            });
        }
        assign(&all).is_err_and(|group| mine.contains(&group))
    }

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        let host = &problem.host(at.host).name;
        format!("on {host} its group is not alone in one group of hosts")
    }

    fn ever(&self, vm: VmId, host: HostId) -> bool {
        let inside = || self.places.iter().any(|place| place.contains(host));
        self.groups_of(vm).is_empty() || inside()
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        !self.is_cut_off(vm, host)
    }

    fn always(&mut self, _: &[i64]) {
        let homes = |group: &Vec<VmId>| -> Vec<HostId> {
            group.iter().filter_map(|vm| self.problem.running_on(*vm)).collect()
        };
        self.reach = self.groups.iter().map(|group| reach(&self.places, &homes(group))).collect();
    }

    fn flocks(&self) -> Vec<Flock<'_>> {
        self.groups.iter().map(|vms| Flock { vms, places: Places::Groups(&self.places) }).collect()
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let (groups, places) = (self.groups.len(), self.places.len());
        let given: Vec<Vec<u32>> = (0..groups)
            .map(|g| (0..places).map(|p| draft.mark(self.outside(g, p) as u32)).collect())
            .collect();
        for row in &given {
            draft.at_most(row.iter().map(|column| (*column, 1)).collect(), 1, 0);
        }
        for place in 0..places {
            draft.at_most(given.iter().map(|row| (row[place], 1)).collect(), 1, 0);
        }
        for (group, row) in self.groups.iter().zip(&given) {
            let members = draft.members(group);
            let with = |host: HostId| -> Vec<u32> {
                let list = row.iter().zip(&self.places).filter(|(_, place)| place.contains(host));
                list.map(|(column, _)| *column).collect()
            };
            for cell in &members.cells {
                draft.only_if(&[*cell], &with(cell.host));
                if !cell.stays && self.is_cut_off(cell.vm, cell.host) {
                    draft.only_if(&[*cell], &[]);
                }
            }
            for (vm, host) in &members.ended {
                draft.at_most(with(*host).into_iter().map(|column| (column, -1)).collect(), -1, 1);
                if self.is_cut_off(*vm, *host) {
                    draft.fails();
                }
            }
        }
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let options = self.options(|vm| vec![at[vm.index()]]);
        let given = assign(&options).unwrap_or_default().into_iter().enumerate();
        given.filter_map(|(g, place)| Some((self.outside(g, place?) as u32, 1))).collect()
    }

    fn course(&self, course: &mut Course<'_>) {
        course.narrow |= self.places.len() > 1;
        let options = self.options(|vm| vec![course.start[vm.index()], course.to[vm.index()]]);
        match assign(&options) {
            Ok(given) => {
                for (group, place) in self.groups.iter().zip(given) {
                    let Some(place) = place.map(|place| self.places[place].clone()) else { continue };
                    course.gate(group, move |pass| place.contains(pass.to.host));
                }
            }
            Err(group) => {
                let movers: Vec<VmId> =
                    self.groups[group].iter().copied().filter(|vm| course.moves(*vm)).collect();
                let all = || self.groups.iter().flatten().copied().filter(|vm| course.moves(*vm)).collect();
                course.blocked.extend(if movers.is_empty() { all() } else { movers });
            }
        }
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let runs = |group: &&Vec<VmId>| group.iter().any(|vm| known.home(*vm).is_some());
        let running: Vec<&Vec<VmId>> = self.groups.iter().filter(runs).collect();
        (running.len() > self.places.len()).then(|| {
            let reason = format!(
                "{name} wants a group of hosts for each of its {} groups of VMs that run, but has {}",
                running.len(),
                self.places.len()
            );
            let one = |group: &Vec<VmId>| group.iter().copied().find(|vm| known.home(*vm).is_some());
            (reason, conflict(known.problem(), [], running.into_iter().filter_map(one), [name]))
        })
    }
}

impl Apart<'_> {
    /// For each group with a VM that is somewhere, the places that hold all of them.
    fn options(&self, hosts_of: impl Fn(VmId) -> Vec<Option<HostId>>) -> Vec<Option<Vec<usize>>> {
        let of = |group: &Vec<VmId>| -> Option<Vec<usize>> {
            let hosts: Vec<HostId> = group.iter().flat_map(|vm| hosts_of(*vm)).flatten().collect();
            let holds = |place: &usize| hosts.iter().all(|host| self.places[*place].contains(*host));
            (!hosts.is_empty()).then(|| (0..self.places.len()).filter(holds).collect())
        };
        self.groups.iter().map(of).collect()
    }
}

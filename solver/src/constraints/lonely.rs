//! `lonely {vms}`: hosts that run a VM of the set run no VM outside it.
//!
//! The rule knows its own VMs everywhere, and all others on the hosts where it has one.

use super::counts::Counts;
use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, all_named};
use super::{Course, Draft, Impossible, Known, Latch, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Placement, Problem, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// Hosts that run a VM of the set run no VM outside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lonely {
    /// Sorted.
    pub vms: Vec<VmId>,
}

impl Lonely {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Lonely { vms } = body else { return None };
        Some(Self { vms: reader.vms(vms) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms) }
    }
}

impl Meaning for Lonely {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Alone { vms: &self.vms, counts: Counts::new(self.vms.len(), problem.hosts.len()) })
    }
}

/// How many hosts run both kinds, then the VMs of the set on each host.
#[derive(Debug)]
struct Alone<'a> {
    vms: &'a [VmId],
    counts: Counts,
}

impl Alone<'_> {
    fn is_mine(&self, vm: VmId) -> bool {
        self.vms.binary_search(&vm).is_ok()
    }

    fn mine(&self, cells: &[i64], host: HostId) -> i64 {
        self.counts.get(&cells[1..], host.index())
    }
}

/// Both kinds are there.
fn mixed(mine: i64, all: u32) -> i64 {
    i64::from(mine > 0 && mine < i64::from(all))
}

impl Rule for Alone<'_> {
    fn cells(&self) -> usize {
        1 + self.counts.cells()
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        let before = self.mine(cells, at.host);
        let after =
            if self.is_mine(at.vm) { self.counts.add(&mut cells[1..], at.host.index()) } else { before };
        cells[0] += mixed(after, at.others + 1) - mixed(before, at.others);
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        let before = self.mine(cells, at.host);
        let after =
            if self.is_mine(at.vm) { self.counts.take(&mut cells[1..], at.host.index()) } else { before };
        cells[0] += mixed(after, at.others) - mixed(before, at.others + 1);
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let mine = self.mine(cells, at.host);
        if self.is_mine(at.vm) { mine == i64::from(at.others) } else { mine == 0 }
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        mixed(self.mine(cells, at.host), at.others + 1) > 0
    }

    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String {
        let (host, mine) = (&problem.host(at.host).name, self.mine(cells, at.host));
        format!("{host} runs {mine} of its VMs and {} that are not", i64::from(at.others) + 1 - mine)
    }

    fn guards(&self, cells: &[i64], host: HostId) -> bool {
        self.mine(cells, host) > 0
    }

    fn apart(&self) -> Option<&[VmId]> {
        Some(self.vms)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let members = draft.members(self.vms);
        let cells = members.cells.iter().map(|cell| cell.host);
        let hosts: BTreeSet<HostId> = cells.chain(members.ended.iter().map(|(_, host)| *host)).collect();
        for host in hosts {
            let (mine, all) = (members.on(|other| other == host), draft.on(host));
            let others: Vec<_> = all.cells.iter().filter(|cell| !self.is_mine(cell.vm)).copied().collect();
            let fixed = all.ended.iter().any(|(vm, _)| !self.is_mine(*vm));
            if others.is_empty() && !fixed {
                continue;
            }
            if mine.cells.is_empty() && mine.ended.is_empty() {
                continue;
            }
            let here = draft.mark(host.index() as u32);
            for cell in &mine.cells {
                let most = cell.most.min(draft.class_size(cell.class));
                draft.at_most(vec![(cell.column, 1), (here, -most)], 0, 0);
            }
            if !mine.ended.is_empty() {
                draft.force(here);
            }
            for cell in &others {
                let most = cell.most.min(draft.class_size(cell.class));
                draft.at_most(vec![(cell.column, 1), (here, most)], most, most);
            }
            if fixed {
                draft.at_most(vec![(here, 1)], 0, 1);
            }
        }
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let hosts = self.vms.iter().filter_map(|vm| at[vm.index()]);
        hosts.map(|host| (host.index() as u32, 1)).collect()
    }

    /// A host that changes from one kind to the other does so once, and no VM of the set passes through a host
    /// where none starts or ends.
    fn course(&self, course: &mut Course<'_>) {
        let mut kinds: BTreeMap<HostId, [Option<bool>; 2]> = BTreeMap::new();
        for vm in course.problem.vm_ids() {
            let mine = self.is_mine(vm);
            for (i, at) in [course.start, course.to].into_iter().enumerate() {
                if let Some(host) = at[vm.index()] {
                    kinds.entry(host).or_default()[i] = Some(mine);
                }
            }
        }
        course.narrow = true;
        let mut latches: BTreeMap<HostId, Latch> = (kinds.iter())
            .filter(|(_, kind)| matches!(kind, [Some(first), Some(last)] if first != last))
            .map(|(host, _)| (*host, Latch { hosts: vec![*host], ..Latch::default() }))
            .collect();
        for vm in course.problem.vm_ids() {
            if let Some(host) = course.start[vm.index()]
                && let Some(latch) = latches.get_mut(&host)
            {
                latch.leave.push((vm, host));
            }
        }
        course.latches.extend(latches.into_values());
        // `true`: only VMs of the set may come.
        let special: BTreeMap<HostId, bool> =
            (kinds.into_iter()).filter_map(|(host, [first, last])| Some((host, last.or(first)?))).collect();
        let reserved: Vec<HostId> =
            special.iter().filter(|(_, mine)| **mine).map(|(host, _)| *host).collect();
        let vms = self.vms.to_vec();
        course.gate_hosts(reserved, move |pass| vms.binary_search(&pass.vm).is_ok());
        course.gate(self.vms, move |pass| special.get(&pass.to.host) == Some(&true));
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let problem = known.problem();
        let mut fixed: BTreeMap<HostId, [Option<VmId>; 2]> = BTreeMap::new();
        for vm in problem.vm_ids().filter(|vm| known.is_fixed(*vm)) {
            if let Some(home) = known.home(vm) {
                fixed.entry(home).or_default()[usize::from(self.is_mine(vm))] = Some(vm);
            }
        }
        fixed.into_iter().find_map(|(host, kinds)| {
            let [Some(other), Some(mine)] = kinds else { return None };
            let (a, b) = (&problem.vm(mine).name, &problem.vm(other).name);
            let reason = format!("{name} wants no others beside {a}, but neither {a} nor {b} can move");
            Some((reason, conflict(problem, [host], [mine, other], [name])))
        })
    }
}

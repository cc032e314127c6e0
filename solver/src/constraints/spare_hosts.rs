//! `spare_hosts {hosts, min}`: at least `min` of the hosts are online and run no VM.
//!
//! With power actions hosts that are off count as well, as they may be booted ([`super::switching`]).

use super::counts::number;
use super::draft::sum;
use super::known::{conflict, held_by_fixed};
use super::read::Reader;
use super::rule::Part;
use super::switching::{AboutStates, Asked, may_be_spare};
use super::{Course, Draft, HostSet, Impossible, Known, Latch, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, HostState, Placement, Problem, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// At least `min` of the hosts are online and run no VM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpareHosts {
    /// Sorted.
    pub hosts: Vec<HostId>,
    /// Fewest of them.
    pub min: u32,
}

impl SpareHosts {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::SpareHosts { hosts, min } = body else { return None };
        let min = reader.needed("min", *min);
        Some(Self { hosts: reader.hosts(hosts), min: reader.count("min", min) })
    }

    pub(super) fn part(&self, _: &Part<'_>) -> Self {
        self.clone()
    }
}

impl Meaning for SpareHosts {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        Vec::new()
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        // Without power actions these are the hosts that are online.
        let hosts: Vec<HostId> =
            self.hosts.iter().copied().filter(|host| may_be_spare(problem, *host)).collect();
        let most = number(hosts.len()) - i64::from(self.min);
        let spare = Spare { inside: HostSet::new(&hosts), hosts, most, min: i64::from(self.min) };
        if problem.limits.power_actions {
            let held = number(spare.spare_now(problem).len()) >= spare.min;
            return Box::new(Asked::new(problem, &self.hosts, Switched(spare), held));
        }
        Box::new(spare)
    }
}

/// One counter: how many of the hosts that are online run a VM.
#[derive(Debug)]
struct Spare {
    inside: HostSet,
    /// Those that are online, or may be booted.
    hosts: Vec<HostId>,
    /// How many of them may run VMs.
    most: i64,
    min: i64,
}

impl Spare {
    /// Those that are spare before anything is done.
    fn spare_now(&self, problem: &Problem) -> Vec<HostId> {
        let used: BTreeSet<HostId> = problem.initial().iter().flatten().copied().collect();
        let spare = |host: &HostId| problem.host(*host).state == HostState::Online && !used.contains(host);
        self.hosts.iter().copied().filter(spare).collect()
    }

    /// Whether VMs may be on a host in some placement in which the rule holds.
    fn may_be_used(&self, host: HostId) -> bool {
        // If there are too few hosts, no VM is to blame.
        self.most != 0 || !self.inside.contains(host)
    }

    /// Why it cannot hold, if that is plain to see.
    fn hopeless(&self, known: &dyn Known, name: &str, online: &str) -> Option<Impossible> {
        let problem = known.problem();
        if self.most < 0 {
            let (hosts, min) = (self.hosts.len(), self.min);
            let reason = format!("{name} wants {min} spare hosts, but only {hosts} of its hosts {online}");
            return Some((reason, conflict(problem, [], [], [name])));
        }
        let held = held_by_fixed(known, |host| self.inside.contains(*host));
        (number(held.len()) > self.most).then(|| {
            let reason = format!(
                "{name} wants {} of its hosts without VMs, but {} of the {} that {online} run VMs that cannot move",
                self.min,
                held.len(),
                self.hosts.len()
            );
            (reason, conflict(problem, held.keys().copied(), held.values().copied(), [name]))
        })
    }
}

impl Rule for Spare {
    fn cells(&self) -> usize {
        1
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        cells[0] += i64::from(at.others == 0);
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        cells[0] -= i64::from(at.others == 0);
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        at.others > 0 || cells[0] < self.most
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] <= self.most
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        !self.holds(cells) && self.inside.contains(at.host)
    }

    fn why(&self, _: &Problem, cells: &[i64], _: Seat) -> String {
        let spare = number(self.hosts.len()) - cells[0];
        format!("{spare} of its hosts are spare, at least {} must be", self.min)
    }

    fn hosts(&self) -> &[HostId] {
        &self.hosts
    }

    fn empties_hosts(&self) -> bool {
        true
    }

    fn ever(&self, _: VmId, host: HostId) -> bool {
        self.may_be_used(host)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        if self.most < 0 {
            draft.fails();
            return;
        }
        let mut marks = Vec::new();
        for host in &self.hosts {
            let there = draft.on(*host);
            if there.cells.is_empty() && there.ended.is_empty() {
                continue;
            }
            let mark = draft.mark(host.index() as u32);
            for cell in &there.cells {
                let most = cell.most.min(draft.class_size(cell.class));
                draft.at_most(vec![(cell.column, 1), (mark, -most)], 0, 0);
            }
            if !there.ended.is_empty() {
                draft.force(mark);
            }
            marks.push((mark, 1));
        }
        let slack = number(marks.len()) - self.most;
        draft.at_most(marks, self.most, slack);
    }

    fn marks(&self, at: &Placement) -> BTreeMap<u32, i64> {
        let hosts = at.iter().flatten().filter(|host| self.inside.contains(**host));
        hosts.map(|host| (host.index() as u32, 1)).collect()
    }

    /// No VM passes through a host that is empty in the end. Unless there are enough without them, hosts that
    /// come into use wait for all that are emptied.
    fn course(&self, course: &mut Course<'_>) {
        let used = |at: &Placement| -> BTreeSet<HostId> {
            at.iter().flatten().copied().filter(|host| self.inside.contains(*host)).collect()
        };
        let (first, last) = (used(course.start), used(course.to));
        course.narrow = true;
        let empty: Vec<HostId> = self.hosts.iter().copied().filter(|host| !last.contains(host)).collect();
        course.gate_hosts(empty, |_| false);
        let opened: Vec<HostId> = last.difference(&first).copied().collect();
        if !opened.is_empty() && number(first.len() + opened.len()) > self.most {
            let closed: BTreeSet<HostId> = first.difference(&last).copied().collect();
            let leave = course.running_on(|host| closed.contains(host));
            course.latches.push(Latch { leave, hosts: opened, ..Latch::default() });
        }
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        self.hopeless(known, name, "are online")
    }
}

/// Where hosts are switched.
#[derive(Debug)]
struct Switched(Spare);

impl AboutStates for Switched {
    fn why(&self, count: i64) -> String {
        format!("{count} of its hosts are spare, at least {} must be", self.0.min)
    }

    fn ever(&self, host: HostId) -> bool {
        self.0.may_be_used(host)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        if self.0.most < 0 {
            draft.fails();
            return;
        }
        // Up, less those that run something.
        let (mut terms, mut sure) = (Vec::new(), 0);
        for host in &self.0.hosts {
            let (some, known) = sum([(draft.runs(*host), 1), (draft.up(*host), -1)].into_iter());
            terms.extend(some);
            sure += known;
        }
        draft.at_most(terms, -self.0.min - sure, self.0.min);
    }

    /// No VM passes through a host that is empty in the end. Unless enough are spare all the way, hosts that come
    /// into use or are shut down wait for all that are emptied or booted.
    fn course(&self, course: &mut Course<'_>) {
        let used: BTreeSet<HostId> = course.to.iter().flatten().copied().collect();
        let hosts = || self.0.hosts.iter().copied();
        let now = self.0.spare_now(course.problem);
        let then: Vec<HostId> = (hosts())
            .filter(|host| course.states[host.index()] == HostState::Online && !used.contains(host))
            .collect();
        course.narrow = true;
        course.gate_hosts(hosts().filter(|host| !used.contains(host)).collect(), |_| false);
        let all_along = now.iter().filter(|host| then.contains(host)).count();
        if number(all_along) >= self.0.min {
            return;
        }
        let lost = now.iter().copied().filter(|host| !then.contains(host));
        let (filled, offs) = lost.partition(|host| used.contains(host));
        let gained: Vec<HostId> = then.iter().copied().filter(|host| !now.contains(host)).collect();
        let is_off = |host: &HostId| course.problem.host(*host).state == HostState::Offline;
        let (boots, emptied): (Vec<_>, Vec<_>) = gained.into_iter().partition(is_off);
        let leave = course.running_on(|host| emptied.contains(host));
        course.latches.push(Latch { leave, boots, hosts: filled, offs, ..Latch::default() });
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        self.0.hopeless(known, name, "are online or may be booted")
    }
}

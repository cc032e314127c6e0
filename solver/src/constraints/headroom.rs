//! `headroom {hosts, resource, min}`: on each of the hosts that runs a VM, usable minus used stays at least `min`.

use super::draft::most;
use super::read::Reader;
use super::rule::Part;
use super::{Course, Draft, HostSet, Limit, Meaning, Pools, Rule, Seat};
use crate::file;
use crate::model::{Amount, HostId, Problem, VmId};

/// Usable minus used stays at least `min` on each of the hosts that runs a VM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Headroom {
    /// Sorted.
    pub hosts: Vec<HostId>,
    /// Its number; `None` = one that no host has and no VM demands.
    pub resource: Option<usize>,
    /// What must stay free.
    pub min: Amount,
}

impl Headroom {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Headroom { hosts, resource, min } = body else { return None };
        let (resource, min) = (reader.resource(resource), reader.amount("min", *min));
        Some(Self { hosts: reader.hosts(hosts), resource, min })
    }

    pub(super) fn part(&self, _: &Part<'_>) -> Self {
        self.clone()
    }
}

impl Meaning for Headroom {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        Vec::new()
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Free { rule: self, problem, inside: HostSet::new(&self.hosts), always: false })
    }
}

/// How many hosts have too little free, then what is in use on each: at the end, then while the plan runs, as
/// VMs are resized at its end.
#[derive(Debug)]
struct Free<'a> {
    rule: &'a Headroom,
    problem: &'a Problem,
    inside: HostSet,
    always: bool,
}

impl Free<'_> {
    fn need(&self, vm: VmId) -> Amount {
        self.rule.resource.map_or(0, |r| self.problem.vm(vm).demand[r])
    }

    fn present(&self, vm: VmId) -> Amount {
        self.rule.resource.map_or(0, |r| self.problem.vm(vm).present[r])
    }

    /// What the VMs of a host may use; less than 0 = it may run none.
    fn room(&self, host: HostId) -> Amount {
        self.rule.resource.map_or(0, |r| self.problem.host(host).usable[r]) - self.rule.min
    }

    fn used(&self, cells: &[i64], host: HostId) -> Amount {
        self.inside.position(host).map_or(0, |i| cells[1 + i])
    }

    /// Adds an amount of a VM to some counters; `before` and `after` are how many VMs the host runs.
    fn add(&self, cells: &mut [i64], host: HostId, amount: Amount, before: u32, after: u32) {
        let Some(i) = self.inside.position(host) else { return };
        let used = cells[1 + i];
        cells[1 + i] = used + amount;
        cells[0] += self.short(used + amount, after, host) - self.short(used, before, host);
    }

    fn short(&self, used: Amount, vms: u32, host: HostId) -> i64 {
        i64::from(vms > 0 && used > self.room(host))
    }
}

/// Counters of the end, and of the time before.
fn halves(cells: &[i64]) -> (&[i64], &[i64]) {
    cells.split_at(cells.len() / 2)
}

impl Rule for Free<'_> {
    fn cells(&self) -> usize {
        2 + 2 * self.rule.hosts.len()
    }

    fn enter(&self, cells: &mut [i64], at: Seat) {
        let (end, now) = cells.split_at_mut(1 + self.rule.hosts.len());
        self.add(end, at.host, self.need(at.vm), at.others, at.others + 1);
        self.add(now, at.host, self.present(at.vm), at.others, at.others + 1);
    }

    fn leave(&self, cells: &mut [i64], at: Seat) {
        let (end, now) = cells.split_at_mut(1 + self.rule.hosts.len());
        self.add(end, at.host, -self.need(at.vm), at.others + 1, at.others);
        self.add(now, at.host, -self.present(at.vm), at.others + 1, at.others);
    }

    fn admits(&self, cells: &[i64], at: Seat) -> bool {
        let ((end, now), room) = (halves(cells), self.room(at.host));
        self.used(end, at.host) + self.need(at.vm) <= room
            && (!self.always || self.used(now, at.host) + self.present(at.vm) <= room)
    }

    fn holds_at_start(&self, cells: &[i64]) -> bool {
        halves(cells).1[0] == 0
    }

    fn always(&mut self, _: &[i64]) {
        self.always = true;
    }

    fn fails(&self, cells: &[i64]) -> bool {
        !self.holds(cells) || self.always && halves(cells).1[0] > 0
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[0] == 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        let relieves = self.need(at.vm) > 0 || self.room(at.host) < 0;
        relieves
            && self.inside.contains(at.host)
            && self.short(self.used(cells, at.host), at.others + 1, at.host) > 0
    }

    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String {
        let free = self.room(at.host) + self.rule.min - self.used(cells, at.host);
        let what = self.rule.resource.map_or("of it", |r| problem.resources[r].as_str());
        format!("{} has {free} {what} free, at least {} must stay", problem.host(at.host).name, self.rule.min)
    }

    fn wants(&self, cells: &[i64], at: Seat) -> Option<(usize, Amount)> {
        let ((end, now), room) = (halves(cells), self.room(at.host));
        // With more of it the rule may hold at the start, and then has to all the time.
        let used = [(end, self.need(at.vm)), (now, self.present(at.vm))];
        let most = used.map(|(cells, need)| self.used(cells, at.host) + need).into_iter().max()?;
        Some((self.rule.resource?, most - room))
    }

    fn adds_up(&self) -> bool {
        false
    }

    fn hosts(&self) -> &[HostId] {
        &self.rule.hosts
    }

    fn ever(&self, vm: VmId, host: HostId) -> bool {
        !self.inside.contains(host) || self.need(vm) <= self.room(host)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        for host in &self.rule.hosts {
            let (there, room) = (draft.on(*host), self.room(*host));
            if room < 0 {
                if !there.ended.is_empty() {
                    draft.fails();
                }
                for cell in &there.cells {
                    draft.only_if(&[*cell], &[]);
                }
                continue;
            }
            for present in [false, true].into_iter().take(1 + usize::from(self.always)) {
                let takes = |vm: VmId| if present { self.present(vm) } else { self.need(vm) };
                let (terms, used) = there.sum(takes);
                draft.at_most(terms, room - used, most(&there, takes).saturating_sub(room - used));
            }
        }
    }

    fn course(&self, course: &mut Course<'_>) {
        let (none, some): (Vec<HostId>, Vec<HostId>) =
            self.rule.hosts.iter().partition(|host| self.room(**host) < 0);
        course.gate_hosts(none, |_| false);
        if self.rule.resource.is_some() {
            course.limits.push(Limit {
                rooms: some.iter().map(|host| self.room(*host)).collect(),
                pools: Pools::Some(some.into_iter().zip(0..).collect()),
                vms: None,
                resource: self.rule.resource,
                twice: true,
            });
        }
    }
}

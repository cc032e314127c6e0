//! The rules on placements, one file each: what a rule means and how the search keeps track of it.
//!
//! What a rule must remember of a placement are a few counters; they belong to whoever holds the
//! placement, so that a rule itself never changes.

mod ban;
mod fence;
mod gather;
mod spread;
#[cfg(test)]
mod tests;

use crate::model::{Body, Constraint, HostId, Placement, Problem, VmId};
use std::fmt::Debug;

/// One rule. `cells` are its counters for a placement: all zero for the empty one, then kept by
/// [`Rule::enter`] and [`Rule::leave`] for each of its VMs (and only those) that comes to or leaves a host.
pub(crate) trait Rule: Debug + Send + Sync {
    /// How many counters it needs.
    fn cells(&self) -> usize;

    /// A VM of the rule comes to a host.
    fn enter(&self, cells: &mut [u32], host: HostId);

    /// A VM of the rule leaves a host.
    fn leave(&self, cells: &mut [u32], host: HostId);

    /// Whether one more VM of the rule may come to the host without a new breach, all others as they are.
    fn admits(&self, cells: &[u32], host: HostId) -> bool;

    /// Whether the rule holds.
    fn holds(&self, cells: &[u32]) -> bool;

    /// Whether a VM of the rule that is on the host is part of why it does not hold.
    fn at_fault(&self, cells: &[u32], host: HostId) -> bool;

    /// One line that says what is wrong on this host, for a VM that is at fault there.
    fn why(&self, problem: &Problem, cells: &[u32], host: HostId) -> String;
}

/// A rule of the problem, with what is known of it.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    /// As the model has it.
    pub(crate) constraint: &'a Constraint,
    /// The VMs it is about, sorted.
    pub(crate) vms: &'a [VmId],
    pub(crate) rule: Box<dyn Rule + 'a>,
    /// Continuous, and holds at the start: it must hold at every instant.
    pub(crate) always: bool,
    first_cell: usize,
}

impl Kept<'_> {
    /// Whether breaking it makes a plan invalid.
    pub(crate) fn hard(&self) -> bool {
        self.constraint.soft_weight.is_none()
    }

    pub(crate) fn holds(&self, tally: &Tally) -> bool {
        self.rule.holds(&tally.0[self.range()])
    }

    /// Whether one of its VMs that is on the host is part of why it does not hold.
    pub(crate) fn at_fault(&self, tally: &Tally, host: HostId) -> bool {
        self.rule.at_fault(&tally.0[self.range()], host)
    }

    pub(crate) fn why(&self, problem: &Problem, tally: &Tally, host: HostId) -> String {
        self.rule.why(problem, &tally.0[self.range()], host)
    }

    /// Whether one of its VMs may be on the host in some placement.
    pub(crate) fn ever_admits(&self, host: HostId) -> bool {
        match &self.constraint.body {
            Body::Fence { .. } | Body::Ban { .. } => self.rule.admits(&[], host),
            Body::Spread { max, .. } => *max > 0,
            Body::Gather { .. } => true,
        }
    }

    /// Whether it does not hold at the end, or cannot hold on the way there though it must.
    pub(crate) fn fails(&self, problem: &Problem, tally: &Tally, to: &Placement) -> bool {
        !self.holds(tally) || breaks_on_the_way(problem, self, to)
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.first_cell..self.first_cell + self.rule.cells()
    }
}

/// All rules of a problem.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) list: Vec<Kept<'a>>,
    /// Positions in `list` of the rules about each VM.
    of_vm: Vec<Vec<u32>>,
    cells: usize,
}

/// Counters of all rules for one placement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tally(Vec<u32>);

impl<'a> Rules<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let mut rules = Self { list: Vec::new(), of_vm: vec![Vec::new(); problem.vms.len()], cells: 0 };
        for (i, constraint) in problem.constraints.iter().enumerate() {
            let (vms, rule): (&[VmId], Box<dyn Rule + 'a>) = match &constraint.body {
                Body::Spread { vms, scope, max } => {
                    (vms, Box::new(spread::Spread { scope: &problem.scopes[scope.index()], max: *max }))
                }
                Body::Gather { vms, scope } => {
                    (vms, Box::new(gather::Gather { scope: &problem.scopes[scope.index()] }))
                }
                Body::Fence { vms, hosts } => (vms, Box::new(fence::Fence::new(problem, hosts))),
                Body::Ban { vms, hosts } => (vms, Box::new(ban::Ban::new(problem, hosts))),
            };
            for vm in vms {
                rules.of_vm[vm.index()].push(i as u32);
            }
            let first_cell = rules.cells;
            rules.cells += rule.cells();
            rules.list.push(Kept { constraint, vms, rule, always: false, first_cell });
        }
        let start = rules.tally(&problem.initial());
        for kept in &mut rules.list {
            kept.always = kept.constraint.continuous && kept.rule.holds(&start.0[kept.range()]);
        }
        rules
    }

    /// Counters for a placement.
    pub(crate) fn tally(&self, at: &Placement) -> Tally {
        let mut tally = Tally(vec![0; self.cells]);
        for (vm, host) in at.iter().enumerate() {
            if let Some(host) = host {
                self.enter(&mut tally, VmId::from(vm), *host);
            }
        }
        tally
    }

    /// The rules about a VM.
    pub(crate) fn of(&self, vm: VmId) -> impl Iterator<Item = &Kept<'a>> {
        self.of_vm[vm.index()].iter().map(|&i| &self.list[i as usize])
    }

    /// Positions in `list` of the rules about a VM.
    pub(crate) fn positions_of(&self, vm: VmId) -> &[u32] {
        &self.of_vm[vm.index()]
    }

    pub(crate) fn enter(&self, tally: &mut Tally, vm: VmId, host: HostId) {
        for kept in self.of(vm) {
            kept.rule.enter(&mut tally.0[kept.range()], host);
        }
    }

    pub(crate) fn leave(&self, tally: &mut Tally, vm: VmId, host: HostId) {
        for kept in self.of(vm) {
            kept.rule.leave(&mut tally.0[kept.range()], host);
        }
    }

    /// Whether the hard rules let a VM that is nowhere come to a host.
    pub(crate) fn admit(&self, tally: &Tally, vm: VmId, host: HostId) -> bool {
        self.of(vm).filter(|kept| kept.hard()).all(|kept| kept.rule.admits(&tally.0[kept.range()], host))
    }

    /// Soft weights that a VM which is nowhere adds by coming to a host.
    pub(crate) fn price(&self, tally: &Tally, vm: VmId, host: HostId) -> f64 {
        self.of(vm)
            .filter(|kept| {
                let cells = &tally.0[kept.range()];
                !kept.hard() && kept.rule.holds(cells) && !kept.rule.admits(cells, host)
            })
            .filter_map(|kept| kept.constraint.soft_weight)
            .sum()
    }

    /// The first hard rule that does not hold.
    pub(crate) fn broken(&self, tally: &Tally) -> Option<&Kept<'a>> {
        self.list.iter().find(|kept| kept.hard() && !kept.holds(tally))
    }

    /// Weights of the soft rules that do not hold at the end or, where they must, on the way there.
    pub(crate) fn soft_weight(&self, problem: &Problem, tally: &Tally, to: &Placement) -> f64 {
        let broken = |kept: &&Kept<'_>| kept.fails(problem, tally, to);
        self.list.iter().filter(broken).filter_map(|kept| kept.constraint.soft_weight).sum()
    }
}

/// Whether no order of moves can keep a rule that must always hold: while a VM of a gather goes to another
/// value of the scope, it runs in two of them. (The other rules hold on the way if they hold at both ends
/// and the moves come in a right order.)
pub(crate) fn breaks_on_the_way(problem: &Problem, kept: &Kept<'_>, to: &Placement) -> bool {
    let Body::Gather { scope, .. } = &kept.constraint.body else { return false };
    let value = |host: HostId| problem.scopes[scope.index()].value_of[host.index()];
    let crosses = |vm: &&VmId| {
        let from =
            problem.vm(**vm).host.filter(|h| problem.host(*h).state != crate::model::HostState::Failed);
        match (from, to[vm.index()]) {
            (Some(from), Some(to)) => value(from) != value(to),
            _ => false,
        }
    };
    kept.always && kept.vms.iter().any(|vm| crosses(&vm))
}

/// Membership of hosts in a rule.
fn members(problem: &Problem, hosts: &[HostId]) -> Vec<bool> {
    let mut inside = vec![false; problem.hosts.len()];
    for host in hosts {
        inside[host.index()] = true;
    }
    inside
}

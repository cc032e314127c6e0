//! What the rest of the solver asks of a rule.

use super::{Act, Course, Draft, HostSet, Impossible, Known};
use crate::model::{Amount, HostId, Placement, Problem, ScopeId, VmId};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A rule as the model has it.
pub(crate) trait Meaning: Debug + Send + Sync {
    /// The VMs it names, sorted, each with the part of the rule that names it. VMs with other parts cannot
    /// take each other's place.
    fn named(&self, problem: &Problem) -> Vec<(VmId, u32)>;

    /// The rule at work on a problem.
    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a>;
}

/// Some of the VMs and hosts of a problem.
pub(crate) struct Part<'p> {
    /// The VMs that are kept, by their new numbers.
    pub(crate) vm: &'p dyn Fn(VmId) -> Option<VmId>,
    /// The hosts that are kept; their numbers stay.
    pub(crate) host: &'p dyn Fn(HostId) -> bool,
}

impl Part<'_> {
    pub(super) fn vms(&self, vms: &[VmId]) -> Vec<VmId> {
        vms.iter().filter_map(|vm| (self.vm)(*vm)).collect()
    }
}

/// A VM on a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) vm: VmId,
    pub(crate) host: HostId,
    /// How many other VMs the host runs.
    pub(crate) others: u32,
}

/// VMs that belong together in one of several places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flock<'a> {
    pub(crate) vms: &'a [VmId],
    pub(crate) places: Places<'a>,
}

/// The places of a flock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Places<'a> {
    /// The values of a scope.
    Scope(ScopeId, &'a [u32]),
    /// Groups of hosts, which may overlap.
    Groups(&'a [HostSet]),
}

impl Places<'_> {
    /// The places that a host is in.
    pub(crate) fn of(&self, host: HostId) -> Vec<usize> {
        match self {
            Self::Scope(_, value_of) => vec![value_of[host.index()] as usize],
            Self::Groups(groups) => (0..groups.len()).filter(|i| groups[*i].contains(host)).collect(),
        }
    }

    /// Whether a host is in a place.
    pub(crate) fn contains(&self, place: usize, host: HostId) -> bool {
        match self {
            Self::Scope(_, value_of) => value_of[host.index()] as usize == place,
            Self::Groups(groups) => groups[place].contains(host),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Scope(_, value_of) => value_of.iter().max().map_or(0, |most| *most as usize + 1),
            Self::Groups(groups) => groups.len(),
        }
    }

    /// Whether each place is one host.
    pub(crate) fn are_hosts(&self) -> bool {
        matches!(self, Self::Scope(scope, _) if scope.index() == 0)
    }
}

/// A rule at work. `cells` are its counters for a placement: all zero for the empty one, then kept by
/// [`Rule::enter`] and [`Rule::leave`] for each VM that comes to or leaves a host and that the rule is told of:
/// those it names, all on its [`Rule::hosts`], and others as [`Rule::guards`] says.
pub(crate) trait Rule: Debug + Send + Sync {
    /// How many counters it needs.
    fn cells(&self) -> usize;

    /// A VM comes to a host.
    fn enter(&self, cells: &mut [i64], at: Seat);

    /// A VM leaves a host.
    fn leave(&self, cells: &mut [i64], at: Seat);

    /// Whether a VM that is nowhere may come to the host without a new breach, all others as they are.
    fn admits(&self, cells: &[i64], at: Seat) -> bool;

    /// Whether the rule holds.
    fn holds(&self, cells: &[i64]) -> bool;

    /// Whether it does not hold, or no way leads to this end that keeps it where it must.
    fn fails(&self, cells: &[i64]) -> bool {
        !self.holds(cells)
    }

    /// Whether a VM that is on the host is part of why it does not hold.
    fn at_fault(&self, cells: &[i64], at: Seat) -> bool;

    /// One line that says what is wrong on this host, for a VM that is at fault there.
    fn why(&self, problem: &Problem, cells: &[i64], at: Seat) -> String;

    /// Hosts of which it must know every VM.
    fn hosts(&self) -> &[HostId] {
        &[]
    }

    /// Of which resource the host would have to have more, and how much, for the rule to let a VM that is nowhere
    /// come to it; `None` = that is no help.
    fn wants(&self, _: &[i64], _: Seat) -> Option<(usize, Amount)> {
        None
    }

    /// Whether what its other hosts run matters to a VM that comes to one of them.
    fn adds_up(&self) -> bool {
        true
    }

    /// Whether it must know, at present, of every VM that comes to the host or leaves it.
    fn guards(&self, _: &[i64], _: HostId) -> bool {
        false
    }

    /// Whether mending it means to empty hosts.
    fn empties_hosts(&self) -> bool {
        false
    }

    /// Whether the VM may be on the host in some placement in which the rule holds.
    fn ever(&self, _: VmId, _: HostId) -> bool {
        true
    }

    /// Whether, if the rule is kept, the VM can come to the host from where it begins.
    fn lets_go(&self, _: VmId, _: HostId) -> bool {
        true
    }

    /// Whether, if the rule is kept, the VM ends where it begins.
    fn moors(&self, _: VmId) -> bool {
        false
    }

    /// Whether it holds at the start, of which these are the counters: VMs are resized at the end only.
    fn holds_at_start(&self, cells: &[i64]) -> bool {
        self.holds(cells)
    }

    /// Whether, if the rule is kept, the VM is not moved between the NUMA nodes of its host either.
    fn pins(&self, vm: VmId) -> bool {
        self.moors(vm)
    }

    /// Whether it holds if nothing is done at all, where a placement does not tell that: hosts may be switched.
    fn holds_now(&self) -> Option<bool> {
        None
    }

    /// It is continuous and holds at the start, with these counters: it must hold at every instant.
    fn always(&mut self, _: &[i64]) {}

    /// VMs that it keeps together.
    fn flocks(&self) -> Vec<Flock<'_>> {
        Vec::new()
    }

    /// VMs that share hosts with no others.
    fn apart(&self) -> Option<&[VmId]> {
        None
    }

    /// Adds its rows to a linear model.
    fn rows(&self, draft: &mut dyn Draft);

    /// Values of its own columns of the model for a placement, by their keys; the others are 0.
    fn marks(&self, _: &Placement) -> BTreeMap<u32, i64> {
        BTreeMap::new()
    }

    /// VMs that must have moved before others do.
    fn orders(&self) -> Option<(&[VmId], &[VmId])> {
        None
    }

    /// Whether it is about the plan, continuous or not: a schedule must keep it.
    fn is_of_plans(&self) -> bool {
        false
    }

    /// What a schedule must do to keep it on the way. Asked only where it must be kept.
    fn course(&self, _: &mut Course<'_>) {}

    /// Whether actions break it, for a rule about plans.
    fn broken_by(&self, _: &[Act]) -> bool {
        false
    }

    /// A proof that no plan keeps it, if one is plain to see.
    fn impossible(&self, _: &dyn Known, _: &str) -> Option<Impossible> {
        None
    }
}

/// Values of pairs, as a list of VMs with one part for all.
pub(super) fn all_named(vms: &[VmId]) -> Vec<(VmId, u32)> {
    vms.iter().map(|vm| (*vm, 0)).collect()
}

/// The VMs of groups with a part for each, or one for several groups at once.
pub(super) fn groups_named(groups: &[Vec<VmId>]) -> Vec<(VmId, u32)> {
    let mut of: BTreeMap<VmId, Vec<u32>> = BTreeMap::new();
    for (i, group) in groups.iter().enumerate() {
        for vm in group {
            of.entry(*vm).or_default().push(i as u32);
        }
    }
    let mut several: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    let mut next = groups.len() as u32;
    (of.into_iter())
        .map(|(vm, groups)| {
            let part = match groups.as_slice() {
                [one] => *one,
                _ => *several.entry(groups).or_insert_with(|| {
                    next += 1;
                    next
                }),
            };
            (vm, part)
        })
        .collect()
}

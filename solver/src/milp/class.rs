//! VMs that are alike are counted, not named: it makes the model smaller by far and loses nothing.

use super::ends::Ends;
use super::linear::count;
use crate::model::{HostId, Placement, Problem, VmId};
use std::collections::BTreeMap;

/// VMs that can take each other's place: same demands, same rules, and the same ways to move.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Class {
    /// Sorted, never empty.
    pub(super) members: Vec<VmId>,
    /// The members by the host where they run at the start. Empty if they are down: a class is either of
    /// VMs that run or of VMs that do not.
    pub(super) home: BTreeMap<HostId, Vec<VmId>>,
}

impl Class {
    /// Any member; they are alike.
    pub(super) fn one(&self) -> VmId {
        self.members[0]
    }

    pub(super) fn size(&self) -> i64 {
        count(self.members.len())
    }

    pub(super) fn runs(&self) -> bool {
        !self.home.is_empty()
    }

    /// How many members run on a host at the start.
    pub(super) fn here(&self, host: HostId) -> i64 {
        self.home.get(&host).map_or(0, |members| count(members.len()))
    }
}

/// Which VMs are free to move, and which are constants of the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts {
    pub(super) classes: Vec<Class>,
    /// VMs that end on a known host, or nowhere.
    pub(super) fixed: Vec<(VmId, Option<HostId>)>,
}

/// Sorts the VMs into classes. `held` tells where those end that are not to be decided. With `named` each
/// VM is a class of its own.
pub(super) fn parts(
    problem: &Problem,
    ends: &Ends<'_>,
    held: &dyn Fn(VmId) -> Option<Option<HostId>>,
    named: bool,
) -> Parts {
    let mut fixed = Vec::new();
    let mut classes: BTreeMap<_, Class> = BTreeMap::new();
    for vm in problem.vm_ids() {
        let (known, from) = (problem.vm(vm), ends.from(vm));
        if let Some(end) = held(vm) {
            fixed.push((vm, end));
            continue;
        }
        if !ends.may_move(vm) && from.is_none_or(|host| ends.may_stay(vm, host)) {
            fixed.push((vm, from));
            continue;
        }
        let alike = (
            (&known.demand, &known.present),
            ends.rules_of(vm),
            // A VM that can neither stay nor move has no end at all; it must not hide among others.
            (from.is_some(), ends.may_move(vm), ends.pace(vm)),
            // What a VM costs that stays down.
            if from.is_none() { known.priority } else { 0 },
            named.then_some(vm),
        );
        let class =
            classes.entry(alike).or_insert_with(|| Class { members: Vec::new(), home: BTreeMap::new() });
        class.members.push(vm);
        if let Some(from) = from {
            class.home.entry(from).or_default().push(vm);
        }
    }
    // In the order of the file, so that the model does not depend on how the keys compare.
    let mut classes: Vec<_> = classes.into_values().collect();
    classes.sort_by_key(Class::one);
    Parts { classes, fixed }
}

/// Gives each member of a class its host, given how many end on each: who is there already stays.
pub(super) fn place(class: &Class, counts: &BTreeMap<HostId, i64>, to: &mut Placement) {
    let mut left = counts.clone();
    let mut leavers = Vec::new();
    for (host, members) in &class.home {
        let room = left.get_mut(host);
        let stay = room.as_ref().map_or(0, |room| (**room).min(count(members.len())));
        if let Some(room) = room {
            *room -= stay;
        }
        for (i, vm) in members.iter().enumerate() {
            if count(i) < stay {
                to[vm.index()] = Some(*host);
            } else {
                leavers.push(*vm);
            }
        }
    }
    if !class.runs() {
        leavers.clone_from(&class.members);
    }
    leavers.sort();
    let mut leavers = leavers.into_iter();
    for (host, count) in left {
        for vm in leavers.by_ref().take(count.max(0) as usize) {
            to[vm.index()] = Some(host);
        }
    }
    leavers.for_each(|vm| to[vm.index()] = None);
}

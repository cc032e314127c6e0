//! VMs that are alike are counted, not named: it makes the model smaller by far and loses nothing.

use super::ends::Ends;
use super::linear::count;
use crate::model::{HostId, Placement, Problem, Site, VmId};
use std::collections::BTreeMap;

/// VMs that can take each other's place: same demands, same rules, and the same ways to move.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Class {
    /// Sorted, never empty.
    pub(super) members: Vec<VmId>,
    /// The members by the place where they run at the start. Empty if they are down: a class is either of
    /// VMs that run or of VMs that do not.
    pub(super) home: BTreeMap<Site, Vec<VmId>>,
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

    /// How many members run at a place at the start.
    pub(super) fn here(&self, site: Site) -> i64 {
        self.home.get(&site).map_or(0, |members| count(members.len()))
    }

    /// How many run on a host.
    pub(super) fn on(&self, host: HostId) -> i64 {
        count(self.home.iter().filter(|(site, _)| site.host == host).map(|(_, members)| members.len()).sum())
    }

    /// The hosts where they run.
    pub(super) fn hosts(&self) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = self.home.keys().map(|site| site.host).collect();
        hosts.dedup();
        hosts
    }
}

/// Which VMs are free to move, and which are constants of the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts {
    pub(super) classes: Vec<Class>,
    /// VMs that end at a known place, or nowhere.
    pub(super) fixed: Vec<(VmId, Option<Site>)>,
}

/// Sorts the VMs into classes. `held` tells where those end that are not to be decided. With `named` each
/// VM is a class of its own.
pub(super) fn parts(
    problem: &Problem,
    ends: &Ends<'_>,
    held: &dyn Fn(VmId) -> Option<Option<Site>>,
    named: bool,
) -> Parts {
    let (mut fixed, numa) = (Vec::new(), problem.has_numa());
    let mut classes: BTreeMap<_, Class> = BTreeMap::new();
    for vm in problem.vm_ids() {
        let (known, from) = (problem.vm(vm), ends.from(vm));
        if let Some(end) = held(vm) {
            fixed.push((vm, end));
            continue;
        }
        let stays = !ends.may_move(vm) && !ends.may_repin(vm);
        if stays && from.is_none_or(|site| ends.may_stay(vm, site.host)) {
            fixed.push((vm, from));
            continue;
        }
        let alike = (
            (&known.demand, &known.present, if numa { known.numa_count } else { 1 }),
            ends.rules_of(vm),
            // A VM that can neither stay nor move has no end at all; it must not hide among others.
            (from.is_some(), ends.may_move(vm), ends.may_repin(vm), ends.pace(vm)),
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

/// Gives each member of a class its place, given how many end at each: who is there already stays, and who
/// stays on its host goes first to other NUMA nodes there.
pub(super) fn place(class: &Class, counts: &BTreeMap<Site, i64>, to: &mut Placement) {
    let mut left = counts.clone();
    let mut leavers = Vec::new();
    for (site, members) in &class.home {
        let room = left.get_mut(site);
        let stay = room.as_ref().map_or(0, |room| (**room).min(count(members.len())));
        if let Some(room) = room {
            *room -= stay;
        }
        for (i, vm) in members.iter().enumerate() {
            if count(i) < stay {
                to.put(vm.index(), Some(*site));
            } else {
                leavers.push((*vm, Some(site.host)));
            }
        }
    }
    if !class.runs() {
        leavers.extend(class.members.iter().map(|vm| (*vm, None)));
    }
    leavers.sort();
    for (site, count) in left.iter_mut().filter(|(site, _)| !site.nodes.is_empty()) {
        leavers.retain(|(vm, from)| {
            let goes = *count > 0 && *from == Some(site.host);
            if goes {
                *count -= 1;
                to.put(vm.index(), Some(*site));
            }
            !goes
        });
    }
    let mut leavers = leavers.into_iter();
    for (site, count) in left {
        for (vm, _) in leavers.by_ref().take(count.max(0) as usize) {
            to.put(vm.index(), Some(site));
        }
    }
    leavers.for_each(|(vm, _)| to.put(vm.index(), None));
}

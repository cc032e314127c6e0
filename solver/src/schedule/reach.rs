//! Whether there is any way at all, once list schedules have failed.

use super::ground::{Ground, Hop};
use super::search::{self, Route, Scope};
use crate::budget::Budget;
use crate::model::VmId;
use std::collections::BTreeSet;

pub(super) enum Reached {
    /// One after the other.
    By(Vec<Hop>),
    /// Proved: these cannot all come to their places.
    Never(BTreeSet<VmId>),
    Unknown,
}

/// A search that keeps more than so many hosts of VMs in memory is given up.
const MOST_CELLS: usize = 4_000_000;
const MOST_PLACEMENTS: usize = 150_000;
/// Where more hops can follow from one placement, a search over placements comes to nothing in any time.
const MOST_BRANCHES: usize = 100_000;
/// With more VMs times hosts than this it takes too long to ask who can move at all.
const MOST_PAIRS: usize = 20_000_000;

/// Looks for any way to the wanted placement.
pub(super) fn anyhow(ground: &Ground<'_>, budget: &Budget) -> Reached {
    let problem = ground.problem;
    if problem.vms.len().saturating_mul(problem.hosts.len()) > MOST_PAIRS || budget.expired() {
        return Reached::Unknown;
    }
    let all: Vec<VmId> = problem.vm_ids().collect();
    if !ground.knows_all_sites(&all) {
        return Reached::Unknown;
    }
    let Some((mobile, never)) = mobile(ground, budget) else { return Reached::Unknown };
    if !never.is_empty() {
        return Reached::Never(never);
    }
    let movers: Vec<VmId> = ground.movers().filter(|vm| ground.start[vm.index()].is_some()).collect();
    let alone = mobile.len() == movers.len();
    // Those that must move first; if that is not enough, all that can.
    for who in [movers.clone(), mobile] {
        if who.len() * problem.hosts.len() > MOST_BRANCHES {
            break;
        }
        let scope = Scope {
            hosts: None,
            most_hops: problem.limits.max_migrations.unwrap_or(u64::MAX),
            most_placements: MOST_PLACEMENTS.min(MOST_CELLS / who.len().max(1)),
            who,
        };
        match search::route(ground, &ground.start, &ground.room, &scope, budget) {
            Route::Found(hops) => return Reached::By(hops),
            Route::Nowhere if alone || scope.who.len() > movers.len() => {
                return Reached::Never(movers.into_iter().collect());
            }
            Route::Nowhere | Route::Unknown => {}
        }
    }
    Reached::Unknown
}

/// VMs that can ever move, supposing that all others that can have vanished, and the movers among all VMs
/// that cannot come to their place even so. If there are such, there is no way.
fn mobile(ground: &Ground<'_>, budget: &Budget) -> Option<(Vec<VmId>, BTreeSet<VmId>)> {
    let problem = ground.problem;
    let mut room = ground.room.clone();
    let mut still: Vec<VmId> =
        problem.vm_ids().filter(|vm| ground.start[vm.index()].is_some() && !problem.vm(*vm).pinned).collect();
    let mut mobile = Vec::new();
    loop {
        let mut rest = Vec::new();
        for vm in still.iter().copied() {
            if budget.expired() {
                return None;
            }
            let mut targets = problem.host_ids().flat_map(|host| problem.sites(vm, host));
            let moves = targets.any(|to| {
                let hop = Hop { vm, from: ground.start.site(vm.index()), to };
                ground.fits(&room, hop) && ground.may_hop(hop)
            });
            if moves {
                let here = ground.start.site(vm.index()).into_iter();
                here.flat_map(|site| ground.holds(vm, site)).for_each(|(pool, amount)| room[pool] += amount);
                mobile.push(vm);
            } else {
                rest.push(vm);
            }
        }
        if rest.len() == still.len() {
            break;
        }
        still = rest;
    }
    mobile.sort_unstable();
    let comes = |vm: &VmId| {
        let Some(hop) = ground.last_hop(*vm, &ground.start) else { return true };
        hop.from.is_none()
            || (mobile.binary_search(vm).is_ok() && ground.fits(&room, Hop { from: None, ..hop }))
    };
    let never = ground.movers().filter(|vm| !comes(vm)).collect();
    Some((mobile, never))
}

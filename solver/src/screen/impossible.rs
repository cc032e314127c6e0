//! Proofs that there is no plan at all, each with a small set of things that cannot hold together.

use super::facts::Facts;
use super::space::Space;
use crate::constraints::Kept;
use crate::file::Conflict;
use crate::model::{Amount, Body, HostId, HostState, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// A reason in an operator's words, and what it names.
pub(crate) type Impossible = (String, Conflict);

/// The first proof found.
pub(crate) fn impossible(space: &Space<'_>, facts: &Facts) -> Option<Impossible> {
    (facts.forced.iter().find_map(|vm| nowhere_to_go(space, *vm)))
        .or_else(|| space.rules.list.iter().filter(|kept| kept.hard()).find_map(|kept| rule(space, kept)))
        .or_else(|| too_many_moves(space, facts))
        .or_else(|| too_little_room(space))
}

fn conflict<'a>(
    space: &Space<'_>,
    hosts: impl IntoIterator<Item = HostId>,
    vms: impl IntoIterator<Item = VmId>,
    rules: impl IntoIterator<Item = &'a str>,
) -> Conflict {
    let problem = space.problem;
    let hosts: BTreeSet<_> = hosts.into_iter().collect();
    let vms: BTreeSet<_> = vms.into_iter().collect();
    let rules: BTreeSet<_> = rules.into_iter().collect();
    Conflict {
        hosts: hosts.into_iter().map(|host| problem.host(host).name.clone()).collect(),
        vms: vms.into_iter().map(|vm| problem.vm(vm).name.clone()).collect(),
        constraints: rules.into_iter().map(str::to_owned).collect(),
    }
}

/// A VM that may not stay where it is and can go to no other host.
fn nowhere_to_go(space: &Space<'_>, vm: VmId) -> Option<Impossible> {
    let home = space.home[vm.index()]?;
    let problem = space.problem;
    let (name, from) = (&problem.vm(vm).name, &problem.host(home).name);
    let against: Vec<&Kept<'_>> = space.forbidding(vm, home).collect();
    let rules = against.iter().map(|kept| kept.constraint.name.as_str());
    let trouble = if space.must_leave(vm) {
        format!("{from} is draining")
    } else {
        let kept = against.first()?;
        format!("the rule {} does not let it be on {from}", kept.constraint.name)
    };
    if problem.vm(vm).pinned {
        let reason = format!("{name} is pinned to {from}, but {trouble}");
        return Some((reason, conflict(space, [home], [vm], rules)));
    }
    if space.could_go_somewhere(vm) {
        return None;
    }
    let mut obstacles: BTreeMap<String, usize> = BTreeMap::new();
    let mut named: BTreeSet<&str> = rules.collect();
    let mut others = 0;
    for host in problem.host_ids().filter(|host| *host != home) {
        others += 1;
        let (obstacle, rule) = obstacle(space, vm, home, host);
        *obstacles.entry(obstacle).or_default() += 1;
        named.extend(rule);
    }
    let mut list: Vec<_> = obstacles.into_iter().collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let list: Vec<_> = list.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
    let reason = if others == 0 {
        format!("{name} must leave {from}, as {trouble}, and there is no other host")
    } else {
        let none = if others == 1 {
            "the only other host cannot".to_owned()
        } else {
            format!("none of the {others} other hosts can")
        };
        format!("{name} must leave {from}, as {trouble}, and {none} take it: {}", list.join(", "))
    };
    Some((reason, conflict(space, [home], [vm], named)))
}

/// Why a host cannot take a VM: what follows a count of hosts, and the rule that says so.
fn obstacle<'a>(space: &Space<'a>, vm: VmId, home: HostId, host: HostId) -> (String, Option<&'a str>) {
    let problem = space.problem;
    match problem.host(host).state {
        HostState::Online => {}
        HostState::Offline => return ("powered off".into(), None),
        HostState::Draining => return ("draining".into(), None),
        HostState::Cordoned => return ("cordoned".into(), None),
        HostState::Failed => return ("failed".into(), None),
    }
    let small = |r: &usize| space.demand(vm)[*r] > problem.host(host).usable[*r];
    if let Some(r) = (0..space.width).find(small) {
        return (format!("with less {} than it needs ({})", problem.resources[r], space.demand(vm)[r]), None);
    }
    if let Some(kept) = space.forbidding(vm, host).next() {
        return (format!("ruled out by {}", kept.constraint.name), Some(&kept.constraint.name));
    }
    if !problem.can_migrate(vm, home, host) {
        return ("to which no migration of it can come to an end".into(), None);
    }
    let tied = space
        .rules
        .of(vm)
        .find(|kept| kept.hard() && kept.always && matches!(kept.constraint.body, Body::Gather { .. }));
    match tied {
        Some(kept) => (
            format!("ruled out by {}, which holds all the way", kept.constraint.name),
            Some(&kept.constraint.name),
        ),
        None => ("out of reach".into(), None),
    }
}

/// VMs that cannot move, or more VMs than places, break a rule in every plan.
fn rule(space: &Space<'_>, kept: &Kept<'_>) -> Option<Impossible> {
    let name = kept.constraint.name.as_str();
    match &kept.constraint.body {
        Body::Spread { vms, scope, max } => {
            let scope = &space.problem.scopes[scope.index()];
            let value = |host: HostId| scope.value_of[host.index()];
            let mut stay: BTreeMap<u32, Vec<(VmId, HostId)>> = BTreeMap::new();
            let mut places: BTreeSet<u32> = space.open.iter().map(|host| value(*host)).collect();
            let running: Vec<VmId> =
                vms.iter().copied().filter(|vm| space.home[vm.index()].is_some()).collect();
            for &vm in &running {
                let Some(home) = space.home[vm.index()] else { continue };
                if space.may_stay(vm) {
                    places.insert(value(home));
                }
                if space.fixed[vm.index()] {
                    stay.entry(value(home)).or_default().push((vm, home));
                }
            }
            let most = u64::from(*max);
            if let Some(list) = stay.into_values().find(|list| list.len() as u64 > most) {
                let list = &list[..=*max as usize];
                let names: Vec<_> = list.iter().map(|(vm, _)| space.problem.vm(*vm).name.as_str()).collect();
                let reason = format!(
                    "{name} lets at most {max} of its VMs share a {}, but {} cannot move",
                    scope.name,
                    names.join(", ")
                );
                let hosts = list.iter().map(|(_, host)| *host);
                return Some((reason, conflict(space, hosts, list.iter().map(|(vm, _)| *vm), [name])));
            }
            (running.len() as u64 > most * places.len() as u64).then(|| {
                let reason = format!(
                    "{name} lets at most {max} of its VMs share a {}, but {} of them run and only {} can take VMs",
                    scope.name,
                    running.len(),
                    places.len()
                );
                let enough = (most * places.len() as u64 + 1) as usize;
                (reason, conflict(space, [], running.into_iter().take(enough), [name]))
            })
        }
        Body::Gather { vms, scope } => {
            let scope = &space.problem.scopes[scope.index()];
            let mut stay = vms
                .iter()
                .filter(|vm| space.fixed[vm.index()])
                .filter_map(|vm| space.home[vm.index()].map(|home| (*vm, home)));
            let first = stay.next()?;
            let apart =
                stay.find(|other| scope.value_of[other.1.index()] != scope.value_of[first.1.index()])?;
            let (a, b) = (&space.problem.vm(first.0).name, &space.problem.vm(apart.0).name);
            let reason = format!("{name} wants one {} for all, but neither {a} nor {b} can move", scope.name);
            Some((reason, conflict(space, [first.1, apart.1], [first.0, apart.0], [name])))
        }
        Body::Fence { vms, hosts } => {
            let vms: Vec<VmId> = vms.iter().copied().filter(|vm| space.home[vm.index()].is_some()).collect();
            let (what, need, room) = shortage(space, &vms, hosts)?;
            let reason = format!(
                "the running VMs of {name} need {need} {what}, its hosts that take or keep VMs have {room}"
            );
            Some((reason, conflict(space, hosts.iter().copied(), vms, [name])))
        }
        Body::Ban { .. } => None,
    }
}

/// The first resource of which some VMs need more than some hosts can give.
fn shortage<'a>(space: &Space<'a>, vms: &[VmId], hosts: &[HostId]) -> Option<(&'a str, Amount, Amount)> {
    let takes_part = |host: &&HostId| match space.problem.host(**host).state {
        HostState::Online => true,
        HostState::Cordoned => space.home_count[host.index()] > 0,
        _ => false,
    };
    let hosts: Vec<HostId> = hosts.iter().filter(takes_part).copied().collect();
    (0..space.width).find_map(|r| {
        let need: Amount = vms.iter().map(|vm| space.demand(*vm)[r]).sum();
        let cell = |host: &HostId| host.index() * space.width + r;
        let room: Amount =
            hosts.iter().map(|host| space.usable[cell(host)].max(space.home_used[cell(host)])).sum();
        (need > room).then(|| (space.problem.resources[r].as_str(), need, room))
    })
}

fn too_many_moves(space: &Space<'_>, facts: &Facts) -> Option<Impossible> {
    let most = space.problem.limits.max_migrations?;
    (facts.forced.len() as u64 > most).then(|| {
        let count = facts.forced.len();
        let verb = if count == 1 { "VM has" } else { "VMs have" };
        let reason =
            format!("{count} {verb} to leave their hosts, but at most {most} migrations are allowed");
        let some: Vec<VmId> = facts.forced.iter().copied().take(most as usize + 1).collect();
        let hosts: Vec<_> = some.iter().filter_map(|vm| space.home[vm.index()]).collect();
        (reason, conflict(space, hosts, some, []))
    })
}

/// All running VMs need more than all hosts that may run VMs at the end can give.
fn too_little_room(space: &Space<'_>) -> Option<Impossible> {
    let problem = space.problem;
    let vms: Vec<VmId> = problem.vm_ids().filter(|vm| space.home[vm.index()].is_some()).collect();
    let hosts: Vec<HostId> = problem.host_ids().collect();
    let (what, need, room) = shortage(space, &vms, &hosts)?;
    let leaving: Vec<HostId> =
        hosts.into_iter().filter(|host| problem.host(*host).state == HostState::Draining).collect();
    let names: Vec<_> = leaving.iter().take(4).map(|host| problem.host(*host).name.as_str()).collect();
    let more = if leaving.len() > names.len() { " and more" } else { "" };
    let reason = format!(
        "without {}{more} the hosts have {room} {what}, but the running VMs need {need}",
        names.join(", ")
    );
    let movers = vms.into_iter().filter(|vm| space.must_leave(*vm));
    Some((reason, conflict(space, leaving, movers, [])))
}

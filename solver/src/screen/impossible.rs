//! Proofs that there is no plan at all, each with a small set of things that cannot hold together.

use super::facts::Facts;
use super::space::Space;
use crate::constraints::{self, Impossible, Kept};
use crate::file::Conflict;
use crate::model::{Amount, HostId, HostState, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// The first proof found.
pub(crate) fn impossible(space: &Space<'_>, facts: &Facts) -> Option<Impossible> {
    (facts.forced.iter().find_map(|vm| nowhere_to_go(space, *vm)))
        .or_else(|| {
            let mut hard = space.rules.list.iter().filter(|kept| kept.hard());
            hard.find_map(|kept| kept.rule.impossible(space, &kept.constraint.name))
                .map(|found| with_holders(space, found))
        })
        .or_else(|| super::circle::circle(space, facts))
        .or_else(|| too_many_moves(space, facts))
        .or_else(|| too_little_room(space))
}

fn conflict<'a>(
    space: &Space<'_>,
    hosts: impl IntoIterator<Item = HostId>,
    vms: impl IntoIterator<Item = VmId>,
    rules: impl IntoIterator<Item = &'a str>,
) -> Conflict {
    constraints::conflict(space.problem, hosts, vms, rules)
}

/// Names also the rules that make VMs of a conflict stay where they are.
fn with_holders(space: &Space<'_>, (reason, mut conflict): Impossible) -> Impossible {
    let problem = space.problem;
    let named: BTreeSet<&str> = conflict.vms.iter().map(String::as_str).collect();
    let mut rules: BTreeSet<String> = conflict.constraints.iter().cloned().collect();
    for vm in problem.vm_ids().filter(|vm| named.contains(problem.vm(*vm).name.as_str())) {
        if space.fixed[vm.index()] && !problem.vm(vm).pinned {
            let away = space.open.iter().filter(|host| space.home[vm.index()] != Some(**host));
            let holders = away.flat_map(|host| space.rules.holding(vm, *host));
            rules.extend(holders.map(|kept| kept.constraint.name.clone()));
        }
    }
    conflict.constraints = rules.into_iter().collect();
    (reason, conflict)
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
    let mut hosts = vec![home];
    for host in problem.host_ids().filter(|host| *host != home) {
        others += 1;
        let (obstacle, rule) = obstacle(space, vm, home, host);
        *obstacles.entry(obstacle).or_default() += 1;
        // What a rule says of a host is true whatever the host is.
        hosts.extend(rule.is_none().then_some(host));
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
    Some((reason, conflict(space, hosts, [vm], named)))
}

/// Why a host cannot take a VM: what follows a count of hosts, and the rule that says so.
fn obstacle<'a>(space: &Space<'a>, vm: VmId, home: HostId, host: HostId) -> (String, Option<&'a str>) {
    let problem = space.problem;
    match problem.host(host).state {
        HostState::Online => {}
        HostState::Offline if problem.takes_vms(host) => {}
        HostState::Offline => return ("powered off".into(), None),
        HostState::Draining => return ("draining".into(), None),
        HostState::Cordoned => return ("cordoned".into(), None),
        HostState::Failed => return ("failed".into(), None),
    }
    let small = |r: &usize| space.demand(vm)[*r] > problem.host(host).usable[*r];
    if let Some(r) = (0..space.width).find(small) {
        return (format!("with less {} than it needs ({})", problem.resources[r], space.demand(vm)[r]), None);
    }
    if !space.large_enough(vm, host) {
        let nodes = problem.host(host).numa.count() > 0;
        let what = if nodes { "with NUMA nodes too small or too few" } else { "with less than it takes now" };
        return (what.into(), None);
    }
    if let Some(kept) = space.forbidding(vm, host).next() {
        return (format!("ruled out by {}", kept.constraint.name), Some(&kept.constraint.name));
    }
    if !problem.can_reach(vm, home, host) {
        return ("to which no migration of it can come to an end".into(), None);
    }
    match space.rules.holding(vm, host).next() {
        Some(kept) => (
            format!("ruled out by {}, which holds all the way", kept.constraint.name),
            Some(&kept.constraint.name),
        ),
        None => ("out of reach".into(), None),
    }
}

/// The first resource of which some VMs need more than some hosts can give.
pub(super) fn shortage<'a>(
    space: &Space<'a>,
    vms: &[VmId],
    hosts: &[HostId],
) -> Option<(&'a str, Amount, Amount)> {
    let takes_part = |host: &&HostId| match space.problem.host(**host).state {
        HostState::Online => true,
        HostState::Cordoned => space.home_count[host.index()] > 0,
        _ => space.problem.takes_vms(**host),
    };
    let hosts: Vec<HostId> = hosts.iter().filter(takes_part).copied().collect();
    (0..space.width).find_map(|r| {
        let need: Amount = vms.iter().map(|vm| space.demand(*vm)[r]).sum();
        let room: Amount = hosts.iter().map(|host| space.most(*host, r)).sum();
        (need > room).then(|| (space.problem.resources[r].as_str(), need, room))
    })
}

/// Why VMs cannot stay where they are: the hard rules that say so.
pub(super) fn expelling<'a>(space: &'a Space<'_>, vms: &[VmId]) -> BTreeSet<&'a str> {
    let of = |vm: &VmId| {
        let home = space.home[vm.index()].filter(|_| !space.must_leave(*vm));
        home.and_then(|home| space.forbidding(*vm, home).next())
    };
    vms.iter().filter_map(of).map(|kept| kept.constraint.name.as_str()).collect()
}

fn too_many_moves(space: &Space<'_>, facts: &Facts) -> Option<Impossible> {
    let most = space.problem.limits.max_migrations?;
    (facts.forced.len() as u64 > most).then(|| {
        let count = facts.forced.len();
        let verb = if count == 1 { "VM has" } else { "VMs have" };
        let some: Vec<VmId> = facts.forced.iter().copied().take(most as usize + 1).collect();
        let hosts: Vec<_> = some.iter().filter_map(|vm| space.home[vm.index()]).collect();
        let rules = expelling(space, &some);
        let leaving = hosts.iter().filter(|host| space.problem.host(**host).state == HostState::Draining);
        let leaving: BTreeSet<&str> = leaving.map(|host| space.problem.host(*host).name.as_str()).collect();
        let drained = listed(leaving.iter().copied());
        let why = [("draining ", drained), ("the rules ", listed(rules.iter().copied()))];
        let why: Vec<String> = why
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}{names}"))
            .collect();
        let reason = format!(
            "{count} {verb} to leave their hosts ({}), but at most {most} migrations are allowed",
            why.join("; ")
        );
        (reason, conflict(space, hosts, some, rules))
    })
}

/// The first few of some names.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = if names.len() > 4 { " and more" } else { "" };
    format!("{}{more}", names[..names.len().min(4)].join(", "))
}

/// All running VMs need more than all hosts that may run VMs at the end can give.
fn too_little_room(space: &Space<'_>) -> Option<Impossible> {
    let problem = space.problem;
    let mut vms: Vec<VmId> = problem.vm_ids().filter(|vm| space.home[vm.index()].is_some()).collect();
    let hosts: Vec<HostId> = problem.host_ids().collect();
    let (what, need, room) = shortage(space, &vms, &hosts)?;
    let leaving = hosts.iter().filter(|host| problem.host(**host).state == HostState::Draining);
    let leaving = listed(leaving.map(|host| problem.host(*host).name.as_str()));
    let without = if leaving.is_empty() { String::new() } else { format!("without {leaving} ") };
    let reason = format!("{without}the hosts have {room} {what}, but the running VMs need {need}");
    // The largest of them are too many already.
    let resource = problem.resources.iter().position(|name| name == what)?;
    let demand = |vm: &VmId| space.demand(*vm)[resource];
    vms.sort_by_key(|vm| (std::cmp::Reverse(demand(vm)), *vm));
    let mut sum = 0;
    let enough = vms.iter().position(|vm| {
        sum += demand(vm);
        sum > room
    })?;
    vms.truncate(enough + 1);
    Some((reason, conflict(space, hosts, vms, [])))
}

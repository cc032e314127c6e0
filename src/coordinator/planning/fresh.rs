//! Whether a plan that was solved a while ago still fits what is known now.

use crate::coordinator::inventory::{Cell, HostEntry};
use crate::coordinator::load::{
    Levels, Pair, RESOURCES, UNITS, add, demand, exceeds, loads, parts, subtract, usable,
};
use crate::coordinator::rules;
use crate::coordinator::settings::Settings;
use crate::record::{AdminState, Connection, VmState};
use dvms_solver::file::{Action, ActionKind, Constraint, Plan, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// Why a plan of which nothing was begun yet must not be carried out any more; for its approval and its start.
/// What has changed elsewhere, or within what hosts can carry, does not matter.
pub(crate) fn stale(cell: &Cell, settings: &Settings, problem: &Problem, plan: &Plan) -> Option<String> {
    let was: BTreeMap<&str, &str> =
        problem.vms.iter().map(|vm| (vm.name.as_str(), vm.host.as_str())).collect();
    let mut begun = BTreeSet::new();
    for action in &plan.actions {
        let first = begun.insert(action.vm.as_str());
        if first && was.get(action.vm.as_str()).is_some_and(|host| *host != action.source) {
            return Some(format!("{} was planned from another host than {}", action.vm, action.source));
        }
        let why = if first { source(cell, action) } else { None };
        if let Some(why) = why.or_else(|| destination(cell, &action.destination)) {
            return Some(why);
        }
    }
    let drained = problem.hosts.iter().filter(|host| host.state == "DRAINING");
    for host in drained.filter(|host| plan.actions.iter().any(|action| action.source == host.name)) {
        let now = cell.hosts.get(&host.name).map(|entry| entry.admin);
        if now != Some(AdminState::Draining) {
            return Some(format!("{} is not to be drained any more", host.name));
        }
    }
    too_full(cell, settings, plan).or_else(|| breaks(cell, settings, plan))
}

/// Why an action of a plan must not be begun now, those before it having ended: the VM is not where the action
/// takes it from, its destination does not take VMs or would be overloaded, or a rule would be broken on the way
/// or, by what is left of the plan, at its end.
pub(crate) fn action_unsafe(
    cell: &Cell,
    settings: &Settings,
    plan: &Plan,
    action: &Action,
) -> Option<String> {
    source(cell, action)
        .or_else(|| destination(cell, &action.destination))
        .or_else(|| no_room(cell, settings, action))
        .or_else(|| {
            let rules = rules::about(cell, &settings.constraints, &BTreeSet::from([action.vm.as_str()]));
            let places = rules::places(cell, &rules);
            let (rule, why) =
                rules::broken_on_the_way(cell, &rules, &places, &action.vm, &action.destination)?;
            Some(format!("the rule {rule} would not hold while {} moves: {why}", action.vm))
        })
        .or_else(|| breaks(cell, settings, plan))
}

/// Why an action cannot take its VM from where it says.
fn source(cell: &Cell, action: &Action) -> Option<String> {
    let (vm, from) = (&action.vm, &action.source);
    if let Some(flight) = cell.flight(vm) {
        return Some(format!("{vm} is on its way to {} by another action", flight.destination));
    }
    match action.kind {
        ActionKind::Migrate => {
            let homes: Vec<&str> = cell.homes(vm).collect();
            if homes != [from.as_str()] {
                let real = if homes.is_empty() { "nowhere".to_owned() } else { homes.join(" and ") };
                return Some(format!("{vm} is on {real}, not on {from}"));
            }
            let host = cell.hosts.get(from)?;
            if !host.is_known() {
                return Some(format!("{from}, where {vm} is, is out of reach"));
            }
            let state = host.vms.get(vm)?.report.state;
            (state != VmState::Running).then(|| format!("{vm} is {state:?} on {from}, not running"))
        }
        ActionKind::Start => {
            if let Some(host) = rules::place_here(cell, vm) {
                return Some(format!("{vm} runs on {host} already"));
            }
            let failed = |host: &HostEntry| host.connection == Connection::Failed;
            if !from.is_empty() && !cell.hosts.get(from).is_some_and(failed) {
                return Some(format!("{from}, from where {vm} was to be restarted, is not failed any more"));
            }
            let known = cell.waiting.contains_key(vm) || cell.homes(vm).any(|home| home == from);
            (!known).then(|| format!("{vm} is not waiting to be started any more"))
        }
        ActionKind::Boot | ActionKind::Shutdown => Some("hosts are not switched on or off".to_owned()),
    }
}

/// Why nothing may come to a host.
fn destination(cell: &Cell, name: &str) -> Option<String> {
    match cell.hosts.get(name) {
        None => Some(format!("{name} is not known any more")),
        Some(host) if !host.is_known() => Some(format!("{name} is out of reach")),
        Some(host) => match host.admin {
            AdminState::Online => None,
            AdminState::Draining => Some(format!("{name} is to be drained")),
            AdminState::Cordoned => Some(format!("{name} is cordoned")),
        },
    }
}

/// What a VM needs, wherever it is.
fn need(cell: &Cell, vm: &str) -> Pair {
    let entry = cell.vm(vm).map(|(_, entry)| entry).or_else(|| cell.waiting.get(vm));
    entry.map_or([0, 0], demand)
}

/// Why a host cannot take what would come to it, with what it then carries: more than makes it overloaded.
fn full(host: &str, entry: &HostEntry, settings: &Settings, load: Pair, more: Pair) -> Option<String> {
    let usable = usable(entry, &settings.inventory);
    let most = parts(usable, Levels::new(&settings.detection).overload);
    if !exceeds(load, most) {
        return None;
    }
    // What is over and is not asked for more of is not made worse.
    let r = (0..2).find(|&r| load[r] > most[r] && more[r] > 0)?;
    Some(format!(
        "{host} would be expected to use {} {} of {}, more than {} is an overload",
        load[r], UNITS[r], RESOURCES[r], most[r]
    ))
}

fn no_room(cell: &Cell, settings: &Settings, action: &Action) -> Option<String> {
    let name = &action.destination;
    let host = cell.hosts.get(name)?;
    let more = need(cell, &action.vm);
    let mut load = loads(cell).get(name.as_str()).copied().unwrap_or_default().now;
    add(&mut load, more);
    full(name, host, settings, load, more)
}

/// Where a plan brings VMs that are not there yet: the last destination of each.
fn ends(plan: &Plan) -> BTreeMap<&str, &str> {
    let moved: BTreeSet<&str> = plan.actions.iter().map(|action| action.vm.as_str()).collect();
    let all = plan.placement.iter().map(|(vm, host)| (vm.as_str(), host.as_str()));
    all.filter(|(vm, _)| moved.contains(vm)).collect()
}

/// A host that would be overloaded at the end of the plan.
fn too_full(cell: &Cell, settings: &Settings, plan: &Plan) -> Option<String> {
    let mut loads = loads(cell);
    let mut gains: BTreeMap<&str, Pair> = BTreeMap::new();
    for (vm, to) in ends(plan) {
        let more = need(cell, vm);
        let from = rules::place(cell, vm).unwrap_or("");
        if from == to {
            continue;
        }
        if let Some(load) = loads.get_mut(from) {
            subtract(&mut load.later, more);
        }
        if let Some(load) = loads.get_mut(to) {
            add(&mut load.later, more);
        }
        add(gains.entry(to).or_default(), more);
    }
    gains.into_iter().find_map(|(name, more)| {
        let load = loads.get(name)?.later;
        full(name, cell.hosts.get(name)?, settings, load, more)
    })
}

/// A hard rule that holds now and would not at the end of the plan, or one that would be broken further.
fn breaks(cell: &Cell, settings: &Settings, plan: &Plan) -> Option<String> {
    let ends = ends(plan);
    let rules = &rules::about(cell, &settings.constraints, &ends.keys().copied().collect());
    if rules.is_empty() {
        return None;
    }
    let before = rules::places(cell, rules);
    let mut after = before.clone();
    after.extend(ends.into_iter().map(|(vm, host)| (vm.to_owned(), host.to_owned())));
    let broken = rules::broken(cell, rules, &before);
    let now = rules::broken(cell, rules, &after);
    let hard = || rules.iter().filter(|rule| rule.soft_weight.is_none());
    let further = |rule: &Constraint| {
        let why = rules::broken_further(cell, rule, &before, &after)?;
        Some(format!("the rule {}, which does not hold, would be broken further: {why}", rule.name))
    };
    if let Some(why) = hard().filter(|rule| broken.contains_key(&rule.name)).find_map(further) {
        return Some(why);
    }
    let new = |rule: &&Constraint| now.contains_key(&rule.name) && !broken.contains_key(&rule.name);
    let rule = &hard().find(new)?.name;
    let why = &now[rule];
    Some(format!("the rule {rule} would not hold at the end: {why}"))
}

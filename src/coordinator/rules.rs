//! The operator's rules over the present placement. What a rule means is the checker's business; here is who
//! it is about.

use super::inventory::{Cell, HostEntry};
use crate::record::Connection;
use dvms_solver::check::check;
use dvms_solver::file::{
    self, Action, ActionKind, Body, Constraint, Hosts, Labels, Plan, Problem, Status, Vms,
};
use std::collections::{BTreeMap, BTreeSet};

/// VMs and where they run.
pub(super) type Places = BTreeMap<String, String>;

/// Where a VM runs, or will when its action has ended. One on a failed host is down. Of what other coordinators have,
/// only VMs are known that rules bind to others.
pub(super) fn place<'a>(cell: &'a Cell, vm: &str) -> Option<&'a str> {
    // Of its own hosts this coordinator knows better.
    let afar = || Some(cell.afar.vm(vm)?.1.host.as_str()).filter(|host| !cell.hosts.contains_key(*host));
    place_here(cell, vm).or_else(afar).filter(|host| !host.is_empty())
}

/// The same, as the own cell alone knows it.
pub(super) fn place_here<'a>(cell: &'a Cell, vm: &str) -> Option<&'a str> {
    if let Some(flight) = cell.flight(vm) {
        return Some(&flight.destination);
    }
    let up = |host: &&str| cell.hosts.get(*host).is_some_and(|host| host.connection != Connection::Failed);
    cell.homes(vm).find(up)
}

/// The running VMs of a set, and where they run.
pub(super) fn members(cell: &Cell, set: &Vms) -> Places {
    let placed = |vm: &String| Some((vm.clone(), place(cell, vm)?.to_owned()));
    let mut members: Places = set.vms.iter().filter_map(placed).collect();
    if !set.vm_selector.is_empty() {
        let living = cell.hosts.values().flat_map(HostEntry::living);
        // One that waits runs nowhere, but its start may be under way.
        let chosen =
            living.chain(&cell.waiting).filter(|(_, entry)| matches(&set.vm_selector, &entry.report.labels));
        members.extend(chosen.filter_map(|(vm, _)| placed(vm)));
        let afar = cell.afar.vms().filter(|(_, bound)| matches(&set.vm_selector, &bound.labels));
        members.extend(afar.filter_map(|(vm, _)| placed(vm)));
    }
    members
}

/// Whether a VM is one of a set.
fn belongs(cell: &Cell, set: &Vms, vm: &str) -> bool {
    // A walk over rules takes long where it copies labels that nobody wants.
    let labels = if set.vm_selector.is_empty() { Labels::new() } else { labels(cell, vm) };
    chosen(set, vm, &labels)
}

/// The same, of a VM with these labels.
pub(super) fn chosen(set: &Vms, vm: &str, labels: &Labels) -> bool {
    set.vms.iter().any(|name| name == vm) || matches(&set.vm_selector, labels)
}

/// Labels of VMs that rules name.
pub(super) fn vm_label_keys(rules: &[Constraint]) -> BTreeSet<&str> {
    rules.iter().flat_map(sets).flat_map(|set| set.vm_selector.keys()).map(String::as_str).collect()
}

/// Whether a rule is about a VM.
pub(super) fn is_about(cell: &Cell, rule: &Constraint, vm: &str) -> bool {
    sets(rule).any(|set| belongs(cell, set, vm))
}

/// Whether a rule is about a VM with these labels.
pub(super) fn is_about_labelled(rule: &Constraint, vm: &str, labels: &Labels) -> bool {
    sets(rule).any(|set| chosen(set, vm, labels))
}

/// Rules that have VMs in this cell.
pub(super) fn with_vms_here(cell: &Cell, rules: &[Constraint]) -> Vec<Constraint> {
    if cell.afar.is_empty() {
        return rules.to_vec();
    }
    let here = |rule: &&Constraint| {
        let living = || cell.hosts.values().flat_map(HostEntry::living).chain(&cell.waiting);
        sets(rule).any(|set| {
            set.vms.iter().any(|vm| place_here(cell, vm).is_some())
                || (!set.vm_selector.is_empty()
                    && living().any(|(_, entry)| matches(&set.vm_selector, &entry.report.labels)))
        })
    };
    rules.iter().filter(here).cloned().collect()
}

/// Whether what a rule means depends on where VMs are that no host has that one of its VMs is on, or comes to, or on what is
/// done with them: it binds VMs of different hosts to each other.
pub(super) fn reaches_beyond_a_host(rule: &Constraint) -> bool {
    match &rule.body {
        Some(Body::Spread { scope, .. }) => scope.as_deref().is_some_and(|scope| scope != "host"),
        Some(Body::Gather { .. } | Body::Before { .. }) => true,
        _ => false,
    }
}

/// Labels of hosts that rules name.
pub(super) fn label_keys(rules: &[Constraint]) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for rule in rules {
        match &rule.body {
            Some(Body::Spread { scope: Some(scope), .. } | Body::Gather { scope: Some(scope), .. }) => {
                keys.insert(scope.as_str());
            }
            Some(Body::Fence { hosts, .. } | Body::Ban { hosts, .. }) => {
                keys.extend(hosts.host_selector.keys().map(String::as_str));
            }
            _ => {}
        }
    }
    keys
}

/// The hosts of a set, of whatever cell.
pub(super) fn hosts(cell: &Cell, set: &Hosts) -> BTreeSet<String> {
    let here = cell.hosts.iter().map(|(name, host)| (name, &host.hello.labels));
    let chosen = |(_, labels): &(&String, &Labels)| matches(&set.host_selector, labels);
    let found = here.chain(cell.afar.hosts()).filter(chosen).map(|(name, _)| name.clone());
    // Of the hosts of other cells those with labels are known; all may be named.
    found.chain(set.hosts.iter().cloned()).collect()
}

/// Whether labels are what a selector wants; an empty one selects nothing.
pub(super) fn matches(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Value of a scope on a host; one without the label is a value of its own.
pub(super) fn value<'a>(cell: &'a Cell, scope: Option<&str>, host: &'a str) -> (bool, &'a str) {
    let label = scope.filter(|scope| *scope != "host");
    let found = label.and_then(|label| host_labels(cell, host)?.get(label));
    found.map_or((false, host), |value| (true, value))
}

/// The labels of a host, of whatever cell.
fn host_labels<'a>(cell: &'a Cell, host: &str) -> Option<&'a Labels> {
    cell.hosts.get(host).map(|entry| &entry.hello.labels).or_else(|| cell.afar.labels(host))
}

/// The rules that are about some of these VMs: a walk over all VMs of all rules takes long in a large cell.
pub(super) fn about(cell: &Cell, rules: &[Constraint], names: &BTreeSet<&str>) -> Vec<Constraint> {
    let labels: BTreeMap<&str, Labels> = names.iter().map(|vm| (*vm, labels(cell, vm))).collect();
    let concerns = |rule: &&Constraint| {
        sets(rule).any(|set| {
            set.vms.iter().any(|vm| names.contains(vm.as_str()))
                || labels.values().any(|labels| matches(&set.vm_selector, labels))
        })
    };
    rules.iter().filter(concerns).cloned().collect()
}

/// The VMs that rules are about, where they run.
pub(super) fn places(cell: &Cell, rules: &[Constraint]) -> Places {
    rules.iter().flat_map(sets).flat_map(|set| members(cell, set)).collect()
}

/// All sets of VMs that a rule is about.
fn sets(rule: &Constraint) -> impl Iterator<Item = &Vms> {
    let both = match &rule.body {
        Some(Body::Before { first, second }) => [Some(first), Some(second)],
        _ => [vms(rule), None],
    };
    both.into_iter().flatten()
}

/// Of some VMs the first that a rule wants to come before this one, or after it: VMs of both its sides are out of turn.
pub(super) fn out_of_turn<'a>(
    cell: &Cell,
    rule: &Constraint,
    vm: &str,
    others: &BTreeSet<&'a str>,
) -> Option<&'a str> {
    let Some(Body::Before { first, second }) = &rule.body else { return None };
    let of = |set: &Vms| others.iter().copied().find(|other| *other != vm && belongs(cell, set, other));
    let late = belongs(cell, second, vm).then(|| of(first)).flatten();
    late.or_else(|| belongs(cell, first, vm).then(|| of(second)).flatten())
}

/// The VMs of a rule about where they are; `None` = it is about when something is done with them.
pub(super) fn vms(rule: &Constraint) -> Option<&Vms> {
    match rule.body.as_ref()? {
        Body::Spread { vms, .. }
        | Body::Gather { vms, .. }
        | Body::Fence { vms, .. }
        | Body::Ban { vms, .. } => Some(vms),
        _ => None,
    }
}

/// Rules that do not hold when VMs run where `places` says, and why. Hard and soft ones alike.
pub(super) fn broken(cell: &Cell, rules: &[Constraint], places: &Places) -> BTreeMap<String, String> {
    if places.is_empty() {
        return BTreeMap::new();
    }
    judge(&world(cell, rules.iter(), places), Vec::new(), places.clone())
}

/// Why a rule that does not hold would be broken further: VMs would come to where no others of it may come.
pub(super) fn broken_further(
    cell: &Cell,
    rule: &Constraint,
    before: &Places,
    after: &Places,
) -> Option<String> {
    let set = vms(rule)?;
    let belongs = |vm: &str| belongs(cell, set, vm);
    let here = after.iter().filter(|(vm, _)| belongs(vm));
    let mut came = here.clone().filter(|(vm, host)| before.get(*vm) != Some(*host));
    // One that is astray already may go from one closed host to another.
    let strays = |again: bool, closed: &dyn Fn(&String) -> bool| {
        let astray = |vm: &String| again && before.get(vm).is_some_and(closed);
        let (vm, host) = came.clone().find(|(vm, host)| closed(host) && !astray(vm))?;
        Some(format!("{vm} would come to {host}"))
    };
    match rule.body.as_ref()? {
        Body::Fence { hosts, .. } => strays(true, &|host| !self::hosts(cell, hosts).contains(host)),
        Body::Ban { hosts, .. } => strays(true, &|host| self::hosts(cell, hosts).contains(host)),
        Body::Spread { scope, max, .. } => {
            let count = |places: &Places, at: (bool, &str)| {
                let there = |(vm, host): &(&String, &String)| {
                    value(cell, scope.as_deref(), host) == at && belongs(vm)
                };
                places.iter().filter(there).count()
            };
            came.find_map(|(vm, host)| {
                let at = value(cell, scope.as_deref(), host);
                let (was, will) = (count(before, at), count(after, at));
                let most = usize::try_from(max.unwrap_or(1)).unwrap_or(0);
                (will > was && was >= most).then(|| format!("{vm} would come to {host}, which has {was}"))
            })
        }
        Body::Gather { scope, .. } => {
            let scope = scope.as_deref();
            let mine: Vec<&String> =
                before.iter().filter(|(vm, _)| belongs(vm)).map(|(_, was)| was).collect();
            let same = |was: &str, host: &str| value(cell, scope, was) == value(cell, scope, host);
            strays(false, &|host| !mine.iter().any(|was| same(was, host)))
        }
        _ => None,
    }
}

/// The first continuous hard rule that holds, but no longer while a VM is on its way to a host.
pub(super) fn broken_on_the_way(
    cell: &Cell,
    rules: &[Constraint],
    places: &Places,
    vm: &str,
    to: &str,
) -> Option<(String, String)> {
    let continuous = || rules.iter().filter(|rule| rule.continuous && rule.soft_weight.is_none());
    continuous().next()?;
    let mut places = places.clone();
    let from = places.get(vm).cloned().unwrap_or_default();
    let before = judge(&world(cell, continuous(), &places), Vec::new(), places.clone());
    let mut problem = world(cell, continuous(), &places);
    problem.constraints.iter_mut().for_each(|rule| rule.continuous = true);
    let absent = |name: &str| problem.hosts.iter().all(|host| host.name != name);
    if absent(to) {
        problem.hosts.push(host(cell, to));
    }
    if from.is_empty() {
        problem.vms.push(file::Vm { name: vm.to_owned(), labels: labels(cell, vm), ..file::Vm::default() });
    }
    let action = Action {
        id: 1,
        kind: if from.is_empty() { ActionKind::Start } else { ActionKind::Migrate },
        vm: vm.to_owned(),
        source: from,
        destination: to.to_owned(),
        start_s: 0.0,
        end_s: 1.0,
        after: Vec::new(),
        because: "to be judged".to_owned(),
        numa: Vec::new(),
    };
    places.insert(vm.to_owned(), to.to_owned());
    judge(&problem, vec![action], places).into_iter().find(|(rule, _)| !before.contains_key(rule))
}

/// A problem without amounts, in which every rule is hard and to hold at the end.
fn world<'a>(cell: &Cell, rules: impl Iterator<Item = &'a Constraint>, places: &Places) -> Problem {
    let constraints = rules.filter(|rule| vms(rule).is_some());
    let hosts: BTreeSet<&String> = places.values().collect();
    Problem {
        hosts: hosts.into_iter().map(|name| host(cell, name)).collect(),
        vms: (places.iter())
            .map(|(vm, host)| file::Vm {
                name: vm.clone(),
                host: host.clone(),
                labels: labels(cell, vm),
                ..file::Vm::default()
            })
            .collect(),
        constraints: constraints
            .map(|rule| Constraint { soft_weight: None, continuous: false, ..rule.clone() })
            .collect(),
        ..Problem::default()
    }
}

fn host(cell: &Cell, name: &str) -> file::Host {
    let labels = host_labels(cell, name).cloned().unwrap_or_default();
    file::Host { name: name.to_owned(), labels, ..file::Host::default() }
}

/// The labels of a VM, of whatever cell.
pub(super) fn labels(cell: &Cell, vm: &str) -> Labels {
    let here = cell.arriving(vm).map(|entry| &entry.report.labels);
    here.or_else(|| cell.afar.vm(vm).map(|(_, bound)| &bound.labels)).cloned().unwrap_or_default()
}

/// What the checker says of the rules; its other remarks do not matter here.
fn judge(problem: &Problem, actions: Vec<Action>, placement: Places) -> BTreeMap<String, String> {
    let plan = Plan { status: Status::Feasible, actions, placement, ..Plan::default() };
    let violations = check(problem, &plan).violations.into_iter().filter(|violation| violation.rule == 5);
    let named = |violation: dvms_solver::check::Violation| {
        let name = violation.subject.strip_prefix("constraints[")?.strip_suffix(']')?.to_owned();
        let why = violation.message;
        let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why).to_owned();
        Some((name, why))
    };
    violations.filter_map(named).collect()
}

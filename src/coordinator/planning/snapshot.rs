//! The problem that the solver is given: what is known of some hosts at this moment.

use super::capacity::{Place, Role, level};
use super::{linked, network, rules};
use crate::coordinator::detect::Key;
use crate::coordinator::inventory::{Cell, VmEntry};
use crate::coordinator::load::{RESOURCES, add, demand, loads, subtract};
use crate::coordinator::settings::{PostCopy, Settings};
use crate::record::{EventKind, VmState};
use dvms_solver::file::{Amounts, Host, Limits, Problem, Vm};
use dvms_solver::migration::CONVERGES;
use std::collections::{BTreeMap, BTreeSet};

/// Most of a resource that a VM is believed to use, and a host to have: sums stay within what a problem may hold,
/// whatever an agent says.
const MOST_OF_VM: i64 = 1 << 32;
const MOST_OF_HOST: i64 = 1 << 40;

/// A VM of the problem.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) name: &'a str,
    /// Empty = it waits.
    pub(super) host: &'a str,
    pub(super) entry: &'a VmEntry,
    /// Stays where it is.
    pub(super) fixed: bool,
    /// Waits, or was on a failed host.
    pub(super) down: bool,
}

/// The problem of some hosts.
///
/// * Receivers are not filled above their target; see [`level`] for when they are. A host between target and
///   overload is full and not over, unless its overload is among `answers`.
/// * What the plan is not to answer must not stand in its way: a host to be drained and a rule that is broken
///   already bind it only when they are among `answers`; otherwise the host is CORDONED and the rule soft. With
///   no `answers` (a request of an operator) all is taken at its word.
/// * VMs that wait are only in the problem when they are among `answers`: two plans for different hosts would
///   else both start them.
/// * VMs on the move count at both ends: they are pinned to where they go, and what they hold elsewhere is not
///   there for others. So is what VMs use that cannot be planned with.
/// * What cannot move now (paused, on the move, on a host that is out of reach, `vm_rest`: an action on it
///   failed a short time ago) is pinned. On a host that is drained it is left out, as it would make the problem
///   infeasible: the others leave.
/// * VMs of a FAILED host are to be started elsewhere, unless there is no definition to start them from. Whether
///   that may happen without asking is not decided here.
/// * A host is planned with the bandwidth that migrations from it were seen to reach. A VM that writes too fast for it
///   counts as one that writes nothing where post-copy may be used.
/// * Uplinks of racks and sites are links of the problem.
/// * Rules are restricted to the VMs and hosts of the problem such that what holds here holds in the whole cell.
pub(crate) fn problem(
    cell: &Cell,
    hosts: &BTreeSet<String>,
    objective: &str,
    limits: Option<&Limits>,
    answers: &[Key],
    vm_rest: &dyn Fn(&str) -> bool,
    settings: &Settings,
) -> Problem {
    let loads = loads(cell);
    let answered = |kind: EventKind, subject: &str| {
        answers.iter().any(|(answer, about)| *answer == kind && about == subject)
    };
    let places: Vec<Place<'_>> = (cell.hosts.iter())
        .filter(|(name, _)| hosts.contains(*name) && is_name(name))
        .map(|(name, host)| {
            let drains = answers.is_empty() || answered(EventKind::Drain, name);
            let load = loads.get(name.as_str()).copied().unwrap_or_default();
            let stands = answered(EventKind::Overload, name);
            Place::new(name, host, Role::of(host, drains), load, stands, settings)
        })
        .collect();
    let mut drafts = drafts(cell, &places, vm_rest);
    let waits = |vm: &str| answered(EventKind::VmWaiting, vm) && !vm_rest(vm);
    let (waiting, bound) = waiting(cell, &places, &waits);
    drafts.extend(waiting);
    let fill = level(&places, homeless(&places, &drafts), settings);
    let constraints = rules::restricted(cell, &places, &drafts, &bound, answers, &settings.constraints);
    Problem {
        name: String::new(),
        hosts: places.iter().map(|place| host(cell, place, &drafts, fill, settings)).collect(),
        vms: drafts.iter().map(|draft| vm(cell, draft, settings)).collect(),
        constraints,
        objective: objective.to_owned(),
        limits: limits.cloned(),
        network: network::network(&places, &settings.execution.uplinks),
        ..Problem::default()
    }
}

/// VMs that live on the hosts or are on their way there.
fn drafts<'a>(cell: &'a Cell, places: &[Place<'a>], vm_rest: &dyn Fn(&str) -> bool) -> Vec<Draft<'a>> {
    let mut drafts: BTreeMap<&str, Draft<'a>> = BTreeMap::new();
    for (name, flight) in cell.flights() {
        let there = places.iter().find(|place| place.name == flight.destination);
        let entry = cell.vm(name).map(|(_, entry)| entry).or_else(|| cell.waiting.get(name));
        let stays = |place: &&Place<'_>| !matches!(place.role, Role::Draining | Role::Failed);
        if let (Some(place), Some(entry)) = (there.filter(stays), entry) {
            drafts.insert(name, Draft { name, host: place.name, entry, fixed: true, down: false });
        }
    }
    for place in places {
        for (name, entry) in place.host.living() {
            // One on the move is where it goes; one on two hosts is where rules count it.
            let failed = place.role == Role::Failed;
            let here = if failed { None } else { Some(place.name) };
            if cell.flight(name).is_some()
                || drafts.contains_key(name.as_str())
                || crate::coordinator::rules::place_here(cell, name) != here
            {
                continue;
            }
            let doubled = cell.home(name).is_none();
            let stuck = doubled
                || vm_rest(name)
                || entry.report.state != VmState::Running
                || place.role == Role::Silent
                || (failed && entry.report.definition.is_empty());
            if stuck && place.role == Role::Draining {
                continue;
            }
            let draft = Draft { name, host: place.name, entry, fixed: stuck, down: failed };
            drafts.insert(name, draft);
        }
    }
    drafts.into_values().filter(|draft| is_name(draft.name)).collect()
}

/// VMs that run nowhere and are to be started; and of those that some host knows how to start, the hosts of the
/// problem among these.
type Waiting<'a> = (Vec<Draft<'a>>, BTreeMap<&'a str, Vec<&'a str>>);

fn waiting<'a>(cell: &'a Cell, places: &[Place<'a>], wanted: &dyn Fn(&str) -> bool) -> Waiting<'a> {
    let (mut drafts, mut bound) = (Vec::new(), BTreeMap::new());
    for (name, entry) in cell.waiting.iter().filter(|(name, _)| wanted(name) && is_name(name)) {
        if cell.flight(name).is_some() || cell.homes(name).next().is_some() {
            continue;
        }
        if let Some(mut defined) = linked::defined_at(cell, name) {
            defined.retain(|host| places.iter().any(|place| place.name == *host));
            if defined.is_empty() {
                continue;
            }
            bound.insert(name.as_str(), defined);
        } else if entry.report.definition.is_empty() {
            continue;
        }
        drafts.push(Draft { name, host: "", entry, fixed: false, down: true });
    }
    (drafts, bound)
}

/// What has to find a place.
fn homeless(places: &[Place<'_>], drafts: &[Draft<'_>]) -> [i64; 2] {
    let leaves = |draft: &&Draft<'_>| {
        let drained = || places.iter().any(|p| p.name == draft.host && p.role == Role::Draining);
        !draft.fixed && (draft.down || drained())
    };
    let mut sum = [0, 0];
    drafts.iter().filter(leaves).for_each(|draft| add(&mut sum, demand(draft.entry)));
    sum
}

fn host(cell: &Cell, place: &Place<'_>, drafts: &[Draft<'_>], fill: [f64; 2], settings: &Settings) -> Host {
    let mut capacity = place.ceiling(fill, settings);
    if place.role != Role::Failed {
        // What is here and not in the problem is not there for others.
        let mut foreign = place.load.now;
        let here = drafts.iter().filter(|draft| draft.host == place.name);
        here.for_each(|draft| subtract(&mut foreign, demand(draft.entry)));
        subtract(&mut capacity, foreign.map(|amount| amount.max(0)));
    }
    let capacity = capacity.map(|amount| amount.clamp(0, MOST_OF_HOST));
    let inventory = &settings.inventory;
    let slots = place.host.max_migrations(inventory).saturating_sub(cell.migrations(place.name));
    let bandwidth = Some(cell.planned_bandwidth(place.host, inventory));
    Host {
        name: place.name.to_owned(),
        capacity: amounts(capacity),
        state: place.role.state().to_owned(),
        labels: place.host.hello.labels.clone(),
        migration_bandwidth: bandwidth.filter(|bandwidth| bandwidth.is_finite()),
        max_migrations: Some(i64::from(slots)),
        ..Host::default()
    }
}

fn vm(cell: &Cell, draft: &Draft<'_>, settings: &Settings) -> Vm {
    let report = &draft.entry.report;
    let written = report.dirty_rate_mib_s.filter(|rate| rate.is_finite() && *rate >= 0.0);
    // By post-copy all is sent once, however fast it is written.
    let here = cell.hosts.get(draft.host);
    let rate = here.map_or(0.0, |host| cell.planned_bandwidth(host, &settings.inventory));
    let fetched = settings.migration.post_copy == PostCopy::WhenNeeded;
    let sent_again = written.filter(|written| !fetched || *written < CONVERGES * rate);
    Vm {
        name: draft.name.to_owned(),
        host: draft.host.to_owned(),
        demand: amounts(demand(draft.entry).map(|amount| amount.clamp(0, MOST_OF_VM))),
        pinned: draft.fixed,
        memory_dirty_rate: sent_again,
        labels: report.labels.clone(),
        ..Vm::default()
    }
}

fn amounts(pair: [i64; 2]) -> Amounts {
    RESOURCES.iter().map(|name| (*name).to_owned()).zip(pair).collect()
}

/// Whether the contract takes it as a name. What has another one is left out.
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.chars().all(is_of_name)
}

/// Whether the contract takes it in a name.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.:@-".contains(c)
}

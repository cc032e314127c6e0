//! The actions of a schedule: hosts that are booted, the moves, hosts that are shut down.
//!
//! Mostly all hosts that are to be up are booted at once, and what comes to one waits for it. A host is shut down
//! after all that leaves it, those that only passed through included. What waits beside that is told by
//! [`super::switch`].

use super::after;
use super::ground::Ground;
use super::run::Step;
use super::switch::BeforeOff;
use crate::file::{Action, ActionKind};
use crate::model::HostId;
use std::collections::{BTreeMap, BTreeSet};

/// When hosts are switched, in seconds.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// When they are up.
    up: BTreeMap<HostId, f64>,
    off: BTreeMap<HostId, f64>,
}

impl Times {
    /// When the last one is.
    pub(super) fn last_s(&self) -> f64 {
        self.up.values().chain(self.off.values()).copied().fold(0.0, f64::max)
    }
}

/// The steps by which VMs leave each host.
fn leaving(steps: &[Step]) -> BTreeMap<HostId, Vec<usize>> {
    let mut leaving: BTreeMap<HostId, Vec<usize>> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        if let Some(from) = step.hop.left() {
            leaving.entry(from).or_default().push(i);
        }
    }
    leaving
}

/// When hosts are switched where the moves are these; `None` if they wait for each other.
pub(super) fn times(ground: &Ground<'_>, steps: &[Step]) -> Option<Times> {
    let leaving = leaving(steps);
    let empty_s = |host: HostId| {
        let steps = leaving.get(&host).into_iter().flatten().map(|i| steps[*i].end_s);
        steps.fold(0.0, f64::max)
    };
    let switches = &ground.switches;
    let mut times = Times::default();
    let (mut boots, mut offs): (Vec<HostId>, Vec<HostId>) =
        (switches.booted().collect(), switches.shut().collect());
    while !boots.is_empty() || !offs.is_empty() {
        let left = boots.len() + offs.len();
        boots.retain(|host| {
            let before: Option<Vec<f64>> =
                switches.before_boot(*host).iter().map(|off| times.off.get(off).copied()).collect();
            let Some(before) = before else { return true };
            let start_s = before.into_iter().fold(0.0, f64::max);
            times.up.insert(*host, start_s + ground.problem.host(*host).boot_s);
            false
        });
        offs.retain(|host| {
            let before = switches.before_off(*host);
            let up = before.map_or(&[][..], |before: &BeforeOff| &before.up);
            let up: Option<Vec<f64>> = up.iter().map(|host| times.up.get(host).copied()).collect();
            let Some(up) = up else { return true };
            let empty = before.into_iter().flat_map(|before| &before.empty).chain([host]);
            // One that is passed through is booted before.
            let booted = switches.is_booted(*host).then(|| times.up.get(host).copied());
            let Some(booted) = booted.map_or(Some(0.0), |up| up) else { return true };
            let at_s = empty.map(|host| empty_s(*host)).chain(up).fold(booted, f64::max);
            times.off.insert(*host, at_s);
            false
        });
        if boots.len() + offs.len() == left {
            return None;
        }
    }
    Some(times)
}

/// What an action is about, in the order in which they are told if nothing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Boot(HostId),
    Step(u32),
    Off(HostId),
}

/// What each waits for.
fn order(ground: &Ground<'_>, steps: &[Step]) -> BTreeMap<Deed, BTreeSet<Deed>> {
    let (switches, leaving) = (&ground.switches, leaving(steps));
    let gone = |host: &HostId| leaving.get(host).into_iter().flatten().map(|i| Deed::Step(*i as u32));
    let mut order: BTreeMap<Deed, BTreeSet<Deed>> = BTreeMap::new();
    for host in switches.booted() {
        let before = switches.before_boot(host).iter().map(|off| Deed::Off(*off));
        order.insert(Deed::Boot(host), before.collect());
    }
    for ((i, step), after) in steps.iter().enumerate().zip(after::reduced(steps)) {
        let to = step.hop.to.host;
        let boots = switches.before_entry(to).iter().chain([&to]);
        let boots = boots.filter(|host| switches.is_booted(**host)).map(|host| Deed::Boot(*host));
        let after = after.into_iter().map(Deed::Step);
        order.insert(Deed::Step(i as u32), boots.chain(after).collect());
    }
    for host in switches.shut() {
        let mut before: BTreeSet<Deed> = gone(&host).collect();
        if before.is_empty() && switches.is_booted(host) {
            before.insert(Deed::Boot(host));
        }
        if let Some(more) = switches.before_off(host) {
            before.extend(more.up.iter().map(|host| Deed::Boot(*host)));
            before.extend(more.empty.iter().flat_map(gone));
        }
        order.insert(Deed::Off(host), before);
    }
    order
}

/// The actions, each after those that it waits for.
pub(super) fn actions(ground: &Ground<'_>, steps: &[Step], times: &Times) -> Vec<Action> {
    let order = order(ground, steps);
    let mut ids: BTreeMap<Deed, u64> = BTreeMap::new();
    let mut waiting: BTreeMap<Deed, usize> = BTreeMap::new();
    let mut then: BTreeMap<Deed, Vec<Deed>> = BTreeMap::new();
    let mut ready: BTreeSet<Deed> = BTreeSet::new();
    for (deed, before) in &order {
        if before.is_empty() {
            ready.insert(*deed);
        }
        waiting.insert(*deed, before.len());
        for other in before {
            then.entry(*other).or_default().push(*deed);
        }
    }
    let mut actions: Vec<Action> = Vec::new();
    while let Some(deed) = ready.pop_first() {
        let id = actions.len() as u64 + 1;
        ids.insert(deed, id);
        let after = order[&deed].iter().map(|other| ids[other]).collect();
        actions.push(Action { id, after, ..action(ground, steps, times, deed) });
        for next in then.remove(&deed).into_iter().flatten() {
            if let Some(left) = waiting.get_mut(&next) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(next);
                }
            }
        }
    }
    actions
}

/// An action without its number and what it waits for.
fn action(ground: &Ground<'_>, steps: &[Step], times: &Times, deed: Deed) -> Action {
    let problem = ground.problem;
    let name = |host: HostId| problem.host(host).name.clone();
    match deed {
        Deed::Boot(host) => {
            let end_s = times.up.get(&host).copied().unwrap_or_default();
            let start_s = end_s - problem.host(host).boot_s;
            Action { destination: name(host), start_s, end_s, ..empty(ActionKind::Boot) }
        }
        Deed::Off(host) => {
            let at_s = times.off.get(&host).copied().unwrap_or_default();
            Action { source: name(host), start_s: at_s, end_s: at_s, ..empty(ActionKind::Shutdown) }
        }
        Deed::Step(i) => {
            let step = &steps[i as usize];
            let vm = problem.vm(step.hop.vm);
            let kind = if step.hop.from.is_some() { ActionKind::Migrate } else { ActionKind::Start };
            Action {
                vm: vm.name.clone(),
                // A VM of a failed host is started from there.
                source: step.hop.left().or(vm.host).map_or_else(String::new, name),
                destination: name(step.hop.to.host),
                start_s: step.start_s,
                end_s: step.end_s,
                numa: problem.node_list(step.hop.vm, step.hop.to),
                ..empty(kind)
            }
        }
    }
}

fn empty(kind: ActionKind) -> Action {
    Action {
        id: 0,
        kind,
        vm: String::new(),
        source: String::new(),
        destination: String::new(),
        start_s: 0.0,
        end_s: 0.0,
        after: Vec::new(),
        because: String::new(),
        numa: Vec::new(),
    }
}

//! The actions of a schedule: hosts that are booted first, then the moves, then hosts that are shut down.
//!
//! All hosts that are needed are booted at once. What comes to one waits for it, and a host is shut down after
//! all that leaves it, those that only passed through included.

use super::after;
use super::ground::Ground;
use super::run::Step;
use crate::file::{Action, ActionKind};
use crate::model::HostId;
use std::collections::BTreeMap;

pub(super) fn actions(ground: &Ground<'_>, steps: &[Step]) -> Vec<Action> {
    let name = |host: HostId| ground.problem.host(host).name.clone();
    let mut actions: Vec<Action> = Vec::new();
    let mut boots: BTreeMap<HostId, u64> = BTreeMap::new();
    for host in ground.booted() {
        let id = actions.len() as u64 + 1;
        boots.insert(host, id);
        let end_s = ground.problem.host(host).boot_s;
        actions.push(Action { destination: name(host), end_s, ..empty(id, ActionKind::Boot) });
    }
    let first = actions.len() as u64 + 1;
    for ((i, step), after) in steps.iter().enumerate().zip(after::reduced(steps)) {
        let vm = ground.problem.vm(step.hop.vm);
        let kind = if step.hop.from.is_some() { ActionKind::Migrate } else { ActionKind::Start };
        let boot = boots.get(&step.hop.to.host).copied();
        actions.push(Action {
            vm: vm.name.clone(),
            // A VM of a failed host is started from there.
            source: step.hop.left().or(vm.host).map_or_else(String::new, name),
            destination: name(step.hop.to.host),
            start_s: step.start_s,
            end_s: step.end_s,
            after: boot.into_iter().chain(after.into_iter().map(|step| u64::from(step) + first)).collect(),
            numa: ground.problem.node_list(step.hop.vm, step.hop.to),
            ..empty(first + i as u64, kind)
        });
    }
    let mut leaving: BTreeMap<HostId, (f64, Vec<u64>)> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        if let Some(from) = step.hop.left() {
            let (end_s, after) = leaving.entry(from).or_default();
            *end_s = end_s.max(step.end_s);
            after.push(first + i as u64);
        }
    }
    for host in ground.shut() {
        let (at_s, after) = leaving.remove(&host).unwrap_or_default();
        let id = actions.len() as u64 + 1;
        let times = Action { start_s: at_s, end_s: at_s, ..empty(id, ActionKind::Shutdown) };
        actions.push(Action { source: name(host), after, ..times });
    }
    actions
}

fn empty(id: u64, kind: ActionKind) -> Action {
    Action {
        id,
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

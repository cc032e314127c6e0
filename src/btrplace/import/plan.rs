//! A reconfiguration plan in the terms of the contract, to be looked at, judged and compared.

use super::super::format::{Deed, Event, Instance, ReconfigurationPlan};
use super::super::gaps::{Collector, Gaps};
use super::{Context, Options};
use dvms_solver::file::{Action, ActionKind, Plan, Status};
use std::collections::BTreeMap;

/// Reads a plan for an instance that is read with the same options. Its times are those of the plan, by its own
/// model of durations; an action is `after` all that ended by its start and touch one of its hosts or its VM.
///
/// # Errors
/// All that the contract has no words for.
pub fn import_plan(
    instance: &Instance,
    plan: &ReconfigurationPlan,
    options: &Options,
) -> Result<(Plan, Vec<String>), Gaps> {
    // What the instance has that cannot be said is told by `import`.
    let nothing = std::collections::BTreeSet::new();
    let mut ignored = Collector::new(&nothing);
    let (context, _) = Context::new(instance, options, &mut ignored);
    let mut gaps = Collector::new(&options.leave_out);
    let elements = &context.elements;
    let mut at: BTreeMap<i64, i64> = elements.host_of.clone();
    let mut order: Vec<usize> = (0..plan.actions.len()).collect();
    order.sort_by_key(|i| (plan.actions[*i].start, plan.actions[*i].end, *i));
    let mut actions: Vec<(Action, i64, i64)> = Vec::new();
    for i in order {
        let action = &plan.actions[i];
        let path = format!("actions[{i}]");
        for event in action.hooks.pre.iter().chain(&action.hooks.post) {
            if let Event::SubstitutedVm { vm, new_vm } = event {
                let message = format!("VM {vm} is replaced by a new one, {new_vm}");
                gaps.cannot("substitutedVM", path.clone(), message);
            }
        }
        let (kind, vm, source, destination) = match &action.what {
            Deed::Migrate { vm, from, to, .. } => {
                at.insert(*vm, *to);
                (ActionKind::Migrate, Some(*vm), Some(*from), Some(*to))
            }
            Deed::BootVm { vm, on } => {
                at.insert(*vm, *on);
                (ActionKind::Start, Some(*vm), None, Some(*on))
            }
            Deed::BootNode { node } => (ActionKind::Boot, None, None, Some(*node)),
            Deed::ShutdownNode { node } => (ActionKind::Shutdown, None, Some(*node), None),
            // Part of the demand that the problem wants at the end.
            Deed::Allocate { .. } => continue,
            Deed::ForgeVm { vm } => {
                gaps.cannot("forge", path, format!("VM {vm} is made"));
                continue;
            }
            Deed::ShutdownVm { vm, .. } | Deed::KillVm { vm, .. } => {
                gaps.cannot("ready", path, format!("VM {vm} is shut down"));
                at.remove(vm);
                continue;
            }
            Deed::SuspendVm { vm, .. } | Deed::ResumeVm { vm, .. } => {
                gaps.cannot("sleeping", path, format!("VM {vm} is suspended or resumed"));
                continue;
            }
        };
        let name = |node: Option<i64>| node.map(|node| elements.host(node)).unwrap_or_default();
        let new = Action {
            id: actions.len() as u64 + 1,
            kind,
            vm: vm.map(|vm| elements.vm(vm)).unwrap_or_default(),
            source: name(source),
            destination: name(destination),
            start_s: action.start as f64,
            end_s: action.end as f64,
            after: Vec::new(),
            because: "in the plan of BtrPlace".to_owned(),
            numa: Vec::new(),
        };
        actions.push((new, action.start, action.end));
    }
    let shares = |a: &Action, b: &Action| {
        let hosts = |action: &Action| [action.source.clone(), action.destination.clone()];
        let common = hosts(a).iter().any(|host| !host.is_empty() && hosts(b).contains(host));
        common || (!a.vm.is_empty() && a.vm == b.vm)
    };
    for i in 0..actions.len() {
        let (action, start, _) = &actions[i];
        // In order of their starts, so that none of two that last no time is after the other and before it.
        let earlier = actions[..i].iter().filter(|(other, _, end)| end <= start && shares(other, action));
        let after: Vec<u64> = earlier.map(|(other, ..)| other.id).collect();
        actions[i].0.after = after;
    }
    let placement = at.iter().map(|(vm, node)| (elements.vm(*vm), elements.host(*node))).collect();
    let unplaced =
        elements.waiting.iter().filter(|vm| !at.contains_key(vm)).map(|vm| elements.vm(*vm)).collect();
    let plan = Plan {
        status: Status::Feasible,
        actions: actions.into_iter().map(|(action, ..)| action).collect(),
        placement,
        unplaced,
        ..Plan::default()
    };
    Ok((plan, gaps.finish()?))
}

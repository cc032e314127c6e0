//! A plan, with times in whole seconds.

use super::super::format::{Action, Deed, Event, Hooks, ReconfigurationPlan, UNLIMITED};
use super::super::gaps::{Collector, Gaps};
use super::model::model;
use super::numbers::Numbers;
use dvms_solver::file::{ActionKind, Plan, Problem};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Writes a plan of a problem, as it is replayed there: the model at the start and timed actions. Demands that
/// change are allocated as a VM arrives, or at the end.
///
/// # Errors
/// All that BtrPlace has no words for.
pub fn export_plan(
    problem: &Problem,
    plan: &Plan,
    leave_out: &BTreeSet<String>,
) -> Result<(ReconfigurationPlan, Vec<String>), Gaps> {
    let mut gaps = Collector::new(leave_out);
    let numbers = Numbers::new(problem);
    let origin = model(problem, &numbers, &mut gaps);
    let times = whole_seconds(plan);
    let end = times.iter().map(|(_, end)| *end).max().unwrap_or(0);
    let mut actions = Vec::new();
    let mut last_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut timeless = 0;
    for (i, action) in plan.actions.iter().enumerate() {
        let vm = numbers.vm(&action.vm);
        let (from, to) = (numbers.host(&action.source), numbers.host(&action.destination));
        let what = match (action.kind, vm, from, to) {
            (ActionKind::Migrate, Some(vm), Some(from), Some(to)) if from != to => {
                Deed::Migrate { vm, from, to, bw: UNLIMITED }
            }
            (ActionKind::Start, Some(vm), _, Some(on)) => Deed::BootVm { vm, on },
            (ActionKind::Boot, _, _, Some(node)) => Deed::BootNode { node },
            (ActionKind::Shutdown, _, Some(node), _) => Deed::ShutdownNode { node },
            (ActionKind::Migrate, ..) => {
                gaps.cannot("numa", format!("actions[{i}]"), "a move within a host");
                continue;
            }
            _ => {
                gaps.cannot("elements", format!("actions[{i}]"), "it names what is not in the problem");
                continue;
            }
        };
        timeless += usize::from(matches!(action.kind, ActionKind::Start | ActionKind::Shutdown));
        if vm.is_some() {
            last_of.insert(&action.vm, actions.len());
        }
        let (start, end) = times[i];
        actions.push(Action { what, start, end, hooks: Hooks::default() });
    }
    for vm in &problem.vms {
        let Some(id) = numbers.vm(&vm.name) else { continue };
        for (rc, amount) in &vm.arrival_demand {
            let (rc, amount) = (rc.clone(), *amount);
            match (last_of.get(vm.name.as_str()), plan.placement.get(&vm.name).and_then(|h| numbers.host(h)))
            {
                (Some(i), _) => {
                    actions[*i].hooks.post.push(Event::Allocate { vm: id, rc, amount });
                }
                (None, Some(on)) => {
                    let what = Deed::Allocate { vm: id, on, rc, amount };
                    actions.push(Action { what, start: end, end, hooks: Hooks::default() });
                }
                (None, None) => {}
            }
        }
    }
    if timeless > 0 {
        gaps.note("what takes no time here (starts of VMs, shutdowns of hosts) takes a second there");
    }
    Ok((ReconfigurationPlan { origin: Some(origin), actions }, gaps.finish()?))
}

/// Starts and ends in whole seconds: each lasts as long as here, rounded up and at least one; what ended by the
/// start of another still does.
fn whole_seconds(plan: &Plan) -> Vec<(i64, i64)> {
    /// Less than this is nothing.
    const TINY: f64 = 1e-6;
    let mut order: Vec<usize> = (0..plan.actions.len()).collect();
    order.sort_by(|a, b| plan.actions[*a].start_s.total_cmp(&plan.actions[*b].start_s).then(a.cmp(b)));
    let position: BTreeMap<u64, usize> = plan.actions.iter().enumerate().map(|(i, a)| (a.id, i)).collect();
    let mut times = vec![(0, 0); plan.actions.len()];
    // Those under way, the first to end on top. Times are never negative, so that their bits are in the same order.
    let mut under_way: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut latest = 0;
    for i in order {
        let action = &plan.actions[i];
        while let Some(Reverse((end, other))) = under_way.peek().copied() {
            if f64::from_bits(end) > action.start_s + TINY {
                break;
            }
            latest = latest.max(times[other].1);
            under_way.pop();
        }
        let after = action.after.iter().filter_map(|id| position.get(id)).map(|other| times[*other].1).max();
        let start = latest.max(after.unwrap_or(0)).max(action.start_s.floor() as i64);
        let lasts = ((action.end_s - action.start_s) - TINY).ceil().max(1.0) as i64;
        times[i] = (start, start + lasts);
        under_way.push(Reverse((action.end_s.max(0.0).to_bits(), i)));
    }
    times
}

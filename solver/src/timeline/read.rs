//! The actions of a plan with what they name.

use super::EPSILON_S;
use crate::file::{Action, ActionKind, Plan};
use crate::model::{Fault, HostId, Nodes, Placement, Problem, Rejected, Site, VmId};
use crate::schedule::{SWITCH_S, lines};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An action.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) kind: ActionKind,
    pub(super) id: u64,
    /// `None` for a host that is switched.
    pub(super) vm: Option<VmId>,
    /// Where the VM leaves, or the host that is shut down.
    pub(super) from: Option<Site>,
    /// Where the VM enters, or the host that is booted.
    pub(super) to: Option<Site>,
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    /// MiB/s all along.
    pub(super) rate: f64,
    /// Lines between its hosts: 0 is the backbone, the others are one more than their channel.
    pub(super) lines: Vec<usize>,
    /// Positions of the actions that it comes after.
    pub(super) after: Vec<usize>,
}

impl Move {
    /// Both ends of a live migration.
    pub(super) fn ends(&self) -> Option<(Site, Site)> {
        (self.kind == ActionKind::Migrate).then_some((self.from?, self.to?))
    }

    /// Whether a VM goes to other NUMA nodes of its host.
    pub(super) fn repins(&self) -> bool {
        self.ends().is_some_and(|(from, to)| from.host == to.host)
    }

    /// Whether it begins and ends at the same instant.
    pub(super) fn takes_no_time(&self) -> bool {
        self.end_s - self.start_s <= EPSILON_S
    }
}

/// Collects faults while actions are read.
struct Reader<'a> {
    problem: &'a Problem,
    hosts: HashMap<&'a str, HostId>,
    vms: HashMap<&'a str, VmId>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn wrong(&mut self, i: usize, field: &str, message: String) {
        self.faults.push(Fault { path: format!("actions[{i}].{field}"), message, unsupported: false });
    }

    fn host(&mut self, i: usize, field: &str, name: &str) -> Option<HostId> {
        let host = self.hosts.get(name).copied();
        if host.is_none() {
            self.wrong(i, field, format!("the problem has no host {name:?}"));
        }
        host
    }

    /// The nodes that a plan lists, on a host that has them.
    fn nodes(&mut self, i: usize, vm: VmId, host: HostId, list: &[i64]) -> Nodes {
        let have = self.problem.host(host).numa.count();
        let nodes: Vec<usize> = list.iter().filter_map(|node| usize::try_from(*node).ok()).collect();
        if nodes.len() < list.len() || nodes.iter().any(|node| *node >= have) {
            let name = &self.problem.host(host).name;
            self.wrong(i, "numa", format!("{list:?} are no NUMA nodes of {name}, which has {have}"));
            return Nodes::NONE;
        }
        nodes.first().map_or(Nodes::NONE, |first| self.problem.nodes(vm, host, *first, &nodes))
    }

    fn action(&mut self, i: usize, action: &Action, at: &mut Placement) -> Option<Move> {
        let times = action.start_s.is_finite() && action.end_s.is_finite() && action.start_s >= 0.0;
        if !times || action.end_s < action.start_s {
            let (start, end) = (action.start_s, action.end_s);
            self.wrong(i, "end_s", format!("{start} to {end} s is no time that an action could take"));
        }
        let switched = matches!(action.kind, ActionKind::Boot | ActionKind::Shutdown);
        let vm = (!switched).then(|| self.vms.get(action.vm.as_str()).copied());
        if vm == Some(None) {
            self.wrong(i, "vm", format!("the problem has no VM {:?}", action.vm));
        }
        let leaves = matches!(action.kind, ActionKind::Migrate | ActionKind::Shutdown);
        let enters = !matches!(action.kind, ActionKind::Shutdown);
        let from = leaves.then(|| self.host(i, "source", &action.source));
        let to = enters.then(|| self.host(i, "destination", &action.destination));
        let (vm, from, to) = (vm.unwrap_or_default(), from.unwrap_or_default(), to.unwrap_or_default());
        let mut step = Move {
            kind: action.kind,
            id: action.id,
            vm,
            from: from.map(Site::plain),
            to: to.map(Site::plain),
            start_s: action.start_s,
            end_s: action.end_s,
            rate: 0.0,
            lines: Vec::new(),
            after: Vec::new(),
        };
        let Some(vm) = vm else { return Some(step) };
        let to = to?;
        let to = Site { host: to, nodes: self.nodes(i, vm, to, &action.numa) };
        // It leaves the nodes that it has come to.
        let here = at.site(vm.index()).filter(|site| Some(site.host) == from);
        (step.from, step.to) = (here.or(step.from), Some(to));
        at.put(vm.index(), Some(to));
        if let Some((from, to)) = step.ends()
            && from.host != to.host
        {
            step.rate = rate(self.problem, vm, action.end_s - action.start_s);
            step.lines = lines(self.problem, from.host, to.host).collect();
        }
        Some(step)
    }
}

/// MiB/s that a migration needs to take so long: memory / b / (1 - dirty / b) + 0.03 s. Of one that takes no time
/// nothing can be told, and none is what it is given.
fn rate(problem: &Problem, vm: VmId, seconds: f64) -> f64 {
    let (memory, transfer) = (problem.memory_of(vm) as f64, seconds - SWITCH_S);
    if memory > 0.0 && transfer > 0.0 { problem.vm(vm).memory_dirty_rate + memory / transfer } else { 0.0 }
}

/// Reads the actions, in the order of the plan.
///
/// # Errors
/// What cannot be drawn.
pub(super) fn moves(problem: &Problem, plan: &Plan) -> Result<Vec<Move>, Rejected> {
    let hosts = problem.host_ids().map(|id| (problem.host(id).name.as_str(), id)).collect();
    let vms = problem.vm_ids().map(|id| (problem.vm(id).name.as_str(), id)).collect();
    let mut reader = Reader { problem, hosts, vms, faults: Vec::new() };
    let mut position = BTreeMap::new();
    for (i, action) in plan.actions.iter().enumerate() {
        if position.insert(action.id, i).is_some() {
            reader.wrong(i, "id", format!("the id {} is given twice", action.id));
        }
    }
    // A VM that moves twice leaves where its first move brought it.
    let mut by_start: Vec<usize> = (0..plan.actions.len()).collect();
    by_start.sort_by(|a, b| plan.actions[*a].start_s.total_cmp(&plan.actions[*b].start_s).then(a.cmp(b)));
    let (mut moves, mut at) = (vec![None; plan.actions.len()], problem.initial());
    for i in by_start {
        moves[i] = reader.action(i, &plan.actions[i], &mut at);
    }
    for (i, action) in plan.actions.iter().enumerate() {
        let after: BTreeSet<u64> = action.after.iter().copied().collect();
        for id in after {
            match (position.get(&id), &mut moves[i]) {
                (Some(at), Some(step)) => step.after.push(*at),
                (Some(_), None) => {}
                (None, _) => reader.wrong(i, "after", format!("the plan has no action {id}")),
            }
        }
    }
    let moves: Vec<Move> = moves.into_iter().flatten().collect();
    if reader.faults.is_empty() && super::chain::in_order(&moves).len() < moves.len() {
        let message = "some of them wait for each other in a circle".to_owned();
        reader.faults.push(Fault { path: "actions".into(), message, unsupported: false });
    }
    if reader.faults.is_empty() { Ok(moves) } else { Err(Rejected { faults: reader.faults }) }
}

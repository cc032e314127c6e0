//! An instance of BtrPlace, and a plan for it, in the terms of the contract.
//!
//! Meaning that changes: the objective becomes `REPAIR`, or `VIOLATIONS`, `MIGRATIONS`, `MAKESPAN` where no
//! resource is memory; a continuous constraint that does not hold at the start is "no solution" there and must
//! hold at the end here; a VM that finds no place is "no solution" there and left waiting here; what
//! migrations last follows from memory and bandwidth; boots of VMs and shutdowns of nodes take no time.

mod elements;
mod network;
mod plan;
mod resources;
mod rules;

pub(super) use network::BITS_PER_BYTE;
pub use plan::import_plan;
pub use resources::Unit;

use super::format::{Constraint, Instance, View};
use super::gaps::{Collector, Gaps};
use dvms_solver::file::{Host, HotSet, Limits, Problem, Vm};
use elements::Elements;
use network::Paths;
use resources::Resources;
use std::collections::{BTreeMap, BTreeSet};

/// How an instance is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The name of the problem.
    pub name: String,
    /// What a resource of the instance is called here and how much one unit of it is; what is not named is
    /// guessed from the names.
    pub units: BTreeMap<String, Unit>,
    /// Features to leave out, as [`Gaps`] name them: the problem is then less strict than the instance.
    pub leave_out: BTreeSet<String>,
}

/// A problem, and what its reader should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The problem. It keeps the contract's form; that it makes sense is for the solver to say.
    pub problem: Problem,
    /// What is not carried over, or means something else.
    pub notes: Vec<String>,
}

/// Reads an instance.
///
/// # Errors
/// All that the contract has no words for.
pub fn import(instance: &Instance, options: &Options) -> Result<Imported, Gaps> {
    let mut gaps = Collector::new(&options.leave_out);
    let problem = translate(instance, options, &mut gaps);
    Ok(Imported { notes: gaps.finish()?, problem })
}

/// What all parts look at.
struct Context<'a> {
    instance: &'a Instance,
    elements: Elements,
    resources: Resources,
}

impl<'a> Context<'a> {
    fn new(instance: &'a Instance, options: &Options, gaps: &mut Collector<'_>) -> (Self, Option<Paths>) {
        let mut views = Vec::new();
        for (i, value) in instance.model.views.iter().enumerate() {
            let path = format!("model.views[{i}]");
            match View::read(value) {
                Ok(Some(view)) => views.push((path, view)),
                Ok(None) => gaps.cannot("view", path, "an unknown kind of view"),
                Err(error) => gaps.cannot("view", path, error),
            }
        }
        let elements = Elements::new(instance, &views, gaps);
        let resources = Resources::new(&views, &options.units, gaps);
        let net = views.iter().find_map(|(path, view)| match view {
            View::Network(net) => Some(Paths::new(net, path, &elements, gaps)),
            _ => None,
        });
        (Self { instance, elements, resources }, net)
    }
}

fn translate(instance: &Instance, options: &Options, gaps: &mut Collector<'_>) -> Problem {
    let (context, paths) = Context::new(instance, options, gaps);
    let rules = rules::translate(&context, gaps);
    let mut problem = Problem { name: options.name.clone(), constraints: rules.list, ..Problem::default() };
    hosts(&context, paths.as_ref(), &rules.labels, &rules.overcommit, &mut problem);
    let hot_sets = vms(&context, paths.is_some(), gaps, &mut problem);
    let mut limits = Limits { power_actions: context.elements.power, ..Limits::default() };
    if let Some(paths) = paths {
        limits.backbone_bandwidth = paths.backbone;
        problem.network = paths.network;
    }
    if !hot_sets.is_empty() {
        problem.network.get_or_insert_default().hot_sets = hot_sets;
    }
    problem.limits = (limits != Limits::default()).then_some(limits);
    match instance.objective.id.as_str() {
        "minimizeMTTR" | "minimizeMTTRMigrationScheduling" | "minimizeMigrations" => {}
        other => gaps.cannot("objective", "objective.id", format!("{other:?} is not known")),
    }
    if context.resources.has("memory") {
        "REPAIR".clone_into(&mut problem.objective);
    } else {
        problem.objectives = ["VIOLATIONS", "MIGRATIONS", "MAKESPAN"].map(str::to_owned).to_vec();
    }
    problem
}

fn hosts(
    context: &Context<'_>,
    paths: Option<&Paths>,
    labels: &BTreeMap<i64, BTreeMap<String, String>>,
    overcommit: &BTreeMap<i64, BTreeMap<String, f64>>,
    problem: &mut Problem,
) {
    let Context { instance, elements, resources } = context;
    let all = i64::try_from(elements.vms().len()).ok();
    for (node, online) in &elements.nodes {
        let attributes = instance.model.attributes.nodes.get(node);
        let boot = attributes.and_then(|all| all.get("boot")).and_then(serde_json::Value::as_f64);
        let mut host = Host {
            name: elements.host(*node),
            capacity: resources.capacity(*node),
            labels: labels.get(node).cloned().unwrap_or_default(),
            overcommit: overcommit.get(node).cloned().unwrap_or_default(),
            ..Host::default()
        };
        if !online {
            "OFFLINE".clone_into(&mut host.state);
            // A second, where the instance does not say.
            host.boot_s = elements.power.then(|| boot.unwrap_or(1.0));
        }
        if let Some(paths) = paths {
            host.migration_bandwidth = paths.access.get(node).copied();
            // BtrPlace knows no such limit.
            host.max_migrations = all;
        }
        problem.hosts.push(host);
    }
}

/// Adds the VMs; what they write again and again is for the network.
fn vms(
    context: &Context<'_>,
    networked: bool,
    gaps: &mut Collector<'_>,
    problem: &mut Problem,
) -> Vec<HotSet> {
    let Context { instance, elements, resources } = context;
    let mut wanted: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for constraint in &instance.constraints {
        if let Constraint::Preserve { vm, rc, amount } = constraint {
            // Up or down; of several, the most counts.
            let most = wanted.entry((*vm, rc)).or_insert(*amount);
            *most = (*most).max(*amount);
        }
    }
    let (mut lost, mut odd, mut hot_sets) = (BTreeSet::new(), 0, Vec::new());
    for vm in elements.vms() {
        let now = resources.consumption(vm, |_| None);
        let end = resources.consumption(vm, |rc| wanted.get(&(vm, rc)).copied());
        let mut new = Vm { name: elements.vm(vm), ..Vm::default() };
        if let Some(node) = elements.host_of.get(&vm) {
            new.host = elements.host(*node);
            new.arrival_demand = end
                .iter()
                .filter(|(name, amount)| now[*name] != **amount)
                .map(|(n, a)| (n.clone(), *a))
                .collect();
            new.demand = now;
        } else {
            new.demand = end;
        }
        let mut hot = HotSet { vm: new.name.clone(), ..HotSet::default() };
        for (key, value) in instance.model.attributes.vms.get(&vm).into_iter().flatten() {
            match key.as_str() {
                "coldDirtyRate" | "dirtyRate" if networked => {
                    new.memory_dirty_rate = value.as_f64().filter(|rate| *rate > 0.0);
                }
                "hotDirtySize" | "maxDirtySize" if networked => {
                    hot.size = value.as_f64().filter(|size| *size > 0.0);
                }
                "hotDirtyDuration" | "maxDirtyDuration" if networked => {
                    hot.within_s = value.as_f64().filter(|seconds| *seconds >= 0.0);
                }
                "memUsed" if networked => {
                    odd += usize::from(value.as_i64() != new.demand.get("memory").copied());
                }
                "clone" if value.as_bool() == Some(false) => {}
                "migrate" | "boot" | "shutdown" | "halt" | "suspend" | "resume" | "forge" | "kill"
                | "allocate" | "clone" | "hotDirtySize" | "hotDirtyDuration" | "maxDirtySize"
                | "maxDirtyDuration" | "postCopy" => {
                    lost.insert(key.as_str());
                }
                _ => {}
            }
        }
        hot_sets.extend(Some(hot).filter(|hot| hot.size.is_some()));
        problem.vms.push(new);
    }
    if !lost.is_empty() {
        let lost: Vec<&str> = lost.into_iter().collect();
        gaps.note(format!("attributes of VMs that are not carried over: {}", lost.join(", ")));
    }
    if odd > 0 {
        gaps.note(format!("{odd} VMs use another amount of memory than they have: what their migrations last follows from what they have"));
    }
    hot_sets
}

//! The problem in which the VMs in question wait.

use super::{Unfit, Wish};
use crate::check;
use crate::constraints::Rules;
use crate::file::{self, Plan, Problem};
use crate::model::{self, Amount, HostId, VmId};
use crate::objective::{self, OVERLOAD_WEIGHT};
use crate::screen::Space;
use crate::search::State;
use crate::whatif::fresh_names;
use std::collections::BTreeSet;

/// More VMs are not named; what is beyond is only counted.
pub(super) const MOST_NAMED: u64 = 50_000;

/// What a VM that finds no place costs: as much as can be.
const PRIORITY: i64 = 1000;

/// A problem without what does not matter here.
pub(super) struct Question {
    pub(super) wish: Wish,
    /// Of one VM.
    pub(super) demand: Vec<Amount>,
    pub(super) model: model::Problem,
    /// Hosts that one of them may enter as things are.
    pub(super) entering: BTreeSet<HostId>,
    pub(super) notes: Vec<String>,
    problem: Problem,
}

/// The same with VMs that wait.
pub(super) struct Asked {
    pub(super) problem: Problem,
    pub(super) names: Vec<String>,
}

impl Question {
    pub(super) fn new(problem: &Problem, wish: &Wish) -> Result<Self, Unfit> {
        let mut notes = Vec::new();
        let given = model::Problem::new(problem)?;
        let mut problem = problem.clone();
        still(&mut problem, &mut notes);
        rules_that_hold(&mut problem, &given, &mut notes);
        problem.objective.clear();
        problem.objectives = ["VIOLATIONS", "MIGRATIONS"].map(str::to_owned).to_vec();
        let mut question = Self {
            wish: Wish { vm: anew(&wish.vm), ..wish.clone() },
            demand: Vec::new(),
            entering: BTreeSet::new(),
            model: model::Problem::new(&problem)?,
            notes,
            problem,
        };
        // One of them shows what is wrong with it, and what it needs.
        let model = model::Problem::new(&question.ask(1, 0).problem)?;
        question.entering = entering(&model);
        question.demand = model.vms.last().map(|vm| vm.demand.to_vec()).unwrap_or_default();
        if question.demand.iter().all(|amount| *amount == 0) {
            return Err(Unfit::Nothing);
        }
        // It may need a resource that nobody else does.
        question.model = without_last(model);
        Ok(question)
    }

    /// The problem with so many VMs, as far as they are named.
    pub(super) fn ask(&self, count: u64, moves: u64) -> Asked {
        let mut problem = self.problem.clone();
        let count = count.min(MOST_NAMED) as u32;
        let taken = problem.vms.iter().map(|vm| vm.name.as_str());
        let names = fresh_names("new-vm", taken, count).unwrap_or_default();
        problem.vms.extend(names.iter().map(|name| file::Vm { name: name.clone(), ..self.wish.vm.clone() }));
        problem.limits.get_or_insert_default().max_migrations = i64::try_from(moves).ok();
        if !names.is_empty() {
            let rule = |stem: &str, body| {
                let taken = self.problem.constraints.iter().map(|rule| rule.name.as_str());
                let name = fresh_names(stem, taken, 1).unwrap_or_default().pop().unwrap_or_default();
                file::Constraint { name, body: Some(body), ..file::Constraint::default() }
            };
            let vms = || file::Vms { vms: names.clone(), ..file::Vms::default() };
            if let Some((scope, max)) = &self.wish.spread {
                let body =
                    file::Body::Spread { vms: vms(), scope: Some(scope.clone()), max: Some((*max).into()) };
                problem.constraints.push(rule("new-spread", body));
            }
            if !self.wish.hosts.is_empty() {
                let hosts = file::Hosts { hosts: self.wish.hosts.clone(), ..file::Hosts::default() };
                problem.constraints.push(rule("new-fence", file::Body::Fence { vms: vms(), hosts }));
            }
        }
        Asked { problem, names }
    }
}

impl Asked {
    /// The same with hosts that are over closed, and large enough: an excess costs as much as a VM that finds no
    /// place, and would be mended instead. `None` = no host is over, or a NUMA node is. A plan for
    /// it is one for this problem.
    pub(super) fn without_excess(&self, model: &model::Problem) -> Option<Problem> {
        let used = objective::usage(model, &model.initial());
        let width = model.resources.len();
        let mut problem = self.problem.clone();
        let mut any = false;
        if model.bounds().any(|bound| bound.node.is_some() && used[bound.cell] > bound.usable) {
            return None;
        }
        for (i, host) in problem.hosts.iter_mut().enumerate() {
            let (usable, used) = (&model.hosts[i].usable, &used[i * width..][..width]);
            let nodes = &model.hosts[i].numa;
            for r in (0..width).filter(|r| used[*r] > usable[*r] && !nodes.bounds(*r)) {
                any = true;
                if host.state.is_empty() || host.state == "ONLINE" {
                    "CORDONED".clone_into(&mut host.state);
                }
                host.overcommit.remove(&model.resources[r]);
                host.capacity.insert(model.resources[r].clone(), used[r]);
            }
        }
        any.then_some(problem)
    }

    /// A plan for nearly this problem with the levels that it has for this one; UNKNOWN if it is not valid for it.
    pub(super) fn judged(&self, mut plan: Plan) -> Plan {
        let levels = check::check(&self.problem, &plan).levels.into_iter();
        let level = |(name, before, value)| file::ObjectiveValue { name, before, value, bound: Some(0.0) };
        plan.objectives = levels.map(level).collect();
        // What was proved, was proved for the other one.
        plan.status = if plan.actions.is_empty() { file::Status::NoChange } else { file::Status::Feasible };
        if !check::check(&self.problem, &plan).violations.is_empty() {
            plan.status = file::Status::Unknown;
        }
        plan
    }

    /// How many of the VMs a solve has proved to fit at most; `None` = it has proved nothing.
    pub(super) fn most_by(&self, model: &model::Problem, plan: &Plan) -> Option<u64> {
        let level = plan.objectives.first().filter(|level| level.name == "VIOLATIONS")?;
        let over = overloads(model) as f64 * OVERLOAD_WEIGHT;
        // All else that counts are hosts that are over, and none becomes so. A bound is exact but for rounding.
        let unplaced = ((level.bound? - over) / PRIORITY as f64 - 1e-6).ceil().max(0.0) as u64;
        (unplaced > 0).then(|| (self.names.len() as u64).saturating_sub(unplaced))
    }
}

/// Hosts or NUMA nodes and resources that are over.
fn overloads(model: &model::Problem) -> usize {
    let used = objective::usage(model, &model.initial());
    model.bounds().filter(|bound| used[bound.cell] > bound.usable).count()
}

/// A VM that waits, and matters.
fn anew(vm: &file::Vm) -> file::Vm {
    let mut vm = file::Vm {
        name: String::new(),
        host: String::new(),
        pinned: false,
        priority: Some(PRIORITY),
        ..vm.clone()
    };
    // What it is to have in the end it has from the start.
    vm.demand.append(&mut vm.arrival_demand);
    if let Some(numa) = &mut vm.numa {
        numa.nodes.clear();
    }
    vm
}

/// Hosts that are to be emptied are not, and VMs that wait go on waiting.
fn still(problem: &mut Problem, notes: &mut Vec<String>) {
    let draining = |host: &&mut file::Host| host.state == "DRAINING";
    let mut kept = Vec::new();
    for host in problem.hosts.iter_mut().filter(draining) {
        "CORDONED".clone_into(&mut host.state);
        kept.push(host.name.clone());
    }
    note(notes, "hosts that are to be emptied keep their VMs", &kept);
    let down: BTreeSet<&str> =
        problem.hosts.iter().filter(|host| host.state == "FAILED").map(|host| host.name.as_str()).collect();
    let mut waiting = Vec::new();
    for vm in problem.vms.iter_mut().filter(|vm| vm.host.is_empty() || down.contains(vm.host.as_str())) {
        vm.priority = Some(0);
        waiting.push(vm.name.clone());
    }
    note(notes, "VMs that wait to be placed or are down are not counted", &waiting);
}

/// Leaves aside the rules that need not hold, and those that do not.
fn rules_that_hold(problem: &mut Problem, model: &model::Problem, notes: &mut Vec<String>) {
    let soft = |rule: &&file::Constraint| rule.soft_weight.is_some();
    let names: Vec<String> = problem.constraints.iter().filter(soft).map(|rule| rule.name.clone()).collect();
    note(notes, "soft rules are left aside", &names);
    let rules = Rules::new(model);
    let tally = rules.tally(&model.initial());
    let broken = rules.list.iter().filter(|kept| kept.hard() && !kept.holds(&tally));
    let broken: Vec<String> = broken.map(|kept| kept.constraint.name.clone()).collect();
    note(notes, "rules that do not hold now are left aside", &broken);
    problem.constraints.retain(|rule| rule.soft_weight.is_none() && !broken.contains(&rule.name));
}

fn note(notes: &mut Vec<String>, text: &str, names: &[String]) {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return;
    }
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    notes.push(format!("{text}: {}{more}", names[..names.len().min(SHOWN)].join(", ")));
}

/// The hosts that the last VM may enter, where all others are.
fn entering(model: &model::Problem) -> BTreeSet<HostId> {
    let rules = Rules::new(model);
    let space = Space::new(model, &rules);
    let state = State::new(&space);
    let vm = VmId::from(model.vms.len() - 1);
    space.open.iter().copied().filter(|host| state.may_enter(vm, *host)).collect()
}

/// What is there without the last VM, rules left aside.
fn without_last(mut model: model::Problem) -> model::Problem {
    model.vms.pop();
    // They may name it.
    model.constraints.clear();
    model
}

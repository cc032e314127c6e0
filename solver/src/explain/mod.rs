//! Why a VM is where it is, why it is not elsewhere, and what would have to change for it to go there.
//!
//! All of it is told of the placement as it is at the start, with every other VM where it is: it needs no
//! search and is exact. Whether the others could make way is for a solve of [`requiring`] to say.
//!
//! * `Ground`: the placement without the VM, and what speaks against each host;
//! * `change`: the least that would have to change;
//! * `apply`: a problem with such changes, or with the VM held to a host;
//! * `left`: what is wrong and stays so if nothing is done.

mod apply;
mod change;
mod ground;
mod left;
mod room;
mod solved;
#[cfg(test)]
mod tests;
mod words;

pub use apply::{changed, requiring};
pub use change::{Change, ChangeKind, Changes};
pub use ground::{Cause, CauseKind};
pub use left::{Left, left};
pub use solved::{Asked, Solve, Solved, solved};

use crate::constraints::{Kept, Rules};
use crate::file;
use crate::model::{Amount, HostId, Problem, Rejected, VmId};
use ground::Ground;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why nothing can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// The problem is not one.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// No VM has that name.
    #[error("there is no VM {0:?} in the problem")]
    NoVm(String),
    /// No host has that name.
    #[error("there is no host {0:?} in the problem")]
    NoHost(String),
}

/// What holds a VM where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The VM.
    pub vm: String,
    /// Where it is; `None` = it waits to be placed.
    pub host: Option<String>,
    /// Whether it runs: VMs of failed hosts are down.
    pub running: bool,
    /// What is wrong with where it is; empty = nothing makes it leave.
    pub wrong: Vec<Cause>,
    /// Each rule about it.
    pub rules: Vec<Bond>,
    /// Each resource that it needs.
    pub resources: Vec<Need>,
    /// Each other host, in the order of the problem.
    pub hosts: Vec<Verdict>,
    /// What would have to change for it to go to the host that was asked for.
    pub changes: Option<Changes>,
}

/// A rule about a VM.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bond {
    /// Its name.
    pub rule: String,
    /// Its body: `spread`, `fence` …
    pub kind: String,
    /// What it costs to break it; `None` = it must hold.
    pub soft_weight: Option<f64>,
    /// Whether it must hold at every instant.
    pub continuous: bool,
    /// Whether it holds now.
    pub holds: bool,
    /// Whether it names the VM, or looks at it where it is. The others only keep it from hosts.
    pub names: bool,
    /// Other hosts that it speaks against, and those of them against which nothing else speaks.
    pub excludes: usize,
    /// See `excludes`.
    pub alone: usize,
}

/// A resource that a VM needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Need {
    /// Its name.
    pub resource: String,
    /// How much of it the VM needs.
    pub demand: Amount,
    /// Other hosts that have too little left, and those of them against which nothing else speaks.
    pub excludes: usize,
    /// See `excludes`.
    pub alone: usize,
}

/// Whether a VM could go to a host, all others as they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The host.
    pub host: String,
    /// Whether nothing speaks against it.
    pub admits: bool,
    /// Whether it is powered down, and a plan boots it first.
    pub boots: bool,
    /// All that speaks against it.
    pub causes: Vec<Cause>,
    /// Soft rules that it would newly break there, with what they cost.
    pub breaks: BTreeMap<String, f64>,
}

/// Explains a VM: with `to` also what would have to change for it to go there.
///
/// # Errors
/// The problem is not one, or has no such VM or host.
pub fn explain(file: &file::Problem, vm: &str, to: Option<&str>) -> Result<Explanation, Unexplained> {
    let problem = Problem::new(file)?;
    let vm = vm_named(&problem, vm)?;
    let to = to.map(|host| host_named(&problem, host)).transpose()?;
    let rules = Rules::new(&problem);
    let ground = Ground::new(&problem, &rules, vm);
    let mut hosts: Vec<Verdict> = (problem.host_ids().filter(|host| Some(*host) != problem.vm(vm).host))
        .map(|host| verdict(&ground, host))
        .collect();
    let changes = to.map(|host| changes(file, &ground, host, &mut hosts)).transpose()?;
    Ok(Explanation {
        vm: problem.vm(vm).name.clone(),
        host: problem.vm(vm).host.map(|host| problem.host(host).name.clone()),
        running: ground.home.is_some(),
        wrong: ground.wrong(),
        rules: bonds(file, &ground, &hosts),
        resources: needs(&ground, &hosts),
        changes,
        hosts,
    })
}

fn vm_named(problem: &Problem, name: &str) -> Result<VmId, Unexplained> {
    let found = problem.vm_ids().find(|vm| problem.vm(*vm).name == name);
    found.ok_or_else(|| Unexplained::NoVm(name.to_owned()))
}

fn host_named(problem: &Problem, name: &str) -> Result<HostId, Unexplained> {
    let found = problem.host_ids().find(|host| problem.host(*host).name == name);
    found.ok_or_else(|| Unexplained::NoHost(name.to_owned()))
}

/// What would have to change; adds to the verdicts what speaks against the host once it takes VMs.
fn changes(
    file: &file::Problem,
    ground: &Ground<'_>,
    host: HostId,
    hosts: &mut [Verdict],
) -> Result<Changes, Unexplained> {
    let problem = ground.problem;
    let fixed = if ground.home == Some(host) { Vec::new() } else { change::fixed(ground, host) };
    if fixed.is_empty() {
        return Ok(change::least(ground, host, fixed));
    }
    let (vm, there) = (&problem.vm(ground.vm).name, &problem.host(host).name);
    let eased = Problem::new(&changed(file, vm, there, &fixed)?)?;
    let rules = Rules::new(&eased);
    let after = Ground::after(&eased, &rules, ground);
    if let Some(verdict) = hosts.iter_mut().find(|verdict| verdict.host == *there) {
        verdict.causes.extend(after.set_against(host));
        verdict.breaks.append(&mut after.breaks(host));
    }
    Ok(change::least(&after, host, fixed))
}

fn verdict(ground: &Ground<'_>, host: HostId) -> Verdict {
    let causes = ground.causes(host);
    Verdict {
        host: ground.problem.host(host).name.clone(),
        admits: causes.is_empty(),
        boots: ground.problem.boots(host),
        causes,
        breaks: ground.breaks(host),
    }
}

/// How many hosts a cause speaks against, and against how many it does alone.
fn counts(hosts: &[Verdict], kind: CauseKind, subject: &str) -> (usize, usize) {
    let is = |cause: &Cause| cause.kind == kind && cause.subject == subject;
    let excluded = || hosts.iter().filter(|host| host.causes.iter().any(is));
    (excluded().count(), excluded().filter(|host| host.causes.iter().all(is)).count())
}

fn bonds(file: &file::Problem, ground: &Ground<'_>, hosts: &[Verdict]) -> Vec<Bond> {
    let kind = |name: &str| {
        let rule = file.constraints.iter().find(|rule| rule.name == name);
        rule.and_then(|rule| rule.body.as_ref()).map_or("", file::Body::kind)
    };
    let bond = |(kept, holds, names): (&Kept<'_>, bool, bool)| {
        let constraint = kept.constraint;
        let (excludes, alone) = if kept.hard() {
            counts(hosts, CauseKind::Rule, &constraint.name)
        } else {
            (hosts.iter().filter(|host| host.breaks.contains_key(&constraint.name)).count(), 0)
        };
        Bond {
            rule: constraint.name.clone(),
            kind: kind(&constraint.name).to_owned(),
            soft_weight: constraint.soft_weight,
            continuous: constraint.continuous,
            holds,
            names,
            excludes,
            alone,
        }
    };
    let causes = hosts.iter().flat_map(|host| &host.causes).filter(|cause| cause.kind == CauseKind::Rule);
    let broken = hosts.iter().flat_map(|host| host.breaks.keys());
    let told = causes.map(|cause| &cause.subject).chain(broken).map(String::as_str).collect();
    ground.rules_now(&told).into_iter().map(bond).collect()
}

fn needs(ground: &Ground<'_>, hosts: &[Verdict]) -> Vec<Need> {
    let problem = ground.problem;
    let vm = problem.vm(ground.vm);
    let need = |(r, name): (usize, &String)| {
        let demand = vm.demand[r].max(vm.present[r]);
        let (excludes, alone) = counts(hosts, CauseKind::Room, name);
        (demand > 0).then(|| Need { resource: name.clone(), demand, excludes, alone })
    };
    problem.resources.iter().enumerate().filter_map(need).collect()
}

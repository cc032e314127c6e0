//! What stays as it is where nothing is done.

use crate::file;
use crate::model::{Problem, Rejected, VmId};
use crate::objective;
use std::collections::BTreeSet;

/// What is wrong at the start, rules left aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Left {
    /// VMs that wait or are down.
    pub waiting: Vec<String>,
    /// Hosts that are over what they have, or a NUMA node of theirs is.
    pub over: Vec<String>,
    /// A VM of which an explanation says more.
    pub ask: Option<String>,
}

/// What stays as it is if nothing is done.
///
/// # Errors
/// The problem is not one.
pub fn left(file: &file::Problem) -> Result<Left, Rejected> {
    let problem = Problem::new(file)?;
    let at = problem.initial();
    let used = objective::usage(&problem, &at);
    let waiting: Vec<VmId> = problem.vm_ids().filter(|vm| at[vm.index()].is_none()).collect();
    let over: BTreeSet<_> =
        problem.bounds().filter(|bound| used[bound.cell] > bound.usable).map(|bound| bound.host).collect();
    let on_one = || problem.vm_ids().find(|vm| at[vm.index()].is_some_and(|host| over.contains(&host)));
    let ask = waiting.first().copied().or_else(on_one);
    let name = |vm: VmId| problem.vm(vm).name.clone();
    Ok(Left {
        waiting: waiting.iter().map(|vm| name(*vm)).collect(),
        over: over.iter().map(|host| problem.host(*host).name.clone()).collect(),
        ask: ask.map(name),
    })
}

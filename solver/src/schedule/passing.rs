//! Hosts that are booted only to be passed through, where moves block each other without them.

use crate::constraints::Rules;
use crate::file::{Action, ActionKind};
use crate::model::{HostId, HostState, Placement, Problem, VmId};
use std::collections::BTreeSet;

/// So many are tried alone, and so many together.
const MOST_ALONE: usize = 4;
const MOST_TOGETHER: usize = 16;

/// Sets of hosts that are off at both ends and may be up in between, in the order in which they are worth a try: one
/// alone, those first to which more of the stuck VMs can go, and that are up sooner; then many together.
pub(super) fn choices(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    stuck: &BTreeSet<VmId>,
) -> Vec<Vec<HostId>> {
    if !problem.limits.power_actions {
        return Vec::new();
    }
    let states = rules.states_at_end(problem, to);
    let off = |host: &HostId| problem.boots(*host) && states[host.index()] == HostState::Offline;
    let mut hosts: Vec<HostId> = problem.host_ids().filter(off).collect();
    let takes = |host: HostId| stuck.iter().filter(|vm| may_pass(problem, **vm, host)).count();
    hosts.sort_by_cached_key(|host| {
        (std::cmp::Reverse(takes(*host)), problem.host(*host).boot_s.to_bits(), *host)
    });
    let mut choices: Vec<Vec<HostId>> = hosts.iter().take(MOST_ALONE).map(|host| vec![*host]).collect();
    if hosts.len() > 1 {
        hosts.truncate(MOST_TOGETHER);
        choices.push(hosts);
    }
    choices
}

/// Whether a VM could step aside to an empty host.
fn may_pass(problem: &Problem, vm: VmId, host: HostId) -> bool {
    let known = problem.vm(vm);
    let fits = known.present.iter().zip(&problem.host(host).usable).all(|(need, usable)| need <= usable);
    fits && known.host.is_some_and(|from| problem.can_migrate(vm, from, host))
}

/// Those of the hosts through which something passes.
pub(super) fn used(problem: &Problem, hosts: &[HostId], actions: &[Action]) -> Vec<HostId> {
    let entered: BTreeSet<&str> = (actions.iter())
        .filter(|action| action.kind == ActionKind::Migrate)
        .map(|action| action.destination.as_str())
        .collect();
    hosts.iter().copied().filter(|host| entered.contains(problem.host(*host).name.as_str())).collect()
}

//! Snooze's own way to end overloads: `GreedyOverloadRelocation` of Snooze (Feller, Rilling, Morin, CCGrid 2012; the rule as in
//! the released `snoozenode` at 662de9b), for CPU and memory.
//!
//! The smallest VMs that together are more than what is too much leave, or the one VM that alone is; each goes to the least
//! loaded host that has room. Ours: hosts of a group that are overloaded themselves take none; who finds no place is left.

use crate::simulator::decision::{Decision, Effort, Move};
use crate::simulator::engine::{View, ViewHost, ViewVm};
use crate::simulator::measures::Verdict;

/// Decides for the hosts of a view, on what is expected of them.
#[must_use]
pub fn relocate(view: &View, fill: f64) -> Decision {
    let usable = |host: &ViewHost| (f64::from(host.now.cpu) * fill + 1e-6).floor() as u32;
    let is_over = |host: &&ViewHost| host.now.expected > host.now.cpu;
    let mut room: Vec<(u32, u32, &ViewHost)> = view
        .hosts
        .iter()
        .filter(|host| !is_over(host))
        .map(|host| (host.now.expected, host.now.held, host))
        .collect();
    let mut work = 0;
    let (mut moves, mut troubles) = (Vec::new(), 0);
    for host in view.hosts.iter().filter(is_over) {
        troubles += 1;
        for vm in leaving(view, host, usable(host)) {
            room.sort_by_key(|(load, _, host)| (*load, host.id));
            work += room.len() as u64;
            let fits = |(load, held, host): &&mut (u32, u32, &ViewHost)| {
                *load + vm.demand <= usable(host) && *held + vm.memory <= host.now.memory
            };
            if let Some((load, held, to)) = room.iter_mut().find(fits) {
                *load += vm.demand;
                *held += vm.memory;
                moves.push(Move { vm: vm.id, from: host.id, to: to.id, after: Vec::new() });
            }
        }
    }
    let verdict = match (troubles, moves.is_empty()) {
        (0, _) => Verdict::Nothing,
        (_, true) => Verdict::NoPlan,
        (_, false) => Verdict::Plan,
    };
    let effort = Effort { work: work + view.vms.len() as u64, ..Effort::default() };
    Decision { verdict, moves, effort }
}

/// Who leaves an overloaded host.
fn leaving(view: &View, host: &ViewHost, usable: u32) -> Vec<ViewVm> {
    let too_much = host.now.expected.saturating_sub(usable);
    let mut vms: Vec<ViewVm> = view.vms_of(host).iter().filter(|vm| !vm.migrating).copied().collect();
    vms.sort_by_key(|vm| (vm.demand, vm.id));
    if let Some(alone) = vms.iter().find(|vm| vm.demand >= too_much) {
        return vec![*alone];
    }
    let mut sum = 0;
    let several = vms.iter().take_while(|vm| {
        let more = sum < too_much;
        sum += vm.demand;
        more
    });
    several.copied().collect()
}

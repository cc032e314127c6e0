//! How many VMs fit at most, by counting.
//!
//! * What a host has free, with what the VMs leave that move away from it, is whole VMs: each migration is away
//!   from one host, and the best use of them is found by a knapsack over the hosts. That the VMs have to arrive
//!   somewhere is left out.
//! * Where nothing moves, a host that the first of them may not enter takes none: what is there stays, and more of
//!   them make it no better.
//! * All hosts together have no more than they have.
//! * Of VMs that are to be apart each value of the scope takes so many.

use super::open;
use super::question::Question;
use crate::model::{Amount, HostId, Problem, VmId};
use crate::objective;
use std::collections::BTreeSet;

/// Steps of the knapsack, beyond which every host gets all migrations.
const MOST_STEPS: u64 = 100_000_000;

/// No more than so many fit with so many migrations.
pub(super) fn count(question: &Question, moves: u64) -> u64 {
    let (model, wish) = (&question.model, &question.wish);
    let mut hosts = open(model, wish);
    if moves == 0 {
        hosts.retain(|host| question.entering.contains(host));
    }
    let mut bound = by_host(question, &hosts, moves);
    if moves > 0 {
        bound = bound.min(together(question));
    }
    if let Some((scope, max)) = &wish.spread {
        bound = bound.min(values(model, scope, &hosts).saturating_mul(u64::from(*max)));
    }
    bound
}

/// How many values of a scope the hosts have.
fn values(model: &Problem, scope: &str, hosts: &[HostId]) -> u64 {
    if scope == "host" {
        return hosts.len() as u64;
    }
    // A scope that no rule of the problem names has no values here.
    let Some(scope) = model.scopes.iter().find(|known| known.name == scope) else { return u64::MAX };
    hosts.iter().map(|host| scope.value_of[host.index()]).collect::<BTreeSet<_>>().len() as u64
}

/// What all hosts that VMs may enter have left together. A host that is over stays so at most.
fn together(question: &Question) -> u64 {
    let model = &question.model;
    let width = model.resources.len();
    let used = objective::usage(model, &model.initial());
    let online = model.host_ids().filter(|host| model.takes_vms(*host));
    let mut free = vec![0; width];
    for host in online {
        for (r, free) in free.iter_mut().enumerate() {
            *free += (model.host(host).usable[r] - used[host.index() * width + r]).max(0);
        }
    }
    whole(&free, &question.demand)
}

/// How many VMs an amount of each resource is enough for.
fn whole(free: &[Amount], demand: &[Amount]) -> u64 {
    let each = free.iter().zip(demand).filter(|(_, need)| **need > 0).map(|(free, need)| free / need);
    each.min().unwrap_or(0).max(0) as u64
}

/// Host by host, with the migrations where they help most.
fn by_host(question: &Question, hosts: &[HostId], moves: u64) -> u64 {
    let model = &question.model;
    let width = model.resources.len();
    let home = model.initial();
    let used = objective::usage(model, &home);
    let mut leaving: Vec<Vec<VmId>> = vec![Vec::new(); model.hosts.len()];
    for vm in model.vm_ids().filter(|vm| !model.vm(*vm).pinned) {
        if let Some(home) = home[vm.index()] {
            leaving[home.index()].push(vm);
        }
    }
    let apart =
        question.wish.spread.as_ref().filter(|(scope, _)| scope == "host").map(|(_, max)| u64::from(*max));
    let mut total = 0;
    let mut options: Vec<Vec<(usize, u64)>> = Vec::new();
    for &host in hosts {
        let free: Vec<Amount> =
            (0..width).map(|r| model.host(host).usable[r] - used[host.index() * width + r]).collect();
        let most = (leaving[host.index()].len() as u64).min(moves) as usize;
        let gains = gains(question, &leaving[host.index()]);
        let fits = |n: usize| {
            let free: Vec<Amount> = free.iter().zip(&gains).map(|(free, gains)| free + gains[n]).collect();
            whole(&free, &question.demand).min(apart.unwrap_or(u64::MAX))
        };
        let base = fits(0);
        total += base;
        let mut known = 0;
        let mut better = Vec::new();
        for n in 1..=most {
            let gain = fits(n) - base;
            if gain > known {
                known = gain;
                better.push((n, gain));
            }
        }
        if !better.is_empty() {
            options.push(better);
        }
    }
    total + best(&options, moves)
}

/// By resource, what `n` of the VMs use together at most.
fn gains(question: &Question, vms: &[VmId]) -> Vec<Vec<Amount>> {
    let model = &question.model;
    let of = |r: usize| {
        let mut demands: Vec<Amount> = vms.iter().map(|vm| model.vm(*vm).demand[r]).collect();
        demands.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0;
        let sums = demands.into_iter().map(move |demand| {
            sum += demand;
            sum
        });
        std::iter::once(0).chain(sums).collect()
    };
    (0..model.resources.len()).map(of).collect()
}

/// The most that so many moves gain, with at most one option of each host: moves and what they gain.
fn best(options: &[Vec<(usize, u64)>], moves: u64) -> u64 {
    let last = |options: &Vec<(usize, u64)>| options.last().map_or((0, 0), |(n, gain)| (*n as u64, *gain));
    let all: u64 = options.iter().map(|options| last(options).0).sum();
    let most = moves.min(all);
    let count: u64 = options.iter().map(|options| options.len() as u64).sum();
    if most >= all || count.saturating_mul(most) > MOST_STEPS {
        return options.iter().map(|options| last(options).1).sum();
    }
    let most = most as usize;
    let mut gain = vec![0; most + 1];
    for options in options {
        for left in (1..=most).rev() {
            for (n, more) in options.iter().take_while(|(n, _)| *n <= left) {
                gain[left] = gain[left].max(gain[left - n] + more);
            }
        }
    }
    gain[most]
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn migrations_are_given_to_where_they_help_most() {
        let options = [vec![(1, 1), (2, 3)], vec![(2, 2)], vec![(1, 1)]];
        let gains: Vec<_> = (0..7).map(|moves| best(&options, moves)).collect();
        assert_eq!(gains, [0, 1, 3, 4, 5, 6, 6]);
        assert_eq!(best(&[], 5), 0);
    }
}

//! Doing with few hosts: those to be kept are chosen first, the others are closed, and what runs there is packed
//! into the kept ones all at once. Emptying hosts one by one ends where each is full; this does not depend on
//! how VMs are spread at the start.

use super::insert::{Fit, Means};
use super::pack::Way;
use super::state::State;
use crate::budget::Budget;
use crate::model::{Amount, HostId, HostState, Objective, VmId};
use crate::screen::{Closing, Counted, Space};
use std::collections::BTreeSet;

/// Sets of hosts that are tried.
const MOST_SETS: usize = 10;
/// VMs of which one makes room for another, tried for one VM.
const TRIES: usize = 60;
/// Where to begin, over what is known to be the least, in parts of a thousand: nothing is packed without waste.
const WASTE: u64 = 15;

/// How VMs are packed, one after the other.
const WAYS: [Way; 4] = [
    Way::Even(12.0),
    Way::Tight { scarcity: 1, proportion: 3.0 },
    Way::Tight { scarcity: 8, proportion: 1.0 },
    Way::Tight { scarcity: 8, proportion: 4.0 },
];
/// How many of them are tried with other sets of hosts.
const MOST_WAYS: usize = 2;
/// How much more room than is needed is kept with hosts that are worth more, in parts of a thousand.
const SPARES: [u16; 6] = [3, 7, 12, 20, 30, 45];

/// Tries to do with fewer hosts, then with as many but others, on which more may stay; `enough` are known to be the
/// least. The first set of hosts that will do is told at once.
pub(super) fn shrink(state: &mut State<'_>, enough: u64, budget: &Budget, found: &mut dyn FnMut(&State<'_>)) {
    let space = state.space;
    if !space.levels.contains(&Objective::ActiveHosts) || space.width == 0 {
        return;
    }
    let choice = Choice::new(space);
    let mut ways: Vec<(u64, Way)> = WAYS.iter().map(|way| (0, *way)).collect();
    let mut low = enough.max(choice.kept.len() as u64);
    let mut at = low + low * WASTE / 1000;
    let mut told = false;
    for _ in 0..MOST_SETS {
        if low >= state.active() || budget.expired() {
            break;
        }
        at = at.min(state.active() - 1).max(low);
        let keep = choice.kept(at as usize);
        let mut reached = u64::MAX;
        for (excess, way) in &mut ways {
            if budget.expired() {
                return;
            }
            let Some(trial) = choice.attempt(space, &keep, *way, budget) else { continue };
            *excess = trial.active().saturating_sub(at);
            reached = reached.min(trial.active());
            if trial.pays_since(&state.score()) {
                *state = trial;
                if !told {
                    found(state);
                    told = true;
                }
            }
            if reached <= at {
                break;
            }
        }
        // The best way is the first next time; those that are much worse are tried no more.
        ways.sort_by_key(|(excess, _)| *excess);
        let most = ways.first().map_or(0, |(least, _)| least + 1 + at / 100);
        ways.retain(|(excess, _)| *excess <= most);
        if reached > at {
            low = at + 1;
        }
        at = u64::midpoint(low, state.active());
    }
    ways.truncate(MOST_WAYS);
    cheapen(state, &choice, &ways, budget);
}

/// Tries sets of as many hosts as are in use that are worth more to be kept, with more and more room to spare.
fn cheapen(state: &mut State<'_>, choice: &Choice, ways: &[(u64, Way)], budget: &Budget) {
    let (space, count) = (state.space, state.active());
    if state.score().value(Objective::MigrationCost) == Some(0.0) {
        return;
    }
    let closing = Closing::new(space, &[], Counted::Memory, false);
    let mut tried: Vec<BTreeSet<HostId>> = vec![choice.kept(count as usize)];
    for spare in SPARES {
        let Some(keep) = closing.keep(count as usize, f64::from(spare) / 1000.0) else { return };
        let keep: BTreeSet<HostId> = keep.into_iter().chain(choice.kept.iter().copied()).collect();
        if tried.contains(&keep) {
            continue;
        }
        for (_, way) in ways {
            if budget.expired() {
                return;
            }
            let Some(trial) = choice.attempt(space, &keep, *way, budget) else { continue };
            if trial.pays_since(&state.score()) {
                *state = trial;
                return;
            }
        }
        tried.push(keep);
    }
}

/// What hosts are kept.
struct Choice {
    /// Those that cannot be empty.
    kept: BTreeSet<HostId>,
    /// All that VMs may enter, the best first.
    order: Vec<HostId>,
    /// Those that run VMs which share hosts with no others.
    apart: BTreeSet<HostId>,
}

impl Choice {
    fn new(space: &Space<'_>) -> Self {
        let problem = space.problem;
        let mut stays = vec![false; problem.hosts.len()];
        let mut memory: Vec<Amount> = vec![0; problem.hosts.len()];
        let mut need = vec![0; space.width];
        for vm in problem.vm_ids() {
            let Some(home) = space.home[vm.index()] else { continue };
            stays[home.index()] |= space.fixed[vm.index()];
            memory[home.index()] += space.memory(vm);
            crate::model::add(&mut need, space.demand(vm));
        }
        let is_open = |host: HostId| space.open.binary_search(&host).is_ok();
        let used = |host: HostId| space.home_count[host.index()] > 0;
        let drains = |host: HostId| problem.host(host).state == HostState::Draining;
        let kept = problem
            .host_ids()
            .filter(|host| stays[host.index()] || used(*host) && !is_open(*host) && !drains(*host));
        let lonely = space.rules.list.iter().filter(|kept| kept.hard()).filter_map(|kept| kept.rule.apart());
        let apart: BTreeSet<HostId> = lonely.flatten().filter_map(|vm| space.home[vm.index()]).collect();
        // Scarce resources count more.
        let usable = |host: HostId| &space.usable[host.index() * space.width..][..space.width];
        let mut total = vec![0; space.width];
        space.open.iter().for_each(|host| crate::model::add(&mut total, usable(*host)));
        let weight = |r: usize| if total[r] > 0 { need[r] as f64 / total[r] as f64 } else { 0.0 };
        let room = |host: HostId| -> f64 {
            (0..space.width).map(|r| weight(r) * usable(host)[r] as f64 * space.scale[r]).sum()
        };
        let mut order = space.open.clone();
        order.sort_by(|a, b| {
            (room(*b).total_cmp(&room(*a)))
                .then(problem.boots(*a).cmp(&problem.boots(*b)))
                .then(apart.contains(a).cmp(&apart.contains(b)))
                .then(memory[b.index()].cmp(&memory[a.index()]))
                .then(a.cmp(b))
        });
        Self { kept: kept.collect(), order, apart }
    }

    /// `count` hosts to be kept, of which those that keep others away are the worst of all.
    fn kept(&self, count: usize) -> BTreeSet<HostId> {
        let mut keep = self.kept.clone();
        // What is alone takes hosts in any case.
        let lone = self.apart.difference(&keep).count();
        for host in &self.order {
            if keep.len() + lone >= count {
                break;
            }
            keep.insert(*host);
        }
        keep
    }

    /// All VMs in the hosts to be kept and those of VMs that are alone, and as few more as it takes.
    fn attempt<'a>(
        &self,
        space: &'a Space<'a>,
        keep: &BTreeSet<HostId>,
        way: Way,
        budget: &Budget,
    ) -> Option<State<'a>> {
        let stay = |host: &HostId| keep.contains(host) || self.apart.contains(host);
        let closed: Vec<HostId> = self.order.iter().copied().filter(|host| !stay(host)).collect();
        let means = Means::direct(budget, Fit::Tight).with_ejection(1, TRIES);
        let to = {
            let narrow = space.closing(closed.iter().copied());
            let mut state = State::new(&narrow);
            // Hosts that are good for others are no place to be alone in.
            for host in self.apart.iter().filter(|host| keep.contains(host) && !self.kept.contains(host)) {
                for vm in state.on(*host).to_vec() {
                    state.set(vm, None);
                }
            }
            let out = state.evict_forced();
            state.pack(out, way, means);
            state.placement().clone()
        };
        let (mut state, mut rest) = super::carry(space, &to);
        rest.retain(|vm| space.home[vm.index()].is_some());
        open_for(&mut state, &closed, rest, means)?;
        super::settle_down(&mut state, means);
        (state.homeless() == 0).then_some(state)
    }
}

/// Places VMs that found no place by opening closed hosts again, the best first.
fn open_for(state: &mut State<'_>, closed: &[HostId], mut vms: Vec<VmId>, means: Means<'_>) -> Option<()> {
    let space = state.space;
    let size = |vm: &VmId| space.size[vm.index()];
    vms.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
    let mut opened: Vec<HostId> = Vec::new();
    for vm in vms {
        if means.budget.expired() {
            return None;
        }
        if state.at(vm).is_some() {
            continue;
        }
        if let Some(host) = opened.iter().copied().find(|host| state.may_enter(vm, *host)) {
            state.set(vm, Some(host));
            continue;
        }
        // Who shares with no others but some does not need a good one.
        let lonely = space.rules.of(vm).any(|kept| kept.hard() && kept.rule.apart().is_some());
        let enters = |host: &HostId| state.on(*host).is_empty() && state.may_enter(vm, *host);
        let host = if lonely {
            closed.iter().rev().copied().find(enters)
        } else {
            closed.iter().copied().find(enters)
        };
        match host {
            Some(host) => {
                state.set(vm, Some(host));
                opened.push(host);
            }
            None if state.insert(vm, None, means) => {}
            None => return None,
        }
    }
    Some(())
}

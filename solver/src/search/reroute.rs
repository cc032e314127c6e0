//! Cheaper moves where room is scarce: what has left a host that is over goes back, perhaps others leave it, and all
//! that has moved for their sake finds a place anew, each by the cheapest chain of VMs that make room.

use super::chain::Price;
use super::insert::{Fit, Means};
use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{Amount, HostId, Objective, VmId};
use crate::screen::Facts;
use std::collections::BTreeSet;

/// VMs that are taken back at once.
const MOST_BACK: usize = 24;
/// Hosts that are relieved anew at once.
const MOST_HOSTS: usize = 3;
/// Hosts beyond which a chain takes long.
const MOST_OPEN: usize = 256;
/// VMs for which a place is looked for in one chain.
const NODES: u32 = 240;
/// Tries before what was found is told.
const MOST_TRIES: usize = 600;
/// More than any plan moves, in MiB.
const ANY: Amount = Amount::MAX / 8;

/// What does not change meanwhile.
struct Ground<'f> {
    facts: &'f Facts,
    /// Hosts that are over at the start.
    hosts: Vec<HostId>,
    cheapest: Amount,
    means: Means<'f>,
}

impl State<'_> {
    /// Looks for cheaper moves until `patience` tries in a row have brought nothing, or the budget is spent.
    pub(super) fn reroute(&mut self, patience: usize, random: &mut Random, budget: &Budget) {
        let space = self.space;
        let facts = Facts::new(space);
        if facts.wants.is_empty() {
            return;
        }
        let relief: Amount = facts.relief.values().map(|relief| relief.cost).sum();
        let least = facts.leaving.values().sum::<Amount>() + relief;
        let hosts = facts.wants.keys().copied().collect();
        let means = Means::direct(budget, Fit::Tight);
        let ground = Ground { facts: &facts, hosts, cheapest: self.cheapest(), means };
        let (mut in_vain, mut tries) = (0, 0);
        while in_vain < patience && tries < MOST_TRIES && !budget.expired() {
            tries += 1;
            let over: Vec<HostId> = ground.hosts.iter().copied().filter(|host| self.is_over(*host)).collect();
            if over.is_empty() && self.cost() <= least {
                return;
            }
            in_vain += 1;
            let (mark, before) = (self.mark(), self.score());
            if self.relieve_anew(&ground, &over, random) && !before.better_than(&self.score()) {
                if self.score().better_than(&before) {
                    in_vain = 0;
                }
                self.settle();
            } else {
                self.undo(mark);
            }
        }
    }

    /// Whether nothing but `VIOLATIONS` matters more than what moves cost, all VMs have a place, and there are not too
    /// many hosts for chains to be found in good time.
    pub(super) fn may_reroute(&self) -> bool {
        let mut before = self.space.levels.iter().take_while(|level| **level != Objective::MigrationCost);
        let plain = before.all(|level| *level == Objective::Violations);
        let few = self.space.open.len() <= MOST_OPEN;
        plain && few && self.homeless() == 0 && self.space.most_moves == u64::MAX
    }

    /// Whether nothing is violated.
    pub(super) fn is_clean(&self) -> bool {
        self.score().value(Objective::Violations) == Some(0.0)
    }

    /// MiB of the VMs that are elsewhere.
    fn cost(&self) -> Amount {
        self.score().value(Objective::MigrationCost).map_or(0, |cost| cost as Amount)
    }

    /// Whether all that was taken out has a place again, for no more than before if no host was over.
    fn relieve_anew(&mut self, ground: &Ground<'_>, over: &[HostId], random: &mut Random) -> bool {
        let space = self.space;
        let most = if over.is_empty() { self.cost() } else { ANY };
        let (mut back, hosts) = self.to_take_back(ground, over, random);
        for vm in &back {
            self.set(*vm, None);
        }
        let mut out: Vec<VmId> = Vec::new();
        for host in hosts {
            for vm in draw(ground.facts, host, random) {
                if self.at(vm) == Some(host) {
                    if !self.may_take(vm) {
                        return false;
                    }
                    self.set(vm, None);
                    out.push(vm);
                } else if back.remove(&vm) {
                    out.push(vm);
                }
            }
        }
        let mut rest: Vec<VmId> = back.into_iter().collect();
        random.shuffle(&mut rest);
        for vm in rest {
            match space.home[vm.index()] {
                Some(home) if !space.must_leave(vm) && self.may_enter(vm, home) => self.set(vm, Some(home)),
                _ => out.push(vm),
            }
        }
        random.shuffle(&mut out);
        if random.below(2) == 0 {
            let size = |vm: &VmId| space.size[vm.index()];
            out.sort_by(|a, b| size(b).total_cmp(&size(a)));
        }
        let mut due: Amount = out.iter().map(|vm| space.memory(*vm)).sum();
        out.into_iter().all(|vm| {
            let left = most - self.cost() - due;
            due -= space.memory(vm);
            let price = Price { most: left, cheapest: ground.cheapest, nodes: NODES };
            left >= 0 && self.insert_by_chain(vm, space.home[vm.index()], price, ground.means)
        })
    }

    /// VMs that have left some hosts, those that have made room for them, and so on; and the hosts among their homes
    /// that have to be relieved.
    fn to_take_back(
        &self,
        ground: &Ground<'_>,
        over: &[HostId],
        random: &mut Random,
    ) -> (BTreeSet<VmId>, BTreeSet<HostId>) {
        let space = self.space;
        let movers: Vec<VmId> = space.problem.vm_ids().filter(|vm| self.has_moved(*vm)).collect();
        let mut next: Vec<VmId> = Vec::new();
        let mut hosts: BTreeSet<HostId> = random.pick(over).copied().into_iter().collect();
        for _ in 0..=random.below(MOST_HOSTS) {
            hosts.extend(random.pick(&ground.hosts));
            if random.below(3) == 0 {
                next.extend(random.pick(&movers));
            }
        }
        let of = |host: HostId| movers.iter().copied().filter(move |vm| space.home[vm.index()] == Some(host));
        next.extend(hosts.iter().flat_map(|host| of(*host)));
        let mut back = BTreeSet::new();
        while let Some(vm) = next.pop() {
            if back.len() < MOST_BACK && back.insert(vm) {
                next.extend(self.at(vm).into_iter().flat_map(of));
                let home = space.home[vm.index()].filter(|home| ground.facts.wants.contains_key(home));
                if let Some(home) = home.filter(|home| hosts.insert(*home)) {
                    next.extend(of(home));
                }
            }
        }
        (back, hosts)
    }
}

/// VMs that relieve a host for not much more than it must cost, by lot.
fn draw(facts: &Facts, host: HostId, random: &mut Random) -> Vec<VmId> {
    let (Some(want), Some(relief)) = (facts.wants.get(&host), facts.relief.get(&host)) else {
        return Vec::new();
    };
    let spare = relief.cost as f64 * 0.6 * random.share() * random.share();
    let (mut count, mut drawn) = (0, Vec::new());
    want.each(relief.cost + spare as Amount, &mut |vms| {
        count += 1;
        if random.below(count) == 0 {
            drawn = vms.to_vec();
        }
    });
    drawn
}

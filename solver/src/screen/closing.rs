//! Which hosts are worth keeping when only so many may be in use, and what must move at least, as what runs on the
//! others has to leave them: each host is kept for VMs that may share it, for VMs that share with no others, or not
//! at all. What is kept must have room for what is to share it; a Lagrangian relaxation of that, with a price for
//! each resource, is bounded by the hosts that gain the most.

use super::bounds::{apart, takes_part};
use super::closing_tree::Tree;
use super::space::Space;
use crate::model::{Amount, HostId, VmId};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Steps towards the best prices, the length of the first one, and by what each is shorter than the one before.
const STEPS: u32 = 200;
const FIRST: f64 = 2.0;
const SHORTER: f64 = 0.97;
/// With more hosts than this there are fewer steps.
const MANY: usize = 2_000;
/// Hosts that are tried to be exchanged for others with more room.
const EXCHANGED: usize = 40;

/// Smaller shares of a mean host are none.
const SMALL: f64 = 1e-9;

/// What is counted of what moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    Moves,
    Memory,
}

/// Bounds that were asked for before: many plans have the same number of hosts.
#[derive(Debug, Default)]
pub(crate) struct Emptied(RefCell<BTreeMap<(Counted, bool, usize), Amount>>);

impl Emptied {
    /// What must move at least for no more than `most` hosts to be in use; `forced` cannot stay where they are. `over`: hosts
    /// may keep the excess that they have.
    pub(super) fn get(
        &self,
        space: &Space<'_>,
        forced: &[VmId],
        of: Counted,
        over: bool,
        most: usize,
    ) -> Amount {
        let mut known = self.0.borrow_mut();
        *known.entry((of, over, most)).or_insert_with(|| Closing::new(space, forced, of, over).least(most))
    }
}

/// What hosts have on them and have room for. Costs and amounts are in means of all hosts.
pub(crate) struct Closing {
    hosts: Vec<HostId>,
    /// Some VM cannot leave it.
    pub(super) held: Vec<bool>,
    /// What VMs cost that may share their host, and those that share with no others.
    pub(super) shared: Vec<f64>,
    pub(super) lone: Vec<f64>,
    /// Usable amounts, `host * width + resource`.
    room: Vec<f64>,
    pub(super) width: usize,
    /// What is needed of each resource by VMs that may share.
    need: Vec<f64>,
    /// Hosts that the others take at least.
    pub(super) apart: usize,
    /// What all cost, and one of that in the unit of the cost.
    total: f64,
    unit: f64,
    /// Costs are multiples of it.
    step: Amount,
}

/// What was found for a number of hosts.
struct Chosen {
    /// No more of the cost can be saved by hosts that are kept.
    most_saved: f64,
    /// Positions of the hosts to be kept for VMs that share.
    kept: Option<Vec<usize>>,
}

/// Prices, and what they prove.
struct Prices {
    bound: f64,
    of: Vec<f64>,
}

impl Closing {
    pub(crate) fn new(space: &Space<'_>, forced: &[VmId], of: Counted, over: bool) -> Self {
        let (problem, width) = (space.problem, space.width);
        let count = problem.hosts.len();
        let (lone_vms, apart) = apart(space);
        let mut held = vec![false; count];
        let (mut shared, mut lone, mut need) = (vec![0; count], vec![0; count], vec![0; width]);
        let (mut total, mut step): (Amount, Amount) = (0, 0);
        for vm in problem.vm_ids() {
            let Some(home) = space.home[vm.index()] else { continue };
            let cost = if of == Counted::Moves { 1 } else { space.memory(vm) };
            (total, step) = (total + cost, gcd(step, cost));
            held[home.index()] |= space.fixed[vm.index()];
            let alone = lone_vms.contains(&vm);
            if forced.binary_search(&vm).is_err() {
                *if alone { &mut lone[home.index()] } else { &mut shared[home.index()] } += cost;
            }
            if !alone {
                crate::model::add(&mut need, space.demand(vm));
            }
        }
        let hosts: Vec<HostId> = problem.host_ids().filter(|host| takes_part(space, *host)).collect();
        let usable = |host: HostId, r: usize| {
            if over { space.most(host, r) } else { space.usable[host.index() * width + r] }
        };
        let mean = |sum: Amount| if sum > 0 { hosts.len() as f64 / sum as f64 } else { 0.0 };
        let scale: Vec<f64> =
            (0..width).map(|r| mean(hosts.iter().map(|host| usable(*host, r)).sum())).collect();
        let one = mean(total);
        let pick = |of: &[Amount]| hosts.iter().map(|host| of[host.index()] as f64 * one).collect();
        let room =
            hosts.iter().flat_map(|host| (0..width).map(|r| usable(*host, r) as f64 * scale[r])).collect();
        Self {
            held: hosts.iter().map(|host| held[host.index()]).collect(),
            shared: pick(&shared),
            lone: pick(&lone),
            room,
            width,
            need: need.iter().zip(&scale).map(|(need, scale)| *need as f64 * scale).collect(),
            apart,
            total: total as f64 * one,
            unit: one,
            step: step.max(1),
            hosts,
        }
    }

    /// What must move at least for no more than `most` hosts to be in use.
    pub(super) fn least(&self, most: usize) -> Amount {
        if most >= self.hosts.len() || self.unit <= 0.0 {
            return 0;
        }
        let bound = (self.total - self.choose(most, &self.need).most_saved) / self.unit;
        let slack = 1e-6 + 1e-9 * self.total / self.unit;
        let steps = ((bound - slack) / self.step as f64).ceil();
        (steps.max(0.0) as Amount).saturating_mul(self.step)
    }

    /// Hosts to be kept for VMs that share, `most` less those that others take: what runs on them is worth the most
    /// to stay, and they have room for all, and so much more of it (0 = none). `None` if no hosts were found that have.
    pub(crate) fn keep(&self, most: usize, spare: f64) -> Option<Vec<HostId>> {
        let need: Vec<f64> = self.need.iter().map(|need| need * (1.0 + spare)).collect();
        Some(self.choose(most, &need).kept?.into_iter().map(|i| self.hosts[i]).collect())
    }

    /// The hosts to be kept: a set of them by prices, then a search among those that are nearly worth as much.
    fn choose(&self, most: usize, need: &[f64]) -> Chosen {
        let prices = self.climb(most, need);
        let (kept, saved) = self.round(most, need, &prices.of).unzip();
        let mut tree = Tree::new(self, most, need, &prices.of, saved, self.step as f64 * self.unit);
        let most_saved = tree.search().min(self.total - prices.bound);
        Chosen { most_saved, kept: tree.kept.or(kept) }
    }

    /// Those that are worth the most at these prices, as far as they have the room, with what they save.
    fn round(&self, most: usize, need: &[f64], prices: &[f64]) -> Option<(Vec<usize>, f64)> {
        let worth: Vec<f64> = (0..self.hosts.len()).map(|i| self.share_gain(i, prices)).collect();
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.sort_by(|a, b| {
            self.held[*b].cmp(&self.held[*a]).then(worth[*b].total_cmp(&worth[*a])).then(a.cmp(b))
        });
        let count = most.saturating_sub(self.apart).min(order.len());
        let (mut kept, mut rest) = (order[..count].to_vec(), order[count..].to_vec());
        if !self.make_room(&mut kept, &mut rest, &worth, need) {
            return None;
        }
        rest.sort_by(|a, b| self.lone[*b].total_cmp(&self.lone[*a]).then(a.cmp(b)));
        let shared: f64 = kept.iter().map(|i| self.shared[*i]).sum();
        let lone: f64 = rest.iter().take(self.apart).map(|i| self.lone[*i]).sum();
        Some((kept, shared + lone))
    }

    /// Exchanges hosts until those that are kept have the room that is needed, where little is lost for much.
    fn make_room(&self, kept: &mut [usize], rest: &mut [usize], worth: &[f64], need: &[f64]) -> bool {
        for _ in 0..EXCHANGED {
            let has = |r: usize| kept.iter().map(|i| self.room(*i)[r]).sum::<f64>();
            let short: Vec<f64> = (0..self.width).map(|r| (need[r] - has(r)).max(0.0)).collect();
            if short.iter().all(|short| *short <= SMALL) {
                return true;
            }
            let mut best: Option<(f64, usize, usize)> = None;
            let first = kept.len() - kept.len().min(EXCHANGED);
            for out in (first..kept.len()).filter(|at| !self.held[kept[*at]]) {
                for (into, b) in rest.iter().copied().enumerate().take(EXCHANGED) {
                    let a = kept[out];
                    let more = |r: usize| self.room(b)[r] - self.room(a)[r];
                    let helps: f64 = (0..self.width).map(|r| more(r).min(short[r])).sum();
                    let key = (worth[a] - worth[b]).max(SMALL) / helps;
                    if helps > SMALL && best.is_none_or(|(least, _, _)| key < least) {
                        best = Some((key, out, into));
                    }
                }
            }
            let Some((_, out, into)) = best else { return false };
            std::mem::swap(&mut kept[out], &mut rest[into]);
        }
        false
    }

    pub(super) fn room(&self, i: usize) -> &[f64] {
        &self.room[i * self.width..][..self.width]
    }

    /// What it is worth to keep a host for VMs that share.
    pub(super) fn share_gain(&self, i: usize, prices: &[f64]) -> f64 {
        self.shared[i] + self.room(i).iter().zip(prices).map(|(room, price)| room * price).sum::<f64>()
    }

    /// Prices for which the bound is high: steps along the gradient, each shorter than the one before.
    fn climb(&self, most: usize, need: &[f64]) -> Prices {
        let (width, count) = (self.width, self.hosts.len());
        let steps = if count > MANY { STEPS / 2 } else { STEPS };
        let mut best = Prices { bound: f64::NEG_INFINITY, of: vec![0.0; width + 1] };
        let mut prices = vec![1.0; width + 1];
        let mut way = vec![0.0; width + 1];
        let mut length = FIRST;
        let mut gains: Vec<(bool, f64, u32)> = Vec::with_capacity(count);
        for _ in 0..steps {
            gains.clear();
            gains.extend((0..count).map(|i| {
                let gain = self.share_gain(i, &prices).max(self.lone[i] + prices[width]);
                (self.held[i], gain, i as u32)
            }));
            let most = most.min(count);
            if most < count {
                gains.select_nth_unstable_by(most, |a, b| {
                    b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2))
                });
            }
            // The order in which they are added must not depend on how they were selected.
            let chosen = &mut gains[..most];
            chosen.sort_unstable_by_key(|(_, _, i)| *i);
            let mut bound = self.total + self.apart as f64 * prices[width];
            bound += need.iter().zip(&prices).map(|(need, price)| need * price).sum::<f64>();
            let mut slope: Vec<f64> = need.iter().copied().chain([self.apart as f64]).collect();
            for (_, gain, i) in chosen {
                let i = *i as usize;
                bound -= *gain;
                if self.share_gain(i, &prices) >= self.lone[i] + prices[width] {
                    slope.iter_mut().zip(self.room(i)).for_each(|(slope, room)| *slope -= room);
                } else {
                    slope[width] -= 1.0;
                }
            }
            if bound > best.bound {
                best = Prices { bound, of: prices.clone() };
            }
            way.iter_mut().zip(&slope).for_each(|(way, slope)| *way = 0.5 * *way + 0.5 * slope);
            let norm = way.iter().map(|x| x * x).sum::<f64>().sqrt();
            if norm < 1e-9 {
                break;
            }
            prices.iter_mut().zip(&way).for_each(|(price, way)| {
                *price = (*price + length * way / norm).max(0.0);
            });
            length *= SHORTER;
        }
        best
    }
}

fn gcd(mut a: Amount, mut b: Amount) -> Amount {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::{Closing, Counted};
    use crate::constraints::Rules;
    use crate::file;
    use crate::model::{Amount, Problem};
    use crate::screen::Space;
    use proptest::prelude::*;

    fn problem(hosts: &[(Amount, Amount)], vms: &[(usize, Amount, Amount)], lonely: bool) -> Problem {
        let list = |items: Vec<String>| items.join(", ");
        let host = |(i, (cpu, memory)): (usize, &(Amount, Amount))| {
            format!(r#"{{"name": "h{i}", "capacity": {{"cpu": {cpu}, "memory": {memory}}}}}"#)
        };
        let vm = |(i, (at, cpu, memory)): (usize, &(usize, Amount, Amount))| {
            format!(r#"{{"name": "v{i}", "host": "h{at}", "demand": {{"cpu": {cpu}, "memory": {memory}}}}}"#)
        };
        let rule = if lonely { r#"{"name": "l", "lonely": {"vms": ["v0"]}}"# } else { "" };
        let json = format!(
            r#"{{"objective": "CONSOLIDATE", "hosts": [{}], "vms": [{}], "constraints": [{rule}]}}"#,
            list(hosts.iter().enumerate().map(host).collect()),
            list(vms.iter().enumerate().map(vm).collect()),
        );
        Problem::new(&file::Problem::from_json(&json).unwrap()).unwrap()
    }

    proptest! {
        /// Against all ways to place the VMs.
        #[test]
        fn no_placement_moves_less(
            hosts in prop::collection::vec((4_i64..14, 4_i64..14), 2..5),
            draws in prop::collection::vec((0_usize..4, 1_i64..5, 1_i64..5), 1..6),
            lonely in any::<bool>(),
            most in 1_usize..4,
        ) {
            let vms: Vec<_> = draws.iter().map(|(at, cpu, memory)| (at % hosts.len(), *cpu, *memory)).collect();
            let problem = problem(&hosts, &vms, lonely);
            let rules = Rules::new(&problem);
            let space = Space::new(&problem, &rules);
            let least = |of: Counted| {
                let ways = hosts.len().pow(vms.len() as u32);
                let moved = (0..ways).filter_map(|mut way| {
                    let (mut used, mut cost) = (vec![(0, 0, 0, 0); hosts.len()], 0);
                    for (i, (at, cpu, memory)) in vms.iter().enumerate() {
                        let to = way % hosts.len();
                        way /= hosts.len();
                        let one = &mut used[to];
                        *one = (one.0 + cpu, one.1 + memory, one.2 + 1, one.3 + usize::from(lonely && i == 0));
                        cost += if to == *at { 0 } else if of == Counted::Moves { 1 } else { *memory };
                    }
                    let fits = used.iter().zip(&hosts).all(|(used, host)| {
                        used.0 <= host.0 && used.1 <= host.1 && (used.3 == 0 || used.2 == used.3)
                    });
                    (fits && used.iter().filter(|used| used.2 > 0).count() <= most).then_some(cost)
                });
                moved.min()
            };
            for of in [Counted::Moves, Counted::Memory] {
                if let Some(least) = least(of) {
                    let bound = Closing::new(&space, &[], of, false).least(most);
                    prop_assert!(bound <= least, "{bound} {least} {of:?}");
                }
            }
        }
    }

    /// Four hosts, two of which may stay in use: the large one, though little runs there, as the others have no
    /// room for all, and of those the one with the most on it.
    #[test]
    fn it_keeps_what_has_room() {
        let problem = problem(
            &[(8, 8), (8, 8), (8, 8), (16, 16)],
            &[(0, 6, 6), (1, 7, 7), (2, 5, 5), (3, 1, 1)],
            false,
        );
        let rules = Rules::new(&problem);
        let space = Space::new(&problem, &rules);
        let closing = Closing::new(&space, &[], Counted::Memory, false);
        // A part of the large host would do for 8.
        assert_eq!(closing.least(2), 11);
        let mut kept: Vec<_> = closing.keep(2, 0.0).unwrap().iter().map(|host| host.index()).collect();
        kept.sort_unstable();
        assert_eq!(kept, [1, 3]);
        assert!(closing.keep(2, 0.5).is_none(), "no two hosts have room for so much more");
        assert_eq!(closing.least(4), 0);
    }
}

//! The cheapest VMs of a host whose leaving brings it within its capacity: a covering knapsack in several
//! dimensions, by branch and bound.

use crate::model::Amount;

/// One thing that may be taken.
#[derive(Debug, Clone)]
pub(crate) struct Item<'a> {
    pub(crate) cost: Amount,
    pub(crate) amounts: &'a [Amount],
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cover {
    /// Positions of the items taken, sorted.
    pub(crate) chosen: Vec<usize>,
    pub(crate) cost: Amount,
    /// No cover costs less.
    pub(crate) least: Amount,
}

/// Nodes of the tree after which the best so far is taken.
const MOST_NODES: usize = 5_000;

/// With more items than this the tree is not searched.
const MOST_SEARCHED: usize = 1_000;

/// Nodes of the tree after which not all covers are told.
const MOST_LISTED: usize = 20_000;

/// Tells all sets of items that cover `need` for `most` at most, and nothing without any of their items; other covers as
/// well. False if there were too many to be sure that these are all.
pub(crate) fn each_cover(
    need: &[Amount],
    items: &[Item<'_>],
    most: Amount,
    tell: &mut dyn FnMut(&[usize]),
) -> bool {
    let mut tree = Tree::new(need, items);
    if tree.order.len() > MOST_SEARCHED {
        return false;
    }
    tree.list(&mut need.to_vec(), 0, most, tell);
    tree.nodes < MOST_LISTED
}

/// Items whose amounts add up to `need` at least cost; `None` when all together do not. Of two sets with
/// the same cost the one with fewer items is taken.
pub(crate) fn cover(need: &[Amount], items: &[Item<'_>]) -> Option<Cover> {
    let total = |r: usize| items.iter().map(|item| item.amounts[r]).sum::<Amount>();
    if (0..need.len()).any(|r| need[r] > total(r)) {
        return None;
    }
    let mut tree = Tree::new(need, items);
    let root = tree.bound(need, 0);
    let mut left = need.to_vec();
    if tree.order.len() > MOST_SEARCHED {
        tree.take_in_order(&mut left);
    } else {
        tree.descend(&mut left, 0, 0);
    }
    let (cost, mut chosen) = tree.best?;
    chosen.sort_unstable();
    let proved = (1..MOST_NODES).contains(&tree.nodes) || need.iter().all(|amount| *amount <= 0);
    Some(Cover { chosen, cost, least: if proved { cost } else { root.min(cost) } })
}

struct Tree<'a> {
    items: &'a [Item<'a>],
    /// Positions of the useful items, best first.
    order: Vec<usize>,
    /// For each resource, positions in `order`, best first.
    by_resource: Vec<Vec<usize>>,
    nodes: usize,
    taken: Vec<usize>,
    best: Option<(Amount, Vec<usize>)>,
}

impl<'a> Tree<'a> {
    fn new(need: &[Amount], items: &'a [Item<'a>]) -> Self {
        let useful = |i: &usize| (0..need.len()).any(|r| need[r] > 0 && items[*i].amounts[r] > 0);
        let mut order: Vec<usize> = (0..items.len()).filter(useful).collect();
        // By cost for what it helps, in shares of the need.
        let price = |i: usize| {
            let help = |r: usize| items[i].amounts[r].min(need[r]) as f64 / need[r] as f64;
            let benefit: f64 = (0..need.len()).filter(|r| need[*r] > 0).map(help).sum();
            items[i].cost as f64 / benefit
        };
        order.sort_by(|&a, &b| price(a).total_cmp(&price(b)).then(a.cmp(&b)));
        let by_resource = (0..need.len())
            .map(|r| {
                let mut list: Vec<usize> =
                    (0..order.len()).filter(|&p| items[order[p]].amounts[r] > 0).collect();
                let ratio = |p: usize| items[order[p]].cost as f64 / items[order[p]].amounts[r] as f64;
                list.sort_by(|&a, &b| ratio(a).total_cmp(&ratio(b)).then(a.cmp(&b)));
                list
            })
            .collect();
        Self { items, order, by_resource, nodes: 0, taken: Vec::new(), best: None }
    }

    /// Least cost to cover what is left with items from `from` on: the dearest resource alone, in parts.
    fn bound(&self, left: &[Amount], from: usize) -> Amount {
        let alone = |r: usize| {
            let (mut rest, mut cost) = (left[r], 0.0);
            for &p in self.by_resource[r].iter().filter(|&&p| p >= from) {
                if rest <= 0 {
                    break;
                }
                let item = &self.items[self.order[p]];
                let part = rest.min(item.amounts[r]) as f64 / item.amounts[r] as f64;
                cost += part * item.cost as f64;
                rest -= item.amounts[r];
            }
            // What cannot be covered at all costs more than anything.
            if rest > 0 { f64::INFINITY } else { cost }
        };
        let most = (0..left.len()).filter(|r| left[*r] > 0).map(alone).fold(0.0, f64::max);
        if most.is_infinite() { Amount::MAX } else { (most - 1e-6 - 1e-9 * most).ceil().max(0.0) as Amount }
    }

    /// Without a search: the best by price, then less what was too much.
    fn take_in_order(&mut self, left: &mut [Amount]) {
        let mut taken = Vec::new();
        for &i in &self.order {
            let amounts = self.items[i].amounts;
            if (0..left.len()).any(|r| left[r] > 0 && amounts[r] > 0) {
                left.iter_mut().zip(amounts).for_each(|(l, a)| *l -= a);
                taken.push(i);
            }
        }
        for at in (0..taken.len()).rev() {
            let amounts = self.items[taken[at]].amounts;
            if left.iter().zip(amounts).all(|(l, a)| l + a <= 0) {
                left.iter_mut().zip(amounts).for_each(|(l, a)| *l += a);
                taken.remove(at);
            }
        }
        self.best = Some((taken.iter().map(|&i| self.items[i].cost).sum(), taken));
    }

    fn list(&mut self, left: &mut [Amount], from: usize, most: Amount, tell: &mut dyn FnMut(&[usize])) {
        if left.iter().all(|need| *need <= 0) {
            let mut chosen: Vec<usize> = self.taken.iter().map(|&p| self.order[p]).collect();
            chosen.sort_unstable();
            tell(&chosen);
            return;
        }
        self.nodes += 1;
        if from == self.order.len() || self.nodes >= MOST_LISTED || self.bound(left, from) > most {
            return;
        }
        let item = self.items[self.order[from]].clone();
        let helps = (0..left.len()).any(|r| left[r] > 0 && item.amounts[r] > 0);
        if helps && item.cost <= most {
            left.iter_mut().zip(item.amounts).for_each(|(l, a)| *l -= a);
            self.taken.push(from);
            self.list(left, from + 1, most - item.cost, tell);
            self.taken.pop();
            left.iter_mut().zip(item.amounts).for_each(|(l, a)| *l += a);
        }
        self.list(left, from + 1, most, tell);
    }

    fn descend(&mut self, left: &mut [Amount], from: usize, cost: Amount) {
        if left.iter().all(|need| *need <= 0) {
            let better = self.best.as_ref().is_none_or(|(best, chosen)| {
                cost < *best || (cost == *best && self.taken.len() < chosen.len())
            });
            if better {
                self.best = Some((cost, self.taken.iter().map(|&p| self.order[p]).collect()));
            }
            return;
        }
        self.nodes += 1;
        // The first descent is always finished, so that there is a cover.
        if from == self.order.len() || (self.nodes >= MOST_NODES && self.best.is_some()) {
            return;
        }
        let bound = self.bound(left, from);
        if bound == Amount::MAX
            || self.best.as_ref().is_some_and(|(best, chosen)| {
                let total = cost.saturating_add(bound);
                total > *best || (total == *best && self.taken.len() + 1 >= chosen.len())
            })
        {
            return;
        }
        let item = self.items[self.order[from]].clone();
        if (0..left.len()).any(|r| left[r] > 0 && item.amounts[r] > 0) {
            left.iter_mut().zip(item.amounts).for_each(|(l, a)| *l -= a);
            self.taken.push(from);
            self.descend(left, from + 1, cost + item.cost);
            self.taken.pop();
            left.iter_mut().zip(item.amounts).for_each(|(l, a)| *l += a);
        }
        self.descend(left, from + 1, cost);
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, Item, cover, each_cover};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_cheapest_by_trying_all(
            need in prop::collection::vec(-3_i64..12, 2),
            items in prop::collection::vec((0_i64..9, prop::collection::vec(0_i64..6, 2)), 0..9),
        ) {
            let list: Vec<_> = items.iter().map(|(cost, amounts)| Item { cost: *cost, amounts }).collect();
            let brute = (0_u32..1 << items.len())
                .filter(|set| {
                    (0..2).all(|r| {
                        let all = |i: &usize| set >> i & 1 == 1;
                        (0..items.len()).filter(all).map(|i| items[i].1[r]).sum::<Amount>() >= need[r]
                    })
                })
                .map(|set| (0..items.len()).filter(|i| set >> i & 1 == 1).map(|i| items[i].0).sum::<Amount>())
                .min();
            let found = cover(&need, &list);
            prop_assert_eq!(found.as_ref().map(|c| c.cost), brute);
            if let Some(found) = found {
                prop_assert!(found.least <= found.cost && found.least == brute.unwrap());
                let sum = |r: usize| found.chosen.iter().map(|i| items[*i].1[r]).sum::<Amount>();
                prop_assert!((0..2).all(|r| sum(r) >= need[r]));
            }
        }

        #[test]
        fn all_covers_that_need_each_of_their_items_are_told(
            need in prop::collection::vec(-3_i64..12, 2),
            items in prop::collection::vec((0_i64..9, prop::collection::vec(0_i64..6, 2)), 0..8),
            most in 0_i64..30,
        ) {
            let list: Vec<_> = items.iter().map(|(cost, amounts)| Item { cost: *cost, amounts }).collect();
            let covers = |set: &[usize]| {
                (0..2).all(|r| set.iter().map(|i| items[*i].1[r]).sum::<Amount>() >= need[r])
            };
            let mut told: Vec<Vec<usize>> = Vec::new();
            prop_assert!(each_cover(&need, &list, most, &mut |set| told.push(set.to_vec())));
            for set in &told {
                prop_assert!(covers(set) && set.iter().map(|i| items[*i].0).sum::<Amount>() <= most);
            }
            for bits in 0_u32..1 << items.len() {
                let set: Vec<usize> = (0..items.len()).filter(|i| bits >> i & 1 == 1).collect();
                let without = |i: usize| set.iter().copied().filter(|j| *j != i).collect::<Vec<_>>();
                let needed = set.iter().all(|i| !covers(&without(*i)));
                let cheap = set.iter().map(|i| items[*i].0).sum::<Amount>() <= most;
                prop_assert!(!(covers(&set) && needed && cheap) || told.contains(&set), "{set:?}");
            }
        }
    }

    #[test]
    fn a_large_one_ends_and_its_bound_is_below() {
        let amounts: Vec<[Amount; 2]> = (0..300).map(|i| [100 + i * 37 % 91, 100 + i * 53 % 97]).collect();
        let items: Vec<_> =
            (0_i64..300).map(|i| Item { cost: 1000 + i * 71 % 500, amounts: &amounts[i as usize] }).collect();
        let found = cover(&[9_000, 9_500], &items).unwrap();
        assert!(found.least <= found.cost && found.cost < found.least + found.least / 20, "{found:?}");
    }
}

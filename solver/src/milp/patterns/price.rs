//! The best that one host may run, when each VM has a price: a knapsack of several resources with VMs that do not go together,
//! by branch and bound.

use super::split::{Block, Case};

/// What a host may run: one of its cases, and items, sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern {
    pub(super) block: u32,
    pub(super) case: u32,
    pub(super) items: Vec<u32>,
}

/// What the search came to.
#[derive(Debug, Clone)]
pub(super) struct Priced {
    pub(super) pattern: Pattern,
    /// Of that pattern.
    pub(super) profit: i64,
    /// No pattern has more.
    pub(super) most: i64,
    /// Nodes of the tree.
    pub(super) nodes: u64,
}

/// Nodes after which things are decided by what is known.
const QUICK: u64 = 200;

/// Room that bounds have beyond what there is, so that what weighs nothing is in them.
const MARGIN: f64 = 1e-6;

/// Shares of a resource, where there are two, that are tried as weights.
const GRID: i64 = 10;

/// Finds the items with the highest sum of profits, in the best of the cases, which have profits too. `None` if no case is
/// possible. Items without profit are left out.
pub(super) fn best(
    block: &Block,
    number: u32,
    profits: &[i64],
    cases: &[i64],
    most_nodes: u64,
) -> Option<Priced> {
    let mut found: Option<Priced> = None;
    for (i, (case, extra)) in block.cases.iter().zip(cases).enumerate() {
        let mut search = Search::new(block, case, profits, most_nodes);
        let least = found.as_ref().map_or(i64::MIN, |found| found.profit - extra);
        let (profit, most) = search.run(least);
        let (total, upper) = (profit.map(|profit| profit + extra), most + extra);
        let nodes = search.nodes;
        let pattern = || Pattern { block: number, case: i as u32, items: search.taken() };
        if let Some(found) = &mut found {
            found.nodes += nodes;
            found.most = found.most.max(upper);
            if let Some(total) = total.filter(|total| *total > found.profit) {
                found.profit = total;
                found.pattern = pattern();
            }
        } else {
            found = Some(Priced { pattern: pattern(), profit: total?, most: upper, nodes });
        }
    }
    found
}

/// Patterns to which nothing can be added and that are worth at least so much, as far as so many nodes and patterns tell.
pub(super) fn near(
    block: &Block,
    number: u32,
    profits: &[i64],
    cases: &[i64],
    least: i64,
    most_nodes: u64,
    most: usize,
) -> (Vec<Pattern>, u64) {
    let (mut found, mut nodes) = (Vec::new(), 0);
    for (i, (case, extra)) in block.cases.iter().zip(cases).enumerate() {
        let mut search = Search::new(block, case, profits, most_nodes);
        let mut all = Vec::new();
        search.gather(0, 0, least - extra, most, &mut all);
        nodes += search.nodes;
        found.extend(all.into_iter().map(|items| Pattern { block: number, case: i as u32, items }));
    }
    (found, nodes)
}

/// An item that is worth something.
struct Thing {
    item: u32,
    profit: i64,
    /// Of rows that few items use.
    uses: Vec<(u32, i64)>,
}

/// An order of the things, by profit for their weight, the highest first.
#[derive(Default)]
struct Order {
    /// Of each wide row, for a unit.
    units: Vec<f64>,
    /// Positions of things with their profit and weight.
    list: Vec<(usize, f64, f64)>,
}

struct Search {
    /// In the first order.
    things: Vec<Thing>,
    /// What they take of the wide rows, those that many use and that bind; thing by thing.
    amounts: Vec<i64>,
    wide: usize,
    /// What is left of the wide rows, and of the others.
    left: Vec<i64>,
    rooms: Vec<i64>,
    /// By several weights: the first are best where nothing is taken yet.
    orders: Vec<Order>,
    most_nodes: u64,
    nodes: u64,
    /// Things that are decided.
    out: Vec<bool>,
    chosen: Vec<usize>,
    best: Option<(i64, Vec<usize>)>,
}

impl Search {
    fn new(block: &Block, case: &Case, profits: &[i64], most_nodes: u64) -> Self {
        let worth: Vec<u32> = case.items.iter().copied().filter(|item| profits[*item as usize] > 0).collect();
        let uses = |item: u32| &block.items[item as usize].uses;
        // Rows that bind nobody are not looked at.
        let mut total = vec![(0_i64, 0_usize); case.rooms.len()];
        for (row, amount) in worth.iter().flat_map(|item| uses(*item)) {
            let place = &mut total[*row as usize];
            *place = (place.0.saturating_add(*amount), place.1 + 1);
        }
        let binds = |row: u32| total[row as usize].0 > case.rooms[row as usize];
        let many = |row: u32| total[row as usize].1 * 2 > worth.len();
        let wide: Vec<u32> = (0..total.len() as u32).filter(|row| binds(*row) && many(*row)).collect();
        let amount =
            |item: u32, row: u32| uses(item).iter().find(|(other, _)| *other == row).map_or(0, |(_, a)| *a);
        let left: Vec<i64> = wide.iter().map(|row| case.rooms[*row as usize]).collect();
        let shares = |item: u32| -> Vec<f64> {
            wide.iter()
                .zip(&left)
                .map(|(row, room)| amount(item, *row) as f64 / (*room).max(1) as f64)
                .collect()
        };
        let weighed: Vec<(u32, f64, Vec<f64>)> =
            worth.iter().map(|item| (*item, profits[*item as usize] as f64, shares(*item))).collect();
        let weights = weights(&weighed, wide.len());
        let order = first_order(&weighed, &weights[0]);
        let mut search = Self {
            things: (order.iter())
                .map(|i| {
                    let item = weighed[*i].0;
                    let narrow = |(row, _): &&(u32, i64)| binds(*row) && !wide.contains(row);
                    let uses = uses(item).iter().filter(narrow).copied().collect();
                    Thing { item, profit: profits[item as usize], uses }
                })
                .collect(),
            amounts: order.iter().flat_map(|i| wide.iter().map(|row| amount(weighed[*i].0, *row))).collect(),
            wide: wide.len(),
            left,
            rooms: case.rooms.clone(),
            orders: Vec::new(),
            most_nodes,
            nodes: 0,
            out: vec![false; worth.len()],
            chosen: Vec::new(),
            best: None,
        };
        search.orders = weights.iter().map(|weight| search.order(weight)).collect();
        search
    }

    fn order(&self, weight: &[f64]) -> Order {
        let units: Vec<f64> =
            weight.iter().zip(&self.left).map(|(share, room)| share / (*room).max(1) as f64).collect();
        let mut list: Vec<(usize, f64, f64)> = (self.things.iter().enumerate())
            .map(|(i, thing)| {
                let weight: f64 = units.iter().zip(self.amounts(i)).map(|(unit, a)| unit * *a as f64).sum();
                (i, thing.profit as f64, weight.max(1e-12))
            })
            .collect();
        list.sort_by(|a, b| (b.1 / b.2).total_cmp(&(a.1 / a.2)).then(a.0.cmp(&b.0)));
        Order { units, list }
    }

    fn amounts(&self, thing: usize) -> &[i64] {
        &self.amounts[thing * self.wide..(thing + 1) * self.wide]
    }

    fn fits(&self, thing: usize) -> bool {
        self.amounts(thing).iter().zip(&self.left).all(|(amount, left)| amount <= left)
    }

    /// No more than this can be won with things from there on.
    fn bound(&self, order: &Order, from: usize) -> f64 {
        let mut left = MARGIN;
        left += order.units.iter().zip(&self.left).map(|(unit, left)| unit * *left as f64).sum::<f64>();
        let mut sum = 0.0;
        for (thing, profit, weight) in &order.list {
            if *thing < from || !self.fits(*thing) {
                continue;
            }
            if *weight <= left {
                left -= weight;
                sum += profit;
            } else {
                sum += profit * left / weight;
                break;
            }
        }
        sum
    }

    /// The best profit above `least`, and what nothing is above.
    fn run(&mut self, least: i64) -> (Option<i64>, i64) {
        let root = self.orders.iter().map(|order| self.bound(order, 0)).fold(f64::INFINITY, f64::min);
        let root = root.floor() as i64 + 1;
        if least < 0 {
            self.best = Some((0, Vec::new()));
        }
        let most_nodes = self.most_nodes;
        self.most_nodes = most_nodes.min(QUICK);
        self.descend(0, 0, least);
        if self.nodes > self.most_nodes && most_nodes > QUICK {
            self.most_nodes = most_nodes;
            if let Some(profit) = self.reduce(least) {
                self.descend(0, profit, least);
            }
        }
        let best = self.best.as_ref().map(|(profit, _)| *profit);
        let most = if self.nodes > self.most_nodes {
            root.max(best.unwrap_or(0))
        } else {
            best.unwrap_or_else(|| least.min(root))
        };
        (best, most.max(0))
    }

    /// Takes what anything better must have, and leaves out what it cannot have, by the price of what is scarce. Returns the
    /// profit of what was taken, or `None` if nothing can be better.
    fn reduce(&mut self, least: i64) -> Option<i64> {
        let enough = self.best.as_ref().map_or(least, |(best, _)| *best) as f64 + 0.5;
        let mut must = vec![false; self.things.len()];
        let mut barred = vec![false; self.things.len()];
        for order in &self.orders {
            let (bound, price) = self.critical(order);
            for (thing, profit, weight) in &order.list {
                let gain = profit - price * weight;
                if bound - gain.abs() < enough {
                    must[*thing] |= gain > 0.0;
                    barred[*thing] |= gain < 0.0;
                }
            }
        }
        let mut profit = 0;
        for i in (0..self.things.len()).filter(|i| must[*i]) {
            if barred[i] || !self.may_take(i) {
                return None;
            }
            profit += self.things[i].profit;
            self.take(i, -1);
            self.chosen.push(i);
        }
        self.out = must.iter().zip(&barred).map(|(must, barred)| *must || *barred).collect();
        let out = &self.out;
        self.orders.iter_mut().for_each(|order| order.list.retain(|(thing, ..)| !out[*thing]));
        Some(profit)
    }

    /// The bound of all things by an order, and the price of a unit of weight in it.
    fn critical(&self, order: &Order) -> (f64, f64) {
        let mut left: f64 = order.units.iter().zip(&self.left).map(|(unit, left)| unit * *left as f64).sum();
        left += MARGIN;
        let mut sum = 0.0;
        for (_, profit, weight) in &order.list {
            if *weight > left {
                return (sum + profit * left / weight, profit / weight);
            }
            left -= weight;
            sum += profit;
        }
        (sum, 0.0)
    }

    fn descend(&mut self, from: usize, profit: i64, least: i64) {
        self.nodes += 1;
        let record = |search: &Self| search.best.as_ref().map_or(least, |(best, _)| *best);
        if profit > record(self) {
            self.best = Some((profit, self.chosen.clone()));
        }
        for i in from..self.things.len() {
            if self.nodes > self.most_nodes {
                return;
            }
            if self.out[i] || !self.fits(i) {
                continue;
            }
            let enough = record(self) as f64 + 0.5;
            if self.orders.iter().any(|order| profit as f64 + self.bound(order, i) < enough) {
                return;
            }
            if !self.may_take(i) {
                continue;
            }
            let gain = self.things[i].profit;
            self.take(i, -1);
            self.chosen.push(i);
            self.descend(i + 1, profit + gain, least);
            self.chosen.pop();
            self.take(i, 1);
        }
    }

    fn gather(&mut self, from: usize, profit: i64, least: i64, most: usize, found: &mut Vec<Vec<u32>>) {
        self.nodes += 1;
        let full = |search: &Self| {
            !(0..search.things.len()).any(|i| !search.chosen.contains(&i) && search.may_take(i))
        };
        if profit >= least && full(self) {
            found.push(self.items(&self.chosen));
        }
        for i in from..self.things.len() {
            if self.nodes > self.most_nodes || found.len() >= most {
                return;
            }
            if !self.fits(i) {
                continue;
            }
            if self.orders.iter().any(|order| profit as f64 + self.bound(order, i) < least as f64 - 0.5) {
                return;
            }
            if self.may_take(i) {
                let gain = self.things[i].profit;
                self.take(i, -1);
                self.chosen.push(i);
                self.gather(i + 1, profit + gain, least, most, found);
                self.chosen.pop();
                self.take(i, 1);
            }
        }
    }

    fn may_take(&self, thing: usize) -> bool {
        let uses = &self.things[thing].uses;
        self.fits(thing) && uses.iter().all(|(row, amount)| *amount <= self.rooms[*row as usize])
    }

    fn take(&mut self, thing: usize, sign: i64) {
        for (row, amount) in &self.things[thing].uses {
            self.rooms[*row as usize] += sign * amount;
        }
        let amounts = &self.amounts[thing * self.wide..(thing + 1) * self.wide];
        self.left.iter_mut().zip(amounts).for_each(|(left, amount)| *left += sign * amount);
    }

    /// The items of the best, sorted.
    fn taken(&self) -> Vec<u32> {
        self.items(self.best.as_ref().map_or(&[][..], |(_, chosen)| chosen.as_slice()))
    }

    fn items(&self, chosen: &[usize]) -> Vec<u32> {
        let mut items: Vec<u32> = chosen.iter().map(|i| self.things[*i].item).collect();
        items.sort_unstable();
        items
    }
}

/// Weights of the wide rows: first those of which the bound is lowest, then each row alone.
fn weights(weighed: &[(u32, f64, Vec<f64>)], count: usize) -> Vec<Vec<f64>> {
    let alone =
        |row: usize| -> Vec<f64> { (0..count).map(|other| f64::from(u8::from(other == row))).collect() };
    let mut choices: Vec<Vec<f64>> = (0..count).map(alone).collect();
    for first in 0..count {
        for second in first + 1..count {
            for step in 1..GRID {
                let share = step as f64 / GRID as f64;
                let mut choice = vec![0.0; count];
                (choice[first], choice[second]) = (share, 1.0 - share);
                choices.push(choice);
            }
        }
    }
    let bound = |choice: &Vec<f64>| -> f64 {
        let (mut left, mut sum) = (1.0, 0.0);
        for i in first_order(weighed, choice) {
            let (profit, weight) = (weighed[i].1, weight(&weighed[i].2, choice));
            if weight > left {
                return sum + profit * left / weight;
            }
            (left, sum) = (left - weight, sum + profit);
        }
        sum
    };
    let best = choices.iter().map(|choice| (bound(choice), choice)).min_by(|a, b| a.0.total_cmp(&b.0));
    let best = best.map_or_else(Vec::new, |(_, choice)| choice.clone());
    let others = (0..count).map(alone).filter(|other| *other != best);
    std::iter::once(best.clone()).chain(others).collect()
}

fn weight(shares: &[f64], choice: &[f64]) -> f64 {
    shares.iter().zip(choice).map(|(share, part)| share * part).sum::<f64>().max(1e-12)
}

/// Positions by profit for their weight.
fn first_order(weighed: &[(u32, f64, Vec<f64>)], choice: &[f64]) -> Vec<usize> {
    let worth: Vec<f64> = weighed.iter().map(|(_, profit, shares)| profit / weight(shares, choice)).collect();
    let mut order: Vec<usize> = (0..weighed.len()).collect();
    order.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]).then(weighed[*a].0.cmp(&weighed[*b].0)));
    order
}

#[cfg(test)]
mod tests {
    use super::super::split::{Block, Case, Item};
    use super::{Pattern, best};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn it_is_the_best_by_trying_all(
            things in prop::collection::vec((-3_i64..40, 0_i64..9, 0_i64..9, 0_u32..3), 0..9),
            rooms in prop::collection::vec((0_i64..25, 0_i64..25, 0_i64..2, -20_i64..20), 1..3),
            few in any::<bool>(),
        ) {
            let items = things.iter().map(|(_, cpu, memory, group)| {
                let mut uses = vec![(0, *cpu), (1, *memory)];
                if *group > 0 {
                    uses.push((1 + group, 1));
                }
                Item { column: 0, class: 0, cost: 0, uses, links: Vec::new() }
            });
            let case = |room: &(i64, i64, i64, i64)| Case {
                columns: Vec::new(), cost: 0, links: Vec::new(), rooms: vec![room.0, room.1, room.2, 1],
                items: (0..things.len() as u32).collect(),
            };
            let block = Block { items: items.collect(), cases: rooms.iter().map(case).collect() };
            let profits: Vec<i64> = things.iter().map(|thing| thing.0).collect();
            let extra: Vec<i64> = rooms.iter().map(|room| room.3).collect();
            let found = best(&block, 7, &profits, &extra, if few { 2 } else { 1_000_000 }).unwrap();
            let worth = |pattern: &Pattern| -> Option<i64> {
                let case = &block.cases[pattern.case as usize];
                let mut rooms = case.rooms.clone();
                for item in &pattern.items {
                    for (row, amount) in &block.items[*item as usize].uses {
                        rooms[*row as usize] -= amount;
                    }
                }
                let sum: i64 = pattern.items.iter().map(|item| profits[*item as usize]).sum();
                rooms.iter().all(|room| *room >= 0).then_some(sum + extra[pattern.case as usize])
            };
            prop_assert_eq!(worth(&found.pattern), Some(found.profit));
            let all = (0..rooms.len() as u32).flat_map(|case| (0..1_u32 << things.len()).map(move |bits| (case, bits)));
            let brute = all
                .filter_map(|(case, bits)| {
                    let items = (0..things.len() as u32).filter(|i| bits >> i & 1 == 1).collect();
                    worth(&Pattern { block: 7, case, items })
                })
                .max()
                .unwrap();
            prop_assert!(found.most >= brute && found.profit <= brute);
            if !few {
                prop_assert_eq!((found.profit, found.most), (brute, brute));
            }
        }
    }
}

//! Prices are improved until no host has a better pattern; each of them gives a bound. Then whole patterns are chosen.

use super::master::{Master, Prices, Solved, cost_of, links_of};
use super::price::{self, Pattern, Priced};
use super::split::{Block, Item, Split};
use crate::backend::News;
use crate::budget::Budget;
use crate::milp::worker::Line;
use std::collections::BTreeSet;

/// Prices are whole numbers of such parts of a unit, so that bounds are exact.
pub(super) const PARTS: i64 = 1024;

/// All that is at stake must be below this, in parts, so that sums in floating point are exact.
const MOST_PARTS: i64 = 1 << 50;

/// Nodes for one host in a round, at first and at most: more are taken once few bring nothing new.
const NODES: u64 = 500;
const MOST_NODES: u64 = 4_000;
/// The same for the last bound.
const LAST_NODES: u64 = 16_000;
const MORE_NODES: u64 = 8;
/// Rounds after which the boxes are put around the best prices in any case.
const ROUNDS: u64 = 15;
/// What a round costs beside nodes and iterations.
pub(super) const ROUND_WORK: u64 = 1_000;
/// Turns: the share of the budget for prices, seconds for a choice among whole patterns, and choices that the dive after it
/// takes back.
const TURNS: [(f64, f64, u32); 3] = [(0.4, 0.7, 4), (0.2, 1.5, 8), (0.2, 3.0, 12)];
/// A price may be off by such a part of what a VM costs at first.
const WIDTH: f64 = 0.15;
/// The bound may be off by this part of what is open.
const NEAR: f64 = 0.02;

/// What is known of the goal, without what is constant in it.
pub(super) struct Bounds {
    /// Nothing is below.
    pub(super) least: i64,
    /// Of the best placement known.
    pub(super) most: i64,
}

/// Improves bounds and looks for better ends, and tells both.
pub(super) fn run(split: &Split, start: Vec<Pattern>, most: i64, budget: &Budget, line: &Line<News>) {
    let mut cost = vec![0_i64; split.classes];
    for item in split.blocks.iter().flat_map(|block| &block.items) {
        let place = &mut cost[item.class as usize];
        *place = (*place).max(item.cost.abs());
    }
    let total = cost.iter().fold(0_i64, |sum, cost| sum.saturating_add(*cost));
    if total > MOST_PARTS / PARTS {
        return;
    }
    let mean = total as f64 / split.classes.max(1) as f64;
    let width: Vec<f64> =
        cost.iter().map(|cost| (WIDTH * *cost as f64).max(WIDTH * mean / 2.0).max(1.0)).collect();
    let seconds = budget.remaining().as_secs_f64().min(1e6);
    let Some(master) = Master::new(split, width, WIDTH * mean, seconds) else { return };
    let mut run = Run {
        split,
        budget,
        line,
        master,
        bounds: Bounds { least: i64::MIN, most },
        best: Prices { classes: vec![0.0; split.classes], links: vec![0.0; split.links.len()] },
        best_value: i64::MIN,
        known: vec![None; split.blocks.len()],
        nodes: NODES,
        spare: BTreeSet::new(),
    };
    for pattern in start {
        run.master.add(pattern);
    }
    for (share, seconds, most_back) in TURNS {
        run.prices(&budget.slice(share));
        run.nodes = LAST_NODES;
        let best = run.best.clone();
        if !run.done() {
            run.price(&best, None, &[]);
        }
        if !run.done() {
            run.choose(seconds);
        }
        if !run.done() {
            run.dive(mean, most_back);
        }
    }
}

/// The last question about a host, and its answer.
type Known = Option<(Vec<(u32, i64)>, Vec<i64>, Priced)>;

pub(super) struct Run<'r> {
    pub(super) split: &'r Split,
    pub(super) budget: &'r Budget,
    pub(super) line: &'r Line<News>,
    pub(super) master: Master<'r>,
    pub(super) bounds: Bounds,
    /// The prices with the best bound.
    pub(super) best: Prices,
    /// That bound, in parts.
    best_value: i64,
    known: Vec<Known>,
    /// For one host in a round.
    pub(super) nodes: u64,
    /// Patterns that would not make the programme better; among whole ones they may be what is missing.
    pub(super) spare: BTreeSet<Pattern>,
}

impl Run<'_> {
    pub(super) fn done(&self) -> bool {
        self.bounds.least >= self.bounds.most || self.line.stop().is_asked() || self.budget.expired()
    }

    /// Improves prices.
    fn prices(&mut self, budget: &Budget) {
        self.nodes = NODES;
        let best = self.best.clone();
        self.price(&best, None, &[]);
        self.master.center(&best, 1.0);
        let (mut round, mut width, mut centered) = (0, 1.0, self.best_value);
        while !self.done() && !budget.expired() {
            let Some(solved) = self.master.solve() else { return };
            self.budget.spend(solved.iterations + ROUND_WORK);
            round += 1;
            if self.master.add_links(&solved.used) {
                continue;
            }
            let exact = round % 2 == 1;
            let at = if exact { solved.prices.clone() } else { between(&self.best, &solved.prices) };
            let added = self.price(&at, Some(&solved), &[]);
            let near = solved.value - self.best_value as f64 / PARTS as f64;
            let met = near < 0.5_f64.max(NEAR * (self.bounds.most as f64 - solved.value));
            if met && !solved.boxed {
                return;
            }
            let stuck = exact && !added && self.nodes >= MOST_NODES;
            if stuck && !solved.boxed {
                return;
            }
            if exact && !added && !met {
                self.nodes = MOST_NODES.min(self.nodes * MORE_NODES);
            }
            if met || !added || round % ROUNDS == 0 {
                if (met || stuck) && centered == self.best_value {
                    width *= 2.0;
                }
                centered = self.best_value;
                let best = self.best.clone();
                self.master.center(&best, width);
            }
        }
    }

    /// Finds the best pattern of each host, which gives a bound if none is left out; whether any is new. If it is known what
    /// the programme came to, only those are added that make it better.
    pub(super) fn price(&mut self, at: &Prices, solved: Option<&Solved>, without: &[bool]) -> bool {
        let (classes, links) = whole(at);
        let sum = classes.iter().map(|price| i128::from(*price)).sum::<i128>();
        let linked = links.iter().zip(&self.split.links);
        let sum = sum + linked.map(|(price, link)| i128::from(*price) * i128::from(link.rhs)).sum::<i128>();
        let Some(mut value) = small(sum) else { return false };
        let mut added = false;
        for (number, block) in self.split.blocks.iter().enumerate() {
            if without.get(number) == Some(&true) {
                continue;
            }
            // A round that is cut short proves nothing.
            if self.done() {
                return false;
            }
            let Some((profits, cases)) = profits(block, &classes, &links) else { return false };
            let question: Vec<(u32, i64)> = (0_u32..)
                .zip(&profits)
                .filter(|(_, profit)| **profit > 0)
                .map(|(i, profit)| (i, *profit))
                .collect();
            let sure = |known: &&(Vec<(u32, i64)>, Vec<i64>, Priced)| {
                known.2.most == known.2.profit || known.2.nodes > self.nodes
            };
            let again = self.known[number].as_ref().filter(|known| known.0 == question && known.1 == cases);
            let again = again.filter(sure);
            let priced = if let Some(known) = again {
                known.2.clone()
            } else {
                let Some(priced) = price::best(block, number as u32, &profits, &cases, self.nodes) else {
                    return false;
                };
                self.budget.spend(priced.nodes);
                self.known[number] = Some((question, cases, priced.clone()));
                priced
            };
            value -= priced.most;
            if solved.is_none_or(|solved| self.gains(&priced.pattern, solved)) {
                added |= self.master.add(priced.pattern);
            } else {
                self.spare.insert(priced.pattern);
            }
        }
        if value > self.best_value && without.is_empty() {
            self.best_value = value;
            self.best = at.clone();
            // A part of a unit counts as a whole one.
            let least = value.div_euclid(PARTS) + i64::from(value.rem_euclid(PARTS) > 0);
            if least > self.bounds.least {
                self.bounds.least = least;
                self.line.tell(News::Bound(least + self.split.constant));
            }
        }
        added
    }

    /// Whether the programme gets better with a pattern.
    fn gains(&self, pattern: &Pattern, solved: &Solved) -> bool {
        let block = &self.split.blocks[pattern.block as usize];
        let items =
            pattern.items.iter().map(|i| solved.prices.classes[block.items[*i as usize].class as usize]);
        let linked = links_of(self.split, pattern)
            .iter()
            .map(|(l, f)| solved.prices.links[*l as usize] * *f as f64)
            .sum::<f64>();
        let price = items.sum::<f64>() + linked + solved.hosts[pattern.block as usize];
        price > cost_of(self.split, pattern) as f64 + 1e-3
    }
}

/// Prices in parts: of classes, of links.
pub(super) fn whole(prices: &Prices) -> (Vec<i64>, Vec<i64>) {
    let whole = |prices: &[f64]| prices.iter().map(|price| (price * PARTS as f64).round() as i64).collect();
    (whole(&prices.classes), whole(&prices.links))
}

/// A number that floating point has exactly, with others like it.
fn small(number: i128) -> Option<i64> {
    i64::try_from(number).ok().filter(|number| number.abs() <= MOST_PARTS)
}

/// What the items of a block are worth, and its cases; `None` where that is too much for exact sums.
pub(super) fn profits(block: &Block, classes: &[i64], links: &[i64]) -> Option<(Vec<i64>, Vec<i64>)> {
    let linked = |list: &[(u32, i64)]| -> i128 {
        list.iter().map(|(link, factor)| i128::from(links[*link as usize]) * i128::from(*factor)).sum()
    };
    let cost = |cost: i64| i128::from(cost) * i128::from(PARTS);
    let item =
        |item: &Item| small(i128::from(classes[item.class as usize]) + linked(&item.links) - cost(item.cost));
    let items: Vec<i64> = block.items.iter().map(item).collect::<Option<_>>()?;
    let cases = block.cases.iter().map(|case| small(linked(&case.links) - cost(case.cost)));
    let cases: Vec<i64> = cases.collect::<Option<_>>()?;
    small(items.iter().map(|profit| i128::from(profit.unsigned_abs())).sum())?;
    Some((items, cases))
}

/// The middle of two.
fn between(a: &Prices, b: &Prices) -> Prices {
    let middle = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect();
    Prices { classes: middle(&a.classes, &b.classes), links: middle(&a.links, &b.links) }
}

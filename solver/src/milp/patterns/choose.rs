//! A whole pattern for each host, from those that are known and those that cost little more: a model in whole numbers.

use super::master::{cost_of, links_of};
use super::price::{self, Pattern};
use super::run::{PARTS, Run, profits, whole};
use crate::backend::{News, Task};
use crate::milp::highs::{self, Order};
use crate::milp::linear::{Column, Linear, Term};
use crate::milp::worker::Line;
use std::collections::BTreeSet;

/// Patterns that cost by such a part of what is open more than the best are nearby; of so many there are enough.
const NEARBY: [f64; 5] = [0.02, 0.04, 0.08, 0.15, 0.3];
const ENOUGH: usize = 3_000;
/// Nodes for those of a host, and how many of them are taken.
const NEAR_NODES: u64 = 20_000;
const NEAR_PATTERNS: usize = 100;
/// Columns times nodes for the choice, where work is limited.
const CHOICE_WORK: u64 = 100_000;

impl Run<'_> {
    /// Patterns that cost little more than the best by the best prices: more and more, until there are enough.
    fn near(&self) -> Vec<Pattern> {
        let (classes, links) = whole(&self.best);
        let blocks: Vec<_> = (self.split.blocks.iter().enumerate())
            .filter_map(|(number, block)| {
                let (profits, cases) = profits(block, &classes, &links)?;
                let best = price::best(block, number as u32, &profits, &cases, self.nodes)?;
                self.budget.spend(best.nodes);
                Some((number as u32, block, profits, cases, best.profit))
            })
            .collect();
        let open = self.bounds.most.saturating_sub(self.bounds.least) as f64 * PARTS as f64;
        let mut found = Vec::new();
        for part in NEARBY {
            found.clear();
            for (number, block, profits, cases, best) in &blocks {
                let least = best - (open * part) as i64;
                let (near, nodes) =
                    price::near(block, *number, profits, cases, least, NEAR_NODES, NEAR_PATTERNS);
                self.budget.spend(nodes);
                found.extend(near);
                if self.done() {
                    return found;
                }
            }
            if found.len() >= ENOUGH || self.done() {
                break;
            }
        }
        found
    }

    /// Chooses among the patterns that are known, in so many seconds at most.
    pub(super) fn choose(&mut self, seconds: f64) {
        let near = self.near();
        let known: BTreeSet<&Pattern> = self.master.patterns.iter().chain(&self.spare).chain(&near).collect();
        let patterns: Vec<Pattern> = known.into_iter().cloned().collect();
        let mut linear = Linear::default();
        let columns: Vec<Column> = patterns.iter().map(|_| linear.column(1)).collect();
        let mut classes: Vec<Vec<Term>> = vec![Vec::new(); self.split.classes];
        let mut hosts: Vec<Vec<Term>> = vec![Vec::new(); self.split.blocks.len()];
        let mut links: Vec<Vec<Term>> = vec![Vec::new(); self.split.links.len()];
        let mut goal = Vec::new();
        for (pattern, column) in patterns.iter().zip(&columns) {
            let block = &self.split.blocks[pattern.block as usize];
            for item in &pattern.items {
                classes[block.items[*item as usize].class as usize].push((*column, -1));
            }
            hosts[pattern.block as usize].push((*column, 1));
            for (link, factor) in links_of(self.split, pattern) {
                links[link as usize].push((*column, factor));
            }
            goal.push((*column, cost_of(self.split, pattern)));
        }
        for terms in hosts {
            linear.equal(terms, 1);
        }
        for terms in classes {
            linear.at_most(terms, -1);
        }
        for (terms, link) in links.into_iter().zip(&self.split.links) {
            if link.equal {
                linear.equal(terms, link.rhs);
            } else {
                linear.at_most(terms, link.rhs);
            }
        }
        goal.retain(|(_, factor)| *factor != 0);
        let nodes = self.budget.work_limit().map(|_| (CHOICE_WORK / patterns.len().max(1) as u64).max(1));
        let left = self.budget.remaining().as_secs_f64();
        let seconds = if nodes.is_some() { left } else { seconds.min(left * 0.5) };
        let task = Task { linear, goal, start: None, seed: 0, gap: 0.0 };
        let (solved, iterations) =
            highs::solve(&Order { task, seconds, nodes }, &Line::until(self.line.stop()));
        self.budget.spend(iterations + patterns.len() as u64);
        if let Some(point) = solved.point {
            let chosen = patterns.iter().zip(&point).filter(|(_, x)| **x > 0).map(|(pattern, _)| pattern);
            let chosen: Vec<Pattern> = chosen.cloned().collect();
            self.found(&chosen);
        }
    }

    /// Tells what the hosts may run, all together.
    pub(super) fn found(&mut self, chosen: &[Pattern]) {
        let value: i64 = chosen.iter().map(|pattern| cost_of(self.split, pattern)).sum();
        if value < self.bounds.most {
            // Where rows were left out it may be refused.
            if !self.split.dropped {
                self.bounds.most = value;
            }
            self.line.tell(News::Point(self.point(chosen.iter())));
        }
    }

    /// The columns of the model for patterns of all hosts. Who is on several hosts is left where that costs least.
    fn point<'p>(&self, chosen: impl Iterator<Item = &'p Pattern>) -> Vec<i64> {
        let mut point = vec![0; self.split.columns];
        self.split.ones.iter().for_each(|column| point[*column as usize] = 1);
        let mut at: Vec<Option<(i64, Column)>> = vec![None; self.split.classes];
        for pattern in chosen {
            let block = &self.split.blocks[pattern.block as usize];
            for (column, value) in &block.cases[pattern.case as usize].columns {
                point[*column as usize] = *value;
            }
            for item in pattern.items.iter().map(|i| &block.items[*i as usize]) {
                let place = &mut at[item.class as usize];
                if place.is_none_or(|(cost, _)| item.cost < cost) {
                    *place = Some((item.cost, item.column));
                }
            }
        }
        at.into_iter().flatten().for_each(|(_, column)| point[column as usize] = 1);
        point
    }
}

//! Patterns are fixed one after the other, and prices made anew for what is left to choose, until all hosts have a whole one.

use super::master::{May, Solved};
use super::price::Pattern;
use super::run::{ROUND_WORK, Run};

/// Rounds of new patterns after each choice.
const ROUNDS: u64 = 2;
/// A VM that is nowhere costs so many times what one does on average.
const DEAR: f64 = 50.0;
/// Nodes for one host in a round.
const NODES: u64 = 200;

impl Run<'_> {
    /// Chooses patterns one after the other, each time with prices for what is left to choose; takes so
    /// many choices back. `mean` is what a VM costs.
    pub(super) fn dive(&mut self, mean: f64, most_back: u32) {
        self.master.open(mean * DEAR);
        self.nodes = NODES;
        let mut fixed: Vec<bool> = vec![false; self.split.blocks.len()];
        // What was decided, step by step, and what was taken back.
        let mut steps: Vec<usize> = Vec::new();
        let mut barred: Vec<(usize, usize)> = Vec::new();
        let mut back = 0;
        while !self.done() {
            let Some(solved) = self.settle(&fixed) else { return };
            let whole = |share: f64| share > 1.0 - 1e-6;
            let found = solved.used.iter().all(|(_, share)| whole(*share)) && !solved.boxed;
            if found {
                let patterns: Vec<Pattern> =
                    solved.used.iter().map(|(number, _)| self.master.patterns[*number].clone()).collect();
                self.found(&patterns);
            }
            if found || solved.value > self.bounds.most as f64 - 1.0 + 1e-6 * mean {
                // The last choice was wrong, or there is another one.
                if back == most_back {
                    break;
                }
                let Some(step) = steps.pop() else { break };
                back += 1;
                while barred.last().is_some_and(|(depth, _)| *depth > steps.len()) {
                    if let Some((_, number)) = barred.pop() {
                        self.master.fix(number, May::Be);
                    }
                }
                fixed[self.master.patterns[step].block as usize] = false;
                self.master.fix(step, May::Not);
                barred.push((steps.len(), step));
                continue;
            }
            let block = |number: usize| self.master.patterns[number].block as usize;
            let open = solved.used.iter().filter(|(number, _)| !fixed[block(*number)]);
            let mut list: Vec<(usize, f64)> = open.copied().collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let Some((next, _)) = list.into_iter().find(|(_, share)| !whole(*share)) else { break };
            fixed[block(next)] = true;
            self.master.fix(next, May::Only);
            steps.push(next);
        }
        for number in steps.into_iter().chain(barred.into_iter().map(|(_, number)| number)) {
            self.master.fix(number, May::Be);
        }
    }

    /// Solves the programme and adds patterns of hosts that are not fixed, a few times.
    fn settle(&mut self, fixed: &[bool]) -> Option<Solved> {
        for round in 1..=ROUNDS {
            let solved = self.master.solve()?;
            self.budget.spend(solved.iterations + ROUND_WORK);
            let last = round == ROUNDS;
            let more = self.master.add_links(&solved.used)
                || !last && self.price(&solved.prices, Some(&solved), fixed);
            if !more || last || self.done() {
                return Some(solved);
            }
        }
        None
    }
}

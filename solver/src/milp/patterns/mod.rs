//! Bounds and placements by patterns: what a host may run at the end, as a whole (Dantzig and Wolfe's decomposition,
//! solved by column generation; Gilmore and Gomory's for cutting stock).
//!
//! A linear model of a tight repair says little: parts of VMs fill what is left on each host. Here each host chooses one of
//! the sets of VMs that fit, so that only choices between whole sets are relaxed. There are far too many; those that
//! matter are found by prices.
//!
//! * [`split`]: the model, host by host; [`flocks`]: VMs that must be together.
//! * [`price`]: the best that one host may run, given prices.
//! * [`master`]: the programme that makes the prices.
//! * [`run`]: prices and bounds; [`choose`], [`dive`]: whole patterns.

mod choose;
mod dive;
mod flocks;
mod master;
mod price;
mod run;
mod split;
#[cfg(test)]
mod tests;

use super::linear::{Column, Term};
use super::model::Model;
use super::worker::{self, Line};
use crate::backend::News;
use crate::budget::Budget;
use price::Pattern;
use split::Split;

/// Larger models are not split.
pub(super) const MOST_COLUMNS: usize = 120_000;

/// Looks for bounds and better points for a level of a model in which each VM has a name, from a point that keeps it, whose
/// columns are whole. `held` are sums that must be at most so much. Tells what it finds: bounds of the goal, and points.
/// Nothing comes of it where the model has something that patterns have no words for.
pub(super) fn improve(
    model: &Model<'_>,
    goal: &[Term],
    held: &[(Vec<Term>, i64)],
    start: &[i64],
    part: &Budget,
    told: &mut dyn FnMut(News),
) {
    let Some(split) = split::split(model, goal, held) else { return };
    let patterns = patterns(&split, start);
    let most: i64 = goal.iter().map(|(column, factor)| factor * start[*column as usize]).sum();
    let (most, budget) = (most - split.constant, part.clone());
    let work = move |line: &Line<News>| run::run(&split, patterns, most, &budget, line);
    worker::wait("patterns", work, part, told);
}

/// What the hosts run at a point.
fn patterns(split: &Split, point: &[i64]) -> Vec<Pattern> {
    let is = |column: Column| point[column as usize];
    let hosts = split.blocks.iter().enumerate().filter_map(|(number, block)| {
        let case =
            block.cases.iter().position(|case| case.columns.iter().all(|(c, value)| is(*c) == *value))?;
        let items = (0..block.items.len() as u32).filter(|i| is(block.items[*i as usize].column) > 0);
        Some(Pattern { block: number as u32, case: case as u32, items: items.collect() })
    });
    hosts.collect()
}

//! The linear programme over patterns: each host has one of them, or parts of several, so that each VM is somewhere and the
//! links hold. Its duals are prices; they are kept within boxes around the best ones so far, as they would jump about
//! otherwise.

use super::price::Pattern;
use super::split::Split;
use highs::{Col, HighsModelStatus, Model, Row, RowProblem, Sense};
use std::collections::{BTreeMap, HashSet};

/// Prices: of each class for being somewhere, and of each link, in the units of the goal.
#[derive(Debug, Clone, Default)]
pub(super) struct Prices {
    pub(super) classes: Vec<f64>,
    pub(super) links: Vec<f64>,
}

/// What a solve came to.
#[derive(Debug, Clone)]
pub(super) struct Solved {
    pub(super) value: f64,
    pub(super) prices: Prices,
    /// What each host pays for its pattern.
    pub(super) hosts: Vec<f64>,
    /// Whether prices wanted to leave their boxes.
    pub(super) boxed: bool,
    /// Patterns in use, with how much of them.
    pub(super) used: Vec<(usize, f64)>,
    pub(super) iterations: u64,
}

/// A row, and the columns that hold its price within its box.
struct Sides {
    row: Row,
    /// Its number among all rows.
    number: usize,
    above: Col,
    below: Col,
    /// That the row is more than kept costs something, or wins something: that is at the lower end of the box.
    floored: bool,
}

/// What is decided of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    Only,
    Be,
    Not,
}

/// The programme as it grows.
pub(super) struct Master<'s> {
    split: &'s Split,
    /// `None` once `HiGHS` has failed.
    model: Option<Model>,
    classes: Vec<Sides>,
    hosts: Vec<Row>,
    /// Those that were needed.
    links: BTreeMap<u32, Sides>,
    pub(super) patterns: Vec<Pattern>,
    columns: Vec<Col>,
    known: HashSet<Pattern>,
    /// Half the width of the boxes.
    width: Vec<f64>,
    link_width: f64,
    /// What it costs that a new link does not hold.
    link_price: f64,
    scale: f64,
}

impl<'s> Master<'s> {
    /// With boxes of these widths around 0, for so many seconds of solving in all.
    pub(super) fn new(split: &'s Split, width: Vec<f64>, link_width: f64, seconds: f64) -> Option<Self> {
        let mut model = RowProblem::default().try_optimise(Sense::Minimise).ok()?;
        model.make_quiet();
        model.try_set_option("threads", 1).ok()?;
        model.try_set_option("presolve", "off").ok()?;
        model.try_set_option("time_limit", seconds).ok()?;
        let none: [(Col, f64); 0] = [];
        // Prices in some thousands, for the tolerances.
        let largest = width.iter().copied().fold(1.0, f64::max);
        let scale = 1.0 / 2_f64.powf((largest / 256.0).max(1.0).log2().round());
        let rows: Vec<Row> =
            (0..split.classes).map(|_| model.try_add_row(1.0.., none).ok()).collect::<Option<_>>()?;
        let mut classes = Vec::new();
        for (number, (row, width)) in rows.into_iter().zip(&width).enumerate() {
            let above = model.try_add_column(width * scale, 0.0.., [(row, 1.0)]).ok()?;
            let below = model.try_add_column(0.0, 0.0.., [(row, -1.0)]).ok()?;
            classes.push(Sides { row, number, above, below, floored: false });
        }
        let hosts =
            split.blocks.iter().map(|_| model.try_add_row(1.0..=1.0, none).ok()).collect::<Option<_>>()?;
        Some(Self {
            split,
            model: Some(model),
            classes,
            hosts,
            links: BTreeMap::new(),
            patterns: Vec::new(),
            columns: Vec::new(),
            known: HashSet::new(),
            width,
            link_width,
            link_price: link_width,
            scale,
        })
    }

    /// Adds a pattern; whether it is new.
    pub(super) fn add(&mut self, pattern: Pattern) -> bool {
        if self.known.contains(&pattern) {
            return false;
        }
        let Some(model) = &mut self.model else { return false };
        let block = &self.split.blocks[pattern.block as usize];
        let mut terms: Vec<(Row, f64)> = vec![(self.hosts[pattern.block as usize], 1.0)];
        terms.extend(
            pattern.items.iter().map(|i| (self.classes[block.items[*i as usize].class as usize].row, 1.0)),
        );
        for (link, factor) in links_of(self.split, &pattern) {
            if let Some(sides) = self.links.get(&link) {
                terms.push((sides.row, factor as f64));
            }
        }
        let cost = cost_of(self.split, &pattern) as f64 * self.scale;
        let Ok(column) = model.try_add_column(cost, 0.0.., terms) else {
            self.model = None;
            return false;
        };
        self.known.insert(pattern.clone());
        self.patterns.push(pattern);
        self.columns.push(column);
        true
    }

    /// Adds links that do not hold for what is in use; whether there were any.
    pub(super) fn add_links(&mut self, used: &[(usize, f64)]) -> bool {
        let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
        for (number, share) in used {
            for (link, factor) in links_of(self.split, &self.patterns[*number]) {
                *sums.entry(link).or_default() += factor as f64 * share;
            }
        }
        let broken: Vec<u32> = (self.split.links.iter().enumerate())
            .filter(|(number, link)| {
                let sum = sums.get(&(*number as u32)).copied().unwrap_or(0.0) - link.rhs as f64;
                sum > 1e-6 || link.equal && sum < -1e-6
            })
            .map(|(number, _)| number as u32)
            .filter(|number| !self.links.contains_key(number))
            .collect();
        let any = !broken.is_empty();
        for number in broken {
            self.add_link(number);
        }
        any
    }

    fn add_link(&mut self, number: u32) {
        let link = &self.split.links[number as usize];
        let mut terms = Vec::new();
        for (pattern, column) in self.patterns.iter().zip(&self.columns) {
            let factor: i64 =
                links_of(self.split, pattern).iter().filter(|l| l.0 == number).map(|l| l.1).sum();
            if factor != 0 {
                terms.push((*column, factor as f64));
            }
        }
        let Some(model) = &mut self.model else { return };
        let (rhs, number_of_row) = (link.rhs as f64, model.num_rows());
        let row =
            if link.equal { model.try_add_row(rhs..=rhs, terms) } else { model.try_add_row(..=rhs, terms) };
        let sides = row.and_then(|row| {
            let price = self.link_price * self.scale;
            let below = model.try_add_column(price, 0.0.., [(row, -1.0)])?;
            let above = model.try_add_column(if link.equal { price } else { 0.0 }, 0.0.., [(row, 1.0)])?;
            Ok(Sides { row, number: number_of_row, above, below, floored: true })
        });
        match sides {
            Ok(all) => _ = self.links.insert(number, all),
            Err(_) => self.model = None,
        }
    }

    /// Puts the boxes around these prices, so many times as wide as at first.
    pub(super) fn center(&mut self, prices: &Prices, width: f64) {
        self.link_price = self.link_width * width;
        let Some(model) = &mut self.model else { return };
        for ((sides, price), own) in self.classes.iter_mut().zip(&prices.classes).zip(&self.width) {
            let least = (price - own * width).max(0.0);
            sides.floored = least > 0.0;
            model.change_column_cost(sides.above, (price + own * width) * self.scale);
            model.change_column_cost(sides.below, -least * self.scale);
        }
        for (number, sides) in &self.links {
            let (price, own) = (prices.links[*number as usize], self.link_width * width);
            let most =
                if self.split.links[*number as usize].equal { price + own } else { (price + own).min(0.0) };
            model.change_column_cost(sides.above, most * self.scale);
            model.change_column_cost(sides.below, -(price - own) * self.scale);
        }
    }

    /// Opens the boxes, but for so high a price that a VM is nowhere.
    pub(super) fn open(&mut self, price: f64) {
        let Some(model) = &mut self.model else { return };
        for sides in &mut self.classes {
            sides.floored = false;
            model.change_column_cost(sides.above, price * self.scale);
            model.change_column_cost(sides.below, 0.0);
        }
        for (number, sides) in &self.links {
            let above = if self.split.links[*number as usize].equal { price } else { 0.0 };
            model.change_column_cost(sides.above, above * self.scale);
            model.change_column_cost(sides.below, price * self.scale);
        }
        self.link_price = price;
    }

    /// A host has this pattern and no other, or may have it, or not have it.
    pub(super) fn fix(&mut self, number: usize, may: May) {
        let Some(model) = &mut self.model else { return };
        let column = self.columns[number];
        match may {
            May::Only => model.change_column_bounds(column, 1.0..=1.0),
            May::Be => model.change_column_bounds(column, 0.0..),
            May::Not => model.change_column_bounds(column, 0.0..=0.0),
        }
    }

    /// Solves it; `None` if nothing came of that.
    pub(super) fn solve(&mut self) -> Option<Solved> {
        let solved = self.model.take()?.try_solve().ok()?;
        if solved.status() != HighsModelStatus::Optimal {
            return None;
        }
        let solution = solved.get_solution();
        let (columns, duals) = (solution.columns(), solution.dual_rows());
        let unit = 1.0 / self.scale;
        let used = |column: Col| columns[column.index()] > 1e-7;
        let equal = |number: u32| self.split.links[number as usize].equal;
        let boxed = self.classes.iter().any(|sides| used(sides.above) || sides.floored && used(sides.below))
            || self
                .links
                .iter()
                .any(|(number, sides)| used(sides.below) || equal(*number) && used(sides.above));
        let mut links = vec![0.0; self.split.links.len()];
        for (number, sides) in &self.links {
            let dual = duals[sides.number] * unit;
            links[*number as usize] = if equal(*number) { dual } else { dual.min(0.0) };
        }
        let first_host = self.classes.len();
        let result = Solved {
            hosts: (0..self.hosts.len()).map(|host| duals[first_host + host] * unit).collect(),
            value: solved.objective_value() * unit,
            prices: Prices {
                classes: self.classes.iter().map(|sides| (duals[sides.number] * unit).max(0.0)).collect(),
                links,
            },
            boxed,
            used: (self.columns.iter().enumerate())
                .map(|(number, column)| (number, columns[column.index()]))
                .filter(|(_, share)| *share > 1e-9)
                .collect(),
            iterations: u64::try_from(solved.simplex_iteration_count()).unwrap_or(0),
        };
        self.model = Some(Model::from(solved));
        Some(result)
    }
}

/// Links of a pattern with its factors.
pub(super) fn links_of(split: &Split, pattern: &Pattern) -> Vec<(u32, i64)> {
    let block = &split.blocks[pattern.block as usize];
    let items = pattern.items.iter().flat_map(|i| block.items[*i as usize].links.iter().copied());
    let mut all: Vec<(u32, i64)> =
        items.chain(block.cases[pattern.case as usize].links.iter().copied()).collect();
    all.sort_unstable();
    let mut sums: Vec<(u32, i64)> = Vec::new();
    for (link, factor) in all {
        match sums.last_mut() {
            Some((last, sum)) if *last == link => *sum += factor,
            _ => sums.push((link, factor)),
        }
    }
    // A zero in a column is none: HiGHS has been seen to write beyond its memory with such.
    sums.retain(|(_, factor)| *factor != 0);
    sums
}

/// What a pattern adds to the goal.
pub(super) fn cost_of(split: &Split, pattern: &Pattern) -> i64 {
    let block = &split.blocks[pattern.block as usize];
    let items: i64 = pattern.items.iter().map(|i| block.items[*i as usize].cost).sum();
    items + block.cases[pattern.case as usize].cost
}

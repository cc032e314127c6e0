//! A model split into its hosts: what each of them may run at the end, and what links them.
//!
//! It is made of the rows of the model, so that it knows of a rule what that has said there. Rows that it cannot use are
//! left out: then it allows more than the model, and a bound of it is still one of the model.

use crate::milp::linear::{Column, Row, Term};
use crate::milp::model::Model;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of a host that are no VMs, of which each way to set them is tried; with more of them rows are left out.
const MOST_CASES: u32 = 3;

/// Links with larger factors are left out.
const LARGEST_FACTOR: u64 = 1 << 20;

/// A VM on the host of a block, which is a column of the model.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) column: Column,
    /// Whose column it is.
    pub(super) class: u32,
    pub(super) cost: i64,
    /// Rows of the block with what it takes of them.
    pub(super) uses: Vec<(u32, i64)>,
    /// Links with its factor.
    pub(super) links: Vec<(u32, i64)>,
}

/// A way to set the columns of a host that are no VMs.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) columns: Vec<(Column, i64)>,
    pub(super) cost: i64,
    pub(super) links: Vec<(u32, i64)>,
    /// What each row of the block leaves for VMs.
    pub(super) rooms: Vec<i64>,
    /// Items that may be there at all.
    pub(super) items: Vec<u32>,
}

/// One host.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) items: Vec<Item>,
    pub(super) cases: Vec<Case>,
}

/// A row about several hosts.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) rhs: i64,
    pub(super) equal: bool,
}

/// The whole: each class has one VM, which is on one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Split {
    pub(super) blocks: Vec<Block>,
    pub(super) classes: usize,
    pub(super) links: Vec<Link>,
    /// Columns of the model.
    pub(super) columns: usize,
    /// Columns that are 1 in any case.
    pub(super) ones: Vec<Column>,
    /// Some row was left out: what keeps all others may be no point of the model.
    pub(super) dropped: bool,
    /// Part of the goal that does not change.
    pub(super) constant: i64,
}

/// What a column of the model is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Item {
        block: u32,
        item: u32,
    },
    /// A column of the block that is no VM.
    Extra(u32),
    Fixed(i64),
    /// Rows with it are left out.
    Unknown,
}

/// `None` where the model has something that this form has no words for. `goal` is minimised; of each of `held`, which are
/// sums of columns, there is at most so much.
pub(super) fn split(model: &Model<'_>, goal: &[Term], held: &[(Vec<Term>, i64)]) -> Option<Split> {
    let linear = &model.linear;
    let several = |class: &crate::milp::class::Class| class.members.len() != 1;
    if linear.impossible || !model.repinned.is_empty() || model.parts.classes.iter().any(several) {
        return None;
    }
    let mut parts = vec![Part::Unknown; linear.columns()];
    for (column, (lower, upper)) in linear.lower.iter().zip(&linear.upper).enumerate() {
        if lower == upper {
            parts[column] = Part::Fixed(*lower);
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for (terms, most) in held {
        if *most == 0 && terms.iter().all(|(_, factor)| *factor > 0) {
            // The levels before have no room for any of it.
            for (column, _) in terms {
                parts[*column as usize] = Part::Fixed(0);
            }
        } else {
            rows.push(Row { terms: terms.clone(), rhs: *most, equal: false });
        }
    }
    if model.down.iter().flatten().any(|column| parts[*column as usize] != Part::Fixed(0)) {
        return None;
    }
    let mut result = Split {
        blocks: vec![Block::default(); model.problem.hosts.len()],
        classes: model.parts.classes.len(),
        columns: linear.columns(),
        ..Split::default()
    };
    for cell in &model.cells {
        let block = cell.site.index() as u32;
        let items = &mut result.blocks[block as usize].items;
        let place = &mut parts[cell.column as usize];
        if matches!(place, Part::Unknown) && linear.upper[cell.column as usize] == 1 {
            *place = Part::Item { block, item: items.len() as u32 };
            let item = Item {
                column: cell.column,
                class: cell.class as u32,
                cost: 0,
                uses: Vec::new(),
                links: Vec::new(),
            };
            items.push(item);
        } else if !matches!(place, Part::Fixed(0)) {
            return None;
        }
    }
    let said = flock_marks(model);
    extras(model, &mut parts, &said);
    for (column, factor) in goal {
        match parts[*column as usize] {
            Part::Item { block, item } => result.blocks[block as usize].items[item as usize].cost += factor,
            Part::Fixed(value) => result.constant += value * factor,
            Part::Extra(_) => {}
            Part::Unknown => return None,
        }
    }
    let ones = (0..linear.columns()).filter(|column| parts[*column] == Part::Fixed(1));
    result.ones = ones.map(|column| column as Column).collect();
    let mut own: Vec<Vec<Row>> = vec![Vec::new(); result.blocks.len()];
    let mut links: Vec<Row> = Vec::new();
    let assigns = class_rows(model);
    for (number, row) in linear.rows.iter().chain(&rows).enumerate() {
        if assigns.contains(&number) {
            continue;
        }
        match place(row, &parts) {
            Place::Nowhere => {}
            Place::Block(block, row) => own[block].push(row),
            Place::Links(row) => links.push(row),
        }
        result.dropped |= unknown(row, &parts);
    }
    links.extend(super::flocks::rows(model));
    // Too large for a programme in floating point.
    let large = |row: &Row| row.terms.iter().any(|(_, factor)| factor.unsigned_abs() > LARGEST_FACTOR);
    result.dropped |= links.iter().any(large);
    links.retain(|row| !large(row));
    let mut extras: Vec<Vec<Column>> = vec![Vec::new(); result.blocks.len()];
    for (column, part) in parts.iter().enumerate() {
        if let Part::Extra(block) = part {
            extras[*block as usize].push(column as Column);
        }
    }
    for ((block, rows), own) in own.into_iter().enumerate().zip(extras) {
        result.dropped |= fill(&mut result.blocks[block], rows, &own, &parts, goal);
    }
    for row in links {
        link(&mut result, &row, &parts);
    }
    once(&mut result);
    Some(result)
}

/// Marks of rules that keep VMs together, which are told here in another way.
fn flock_marks(model: &Model<'_>) -> BTreeSet<Column> {
    let tells = |number: usize| super::flocks::tells(&model.rules.list[number]);
    model.marks.iter().filter(|((number, _), _)| tells(*number)).map(|(_, column)| *column).collect()
}

/// Positions of the rows that say that a class is somewhere.
fn class_rows(model: &Model<'_>) -> BTreeSet<usize> {
    let of_column: BTreeMap<Column, usize> =
        model.cells.iter().map(|cell| (cell.column, cell.class)).collect();
    let is_one = |row: &Row| {
        let classes: BTreeSet<_> = row.terms.iter().filter_map(|(column, _)| of_column.get(column)).collect();
        row.equal && row.rhs == 1 && classes.len() == 1 && row.terms.iter().all(|(_, factor)| *factor == 1)
    };
    let rows = model.linear.rows.iter().enumerate();
    rows.filter(|(_, row)| is_one(row)).map(|(number, _)| number).collect()
}

/// Finds out of which host a column is that is no VM: the one whose VMs it is in rows with.
fn extras(model: &Model<'_>, parts: &mut [Part], told: &BTreeSet<Column>) {
    let mut hosts: BTreeMap<Column, BTreeSet<u32>> = BTreeMap::new();
    for row in &model.linear.rows {
        let of = |term: &Term| match parts[term.0 as usize] {
            Part::Item { block, .. } => Some(block),
            _ => None,
        };
        let there: BTreeSet<u32> = row.terms.iter().filter_map(of).collect();
        for (column, _) in &row.terms {
            let whole =
                model.linear.lower[*column as usize] == 0 && model.linear.upper[*column as usize] == 1;
            if parts[*column as usize] == Part::Unknown && whole && !told.contains(column) {
                hosts.entry(*column).or_default().extend(&there);
            }
        }
    }
    let mut count: BTreeMap<u32, u32> = BTreeMap::new();
    let single = hosts.iter().filter(|(_, hosts)| hosts.len() == 1);
    let single: Vec<(Column, u32)> =
        single.filter_map(|(column, hosts)| Some((*column, *hosts.first()?))).collect();
    for (_, host) in &single {
        *count.entry(*host).or_default() += 1;
    }
    for (column, host) in single {
        if count[&host] <= MOST_CASES {
            parts[column as usize] = Part::Extra(host);
        }
    }
}

/// Whether a row has a column that has no meaning here.
fn unknown(row: &Row, parts: &[Part]) -> bool {
    row.terms.iter().any(|(column, _)| parts[*column as usize] == Part::Unknown)
}

enum Place {
    Nowhere,
    Block(usize, Row),
    Links(Row),
}

/// Where a row belongs, without what is fixed in it.
fn place(row: &Row, parts: &[Part]) -> Place {
    let mut blocks = BTreeSet::new();
    let mut left = Row { terms: Vec::new(), rhs: row.rhs, equal: row.equal };
    for &(column, factor) in &row.terms {
        match parts[column as usize] {
            Part::Item { block, .. } | Part::Extra(block) => {
                blocks.insert(block);
                left.terms.push((column, factor));
            }
            Part::Fixed(value) => left.rhs -= value * factor,
            Part::Unknown => return Place::Nowhere,
        }
    }
    match blocks.len() {
        0 => Place::Nowhere,
        1 if row.equal => Place::Links(left),
        1 => Place::Block(blocks.first().map_or(0, |block| *block as usize), left),
        _ => Place::Links(left),
    }
}

/// Gives a block its rows and cases; whether some row was left out.
fn fill(block: &mut Block, rows: Vec<Row>, own: &[Column], parts: &[Part], goal: &[Term]) -> bool {
    let cost = |column: Column| -> i64 {
        goal.iter().filter(|(other, _)| *other == column).map(|(_, factor)| factor).sum()
    };
    let costs: Vec<i64> = own.iter().map(|column| cost(*column)).collect();
    let item = |column: Column| match parts[column as usize] {
        Part::Item { item, .. } => Some(item),
        _ => None,
    };
    // What a row says of one VM alone is told by the items of a case; what it asks for is left out.
    let asks = |row: &Row| row.terms.iter().any(|(column, factor)| item(*column).is_some() && *factor < 0);
    let left_out = rows.iter().any(asks);
    let rows: Vec<Row> = rows.into_iter().filter(|row| !asks(row)).collect();
    let single = |row: &Row| row.terms.iter().filter(|(column, _)| item(*column).is_some()).count() < 2;
    let (alone, shared): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(single);
    for (number, row) in shared.iter().enumerate() {
        for (column, factor) in &row.terms {
            if let Some(item) = item(*column) {
                block.items[item as usize].uses.push((number as u32, *factor));
            }
        }
    }
    for bits in 0..1_u32 << own.len() {
        let columns: Vec<(Column, i64)> =
            own.iter().enumerate().map(|(i, column)| (*column, i64::from(bits >> i & 1))).collect();
        let value = |column: Column| columns.iter().find(|(other, _)| *other == column).map_or(0, |c| c.1);
        let room = |row: &Row| {
            let given = row.terms.iter().map(|(column, factor)| factor * value(*column)).sum::<i64>();
            row.rhs - given
        };
        let rooms: Vec<i64> = shared.iter().map(room).collect();
        let mut barred = BTreeSet::new();
        let mut possible = rooms.iter().all(|room| *room >= 0);
        for row in &alone {
            let left = room(row);
            possible &= left >= 0;
            barred.extend(
                row.terms.iter().filter(|(_, factor)| *factor > left).filter_map(|(column, _)| item(*column)),
            );
        }
        let fits = |item: &u32| {
            let uses = &block.items[*item as usize].uses;
            uses.iter().all(|(row, amount)| *amount <= rooms[*row as usize])
        };
        let items: Vec<u32> =
            (0..block.items.len() as u32).filter(|item| !barred.contains(item) && fits(item)).collect();
        if possible {
            let cost = columns.iter().zip(&costs).map(|((_, value), cost)| value * cost).sum();
            block.cases.push(Case { columns, cost, links: Vec::new(), rooms, items });
        }
    }
    left_out
}

/// Adds a row about several hosts.
fn link(split: &mut Split, row: &Row, parts: &[Part]) {
    let number = split.links.len() as u32;
    split.links.push(Link { rhs: row.rhs, equal: row.equal });
    for (column, factor) in &row.terms {
        match parts[*column as usize] {
            Part::Item { block, item } => {
                split.blocks[block as usize].items[item as usize].links.push((number, *factor));
            }
            Part::Extra(block) => {
                for case in &mut split.blocks[block as usize].cases {
                    let value = case.columns.iter().find(|(other, _)| other == column).map_or(0, |c| c.1);
                    if value != 0 {
                        case.links.push((number, factor * value));
                    }
                }
            }
            Part::Fixed(value) => split.links[number as usize].rhs -= factor * value,
            Part::Unknown => {}
        }
    }
}

/// A VM is on a host once, whatever nodes of it there are.
fn once(split: &mut Split) {
    for block in &mut split.blocks {
        let mut of_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (i, item) in block.items.iter().enumerate() {
            of_class.entry(item.class).or_default().push(i);
        }
        for items in of_class.into_values().filter(|items| items.len() > 1) {
            let row = block.cases.first().map_or(0, |case| case.rooms.len()) as u32;
            block.cases.iter_mut().for_each(|case| case.rooms.push(1));
            for item in items {
                block.items[item].uses.push((row, 1));
            }
        }
    }
}

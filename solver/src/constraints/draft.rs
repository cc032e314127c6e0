//! A linear model as a rule sees it, which adds its rows to it.

use crate::model::{Amount, HostId, VmId};

/// VMs that are alike, on one host: a column counts how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) column: u32,
    /// The most that it can be.
    pub(crate) most: i64,
    pub(crate) class: usize,
    /// One of them.
    pub(crate) vm: VmId,
    pub(crate) host: HostId,
    /// They were there at the start; else they come.
    pub(crate) stays: bool,
}

/// Where some VMs can be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    /// In the order of their classes.
    pub(crate) cells: Vec<Cell>,
    /// Where those end that are not to be decided.
    pub(crate) ended: Vec<(VmId, HostId)>,
}

impl Members {
    /// Cells cut between classes.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunk_by(|a, b| a.class == b.class)
    }

    /// What VMs take together, as terms and a constant.
    pub(crate) fn sum(&self, takes: impl Fn(VmId) -> Amount) -> (Vec<(u32, i64)>, Amount) {
        let terms = self.cells.iter().map(|cell| (cell.column, takes(cell.vm))).collect();
        (terms, self.ended.iter().map(|(vm, _)| takes(*vm)).sum())
    }

    /// The part on some hosts.
    pub(crate) fn on(&self, hosts: impl Fn(HostId) -> bool) -> Self {
        Self {
            cells: self.cells.iter().filter(|cell| hosts(cell.host)).copied().collect(),
            ended: self.ended.iter().filter(|(_, host)| hosts(*host)).copied().collect(),
        }
    }
}

/// Something that is true or not at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// It is known.
    Is(bool),
    /// This column is 1 if it is true.
    Column(u32),
}

/// A sum of facts with factors, as terms and a constant.
pub(super) fn sum(facts: impl Iterator<Item = (Fact, i64)>) -> (Vec<(u32, i64)>, i64) {
    let (mut terms, mut constant) = (Vec::new(), 0);
    for (fact, factor) in facts {
        match fact {
            Fact::Is(is) => constant += factor * i64::from(is),
            Fact::Column(column) => terms.push((column, factor)),
        }
    }
    (terms, constant)
}

/// A linear model in whole numbers, under construction for one rule.
///
/// Where arrivals are not told by host, there are no cells for them: rows then demand less. Every row must be
/// such that fewer VMs never break it.
pub(crate) trait Draft {
    /// Where VMs can be that the rule names (all of a class, or none of it).
    fn members(&self, vms: &[VmId]) -> Members;

    /// What can be on a host.
    fn on(&self, host: HostId) -> Members;

    /// Whether a host runs a VM. Only for hosts whose states rules ask for.
    fn runs(&self, host: HostId) -> Fact;

    /// Whether a host is up: it runs a VM, or is not shut down though it runs none. Only for those as well.
    fn up(&self, host: HostId) -> Fact;

    /// How many VMs a class has.
    fn class_size(&self, class: usize) -> i64;

    /// Where VMs of a class run at the start; empty if they are down.
    fn homes(&self, class: usize) -> Vec<HostId>;

    /// 1 if the rule does not hold; `None` = it is hard.
    fn broken(&self) -> Option<u32>;

    /// A column of the rule, within 0 and 1.
    fn mark(&mut self, key: u32) -> u32;

    /// The column is 1.
    fn force(&mut self, column: u32);

    /// A row; if the rule is soft, `slack` is what may be missing when it does not hold.
    fn at_most(&mut self, terms: Vec<(u32, i64)>, rhs: i64, slack: i64);

    /// The rule does not hold, whatever else.
    fn fails(&mut self);

    /// VMs of one class are in these cells only if one of the columns is 1, or if the rule does not hold.
    fn only_if(&mut self, cells: &[Cell], columns: &[u32]) {
        let Some(first) = cells.first() else { return };
        let most: i64 = cells.iter().map(|cell| cell.most).sum();
        let most = most.min(self.class_size(first.class));
        let mut terms: Vec<_> = cells.iter().map(|cell| (cell.column, 1)).collect();
        terms.extend(columns.iter().map(|column| (*column, -most)));
        self.at_most(terms, 0, most);
    }

    /// All VMs of some kind stay where they are, or the rule does not hold: moves of these VMs break it.
    fn all_stay(&mut self, vms: &[VmId]) {
        let members = self.members(vms);
        let classes: Vec<(usize, Vec<Cell>)> =
            members.by_class().map(|cells| (cells[0].class, cells.to_vec())).collect();
        for (class, cells) in classes {
            if self.homes(class).is_empty() {
                continue;
            }
            let size = self.class_size(class);
            let stay = cells.iter().filter(|cell| cell.stays).map(|cell| (cell.column, -1)).collect();
            self.at_most(stay, -size, size);
        }
    }
}

/// The largest that a sum can become, as slack for a row.
pub(crate) fn most(members: &Members, weight: impl Fn(VmId) -> Amount) -> Amount {
    let cells = members.cells.iter().map(|cell| cell.most.saturating_mul(weight(cell.vm)));
    cells.fold(0, Amount::saturating_add)
}

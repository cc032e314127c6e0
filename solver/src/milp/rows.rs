//! Rows of the rules. What hard rules forbid a VM alone needs none: it is in the choice of columns.

use super::linear::{Column, Term};
use super::model::Model;
use crate::constraints::{Cell, Draft, Fact, Members};
use crate::model::{HostId, Placement, VmId};
use std::collections::BTreeMap;

pub(super) fn add(model: &mut Model<'_>) {
    let problem = model.problem;
    let mut class_of = vec![None; problem.vms.len()];
    for (c, class) in model.parts.classes.iter().enumerate() {
        class.members.iter().for_each(|vm| class_of[vm.index()] = Some(c));
    }
    let mut fixed = vec![None; problem.vms.len()];
    let mut ended_on = vec![Vec::new(); problem.hosts.len()];
    for (vm, end) in &model.parts.fixed {
        fixed[vm.index()] = end.map(|site| site.host);
        if let Some(site) = end {
            ended_on[site.index()].push(*vm);
        }
    }
    let rules = model.rules;
    for (number, kept) in rules.list.iter().enumerate() {
        if !kept.hard() {
            model.broken[number] = Some(model.linear.column(1));
        }
        let mut draft = RuleDraft { model, number, class_of: &class_of, fixed: &fixed, ended_on: &ended_on };
        kept.rule.rows(&mut draft);
    }
}

/// The model for one rule.
struct RuleDraft<'m, 'a> {
    model: &'m mut Model<'a>,
    number: usize,
    /// Class of each VM that is decided.
    class_of: &'m [Option<usize>],
    /// Where the others end.
    fixed: &'m [Option<HostId>],
    ended_on: &'m [Vec<VmId>],
}

impl RuleDraft<'_, '_> {
    fn cell(&self, position: usize) -> Cell {
        let cell = self.model.cells[position];
        let class = &self.model.parts.classes[cell.class];
        Cell {
            column: cell.column,
            most: self.model.linear.upper[cell.column as usize],
            class: cell.class,
            vm: class.one(),
            host: cell.site.host,
            // Who goes to other NUMA nodes of its host has not left it.
            stays: cell.stays || !cell.site.nodes.is_empty() && class.on(cell.site.host) > 0,
        }
    }
}

impl Draft for RuleDraft<'_, '_> {
    fn members(&self, vms: &[VmId]) -> Members {
        let mut classes: Vec<usize> = vms.iter().filter_map(|vm| self.class_of[vm.index()]).collect();
        classes.sort_unstable();
        classes.dedup();
        let cells = classes.into_iter().flat_map(|class| self.model.of_class[class].clone());
        let ended = vms.iter().filter(|vm| self.class_of[vm.index()].is_none());
        Members {
            cells: cells.map(|position| self.cell(position)).collect(),
            ended: ended.filter_map(|vm| Some((*vm, self.fixed[vm.index()]?))).collect(),
        }
    }

    fn on(&self, host: HostId) -> Members {
        let cells = self.model.of_host[host.index()].iter().map(|position| self.cell(*position));
        let ended = self.ended_on[host.index()].iter().map(|vm| (*vm, host));
        Members { cells: cells.collect(), ended: ended.collect() }
    }

    fn runs(&self, host: HostId) -> Fact {
        match self.model.on[host.index()] {
            Some(on) => Fact::Column(on),
            None => Fact::Is(self.model.always_on[host.index()]),
        }
    }

    fn up(&self, host: HostId) -> Fact {
        match self.model.up[host.index()] {
            Some(up) => Fact::Column(up),
            None => Fact::Is(self.model.always_on[host.index()]),
        }
    }

    fn class_size(&self, class: usize) -> i64 {
        self.model.parts.classes[class].size()
    }

    fn homes(&self, class: usize) -> Vec<HostId> {
        self.model.parts.classes[class].hosts()
    }

    fn broken(&self) -> Option<u32> {
        self.model.broken[self.number]
    }

    fn mark(&mut self, key: u32) -> u32 {
        let linear = &mut self.model.linear;
        *self.model.marks.entry((self.number, key)).or_insert_with(|| linear.column(1))
    }

    fn force(&mut self, column: Column) {
        self.model.linear.force(column);
    }

    fn at_most(&mut self, mut terms: Vec<Term>, rhs: i64, slack: i64) {
        if slack > 0 {
            terms.extend(self.broken().map(|broken| (broken, -slack)));
        }
        self.model.linear.at_most(terms, rhs);
    }

    fn fails(&mut self) {
        match self.broken() {
            Some(broken) => self.model.linear.force(broken),
            None => self.model.linear.impossible = true,
        }
    }
}

/// Whole numbers of a rule's own columns for a placement.
pub(super) fn marks(model: &Model<'_>, at: &Placement, point: &mut [i64]) {
    let mut number = None;
    let mut values = BTreeMap::new();
    for ((rule, key), column) in &model.marks {
        if number != Some(*rule) {
            number = Some(*rule);
            values = model.rules.list[*rule].rule.marks(at);
        }
        point[*column as usize] = values.get(key).copied().unwrap_or(0);
    }
}

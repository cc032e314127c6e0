//! Rows of the placement rules. Hard fences and bans need none: they are in the choice of columns.

use super::ends;
use super::linear::{Column, Term, count};
use super::model::{Cell, Model};
use crate::model::{Body, Constraint, HostId, Problem};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn add(model: &mut Model<'_>) {
    let problem = model.problem;
    let mut class_of = vec![None; problem.vms.len()];
    for (c, class) in model.parts.classes.iter().enumerate() {
        class.members.iter().for_each(|vm| class_of[vm.index()] = Some(c));
    }
    let mut fixed = vec![None; problem.vms.len()];
    model.parts.fixed.iter().for_each(|(vm, end)| fixed[vm.index()] = *end);
    for number in 0..model.rules.list.len() {
        let kept = &model.rules.list[number];
        let classes: BTreeSet<usize> = kept.vms.iter().filter_map(|vm| class_of[vm.index()]).collect();
        let cells = classes.iter().flat_map(|c| &model.cells[model.of_class[*c].clone()]).copied().collect();
        let ended = kept.vms.iter().filter(|vm| class_of[vm.index()].is_none());
        let hosts = ended.clone().filter_map(|vm| fixed[vm.index()]).collect();
        let crossed = ended.filter_map(|vm| Some((model.ends.from(*vm)?, fixed[vm.index()]?))).collect();
        let rule = Rule { number, constraint: kept.constraint, always: kept.always, cells, hosts, crossed };
        if !kept.hard() {
            model.broken[number] = Some(model.linear.column(1));
        }
        match &kept.constraint.body {
            Body::Spread { max, .. } => rule.spread(model, i64::from(*max)),
            Body::Gather { .. } => rule.gather(model),
            Body::Fence { .. } | Body::Ban { .. } => rule.fence(model),
        }
    }
}

/// The value of each host, for a rule about a scope.
pub(super) fn values<'a>(problem: &'a Problem, constraint: &Constraint) -> &'a [u32] {
    match constraint.body {
        Body::Spread { scope, .. } | Body::Gather { scope, .. } => &problem.scopes[scope.index()].value_of,
        Body::Fence { .. } | Body::Ban { .. } => &[],
    }
}

/// A rule and what it is about in the model.
struct Rule<'c> {
    number: usize,
    constraint: &'c Constraint,
    always: bool,
    /// Of its VMs.
    cells: Vec<Cell>,
    /// Where its fixed VMs end.
    hosts: Vec<HostId>,
    /// Where its fixed VMs that run come from and go to.
    crossed: Vec<(HostId, HostId)>,
}

impl Rule<'_> {
    fn spread(&self, model: &mut Model<'_>, max: i64) {
        let values = values(model.problem, self.constraint);
        let mut there: BTreeMap<u32, i64> = BTreeMap::new();
        self.hosts.iter().for_each(|host| *there.entry(values[host.index()]).or_default() += 1);
        for (value, cells) in self.by_value(values) {
            let most: i64 = cells.iter().map(|cell| model.linear.upper[cell.column as usize]).sum();
            let room = max - there.remove(&value).unwrap_or(0);
            let mut terms: Vec<Term> = cells.iter().map(|cell| (cell.column, 1)).collect();
            terms.extend(model.broken[self.number].map(|broken| (broken, -(most - room).max(0))));
            model.linear.at_most(terms, room);
        }
        if there.values().any(|count| *count > max) {
            self.fails(model);
        }
    }

    fn gather(&self, model: &mut Model<'_>) {
        let values = values(model.problem, self.constraint);
        let by_value = self.by_value(values);
        let fixed: BTreeSet<u32> = self.hosts.iter().map(|host| values[host.index()]).collect();
        let all: BTreeSet<u32> = by_value.keys().chain(&fixed).copied().collect();
        let broken = model.broken[self.number];
        if all.len() > 1 {
            for value in &all {
                let used = model.linear.column(1);
                model.used.insert((self.number, *value), used);
                if fixed.contains(value) {
                    model.linear.force(used);
                }
                for cells in by_class(by_value.get(value).map_or(&[], Vec::as_slice)) {
                    only_if(model, &cells, used);
                }
            }
            let used = all.iter().map(|value| (model.used[&(self.number, *value)], 1));
            let but = broken.map(|broken| (broken, 1 - count(all.len())));
            let terms = used.chain(but).collect();
            model.linear.at_most(terms, 1);
        }
        // Where it must always hold, its VMs cannot come from another value. (If it is hard there are no
        // such cells.)
        let crossed = |from: &HostId, to: &HostId| values[from.index()] != values[to.index()];
        if !self.always {
            return;
        }
        if self.crossed.iter().any(|(from, to)| crossed(from, to)) {
            self.fails(model);
        }
        let Some(broken) = broken else { return };
        let crossing = |cell: &&Cell| {
            let mut homes = model.parts.classes[cell.class].home.keys();
            !cell.stays && homes.any(|home| crossed(home, &cell.host))
        };
        let cells: Vec<Cell> = self.cells.iter().filter(crossing).copied().collect();
        for cells in by_class(&cells) {
            only_if(model, &cells, broken);
        }
    }

    /// A fence or ban: if it is soft, it is broken by VMs outside.
    fn fence(&self, model: &mut Model<'_>) {
        let Some(inside) = ends::allowed(model.problem, &self.constraint.body) else { return };
        if self.hosts.iter().any(|host| !inside[host.index()]) {
            self.fails(model);
        }
        let Some(broken) = model.broken[self.number] else { return };
        let outside = self.cells.iter().filter(|cell| !inside[cell.host.index()]);
        let outside: Vec<Cell> = outside.copied().collect();
        for cells in by_class(&outside) {
            only_if(model, &cells, broken);
        }
    }

    /// Fixed VMs break the rule.
    fn fails(&self, model: &mut Model<'_>) {
        match model.broken[self.number] {
            Some(broken) => model.linear.force(broken),
            None => model.linear.impossible = true,
        }
    }

    fn by_value(&self, values: &[u32]) -> BTreeMap<u32, Vec<Cell>> {
        let mut result: BTreeMap<u32, Vec<Cell>> = BTreeMap::new();
        for cell in &self.cells {
            result.entry(values[cell.host.index()]).or_default().push(*cell);
        }
        result
    }
}

/// VMs of one class are in these cells only if the column is 1.
fn only_if(model: &mut Model<'_>, cells: &[Cell], column: Column) {
    let Some(first) = cells.first() else { return };
    let most: i64 = cells.iter().map(|cell| model.linear.upper[cell.column as usize]).sum();
    let most = most.min(model.parts.classes[first.class].size());
    let terms = cells.iter().map(|cell| (cell.column, 1)).chain([(column, -most)]);
    model.linear.at_most(terms.collect(), 0);
}

/// Cells in the order of their classes, cut between classes.
fn by_class(cells: &[Cell]) -> Vec<Vec<Cell>> {
    cells.chunk_by(|a, b| a.class == b.class).map(<[Cell]>::to_vec).collect()
}

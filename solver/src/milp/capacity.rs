//! Rows of capacity: what runs on a host fits, or the host was over before and takes in nothing.

use super::groups::Group;
use super::linear::Term;
use super::model::{Cell, Model};
use crate::model::{Amount, Amounts, Bound, HostId, HostState, Vm};
use crate::objective;

pub(super) fn add(model: &mut Model<'_>) {
    let when: &[When] = if model.problem.resizes() { &[When::End, When::Present] } else { &[When::End] };
    for when in when {
        add_at(model, *when);
    }
    model.problem.host_ids().for_each(|host| link(model, host));
}

/// Which amounts are weighed: VMs may be resized at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Present,
    End,
}

impl When {
    fn takes(self, vm: &Vm) -> &Amounts {
        if self == Self::End { &vm.demand } else { &vm.present }
    }
}

fn add_at(model: &mut Model<'_>, when: When) {
    let start = model.problem.initial();
    let initial = match when {
        When::End => objective::usage(model.problem, &start),
        When::Present => objective::present_usage(model.problem, &start),
    };
    let width = model.problem.resources.len();
    let fixed = Fixed::new(model, when);
    // Beyond what all VMs take together there is no difference.
    let total: Vec<Amount> =
        (0..width).map(|r| model.problem.vms.iter().map(|vm| when.takes(vm)[r]).sum()).collect();
    let mut all: Vec<Pool> = vec![Pool::default(); width];
    for host in model.problem.host_ids() {
        let enters = model.problem.takes_vms(host);
        if !enters && model.problem.host(host).state != HostState::Cordoned {
            continue;
        }
        for bound in model.problem.bounds_of(host) {
            let (i, r) = (bound.cell, bound.resource);
            let room = bound.usable.min(total[r]);
            let (was, used, came) = (initial[i], fixed.used[i], fixed.came[i]);
            let row = Row { bound, when, room, was, used, came };
            let free = row.add(model);
            if model.is_pooled() && enters {
                all[r].terms.extend(free.terms);
                // Where that is beyond 2^63 the row cannot bind.
                all[r].room = all[r].room.saturating_add(free.room);
            }
        }
    }
    if model.is_pooled() && when == When::End {
        for (r, pool) in all.into_iter().enumerate() {
            together(model, r, &pool);
        }
    }
}

/// What VMs that are not decided use and bring.
struct Fixed {
    used: Vec<Amount>,
    came: Vec<Amount>,
}

impl Fixed {
    fn new(model: &Model<'_>, when: When) -> Self {
        let problem = model.problem;
        let mut result = Self { used: vec![0; problem.cells()], came: Vec::new() };
        result.came.clone_from(&result.used);
        for (vm, end) in &model.parts.fixed {
            let Some(site) = end else { continue };
            let (takes, from) = (when.takes(problem.vm(*vm)), model.ends.from(*vm));
            for (cell, amount) in problem.loads(takes, *site) {
                result.used[cell] += amount;
                // Who had as much of it has not come.
                if problem.load(takes, from, cell) < amount {
                    result.came[cell] += amount;
                }
            }
        }
        result
    }
}

/// Room as a number plus columns.
#[derive(Debug, Clone, Default)]
struct Pool {
    room: Amount,
    terms: Vec<Term>,
}

/// One resource of one host, or of one of its NUMA nodes.
struct Row {
    bound: Bound,
    when: When,
    /// Usable.
    room: Amount,
    /// In use at the start.
    was: Amount,
    /// In use by fixed VMs at the end.
    used: Amount,
    /// Of that, by VMs that came.
    came: Amount,
}

impl Row {
    /// Adds the rows and returns the room that the host has for VMs which are decided.
    fn add(&self, model: &mut Model<'_>) -> Pool {
        let weigh = |cell: usize| {
            let cell = model.cells[cell];
            let takes = if self.when == When::End { Model::demand } else { Model::present };
            (cell, self.bound.part(takes(model, cell.class, self.bound.resource), cell.site.nodes))
        };
        let cells: Vec<_> = model.of_host[self.bound.host.index()]
            .iter()
            .map(|cell| weigh(*cell))
            .filter(|c| c.1 > 0)
            .collect();
        let grouped = self.grouped(model);
        let mut terms: Vec<Term> = cells.iter().map(|(cell, demand)| (cell.column, *demand)).collect();
        terms.extend(&grouped);
        let mut free = Pool { room: self.room - self.used, terms: Vec::new() };
        if let Some(on) = model.on[self.bound.host.index()] {
            // Nothing is fixed here. A host is given no more than it can use.
            let most: i128 = (cells.iter())
                .map(|(cell, demand)| {
                    i128::from(*demand) * i128::from(model.linear.upper[cell.column as usize])
                })
                .sum();
            let room = if model.is_pooled() { self.room } else { self.room.min(most.min(1 << 60) as Amount) };
            free = Pool { room: 0, terms: vec![(on, room)] };
        }
        if self.was > self.room {
            let over = model.linear.column(1);
            let overs = if self.when == When::End { &mut model.over } else { &mut model.over_at_present };
            overs.insert(self.bound.cell, (self.bound, over));
            free.terms.push((over, self.was - self.room));
            // Who comes from other nodes of the host and had as much before may come all the same.
            let had = |cell: &Cell, amount: Amount| {
                let mut homes = model.parts.classes[cell.class].home.keys();
                let takes = if self.when == When::End { Model::demand } else { Model::present };
                let takes = takes(model, cell.class, self.bound.resource);
                homes.any(|home| {
                    home.host == self.bound.host
                        && *home != cell.site
                        && self.bound.part(takes, home.nodes) >= amount
                })
            };
            let arrivals = cells.iter().filter(|(cell, amount)| !cell.stays && !had(cell, *amount));
            let mut arriving: Vec<Term> = arrivals.map(|(cell, demand)| (cell.column, *demand)).collect();
            arriving.extend(grouped);
            if !arriving.is_empty() || self.came > 0 {
                arriving.push((over, self.room));
                model.linear.at_most(arriving, self.room - self.came);
                if self.came > 0 {
                    // Something came: the host may not be over.
                    model.linear.at_most(vec![(over, 1)], 0);
                }
            }
            if let Some(on) = model.on[self.bound.host.index()] {
                model.linear.at_most(vec![(over, 1), (on, -1)], 0);
            }
        }
        terms.extend(free.terms.iter().map(|(column, room)| (*column, -room)));
        model.linear.at_most(terms, free.room);
        free
    }
}

impl Row {
    /// What comes at least, where that is counted by group.
    fn grouped(&self, model: &Model<'_>) -> Vec<Term> {
        let host = self.bound.host;
        let coming = model.groups.iter().filter_map(|group| Some((group, *group.comes.get(&host)?)));
        let takes = |group: &Group| {
            if self.when == When::End {
                group.demand[self.bound.resource]
            } else {
                group.present[self.bound.resource]
            }
        };
        coming.map(|(group, column)| (column, takes(group))).filter(|(_, amount)| *amount > 0).collect()
    }
}

/// A host that runs something is on. Where a host has room of something that the VMs need, the rows of
/// capacity say so too, but more weakly.
fn link(model: &mut Model<'_>, host: HostId) {
    let Some(on) = model.on[host.index()] else { return };
    for cell in model.of_host[host.index()].clone() {
        let cell = model.cells[cell];
        let weightless = || (0..model.problem.resources.len()).all(|r| model.demand(cell.class, r) == 0);
        if cell.stays || weightless() {
            let most = model.linear.upper[cell.column as usize];
            model.linear.at_most(vec![(cell.column, 1), (on, -most)], 0);
        }
    }
}

/// What ends on all hosts that may be entered fits there together. This is the sum of their rows, in which
/// every VM that has not stayed elsewhere or down must have come to one of them.
fn together(model: &mut Model<'_>, r: usize, pool: &Pool) {
    let mut terms: Vec<Term> = pool.terms.iter().map(|(column, room)| (*column, -room)).collect();
    let mut total: Amount = 0;
    for (c, class) in model.parts.classes.iter().enumerate() {
        let demand = model.demand(c, r);
        total += demand * class.size();
        for cell in &model.cells[model.of_class[c].clone()] {
            if !model.problem.takes_vms(cell.site.host) {
                terms.push((cell.column, -demand));
            }
        }
        terms.extend(model.down[c].map(|column| (column, -demand)));
    }
    model.linear.at_most(terms, pool.room.saturating_sub(total));
}

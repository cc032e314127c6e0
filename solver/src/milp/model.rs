//! The columns of the model: how many VMs of each class stay on a host, come to it, or stay down.

use super::class::{self, Class, Parts};
use super::ends::Ends;
use super::groups::{self, Group};
use super::linear::{Column, Linear, Term, count};
use super::{capacity, rows};
use crate::constraints::Rules;
use crate::model::{Amount, Bound, HostId, HostState, Objective, Placement, Problem, Site, VmId};
use crate::objective;
use crate::objectives;
use std::collections::BTreeMap;
use std::ops::Range;

/// How VMs are counted that come to a host where they were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrivals {
    /// By class and host, so that a point of the model is an end of a plan.
    Each,
    /// By host and group of classes ([`groups`]), so many of these at most; but as in [`Each`](Self::Each) for the VMs that
    /// are told [apart](Shape::apart). Fewer columns, and every bound of it is one of the problem.
    Grouped(usize),
    /// Only weighed against what all hosts have together: fewer still, and weaker bounds.
    Pooled,
}

/// What the model is to contain.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s> {
    /// Where VMs end that are not to be decided.
    pub(super) held: &'s dyn Fn(VmId) -> Option<Option<Site>>,
    /// Hosts that VMs may enter, as far as the problem lets them; `None` = all.
    pub(super) entered: Option<&'s [HostId]>,
    /// How VMs are counted that come to a host.
    pub(super) arrivals: Arrivals,
    /// VMs whose arrivals are told by class and host where others are counted by groups.
    pub(super) apart: &'s dyn Fn(VmId) -> bool,
    /// Nothing is left out that a plan could do, so that what is proved of the model is true.
    pub(super) whole: bool,
    /// Each VM by name instead of by class.
    pub(super) named: bool,
    /// Nothing is built with more columns than this.
    pub(super) most_columns: usize,
}

impl Shape<'_> {
    /// All that a plan may do, of what is counted like this.
    pub(super) fn whole(arrivals: Arrivals, named: bool, most_columns: usize) -> Self {
        Self { held: &|_| None, entered: None, arrivals, apart: &|_| false, whole: true, named, most_columns }
    }
}

/// VMs of a class on a host and, if it has NUMA nodes, certain ones of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) class: usize,
    pub(super) site: Site,
    pub(super) column: Column,
    /// They were there at the start; else they come.
    pub(super) stays: bool,
}

/// VMs of a class that go to other NUMA nodes of their host. They are among those that come to these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repinned {
    pub(super) class: usize,
    pub(super) host: HostId,
    pub(super) column: Column,
}

/// A model of the ends that a plan may have, and what its columns mean.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(super) problem: &'a Problem,
    pub(super) rules: &'a Rules<'a>,
    pub(super) ends: &'a Ends<'a>,
    pub(super) parts: Parts,
    pub(super) arrivals: Arrivals,
    /// Whether the arrivals of a class are told by host.
    pub(super) each: Vec<bool>,
    pub(super) whole: bool,
    pub(super) linear: Linear,
    pub(super) cells: Vec<Cell>,
    /// Positions in `cells`.
    pub(super) of_class: Vec<Range<usize>>,
    /// Positions in `cells`.
    pub(super) of_host: Vec<Vec<usize>>,
    /// Who comes, where that is counted by group.
    pub(super) groups: Vec<Group>,
    /// VMs of a class that stay down.
    pub(super) down: Vec<Option<Column>>,
    /// The host runs a VM. Only where that is counted and not known.
    pub(super) on: Vec<Option<Column>>,
    /// Hosts that run a VM in any case.
    pub(super) always_on: Vec<bool>,
    /// The host is up, be it empty. Only where rules ask for that and it is not known.
    pub(super) up: Vec<Option<Column>>,
    /// How many do not leave their host though they move. Only where that is counted.
    pub(super) repinned: Vec<Repinned>,
    /// The host or NUMA node stays over its usable amount, by its cell.
    pub(super) over: BTreeMap<usize, (Bound, Column)>,
    /// The same while the plan runs, where VMs are resized. It costs nothing.
    pub(super) over_at_present: BTreeMap<usize, (Bound, Column)>,
    /// The soft rule does not hold.
    pub(super) broken: Vec<Option<Column>>,
    /// Columns that a rule has of its own, by its position and its key.
    pub(super) marks: BTreeMap<(usize, u32), Column>,
    /// What the objectives that weigh hosts need.
    pub(crate) gauges: objectives::Columns,
}

impl<'a> Model<'a> {
    /// `None` if it would be too large.
    pub(super) fn new(
        problem: &'a Problem,
        rules: &'a Rules<'a>,
        ends: &'a Ends<'a>,
        shape: &Shape<'_>,
    ) -> Option<Self> {
        let parts = class::parts(problem, ends, shape.held, shape.named);
        let mut model = Self {
            problem,
            rules,
            ends,
            arrivals: shape.arrivals,
            each: Vec::new(),
            whole: shape.whole,
            linear: Linear::default(),
            cells: Vec::new(),
            of_class: Vec::new(),
            of_host: vec![Vec::new(); problem.hosts.len()],
            groups: Vec::new(),
            down: Vec::new(),
            on: vec![None; problem.hosts.len()],
            always_on: vec![false; problem.hosts.len()],
            up: vec![None; problem.hosts.len()],
            repinned: Vec::new(),
            over: BTreeMap::new(),
            over_at_present: BTreeMap::new(),
            broken: vec![None; rules.list.len()],
            marks: BTreeMap::new(),
            gauges: objectives::Columns::default(),
            parts,
        };
        let everywhere: Vec<_> = problem.host_ids().collect();
        model.class_columns(shape, shape.entered.unwrap_or(&everywhere))?;
        if let Arrivals::Grouped(most) = shape.arrivals {
            groups::add(&mut model, most);
        }
        let asked = |level| problem.objectives.contains(&level);
        let powers = asked(Objective::Energy) && problem.limits.power_actions;
        if asked(Objective::ActiveHosts) || powers || rules.any_switches() {
            model.host_columns();
        }
        capacity::add(&mut model);
        rows::add(&mut model);
        objectives::add(&mut model);
        model.assign();
        (model.linear.columns() <= shape.most_columns).then_some(model)
    }

    fn class_columns(&mut self, shape: &Shape<'_>, entered: &[HostId]) -> Option<()> {
        for c in 0..self.parts.classes.len() {
            let begin = self.cells.len();
            let class = self.parts.classes[c].clone();
            let vm = class.one();
            let each = match shape.arrivals {
                Arrivals::Each => true,
                Arrivals::Grouped(_) => class.members.iter().any(|vm| (shape.apart)(*vm)),
                Arrivals::Pooled => false,
            };
            self.each.push(each);
            let homes = class.home.keys().copied().filter(|site| self.ends.may_stay(vm, site.host));
            for site in homes.collect::<Vec<_>>() {
                self.cell(c, site, true, class.here(site));
            }
            let repins = self.ends.may_repin(vm) && shape.arrivals == Arrivals::Each;
            if self.ends.may_move(vm) && each {
                for &host in entered.iter().filter(|host| self.ends.may_enter(vm, **host)) {
                    // Who is on the host and goes to other nodes of it may be more than could come from elsewhere: the host
                    // may be over with what all nodes share.
                    let own = if repins { class.on(host) } else { 0 };
                    for site in self.problem.sites(vm, host) {
                        let most = self.arrivals(c, site).max(own - class.here(site));
                        self.cell(c, site, false, most);
                    }
                }
            }
            if repins {
                self.repins(c, &class, begin);
            }
            self.of_class.push(begin..self.cells.len());
            let down = (!class.runs()).then(|| self.linear.column(class.size()));
            self.down.push(down);
            if self.linear.columns() > shape.most_columns {
                return None;
            }
        }
        Some(())
    }

    /// Where VMs of a class can go that stay on their host, and how many do. `begin` is the first of its cells.
    fn repins(&mut self, c: usize, class: &Class, begin: usize) {
        let (vm, problem) = (class.one(), self.problem);
        for host in class.hosts() {
            if !self.ends.may_stay(vm, host) {
                continue;
            }
            // Where nobody else may come, those of the host may all the same.
            let open = |site: Site| self.cells[begin..].iter().any(|cell| cell.site == site && !cell.stays);
            let closed: Vec<Site> = problem.sites(vm, host).filter(|site| !open(*site)).collect();
            let first = self.cells.len();
            for site in closed {
                self.cell(c, site, false, class.on(host) - class.here(site));
            }
            let own = first..self.cells.len();
            let here: Vec<Cell> =
                self.cells[begin..].iter().filter(|cell| cell.site.host == host).copied().collect();
            let terms = |stays: bool, factor: i64| -> Vec<Term> {
                let cells = here.iter().filter(|cell| cell.stays == stays);
                cells.map(|cell| (cell.column, factor)).collect()
            };
            if !own.is_empty() {
                let own = self.cells[own].iter().map(|cell| (cell.column, 1));
                self.linear.at_most(own.chain(terms(true, 1)).collect(), class.on(host));
            }
            if problem.objectives.contains(&Objective::MigrationCost) && here.iter().any(|cell| !cell.stays) {
                let column = self.linear.column(class.on(host));
                self.linear.at_most([terms(false, -1), vec![(column, 1)]].concat(), 0);
                self.linear.at_most([terms(true, 1), vec![(column, 1)]].concat(), class.on(host));
                self.repinned.push(Repinned { class: c, host, column });
            }
        }
    }

    fn cell(&mut self, class: usize, site: Site, stays: bool, most: i64) {
        if most > 0 {
            let column = self.linear.column(most);
            self.of_host[site.index()].push(self.cells.len());
            self.cells.push(Cell { class, site, column, stays });
        }
    }

    /// Most VMs of a class that can come to a place.
    pub(super) fn arrivals(&self, class: usize, site: Site) -> i64 {
        let class = &self.parts.classes[class];
        (class.size() - class.here(site)).min(self.fitting(class.one(), site))
    }

    /// How many VMs of this kind the place could hold if it were empty.
    fn fitting(&self, vm: VmId, site: Site) -> i64 {
        let takes = [&self.problem.vm(vm).demand, &self.problem.vm(vm).present];
        let bounds = self.problem.bounds_of(site.host);
        bounds
            .flat_map(|bound| {
                takes.map(|takes| (bound.part(takes[bound.resource], site.nodes), bound.usable))
            })
            .filter(|(amount, _)| *amount > 0)
            .map(|(amount, room)| room / amount)
            .min()
            .unwrap_or(i64::MAX)
    }

    fn host_columns(&mut self) {
        for site in self.parts.fixed.iter().filter_map(|(_, end)| *end) {
            self.always_on[site.index()] = true;
        }
        for host in self.problem.host_ids() {
            let i = host.index();
            // Where arrivals are pooled, a host that may be entered may be on though no cell says so.
            let may_run = !self.of_host[i].is_empty() || self.is_pooled() && self.problem.takes_vms(host);
            if may_run && !self.always_on[i] {
                self.on[i] = Some(self.linear.column(1));
            }
            // What runs something is up, and what has failed never is.
            let failed = self.problem.host(host).state == HostState::Failed;
            if self.rules.switches(host) && !failed && !self.always_on[i] {
                let up = self.linear.column(1);
                self.up[i] = Some(up);
                if let Some(on) = self.on[i] {
                    self.linear.at_most(vec![(on, 1), (up, -1)], 0);
                }
            }
        }
    }

    /// Every VM ends somewhere. Where arrivals are pooled, those who do not stay may be anywhere.
    fn assign(&mut self) {
        for (c, class) in self.parts.classes.iter().enumerate() {
            let cells = self.cells[self.of_class[c].clone()].iter().map(|cell| (cell.column, 1));
            let terms: Vec<_> = cells.chain(self.down[c].map(|column| (column, 1))).collect();
            if self.each[c] {
                self.linear.equal(terms, class.size());
            } else if !self.ends.may_move(class.one()) {
                // It may neither stay nor move.
                self.linear.impossible = true;
            }
        }
        groups::assign(self);
        let Some(most) = self.problem.limits.max_migrations else { return };
        let (stay, runs) = self.movers();
        let rhs = i128::from(most) - i128::from(runs);
        let rhs = rhs.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64;
        self.linear.at_most(stay.into_iter().map(|column| (column, -1)).collect(), rhs);
    }

    /// The VMs that move, as a number (second) less the sum of columns (first).
    pub(super) fn movers(&self) -> (Vec<Column>, i64) {
        let stay = self.cells.iter().filter(|cell| cell.stays).map(|cell| cell.column).collect();
        let runs: i64 = self.parts.classes.iter().filter(|class| class.runs()).map(Class::size).sum();
        (stay, runs + count(self.fixed_movers().count()))
    }

    /// Fixed VMs that move.
    pub(super) fn fixed_movers(&self) -> impl Iterator<Item = VmId> {
        let moved = self.parts.fixed.iter().filter(|(vm, end)| {
            let from = self.ends.from(*vm);
            from.is_some() && from != *end
        });
        moved.map(|(vm, _)| *vm)
    }

    /// Whether a fixed VM that moves ends on another host.
    pub(super) fn travels(&self, vm: VmId) -> bool {
        let at = self.parts.fixed.binary_search_by_key(&vm, |(vm, _)| *vm).ok();
        let end = at.and_then(|at| self.parts.fixed[at].1);
        end.map(|site| site.host) != self.ends.from(vm).map(|site| site.host)
    }

    /// What a VM of the class demands of a resource at the end.
    pub(super) fn demand(&self, class: usize, resource: usize) -> Amount {
        self.problem.vm(self.parts.classes[class].one()).demand[resource]
    }

    /// What a VM of the class takes of a resource while the plan runs.
    pub(super) fn present(&self, class: usize, resource: usize) -> Amount {
        self.problem.vm(self.parts.classes[class].one()).present[resource]
    }

    /// The point of the model that stands for a placement; `None` if the model leaves that placement out.
    /// VMs of a class count as if as many as possible had stayed.
    pub(super) fn point(&self, at: &Placement) -> Option<Vec<i64>> {
        let mut point = self.linear.lower.clone();
        for (c, class) in self.parts.classes.iter().enumerate() {
            let mut counts: BTreeMap<Site, i64> = BTreeMap::new();
            let mut down = 0;
            for vm in &class.members {
                match at.site(vm.index()) {
                    Some(site) => *counts.entry(site).or_default() += 1,
                    None => down += 1,
                }
            }
            // Cells of a place at which some may stay come first.
            for cell in &self.cells[self.of_class[c].clone()] {
                if let Some(count) = counts.get_mut(&cell.site) {
                    let here = (*count).min(self.linear.upper[cell.column as usize]);
                    point[cell.column as usize] = here;
                    *count -= here;
                }
            }
            if let Some(column) = self.down[c] {
                point[column as usize] = down;
            } else if down > 0 {
                return None;
            }
            for (site, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                match self.arrivals {
                    Arrivals::Grouped(_) if !self.each[c] => {
                        groups::count_in(self, c, site.host, count, &mut point)?;
                    }
                    Arrivals::Pooled => {}
                    Arrivals::Each | Arrivals::Grouped(_) => return None,
                }
            }
        }
        if self.parts.fixed.iter().any(|(vm, end)| at.site(vm.index()) != *end) {
            return None;
        }
        self.point_of_rest(at, &mut point);
        Some(point)
    }

    fn point_of_rest(&self, at: &Placement, point: &mut [i64]) {
        if self.rules.any_switches() {
            let states = self.rules.states_at_end(self.problem, at);
            for (column, state) in self.up.iter().zip(states) {
                let up = !matches!(state, HostState::Offline | HostState::Failed);
                if let Some(column) = column {
                    point[*column as usize] = i64::from(up);
                }
            }
        }
        for host in at.iter().flatten() {
            if let Some(column) = self.on[host.index()] {
                point[column as usize] = 1;
            }
        }
        for repinned in &self.repinned {
            let class = &self.parts.classes[repinned.class];
            let cells = self.cells[self.of_class[repinned.class].clone()].iter();
            let sum = |stays: bool| -> i64 {
                let cells =
                    cells.clone().filter(|cell| cell.site.host == repinned.host && cell.stays == stays);
                cells.map(|cell| point[cell.column as usize]).sum()
            };
            point[repinned.column as usize] = sum(false).min(class.on(repinned.host) - sum(true));
        }
        let mut stay_over = |columns: &BTreeMap<usize, (Bound, Column)>, usage: Vec<Amount>| {
            for (bound, column) in columns.values() {
                point[*column as usize] = i64::from(usage[bound.cell] > bound.usable);
            }
        };
        stay_over(&self.over, objective::usage(self.problem, at));
        if !self.over_at_present.is_empty() {
            stay_over(&self.over_at_present, objective::present_usage(self.problem, at));
        }
        objectives::point(self, at, point);
        let tally = self.rules.tally(at);
        for (kept, column) in self.rules.list.iter().zip(&self.broken) {
            if let Some(column) = column {
                point[*column as usize] = i64::from(kept.fails(&tally));
            }
        }
        rows::marks(self, at, point);
    }

    /// The placement that a point stands for.
    pub(super) fn placement(&self, point: &[i64]) -> Placement {
        let mut to = Placement::nowhere(self.problem.vms.len());
        self.parts.fixed.iter().for_each(|(vm, end)| to.put(vm.index(), *end));
        for (c, class) in self.parts.classes.iter().enumerate() {
            let mut counts = BTreeMap::new();
            for cell in &self.cells[self.of_class[c].clone()] {
                *counts.entry(cell.site).or_default() += point[cell.column as usize];
            }
            class::place(class, &counts, &mut to);
        }
        to
    }
}

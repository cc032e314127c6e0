//! What the objectives that weigh hosts see of the model: what is in use on a host, as a sum of columns.

use super::linear::{Column, Term};
use super::model::{Arrivals, Model};
use crate::model::{Amount, Bound, HostId, Placement, Problem};

impl<'a> Model<'a> {
    pub(crate) fn problem(&self) -> &'a Problem {
        self.problem
    }

    /// It is not told which VMs come to a host.
    pub(crate) fn is_pooled(&self) -> bool {
        self.arrivals != Arrivals::Each
    }

    pub(crate) fn columns(&self) -> usize {
        self.linear.columns()
    }

    /// A new column within 0 and `upper`.
    pub(crate) fn new_column(&mut self, upper: i64) -> Column {
        self.linear.column(upper)
    }

    /// The sum is at most `most`.
    pub(crate) fn new_row(&mut self, terms: Vec<Term>, most: i64) {
        self.linear.at_most(terms, most);
    }

    /// Where the VMs end that are not decided.
    pub(crate) fn placement_of_fixed(&self) -> Placement {
        let mut at = Placement::nowhere(self.problem.vms.len());
        self.parts.fixed.iter().for_each(|(vm, end)| at.put(vm.index(), *end));
        at
    }

    /// What is in use of a resource of a host or node at the end: by VMs that are decided, and by the others.
    pub(crate) fn use_of(&self, bound: &Bound) -> (Vec<Term>, Amount) {
        let cells = self.of_host[bound.host.index()].iter().map(|cell| {
            let cell = self.cells[*cell];
            (cell.column, bound.part(self.demand(cell.class, bound.resource), cell.site.nodes))
        });
        let fixed = self.gauges.fixed[bound.cell];
        (cells.filter(|(_, amount)| *amount > 0).collect(), fixed)
    }

    /// What was in use of a resource before anything was done.
    pub(crate) fn used_at_start(&self, host: HostId, resource: usize) -> Amount {
        self.gauges.was[host.index() * self.problem.resources.len() + resource]
    }

    /// The column that is 1 if a host or node stays over its amount, if it may.
    pub(crate) fn is_over(&self, bound: &Bound) -> Option<Column> {
        self.over.get(&bound.cell).map(|(_, column)| *column)
    }

    /// The column that is 1 if the host runs a VM, where that is counted and not known.
    pub(crate) fn is_on(&self, host: HostId) -> Option<Column> {
        self.on[host.index()]
    }

    /// Whether the host runs a VM in any case, where that is counted.
    pub(crate) fn is_always_on(&self, host: HostId) -> bool {
        self.always_on[host.index()]
    }

    /// The column that is 1 if the host is up, be it empty, where rules ask for that and it is not known.
    pub(crate) fn is_up(&self, host: HostId) -> Option<Column> {
        self.up[host.index()]
    }

    /// Weights of columns that count VMs, as terms and a constant: what all that a class can do has in common
    /// is taken out, as each of its VMs does one of these things.
    pub(crate) fn weigh_cells(&self, weights: &[i64]) -> (Vec<Term>, i64) {
        let (mut terms, mut constant) = (Vec::new(), 0);
        for (c, class) in self.parts.classes.iter().enumerate() {
            let cells = self.cells[self.of_class[c].clone()].iter().map(|cell| cell.column);
            let columns: Vec<Column> = cells.chain(self.down[c]).collect();
            let common = columns.iter().map(|column| weights[*column as usize]).min().unwrap_or(0);
            constant += common * class.size();
            let beyond = columns.into_iter().map(|column| (column, weights[column as usize] - common));
            terms.extend(beyond.filter(|(_, weight)| *weight != 0));
        }
        (terms, constant)
    }
}

//! A level of the objective as a sum of columns in whole units.

use super::linear::{Term, count, gcd};
use super::model::Model;
use crate::model::{Objective, VmId};
use crate::objective::OVERLOAD_WEIGHT;
use crate::objectives::{energy, fragments, imbalance};

/// Soft weights are taken exactly if they are multiples of one of these.
const PARTS: [f64; 9] = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 20.0, 100.0, 1000.0];

/// Value of a level = unit × (constant + Σ factor × column), rounded to a multiple of `step` if there is one.
/// Where that is not exact it is less.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level {
    pub(super) terms: Vec<Term>,
    pub(super) constant: i64,
    pub(super) unit: f64,
    /// 0 = not rounded; else half a step is rounded up.
    step: f64,
    /// How far a value may be from the sum, as it is told in floating point.
    slack: f64,
}

/// Nearer than this to half a step counts as half.
const ROUNDING: f64 = 1e-7;
/// A solve may end this far from the optimum where units are small.
const NEAR: f64 = 0.02;

impl Level {
    /// A level with the value of the sum.
    pub(crate) fn in_units(terms: Vec<Term>, constant: i64, unit: f64) -> Self {
        Self { terms, constant, unit, step: 0.0, slack: 0.0 }
    }

    /// A level whose values are told in floating point, near enough to the sum.
    pub(crate) fn told(terms: Vec<Term>, constant: i64, unit: f64) -> Self {
        Self { slack: 1e-5, ..Self::in_units(terms, constant, unit) }
    }

    /// A level whose values are rounded to multiples of `step`.
    pub(crate) fn stepped(terms: Vec<Term>, constant: i64, unit: f64, step: f64) -> Self {
        Self { step, ..Self::in_units(terms, constant, unit) }
    }

    /// How far from the optimum a solve may end, in units.
    pub(super) fn gap(&self) -> f64 {
        if self.step > 0.0 || self.slack > 0.0 { NEAR / self.unit } else { 0.0 }
    }

    /// `None` for a level that a placement does not tell, or whose numbers are too far apart.
    pub(super) fn new(model: &Model<'_>, objective: Objective) -> Option<Self> {
        match objective {
            Objective::Violations => violations(model),
            Objective::ActiveHosts => {
                let terms = model.on.iter().flatten().map(|column| (*column, 1)).collect();
                let constant = count(model.always_on.iter().filter(|on| **on).count());
                Some(Self::in_units(terms, constant, 1.0))
            }
            Objective::Energy => energy::level(model),
            Objective::Imbalance => imbalance::level(model),
            Objective::Fragments => fragments::level(model),
            Objective::Migrations => {
                let (stay, constant) = model.movers();
                let terms = stay.into_iter().map(|column| (column, -1)).collect();
                Some(Self::in_units(terms, constant, 1.0))
            }
            Objective::MigrationCost => Some(cost(model)),
            Objective::Makespan => None,
        }
    }

    /// What the sum may be at most for a value of the level, in units and without the constant. Never less
    /// than what a placement of this value has.
    pub(super) fn at_most(&self, value: f64) -> i64 {
        let value = if self.step > 0.0 { value + self.step / 2.0 - ROUNDING } else { value + self.slack };
        (value / self.unit + if self.step > 0.0 { 0.0 } else { 1e-6 }).floor() as i64 - self.constant
    }

    /// What the sum is at least where the level has at least this value; as `at_most` does, it counts units
    /// that are nearly whole as whole.
    pub(super) fn at_least(&self, value: f64) -> i64 {
        let value = if self.step > 0.0 { value - self.step / 2.0 - ROUNDING } else { value - self.slack };
        (value / self.unit - 1e-6).ceil() as i64 - self.constant
    }

    /// The value that a bound of the sum (without the constant) proves.
    pub(super) fn value(&self, bound: i64) -> f64 {
        let value = (bound + self.constant) as f64 * self.unit;
        if self.step > 0.0 { ((value / self.step + 0.5 + ROUNDING).floor()) * self.step } else { value }
    }
}

fn violations(model: &Model<'_>) -> Option<Level> {
    let soft = || model.rules.list.iter().filter_map(|kept| kept.constraint.soft_weight);
    let whole =
        |parts: &&f64| soft().all(|weight| ((weight * **parts).round() - weight * **parts).abs() < 1e-9);
    let parts = PARTS.iter().find(whole).unwrap_or(&PARTS[PARTS.len() - 1]);
    // Above this a whole unit would be lost beside the largest weight.
    if soft().any(|weight| weight * parts > 1e9) {
        return None;
    }
    let units = |weight: f64| (weight * parts + 1e-9).floor() as i64;
    let priority = |vm: VmId| units(f64::from(model.problem.vm(vm).priority));
    let over = model.over.values();
    let mut terms: Vec<Term> = over.map(|(_, over)| (*over, units(OVERLOAD_WEIGHT))).collect();
    for (class, down) in model.parts.classes.iter().zip(&model.down) {
        terms.extend(down.map(|column| (column, priority(class.one()))));
    }
    for (kept, broken) in model.rules.list.iter().zip(&model.broken) {
        if let (Some(weight), Some(broken)) = (kept.constraint.soft_weight, broken) {
            terms.push((*broken, units(weight)));
        }
    }
    let down = model.parts.fixed.iter().filter(|(_, end)| end.is_none());
    let constant = down.map(|(vm, _)| priority(*vm)).sum();
    Some(Level::in_units(terms, constant, 1.0 / parts))
}

fn cost(model: &Model<'_>) -> Level {
    let memory = |vm: VmId| model.problem.memory_of(vm);
    let classes = || model.parts.classes.iter().filter(|class| class.runs());
    let travellers = || model.fixed_movers().filter(|vm| model.travels(*vm));
    let all = classes().map(|class| memory(class.one())).chain(travellers().map(memory));
    let unit = all.fold(0, gcd).max(1);
    // Who does not leave its host, on the same nodes or on others.
    let stay = model.cells.iter().filter(|cell| cell.stays).map(|cell| (cell.class, cell.column));
    let repin = model.repinned.iter().map(|repinned| (repinned.class, repinned.column));
    let terms = (stay.chain(repin))
        .map(|(class, column)| (column, -memory(model.parts.classes[class].one()) / unit))
        .filter(|(_, factor)| *factor != 0)
        .collect();
    let decided: i64 = classes().map(|class| class.size() * (memory(class.one()) / unit)).sum();
    let constant = decided + travellers().map(|vm| memory(vm) / unit).sum::<i64>();
    Level::in_units(terms, constant, unit as f64)
}

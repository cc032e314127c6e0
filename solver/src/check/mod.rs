//! The independent judge of plans: a reading of the contract ("What every plan must satisfy") of its
//! own. It works on the file form and shares no code with the model, the search or the schedule, so
//! that a mistake there cannot hide itself here.
//!
//! The plan is swept in the order of its own times (rules 1 to 6 and 8). Rule 7, that `after` alone keeps
//! it safe, is proved (`proof`): the fullest that each host and each value of a continuous spread can
//! become in any execution is computed exactly.

mod bits;
mod cut;
mod end;
mod form;
mod links;
mod names;
mod numa;
mod order;
mod overlap;
mod placement;
mod plans;
mod proof;
mod state;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod weigh;
mod world;

#[cfg(test)]
pub(crate) use links::{Line, Links};

pub use placement::check_placement;

use crate::file::{Plan, Problem, Status};
use std::collections::BTreeSet;
use std::fmt;
use tables::Tables;

/// Two instants closer than this are the same, in seconds.
const EPSILON_S: f64 = 1e-6;

/// Something that a plan must not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Number of the rule in the contract; 0 = the form of the plan.
    pub rule: u8,
    /// The thing at fault: `actions[3]`, `hosts[h1].cpu`, `constraints[web]`.
    pub subject: String,
    /// One sentence with the figures.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}: {}", self.rule, self.subject, self.message)
    }
}

/// What a judged plan comes to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judgement {
    /// Empty = the plan is valid.
    pub violations: Vec<Violation>,
    /// Name, value before and value after of every level of the objective, recomputed.
    pub levels: Vec<(String, f64, f64)>,
}

/// Judges a plan. The problem is expected to have passed [`crate::Problem::new`]; what this checker
/// cannot judge is a violation, never passed over.
#[must_use]
pub fn check(problem: &Problem, plan: &Plan) -> Judgement {
    let mut report = Report::default();
    let Some(tables) = Tables::new(problem, plan, &mut report) else {
        return Judgement { violations: report.found, levels: Vec::new() };
    };
    if matches!(plan.status, Status::Infeasible | Status::Unknown) {
        form::without_plan(plan, &mut report);
        return Judgement { violations: report.found, levels: Vec::new() };
    }
    let order = order::Order::new(plan, &tables, &mut report);
    form::actions(&tables, plan, &mut report);
    let swept = sweep::timed(&tables, &order, &mut report);
    let levels = end::judge(&tables, plan, &swept, &mut report);
    if report.found.iter().all(|violation| violation.rule != 4) {
        proof::judge(&tables, &order, &mut report);
    }
    Judgement { violations: report.found, levels }
}

/// What the sweep saw at one time.
#[cfg(test)]
pub(crate) struct Seen {
    pub(crate) at_s: f64,
    /// By host, NUMA node and resource.
    pub(crate) used: std::collections::BTreeMap<(String, Option<usize>, String), i64>,
    /// Out of and into each host, in MiB/s.
    pub(crate) rates: std::collections::BTreeMap<String, [f64; 2]>,
}

/// What the sweep over a plan sees after each event.
#[cfg(test)]
pub(crate) fn seen(problem: &Problem, plan: &Plan) -> Option<Vec<Seen>> {
    let mut report = Report::default();
    let tables = Tables::new(problem, plan, &mut report)?;
    let order = order::Order::new(plan, &tables, &mut report);
    Some(sweep::seen(&tables, &order))
}

/// Collects violations, each once.
#[derive(Debug, Default)]
struct Report {
    found: Vec<Violation>,
    seen: BTreeSet<Violation>,
}

impl Report {
    fn add(&mut self, rule: u8, subject: impl Into<String>, message: impl Into<String>) {
        let violation = Violation { rule, subject: subject.into(), message: message.into() };
        if self.seen.insert(violation.clone()) {
            self.found.push(violation);
        }
    }
}

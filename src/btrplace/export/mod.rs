//! A problem, and a plan for it, as BtrPlace's instance and reconfiguration plan.
//!
//! Meaning that changes: capacity is what may be used, overcommit included; priorities and power figures are
//! not carried over, nor how many migrations may touch a host; a VM that waits must find a place there; the
//! order of objectives is left to its own objective; times are whole seconds, rounded so that what did not
//! overlap still does not.

mod model;
mod numbers;
mod plan;
mod rules;

pub use plan::export_plan;

use super::format::{Instance, Objective};
use super::gaps::{Collector, Gaps};
use dvms_solver::file::Problem;
use numbers::Numbers;
use std::collections::BTreeSet;

/// An instance, and what its reader should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The instance.
    pub instance: Instance,
    /// What is not carried over, or means something else.
    pub notes: Vec<String>,
}

/// Writes an instance of a problem that the solver takes.
///
/// # Errors
/// All that BtrPlace has no words for.
pub fn export(problem: &Problem, leave_out: &BTreeSet<String>) -> Result<Exported, Gaps> {
    let mut gaps = Collector::new(leave_out);
    let numbers = Numbers::new(problem);
    let model = model::model(problem, &numbers, &mut gaps);
    let constraints = rules::constraints(problem, &numbers, &mut gaps);
    let objective = Objective { id: objective(problem, &mut gaps).to_owned() };
    let instance = Instance { model, constraints, objective };
    Ok(Exported { instance, notes: gaps.finish()? })
}

fn objective(problem: &Problem, gaps: &mut Collector<'_>) -> &'static str {
    let levels: Vec<&str> = problem.objectives.iter().map(String::as_str).collect();
    match (problem.objective.as_str(), levels.as_slice()) {
        ("" | "REPAIR", []) | ("", ["VIOLATIONS", "MIGRATION_COST" | "MIGRATIONS", ..]) => {
            "minimizeMigrations"
        }
        ("", ["VIOLATIONS", "MAKESPAN", ..]) => "minimizeMTTR",
        (named, levels) => {
            let what = if named.is_empty() { levels.join(", ") } else { named.to_owned() };
            let path = if named.is_empty() { "objectives" } else { "objective" };
            gaps.cannot(
                "objective",
                path,
                format!("{what}: only repair is known there, by migrations or by time"),
            );
            "minimizeMigrations"
        }
    }
}

//! `dvms check`: judges a plan against its problem.

use super::exit::Exit;
use super::failure::Failure;
use super::format::{count, figure};
use super::input::Input;
use super::output::Output;
use super::paint::Tone;
use super::table::{Column, Table};
use dvms_solver::check::{Judgement, check};
use dvms_solver::file::Plan;
use serde_json::json;

/// Judges a plan against its problem, by a checker that shares no code with the solver
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 the plan is valid, 1 it is not, 2 one of the files cannot be used.

Examples:
  dvms check rack.json plan.json
  dvms solve rack.json --output json | dvms check rack.json -")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    problem: String,
    /// The plan, JSON; `-` = standard input
    plan: String,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    Input::not_both(&arguments.problem, &arguments.plan)?;
    let problem = Input::read(&arguments.problem)?.problem()?;
    let plan = Input::read(&arguments.plan)?.json("plan", Plan::from_json)?;
    let judgement = check(&problem, &plan);
    show(&judgement, &plan, output)?;
    Ok(if judgement.violations.is_empty() { Exit::Success } else { Exit::Failure })
}

fn show(judgement: &Judgement, plan: &Plan, output: Output) -> std::io::Result<()> {
    let violations = &judgement.violations;
    if output.is_json() {
        // The form of CheckResponse, with the recomputed levels besides.
        let violation = |v: &dvms_solver::check::Violation| json!({"rule": v.rule, "subject": v.subject, "message": v.message});
        let level = |(name, before, value): &(String, f64, f64)| json!({"name": name, "before": before + 0.0, "value": value + 0.0});
        return output.value(&json!({
            "valid": violations.is_empty(),
            "violations": violations.iter().map(violation).collect::<Vec<_>>(),
            "objectives": judgement.levels.iter().map(level).collect::<Vec<_>>(),
        }));
    }
    let paint = output.look.paint;
    if violations.is_empty() {
        let valid = paint.tone(Tone::Good, "valid");
        let levels = judgement
            .levels
            .iter()
            .map(|(name, before, value)| format!("{name} {} → {}", figure(*before), figure(*value)));
        let levels: Vec<_> = levels.collect();
        let actions = count(plan.actions.len(), "action");
        output.line(&if plan.status.has_plan() {
            format!("The {} plan of {actions} is {valid}.", plan.status.name())
        } else {
            // Whether that is so the checker does not judge.
            format!("The answer {} has no plan to be judged; as an answer it is {valid}.", plan.status.name())
        })?;
        return if levels.is_empty() { Ok(()) } else { output.line(&levels.join(", ")) };
    }
    let invalid = paint.tone(Tone::Bad, "not valid");
    output.line(&format!("The plan is {invalid}; it has {}:\n", count(violations.len(), "violation")))?;
    let columns = [Column::Right("RULE"), Column::Left("SUBJECT"), Column::Text("VIOLATION")];
    let mut table = Table::new(output.look, &columns);
    for violation in violations {
        table.row([violation.rule.to_string(), violation.subject.clone(), violation.message.clone()]);
    }
    output.text(&table.render())
}

//! `dvms solve`: a problem file in, a checked plan out; no server.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::forecast_view;
use super::gantt::{Files, Subject, View, Wish};
use super::input::Input;
use super::left;
use super::out_files::OutFiles;
use super::output::Output;
use super::plan_view;
use super::plot::picture;
use super::searching::{Effort, Search};
use super::trace::Trace;
use crate::solving::usual;
use dvms_solver::file::{Plan, Problem, Status};
use dvms_solver::migration::Calibration;
use std::path::PathBuf;

/// Solves a problem file, without a server: which VMs to move where, in which order, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 a plan, or nothing needs doing (the plan's `status` tells); 2 bad input; 3 proved
infeasible; 4 no plan found in time; 1 anything else. The plan file is written in every case but
bad input.

The first Ctrl-C ends the search with the best plan so far, the second one at once.

Examples:
  dvms solve rack.json
  dvms solve rack.json --time-limit 5 --out plan.json
  dvms solve rack.json --trace trace.json --plot solve.svg
  dvms solve rack.json --gantt --html plan.html
  dvms solve - --objective CONSOLIDATE --output json < rack.json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    file: String,
    /// Write the plan, JSON, to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write how the solve went, JSON, to this file: time, phase, levels and bounds of each better plan and of each better bound
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Draw how the solve went, and the hosts before and after, into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    effort: Effort,
    /// What is best, instead of what the file says [default: the file's, else REPAIR]
    #[arg(long, value_enum, ignore_case = true)]
    objective: Option<Goal>,
    #[command(flatten)]
    over_time: Wish,
}

/// Named lists of objectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Goal {
    /// End overloads and broken rules, cheaply
    Repair,
    /// The same, on as few hosts as can be
    Consolidate,
    /// The same, with even load
    Balance,
    /// The same, with little power
    Power,
}

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Self::Repair => "REPAIR",
            Self::Consolidate => "CONSOLIDATE",
            Self::Balance => "BALANCE",
            Self::Power => "POWER",
        }
    }

    /// Makes it the objective of a problem.
    ///
    /// # Errors
    /// It is not planned with. The problem was judged before: what is wrong now is what is asked for instead.
    pub(crate) fn apply(self, problem: &mut Problem) -> Result<(), Failure> {
        self.name().clone_into(&mut problem.objective);
        problem.objectives.clear();
        let Err(rejected) = dvms_solver::Problem::new(problem) else { return Ok(()) };
        let fault = |fault: dvms_solver::Fault| Fault {
            path: if fault.path.starts_with("objective") { "--objective".into() } else { fault.path },
            message: fault.message,
            ..Fault::default()
        };
        let faults = rejected.faults.into_iter().map(fault).collect();
        Err(Failure::bad_input("the problem cannot be solved like this:").faults(faults))
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let input = Input::read(&arguments.file)?;
    let mut problem = input.problem()?;
    if let Some(goal) = arguments.objective {
        goal.apply(&mut problem)?;
    }
    let mut files = OutFiles::beside([arguments.file.as_str()]);
    let out = files.take_any("--out", arguments.out.as_ref())?;
    let traced = files.take_any("--trace", arguments.trace.as_ref())?;
    let plot = files.take_any("--plot", arguments.plot.as_ref())?;
    if output.is_json() && arguments.over_time.prints() {
        let hint = "dvms gantt PROBLEM PLAN --output json prints a plan over time; --svg and --html write it to files";
        let message = "--gantt and --step show the plan over time, but --output json prints the plan";
        return Err(Failure::bad_input(message).hint(hint));
    }
    let pictures = arguments.over_time.view().map(|view| Ok((view, view.files(&mut files)?)));
    let pictures = pictures.transpose().map_err(|failure: Failure| failure)?;
    let search = Search::new(&arguments.effort, !output.is_json())?;
    let mut trace = Trace::default();
    let plan = search
        .solve_and_tell(&problem, "solving", &mut |plan| trace.better(plan))
        .map_err(|rejected| input.rejected(&rejected))?;
    trace.end(&plan);
    let forecast = forecast_view::of_plan(&problem, &plan, &usual(), &Calibration::default());
    if let Some(out) = out {
        out.write(&plan.to_json())?;
    }
    if let Some(traced) = traced {
        traced.write(&format!("{:#}\n", trace.value(&problem)))?;
    }
    if let Some(plot) = plot {
        plot.write(&picture(&problem, &plan, &trace))?;
    }
    let shown = match pictures {
        Some((view, files)) if output.is_json() => {
            view.write(files, &Subject::of_file(&problem, &plan))?;
            show(&problem, &plan, &forecast, arguments, output).map_err(Failure::from)
        }
        Some((view, files)) => over_time(&problem, &plan, (view, files), output),
        None => show(&problem, &plan, &forecast, arguments, output).map_err(Failure::from),
    };
    match shown {
        // The plan is what it is, whoever reads about it.
        Err(Failure::Closed) => {}
        shown => shown?,
    }
    Ok(exit_of(plan.status))
}

/// How a command ends that has solved a problem.
pub(crate) fn exit_of(status: Status) -> Exit {
    match status {
        Status::Optimal | Status::Feasible | Status::NoChange => Exit::Success,
        Status::Infeasible => Exit::Infeasible,
        Status::Unknown => Exit::Unknown,
    }
}

/// The plan over time, and what there is to say where there is none.
fn over_time(
    problem: &Problem,
    plan: &Plan,
    (view, files): (&View, Files),
    output: Output,
) -> Result<(), Failure> {
    let paint = output.look.paint;
    output.line(&plan_view::headline(paint, plan))?;
    output.line(&(plan_view::explanation(paint, plan) + &left::in_words(paint, problem, plan)))?;
    view.show(files, &Subject::of_file(problem, plan), output)
}

fn show(
    problem: &Problem,
    plan: &Plan,
    forecast: &forecast_view::Shown,
    arguments: &Arguments,
    output: Output,
) -> std::io::Result<()> {
    if output.is_json() {
        return output.text(&plan.to_json());
    }
    output.text(&plan_view::whole(output.look, problem, plan))?;
    output.text(&forecast.text(output.look))?;
    match &arguments.out {
        Some(path) => output.line(&format!("\nThe plan is in {}.", path.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_number() {
        let numbers = [
            (Status::Optimal, 0),
            (Status::Feasible, 0),
            (Status::NoChange, 0),
            (Status::Infeasible, 3),
            (Status::Unknown, 4),
        ];
        for (status, number) in numbers {
            assert_eq!(exit_of(status) as u8, number, "{status:?}");
        }
    }
}

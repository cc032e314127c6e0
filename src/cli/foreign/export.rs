//! `dvms export`: problems and plans as files of other engines.

use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::input::Input;
use super::super::out_files::OutFiles;
use super::super::output::Output;
use super::super::paint::Paint;
use super::{gaps, give, tell};
use crate::btrplace::{export, export_plan};
use dvms_solver::file::Plan;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Writes problems and plans as files of other engines
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    to: To,
}

#[derive(Debug, clap::Subcommand)]
enum To {
    Btrplace(Btrplace),
}

/// Writes a problem as an instance of BtrPlace, or a plan as a reconfiguration plan that it can replay
///
/// What BtrPlace has no words for (soft rules, spreads over racks, NUMA nodes, …) is told, all at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
VMs and hosts that are called vm12 and n3 are 12 and 3 there; otherwise they are counted from 0, and
name views tell which is which. Times of plans become whole seconds, such that what did not overlap
still does not.

Exit status: 0 done; 2 a file cannot be read, or holds what BtrPlace has no words for; 1 anything
else.

Examples:
  dvms export btrplace problem.json --out instance.json
  dvms export btrplace problem.json --plan plan.json --out reconfiguration.json
  dvms export btrplace problem.json --leave-out soft-rules,spread")]
struct Btrplace {
    /// The problem, JSON; `-` = standard input
    problem: String,
    /// Write this plan of the problem instead
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do without something that BtrPlace has no words for, by the name that the error gives it
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    leave_out: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output, paint: Paint) -> Result<Exit, Failure> {
    let To::Btrplace(arguments) = &arguments.to;
    let paths = [arguments.problem.as_str()].into_iter().chain(arguments.plan.as_deref());
    let out = OutFiles::beside(paths).take_any("--out", arguments.out.as_ref())?;
    Input::not_both(&arguments.problem, arguments.plan.as_deref().unwrap_or_default())?;
    let input = Input::read(&arguments.problem)?;
    let problem = input.problem()?;
    let leave_out: BTreeSet<String> = arguments.leave_out.iter().cloned().collect();
    let (value, holds, notes) = match &arguments.plan {
        None => {
            let exported =
                export(&problem, &leave_out).map_err(|error| gaps(&input.name, "BtrPlace", &error))?;
            let model = &exported.instance.model;
            let nodes = model.mapping.online_nodes.len() + model.mapping.offline_nodes.len();
            let holds = vec![
                ("node", nodes),
                ("VM", problem.vms.len()),
                ("constraint", exported.instance.constraints.len()),
            ];
            (serde_json::to_string_pretty(&exported.instance), holds, exported.notes)
        }
        Some(plan) => {
            let file = Input::read(plan)?;
            let plan = file.json("plan", Plan::from_json)?;
            let written = export_plan(&problem, &plan, &leave_out);
            let (plan, notes) = written.map_err(|error| gaps(&file.name, "BtrPlace", &error))?;
            (serde_json::to_string_pretty(&plan), vec![("action", plan.actions.len())], notes)
        }
    };
    let text = value.expect("plain data with keys that are text or numbers") + "\n";
    tell(paint, &notes);
    give(&text, out.zip(arguments.out.as_deref()), &holds, &notes, output)?;
    Ok(Exit::Success)
}

//! `dvms import`: files of other engines as problems and plans.

use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::input::Input;
use super::super::out_files::OutFiles;
use super::super::output::Output;
use super::super::paint::Paint;
use super::{gaps, give, tell};
use crate::btrplace::{Instance, Options, ReconfigurationPlan, Unit, import, import_plan};
use dvms_solver::file::read;
use dvms_solver::file::{ObjectiveValue, Plan, Problem};
use std::path::{Path, PathBuf};

/// Reads files of other engines as problems and plans
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    Btrplace(Btrplace),
}

/// Reads an instance of BtrPlace, JSON or JSON packed by gzip, as a problem
///
/// Model, resources, attributes, network and constraints are carried over. What problems have no words
/// for is told, all at once; what means something else here is told on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nodes and VMs are called n3 and vm12, or as the instance's name views say. Its units are guessed
from the names of its resources (`mem` is memory in GB; memory and uCpu are in 10 MB and tenths of
a core; others are taken as they are); --unit says otherwise.

Exit status: 0 done; 2 the file cannot be read, or holds what problems have no words for; 1
anything else.

Examples:
  dvms import btrplace instance.json --out problem.json
  dvms import btrplace instance.json.gz | dvms solve -
  dvms import btrplace instance.json --unit mem=memory:1024 --unit cpu=cpu:1000
  dvms import btrplace instance.json --plan its-plan.json --out plan.json")]
struct Btrplace {
    /// The instance; `-` = standard input
    file: String,
    /// Read this plan of the instance instead, as a plan for the problem
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What a resource is called here, and how much one unit of it is
    #[arg(long, value_name = "RESOURCE=NAME[:FACTOR]", value_parser = unit)]
    unit: Vec<(String, Unit)>,
    /// Do without something that problems have no words for, by the name that the error gives it
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    leave_out: Vec<String>,
    /// The name of the problem [default: that of the file]
    #[arg(long)]
    name: Option<String>,
}

fn unit(text: &str) -> Result<(String, Unit), String> {
    let form = || "it is RESOURCE=NAME or RESOURCE=NAME:FACTOR".to_owned();
    let (resource, meant) = text.split_once('=').ok_or_else(form)?;
    let (name, factor) = meant.split_once(':').unwrap_or((meant, "1"));
    let factor: i64 = factor
        .parse()
        .ok()
        .filter(|factor| *factor > 0)
        .ok_or_else(|| format!("{factor:?} is no factor: a whole number of at least 1"))?;
    if resource.is_empty() || name.is_empty() {
        return Err(form());
    }
    Ok((resource.to_owned(), Unit { name: name.to_owned(), factor }))
}

pub(crate) fn run(arguments: &Arguments, output: Output, paint: Paint) -> Result<Exit, Failure> {
    let From::Btrplace(arguments) = &arguments.from;
    let paths = [arguments.file.as_str()].into_iter().chain(arguments.plan.as_deref());
    let out = OutFiles::beside(paths).take_any("--out", arguments.out.as_ref())?;
    Input::not_both(&arguments.file, arguments.plan.as_deref().unwrap_or_default())?;
    let input = Input::read(&arguments.file)?;
    let instance: Instance = input.json("BtrPlace instance", read)?;
    let options = Options {
        name: arguments.name.clone().unwrap_or_else(|| stem(&arguments.file)),
        units: arguments.unit.iter().cloned().collect(),
        leave_out: arguments.leave_out.iter().cloned().collect(),
    };
    let side = "a problem";
    let (text, holds, notes) = match &arguments.plan {
        None => {
            let imported = import(&instance, &options).map_err(|error| gaps(&input.name, side, &error))?;
            let problem = imported.problem;
            let holds = [problem.hosts.len(), problem.vms.len(), problem.constraints.len()];
            (problem.to_json(), ["host", "VM", "rule"].into_iter().zip(holds).collect(), imported.notes)
        }
        Some(plan) => {
            let file = Input::read(plan)?;
            let plan: ReconfigurationPlan = file.json("BtrPlace plan", read)?;
            let read = import_plan(&instance, &plan, &options);
            let (mut plan, notes) = read.map_err(|error| gaps(&file.name, "a plan", &error))?;
            // What an instance has that cannot be said is told when it is imported itself.
            if let Ok(imported) = import(&instance, &options) {
                plan.objectives = levels(&imported.problem, &plan);
            }
            (plan.to_json(), vec![("action", plan.actions.len())], notes)
        }
    };
    tell(paint, &notes);
    let holds: Vec<_> = holds;
    give(&text, out.zip(arguments.out.as_deref()), &holds, &notes, output)?;
    Ok(Exit::Success)
}

/// What the plan makes of the problem's objectives; nothing is proved of it.
fn levels(problem: &Problem, plan: &Plan) -> Vec<ObjectiveValue> {
    let levels = dvms_solver::check::check(problem, plan).levels.into_iter();
    levels.map(|(name, before, value)| ObjectiveValue { name, before, value, bound: None }).collect()
}

/// `li-r6` of `data/li-r6.json.gz`, with nothing that a name may not have.
fn stem(path: &str) -> String {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.filter(|name| name != "-").unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

//! `dvms whatif`: a problem as it is and as it might be, side by side.

mod compare;
mod edits;

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::safe;
use super::input::Input;
use super::left;
use super::out_files::OutFiles;
use super::output::Output;
use super::plan_view;
use super::searching::{Effort, Search};
use super::solve::{Goal, exit_of};
use super::specs::{Many, Pair, VmSpec, hosts, pair, vms};
use compare::Side;
use dvms_solver::file::{Plan, Problem};
use dvms_solver::whatif::differing;
use serde_json::json;
use std::path::PathBuf;

/// Solves a problem as it is and with something else in it, and compares the two
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Edits are made in this order: rules dropped, hosts added, VMs added, hosts removed and lost, rules
added (which may name new-host-1 … and new-vm-1 …). A host that is removed is drained: its VMs leave
by migration. A scope that is lost has failed: its VMs are down and are started elsewhere. Each of
the two solves has the whole time limit.

Exit status, of the solve with the edits: 0 a plan, or nothing needs doing; 2 bad input; 3 proved
infeasible; 4 no plan found in time; 1 anything else.

Examples:
  dvms whatif rack.json --add-hosts 2:like=h1
  dvms whatif rack.json --lose rack=a --output json
  dvms whatif rack.json --add-vms 10:cpu=2000,memory=4096 --drop-rule web-apart
  dvms whatif rack.json --add-rule '{\"name\": \"off\", \"ban\": {\"vms\": [\"db1\"], \"hosts\": [\"h1\"]}}'
  dvms whatif rack.json --compare plan.json
  dvms whatif rack.json --compare plan.json --with other.json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    file: String,
    /// More hosts, like one that there is [default: like the first]
    #[arg(long, value_name = "NUMBER[:like=HOST]", value_parser = hosts)]
    add_hosts: Vec<Many<Option<String>>>,
    /// A host that is taken away: it is drained
    #[arg(long, value_name = "HOST")]
    remove_host: Vec<String>,
    /// Hosts that fail together, by a label; `host=NAME` for one
    #[arg(long, value_name = "SCOPE=VALUE", value_parser = pair)]
    lose: Vec<Pair>,
    /// More VMs that wait to be placed
    #[arg(long, value_name = "NUMBER:RESOURCE=AMOUNT,…|like=VM", value_parser = vms)]
    add_vms: Vec<Many<VmSpec>>,
    /// A rule that is no longer there
    #[arg(long, value_name = "NAME")]
    drop_rule: Vec<String>,
    /// A rule more: a file, or JSON as in the `constraints` of a problem
    #[arg(long, value_name = "FILE|JSON")]
    add_rule: Vec<String>,
    /// Compare with this plan of the problem as it is, instead of solving that
    #[arg(long, value_name = "PLAN")]
    compare: Option<String>,
    /// Compare the plan of `--compare` with this one; nothing is solved
    #[arg(long, value_name = "PLAN", requires = "compare", conflicts_with_all = [
        "add_hosts", "remove_host", "lose", "add_vms", "drop_rule", "add_rule", "out", "out_problem",
    ])]
    with: Option<String>,
    /// What is best, instead of what the file says [default: the file's, else REPAIR]
    #[arg(long, value_enum, ignore_case = true)]
    objective: Option<Goal>,
    #[command(flatten)]
    effort: Effort,
    /// Write the plan for the edited problem, JSON, to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the edited problem, JSON, to this file
    #[arg(long, value_name = "FILE")]
    out_problem: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let (compare, with) = (arguments.compare.as_deref(), arguments.with.as_deref());
    Input::not_both(&arguments.file, compare.unwrap_or_default())?;
    Input::not_both(&arguments.file, with.unwrap_or_default())?;
    Input::not_both(compare.unwrap_or_default(), with.unwrap_or_default())?;
    let input = Input::read(&arguments.file)?;
    let mut problem = input.problem()?;
    if let Some(goal) = arguments.objective {
        goal.apply(&mut problem)?;
    }
    let edits = edits::list(arguments)?;
    if edits.is_empty() && arguments.compare.is_none() {
        let hint = "dvms whatif --help lists what can be different";
        return Err(Failure::bad_input("nothing is to be different").hint(hint));
    }
    let edited = edits::apply(&problem, &edits)?;
    let given = arguments.compare.as_deref().map(|path| given_plan(&problem, path)).transpose()?;
    let mut files = OutFiles::beside([arguments.file.as_str()].into_iter().chain(compare).chain(with));
    arguments.add_rule.iter().filter(|given| edits::is_file(given)).for_each(|file| files.reads(file));
    let out = files.take_any("--out", arguments.out.as_ref())?;
    let out_problem = files.take_any("--out-problem", arguments.out_problem.as_ref())?;

    let with = arguments.with.as_deref().map(|path| given_plan(&problem, path)).transpose()?;

    let search = Search::new(&arguments.effort, !output.is_json())?;
    let solve = |problem: &Problem, what: &str| {
        search.solve(problem, what).map_err(|rejected| input.rejected(&rejected))
    };
    let (what, before) = match given {
        Some(plan) => ("AS GIVEN", plan),
        None => ("AS IT IS", solve(&problem, "solving as it is")?),
    };
    let (what_if, after) = match with {
        Some(plan) => ("THE OTHER", plan),
        None => ("WHAT IF", solve(&edited, "solving what if")?),
    };
    if let Some(out) = out {
        out.write(&after.to_json())?;
    }
    if let Some(out) = out_problem {
        out.write(&edited.to_json())?;
    }
    let exit = exit_of(after.status);
    let differing = differing(&before, &after);
    let before = Side::new(&problem, before);
    let after = Side::new(&edited, after);
    if output.is_json() {
        let words: Vec<String> = edits.iter().map(edits::in_words).collect();
        output.value(&json!({
            "edits": words,
            "before": before.value(),
            "after": after.value(),
            "differing": differing,
        }))?;
    } else {
        let words: Vec<String> = edits.iter().map(|asked| safe(&edits::in_words(asked))).collect();
        let mut text =
            if words.is_empty() { String::new() } else { format!("What if: {}.\n\n", words.join("; ")) };
        text.push_str(&compare::table(output.look, [what, what_if], &before, &after));
        text.push_str(&compare::differing(output.look, [what, what_if], &differing));
        let paint = output.look.paint;
        let mut explanation =
            plan_view::explanation(paint, &after.plan) + &left::in_words(paint, &edited, &after.plan);
        if !after.plan.status.has_plan() {
            explanation = format!("{}\n{explanation}", plan_view::headline(paint, &after.plan));
        }
        if !explanation.is_empty() {
            text.push('\n');
            text.push_str(&explanation);
        }
        output.text(&text)?;
    }
    Ok(exit)
}

/// A plan of the problem, judged.
fn given_plan(problem: &Problem, path: &str) -> Result<Plan, Failure> {
    let input = Input::read(path)?;
    let plan = input.json("plan", Plan::from_json)?;
    dvms_solver::whatif::given(problem, &plan).map_err(|violations| {
        let fault = |violation: dvms_solver::check::Violation| Fault {
            path: violation.subject,
            message: violation.message,
            ..Fault::default()
        };
        let faults = violations.into_iter().map(fault).collect();
        Failure::bad_input(format!("{} is not a valid plan of the problem:", input.name)).faults(faults)
    })
}

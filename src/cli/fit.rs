//! `dvms fit`: how many more VMs of one size there is room for.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::{amount, count, safe};
use super::input::Input;
use super::output::Output;
use super::paint::Tone;
use super::plan_view;
use super::searching::{Effort, Search};
use super::specs::{Pair, VmSpec, pair, vm};
use super::table::{Column, Look, Table};
use dvms_solver::Rejected;
use dvms_solver::file::{ActionKind, Problem, Vm};
use dvms_solver::fit::{Fit, Room, Unfit, Wish, fit};
use serde_json::json;
use std::fmt::Write as _;

/// Hosts that are shown; more are counted.
const HOSTS_SHOWN: usize = 20;

/// Says how many more VMs of one size there is room for, and proves that it is not more
#[derive(Debug, clap::Args)]
#[command(after_help = "\
States and rules are kept. Left aside, and told: VMs that wait or are down, soft rules, and rules
that do not hold now; hosts to be emptied keep their VMs. Hosts that are powered down count where
`limits.power_actions` of the problem allows to boot them.

Exit status: 0 it is told, also if none fits; 2 bad input; 1 anything else.

Examples:
  dvms fit rack.json --vm cpu=2000,memory=4096
  dvms fit rack.json --vm like=db1 --moves 3
  dvms fit rack.json --vm cpu=500,memory=512 --spread rack=2 --label app=web --output json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    file: String,
    /// What each VM needs, in the units of the file; `like=VM` = as much as that one, with its labels
    #[arg(long, value_name = "RESOURCE=AMOUNT,…|like=VM", value_parser = vm)]
    vm: VmSpec,
    /// Also with this many migrations at most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32))]
    moves: Option<u32>,
    /// At most so many of the VMs share a value of the label; `host=1` for one on each host
    #[arg(long, value_name = "LABEL=NUMBER", value_parser = spread)]
    spread: Option<(String, u32)>,
    /// A label of the VMs: the rules that select it are about them, too
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<Pair>,
    /// The only hosts that they may run on [default: all]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    host: Vec<String>,
    #[command(flatten)]
    effort: Effort,
}

fn spread(text: &str) -> Result<(String, u32), String> {
    let Pair { name, value } = pair(text)?;
    match value.parse() {
        Ok(most) => Ok((name, most)),
        Err(_) => Err(format!("{value:?} is no number of VMs")),
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let input = Input::read(&arguments.file)?;
    let problem = input.problem()?;
    let wish = wish(arguments, &problem)?;
    let search = Search::new(&arguments.effort, !output.is_json())?;
    let mut solve = |problem: &Problem| search.solve(problem, "solving");
    let moves = arguments.moves.map(u64::from);
    let found = fit(&problem, &wish, moves, &mut solve).map_err(|error| refused(&problem, &error))?;
    if output.is_json() {
        let mut value = json!(found);
        value["vm"] = json!({"demand": wish.vm.demand, "labels": wish.vm.labels});
        output.value(&value)?;
    } else {
        output.text(&text(output.look, &wish, &found))?;
    }
    Ok(Exit::Success)
}

fn wish(arguments: &Arguments, problem: &Problem) -> Result<Wish, Failure> {
    let VmSpec { like, demand } = &arguments.vm;
    let mut vm = match like {
        None => Vm::default(),
        Some(name) => {
            let found = problem.vms.iter().find(|vm| vm.name == *name).cloned();
            found.ok_or_else(|| bad("--vm", format!("there is no VM {name:?} in the problem")))?
        }
    };
    // What is asked for is what it has, at the end as well.
    vm.arrival_demand.retain(|name, _| !demand.contains_key(name));
    vm.demand.extend(demand.iter().map(|(name, amount)| (name.clone(), *amount)));
    vm.labels.extend(arguments.label.iter().map(|pair| (pair.name.clone(), pair.value.clone())));
    Ok(Wish { vm, spread: arguments.spread.clone(), hosts: arguments.host.clone() })
}

fn bad(path: &str, message: String) -> Failure {
    let fault = Fault { path: path.to_owned(), message, ..Fault::default() };
    Failure::bad_input("the question makes no sense:").faults(vec![fault])
}

/// What is wrong with the question; the problem itself was judged before.
fn refused(problem: &Problem, error: &Unfit) -> Failure {
    let rejected: &Rejected = match error {
        Unfit::Rejected(rejected) => rejected,
        Unfit::Nothing => return bad("--vm", error.to_string()),
    };
    let new_vm = format!("vms[{}].", problem.vms.len());
    let fault = |fault: &dvms_solver::Fault| {
        let option = match fault.path.as_str() {
            path if path.starts_with(&new_vm) => "--vm",
            path if path.contains("spread") => "--spread",
            path if path.contains("fence") => "--host",
            path => path,
        };
        Fault { path: option.to_owned(), message: fault.message.clone(), ..Fault::default() }
    };
    let faults = rejected.faults.iter().map(fault).collect();
    Failure::bad_input("the question makes no sense:").faults(faults)
}

fn text(look: Look, wish: &Wish, found: &Fit) -> String {
    let each: Vec<String> =
        wish.vm.demand.iter().map(|(name, each)| format!("{name} {}", amount(name, *each))).collect();
    let mut text = format!("Room for more VMs of {}:\n", safe(&each.join(", ")));
    room(look, "as things are", &found.as_it_is, &mut text);
    if let Some(with) = &found.with_moves {
        room(look, &format!("with at most {}", count(with.moves as usize, "migration")), with, &mut text);
    }
    for note in &found.notes {
        let _ = writeln!(text, "{} {}", look.paint.tone(Tone::Faint, "Note:"), safe(note));
    }
    let last = found.with_moves.as_ref().unwrap_or(&found.as_it_is);
    if !last.hosts.is_empty() {
        let _ = write!(text, "\n{}", by_host(look, last));
    }
    if let Some(plan) = &last.plan {
        // That the new ones start is told already.
        let mut rest = plan.clone();
        rest.actions.retain(|action| action.kind != ActionKind::Start);
        if !rest.actions.is_empty() {
            let _ = write!(text, "\n{}", plan_view::actions(look, &rest, |_| None));
        }
    }
    text
}

fn room(look: Look, when: &str, room: &Room, text: &mut String) {
    let fits = look.paint.tone(Tone::Strong, &room.fits.to_string());
    let proof = match (room.proved, room.bound_by) {
        (true, "counting") => "more do not fit, which is proved by counting".to_owned(),
        (true, _) => "more do not fit, which the solver has proved".to_owned(),
        (false, by) => {
            let by = if by == "counting" { "counting" } else { "the solver" };
            format!(
                "more than {} do not fit, which is proved by {by}; between the two it is not known",
                room.bound
            )
        }
    };
    let _ = writeln!(text, "  {when}: {fits}; {proof}.");
}

fn by_host(look: Look, room: &Room) -> String {
    let hosts = &room.hosts;
    let columns = [Column::Left("HOST"), Column::Right("NEW VMS"), Column::Left("")];
    let mut table = Table::new(look, &columns[..if room.boots.is_empty() { 2 } else { 3 }]);
    for (host, count) in hosts.iter().take(HOSTS_SHOWN) {
        let mut row = vec![host.clone(), count.to_string()];
        if !room.boots.is_empty() {
            row.push(if room.boots.contains(host) { "is booted first" } else { "" }.to_owned());
        }
        table.row(row);
    }
    let mut text = table.render();
    if let Some(more) = hosts.len().checked_sub(HOSTS_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more; --output json has them all");
    }
    text
}

//! `dvms solve`: a problem file in, a checked plan out; no server.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::figure;
use super::input::Input;
use super::out_file::OutFile;
use super::output::Output;
use super::plan_view;
use super::progress::Progress;
use crate::solving::{Backend, Engine, Order, Solver as _, Stop};
use dvms_solver::file::{Plan, Problem, Status};
use std::path::PathBuf;
use std::time::Duration;

/// Seconds for a problem that does not say, as of the service.
const DEFAULT_LIMIT_S: f64 = 10.0;

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
  dvms solve - --objective CONSOLIDATE --output json < rack.json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    file: String,
    /// Seconds for the whole solve [default: the file's `limits.time_limit_s`, else 10]
    #[arg(long, value_name = "SECONDS", value_parser = limit)]
    time_limit: Option<f64>,
    /// Write the plan, JSON, to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads to use, at most. With more than one, searches run beside the exact back-end
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Where the search starts. The same problem, seed, threads and work limit give the same plan; with one thread
    /// also without a work limit, if time does not run out
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Most units of work (things tried); the clock then decides only when the time limit comes first
    #[arg(long, value_name = "NUMBER")]
    work_limit: Option<u64>,
    /// Most MiB to move for each unit of what is gained: a host, a watt, a thousandth of load. What ends violations is
    /// worth any move [default: so is all that the objective asks for]
    #[arg(long, value_name = "MIB", value_parser = price)]
    migration_price: Option<f64>,
    /// What searches
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// What is best, instead of what the file says [default: the file's, else REPAIR]
    #[arg(long, value_enum, ignore_case = true)]
    objective: Option<Goal>,
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
}

/// Seconds that a solve may take.
pub(super) fn limit(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("it is a number of seconds above 0, at most 86400".to_owned()),
    }
}

/// What a unit of a gain is worth.
fn price(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if price >= 0.0 => Ok(price),
        _ => Err("it is a number of MiB, at least 0".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let input = Input::read(&arguments.file)?;
    let mut problem = input.problem()?;
    override_file(arguments, &mut problem);
    // The file was judged: what is wrong now is what the command line says instead.
    if let Err(rejected) = dvms_solver::Problem::new(&problem) {
        let fault = |fault: dvms_solver::Fault| Fault {
            path: if fault.path.starts_with("objective") { "--objective".into() } else { fault.path },
            message: fault.message,
            ..Fault::default()
        };
        let faults = rejected.faults.into_iter().map(fault).collect();
        return Err(Failure::bad_input("the problem cannot be solved like this:").faults(faults));
    }
    let out = arguments.out.as_deref().map(OutFile::prepare).transpose()?;
    let limit_s = problem.limits.as_ref().and_then(|limits| limits.time_limit_s).unwrap_or(DEFAULT_LIMIT_S);
    let order = Order {
        time_limit: Duration::try_from_secs_f64(limit_s).unwrap_or(Duration::MAX),
        threads: usize::from(arguments.threads),
        seed: arguments.seed,
        backend: arguments.backend,
        work_limit: arguments.work_limit,
        migration_price: arguments.migration_price,
    };
    let stop = Stop::default();
    stop_on_interrupt(&stop)?;
    let progress = Progress::start(!output.is_json(), limit_s);
    let mut plans = 0;
    let solved = Engine.solve(&problem, &order, &stop, &mut |plan| {
        plans += 1;
        progress.say(format!("plan {plans}: {}", in_short(plan)));
    });
    drop(progress);
    let plan = solved.map_err(|rejected| input.rejected(&rejected))?;
    if let Some(out) = out {
        out.write(&plan.to_json())?;
    }
    match show(&plan, arguments, output) {
        // The plan is what it is, whoever reads about it.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        shown => shown?,
    }
    Ok(exit_of(plan.status))
}

fn exit_of(status: Status) -> Exit {
    match status {
        Status::Optimal | Status::Feasible | Status::NoChange => Exit::Success,
        Status::Infeasible => Exit::Infeasible,
        Status::Unknown => Exit::Unknown,
    }
}

fn override_file(arguments: &Arguments, problem: &mut Problem) {
    if let Some(goal) = arguments.objective {
        goal.name().clone_into(&mut problem.objective);
        problem.objectives.clear();
    }
    if let Some(limit) = arguments.time_limit {
        problem.limits.get_or_insert_default().time_limit_s = Some(limit);
    }
}

/// The first interrupt asks for the best plan so far; the next one ends the process as if nobody listened.
fn stop_on_interrupt(stop: &Stop) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::new(format!("cannot listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut interrupts = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt()).map_err(failed)?
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupts.recv().await;
            stop.now();
            interrupts.recv().await;
            std::process::exit(130);
        });
    });
    Ok(())
}

/// The levels of a plan as a few words.
fn in_short(plan: &Plan) -> String {
    let level = |level: &dvms_solver::file::ObjectiveValue| format!("{} {}", level.name, figure(level.value));
    plan.objectives.iter().map(level).collect::<Vec<_>>().join(", ")
}

fn show(plan: &Plan, arguments: &Arguments, output: Output) -> std::io::Result<()> {
    if output.is_json() {
        return output.text(&plan.to_json());
    }
    output.text(&plan_view::whole(output.look, plan))?;
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

    #[test]
    fn limits_are_seconds() {
        assert_eq!((limit("5"), limit("0.25")), (Ok(5.0), Ok(0.25)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "5s", ""] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}

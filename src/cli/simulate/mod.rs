//! `dvms simulate`: the laboratory.

mod batch;
mod checkpoint;
mod compare;
mod experiment;
mod injector;
mod measures;
mod page;
mod parquet;
mod replay;
mod sheets;
mod show;
mod start;
mod study;
mod traces;
mod watch;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use clap::Subcommand;

/// Simulates whole infrastructures in virtual time, and compares strategies on them
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Strategies: none, centralised, hierarchical, dvms, dvms-classic, drs, gossip, ecocloud, p2p, scouts,
mcda, balancer.

An experiment is a few lines of TOML; what it does not say is as in VMPlaceS:
  seconds = 600
  [hosts]
  count = 32
  [[vary]]
  seed = [1, 2, 3]
  [[run]]
  strategy = \"centralised\"
  [[run]]
  strategy = \"dvms\"

What else it may say is in docs/EXPERIMENTS.md. The same file, seed and version give the
same report, byte for byte, unless computing is to take what it takes on this machine.

Exit status: 0 done; 2 the file cannot be used; 1 interrupted, with what was there by then, or
anything else.

Examples:
  dvms simulate experiments/calibration.toml
  dvms simulate experiments/calibration.toml --run centralised --seed 7 --output json
  dvms simulate experiments/calibration.toml --run dvms --watch
  dvms simulate experiments/calibration.toml --report report.html
  dvms simulate experiments/calibration.toml --csv figures
  dvms simulate experiments/vmplaces-512.toml --checkpoint kept --resume
  dvms simulate experiments/calibration.toml --run dvms --replay 3
  dvms simulate experiments/vmplaces.toml --at hosts.count=512 --at seed=23
  dvms simulate compare before.json after.json"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    experiment: experiment::Given,
}

#[derive(Debug, Subcommand)]
enum Command {
    Injector(injector::Arguments),
    Compare(compare::Arguments),
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    match &arguments.command {
        Some(Command::Injector(arguments)) => injector::run(arguments, output),
        Some(Command::Compare(arguments)) => compare::run(arguments, output),
        None => experiment::run(&arguments.experiment, output),
    }
}

//! The command line: one file per subcommand; what they share is in small files beside them.
//!
//! What a command prints goes to standard output; errors, progress and logs go to standard error. A reader
//! that goes away ends a command silently.

mod bars;
mod bench;
mod calibrate;
mod check;
mod client;
mod completions;
mod demo;
mod events;
mod exit;
mod explain;
mod failure;
mod fit;
mod forecast;
mod forecast_view;
mod foreign;
mod forget;
mod format;
mod gantt;
mod growth_view;
mod host_state;
mod hosts;
mod input;
mod left;
mod line;
mod list;
mod locate;
mod out_file;
mod out_files;
mod output;
mod paint;
mod plan_view;
mod plans;
mod plot;
mod policies;
mod progress;
mod ring;
mod screen;
mod searching;
mod serve;
mod simulate;
mod solve;
mod specs;
mod table;
mod top;
mod trace;
mod version;
mod vms;
mod whatif;

use clap::{Parser, Subcommand};
use exit::Exit;
use failure::Failure;
use output::{Format, Output};
use paint::{ColorChoice, Paint};
use std::process::ExitCode;

/// Keeps virtual machines on the right hosts, while they run.
#[derive(Debug, Parser)]
#[command(
    name = "dvms",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "\
Exit status: 0 done; 2 what was given cannot be used; 3 proved infeasible and 4 no plan found in
time (solve and plans); 1 anything else.

Examples:
  dvms demo                          a simulated cluster at work
  dvms solve rack.json --out plan.json
  dvms serve                         the coordinator
  dvms hosts --server 10.0.0.7:7600"
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The server, HOST:PORT or http://HOST:PORT
    #[arg(long, global = true, env = "DVMS_SERVER", value_name = "ADDR", default_value = client::DEFAULT_SERVER)]
    server: String,
    /// What is printed
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// When to colour; `auto` heeds `NO_COLOR`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Demo(demo::Arguments),
    Solve(solve::Arguments),
    Check(check::Arguments),
    Gantt(gantt::Arguments),
    Explain(explain::Arguments),
    Whatif(whatif::Arguments),
    Fit(fit::Arguments),
    Forecast(forecast::Arguments),
    Calibrate(calibrate::Arguments),
    Import(foreign::import::Arguments),
    Export(foreign::export::Arguments),
    Bench(bench::Arguments),
    Simulate(simulate::Arguments),
    Hosts(hosts::Arguments),
    Vms(vms::Arguments),
    Plans(plans::Arguments),
    /// Empties hosts, for maintenance
    Drain(host_state::Drain),
    /// Lets VMs enter drained hosts again
    Undrain(host_state::Arguments),
    /// Lets no VM enter hosts; those there stay
    Cordon(host_state::Arguments),
    /// Lets VMs enter cordoned hosts again
    Uncordon(host_state::Arguments),
    Forget(forget::Arguments),
    Events(events::Arguments),
    Ring(ring::Arguments),
    Top(top::Arguments),
    Policies(policies::Arguments),
    Completions(completions::Arguments),
    Version(version::Arguments),
}

/// Reads the arguments of the process, does what they say and gives the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.global.output;
    let paint = Paint::for_stderr(arguments.global.color);
    // A panic has told itself; it must not end in a status that means something else.
    let ended = std::panic::catch_unwind(|| run(&arguments)).unwrap_or(Ok(Exit::Failure));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.tell(format, paint);
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let Global { server, output, color } = &arguments.global;
    let output = Output::new(*output, *color);
    match &arguments.command {
        Command::Serve(arguments) => serve::run(arguments, output, Paint::for_stderr(*color)),
        Command::Demo(arguments) => demo::run(arguments, output),
        Command::Solve(arguments) => solve::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
        Command::Gantt(arguments) => gantt::run(arguments, output),
        Command::Explain(arguments) => explain::run(arguments, output),
        Command::Whatif(arguments) => whatif::run(arguments, output),
        Command::Fit(arguments) => fit::run(arguments, output),
        Command::Forecast(arguments) => forecast::run(arguments, output),
        Command::Calibrate(arguments) => calibrate::run(arguments, output),
        Command::Import(arguments) => foreign::import::run(arguments, output, Paint::for_stderr(*color)),
        Command::Export(arguments) => foreign::export::run(arguments, output, Paint::for_stderr(*color)),
        Command::Bench(arguments) => bench::run(arguments, output),
        Command::Simulate(arguments) => simulate::run(arguments, output),
        Command::Hosts(arguments) => hosts::run(arguments, server, output),
        Command::Vms(arguments) => vms::run(arguments, server, output),
        Command::Plans(arguments) => plans::run(arguments, server, output),
        Command::Drain(arguments) => host_state::drain(arguments, server, output),
        Command::Undrain(arguments) | Command::Uncordon(arguments) => {
            host_state::online(arguments, server, output)
        }
        Command::Cordon(arguments) => host_state::cordon(arguments, server, output),
        Command::Forget(arguments) => forget::run(arguments, server, output),
        Command::Policies(arguments) => policies::run(arguments, server, output),
        Command::Ring(arguments) => ring::run(arguments, server, output),
        Command::Top(arguments) => top::run(arguments, server, output),
        Command::Events(arguments) => events::run(arguments, server, output),
        Command::Completions(arguments) => completions::run(arguments, output),
        Command::Version(arguments) => version::run(arguments, server, output),
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_is_described() {
        fn look(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no description");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
            let leaf = command.get_subcommands().next().is_none();
            assert!(!leaf || command.get_after_help().is_some(), "{path} has no examples");
            command.get_subcommands().for_each(|inner| look(inner, &path));
        }
        look(&Arguments::command(), "");
    }
}

//! `dvms simulate`: the laboratory.

mod injector;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use clap::Subcommand;

/// Simulates whole infrastructures in virtual time
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Injector(injector::Arguments),
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Injector(arguments) => injector::run(arguments, output),
    }
}

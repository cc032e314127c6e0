//! `dvms completions`: a completion script for a shell.

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use clap::CommandFactory as _;

/// Prints a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms completions bash > /etc/bash_completion.d/dvms
  dvms completions zsh > ~/.zfunc/_dvms
  dvms completions fish > ~/.config/fish/completions/dvms.fish")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "dvms", &mut script);
    output.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

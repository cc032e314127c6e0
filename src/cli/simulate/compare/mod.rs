//! `dvms simulate compare`: what several reports say, side by side.

mod read;
mod sheet;
mod sizes;
#[cfg(test)]
mod tests;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::input::Input;
use crate::cli::out_files::OutFiles;
use crate::cli::output::Output;
use read::Told;
use std::path::PathBuf;

/// Compares reports of experiments, side by side, with the differences to the first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reports are what `dvms simulate FILE --output json` prints, of this or another version. Runs are compared that have
the same name; where no two files share a name and each holds one run, these. Where settings vary, runs of the same
name and settings are compared, each as its mean over seeds.

Exit status: 0 done; 2 a file cannot be used; 1 anything else.

Examples:
  dvms simulate compare before.json after.json
  dvms simulate compare hosts-128.json hosts-512.json hosts-1024.json --report sizes.html
  dvms simulate compare before.json after.json --output json")]
pub(super) struct Arguments {
    /// Reports, JSON; `-` = standard input, once
    #[arg(required = true, num_args = 2..=MOST_FILES, value_name = "FILE")]
    files: Vec<String>,
    /// Also write a page with the tables, and with charts by size where the numbers of hosts differ
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// As many as there are letters to call them by.
const MOST_FILES: usize = LETTERS.len();
const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U",
    "V", "W", "X", "Y", "Z",
];

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    if arguments.files.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Failure::bad_input("only one of the files can be standard input"));
    }
    let mut files = OutFiles::beside(arguments.files.iter().map(String::as_str));
    let page = files.take_any("--report", arguments.report.as_ref())?;
    let told: Vec<Told> =
        arguments.files.iter().map(|file| read::told(&Input::read(file)?)).collect::<Result<_, _>>()?;
    let mut groups = sheet::groups(&told);
    if groups.iter().all(|group| group.runs.iter().flatten().count() < 2) {
        let hint =
            told.iter().map(|it| format!("{} has {}", it.file, it.names())).collect::<Vec<_>>().join("; ");
        return Err(Failure::bad_input("no run is in two of the files, so that there is nothing to compare")
            .hint(hint));
    }
    // What only one file has is not compared.
    groups.retain(|group| group.runs.iter().flatten().count() > 1);
    if let Some(page) = page {
        page.write(&sizes::page(&told, &groups))?;
    }
    if output.is_json() {
        output.value(&sheet::value(&told, &groups))?;
    } else {
        output.text(&sheet::text(output.look, &told, &groups))?;
    }
    Ok(Exit::Success)
}

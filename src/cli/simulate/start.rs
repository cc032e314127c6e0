//! The problem file that an experiment starts with.

use crate::cli::failure::Failure;
use crate::cli::input::Input;
use crate::cli::out_files::OutFiles;
use crate::simulator::experiment::Experiment;
use std::path::Path;

/// Reads the problem that the experiment wants, seen from where its file is, and gives it.
pub(super) fn give(experiment: &mut Experiment, file: &str, files: &mut OutFiles) -> Result<(), Failure> {
    let Some(start) = &experiment.start else { return Ok(()) };
    let home = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
    let path = home.join(&start.problem).display().to_string();
    files.reads(&path);
    let input = Input::read(&path)?;
    let problem = input.problem()?;
    experiment.begin_with(&problem).map_err(|rejected| input.rejected(&rejected))
}

//! The files of a recorded load.

use crate::cli::failure::{Failure, Fault};
use crate::cli::input::plain;
use crate::cli::out_files::OutFiles;
use crate::simulator::experiment::{Experiment, Recorded};
use crate::simulator::load::Text;
use std::path::{Path, PathBuf};

/// Reads what the experiment wants, from `instead` or the folder that it says, as seen from where its file is, and gives it.
pub(super) fn give(
    experiment: &mut Experiment,
    file: &str,
    instead: Option<&Path>,
    out_files: &mut OutFiles,
) -> Result<(), Failure> {
    let Some(recorded) = experiment.load.recorded() else { return Ok(()) };
    let home = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
    let folder = instead.map_or_else(|| home.join(&recorded.folder), Path::to_owned);
    let files = files(&folder, &recorded)?;
    for text in &files {
        out_files.reads(&text.name);
    }
    experiment.give(&files).map_err(|faults| {
        let fault = |it: crate::simulator::load::TextFault| Fault {
            line: it.line,
            path: it.file,
            message: it.message,
            ..Fault::default()
        };
        Failure::bad_input(format!("{} holds no trace of this kind:", folder.display()))
            .faults(faults.into_iter().map(fault).collect())
            .hint("docs/EXPERIMENTS.md says what the files are like.")
    })
}

fn files(folder: &Path, recorded: &Recorded) -> Result<Vec<Text>, Failure> {
    let table = folder.join(format!("{}.csv", recorded.day));
    let paths = if recorded.day.is_empty() {
        list(folder)?
    } else if table.is_file() {
        vec![table]
    } else {
        list(&folder.join(&recorded.day))?
    };
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::bad_input(format!("cannot read {name}: {}", plain(&error))))?;
        Ok(Text { name, text })
    };
    paths.iter().map(read).collect()
}

/// The files of a folder by name, but for hidden ones.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let refused = |error: std::io::Error| {
        Failure::bad_input(format!("cannot read the traces in {}: {}", folder.display(), plain(&error)))
            .hint("`folder` is seen from where the experiment is; --traces DIR takes another one.")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

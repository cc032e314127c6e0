//! Complete runs in files, so that an experiment that was killed goes on where it was.

use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::out_file::OutFile;
use crate::simulator::experiment::{Experiment, Kept, Measured, Run};
use std::path::{Path, PathBuf};

/// A folder with a file for each complete run.
pub(super) struct Checkpoints {
    folder: PathBuf,
    resume: bool,
}

/// The file of a run.
pub(super) struct Checkpoint {
    path: PathBuf,
    /// What is in it: the run need not be made again.
    pub(super) taken: Option<Measured>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Checkpoints {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(folder: &Path, resume: bool) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
        Ok(Self { folder: folder.to_owned(), resume })
    }

    /// The file of the run of this name; it is read where that is to be taken.
    ///
    /// # Errors
    /// It is there and not to be taken, cannot be read, or is of another experiment.
    pub(super) fn of(&self, name: &str, experiment: &Experiment, run: &Run) -> Result<Checkpoint, Failure> {
        let path = self.folder.join(format!("{name}.run.json"));
        if !path.exists() {
            return Ok(Checkpoint { path, taken: None });
        }
        if !self.resume {
            let message = format!("{} is there already", path.display());
            return Err(Failure::bad_input(message)
                .hint("--resume goes on with what is there; or remove it, or take another folder."));
        }
        let taken = Some(read(&path, experiment, run)?);
        Ok(Checkpoint { path, taken })
    }
}

fn read(path: &Path, experiment: &Experiment, run: &Run) -> Result<Measured, Failure> {
    let input = Input::read(&path.display().to_string())?;
    let kept: Kept = serde_json::from_str(input.text()).map_err(|error| {
        let fault = Fault {
            line: Some(error.line()),
            column: Some(error.column().max(1)),
            path: String::new(),
            message: error.to_string(),
        };
        Failure::bad_input(format!("{} is no run that was kept:", path.display()))
            .faults(vec![fault])
            .hint("Remove it, and the run is made again.")
    })?;
    kept.measured(VERSION, experiment, run).map_err(|differs| {
        let fault = |message: String| Fault { message, ..Fault::default() };
        Failure::bad_input(format!("{} is of another experiment:", path.display()))
            .faults(differs.into_iter().map(fault).collect())
            .hint("Take another folder, or remove the file, and the run is made again.")
    })
}

impl Checkpoint {
    /// Keeps a run, if it is complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn keep(
        &self,
        experiment: &Experiment,
        run: &Run,
        measured: &Measured,
    ) -> Result<(), Failure> {
        if !measured.complete {
            return Ok(());
        }
        let kept = Kept::new(VERSION, experiment, run, measured);
        let text =
            serde_json::to_string(&kept).map_err(|error| Failure::new(format!("cannot keep: {error}")))?;
        OutFile::prepare(&self.path)?.write(&text)
    }
}

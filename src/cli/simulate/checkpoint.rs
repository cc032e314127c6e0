//! Complete runs in files, so that an experiment that was killed goes on where it was.

use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::out_file::OutFile;
use crate::simulator::experiment::{Experiment, Kept, Measured, Run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder with a file for each complete run.
pub(super) struct Checkpoints {
    folder: PathBuf,
    version: &'static str,
    /// Runs that are there already, by name.
    taken: BTreeMap<String, Measured>,
}

impl Checkpoints {
    /// Makes the folder, and reads what is in it where that is to be taken.
    ///
    /// # Errors
    /// It cannot be made or read, holds runs that are not to be taken, or such of another experiment.
    pub(super) fn open(folder: &Path, resume: bool, experiment: &Experiment) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
        let (folder, version) = (folder.to_owned(), env!("CARGO_PKG_VERSION"));
        let mut all = Self { folder, version, taken: BTreeMap::new() };
        for run in &experiment.runs {
            let path = all.path(run);
            if !path.exists() {
                continue;
            }
            if !resume {
                let message = format!("{} is there already", path.display());
                return Err(Failure::bad_input(message)
                    .hint("--resume goes on with what is there; or remove it, or take another folder."));
            }
            let measured = all.read(&path, experiment, run)?;
            all.taken.insert(run.name.clone(), measured);
        }
        Ok(all)
    }

    fn path(&self, run: &Run) -> PathBuf {
        self.folder.join(format!("{}.run.json", run.name))
    }

    fn read(&self, path: &Path, experiment: &Experiment, run: &Run) -> Result<Measured, Failure> {
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
        kept.measured(self.version, experiment, run).map_err(|differs| {
            let fault = |message: String| Fault { message, ..Fault::default() };
            Failure::bad_input(format!("{} is of another experiment:", path.display()))
                .faults(differs.into_iter().map(fault).collect())
                .hint("Take another folder, or remove the file, and the run is made again.")
        })
    }

    /// A run that need not be made again.
    pub(super) fn taken(&mut self, run: &Run) -> Option<Measured> {
        self.taken.remove(&run.name)
    }

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
        let kept = Kept::new(self.version, experiment, run, measured);
        let text =
            serde_json::to_string(&kept).map_err(|error| Failure::new(format!("cannot keep: {error}")))?;
        OutFile::prepare(&self.path(run))?.write(&text)
    }
}

//! The configuration of `dvms serve`: one TOML file. Every setting has a default that works; an unknown
//! one is an error. All faults are reported together, each with its line and path.

mod faults;
mod read;
mod sections;
#[cfg(test)]
mod tests;

pub use faults::{ConfigError, Fault};
pub use sections::{Log, LogFormat, Metrics, Server, Solve};

use crate::coordinator::Settings;
use crate::coordinator::policies;
use crate::coordinator::settings::{Detection, Execution, Inventory, Migration, Planning, Ring};
use dvms_solver::file::Constraint;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// Where plans, events and operator settings are kept. Default: what systemd gives in
    /// `STATE_DIRECTORY`, else `/var/lib/dvms` for root and for the user who owns it, else `dvms` in the
    /// user's state directory.
    pub state_dir: PathBuf,
    /// The gRPC endpoint.
    pub server: Server,
    /// The Prometheus endpoint.
    pub metrics: Metrics,
    /// Logs.
    pub log: Log,
    /// `PlacementService`.
    pub solve: Solve,
    /// Agents' sessions, and what hosts may carry.
    pub inventory: Inventory,
    /// What is trouble.
    pub detection: Detection,
    /// Partitions and solves.
    pub planning: Planning,
    /// How plans are carried out.
    pub execution: Execution,
    /// What is expected of migrations.
    pub migration: Migration,
    /// Other coordinators.
    pub ring: Ring,
    /// The operator's rules, in the form of the problem file. They apply to whatever hosts and VMs have
    /// the names and labels.
    pub constraints: Vec<Constraint>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: default_state_dir(),
            server: Server::default(),
            metrics: Metrics::default(),
            log: Log::default(),
            solve: Solve::default(),
            inventory: Inventory::default(),
            detection: Detection::default(),
            planning: Planning::default(),
            execution: Execution::default(),
            migration: Migration::default(),
            ring: Ring::default(),
            constraints: Vec::new(),
        }
    }
}

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// Every fault of the file, or that it cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::from_toml(&text).map_err(|faults| ConfigError::Faulty { path: path.to_owned(), faults })
    }

    /// Reads and validates TOML text.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Fault>> {
        let (config, mut faults) = read::read(text);
        // Values that could not be read are at their defaults here and add no faults of their own.
        faults.extend(config.faults(text));
        faults.sort_by_key(|fault| fault.line);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The rules of TOML text that has nothing else, `[[constraints]]` each.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn rules_from_toml(text: &str) -> Result<Vec<Constraint>, Vec<Fault>> {
        let config = Self::from_toml(text)?;
        let others = Self { constraints: config.constraints.clone(), ..Self::default() };
        if config != others {
            let message = "is for rules alone; settings are for the file of the coordinator".to_owned();
            return Err(vec![Fault { line: None, path: String::new(), message }]);
        }
        Ok(config.constraints)
    }

    /// Judges settings that were changed after they were read.
    ///
    /// # Errors
    /// Every fault of them; none has a line.
    pub fn validate(&self) -> Result<(), Vec<Fault>> {
        let faults = self.faults("");
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The effective configuration, as TOML that reads back to the same.
    ///
    /// # Panics
    /// Never: the settings have string keys only.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("settings have a TOML form")
    }

    /// What the coordinator is told.
    #[must_use]
    pub fn coordinator(&self) -> Settings {
        Settings {
            inventory: self.inventory.clone(),
            detection: self.detection.clone(),
            planning: self.planning.clone(),
            execution: self.execution.clone(),
            migration: self.migration.clone(),
            ring: self.ring.clone(),
            constraints: self.constraints.clone(),
        }
    }

    fn faults(&self, text: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut wrong = |path: &str, message: String| faults.push(Fault::of_setting(text, path, message));
        if self.state_dir.as_os_str().is_empty() {
            wrong("state_dir", "must not be empty".into());
        }
        self.server.faults(&mut wrong);
        self.metrics.faults(&self.server, &mut wrong);
        self.log.faults(&mut wrong);
        self.solve.faults(&mut wrong);
        self.coordinator().faults(&mut wrong);
        policies::faults(&self.constraints, &mut wrong);
        faults
    }
}

/// The state directory of a service that runs as root or has it prepared.
const SYSTEM_STATE_DIR: &str = "/var/lib/dvms";

fn default_state_dir() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd may give several directories, separated by colons; the first is ours.
    let systemd = variable("STATE_DIRECTORY")
        .and_then(|paths| paths.to_str().and_then(|paths| paths.split(':').next()).map(PathBuf::from));
    let system = || owns_system_state_dir().then(|| PathBuf::from(SYSTEM_STATE_DIR));
    systemd
        .or_else(system)
        .or_else(|| variable("XDG_STATE_HOME").map(|path| path.join("dvms")))
        .or_else(|| variable("HOME").map(|path| path.join(".local/state/dvms")))
        .unwrap_or_else(|| PathBuf::from(SYSTEM_STATE_DIR))
}

/// Whether this process is root's, or the directory is there for its user.
fn owns_system_state_dir() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The kernel gives a process's folder to its user.
    let Ok(user) = std::fs::metadata("/proc/self").map(|folder| folder.uid()) else { return false };
    user == 0
        || std::fs::metadata(SYSTEM_STATE_DIR).is_ok_and(|folder| folder.is_dir() && folder.uid() == user)
}

//! Running other engines, by small programs of ours that speak to them (`benches/peers`).
//!
//! `python DRIVER PROBLEM --time-limit S --threads N --out FILE` writes `{"placement": {vm: host}, "seconds": s}`,
//! or `{"cannot": why}`, or `{"nothing": why}`. The time is that from the problem read to the answer.

use super::compare::Answer;
use crate::cli::failure::Failure;
use dvms_solver::check::check_placement;
use dvms_solver::file::Problem;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The engines, by their programs.
pub(super) const NAMES: [&str; 5] = ["rebalancer-local", "rebalancer-highs", "cp-sat", "highs", "ffd"];
/// Beyond the limit, for Python to start, read the problem, build its model and write.
const PATIENCE_S: f64 = 60.0;
const POLL: Duration = Duration::from_millis(10);

/// Engines that are there.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    python: PathBuf,
    folder: PathBuf,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    placement: Option<BTreeMap<String, String>>,
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    cannot: Option<String>,
    #[serde(default)]
    nothing: Option<String>,
}

impl Peers {
    /// The engines of a folder.
    ///
    /// # Errors
    /// They are not installed, or there is none of that name.
    pub(super) fn find(folder: &Path, names: &[String]) -> Result<Self, Failure> {
        if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
            let known = NAMES.join(", ");
            return Err(Failure::bad_input(format!("{unknown} is no peer; there are {known}")));
        }
        let python = folder.join(".venv/bin/python");
        if !folder.join("common.py").is_file() {
            let message =
                format!("{} has no drivers of peers; --peers-dir names their folder", folder.display());
            return Err(Failure::bad_input(message));
        }
        if !python.is_file() {
            let message = format!("{} is not there: `make peers` installs the peers", python.display());
            return Err(Failure::new(message));
        }
        let all = || NAMES.map(str::to_owned).to_vec();
        let names = if names.is_empty() { all() } else { names.to_vec() };
        Ok(Self { python, folder: folder.to_owned(), names })
    }

    /// One engine on one problem, judged.
    pub(super) fn run(
        &self,
        name: &str,
        problem: &Problem,
        file: &Path,
        limit_s: f64,
        threads: u16,
    ) -> Answer {
        match self.ask(name, file, limit_s, threads) {
            Err(why) => Answer::Nothing { why },
            Ok(Said { cannot: Some(why), .. }) => Answer::Cannot { why },
            Ok(Said { placement: Some(placement), seconds, .. }) => judge(problem, &placement, seconds),
            Ok(Said { nothing, .. }) => {
                Answer::Nothing { why: nothing.unwrap_or_else(|| "no answer".into()) }
            }
        }
    }

    fn ask(&self, name: &str, file: &Path, limit_s: f64, threads: u16) -> Result<Said, String> {
        let failed = |error: std::io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(failed)?;
        let (out, log) = (folder.path().join("answer.json"), folder.path().join("log"));
        let (driver, variant) = match name {
            "rebalancer-local" => ("rebalancer_driver.py", Some("local")),
            "rebalancer-highs" => ("rebalancer_driver.py", Some("highs")),
            "cp-sat" => ("cpsat_driver.py", None),
            "highs" => ("highs_driver.py", None),
            _ => ("simple_driver.py", None),
        };
        let written = std::fs::File::create(&log).map_err(failed)?;
        let mut command = Command::new(&self.python);
        command.arg(self.folder.join(driver)).arg(file);
        command
            .args(["--time-limit", &limit_s.to_string(), "--threads", &threads.to_string(), "--out"])
            .arg(&out);
        command.args(variant.iter().flat_map(|variant| ["--variant", variant]));
        command.stdin(Stdio::null()).stdout(written.try_clone().map_err(failed)?).stderr(written);
        let mut child = command.spawn().map_err(failed)?;
        let until = Instant::now() + Duration::from_secs_f64(2.0 * limit_s + PATIENCE_S);
        loop {
            if child.try_wait().map_err(failed)?.is_some() {
                break;
            }
            if Instant::now() > until {
                // It may have ended by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not end within {limit_s} s and {PATIENCE_S} s more"));
            }
            std::thread::sleep(POLL);
        }
        let Ok(text) = std::fs::read_to_string(&out) else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no answer");
            return Err(last.chars().take(300).collect());
        };
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

/// Judges an end like ours, but for the way to it.
fn judge(problem: &Problem, placement: &BTreeMap<String, String>, seconds: f64) -> Answer {
    let judged = check_placement(problem, placement);
    if let Some(violation) = judged.violations.first() {
        let why = format!("{violation} ({} in all)", judged.violations.len());
        return Answer::Invalid { why, seconds };
    }
    let down = ["FAILED", "OFFLINE"];
    let up: BTreeSet<&str> = (problem.hosts.iter())
        .filter(|host| !down.contains(&host.state.as_str()))
        .map(|host| host.name.as_str())
        .collect();
    let moved = |vm: &&dvms_solver::file::Vm| {
        up.contains(vm.host.as_str()) && placement.get(&vm.name).is_some_and(|host| *host != vm.host)
    };
    let levels = judged.levels.iter().filter(|(name, ..)| name != "MAKESPAN");
    Answer::Placed {
        values: levels.map(|(.., value)| *value).collect(),
        moves: problem.vms.iter().filter(moved).count(),
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    #[test]
    fn an_answer_is_judged_by_where_vms_end() {
        let problem = ROWS[0].problem(1, true).unwrap();
        let stay: BTreeMap<String, String> =
            problem.vms.iter().map(|vm| (vm.name.clone(), vm.host.clone())).collect();
        let Answer::Placed { values, moves, .. } = judge(&problem, &stay, 0.1) else { panic!("it is valid") };
        assert!(values[0] >= 1000.0 && values[1] == 0.0 && values.len() == 2 && moves == 0, "{values:?}");
        let mut crowd = stay;
        let first = problem.hosts[0].name.clone();
        for host in crowd.values_mut() {
            host.clone_from(&first);
        }
        assert!(matches!(judge(&problem, &crowd, 0.1), Answer::Invalid { .. }));
    }

    #[test]
    fn peers_that_are_not_there_are_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Peers::find(folder.path(), &[]).is_err());
        std::fs::write(folder.path().join("common.py"), "").unwrap();
        assert!(Peers::find(folder.path(), &[]).is_err(), "nothing is installed");
        assert!(Peers::find(folder.path(), &["nobody".to_owned()]).is_err());
    }
}

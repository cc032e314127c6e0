//! Running `dvms`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes, however busy the machine; what is not there by then does not come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `dvms` that knows nothing of the machine it runs on.
pub(crate) fn dvms(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dvms"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["DVMS_SERVER", "DVMS_CONFIG", "NO_COLOR", "RUST_LOG", "STATE_DIRECTORY"] {
        command.env_remove(name);
    }
    command
}

/// Runs `dvms` to its end.
pub(crate) fn run(arguments: &[&str]) -> Done {
    finish(dvms(arguments), "")
}

/// Runs `dvms` to its end with something on its standard input.
pub(crate) fn run_with(arguments: &[&str], stdin: &str) -> Done {
    finish(dvms(arguments), stdin)
}

/// Runs a command to its end; kills it when it does not come.
pub(crate) fn finish(mut command: Command, stdin: &str) -> Done {
    let files = tempfile::tempdir().unwrap();
    let (out, err) = (files.path().join("out"), files.path().join("err"));
    let write = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    command.stdin(Stdio::piped()).stdout(write(&out)).stderr(write(&err));
    let mut child = command.spawn().unwrap();
    // It may end without reading everything.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let status = end_of(&mut child, &format!("{command:?}"));
    let read = |path: &Path| String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    Done { code: status.code(), stdout: read(&out), stderr: read(&err) }
}

/// Waits for the end of a process.
pub(crate) fn end_of(child: &mut Child, what: &str) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{what} has not ended within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Done {
    /// The same, if it ended with that status.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn in_root(path: &str) -> String {
    root().join(path).to_str().unwrap().to_owned()
}

//! The test bed for tests in Rust: real hypervisors that go down with a value. Included by path, as the tests of
//! several packages use it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// Whether this machine can have a test bed. If not this is said loudly, and is a failure where
/// `DVMS_REQUIRE_TESTBED=1`.
pub fn require() -> bool {
    let check = Command::new("bash").arg(script()).arg("check").output().expect("cannot run bash");
    if !check.status.success() {
        let why = String::from_utf8_lossy(&check.stderr);
        assert!(
            env::var("DVMS_REQUIRE_TESTBED").as_deref() != Ok("1"),
            "the test bed is required here: {why}"
        );
        eprintln!("SKIPPED: {}", why.trim());
    }
    check.status.success()
}

/// Real hypervisors; go down with this value, and with this process however it ends.
pub struct Testbed {
    state: tempfile::TempDir,
}

impl Testbed {
    /// Boots `n` hypervisors. `None` = this machine cannot (said loudly), which is a failure where
    /// `DVMS_REQUIRE_TESTBED=1`.
    pub fn up(n: usize) -> Option<Self> {
        if !require() {
            return None;
        }
        let state = tempfile::Builder::new().prefix("dvms-tb").tempdir().expect("no temporary directory");
        let this = Self { state };
        let pid = std::process::id().to_string();
        this.run(&["up", &n.to_string(), "--while", &pid]);
        Some(this)
    }

    /// `hypervisors.sh` with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let script = script();
        let mut command = Command::new("bash");
        command.arg(script).args(args).env("DVMS_TESTBED", self.state.path());
        command
    }

    /// Its state directory.
    pub fn path(&self) -> &Path {
        self.state.path()
    }

    /// A verb of hypervisors.sh, whatever comes of it.
    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("cannot run bash")
    }

    /// A verb that must succeed; its standard output.
    pub fn run(&self, args: &[&str]) -> String {
        let out = self.output(args);
        assert!(out.status.success(), "hypervisors.sh {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// URI of hypervisor `i` for this process.
    pub fn uri(&self, i: usize) -> String {
        self.run(&["uri", &i.to_string()])
    }

    /// URI of hypervisor `i` for the other hypervisors.
    pub fn peer_uri(&self, i: usize) -> String {
        self.run(&["peer-uri", &i.to_string()])
    }

    /// A transient nano guest on hypervisor `i`.
    pub fn create(&self, i: usize, name: &str, mib: u32, cmdline: &str) {
        self.run(&["create", &i.to_string(), name, "nano", &mib.to_string(), cmdline]);
    }

    /// virsh inside hypervisor `i`.
    pub fn virsh(&self, i: usize, args: &[&str]) -> Output {
        self.output(&[&["on", &i.to_string(), "virsh", "-q", "-c", "qemu:///system"], args].concat())
    }

    /// Hypervisors on which the guest runs.
    pub fn hosts_of(&self, name: &str) -> Vec<usize> {
        self.run(&["where", name]).lines().map(|l| l.parse().expect("a number")).collect()
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).status();
    }
}

/// `hypervisors.sh`, from whichever package of the workspace includes this file.
fn script() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = package.ancestors().map(|folder| folder.join("tests/testbed/hypervisors.sh"));
    found.into_iter().find(|path| path.is_file()).expect("tests/testbed is above the package")
}

/// Waits until `ready` says yes, at most `limit`.
pub fn wait_for(what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !ready() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

//! The test bed: real libvirt daemons in namespaces of this machine, driven by `hypervisors.sh`.

use anyhow::{Context as _, bail};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// From the root of the repository.
const SCRIPT: &str = "tests/testbed/hypervisors.sh";
/// Seconds after which a verb of the script is ended: none takes a tenth of it.
const VERB_WITHIN_S: &str = "60";

/// Hypervisors that go down with this value, and with this process however it ends.
pub(super) struct Bed {
    script: PathBuf,
    folder: PathBuf,
    children: Mutex<Vec<Child>>,
    is_down: AtomicBool,
}

impl Bed {
    /// Finds the script and asks it whether this machine can do it.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn find(folder: &Path) -> anyhow::Result<Self> {
        let script = find_script().with_context(|| {
            format!(
                "the demo with libvirt needs {SCRIPT}: run it in a checkout of dvms, with `make demo-libvirt`"
            )
        })?;
        let bed = Self {
            script,
            folder: folder.to_owned(),
            children: Mutex::default(),
            is_down: AtomicBool::default(),
        };
        let check = bed.output(&["check"])?;
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stderr).trim().replace("hypervisors.sh: ", "");
            bail!(
                "real hypervisors {why}. `make demo-libvirt`, as root, installs what is missing; `dvms demo` needs \
                 none of it"
            );
        }
        Ok(bed)
    }

    /// Boots the hypervisors.
    ///
    /// # Errors
    /// What the script says.
    pub(super) fn up(&self, hosts: usize) -> anyhow::Result<()> {
        let owner = std::process::id().to_string();
        self.run(&["up", &hosts.to_string(), "--while", &owner]).map(drop)
    }

    /// Where files of the test bed may be put.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A verb of the script that must succeed; its standard output.
    ///
    /// # Errors
    /// What it says when it does not.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.output(arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("hypervisors.sh {}: {}", arguments.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A verb of the script, whatever comes of it.
    pub(super) fn output(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.command(OsStr::new("timeout"));
        command.args(["--kill-after=5", VERB_WITHIN_S, "bash"]).arg(&self.script).args(arguments);
        command.stdin(Stdio::null()).output().context("cannot run hypervisors.sh")
    }

    /// Starts a program inside a hypervisor. It ends with it.
    ///
    /// # Errors
    /// There is no such program, or its log cannot be written.
    pub(super) fn start(
        &self,
        host: usize,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> anyhow::Result<()> {
        let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let again = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.command(OsStr::new("bash"));
        command.arg(&self.script).args(["on", &host.to_string()]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(file).stderr(again);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        Ok(())
    }

    /// Ends everything that was started. Whoever still uses the test bed fails.
    pub(super) fn down(&self) {
        if self.is_down.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Err(error) = self.run(&["down"]) {
            tracing::error!("the test bed does not go down: {error:#}");
        }
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ctrl-C at the terminal is for the demo alone, which then ends the others in order.
    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env("DVMS_TESTBED", &self.folder).process_group(0);
        command
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.down();
    }
}

/// The script of the checkout that the working directory, or this program, is in.
fn find_script() -> Option<PathBuf> {
    let folders = [std::env::current_dir(), std::env::current_exe()];
    let folders = folders.into_iter().filter_map(Result::ok).collect::<Vec<_>>();
    let mut candidates =
        folders.iter().flat_map(|folder| folder.ancestors()).map(|folder| folder.join(SCRIPT));
    candidates.find(|script| script.is_file())
}

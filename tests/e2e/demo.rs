//! `dvms demo --libvirt`: the whole story on real hypervisors, and what is left of it on this machine.

use crate::cluster::ALONE;
use crate::testbed::{require, wait_for};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

/// The story takes 40 s on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_mins(4);

/// A demo with a folder of its own for all that it keeps. Ends with this value.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("dvms-e").tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dvms"));
        command.args(["demo", "--libvirt", "--port", "0"]).env("TMPDIR", folder.path());
        let files = [folder.path().join("out"), folder.path().join("err")];
        let [out, err] = files.map(|file| fs::File::create(file).unwrap());
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, folder }
    }

    /// What it has said so far.
    fn said(&self) -> String {
        let read = |file: &str| fs::read_to_string(self.folder.path().join(file)).unwrap();
        format!("{}{}", read("out"), read("err"))
    }

    /// Its exit status, when it has ended.
    fn end(&mut self) -> Option<i32> {
        wait_for("the demo has ended", PATIENCE, || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }

    /// No process and no file that belongs to it is there any more.
    fn judge_leftovers(&self) {
        let folder = self.folder.path();
        let what = "nothing of the demo runs any more";
        wait_for(what, Duration::from_secs(20), || processes_about(folder).is_empty());
        let kept: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(kept.iter().all(|name| name == "out" || name == "err"), "left behind: {kept:?}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes of this machine whose command line or environment names the folder.
fn processes_about(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap().as_bytes();
    let names = |file: &Path| {
        let mut text = Vec::new();
        fs::File::open(file).is_ok_and(|mut file| file.read_to_end(&mut text).is_ok())
            && text.windows(folder.len()).any(|part| part == folder)
    };
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    entries
        .filter(|process| names(&process.join("cmdline")) || names(&process.join("environ")))
        .map(|process| process.display().to_string())
        .collect()
}

#[test]
fn the_story_on_real_hypervisors_meets_its_goals_and_leaves_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !require() {
        return;
    }
    let mut demo = Demo::start();
    let status = demo.end();
    let said = demo.said();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("All goals were met"), "{said}");
    assert!(said.contains("no guest lost or doubled a heartbeat"), "{said}");
    println!("{said}");
    demo.judge_leftovers();
}

#[test]
fn an_interrupted_story_leaves_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !require() {
        return;
    }
    let mut demo = Demo::start();
    wait_for("the first act begins", Duration::from_mins(2), || demo.said().contains("act 1"));
    assert!(!processes_about(demo.folder.path()).is_empty(), "hypervisors and agents run");
    let pid = demo.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = demo.end();
    assert_eq!(status, Some(1), "{}", demo.said());
    assert!(demo.said().contains("interrupted before the end of the story"), "{}", demo.said());
    demo.judge_leftovers();
}

//! `dvms demo`: the whole story on a pipe, and its ends before the end.

use super::command::{dvms, end_of, wait_for};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The story takes less than a minute on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_mins(4);

/// Everything that a demo says, and its status.
fn whole(arguments: &[&str]) -> (i32, String) {
    let mut child = dvms(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("dvms demo has not ended within {PATIENCE:?}:\n{}", reader.join().unwrap().unwrap());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    (child.wait().unwrap().code().unwrap(), reader.join().unwrap().unwrap())
}

#[test]
fn the_story_is_told_in_plain_lines_and_all_goals_are_met() {
    let (status, text) = whole(&["demo", "--port", "0"]);
    assert_eq!(status, 0, "{text}");
    for says in [
        "dvms demo: 12 simulated hypervisors, 97 VMs\n",
        "  grpcurl -plaintext 127.0.0.1:",
        "dvms.v1.ClusterService/ListHosts\n",
        "] ready  12 agents, 97 VMs\n",
        "] act 1  hv03 is overloaded\n",
        "OVERLOAD  hv03",
        "] act 2  hv05 is drained by an operator\n",
        "] act 3  the night comes",
        "  because ",
        "  hv03   cpu [###",
        "moves done, under way ",
        "summary               overload       drain       night\n",
        "  met      hv05 is empty: ",
        "  met      no VM ever ran on two hosts or on none (",
        "All goals were met, in ",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "escape codes on a pipe:\n{text}");
    assert!(!text.contains("NOT MET"), "{text}");
}

/// A demo, when it has told where it is served.
fn begun(arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = dvms(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("ListPlans\n") {
        assert_ne!(lines.read_line(&mut text).unwrap(), 0, "it ended after\n{text}");
    }
    (child, lines, text)
}

fn folders() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("/dvms-demo-")).collect()
}

#[test]
fn a_port_in_use_is_told_and_a_signal_ends_it_without_traces() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (mut child, _lines, text) = begun(&["demo", "--port", &port]);
    assert!(text.contains(&format!("port {port} is in use, ")), "{text}");
    assert!(!text.contains(&format!("served at 127.0.0.1:{port};")), "{text}");
    let mine = format!("/proc/{}/fd", child.id());
    let open = |folder: &std::path::PathBuf| {
        let files = std::fs::read_dir(&mine).into_iter().flatten().filter_map(Result::ok);
        files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.starts_with(folder)))
    };
    let folder = folders().into_iter().find(open).expect("it keeps its state in a temporary directory");
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let status = end_of(&mut child, "dvms demo after SIGINT");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    assert!(!folder.exists(), "{} is left behind", folder.display());
}

#[test]
fn a_reader_that_goes_ends_it_silently() {
    let (mut child, lines, _) = begun(&["demo", "--port", "0"]);
    drop(lines);
    end_of(&mut child, "dvms demo without a reader");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.is_empty(), "{said}");
}

#[test]
fn a_terminal_is_drawn_on_in_place_and_given_back() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED: `script` (util-linux), which makes a terminal, is not there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typescript");
    let demo = format!("stty rows 24 cols 80; exec {} demo --port 0", env!("CARGO_BIN_EXE_dvms"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &demo]).arg(&file);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let shown = || String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
    wait_for("the first act is on the screen", || shown().contains("act 1 of 3"));
    wait_for("a frame after the first one", || shown().matches("\x1b[?2026h").count() > 2);
    let before = shown();
    assert_eq!(before.matches("\x1b[?1049h").count(), 1, "the alternate screen is entered once");
    assert_eq!(before.matches("\x1b[2J").count(), 1, "the screen is cleared once: no flicker");
    assert!(before.contains("hv12") && before.contains("█"), "{before:?}");
    // Ctrl-C, as the keyboard sends it.
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let status = end_of(&mut child, "dvms demo after Ctrl-C");
    let after = shown();
    assert_eq!(status.code(), Some(1), "{after:?}");
    let restored = after.rfind("\x1b[?1049l").expect("the alternate screen is left");
    assert!(after[restored - 40..].contains("\x1b[?25h"), "the cursor is shown again: {after:?}");
    assert!(after[restored..].contains("interrupted"), "{after:?}");
}

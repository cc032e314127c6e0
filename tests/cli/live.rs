//! The live line of a solve, which only a terminal gets to see: `script` (util-linux) is one.

use super::command::{dvms, finish, in_root, run};
use std::process::Command;

/// What `dvms` writes to a terminal; `None`, and a word about it, where there is no `script`.
fn on_a_terminal(arguments: &[&str]) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED: `script` of util-linux is not here, which makes a terminal");
        return None;
    }
    let told = dvms(arguments);
    let words = std::iter::once(told.get_program()).chain(told.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &words.join(" "), "/dev/null"]).env_remove("DVMS_SERVER").env("TERM", "xterm");
    Some(finish(command, "").expect(0).stdout)
}

/// Clears the line.
const CLEAR: &str = "\r\u{1b}[K";

#[test]
fn a_terminal_sees_how_far_a_solve_is() {
    let rack = in_root("docs/examples/rack.json");
    let arguments = ["solve", &rack, "--objective", "CONSOLIDATE", "--time-limit", "5"];
    let Some(told) = on_a_terminal(&arguments) else { return };
    let lines: Vec<&str> = told.split(CLEAR).collect();
    let shown = lines.iter().filter(|line| line.contains(" s of 5 s: plan ")).count();
    assert!(shown > 0, "{told:?}");
    let with_levels = lines.iter().filter(|line| line.contains(": plan ") && line.contains("ACTIVE_HOSTS "));
    assert!(with_levels.count() > 0, "{told:?}");
    // The last thing drawn is nothing, and what follows is the answer.
    let answer = lines.last().unwrap();
    assert!(!answer.contains(" s of 5 s: ") && answer.contains("ACTIVE_HOSTS"), "{told:?}");
}

#[test]
fn nobody_else_sees_it() {
    let rack = in_root("docs/examples/rack.json");
    let done = run(&["solve", &rack, "--objective", "CONSOLIDATE", "--time-limit", "5"]).expect(0);
    assert!(!done.stderr.contains("plan 1") && !done.stderr.contains('\u{1b}'), "{}", done.stderr);
    if let Some(told) = on_a_terminal(&["solve", &rack, "--objective", "CONSOLIDATE", "--output", "json"]) {
        assert!(told.contains("\"status\"") && !told.contains(CLEAR), "{told:?}");
    }
}

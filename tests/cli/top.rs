//! `dvms top` on a terminal, which `script` (util-linux) makes, and elsewhere.

use super::cluster::{Agents, QUIET, SMALL, Server};
use super::command::{dvms, end_of, wait_for};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Enters and leaves the screen beside the one with the lines.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A terminal on which a line of a shell runs.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// `None`, and a word about it, where there is no `script`. `$DVMS` is the program.
    fn start(line: &str, server: &Server) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("SKIPPED: `script` of util-linux is not here, which makes a terminal");
            return None;
        }
        let mut command = Command::new("script");
        command.args(["-qec", line, "/dev/null"]).env("TERM", "xterm").env("DVMS_SERVER", &server.address);
        command.env("DVMS", dvms(&[]).get_program()).env_remove("NO_COLOR").env_remove("DVMS_CONFIG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (keys, mut output) = (child.stdin.take(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut part) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..length]));
            }
        });
        Some(Self { child, keys, shown })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until a text is shown that was not before; what was shown until then is forgotten.
    fn until(&self, text: &str) -> String {
        wait_for(&format!("{text:?} on the terminal"), || self.shown().contains(text));
        std::mem::take(&mut *self.shown.lock().unwrap())
    }

    fn press(&mut self, keys: &str) {
        let to = self.keys.as_mut().unwrap();
        to.write_all(keys.as_bytes()).unwrap();
        to.flush().unwrap();
    }

    /// Its end; what was shown at last.
    fn end(mut self) -> String {
        drop(self.keys.take());
        end_of(&mut self.child, "the terminal");
        self.shown()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What follows a word on its line.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.trim().strip_prefix(word))
        .unwrap_or_else(|| panic!("{word} in {text:?}"))
}

#[test]
fn top_takes_the_terminal_listens_to_keys_and_gives_it_back() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let _agents = Agents::start(&server, SMALL);
    let line = "stty rows 30 cols 100; echo before $(stty -g); echo terminal $(tty); \"$DVMS\" top --interval 1; \
                echo status $?; echo after $(stty -g)";
    let Some(mut terminal) = Terminal::start(line, &server) else { return };
    let mut all = terminal.until("hosts 3");
    let taken = all.split(ENTER).nth(1).expect("the other screen is taken");
    assert!(taken.contains("\u{1b}[?25l") && taken.contains("\u{1b}[1m"), "{taken:?}");
    terminal.press("5");
    all += &terminal.until("HOST_CONNECTED");
    terminal.press("2");
    all += &terminal.until("No partition goes over several coordinators now.");
    terminal.press("\t\t");
    all += &terminal.until("answers");
    terminal.press("?");
    all += &terminal.until("another pane");
    // A smaller window is drawn anew.
    let tty = after(&all, "terminal ").to_owned();
    let resized = Command::new("stty").args(["-F", &tty, "rows", "15", "cols", "60"]).status().unwrap();
    assert!(resized.success());
    all += &terminal.until("\u{1b}[2J");
    terminal.press("1/web3\r");
    all += &terminal.until("only /web3");
    terminal.press("q");
    all += &terminal.until("after ");
    all += &terminal.end();
    let given_back = all.rsplit(LEAVE).next().unwrap();
    assert!(all.contains(LEAVE) && given_back.contains("status 0"), "{all:?}");
    assert!(all.contains("\u{1b}[?25h"), "the cursor is there again");
    // But for the size all is as before.
    assert_eq!(after(&all, "before "), after(&all, "after "));
}

#[test]
fn top_survives_its_coordinator_and_ends_in_order_when_it_is_told_to() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let line = "echo before $(stty -g); sh -c 'echo pid $$; exec env NO_COLOR=1 \"$DVMS\" top --interval 1'; \
                echo status $?; echo after $(stty -g)";
    let Some(terminal) = Terminal::start(line, &server) else { return };
    let mut all = terminal.until("There are no hosts");
    let pid = after(&all, "pid ").to_owned();
    let address = server.address.trim_start_matches("http://").to_owned();
    drop(server);
    all += &terminal.until("NO ANSWER for ");
    all += &terminal.until(" OLD");
    // The same coordinator is there again: it goes on by itself.
    let _server = Server::start_at(&address, state.path(), QUIET);
    all += &terminal.until("s old");
    assert!(Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().unwrap().success());
    all += &terminal.until("after ");
    all += &terminal.end();
    let given_back = all.rsplit(LEAVE).next().unwrap();
    assert!(all.contains(LEAVE) && given_back.contains("status 0"), "{all:?}");
    assert_eq!(after(&all, "before "), after(&all, "after "));
    for colour in ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[36m"] {
        assert!(!all.contains(colour), "{colour:?} in {all:?}");
    }
}

#[test]
fn elsewhere_top_prints_once_or_an_object_for_each_look() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let _agents = Agents::start(&server, SMALL);
    let text = server.run(&["top", "--sort", "name"]).expect(0).stdout;
    assert!(!text.contains('\u{1b}'), "{text:?}");
    for words in ["hosts 3", "VMs 4", "HOSTS", "h1", "MEMBERS", "answers", "EVENTS", "HOST_CONNECTED"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let once = server.run(&["top", "--once", "--output", "json"]).expect(0).json();
    assert_eq!((once["totals"]["hosts"].as_u64(), once["hosts"][0]["name"].as_str()), (Some(3), Some("h1")));

    let mut command = dvms(&["--server", &server.address, "top", "--output", "json", "--interval", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert!(next()["trouble"].is_null());
    assert!(next()["time"].as_str().is_some());
    // The server is gone: what is known stays, and why there is nothing new is told.
    drop(server);
    let told = std::iter::repeat_with(next).take(20).find(|value| !value["trouble"].is_null()).unwrap();
    assert_eq!(told["totals"]["hosts"], 3);
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn top_ends_when_its_terminal_is_gone() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let line = "echo process $$; exec \"$DVMS\" top --interval 1";
    let Some(mut terminal) = Terminal::start(line, &server) else { return };
    let begun = terminal.until("hosts ");
    let process: u32 = after(&begun, "process ").trim().parse().unwrap();
    let runs = || std::path::Path::new(&format!("/proc/{process}/exe")).exists();
    assert!(runs());
    terminal.child.kill().unwrap();
    wait_for("its end", || !runs());
}

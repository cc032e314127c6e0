//! `dvms serve`: configuration, start, stop, state.

use super::cluster::{Agents, QUIET, SMALL, Server, serve_command};
use super::command::{dvms, finish, in_root, run, wait_for};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn config_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dvms.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let done = run(&["serve", "--check-config", "--config", &in_root("deploy/dvms.toml")]).expect(0);
    assert_eq!(done.stdout, "the configuration is valid\n");
}

#[test]
fn every_fault_of_a_configuration_is_told_with_its_line() {
    let text = "state_dir = \"\"\n[server]\nlisten = \"0.0.0.0:7600\"\nlisen = 1\n[solve]\nthreads = 0\n[planning]\n\
        mode = \"yolo\"\n[[constraints]]\nname = \"x\"\nsync = { vms = [\"a\"] }\n";
    let (_folder, path) = config_file(text);
    for action in ["--check-config", "--print-config"] {
        let done = run(&["serve", action, "--config", &path]).expect(2);
        assert!(done.stdout.is_empty(), "{}", done.stdout);
        for says in [
            "line 1: state_dir: must not be empty",
            "line 3: server.listen: 0.0.0.0:7600 is not a loopback address",
            "line 4: server.lisen: unknown field",
            "line 6: solve.threads: must be from 1 to 256",
            "line 8: planning.mode: ",
            "line 11: constraints[0].sync: ",
        ] {
            assert!(done.stderr.contains(says), "{says:?} is not in\n{}", done.stderr);
        }
    }
    let (_folder, path) = config_file("[server\n");
    let done = run(&["serve", "--config", &path]).expect(2);
    assert!(done.stderr.contains("line 1: "), "{}", done.stderr);
    let done = run(&["serve", "--config", "/nonexistent/dvms.toml"]).expect(2);
    assert!(done.stderr.contains("cannot read the configuration /nonexistent/dvms.toml"), "{}", done.stderr);
}

#[test]
fn the_command_line_wins_and_is_judged_too() {
    let (_folder, path) = config_file("[server]\nlisten = \"127.0.0.1:7000\"\n");
    let listen = ["--listen", "127.0.0.2:7001", "--state-dir", "/tmp/x", "--log-format", "json"];
    let done = run(&[&["serve", "--print-config", "--config", &path][..], &listen].concat()).expect(0);
    for says in ["listen = \"127.0.0.2:7001\"", "state_dir = \"/tmp/x\"", "format = \"json\""] {
        assert!(done.stdout.contains(says), "{says:?} is not in\n{}", done.stdout);
    }
    let (_folder, printed) = config_file(&done.stdout);
    run(&["serve", "--check-config", "--config", &printed]).expect(0);

    let outside = ["serve", "--check-config", "--config", &path, "--listen", "0.0.0.0:7600"];
    let done = run(&outside).expect(2);
    assert!(done.stderr.contains("server.listen: 0.0.0.0:7600 is not a loopback address"), "{}", done.stderr);
    run(&[&outside[..], &["--insecure-plaintext"]].concat()).expect(0);
}

#[test]
fn the_state_directory_has_a_default_that_works() {
    let (_folder, path) = config_file("");
    let mut command = dvms(&["serve", "--print-config", "--config", &path]);
    command.env("STATE_DIRECTORY", "/run/one:/run/two");
    assert!(finish(command, "").stdout.contains("state_dir = \"/run/one\""));
    let mut command = dvms(&["serve", "--print-config", "--config", &path]);
    command.env("XDG_STATE_HOME", "/home/me/state");
    let printed = finish(command, "").stdout;
    let as_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let expected =
        if as_root { "state_dir = \"/var/lib/dvms\"" } else { "state_dir = \"/home/me/state/dvms\"" };
    assert!(as_root || !std::path::Path::new("/var/lib/dvms").exists() || printed.contains("state_dir"));
    assert!(printed.contains(expected) || std::path::Path::new("/var/lib/dvms").exists(), "{printed}");
}

fn get(url: &str) -> String {
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_stops_in_order_and_remembers() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::start(state.path(), QUIET);
    let agents = Agents::start(&server, SMALL);
    let answer = get(&server.metrics);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("dvms_hosts"), "{answer}");
    server.run(&["cordon", "h2", "--reason", "remembered"]).expect(0);
    drop(agents);

    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.end(), Some(0), "{}", server.log());
    // Its limit is 10 s; the machine may be busy.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(server.log().contains("stopped"), "{}", server.log());
    drop(server);

    let server = Server::start(state.path(), QUIET);
    let agents = Agents::start(&server, SMALL);
    let host = server.run(&["hosts", "h2", "--output", "json"]).expect(0).json();
    assert_eq!((&host["state"], &host["connection"]), (&"CORDONED".into(), &"CONNECTED".into()));
    let events = server.run(&["events", "--last", "0", "--output", "json"]).expect(0).json();
    let remembered =
        |event: &serde_json::Value| event["message"].as_str().is_some_and(|m| m.contains("remembered"));
    assert!(events.as_array().unwrap().iter().any(remembered), "events outlive a restart: {events}");
    drop(agents);
}

#[test]
fn a_stop_is_bounded_while_clients_hang_on() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::start(state.path(), &format!("{QUIET}[server]\nstop_timeout_s = 3.0\n"));
    let address = server.address.clone();
    let mut followers: Vec<_> = (0..3)
        .map(|_| {
            let mut follower = dvms(&["events", "--follow", "--server", &address]);
            follower.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // And one that says nothing at all.
    let silent = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    server.signal("INT");
    let code = server.end();
    assert!(matches!(code, Some(0 | 1)), "{code:?}: {}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(silent);
    for follower in &mut followers {
        let status = super::command::end_of(follower, "a follower of events");
        assert_eq!(status.code(), Some(1), "a server that ends is told");
    }
}

#[test]
fn a_second_server_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let (_folder, config) = config_file(QUIET);
    let done = finish(serve_command(state.path(), config.as_ref()), "").expect(1);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
    assert!(done.stderr.contains("is in use by another dvms server"), "{}", done.stderr);
    assert!(done.stderr.contains(&server.pid().to_string()), "{}", done.stderr);

    let other = tempfile::tempdir().unwrap();
    let taken = server.address.trim_start_matches("http://");
    let files = ["--state-dir", other.path().to_str().unwrap(), "--config", &config];
    let done = run(&[&["serve", "--listen", taken][..], &files].concat()).expect(1);
    assert!(done.stderr.contains(&format!("cannot listen on {taken}")), "{}", done.stderr);
    assert!(done.stderr.contains("Does another dvms run?"), "{}", done.stderr);
    server.run(&["hosts"]).expect(0);
}

#[test]
fn logs_are_json_where_wanted() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::start(state.path(), &format!("{QUIET}[log]\nformat = \"json\"\n"));
    wait_for("something is logged", || !server.log().is_empty());
    server.signal("TERM");
    assert_eq!(server.end(), Some(0));
    for line in server.log().lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
}

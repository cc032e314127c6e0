//! Every command that speaks with a server.

use super::cluster::{Agents, QUIET, SMALL, Server};
use super::command::{dvms, end_of, run, wait_for};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// A server with a few hosts that acts on nothing by itself.
fn small() -> (tempfile::TempDir, Server, Agents) {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), QUIET);
    let agents = Agents::start(&server, SMALL);
    (state, server, agents)
}

fn names(value: &serde_json::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn hosts_and_vms_are_listed_filtered_and_shown() {
    let (_state, server, _agents) = small();
    let table = server.run(&["hosts"]).expect(0).stdout;
    assert!(table.starts_with("HOST  STATE"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(!table.contains('\x1b') && !table.contains('█'), "piped output is plain: {table}");
    let hosts = server.run(&["hosts", "--output", "json"]).expect(0).json();
    assert_eq!(names(&hosts), ["h1", "h2", "h3"]);
    let filtered = server.run(&["hosts", "--filter", "labels.rack = r1", "-o", "json"]).expect(0).json();
    assert_eq!(names(&filtered), ["h1", "h3"]);
    let host = server.run(&["hosts", "h1", "--output", "json"]).expect(0).json();
    assert_eq!((&host["name"], &host["capacity"]["cpu_millicores"]), (&"h1".into(), &8000.into()));
    let shown = server.run(&["hosts", "h1"]).expect(0).stdout;
    assert!(shown.contains("rack=r1") && shown.contains("web2"), "{shown}");
    assert!(!shown.contains("db1"), "that one is elsewhere: {shown}");

    let vms = server.run(&["vms", "--output", "json"]).expect(0).json();
    assert_eq!(names(&vms), ["db1", "web1", "web2", "web3"]);
    let filtered = server.run(&["vms", "--filter", "labels.app = web AND host = h1", "-o", "json"]).expect(0);
    assert_eq!(names(&filtered.json()), ["web1", "web2"]);
    let table = server.run(&["vms"]).expect(0).stdout;
    assert!(table.contains("db1") && table.contains("RUNNING"), "{table}");
    let shown = server.run(&["vms", "web3"]).expect(0).stdout;
    assert!(shown.contains("h3") && shown.contains("app=web"), "{shown}");
    assert_eq!(server.run(&["vms", "--filter", "host = h9"]).expect(0).stdout, "No VM matches the filter.\n");
}

#[test]
fn errors_are_for_people() {
    let (_state, server, _agents) = small();
    let done = server.run(&["hosts", "h9"]).expect(1);
    assert_eq!(done.stderr, "dvms: there is no host \"h9\"\n");
    server.run(&["vms", "nobody"]).expect(1);
    server.run(&["plans", "show", "nothing"]).expect(1);
    server.run(&["plans", "watch", "nothing"]).expect(1);
    server.run(&["plans", "approve", "nothing"]).expect(1);
    server.run(&["plans", "cancel", "nothing"]).expect(1);
    for command in [&["hosts"][..], &["vms"], &["events"], &["events", "--follow"], &["plans", "list"]] {
        let done = server.run(&[command, &["--filter", "colour = red"]].concat()).expect(2);
        assert!(done.stderr.contains("filter: at character 1: "), "{command:?}: {}", done.stderr);
    }
    let done = server.run(&["hosts", "--filter", "vm_count = many", "--output", "json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["faults"][0]["path"], "filter");
}

#[test]
fn nobody_there_says_what_to_do() {
    for command in [
        &["hosts"][..],
        &["vms"],
        &["events"],
        &["plans", "list"],
        &["drain", "h1"],
        &["uncordon", "h1"],
        &["plans", "create"],
    ] {
        let done = run(&[&["--server", "127.0.0.1:1"], command].concat()).expect(1);
        assert!(done.stdout.is_empty(), "{}", done.stdout);
        assert!(done.stderr.contains("no dvms server answers at http://127.0.0.1:1"), "{}", done.stderr);
        assert!(done.stderr.contains("DVMS_SERVER"), "{}", done.stderr);
    }
    run(&["--server", "https://127.0.0.1:1", "hosts"]).expect(2);
    let done = run(&["--server", "127.0.0.1:1", "version", "-o", "json"]).expect(0);
    assert_eq!(done.json()["server"], serde_json::Value::Null);
}

#[test]
fn the_server_is_found_by_option_or_environment_and_tells_its_version() {
    let (_state, server, _agents) = small();
    let bare = server.address.trim_start_matches("http://");
    run(&["hosts", "--server", bare]).expect(0);
    let mut command = dvms(&["version", "--output", "json"]);
    command.env("DVMS_SERVER", &server.address);
    let version = super::command::finish(command, "").expect(0).json();
    assert_eq!(version["dvms"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["server"]["version"], env!("CARGO_PKG_VERSION"));
    let told = server.run(&["version"]).expect(0).stdout;
    assert_eq!(told.matches(env!("CARGO_PKG_VERSION")).count(), 2, "{told}");
}

#[test]
fn what_an_operator_wants_of_hosts_is_kept_and_repeatable() {
    let (_state, server, _agents) = small();
    let state = |host: &str| server.run(&["hosts", host, "-o", "json"]).expect(0).json()["state"].clone();
    for _ in 0..2 {
        let told = server.run(&["cordon", "h2", "h3", "h2", "--reason", "new kernel"]).expect(0).stdout;
        assert_eq!(told.lines().count(), 2, "each host once: {told}");
        assert!(told.contains("h2 is CORDONED, with 1 VM"), "{told}");
    }
    assert_eq!((state("h2"), state("h3")), ("CORDONED".into(), "CORDONED".into()));
    server.run(&["uncordon", "h2", "h3"]).expect(0);
    let drained = server.run(&["drain", "h3", "--output", "json"]).expect(0).json();
    assert_eq!(drained[0]["state"], "DRAINING");
    server.run(&["undrain", "h3"]).expect(0);
    assert_eq!((state("h2"), state("h3")), ("ONLINE".into(), "ONLINE".into()));
    // None is changed when one does not exist.
    server.run(&["cordon", "h1", "h9"]).expect(1);
    assert_eq!(state("h1"), "ONLINE");
    server.run(&["drain"]).expect(2);
    let refused = server.run(&["forget", "h1"]).expect(1);
    assert!(refused.stderr.contains("h1 cannot be forgotten: its agent is connected"), "{}", refused.stderr);
    server.run(&["drain", "h1", "--timeout", "3"]).expect(2);
}

#[test]
fn events_are_listed_in_their_order_and_followed() {
    let (_state, server, _agents) = small();
    let events = server.run(&["events", "--last", "0", "--output", "json"]).expect(0).json();
    // Ids are numbers of 64 bits: plain ones in our JSON.
    let ids: Vec<_> = events.as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() >= 3, "{ids:?}");
    let connected =
        server.run(&["events", "--filter", "kind = HOST_CONNECTED", "--last", "2"]).expect(0).stdout;
    assert_eq!(connected.lines().count(), 2, "{connected}");

    let mut command = dvms(&["events", "--follow", "--last", "1", "-o", "json", "--server", &server.address]);
    let mut follower = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(first["id"].as_u64() >= ids.last().copied(), "the last one first: {first}");
    server.run(&["cordon", "h1", "--reason", "followed"]).expect(0);
    let seen = lines.find(|line| line.as_ref().unwrap().contains("followed")).unwrap().unwrap();
    let event: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((&event["kind"], &event["host"]), (&"OPERATOR".into(), &"h1".into()));
    // The reader goes away: the next event finds nobody, and that is no error.
    drop(lines);
    wait_for("the follower has ended", || {
        server.run(&["uncordon", "h1"]).expect(0);
        server.run(&["cordon", "h1"]).expect(0);
        follower.try_wait().unwrap().is_some()
    });
    assert_eq!(end_of(&mut follower, "a follower of events").code(), Some(0));
}

#[test]
fn without_plans_there_is_nothing_to_list() {
    let (_state, server, _agents) = small();
    assert_eq!(server.run(&["plans", "list"]).expect(0).stdout, "There are no plans.\n");
    assert_eq!(server.run(&["plans", "list", "-o", "json"]).expect(0).json(), serde_json::json!([]));
}

//! Plans from the command line: asked for, followed, approved, cancelled; drains that are waited for.

use super::cluster::{Agents, HostWithVms, QUIET, SMALL, Server};
use super::command::{Done, dvms, end_of, wait_for};
use std::process::Stdio;

/// Carries out what it plans, at once.
const AUTO: &str = "[planning]\nmode = \"auto\"\n[detection]\nunderload = 0.0\nhold_s = 0.5\n";

fn cluster(config: &str) -> (tempfile::TempDir, Server, Agents) {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), config);
    let agents = Agents::start(&server, SMALL);
    (state, server, agents)
}

/// The last record of a command that follows a plan.
fn last(done: &Done) -> serde_json::Value {
    let line = done.stdout.lines().last().unwrap_or_else(|| panic!("nothing printed: {}", done.stderr));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

const CONSOLIDATE: [&str; 4] = ["plans", "create", "--objective", "consolidate"];

#[test]
fn a_plan_is_asked_for_approved_and_followed_to_its_end() {
    let (_state, server, agents) = cluster(QUIET);
    let proposed = server.run(&[&CONSOLIDATE[..], &["--wait", "--output", "json"]].concat()).expect(0);
    let record = last(&proposed);
    assert_eq!(record["state"], "PROPOSED", "{record}");
    let id = record["id"].as_str().unwrap();
    let actions = record["plan"]["actions"].as_array().unwrap();
    assert!(!actions.is_empty(), "three hosts are more than these VMs need: {record}");

    let listed = server.run(&["plans", "list"]).expect(0).stdout;
    assert!(listed.contains(id) && listed.contains("PROPOSED"), "{listed}");
    let shown = server.run(&["plans", "show", id]).expect(0).stdout;
    for action in actions {
        assert!(shown.contains(action["because"].as_str().unwrap()), "{shown}");
    }
    let full = server.run(&["plans", "show", id, "--problem", "-o", "json"]).expect(0).json();
    assert_eq!(full["problem"]["hosts"].as_array().unwrap().len(), 3);
    assert!(server.run(&["plans", "show", id, "-o", "json"]).expect(0).json()["problem"].is_null());

    let drawn = server.run(&["plans", "show", id, "--gantt"]).expect(0).stdout;
    assert!(drawn.contains("is PROPOSED") && drawn.contains("\nmakespan "), "{drawn}");
    assert!(!drawn.contains("really"), "{drawn}");

    let followed = server.run(&["plans", "approve", id, "--wait"]).expect(0).stdout;
    assert!(followed.contains(&format!("Plan {id} is SUCCEEDED")), "{followed}");
    assert_eq!(followed.matches("DONE").count(), actions.len(), "{followed}");
    let active = ["h1", "h2", "h3"].iter().filter(|host| !agents.world.vms_on(host).is_empty()).count();
    assert!(active < 3, "{active} hosts still run VMs");
    assert_eq!(agents.world.split_brains(), Vec::<String>::new());

    // What was expected of its migrations, and what they took.
    let shown = server.run(&["plans", "show", id]).expect(0).stdout;
    assert!(shown.contains("\nExpected: ") && shown.contains("\nMeasured: "), "{shown}");
    let source = actions[0]["source"].as_str().unwrap();
    let host = server.run(&["hosts", source]).expect(0).stdout;
    assert!(host.contains("\nmigrations   ") && host.contains(" measured: "), "{host}");
    // How it really went stands beside the plan.
    let drawn = server.run(&["plans", "show", id, "--gantt", "--output", "json"]).expect(0).json();
    for action in drawn["actions"].as_array().unwrap() {
        assert_eq!(action["real"]["state"], "DONE", "{action}");
        assert!(action["real"]["end_s"].as_f64() >= action["real"]["start_s"].as_f64(), "{action}");
    }

    // What has ended stays as it is.
    server.run(&["plans", "watch", id]).expect(0);
    let ended = server.run(&["plans", "cancel", id, "-o", "json"]).expect(0).json();
    assert_eq!(ended["state"], "SUCCEEDED");
    for action in ended["actions"].as_array().unwrap() {
        let (forecast, outcome) = (&action["forecast"], &action["outcome"]);
        assert_eq!(forecast["mode"], "PRE_COPY", "{action}");
        assert!(
            forecast["duration_s"].as_f64() > Some(0.0) && outcome["duration_s"].as_f64() > Some(0.0),
            "{action}"
        );
        assert!(outcome["error"].is_f64() && outcome["moved_mib"].as_f64() > Some(500.0), "{action}");
    }
    assert_eq!(ended["forecast"]["migrations"].as_u64(), Some(actions.len() as u64), "{ended}");
}

#[test]
fn a_plan_that_waits_can_be_cancelled() {
    let (_state, server, agents) = cluster(QUIET);
    let proposed = server.run(&[&CONSOLIDATE[..], &["--wait", "--output", "json"]].concat()).expect(0);
    let id = last(&proposed)["id"].as_str().unwrap().to_owned();
    let told = server.run(&["plans", "cancel", &id, "--reason", "not today"]).expect(0).stdout;
    assert!(told.contains("is CANCELLED"), "{told}");
    server.run(&["plans", "watch", &id]).expect(1);
    let refused = server.run(&["plans", "approve", &id]).expect(1);
    assert!(refused.stderr.contains("CANCELLED"), "{}", refused.stderr);
    assert_eq!(agents.world.vms_on("h1"), ["web1", "web2"]);
}

/// Two VMs of a second and a half each leave h1, one after the other.
const SLOW: &[HostWithVms<'static>] = &[
    ("h1", &[("a1", 500.0, 3000), ("a2", 500.0, 3000)]),
    ("h2", &[("b1", 500.0, 3000), ("b2", 500.0, 3000), ("b3", 500.0, 3000)]),
];

#[test]
fn a_paused_plan_begins_nothing_until_it_is_resumed() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), &format!("{QUIET}[inventory]\nmemory_reserve = 0.0\n"));
    let agents = Agents::start(&server, SLOW);
    let proposed = [&CONSOLIDATE[..], &["--max-concurrent", "1", "--wait", "-o", "json"]].concat();
    let record = last(&server.run(&proposed).expect(0));
    let id = record["id"].as_str().unwrap();
    assert_eq!(record["plan"]["actions"].as_array().unwrap().len(), 2, "{record}");
    let early = server.run(&["plans", "pause", id]).expect(1);
    assert!(early.stderr.contains("only one that is EXECUTING can be paused"), "{}", early.stderr);
    server.run(&["plans", "approve", id]).expect(0);
    let paused = server.run(&["plans", "pause", id, "--reason", "storage is slow", "-o", "json"]).expect(0);
    assert_eq!(paused.json()["state"], "EXECUTING");
    let states = || {
        let record = server.run(&["plans", "show", id, "-o", "json"]).expect(0).json();
        let state = |action: &serde_json::Value| action["state"].as_str().unwrap_or("PENDING").to_owned();
        record["actions"].as_array().unwrap().iter().map(state).collect::<Vec<_>>()
    };
    // What runs ends.
    wait_for("the first has ended", || states()[0] == "DONE");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_ne!(states()[1], "DONE");
    assert_eq!(agents.world.vms_on("h1").len(), 1);
    let shown = server.run(&["plans", "show", id]).expect(0).stdout;
    assert!(shown.contains("storage is slow"), "{shown}");
    let ended = server.run(&["plans", "resume", id, "--wait"]).expect(0).stdout;
    assert!(ended.contains("is SUCCEEDED"), "{ended}");
    assert!(agents.world.vms_on("h1").is_empty());
}

/// Asks for the slow plan, and has it carried out.
fn slow(server: &Server, limits: &[&str]) -> String {
    let proposed = [&CONSOLIDATE[..], limits, &["--wait", "-o", "json"]].concat();
    let record = last(&server.run(&proposed).expect(0));
    assert_eq!(record["plan"]["actions"].as_array().unwrap().len(), 2, "{record}");
    let id = record["id"].as_str().unwrap().to_owned();
    server.run(&["plans", "approve", &id]).expect(0);
    id
}

fn states(server: &Server, id: &str) -> Vec<String> {
    let record = server.run(&["plans", "show", id, "-o", "json"]).expect(0).json();
    let state = |action: &serde_json::Value| action["state"].as_str().unwrap_or("PENDING").to_owned();
    record["actions"].as_array().unwrap().iter().map(state).collect()
}

#[test]
fn what_runs_of_a_cancelled_plan_is_finished_or_aborted() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), &format!("{QUIET}[inventory]\nmemory_reserve = 0.0\n"));
    let agents = Agents::start(&server, SLOW);
    let id = slow(&server, &["--max-concurrent", "1"]);
    wait_for("the first runs", || states(&server, &id)[0] == "RUNNING");
    server.run(&["plans", "cancel", &id, "--finish-running"]).expect(0);
    wait_for("it has ended", || states(&server, &id)[0] == "DONE");
    assert_eq!((states(&server, &id)[1].as_str(), agents.world.vms_on("h1").len()), ("SKIPPED", 1));
    let record = server.run(&["plans", "show", &id, "-o", "json"]).expect(0).json();
    assert_eq!(record["state"], "CANCELLED");
}

#[test]
fn the_bandwidth_of_a_plan_bounds_what_runs_at_once() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(state.path(), &format!("{QUIET}[inventory]\nmemory_reserve = 0.0\n"));
    let agents = Agents::start(&server, SLOW);
    // One alone may always go, and no second one beside it.
    let id = slow(&server, &["--bandwidth", "1"]);
    let shown = server.run(&["plans", "show", &id, "-o", "json"]).expect(0).json();
    assert_eq!(shown["pace"]["bandwidth_mib_s"], 1.0);
    wait_for("the first has ended", || {
        let states = states(&server, &id);
        let running = states.iter().filter(|state| matches!(state.as_str(), "SENT" | "RUNNING")).count();
        assert!(running <= 1, "{states:?}");
        states.iter().any(|state| state == "DONE")
    });
    // Lifted, it is no limit any more.
    let lifted = server.run(&["plans", "limit", &id, "-o", "json"]).expect(0).json();
    assert!(lifted["pace"].is_null() || lifted["pace"]["bandwidth_mib_s"].is_null(), "{lifted}");
    let ended = server.run(&["plans", "watch", &id]).expect(0).stdout;
    assert!(ended.contains("is SUCCEEDED"), "{ended}");
    assert!(agents.world.vms_on("h1").is_empty());
    let late = server.run(&["plans", "limit", &id, "--max-concurrent", "2"]).expect(1);
    assert!(late.stderr.contains("only one that has not ended can be limited"), "{}", late.stderr);
    server.run(&["plans", "limit", &id, "--max-concurrent", "0"]).expect(2);
}

#[test]
fn a_dry_run_leaves_nothing_behind() {
    let (_state, server, _agents) = cluster(QUIET);
    let shown = server.run(&[&CONSOLIDATE[..], &["--dry-run"]].concat()).expect(0).stdout;
    assert!(shown.contains("ACTIVE_HOSTS") && shown.contains("BECAUSE"), "{shown}");
    assert_eq!(server.run(&["plans", "list"]).expect(0).stdout, "There are no plans.\n");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let (_state, server, _agents) = cluster(QUIET);
    let done = server.run(&["plans", "create", "--host", "h9"]).expect(1);
    assert!(done.stderr.contains("there is no host \"h9\""), "{}", done.stderr);
    for arguments in [&["--max-migrations", "-1"][..], &["--time-limit", "0"], &["--mode", "loud"]] {
        server.run(&[&["plans", "create"], arguments].concat()).expect(2);
    }
}

#[test]
fn a_request_with_an_id_is_made_once() {
    let (_state, server, _agents) = cluster(QUIET);
    let ask = |extra: &[&str]| {
        let request = ["--request-id", "once", "--output", "json"];
        server.run(&[&CONSOLIDATE[..], &request, extra].concat())
    };
    let id = |done: &Done| done.json()["id"].clone();
    assert_eq!(id(&ask(&[]).expect(0)), id(&ask(&[]).expect(0)));
    let other = ask(&["--host", "h1"]).expect(1);
    assert!(other.stderr.contains("once"), "{}", other.stderr);
}

#[test]
fn a_drain_that_is_waited_for_ends_when_the_host_is_empty() {
    let (_state, server, agents) = cluster(AUTO);
    let told =
        server.run(&["drain", "h1", "--wait", "--timeout", "50", "--reason", "new memory"]).expect(0).stdout;
    assert!(told.ends_with("h1 is empty.\n"), "{told}");
    assert!(told.contains("web1 has left h1"), "{told}");
    assert_eq!(agents.world.vms_on("h1"), Vec::<String>::new());
    assert_eq!(agents.world.split_brains(), Vec::<String>::new());
    // Again: it is empty already.
    server.run(&["drain", "h1", "--wait"]).expect(0);
    server.run(&["undrain", "h1"]).expect(0);
}

#[test]
fn waiting_for_a_drain_has_an_end() {
    // Nothing moves without an approval here.
    let (_state, server, _agents) = cluster(QUIET);
    let done = server.run(&["drain", "h1", "--wait", "--timeout", "1"]).expect(1);
    assert!(done.stderr.contains("VMs still run there after 1 s; the drain goes on"), "{}", done.stderr);
    let mut command = dvms(&["drain", "h1", "--wait", "--server", &server.address]);
    let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    server.run(&["undrain", "h1"]).expect(0);
    assert_eq!(end_of(&mut waiting, "waiting for a drain that was taken back").code(), Some(1));
}

//! `dvms fit`.

use super::command::{in_root, run, run_with};

fn rack() -> String {
    in_root("docs/examples/rack.json")
}

#[test]
fn room_is_told_with_its_proof() {
    let done = run(&["fit", &rack(), "--vm", "cpu=5000,memory=8192"]).expect(0);
    // h1 is over, h2 has 10 cores left and h3 11; h4 takes nothing.
    for says in [
        "Room for more VMs of cpu 5 cores, memory 8 GiB:\n",
        "  as things are: 4; more do not fit, which is proved by counting.\n",
        "hosts that are to be emptied keep their VMs: h4",
        "HOST  NEW VMS\nh2          2\nh3          2\n",
    ] {
        assert!(done.stdout.contains(says), "{says:?} is not in\n{}", done.stdout);
    }
    assert!(done.stderr.is_empty(), "{}", done.stderr);
}

#[test]
fn less_than_a_core_is_told_in_millicores() {
    for (cpu, says) in [("1", "cpu 1 millicore:"), ("250", "cpu 250 millicores:"), ("1500", "cpu 1.5 cores:")]
    {
        let done = run(&["fit", &rack(), "--vm", &format!("cpu={cpu}")]).expect(0);
        assert!(done.stdout.starts_with(&format!("Room for more VMs of {says}\n")), "{}", done.stdout);
    }
}

#[test]
fn migrations_make_room_and_their_plan_is_told() {
    let arguments = ["fit", &rack(), "--vm", "cpu=16000,memory=1024", "--moves", "1"];
    let done = run(&arguments).expect(0);
    assert!(done.stdout.contains("  as things are: 0; "), "{}", done.stdout);
    assert!(done.stdout.contains("  with at most 1 migration: 1; more do not fit"), "{}", done.stdout);
    let told = run(&[&arguments[..], &["--output", "json"]].concat()).expect(0).json();
    let room = &told["with_moves"];
    assert_eq!((&room["fits"], &room["bound"], &room["proved"]), (&1.into(), &1.into(), &true.into()));
    let moves = room["plan"]["actions"].as_array().unwrap().iter().filter(|a| a["type"] == "MIGRATE").count();
    assert_eq!(moves, 1);
    assert_eq!(told["as_it_is"]["fits"], 0);
    assert_eq!(told["vm"]["demand"]["cpu"], 16000);
}

#[test]
fn rules_hold_for_the_new_ones() {
    let fits = |arguments: &[&str]| {
        let rack = rack();
        let all = [&["fit", &rack, "--output", "json", "--vm"], arguments].concat();
        let told = run(&all).expect(0).json();
        (told["as_it_is"]["fits"].as_u64().unwrap(), told["as_it_is"]["bound"].as_u64().unwrap())
    };
    assert_eq!(fits(&["cpu=5000", "--spread", "host=1"]), (2, 2));
    assert_eq!(fits(&["cpu=5000", "--spread", "rack=1"]), (2, 2));
    assert_eq!(fits(&["cpu=5000", "--host", "h1,h3"]), (2, 2));
    // web1 and web2 are on h1 and h2, and the web servers are to be apart.
    assert_eq!(fits(&["like=web1,cpu=1000"]), (1, 1));
    assert_eq!(fits(&["cpu=1000", "--label", "app=web"]), (1, 1));
}

#[test]
fn what_makes_no_sense_is_bad_input() {
    for (arguments, says) in [
        (&[][..], "--vm"),
        (&["--vm", "cpu"], "--vm"),
        (&["--vm", "cpu=x"], "no amount of cpu"),
        (&["--vm", "cpu=0"], "--vm: the VM needs nothing"),
        (&["--vm", "gpu=1"], "--vm: unknown resource \"gpu\""),
        (&["--vm", "like=nobody"], "--vm: there is no VM \"nobody\""),
        (&["--vm", "cpu=1", "--spread", "zone=1"], "--spread: unknown scope \"zone\""),
        (&["--vm", "cpu=1", "--spread", "rack"], "--spread"),
        (&["--vm", "cpu=1", "--host", "h9"], "--host: unknown host \"h9\""),
        (&["--vm", "cpu=1", "--moves", "few"], "--moves"),
    ] {
        let done = run(&[&["fit", &rack()], arguments].concat()).expect(2);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{says:?} is not in {}", done.stderr);
    }
    let done = run_with(&["fit", "-", "--vm", "cpu=1"], "{\"hosts\": 3}").expect(2);
    assert!(done.stderr.contains("line 1, column 11: hosts: "), "{}", done.stderr);
}

#[test]
fn what_is_asked_for_counts_at_the_end_as_well() {
    let rack = std::fs::read_to_string(rack()).unwrap();
    let mut problem: serde_json::Value = serde_json::from_str(&rack).unwrap();
    let fits = |problem: &serde_json::Value| {
        let arguments = ["fit", "-", "--vm", "like=batch1,cpu=1000", "--output", "json"];
        let told = run_with(&arguments, &problem.to_string()).expect(0).json();
        assert_eq!(told["vm"]["demand"]["cpu"], 1000);
        told["as_it_is"]["fits"].as_u64().unwrap()
    };
    let without = fits(&problem);
    let batch = problem["vms"].as_array_mut().unwrap().iter_mut().find(|vm| vm["name"] == "batch1").unwrap();
    batch["arrival_demand"] = serde_json::json!({"cpu": 4000, "memory": 4096});
    assert_eq!(fits(&problem), without);
}

//! `dvms simulate`.

use super::command::run;
use sha2::{Digest, Sha256};

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

#[test]
fn the_load_of_vmplaces_is_printed_line_by_line() {
    let done = run(&["simulate", "injector", "--hosts", "64", "--vms", "640", "--seconds", "1800"]).expect(0);
    let hash = "e104ef78b3690783860488e0f15c717280550f52f85fe884e357455a01f9cea2";
    assert_eq!((done.stdout.lines().count(), sha256(&done.stdout).as_str()), (3786, hash));
    let arguments =
        ["simulate", "injector", "--vms", "1280", "--seconds", "3600", "--mean", "70", "--sd", "30"];
    let hash = "53fd69dc05f118a08fc60dcd5cb8a896b5f5198dd0d30489e146af75367af2c3";
    assert_eq!(sha256(&run(&arguments).expect(0).stdout), hash);
    let seats = run(&["simulate", "injector", "--hosts", "128", "--vms", "1280", "--placement"]).expect(0);
    let hash = "637965f279dfcef415960a73678005da79c420baadb6a24c8742c17d5083433d";
    assert_eq!(sha256(&seats.stdout), hash);
}

#[test]
fn programs_get_the_load_as_an_array() {
    let arguments = ["simulate", "injector", "--vms", "20", "--seconds", "100"];
    let lines = run(&arguments).expect(0).stdout;
    let told = run(&[&arguments[..], &["--output", "json"]].concat()).expect(0).json();
    let rows = told.as_array().unwrap();
    assert!(rows.len() > 2);
    let text = |row: &serde_json::Value| {
        format!("{},{},{}\n", row["time"].as_f64().unwrap(), row["vm"].as_str().unwrap(), row["load"])
    };
    assert_eq!(rows.iter().map(text).collect::<String>(), lines);
    let none =
        run(&["simulate", "injector", "--vms", "1", "--seconds", "0.001", "--output", "json"]).expect(0);
    assert_eq!(none.json(), serde_json::json!([]));
    let crashes = ["simulate", "injector", "--crashes", "--crash-period", "1000", "--output", "json"];
    let told = run(&crashes).expect(0).json();
    let of = |becomes: &str| told.as_array().unwrap().iter().filter(|row| row["becomes"] == becomes).count();
    assert!(of("down") > of("up") && of("up") > 10, "{told}");
}

#[test]
fn options_of_the_injector_that_make_no_sense_are_refused() {
    for arguments in [
        ["--vms", "0"],
        ["--seconds", "-1"],
        ["--mean", "x"],
        ["--period", "0"],
        ["--sd", "-1"],
        ["--down", "nan"],
    ] {
        let done = run(&[&["simulate", "injector"], &arguments[..]].concat()).expect(2);
        assert!(done.stderr.contains(arguments[0]), "{}", done.stderr);
    }
}

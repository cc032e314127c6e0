//! `dvms simulate`: what it begins with, what it keeps, and what it tells of a moment.

use super::command::{in_root, run};
use serde_json::Value;
use std::path::Path;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn small(folder: &Path) -> String {
    let text = "seconds = 700\n[hosts]\ncount = 16\ncpu = 6500\n[[run]]\nstrategy = \"none\"\n[[run]]\nstrategy = \"dvms\"\n";
    write(folder, "small.toml", text)
}

#[test]
fn a_problem_file_begins_an_experiment_and_what_is_ignored_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(in_root("docs/examples/rack.json"), folder.path().join("rack.json")).unwrap();
    let text = "seconds = 300\n[start]\nproblem = \"rack.json\"\nsite = \"rack\"\n[load]\nkind = \"constant\"\n[[run]]\n\
                strategy = \"none\"\n[[run]]\nstrategy = \"dvms\"\n";
    let file = write(folder.path(), "it.toml", text);
    let done = run(&["simulate", &file]).expect(0);
    assert!(done.stdout.contains("4 hosts, 7 VMs, 5 min"), "{}", done.stdout);
    assert!(
        done.stdout.contains("Note: of rack.json is ignored: 2 constraints: no strategy keeps them here.")
    );
    let told = run(&["simulate", &file, "-o", "json"]).expect(0).json();
    assert_eq!(told["experiment"]["start"]["ignored"].as_array().unwrap().len(), 2);
    let total = |at: usize| told["runs"][at]["violations"]["all"]["total"].as_f64().unwrap();
    // The first host needs 19 cores of 16 from the start on, until somebody moves a VM away.
    assert!((total(0) - 300.0).abs() < 1e-9 && total(1) > 1.0 && total(1) < 60.0, "{told}");

    let bad = std::fs::read_to_string(folder.path().join("rack.json")).unwrap();
    write(
        folder.path(),
        "rack.json",
        &bad.replace("\"memory\": 65536}, \"labels\": {\"rack\": \"b\"}}", "\"memory\": 1000}}"),
    );
    let done = run(&["simulate", &file]).expect(2);
    assert!(
        done.stderr.contains("rack.json has ") && done.stderr.contains("line 7, column "),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("hosts[2]: has no label rack"), "{}", done.stderr);
    assert!(done.stderr.contains("its VMs hold 32768 MiB of memory, but it has 1000"), "{}", done.stderr);
    write(folder.path(), "rack.json", "{\"hosts\": [{\"name\": \"a\", \"cores\": 2}]}");
    let done = run(&["simulate", &file]).expect(2);
    assert!(done.stderr.contains("line 1") && done.stderr.contains("cores"), "{}", done.stderr);
    let file = write(folder.path(), "none.toml", &text.replace("rack.json", "no-such.json"));
    assert!(run(&["simulate", &file]).expect(2).stderr.contains("no-such.json"));
}

#[test]
fn an_experiment_that_was_killed_goes_on_and_ends_with_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let (file, kept) = (small(folder.path()), folder.path().join("kept"));
    let kept = kept.to_str().unwrap();
    let page = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (whole, resumed) = (page("whole.html"), page("resumed.html"));
    let first = run(&["simulate", &file, "--report", &whole, "-o", "json"]).expect(0);
    let done = run(&["simulate", &file, "--checkpoint", kept, "-o", "json"]).expect(0);
    assert_eq!(done.stdout, first.stdout);
    // As if it had been killed in the second run.
    let second = Path::new(kept).join("dvms.run.json");
    let complete = std::fs::read_to_string(&second).unwrap();
    std::fs::remove_file(&second).unwrap();
    let again = ["simulate", &file, "--checkpoint", kept, "--resume", "--report", &resumed, "-o", "json"];
    assert_eq!(run(&again).expect(0).stdout, first.stdout);
    assert_eq!(std::fs::read_to_string(&second).unwrap(), complete);
    for (of_whole, of_resumed) in [
        ("whole.html", "resumed.html"),
        ("whole.csv", "resumed.csv"),
        ("whole-series.csv", "resumed-series.csv"),
        ("whole.parquet", "resumed.parquet"),
        ("whole-series.parquet", "resumed-series.parquet"),
    ] {
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read(of_whole) == read(of_resumed), "{of_whole} and {of_resumed}");
    }
    // What is there is taken, not made again.
    let path = Path::new(kept).join("none.run.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let events = first.json()["runs"][0]["events"].to_string();
    std::fs::write(&path, text.replacen(&format!("\"events\":{events}"), "\"events\":7", 1)).unwrap();
    assert_eq!(run(&again).expect(0).json()["runs"][0]["events"], 7);

    let done = run(&["simulate", &file, "--checkpoint", kept]).expect(2);
    assert!(done.stderr.contains("none.run.json is there already") && done.stderr.contains("--resume"));
    let done = run(&["simulate", &file, "--checkpoint", kept, "--resume", "--seed", "7"]).expect(2);
    assert!(done.stderr.contains("seed was 23 there, and is 7 here"), "{}", done.stderr);
    std::fs::write(&path, "{\"version\": \"1\"").unwrap();
    let done = run(&["simulate", &file, "--checkpoint", kept, "--resume"]).expect(2);
    assert!(done.stderr.contains("none.run.json is no run that was kept") && done.stderr.contains("line 1"));
    run(&["simulate", &file, "--resume"]).expect(2);
}

#[test]
fn a_moment_of_a_run_is_told_event_by_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(folder.path());
    let done = run(&["simulate", &file, "--run", "dvms", "--replay", "2"]).expect(0);
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    for says in [
        "violation 2 begins: ",
        "violation 2 of host ",
        "has decided",
        "begins to move from host",
        "report of host",
    ] {
        assert!(done.stdout.contains(says), "{says} is not in {}", done.stdout);
    }
    let told = run(&["simulate", &file, "--run", "dvms", "--replay", "2", "-o", "json"]).expect(0).stdout;
    let entries: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), done.stdout.lines().count());
    let over = entries.iter().find(|entry| entry["what"] == "over" && entry["violation"] == 2).unwrap();
    let began = over["time_s"].as_f64().unwrap();
    assert!(entries.iter().all(|entry| entry["time_s"].as_f64().unwrap() >= began - 10.0));
    let window = ["simulate", &file, "--run", "none", "--replay", "0..100", "-o", "json"];
    let told = run(&window).expect(0).stdout;
    assert!(
        told.lines().count() > 10 && told.lines().all(|line| line.contains("\"what\":\"demand\"")),
        "{told}"
    );
    for (what, says) in
        [("0", "the number of a violation"), ("5..1", "the number of"), ("999", "no violation 999")]
    {
        let done = run(&["simulate", &file, "--run", "dvms", "--replay", what]).expect(2);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
    let done = run(&["simulate", &file, "--replay", "1"]).expect(2);
    assert!(done.stderr.contains("--replay looks at one run; there are none, dvms"), "{}", done.stderr);
    run(&["simulate", &file, "--run", "dvms", "--replay", "1", "--report", "x.html"]).expect(2);
}

#[test]
fn figures_are_written_as_parquet_beside_csv() {
    let folder = tempfile::tempdir().unwrap();
    let (file, csv) = (small(folder.path()), folder.path().join("figures"));
    run(&["simulate", &file, "--csv", csv.to_str().unwrap()]).expect(0);
    for name in ["none-series", "none-violations", "dvms-series", "dvms-violations"] {
        let bytes = std::fs::read(csv.join(format!("{name}.parquet"))).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name}");
        let heading = std::fs::read_to_string(csv.join(format!("{name}.csv"))).unwrap();
        for column in heading.lines().next().unwrap().split(',') {
            assert!(bytes.windows(column.len()).any(|part| part == column.as_bytes()), "{name}: {column}");
        }
    }
    let page = folder.path().join("report.parquet");
    let done = run(&["simulate", &file, "--report", page.to_str().unwrap()]).expect(2);
    assert!(done.stderr.contains("report.parquet"), "{}", done.stderr);
}

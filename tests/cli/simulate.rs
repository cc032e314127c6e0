//! `dvms simulate`.

use super::command::{in_root, run};
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

/// An experiment of some seconds' work at most, in a folder of its own.
fn small(folder: &std::path::Path) -> String {
    let path = folder.join("small.toml");
    let text = "title = \"Small\"\nseconds = 700\n[hosts]\ncount = 16\ncpu = 6500\n[[run]]\nstrategy = \"none\"\n\
                [[run]]\nname = \"each-half-minute\"\nstrategy = \"centralised\"\n";
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_experiment_is_run_and_its_runs_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (file, csv) = (small(folder.path()), folder.path().join("figures"));
    let done = run(&["simulate", &file, "--csv", csv.to_str().unwrap()]).expect(0);
    assert!(done.stdout.starts_with("Small\n16 hosts, 160 VMs, 12 min, seed 23\n"), "{}", done.stdout);
    assert!(done.stdout.contains("\neach-half-minute "), "{}", done.stdout);
    assert!(done.stderr.is_empty(), "nobody looks, nothing is shown: {}", done.stderr);
    let series = std::fs::read_to_string(csv.join("none-series.csv")).unwrap();
    assert!(series.starts_with("time_s,load,over,") && series.lines().count() == 71, "{series}");
    let violations = std::fs::read_to_string(csv.join("each-half-minute-violations.csv")).unwrap();
    assert!(violations.starts_with("host,began,ended,detected,cause\n") && violations.contains(",load\n"));
}

#[test]
fn the_same_seed_gives_the_same_report_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(folder.path());
    let tell = |more: &[&str]| run(&[&["simulate", &file, "--output", "json"], more].concat()).expect(0);
    let (first, again) = (tell(&[]), tell(&[]));
    assert_eq!(first.stdout, again.stdout);
    let (report, other) = (first.json(), tell(&["--seed", "7", "--run", "none", "--seconds", "650"]).json());
    assert_eq!(report["experiment"]["hosts"]["count"], 16);
    assert_eq!(report["runs"][1]["name"], "each-half-minute");
    assert_eq!(report["experiment"]["runs"][1]["strategy"], "centralised");
    assert!(report["runs"][0]["violations"]["all"]["total"].as_f64().unwrap() > 0.0);
    assert_eq!(other["runs"].as_array().unwrap().len(), 1);
    assert_eq!((&other["experiment"]["seed"], &other["runs"][0]["seconds"]), (&7.into(), &650.0.into()));
    assert_ne!(report["runs"][0]["events"], other["runs"][0]["events"]);
}

#[test]
fn a_report_is_a_page_with_all_figures_beside_it_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(folder.path());
    let write = |name: &str| {
        let page = folder.path().join(format!("{name}.html"));
        let done =
            run(&["simulate", &file, "--report", page.to_str().unwrap(), "--output", "json"]).expect(0);
        let read = |name: String| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let files = ["html", "csv"].map(|kind| read(format!("{name}.{kind}")));
        (done.json(), [files[0].clone(), files[1].clone(), read(format!("{name}-series.csv"))])
    };
    let (report, files) = write("first");
    assert_eq!(files, write("second").1);
    let [page, csv, series] = files;
    assert!(page.contains(&format!("<pre id=\"command\">dvms simulate {file}</pre>")), "{page}");
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    for (run, cells) in report["runs"].as_array().unwrap().iter().zip(rows.by_ref()) {
        let mut told = 0;
        for (name, cell) in names.iter().zip(&cells).skip(4) {
            let value = run.pointer(&format!("/{}", name.replace('.', "/"))).unwrap();
            assert_eq!(value.as_str().map_or(value.to_string(), str::to_owned), *cell, "{name}");
            told += 1;
        }
        assert_eq!(told, scalars(run), "every figure of the JSON form has its column");
    }
    assert_eq!((csv.lines().count(), series.lines().count()), (3, 141));
    // What would overwrite its own figures is refused before anything is simulated.
    for bad in ["figures.csv", "no/such/folder/report.html"] {
        let path = folder.path().join(bad);
        let done = finish_anyhow(&["simulate", &file, "--report", path.to_str().unwrap()]);
        assert!(done.stderr.contains(bad) && done.stdout.is_empty(), "{}", done.stderr);
    }
}

/// Figures and words that are in no list.
fn scalars(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(parts) => parts.values().map(scalars).sum(),
        serde_json::Value::Array(_) => 0,
        _ => 1,
    }
}

/// Of a command that is refused, with whatever status.
fn finish_anyhow(arguments: &[&str]) -> super::command::Done {
    let done = run(arguments);
    assert!(matches!(done.code, Some(1 | 2)), "{:?}", done.code);
    done
}

#[test]
fn reports_are_compared_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(folder.path());
    let report = |name: &str, more: &[&str]| {
        let told = run(&[&["simulate", &file, "--output", "json"], more].concat()).expect(0).stdout;
        let path = folder.path().join(name);
        std::fs::write(&path, told).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (report("a.json", &[]), report("b.json", &["--seed", "7"]));
    let page = folder.path().join("compared.html");
    let done = run(&["simulate", "compare", &a, &b, "--report", page.to_str().unwrap()]).expect(0);
    for says in ["\nnone\n", "\neach-half-minute\n", " %)", "MEASURE"] {
        assert!(done.stdout.contains(says), "{says} is not in {}", done.stdout);
    }
    assert!(done.stdout.contains("seed") && std::fs::read_to_string(page).unwrap().ends_with("</html>\n"));
    let told = run(&["simulate", "compare", &a, &b, "-o", "json"]).expect(0).json();
    let total = |path: &str| {
        let report: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        report["runs"][0]["violations"]["all"]["total"].as_f64().unwrap()
    };
    let measure = &told["groups"][0]["measures"]["violations.all.total"];
    assert_eq!(measure["values"], serde_json::json!([total(&a), total(&b)]));
    let change = measure["change_percent"][1].as_f64().unwrap();
    assert!((change - (total(&b) / total(&a) - 1.0) * 100.0).abs() < 1e-9);
    assert_eq!(told["settings"]["seed"], serde_json::json!([23, 7]));
    let other = report("c.json", &["--run", "none"]);
    let only = report("d.json", &["--run", "each-half-minute"]);
    let crossed = run(&["simulate", "compare", &other, &only]).expect(0).stdout;
    assert!(crossed.contains("none / each-half-minute"), "{crossed}");
}

/// Of experiments whose settings vary, the same runs at the same settings are side by side, as their means over seeds.
#[test]
fn reports_of_what_varies_are_compared_as_means_over_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let text = "seconds = 300\n[hosts]\ncpu = 6500\n[[vary]]\nhosts.count = [8, 16]\n[[vary]]\nseed = [1, 2, 3]\n[[run]]\n\
                strategy = \"none\"\n";
    std::fs::write(path("vary.toml"), text).unwrap();
    let report = |name: &str, more: &[&str]| {
        let told =
            run(&[&["simulate", &path("vary.toml"), "--output", "json"], more].concat()).expect(0).stdout;
        std::fs::write(path(name), &told).unwrap();
        serde_json::from_str::<serde_json::Value>(&told).unwrap()
    };
    let (all, part) = (report("all.json", &[]), report("part.json", &["--seconds", "200"]));
    let files = [path("all.json"), path("part.json")];
    let told = run(&["simulate", "compare", &files[0], &files[1], "-o", "json"]).expect(0).json();
    let groups = told["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none hosts.count=8", "none hosts.count=16"]);
    let mean = |of: &serde_json::Value, group: usize| {
        of["groups"][group]["measures"]["violations.all.total"]["mean"].as_f64().unwrap()
    };
    for (i, group) in groups.iter().enumerate() {
        let measure = &group["measures"]["violations.all.total"];
        assert_eq!(measure["values"], serde_json::json!([mean(&all, i), mean(&part, i)]));
    }
    assert_eq!(told["settings"], serde_json::json!({ "seconds": [300.0, 200.0] }));
    let done = run(&["simulate", "compare", &files[0], &files[1]]).expect(0);
    assert!(done.stdout.contains("none hosts.count=16"), "{}", done.stdout);
    // One of them is no whole report any more.
    let mut broken = all.clone();
    broken["groups"][1]["run"] = 7.into();
    std::fs::write(path("broken.json"), broken.to_string()).unwrap();
    let done = run(&["simulate", "compare", &files[0], &path("broken.json")]).expect(2);
    assert!(done.stderr.contains("groups[1].run: must be a text"), "{}", done.stderr);
}

/// What is read is not written over, and what cannot be written costs nobody the figures.
#[test]
fn a_report_is_written_over_nothing_that_is_read_and_figures_are_told_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = small(folder.path());
    let text = std::fs::read_to_string(&file).unwrap();
    let refused = |arguments: &[&str], says: &str| {
        let done = run(arguments).expect(2);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{}", done.stderr);
    };
    refused(&["simulate", &file, "--report", &file], "would be written over");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    refused(&["simulate", &file, "--report", "/dev/full"], "is no file");
    let report = folder.path().join("a.json");
    std::fs::write(&report, run(&["simulate", &file, "-o", "json"]).expect(0).stdout).unwrap();
    let report = report.to_str().unwrap();
    refused(&["simulate", "compare", report, report, "--report", report], "would be written over");
    let vary = folder.path().join("vary.toml");
    std::fs::write(&vary, "[[vary]]\nseconds = [1, 2]\n[[run]]\nstrategy = \"none\"\n").unwrap();
    refused(&["simulate", vary.to_str().unwrap(), "--seconds", "1"], "--seconds");
}

/// Means over as many seeds as there are: where these are not as many, that is told.
#[test]
fn means_over_other_numbers_of_seeds_are_compared_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let text =
        "seconds = 100\n[hosts]\ncount = 4\n[[vary]]\nseed = [1, 2, 3]\n[[run]]\nstrategy = \"none\"\n";
    std::fs::write(path("vary.toml"), text).unwrap();
    for (name, more) in [("all.json", &[][..]), ("one.json", &["--at", "seed=2"][..])] {
        let told = run(&[&["simulate", &path("vary.toml"), "-o", "json"], more].concat()).expect(0).stdout;
        std::fs::write(path(name), told).unwrap();
    }
    let done = run(&["simulate", "compare", &path("all.json"), &path("one.json")]).expect(0);
    assert!(
        done.stdout.contains("Note: none is the mean over 3 seeds in A, 1 seed in B."),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.lines().any(|line| line.starts_with("seed") && line.contains("1, 2, 3")),
        "{}",
        done.stdout
    );
}

#[test]
fn what_is_no_report_is_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        path(name)
    };
    let whole = r#"{"version": "1", "experiment": {"title": "", "hosts": {"count": 8}},
  "runs": [{"name": "x", "complete": true, "violations": {"all": {"total": 3.5}}}]}"#;
    let good = write("good.json", whole);
    run(&["simulate", "compare", &good, &good]).expect(0);
    for (text, says) in [
        ("{", "line 1, column 1"),
        ("[1]", "line 1, column 1: must be an object with version, experiment and runs"),
        (r#"{"hosts": [], "vms": []}"#, "version: is not there"),
        (&whole.replace("3.5", "\"3\""), "line 2, column 76: runs[0].violations.all.total: must be a number"),
        (&whole.replace("{\"count\": 8}", "8"), "line 1, column 55: experiment.hosts: must be an object"),
        (&whole.replace("true", "1"), "runs[0].complete: must be true or false"),
        (&whole.replace("\"name\": \"x\", ", ""), "runs[0].name: is not there"),
    ] {
        let bad = write("bad.json", text);
        let done = run(&["simulate", "compare", &good, &bad]).expect(2);
        assert!(done.stderr.contains(says) && done.stderr.contains("bad.json"), "{text}: {}", done.stderr);
        assert_eq!(done.stderr.matches(says).count(), 1, "each fault is told once: {}", done.stderr);
        assert!(done.stdout.is_empty());
    }
    let other = write(
        "other.json",
        &whole
            .replace(
                "}]}",
                "}, {\"name\": \"z\", \"complete\": true, \"violations\": {\"all\": {\"total\": 1}}}]}",
            )
            .replace("\"x\"", "\"y\""),
    );
    let done = run(&["simulate", "compare", &good, &other]).expect(2);
    assert!(
        done.stderr.contains("no run is in two of the files") && done.stderr.contains("y, z"),
        "{}",
        done.stderr
    );
    let missing = run(&["simulate", "compare", &good, &path("none.json")]).expect(2);
    assert!(missing.stderr.contains("none.json"), "{}", missing.stderr);
    run(&["simulate", "compare", &good]).expect(2);
    run(&["simulate", "compare", "-", "-"]).expect(2);
}

#[test]
fn a_bad_experiment_is_refused_with_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    std::fs::write(&path, "[hosts]\ncount = 0\n[[run]]\nstrategy = \"drs\"\n").unwrap();
    let done = run(&["simulate", path.to_str().unwrap()]).expect(2);
    assert!(
        done.stderr.contains("line 2: hosts.count: must be between 1 and 1000000, not 0"),
        "{}",
        done.stderr
    );
    std::fs::write(&path, "[[run]]\nstrategy = \"magic\"\n").unwrap();
    let done = run(&["simulate", path.to_str().unwrap(), "--output", "json"]).expect(2);
    let told: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(told["error"]["faults"][0]["line"], 2);
    let done = run(&["simulate", &small(folder.path()), "--run", "x"]).expect(2);
    assert!(done.stderr.contains("x is no run; there are none, each-half-minute"), "{}", done.stderr);
    assert!(run(&["simulate", "no-such-file.toml"]).expect(2).stderr.contains("no-such-file.toml"));
    run(&["simulate"]).expect(2);
}

#[test]
fn traces_are_read_from_beside_the_experiment_or_from_where_one_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let file = at("day.toml").to_str().unwrap().to_owned();
    let text = "seconds = 900\n[hosts]\ncount = 2\n[load]\nkind = \"planetlab\"\nfolder = \"traces\"\nday = \"d\"\n[[run]]\n\
                strategy = \"none\"\n";
    std::fs::write(&file, text).unwrap();
    let done = run(&["simulate", &file]).expect(2);
    assert!(done.stderr.contains("traces") && done.stderr.contains("--traces DIR"), "{}", done.stderr);
    std::fs::create_dir_all(at("traces/d")).unwrap();
    std::fs::write(at("traces/d/node1"), "10\n20\n20\n").unwrap();
    std::fs::write(at("traces/d/node2"), "50\n0\n100\n").unwrap();
    let first = run(&["simulate", &file, "--output", "json"]).expect(0).json();
    assert_eq!(first["experiment"]["vms"]["count"], 2);
    std::fs::create_dir(at("other")).unwrap();
    std::fs::write(at("other/d.csv"), "node1,10,20,20\nnode2,50,0,100\n").unwrap();
    let other = at("other");
    let arguments = ["simulate", &file, "--traces", other.to_str().unwrap(), "--output", "json"];
    assert_eq!(run(&arguments).expect(0).json(), first, "a table is the same as a file for each VM");
    std::fs::write(at("traces/d/node2"), "50\n0\nfull\n").unwrap();
    let done = run(&["simulate", &file]).expect(2);
    assert!(
        done.stderr.contains("line 3") && done.stderr.contains("\"full\" is no number"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("node2"), "{}", done.stderr);
}

/// Files as those of Azure, with some hundred tenants of a VM each.
fn azure() -> [(&'static str, String); 4] {
    let all = |each: &str| (each.repeat(300) + each).trim_end_matches(',').to_owned();
    [
        ("flav_map.txt", "1,0.75 a\n8,14 m\n".to_owned()),
        ("v1.interval_map.txt", "0 0\n300 1\n".to_owned()),
        ("v1.dev.txt", format!("1800000 {}\n1972800 {}\n", all("a,|,"), all("a,|,"))),
        ("v1.dev.c2100000.txt", format!("1800000 {}\n1972800 {}\n", all("C1,|,"), all("U1,|,"))),
    ]
}

/// Two sizes, two loads and two seeds.
fn several(folder: &std::path::Path) -> String {
    let path = folder.join("several.toml");
    let text = "title = 'Several'\nseconds = 500\n[[vary]]\nhosts.count = [8, 16]\n[[vary]]\nload.mean = [60, 65]\n\
                load.sd = [20, 25]\n[[vary]]\nseed = [1, 2]\n[[run]]\nstrategy = 'none'\n[[run]]\nstrategy = 'drs'\n";
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn settings_vary_and_what_comes_out_does_not_depend_on_how_many_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = several(folder.path());
    let page = |name: &str| folder.path().join(name);
    let tell = |jobs: &str, name: &str| {
        let path = page(name);
        let more = ["--jobs", jobs, "--report", path.to_str().unwrap(), "--output", "json"];
        run(&[&["simulate", &file], &more[..]].concat()).expect(0)
    };
    let (one, four) = (tell("1", "one.html"), tell("4", "four.html"));
    assert_eq!(one.stdout, four.stdout);
    let read = |name: &str| std::fs::read_to_string(page(name)).unwrap();
    for (a, b) in [("one.html", "four.html"), ("one.csv", "four.csv"), ("one-groups.csv", "four-groups.csv")]
    {
        assert_eq!(read(a), read(b));
    }
    let report = one.json();
    assert_eq!(
        (report["points"].as_array().unwrap().len(), report["groups"].as_array().unwrap().len()),
        (8, 8)
    );
    assert_eq!(
        report["points"][3]["at"],
        serde_json::json!({"hosts.count": 8, "load.mean": 65, "load.sd": 25, "seed": 2})
    );
    assert_eq!(report["groups"][7]["at"]["hosts.count"], 16);
    assert_eq!(report["groups"][7]["measures"]["events"]["count"], 2);
    assert_eq!(
        (read("one.csv").lines().count(), read("one.html").matches("<h2>By hosts; ").count()),
        (17, 2)
    );
    let xml = read("one.html").replacen("<!DOCTYPE html>", "", 1);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert!(ids.contains(&"charts-2-migrations") && unique.len() == ids.len(), "{ids:?}");
    // A table for each size and load, over both seeds; or for what is asked for.
    let text = run(&["simulate", &file]).expect(0).stdout;
    assert_eq!((text.matches("\nRUN").count(), text.matches("\nnone ").count()), (4, 4), "{text}");
    assert!(
        text.contains("hosts.count = 16; load.mean, load.sd = 65, 25\n") && text.contains(" ± "),
        "{text}"
    );
    let csv = folder.path().join("csv");
    let some = ["--at", "hosts.count=8", "--at", "seed=2", "--run", "drs", "--csv", csv.to_str().unwrap()];
    let text = run(&[&["simulate", &file], &some[..]].concat()).expect(0).stdout;
    assert!(text.contains("\n2 runs, ") && csv.join("2-drs-series.csv").is_file(), "{text}");
}

#[test]
fn what_is_asked_of_what_varies_and_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = several(folder.path());
    let one = [
        "--at",
        "hosts.count=8",
        "--at",
        "load.mean=60",
        "--at",
        "seed=1",
        "--run",
        "drs",
        "--replay",
        "0..400",
    ];
    let told = run(&[&["simulate", &file], &one[..]].concat()).expect(0).stdout;
    assert!(told.lines().count() > 10 && told.contains("needs"), "{told}");
    for (arguments, says) in [
        (&["--at", "hosts.count=9"][..], "load.mean, load.sd: 60, 20 | 65, 25"),
        (&["--at", "hosts.count"][..], "must be SETTING=VALUE"),
        (&["--seed", "2"][..], "--at seed=NUMBER"),
        (&["--watch"][..], "makes 8 experiments, and --watch draws one"),
        (
            &["--replay", "1"][..],
            "--at hosts.count=VALUE --at load.mean=VALUE --at seed=VALUE takes one of them",
        ),
        (&["--jobs", "0"][..], "--jobs"),
    ] {
        let done = run(&[&["simulate", &file], arguments].concat()).expect(2);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}

/// What is in the repository can be read and begun.
#[test]
fn the_experiments_of_the_repository_run() {
    let mut files: Vec<_> =
        std::fs::read_dir(in_root("experiments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    // Real traces are not in it; these do for a second.
    let traces = tempfile::tempdir().unwrap();
    for day in ["03", "06", "09", "22", "25"] {
        let path = traces.path().join(format!("201103{day}.csv"));
        std::fs::write(path, "a,10,20\nb,30,40\n").unwrap();
    }
    for (name, text) in azure() {
        std::fs::write(traces.path().join(name), text).unwrap();
    }
    let traces = traces.path().to_str().unwrap();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let done = run(&["simulate", file.to_str().unwrap(), "--seconds", "1", "--traces", traces]);
        let done = done.expect(0);
        assert!(done.stdout.contains("VIOLATIONS"), "{}", done.stdout);
    }
}

/// Of each file of results, every line is a whole run of a set-up of its experiment, once, by this version; a set-up that is there
/// is there with all its runs.
#[test]
fn results_are_of_the_experiments_in_the_repository() {
    use dvms::simulator::experiment::Study;
    use std::collections::{BTreeMap, BTreeSet};
    let mut files: Vec<_> =
        std::fs::read_dir(in_root("experiments/results")).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    assert!(!files.is_empty());
    let mut bytes = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        bytes += text.len();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = std::fs::read_to_string(in_root(&format!("experiments/{name}.toml"))).unwrap();
        let study = Study::from_toml(&file).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let heading = lines.next().unwrap();
        let mut settings: Vec<_> = study.axes.iter().flat_map(|axis| axis.settings.clone()).collect();
        let is_one = settings.is_empty();
        if is_one {
            settings.extend(["seed", "hosts", "vms"].map(str::to_owned));
        }
        let named = heading.iter().position(|column| *column == "name").unwrap();
        assert_eq!(
            (heading[0], &heading[1..named]),
            ("version", &settings.iter().map(String::as_str).collect::<Vec<_>>()[..])
        );
        let complete = heading.iter().position(|column| *column == "complete").unwrap();
        let mut seen: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
        for cells in lines {
            assert_eq!(
                (cells.len(), cells[0], cells[complete]),
                (heading.len(), env!("CARGO_PKG_VERSION"), "true"),
                "{name}"
            );
            let at: Vec<String> = cells[1..named].iter().map(|cell| (*cell).to_owned()).collect();
            assert!(
                seen.entry(at).or_default().insert(cells[named].to_owned()),
                "{name}: {} twice",
                cells[named]
            );
            assert!(
                cells[complete + 1..].iter().all(|cell| cell.parse::<f64>().is_ok()),
                "{name}: {cells:?}"
            );
        }
        for (at, runs) in seen {
            let mut some = study.clone();
            let only = &study.points[0].experiment;
            let is_of_it = if is_one {
                // A problem says itself how many hosts there are.
                let hosts = only.start.is_some() || at[1] == only.hosts.count.to_string();
                at[0] == only.seed.to_string() && hosts
            } else {
                settings.iter().zip(&at).all(|(setting, value)| some.keep(setting, value))
            };
            assert!(is_of_it, "{name} has no {at:?}");
            let wanted: BTreeSet<_> =
                some.points[0].experiment.runs.iter().map(|run| run.name.clone()).collect();
            assert_eq!((some.points.len(), runs), (1, wanted), "{name}: {at:?}");
        }
    }
    assert!(bytes < 700_000, "{bytes} bytes of results");
}

#[test]
fn an_interrupt_ends_a_run_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.toml");
    std::fs::write(&path, "seconds = 1e8\n[[run]]\nstrategy = \"none\"\n[[run]]\nstrategy = \"drs\"\n")
        .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dvms"));
    let page = folder.path().join("report.html");
    command.args([
        "simulate",
        path.to_str().unwrap(),
        "--output",
        "json",
        "--jobs",
        "1",
        "--report",
        page.to_str().unwrap(),
    ]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    // It listens from before its first event on; this is long enough to get there.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let runs = told["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["complete"]), (1, &false.into()));
    assert!(runs[0]["events"].as_u64().unwrap() > 0);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("none was interrupted after ") && page.contains("1 run not begun."));
    assert_eq!(std::fs::read_to_string(folder.path().join("report.csv")).unwrap().lines().count(), 2);
}

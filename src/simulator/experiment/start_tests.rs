//! Problem files as the start, and VMs of Azure.

use super::*;
use crate::simulator::load::Text;
use dvms_solver::file::Problem;

const RACK: &str = r#"{"hosts": [
  {"name": "a", "capacity": {"cpu": 8000, "memory": 16384, "gpu": 2}, "labels": {"zone": "x"}, "idle_watts": 50},
  {"name": "b", "capacity": {"cpu": 4000, "memory": 16384}, "overcommit": {"cpu": 2}, "labels": {"zone": "y"}},
  {"name": "c", "capacity": {"cpu": 8000, "memory": 16384}, "state": "OFFLINE", "labels": {"zone": "y"}},
  {"name": "d", "capacity": {"cpu": 8000, "memory": 16384}, "state": "FAILED", "labels": {"zone": "x"}},
  {"name": "e", "capacity": {"cpu": 8000, "memory": 2048}, "state": "CORDONED", "labels": {"zone": "x"}}],
 "vms": [
  {"name": "1", "host": "a", "demand": {"cpu": 5000, "memory": 4096}, "memory_dirty_rate": 56, "pinned": true},
  {"name": "2", "host": "a", "demand": {"cpu": 5000, "memory": 4096}},
  {"name": "3", "host": "d", "demand": {"cpu": 1000, "memory": 1024}},
  {"name": "4", "demand": {"cpu": 2000, "memory": 2048}},
  {"name": "5", "host": "b", "demand": {"cpu": 3000, "memory": 2048}}],
 "constraints": [{"name": "apart", "spread": {"vms": ["1", "2"]}}]}"#;

fn begun(more: &str, problem: &str) -> Experiment {
    let text = format!(
        "seconds = 120\n[start]\nproblem = 'p.json'\nsite = 'zone'\n{more}\n[[run]]\nstrategy = 'none'\n[[run]]\n\
         strategy = 'dvms'\nhosts_per_cell = 2\n"
    );
    let mut it = Experiment::from_toml(&text).unwrap();
    it.begin_with(&Problem::from_json(problem).unwrap()).unwrap();
    it
}

#[test]
fn a_problem_file_is_what_there_is_at_the_start() {
    let it = begun("[load]\nkind = 'constant'", RACK);
    assert_eq!((it.hosts.count, it.hosts.sites, it.vms.count), (5, 2, 5));
    let ignored = &it.start.as_ref().unwrap().ignored;
    for says in ["1 constraints", "gpu", "1 hosts that are DRAINING or CORDONED", "pinned of 1 VMs"] {
        assert!(ignored.iter().any(|it| it.contains(says)), "{says} is not in {ignored:?}");
    }
    let setup = start::setup(&it).unwrap();
    let hosts: Vec<_> = setup.hosts.iter().map(|host| (host.cpu, host.memory, host.site)).collect();
    let expected =
        [(8000, 16_384, 0), (8000, 16_384, 1), (8000, 16_384, 1), (8000, 16_384, 0), (8000, 2048, 0)];
    assert_eq!(hosts, expected);
    assert_eq!((setup.powers.len(), setup.vms[0].dirty, setup.vms[1].cpu), (2, 0.5, 5000));
    let mut seen = Vec::new();
    let none = watch(&it, &it.runs[0], 1.0, &mut |scene| {
        seen =
            scene.hosts().iter().map(|host| (host.vms, host.demand, format!("{:?}", host.state))).collect();
        scene.progress().now < 10.0
    });
    let none = none.unwrap();
    // VM 4 waited and came where most room is; the host that is off stays off, the one that failed has its VM down.
    let state = |vms, demand, state: &str| (vms, demand, state.to_owned());
    let expected = [
        state(2, 10_000, "On"),
        state(1, 3000, "On"),
        state(0, 0, "Off"),
        state(1, 1000, "Failed"),
        state(1, 2000, "On"),
    ];
    assert_eq!(seen, expected);
    assert!((none.violations.all.total - none.seconds).abs() < 1e-9 && none.usage.lost_vm_s > 9.0);
    // What the VM on host 0 writes is moved at 112 MiB/s as said; the overload ends.
    let dvms = run(&it, &it.runs[1], &mut |_| true).unwrap();
    assert!(dvms.violations.all.total < 60.0 && dvms.migrations.done.count >= 1, "{:?}", dvms.violations);
}

#[test]
fn loads_are_percent_of_what_the_problem_says() {
    let half = begun("[load]\nkind = 'constant'\npercent = 50", RACK);
    let none = run(&half, &half.runs[0], &mut |_| true).unwrap();
    assert_eq!(none.violations.all.total, 0.0, "5 of 8 cores");
    let coming = begun(
        "[load]\nkind = 'arrivals'\ngap_s = 20\nlife_s = 1e6\nmean = 1\nsd = 0\n[vms]\nmemory = 16",
        RACK,
    );
    let none = run(&coming, &coming.runs[0], &mut |_| true).unwrap();
    assert!(none.usage.vms_came >= 2, "one that waits, and those that come: {}", none.usage.vms_came);
}

#[test]
fn what_a_problem_cannot_be_here_is_refused_with_its_path() {
    let text = "[start]\nproblem = 'p'\nsite = 'rack'\n[[run]]\nstrategy = 'none'\n";
    let mut it = Experiment::from_toml(text).unwrap();
    assert_eq!(run(&it, &it.runs[0], &mut |_| true), Err(Refused::NoProblem));
    let problem = RACK.replace("\"memory\": 2048}, \"state\"", "\"memory\": 0}, \"state\"");
    let problem = problem
        .replace("{\"cpu\": 8000, \"memory\": 16384, \"gpu\": 2}", "{\"cpu\": 8000, \"memory\": 6000}");
    let problem = problem.replace("{\"cpu\": 2000, \"memory\": 2048}", "{\"cpu\": 2000}");
    let problem = problem.replacen("\"zone\": \"x\"", "\"rack\": \"1\"", 1);
    let faults = it.begin_with(&Problem::from_json(&problem).unwrap()).unwrap_err().faults;
    let told: Vec<String> = faults.iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
    for says in [
        "hosts[1]: has no label rack",
        "hosts[4].capacity: memory must be between 1",
        "vms[3].demand: memory must be between 1",
        "hosts[0].capacity: its VMs hold 8192 MiB of memory, but it has 6000",
    ] {
        assert!(told.iter().any(|it| it.starts_with(says)), "{says} is not in {told:?}");
    }
}

#[test]
fn what_the_problem_says_is_not_said_again() {
    let faults = |text: &str| {
        let faults = Experiment::from_toml(&format!("{text}[[run]]\nstrategy = 'none'\n")).unwrap_err();
        faults.into_iter().map(|it| (it.line.unwrap_or(0), it.path)).collect::<Vec<_>>()
    };
    let text = "[start]\nproblem = 'p'\n[hosts]\ncount = 3\noff_w = 5\n[vms]\nplace = 'spread'\n";
    assert_eq!(faults(text), [(4, "hosts.count".to_owned()), (7, "vms.place".to_owned())]);
    assert_eq!(faults("[start]\n"), [(1, "start.problem".to_owned())]);
    let azure = "[start]\nproblem = 'p'\n[load]\nkind = 'azure'\nfolder = 'x'\n";
    assert_eq!(faults(azure), [(4, "load.kind".to_owned())]);
    assert_eq!(faults("[load]\nkind = 'azure'\npart = 2\nfolder = 'x'\n"), [(3, "load.part".to_owned())]);
}

fn azure_files() -> Vec<Text> {
    let file = |name: &str, text: &str| Text { name: format!("az/{name}"), text: text.to_owned() };
    vec![
        file("LICENSE", "anything"),
        file("flav_map.txt", "1,0.75 a\n8,14 m\n"),
        file("v1.interval_map.txt", "0 0\n300 1\n600 2\n900 2\n"),
        // At the start 600 s have passed: the first m stays until 600 to 1,200 s after it came.
        file("v1.dev.txt", "1800000 a,|,m,|\n1800300 m,a,|\n1800600 a,|\n1800900 a,a,|\n"),
        file("v1.dev.c2100000.txt", "1800000 U0,|,U2,|\n1800300 C2,C1,|\n1800600 U1,|\n1800900 U0,C0,|\n"),
    ]
}

#[test]
fn vms_of_azure_come_and_go_as_the_files_say() {
    let text = "seconds = 600\nseed = 5\n[hosts]\ncount = 2\ncpu = 32000\nmemory = 65536\n[load]\nkind = 'azure'\nfolder = 'az'\n\
                from_s = 600\nsd = 0\n[[run]]\nstrategy = 'none'\n";
    let mut it = Experiment::from_toml(text).unwrap();
    it.give(&azure_files()).unwrap();
    let recorded = it.load.recorded().unwrap();
    let sizes: Vec<_> =
        recorded.trace.rows.iter().map(|row| (row.cpu.unwrap(), row.memory.unwrap())).collect();
    assert_eq!(sizes, [(8000, 14_336), (8000, 14_336), (1000, 768), (1000, 768), (1000, 768), (1000, 768)]);
    for (i, (comes, goes)) in
        [(0.0, (1.0, 600.0)), (0.0, (9e9, 9e9)), (0.0, (9e9, 9e9))].into_iter().enumerate()
    {
        let row = &recorded.trace.rows[i];
        let ends = row.ends.unwrap_or(9e9);
        assert!(row.points[0].0 == comes && (goes.0..=goes.1).contains(&ends), "{row:?}");
    }
    // One that came in the third line stays at least five minutes, ten at most; a batch comes at once.
    let row = |i: usize| &recorded.trace.rows[i];
    let came = |i: usize| row(i).points[0].0;
    assert!((0.0..300.0).contains(&came(3)) && (300.0..600.0).contains(&came(4)) && came(4) == came(5));
    assert!(row(3).ends.is_none_or(|ends| (300.0..=600.0).contains(&(ends - came(3)))));
    assert!(row(5).ends.is_none());
    let none = run(&it, &it.runs[0], &mut |_| true).unwrap();
    let left = recorded.trace.rows.iter().filter(|row| row.ends.is_some()).count() as u64;
    assert_eq!((none.usage.vms_came, none.usage.vms_left), (3, left));
    // Fewer where a part is taken; the same ones at the same times.
    let mut part = Experiment::from_toml(&text.replace("sd = 0", "sd = 0\npart = 0.7")).unwrap();
    part.give(&azure_files()).unwrap();
    let some = part.load.recorded().unwrap();
    assert!(!some.trace.rows.is_empty() && some.trace.rows.len() < 6);
    let times: Vec<f64> = (0..6).map(came).collect();
    assert!(some.trace.rows.iter().all(|row| times.contains(&row.points[0].0)));
}

#[test]
fn files_that_are_no_azure_are_refused_with_line_and_reason() {
    let text = "[load]\nkind = 'azure'\nfolder = 'az'\n[[run]]\nstrategy = 'none'\n";
    let it = Experiment::from_toml(text).unwrap();
    for (name, from, to, line, says) in [
        ("flav_map.txt", "8,14 m", "8;14 m", Some(2), "is no flavour"),
        ("v1.interval_map.txt", "300 1", "300", Some(2), "is not seconds and a bin"),
        ("v1.dev.txt", "1800600 a,|", "1800600 q,|", Some(3), "\"q\" is no flavour that"),
        ("v1.dev.txt", "1800900", "1800600", Some(4), "is of second 1800900, but line 4"),
        ("v1.dev.c2100000.txt", "1800300", "1800301", Some(2), "is of second 1800301, but line 2"),
        (
            "v1.dev.c2100000.txt",
            "C2,C1",
            "C2",
            Some(2),
            "\"|\" stands where line 2 of az/v1.dev.txt has \"a\"",
        ),
        ("v1.dev.c2100000.txt", "U1", "X1", Some(3), "\"X1\" is not how long"),
        ("v1.dev.c2100000.txt", "U1", "U77", Some(3), "\"U77\" is not how long"),
        ("v1.dev.c2100000.txt", "1800900 U0,C0,|\n", "", None, "ends before line 4 of az/v1.dev.txt"),
        ("v1.dev.txt", "1800900 a,a,|\n", "", Some(4), "has no line in az/v1.dev.txt"),
    ] {
        let mut files = azure_files();
        let file = files.iter_mut().find(|file| file.name.ends_with(name)).unwrap();
        assert!(file.text.contains(from), "{from}");
        file.text = file.text.replace(from, to);
        let faults = it.clone().give(&files).unwrap_err();
        let fault = &faults[0];
        assert!(fault.line == line && fault.message.contains(says), "{name}, {to}: {faults:?}");
        assert!(fault.file.starts_with("az/"), "{faults:?}");
    }
    let faults = it.clone().give(&azure_files()[..3]).unwrap_err();
    assert!(faults.len() == 2 && faults[0].message.contains("has no file v1.dev.txt"), "{faults:?}");
}

//! Files, and short runs whose figures are known.

use super::*;
use crate::simulator::decision::Compute;

fn faults(text: &str) -> Vec<(usize, String, String)> {
    let faults = Experiment::from_toml(text).unwrap_err();
    faults.into_iter().map(|it| (it.line.unwrap_or(0), it.path, it.message)).collect()
}

#[test]
fn what_is_not_said_is_as_in_vmplaces() {
    let it = Experiment::from_toml("[[run]]\nstrategy = \"none\"\n").unwrap();
    assert_eq!((it.seed, it.seconds, it.hosts.count, it.vms.count), (23, 1800.0, 64, 640));
    assert_eq!((it.runs[0].name.as_str(), &it.runs[0].choice), ("none", &Choice::None));
    let text = "seconds = 60\n[hosts]\ncount = 128\n[faults]\n[[run]]\nstrategy = \"centralised\"\nname = \"a\"\n\
                compute = { model = \"fixed\", plan_s = 12, nothing_s = 0.1 }\nperiod_s = 5\n";
    let it = Experiment::from_toml(text).unwrap();
    assert_eq!((it.vms.count, it.faults), (1280, Some(Faults::default())));
    assert_eq!(it.runs[0].compute, Some(Compute::Fixed { plan_s: 12.0, nothing_s: 0.1 }));
    assert!(matches!(&it.runs[0].choice, Choice::Centralised(how) if how.period_s == 5.0));
}

#[test]
fn all_faults_of_a_file_are_told_with_line_and_reason() {
    let text = "seconds = \"long\"\n[hosts]\ncount = -1\ncores = 8\n[[run]]\nstrategy = \"magic\"\n[[run]]\n\
                strategy = \"drs\"\ntarget = \"x\"\n[[run]]\nname = \"y\"\n";
    let told = faults(text);
    let places: Vec<_> = told.iter().map(|(line, path, _)| (*line, path.as_str())).collect();
    let expected = [
        (1, "seconds"),
        (3, "hosts.count"),
        (4, "hosts.cores"),
        (6, "run[0].strategy"),
        (9, "run[1].target"),
        (10, "run[2]"),
    ];
    assert_eq!(places, expected, "{told:?}");
    assert!(told[3].2.contains("there is no strategy \"magic\"; there are none, centralised"));
    assert!(told[5].2.contains("says no strategy"));
}

#[test]
fn values_that_make_no_sense_are_refused_where_they_are() {
    for (text, line, path, says) in [
        ("seconds = 0\n[[run]]\nstrategy = \"none\"", 1, "seconds", "above 0"),
        ("[hosts]\n\nsites = 100\n[[run]]\nstrategy = \"none\"", 3, "hosts.sites", "between 1 and 64"),
        ("[vms]\ncount = 10000\n[[run]]\nstrategy = \"none\"", 1, "vms.memory", "157 VMs on a host need"),
        ("[[run]]\nstrategy = \"none\"\nperiod_s = 1", 3, "run[0].period_s", "unknown field"),
        ("[[run]]\nstrategy = \"ecocloud\"\nhigh = 2.0", 3, "run[0].high", "between 0 and 0.999"),
        ("[[run]]\nstrategy = \"p2p\"\nshuffle = 0", 3, "run[0].shuffle", "between 1 and 16"),
        ("[[run]]\nstrategy = \"p2p\"\ndecide = \"magic\"", 3, "run[0].decide", "unknown variant"),
        ("[[run]]\nstrategy = \"scouts\"\n\nsteps = 0", 4, "run[0].steps", "between 1 and"),
        ("[[run]]\nstrategy = \"mcda\"\nunder = 1.5", 3, "run[0].under", "between 0 and 1"),
        ("[[run]]\nstrategy = \"balancer\"\nhigh = 1", 3, "run[0].high", "unknown field"),
        ("[[run]]\nstrategy = \"balancer\"\nsamples = 0", 3, "run[0].samples", "between 1 and"),
        ("[[run]]\nstrategy = \"none\"\n[[run]]\nstrategy = \"none\"", 3, "run[1].name", "another run"),
        ("[[run]]\nstrategy = \"none\"\nname = \"a/b\"", 3, "run[0].name", "letters"),
        ("title = 'x'\n", 0, "run", "one at least"),
        ("hosts = 3\n[[run]]\nstrategy = \"none\"", 1, "hosts", "must be a table"),
        ("worlds = 3\n[[run]]\nstrategy = \"none\"", 1, "worlds", "there are title, seed"),
        ("[compute]\nmodel = \"quick\"\n[[run]]\nstrategy = \"none\"", 2, "compute.model", "quick"),
        (
            "[load]\nkind = \"magic\"\n[[run]]\nstrategy = \"none\"",
            2,
            "load.kind",
            "there is no load \"magic\"",
        ),
        (
            "[load]\nkind = \"gaussian\"\nday_s = 1\n[[run]]\nstrategy = \"none\"",
            3,
            "load.day_s",
            "unknown field",
        ),
        (
            "[load]\nkind = \"day-night\"\nhigh = 10\n[[run]]\nstrategy = \"none\"",
            3,
            "load.high",
            "between 20",
        ),
        (
            "[load]\nkind = \"flash-crowd\"\n\npart = 2\n[[run]]\nstrategy = \"none\"",
            4,
            "load.part",
            "between 0",
        ),
        (
            "[load]\nkind = \"poisson\"\nclient = 0\n[[run]]\nstrategy = \"none\"",
            3,
            "load.client",
            "between 0.1",
        ),
        (
            "[load]\nkind = \"arrivals\"\nlife_s = 0\n[[run]]\nstrategy = \"none\"",
            3,
            "load.life_s",
            "between",
        ),
        (
            "[load]\nkind = \"planetlab\"\n[[run]]\nstrategy = \"none\"",
            1,
            "load.folder",
            "where the files are",
        ),
        (
            "[[hosts.kind]]\ncount = 2\ncpu = 1\n[[run]]\nstrategy = \"none\"",
            1,
            "hosts.kind[0]",
            "missing field `memory`",
        ),
        (
            "[[hosts.kind]]\ncount = 2\ncpu = 0\nmemory = 1\n[[run]]\nstrategy = \"none\"",
            3,
            "hosts.kind[0].cpu",
            "between 1",
        ),
        (
            "[[hosts.kind]]\ncount = 2\ncpu = 9\nmemory = 1\nwatts = [1, 2]\n[[run]]\nstrategy = \"none\"",
            5,
            "hosts.kind[0].watts",
            "11",
        ),
        (
            "[faults]\nagents = { down_s = 60 }\n[[run]]\nstrategy = \"none\"",
            2,
            "faults.agents",
            "missing field `period_s`",
        ),
        (
            "[faults.links]\nperiod_s = 0.5\n[[run]]\nstrategy = \"none\"",
            2,
            "faults.links.period_s",
            "between 1",
        ),
        ("[faults.hosts]\nperiod_s = 5\n[[run]]\nstrategy = \"none\"", 1, "faults.hosts", "unknown field"),
        (
            "[faults]\ncrash_period_s = 0.5\n[[run]]\nstrategy = \"none\"",
            2,
            "faults.crash_period_s",
            "between",
        ),
        (
            "[hosts]\ncount = 9\n[[hosts.kind]]\ncount = 2\ncpu = 9\nmemory = 1\n[[run]]\nstrategy = \"none\"",
            2,
            "hosts.count",
            "is what each [[hosts.kind]] says",
        ),
        (
            "[vms]\ncount = 1\nmemory = 4\n[[vms.kind]]\ncpu = 9\nmemory = 1\n[[run]]\nstrategy = \"none\"",
            3,
            "vms.memory",
            "is what each [[vms.kind]] says",
        ),
        ("sample_s = 1e-6\n[[run]]\nstrategy = \"none\"", 1, "sample_s", "more than 10000000 samples"),
        ("[[run]]\nstrategy = \"dvms\"\ncool_down_s = 0", 3, "run[0].cool_down_s", "between 0.1"),
        ("[[vary]]\nseed = [1, 2, 1]\n[[run]]\nstrategy = \"none\"", 2, "vary[0].seed", "says 1 twice"),
        ("[vms]\nplace = \"best\"\n[[run]]\nstrategy = \"none\"", 2, "vms.place", "unknown variant"),
        ("[[run]\n", 1, "", ""),
    ] {
        let told = faults(text);
        let (at, name, message) = &told[0];
        assert!(*at == line && name == path && message.contains(says), "{text}: {told:?}");
    }
}

/// Each kind of fault of a file comes about, and what does not fail is as it is without faults.
#[test]
fn parts_fail_as_the_file_says() {
    let text = |faults: &str| {
        let text = format!(
            "seconds = 900\n[hosts]\ncount = 32\ncpu = 6600\nsites = 2\n{faults}[[run]]\nstrategy = \"centralised\"\n"
        );
        Experiment::from_toml(&text).unwrap()
    };
    let told = |faults: &str| {
        let it = text(faults);
        let told = run(&it, &it.runs[0], &mut |_| true).unwrap();
        (serde_json::to_string(&told).unwrap(), told.violations.settling.count)
    };
    let well = told("");
    assert_eq!(well, told("[faults]\ncrash_period_s = 0\n"));
    for (part, often) in [("agents", 400), ("links", 400), ("site_links", 400), ("coordinators", 100)] {
        let section = |period_s: u32| {
            format!("[faults]\ncrash_period_s = 0\n[faults.{part}]\nperiod_s = {period_s}\ndown_s = 90\n")
        };
        let (failed, seldom) = (told(&section(often)), told(&section(1_000_000_000)));
        assert!(failed.0 != well.0 && failed.1 > 1, "{part}: {}", failed.1);
        assert_eq!(seldom, well, "{part}");
        assert_eq!(failed, told(&section(often)), "{part}");
    }
}

/// A short run of each strategy; what came of it must not change without a reason.
#[test]
fn short_runs_are_as_they_were() {
    let text = |strategy: &str| {
        let (strategy, setting) = strategy.split_once(' ').unwrap_or((strategy, ""));
        format!(
            "seconds = 900\n[hosts]\ncount = 32\ncpu = 6600\n[faults]\ncrash_period_s = 20000\n[network]\nloss = 0.01\n\
             jitter = 0.2\n[[run]]\nstrategy = \"{strategy}\"\n{setting}\n"
        )
    };
    let mut changed = Vec::new();
    for (strategy, known) in GOLDEN {
        let experiment = Experiment::from_toml(&text(strategy)).unwrap();
        let measure = || run(&experiment, &experiment.runs[0], &mut |_| true).unwrap();
        let (first, again) = (measure(), measure());
        let whole =
            |it: &Measured| serde_json::to_string(it).unwrap() + &it.series_csv() + &it.violations_csv();
        assert_eq!(whole(&first), whole(&again), "{strategy}");
        let told = format!(
            "{} violations {:.3} s, {} migrations, {} rounds, {} messages, {:.4} kWh, {} events",
            first.violations.all.count,
            first.violations.all.total,
            first.migrations.done.count,
            first.rounds.plan.count,
            first.traffic.messages,
            first.usage.energy_kwh,
            first.events
        );
        if told != known {
            changed.push(format!("{strategy}: {told}"));
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

const GOLDEN: [(&str, &str); 13] = [
    ("none", "8 violations 656.137 s, 0 migrations, 0 rounds, 0 messages, 1.3057 kWh, 997 events"),
    ("centralised", "8 violations 188.618 s, 7 migrations, 5 rounds, 1846 messages, 1.3067 kWh, 1132 events"),
    (
        "hierarchical",
        "7 violations 71.709 s, 7 migrations, 7 rounds, 19652 messages, 1.3100 kWh, 1485 events",
    ),
    ("dvms", "7 violations 71.352 s, 7 migrations, 7 rounds, 27860 messages, 1.3100 kWh, 58242 events"),
    (
        "dvms hosts_per_cell=1",
        "10 violations 101.490 s, 10 migrations, 10 rounds, 445 messages, 1.3066 kWh, 59176 events",
    ),
    (
        "dvms-classic",
        "10 violations 102.420 s, 10 migrations, 10 rounds, 271 messages, 1.3068 kWh, 1781 events",
    ),
    ("drs", "6 violations 233.857 s, 18 migrations, 2 rounds, 128 messages, 1.3066 kWh, 1047 events"),
    ("gossip", "14 violations 7301.074 s, 262 migrations, 0 rounds, 4942 messages, 1.1654 kWh, 11352 events"),
    (
        "ecocloud",
        "64 violations 2910.475 s, 247 migrations, 0 rounds, 11482 messages, 1.2631 kWh, 14878 events",
    ),
    ("p2p", "21 violations 8921.124 s, 162 migrations, 7 rounds, 8920 messages, 1.2022 kWh, 16282 events"),
    ("scouts", "56 violations 5693.686 s, 334 migrations, 0 rounds, 9393 messages, 1.1445 kWh, 22044 events"),
    ("mcda", "7 violations 74.460 s, 8 migrations, 8 rounds, 9596 messages, 1.3068 kWh, 20196 events"),
    ("balancer", "7 violations 84.994 s, 7 migrations, 0 rounds, 133 messages, 1.3068 kWh, 1249 events"),
];

#[test]
fn an_interrupted_run_tells_what_is_there() {
    let text = "[[run]]\nstrategy = \"gossip\"\n";
    let experiment = Experiment::from_toml(text).unwrap();
    let mut asked = 0;
    let measured = run(&experiment, &experiment.runs[0], &mut |progress| {
        asked += 1;
        assert!(progress.events > 0 && progress.now > 0.0);
        asked < 2
    });
    let measured = measured.unwrap();
    assert!(!measured.complete && measured.seconds > 0.0 && measured.seconds < 1800.0);
    assert_eq!(measured.events, 2 * 4096);
}

fn planetlab(rows: &str) -> Experiment {
    let text = "seconds = 900\nsample_s = 300\n[hosts]\nempty_w = 0\noff_w = 0\n[[hosts.kind]]\ncount = 2\ncpu = 3720\n\
                memory = 4096\nmachine = \"hp-ml110-g4\"\n[[hosts.kind]]\ncount = 2\ncpu = 5320\nmemory = 4096\n\
                machine = \"hp-ml110-g5\"\n[[vms.kind]]\ncpu = 1000\nmemory = 1740\n[[vms.kind]]\ncpu = 2000\n\
                memory = 613\n[load]\nkind = \"planetlab\"\nfolder = \"x\"\n[[run]]\nstrategy = \"none\"\n";
    let mut it = Experiment::from_toml(text).unwrap();
    assert_eq!((it.hosts.count, it.vms.count), (4, 0));
    it.give(&[crate::simulator::load::Text { name: "x.csv".to_owned(), text: rows.to_owned() }]).unwrap();
    it
}

#[test]
fn the_core_hours_and_the_energy_of_a_trace_are_those_summed_by_hand() {
    let it = planetlab("a,10,20,20\nb,50,0,100\n");
    assert_eq!(it.vms.count, 2);
    let measured = run(&it, &it.runs[0], &mut |_| true).unwrap();
    // Both VMs are on the first host; the others are on, draw nothing, and have no load.
    let whole = 2.0 * 3720.0 + 2.0 * 5320.0;
    let hours: f64 = measured.series.iter().map(|sample| sample.load * whole * 300.0 / 3.6e6).sum();
    let by_hand = (0.1 + 0.2 + 0.2) * 300.0 / 3600.0 + (1.0 + 0.0 + 2.0) * 300.0 / 3600.0;
    assert!((hours - by_hand).abs() < 1e-9, "{hours} {by_hand}");
    // 1,100, 200 and 2,200 of 3,720: 29.57, 5.38 and 59.14 %.
    let watts = |percent: f64, low: f64, high: f64| low + (high - low) * (percent % 10.0) / 10.0;
    let joules = [
        watts(110_000.0 / 3720.0, 92.6, 96.0),
        watts(20_000.0 / 3720.0, 86.0, 89.4),
        watts(220_000.0 / 3720.0, 102.0, 106.0),
    ]
    .map(|watts| watts * 300.0);
    let kwh = joules.iter().sum::<f64>() / 3.6e6;
    assert!((measured.usage.energy_kwh - kwh).abs() < 3e-7, "{} {kwh}", measured.usage.energy_kwh);
    assert_eq!((measured.usage.active_hosts, measured.usage.hosts_on), (1.0, 4.0));
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    let it = planetlab(&"a,1,1\n".repeat(40));
    let refused = |it: &Experiment| run(it, &it.runs[0], &mut |_| true).unwrap_err();
    // 20 of 1,740 MiB, two on a host.
    assert_eq!(refused(&it), Refused::NoRoom { vm: 8, of: 40, memory: 1740 });
    let text = "[load]\nkind = \"planetlab\"\nfolder = \"x\"\n[[run]]\nstrategy = \"none\"\n";
    assert_eq!(refused(&Experiment::from_toml(text).unwrap()), Refused::NoTrace);
    let mut few = Experiment::from_toml(&format!("[vms]\ncount = 3\n{text}")).unwrap();
    let rows = crate::simulator::load::Text { name: "x.csv".to_owned(), text: "a,1\nb,2\n".to_owned() };
    let faults = few.give(&[rows]).unwrap_err();
    assert!(faults[0].message.contains("3 VMs are to be taken (vms.count), but there are 2"), "{faults:?}");
}

#[test]
fn kinds_of_hosts_are_dealt_evenly_and_vms_start_where_they_are_to() {
    let it = planetlab("a,1\nb,1\nc,1\nd,1\n");
    let setup = start::setup(&it).unwrap();
    let of =
        |at: fn(&crate::simulator::world::HostSetup) -> u32| setup.hosts.iter().map(at).collect::<Vec<_>>();
    assert_eq!(of(|host| host.cpu), [3720, 5320, 3720, 5320]);
    assert_eq!(kinds::deal(&[1, 3, 2]), [1, 2, 0, 1, 2, 1]);
    let hosts =
        |it: &Experiment| start::setup(it).unwrap().vms.iter().map(|vm| vm.host.0).collect::<Vec<_>>();
    // 1,000 + 1,000 of the first, where 2,000 more have no CPU, or no memory.
    assert_eq!(hosts(&it), [0, 0, 1, 1]);
    let spread = Experiment { vms: Vms { place: Some(Place::Spread), ..it.vms.clone() }, ..it };
    assert_eq!(hosts(&spread), [0, 1, 2, 3]);
}

/// Each load by itself, with a strategy that moves VMs.
#[test]
fn all_loads_run_and_are_the_same_again() {
    for load in ["gaussian", "poisson", "day-night", "flash-crowd", "arrivals"] {
        let text = format!(
            "seconds = 700\n[hosts]\ncount = 8\ncpu = 8000\n[load]\nkind = \"{load}\"\n[[run]]\nstrategy = \"gossip\"\n\
             [[run]]\nstrategy = \"mcda\"\n"
        );
        let experiment = Experiment::from_toml(&text).unwrap();
        for which in &experiment.runs {
            let measure = || run(&experiment, which, &mut |_| true).unwrap();
            let (first, again) = (measure(), measure());
            let whole = |it: &Measured| serde_json::to_string(it).unwrap() + &it.series_csv();
            assert_eq!(whole(&first), whole(&again), "{load}");
            assert!(first.events > 80 && first.series.iter().any(|sample| sample.load > 0.1), "{load}");
            assert_eq!(load == "arrivals", first.usage.vms_came > 3 && first.usage.vms_left > 3, "{load}");
        }
    }
}

#[test]
fn who_watches_changes_nothing() {
    let text = "seconds = 300\n[hosts]\ncount = 16\ncpu = 6500\n[[run]]\nstrategy = \"dvms\"\n";
    let experiment = Experiment::from_toml(text).unwrap();
    let (mut times, run_of) = (Vec::new(), &experiment.runs[0]);
    let watched = watch(&experiment, run_of, 10.0, &mut |scene| {
        assert_eq!(
            scene.hosts().iter().filter(|host| host.is_over()).count(),
            scene.progress().over as usize
        );
        let groups: Vec<_> = scene.groups().concat();
        assert_eq!(groups.iter().collect::<std::collections::BTreeSet<_>>().len(), groups.len());
        times.push(scene.progress().now);
        true
    });
    let told = |it: &Measured| (serde_json::to_string(it).unwrap(), it.series_csv(), it.violations_csv());
    assert_eq!(told(&watched.unwrap()), told(&run(&experiment, run_of, &mut |_| true).unwrap()));
    assert!(times.len() >= 28 && times.windows(2).all(|two| two[1] >= two[0] + 10.0), "{times:?}");
}

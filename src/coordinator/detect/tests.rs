use super::*;
use crate::coordinator::testing::{World, at, report};
use crate::record::{AdminState, Connection, VmState};
use proptest::prelude::*;

fn names(troubles: &[Trouble]) -> Vec<String> {
    troubles.iter().map(|trouble| format!("{} {}", trouble.kind.name(), trouble.subject)).collect()
}

/// What stands after all hold times have passed.
fn found(world: &World) -> Vec<String> {
    let mut detector = Detector::default();
    detector.observe(&world.cell, &world.settings, at(0.0));
    detector.observe(&world.cell, &world.settings, at(1e6));
    let standing: Vec<_> = detector.standing().cloned().collect();
    assert_eq!(standing, detector.due(at(1e6)), "what stands is due when nothing was done yet");
    names(&standing)
}

type Case = (&'static str, fn(&mut World), &'static [&'static str]);

const CASES: &[Case] = &[
    ("nothing", |_| (), &[]),
    ("a host above its cpu", |w| w.vm("a", "h1", 9_010, 100), &["OVERLOAD h1"]),
    ("a host at its limit", |w| w.vm("a", "h1", 9_000, 100), &[]),
    ("a host above its memory", |w| w.vm("a", "h1", 0, 10_001), &["OVERLOAD h1"]),
    (
        "one on its way out no longer counts",
        |w| {
            w.vm("a", "h1", 9_900, 100);
            w.flies("a", "h1", "h2");
        },
        &["OVERLOAD h2"],
    ),
    (
        "one that an operator moves away neither",
        |w| {
            w.vm("a", "h1", 8_000, 100);
            w.says("h1", report("b", VmState::MigratingOut, 2_000, 100));
        },
        &[],
    ),
    (
        "one that an operator brings counts",
        |w| {
            w.vm("a", "h1", 8_000, 100);
            w.says("h2", report("b", VmState::MigratingOut, 2_000, 100));
            w.says("h1", report("b", VmState::MigratingIn, 0, 0));
        },
        &["OVERLOAD h1"],
    ),
    (
        "of a silent host nothing is known",
        |w| {
            w.vm("a", "h1", 9_900, 100);
            w.connection("h1", Connection::Lost);
        },
        &[],
    ),
    (
        "a host to be drained",
        |w| {
            w.vm("a", "h1", 3_000, 100);
            w.state("h1", AdminState::Draining);
        },
        &["DRAIN h1"],
    ),
    ("an empty one is drained", |w| w.state("h1", AdminState::Draining), &[]),
    (
        "a failed host",
        |w| {
            w.vm("a", "h1", 3_000, 100);
            w.connection("h1", Connection::Failed);
        },
        &["HOST_FAILED h1"],
    ),
    ("a failed host without VMs", |w| w.connection("h1", Connection::Failed), &[]),
    (
        "one whose VM is elsewhere",
        |w| {
            w.vm("a", "h1", 3_000, 100);
            w.vm("a", "h2", 3_000, 100);
            w.connection("h1", Connection::Failed);
        },
        &[],
    ),
    (
        "a VM of a host that was restarted",
        |w| {
            w.vm("a", "h1", 100, 100);
            w.reboots("h1", vec![report("a", VmState::Off, 0, 0)]);
        },
        &["VM_WAITING a"],
    ),
    (
        "one that came up by itself",
        |w| {
            w.vm("a", "h1", 100, 100);
            w.reboots("h1", vec![report("a", VmState::Running, 100, 100)]);
        },
        &[],
    ),
    (
        "one that was shut down stays off",
        |w| {
            w.vm("a", "h1", 100, 100);
            w.says("h1", report("a", VmState::Off, 0, 0));
        },
        &[],
    ),
    (
        "a broken spread",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vm_selector": {"app": "a"}}}"#);
            w.vm("a1", "h1", 3_000, 100);
            w.vm("a2", "h1", 3_000, 100);
        },
        &["RULE_BROKEN apart"],
    ),
    (
        "a spread that will hold",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vms": ["a1", "a2"]}}"#);
            w.vm("a1", "h1", 3_000, 100);
            w.vm("a2", "h1", 3_000, 100);
            w.flies("a2", "h1", "h2");
        },
        &[],
    ),
    (
        "a broken gather, fence and ban",
        |w| {
            w.rule(r#"{"name": "near", "gather": {"vms": ["a1", "a2"]}}"#);
            w.rule(r#"{"name": "in", "fence": {"vms": ["a1"], "hosts": ["h2", "h9"]}}"#);
            w.rule(r#"{"name": "out", "ban": {"vms": ["a2"], "hosts": ["h2", "h9"]}, "soft_weight": 5}"#);
            w.vm("a1", "h1", 3_000, 100);
            w.vm("a2", "h2", 3_000, 100);
        },
        &["RULE_BROKEN in", "RULE_BROKEN near", "RULE_BROKEN out"],
    ),
    (
        "rules of what is not there",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vms": ["x", "y"]}}"#);
            w.rule(r#"{"name": "in", "fence": {"vms": ["x"], "hosts": ["h9"]}}"#);
            w.rule(r#"{"name": "rack", "gather": {"vms": ["a", "x"], "scope": "rack"}}"#);
            w.vm("a", "h1", 3_000, 100);
        },
        &[],
    ),
    (
        "hosts of which little is used",
        |w| {
            w.vm("a", "h1", 1_000, 1_000);
            w.vm("b", "h2", 5_000, 1_000);
        },
        &["UNDERLOAD h1"],
    ),
    (
        "one that uses much memory",
        |w| {
            w.vm("a", "h1", 1_000, 5_000);
            w.vm("b", "h2", 5_000, 1_000);
        },
        &[],
    ),
    ("with no other that runs VMs there is nowhere to go", |w| w.vm("a", "h1", 1_000, 1_000), &[]),
    (
        "a cordoned host is not emptied for thrift",
        |w| {
            w.vm("a", "h1", 1_000, 1_000);
            w.vm("b", "h2", 5_000, 1_000);
            w.state("h1", AdminState::Cordoned);
        },
        &[],
    ),
    (
        "never while another is overloaded",
        |w| {
            w.vm("a", "h1", 1_000, 1_000);
            w.vm("b", "h2", 9_500, 1_000);
        },
        &["OVERLOAD h2"],
    ),
    (
        "the worst first",
        |w| {
            w.rule(r#"{"name": "out", "ban": {"vms": ["d"], "hosts": ["h4"]}}"#);
            w.vm("f", "h5", 3_000, 100);
            w.reboots("h5", vec![]);
            w.vm("a", "h1", 3_000, 100);
            w.state("h1", AdminState::Draining);
            w.vm("b", "h2", 3_000, 100);
            w.connection("h2", Connection::Failed);
            w.vm("c", "h3", 9_500, 100);
            w.vm("d", "h4", 3_000, 100);
        },
        &["HOST_FAILED h2", "OVERLOAD h3", "DRAIN h1", "VM_WAITING f", "RULE_BROKEN out"],
    ),
];

#[test]
fn troubles_are_found_where_they_are() {
    for (case, change, wanted) in CASES {
        let mut world = World::new(5);
        change(&mut world);
        assert_eq!(found(&world), *wanted, "{case}");
    }
}

#[test]
fn a_message_has_the_figures() {
    let mut world = World::new(2);
    world.vm("a", "h1", 9_500, 100);
    let mut detector = Detector::default();
    assert_eq!(detector.observe(&world.cell, &world.settings, at(0.0)), []);
    let began = detector.observe(&world.cell, &world.settings, at(10.0));
    let [Sighting::Began(trouble)] = began.as_slice() else { panic!("{began:?}") };
    assert_eq!(trouble.message, "h1 is expected to use 9500 of 10000 millicores of cpu (95 %, limit 90 %)");
    assert_eq!((trouble.host.as_str(), detector.conditions("h1")), ("h1", vec!["OVERLOAD".to_owned()]));
    world.vm("a", "h1", 3_000, 100);
    let ended = detector.observe(&world.cell, &world.settings, at(11.0));
    let [Sighting::Ended(trouble)] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(trouble.message, "h1 is expected to use 30 % of its cpu and 1 % of its memory");
    assert!(detector.conditions("h1").is_empty());
}

/// A detector with a host that is overloaded, and stands at 10 s.
fn overloaded() -> (World, Detector, Key) {
    let mut world = World::new(3);
    world.vm("a", "h1", 9_500, 100);
    let mut detector = Detector::default();
    detector.observe(&world.cell, &world.settings, at(0.0));
    assert_eq!(detector.next(at(4.0)), Some(Duration::from_secs(6)));
    assert!(detector.due(at(9.9)).is_empty());
    detector.observe(&world.cell, &world.settings, at(10.0));
    (world, detector, (EventKind::Overload, "h1".to_owned()))
}

#[test]
fn what_a_plan_answers_is_not_due_and_rests_longer_after_each_that_did_not_help() {
    let (world, mut detector, key) = overloaded();
    let keys = [key.clone()];
    let mut time = 10.0;
    for wanted in [60.0, 120.0, 240.0, 480.0, 480.0] {
        assert_eq!(detector.due(at(time)).len(), 1);
        detector.taken(&keys);
        assert!(detector.due(at(time + 1e5)).is_empty(), "a plan answers it");
        assert_eq!(detector.next(at(time)), None);
        time += 5.0;
        detector.released(&keys, false, at(time), &world.settings);
        assert_eq!(detector.next(at(time)), Some(Duration::from_secs_f64(wanted)));
        detector.observe(&world.cell, &world.settings, at(time));
        assert!(detector.due(at(time + wanted - 0.1)).is_empty());
        time += wanted;
    }
    detector.taken(&keys);
    detector.released(&keys, true, at(time), &world.settings);
    assert!(detector.due(at(time + 29.9)).is_empty());
    assert_eq!(names(&detector.due(at(time + 30.0))), ["OVERLOAD h1"]);
}

/// Does something to the world after two plans that did not help; returns the second at which it is due again.
fn due_after(change: impl FnOnce(&mut World)) -> u64 {
    let (mut world, mut detector, key) = overloaded();
    for _ in 0..2 {
        detector.taken(std::slice::from_ref(&key));
        detector.released(std::slice::from_ref(&key), false, at(20.0), &world.settings);
    }
    detector.observe(&world.cell, &world.settings, at(21.0));
    change(&mut world);
    detector.observe(&world.cell, &world.settings, at(22.0));
    let next = detector.next(at(22.0)).expect("it stands and rests");
    22 + next.as_secs()
}

#[test]
fn the_doubling_is_forgotten_when_the_situation_is_another() {
    assert_eq!(due_after(|_| ()), 140);
    assert_eq!(due_after(|w| w.host("h9", "")), 50);
    assert_eq!(due_after(|w| w.state("h3", AdminState::Cordoned)), 50);
    assert_eq!(due_after(|w| w.connection("h3", Connection::Lost)), 50);
    assert_eq!(due_after(|w| w.vm("new", "h2", 10, 10)), 50);
    assert_eq!(due_after(|w| w.says("h1", report("off", VmState::Off, 0, 0))), 50);
    assert_eq!(due_after(|w| w.vm("a", "h1", 9_900, 100)), 140, "load is no situation");
    let moved = |w: &mut World| {
        w.flies("a", "h1", "h2");
        w.cell.land("a", true);
        w.vm("b", "h1", 9_900, 100);
        w.flies("b", "h1", "h2");
    };
    // The trouble at h1 ended here, so that there is nothing to wait for.
    let (mut world, mut detector, key) = overloaded();
    detector.released(&[key], false, at(20.0), &world.settings);
    detector.observe(&world.cell, &world.settings, at(21.0));
    moved(&mut world);
    let sightings = detector.observe(&world.cell, &world.settings, at(22.0));
    assert!(matches!(&sightings[..], [Sighting::Ended(t)] if t.subject == "h1"), "{sightings:?}");
}

#[test]
fn a_trouble_that_comes_back_waits_out_the_plain_cool_down() {
    let (mut world, mut detector, key) = overloaded();
    for _ in 0..3 {
        detector.taken(std::slice::from_ref(&key));
        detector.released(std::slice::from_ref(&key), false, at(20.0), &world.settings);
    }
    world.vm("a", "h1", 8_000, 100);
    detector.observe(&world.cell, &world.settings, at(21.0));
    world.vm("a", "h1", 9_500, 100);
    detector.observe(&world.cell, &world.settings, at(22.0));
    detector.observe(&world.cell, &world.settings, at(32.0));
    assert!(detector.stands(&key));
    assert!(detector.due(at(49.9)).is_empty());
    assert_eq!(detector.due(at(50.0)).len(), 1);
}

#[test]
fn one_that_begins_again_while_its_plan_runs_stays_answered() {
    let (mut world, mut detector, key) = overloaded();
    detector.taken(&[key]);
    world.vm("a", "h1", 5_000, 100);
    detector.observe(&world.cell, &world.settings, at(11.0));
    world.vm("a", "h1", 9_500, 100);
    detector.observe(&world.cell, &world.settings, at(12.0));
    let began = detector.observe(&world.cell, &world.settings, at(22.0));
    assert!(matches!(&began[..], [Sighting::Began(_)]));
    assert!(detector.due(at(1000.0)).is_empty());
}

#[test]
fn hosts_are_not_emptied_while_another_is_overloaded() {
    let mut world = World::new(3);
    world.vm("a", "h1", 1_000, 100);
    world.vm("b", "h2", 5_000, 100);
    let mut detector = Detector::default();
    detector.observe(&world.cell, &world.settings, at(0.0));
    detector.observe(&world.cell, &world.settings, at(600.0));
    assert_eq!(names(&detector.due(at(600.0))), ["UNDERLOAD h1"]);
    world.vm("b", "h2", 9_500, 100);
    detector.observe(&world.cell, &world.settings, at(601.0));
    detector.observe(&world.cell, &world.settings, at(611.0));
    assert_eq!(names(&detector.due(at(611.0))), ["OVERLOAD h2"]);
    assert_eq!(detector.standing().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A trouble begins only when the load was above the limit at every look for the hold time, ends only when it
    /// is below the band, and each beginning is followed by one end.
    #[test]
    fn noise_begins_and_ends_nothing(loads in prop::collection::vec(8_000..10_000_i64, 1..120)) {
        let (mut world, mut detector) = (World::new(1), Detector::default());
        let (mut above_since, mut stands) = (None, false);
        for (second, cpu) in loads.into_iter().enumerate() {
            let second = second as f64;
            world.vm("a", "h1", cpu, 100);
            let planned = (cpu + 9) / 10 * 10;
            if planned > 9_000 {
                above_since.get_or_insert(second);
            } else {
                above_since = None;
            }
            let sightings = detector.observe(&world.cell, &world.settings, at(second));
            let held = above_since.is_some_and(|since| second - since >= 10.0);
            match sightings.as_slice() {
                [] => prop_assert!(stands || !held),
                [Sighting::Began(_)] => {
                    prop_assert!(!stands && held);
                    stands = true;
                }
                [Sighting::Ended(_)] => {
                    prop_assert!(stands && planned <= 8_500);
                    stands = false;
                }
                more => prop_assert!(false, "{more:?}"),
            }
            prop_assert_eq!(detector.standing().count(), usize::from(stands));
            prop_assert!(!stands || planned > 8_500);
        }
    }

    /// Load that wavers within the band of hysteresis, from whichever side it came, changes nothing.
    #[test]
    fn within_the_band_nothing_happens(
        high: bool,
        loads in prop::collection::vec(8_501..=9_000_i64, 1..60),
    ) {
        let (mut world, mut detector) = (World::new(1), Detector::default());
        world.vm("a", "h1", if high { 9_500 } else { 5_000 }, 100);
        detector.observe(&world.cell, &world.settings, at(0.0));
        detector.observe(&world.cell, &world.settings, at(10.0));
        prop_assert_eq!(detector.standing().count(), usize::from(high));
        for (second, cpu) in loads.into_iter().enumerate() {
            world.vm("a", "h1", cpu, 100);
            prop_assert_eq!(detector.observe(&world.cell, &world.settings, at(11.0 + second as f64)), []);
        }
    }
}

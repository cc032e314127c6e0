//! Which small worlds are explored: in full where that can be done in a test run, else as far as
//! `DVMS_EXPLORE_STATES` goes. docs/PROTOCOL.md says which is which.

use super::explore::explore;
use super::*;

/// How many states each exploration may see: more by `DVMS_EXPLORE_STATES`.
fn most() -> usize {
    std::env::var("DVMS_EXPLORE_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(8_000)
}

/// Two members, an overload each, room for both.
fn two() -> Plan {
    Plan {
        cells: vec![("a", vec![("a1", -2), ("a2", 1)]), ("b", vec![("b1", 2), ("b2", -1)])],
        least: vec![],
        kinds: vec![],
        faults: Faults::default(),
        skew: 0,
    }
}

/// Two members, an overload each, neither of which can be solved without hosts that the other has.
fn two_that_must_merge() -> Plan {
    Plan {
        cells: vec![("a", vec![("a1", -1), ("a2", 2)]), ("b", vec![("b1", -2), ("b2", 2)])],
        least: vec![("a1", 3), ("b1", 3)],
        ..two()
    }
}

/// Two members; what happens at one is more urgent, and takes hosts that the other counts on.
fn two_that_take_hosts() -> Plan {
    Plan {
        cells: vec![("a", vec![("a1", -2), ("a2", 1)]), ("b", vec![("b1", -1), ("b2", 3)])],
        kinds: vec![("a1", Kind::HostFailed)],
        ..two()
    }
}

/// Three members, three overloads, solved only by all together.
fn three_that_must_merge() -> Plan {
    Plan {
        cells: vec![
            ("a", vec![("a1", -1), ("a2", 1)]),
            ("b", vec![("b1", -1), ("b2", 1)]),
            ("c", vec![("c1", -1), ("c2", 1)]),
        ],
        least: vec![("a1", 5), ("b1", 5), ("c1", 5)],
        ..two()
    }
}

/// Three members: an owner, one that takes its host for something more urgent, and one that it is taken from.
fn three_that_take_hosts() -> Plan {
    Plan {
        cells: vec![("a", vec![("a1", -1)]), ("b", vec![("b1", -1)]), ("c", vec![("c1", 2)])],
        kinds: vec![("b1", Kind::HostFailed)],
        ..two()
    }
}

/// Four members: as three, and one with room that is only asked last.
fn four_that_take_hosts() -> Plan {
    Plan {
        cells: vec![
            ("a", vec![("a1", -1)]),
            ("b", vec![("b1", -1)]),
            ("c", vec![("c1", 2)]),
            ("d", vec![("d1", 1)]),
        ],
        ..three_that_take_hosts()
    }
}

/// Lets a fault happen once more.
type More = fn(&mut Faults);

/// Kinds of faults that are put together.
const KINDS: [(&str, More); 6] = [
    ("lose", |faults| faults.lose += 1),
    ("double", |faults| faults.double += 1),
    ("overtake", |faults| faults.overtake += 1),
    ("slow", |faults| faults.slow += 1),
    ("crash", |faults| faults.crash += 1),
    ("change", |faults| faults.change += 1),
];

/// Two faults, of two kinds or twice of one.
fn pairs() -> impl Iterator<Item = (&'static str, &'static str, Faults)> {
    let pair = |first: usize, second: usize| {
        let mut faults = Faults::default();
        (KINDS[first].1)(&mut faults);
        (KINDS[second].1)(&mut faults);
        (KINDS[first].0, KINDS[second].0, faults)
    };
    (0..KINDS.len()).flat_map(move |first| (first..KINDS.len()).map(move |second| pair(first, second)))
}

/// One fault of each kind.
fn each_fault() -> [Faults; 7] {
    let none = Faults::default();
    [
        Faults { lose: 1, ..none },
        Faults { double: 1, ..none },
        Faults { overtake: 1, ..none },
        Faults { slow: 1, ..none },
        Faults { crash: 1, absent: 6, ..none },
        Faults { change: 1, ..none },
        Faults { moves: 1, slow: 1, ..none },
    ]
}

/// Explores a world with some faults; `full` = all of it, however many states that are.
fn orders(plan: &Plan, faults: Faults, full: bool, settle: usize) {
    let began = std::time::Instant::now();
    let most = if full { usize::MAX } else { most() };
    let explored = explore(&Plan { faults, ..plan.clone() }, most, settle);
    println!("{faults:?} {explored:?} {:.1} s", began.elapsed().as_secs_f64());
    assert!(!full || explored.complete && explored.ends > 0);
}

#[test]
fn every_order_without_faults() {
    let plans = [
        (two(), false),
        (two_that_must_merge(), true),
        (three_that_must_merge(), true),
        (three_that_take_hosts(), false),
        (four_that_take_hosts(), false),
    ];
    for (plan, merges) in plans {
        let explored = explore(&plan, usize::MAX, 1);
        println!("{explored:?}");
        assert!(explored.complete && explored.ends > 0);
        assert_eq!(explored.merges > 0, merges);
    }
}

#[test]
fn every_order_of_two_members_with_a_fault() {
    for plan in [two(), two_that_must_merge(), two_that_take_hosts()] {
        for faults in each_fault() {
            // A host may move at any time: too many orders for every test run.
            orders(&plan, faults, faults.moves == 0, 1);
        }
    }
}

#[test]
fn every_order_of_two_members_with_two_faults() {
    for plan in [two(), two_that_must_merge(), two_that_take_hosts()] {
        for (first, second, faults) in pairs() {
            println!("{first} {second}");
            orders(&plan, faults, true, 1);
        }
    }
}

/// Pairs of faults whose orders of three members are too many for every test run.
const MANY: [(&str, &str); 12] = [
    ("lose", "slow"),
    ("double", "double"),
    ("double", "overtake"),
    ("double", "slow"),
    ("double", "crash"),
    ("double", "change"),
    ("overtake", "slow"),
    ("slow", "slow"),
    ("slow", "crash"),
    ("slow", "change"),
    ("crash", "crash"),
    ("crash", "change"),
];

#[test]
fn every_order_of_an_owner_a_taker_and_a_victim_with_faults() {
    let plan = three_that_take_hosts();
    for faults in each_fault() {
        // A host may move at any time, and time may pass while a member is down.
        orders(&plan, faults, faults.moves == 0 && faults.absent == 0, 1);
    }
    orders(&plan, Faults { crash: 1, ..Faults::default() }, true, 1);
    for (first, second, faults) in pairs() {
        println!("{first} {second}");
        orders(&plan, faults, MANY.iter().all(|many| *many != (first, second)), 1);
    }
}

#[test]
fn orders_of_three_members_with_a_fault() {
    for faults in each_fault() {
        orders(&three_that_must_merge(), faults, false, 1);
    }
}

#[test]
fn every_order_of_four_members_with_a_fault() {
    let plan = four_that_take_hosts();
    for faults in each_fault() {
        orders(&plan, faults, faults.moves == 0 && faults.absent == 0, 1);
    }
    orders(&plan, Faults { crash: 1, ..Faults::default() }, true, 1);
}

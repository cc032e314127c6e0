//! Every order of steps of small worlds.

use super::steps::Step;
use super::*;
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A state up to a shift of time.
fn key(world: &World) -> u128 {
    time::BASE.set(world.now.0);
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

/// What an exploration has seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::partition) struct Explored {
    pub(in crate::partition) states: usize,
    pub(in crate::partition) ends: usize,
    /// Partitions that were absorbed on the way to the ends.
    pub(in crate::partition) merges: u64,
    pub(in crate::partition) complete: bool,
}

/// Explores breadth first, up to so many states. From each state (or from every `settle`th of them) the world must
/// come to rest when nothing more goes wrong.
///
/// # Panics
/// Where something does not hold, with the steps that lead there.
pub(in crate::partition) fn explore(plan: &Plan, most: usize, settle: usize) -> Explored {
    let first = World::new(plan);
    let mut seen = HashSet::from([key(&first)]);
    let mut queue = VecDeque::from([(first, Vec::<Step>::new())]);
    let mut explored = Explored { complete: true, ..Explored::default() };
    while let Some((world, path)) = queue.pop_front() {
        explored.states += 1;
        let steps = world.steps();
        if steps.is_empty() {
            explored.ends += 1;
            explored.merges += world.seen.merges;
        }
        if explored.states.is_multiple_of(settle) || steps.is_empty() {
            let mut later = world.clone();
            if let Err(why) = later.settle(20_000) {
                panic!("{why}\n{}", replay(plan, &path, true));
            }
        }
        for step in steps {
            let mut next = world.clone();
            next.take(&step);
            if let Some(why) = next.violated() {
                let path: Vec<Step> = path.iter().cloned().chain([step]).collect();
                panic!("{why}\n{}", replay(plan, &path, false));
            }
            if seen.insert(key(&next)) {
                if seen.len() >= most {
                    explored.complete = false;
                    continue;
                }
                let path = path.iter().cloned().chain([step]).collect();
                queue.push_back((next, path));
            }
        }
    }
    explored
}

/// What happened on a path, for people.
pub(in crate::partition) fn replay(plan: &Plan, path: &[Step], settle: bool) -> String {
    let mut world = World::new(plan);
    world.seen.keep_log = true;
    for step in path {
        world.take(step);
    }
    if settle {
        world.seen.log.push("-- nothing goes wrong any more --".to_owned());
        let _ = world.settle(300);
    }
    format!("{plan:?}\n{}\n{}", world.seen.log.join("\n"), world.summary())
}

/// How many states each exploration may see: more by `DVMS_EXPLORE_STATES`.
fn most() -> usize {
    std::env::var("DVMS_EXPLORE_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(15_000)
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

#[test]
fn every_order_without_faults() {
    for (plan, merges) in [(two(), false), (two_that_must_merge(), true), (three_that_must_merge(), true)] {
        let explored = explore(&plan, 1_000_000, 1);
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
            let many = faults.moves > 0;
            let states = if many { most() } else { 1_000_000 };
            let explored = explore(&Plan { faults, ..plan.clone() }, states, 1);
            println!("{faults:?} {explored:?}");
            assert!(many || explored.complete && explored.ends > 0);
        }
    }
}

#[test]
fn orders_of_three_members_with_a_fault() {
    let plan = three_that_must_merge();
    for faults in each_fault() {
        println!("{faults:?} {:?}", explore(&Plan { faults, ..plan.clone() }, most(), 20));
    }
}

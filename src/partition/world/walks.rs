//! Random worlds and random orders of steps, with many faults at once and clocks that do not agree.

use super::fair::COURSES;
use super::*;
use proptest::prelude::*;

/// Names, as plans of worlds have them.
const MEMBERS: [&str; 4] = ["a", "b", "c", "d"];
const HOSTS: [[&str; 4]; 4] =
    [["a1", "a2", "a3", "a4"], ["b1", "b2", "b3", "b4"], ["c1", "c2", "c3", "c4"], ["d1", "d2", "d3", "d4"]];

fn plans() -> impl Strategy<Value = Plan> {
    let cell = prop::collection::vec(-3_i64..6, 1..4);
    let cells = prop::collection::vec(cell, 1..5);
    let least = prop::collection::vec(0_usize..12, 16);
    let faults = (0_u8..5, 0_u8..4, 0_u8..4, 0_u8..40, 0_u8..3, 0_u8..2, 0_u8..3);
    let kinds = prop::collection::vec(prop::sample::select(vec![Kind::HostFailed, Kind::Overload]), 16);
    (cells, least, kinds, faults, 0_u64..50).prop_map(|(rooms, least, kinds, faults, skew)| {
        let named = |(member, rooms): (usize, Vec<i64>)| {
            let hosts =
                rooms.into_iter().enumerate().map(|(host, room)| (HOSTS[member][host], room)).collect();
            (MEMBERS[member], hosts)
        };
        let cells: Vec<(_, Vec<_>)> = rooms.into_iter().enumerate().map(named).collect();
        let all: Vec<(&str, i64)> = cells.iter().flat_map(|(_, hosts)| hosts.clone()).collect();
        let usable = all.iter().filter(|(_, room)| *room != 0).count();
        let over = all.iter().filter(|(_, room)| *room < 0).zip(least);
        let least = over.map(|((host, _), least)| (*host, least.min(usable))).collect();
        let kinds = all.iter().map(|(host, _)| *host).zip(kinds).collect();
        let (lose, double, overtake, slow, crash, change, moves) = faults;
        let faults = Faults { lose, double, overtake, slow, crash, absent: 20, change, moves };
        Plan { cells, least, kinds, faults, skew }
    })
}

/// Takes random steps, then lets nothing more go wrong.
fn walk(plan: &Plan, choices: &[u16], keep_log: bool) -> Result<World, (String, Vec<String>)> {
    let mut world = World::new(plan);
    world.seen.keep_log = keep_log;
    for choice in choices {
        let steps = world.steps();
        if steps.is_empty() {
            break;
        }
        world.take(&steps[*choice as usize % steps.len()]);
        if let Some(why) = world.violated() {
            return Err((why, world.seen.log));
        }
    }
    world.seen.log.push("-- nothing goes wrong any more --".to_owned());
    for course in COURSES {
        let mut later = world.clone();
        if let Err(why) = later.settle_by(course, 20_000, None) {
            return Err((format!("{course:?}: {why}"), later.seen.log));
        }
    }
    Ok(world)
}

fn cases() -> u32 {
    std::env::var("DVMS_WALKS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No host in two partitions, and every event that can be solved is, whatever goes wrong before.
    #[test]
    fn random_walks_break_nothing_and_come_to_rest(
        plan in plans(),
        choices in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        if let Err((why, _)) = walk(&plan, &choices, false) {
            let (_, log) = walk(&plan, &choices, true).expect_err("the same again");
            let log = if log.len() > 150 { log[..150].join("\n") } else { log.join("\n") };
            return Err(TestCaseError::fail(format!("{why}\n{log}")));
        }
    }

    /// The same calls give the same effects, and a state is the same after it was written and read.
    #[test]
    fn states_can_be_written_and_steps_repeated(
        plan in plans(),
        choices in prop::collection::vec(any::<u16>(), 0..60),
    ) {
        let mut world = World::new(&plan);
        for choice in &choices {
            let steps = world.steps();
            if steps.is_empty() {
                break;
            }
            let step = &steps[*choice as usize % steps.len()];
            let mut again = world.clone();
            for node in again.nodes.values_mut() {
                let text = serde_json::to_string(node).expect("a state can be written");
                *node = serde_json::from_str(&text).expect("and read");
            }
            prop_assert_eq!(&again, &world);
            world.take(step);
            again.take(step);
            prop_assert_eq!(&again, &world);
        }
    }
}

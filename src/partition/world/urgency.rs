//! What goes first, what is done together, and whom a partition asks.

use super::steps::Step;
use super::*;

/// A world of these cells in which nothing is over.
pub(super) fn calm(cells: Vec<(&'static str, Vec<(&'static str, i64)>)>) -> World {
    World::new_quiet(&Plan {
        cells,
        least: Vec::new(),
        kinds: Vec::new(),
        faults: Faults::default(),
        skew: 0,
    })
}

pub(super) fn event(owner: &str, kind: Kind, host: &str, room: i64) -> Event {
    match Input::raise(owner, kind, host, Need { room: [room, 0], hosts: 1, ..Need::default() }) {
        Input::Raised { event } => event,
        _ => unreachable!("an event"),
    }
}

/// Lets all messages arrive, and nothing else happen.
pub(super) fn arrive(world: &mut World) {
    while let Some(step) = world.steps().into_iter().find(|step| matches!(step, Step::Deliver(..))) {
        world.take(&step);
        assert_eq!(world.violated(), None);
    }
}

/// The partitions that a member leads: what they do and have.
fn led(world: &World, member: &str) -> Vec<(String, Vec<String>)> {
    let node = &world.nodes[&Member::from(member)];
    let hosts = |led: &Led| led.hosts().keys().map(ToString::to_string).collect();
    node.partitions().map(|(_, led)| (led.stage().name().to_owned(), hosts(led))).collect()
}

fn answer(world: &mut World, member: &str, found: &Found) {
    let asked: Vec<_> =
        world.solves.keys().filter(|(leader, ..)| leader.as_str() == member).cloned().collect();
    for (leader, partition, version) in asked {
        world.solves.remove(&(leader.clone(), partition.clone(), version));
        world.tell(&leader, Input::Solved { partition, version, found: found.clone() });
    }
}

#[test]
fn what_is_more_urgent_takes_hosts_that_are_not_committed() {
    let mut world = calm(vec![("a", vec![("a1", 0)]), ("b", vec![("b1", 3), ("b2", 3)])]);
    world.tell(&"b".into(), Input::Raised { event: event("b", Kind::Underload, "b1", 1) });
    assert_eq!(led(&world, "b"), [("SOLVING".to_owned(), vec!["b1".to_owned(), "b2".to_owned()])]);
    // A failed host is more urgent than an underload, and than an overload.
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::HostFailed, "a1", 4) });
    arrive(&mut world);
    assert_eq!(
        led(&world, "a"),
        [("SOLVING".to_owned(), vec!["a1".to_owned(), "b1".to_owned(), "b2".to_owned()])]
    );
    assert_eq!(led(&world, "b"), [], "an underload without its host is dropped, and its solver told so");
    assert_eq!(world.solves.len(), 1);
    // What is as urgent takes nothing, nor does what is less urgent.
    for kind in [Kind::HostFailed, Kind::Overload] {
        world.tell(&"b".into(), Input::Raised { event: event("b", kind, "b2", 1) });
        arrive(&mut world);
        assert_eq!(led(&world, "a")[0].1.len(), 3);
    }
}

#[test]
fn committed_hosts_are_taken_by_nobody_and_waited_for() {
    let mut world = calm(vec![("a", vec![("a1", 0)]), ("b", vec![("b1", 3), ("b2", 3)])]);
    world.tell(&"b".into(), Input::Raised { event: event("b", Kind::Underload, "b1", 1) });
    let touched = ["b1", "b2"].map(Host::from).into();
    answer(&mut world, "b", &Found::Plan { touched });
    assert_eq!(led(&world, "b")[0].0, "EXECUTING");
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::HostFailed, "a1", 4) });
    arrive(&mut world);
    answer(&mut world, "a", &Found::None { need: Need { room: [4, 0], hosts: 0, ..Need::default() } });
    arrive(&mut world);
    assert_eq!(led(&world, "a"), [("BLOCKED".to_owned(), vec!["a1".to_owned()])]);
    // It hears at once when they are free.
    let partition = world.runs.keys().next().expect("a plan").clone();
    world.runs.clear();
    world.tell(&"b".into(), Input::Calmed { event: event("b", Kind::Underload, "b1", 1).key });
    world.tell(&"b".into(), Input::Executed { partition });
    arrive(&mut world);
    assert_eq!(
        led(&world, "a"),
        [("SOLVING".to_owned(), vec!["a1".to_owned(), "b1".to_owned(), "b2".to_owned()])]
    );
}

#[test]
fn events_about_hosts_of_one_partition_are_solved_together() {
    let mut world = calm(vec![("a", vec![("a1", 0), ("a2", 0)]), ("b", vec![("b1", 3), ("b2", 2)])]);
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", 4) });
    arrive(&mut world);
    assert_eq!(led(&world, "a")[0].1, ["a1", "b1", "b2"]);
    // One of its own cell, and one of the other, about a host that the partition has there.
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::RuleBroken, "a1", 0) });
    world.tell(&"b".into(), Input::Raised { event: event("b", Kind::Drain, "b2", 0) });
    arrive(&mut world);
    assert_eq!(led(&world, "b"), []);
    let node = &world.nodes[&Member::from("a")];
    let (id, partition) = node.partitions().next().expect("one");
    let keys: Vec<String> = partition.events().map(|event| event.key.to_string()).collect();
    assert_eq!(keys, ["Overload a1", "RuleBroken a1", "Drain b2"]);
    let there = &world.nodes[&Member::from("b")];
    assert_eq!(there.events().next(), Some((&"Drain b2".into(), Some(id))));
    // It ends for all of them, and the answer for what it was before is not taken.
    let versions: Vec<u64> = world.solves.keys().map(|(_, _, version)| *version).collect();
    assert_eq!(versions, [partition.version()]);
    let stale = Input::Solved { partition: id.clone(), version: 1, found: Found::Nothing };
    let before = world.nodes.clone();
    world.tell(&"a".into(), stale);
    assert_eq!(world.nodes, before);
    answer(&mut world, "a", &Found::Nothing);
    arrive(&mut world);
    assert_eq!((led(&world, "a"), led(&world, "b")), (vec![], vec![]));
    let there = &world.nodes[&Member::from("b")];
    assert_eq!(there.events().next(), Some((&"Drain b2".into(), None)));
}

#[test]
fn linked_hosts_are_asked_for_by_name_and_only_what_is_needed_besides() {
    let cells = vec![("a", vec![("a1", 0), ("a2", 1)]), ("b", vec![("b1", 9), ("b2", 1), ("b3", 0)])];
    let mut world = calm(cells);
    let mut overload = event("a", Kind::Overload, "a1", 2);
    overload.linked = ["b2", "b3"].map(Host::from).into();
    world.tell(&"a".into(), Input::Raised { event: overload });
    arrive(&mut world);
    // One of its own cell first; b3 takes no VMs, and comes because one of those that are there is bound to it.
    assert_eq!(led(&world, "a")[0].1, ["a1", "a2", "b2", "b3"]);
}

#[test]
fn members_without_free_hosts_are_hopped_over_and_asked_all_the_same() {
    let cells = ["a", "b", "c", "d", "e"];
    let hosts = [("a1", 0), ("b1", 0), ("c1", 0), ("d1", 0), ("e1", 2)];
    let mut world = calm(cells.into_iter().zip(hosts).map(|(cell, host)| (cell, vec![host])).collect());
    let asks = |world: &mut World, room: i64| {
        world.seen.keep_log = true;
        world.seen.log.clear();
        world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", room) });
        arrive(world);
        let asks = world.seen.log.iter().filter(|line| line.contains("asks for hosts"));
        let whom = |line: &String| line.split(['→', ':']).nth(1).map(|whom| whom.trim().to_owned());
        asks.filter_map(whom).collect::<Vec<_>>()
    };
    // Nobody knows anything yet.
    assert_eq!(asks(&mut world, 1), ["b", "c", "d", "e"]);
    answer(&mut world, "a", &Found::Nothing);
    world.tell(&"a".into(), Input::Calmed { event: event("a", Kind::Overload, "a1", 1).key });
    arrive(&mut world);
    world.nodes.get_mut(&Member::from("a")).expect("a").handle_timeout(Now { at: Time(1_000), random: 0 });
    // Now b, c and d are known to have none: e is first.
    assert_eq!(asks(&mut world, 1), ["e"]);
    // Where that is not enough, nobody is left out.
    answer(&mut world, "a", &Found::None { need: Need { room: [5, 0], hosts: 0, ..Need::default() } });
    world.seen.log.clear();
    arrive(&mut world);
    let asked: Vec<_> = world.seen.log.iter().filter(|line| line.contains("asks for hosts")).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
}

/// Lets a plan be carried out that was found for a partition of some member.
fn carry_out(world: &mut World) {
    let plans = |step: &Step| matches!(step, Step::Solved(..) | Step::Act(_) | Step::Done(_));
    while let Some(step) = world.steps().into_iter().find(plans) {
        world.take(&step);
        arrive(world);
    }
}

#[test]
fn an_overload_and_an_underload_come_together_and_one_plan_serves_both() {
    for underload_first in [true, false] {
        let mut world = calm(vec![("a", vec![("a1", -4)]), ("b", vec![("b1", 3), ("b2", 2)])]);
        world.seen.keep_log = true;
        let overload = Input::Raised { event: event("a", Kind::Overload, "a1", 4) };
        let underload = Input::Raised { event: event("b", Kind::Underload, "b1", 1) };
        if underload_first {
            world.tell(&"b".into(), underload);
            assert_eq!(led(&world, "b"), [("SOLVING".to_owned(), vec!["b1".to_owned(), "b2".to_owned()])]);
            // The overload takes its hosts away; it is given up, and raised again after its back-off.
            world.tell(&"a".into(), overload);
            arrive(&mut world);
            assert_eq!(world.seen.answers, [("Underload b1".to_owned(), Outcome::Dropped)]);
            world.pass();
        } else {
            world.tell(&"a".into(), overload);
            arrive(&mut world);
            world.tell(&"b".into(), underload);
        }
        arrive(&mut world);
        // Then it is about a host of that partition, and becomes one of its events.
        assert_eq!(led(&world, "b"), []);
        let node = &world.nodes[&Member::from("a")];
        let (id, partition) = node.partitions().next().expect("one");
        let keys: Vec<String> = partition.events().map(|event| event.key.to_string()).collect();
        assert_eq!(
            (keys, partition.kind()),
            (vec!["Overload a1".into(), "Underload b1".into()], Kind::Overload)
        );
        let there = &world.nodes[&Member::from("b")];
        assert_eq!(there.events().next(), Some((&"Underload b1".into(), Some(id))));
        // One plan: what is over goes to the host that had little to do.
        world.seen.answers.clear();
        carry_out(&mut world);
        let rooms: Vec<i64> = world.room.values().copied().collect();
        assert_eq!((rooms, world.seen.executed, world.seen.merges), (vec![0, 0, 1], 1, 0));
        // The overload is over before the plan has ended; the other one hears that it was served.
        assert_eq!(world.nodes[&Member::from("a")].events().next(), None);
        assert_eq!(world.seen.answers, [("Underload b1".to_owned(), Outcome::Solved)]);
    }
}

#[test]
fn events_that_a_plan_leaves_out_are_dropped_and_not_solved() {
    let mut world = calm(vec![("a", vec![("a1", 0)]), ("b", vec![("b1", 3), ("b2", 2)])]);
    world.seen.keep_log = true;
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", 4) });
    arrive(&mut world);
    let waiting = event("b", Kind::VmWaiting, "b2", 0);
    let events = BTreeMap::from([(Member::from("b"), BTreeSet::from([waiting.key.clone()]))]);
    world.tell(&"b".into(), Input::Raised { event: waiting });
    arrive(&mut world);
    let (partition, version) = {
        let (id, led) = world.nodes[&Member::from("a")].partitions().next().expect("one");
        (id.clone(), led.version())
    };
    // Told of another version, it is out of date.
    let left_out = |version| Input::LeftOut { partition: partition.clone(), version, events: events.clone() };
    let mut answered = world.clone();
    for (world, version) in [(&mut answered, version - 1), (&mut world, version)] {
        world.tell(&"a".into(), left_out(version));
        answer(world, "a", &Found::Plan { touched: ["a1", "b1"].map(Host::from).into() });
        arrive(world);
        assert_eq!(led(world, "a")[0].0, "EXECUTING");
        world.runs.clear();
        world.tell(&"a".into(), Input::Executed { partition: partition.clone() });
        arrive(world);
    }
    let answers =
        |outcome| [("Overload a1".to_owned(), Outcome::Solved), ("VmWaiting b2".to_owned(), outcome)];
    assert_eq!(answered.seen.answers, answers(Outcome::Solved));
    assert_eq!(world.seen.answers, answers(Outcome::Dropped));
}

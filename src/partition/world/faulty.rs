//! What members say that have gone wrong, or are of another version, and what is kept of those that are gone.

use super::urgency::{arrive, calm, event};
use super::*;

fn two() -> World {
    calm(vec![("a", vec![("a1", 0)]), ("b", vec![("b1", 3)])])
}

fn hear(world: &mut World, member: &str, clock: u64, body: Body) {
    let now = world.clock(&member.into());
    let message = Message { free: 1, clock, body };
    world.nodes.get_mut(&Member::from(member)).expect("a member").handle_message(now, &"b".into(), message);
    world.take_effects(&member.into());
}

fn freed() -> Body {
    Body::Freed { partition: PartitionId { number: 9, founder: "b".into(), incarnation: 1 } }
}

#[test]
fn a_clock_that_cannot_be_is_not_believed() {
    for (clock, number) in [(u64::MAX, 1), ((1 << 60) + 1, 1), (1 << 60, (1 << 60) + 1), (7, 8)] {
        let mut world = two();
        hear(&mut world, "a", clock, freed());
        world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", 2) });
        let (id, _) = world.nodes[&Member::from("a")].partitions().next().expect("one");
        assert_eq!(id.number, number);
    }
}

#[test]
fn amounts_and_times_that_cannot_be_do_no_harm() {
    let wild = Need { room: [i64::MIN, i64::MAX], hosts: u32::MAX, least: [i64::MIN; 2] };
    let mut world = two();
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", 2) });
    // As an owner.
    let partition = PartitionId { number: u64::MAX, founder: "b".into(), incarnation: u64::MAX };
    let reserve = Body::Reserve {
        partition,
        kind: Kind::HostFailed,
        ask: u64::MAX,
        named: ["a1".into()].into(),
        need: wild,
        all: false,
        most: u32::MAX,
        sent: Time(u64::MAX),
    };
    let mut owner = world.clone();
    hear(&mut owner, "a", 0, reserve);
    assert_eq!(owner.nodes[&Member::from("a")].ledger().held().count(), 1);
    // As a leader: a lease counts from now at the latest, and an event with such a need is one like others.
    let (id, ask) = match &world.net[&("a".into(), "b".into())][0].body {
        Body::Reserve { partition, ask, .. } => (partition.clone(), *ask),
        other => panic!("{other:?}"),
    };
    let concern = Event { need: wild, ..event("b", Kind::Drain, "b1", 0) };
    hear(&mut world, "a", 0, Body::Concern { partition: id.clone(), event: concern });
    let grant = Grant { epoch: Epoch { incarnation: 1, number: u64::MAX }, room: [i64::MIN, i64::MAX] };
    let granted = Body::Granted {
        partition: id,
        ask,
        hosts: BTreeMap::from([("b1".into(), grant)]),
        more: true,
        holders: BTreeMap::new(),
        later: false,
        first_out: Some("nobody".into()),
        sent: Time(u64::MAX),
    };
    hear(&mut world, "a", 0, granted);
    let (_, led) = world.nodes[&Member::from("a")].partitions().next().expect("one");
    assert!(led.hosts().contains_key(&"b1".into()));
    assert!(led.valid_hosts(world.now + settings().lease).is_empty());
}

#[test]
fn nothing_is_kept_of_members_that_have_left_the_ring() {
    let mut world = two();
    hear(&mut world, "a", 0, freed());
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", 2) });
    // b does not answer.
    world.net.clear();
    let mut silent = world.clone();
    silent.crash(&"b".into());
    while silent.now < Time(1_010) {
        silent.pass();
    }
    let kept = |world: &World, what: &str| {
        let state = serde_json::to_value(&world.nodes[&Member::from("a")]).expect("a state");
        state[what].as_object().expect("by member").contains_key("b")
    };
    assert!(kept(&world, "free") && kept(&silent, "silent"));
    for world in [&mut world, &mut silent] {
        let ring = Ring::new([("a".into(), Place::default())].into());
        world.tell(&"a".into(), Input::Ring { ring });
        assert!(!kept(world, "free") && !kept(world, "silent"));
        // What is still heard of it is answered, and not kept.
        hear(world, "a", 0, freed());
        assert!(!kept(world, "free"));
    }
    arrive(&mut world);
}

#[test]
fn who_does_not_say_that_hosts_are_committed_already_begins_no_plan_on_unsettled_ones() {
    let mut world = two();
    world.crash(&"b".into());
    world.restart(&"b".into());
    let said = |confirmed: &str| -> Body {
        let text = format!(
            r#"{{"type": "renew", "partition": "4.a.1", "kind": "OVERLOAD", "commit": true, "sent": 7,
                "hosts": {{"b1": {{"incarnation": 1, "number": 1}}}}, "events": []{confirmed}}}"#
        );
        serde_json::from_str(&text).expect("as of before there was such a field")
    };
    for (confirmed, committed) in
        [("", false), (r#", "confirmed": false"#, false), (r#", "confirmed": true"#, true)]
    {
        let now = world.clock(&"b".into());
        let message = Message { free: 0, clock: 0, body: said(confirmed) };
        world.nodes.get_mut(&Member::from("b")).expect("b").handle_message(now, &"a".into(), message);
        let held = world.nodes[&Member::from("b")].holder(&"b1".into()).map(|held| held.committed);
        assert_eq!(held, Some(committed));
    }
}

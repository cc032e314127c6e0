//! What etcd keeps of hosts, and who is told of members by others.

use crate::coordinator::core::Input;
use crate::coordinator::core::tests::world::World;
use crate::coordinator::peers::{Frame, KeptHost, Known, Session};
use crate::coordinator::settings::RingMember;
use crate::record::{AdminState, EventKind};
use crate::store::{Change, Store};
use std::collections::BTreeSet;

fn kept(state: AdminState, cell: &str, epoch: u64) -> KeptHost {
    KeptHost { state, cell: cell.to_owned(), epoch }
}

fn told(world: &mut World, all: bool, hosts: &[(&str, KeptHost)]) {
    let hosts = hosts.iter().map(|(host, kept)| ((*host).to_owned(), Some(kept.clone()))).collect();
    world.sit("east");
    world.feed(Input::HostsKept { all, hosts });
    world.run(0.1);
    world.sit("east");
}

fn world() -> World {
    let mut settings = World::quick();
    settings.inventory.failed_after_s = 10.0;
    let mut world = World::ring(&settings, &["east", "west"], 1);
    world.host_of("east", "e1", &[("v1", 1000)]);
    world.host_of("west", "w1", &[("v2", 1000)]);
    world
}

fn state(world: &World, host: &str) -> AdminState {
    world.view.hosts[host].state
}

fn member(name: &str) -> RingMember {
    RingMember { name: name.into(), address: format!("{name}:1"), site: String::new() }
}

fn set(world: &mut World, host: &str, state: AdminState) {
    let host = host.to_owned();
    world.ask(|ticket| Input::SetHostState { host, state, reason: String::new(), ticket });
    world.run(1.0);
    world.sit("east");
}

#[test]
fn a_coordinator_that_has_lost_its_disk_learns_what_operators_want_of_its_hosts() {
    let mut world = world();
    world.run(5.0);
    world.sit("east");
    set(&mut world, "e1", AdminState::Cordoned);
    let epoch = world.view.hosts["e1"].epoch;
    // West is gone at the same time, so nobody has heard of it.
    world.kill("west", None);
    world.kill("east", Some(2.0));
    world.sit("east");
    world.store = Store::open_in_memory().unwrap();
    world.run(10.0);
    world.sit("east");
    assert_eq!(state(&world, "e1"), AdminState::Online, "it is forgotten\n{}", world.story());
    assert!(!world.view.ring.knows_kept);
    told(&mut world, true, &[("e1", kept(AdminState::Cordoned, "east", epoch))]);
    assert_eq!(state(&world, "e1"), AdminState::Cordoned);
    assert!(world.view.ring.knows_kept);
    world.run(1.0);
    assert_eq!(world.store.host_states().unwrap()["e1"].0, AdminState::Cordoned);
    // What an operator says from then on is newer.
    set(&mut world, "e1", AdminState::Online);
    told(&mut world, true, &[("e1", kept(AdminState::Cordoned, "east", epoch))]);
    assert_eq!(state(&world, "e1"), AdminState::Online);
}

#[test]
fn what_a_coordinator_that_is_gone_wanted_goes_before_an_old_disk_and_after_what_members_say() {
    let mut world = world();
    world.run(5.0);
    world.sit("east");
    let old = [Change::HostState("e1".into(), AdminState::Draining, 5)];
    world.store.write(&old).unwrap();
    world.kill("west", None);
    world.kill("east", Some(1.0));
    world.run(10.0);
    world.sit("east");
    assert_eq!(state(&world, "e1"), AdminState::Draining, "as the disk says");
    let session = Session { epoch: 7, boot: String::new(), state: AdminState::Online };
    let frame = Box::new(Frame::Cell { hosts: [("w1".to_owned(), session)].into(), known: Known::default() });
    world.feed(Input::Peer { from: "west".into(), frame });
    // Another one had it before that, and its word was never written over.
    told(&mut world, true, &[("e1", kept(AdminState::Online, "north", 4))]);
    assert_eq!(state(&world, "e1"), AdminState::Draining);
    // Another one had it since.
    told(
        &mut world,
        true,
        &[("e1", kept(AdminState::Cordoned, "north", 900)), ("w1", kept(AdminState::Draining, "north", 1))],
    );
    assert_eq!(state(&world, "e1"), AdminState::Cordoned);
    let wanted = world.core.wanted.get("w1").copied().unwrap_or_default();
    assert_eq!(wanted, AdminState::Online, "west has it, and says what is wanted");
}

#[test]
fn hosts_that_no_coordinator_has_are_told_of_once_and_can_be_forgotten() {
    let mut world = world();
    world.run(5.0);
    world.sit("east");
    let stray = ("n1", kept(AdminState::Draining, "north", 3));
    told(&mut world, true, &[stray.clone(), ("e1", kept(AdminState::Online, "east", 1))]);
    world.run(30.0);
    world.sit("east");
    let strays = |world: &World| {
        let lost = world.events(EventKind::HostLost);
        lost.iter().filter(|event| event.host == "n1" && event.message.contains("dvms forget n1")).count()
    };
    assert_eq!(strays(&world), 1, "{}", world.story());
    let forget = |host: &str| (host.to_owned(), String::new());
    for (host, refused) in [("n1", false), ("n1", true), ("w1", true)] {
        let (host, reason) = forget(host);
        let ticket = world.ask(|ticket| Input::ForgetHost { host, with_vms: false, reason, ticket });
        world.until("there is an answer", 5.0, |world| world.answers.contains_key(&ticket));
        world.sit("east");
        let answer = format!("{:?}", world.answers.remove(&ticket).unwrap());
        assert_eq!(answer.starts_with("Refused"), refused, "{answer}");
    }
    world.run(1.0);
    world.sit("east");
    assert_eq!(world.core.ring.shown().forgotten, BTreeSet::from(["n1".to_owned()]));
    told(&mut world, false, &[stray]);
    assert!(!world.core.wanted.contains_key("n1"), "it was forgotten");
}

#[test]
fn what_ran_on_hosts_of_a_lost_disk_is_not_known_until_they_count_as_failed() {
    let mut world = world();
    world.run(30.0);
    world.sit("east");
    let asks = |world: &mut World, round: u64| {
        let frame = Frame::Where { round, vms: BTreeSet::from(["v9".to_owned()]) };
        let effects =
            world.core.handle(Input::Peer { from: "west".into(), frame: Box::new(frame) }, world.now());
        format!("{effects:?}")
    };
    assert!(asks(&mut world, 1).contains("Nowhere"));
    told(&mut world, true, &[("e7", kept(AdminState::Online, "east", 1))]);
    world.run(3.0);
    world.sit("east");
    let answer = asks(&mut world, 2);
    assert!(answer.contains("Perhaps") && answer.contains("e7"), "{answer}");
    world.run(15.0);
    world.sit("east");
    assert!(asks(&mut world, 3).contains("Nowhere"));
}

#[test]
fn who_has_lost_etcd_is_told_by_others_who_takes_part() {
    let mut world = world();
    world.run(5.0);
    let all: Vec<RingMember> = ["east", "south", "west"].map(member).into();
    world.sit("west");
    let held = BTreeSet::from(["east".to_owned()]);
    world.feed(Input::Members { members: all.clone(), held });
    world.run(1.0);
    world.sit("east");
    assert_eq!(world.core.ring.shown().told, all);
    // As long as it is so.
    world.run(60.0);
    world.sit("east");
    assert_eq!(world.core.ring.shown().told, all);
    world.sit("west");
    world.feed(Input::Members { members: all, held: BTreeSet::new() });
    world.run(30.0);
    world.sit("east");
    assert_eq!(world.core.ring.shown().told, []);
}

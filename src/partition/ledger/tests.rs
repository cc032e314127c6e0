//! Leases, epochs, and what is believed after a restart.

use super::*;
use std::collections::BTreeSet;

fn id(number: u64) -> PartitionId {
    PartitionId { number, founder: "l".into(), incarnation: 1 }
}

/// A cell of these hosts, room on each.
fn ledger(hosts: &[(&str, i64)], unsettled: u64) -> Ledger {
    let mut ledger = Ledger::new(7, Millis(10));
    for (host, room) in hosts {
        let facts = Facts { room: [*room, *room], takes: *room > 0, busy: false };
        ledger.set(&(*host).into(), facts, Millis(unsettled), Time(0));
    }
    ledger
}

/// Asks for what is named, and for so much room.
fn reserve(ledger: &mut Ledger, number: u64, kind: Kind, named: &[&str], room: i64, now: u64) -> Granted {
    let named: BTreeSet<Host> = named.iter().map(|host| (*host).into()).collect();
    let (partition, leader) = (id(number), Member::from("l"));
    let need = Need { room: [room, 0], hosts: 0, ..Need::default() };
    ledger.expire(Time(now));
    let request = Request {
        partition: &partition,
        leader: &leader,
        kind,
        ask: 1,
        named: &named,
        need,
        all: false,
        most: 9,
    };
    ledger.reserve(&request, Time(now))
}

fn leases(granted: &Granted) -> Leases {
    granted.hosts.iter().map(|(host, grant)| (host.clone(), grant.epoch)).collect()
}

fn renew(ledger: &mut Ledger, number: u64, leases: &Leases, commit: bool, now: u64) -> Renewal {
    prolong(ledger, number, leases, (commit, false), now)
}

/// Prolongs; `commits` = whether the hosts are to be committed, and whether they were before.
fn prolong(
    ledger: &mut Ledger,
    number: u64,
    hosts: &Leases,
    (commit, confirmed): (bool, bool),
    now: u64,
) -> Renewal {
    ledger.expire(Time(now));
    let (partition, leader) = (&id(number), &"l".into());
    let asked = Prolonging { partition, leader, kind: Kind::Overload, hosts, commit, confirmed };
    ledger.renew(&asked, Time(now))
}

#[test]
fn leases_end_unless_they_are_prolonged() {
    let mut ledger = ledger(&[("h1", 1), ("h2", 1)], 0);
    let first = leases(&reserve(&mut ledger, 1, Kind::Overload, &["h1", "h2"], 0, 0));
    assert_eq!((first.len(), ledger.free()), (2, 0));
    assert!(reserve(&mut ledger, 2, Kind::Overload, &["h1"], 0, 9).hosts.is_empty());
    let kept: Leases = first.iter().take(1).map(|(host, epoch)| (host.clone(), *epoch)).collect();
    assert_eq!(renew(&mut ledger, 1, &kept, false, 9).hosts, kept);
    // h2 has ended at 10, h1 ends at 19.
    let granted = reserve(&mut ledger, 2, Kind::Overload, &["h1", "h2"], 0, 10);
    assert_eq!(granted.hosts.keys().map(ToString::to_string).collect::<Vec<_>>(), ["h2"]);
    assert_eq!(ledger.wake(), BTreeMap::from([(id(2), "l".into())]), "it was refused h1 before");
    let renewal = renew(&mut ledger, 1, &first, false, 11);
    assert_eq!((renewal.hosts.len(), renewal.lost.len()), (1, 1));
    ledger.expire(Time(22));
    assert_eq!((ledger.free(), ledger.held().count()), (2, 0));
}

#[test]
fn asking_again_gives_the_same_and_another_request_more() {
    let mut ledger = ledger(&[("h1", 1), ("h2", 1), ("h3", 1)], 0);
    let first = reserve(&mut ledger, 1, Kind::Overload, &[], 1, 0);
    assert_eq!(leases(&reserve(&mut ledger, 1, Kind::Overload, &[], 1, 3)), leases(&first));
    assert!(first.more);
    assert_eq!(ledger.held().count(), 1);
    assert_eq!(ledger.holder(&"h1".into()).map(|held| held.until), Some(Time(13)), "and prolongs it");
}

#[test]
fn an_old_epoch_ends_and_prolongs_nothing() {
    let mut ledger = ledger(&[("h1", 1)], 0);
    let old = leases(&reserve(&mut ledger, 1, Kind::Overload, &["h1"], 0, 0));
    ledger.release(&id(1), &old);
    let new = leases(&reserve(&mut ledger, 1, Kind::Overload, &["h1"], 0, 1));
    assert!(new[&Host::from("h1")] > old[&Host::from("h1")]);
    ledger.release(&id(1), &old);
    assert_eq!(renew(&mut ledger, 1, &old, true, 2).lost, old);
    assert!(!ledger.may_act(&"h1".into(), &id(1), new[&Host::from("h1")], Time(2)), "not committed");
    assert_eq!(renew(&mut ledger, 1, &new, true, 2).hosts, new);
    assert!(ledger.may_act(&"h1".into(), &id(1), new[&Host::from("h1")], Time(2)));
    assert!(!ledger.may_act(&"h1".into(), &id(1), old[&Host::from("h1")], Time(2)));
    assert!(!ledger.may_act(&"h1".into(), &id(2), new[&Host::from("h1")], Time(2)));
    assert!(!ledger.may_act(&"h1".into(), &id(1), new[&Host::from("h1")], Time(12)), "it has ended");
}

#[test]
fn unsettled_hosts_are_granted_to_nobody_and_leaders_that_renew_are_believed() {
    let mut ledger = ledger(&[("h1", 1), ("h2", 1)], 15);
    assert!(reserve(&mut ledger, 2, Kind::HostFailed, &["h1", "h2"], 0, 1).hosts.is_empty());
    let epoch = |number| Epoch { incarnation: 6, number };
    let older = Leases::from([("h1".into(), epoch(3))]);
    let newer = Leases::from([("h1".into(), epoch(4))]);
    assert_eq!(renew(&mut ledger, 1, &older, false, 2).hosts, older);
    // Of two the one of the greater epoch, in whatever order they come.
    assert_eq!(renew(&mut ledger, 3, &newer, false, 3).hosts, newer);
    assert_eq!(renew(&mut ledger, 1, &older, false, 4).lost, older);
    assert_eq!(ledger.holder(&"h1".into()).map(|held| &held.partition), Some(&id(3)));
    // Settled, nobody is believed any more.
    ledger.expire(Time(15));
    let late = Leases::from([("h2".into(), epoch(9))]);
    assert_eq!(renew(&mut ledger, 4, &late, false, 15).lost, late);
    assert_eq!(reserve(&mut ledger, 2, Kind::Overload, &["h2"], 0, 15).hosts.len(), 1);
}

#[test]
fn no_plan_begins_on_an_unsettled_host_and_one_that_had_begun_goes_on() {
    let mut ledger = ledger(&[("h1", 1), ("h2", 1)], 15);
    let epoch = |number| Epoch { incarnation: 6, number };
    let (h1, h2) = (Host::from("h1"), Host::from("h2"));
    let of = |host: &Host, number| Leases::from([(host.clone(), epoch(number))]);
    // h1 was taken from 1 for 3, which 1 has not heard: its first commit is put off.
    let renewal = renew(&mut ledger, 1, &of(&h1, 3), true, 1);
    assert_eq!((renewal.hosts, renewal.committed), (of(&h1, 3), false));
    assert!(!ledger.may_act(&h1, &id(1), epoch(3), Time(1)));
    let renewal = renew(&mut ledger, 3, &of(&h1, 4), true, 2);
    assert_eq!((renewal.hosts, renewal.committed), (of(&h1, 4), false));
    assert_eq!(renew(&mut ledger, 1, &of(&h1, 3), true, 3).lost, of(&h1, 3));
    // h2 was committed to 1 before: that is believed, whatever 2 counts on, and not replaced.
    assert_eq!(renew(&mut ledger, 2, &of(&h2, 9), false, 3).hosts, of(&h2, 9));
    let renewal = prolong(&mut ledger, 1, &of(&h2, 5), (true, true), 4);
    assert_eq!((renewal.hosts, renewal.committed), (of(&h2, 5), true));
    assert!(ledger.may_act(&h2, &id(1), epoch(5), Time(4)));
    for commit in [false, true] {
        assert_eq!(renew(&mut ledger, 2, &of(&h2, 9), commit, 5).lost, of(&h2, 9));
    }
    // Settled, it is known who has h1: its plan may begin.
    assert_eq!(renew(&mut ledger, 3, &of(&h1, 4), true, 11).hosts, of(&h1, 4));
    assert!(!ledger.may_act(&h1, &id(3), epoch(4), Time(11)));
    let renewal = renew(&mut ledger, 3, &of(&h1, 4), true, 15);
    assert_eq!((renewal.hosts, renewal.committed), (of(&h1, 4), true));
    assert!(ledger.may_act(&h1, &id(3), epoch(4), Time(15)));
}

#[test]
fn busy_hosts_and_those_that_take_nothing_are_not_given_for_room() {
    let mut ledger = ledger(&[("h1", 5), ("h2", 5), ("h3", 0)], 0);
    ledger.set(&"h1".into(), Facts { room: [5, 5], takes: true, busy: true }, Millis(0), Time(0));
    let granted = reserve(&mut ledger, 1, Kind::Overload, &["h1", "h3"], 50, 0);
    let hosts: Vec<_> = granted.hosts.keys().map(ToString::to_string).collect();
    assert_eq!(hosts, ["h2", "h3"], "h3 is named; h1 is acted on");
    // An action has ended: those who were refused hear of it.
    assert!(reserve(&mut ledger, 2, Kind::Overload, &["h1"], 0, 0).hosts.is_empty());
    let _ = ledger.wake();
    assert!(reserve(&mut ledger, 2, Kind::Overload, &["h1"], 0, 0).hosts.is_empty());
    ledger.set(&"h1".into(), Facts { room: [5, 5], takes: true, busy: false }, Millis(0), Time(0));
    assert_eq!(ledger.wake().len(), 1);
}

#[test]
fn adopted_hosts_have_a_new_epoch_and_the_old_holder_none() {
    let mut ledger = ledger(&[("h1", 1), ("h2", 1)], 0);
    let young = leases(&reserve(&mut ledger, 2, Kind::Overload, &["h1"], 0, 0));
    let (old, leader, named) = (id(1), Member::from("m"), BTreeSet::new());
    let into = Request {
        partition: &old,
        leader: &leader,
        kind: Kind::Overload,
        ask: 8,
        named: &named,
        need: Need::default(),
        all: false,
        most: 0,
    };
    let adopted = ledger.adopt(&id(2), &young, &into, Time(1));
    assert_eq!(adopted.hosts.len(), 1);
    assert_eq!(ledger.adopt(&id(2), &young, &into, Time(2)).hosts, adopted.hosts, "said again");
    assert_eq!(renew(&mut ledger, 2, &young, false, 3).lost, young);
    ledger.release(&id(2), &young);
    assert_eq!(
        ledger.holder(&"h1".into()).map(|held| (&held.partition, &held.leader)),
        Some((&old, &leader))
    );
    // What was not of the young one is not adopted.
    let other = Leases::from([("h2".into(), Epoch { incarnation: 7, number: 1 })]);
    assert!(ledger.adopt(&id(2), &other, &into, Time(3)).hosts.is_empty());
}

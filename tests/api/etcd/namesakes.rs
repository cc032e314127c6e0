//! Coordinators that have the same name by mistake, and one that begins again before its lease has run out.

use super::{Etcd, all_know_each_other};
use crate::ring::Members;
use crate::support::{until, within};
use dvms::coordinator::registry::enter;
use dvms::coordinator::settings::Ring;
use dvms::record::EventKind;
use std::time::{Duration, Instant};

const WEST: &str = "/dvms/members/west";

fn alarms(members: &Members, of: &str) -> Vec<String> {
    let events = members.of(of).events();
    let alarms = events.iter().filter(|event| event.kind == EventKind::Alarm);
    alarms.map(|event| event.message.clone()).collect()
}

/// The settings of one called west.
fn west(etcd: &Etcd, address: &str) -> Ring {
    let mut ring = Ring { name: "west".into(), address: address.into(), ..Ring::default() };
    ring.etcd.endpoints = etcd.endpoints();
    ring.etcd.ttl_s = 2;
    ring
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_coordinator_of_a_name_does_not_begin_and_the_first_stays() {
    let Some(etcd) = Etcd::start(1) else { return };
    let members = Members::told_by(Some(etcd.endpoints())).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    let before = etcd.keys(WEST).await;
    let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    let ring = west(&etcd, "127.0.0.1:1");
    let entering = within("it is refused", enter(&ring, folder.path()));
    let taken = entering.await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(2), "it waits for the lease: {:?}", begun.elapsed());
    assert_eq!((taken.name.as_str(), taken.address), ("west", members.addresses["west"].to_string()));
    assert_eq!(etcd.keys(WEST).await, before);
    assert!(all_know_each_other(&members));
    assert_eq!(alarms(&members, "west"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_entry_is_overwritten_or_deleted_says_so_and_makes_it_again() {
    let Some(etcd) = Etcd::start(1) else { return };
    let members = Members::told_by(Some(etcd.endpoints())).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    let own = etcd.keys(WEST).await;
    // As a coordinator of an older version does.
    etcd.put_for(WEST, r#"{"name":"west","address":"127.0.0.1:1","site":""}"#, 3).await;
    until("west tells of it", async || !alarms(&members, "west").is_empty()).await;
    let told = alarms(&members, "west").remove(0);
    for says in
        ["two coordinators are named \"west\"", "the one at 127.0.0.1:1 has", WEST, "another ring.name"]
    {
        assert!(told.contains(says), "{says} in {told}");
    }
    assert_ne!(etcd.keys(WEST).await, own, "it is not written over while it lives");
    until("it is back when the other one has gone", async || etcd.keys(WEST).await == own).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    assert_eq!(alarms(&members, "west").len(), 1);

    etcd.delete(WEST).await;
    until("it is made again", async || etcd.keys(WEST).await == own).await;
    until("that is told", async || alarms(&members, "west").len() == 2).await;
    assert!(alarms(&members, "west")[0].contains("somebody has deleted"), "{:?}", alarms(&members, "west"));
    until("all know each other", async || all_know_each_other(&members)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_killed_is_back_at_once_and_without_its_disk_after_the_lease() {
    let Some(etcd) = Etcd::start(1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ring = west(&etcd, "127.0.0.1:1");
    until("etcd is there", async || etcd.answers().await).await;
    let first = within("it enters", enter(&ring, folder.path())).await.unwrap();
    until("it has an entry", async || !etcd.keys(WEST).await.is_empty()).await;
    let own = etcd.keys(WEST).await;
    drop(first);
    until("it has left", async || etcd.keys(WEST).await.is_empty()).await;
    // What a killed one leaves behind.
    etcd.put_for(WEST, &own[0].1, 60).await;
    let begun = Instant::now();
    let again = within("it is back", enter(&ring, folder.path())).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(again);
    until("it has left", async || etcd.keys(WEST).await.is_empty()).await;
    etcd.put_for(WEST, &own[0].1, 3).await;
    let (bare, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    let _other = within("it is back", enter(&ring, bare.path())).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert_ne!(etcd.keys(WEST).await, own, "of another state directory");
}

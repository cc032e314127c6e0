//! A member loses etcd alone.

use super::{Etcd, all_know_each_other, apply, is_silence, names, spread};
use crate::ring::{Members, brisk, full_cells, run_agent};
use crate::support::until;
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What goes to etcd through it, until it is cut.
struct Gate {
    address: String,
    open: tokio::sync::watch::Sender<bool>,
}

impl Gate {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, is_open) = tokio::sync::watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let (mut is_open, server) = (is_open.clone(), server.clone());
                if !*is_open.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(mut outer) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_etcd_alone_stays_a_member_and_hears_of_those_that_come() {
    let Some(etcd) = Etcd::start(1) else { return };
    let gate = Gate::to(etcd.endpoints()[0].clone()).await;
    let etcd_of = BTreeMap::from([("west".to_owned(), gate.address.clone())]);
    let all = ["east", "north", "west"];
    let mut members = Members::with(&all, Some(etcd.endpoints()), etcd_of, brisk).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());

    gate.open.send_replace(false);
    until("others vouch for it", async || {
        let mut keys: Vec<String> = etcd.keys("/dvms/seen/").await.into_iter().map(|(key, _)| key).collect();
        keys.sort();
        keys == ["/dvms/seen/west/east", "/dvms/seen/west/north"]
    })
    .await;
    assert_eq!(etcd.keys("/dvms/members/west").await, []);
    // For longer than the lease of its own entry.
    for _ in 0..40 {
        assert!(all_know_each_other(&members), "it was never gone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Its cell takes part, and so does a member that comes now: each of the two hears of the other.
    members.join("south").await;
    until("who comes knows it", async || names(&members, "south") == all).await;
    until("it knows who comes", async || names(&members, "west") == ["east", "north", "south"]).await;
    for (host, member) in full_cells(&world) {
        run_agent(&world, &members, host, member, &stop);
    }
    until("the overload of e1 is solved with w1", async || {
        members.of("west").vms().iter().any(|vm| vm.host == "w1" && vm.name != "v6")
    })
    .await;
    // It can change no rules, and says that it does not hear of them.
    let refused = apply(&members, "west", &spread("one", &["v1", "v2"])).await.unwrap_err();
    assert!(is_silence(&refused), "{refused:?}");
    let newest = apply(&members, "east", &spread("one", &["v1", "v6"])).await.unwrap().revision;
    let ring = members.get_ring("north").await;
    let west = ring.members.iter().find(|member| member.name == "west").unwrap();
    assert!(west.rules_revision < newest && !west.etcd_silent.is_empty(), "{west:?}");

    gate.open.send_replace(true);
    until("it is there by itself again", async || {
        etcd.keys("/dvms/seen/").await.is_empty() && etcd.keys("/dvms/members/west").await.len() == 1
    })
    .await;
    until("it has the rules", async || members.of("west").policies().kept.revision == newest).await;
    assert_eq!(names(&members, "west"), ["east", "north", "south"]);
    members.stop("west").await;
    until("it leaves in order", async || names(&members, "east") == ["north", "south"]).await;
    stop.cancel();
}

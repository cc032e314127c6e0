use super::{Etcd, all_know_each_other, names};
use crate::ring::{Members, full_cells, run_agent};
use crate::support::until;
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_and_nothing_else_waits_for_etcd() {
    let Some(mut etcd) = Etcd::start(1) else { return };
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    let hosts = full_cells(&world);
    let mut members = Members::told_by(Some(etcd.endpoints())).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    // One that leaves in order, or dies, is none of them any more.
    members.stop("north").await;
    until("it is gone", async || members.of("east").ring().others.len() == 1).await;
    members.start_again("north").await;
    until("it is back", async || names(&members, "east") == ["north", "west"]).await;

    // Without etcd all goes on: also a member that begins anew takes part.
    etcd.stop(0);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    members.stop("north").await;
    members.start_again("north").await;
    until("it takes part", async || names(&members, "north") == ["east", "west"]).await;
    for (host, member) in hosts {
        run_agent(&world, &members, host, member, &stop);
    }
    until("the overload of e1 is solved with w1", async || {
        members.of("west").vms().iter().any(|vm| vm.host == "w1" && vm.name != "v6")
    })
    .await;
    assert_eq!(members.of("east").ring().others.len(), 2);

    // When it is there again, so are they.
    etcd.run(0);
    members.stop("west").await;
    until("who leaves is gone", async || members.of("east").ring().others.len() == 1).await;
    members.stop("north").await;
    until("it knows that it is alone", async || members.of("east").ring().others.is_empty()).await;
    stop.cancel();
}

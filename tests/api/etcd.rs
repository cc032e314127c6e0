//! Members that are told of each other by a real etcd.

use crate::ring::{Members, full_cells, run_agent};
use crate::support::until;
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tokio_util::sync::CancellationToken;

/// An etcd of its own on loopback; it ends with the test.
struct Etcd {
    folder: tempfile::TempDir,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Etcd {
    /// `None`, said loudly, where there is no etcd and none is required.
    fn start() -> Option<Self> {
        if Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        {
            assert!(
                std::env::var_os("DVMS_REQUIRE_TESTBED").is_none(),
                "etcd is missing: scripts/setup.sh test installs it"
            );
            eprintln!("SKIPPED: there is no etcd here (scripts/setup.sh test installs it)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut etcd = Self { folder, client: free_port(), peer: free_port(), process: None };
        etcd.run();
        Some(etcd)
    }

    fn run(&mut self) {
        let (client, peer) =
            (format!("http://127.0.0.1:{}", self.client), format!("http://127.0.0.1:{}", self.peer));
        let data = self.folder.path().join("data");
        let child = Command::new("etcd")
            .arg("--data-dir")
            .arg(data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn names(members: &Members, of: &str) -> Vec<String> {
    let ring = members.of(of).ring();
    let mut names: Vec<String> =
        ring.others.iter().filter(|other| other.up).map(|other| other.name.clone()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_and_nothing_else_waits_for_etcd() {
    let Some(mut etcd) = Etcd::start() else { return };
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    let hosts = full_cells(&world);
    let mut members = Members::told_by(Some(format!("127.0.0.1:{}", etcd.client))).await;
    until("all know each other", async || {
        names(&members, "east") == ["north", "west"]
            && names(&members, "north") == ["east", "west"]
            && names(&members, "west") == ["east", "north"]
    })
    .await;
    // One that leaves in order, or dies, is none of them any more.
    members.stop("north").await;
    until("it is gone", async || members.of("east").ring().others.len() == 1).await;
    members.start_again("north").await;
    until("it is back", async || names(&members, "east") == ["north", "west"]).await;

    // Without etcd all goes on: also a member that begins anew takes part.
    etcd.stop();
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
    etcd.run();
    members.stop("west").await;
    until("who leaves is gone", async || members.of("east").ring().others.len() == 1).await;
    members.stop("north").await;
    until("it knows that it is alone", async || members.of("east").ring().others.is_empty()).await;
    stop.cancel();
}

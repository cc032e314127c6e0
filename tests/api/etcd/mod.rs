//! Members of a ring with a real etcd.

mod alone;
mod kept;
mod members;
mod namesakes;
mod outages;

use crate::ring::Members;
use crate::support::failure;
use dvms::api::convert::constraint_to_wire;
use dvms_proto::v1 as pb;
use dvms_solver::file::{Body, Constraint, Vms};
use pb::policy_service_client::PolicyServiceClient;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tonic::{Code, Status};

/// Servers of etcd on loopback; they end with the test.
struct Etcd {
    folder: tempfile::TempDir,
    servers: Vec<Server>,
}

struct Server {
    client: u16,
    peer: u16,
    process: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Etcd {
    /// `None`, said loudly, where there is no etcd and none is required.
    fn start(count: usize) -> Option<Self> {
        if Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        {
            assert!(
                std::env::var_os("DVMS_REQUIRE_TESTBED").is_none(),
                "etcd is missing: scripts/setup.sh test installs it"
            );
            eprintln!("SKIPPED: there is no etcd here (scripts/setup.sh test installs it)");
            return None;
        }
        let server = |_| Server { client: free_port(), peer: free_port(), process: None };
        let mut etcd =
            Self { folder: tempfile::tempdir().unwrap(), servers: (0..count).map(server).collect() };
        (0..count).for_each(|i| etcd.run(i));
        Some(etcd)
    }

    /// Starts one, with what it had.
    fn run(&mut self, i: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let all: Vec<String> = (self.servers.iter().enumerate())
            .map(|(i, server)| format!("server{i}={}", url(server.peer)))
            .collect();
        let server = &mut self.servers[i];
        let child = Command::new("etcd")
            .args(["--name", &format!("server{i}"), "--data-dir"])
            .arg(self.folder.path().join(format!("server{i}")))
            .args([
                "--listen-client-urls",
                &url(server.client),
                "--advertise-client-urls",
                &url(server.client),
            ])
            .args([
                "--listen-peer-urls",
                &url(server.peer),
                "--initial-advertise-peer-urls",
                &url(server.peer),
            ])
            .args(["--initial-cluster", &all.join(",")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        server.process = Some(child);
    }

    /// Kills one.
    fn stop(&mut self, i: usize) {
        if let Some(mut process) = self.servers[i].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn endpoints(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("127.0.0.1:{}", server.client)).collect()
    }

    /// Whether it can be asked.
    async fn answers(&self) -> bool {
        let asked = async {
            let mut client = etcd_client::Client::connect(self.endpoints(), None).await?;
            client.get("/", None).await
        };
        Box::pin(asked).await.is_ok()
    }

    /// All keys below one, with their values.
    async fn keys(&self, below: &str) -> Vec<(String, String)> {
        let mut client = etcd_client::Client::connect(self.endpoints(), None).await.unwrap();
        let all = etcd_client::GetOptions::new().with_prefix();
        let found = client.get(below, Some(all)).await.unwrap();
        let text = |kv: &etcd_client::KeyValue| {
            (kv.key_str().unwrap().to_owned(), kv.value_str().unwrap().to_owned())
        };
        found.kvs().iter().map(text).collect()
    }

    /// Writes past all coordinators.
    async fn put(&self, key: &str, value: &str) {
        let mut client = etcd_client::Client::connect(self.endpoints(), None).await.unwrap();
        client.put(key, value, None).await.unwrap();
    }

    /// The same with a lease of so many seconds that nobody prolongs.
    async fn put_for(&self, key: &str, value: &str, seconds: i64) {
        let mut client = etcd_client::Client::connect(self.endpoints(), None).await.unwrap();
        let lease = client.lease_grant(seconds, None).await.unwrap().id();
        let options = etcd_client::PutOptions::new().with_lease(lease);
        client.put(key, value, Some(options)).await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let mut client = etcd_client::Client::connect(self.endpoints(), None).await.unwrap();
        client.delete(key, None).await.unwrap();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.servers.len()).for_each(|i| self.stop(i));
    }
}

/// Other members that a member reaches.
fn names(members: &Members, of: &str) -> Vec<String> {
    let ring = members.of(of).ring();
    let mut names: Vec<String> =
        ring.others.iter().filter(|other| other.up).map(|other| other.name.clone()).collect();
    names.sort();
    names
}

fn all_know_each_other(members: &Members) -> bool {
    names(members, "east") == ["north", "west"]
        && names(members, "north") == ["east", "west"]
        && names(members, "west") == ["east", "north"]
}

/// VMs that are not to be on one host.
fn spread(name: &str, vms: &[&str]) -> Constraint {
    let vms = Vms { vms: vms.iter().map(|vm| (*vm).to_owned()).collect(), ..Vms::default() };
    let body = Some(Body::Spread { vms, scope: None, max: None });
    Constraint { name: name.into(), soft_weight: None, continuous: false, body }
}

async fn apply(members: &Members, at: &str, rule: &Constraint) -> Result<pb::Policies, Status> {
    let mut client = PolicyServiceClient::new(members.channel(at).await);
    let request = pb::ApplyPoliciesRequest { rules: vec![constraint_to_wire(rule)] };
    Ok(client.apply_policies(request).await?.into_inner())
}

async fn delete(members: &Members, at: &str, name: &str) -> Result<pb::Policies, Status> {
    let mut client = PolicyServiceClient::new(members.channel(at).await);
    Ok(client.delete_policy(pb::DeletePolicyRequest { name: name.into() }).await?.into_inner())
}

fn is_silence(refused: &Status) -> bool {
    let (code, reason, _) = failure(refused);
    (code, reason.as_str()) == (Code::Unavailable, "ETCD_SILENT")
        && refused.message().contains("rules in force stay")
}

fn revisions(members: &Members) -> Vec<u64> {
    members.running.keys().map(|name| members.of(name).policies().kept.revision).collect()
}

/// Whether all members have the same rules in force, of this revision.
fn all_have(members: &Members, revision: u64) -> bool {
    revisions(members).iter().all(|of| *of == revision)
}

//! Three coordinators that etcd tells of each other, six hypervisors: one coordinator dies while it moves a guest from its
//! own cell to another.

use crate::cluster::{CROWDED, Cluster};
use serde_json::Value;

const ADDRESS: &str = "10.77.0.254";
const MEMBERS: [(&str, u16); 3] = [("east", 7600), ("north", 7610), ("west", 7620)];

fn server(member: usize) -> String {
    format!("{ADDRESS}:{}", MEMBERS[member].1)
}

fn settings(member: usize) -> String {
    let (name, address) = (MEMBERS[member].0, server(member));
    format!(
        "{CROWDED}[ring]\nname = \"{name}\"\naddress = \"{address}\"\nsite = \"lab\"\n\
         [ring.etcd]\nendpoints = [\"{ADDRESS}:2379\"]\nttl_s = 5\n"
    )
}

fn start_etcd(cluster: &Cluster) {
    let (client, peer) = (format!("http://{ADDRESS}:2379"), format!("http://{ADDRESS}:2380"));
    let data = cluster.bed.path().join("etcd");
    let initial = format!("default={peer}");
    let args = [
        "--data-dir",
        data.to_str().unwrap(),
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &initial,
    ];
    cluster.start("etcd", "etcd", &args);
}

fn members(cluster: &Cluster) -> Vec<Value> {
    cluster.json(&["ring"])["members"].as_array().cloned().unwrap_or_default()
}

fn reachable(cluster: &Cluster) -> usize {
    members(cluster).iter().filter(|member| member["reachable"] == true).count()
}

/// Hosts of the cell of a coordinator, by the numbers of hypervisors.
fn cell_of(member: usize) -> [usize; 2] {
    [2 * member + 1, 2 * member + 2]
}

#[test]
fn a_coordinator_is_killed_while_it_moves_a_guest_to_the_cell_of_another() {
    let Some(cluster) = Cluster::boot(6) else { return };
    for guest in ["big1", "big2"] {
        cluster.guest(1, guest, 64, "c=1 d=48 r=1");
    }
    for host in [3, 5] {
        cluster.guest(host, &format!("small{host}"), 32, "c=1 d=8 r=1");
    }
    start_etcd(&cluster);
    for (member, (name, _)) in MEMBERS.iter().enumerate() {
        cluster.start_member(name, &server(member), &settings(member));
    }
    cluster.wait("all coordinators know each other", 30, |cluster| reachable(cluster) == 3);
    for member in 0..3 {
        let servers: Vec<String> = (0..3).map(|i| server((member + i) % 3)).collect();
        for host in cell_of(member) {
            cluster.start_agent_of(&servers, host, 5.0, "");
        }
    }
    // Whoever is asked.
    cluster.wait_until_known();

    // The cell of east has no room: hv2 takes no guests.
    cluster.run(&["cordon", "hv2"]);
    for guest in ["big1", "big2"] {
        cluster.load(guest, 30);
    }
    cluster.wait("a guest is on its way to another cell", 60, |cluster| {
        let vms = cluster.json(&["vms"]);
        let elsewhere = |vm: &Value| {
            let to = vm["migrating_to"].as_str().unwrap_or_default();
            vm["state"] == "MIGRATING_OUT" && !["", "hv1", "hv2"].contains(&to)
        };
        vms.as_array().unwrap().iter().any(elsewhere)
    });
    let leads = |cluster: &Cluster, stage: &str| {
        let led = |member: &Value| member["partitions"].as_array().cloned().unwrap_or_default();
        let all: Vec<Value> = members(cluster).iter().flat_map(led).collect();
        all.iter().filter(|partition| stage.is_empty() || partition["stage"] == stage).count()
    };
    assert_eq!(leads(&cluster, "EXECUTING"), 1, "{}", cluster.story());
    cluster.kill("east");

    // Its agents go to another one, and the guest arrives.
    cluster.speak_with(&server(1));
    cluster.wait("all hosts have a coordinator", 30, |cluster| {
        let hosts = cluster.json(&["hosts"]);
        hosts.as_array().unwrap().iter().filter(|host| host["connection"] == "CONNECTED").count() == 6
    });
    cluster.wait("one of the two has arrived", 60, |cluster| {
        let homes = ["big1", "big2"].map(|guest| cluster.home(guest));
        homes.iter().filter(|home| *home == "hv1").count() == 1
    });
    assert_eq!(
        cluster.json(&["hosts", "hv2"])["state"],
        "CORDONED",
        "what operators want goes with the host"
    );
    cluster.wait("nothing is reserved any more", 60, |cluster| {
        let hosts = cluster.json(&["hosts"]);
        let free = |host: &Value| host["partition"].as_str().unwrap_or_default().is_empty();
        hosts.as_array().unwrap().iter().all(free) && leads(cluster, "") == 0
    });

    // It comes back, and its plan is over.
    cluster.start_member("east", &server(0), &settings(0));
    cluster.wait("all coordinators know each other again", 30, |cluster| reachable(cluster) == 3);
    cluster.wait("its plan is over", 90, |cluster| {
        let plans = cluster.json(&["plans", "list", "--last", "0"]);
        let over = |plan: &Value| {
            !["EXECUTING", "SOLVING", "QUEUED"].contains(&plan["state"].as_str().unwrap_or(""))
        };
        plans.as_array().unwrap().iter().all(over)
    });
    cluster.judge();
}

//! A guest that writes to its memory faster than it is sent.

use crate::cluster::{BRISK, Cluster};
use std::time::Duration;

const SETTINGS: &str = "[execution]\nauto_converge = false\n";

/// Two hosts with 20 MiB/s, and a guest that writes 48 MiB of its memory twice a second.
fn cluster(more: &str) -> Option<Cluster> {
    let cluster = Cluster::boot(2)?;
    cluster.guest(1, "fast", 64, "c=2 d=48 r=200");
    cluster.serve(&format!("{BRISK}{SETTINGS}{more}"));
    for host in 1..=2 {
        cluster.start_agent_with(host, 20.0, "dirty_rate_interval_s = 2\n");
    }
    cluster.wait_until_known();
    // Until it is measured how fast it writes.
    std::thread::sleep(Duration::from_secs(8));
    Some(cluster)
}

#[test]
fn a_guest_that_writes_faster_than_is_sent_stays_and_is_named() {
    let Some(cluster) = cluster("") else { return };
    cluster.dvms(&["drain", "hv1"]);
    cluster.wait("the drain is blocked", 30, |cluster| {
        cluster.plans().iter().any(|plan| plan["state"] == "BLOCKED")
    });
    let plans = cluster.plans();
    let message = plans[0]["message"].as_str().unwrap();
    assert!(message.contains("faster than it would be sent: fast ("), "{message}\n{}", cluster.story());
    assert_eq!(cluster.bed.hosts_of("fast"), [1], "{}", cluster.story());
    cluster.run(&["undrain", "hv1"]);
}

#[test]
fn a_guest_that_writes_faster_than_is_sent_is_fetched_where_that_is_allowed() {
    let Some(cluster) = cluster("[migration]\npost_copy = \"when_needed\"\n") else { return };
    cluster.run(&["drain", "hv1", "--wait"]);
    assert_eq!(cluster.bed.hosts_of("fast"), [2], "{}", cluster.story());
    let plans = cluster.plans();
    let action = &plans[0]["actions"][0];
    assert_eq!(action["forecast"]["mode"], "POST_COPY", "{action}");
    println!("forecast {} outcome {}", action["forecast"], action["outcome"]);
    assert_eq!(action["state"], "DONE", "{}", cluster.story());
    cluster.run(&["undrain", "hv1"]);
    cluster.judge();
}

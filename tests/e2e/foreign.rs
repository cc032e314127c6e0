//! Others move VMs too.

use crate::cluster::Cluster;

#[test]
fn the_inventory_follows_what_virsh_does() {
    let Some(cluster) = Cluster::boot(3) else { return };
    cluster.guest(1, "wanderer", 32, "c=2 d=8 r=1");
    cluster.serve("[detection]\nhold_s = 1\nunderload = 0\n");
    cluster.attach();
    assert_eq!(cluster.home("wanderer"), "hv1");
    let uri = cluster.bed.peer_uri(3);
    let moved = cluster.bed.virsh(1, &["migrate", "wanderer", &uri, "--live", "--p2p"]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    cluster.wait("the inventory has followed", 15, |cluster| cluster.home("wanderer") == "hv3");
    cluster.wait("somebody was told", 15, |cluster| {
        let about =
            |event: &serde_json::Value| event["kind"] == "FOREIGN_CHANGE" && event["vm"] == "wanderer";
        cluster.events().iter().any(about)
    });
    // And dvms goes on from there.
    cluster.run(&["drain", "hv3", "--wait"]);
    assert!(cluster.domains(3).is_empty());
    cluster.judge();
}

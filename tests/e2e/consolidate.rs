//! Idle hosts are emptied.

use crate::cluster::Cluster;
use std::time::SystemTime;

#[test]
fn an_idle_cluster_is_consolidated() {
    let Some(cluster) = Cluster::boot(3) else { return };
    for i in 0..12 {
        cluster.guest(i % 3 + 1, &format!("g{i}"), 32, "c=0 d=8 r=0");
    }
    cluster.serve(
        "[inventory]\nsmoothing_s = 2\n[detection]\nunderload = 0.3\nunderload_hold_s = 5\ncool_down_s = 5\n",
    );
    let begin = SystemTime::now();
    cluster.attach();
    cluster.wait("two of three hosts are empty", 120, |cluster| {
        (1..=3).filter(|host| cluster.domains(*host).is_empty()).count() == 2
    });
    cluster.wait("the plans have ended", 30, |cluster| {
        let running = cluster.json(&["plans", "list", "--filter", "state = EXECUTING"]);
        running.as_array().unwrap().is_empty()
    });
    cluster.print_figures("consolidation", begin);
    cluster.judge();
}

//! An overloaded host is repaired.

use crate::cluster::{CROWDED, Cluster};
use std::time::SystemTime;

#[test]
fn an_overloaded_host_is_repaired() {
    let Some(cluster) = Cluster::boot(3) else { return };
    for i in 0..12 {
        cluster.guest(i % 3 + 1, &format!("g{i}"), 32, "c=1 d=8 r=1");
    }
    cluster.serve(CROWDED);
    cluster.attach();
    let overloaded = |cluster: &Cluster| {
        let hosts = cluster.json(&["hosts"]);
        let conditions = |host: &serde_json::Value| host["conditions"].to_string().contains("OVERLOAD");
        hosts.as_array().unwrap().iter().any(conditions)
    };
    assert!(!overloaded(&cluster), "before anything was done\n{}", cluster.story());

    // g0, g3, g6 and g9 are on hv1.
    let begin = SystemTime::now();
    for guest in ["g0", "g3", "g6"] {
        cluster.load(guest, 30);
    }
    cluster.wait("a plan for the overload has succeeded", 60, |cluster| {
        let plans = cluster.json(&["plans", "list", "--filter", "trigger = OVERLOAD AND state = SUCCEEDED"]);
        plans.as_array().unwrap().iter().any(|plan| !plan["actions"].is_null())
    });
    cluster.wait("the overload is over", 60, |cluster| !overloaded(cluster));
    assert!(cluster.count("hv1") < 4, "a guest has left hv1\n{}", cluster.story());
    for plan in cluster.plans() {
        for action in plan["plan"]["actions"].as_array().into_iter().flatten() {
            assert!(action["because"].as_str().is_some_and(|why| !why.is_empty()), "{action}");
        }
    }
    cluster.print_figures("overload", begin);
    cluster.judge();
}

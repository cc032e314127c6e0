//! Agents and coordinators that die in the middle.

use crate::cluster::Cluster;

const SETTINGS: &str = "
[detection]
hold_s = 1
cool_down_s = 2
underload = 0
";

#[test]
fn an_agent_killed_in_mid_migration_adopts_it() {
    let Some(cluster) = Cluster::boot(3) else { return };
    cluster.guest(1, "slow", 64, "c=2 d=48 r=1");
    cluster.serve(SETTINGS);
    for host in 1..=3 {
        cluster.start_agent(host, 5.0);
    }
    cluster.wait_until_known();
    cluster.run(&["drain", "hv1"]);
    cluster.wait("the migration is under way", 30, |cluster| {
        cluster.json(&["vms", "slow"])["state"] == "MIGRATING_OUT"
    });
    cluster.kill_agent(1);
    cluster.wait("the coordinator has noticed", 20, |cluster| {
        cluster.json(&["hosts", "hv1"])["connection"] == "LOST"
    });
    cluster.start_agent(1, 5.0);
    cluster.wait("the plan has succeeded", 60, |cluster| {
        let plans = cluster.json(&["plans", "list", "--filter", "state = SUCCEEDED"]);
        !plans.as_array().unwrap().is_empty()
    });
    let plans = cluster.plans();
    assert_eq!(plans.len(), 1, "the migration was adopted, not repeated\n{}", cluster.story());
    assert_eq!(plans[0]["actions"][0]["state"], "DONE", "{}", plans[0]);
    assert_ne!(cluster.home("slow"), "hv1");
    assert!(cluster.domains(1).is_empty());
    cluster.judge();
}

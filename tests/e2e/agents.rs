//! Agents, coordinators and hosts that die in the middle.

use crate::cluster::{BRISK, Cluster};

#[test]
fn an_agent_killed_in_mid_migration_adopts_it() {
    let make = |cluster: &Cluster| cluster.guest(1, "slow", 64, "c=2 d=48 r=1");
    let Some(cluster) = Cluster::in_mid_migration(3, BRISK, make) else { return };
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

#[test]
fn a_coordinator_killed_in_mid_migration_adopts_it() {
    let make = |cluster: &Cluster| {
        cluster.persistent_guest(1, "slow", 64, "c=2 d=48 r=1");
        assert!(cluster.bed.virsh(1, &["autostart", "slow"]).status.success());
    };
    let Some(cluster) = Cluster::in_mid_migration(3, BRISK, make) else { return };
    cluster.kill_coordinator();
    cluster.start_coordinator();
    cluster.wait("the plan has succeeded", 60, |cluster| {
        let plans = cluster.json(&["plans", "list", "--filter", "state = SUCCEEDED"]);
        !plans.as_array().unwrap().is_empty()
    });
    let plans = cluster.plans();
    assert_eq!(plans.len(), 1, "the migration was adopted, not repeated\n{}", cluster.story());
    assert_eq!(cluster.json(&["hosts", "hv1"])["state"], "DRAINING", "what the operator wants is remembered");
    let home: usize = cluster.home("slow").trim_start_matches("hv").parse().unwrap();
    // What is defined on a host and starts with it, is and does so where it has gone.
    let info = cluster.bed.virsh(home, &["dominfo", "slow"]);
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    let says = |field: &str, value: &str| {
        info.lines().any(|line| line.starts_with(field) && line.trim_end().ends_with(value))
    };
    assert!(says("Persistent:", "yes") && says("Autostart:", "enable"), "{info}");
    assert!(cluster.domains(1).is_empty(), "no definition is left behind: {:?}", cluster.domains(1));
    cluster.judge();
}

#[test]
fn the_vms_of_a_host_that_dies_are_started_elsewhere_after_approval() {
    let Some(cluster) = Cluster::boot(3) else { return };
    cluster.persistent_guest(1, "phoenix", 32, "c=2 d=8 r=1");
    cluster.guest(2, "bystander", 32, "c=2 d=8 r=1");
    cluster.serve(&format!("{BRISK}[inventory]\nlost_after_s = 3\nfailed_after_s = 6\n"));
    cluster.attach();
    cluster.bed.run(&["crash", "1"]);
    let mut proposed = String::new();
    cluster.wait("a restart is proposed", 60, |cluster| {
        let plans = cluster.json(&["plans", "list", "--filter", "state = PROPOSED"]);
        proposed = plans[0]["id"].as_str().unwrap_or_default().to_owned();
        !proposed.is_empty()
    });
    assert_eq!(cluster.bed.hosts_of("phoenix"), [0usize; 0], "nothing is started without approval");
    cluster.restarted("phoenix");
    cluster.run(&["plans", "approve", &proposed, "--wait"]);
    assert_eq!(cluster.bed.hosts_of("phoenix").len(), 1, "{}", cluster.story());
    let home = cluster.home("phoenix");
    // The dead host comes back, with its old definition of the VM. It must not run twice.
    cluster.bed.run(&["boot", "1"]);
    cluster.start_agent(1, 20.0);
    cluster
        .wait("the host is back", 30, |cluster| cluster.json(&["hosts", "hv1"])["connection"] == "CONNECTED");
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(cluster.bed.hosts_of("phoenix").len(), 1, "{}", cluster.story());
    assert_eq!(cluster.home("phoenix"), home, "{}", cluster.story());
    cluster.judge();
}

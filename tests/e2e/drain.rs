//! A host is drained, also when the way there is hard.

use crate::cluster::{BRISK, Cluster};
use std::time::SystemTime;

const SETTINGS: &str = "[execution]\nvm_cool_down_s = 2\n";

#[test]
fn a_host_is_drained() {
    let Some(cluster) = Cluster::boot(3) else { return };
    for i in 0..12 {
        cluster.guest(i % 3 + 1, &format!("g{i}"), 32, "c=2 d=8 r=1");
    }
    cluster.serve(&format!("{BRISK}{SETTINGS}"));
    cluster.attach();
    let begin = SystemTime::now();
    cluster.run(&["drain", "hv1", "--wait"]);
    println!("drain of 4 guests: {:.2} s", begin.elapsed().unwrap().as_secs_f64());
    assert!(cluster.domains(1).is_empty(), "{:?}\n{}", cluster.domains(1), cluster.story());
    assert_eq!(cluster.domains(2).len() + cluster.domains(3).len(), 12);
    cluster.run(&["undrain", "hv1"]);
    cluster.print_figures("drain", begin);
    cluster.judge();
}

#[test]
fn a_destination_whose_libvirtd_hangs_delays_and_harms_nobody() {
    let make = |cluster: &Cluster| cluster.guest(1, "slow", 64, "c=2 d=48 r=1");
    let settings = format!("{BRISK}{SETTINGS}");
    let Some(cluster) = Cluster::in_mid_migration(3, &settings, make) else { return };
    let towards = cluster.json(&["vms", "slow"])["migrating_to"].as_str().unwrap().to_owned();
    let hung: usize = towards.trim_start_matches("hv").parse().unwrap();
    cluster.bed.run(&["libvirtd", &hung.to_string(), "hang"]);
    // Nobody can tell whether the guest has arrived: it counts at both ends, and nothing else is done with it.
    cluster.wait("the migration is uncertain", 60, |cluster| {
        cluster.plans().iter().any(|plan| plan["actions"][0]["state"] == "UNCERTAIN")
    });
    assert_eq!(cluster.plans().len(), 1, "{}", cluster.story());
    assert!(cluster.domains(5 - hung).is_empty(), "{}", cluster.story());
    let running = |host: usize| cluster.bed.hosts_of("slow").contains(&host);
    assert!(running(1), "{}", cluster.story());
    cluster.bed.run(&["libvirtd", &hung.to_string(), "resume"]);
    cluster.wait("the hung host is connected again", 60, |cluster| {
        cluster.json(&["hosts", &towards])["connection"] == "CONNECTED"
    });
    cluster.wait("the host is drained after all", 90, |cluster| {
        cluster.domains(1).is_empty() && cluster.home("slow") != "hv1"
    });
    cluster.wait("the plans have ended", 30, |cluster| {
        cluster.json(&["plans", "list", "--filter", "state = EXECUTING"]).as_array().unwrap().is_empty()
    });
    cluster.judge();
}

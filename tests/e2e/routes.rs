//! Ways that real guests take: a chain, a circle, many at once under a cap, and one that is broken off.

use crate::cluster::{BRISK, Cluster};
use crate::rules::{fence, migrations};
use std::collections::BTreeSet;
use std::time::SystemTime;

const SETTINGS: &str = "[execution]\nvm_cool_down_s = 2\n";

/// Guests with the hosts where they are and where they are to be. Hosts of `full` have room for one of them.
fn sent(hosts: usize, full: &[usize], guests: &[(&str, usize, usize)]) -> Option<Cluster> {
    let cluster = Cluster::boot(hosts)?;
    for (name, from, _) in guests {
        cluster.guest(*from, name, 48, "c=2 d=24 r=1");
    }
    for host in full {
        cluster.bed.run(&["mem", &host.to_string(), &(80 * 1024).to_string()]);
    }
    let rules: String = guests.iter().map(|(name, _, to)| fence(name, &format!("hv{to}"))).collect();
    cluster.serve(&format!("{BRISK}{SETTINGS}[inventory]\nmemory_reserve = 0.0\n{rules}"));
    let begin = SystemTime::now();
    cluster.attach();
    cluster.wait("all guests are where they are to be", 120, |cluster| {
        guests.iter().all(|(name, _, to)| cluster.home(name) == format!("hv{to}"))
    });
    cluster.wait("the plans have ended", 20, |cluster| migrations(cluster) >= guests.len());
    cluster.print_figures("route", begin);
    cluster.print_forecasts("route");
    Some(cluster)
}

/// Each has to wait until the next one has made room.
#[test]
fn a_chain_of_full_hosts_begins_at_its_end() {
    let guests = [("first", 1, 2), ("second", 2, 3), ("third", 3, 4)];
    let Some(cluster) = sent(4, &[1, 2, 3, 4], &guests) else { return };
    assert_eq!(migrations(&cluster), 3, "nobody makes a detour\n{}", cluster.story());
    // All in one plan, unless the first was made before all hosts were known.
    let plans = cluster.plans();
    let carried_out = plans.iter().filter(|plan| plan["state"] == "SUCCEEDED");
    let order: Vec<&str> = carried_out
        .flat_map(|plan| plan["plan"]["actions"].as_array().into_iter().flatten())
        .map(|action| action["vm"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["third", "second", "first"]);
    cluster.judge();
}

/// Nobody can begin, so one of them steps aside.
#[test]
fn a_circle_of_three_full_hosts_goes_through_a_fourth() {
    let guests = [("east", 1, 2), ("south", 2, 3), ("west", 3, 1)];
    let Some(cluster) = sent(4, &[1, 2, 3], &guests) else { return };
    assert_eq!(migrations(&cluster), 4, "one of them goes through hv4\n{}", cluster.story());
    cluster.judge();
}

/// Six hosts with 8 MiB/s each, and 24 for all: three at once.
#[test]
fn six_guests_go_round_under_a_cap() {
    let Some(cluster) = Cluster::boot(6) else { return };
    let names: Vec<String> = (1..=6).map(|i| format!("g{i}")).collect();
    for (i, name) in (1..).zip(&names) {
        cluster.guest(i, name, 48, "c=2 d=24 r=1");
    }
    let to = |i: usize| format!("hv{}", i % 6 + 1);
    let rules: String = (1..).zip(&names).map(|(i, name)| fence(name, &to(i))).collect();
    cluster.serve(&format!("{BRISK}{SETTINGS}bandwidth_mib_s = 24.0\n{rules}"));
    let begin = SystemTime::now();
    for host in 1..=6 {
        cluster.start_agent(host, 8.0);
    }
    cluster.wait_until_known();
    let (mut most, mut moved) = (0, BTreeSet::new());
    cluster.wait("all guests are one host further", 120, |cluster| {
        let vms = cluster.json(&["vms"]);
        let under_way = |vm: &&serde_json::Value| vm["state"] == "MIGRATING_OUT";
        let now: Vec<_> = vms.as_array().unwrap().iter().filter(under_way).collect();
        most = most.max(now.len());
        moved.extend(now.iter().map(|vm| vm["name"].as_str().unwrap_or_default().to_owned()));
        (1..).zip(&names).all(|(i, name)| cluster.home(name) == to(i))
    });
    println!("cap: at most {most} at once, {} of 6 seen under way", moved.len());
    assert!((2..=3).contains(&most), "{most} at once\n{}", cluster.story());
    cluster.wait("the plans have ended", 20, |cluster| migrations(cluster) >= 6);
    assert_eq!(migrations(&cluster), 6, "{}", cluster.story());
    cluster.print_figures("cap", begin);
    cluster.print_forecasts("cap");
    cluster.judge();
}

/// The guest stays where it was, and can be sent again.
#[test]
fn a_migration_that_is_broken_off_leaves_its_guest_where_it_was() {
    let make = |cluster: &Cluster| cluster.guest(1, "slow", 64, "c=2 d=48 r=1");
    let settings = format!("{BRISK}{SETTINGS}");
    let Some(cluster) = Cluster::in_mid_migration(2, &settings, make) else { return };
    let plan = cluster.plans()[0]["id"].as_str().unwrap().to_owned();
    cluster.run(&["undrain", "hv1"]);
    cluster.run(&["plans", "cancel", &plan, "--reason", "a test"]);
    cluster.wait("the plan is cancelled", 30, |cluster| {
        cluster.json(&["plans", "show", &plan])["state"] == "CANCELLED"
    });
    assert_eq!(cluster.bed.hosts_of("slow"), [1], "{}", cluster.story());
    assert_eq!(cluster.home("slow"), "hv1", "{}", cluster.story());
    // Nothing is held any more.
    cluster.run(&["drain", "hv1", "--wait"]);
    assert_eq!(cluster.bed.hosts_of("slow"), [2], "{}", cluster.story());
    cluster.run(&["undrain", "hv1"]);
    cluster.judge();
}

//! Rules hold at the end, and continuous ones at every instant.

use crate::cluster::{BRISK, Cluster};

/// A rule that a guest is to run on a host.
pub(crate) fn fence(vm: &str, host: &str) -> String {
    format!(
        "[[constraints]]\nname = \"{vm}-on-{host}\"\nfence = {{ vms = [\"{vm}\"], hosts = [\"{host}\"] }}\n"
    )
}

/// Actions of the plans that have succeeded.
pub(crate) fn migrations(cluster: &Cluster) -> usize {
    let plans = cluster.plans();
    let actions = plans.iter().filter(|plan| plan["state"] == "SUCCEEDED");
    actions.map(|plan| plan["plan"]["actions"].as_array().map_or(0, Vec::len)).sum()
}

/// Two hosts have room for one guest each, and each has the guest of the other.
#[test]
fn a_swap_of_two_full_hosts_goes_through_a_third() {
    let Some(cluster) = Cluster::boot(3) else { return };
    cluster.guest(1, "left", 48, "c=2 d=8 r=1");
    cluster.guest(2, "right", 48, "c=2 d=8 r=1");
    for host in [1, 2] {
        cluster.bed.run(&["mem", &host.to_string(), &(80 * 1024).to_string()]);
    }
    let rules = [fence("left", "hv2"), fence("right", "hv1")].concat();
    cluster.serve(&format!("{BRISK}[inventory]\nmemory_reserve = 0.0\n{rules}"));
    cluster.attach();
    cluster.wait("the guests have changed places", 90, |cluster| {
        cluster.home("left") == "hv2" && cluster.home("right") == "hv1"
    });
    cluster.wait("the plan has ended", 20, |cluster| migrations(cluster) > 0);
    assert_eq!(migrations(&cluster), 3, "one of the two goes through hv3\n{}", cluster.story());
    cluster.judge();
}

/// There is room, but never may the two be together: not even for the time of a migration.
#[test]
fn guests_that_are_kept_apart_are_never_together() {
    let Some(cluster) = Cluster::boot(3) else { return };
    cluster.guest(1, "web1", 32, "c=2 d=8 r=1");
    cluster.guest(2, "web2", 32, "c=2 d=8 r=1");
    let apart =
        "[[constraints]]\nname = \"apart\"\ncontinuous = true\nspread = { vms = [\"web1\", \"web2\"] }\n";
    let rules = [apart.to_owned(), fence("web1", "hv2"), fence("web2", "hv1")].concat();
    cluster.serve(&format!("{BRISK}{rules}"));
    let looked = cluster.apart(&["web1", "web2"], 3, |cluster| {
        cluster.attach();
        cluster.wait("the guests have changed places", 90, |cluster| {
            cluster.home("web1") == "hv2" && cluster.home("web2") == "hv1"
        });
    });
    assert!(looked > 10, "looked {looked} times only");
    cluster.wait("the plan has ended", 20, |cluster| migrations(cluster) > 0);
    assert_eq!(migrations(&cluster), 3, "{}", cluster.story());
    cluster.judge();
}

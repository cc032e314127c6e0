//! The hosts and VMs of the simulated demo: twelve hosts in three racks, about a hundred VMs, by a seed.

use dvms_agent::hypervisor::simulated::{HostSpec, Load, VmSpec};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;

/// Hosts in each of the racks `r1`, `r2`, `r3`.
const RACKS: usize = 3;
const HOSTS_PER_RACK: usize = 4;
/// 32 cores.
pub(super) const HOST_MILLICORES: i64 = 32_000;
/// 96 GiB.
pub(super) const HOST_MIB: i64 = 98_304;
/// A link of 40 Gbit/s, as much of it as migrations get in practice.
pub(super) const LINK_MIB_S: f64 = 4_200.0;
/// Two at once would leave the link idle whenever one begins or ends.
pub(super) const MAX_MIGRATIONS: u32 = 4;
/// By day the VMs of a host want this much of its processors together.
const DAY_SHARE: std::ops::Range<f64> = 0.52..0.66;
/// MiB that the VMs of a host hold together, about.
const HELD_MIB: std::ops::RangeInclusive<i64> = 29_000..=33_000;
/// VMs `web-1` to `web-N`, of which no two may share a host.
const WEBS: usize = 5;
/// VMs `ora-1` to `ora-N`, licensed for hosts of rack `r2` only.
const LICENSED: usize = 4;
/// The rack of the licence.
pub(in super::super) const LICENSED_RACK: &str = "r2";

/// A VM and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guest {
    pub(super) host: String,
    pub(super) spec: VmSpec,
}

/// All hosts and VMs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fleet {
    pub(super) hosts: Vec<(HostSpec, BTreeMap<String, String>)>,
    pub(super) guests: Vec<Guest>,
}

/// The fleet of a seed.
pub(super) fn fleet(seed: u64) -> Fleet {
    let mut random = StdRng::seed_from_u64(seed);
    let racks = (0..RACKS).flat_map(|rack| std::iter::repeat_n(format!("r{}", rack + 1), HOSTS_PER_RACK));
    let hosts: Vec<_> = racks.enumerate().map(|(i, rack)| host(i, rack)).collect();
    let mut guests = Vec::new();
    let mut number = 0;
    for (i, (host, _)) in hosts.iter().enumerate() {
        // Spread webs over the racks, begin with the licensed VMs where they belong.
        let mut apps: Vec<(String, &str)> = Vec::new();
        if i % 2 == 0 && i / 2 < WEBS {
            apps.push((format!("web-{}", i / 2 + 1), "web"));
        }
        if (HOSTS_PER_RACK..2 * HOSTS_PER_RACK).contains(&i) && i - HOSTS_PER_RACK < LICENSED {
            apps.push((format!("ora-{}", i - HOSTS_PER_RACK + 1), "ora"));
        }
        let sizes = sizes(&mut random);
        let total = DAY_SHARE.start + random.random::<f64>() * (DAY_SHARE.end - DAY_SHARE.start);
        let weights: Vec<f64> =
            sizes.iter().map(|size| (*size as f64).sqrt() * random.random_range(0.7..1.3)).collect();
        let unit = total * HOST_MILLICORES as f64 / weights.iter().sum::<f64>();
        for (slot, (memory_mib, weight)) in sizes.into_iter().zip(weights).enumerate() {
            let (name, app) = apps.get(slot).cloned().unwrap_or_else(|| {
                number += 1;
                (format!("vm-{number:02}"), "batch")
            });
            let spec = guest(&mut random, name, app, memory_mib, weight * unit);
            guests.push(Guest { host: host.name.clone(), spec });
        }
    }
    Fleet { hosts, guests }
}

fn host(index: usize, rack: String) -> (HostSpec, BTreeMap<String, String>) {
    let spec = HostSpec {
        name: format!("hv{:02}", index + 1),
        cpu_millicores: HOST_MILLICORES,
        memory_mib: HOST_MIB,
        migration_bandwidth_mib_s: LINK_MIB_S,
        numa_cells: Vec::new(),
    };
    (spec, BTreeMap::from([("rack".to_owned(), rack)]))
}

/// Memory of the VMs of one host, in MiB.
fn sizes(random: &mut StdRng) -> Vec<i64> {
    let mut sizes = Vec::new();
    let mut held = 0;
    while held < *HELD_MIB.start() {
        let left = HELD_MIB.end() - held;
        let fitting: Vec<i64> = [2048, 3072, 4096, 6144].into_iter().filter(|size| *size <= left).collect();
        let Some(size) = fitting.get(random.random_range(0..fitting.len().max(1))) else { break };
        sizes.push(*size);
        held += size;
    }
    sizes
}

fn guest(random: &mut StdRng, name: String, app: &str, memory_mib: i64, millicores: f64) -> VmSpec {
    let load = Load {
        mean_millicores: millicores,
        swing_millicores: millicores * 0.05,
        period_s: random.random_range(8.0..20.0),
        phase: random.random(),
    };
    VmSpec {
        name,
        // Room for a rush.
        vcpus: (millicores / 1000.0 * 1.8).ceil() as i64,
        memory_mib,
        load,
        dirty_mib_s: random.random_range(5.0..120.0),
        labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_a_fleet_that_fits_and_keeps_the_rules() {
        for seed in 0..200 {
            let Fleet { hosts, guests } = fleet(seed);
            assert_eq!(hosts.len(), 12);
            assert!((84..=120).contains(&guests.len()), "{} VMs", guests.len());
            for (host, labels) in &hosts {
                let here = || guests.iter().filter(|guest| guest.host == host.name);
                let memory: i64 = here().map(|guest| guest.spec.memory_mib).sum();
                assert!((29_000..=33_000).contains(&memory), "{memory} MiB on {}", host.name);
                let cpu: f64 = here().map(|guest| guest.spec.load.mean_millicores).sum();
                let share = cpu / HOST_MILLICORES as f64;
                assert!((0.52..0.66).contains(&share), "{share} on {}", host.name);
                let app = |app: &str| here().filter(|guest| guest.spec.labels["app"] == app).count();
                assert!(app("web") <= 1);
                assert!(app("ora") == 0 || labels["rack"] == LICENSED_RACK);
            }
            let count = |app: &str| guests.iter().filter(|guest| guest.spec.labels["app"] == app).count();
            assert_eq!((count("web"), count("ora")), (WEBS, LICENSED));
            let mut names: Vec<_> = guests.iter().map(|guest| &guest.spec.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), guests.len());
        }
        assert_eq!(fleet(7), fleet(7));
        assert_ne!(fleet(7), fleet(8));
    }
}

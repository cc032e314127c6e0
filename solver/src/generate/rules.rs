//! Rules over a share of the VMs, which are placed so that they hold.

use super::cluster::Cluster;
use super::draws;
use super::write::{host_name, vm_name};
use crate::file::{Body, Constraint, Hosts, Labels, Vms};
use crate::search::Random;

/// Kinds of rules with the share of the VMs under rules that are under such; the most demanding come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lonely,
    Ban,
    Fence,
    GatherRack,
    Gather,
    SpreadRack,
    Spread,
}

const KINDS: [(Kind, usize); 7] = [
    (Kind::Lonely, 5),
    (Kind::Ban, 10),
    (Kind::Fence, 15),
    (Kind::GatherRack, 5),
    (Kind::Gather, 10),
    (Kind::SpreadRack, 15),
    (Kind::Spread, 40),
];
/// So often a kind of rules may find no room before it is given up.
const FAILURES: usize = 20;

pub(super) fn draw(cluster: &mut Cluster<'_>, share: f64, random: &mut Random) -> Vec<Constraint> {
    let budget = (share * cluster.need.len() as f64).round() as usize;
    let hosts = cluster.room.len();
    let mut lonely = (hosts / 33).max(1);
    let mut rules = Vec::new();
    for (kind, percent) in KINDS {
        let (mut left, mut failures) = (budget * percent / 100, 0);
        let least = if matches!(kind, Kind::Lonely | Kind::Ban | Kind::Fence) { 1 } else { 2 };
        while left >= least && failures < FAILURES && (kind != Kind::Lonely || lonely > 0) {
            let size = size(kind, cluster, random).min(left);
            let at = cluster.todo.len() - size.min(cluster.todo.len());
            let vms = cluster.todo.split_off(at);
            if let Some(body) = place(kind, cluster, &vms, random) {
                rules.push(Constraint {
                    name: format!("{}-{}", body.kind(), rules.len() + 1),
                    body: Some(body),
                    ..Constraint::default()
                });
                left -= size;
                lonely -= usize::from(kind == Kind::Lonely);
            } else {
                for vm in &vms {
                    cluster.remove(*vm);
                }
                cluster.todo.splice(0..0, vms);
                failures += 1;
            }
        }
    }
    rules
}

/// VMs under one rule.
fn size(kind: Kind, cluster: &Cluster<'_>, random: &mut Random) -> usize {
    match kind {
        Kind::Lonely => (cluster.need.len() / cluster.room.len() / 2).max(1),
        Kind::Ban | Kind::Fence => draws::whole(random, 5, 20),
        Kind::Gather | Kind::GatherRack => draws::whole(random, 2, 4),
        Kind::Spread => draws::whole(random, 2, 5),
        Kind::SpreadRack => draws::whole(random, 2, 5).min(cluster.racks.len()),
    }
}

/// Places VMs so that a rule holds.
fn place(kind: Kind, cluster: &mut Cluster<'_>, vms: &[usize], random: &mut Random) -> Option<Body> {
    let hosts = cluster.room.len();
    let named = {
        let mut sorted = vms.to_vec();
        sorted.sort_unstable();
        Vms { vms: sorted.into_iter().map(vm_name).collect(), ..Vms::default() }
    };
    let rack = || Some("rack".to_owned());
    match kind {
        Kind::Lonely => {
            let empty: Vec<usize> = (0..hosts).filter(|host| cluster.on[*host].is_empty()).collect();
            let host = cluster.place(vms, Some(&empty), &[], random)?;
            cluster.closed[host] = true;
            Some(Body::Lonely { vms: named })
        }
        Kind::Gather => {
            cluster.place(vms, None, &[], random)?;
            Some(Body::Gather { vms: named, scope: None })
        }
        Kind::GatherRack => {
            let inside = cluster.racks[random.below(cluster.racks.len())].clone();
            for vm in vms {
                cluster.place(&[*vm], Some(&inside), &[], random)?;
            }
            Some(Body::Gather { vms: named, scope: rack() })
        }
        Kind::Spread => {
            let mut used = Vec::new();
            for vm in vms {
                used.push(cluster.place(&[*vm], None, &used, random)?);
            }
            Some(Body::Spread { vms: named, scope: None, max: Some(1) })
        }
        Kind::SpreadRack => {
            for (vm, at) in vms.iter().zip(draws::some(random, cluster.racks.len(), vms.len())) {
                let inside = cluster.racks[at].clone();
                cluster.place(&[*vm], Some(&inside), &[], random)?;
            }
            Some(Body::Spread { vms: named, scope: rack(), max: Some(1) })
        }
        Kind::Fence | Kind::Ban => {
            let by_zone = kind == Kind::Fence && random.share() < 0.3;
            let (mut some, set) = if by_zone {
                let zone = cluster.zone[random.below(hosts)];
                let inside = (0..hosts).filter(|host| cluster.zone[*host] == zone).collect();
                let host_selector = Labels::from([("zone".to_owned(), zone.to_owned())]);
                (inside, Hosts { host_selector, ..Hosts::default() })
            } else {
                let mut some = draws::some(random, hosts, (hosts / 4).clamp(2, 64));
                some.sort_unstable();
                let all = some.iter().map(|host| host_name(*host)).collect();
                (some, Hosts { hosts: all, ..Hosts::default() })
            };
            if kind == Kind::Ban {
                some = (0..hosts).filter(|host| some.binary_search(host).is_err()).collect();
            }
            for vm in vms {
                cluster.place(&[*vm], Some(&some), &[], random)?;
            }
            Some(if kind == Kind::Fence {
                Body::Fence { vms: named, hosts: set }
            } else {
                Body::Ban { vms: named, hosts: set }
            })
        }
    }
}

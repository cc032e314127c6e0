//! What a scenario breaks in a cluster in which all is well.

use super::cluster::Cluster;
use super::{Fleet, Scenario, draws};
use crate::search::Random;
use std::collections::{BTreeMap, BTreeSet};

/// What is broken besides demands.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) states: BTreeMap<usize, &'static str>,
    pub(super) waiting: BTreeSet<usize>,
}

pub(super) fn disturb(cluster: &mut Cluster<'_>, random: &mut Random) -> Trouble {
    let hosts = cluster.room.len();
    let mut open: Vec<usize> =
        (0..hosts).filter(|host| !cluster.closed[*host] && !cluster.on[*host].is_empty()).collect();
    random.shuffle(&mut open);
    let share = |share: f64| ((share * hosts as f64).round() as usize).max(1);
    let states = |count: usize, state| open.iter().take(count).map(|host| (*host, state)).collect();
    match cluster.recipe.scenario {
        Scenario::Repair => {
            let mut hot = 0;
            for host in &open {
                if hot == share(0.1) {
                    break;
                }
                let memory = hot % 5 == 4 && cluster.recipe.fleet != Fleet::Identical;
                hot += usize::from(heat(cluster, *host, usize::from(memory), random));
            }
            Trouble::default()
        }
        Scenario::Failure => Trouble { states: states(share(0.03), "FAILED"), ..Trouble::default() },
        Scenario::Drain => Trouble { states: states(share(0.05), "DRAINING"), ..Trouble::default() },
        Scenario::Pending => {
            let vms = cluster.at.len();
            let count = (0.05 * vms as f64).round() as usize;
            Trouble { waiting: draws::some(random, vms, count).into_iter().collect(), ..Trouble::default() }
        }
        _ => Trouble::default(),
    }
}

/// Makes the VMs of a host grow until it is over; not beyond what a VM may have, so that it may not succeed.
fn heat(cluster: &mut Cluster<'_>, host: usize, r: usize, random: &mut Random) -> bool {
    let room = cluster.room[host][r];
    let used = room - cluster.free[host][r];
    let factor = draws::uniform(random, 1.05, 1.3) * room as f64 / used.max(1) as f64;
    let grown = |vm: &usize| {
        let more = (cluster.need[*vm][r] as f64 * factor) as i64 + 1;
        more.min(cluster.most(r, *vm)).max(cluster.need[*vm][r])
    };
    let grown: Vec<i64> = cluster.on[host].iter().map(grown).collect();
    let over = grown.iter().sum::<i64>() > room;
    if over {
        for (vm, grown) in cluster.on[host].clone().into_iter().zip(grown) {
            cluster.need[vm][r] = grown;
        }
    }
    over
}

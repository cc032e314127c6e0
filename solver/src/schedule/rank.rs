//! Who goes first where not all can.

use super::ground::{Ground, Hop};
use super::network::shortest_s;
use crate::model::VmId;

/// What counts among moves that are alike in what they relieve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Those on the busiest host or with the longest row of others that wait for them.
    Busiest,
    /// The longest row only.
    Row,
    /// The shortest, so that most end early.
    Shortest,
    /// As it comes, from a seed.
    Any(u64),
}

/// How far a row of moves, each waiting for the next, is followed.
const ROW: usize = 4;

/// Rank of each VM: a smaller one goes first. No two have the same.
pub(super) fn ranks(ground: &Ground<'_>, order: Order) -> Vec<u32> {
    let hops: Vec<Hop> = ground.movers().filter_map(|vm| ground.last_hop(vm, &ground.start)).collect();
    let scores = scores(ground, &hops, order);
    // VMs that only step aside come last.
    let mut keys: Vec<(u8, f64)> = vec![(3, 0.0); ground.problem.vms.len()];
    for (hop, score) in hops.iter().zip(scores) {
        let vm = ground.problem.vm(hop.vm);
        keys[hop.vm.index()] = match hop.from {
            Some(_) if ground.relieves(*hop) => (0, -score),
            None => (1, -f64::from(vm.priority)),
            Some(_) => (2, -score),
        };
    }
    let mut sorted: Vec<u32> = (0..keys.len() as u32).collect();
    sorted.sort_by(|&a, &b| {
        let (x, y) = (keys[a as usize], keys[b as usize]);
        x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)).then(a.cmp(&b))
    });
    let mut ranks = vec![0; keys.len()];
    for (rank, vm) in sorted.into_iter().enumerate() {
        ranks[vm as usize] = rank as u32;
    }
    ranks
}

fn scores(ground: &Ground<'_>, hops: &[Hop], order: Order) -> Vec<f64> {
    let lengths: Vec<f64> = hops.iter().map(|hop| shortest_s(ground.problem, *hop)).collect();
    match order {
        Order::Shortest => lengths.iter().map(|length| -length).collect(),
        Order::Any(seed) => hops.iter().map(|hop| scatter(seed, hop.vm)).collect(),
        Order::Row => rows(ground, hops, &lengths),
        Order::Busiest => {
            let mut load = vec![[0.0; 2]; ground.problem.hosts.len()];
            for (hop, length) in hops.iter().zip(&lengths) {
                load[hop.to.index()][1] += length;
                if let Some(from) = hop.left() {
                    load[from.index()][0] += length;
                }
            }
            let rows = rows(ground, hops, &lengths);
            (hops.iter().zip(&rows))
                .map(|(hop, row)| {
                    let out = hop.from.map_or(0.0, |from| load[from.index()][0]);
                    out.max(load[hop.to.index()][1]).max(*row) + 1e-3 * row
                })
                .collect()
        }
    }
}

/// Seconds of the longest row that begins with each hop: those that enter the host which it leaves wait
/// for it, if not all of them have room there as it is.
fn rows(ground: &Ground<'_>, hops: &[Hop], lengths: &[f64]) -> Vec<f64> {
    let mut room = ground.room.clone();
    for hop in hops {
        ground.arrivals(*hop).for_each(|(pool, amount)| room[pool] -= amount);
    }
    let mut longest = lengths.to_vec();
    for _ in 0..ROW {
        let mut entering = vec![0.0_f64; room.len()];
        for (hop, row) in hops.iter().zip(&longest) {
            for (pool, _) in ground.arrivals(*hop).filter(|(pool, _)| room[*pool] < 0) {
                entering[pool] = entering[pool].max(*row);
            }
        }
        longest = (hops.iter().zip(lengths))
            .map(|(hop, length)| {
                length + ground.departures(*hop).map(|(pool, _)| entering[pool]).fold(0.0, f64::max)
            })
            .collect();
    }
    longest
}

/// A number that looks random, of a seed and a VM.
fn scatter(seed: u64, vm: VmId) -> f64 {
    let mut x = (seed << 32 | u64::from(vm.0)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64
}

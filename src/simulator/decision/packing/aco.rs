//! An ant colony that also counts migrations, after Feller, Morin, Esnault (`CloudCom` 2012, RR-8032) and Feller, Rilling, Morin
//! (Grid 2011): ants put VMs onto hosts with a probability of pheromone^α · desire^β, where a host is desired the more the
//! fuller it would be; after each cycle pheromone evaporates, and the best ant leaves some (max–min ant system).
//!
//! Ours, as the constants of the paper are not known: an ant empties hosts as Sercon does, the least loaded first and each
//! wholly or not at all, and draws destinations among hosts in use; its score is released hosts^γ + 1 ÷ (1 + migrations); the
//! best ant so far lifts the pheromone of its pairs towards the most there may be. Chance is seeded by the view: the same view
//! has the same plan.

use super::bins::{Bins, Use};
use crate::simulator::random::Random;

/// The colony.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colony {
    /// Ants of a cycle.
    pub ants: u32,
    /// Cycles.
    pub cycles: u32,
    /// Share of the pheromone that evaporates in a cycle.
    pub evaporation: f64,
}

impl Default for Colony {
    fn default() -> Self {
        Self { ants: 5, cycles: 3, evaporation: 0.7 }
    }
}

/// Exponent of desire; that of pheromone is 1.
const BETA: i32 = 2;
/// Exponent of released hosts.
const GAMMA: i32 = 3;
const MOST: f64 = 3.0;
const LEAST: f64 = 1.5;

/// Where each VM goes.
pub(super) fn places(bins: &Bins, colony: Colony, work: &mut u64) -> Vec<usize> {
    let mut random = Random::new(seed(bins), 0);
    let mut best = (0.0, bins.current());
    let mut trail = vec![MOST; bins.items.len() * bins.hosts.len()];
    for _ in 0..colony.cycles {
        for _ in 0..colony.ants {
            let places = ant(bins, &trail, &mut random, work);
            let score = score(bins, &places);
            if score > best.0 {
                best = (score, places);
            }
        }
        for (at, pheromone) in trail.iter_mut().enumerate() {
            let (item, host) = (at / bins.hosts.len(), at % bins.hosts.len());
            let new = if best.1[item] == host { MOST } else { 0.0 };
            let kept = *pheromone * (1.0 - colony.evaporation);
            *pheromone = (kept + colony.evaporation * new).clamp(LEAST, MOST);
        }
    }
    best.1
}

/// What a packing is worth; 0 where it releases nothing.
fn score(bins: &Bins, places: &[usize]) -> f64 {
    let released = bins.released(places);
    if released <= 0 {
        return 0.0;
    }
    let moved = bins.items.iter().zip(places).filter(|(item, place)| item.at != **place).count();
    (released as f64).powi(GAMMA) + 1.0 / (1.0 + moved as f64)
}

fn ant(bins: &Bins, trail: &[f64], random: &mut Random, work: &mut u64) -> Vec<usize> {
    let mut places = bins.current();
    let mut used = Use::current(bins);
    let lists = bins.by_host(&places);
    let mut hosts: Vec<usize> =
        (0..bins.hosts.len()).filter(|host| !lists[*host].is_empty() || bins.hosts[*host].busy).collect();
    hosts.sort_by_key(|host| (used.load(*host), bins.hosts[*host].id));
    let sources: Vec<usize> = hosts.iter().copied().filter(|host| !bins.hosts[*host].busy).collect();
    // A host that has taken VMs is not emptied any more: each VM moves once at most.
    let mut has_taken = vec![false; bins.hosts.len()];
    let mut chances = Vec::with_capacity(hosts.len());
    for source in sources {
        if has_taken[source] {
            continue;
        }
        let mut taken = Vec::new();
        for number in &lists[source] {
            let item = &bins.items[*number];
            chances.clear();
            let mut sum = 0.0;
            for host in hosts.iter().copied().filter(|host| *host != source) {
                *work += 1;
                if used.fits(item, host) {
                    sum +=
                        trail[number * bins.hosts.len() + host] * desire(bins, &used, item, host).powi(BETA);
                    chances.push((sum, host));
                }
            }
            let drawn = random.fraction() * sum;
            let found = chances.iter().find(|(until, _)| drawn < *until).or(chances.last());
            let Some((_, found)) = found.copied() else { break };
            used.enter(item, found);
            taken.push(found);
        }
        if taken.len() == lists[source].len() {
            for (number, found) in lists[source].iter().zip(taken) {
                used.leave(&bins.items[*number], source);
                places[*number] = found;
                has_taken[found] = true;
            }
            hosts.retain(|host| *host != source);
        } else {
            for (number, found) in lists[source].iter().zip(taken) {
                used.leave(&bins.items[*number], found);
            }
        }
    }
    places
}

/// One over what would be left of a host, in shares of it.
fn desire(bins: &Bins, used: &Use, item: &super::bins::Item, host: usize) -> f64 {
    let bin = &bins.hosts[host];
    let left = bins.size(bin.cpu, bin.memory).saturating_sub(used.load(host) + item.size);
    1_000_000.0 / (left as f64 + 1000.0)
}

/// The same for the same view.
fn seed(bins: &Bins) -> u64 {
    bins.items.iter().fold(bins.hosts.len() as u64, |sum, item| {
        let own = u64::from(item.vm.0) << 32 | u64::from(item.demand) << 8 | item.at as u64;
        (sum ^ own).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

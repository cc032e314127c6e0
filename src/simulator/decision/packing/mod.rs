//! Packs VMs onto fewer hosts, by rules that others have published: first fit decreasing, Sercon, an ant colony.
//!
//! VMs and hosts are ordered by the sum of their shares of CPU and memory (the L1 norm). A VM that is on its way stays out of
//! it; its host is in use. A plan is made only where it releases a host at least; each VM moves once at most.

mod aco;
mod bins;
mod ffd;
mod sercon;
#[cfg(test)]
mod tests;

pub use aco::Colony;

use super::{Decision, Effort, Move};
use crate::simulator::engine::View;
use crate::simulator::measures::Verdict;
use bins::Bins;

/// By which rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    /// All VMs anew, the largest first, each onto the first host with room.
    Ffd,
    /// Hosts are emptied one after the other, the least loaded first, all of its VMs or none.
    Sercon,
    /// As Sercon, but ants draw where VMs go, and the best ant counts.
    Aco(Colony),
}

/// How to pack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Packing {
    /// By which rule.
    pub algorithm: Algorithm,
    /// Share of a host's CPU and memory up to which it is filled.
    pub fill: f64,
}

/// Decides for the hosts of a view, on what is expected of them.
#[must_use]
pub fn pack(view: &View, how: Packing) -> Decision {
    let bins = Bins::of(view, how.fill);
    let mut work = bins.items.len() as u64;
    let places = match how.algorithm {
        Algorithm::Ffd => ffd::places(&bins, &mut work),
        Algorithm::Sercon => Some(sercon::places(&bins, &mut work)),
        Algorithm::Aco(colony) => Some(aco::places(&bins, colony, &mut work)),
    };
    let moves = places.filter(|places| bins.released(places) > 0).map(|places| moves(&bins, &places));
    let effort = Effort { hosts: view.hosts.len() as u64, vms: view.vms.len() as u64, work };
    let verdict = if moves.is_some() { Verdict::Plan } else { Verdict::Nothing };
    Decision { verdict, moves: moves.unwrap_or_default(), effort }
}

fn moves(bins: &Bins, places: &[usize]) -> Vec<Move> {
    let moved = bins.items.iter().zip(places).filter(|(item, place)| item.at != **place);
    let step = |(item, place): (&bins::Item, &usize)| Move {
        vm: item.vm,
        from: bins.hosts[item.at].id,
        to: bins.hosts[*place].id,
        after: Vec::new(),
    };
    moved.map(step).collect()
}

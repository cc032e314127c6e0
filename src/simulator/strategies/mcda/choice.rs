//! Which VM leaves, and where it goes.

use super::promethee::ranked;
use super::{Criteria, Known};
use crate::simulator::decision::Move;
use crate::simulator::engine::ViewVm;
use crate::simulator::ids::HostId;

/// A VM with what its host knows of its past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaver {
    pub vm: ViewVm,
    pub variance: f64,
    /// Seconds since it came; 600 at most.
    pub stayed: f64,
}

/// Destinations that are asked one after the other.
const TRIED: usize = 3;

/// Of an overloaded host: the VM to move, with the best destinations for it, the best first. Where none has room for that
/// one, the next.
pub(super) fn relief(
    from: HostId,
    excess: u32,
    leavers: &[Leaver],
    known: &[Known],
    how: &Criteria,
    work: &mut u64,
) -> Vec<Move> {
    let row = |it: &Leaver| {
        let far = f64::from(it.vm.demand) - f64::from(excess);
        vec![-f64::from(it.vm.memory), -far.abs(), -it.variance, it.stayed]
    };
    let table: Vec<Vec<f64>> = leavers.iter().map(row).collect();
    *work += (table.len() * table.len()) as u64;
    for leaver in ranked(&table, &[0.3, 0.4, 0.2, 0.1]) {
        let vm = leavers[leaver].vm;
        let places = destinations(&vm, known, how, work);
        if !places.is_empty() {
            let step = |place: &usize| Move { vm: vm.id, from, to: known[*place].host, after: Vec::new() };
            return places.iter().take(TRIED).map(step).collect();
        }
    }
    Vec::new()
}

/// Those with room, the best first.
fn destinations(vm: &ViewVm, known: &[Known], how: &Criteria, work: &mut u64) -> Vec<usize> {
    let fitting: Vec<usize> = (0..known.len()).filter(|at| known[*at].has_room(vm, how)).collect();
    let table: Vec<Vec<f64>> = fitting.iter().map(|at| known[*at].row(how)).collect();
    *work += (table.len() * table.len()) as u64;
    ranked(&table, how.weights()).into_iter().map(|at| fitting[at]).collect()
}

/// Of a host that is used little: where all of its VMs go, the largest first; nothing where one has no place.
pub(super) fn evacuation(
    from: HostId,
    mut vms: Vec<ViewVm>,
    mut known: Vec<Known>,
    how: &Criteria,
    work: &mut u64,
) -> Vec<Move> {
    vms.sort_by_key(|vm| (std::cmp::Reverse((vm.demand, vm.memory)), vm.id));
    let mut moves = Vec::new();
    for vm in vms {
        let Some(place) = destinations(&vm, &known, how, work).first().copied() else { return Vec::new() };
        known[place].enter(&vm);
        moves.push(Move { vm: vm.id, from, to: known[place].host, after: Vec::new() });
    }
    moves
}

//! Which VM leaves an overloaded host, and where it goes, where one is enough: of all that are as good the one that leaves most
//! room at both ends. A plan that ends an overload with as little as possible moved may fill a host to the brim, or take no more
//! from the other one than it must; then the next overload follows soon. Where several small VMs are less to move than any one
//! that is enough, this is not for it: that is what a solver is for.

use super::event::Amounts;
use super::sizing::exceeds;

/// One end of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End<T> {
    /// Which host.
    pub host: T,
    /// What its VMs need.
    pub used: Amounts,
    /// What it may be filled to, or is to be brought to.
    pub limit: Amounts,
    /// What it has.
    pub usable: Amounts,
}

/// The VM and the destination after whose move the fuller one of both hosts is as empty as can be, then the other one. Of VMs
/// that are enough alone only those count that have the least memory: that is what moving them costs. `None` where none is
/// enough, several cost less, or none fits anywhere.
#[must_use]
pub fn relieve<V: Copy + Ord, T: Copy + Ord>(
    vms: &[(V, Amounts)],
    from: &End<T>,
    to: &[End<T>],
) -> Option<(V, T)> {
    let enough = |vm: &&(V, Amounts)| !exceeds(less(from.used, vm.1), from.limit);
    let least = vms.iter().filter(enough).map(|(_, needs)| needs[1]).min()?;
    if several_cost_less(vms, from, least) {
        return None;
    }
    let mut best: Option<([f64; 2], (V, T))> = None;
    for (vm, needs) in vms.iter().filter(enough).filter(|(_, needs)| needs[1] == least) {
        let left = share(less(from.used, *needs), from.usable);
        for end in to {
            let used = [end.used[0].saturating_add(needs[0]), end.used[1].saturating_add(needs[1])];
            if exceeds(used, end.limit) {
                continue;
            }
            let there = share(used, end.usable);
            let (key, which) = ([left.max(there), left.min(there)], (*vm, end.host));
            let better = |(known, held): &([f64; 2], (V, T))| {
                let order = key[0].total_cmp(&known[0]).then(key[1].total_cmp(&known[1]));
                order.then_with(|| which.cmp(held)).is_lt()
            };
            if best.as_ref().is_none_or(better) {
                best = Some((key, which));
            }
        }
    }
    best.map(|(_, which)| which)
}

/// Whether VMs with less memory than `least` each are enough together, and have less in all: those first that take most from the host
/// for their memory.
fn several_cost_less<V: Copy + Ord, T>(vms: &[(V, Amounts)], from: &End<T>, least: i64) -> bool {
    let mut small: Vec<&(V, Amounts)> = vms.iter().filter(|(_, needs)| needs[1] < least).collect();
    let worth = |needs: Amounts| share(needs, from.usable) / needs[1].max(1) as f64;
    small.sort_by(|a, b| worth(b.1).total_cmp(&worth(a.1)).then_with(|| a.0.cmp(&b.0)));
    let (mut used, mut cost) = (from.used, 0_i64);
    for (_, needs) in small {
        used = less(used, *needs);
        cost = cost.saturating_add(needs[1]);
        if cost >= least {
            return false;
        }
        if !exceeds(used, from.limit) {
            return true;
        }
    }
    false
}

fn less(used: Amounts, needs: Amounts) -> Amounts {
    [0, 1].map(|r| used[r].saturating_sub(needs[r]))
}

/// The part of the scarcer resource that is used.
fn share(used: Amounts, usable: Amounts) -> f64 {
    let of = |r: usize| if used[r] <= 0 { 0.0 } else { used[r] as f64 / usable[r].max(1) as f64 };
    of(0).max(of(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(host: u32, used: i64) -> End<u32> {
        End { host, used: [used, 100], limit: [1000, 1000], usable: [1000, 1000] }
    }

    #[test]
    fn where_several_small_vms_are_less_to_move_than_one_that_is_enough_it_is_for_the_solver() {
        let large = (1, [400, 64]);
        let small = |vm: u32, cpu: i64, memory: i64| (vm, [cpu, memory]);
        let to = [end(8, 100)];
        // 150 are too much: two of 80 with 4 each are enough, and cost an eighth.
        let vms = [large, small(2, 80, 4), small(3, 80, 4), small(4, 10, 1)];
        assert_eq!(relieve(&vms, &end(0, 1150), &to), None);
        // 170 are not taken by them, nor are 150 by those that cost as much.
        assert_eq!(relieve(&vms, &end(0, 1180), &to), Some((1, 8)));
        let dear = [large, small(2, 80, 32), small(3, 80, 32)];
        assert_eq!(relieve(&dear, &end(0, 1150), &to), Some((1, 8)));
        // One of the small ones is enough: it is the one.
        assert_eq!(relieve(&vms, &end(0, 1060), &to), Some((2, 8)));
    }

    #[test]
    fn the_move_that_leaves_most_room_at_both_ends_is_taken() {
        let vms = [(1, [100, 10]), (2, [300, 10]), (3, [30, 10]), (4, [290, 5])];
        // Only the fourth is as cheap as that.
        assert_eq!(relieve(&vms, &end(0, 1050), &[end(7, 500), end(8, 400)]), Some((4, 8)));
        let equal = vms.map(|(vm, needs)| (vm, [needs[0], 10]));
        assert_eq!(relieve(&equal, &end(0, 1050), &[end(7, 500), end(8, 400)]), Some((2, 8)));
        // A large one would fill the only other host more than a small one leaves on the first.
        assert_eq!(relieve(&equal, &end(0, 1050), &[end(7, 700)]), Some((1, 7)));
        // The third is not enough, and no other has a place.
        assert_eq!(relieve(&equal, &end(0, 1050), &[end(7, 950)]), None);
        assert_eq!(relieve(&equal, &end(0, 1400), &[end(7, 0)]), None, "several have to leave");
        assert_eq!(relieve(&equal, &end(0, 1050), &[]), None);
        // At equality the first.
        assert_eq!(relieve(&equal[..2], &end(0, 1050), &[end(9, 400), end(8, 400)]), Some((2, 8)));
    }
}

//! First fit decreasing, from scratch: all VMs, the largest first, each onto the first host that has room. Ours: hosts that
//! are in use come first, the fullest of them before others, so that fewer VMs move than by number.

use super::bins::{Bins, Use};

/// Where each VM goes; `None` where one has no place.
pub(super) fn places(bins: &Bins, work: &mut u64) -> Option<Vec<usize>> {
    let current = Use::current(bins);
    let mut occupied: Vec<bool> = bins.hosts.iter().map(|host| host.busy).collect();
    for item in &bins.items {
        occupied[item.at] = true;
    }
    let mut hosts: Vec<usize> = (0..bins.hosts.len()).collect();
    hosts
        .sort_by_key(|host| (!occupied[*host], std::cmp::Reverse(current.load(*host)), bins.hosts[*host].id));
    let mut items: Vec<usize> = (0..bins.items.len()).collect();
    bins.largest_first(&mut items);
    let mut used = Use::bare(bins);
    let mut places = bins.current();
    for number in items {
        let item = &bins.items[number];
        let found = hosts.iter().copied().find(|host| {
            *work += 1;
            used.fits(item, *host)
        })?;
        used.enter(item, found);
        places[number] = found;
    }
    Some(places)
}

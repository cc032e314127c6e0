//! Sercon (Murtazaev, Oh, IETE Technical Review 28, 2011), as Snooze has it (`snoozenode` at 662de9b): the least loaded host
//! is emptied if all its VMs, the largest first, fit onto others that are in use, the fullest first; then the next.
//!
//! Ours: a host that could not be emptied is not tried again; Snooze's released code tries the same one until the end.

use super::bins::{Bins, Use};
use std::cmp::Reverse;

/// Where each VM goes.
pub(super) fn places(bins: &Bins, work: &mut u64) -> Vec<usize> {
    let mut places = bins.current();
    let mut used = Use::current(bins);
    let mut lists = bins.by_host(&places);
    let in_use = |list: &Vec<usize>, host: usize| !list.is_empty() || bins.hosts[host].busy;
    // Hosts in use, the fullest first.
    let mut hosts: Vec<usize> = (0..bins.hosts.len()).filter(|host| in_use(&lists[*host], *host)).collect();
    let mut tried = vec![false; bins.hosts.len()];
    loop {
        hosts.sort_by_key(|host| (Reverse(used.load(*host)), bins.hosts[*host].id));
        let next = hosts.iter().rposition(|host| !tried[*host] && !bins.hosts[*host].busy);
        let Some(source) = next else { return places };
        let host = hosts[source];
        tried[host] = true;
        let mut taken = Vec::new();
        for number in &lists[host] {
            let item = &bins.items[*number];
            let found = hosts.iter().copied().find(|other| {
                *work += 1;
                *other != host && used.fits(item, *other)
            });
            let Some(found) = found else { break };
            used.enter(item, found);
            taken.push(found);
        }
        if taken.len() == lists[host].len() {
            hosts.remove(source);
            for (number, found) in std::mem::take(&mut lists[host]).into_iter().zip(taken) {
                used.leave(&bins.items[number], host);
                places[number] = found;
                lists[found].push(number);
                bins.largest_first(&mut lists[found]);
            }
        } else {
            for (number, found) in lists[host].iter().zip(taken) {
                used.leave(&bins.items[*number], found);
            }
        }
    }
}

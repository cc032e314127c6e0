//! Which free hosts a partition gets.

use super::event::{Amounts, Need};
use super::names::Host;

/// Chooses hosts that together meet a need, few of them: again and again the one that covers most of what is still
/// lacking, in the parts of each resource, so that a host with free memory is not taken for a lack of CPU; at
/// equality the one with most room, then the first by name. A host that covers nothing of it is chosen for its number alone.
/// Not more than `most`; all that help when they are not enough. `thrifty` = at equality the one with least room: what is
/// only to be saved is not brought to hosts that are empty.
pub(super) fn choose(free: &[(&Host, Amounts)], need: &Need, most: usize, thrifty: bool) -> Vec<Host> {
    let mut left: Vec<_> = free.to_vec();
    let mut chosen = Vec::new();
    let mut lack = need.room.map(|amount| amount.max(0));
    let covers = |room: Amounts, lack: Amounts| if need.is_helped_by(room) { covered(room, lack) } else { 0 };
    while chosen.len() < most
        && (lack.iter().any(|amount| *amount > 0) || chosen.len() < need.hosts as usize)
        && let Some(best) = (0..left.len()).max_by(|&a, &b| {
            let rest = |index: usize| if thrifty { -room(left[index].1) } else { room(left[index].1) };
            let value = |index: usize| (covers(left[index].1, lack), rest(index));
            let (a, b) = ((value(a), left[b].0), (value(b), left[a].0));
            a.cmp(&b)
        })
        && (covers(left[best].1, lack) > 0 || chosen.len() < need.hosts as usize)
    {
        let (host, room) = left.swap_remove(best);
        for (lack, room) in lack.iter_mut().zip(room).filter(|_| need.is_helped_by(room)) {
            *lack = lack.saturating_sub(room.max(0)).max(0);
        }
        chosen.push(host.clone());
    }
    chosen
}

/// How much of what is lacking some room covers, in thousandths of it, over all resources.
fn covered(room: Amounts, lack: Amounts) -> i64 {
    let part = |(room, lack): (i64, i64)| {
        if lack > 0 {
            i64::try_from(i128::from(room.clamp(0, lack)) * 1000 / i128::from(lack)).unwrap_or(1000)
        } else {
            0
        }
    };
    room.into_iter().zip(lack).map(part).sum()
}

fn room(room: Amounts) -> i128 {
    room.iter().map(|amount| i128::from((*amount).max(0))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_of(free: &[(&str, Amounts)], need: Need, most: usize) -> Vec<String> {
        let named: Vec<(Host, Amounts)> = free.iter().map(|(name, room)| ((*name).into(), *room)).collect();
        let free: Vec<_> = named.iter().map(|(name, room)| (name, *room)).collect();
        choose(&free, &need, most, false).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn thrift_takes_the_fullest_host_that_is_enough() {
        let named: Vec<(Host, Amounts)> =
            [("a", [9, 9]), ("b", [4, 4]), ("c", [3, 9])].map(|(name, room)| (name.into(), room)).into();
        let free: Vec<_> = named.iter().map(|(name, room)| (name, *room)).collect();
        let need = Need { room: [4, 2], ..Need::default() };
        assert_eq!(choose(&free, &need, 9, true), ["b".into()]);
        assert_eq!(choose(&free, &need, 9, false), ["a".into()]);
    }

    #[test]
    fn few_hosts_that_complement_what_is_lacking() {
        let free = [("a", [1000, 64_000]), ("b", [8000, 2000]), ("c", [3000, 3000])];
        // CPU is lacking: memory does not count.
        assert_eq!(choose_of(&free, Need { room: [4000, 0], hosts: 0, least: [0, 0] }, 9), ["b"]);
        assert_eq!(choose_of(&free, Need { room: [0, 60_000], hosts: 0, least: [0, 0] }, 9), ["a"]);
        // As many as the bound demands, not one by one.
        assert_eq!(choose_of(&free, Need { room: [10_000, 0], hosts: 0, least: [0, 0] }, 9), ["b", "c"]);
        assert_eq!(choose_of(&free, Need { room: [50_000, 0], hosts: 0, least: [0, 0] }, 9), ["b", "c", "a"]);
        assert_eq!(choose_of(&free, Need { room: [50_000, 0], hosts: 0, least: [0, 0] }, 2), ["b", "c"]);
        // Full ones are left out.
        let full = [("a", [0, 9]), ("b", [2, 0]), ("c", [-3, 0])];
        assert_eq!(choose_of(&full, Need { room: [5, 0], hosts: 0, least: [0, 0] }, 9), ["b"]);
        assert_eq!(choose_of(&full, Need { room: [5, 0], hosts: 2, least: [0, 0] }, 9), ["b", "a"]);
        // So are those with less than the least that needs a place.
        let small = [("a", [3, 9]), ("b", [4, 9]), ("c", [9, 1])];
        assert_eq!(choose_of(&small, Need { room: [8, 0], hosts: 1, least: [4, 2] }, 9), ["b"]);
        // A number of hosts without a bound on room: those with most room.
        assert_eq!(choose_of(&free, Need { room: [0, 0], hosts: 2, least: [0, 0] }, 9), ["a", "b"]);
        assert_eq!(choose_of(&free, Need { room: [-5, 0], hosts: 0, least: [0, 0] }, 9), [""; 0]);
        assert_eq!(
            choose_of(&[("b", [5, 5]), ("a", [5, 5])], Need { room: [1, 0], hosts: 0, least: [0, 0] }, 9),
            ["a"]
        );
    }
}

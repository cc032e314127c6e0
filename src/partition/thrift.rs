//! Hosts of which so little is used that they could do without their VMs: when that begins and ends, and which hosts are looked
//! at together.

use super::event::Amounts;

/// An underload goes on until the host uses this many times what makes it begin.
pub const ENDS_AT: f64 = 1.25;

/// Whether less than a share is used of each resource.
#[must_use]
pub fn is_below(used: Amounts, usable: Amounts, share: f64) -> bool {
    (0..2).all(|r| (used[r] as f64) < usable[r] as f64 * share)
}

/// Of hosts that run VMs, each with the share of it that is used, the one that it is about and the emptiest others, `most` at
/// most: they are those that can be emptied, and those that have room. `None` where there are not two of them, or the one that
/// it is about is not among them.
#[must_use]
pub fn emptiest<T: Ord>(mut hosts: Vec<(T, f64)>, subject: &T, most: usize) -> Option<Vec<T>> {
    hosts.sort_by(|a, b| {
        let first = |host: &T| host != subject;
        first(&a.0).cmp(&first(&b.0)).then(a.1.total_cmp(&b.1)).then_with(|| a.0.cmp(&b.0))
    });
    let there = hosts.first().is_some_and(|(host, _)| host == subject);
    hosts.truncate(most);
    (there && hosts.len() > 1).then(|| hosts.into_iter().map(|(host, _)| host).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underload_is_one_of_every_resource() {
        assert!(is_below([199, 0], [1000, 1000], 0.2));
        assert!(!is_below([200, 0], [1000, 1000], 0.2));
        assert!(!is_below([0, 900], [1000, 1000], 0.2));
    }

    #[test]
    fn the_emptiest_hosts_are_looked_at_with_the_one_that_it_is_about() {
        let hosts = || vec![('a', 0.5), ('b', 0.1), ('c', 0.3), ('d', 0.3)];
        assert_eq!(emptiest(hosts(), &'c', 3), Some(vec!['c', 'b', 'd']));
        assert_eq!(emptiest(hosts(), &'x', 3), None);
        assert_eq!(emptiest(vec![('a', 0.5)], &'a', 3), None);
        assert_eq!(emptiest(hosts(), &'a', 1), None);
    }
}

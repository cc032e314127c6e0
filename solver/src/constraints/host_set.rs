//! A set of hosts that is small and quick to ask.

use crate::model::HostId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostSet {
    words: Vec<u64>,
    /// Sorted.
    list: Vec<HostId>,
}

impl HostSet {
    /// `hosts` are sorted and free of duplicates.
    pub(crate) fn new(hosts: &[HostId]) -> Self {
        let words = hosts.last().map_or(0, |host| host.index() / 64 + 1);
        let mut set = Self { words: vec![0; words], list: hosts.to_vec() };
        for host in hosts {
            set.words[host.index() / 64] |= 1 << (host.index() % 64);
        }
        set
    }

    /// The hosts of several sets, without their places among them.
    pub(crate) fn union<'s>(sets: impl Iterator<Item = &'s Self>) -> Self {
        let mut all = Self { words: Vec::new(), list: Vec::new() };
        for set in sets {
            all.words.resize(all.words.len().max(set.words.len()), 0);
            all.words.iter_mut().zip(&set.words).for_each(|(a, b)| *a |= b);
        }
        all
    }

    pub(crate) fn contains(&self, host: HostId) -> bool {
        self.words.get(host.index() / 64).is_some_and(|word| word >> (host.index() % 64) & 1 == 1)
    }

    /// Its place among the hosts of the set.
    pub(crate) fn position(&self, host: HostId) -> Option<usize> {
        if self.contains(host) { self.list.binary_search(&host).ok() } else { None }
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }
}

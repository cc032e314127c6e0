//! An overlay of hosts that each know a few others: CYCLON (Voulgaris, Gavidia, van Steen, Journal of Network and Systems
//! Management 13, 2005).
//!
//! Each host keeps a view of others, with how old it knows them to be. Now and then all grow older, and the host swaps some
//! entries with the oldest, which leaves its view: who does not answer is forgotten. So a view changes all the time, and hosts
//! are known by about as many others each. Ours: who has answered comes back where its place stays free, so that views keep their
//! size also where nearly all are known; a host that joins, or knows nobody any more, draws its view from all hosts,
//! as if somebody told it.

use crate::simulator::ids::HostId;
use crate::simulator::measures::bytes_of;
use crate::simulator::random::Random;

/// Bytes of an entry on the wire.
pub const ENTRY_BYTES: u64 = 8;

/// Somebody who is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub host: HostId,
    /// Rounds since it told of itself.
    pub age: u32,
}

/// What hosts tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shuffle {
    /// Take these, and give me some.
    Ask(Vec<Entry>),
    /// Take these.
    Answer(Vec<Entry>),
}

/// The views of all hosts; each is used by its own host only.
#[derive(Debug, Clone)]
pub struct Overlay {
    size: usize,
    length: usize,
    views: Vec<Vec<Entry>>,
    /// Of each host, what it has sent and waits for an answer to.
    sent: Vec<Vec<HostId>>,
}

impl Overlay {
    /// Nobody knows anybody; views will be of `size` entries, of which `length` are swapped.
    #[must_use]
    pub fn new(hosts: usize, size: u32, length: u32) -> Self {
        let size = (size as usize).min(hosts.saturating_sub(1));
        let length = (length as usize).clamp(1, size.max(1));
        Self { size, length, views: vec![Vec::new(); hosts], sent: vec![Vec::new(); hosts] }
    }

    /// A host begins with others that are drawn.
    pub fn join(&mut self, me: HostId, random: &mut Random) {
        let hosts = self.views.len() as u32;
        self.sent[me.index()].clear();
        let view = &mut self.views[me.index()];
        view.clear();
        if self.size + 1 == hosts as usize {
            view.extend((0..hosts).map(HostId).filter(|host| *host != me).map(|host| Entry { host, age: 0 }));
        }
        while view.len() < self.size {
            let host = HostId(random.below(hosts));
            if host != me && view.iter().all(|entry| entry.host != host) {
                view.push(Entry { host, age: 0 });
            }
        }
    }

    /// Bytes that a host keeps of it.
    #[must_use]
    pub fn state_bytes(&self, me: HostId) -> u64 {
        bytes_of::<Entry>(self.views[me.index()].len()) + bytes_of::<HostId>(self.sent[me.index()].len())
    }

    /// Whom a host knows.
    pub fn known(&self, me: HostId) -> impl Iterator<Item = HostId> + '_ {
        self.views[me.index()].iter().map(|entry| entry.host)
    }

    /// A host begins a swap: with whom, and what it sends.
    pub fn begin(&mut self, me: HostId, random: &mut Random) -> Option<(HostId, Shuffle)> {
        if self.views[me.index()].is_empty() {
            self.join(me, random);
        }
        let view = &mut self.views[me.index()];
        for entry in view.iter_mut() {
            entry.age += 1;
        }
        let oldest = (0..view.len()).max_by_key(|at| (view[*at].age, std::cmp::Reverse(view[*at].host)))?;
        let oldest = view.swap_remove(oldest).host;
        let mut entries = some(view, self.length - 1, random);
        self.sent[me.index()] = entries.iter().map(|entry| entry.host).collect();
        entries.push(Entry { host: me, age: 0 });
        Some((oldest, Shuffle::Ask(entries)))
    }

    /// Something has come from another. What is to be answered.
    pub fn hear(&mut self, me: HostId, from: HostId, word: &Shuffle, random: &mut Random) -> Option<Shuffle> {
        match word {
            Shuffle::Ask(entries) => {
                let own = some(&mut self.views[me.index()], self.length, random);
                self.insert(me, entries, own.iter().map(|entry| entry.host).collect());
                Some(Shuffle::Answer(own))
            }
            Shuffle::Answer(entries) => {
                let sent = std::mem::take(&mut self.sent[me.index()]);
                self.insert(me, entries, sent);
                self.insert(me, &[Entry { host: from, age: 0 }], Vec::new());
                None
            }
        }
    }

    /// Who is not known yet gets what is free, then the places of those that were sent away.
    fn insert(&mut self, me: HostId, entries: &[Entry], mut sent: Vec<HostId>) {
        let view = &mut self.views[me.index()];
        for entry in entries {
            if entry.host == me || view.iter().any(|known| known.host == entry.host) {
                continue;
            }
            if view.len() < self.size {
                view.push(*entry);
                continue;
            }
            let place = std::iter::from_fn(|| sent.pop())
                .find_map(|gone| view.iter().position(|known| known.host == gone));
            let Some(place) = place else { return };
            view[place] = *entry;
        }
    }
}

impl Shuffle {
    /// Bytes of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let (Self::Ask(entries) | Self::Answer(entries)) = self;
        ENTRY_BYTES * entries.len() as u64
    }
}

/// So many entries of a view, drawn.
fn some(view: &mut [Entry], count: usize, random: &mut Random) -> Vec<Entry> {
    let count = count.min(view.len());
    for at in 0..count {
        let other = at + random.below((view.len() - at) as u32) as usize;
        view.swap(at, other);
    }
    view[..count].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: u32 = 300;
    const SIZE: u32 = 16;

    /// Rounds of all hosts that are alive, in order.
    fn rounds(overlay: &mut Overlay, count: u32, alive: &[bool], random: &mut Random) {
        for _ in 0..count {
            for me in (0..HOSTS).map(HostId).filter(|me| alive[me.index()]) {
                let Some((other, word)) = overlay.begin(me, random) else { continue };
                if let Some(answer) =
                    alive[other.index()].then(|| overlay.hear(other, me, &word, random)).flatten()
                {
                    overlay.hear(me, other, &answer, random);
                }
            }
        }
    }

    fn joined(random: &mut Random) -> Overlay {
        let mut overlay = Overlay::new(HOSTS as usize, SIZE, 8);
        for me in 0..HOSTS {
            overlay.join(HostId(me), random);
        }
        overlay
    }

    fn reached(overlay: &Overlay, alive: &[bool]) -> usize {
        // Ways are gone in both directions.
        let mut seen = vec![false; HOSTS as usize];
        let mut next = vec![HostId(alive.iter().position(|alive| *alive).unwrap() as u32)];
        let mut count = 0;
        while let Some(host) = next.pop() {
            if std::mem::replace(&mut seen[host.index()], true) {
                continue;
            }
            count += 1;
            next.extend(overlay.known(host).filter(|other| alive[other.index()]));
            next.extend(
                (0..HOSTS)
                    .map(HostId)
                    .filter(|other| alive[other.index()] && overlay.known(*other).any(|known| known == host)),
            );
        }
        count
    }

    #[test]
    fn views_keep_their_size_and_all_hosts_are_known_about_as_well() {
        let mut random = Random::new(3, 3);
        let mut overlay = joined(&mut random);
        let alive = vec![true; HOSTS as usize];
        let before: Vec<HostId> = overlay.known(HostId(0)).collect();
        rounds(&mut overlay, 60, &alive, &mut random);
        let mut known_by = vec![0_u32; HOSTS as usize];
        let mut entries = 0;
        for me in (0..HOSTS).map(HostId) {
            let mut view: Vec<HostId> = overlay.known(me).collect();
            assert_eq!(view.len(), SIZE as usize);
            entries += view.len();
            assert!(!view.contains(&me), "nobody knows itself");
            for host in &view {
                known_by[host.index()] += 1;
            }
            view.sort();
            view.dedup();
            assert_eq!(overlay.known(me).count(), view.len(), "nobody is known twice");
        }
        assert_eq!(reached(&overlay, &alive), HOSTS as usize);
        // In a graph that is drawn, the deviation is the root of the size: 4.
        let mean = entries as f64 / f64::from(HOSTS);
        let square: f64 = known_by.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum();
        let deviation = (square / f64::from(HOSTS)).sqrt();
        assert!(deviation < 3.4, "{deviation}");
        let after: Vec<HostId> = overlay.known(HostId(0)).collect();
        let stayed = before.iter().filter(|host| after.contains(host)).count();
        assert!(stayed <= 5, "the view has changed: {stayed} are the same");
    }

    #[test]
    fn who_is_gone_is_forgotten_and_the_rest_stays_together() {
        let mut random = Random::new(4, 4);
        let mut overlay = joined(&mut random);
        let mut alive = vec![true; HOSTS as usize];
        rounds(&mut overlay, 20, &alive, &mut random);
        for (host, alive) in alive.iter_mut().enumerate() {
            *alive = host % 3 != 0;
        }
        rounds(&mut overlay, 60, &alive, &mut random);
        let living = || (0..HOSTS).map(HostId).filter(|host| alive[host.index()]);
        for me in living() {
            assert!(overlay.known(me).all(|host| alive[host.index()]), "{me:?}");
        }
        assert_eq!(reached(&overlay, &alive), living().count());
    }

    #[test]
    fn where_all_can_be_known_all_are_known() {
        let mut random = Random::new(5, 5);
        let mut overlay = Overlay::new(5, 100, 100);
        (0..5).for_each(|me| overlay.join(HostId(me), &mut random));
        for round in 0..40 {
            let me = HostId(round % 5);
            let (other, word) = overlay.begin(me, &mut random).unwrap();
            let answer = overlay.hear(other, me, &word, &mut random).unwrap();
            assert_eq!(overlay.hear(me, other, &answer, &mut random), None);
            assert!((0..5).all(|me| overlay.known(HostId(me)).count() == 4), "round {round}");
        }
    }
}

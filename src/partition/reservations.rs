//! Which hosts are reserved for whom: the only way to reserve hosts.
//!
//! A host is in at most one partition, so plans of different partitions touch different hosts and can be
//! solved and carried out at the same time. Reservations are all or nothing, so that nobody holds one host
//! while waiting for another. Who must wait does so in order: a later request never takes a host that an
//! earlier one waits for, however long the holder keeps it, while requests for other hosts pass by.
//!
//! A pure state machine: it does not wait, it says who may go on.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who has reserved which hosts, and who waits for which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partitions {
    /// Host → the partition that holds it.
    held: BTreeMap<String, String>,
    /// Partition → its hosts.
    reserved: BTreeMap<String, BTreeSet<String>>,
    /// Those who wait and the hosts they wait for, in order of arrival.
    queue: VecDeque<(String, BTreeSet<String>)>,
}

/// Why hosts cannot be reserved. Nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Others hold hosts, or have waited for them longer.
    #[error("reserved by others: {}", listing(.0))]
    Busy(BTreeMap<String, String>),
    /// The partition holds hosts or waits already.
    #[error("partition {0} exists")]
    Exists(String),
    /// There is no such partition, or it does not hold hosts yet.
    #[error("partition {0} holds no hosts")]
    Unknown(String),
}

fn listing(busy: &BTreeMap<String, String>) -> String {
    busy.iter().map(|(host, partition)| format!("{host} by {partition}")).collect::<Vec<_>>().join(", ")
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The hosts are reserved.
    Granted,
    /// The request waits: host → the partition that holds it, or has waited for it longer.
    Queued(BTreeMap<String, String>),
}

impl Partitions {
    /// Nothing is reserved.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reserves hosts for a new partition: all, or none.
    ///
    /// # Errors
    /// [`Refused::Busy`] with the hosts that others hold or wait for, [`Refused::Exists`].
    pub fn reserve(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<(), Refused> {
        self.must_be_new(id)?;
        let busy = self.busy(hosts, self.queue.len());
        if !busy.is_empty() {
            return Err(Refused::Busy(busy));
        }
        self.take(id, hosts.clone());
        Ok(())
    }

    /// The same, ahead of those who wait: only what is held is an obstacle. For what is urgent; those who wait do
    /// so for longer.
    ///
    /// # Errors
    /// [`Refused::Busy`] with the hosts that others hold, [`Refused::Exists`].
    pub fn reserve_ahead(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<(), Refused> {
        self.must_be_new(id)?;
        let busy = self.busy(hosts, 0);
        if !busy.is_empty() {
            return Err(Refused::Busy(busy));
        }
        self.take(id, hosts.clone());
        Ok(())
    }

    /// Reserves hosts for a new partition, or puts it at the end of those who wait. Later calls of
    /// [`release`](Self::release) and [`shrink`](Self::shrink) say when it is its turn.
    ///
    /// # Errors
    /// [`Refused::Exists`].
    pub fn request(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<Answer, Refused> {
        match self.reserve(id, hosts) {
            Ok(()) => Ok(Answer::Granted),
            Err(Refused::Busy(busy)) => {
                self.queue.push_back((id.to_owned(), hosts.clone()));
                Ok(Answer::Queued(busy))
            }
            Err(other) => Err(other),
        }
    }

    /// Adds hosts to a partition: all, or none. Those it has already are no obstacle. Never waits, as a
    /// partition that waits while it holds hosts could wait for one that waits for it.
    ///
    /// # Errors
    /// [`Refused::Busy`] with the hosts that others hold or wait for, [`Refused::Unknown`].
    pub fn grow(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<(), Refused> {
        self.grow_after(id, hosts, self.queue.len())
    }

    /// The same, ahead of those who wait, as in [`reserve_ahead`](Self::reserve_ahead).
    ///
    /// # Errors
    /// [`Refused::Busy`] with the hosts that others hold, [`Refused::Unknown`].
    pub fn grow_ahead(&mut self, id: &str, hosts: &BTreeSet<String>) -> Result<(), Refused> {
        self.grow_after(id, hosts, 0)
    }

    fn grow_after(&mut self, id: &str, hosts: &BTreeSet<String>, earlier: usize) -> Result<(), Refused> {
        let own = self.reserved.get(id).ok_or_else(|| Refused::Unknown(id.to_owned()))?;
        let new: BTreeSet<String> = hosts.difference(own).cloned().collect();
        let busy = self.busy(&new, earlier);
        if !busy.is_empty() {
            return Err(Refused::Busy(busy));
        }
        self.take(id, new);
        Ok(())
    }

    /// Lets a host go over from a partition to another one, which is made if it is not there. Nobody who waits comes in
    /// between. Nothing happens where `from` does not hold the host.
    pub fn hand_over(&mut self, host: &str, from: &str, to: &str) {
        let Some(own) = self.reserved.get_mut(from) else { return };
        if !own.remove(host) {
            return;
        }
        if own.is_empty() {
            self.reserved.remove(from);
        }
        self.take(to, BTreeSet::from([host.to_owned()]));
    }

    /// Adds a host to a partition, which is made if it is not there, ahead of those who wait. Says whether the host was
    /// free.
    pub fn take_for(&mut self, id: &str, host: &str) -> bool {
        let free = !self.held.contains_key(host);
        if free {
            self.take(id, BTreeSet::from([host.to_owned()]));
        }
        free
    }

    /// Takes hosts out of a partition; those it does not hold are ignored. The partition stays, even
    /// without hosts. Returns those who have waited and hold their hosts now, in the order of their arrival.
    pub fn shrink(&mut self, id: &str, leaving: &BTreeSet<String>) -> Vec<String> {
        let Some(own) = self.reserved.get_mut(id) else { return Vec::new() };
        for host in leaving {
            if own.remove(host) {
                self.held.remove(host);
            }
        }
        self.serve()
    }

    /// Ends a partition or, if it waits, its waiting; one that there is not is ignored. Returns those who have
    /// waited and hold their hosts now, in the order of their arrival.
    pub fn release(&mut self, id: &str) -> Vec<String> {
        for host in self.reserved.remove(id).unwrap_or_default() {
            self.held.remove(&host);
        }
        self.queue.retain(|(waiting, _)| waiting != id);
        self.serve()
    }

    /// The partition that holds a host.
    #[must_use]
    pub fn holder(&self, host: &str) -> Option<&str> {
        self.held.get(host).map(String::as_str)
    }

    /// The hosts that a partition holds; `None` while it waits, and when there is no such partition.
    #[must_use]
    pub fn hosts(&self, id: &str) -> Option<&BTreeSet<String>> {
        self.reserved.get(id)
    }

    /// Partitions that hold hosts, by id.
    pub fn partitions(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.reserved.iter().map(|(id, hosts)| (id.as_str(), hosts))
    }

    /// Those who wait, in order of arrival, with the hosts they wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.queue.iter().map(|(id, hosts)| (id.as_str(), hosts))
    }

    fn must_be_new(&self, id: &str) -> Result<(), Refused> {
        let waits = self.queue.iter().any(|(waiting, _)| waiting == id);
        if waits || self.reserved.contains_key(id) { Err(Refused::Exists(id.to_owned())) } else { Ok(()) }
    }

    /// The hosts among `hosts` that are held, or wanted by one of the first `earlier` who wait.
    fn busy(&self, hosts: &BTreeSet<String>, earlier: usize) -> BTreeMap<String, String> {
        let mut busy = BTreeMap::new();
        for host in hosts {
            let waiting = || self.queue.iter().take(earlier).find(|(_, wanted)| wanted.contains(host));
            if let Some(by) = self.held.get(host).or_else(|| waiting().map(|(id, _)| id)) {
                busy.insert(host.clone(), by.clone());
            }
        }
        busy
    }

    fn take(&mut self, id: &str, hosts: BTreeSet<String>) {
        self.held.extend(hosts.iter().map(|host| (host.clone(), id.to_owned())));
        self.reserved.entry(id.to_owned()).or_default().extend(hosts);
    }

    /// Gives those who wait their hosts, first come first served among those who want the same.
    fn serve(&mut self) -> Vec<String> {
        let mut granted = Vec::new();
        let mut next = 0;
        while next < self.queue.len() {
            if self.busy(&self.queue[next].1, next).is_empty()
                && let Some((id, hosts)) = self.queue.remove(next)
            {
                self.take(&id, hosts);
                granted.push(id);
            } else {
                next += 1;
            }
        }
        granted
    }
}

//! Hosts of other members are lent to the cell while a plan that has some is looked at, solved, or goes on: all that is
//! done for the hosts of the cell is done for them then. Nothing else ever sees them.

use super::super::plans::Cause;
use super::super::{Core, Life};
use crate::record::Connection;
use std::collections::{BTreeMap, BTreeSet};

impl Core {
    /// Whether a plan is one of a partition of the ring.
    pub(in crate::coordinator::core) fn is_shared(&self, id: &str) -> bool {
        matches!(self.lives.get(id), Some(Life { cause: Cause::Shared(_), .. }))
    }

    /// Does something for a plan, with all hosts that it is about.
    pub(in crate::coordinator::core) fn in_scene<R>(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let Some(shared) = self.shared(id).filter(|_| self.ring.lent.is_none()) else { return act(self) };
        let hosts = shared.hosts();
        self.lend(|host| hosts.contains(host));
        let result = act(self);
        self.take_back();
        result
    }

    /// Does something about the own cell alone.
    pub(in crate::coordinator::core) fn at_home<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        if self.ring.lent.is_none() {
            return act(self);
        }
        let lent = self.take_back();
        let result = act(self);
        self.lend(|host| lent.contains(host));
        result
    }

    /// The hosts of a shared plan, but those that have come to this cell since another member has given them, and failed
    /// ones of others: their VMs are started by plans of their own coordinator alone, as no other could tell it not to
    /// start them once more.
    pub(in crate::coordinator::core) fn hosts_in_scene(&self, id: &str) -> Option<BTreeSet<String>> {
        let shared = self.shared(id)?;
        let as_given = |host: &String| {
            let here = self.cell.hosts.contains_key(host) && !self.is_lent(host);
            if self.is_lent(host) {
                let entry = self.cell.hosts.get(host);
                return entry.is_some_and(|entry| entry.connection != Connection::Failed);
            }
            !here || self.held(id, host).is_some_and(|(_, held)| held.owner.as_str() == self.ring.me())
        };
        Some(shared.hosts().into_iter().filter(as_given).collect())
    }

    /// Whether a host is one of another member that is lent to the cell now.
    pub(in crate::coordinator::core) fn is_lent(&self, host: &str) -> bool {
        self.ring.lent.as_ref().is_some_and(|hosts| hosts.contains_key(host))
    }

    /// Only those that the plan has: of others what is known here may have been long ago.
    fn lend(&mut self, has: impl Fn(&String) -> bool) {
        let lent = self.ring.neighbours.extract_if(.., |host, _| has(host)).collect::<Vec<_>>();
        let mut names = BTreeMap::new();
        for (host, (owner, entry)) in lent {
            if self.cell.hosts.contains_key(&host) {
                continue;
            }
            self.cell.lend(&host, entry);
            names.insert(host, owner);
        }
        self.ring.lent = Some(names);
    }

    fn take_back(&mut self) -> BTreeSet<String> {
        let names = self.ring.lent.take().unwrap_or_default();
        let hosts = names.keys().cloned().collect();
        for (host, owner) in names {
            if let Some(entry) = self.cell.give_back(&host) {
                self.ring.neighbours.insert(host, (owner, entry));
            }
        }
        hosts
    }
}

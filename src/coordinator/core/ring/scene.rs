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
        if self.ring.lent.is_some() || !self.is_shared(id) {
            return act(self);
        }
        self.lend();
        let result = act(self);
        self.take_back();
        result
    }

    /// Does something about the own cell alone.
    pub(in crate::coordinator::core) fn at_home<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        if self.ring.lent.is_none() {
            return act(self);
        }
        self.take_back();
        let result = act(self);
        self.lend();
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

    fn lend(&mut self) {
        let mut names = BTreeMap::new();
        for (host, (owner, entry)) in std::mem::take(&mut self.ring.neighbours) {
            if self.cell.hosts.contains_key(&host) {
                continue;
            }
            self.cell.lend(&host, entry);
            names.insert(host, owner);
        }
        self.ring.lent = Some(names);
    }

    fn take_back(&mut self) {
        let Some(names) = self.ring.lent.take() else { return };
        for (host, owner) in names {
            if let Some(entry) = self.cell.give_back(&host) {
                self.ring.neighbours.insert(host, (owner, entry));
            }
        }
    }
}

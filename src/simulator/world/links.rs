//! Links that fail: that of a host to everybody else, and that of a site to other sites. What runs goes on; nothing goes over
//! them, and what was on its way over them is lost.

use super::{Ended, World};
use crate::simulator::ids::HostId;

/// Which links carry nothing.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    hosts: Vec<bool>,
    sites: Vec<bool>,
    /// How many do; mostly none.
    count: u32,
}

impl Cuts {
    pub(super) fn new(hosts: usize, sites: usize) -> Self {
        Self { hosts: vec![false; hosts], sites: vec![false; sites], count: 0 }
    }
}

impl World {
    /// How many sites there are.
    #[must_use]
    pub fn site_count(&self) -> u32 {
        self.sites
    }

    /// Whether something can be sent from one host to another.
    #[must_use]
    pub fn connected(&self, from: HostId, to: HostId) -> bool {
        if self.cuts.count == 0 || from == to {
            return true;
        }
        let site = |host: HostId| self.hosts.site[host.index()];
        let cut = |host: HostId| self.cuts.hosts[host.index()];
        !cut(from) && !cut(to) && self.sites_connected(site(from), site(to))
    }

    /// Whether something can be sent between a host and what is outside of all hosts, at a site.
    #[must_use]
    pub fn reaches(&self, host: HostId, site: u16) -> bool {
        self.cuts.count == 0
            || (!self.cuts.hosts[host.index()] && self.sites_connected(self.hosts.site[host.index()], site))
    }

    fn sites_connected(&self, near: u16, far: u16) -> bool {
        let cut = |site: u16| self.cuts.sites[usize::from(site)];
        near == far || !(cut(near) || cut(far))
    }

    /// The link of a host carries nothing from now on. The migrations that have ended with it; `None` if it did not before.
    pub(in crate::simulator) fn cut(&mut self, host: HostId) -> Option<Vec<Ended>> {
        if std::mem::replace(&mut self.cuts.hosts[host.index()], true) {
            return None;
        }
        Some(self.cut_off())
    }

    /// The same, of the link of a site to others.
    pub(in crate::simulator) fn cut_site(&mut self, site: u16) -> Option<Vec<Ended>> {
        if std::mem::replace(&mut self.cuts.sites[usize::from(site)], true) {
            return None;
        }
        Some(self.cut_off())
    }

    fn cut_off(&mut self) -> Vec<Ended> {
        self.cuts.count += 1;
        self.violations.fault(self.now);
        let apart = |number: &u32| {
            let slot = &self.slots[*number as usize];
            slot.alive && !self.connected(slot.migration.from, slot.migration.to)
        };
        let lost: Vec<u32> = (0..self.slots.len() as u32).filter(apart).collect();
        lost.into_iter().map(|number| self.abort(number)).collect()
    }

    /// The link of a host carries again. Whether it did not.
    pub(in crate::simulator) fn mend(&mut self, host: HostId) -> bool {
        let was = std::mem::take(&mut self.cuts.hosts[host.index()]);
        self.mended(was)
    }

    /// The same, of the link of a site.
    pub(in crate::simulator) fn mend_site(&mut self, site: u16) -> bool {
        let was = std::mem::take(&mut self.cuts.sites[usize::from(site)]);
        self.mended(was)
    }

    fn mended(&mut self, was: bool) -> bool {
        if was {
            self.cuts.count -= 1;
            self.violations.fault(self.now);
        }
        was
    }
}

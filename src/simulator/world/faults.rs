//! Hosts that fail and come up again, and that are switched off and on.

use super::{Ended, HostState, World};
use crate::simulator::ids::HostId;
use crate::simulator::measures::Cause;

impl World {
    /// Whether a host runs.
    #[must_use]
    pub fn runs(&self, host: HostId) -> bool {
        self.hosts.state[host.index()] == HostState::On
    }

    /// A host fails: its migrations end without effect, its VMs are down. Whether it ran until now, and the migrations that
    /// have ended; `None` where it has failed already, or is off, so that nothing changes.
    pub(in crate::simulator) fn fail(&mut self, host: HostId) -> Option<(bool, Vec<Ended>)> {
        let before = self.hosts.state[host.index()];
        if matches!(before, HostState::Failed | HostState::Off) {
            return None;
        }
        let ended = if self.hosts.is_migrating(host) {
            self.touching(host).into_iter().map(|number| self.abort(number)).collect()
        } else {
            Vec::new()
        };
        if before == HostState::On {
            self.usage.on -= 1;
            self.leave_active(host);
        }
        self.hosts.state[host.index()] = HostState::Failed;
        self.usage.vms_down += self.hosts.count[host.index()];
        self.violations.fault(self.now);
        self.settle(host, Cause::Load);
        Some((before == HostState::On, ended))
    }

    /// A host that has failed is up again. Whether it was down.
    pub(in crate::simulator) fn recover(&mut self, host: HostId) -> bool {
        if self.hosts.state[host.index()] != HostState::Failed {
            return false;
        }
        self.usage.vms_down -= self.hosts.count[host.index()];
        self.violations.fault(self.now);
        self.turn_on(host, Cause::Recovery);
        true
    }

    /// Switches an empty host off. Whether it is off now: not where a VM is there, is coming, or it does not run.
    pub(in crate::simulator) fn switch_off(&mut self, host: HostId) -> bool {
        let at = host.index();
        if self.hosts.state[at] != HostState::On || self.hosts.count[at] > 0 || self.hosts.coming[at] > 0 {
            return false;
        }
        self.usage.on -= 1;
        self.hosts.state[at] = HostState::Off;
        self.settle(host, Cause::Load);
        true
    }

    /// Begins to switch a host on. Whether it was off.
    pub(in crate::simulator) fn switch_on(&mut self, host: HostId) -> bool {
        let state = &mut self.hosts.state[host.index()];
        let was_off = *state == HostState::Off;
        if was_off {
            *state = HostState::Booting;
        }
        was_off
    }

    /// A host that was switched on runs. Whether it does: it may have failed meanwhile.
    pub(in crate::simulator) fn booted(&mut self, host: HostId) -> bool {
        let booting = self.hosts.state[host.index()] == HostState::Booting;
        if booting {
            self.turn_on(host, Cause::Recovery);
        }
        booting
    }

    fn turn_on(&mut self, host: HostId, cause: Cause) {
        self.hosts.state[host.index()] = HostState::On;
        self.usage.on += 1;
        self.usage.active += u32::from(self.hosts.count[host.index()] > 0);
        self.settle(host, cause);
    }

    fn leave_active(&mut self, host: HostId) {
        self.usage.active -= u32::from(self.hosts.count[host.index()] > 0);
    }
}

//! Which hosts take VMs, and in which state a plan leaves them.
//!
//! With power actions a host that is off is booted when a VM is to run there, and one that runs nothing at the
//! end is shut down where that saves energy and energy is asked for. So the placement alone tells the states, unless
//! rules ask for some of the hosts that run nothing to be up or off: then these tell, for all hosts together.

use super::{HostId, HostState, Objective, Problem};

impl Problem {
    /// Whether VMs may come to a host: it is online, or may be booted.
    #[must_use]
    pub fn takes_vms(&self, host: HostId) -> bool {
        match self.host(host).state {
            HostState::Online => true,
            HostState::Offline => self.limits.power_actions,
            HostState::Draining | HostState::Cordoned | HostState::Failed => false,
        }
    }

    /// Whether a plan boots a host if a VM is to run there.
    #[must_use]
    pub fn boots(&self, host: HostId) -> bool {
        self.limits.power_actions && self.host(host).state == HostState::Offline
    }

    /// Whether a plan shuts a host down if it runs nothing at the end and no rule asks for its state.
    #[must_use]
    pub fn shuts(&self, host: HostId) -> bool {
        let known = self.host(host);
        let up = matches!(known.state, HostState::Online | HostState::Draining | HostState::Cordoned);
        let saves = known.watts.off < known.watts.idle && self.objectives.contains(&Objective::Energy);
        self.limits.power_actions && up && saves
    }

    /// The state of a host at the end of a plan, by whether it runs a VM then, if no rule asks for it.
    #[must_use]
    pub fn state_at_end(&self, host: HostId, runs: bool) -> HostState {
        if runs && self.boots(host) {
            HostState::Online
        } else if !runs && self.shuts(host) {
            HostState::Offline
        } else {
            self.host(host).state
        }
    }
}

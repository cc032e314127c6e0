//! One manager for all: Entropy as VMPlaceS runs it (Hermenier et al., VEE 2009; `CentralizedResolver` of VMPlaceS, Euro-Par
//! 2015).
//!
//! A loop: sleep for the period less what the last round took, look at all hosts that run, compute, begin all migrations,
//! look each second whether they have ended. Entropy's repair mode moves VMs of overloaded hosts only; so does ours, with the
//! solver of production under a limit of work. Ours: plans are the solver's, and what they take is by the compute model.

use super::manager::{Management, Managers, Rule, Trigger};
use crate::simulator::decision::Repair;
use crate::simulator::engine::Ordering;

/// As VMPlaceS runs it.
#[must_use]
pub fn vmplaces() -> Management {
    Management {
        group: None,
        trigger: Trigger::Periodic { period_s: 30.0 },
        rule: Rule::Repair(Repair::default()),
        ordering: Ordering::AtOnce,
        poll_s: 1.0,
        heartbeat_s: None,
    }
}

/// The strategy.
#[must_use]
pub fn centralised(how: Management) -> Managers {
    Managers::new(Management { group: None, ..how })
}

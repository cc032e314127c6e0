//! A manager for each group of hosts, and one of them leads: Snooze (Feller, Rilling, Morin, CCGrid 2012) as VMPlaceS runs it
//! (Euro-Par 2015), with the solver, or with Snooze's own greedy rule.
//!
//! A host that joins goes to the manager with the fewest. A manager decides on its own hosts only; while it is busy, what hosts
//! tell it is dropped. Ours: in the periodic mode a round begins a period after the one before began (VMPlaceS: after it ended),
//! so that one group of all hosts is the centralised strategy. These managers
//! do not fail; those of [`super::snooze`] do.

use super::manager::{Management, Managers, Rule, Trigger};
use crate::simulator::decision::Repair;
use crate::simulator::engine::Ordering;

/// Groups of 32, told of overloads, a round a second at most.
#[must_use]
pub fn vmplaces() -> Management {
    Management {
        group: Some(32),
        trigger: Trigger::Reactive { report_s: 1.0, pause_s: 1.0 },
        rule: Rule::Repair(Repair::default()),
        ordering: Ordering::AtOnce,
        poll_s: 1.0,
        heartbeat_s: Some(3.0),
    }
}

/// The strategy.
#[must_use]
pub fn hierarchical(how: Management) -> Managers {
    Managers::new(how)
}

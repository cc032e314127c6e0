//! A partition looks for a plan.

use super::Node;
use super::led::Stage;
use crate::partition::event::{Need, Outcome};
use crate::partition::io::{Effect, Found};
use crate::partition::names::{EventKey, Member, PartitionId};
use crate::partition::time::Now;
use std::collections::{BTreeMap, BTreeSet};

impl Node {
    /// Asks the solver. `whole` = these are all hosts that can be had: the last attempt.
    pub(super) fn solve(&mut self, id: &PartitionId, whole: bool, now: Now) {
        let until = now.at + self.settings.solve_within;
        let Some(led) = self.led.get_mut(id) else { return };
        led.version += 1;
        led.changed = false;
        led.left_out.clear();
        led.stage = Stage::Solving { until, whole };
        let (version, hosts, events) = (led.version, led.hosts(), led.events().cloned().collect());
        self.effect(Effect::Solve { partition: id.clone(), version, hosts, events, whole });
    }

    /// Nobody wants to know any more what is being solved.
    pub(super) fn cancel_solve(&mut self, id: &PartitionId) {
        let Some(led) = self.led.get(id) else { return };
        if matches!(led.stage, Stage::Solving { .. }) {
            let version = led.version;
            self.effect(Effect::CancelSolve { partition: id.clone(), version });
        }
    }

    /// The solver has returned.
    pub(super) fn solved(&mut self, id: &PartitionId, version: u64, found: Found, now: Now) {
        let Some(led) = self.led.get_mut(id).filter(|led| led.version == version) else { return };
        let Stage::Solving { whole, .. } = led.stage else { return };
        match found {
            Found::Plan { touched } => self.commit(id, &touched, now),
            Found::Nothing => self.end(id, Some(Outcome::Solved)),
            Found::None { .. } if whole => {
                // Where somebody was silent, or has hosts that are busy, there may be more hosts than these.
                let outcome = if led.silent { Outcome::Dropped } else { Outcome::Unsolved };
                self.end(id, Some(outcome));
            }
            Found::None { need } => {
                led.need = if need.is_met() { led.need_more() } else { need };
                self.ask_next(id, None, now);
            }
        }
    }

    /// Events that are not answered.
    pub(super) fn left_out(
        &mut self,
        id: &PartitionId,
        version: u64,
        events: BTreeMap<Member, BTreeSet<EventKey>>,
    ) {
        let Some(led) = self.led.get_mut(id).filter(|led| led.version == version) else { return };
        for (owner, keys) in events {
            led.left_out.entry(owner).or_default().extend(keys);
        }
    }

    /// The solver has not returned.
    pub(super) fn solver_is_late(&mut self, id: &PartitionId, now: Now) {
        self.cancel_solve(id);
        let Some(version) = self.led.get(id).map(|led| led.version) else { return };
        self.solved(id, version, Found::None { need: Need::default() }, now);
    }
}

//! A VM is sent to a host of another member only when that member expects it: it has the last word on who may act on its
//! hosts, and keeps the host for the VM from then on, whatever becomes of the reservation. What waits in between - a store
//! that is full, a link that is slow - cannot let a migration begin that the host is not kept for.
//!
//! ```text
//! leader            owner of the destination
//!   | inbound (by)    |  the reservation stands, is committed and prolonged: the VM counts there
//!   |---------------->|
//!   |        expected |
//!   |<----------------|
//!   | order to the agent of the source, or to its owner
//! ```
//!
//! Who has the executor's host too checks both reservations when it gets the order.

use super::super::aloft::{Abroad, Aloft};
use super::super::execution::executor;
use super::super::{Core, Effect};
use super::forward::{landing, on_the_way};
use crate::coordinator::inventory::{Now, VmEntry};
use crate::coordinator::peers::{Flying, Frame, Hold};
use crate::coordinator::settings::seconds;
use crate::record::{ActionKey, PlanRecord, VmReport};
use dvms_solver::file::Action;
use std::time::Duration;

/// What is not answered is asked again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Of a clock that begins with this life; never 0, which says nothing.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Core {
    /// What the owner of a destination is asked before an action begins; `None` where it is the member that gets the order, or
    /// this one.
    pub(in crate::coordinator::core) fn asks_first(
        &self,
        record: &PlanRecord,
        action: &Action,
    ) -> Option<Effect> {
        let (partition, held) = self.elsewhere(&record.id, &action.destination)?;
        let to = held.owner.clone();
        if self.elsewhere(&record.id, executor(action)).is_some_and(|(_, executor)| executor.owner == to) {
            return None;
        }
        let by = Some(Hold { partition: partition.clone(), fence: held.epoch });
        let (_, entry) = self.cell.vm(&action.vm)?;
        let asked = millis(self.looked);
        let frame = Frame::Inbound { flight: self.told_of(record, action), vm: on_the_way(entry), by, asked };
        Some(Effect::Peer { to: to.to_string(), frame })
    }

    /// The owner of a destination has been asked, or need not be.
    pub(in crate::coordinator::core) fn is_asked(&mut self, key: &ActionKey, asked: Option<Duration>) {
        if let Some(aloft) = self.aloft.get_mut(key) {
            aloft.asked = asked;
        }
    }

    /// Half a lease: an answer to a question that was asked longer ago is none, as the destination may be kept no longer.
    fn good_for(&self) -> Duration {
        seconds(self.settings.ring.lease_s) / 2
    }

    /// Asks again what was not answered.
    pub(super) fn ask_for_destinations(&mut self, now: Now) {
        let due = |aloft: &Aloft| aloft.asked.is_some_and(|asked| now.at >= asked + AGAIN_AFTER);
        let due: Vec<ActionKey> =
            self.aloft.iter().filter(|(_, aloft)| due(aloft)).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.ask_for_destination(&key, now);
        }
    }

    fn ask_for_destination(&mut self, key: &ActionKey, now: Now) {
        let Some((record, action, _)) = self.known(key) else { return };
        if let Some(why) = self.why_not_begun(key, now) {
            return self.never_begun(key, &why, now);
        }
        let asks = self.in_scene(&key.plan_id, |core| core.asks_first(&record, &action));
        if let Some(asks) = asks {
            self.is_asked(key, Some(now.at));
            self.journal.then(asks);
        }
    }

    /// The owner of a destination expects the VM, or does not.
    pub(super) fn expected(&mut self, key: &ActionKey, refused: &str, asked: u64, now: Now) {
        let Some(last) = self.aloft.get(key).and_then(|aloft| aloft.asked) else { return };
        // To whichever question it answers; older versions do not say.
        let asked = if asked == 0 { last } else { Duration::from_millis(asked) };
        if !refused.is_empty() {
            return self.never_begun(key, refused, now);
        }
        // One of a life before this one is none either.
        if now.at > asked + self.good_for() || asked > now.at {
            return self.ask_for_destination(key, now);
        }
        let why = self.why_not_begun(key, now);
        let order = self
            .known(key)
            .and_then(|(record, action, _)| self.in_scene(&key.plan_id, |core| core.order(&record, &action)));
        match (why, order) {
            (None, Some(order)) => {
                self.is_asked(key, None);
                // What was asked is durable, and so is the action.
                self.told(key);
                self.effects.push(order);
            }
            (why, _) => {
                let why = why.unwrap_or_else(|| "the host of its agent is out of reach".to_owned());
                self.never_begun(key, &why, now);
            }
        }
    }

    /// A VM comes from another cell, or is about to.
    pub(super) fn inbound(
        &mut self,
        from: &str,
        flight: &Flying,
        vm: VmReport,
        (by, asked): (Option<&Hold>, u64),
        now: Now,
    ) {
        let key = flight.key.clone();
        let known = self.aloft.contains_key(&key);
        let refused = match by {
            Some(by) if !self.may_act(&flight.destination, &by.partition, by.fence, now) => {
                format!("{} is not reserved for its plan any more", flight.destination)
            }
            Some(_) if self.stopping => format!("the coordinator of {} has stopped", flight.destination),
            Some(_) if !known && self.cell.flight(&flight.vm).is_some() => {
                format!("{} is moved by another plan already", flight.vm)
            }
            _ => String::new(),
        };
        // What comes late, when the VM has come already, is no news.
        let is_there = self.cell.homes(&flight.vm).any(|home| home == flight.destination);
        if refused.is_empty() && !known && !is_there {
            self.expect(flight, vm, now);
        }
        if by.is_some() {
            if let Some(abroad) = self.aloft.get_mut(&key).and_then(|aloft| aloft.abroad.as_mut()) {
                abroad.kept_until = now.at + seconds(self.settings.ring.lease_s) * 2;
            }
            self.tell_member(from, Frame::Expected { key, refused, asked });
        }
    }

    fn expect(&mut self, flight: &Flying, vm: VmReport, now: Now) {
        let known = self.cell.hosts.contains_key(&flight.destination);
        // Of an own plan it is known, and it may have ended already.
        let ours = self.plans.contains_key(&flight.key.plan_id);
        if !known || ours || self.cell.flight(&flight.vm).is_some() {
            return;
        }
        let limit = now.at.saturating_add(flight.within);
        let aloft = Aloft::new(&flight.executor, &flight.vm, Some(limit), Some(Abroad::since(now.at)));
        self.cell.expect(VmEntry::new(vm, now.at), landing(flight));
        self.aloft.insert(flight.key.clone(), aloft);
    }
}

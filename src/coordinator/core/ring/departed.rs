//! Coordinators that have left the ring without a word: they may have VMs all the same, so that those that are down here are
//! not started while nobody can ask them. It is remembered over restarts, until they are back or an operator says that they
//! will not come back.

use super::super::journal::event;
use super::super::{Answer, Core, Effect, Ticket};
use super::Membership;
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::coordinator::peers::Frame;
use crate::record::{EventKind, Severity};
use crate::store;

impl Membership {
    /// Those that are members now have not left.
    pub(super) fn forget_departed_members(&mut self) {
        let Self { places, census, .. } = self;
        census.departed.retain(|member| !places.contains_key(member));
    }
}

impl Core {
    /// The members are others than `before`.
    pub(super) fn note_departed(&mut self, before: Vec<String>) {
        let known = self.ring.census.departed.clone();
        self.ring.forget_departed_members();
        let Membership { places, census, .. } = &mut self.ring;
        let left = before.into_iter().filter(|member| !places.contains_key(member));
        for member in left {
            if !census.leaving.remove(&member) {
                census.departed.insert(member);
            }
        }
        census.silent.retain(|member, _| places.contains_key(member) || census.departed.contains(member));
        if census.departed != known {
            self.journal.write(store::Change::Departed(census.departed.clone()));
        }
    }

    /// An operator says that a coordinator will not come back, and that nothing runs under it.
    pub(in crate::coordinator::core) fn forget_member(
        &mut self,
        member: &str,
        reason: &str,
        ticket: Ticket,
        now: Now,
    ) {
        if let Err(refused) = self.may_forget_member(member) {
            return self.refuse(ticket, refused);
        }
        self.member_is_forgotten(member);
        for other in self.ring.others().collect::<Vec<_>>() {
            self.tell_member(&other, Frame::Departed { member: member.to_owned() });
        }
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let message = format!("coordinator {member} is forgotten{because}");
        self.tell(event(EventKind::Operator, Severity::Info, message), now);
        self.journal.then(Effect::Answer { ticket, answer: Answer::Done });
    }

    fn may_forget_member(&self, member: &str) -> Result<(), OperateError> {
        self.may_operate()?;
        if self.ring.census.departed.contains(member) {
            return Ok(());
        }
        if member == self.ring.me() || self.ring.places.contains_key(member) {
            return Err(OperateError::WrongState(format!(
                "coordinator {member} cannot be forgotten: it is one of the ring. Stop it first; in a ring of a static list also \
                 take it out of ring.members of the others"
            )));
        }
        Err(OperateError::NotFound { kind: "coordinator that left without a word", name: member.to_owned() })
    }

    /// An operator has said so, here or at another member.
    pub(super) fn member_is_forgotten(&mut self, member: &str) {
        let departed = &mut self.ring.census.departed;
        if departed.remove(member) {
            self.journal.write(store::Change::Departed(departed.clone()));
        }
        self.urgent = true;
    }
}

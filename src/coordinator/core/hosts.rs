//! What operators want of hosts.

use super::journal::event;
use super::{Answer, Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::record::{AdminState, Event, EventKind, Severity};
use crate::store;
use std::sync::Arc;

impl Core {
    pub(super) fn set_host_state(
        &mut self,
        host: &str,
        state: AdminState,
        reason: &str,
        ticket: Ticket,
        now: Now,
    ) {
        if let Err(refused) = self.may_operate() {
            return self.refuse(ticket, refused);
        }
        let Some(entry) = self.cell.hosts.get_mut(host) else {
            let error = OperateError::NotFound { kind: "host", name: host.to_owned() };
            return self.refuse(ticket, error);
        };
        let before = std::mem::replace(&mut entry.admin, state);
        if before != state {
            self.wanted.insert(host.to_owned(), state);
            self.cell.touch(host);
            self.urgent = true;
            self.journal.write(store::Change::HostState(host.to_owned(), state));
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let message = format!("host {host} is {} from now on{because}", word(state));
            let said = event(EventKind::Operator, Severity::Info, message);
            self.tell(Event { host: host.to_owned(), ..said }, now);
        }
        if let Some(record) = self.host_record(host) {
            let answer = Answer::Host(Arc::new(record));
            self.journal.then(Effect::Answer { ticket, answer });
        }
    }

    /// Whether an operator's wish can be taken: it must be kept.
    pub(super) fn may_operate(&self) -> Result<(), OperateError> {
        if self.stopping {
            return Err(OperateError::Stopping);
        }
        match self.journal.broken() {
            Some(why) => Err(OperateError::WrongState(format!("nothing can be changed at present: {why}"))),
            None => Ok(()),
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, error: OperateError) {
        self.effects.push(Effect::Answer { ticket, answer: Answer::Refused(error) });
    }
}

fn word(state: AdminState) -> &'static str {
    match state {
        AdminState::Online => "ONLINE",
        AdminState::Draining => "DRAINING",
        AdminState::Cordoned => "CORDONED",
    }
}

//! What operators want of hosts.

use super::journal::event;
use super::{Answer, Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::record::{AdminState, Connection, Event, EventKind, Severity};
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
        let entry_epoch = entry.epoch;
        if before != state {
            self.wanted.insert(host.to_owned(), state);
            self.ring.kept.said(host, entry_epoch);
            self.cell.touch(host);
            self.urgent = true;
            self.journal.write(store::Change::HostState(host.to_owned(), state, entry_epoch));
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

    /// Forgets a host that will not come back.
    pub(super) fn forget_host(&mut self, host: &str, with_vms: bool, reason: &str, ticket: Ticket, now: Now) {
        let stray = self.stray_record(host);
        if let (Err(refused), false) = (self.may_forget(host, with_vms), stray.is_some()) {
            return self.refuse(ticket, refused);
        }
        let Some(record) = self.host_record(host).or(stray) else { return };
        self.cell.forget(host);
        self.wanted.remove(host);
        self.kept.remove(host);
        self.learned.forget(host);
        self.ring.kept.forget(host);
        self.urgent = true;
        self.journal.write(store::Change::HostGone(host.to_owned()));
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let message = format!("host {host} is forgotten{because}");
        self.tell(
            Event { host: host.to_owned(), ..event(EventKind::Operator, Severity::Info, message) },
            now,
        );
        self.journal.then(Effect::Answer { ticket, answer: Answer::Host(Arc::new(record)) });
    }

    fn may_forget(&self, host: &str, with_vms: bool) -> Result<(), OperateError> {
        self.may_operate()?;
        let Some(entry) = self.cell.hosts.get(host) else {
            return Err(OperateError::NotFound { kind: "host", name: host.to_owned() });
        };
        let refused =
            |why: String| Err(OperateError::WrongState(format!("{host} cannot be forgotten: {why}")));
        if entry.connection == Connection::Connected {
            return refused("its agent is connected; stop it first".to_owned());
        }
        if let Some(plan) = self.partitions.holder(host) {
            return refused(format!("plan {plan} holds it"));
        }
        if let Some((vm, _)) = self.cell.flights().find(|(_, f)| f.source == host || f.destination == host) {
            return refused(format!("an action on {vm} is under way there"));
        }
        let (there, waiting) = self.cell.down_names(host);
        let vms: Vec<String> = there.union(&waiting).cloned().collect();
        if let ([first, ..], false) = (vms.as_slice(), with_vms) {
            let count = vms.len();
            return refused(format!(
                "{count} of its VMs count there or wait to be started elsewhere, {first} first; they can be forgotten \
                 with it"
            ));
        }
        Ok(())
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

    /// Whether a new plan may be asked for, or approved.
    pub(super) fn may_ask(&self) -> Result<(), OperateError> {
        if self.leaving.is_some() { Err(OperateError::Stopping) } else { self.may_operate() }
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

//! Events, and what must be durable before others hear of it.

use super::{Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::coordinator::view::EVENTS_KEPT;
use crate::record::{ActionKey, Event, EventKind, Severity};
use crate::store;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

/// Writes between two prunings.
const PRUNE_EVERY: u64 = 500;

/// What is written, in the order of its numbers.
#[derive(Debug, Default)]
pub(super) struct Journal {
    last_event: u64,
    /// Events that readers have not seen yet.
    pub(super) fresh: Vec<Arc<Event>>,
    /// Not handed over yet.
    changes: Vec<store::Change>,
    /// Let go when those are durable.
    then: Vec<Effect>,
    /// Handed over, not durable yet.
    waiting: VecDeque<(u64, Vec<Effect>)>,
    last_seq: u64,
    pruned: u64,
    /// Why nothing can be written at present.
    broken: Option<String>,
}

impl Journal {
    pub(super) fn new(last_event: u64) -> Self {
        Self { last_event, ..Self::default() }
    }

    /// Why nothing can be written at present.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Whether all is durable, and nothing waits for that.
    pub(super) fn is_quiet(&self) -> bool {
        self.changes.is_empty() && self.then.is_empty() && self.waiting.is_empty()
    }

    /// To be written.
    pub(super) fn write(&mut self, change: store::Change) {
        self.changes.push(change);
    }

    /// To be done when everything up to now is durable.
    pub(super) fn then(&mut self, effect: Effect) {
        self.then.push(effect);
    }

    /// Hands over what is to be written.
    pub(super) fn flush(&mut self, effects: &mut Vec<Effect>) {
        if self.changes.is_empty() {
            let then = std::mem::take(&mut self.then);
            match self.waiting.back_mut() {
                Some((_, waiting)) => waiting.extend(then),
                None => effects.extend(then),
            }
            return;
        }
        self.last_seq += 1;
        let changes = std::mem::take(&mut self.changes);
        effects.push(Effect::Write { seq: self.last_seq, changes });
        self.waiting.push_back((self.last_seq, std::mem::take(&mut self.then)));
        if self.last_seq >= self.pruned + PRUNE_EVERY {
            self.pruned = self.last_seq;
            effects.push(Effect::Prune);
        }
    }

    /// Takes out the callers who wait for something to be durable.
    fn callers(&mut self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for then in self.waiting.iter_mut().map(|(_, then)| then).chain([&mut self.then]) {
            then.retain(|effect| match effect {
                Effect::Answer { ticket, .. } => {
                    tickets.push(*ticket);
                    false
                }
                _ => true,
            });
        }
        tickets
    }

    /// Takes back the order to begin an action, if it still waits for the store.
    pub(super) fn withdraw(&mut self, key: &ActionKey) {
        let other = |effect: &Effect| effect.begins() != Some(key);
        for then in self.waiting.iter_mut().map(|(_, then)| then).chain([&mut self.then]) {
            then.retain(other);
        }
    }

    /// What may be done now that all writes up to this one are durable.
    fn stored(&mut self, seq: u64) -> Vec<Effect> {
        let mut free = Vec::new();
        while self.waiting.front().is_some_and(|(waiting, _)| *waiting <= seq) {
            free.extend(self.waiting.pop_front().map(|(_, then)| then).unwrap_or_default());
        }
        free
    }
}

/// An event about nothing yet.
pub(super) fn event(kind: EventKind, severity: Severity, message: String) -> Event {
    Event {
        id: 0,
        time: SystemTime::UNIX_EPOCH,
        kind,
        severity,
        host: String::new(),
        vm: String::new(),
        constraint: String::new(),
        plan_id: String::new(),
        action_id: 0,
        message,
    }
}

impl Core {
    /// Tells people: in the log, to watchers, and in the store. Returns the event's id.
    pub(super) fn tell(&mut self, event: Event, now: Now) -> u64 {
        self.journal.last_event += 1;
        let event = Arc::new(Event { id: self.journal.last_event, time: now.wall, ..event });
        log(&event);
        *self.figures.events.entry(event.kind.name()).or_default() += 1;
        self.journal.fresh.push(event.clone());
        if self.journal.fresh.len() > EVENTS_KEPT {
            self.journal.fresh.remove(0);
        }
        self.journal.write(store::Change::Event(event.clone()));
        event.id
    }

    /// Tells operators of something that is wrong outside of what is decided here.
    pub(super) fn alarm(&mut self, message: String, now: Now) {
        self.tell(event(EventKind::Alarm, Severity::Error, message), now);
    }

    pub(super) fn stored(&mut self, seq: u64, now: Now) {
        for effect in self.journal.stored(seq) {
            if let Some(key) = effect.begins().cloned() {
                // The store may have taken its time.
                if let Some(why) = self.why_not_begun(&key, now) {
                    self.never_begun(&key, &why, now);
                    continue;
                }
                self.told(&key);
            }
            self.effects.push(effect);
        }
        if self.journal.broken.take().is_some() {
            let message = "the state directory can be written again; actions are begun again".to_owned();
            self.tell(event(EventKind::Alarm, Severity::Info, message), now);
            self.urgent = true;
        }
    }

    pub(super) fn not_stored(&mut self, message: String, now: Now) {
        if self.journal.broken.is_none() {
            let alarm = format!("{message}. No action is begun until it can be written again");
            self.tell(event(EventKind::Alarm, Severity::Error, alarm), now);
        }
        for ticket in self.journal.callers() {
            let why = format!("it is taken, but cannot be kept yet and may be lost by a restart: {message}");
            self.refuse(ticket, OperateError::WrongState(why));
        }
        self.journal.broken = Some(message);
    }
}

fn log(event: &Event) {
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                event = event.id,
                kind = event.kind.name(),
                host = event.host,
                vm = event.vm,
                rule = event.constraint,
                plan = event.plan_id,
                action = event.action_id,
                "{}",
                event.message
            )
        };
    }
    match event.severity {
        Severity::Info => at!(info),
        Severity::Warning => at!(warn),
        Severity::Error => at!(error),
    }
}

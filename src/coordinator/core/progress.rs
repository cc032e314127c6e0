//! What agents say of actions.

use super::execution::{Halt, about, describe, executor};
use super::journal::event;
use super::{Core, Effect};
use crate::coordinator::inventory::Now;
use crate::coordinator::peers::Frame;
use crate::coordinator::settings::seconds;
use crate::record::{
    ActionKey, ActionProgress, ActionState, ActionStatus, EventKind, FailureReason, Order, PlanRecord,
    ProgressState, Severity,
};
use dvms_solver::file::Action;
use std::fmt::Write as _;

impl Core {
    /// An agent has spoken of an action.
    pub(super) fn progress(&mut self, host: &str, progress: ActionProgress, now: Now) {
        let key = progress.key.clone();
        let Some((record, action, state)) = self.known(&key) else {
            return self.stray(host, &progress, now);
        };
        if executor(&action) != host || action.vm != progress.vm {
            tracing::warn!(
                host,
                plan = key.plan_id,
                action = key.action_id,
                "an agent speaks of an action of another host or VM; left aside"
            );
            return;
        }
        if !progress.state.is_terminal() {
            return self.goes_on(&record, &action, state, progress, now);
        }
        let over = matches!(state, ActionState::Done | ActionState::Failed | ActionState::Skipped);
        if !over || self.is_aloft(&key) {
            let done = progress.state == ProgressState::Done;
            self.land(&key, done);
            self.note_end(&key, &action, done, &progress, now);
            self.after_end(&key, &action, done, &progress.message, now);
        }
        // It is let go after what was noted is durable.
        self.acknowledge(host, &key);
    }

    /// Lets an agent forget an action, when what came of it is durable.
    pub(super) fn acknowledge(&mut self, host: &str, key: &ActionKey) {
        if let Some(entry) = self.cell.hosts.get(host).filter(|_| !self.is_lent(host)) {
            let order = Order::Acknowledge(vec![key.clone()]);
            self.journal.then(Effect::Tell { host: host.to_owned(), epoch: entry.epoch, order });
        } else if let Some(to) = self.ring_owner(host) {
            let frame = Frame::Acknowledge { host: host.to_owned(), keys: vec![key.clone()] };
            self.journal.then(Effect::Peer { to, frame });
        }
    }

    fn goes_on(
        &mut self,
        record: &PlanRecord,
        action: &Action,
        before: ActionState,
        progress: ActionProgress,
        now: Now,
    ) {
        let key = &progress.key.clone();
        if self.is_aloft(key) {
            self.heard(key);
        } else {
            // Taken for ended or never begun: it is not.
            let flight = self.flight_of(record, action);
            if !self.lives.contains_key(&key.plan_id) {
                self.hold([&flight.source, &flight.destination], &key.plan_id);
            }
            let limit = now.at.saturating_add(self.give_up_after(action));
            self.take_off(executor(action), &action.vm, flight, limit);
        }
        let state = match progress.state {
            ProgressState::Uncertain => ActionState::Uncertain,
            _ => ActionState::Running,
        };
        if state == ActionState::Uncertain && before != state {
            let message = format!("{} is uncertain: {}", describe(action), progress.message);
            let said = event(EventKind::Alarm, Severity::Warning, message);
            self.tell(about(&key.plan_id, action, said), now);
        }
        let note = |status: &mut ActionStatus| {
            status.state = state;
            status.message.clone_from(&progress.message);
            status.started.get_or_insert(now.wall);
            status.progress = Some(progress);
        };
        self.note(key, before != state, note);
    }

    /// Changes the status of an action; kept where it is more than figures.
    fn note(&mut self, key: &ActionKey, for_good: bool, change: impl FnOnce(&mut ActionStatus)) {
        let change = |record: &mut PlanRecord| {
            if let Some(status) = record.actions.iter_mut().find(|s| s.action_id == key.action_id) {
                change(status);
            }
        };
        if for_good {
            self.change_for_good(&key.plan_id, change);
        } else {
            self.change(&key.plan_id, change);
        }
    }

    /// Notes how an action ended, and tells people.
    pub(super) fn note_end(
        &mut self,
        key: &ActionKey,
        action: &Action,
        done: bool,
        progress: &ActionProgress,
        now: Now,
    ) {
        self.note(key, true, |status| {
            status.state = if done { ActionState::Done } else { ActionState::Failed };
            status.ended = Some(now.wall);
            status.message.clone_from(&progress.message);
            status.progress = Some(progress.clone());
        });
        self.announce_end(key, action, done);
        if done {
            self.learn(key, action, progress);
        }
        *self.figures.actions.entry(if done { "done" } else { "failed" }).or_default() += 1;
        let what = describe(action);
        let (severity, message) = if done {
            (Severity::Info, format!("{what} is done{}", figures(progress)))
        } else {
            let reason = progress.reason.map(|reason| format!(" ({reason:?})")).unwrap_or_default();
            let refused = progress.state == ProgressState::Refused;
            let how = if refused { "was refused" } else { "has failed" };
            (Severity::Warning, format!("{what} {how}{reason}: {}", progress.message))
        };
        self.tell(about(&key.plan_id, action, event(EventKind::ActionEnded, severity, message)), now);
        if progress.reason == Some(FailureReason::Alarm) {
            let said = event(EventKind::Alarm, Severity::Error, progress.message.clone());
            self.tell(about(&key.plan_id, action, said), now);
        }
    }

    /// What follows from the end of an action.
    pub(super) fn after_end(&mut self, key: &ActionKey, action: &Action, done: bool, why: &str, now: Now) {
        if !done {
            let until = now.at.saturating_add(seconds(self.settings.execution.vm_cool_down_s));
            self.resting.insert(action.vm.clone(), until);
            let why = format!("{} has failed: {why}", describe(action));
            self.halt(&key.plan_id, Halt::Failed(why));
        }
        self.urgent = true;
        self.pursue(&key.plan_id, now);
        self.free_what_landed(&key.plan_id, now);
    }
}

/// ` in 2.3 s, 512 MiB at 220 MiB/s, 45 ms of downtime`
fn figures(progress: &ActionProgress) -> String {
    let mut text = String::new();
    if progress.elapsed_s > 0.0 {
        let _ = write!(text, " in {:.1} s", progress.elapsed_s);
    }
    if progress.bytes_processed > 0 {
        let _ = write!(text, ", {} MiB", progress.bytes_processed >> 20);
    }
    if progress.bandwidth_mib_s > 0.0 {
        let _ = write!(text, " at {:.0} MiB/s", progress.bandwidth_mib_s);
    }
    if let Some(downtime) = progress.downtime_ms {
        let _ = write!(text, ", {downtime} ms of downtime");
    }
    text
}

//! What decides. A state machine: an input and the time go in, effects come out. No I/O, no clock, no threads, no
//! random source, so that years of trouble can be played through in a test.
//!
//! ```text
//! sessions   agents come, report and go                       → inventory, events
//! hosts      what operators want of hosts
//! policies   rules that are changed while it runs
//! troubles   what is wrong                                    → plans
//! requests   what operators and services ask for              → plans
//! plans      plans and their lives
//! solves     who is being solved for
//! verdict    what was found                                   → carried out, proposed, blocked …
//! execution  actions are begun when they may be
//! pace       pauses, limits, windows and black-outs
//! progress   what agents say of actions
//! migrations what is expected of them, and what they teach
//! aloft      actions that agents have, and what becomes of those that nobody speaks of
//! journal    events, and what is let go only when that before it is durable
//! publish    what readers see
//! restore    what is known when the coordinator begins
//! ring       other coordinators: what the cell alone cannot do
//! ```

mod aloft;
mod effects;
mod execution;
mod hosts;
mod journal;
mod migrations;
mod pace;
mod plans;
mod policies;
mod progress;
mod publish;
mod requests;
mod restore;
mod ring;
mod sessions;
mod solves;
#[cfg(test)]
pub(super) mod tests;
mod troubles;
mod turns;
mod verdict;

pub(super) use effects::{Answer, Effect, Input, Ticket};
pub(super) use restore::Restored;

use super::detect::{Detector, Key};
use super::inventory::{Cell, Now};
use super::learning::Learned;
use super::policies::Policies;
use super::settings::{Settings, seconds};
use super::view::Figures;
use crate::partition::Partitions;
use crate::record::{ActionKey, AdminState, PlanRecord};
use aloft::Aloft;
use dvms_solver::Rejected;
use execution::Halt;
use journal::Journal;
use plans::Life;
use ring::{Leaving, Membership};
use solves::Solves;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Names of VMs: on a host that is out of reach, and waiting since a host was restarted.
type Names = (BTreeSet<String>, BTreeSet<String>);

/// Least time between two looks at the whole cell.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest time between two, when nothing urgent happens.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(500);

/// The state of the coordinator.
pub(super) struct Core {
    settings: Settings,
    policies: Arc<Policies>,
    cell: Cell,
    detector: Detector,
    partitions: Partitions,
    ring: Membership,
    journal: Journal,
    figures: Figures,
    /// What operators want, for hosts that have not come yet as well.
    wanted: BTreeMap<String, AdminState>,
    /// Names of the VMs of each host that the store keeps.
    kept: BTreeMap<String, Names>,
    /// The event that told of each trouble that stands.
    event_of: BTreeMap<Key, u64>,
    /// Plans that are kept, by id.
    plans: BTreeMap<String, Arc<PlanRecord>>,
    /// Those of them that have not ended.
    lives: BTreeMap<String, Life>,
    /// The number in the last id.
    last_plan: u64,
    solves: Solves,
    /// What migrations have taught.
    learned: Learned,
    /// Actions that agents have.
    aloft: BTreeMap<ActionKey, Aloft>,
    /// VMs that are left alone for a while, until when.
    resting: BTreeMap<String, Duration>,
    /// Plans whose records readers have not seen, and the store does not have.
    shown: BTreeSet<String>,
    unsaved: BTreeSet<String>,
    effects: Vec<Effect>,
    /// Something has happened that the next look is to see soon.
    urgent: bool,
    looked: Duration,
    /// When something becomes due by the passing of time alone.
    due: Duration,
    /// It is being stopped while others serve on, and hands over what it has.
    leaving: Option<Leaving>,
    /// It is over: nothing is done any more.
    stopping: bool,
}

impl Core {
    /// Takes an input and says what is to be done, in this order.
    pub(super) fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        match input {
            Input::Attach { hello, epoch } => self.attach(*hello, epoch, now),
            Input::Detach { host, epoch } => self.detach(&host, epoch, now),
            Input::Report { host, epoch, report } => self.report(&host, epoch, report, now),
            Input::SetHostState { host, state, reason, ticket } => {
                self.set_host_state(&host, state, &reason, ticket, now);
            }
            Input::ForgetMember { member, reason, ticket } => {
                self.forget_member(&member, &reason, ticket, now);
            }
            Input::ForgetHost { host, with_vms, reason, ticket } => {
                self.forget_host(&host, with_vms, &reason, ticket, now);
            }
            Input::CreatePlan { request, ticket } => self.create_plan(*request, ticket, now),
            Input::ApprovePlan { id, ticket } => self.approve_plan(&id, ticket, now),
            Input::CancelPlan { id, finish_running, reason, ticket } => {
                self.cancel_plan(&id, finish_running, &reason, ticket, now);
            }
            Input::PausePlan { id, reason, ticket } => self.pause_plan(&id, &reason, ticket, now),
            Input::ResumePlan { id, ticket } => self.resume_plan(&id, ticket, now),
            Input::LimitPlan { id, pace, ticket } => self.limit_plan(&id, pace, ticket, now),
            Input::CallerGone { ticket } => self.caller_gone(ticket),
            Input::Solved { solve, outcome, took } => self.solved(solve, outcome, took, now),
            Input::Stored { seq } => self.stored(seq, now),
            Input::NotStored { message } => self.not_stored(message, now),
            Input::Members { members, held } => {
                self.ring.held = held;
                self.set_members(Some(members), now);
            }
            Input::Rules { revision, rules } => self.rules_told(revision, rules, now),
            Input::ChangeRules { change, ticket } => self.change_rules(change, ticket, now),
            Input::HostsKept { all, hosts } => self.hosts_kept(all, hosts, now),
            Input::PeerUp { member } => self.peer_up(&member),
            Input::PeerDown { member } => self.peer_down(&member, now),
            Input::PeerNear { member, round_trip } => self.peer_near(&member, round_trip),
            Input::Alarm { message } => self.alarm(message, now),
            Input::Peer { from, frame } => self.peer_said(&from, *frame, now),
            Input::Tick => {}
            Input::Shutdown { at_once } => self.shut_down(at_once, now),
        }
        self.ring_time(now);
        if now.at >= self.next_look() {
            self.look(now);
        }
        self.save_plans();
        self.journal.flush(&mut self.effects);
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn next(&self) -> Duration {
        self.next_look().min(self.ring.due())
    }

    fn next_look(&self) -> Duration {
        let soon = self.looked + LOOK_EVERY;
        if self.urgent { soon } else { self.due.clamp(soon, self.looked + LOOK_AT_LEAST_EVERY) }
    }

    /// Looks at the whole cell.
    fn look(&mut self, now: Now) {
        (self.looked, self.urgent) = (now.at, false);
        self.age(now);
        self.tell_news(now);
        self.resting.retain(|_, until| now.at < *until);
        self.settle_orphans(now);
        self.give_up(now);
        self.free_what_is_held_for_nothing(now);
        self.detect(now);
        if !self.stopping {
            self.check_proposals(now);
            self.leave_late_solves(now);
            self.pursue_all(now);
            self.answer_troubles(now);
            self.start_solves(now);
        }
        self.look_at_ring(now);
        self.go_on_leaving(now);
        self.keep_down();
        self.due = self.detector.next(now).map_or(Duration::MAX, |wait| now.at.saturating_add(wait));
        self.count();
    }

    /// Stops: where others serve on, what is under way goes on to its end first, unless it is to be at once.
    fn shut_down(&mut self, at_once: bool, now: Now) {
        let within = seconds(self.settings.execution.finish_within_s);
        if at_once || within.is_zero() || self.ring.is_alone() {
            self.stop();
        } else if self.leaving.is_none() {
            self.leave(within, now);
        }
    }

    fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.keep_plans();
        self.tell_that_it_leaves();
        self.stop_solves();
        self.send_all_away();
        self.effects.push(Effect::Stopped);
    }
}

/// The first fault of a problem, for people.
fn fault(rejected: &Rejected) -> (String, String) {
    match rejected.faults.first() {
        Some(fault) => (fault.path.clone(), fault.message.clone()),
        None => ("problem".to_owned(), rejected.to_string()),
    }
}

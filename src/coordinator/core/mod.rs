//! What decides. A state machine: an input and the time go in, effects come out. No I/O, no clock, no threads, no
//! random source, so that years of trouble can be played through in a test.
//!
//! ```text
//! sessions   agents come, report and go            → inventory, events
//! hosts      what operators want of hosts
//! journal    events, and what is let go only when that before it is durable
//! publish    what readers see
//! ```

mod effects;
mod hosts;
mod journal;
mod publish;
mod restore;
mod sessions;

pub(super) use effects::{Answer, Effect, Input, Ticket};
pub(super) use restore::Restored;

use super::inventory::{Cell, Now};
use super::settings::Settings;
use super::view::Figures;
use crate::partition::Partitions;
use crate::record::AdminState;
use journal::Journal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Least time between two looks at the whole cell.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest time between two, when nothing happens.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(500);

/// The state of the coordinator.
pub(super) struct Core {
    settings: Settings,
    cell: Cell,
    partitions: Partitions,
    journal: Journal,
    figures: Figures,
    /// What operators want, for hosts that have not come yet as well.
    wanted: BTreeMap<String, AdminState>,
    effects: Vec<Effect>,
    /// Something has happened since the last look.
    stirred: bool,
    looked: Duration,
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
            Input::Stored { seq } => self.stored(seq, now),
            Input::NotStored { message } => self.not_stored(message, now),
            Input::Tick => {}
            Input::Shutdown => self.shut_down(),
        }
        if now.at >= self.next_look() {
            self.look(now);
        }
        self.journal.flush(&mut self.effects);
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn next(&self) -> Duration {
        self.next_look()
    }

    fn next_look(&self) -> Duration {
        self.looked + if self.stirred { LOOK_EVERY } else { LOOK_AT_LEAST_EVERY }
    }

    /// Looks at the whole cell.
    fn look(&mut self, now: Now) {
        (self.looked, self.stirred) = (now.at, false);
        self.age(now);
        self.tell_news(now);
        self.count();
    }

    fn shut_down(&mut self) {
        self.stopping = true;
        self.send_all_away();
    }
}

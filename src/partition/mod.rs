//! Which hosts are reserved for whom: DVMS, scheduling without a centre, as a pure state machine.
//!
//! A [`Node`] is one coordinator's part. It *owns* the hosts of its cell (the [`Ledger`] says who has reserved them)
//! and *leads* partitions for troubles of its cell. It takes events, messages and the passing of time, and gives
//! effects; it does no I/O, has no clock and no random source of its own. docs/PROTOCOL.md is the specification:
//! messages, timers, what goes on when one is lost, and how it differs from the literature.
//!
//! ```text
//!                    ┌───────── no plan ─────────┐
//!  event ──► GATHERING ──────► SOLVING ──► COMMITTING ──► EXECUTING ──► ended: SOLVED
//!             ▲  │ all asked      │ plan        │ an owner does not commit
//!             │  ▼                │ nothing     ▼
//!     back-off│ BLOCKED ◄─────┐   └► SOLVED   ended: DROPPED, raised again after a back-off
//!     or hosts│  │  │ ▲        │
//!     are free└──┘  │ └ declined, withdrawn, silent
//!                   ├─► OFFERING (to an older one) ──► accepted: absorbed, handed over
//!                   └─► ABSORBING (a younger one) ──► ADOPTING its hosts ──► GATHERING
//! ```
//!
//! **Safety.** A host is in at most one partition, as its owner alone says who holds it, and holds it for one. An
//! action passes the owner, which lets it through only for the partition and epoch that it has committed the host
//! to. After a restart an owner grants nothing before every lease that it might have granted has ended. A merge
//! moves hosts at their owners, one by one, from a holder that has ended.
//!
//! **Progress.** Let nothing more go wrong, load stay still and solvers be complete. The measure is (events unsolved,
//! partitions, hosts not asked), in this order. A gathering partition asks each member once per tour, so that
//! it solves, or blocks. Of the blocked ones all but the oldest offer themselves to older ones, and the oldest takes
//! offers: the number of partitions falls. A partition that meets no holder asks for all hosts, and solves with all
//! that there are: it solves its events, or says that they cannot be solved. Whoever waits is woken when a host is
//! freed, and by its back-off where that word is lost. A lease ends by itself, an event is raised again when the lease
//! on it ends: nothing that is lost holds anything up for longer than a lease.
//!
//! Both are tried by machine in `world`: all orders of steps of small rings, with faults; random walks; scenarios.
//!
//! [`Partitions`] is the same for the hosts of one cell alone: all or nothing, in order of arrival.

mod event;
mod growth;
mod io;
mod ledger;
mod message;
mod names;
mod node;
pub mod relief;
mod reservations;
mod rest;
mod ring;
mod settings;
pub mod sizing;
pub mod thrift;
mod time;
mod usual;
#[cfg(test)]
mod world;

pub use event::{Amounts, Event, Kind, Need, Outcome};
pub use io::{Effect, Found, Held, Input};
pub use ledger::{Facts, Ledger, Reservation};
pub use message::{Body, Declined, Grant, Holder, Message};
pub use names::{Epoch, EventKey, Host, Member, NoPartitionId, PartitionId};
pub use node::{Led, Node, Stage};
pub use reservations::{Answer, Partitions, Refused};
pub use rest::{MOST_DOUBLINGS, rest};
pub use ring::{Place, Ring};
pub use settings::Settings;
pub use time::{Millis, Now, Time};
pub use usual::Usual;

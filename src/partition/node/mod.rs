//! A member of the ring: the owner of a cell and the leader of partitions.
//!
//! ```text
//! owner    answers for the hosts of its cell
//! events   troubles of its cell: which partition has them in hand
//! gather   a partition asks for hosts, member by member
//! solve    … and for a plan
//! merge    blocked partitions become one
//! carry    a plan is committed and carried out
//! lease    leases are prolonged, hosts are lost
//! leave    the member is about to stop
//! seen     what readers see of a partition
//! ```

mod carry;
mod events;
mod gather;
mod lease;
mod leave;
mod led;
mod merge;
mod owner;
mod seen;
mod solve;

pub use led::{Led, Stage};

use super::io::{Effect, Input};
use super::ledger::{Ledger, Reservation};
use super::message::{Body, Message};
use super::names::{EventKey, Host, Member, PartitionId};
use super::ring::Ring;
use super::settings::Settings;
use super::time::{Millis, Now, Time};
use events::Standing;
use merge::Tomb;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Nobody has founded so many partitions: a member that says so has gone wrong, and is not believed.
const CLOCK_MOST: u64 = 1 << 60;

/// One coordinator's part of the protocol. Deterministic: the same calls give the same effects. It waits for
/// nothing; [`next_timeout`](Self::next_timeout) says when it wants to be called at the latest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    me: Member,
    /// Which life of this member it is; greater than all before.
    incarnation: u64,
    settings: Settings,
    ring: Ring,
    ledger: Ledger,
    events: BTreeMap<EventKey, Standing>,
    led: BTreeMap<PartitionId, Led>,
    /// Partitions led here that others have absorbed, for as long as somebody may ask.
    tombs: BTreeMap<PartitionId, Tomb>,
    /// The greatest number of a partition that was heard of.
    clock: u64,
    /// How many free hosts others have said they have.
    free: BTreeMap<Member, u32>,
    /// Members that have not answered, and are not asked until then.
    silent: BTreeMap<Member, Time>,
    /// It is about to stop.
    leaving: bool,
    /// Messages to itself.
    inbox: VecDeque<Body>,
    #[serde(skip)]
    effects: Effects,
}

/// What is to be done, in order. Not part of the state: it is taken out after every call.
#[derive(Debug, Clone, Default)]
struct Effects(VecDeque<Effect>);

impl PartialEq for Effects {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Effects {}

impl std::hash::Hash for Effects {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Node {
    /// A member that knows nothing yet: not who takes part, nor any host.
    ///
    /// `incarnation` must be greater than in any life of this member before.
    #[must_use]
    pub fn new(me: Member, incarnation: u64, settings: Settings) -> Self {
        let ring = Ring::new(BTreeMap::from([(me.clone(), super::ring::Place::default())]));
        Self {
            ledger: Ledger::new(incarnation, settings.lease),
            me,
            incarnation,
            settings,
            ring,
            events: BTreeMap::new(),
            led: BTreeMap::new(),
            tombs: BTreeMap::new(),
            clock: 0,
            free: BTreeMap::new(),
            silent: BTreeMap::new(),
            leaving: false,
            inbox: VecDeque::new(),
            effects: Effects::default(),
        }
    }

    /// Something has happened here.
    pub fn handle_event(&mut self, now: Now, input: Input) {
        self.begin(now);
        match input {
            Input::Ring { ring } => self.ring_is(ring),
            Input::Host { host, facts, fresh } => {
                let unsettled = if fresh { Millis(0) } else { self.settings.unsettled() };
                self.ledger.set(&host, facts, unsettled, now.at);
            }
            Input::Settled { host } => self.settled(&host, now),
            Input::HostGone { host } => self.host_gone(&host),
            Input::Raised { event } => self.raised(event, now),
            Input::Calmed { event } => self.calmed(&event),
            Input::Solved { partition, version, found } => self.solved(&partition, version, found, now),
            Input::LeftOut { partition, version, events } => self.left_out(&partition, version, events),
            Input::Executed { partition } => self.executed(&partition),
            Input::Leave => self.leave(now),
        }
        self.finish(now);
    }

    /// Another member has said something.
    pub fn handle_message(&mut self, now: Now, from: &Member, message: Message) {
        self.begin(now);
        if message.clock <= CLOCK_MOST {
            self.clock = self.clock.max(message.clock);
        }
        if self.ring.contains(from) {
            self.free.insert(from.clone(), message.free);
        }
        self.silent.remove(from);
        self.take(from, message.body, now);
        self.finish(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.begin(now);
        self.finish(now);
    }

    /// What is to be done next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.0.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; at once when this has passed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let led = self.led.values().map(|led| led.next(&self.settings));
        let events = self.events.values().map(Standing::next);
        let tombs = self.tombs.values().map(|tomb| tomb.until);
        led.chain(events).chain(tombs).chain(self.ledger.next()).min()
    }

    /// Who this is.
    #[must_use]
    pub fn me(&self) -> &Member {
        &self.me
    }

    /// Who takes part.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The reservations of the hosts of this cell.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Partitions that are led here.
    pub fn partitions(&self) -> impl Iterator<Item = (&PartitionId, &Led)> {
        self.led.iter()
    }

    /// How long a reservation lasts that nobody prolongs.
    #[must_use]
    pub fn lease(&self) -> Millis {
        self.settings.lease
    }

    /// A partition that is led here.
    #[must_use]
    pub fn partition(&self, id: &PartitionId) -> Option<&Led> {
        self.led.get(id)
    }

    /// Events of this cell that stand, and the partition that has them in hand.
    pub fn events(&self) -> impl Iterator<Item = (&EventKey, Option<&PartitionId>)> {
        self.events.iter().map(|(key, standing)| (key, standing.in_hand()))
    }

    /// The reservation of a host of this cell.
    #[must_use]
    pub fn holder(&self, host: &Host) -> Option<&Reservation> {
        self.ledger.holder(host)
    }

    /// Who takes part has changed: nothing is kept of those that have left.
    fn ring_is(&mut self, ring: Ring) {
        self.free.retain(|member, _| ring.contains(member));
        self.silent.retain(|member, _| ring.contains(member));
        for led in self.led.values_mut() {
            led.left.retain(|member| ring.contains(member));
        }
        self.ring = ring;
    }

    /// What time has brought, before anything else.
    fn begin(&mut self, now: Now) {
        self.ledger.expire(now.at);
        self.tombs.retain(|_, tomb| tomb.until > now.at);
        self.silent.retain(|_, until| *until > now.at);
    }

    /// What follows from it.
    fn finish(&mut self, now: Now) {
        self.drain(now);
        self.lose_what_has_run_out(now);
        self.tick_led(now);
        self.tick_events(now);
        self.drain(now);
        for (partition, leader) in self.ledger.wake() {
            self.send(&leader, Body::Freed { partition });
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Now) {
        while let Some(body) = self.inbox.pop_front() {
            let me = self.me.clone();
            self.take(&me, body, now);
        }
    }

    fn take(&mut self, from: &Member, body: Body, now: Now) {
        match body {
            Body::Reserve { .. } | Body::Renew { .. } | Body::Release { .. } | Body::Adopt { .. } => {
                self.as_owner(from, body, now);
            }
            Body::Granted { .. } => self.granted(from, body, now),
            Body::Renewed { partition, hosts, lost, committed, sent } => {
                self.renewed(from, &partition, &hosts, &lost, committed, sent, now);
            }
            Body::Revoked { partition, hosts } => self.revoked(&partition, &hosts, now),
            Body::Freed { partition } => self.freed(from, &partition, now),
            Body::Concern { partition, event } => self.concern(&partition, event, now),
            Body::Calm { partition, event } => self.calm(from, &partition, &event),
            Body::Offer { from: young, into, ask } => self.offered(from, &young, &into, ask, now),
            Body::Accept { from: young, into, ask } => self.accepted(from, &young, &into, ask, now),
            Body::Decline { from: young, into, ask, why } => self.declined(&young, &into, ask, why, now),
            Body::Withdraw { from: young, into, ask } => self.withdrawn(&young, &into, ask, now),
            Body::Handover { from: young, into, ask, hosts, events } => {
                self.handed_over(&young, &into, ask, hosts, events, now);
            }
            Body::Invite { from: young, into } => self.invited(from, &young, into, now),
        }
    }

    fn send(&mut self, to: &Member, body: Body) {
        if let Body::Release { hosts, .. } = &body
            && let Some(free) = self.free.get_mut(to)
        {
            // It has these again, without saying so.
            *free = free.saturating_add(u32::try_from(hosts.len()).unwrap_or(u32::MAX));
        }
        if *to == self.me {
            self.inbox.push_back(body);
        } else {
            let message = Message { free: self.ledger.free(), clock: self.clock, body };
            self.effect(Effect::Send { to: to.clone(), message });
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.0.push_back(effect);
    }

    /// How long to wait after so many waits in vain, a little random.
    fn backoff(&self, waits: u32, now: Now) -> Time {
        let doubled = self.settings.backoff.0.saturating_mul(1 << waits.min(16));
        let length = doubled.min(self.settings.backoff_most.0);
        now.at + Millis(length + now.random % (length / 2 + 1))
    }

    /// Deals with what is due for the partitions that are led here.
    fn tick_led(&mut self, now: Now) {
        let due = |led: &Led| led.next(&self.settings) <= now.at;
        let ids: Vec<_> = self.led.iter().filter(|(_, led)| due(led)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.renew_leases(&id, now);
            let Some(led) = self.led.get(&id) else { continue };
            if led.stage.due().is_none_or(|due| due > now.at) {
                continue;
            }
            match led.stage {
                Stage::Gathering { .. } => self.ask_again(&id, now),
                Stage::Solving { .. } => self.solver_is_late(&id, now),
                Stage::Blocked { .. } => self.try_again(&id, now),
                Stage::Offering { .. } => self.offer_again(&id, now),
                Stage::Absorbing { .. } => self.accept_again(&id, now),
                Stage::Adopting { .. } => self.adopt_again(&id, now),
                Stage::Committing { .. } => self.commit_again(&id, now),
                Stage::Executing => {}
            }
        }
    }
}

#[cfg(test)]
impl Node {
    /// Whether a partition that was led here has handed over what it had.
    pub(in crate::partition) fn was_absorbed(&self, id: &PartitionId) -> bool {
        self.tombs.contains_key(id)
    }
}

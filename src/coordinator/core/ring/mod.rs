//! This coordinator as a member of a ring: it drives the protocol of `partition`, and carries what that decides.
//!
//! Troubles are answered with the hosts of the own cell first, without a word to anyone (`troubles`). What these cannot
//! absorb becomes an event of the protocol, which gathers hosts of other members too.
//!
//! ```text
//! wishes   troubles that the cell alone cannot absorb                 → events of the protocol
//! lead     partitions that are led here: solved, carried out, ended   → plans
//! own      hosts of this cell: what others may have of them, who has them, what their leaders see
//! claim    approved plans ask for their hosts
//! scene    hosts of others, lent to the cell while a plan for them is looked at
//! shown    what readers see of it
//! bound    rules whose VMs are in several cells
//! growth   how partitions have become what they are, for readers
//! census   where VMs are that are down here, before one is started
//! kept     what etcd has kept of hosts that no member has
//! handover VMs that are down go with their host to another member
//! leave    this member is being stopped: others get what it has
//! forward  actions and what becomes of them, between leader and owner
//! ```

mod bound;
mod census;
mod claim;
mod departed;
mod expect;
mod forward;
mod growth;
mod handover;
mod kept;
mod lead;
mod leave;
mod own;
mod scene;
mod shown;
mod wishes;

#[cfg(test)]
pub(in crate::coordinator::core) use bound::keeper;
pub(in crate::coordinator::core) use lead::Shared;
pub(in crate::coordinator::core) use leave::Leaving;
pub(in crate::coordinator::core) use own::{is_of_ring, is_unsettled};

use super::{Core, Effect};
use crate::coordinator::detect::Key;
use crate::coordinator::inventory::{HostEntry, Now};
use crate::coordinator::peers::{Frame, Session};
use crate::coordinator::settings;
use crate::coordinator::view::RingView;
use crate::partition::{
    self, Body, EventKey, Facts, Host, Input, Member, Millis, Node, PartitionId, Place, Time,
};
use crate::record::ActionKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked at how near the members are.
const ORDERED_EVERY: Duration = Duration::from_secs(5);
/// What others tell of who takes part counts so long: they say it each five seconds.
const TOLD_FOR: Duration = Duration::from_secs(20);
/// Members whose answers take less are on the same network: what differs is how busy they are.
const NEAR_MS: u64 = 5;

/// What the coordinator knows as a member of the ring.
#[derive(Debug)]
pub(in crate::coordinator::core) struct Membership {
    node: Node,
    named: bool,
    /// There have been others in this life.
    joined: bool,
    /// Who is being heard.
    hearing: Option<String>,
    /// All members, this one too.
    places: BTreeMap<String, settings::RingMember>,
    /// For waits of random length.
    random: u64,
    /// Members that a link stands to.
    up: BTreeSet<String>,
    /// Round-trip times.
    near: BTreeMap<String, Duration>,
    /// Hosts of other members, with their sessions.
    elsewhere: BTreeMap<String, BTreeMap<String, Session>>,
    /// Digests of what each member has last told of its cell.
    heard: BTreeMap<String, u64>,
    /// When each member has last told of them.
    cells_at: BTreeMap<String, Duration>,
    /// What the node was told of each host.
    facts: BTreeMap<String, Facts>,
    /// Troubles that are events of the protocol.
    raised: BTreeMap<EventKey, Raised>,
    /// The plan of each partition that is led here.
    plans: BTreeMap<PartitionId, String>,
    /// Hosts of others that partitions led here have, with their owners.
    neighbours: BTreeMap<String, (Member, HostEntry)>,
    /// Names of the neighbours that are lent to the cell, with their owners.
    lent: Option<BTreeMap<String, Member>>,
    /// Outcomes that leaders have not acknowledged.
    owed: BTreeMap<ActionKey, forward::Owed>,
    /// Where VMs are that are down here.
    census: census::Census,
    /// VMs that are down and go with their host to another member.
    pub(in crate::coordinator::core) handing: handover::Handing,
    /// What etcd keeps of hosts.
    pub(in crate::coordinator::core) kept: kept::Kept,
    /// Members that have lost etcd, and are told who the others are.
    pub(in crate::coordinator::core) held: BTreeSet<String>,
    /// The members, as others have told, and when.
    told: BTreeMap<String, (Vec<settings::RingMember>, Duration)>,
    /// When the order of the ring was last looked at.
    ordered: Duration,
    /// When leaders were last told of their hosts, and members of this cell.
    told_hosts: Duration,
    told_cell: bound::ToldCell,
    /// How the partitions that are led here have grown.
    growth: growth::Growth,
    /// What readers see.
    shown: Arc<RingView>,
}

/// A trouble that is an event of the protocol.
#[derive(Debug)]
struct Raised {
    key: Key,
    /// Plans for it that have failed.
    failed: u32,
    /// The last plan did not do what it was for.
    missed: bool,
    /// It has found nothing to do.
    idle: bool,
}

impl Membership {
    /// `incarnation` must be greater than in every life before.
    pub(in crate::coordinator::core) fn new(
        settings: &settings::Ring,
        incarnation: u64,
        departed: BTreeSet<String>,
    ) -> Self {
        let named = !settings.name.is_empty();
        let lease = Millis((settings.lease_s * 1000.0) as u64);
        let timers = partition::Settings { lease, ..partition::Settings::default() };
        let name = if settings.name.is_empty() { "alone" } else { &settings.name };
        let me = Member::from(name);
        let mut membership = Self {
            node: Node::new(me, incarnation, timers),
            named,
            joined: !departed.is_empty(),
            hearing: None,
            places: BTreeMap::new(),
            random: incarnation ^ 0x9e37_79b9_7f4a_7c15,
            up: BTreeSet::new(),
            near: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            cells_at: BTreeMap::new(),
            facts: BTreeMap::new(),
            raised: BTreeMap::new(),
            plans: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            lent: None,
            owed: BTreeMap::new(),
            census: census::Census::new(departed),
            handing: handover::Handing::default(),
            kept: kept::Kept::default(),
            held: BTreeSet::new(),
            told: BTreeMap::new(),
            ordered: Duration::ZERO,
            told_hosts: Duration::ZERO,
            told_cell: bound::ToldCell::new(incarnation),
            heard: BTreeMap::new(),
            growth: growth::Growth::default(),
            shown: Arc::default(),
        };
        let ring = membership.ring_of(&settings.members);
        membership.forget_departed_members();
        membership.node.handle_event(partition::Now { at: Time(0), random: 0 }, Input::Ring { ring });
        membership.show();
        membership
    }

    /// The ring of these members, which are kept; this one always belongs to it.
    fn ring_of(&mut self, members: &[settings::RingMember]) -> partition::Ring {
        self.places = members.iter().map(|member| (member.name.clone(), member.clone())).collect();
        let me = settings::RingMember { name: self.me().to_owned(), ..settings::RingMember::default() };
        self.places.entry(me.name.clone()).or_insert(me);
        self.joined |= self.places.len() > 1;
        let place = |member: &settings::RingMember| {
            let place = Place { site: member.site.clone(), distance: self.distance(&member.name) };
            (Member::from(member.name.as_str()), place)
        };
        partition::Ring::new(self.places.values().map(place).collect())
    }

    /// The round-trip time to a member, as far as it was measured; what is on the same network counts as equally near.
    fn distance(&self, member: &str) -> Millis {
        let near = self.near.get(member).copied().unwrap_or_default();
        let millis = u64::try_from(near.as_millis()).unwrap_or(u64::MAX);
        Millis(if millis < NEAR_MS { 0 } else { millis })
    }

    /// Whether it has a name that no other coordinator has.
    pub(in crate::coordinator::core) fn is_named(&self) -> bool {
        self.named
    }

    /// Whether there are no other members.
    pub(in crate::coordinator::core) fn is_alone(&self) -> bool {
        self.node.ring().members().count() < 2
    }

    /// Whether there never were other members: the protocol has nothing to do.
    pub(in crate::coordinator::core) fn sleeps(&self) -> bool {
        !self.joined
    }

    /// Partitions that are led here.
    #[cfg(test)]
    pub(in crate::coordinator::core) fn led(&self) -> usize {
        self.node.partitions().count()
    }

    /// The own name.
    pub(in crate::coordinator::core) fn me(&self) -> &str {
        self.node.me().as_str()
    }

    fn others(&self) -> impl Iterator<Item = String> {
        self.node
            .ring()
            .members()
            .map(|(member, _)| member)
            .filter(|m| *m != self.node.me())
            .map(ToString::to_string)
    }

    /// Members in the order in which they are asked.
    #[cfg(test)]
    pub(in crate::coordinator::core) fn order(&self) -> Vec<String> {
        self.node.ring().tour(self.node.me()).iter().map(ToString::to_string).collect()
    }

    /// Members that no link stands to.
    #[cfg(test)]
    pub(in crate::coordinator::core) fn out_of_reach(&self) -> Vec<String> {
        self.others().filter(|member| !self.up.contains(member)).collect()
    }

    /// The member that has a host, as it says itself.
    fn owner_of(&self, host: &str) -> Option<&str> {
        let having =
            self.elsewhere.iter().filter_map(|(member, hosts)| Some((hosts.get(host)?.epoch, member)));
        having.max().map(|(_, member)| member.as_str())
    }

    fn time(&mut self, now: Now) -> partition::Now {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        partition::Now { at: time(now), random: z ^ (z >> 31) }
    }

    /// When the protocol wants to be called at the latest.
    pub(in crate::coordinator::core) fn due(&self) -> Duration {
        if self.sleeps() {
            return Duration::MAX;
        }
        self.node.next_timeout().map_or(Duration::MAX, |due| Duration::from_millis(due.0))
    }
}

fn time(now: Now) -> Time {
    Time(u64::try_from(now.at.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
impl Membership {
    /// Events and partitions, for people who look for a fault.
    pub(in crate::coordinator::core) fn told(&self) -> String {
        let mut lines = Vec::new();
        for (key, partition) in self.node.events() {
            lines.push(format!("event {key} in hand of {partition:?}"));
        }
        for (id, led) in self.node.partitions() {
            let hosts: Vec<String> = led.hosts().into_keys().map(|host| host.to_string()).collect();
            let events: Vec<String> = led.events().map(|event| event.key.to_string()).collect();
            lines.push(format!(
                "leads {id} {:?} hosts {hosts:?} events {events:?} plan {:?}",
                led.stage(),
                self.plans.get(id)
            ));
        }
        lines.extend(self.raised.keys().map(|key| format!("raised {key}")));
        lines.join("\n")
    }

    /// Hosts that partitions led here count on while they carry out plans. None of this cell is reserved for longer than a
    /// lease.
    pub(in crate::coordinator::core) fn counted_on(&self, at: Duration) -> Vec<(String, String)> {
        let now = Time(at.as_millis() as u64);
        let most = now + self.node.lease();
        for (host, held) in self.node.ledger().held() {
            assert!(held.until <= most, "{host} is reserved for longer than a lease: {held:?}");
        }
        let executing =
            self.node.partitions().filter(|(_, led)| matches!(led.stage(), partition::Stage::Executing));
        let hosts = executing.flat_map(|(id, led)| led.hosts().into_keys().map(move |host| (id, led, host)));
        let running = hosts.filter(|(_, led, host)| led.has(host, now));
        running.map(|(id, _, host)| (id.to_string(), host.to_string())).collect()
    }
}

impl Core {
    /// A link to another member stands.
    pub(super) fn peer_up(&mut self, member: &str) {
        self.ring.up.insert(member.to_owned());
        self.ring.census.silent.remove(member);
        self.ring.census.leaving.remove(member);
        self.detector.hope();
        self.urgent = true;
        self.tell_cell_to(member);
    }

    /// It does not any more.
    pub(super) fn peer_down(&mut self, member: &str, now: Now) {
        self.ring.up.remove(member);
        self.ring.census.silent.entry(member.to_owned()).or_insert(now.at);
        self.urgent = true;
    }

    /// This one is being stopped.
    pub(super) fn tell_that_it_leaves(&mut self) {
        for member in self.ring.up.clone() {
            self.tell_member(&member, Frame::Leaving);
        }
    }

    /// How near a member is decides when it is asked.
    pub(super) fn peer_near(&mut self, member: &str, round_trip: Duration) {
        // A busy moment says nothing of how far it is.
        let before = self.ring.near.get(member).copied();
        let smooth = before.map_or(round_trip, |before| before.mul_f64(0.8) + round_trip.mul_f64(0.2));
        self.ring.near.insert(member.to_owned(), smooth);
    }

    /// Orders the ring by how near its members are, where that has changed in its order of magnitude.
    fn mind_distances(&mut self, now: Now) {
        if now.at < self.ring.ordered + ORDERED_EVERY {
            return;
        }
        self.ring.ordered = now.at;
        let other = |(member, place): (&Member, &Place)| {
            let told = place.distance.0.max(NEAR_MS);
            let near = self.ring.distance(member.as_str()).0.max(NEAR_MS);
            near < told / 2 || near > told.saturating_mul(2)
        };
        if self.ring.node.ring().members().any(other) {
            self.set_members(None, now);
        }
    }

    /// The ring is another one, or its members are nearer or farther than before.
    pub(super) fn set_members(&mut self, members: Option<Vec<settings::RingMember>>, now: Now) {
        let members = members.unwrap_or_else(|| self.ring.places.values().cloned().collect());
        let before: Vec<String> = self.ring.others().collect();
        let ring = self.ring.ring_of(&members);
        self.note_departed(before);
        let time = self.ring.time(now);
        self.ring.node.handle_event(time, Input::Ring { ring });
        let ring = &mut self.ring;
        ring.elsewhere.retain(|member, _| ring.places.contains_key(member));
        ring.heard.retain(|member, _| ring.places.contains_key(member));
        ring.cells_at.retain(|member, _| ring.places.contains_key(member));
        ring.near.retain(|member, _| ring.places.contains_key(member));
        self.forget_askers();
        self.urgent = true;
        self.tell_held();
        self.mind_own_hosts(now);
        self.follow(now);
    }

    /// Another member has said something.
    pub(super) fn peer_said(&mut self, from: &str, frame: Frame, now: Now) {
        if self.stopping || !self.ring.others().any(|other| other == from) {
            return;
        }
        match frame {
            Frame::Protocol { message } => {
                self.mind_own_hosts(now);
                let time = self.ring.time(now);
                self.ring.node.handle_message(time, &from.into(), message);
                self.follow(now);
            }
            Frame::Hosts { hosts } => self.neighbours_told(from, hosts, now),
            Frame::Cell { hosts, known } => self.cell_told(from, hosts, known, now),
            Frame::Same { digest } => self.cell_is_the_same(from, digest, now),
            Frame::Again { round } => self.asked_for_cell(from, round),
            Frame::Order { partition, fence, destination, flight, order } => {
                self.order_came(from, (&partition, fence, destination), &flight, order, now);
            }
            Frame::Inbound { flight, vm, by, asked } => {
                self.inbound(from, &flight, vm, (by.as_ref(), asked), now);
            }
            Frame::Expected { key, refused, asked } => self.expected(&key, &refused, asked, now),
            Frame::Landed { key, done } => self.landed(&key, done),
            Frame::Where { round, vms } => self.asked_where(from, round, vms, now),
            Frame::Seen { round, vms } => self.seen_at(from, round, vms, now),
            Frame::Dropped { host, vms } => self.dropped_come(from, &host, vms, now),
            Frame::Free { host, epoch } => self.comes_free(&host, epoch, now),
            Frame::Taken { host } => {
                self.dropped_are_kept(&host);
                self.absent_is_kept(&host, now);
            }
            Frame::Absent { host, state } => self.absent_comes(from, *host, state, now),
            Frame::Ring { members } => _ = self.ring.told.insert(from.to_owned(), (members, now.at)),
            Frame::Departed { member } => self.member_is_forgotten(&member),
            Frame::Leaving => _ = self.ring.census.leaving.insert(from.to_owned()),
            Frame::Ask { host, key, vm, leaves } => self.asked_how_it_ended(from, &host, key, vm, leaves),
            Frame::Cancel { host, key } => self.tell_abort(&host, key),
            Frame::Acknowledge { host, keys } => self.outcomes_kept(&host, keys),
            Frame::Progress { host, progress } => {
                // One whose agent has come here tells it here; who told of it before hears that it has gone.
                if self.cell.hosts.contains_key(&host) {
                    return;
                }
                let plan = progress.key.plan_id.clone();
                self.ring.hearing = Some(from.to_owned());
                self.in_scene(&plan, |core| core.progress(&host, progress, now));
                self.ring.hearing = None;
            }
        }
    }

    /// What the passing of time brings to the protocol.
    pub(super) fn ring_time(&mut self, now: Now) {
        if now.at >= self.ring.due() {
            self.mind_own_hosts(now);
            let time = self.ring.time(now);
            self.ring.node.handle_timeout(time);
            self.follow(now);
        }
    }

    /// What is due at each look.
    pub(super) fn look_at_ring(&mut self, now: Now) {
        if self.ring.sleeps() {
            return;
        }
        self.mind_distances(now);
        self.mind_rooms(now);
        self.follow(now);
        self.mind_afar();
        self.tell_cell(now);
        self.tell_leaders(now);
        self.forward_again(now);
        self.ask_for_destinations(now);
        self.hand_over_again(now);
        self.take_census(now);
        self.begin_claims(now);
        self.give_up_claims(now);
        self.forget_neighbours(now);
        self.mind_strays(now);
        self.ring.told.retain(|_, (_, at)| now.at < *at + TOLD_FOR);
        self.ring.show();
    }

    /// Tells members that hear nothing from etcd who takes part.
    fn tell_held(&mut self) {
        let members: Vec<settings::RingMember> = self.ring.places.values().cloned().collect();
        for member in self.ring.held.clone() {
            self.tell_member(&member, Frame::Ring { members: members.clone() });
        }
    }

    /// Tells the protocol that something has happened here, and does what it says.
    fn happens(&mut self, input: Input, now: Now) {
        self.mind_own_hosts(now);
        let time = self.ring.time(now);
        self.ring.node.handle_event(time, input);
        self.follow(now);
    }

    /// Does what the protocol says.
    fn follow(&mut self, now: Now) {
        self.ring.growth.look(&self.ring.node, now.wall);
        self.mirror(now);
        while let Some(effect) = self.ring.node.poll_effect() {
            match effect {
                partition::Effect::Send { to, message } => {
                    if let Body::Granted { hosts, .. } = &message.body
                        && !hosts.is_empty()
                    {
                        let hosts: Vec<Host> = hosts.keys().cloned().collect();
                        self.show_hosts(to.as_str(), &hosts);
                    }
                    self.tell_member(to.as_str(), Frame::Protocol { message });
                }
                partition::Effect::Solve { partition, version, hosts, events, whole } => {
                    self.lead(&partition, version, hosts, &events, whole, now);
                }
                partition::Effect::CancelSolve { partition, .. } => self.stop_leading(&partition),
                partition::Effect::Execute { partition, hosts, .. } => {
                    self.carry_out_shared(&partition, hosts, now);
                }
                partition::Effect::Fence { partition, hosts } => self.fence(&partition, &hosts, now),
                partition::Effect::Ended { partition, outcome, .. } => {
                    self.partition_ended(&partition, outcome, now);
                }
                partition::Effect::Answered { event, outcome } => self.answered(&event, outcome, now),
            }
        }
        self.mirror(now);
    }

    /// The member that has a host, if it is another one.
    pub(super) fn ring_owner(&self, host: &str) -> Option<String> {
        let teller = self.ring.hearing.clone();
        teller.or_else(|| self.ring.owner_of(host).map(str::to_owned))
    }

    fn tell_member(&mut self, member: &str, frame: Frame) {
        if self.ring.up.contains(member) && self.ring.places.contains_key(member) {
            *self.figures.frames.entry(frame.kind()).or_default() += 1;
            self.effects.push(Effect::Peer { to: member.to_owned(), frame });
        }
    }
}

//! Several coordinators in one world: each has its turn, and frames between them take their time, or are lost.

use super::world::{Happening, Seat, World};
use crate::coordinator::core::plans::member_of;
use crate::coordinator::core::{Core, Input, Restored};
use crate::coordinator::peers::Frame;
use crate::coordinator::settings::{Ring, RingMember, Settings};
use crate::record::{OrderKind, PlanRecord, PlanState};
use crate::store::Store;
use dvms_solver::file::{Action, ActionKind};
use rand::Rng as _;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// How soon a link that was cut is there again, and an agent finds another coordinator.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl World {
    /// Members of a ring that know each other.
    pub(super) fn ring(settings: &Settings, members: &[&str], seed: u64) -> Self {
        Self::ring_of(settings, members, |_| "", seed)
    }

    /// Members at sites.
    pub(super) fn ring_of(
        settings: &Settings,
        members: &[&str],
        site: impl Fn(usize) -> &'static str,
        seed: u64,
    ) -> Self {
        let member = |(place, name): (usize, &&str)| RingMember {
            name: (*name).to_owned(),
            address: format!("{name}:1"),
            site: site(place).to_owned(),
        };
        let all: Vec<RingMember> = members.iter().enumerate().map(member).collect();
        let with = |name: &str| Settings {
            ring: Ring { name: name.to_owned(), members: all.clone(), ..settings.ring.clone() },
            ..settings.clone()
        };
        let mut world = Self::new(with(members[0]), seed);
        world.member = members[0].to_owned();
        for name in &members[1..] {
            let mut store = Store::open_in_memory().unwrap();
            let mut restored = Restored::read(&store).unwrap();
            restored.incarnation = store.next_epoch(0).unwrap();
            let settings = with(name);
            let (core, view) = Core::new(settings.clone(), restored, world.now());
            let seat =
                Seat { core, view, store, life: 1, began: Duration::ZERO, disk: VecDeque::new(), settings };
            world.seats.insert((*name).to_owned(), seat);
        }
        for name in members {
            world.connect_links(name, 1);
        }
        world
    }

    /// A host whose agent tries this coordinator first.
    pub(super) fn host_of(&mut self, member: &str, name: &str, vms: &[(&str, i64)]) {
        self.host(name, vms);
        self.hosts.get_mut(name).unwrap().member = member.to_owned();
    }

    /// It is the turn of this one.
    pub(super) fn sit(&mut self, member: &str) {
        if member == self.member || member.is_empty() {
            return;
        }
        let Some(mut seat) = self.seats.remove(member) else { return };
        std::mem::swap(&mut self.core, &mut seat.core);
        std::mem::swap(&mut self.view, &mut seat.view);
        std::mem::swap(&mut self.store, &mut seat.store);
        std::mem::swap(&mut self.life, &mut seat.life);
        std::mem::swap(&mut self.began, &mut seat.began);
        std::mem::swap(&mut self.disk, &mut seat.disk);
        std::mem::swap(&mut self.settings, &mut seat.settings);
        let before = std::mem::replace(&mut self.member, member.to_owned());
        self.seats.insert(before, seat);
    }

    pub(super) fn members(&self) -> Vec<String> {
        let mut all: Vec<String> = self.seats.keys().cloned().collect();
        all.push(self.member.clone());
        all.sort();
        all
    }

    /// Whose turn something needs.
    pub(super) fn whose(&self, happening: &Happening) -> Option<String> {
        match happening {
            Happening::Order { host, .. }
            | Happening::Report { host, .. }
            | Happening::Detach { host, .. }
            | Happening::Connect { host }
            | Happening::Beat { host }
            | Happening::Ends { host, .. } => self.hosts.get(host).map(|host| host.member.clone()),
            Happening::Flush { member, .. }
            | Happening::Solved { member, .. }
            | Happening::Frame { to: (member, _), .. }
            | Happening::LinkUp { member, .. }
            | Happening::Over { member, .. }
            | Happening::Restart { member } => Some(member.clone()),
        }
    }

    /// When the next coordinator wants to be called, and which.
    pub(super) fn next_tick(&self) -> (Duration, String) {
        let others = self.seats.iter().filter(|(name, _)| !self.dead.contains(*name));
        let others = others.map(|(name, seat)| (seat.core.next().saturating_add(seat.began), name.clone()));
        let own = (!self.dead.contains(&self.member))
            .then(|| (self.core.next().saturating_add(self.began), self.member.clone()));
        let (tick, name) = others.chain(own).min().unwrap_or((Duration::MAX, String::new()));
        (tick.max(self.at), name)
    }

    fn life_of(&self, member: &str) -> u32 {
        if member == self.member { self.life } else { self.seats.get(member).map_or(0, |seat| seat.life) }
    }

    fn is_cut(&self, a: &str, b: &str) -> bool {
        let cut = |a: &str, b: &str| self.cut.contains(&(a.to_owned(), b.to_owned()));
        cut(a, b) || cut(b, a)
    }

    pub(super) fn send_frame(&mut self, to: &str, frame: &Frame) {
        self.frames += 1;
        // As it goes over the wire.
        let text = serde_json::to_string(frame).unwrap();
        let frame: Frame = serde_json::from_str(&text).unwrap();
        let from = (self.member.clone(), self.life);
        if self.rng.random_bool(self.losing) {
            return;
        }
        let link = (from.0.clone(), to.to_owned());
        let earliest = self.frames_at.get(&link).copied().unwrap_or_default();
        let at = (self.at + self.delay()).max(earliest);
        self.frames_at.insert(link, at);
        let to = (to.to_owned(), self.life_of(to));
        self.after(at.saturating_sub(self.at), Happening::Frame { from, to, frame });
    }

    pub(super) fn frame_arrives(&mut self, from: &(String, u32), to: &(String, u32), frame: Frame) {
        let gone = self.dead.contains(&to.0) || self.life != to.1 || self.life_of(&from.0) != from.1;
        if gone || self.is_cut(&from.0, &to.0) {
            return;
        }
        self.feed(Input::Peer { from: from.0.clone(), frame: Box::new(frame) });
    }

    fn connect_links(&mut self, name: &str, life: u32) {
        for other in self.members().into_iter().filter(|other| other != name) {
            let there = Happening::LinkUp { member: name.to_owned(), life, to: other.clone() };
            let back =
                Happening::LinkUp { member: other.clone(), life: self.life_of(&other), to: name.to_owned() };
            self.after(AGAIN_AFTER / 10, there);
            self.after(AGAIN_AFTER / 10, back);
        }
    }

    pub(super) fn link_up(&mut self, member: &str, life: u32, to: &str) {
        if self.life != life || self.dead.contains(member) {
            return;
        }
        if self.dead.contains(to) || self.is_cut(member, to) {
            let again = Happening::LinkUp { member: member.to_owned(), life, to: to.to_owned() };
            return self.after(AGAIN_AFTER, again);
        }
        self.feed(Input::PeerUp { member: to.to_owned() });
    }

    /// Nothing goes between two members any more, or it does again.
    pub(super) fn cut(&mut self, a: &str, b: &str, cut: bool) {
        let link = (a.to_owned(), b.to_owned());
        if !cut {
            self.cut.remove(&link);
            return;
        }
        self.cut.insert(link);
        for (member, other) in [(a, b), (b, a)] {
            self.link_is_down(member, other);
        }
    }

    fn link_is_down(&mut self, member: &str, other: &str) {
        if self.dead.contains(member) {
            return;
        }
        self.sit(member);
        self.feed(Input::PeerDown { member: other.to_owned() });
        let (life, to) = (self.life, other.to_owned());
        self.after(AGAIN_AFTER, Happening::LinkUp { member: member.to_owned(), life, to });
    }

    /// A coordinator ends without a word; its agents look for another one. It begins again after a while.
    pub(super) fn kill(&mut self, member: &str, back_after: Option<f64>) {
        self.sit(member);
        self.dead.insert(member.to_owned());
        self.back_after.remove(member);
        self.life += 1;
        let theirs: Vec<String> = (self.hosts.values())
            .filter(|host| host.member == member && host.session.is_some())
            .map(|host| host.name.clone())
            .collect();
        for host in theirs {
            self.reconnect(&host, 1.0);
        }
        for other in self.members().into_iter().filter(|other| other != member) {
            self.link_is_down(&other, member);
        }
        if let Some(seconds) = back_after {
            let member = member.to_owned();
            self.after(Duration::from_secs_f64(seconds), Happening::Restart { member });
        }
    }

    /// A coordinator is told to stop in good order. It begins again a while after it has.
    pub(super) fn retire(&mut self, member: &str, back_after: Option<f64>) {
        self.sit(member);
        if let Some(seconds) = back_after {
            self.back_after.insert(member.to_owned(), seconds);
        }
        self.feed(Input::Shutdown { at_once: false });
    }

    /// The core has said that it is over; what it said before still gets through.
    pub(super) fn has_stopped(&mut self) {
        let (member, life) = (self.member.clone(), self.life);
        self.after(self.slow + Duration::from_millis(1), Happening::Over { member, life });
    }

    /// The process ends. The store has all that was handed to it.
    pub(super) fn is_over(&mut self, member: &str, life: u32) {
        if self.life != life || self.dead.contains(member) {
            return;
        }
        let changes: Vec<_> = self.disk.drain(..).flat_map(|(_, changes)| changes).collect();
        self.store.write(&changes).unwrap();
        let back_after = self.back_after.remove(member);
        self.retired += 1;
        if !self.seats.is_empty() {
            self.kill(member, back_after);
        }
    }

    pub(super) fn revive_member(&mut self, member: &str) {
        self.dead.remove(member);
        self.life += 1;
        self.disk.clear();
        self.began = self.at;
        let mut restored = Restored::read(&self.store).unwrap();
        restored.incarnation = self.store.next_epoch(0).unwrap();
        let now = self.now();
        (self.core, self.view) = Core::new(self.settings.clone(), restored, now);
        self.connect_links(member, self.life);
    }

    /// An agent that looks for a coordinator sits down with the one that it had, or the next one.
    pub(super) fn attach_somewhere(&mut self, name: &str) -> bool {
        if self.seats.is_empty() {
            return true;
        }
        let members = self.members();
        let present = self.hosts[name].member.clone();
        let at = members.iter().position(|member| *member == present).unwrap_or(0);
        let tries = if self.hosts[name].faithful { 1 } else { members.len() };
        let tries = (0..tries).map(|i| members[(at + i) % members.len()].clone());
        let found = tries
            .into_iter()
            .find(|member| !self.dead.contains(member) && self.core_of(member).welcomes(name));
        let Some(found) = found else {
            self.after(AGAIN_AFTER, Happening::Connect { host: name.to_owned() });
            return false;
        };
        self.hosts.get_mut(name).unwrap().member.clone_from(&found);
        self.sit(&found);
        true
    }

    /// Whether another member is there to be asked.
    pub(super) fn can_ask(&self, member: &str) -> bool {
        member == self.member || !self.core.ring.out_of_reach().iter().any(|silent| silent == member)
    }

    /// Where the record of a plan is kept.
    pub(super) fn store_of(&self, plan: &str) -> &Store {
        let other = member_of(plan).and_then(|member| self.seats.get(member));
        other.map_or(&self.store, |seat| &seat.store)
    }

    pub(super) fn core_of(&self, member: &str) -> &Core {
        if member == self.member { &self.core } else { &self.seats[member].core }
    }

    /// An operator approves some of what is proposed by the one whose turn it is.
    pub(super) fn approve_some(&mut self) {
        if self.dead.contains(&self.member) {
            return;
        }
        let proposed = self.plans().into_iter().filter(|plan| plan.state == PlanState::Proposed);
        // What is asked of an operator, who makes sure of it: that VMs run nowhere.
        let is_down = |action: &Action| self.vms[&action.vm].host.is_none();
        let is_sure = |plan: &Arc<PlanRecord>| {
            let mut actions = plan.plan.iter().flat_map(|plan| &plan.actions);
            actions.all(|action| action.kind != ActionKind::Start || is_down(action))
        };
        let proposed = proposed.filter(is_sure);
        for id in proposed.map(|plan| plan.id.clone()).collect::<Vec<_>>() {
            if self.rng.random_bool(0.5) {
                self.ask(|ticket| Input::ApprovePlan { id, ticket });
            }
        }
    }

    /// Plans act on different hosts, whoever leads them.
    pub(super) fn check_ring(&self) {
        if self.seats.is_empty() {
            return;
        }
        self.check_reservations();
        let mut acted: BTreeMap<&str, &str> = BTreeMap::new();
        for host in self.hosts.values() {
            for (key, act) in host.running() {
                let to = match &act.kind {
                    OrderKind::Migrate { destination, .. } => destination,
                    OrderKind::Start { .. } => &host.name,
                };
                for end in [&host.name, to] {
                    if let Some(other) = acted.insert(end, &key.plan_id)
                        && other != key.plan_id
                    {
                        panic!("{end} is acted on by {other} and {}\n{}", key.plan_id, self.story());
                    }
                }
            }
        }
    }

    /// No host is in two partitions that carry out plans, by what their leaders count on; none is reserved for longer than a
    /// lease.
    fn check_reservations(&self) {
        let mut had: BTreeMap<String, String> = BTreeMap::new();
        for member in self.members().into_iter().filter(|member| !self.dead.contains(member)) {
            let began = if member == self.member { self.began } else { self.seats[&member].began };
            let core = self.core_of(&member);
            for (partition, host) in core.ring.counted_on(self.at.saturating_sub(began)) {
                if let Some(other) = had.insert(host.clone(), partition.clone()) {
                    panic!("{host} is of {other} and {partition}\n{}", self.story());
                }
            }
        }
    }

    /// The events of all coordinators.
    pub(super) fn story(&self) -> String {
        let mut text = format!("--- {} at {:?}\n{}", self.member, self.at, self.events_text());
        for (name, seat) in &self.seats {
            let _ = write!(text, "--- {name}\n{}", Self::text_of(&seat.view));
        }
        for name in self.members() {
            let core = self.core_of(&name);
            let _ = writeln!(text, "--- {name}: plans {:?}\n{}", core.lives, core.ring.told());
        }
        text
    }
}

//! The hosts of this cell: what others may have of them, who has them, and what their leaders see.
//!
//! A host is reserved either in the cell's own table (`Partitions`, for plans of this cell) or in the protocol's ledger,
//! never in both: what the table holds is busy for the ledger, and what the ledger holds is in the table under the name
//! of its partition.

use super::super::{Core, Effect};
use super::time;
use crate::coordinator::inventory::{Flight, HostEntry, Now};
use crate::coordinator::peers::{Frame, Known, Neighbour, Session, digest};
use crate::coordinator::planning;
use crate::coordinator::settings::seconds;
use crate::partition::{Facts, Host, Input, Member, PartitionId};
use crate::record::{Event, EventKind, Order, Severity, VmState};
use crate::store;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who holds hosts of which reservations may be running that nobody here knows of.
const UNSETTLED: &str = "ring:unsettled";
/// Before the name of a partition of the ring.
const RING: &str = "ring:";
/// Between two pictures of a host for the leader that has it.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// How long a host of another member is remembered that no partition led here has.
const FORGET_AFTER: Duration = Duration::from_secs(5);

fn holder_of(partition: &PartitionId) -> String {
    format!("{RING}{partition}")
}

/// Whether hosts are held for the ring.
pub(in crate::coordinator::core) fn is_of_ring(holder: &str) -> bool {
    holder.starts_with(RING)
}

/// Whether hosts are held only as reservations of them may be running that nobody here knows of.
pub(in crate::coordinator::core) fn is_unsettled(holder: &str) -> bool {
    holder == UNSETTLED
}

impl Core {
    /// Tells the protocol which hosts of the cell have come, gone, or been taken. At each of its steps.
    pub(super) fn mind_own_hosts(&mut self, now: Now) {
        if !self.ring.sleeps() {
            self.at_home(|core| core.tell_facts(false, now));
        }
    }

    /// Tells it also what room they have: a walk over all VMs.
    pub(super) fn mind_rooms(&mut self, now: Now) {
        if !self.ring.sleeps() {
            self.at_home(|core| core.tell_facts(true, now));
        }
    }

    fn tell_facts(&mut self, with_rooms: bool, now: Now) {
        let moving: BTreeSet<&str> = (self.cell.flights())
            .flat_map(|(_, flight)| [flight.source.as_str(), flight.destination.as_str()])
            .collect();
        let rooms = if with_rooms { planning::rooms(&self.cell, &self.settings) } else { BTreeMap::new() };
        let mut changed = Vec::new();
        for (name, entry) in &self.cell.hosts {
            let held = self.partitions.holder(name).is_some_and(|holder| !is_of_ring(holder));
            let known = self.ring.facts.get(name).copied().unwrap_or_default();
            let (room, takes) = rooms.get(name.as_str()).copied().unwrap_or((known.room, known.takes));
            let busy = self.leaving.is_some()
                || held
                || moving.contains(name.as_str())
                || self.receives_for_others(name);
            let facts = Facts { room, takes, busy };
            if self.ring.facts.get(name) != Some(&facts) {
                // Of a host that no coordinator ever had nothing can be reserved.
                let fresh = entry.epoch > 0 && entry.hello.epoch == 0 && self.ring.owner_of(name).is_none();
                changed.push((name.clone(), facts, fresh));
            }
        }
        let gone: Vec<String> =
            self.ring.facts.keys().filter(|host| !self.cell.hosts.contains_key(*host)).cloned().collect();
        for host in gone {
            self.ring.facts.remove(&host);
            let time = self.ring.time(now);
            self.ring.node.handle_event(time, Input::HostGone { host: host.as_str().into() });
        }
        for (host, facts, fresh) in changed {
            self.ring.facts.insert(host.clone(), facts);
            let time = self.ring.time(now);
            self.ring.node.handle_event(time, Input::Host { host: host.as_str().into(), facts, fresh });
        }
    }

    /// Whether an action of another plan is under way on a host, be it one that came here in the middle of it.
    pub(in crate::coordinator::core) fn is_acted_on(&self, host: &str, plan: &str) -> bool {
        if self.ring.is_alone() {
            return false;
        }
        let touches = |flight: &Flight| flight.source == host || flight.destination == host;
        self.receives_for_others(host)
            || self.cell.flights().any(|(_, flight)| touches(flight) && flight.key.plan_id != plan)
    }

    /// Whether a VM is on its way to a host of which this member was told nothing: it is one of a plan of another member,
    /// under way since before the host came here.
    fn receives_for_others(&self, host: &str) -> bool {
        let Some(entry) = self.cell.hosts.get(host) else { return false };
        let untold = |vm: &str| self.cell.flight(vm).is_none_or(|flight| flight.destination != host);
        entry.vms.iter().any(|(name, vm)| vm.report.state == VmState::MigratingIn && untold(name))
    }

    /// Brings the cell's table in line with the ledger.
    pub(super) fn mirror(&mut self, now: Now) {
        if self.ring.sleeps() {
            return;
        }
        let ledger = self.ring.node.ledger();
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (host, _) in ledger.cell() {
            let holder = match (ledger.holder(host), ledger.unsettled(host)) {
                (Some(held), _) => holder_of(&held.partition),
                (None, Some(_)) => UNSETTLED.to_owned(),
                (None, None) => continue,
            };
            wanted.entry(holder).or_default().insert(host.to_string());
        }
        for (holder, hosts) in &wanted {
            for host in hosts {
                match self.partitions.holder(host) {
                    Some(present) if present == holder => {}
                    Some(present) if is_of_ring(present) => {
                        let present = present.to_owned();
                        self.partitions.hand_over(host, &present, holder);
                        self.cell.touch(host);
                    }
                    // A plan of before a restart that this coordinator has carried out alone.
                    Some(_) => {}
                    None => {
                        self.partitions.take_for(holder, host);
                        self.cell.touch(host);
                    }
                }
            }
        }
        let held: Vec<(String, BTreeSet<String>)> = (self.partitions.partitions())
            .filter(|(id, _)| is_of_ring(id))
            .map(|(id, hosts)| (id.to_owned(), hosts.clone()))
            .collect();
        for (id, hosts) in held {
            match wanted.get(&id) {
                None => self.release(&id, now),
                Some(kept) => {
                    let leaving: BTreeSet<String> = hosts.difference(kept).cloned().collect();
                    if !leaving.is_empty() {
                        self.shrink(&id, &leaving, now);
                    }
                }
            }
        }
    }

    /// Hosts of a shared plan that has ended stay with it as long as its actions are aloft there.
    pub(super) fn keep_aloft(&mut self, plan: &str, partition: &PartitionId) {
        let holder = holder_of(partition);
        for host in self.hosts_aloft(plan) {
            if self.partitions.holder(&host) == Some(&holder) {
                self.partitions.hand_over(&host, &holder, plan);
            }
        }
    }

    /// Whether an action of a partition may begin on a host of this cell.
    pub(super) fn may_act(
        &self,
        host: &str,
        partition: &PartitionId,
        fence: crate::partition::Epoch,
        now: Now,
    ) -> bool {
        self.ring.node.ledger().may_act(&host.into(), partition, fence, time(now))
    }

    /// Another member has these hosts, and tells what rules over several cells are judged by.
    pub(super) fn cell_told(&mut self, from: &str, hosts: BTreeMap<String, Session>, known: Known, now: Now) {
        for (host, session) in &hosts {
            let own = self.cell.hosts.get(host).map(|entry| entry.epoch);
            // Should its agent come here, it stays what operators want it to be.
            let known =
                self.ring.elsewhere.values().filter_map(|cell| cell.get(host)).map(|known| known.epoch);
            let newest = known.chain(own).max().is_none_or(|newest| newest <= session.epoch);
            if newest {
                self.ring.kept.said(host, session.epoch);
            }
            if newest && self.wanted.get(host).copied().unwrap_or_default() != session.state {
                self.wanted.insert(host.clone(), session.state);
                self.journal.write(store::Change::HostState(host.clone(), session.state, session.epoch));
            }
        }
        self.ring.heard.insert(from.to_owned(), digest(&hosts, &known));
        self.cell.afar.told(from, known);
        self.ring.elsewhere.insert(from.to_owned(), hosts);
        self.hosts_have_moved(from, now);
    }

    /// How many hosts other members have.
    pub(in crate::coordinator::core) fn hosts_elsewhere(&self) -> usize {
        self.ring.elsewhere.values().map(BTreeMap::len).sum()
    }

    /// Hosts of this cell that another member has with newer sessions have gone over to it.
    fn hosts_have_moved(&mut self, to: &str, now: Now) {
        self.ring.cells_at.insert(to.to_owned(), now.at);
        let Some(theirs) = self.ring.elsewhere.get(to) else { return };
        let newer = |(host, entry): (&String, &HostEntry)| {
            let session = theirs.get(host).filter(|session| session.epoch > entry.epoch)?;
            Some((host.clone(), session.boot.clone()))
        };
        for (host, boot) in self.cell.hosts.iter().filter_map(newer).collect::<Vec<_>>() {
            self.host_has_moved(&host, &boot, to, now);
        }
    }

    /// Another member has the hosts that it had.
    pub(super) fn cell_is_the_same(&mut self, from: &str, told: u64, now: Now) {
        match self.ring.heard.get(from) {
            // What came here since is judged again.
            Some(heard) if *heard == told => self.hosts_have_moved(from, now),
            _ => self.tell_member(from, Frame::Again { round: 0 }),
        }
    }

    /// An agent has gone over to another member: the host is not of this cell any more. What its agent has of ours goes
    /// on, and the other member tells of it.
    fn host_has_moved(&mut self, host: &str, boot: &str, to: &str, now: Now) {
        let Some(entry) = self.cell.hosts.get(host) else { return };
        let (epoch, session) = (entry.epoch, entry.session);
        let idle = self.partitions.holder(host).is_none() && !self.is_acted_on(host, "");
        if session {
            let reason = format!("this host has a newer session at {to}");
            let order = Order::GoAway { reason, reconnect_after: Duration::from_secs(1) };
            self.effects.push(Effect::Tell { host: host.to_owned(), epoch, order });
            self.effects.push(Effect::EndSession { host: host.to_owned(), epoch });
        }
        self.announce_arrivals(host, to, now);
        self.actions_go_abroad(now, |executor| executor == host);
        if !self.hand_over_what_is_down(host, boot, to, now) {
            self.journal.write(store::Change::HostGone(host.to_owned()));
        }
        self.cell.forget(host);
        self.kept.remove(host);
        // Its agent tells the other member what it has not acknowledged.
        self.ring.owed.retain(|_, owed| owed.host() != host);
        let message = format!("host {host} has gone over to coordinator {to}");
        let said = super::super::journal::event(EventKind::HostLost, Severity::Info, message);
        self.tell(Event { host: host.to_owned(), ..said }, now);
        self.urgent = true;
        if idle && self.ring.node.ledger().nobody_has(&host.into()) {
            self.tell_member(to, Frame::Free { host: host.to_owned(), epoch });
        }
        self.mind_own_hosts(now);
        self.follow(now);
    }

    /// A host has come from a member that says that nobody has reserved it. No other had it between.
    pub(super) fn comes_free(&mut self, host: &str, epoch: u64, now: Now) {
        let from_there = |entry: &HostEntry| entry.hello.epoch == epoch && entry.epoch > epoch;
        if self.cell.hosts.get(host).is_some_and(from_there) {
            self.happens(Input::Settled { host: host.into() }, now);
        }
    }

    /// Whether a host that has failed here may have a session at a member that has not said so yet.
    pub(in crate::coordinator::core) fn may_be_elsewhere(&self, host: &str) -> bool {
        let Some(entry) = self.cell.hosts.get(host) else { return false };
        let since = entry.seen + seconds(self.settings.inventory.failed_after_s);
        let heard = |member: &String| self.ring.cells_at.get(member).is_some_and(|at| *at > since);
        self.ring.up.iter().any(|member| !heard(member))
    }

    /// What becomes of actions of these agents is for other members to tell.
    pub(super) fn actions_go_abroad(&mut self, now: Now, of: impl Fn(&str) -> bool) {
        let patience = now.at + seconds(self.settings.ring.lease_s) * 3;
        for aloft in self.aloft.values_mut().filter(|aloft| of(&aloft.executor)) {
            aloft.goes_abroad(now.at, patience);
        }
    }

    /// After a restart: agents that have gone over to other members may have told them already how actions ended.
    pub(in crate::coordinator::core) fn revive_abroad(&mut self, now: Now) {
        if !self.ring.is_alone() {
            let here: BTreeSet<String> = self.cell.hosts.keys().cloned().collect();
            self.actions_go_abroad(now, |executor| !here.contains(executor));
        }
    }

    /// Shows a leader hosts that it has.
    pub(super) fn show_hosts(&mut self, leader: &str, hosts: &[Host]) {
        let hosts = self.at_home(|core| {
            let shown = hosts.iter().filter_map(|host| core.cell.hosts.get(host.as_str()));
            shown.map(Neighbour::of).collect::<Vec<_>>()
        });
        self.tell_member(leader, Frame::Hosts { hosts });
    }

    /// Shows a leader all hosts of this cell that it has.
    pub(super) fn show_hosts_of(&mut self, leader: &str) {
        let held = self.ring.node.ledger().held();
        let theirs: Vec<Host> =
            held.filter(|(_, held)| held.leader.as_str() == leader).map(|(host, _)| host.clone()).collect();
        if !theirs.is_empty() {
            self.show_hosts(leader, &theirs);
        }
    }

    /// Shows leaders elsewhere what has become of the hosts that they have.
    pub(super) fn tell_leaders(&mut self, now: Now) {
        if now.at < self.ring.told_hosts + SHOW_EVERY {
            return;
        }
        self.ring.told_hosts = now.at;
        let mut theirs: BTreeMap<Member, Vec<Host>> = BTreeMap::new();
        for (host, held) in self.ring.node.ledger().held() {
            if held.leader != *self.ring.node.me() {
                theirs.entry(held.leader.clone()).or_default().push(host.clone());
            }
        }
        for (leader, hosts) in theirs {
            self.show_hosts(leader.as_str(), &hosts);
        }
    }

    /// An owner shows hosts that a partition led here has.
    pub(super) fn neighbours_told(&mut self, from: &str, hosts: Vec<Neighbour>, now: Now) {
        for neighbour in hosts {
            let name = neighbour.hello.host.clone();
            if !self.cell.hosts.contains_key(&name) {
                let entry = neighbour.into_entry(now.at, now.wall);
                self.ring.neighbours.insert(name, (from.into(), entry));
            }
        }
        self.urgent = true;
    }

    /// Forgets hosts of others that no partition led here has.
    pub(super) fn forget_neighbours(&mut self, now: Now) {
        let mut have: BTreeSet<String> = BTreeSet::new();
        for (_, led) in self.ring.node.partitions() {
            have.extend(led.hosts().into_keys().map(|host| host.to_string()));
        }
        // They are shown before they are granted.
        let fresh = |entry: &HostEntry| now.at < entry.seen + FORGET_AFTER;
        self.ring.neighbours.retain(|host, (_, entry)| have.contains(host) || fresh(entry));
    }
}

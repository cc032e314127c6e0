//! This coordinator is being stopped while others serve on. It hands over what it has without interrupting what is
//! carried out:
//!
//! * plans that are carried out go on to their end, here and at its hosts; nothing new is planned, nothing granted;
//! * agents go to other members as soon as their hosts are not needed for that, some at a time;
//! * VMs that are down go with their hosts, hosts that have failed to another member.
//!
//! What has not ended in time is left as by a coordinator that was killed.

use super::super::journal::event;
use super::super::plans::{Cause, Stage};
use super::super::restore::not_back_yet;
use super::super::{Core, Effect, Halt};
use crate::coordinator::inventory::{Down, Now};
use crate::coordinator::peers::Frame;
use crate::partition::Input;
use crate::record::{AdminState, Connection, Event, EventKind, PlanState, Severity};
use crate::store::{self, KnownHost};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What becomes of plans for troubles that have not begun.
pub(super) const NOT_BEGUN: &str =
    "the coordinator is being stopped; whoever has the hosts then plans anew what is still needed";
/// What becomes of requests that have not begun.
const NOT_TAKEN: &str = "the coordinator is being stopped; ask another one for it";
const PAUSED: &str = "it was paused, and the coordinator is being stopped; whoever has the hosts then plans anew what is \
                      still needed";
/// Over so many looks agents are sent away, that others do not have to take them all at once.
const LOOKS: usize = 20;
/// When an agent looks for another coordinator.
const GOES_AFTER: Duration = Duration::from_millis(200);
/// An agent that is heard of nowhere for so long has no other coordinator.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// What was not heard is said again so often, and to another member after so many times.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// How far it is.
#[derive(Debug)]
pub(in crate::coordinator::core) struct Leaving {
    /// When it ends at the latest.
    until: Duration,
    /// Agents that are sent away at a look, at most.
    at_once: usize,
    /// Hosts whose agents were sent away.
    sent: BTreeSet<String>,
    /// Failed hosts that another member is to take: how often that was said, and when last.
    absent: BTreeMap<String, (usize, Duration)>,
}

impl Core {
    /// Begins to hand over what it has.
    pub(in crate::coordinator::core) fn leave(&mut self, within: Duration, now: Now) {
        let hosts = self.cell.hosts.values().filter(|entry| entry.session).count();
        self.leaving = Some(Leaving {
            until: now.at.saturating_add(within),
            at_once: hosts.div_ceil(LOOKS),
            sent: BTreeSet::new(),
            absent: BTreeMap::new(),
        });
        self.refuse_what_ifs();
        // Gives up partitions that are not carried out, and the plans for them.
        self.happens(Input::Leave, now);
        self.end_what_has_not_begun(now);
        let message = format!(
            "the coordinator is being stopped: {} plans go on for {} s at most, and {hosts} agents go to others",
            self.lives.len(),
            within.as_secs_f64()
        );
        self.tell(event(EventKind::Operator, Severity::Info, message), now);
        self.urgent = true;
    }

    fn end_what_has_not_begun(&mut self, now: Now) {
        for id in self.lives.keys().cloned().collect::<Vec<_>>() {
            let Some(life) = self.lives.get(&id) else { continue };
            let asked = matches!(life.cause, Cause::Request(_));
            if !matches!(life.stage, Stage::Executing(_)) {
                let why = if asked { NOT_TAKEN } else { NOT_BEGUN };
                self.end(&id, PlanState::Cancelled, why, now);
            } else if self.plans.get(&id).is_some_and(|record| record.paused.is_some()) {
                self.halt(&id, Halt::Cancelled(PAUSED.to_owned()));
            }
        }
    }

    /// Whether an agent may begin a session here.
    pub(in crate::coordinator) fn welcomes(&self, host: &str) -> bool {
        !self.stopping && (self.leaving.is_none() || self.ring.up.is_empty() || self.is_carried_out_on(host))
    }

    /// Whether an agent was told to go to another member.
    pub(in crate::coordinator::core) fn was_sent_away(&self, host: &str) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.sent.contains(host))
    }

    /// Whether a host is one of a plan that is carried out, here or elsewhere.
    fn is_carried_out_on(&self, host: &str) -> bool {
        let own = self.partitions.holder(host).is_some_and(|plan| self.lives.contains_key(plan));
        own || self.ring.node.ledger().holder(&host.into()).is_some()
    }

    /// What is due at each look.
    pub(in crate::coordinator::core) fn go_on_leaving(&mut self, now: Now) {
        let Some(leaving) = self.leaving.as_ref().filter(|_| !self.stopping) else { return };
        self.urgent = true;
        if now.at >= leaving.until {
            let message = format!(
                "{} plans and {} hosts are left behind as they are: execution.finish_within_s is over",
                self.lives.len(),
                self.cell.hosts.len()
            );
            self.tell(event(EventKind::Alarm, Severity::Warning, message), now);
            return self.stop();
        }
        // Without others agents have nowhere to go.
        if !self.ring.up.is_empty() {
            self.send_some_away(now);
            self.entrust_failed_hosts(now);
        }
        if self.has_handed_over(now) {
            self.stop();
        }
    }

    fn has_handed_over(&self, now: Now) -> bool {
        // What is waited for in vain stays in the store.
        let tries = TRIES * self.ring.up.len();
        let said = |host: &String| self.leaving.as_ref()?.absent.get(host).map(|(said, _)| *said);
        let waits = |host: &String| {
            let entry = &self.cell.hosts[host];
            match entry.connection {
                Connection::Connected => true,
                Connection::Lost => now.at < entry.seen + ARRIVES_WITHIN,
                Connection::Failed => said(host).is_none_or(|said| said <= tries),
            }
        };
        let carried_out =
            !self.lives.is_empty() || self.cell.hosts.keys().any(|host| self.is_carried_out_on(host));
        let others = !self.ring.up.is_empty();
        let tells = others
            && (self.cell.hosts.keys().any(waits)
                || !self.ring.handing.is_over()
                || !self.ring.owed.is_empty());
        !carried_out && !tells && self.journal.is_quiet()
    }

    /// Sends some of the agents away whose hosts are not needed any more.
    fn send_some_away(&mut self, now: Now) {
        let Some(leaving) = &self.leaving else { return };
        let goes = |(host, entry): &(&String, &crate::coordinator::inventory::HostEntry)| {
            entry.session
                && entry.connection == Connection::Connected
                && !leaving.sent.contains(*host)
                && !self.is_carried_out_on(host)
        };
        let going: Vec<String> =
            self.cell.hosts.iter().filter(goes).take(leaving.at_once).map(|(host, _)| host.clone()).collect();
        if going.is_empty() {
            return;
        }
        // What operators want of them is there before they are.
        self.tell_cell(now);
        for host in going {
            tracing::info!(host, "its agent is sent to another coordinator");
            self.send_away(&host, GOES_AFTER);
            self.leaving.iter_mut().for_each(|leaving| _ = leaving.sent.insert(host.clone()));
        }
    }

    /// An agent has come back before it has left: it is to be sent away again.
    pub(in crate::coordinator::core) fn has_come_back(&mut self, host: &str) {
        if let Some(leaving) = &mut self.leaving {
            leaving.sent.remove(host);
        }
    }

    /// Has another member look after failed hosts: their agents cannot go there.
    fn entrust_failed_hosts(&mut self, now: Now) {
        let failed = self.cell.hosts.iter().filter(|(_, entry)| entry.connection == Connection::Failed);
        let failed: Vec<String> = failed.map(|(host, _)| host.clone()).collect();
        let tour = self.ring.node.ring().tour(self.ring.node.me());
        let heirs: Vec<String> =
            tour.iter().map(ToString::to_string).filter(|m| self.ring.up.contains(m)).collect();
        for host in failed.into_iter().filter(|host| !self.is_carried_out_on(host)).collect::<Vec<_>>() {
            let Some(leaving) = &mut self.leaving else { return };
            let (said, at) = leaving.absent.entry(host.clone()).or_default();
            if *said > 0 && now.at < *at + AGAIN_AFTER {
                continue;
            }
            let heir = heirs.get(*said / TRIES % heirs.len().max(1)).cloned();
            (*said, *at) = (*said + 1, now.at);
            let state = self.cell.hosts.get(&host).map(|entry| entry.admin).unwrap_or_default();
            if let Some((heir, known)) = heir.zip(self.known_host(&host)) {
                self.tell_member(&heir, Frame::Absent { host: Box::new(known), state });
            }
        }
    }

    /// Another member is being stopped and has this one look after a failed host.
    pub(super) fn absent_comes(&mut self, from: &str, known: KnownHost, state: AdminState, now: Now) {
        let host = known.name.clone();
        let present = self.cell.hosts.get(&host);
        // Where its agent is heard of it goes over by that.
        let heard = present.is_some_and(|entry| entry.session) || self.ring.owner_of(&host).is_some();
        if self.leaving.is_some() || heard {
            return;
        }
        if present.is_none() {
            if self.wanted.get(&host).copied().unwrap_or_default() != state {
                self.wanted.insert(host.clone(), state);
                self.journal.write(store::Change::HostState(host.clone(), state, 0));
            }
            let (entry, down): (_, Down) = not_back_yet(known, state, now);
            self.cell.revive(entry, down, now.at);
            self.keep_host(&host);
            let message = format!(
                "host {host}, which has failed, comes from coordinator {from}, which is being stopped"
            );
            let said = event(EventKind::HostLost, Severity::Warning, message);
            self.tell(Event { host: host.clone(), ..said }, now);
            self.urgent = true;
        }
        self.journal.then(Effect::Peer { to: from.to_owned(), frame: Frame::Taken { host } });
    }

    /// The other member looks after it.
    pub(super) fn absent_is_kept(&mut self, host: &str, now: Now) {
        let entrusted = self.leaving.as_mut().is_some_and(|leaving| leaving.absent.remove(host).is_some());
        let failed = self.cell.hosts.get(host).is_some_and(|entry| entry.connection == Connection::Failed);
        if !entrusted || !failed {
            return;
        }
        self.actions_go_abroad(now, |executor| executor == host);
        self.journal.write(store::Change::HostGone(host.to_owned()));
        self.cell.forget(host);
        self.kept.remove(host);
        self.urgent = true;
        self.mind_own_hosts(now);
        self.follow(now);
    }
}

//! Hosts with little to do: they are emptied onto others of the cell, or, where these have no room, of other cells; put to sleep
//! when they are empty; and woken when nobody has room.
//!
//! When an underload begins and ends and which hosts are packed together is the code of production (`partition::thrift`), and so
//! are the levels by which they are packed. Putting to sleep and waking is ours: there agents cannot do it. A coordinator's own
//! host stays on, and counts as one in use.

#[cfg(test)]
mod tests;

use super::Dvms;
use super::coordinator::{Ask, Care, Kept, Rest};
use super::picture::Picture;
use super::words::Word;
use crate::partition::{Kind, thrift};
use crate::simulator::engine::Context;
use crate::simulator::ids::HostId;
use crate::simulator::world::HostState;
use std::rc::Rc;

/// A host that is empty for so long goes to sleep.
const SLEEPS_AFTER_S: f64 = 10.0;
/// Until a host that was woken is there, no other one is woken for the same trouble; nor, if it does not come, before this.
const WAKE_AGAIN_S: f64 = 180.0;

impl Dvms {
    /// Whether a trouble stands.
    pub(super) fn stands(&self, k: usize, kind: Kind, host: HostId, now: f64) -> bool {
        let it = &self.coordinators[k];
        if !kind.is_thrift() {
            return it.over.contains(&host);
        }
        it.kept(host).calm_since.is_some_and(|since| now >= since + self.how.under_hold_s)
    }

    /// Looks for hosts with little to do, and does something about those for which it is time.
    pub(super) fn look_for_thrift(&mut self, k: usize, context: &mut Context<Word>) {
        self.watch_for_thrift(k, context);
        if self.how.sleeps() {
            self.put_to_sleep(k, context);
        }
        loop {
            let it = &self.coordinators[k];
            // Of several solvers one is kept for overloads.
            let room = it.solving.len() < (self.how.concurrent as usize - 1).max(1) && it.line.is_empty();
            if it.node.is_none() || !room || !it.over.is_empty() {
                return;
            }
            let Some(ask) = self.ask_for_thrift(k, context.now()) else { return };
            self.begin(k, ask, context);
        }
    }

    /// Underloads begin, and end.
    fn watch_for_thrift(&mut self, k: usize, context: &mut Context<Word>) {
        let (now, share) = (context.now(), self.how.under);
        let it = &mut self.coordinators[k];
        let strained = !it.over.is_empty();
        let mut ended = Vec::new();
        for (host, kept) in &mut it.cell {
            let below = |picture: &Rc<Picture>, share| {
                let on = picture.host.now.state == HostState::On && picture.host.now.vms > 0;
                on && thrift::is_below(picture.used(), picture.capacity(), share)
            };
            let picture = kept.picture.as_ref().filter(|_| kept.rest == Rest::Awake);
            let goes_on = picture.is_some_and(|picture| below(picture, share * thrift::ENDS_AT));
            if kept.calm_since.is_some() && !goes_on {
                kept.calm_since = None;
                kept.under.misses = 0;
                ended.push(*host);
            } else if kept.calm_since.is_none() && !strained && picture.is_some_and(|p| below(p, share)) {
                kept.calm_since = Some(now);
            }
        }
        for host in ended {
            self.calm(k, Kind::Underload, host, context);
        }
    }

    /// What to reserve for the first underload that can be worked on.
    fn ask_for_thrift(&self, k: usize, now: f64) -> Option<Ask> {
        let (it, kind) = (&self.coordinators[k], Kind::Underload);
        let busy = |host: HostId| it.is_busy(host, &self.names[host.index()], None);
        let hosts = it.cell.keys().copied();
        let due = |host: &HostId| it.is_due(kind, *host, now) && self.stands(k, kind, *host, now);
        let due: Vec<HostId> = hosts.filter(due).collect();
        if due.is_empty() {
            return None;
        }
        let runs = |(host, picture): &(HostId, &Picture)| {
            picture.host.now.state == HostState::On
                && picture.host.now.vms > 0
                && !picture.is_over()
                && !busy(*host)
        };
        let found: Vec<(HostId, f64)> = it
            .known(now, self.how.lost_after_s)
            .filter(runs)
            .map(|(host, picture)| (host, picture.share()))
            .collect();
        due.iter().find_map(|first| {
            let hosts = thrift::emptiest(found.clone(), first, self.how.pack_hosts as usize)?;
            let others = due.iter().filter(|other| *other != first && hosts.contains(other));
            let troubles = std::iter::once(first).chain(others).copied().collect();
            let hosts = hosts.into_iter().collect();
            Some(Ask { kind, hosts, troubles, whole: true, short: false, only: None })
        })
    }

    /// Hosts that have been empty for a while are switched off.
    fn put_to_sleep(&mut self, k: usize, context: &mut Context<Word>) {
        let now = context.now();
        // Coordinators run on their hosts whatever is moved.
        let hosts = self.coordinators[k].cell.keys().copied();
        let hosts: Vec<HostId> = hosts.filter(|host| self.at(host.agent()).is_none()).collect();
        let it = &mut self.coordinators[k];
        let mut tired = Vec::new();
        for host in hosts {
            let kept = it.kept(host);
            let empty = kept.rest == Rest::Awake
                && now <= kept.heard + self.how.lost_after_s
                && kept.picture.as_ref().is_some_and(|picture| {
                    let there = picture.host.now;
                    there.state == HostState::On && there.vms == 0 && there.held == 0
                })
                && !it.is_busy(host, &self.names[host.index()], None);
            let kept = it.kept_mut(host);
            kept.empty_since = empty.then(|| kept.empty_since.unwrap_or(now));
            if kept.empty_since.is_some_and(|since| now >= since + SLEEPS_AFTER_S) {
                (kept.rest, kept.empty_since) = (Rest::Asleep, None);
                tired.push(host);
            }
        }
        let agent = it.agent;
        for host in tired {
            self.mind(k, host, context);
            context.send(agent, host.agent(), Word::Sleep, 0);
        }
    }

    /// The agent of a host is told to switch it off; it does where it is empty.
    pub(super) fn sleep(&mut self, host: HostId, context: &mut Context<Word>) {
        if context.switch_off(host.agent()) {
            self.told[host.index()] = None;
        }
    }

    /// A host that is to be asleep, or is being woken, has told something.
    pub(super) fn wakes_up(&mut self, k: usize, host: HostId, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let (agent, kept) = (it.agent, it.kept_mut(host));
        let used = kept.picture.as_ref().is_some_and(|it| it.host.now.vms > 0 || it.host.now.held > 0);
        match kept.rest {
            Rest::Awake => {}
            // It has not heard it, or has just said this before it did.
            Rest::Asleep if !used => context.send(agent, host.agent(), Word::Sleep, 0),
            Rest::Asleep => kept.rest = Rest::Awake,
            Rest::Waking => {
                kept.rest = Rest::Awake;
                // There is room now: what has waited for it rests no more.
                for over in it.over.clone() {
                    let trouble = &mut it.kept_mut(over).over;
                    trouble.woke_at = None;
                    if trouble.care == Care::Nobody {
                        trouble.rests_until = 0.0;
                    }
                }
            }
        }
    }

    /// Nobody has room for what is to leave a host: one is woken, where one sleeps.
    pub(super) fn wake_for(&mut self, k: usize, host: HostId, context: &mut Context<Word>) {
        let now = context.now();
        let trouble = &mut self.coordinators[k].kept_mut(host).over;
        let waits = trouble.woke_at.is_some_and(|at| now < at + WAKE_AGAIN_S);
        if !self.how.sleeps() || waits {
            return;
        }
        trouble.woke_at = Some(now);
        self.wake(k, self.coordinators.len() as u32, context);
    }

    /// Wakes a host of a cell, or of one of the `left` next ones.
    pub(super) fn wake(&mut self, k: usize, left: u32, context: &mut Context<Word>) {
        let (now, it) = (context.now(), &self.coordinators[k]);
        let mut cell = it.cell.iter();
        let sleeper = cell.find(|(_, kept)| kept.rest == Rest::Asleep);
        // Of what went before its last start a coordinator knows nothing: who is silent may be asleep.
        let silent = |(host, kept): &(&HostId, &Kept)| {
            let unheard = it.life > 1 && now > kept.heard + self.how.lost_after_s;
            unheard && kept.rest == Rest::Awake && self.at(host.agent()).is_none()
        };
        if let Some(host) = sleeper.or_else(|| it.cell.iter().find(silent)).map(|(host, _)| *host) {
            self.coordinators[k].kept_mut(host).rest = Rest::Waking;
            context.switch_on(host);
        } else if left > 1 {
            let next = (k + 1) % self.coordinators.len();
            let (from, to) = (self.coordinators[k].agent, self.coordinators[next].agent);
            context.send(from, to, Word::Wake(left - 1), 4);
        }
    }
}

//! Messages on their way.

use super::context::Context;
use super::events::Event;
use super::log::Happening;
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::HEADER_BYTES;

#[derive(Debug, Clone)]
pub(super) struct Letter<M> {
    to: Agent,
    from: Agent,
    message: M,
    /// How often the receiver had begun anew when it was sent: to who has since it is lost, as its connections are.
    life: u32,
}

impl<M> Context<M> {
    /// Sends a message; it takes its time and may be lost. `bytes` is what it says; the header comes on top.
    pub fn send(&mut self, from: Agent, to: Agent, message: M, bytes: u64) {
        self.traffic.send(from, to, 1, HEADER_BYTES + bytes);
        if self.is_lost() {
            self.traffic.lose();
            self.note_message(from, to, HEADER_BYTES + bytes, None, &message);
            return;
        }
        let latency = self.latency(from, to);
        self.note_message(from, to, HEADER_BYTES + bytes, Some(self.now() + latency), &message);
        let life = self.life(to);
        let slot = self.letters.put(Letter { to, from, message, life });
        self.queue.push_after(self.world.now(), latency, Event::Mail { slot });
    }

    /// Whether a message is lost on its way, drawn where some are.
    pub(super) fn is_lost(&mut self) -> bool {
        let loss = self.conditions.loss;
        loss > 0.0 && self.chance.happens(loss)
    }

    /// Counts a message that changes nothing but that it is sent: a heartbeat.
    pub fn count(&mut self, from: Agent, to: Agent, bytes: u64) {
        self.traffic.send(from, to, 1, HEADER_BYTES + bytes);
        self.note(|_| Happening::Heartbeat { from: from.0, to: to.0, bytes: HEADER_BYTES + bytes });
    }

    /// Seconds that a message takes, drawn where they differ.
    pub(super) fn latency(&mut self, from: Agent, to: Agent) -> f64 {
        let site = |agent: Agent| self.site_of(agent);
        let base =
            if site(from) == site(to) { self.conditions.latency_s } else { self.conditions.wan_latency_s };
        let jitter = self.conditions.jitter;
        if jitter > 0.0 { base * (1.0 + jitter * self.chance.fraction()) } else { base }
    }

    /// Until a message is with all of these hosts, or that of the last one of them is here.
    pub(super) fn latency_to_all(&mut self, agent: Agent, hosts: &[HostId]) -> f64 {
        let site = self.site_of(agent);
        let far = hosts.iter().find(|host| self.site_of(host.agent()) != site).or(hosts.first());
        far.map_or(0.0, |far| self.latency(agent, far.agent()))
    }

    pub(super) fn deliver(&mut self, slot: u32) -> Option<(Agent, Agent, M)> {
        let Letter { to, from, message, life } = self.letters.take(slot)?;
        if self.goes_on(to, life) && self.connected(from, to) {
            return Some((to, from, message));
        }
        self.traffic.lose();
        self.note(|it| Happening::Undelivered { from: from.0, to: to.0, says: (it.tell)(&message) });
        None
    }
}

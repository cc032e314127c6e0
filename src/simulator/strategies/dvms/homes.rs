//! Whose a host is: an agent whose coordinator does not answer goes to another one, and stays with it, as in production
//! (docs/OPERATIONS.md, "The nearest coordinator").
//!
//! Where the coordinator alone has failed the connection breaks, and the agent goes at its next report; where its host or a link has
//! failed, when it has heard nothing for some seconds. It takes those of its site first, and among these not all agents of a cell the
//! same. The new coordinator counts the host as unsettled until the old one says that nobody has it, or a reservation of before has
//! ended. Of plans that still were to do something on the host nothing more is begun: its agent takes no orders but of its own
//! coordinator.
//!
//! Ours: an agent that looks for another coordinator finds the next one that runs and is reached in no time, and with plans that are
//! halted the agents that refuse them are not asked one by one.

#[cfg(test)]
mod tests;

use super::Dvms;
use super::coordinator::{Kept, touched};
use super::words::Word;
use crate::partition::{Input, Kind};
use crate::simulator::engine::Context;
use crate::simulator::ids::HostId;

/// An agent that has not heard of its coordinator for so long goes to another one, seconds.
const SILENCE_S: f64 = 5.0;

impl Dvms {
    /// The coordinator that an agent reports to now; `None` where none can be reached, or it still waits for its own.
    pub(super) fn reached(&mut self, host: HostId, context: &mut Context<Word>) -> Option<usize> {
        let own = self.owner(host);
        if self.answers(own, host, context) {
            self.apart.remove(&host);
            return Some(own);
        }
        let agent = self.coordinators[own].agent;
        let broken = context.refuses(host.agent(), agent);
        let since = *self.apart.entry(host).or_insert_with(|| context.now());
        if !broken && context.now() < since + SILENCE_S {
            return None;
        }
        let site = |k: usize| context.local(self.coordinators[k].agent).site;
        let here = context.local(host.agent()).site;
        let others: Vec<usize> = (0..self.coordinators.len()).filter(|k| *k != own).collect();
        let first = host.index() % others.len().max(1);
        let (near, far): (Vec<usize>, Vec<usize>) =
            others[first..].iter().chain(&others[..first]).partition(|k| site(**k) == here);
        let next = near.into_iter().chain(far).find(|k| self.answers(*k, host, context))?;
        self.go_over(host, next, context);
        Some(next)
    }

    /// Whether a coordinator answers the agent of a host.
    fn answers(&self, k: usize, host: HostId, context: &Context<Word>) -> bool {
        let it = &self.coordinators[k];
        it.node.is_some() && context.connected(host.agent(), it.agent)
    }

    pub(super) fn go_over(&mut self, host: HostId, next: usize, context: &mut Context<Word>) {
        let old = std::mem::replace(&mut self.owners[host.index()], next as u32) as usize;
        self.apart.remove(&host);
        // The whole of it is told anew.
        self.told[host.index()] = None;
        for it in &self.coordinators {
            for (tag, _) in it.jobs.iter().filter(|(_, job)| job.acts && touched(&job.moves).contains(&host))
            {
                context.halt(it.agent, *tag);
            }
        }
        let it = &mut self.coordinators[next];
        it.cell.insert(host, Kept { came: true, ..Kept::default() });
        it.claims.insert(host, old);
    }

    /// Tells the coordinators that hosts have come from, until they answer.
    pub(super) fn claim(&mut self, k: usize, context: &mut Context<Word>) {
        let it = &self.coordinators[k];
        for (host, old) in &it.claims {
            context.send(it.agent, self.coordinators[*old].agent, Word::Taken(*host), 4);
        }
    }

    /// A host of this coordinator is another one's now.
    pub(super) fn taken(&mut self, k: usize, host: HostId, by: usize, context: &mut Context<Word>) {
        if self.owner(host) == k {
            // It has come back since.
            return;
        }
        let it = &mut self.coordinators[k];
        let name = &self.names[host.index()];
        let held = |node: &crate::partition::Node| {
            node.ledger().holder(name).is_some() || node.ledger().unsettled(name).is_some()
        };
        // Of what went before its last start it knows nothing, nor does it of what others do while they have not answered.
        let before = it.claims.remove(&host);
        let free = before.is_none()
            && it.life == 1
            && it.table.holder(name.as_str()).is_none()
            && !it.node.as_ref().is_none_or(held);
        if it.has(host) {
            it.over.remove(&host);
            self.calm(k, Kind::Overload, host, context);
            self.calm(k, Kind::Underload, host, context);
            self.coordinators[k].cell.remove(&host);
            self.happens(k, Input::HostGone { host: self.names[host.index()].clone() }, context);
        }
        let from = self.coordinators[k].agent;
        context.send(from, self.coordinators[by].agent, Word::Gone { host, free, before }, 9);
    }

    /// A host is not the other coordinator's any more.
    pub(super) fn gone(
        &mut self,
        k: usize,
        host: HostId,
        (free, before): (bool, Option<usize>),
        context: &mut Context<Word>,
    ) {
        let claims = &mut self.coordinators[k].claims;
        if claims.remove(&host).is_none() {
            return;
        }
        match before.filter(|before| *before != k) {
            // Whose it was before that is to be told, too.
            Some(before) => _ = claims.insert(host, before),
            None if free && self.owner(host) == k => {
                let host = self.names[host.index()].clone();
                self.happens(k, Input::Settled { host }, context);
            }
            None => {}
        }
    }
}

//! What a token meets.

use super::{DvmsClassic, Word, bytes};
use crate::simulator::engine::Context;
use crate::simulator::ids::HostId;

/// Hosts that are reserved together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Each change of its members makes another one.
    pub(super) id: u64,
    /// Whose overloads it is for; the first one's is the event.
    pub(super) initiators: Vec<HostId>,
    /// Who joined last, and solves.
    pub(super) leader: HostId,
    /// All.
    pub(super) hosts: Vec<HostId>,
    /// How it is with it.
    pub(super) state: State,
}

/// How it is with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It looks for hosts.
    Growing,
    /// No host is free.
    Blocked,
    /// Its plan is being carried out.
    Finishing,
}

/// What a host knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) mine: Option<Box<Partition>>,
    /// The first host out of its partition.
    pub(super) first_out: Option<HostId>,
    /// When it last heard of its partition.
    pub(super) heard: f64,
    /// Whether its partition is being merged.
    pub(super) locked: bool,
    /// Whether it solves for its partition, or carries its plan out.
    pub(super) working: bool,
    /// Of its timers, only the one with this number holds.
    pub(super) watch: u32,
}

impl DvmsClassic {
    /// A token has come.
    pub(super) fn token(
        &mut self,
        host: HostId,
        token: Box<Partition>,
        emitter: HostId,
        context: &mut Context<Word>,
    ) {
        let Some(mine) = self.mine(host) else {
            if token.state == State::Blocked {
                // It may be out of date.
                let initiator = token.initiators[0];
                let size = bytes(&token);
                context.send(host.agent(), initiator.agent(), Word::StillThere(token, emitter), size);
            } else {
                self.grow(host, &token, context);
            }
            return;
        };
        let home = mine.initiators[0] == token.initiators[0];
        match (home, token.state, mine.state) {
            // An older token of the same partition has nothing to say any more.
            (true, ..) if mine.id != token.id => {}
            (true, State::Growing, _) => {
                self.become_state(host, State::Blocked, context);
                self.send_off(host, context);
            }
            (true, State::Blocked, _) => self.dissolve(host, context),
            // Each of two blocked tokens meets the other's partition: one order lets one of them merge.
            (false, State::Blocked, State::Blocked) if token.initiators[0] > mine.initiators[0] => {
                let node = &mut self.nodes[host.index()];
                if node.locked {
                    self.pass_on(host, token, emitter, context);
                } else {
                    node.locked = true;
                    let size = bytes(&token);
                    context.send(host.agent(), emitter.agent(), Word::MayMerge(token, emitter), size);
                }
            }
            _ => self.pass_on(host, token, emitter, context),
        }
    }

    /// A free host joins, and leads.
    pub(super) fn grow(&mut self, host: HostId, token: &Partition, context: &mut Context<Word>) {
        let mut hosts = vec![host];
        hosts.extend(token.hosts.iter().filter(|other| **other != host));
        let id = self.fresh();
        let initiators = token.initiators.clone();
        self.lead(host, Partition { id, initiators, leader: host, hosts, state: State::Growing }, context);
    }

    /// An answer to a request for a merge.
    pub(super) fn merge(
        &mut self,
        host: HostId,
        token: Box<Partition>,
        emitter: HostId,
        granted: bool,
        context: &mut Context<Word>,
    ) {
        let blocked = self.mine(host).filter(|mine| mine.state == State::Blocked).cloned();
        let Some(mine) = blocked.filter(|_| granted) else {
            self.nodes[host.index()].locked = false;
            if !granted {
                self.pass_on(host, token, emitter, context);
            }
            return;
        };
        let more = |mine: &[HostId], theirs: &[HostId]| {
            let others = theirs.iter().filter(|other| !mine.contains(other));
            mine.iter().chain(others).copied().collect::<Vec<_>>()
        };
        let id = self.fresh();
        let hosts = more(&mine.hosts, &token.hosts);
        let initiators = more(&mine.initiators, &token.initiators);
        self.lead(host, Partition { id, initiators, leader: host, hosts, state: State::Growing }, context);
    }

    /// The leader tells a host which partition it is of.
    pub(super) fn join(
        &mut self,
        host: HostId,
        partition: Box<Partition>,
        first_out: HostId,
        context: &mut Context<Word>,
    ) {
        let related = self.mine(host).is_none_or(|mine| {
            mine.id < partition.id && mine.initiators.iter().any(|one| partition.initiators.contains(one))
        });
        if !related {
            return;
        }
        let leader = partition.leader;
        let own = self.nodes[host.index()].first_out;
        self.take(host, Some(partition), context);
        // The shortcut: what was the first one out is in now.
        let keep = own.filter(|own| *own != leader);
        self.nodes[host.index()].first_out = Some(keep.unwrap_or(first_out));
    }

    /// A member sees that another one has failed: without its initiator a partition is dissolved, without another member it
    /// goes on, led by who has seen it.
    pub(super) fn lost(&mut self, witness: HostId, gone: HostId, context: &mut Context<Word>) {
        let Some(mine) = self.mine(witness).cloned() else { return };
        if mine.initiators[0] == gone || mine.state == State::Finishing {
            self.dissolve(witness, context);
            return;
        }
        let hosts: Vec<HostId> = mine.hosts.iter().copied().filter(|host| *host != gone).collect();
        let initiators = mine.initiators.iter().copied().filter(|host| *host != gone).collect();
        let id = self.fresh();
        self.lead(
            witness,
            Partition { id, initiators, leader: witness, hosts, state: State::Growing },
            context,
        );
    }
}

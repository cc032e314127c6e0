//! The hosts of a cell: what agents tell of them, what the protocol knows, and what leaders elsewhere are shown.

use super::coordinator::Care;
use super::picture::Picture;
use super::words::{Word, picture_bytes, report_bytes};
use super::{Dvms, LOOK, LOOK_S, SHOW, time};
use crate::partition::{Host, Input, Kind, Member, Node, Usual};
use crate::simulator::engine::{Context, ViewHost};
use crate::simulator::ids::HostId;
use crate::simulator::measures::HOST_BYTES;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Between two pictures of a host for the leader that has it.
const SHOW_S: f64 = 0.5;

impl Dvms {
    /// A coordinator begins, for the first time or again; it knows nothing.
    pub(super) fn begin_life(&mut self, k: usize, context: &mut Context<Word>) {
        let timers = self.timers();
        let (agent, ring) = (self.coordinators[k].agent, self.ring.clone());
        let now = self.clock(k, context);
        let it = &mut self.coordinators[k];
        it.life += 1;
        let mut node = Node::new(it.member.clone(), it.life, timers);
        node.handle_event(now, Input::Ring { ring });
        it.node = Some(node);
        let phase = context.random(agent).fraction() * LOOK_S;
        self.coordinators[k].timer(phase, LOOK, context);
        self.follow(k, context);
    }

    /// What the agent of a host sees; what it knows of the past of a VM goes along with the VM.
    fn picture(&mut self, host: HostId, context: &mut Context<Word>) -> Picture {
        let now = context.local(host.agent());
        let mut vms = Vec::with_capacity(now.vms as usize);
        context.local_vms(host.agent(), &mut vms);
        let (time, over) =
            (Duration::from_secs_f64(context.now()), Duration::from_secs_f64(self.how.usual_s));
        let mut usual = Vec::with_capacity(vms.len());
        for vm in &vms {
            let at = vm.id.index();
            if self.pasts.len() <= at {
                self.pasts.resize(at + 1, None);
            }
            let past = self.pasts[at].get_or_insert_with(|| Usual::new(f64::from(vm.demand), time));
            past.tell(f64::from(vm.demand), time, over);
            usual.push(*past);
        }
        Picture { host: ViewHost { id: host, now, first_vm: 0 }, vms, usual }
    }

    /// The agent of a host looks, and tells its coordinator.
    pub(super) fn report(&mut self, host: HostId, context: &mut Context<Word>) {
        let Some(k) = self.reached(host, context) else { return };
        let agent = host.agent();
        let before = std::mem::replace(&mut self.versions[host.index()], context.version(agent));
        let same = before == self.versions[host.index()];
        let (told, bytes) = match self.told[host.index()].clone() {
            // Mostly nothing has changed within a second.
            Some(told) if same => {
                #[cfg(test)]
                assert_eq!(*told, self.picture(host, context), "what has another version is another");
                (told, HOST_BYTES)
            }
            told => {
                let picture = self.picture(host, context);
                let bytes = report_bytes(told.as_deref(), &picture);
                match told {
                    Some(told) if *told == picture => (told, bytes),
                    _ => (self.told[host.index()].insert(Rc::new(picture)).clone(), bytes),
                }
            }
        };
        let to = self.coordinators[k].agent;
        if to == agent {
            // They are on the same host.
            self.reported(k, told, context);
        } else {
            context.send(agent, to, Word::Report(told), bytes);
        }
    }

    /// The agents of these hosts tell how actions there have ended, and their coordinators of it to whom it concerns.
    pub(super) fn progress(
        &mut self,
        k: usize,
        hosts: impl Iterator<Item = HostId>,
        context: &mut Context<Word>,
    ) {
        for host in hosts.filter(|host| context.agent_runs(*host)).collect::<Vec<_>>() {
            if self.owner(host) != k {
                self.report(host, context);
                continue;
            }
            if !context.connected(host.agent(), self.coordinators[k].agent) {
                continue;
            }
            // What ends the plan tells it.
            let agent = host.agent();
            let picture = Rc::new(self.picture(host, context));
            let bytes = report_bytes(self.told[host.index()].as_deref(), &picture);
            self.told[host.index()] = Some(picture.clone());
            if self.coordinators[k].agent != agent {
                context.count(agent, self.coordinators[k].agent, bytes);
            }
            self.heard(k, picture, context);
        }
    }

    /// An agent of the cell has told.
    pub(super) fn reported(&mut self, k: usize, picture: Rc<Picture>, context: &mut Context<Word>) {
        // The agent may have gone to another one since it said so.
        if self.owner(picture.host.id) == k && self.heard(k, picture, context) {
            self.answer(k, context);
        }
    }

    /// The same, without anything that is done about it. Whether something is to be done.
    fn heard(&mut self, k: usize, picture: Rc<Picture>, context: &mut Context<Word>) -> bool {
        let (host, now) = (picture.host.id, context.now());
        if picture.host.now.is_over() {
            context.detected(host);
        }
        let over = picture.is_over();
        let it = &mut self.coordinators[k];
        let kept = it.kept_mut(host);
        let same = kept.picture.as_ref().is_some_and(|known| Rc::ptr_eq(known, &picture));
        (kept.picture, kept.heard) = (Some(picture), now);
        if over {
            it.over.insert(host);
        } else if it.over.remove(&host) {
            self.calm(k, Kind::Overload, host, context);
        }
        self.wakes_up(k, host, context);
        let lost = self.coordinators[k].kept(host).facts.is_none_or(|facts| !facts.takes);
        if !same || lost {
            self.mind(k, host, context);
        }
        over && self.coordinators[k].is_due(Kind::Overload, host, now)
    }

    /// A trouble has ended. Half-way through a plan what is under way looks done already: that goes on.
    pub(super) fn calm(&mut self, k: usize, kind: Kind, host: HostId, context: &mut Context<Word>) {
        let care = self.coordinators[k].kept(host).trouble(kind).care;
        if !matches!(care, Care::Ring { acted: false, .. }) {
            return;
        }
        self.rest(k, kind, host, true, context.now());
        let event = self.event_of(kind, host);
        self.happens(k, Input::Calmed { event }, context);
    }

    /// Tells the protocol what it is to know of a host, if that has changed.
    pub(super) fn mind(&mut self, k: usize, host: HostId, context: &mut Context<Word>) {
        let name = &self.names[host.index()];
        let it = &self.coordinators[k];
        let facts = it.facts(host, name, &self.how, context.now());
        let before = it.kept(host).facts;
        if before == Some(facts) || it.kept(host).picture.is_none() {
            return;
        }
        // Of a host that no coordinator ever had nothing can be reserved.
        let fresh = before.is_none() && it.life == 1 && !it.kept(host).came;
        let input = Input::Host { host: name.clone(), facts, fresh };
        self.coordinators[k].kept_mut(host).facts = Some(facts);
        self.happens(k, input, context);
    }

    /// What is due each second.
    pub(super) fn look(&mut self, k: usize, context: &mut Context<Word>) {
        let now = context.now();
        let it = &mut self.coordinators[k];
        it.forget_neighbours(now);
        self.claim(k, context);
        let it = &mut self.coordinators[k];
        let lost = |kept: &super::coordinator::Kept| {
            kept.facts.is_some_and(|facts| facts.takes) && now > kept.heard + self.how.lost_after_s
        };
        let silent: Vec<HostId> =
            it.cell.iter().filter(|(_, kept)| lost(kept)).map(|(host, _)| *host).collect();
        for host in silent {
            self.coordinators[k].over.remove(&host);
            self.calm(k, Kind::Overload, host, context);
            self.mind(k, host, context);
        }
        self.answer(k, context);
        if self.how.under > 0.0 {
            self.look_for_thrift(k, context);
        }
    }

    /// Shows a leader hosts that it gets.
    pub(super) fn show(&mut self, k: usize, leader: &Member, hosts: &[Host], context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let ids = hosts.iter().map(|host| super::picture::host_of(host.as_str()));
        let pictures = it.pictures(ids.filter(|host| it.has(*host)));
        let from = it.agent;
        if !std::mem::replace(&mut it.shows, true) {
            it.timer(SHOW_S, SHOW, context);
        }
        let Some(to) = self.agent_of(leader) else { return };
        let bytes = picture_bytes(&pictures);
        context.send(from, to, Word::Hosts(pictures), bytes);
    }

    /// Shows leaders elsewhere what has become of the hosts that they have.
    pub(super) fn show_again(&mut self, k: usize, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        it.shows = false;
        let mut theirs: BTreeMap<Member, Vec<Host>> = BTreeMap::new();
        for (host, held) in it.node.iter().flat_map(|node| node.ledger().held()) {
            if held.leader != it.member {
                theirs.entry(held.leader.clone()).or_default().push(host.clone());
            }
        }
        for (leader, hosts) in theirs {
            self.show(k, &leader, &hosts, context);
        }
    }

    /// An owner shows hosts that a partition led here gets, or has.
    pub(super) fn shown(&mut self, k: usize, pictures: Vec<Rc<Picture>>, context: &Context<Word>) {
        let now = context.now();
        let shown = pictures.into_iter().map(|picture| (picture.host.id, (picture, now)));
        self.coordinators[k].neighbours.extend(shown);
    }

    /// Whether an owner lets an action of a partition through.
    pub(super) fn lets_through(
        &self,
        host: HostId,
        partition: &crate::partition::PartitionId,
        epoch: crate::partition::Epoch,
        now: f64,
    ) -> bool {
        let node = self.coordinators[self.owner(host)].node.as_ref();
        node.is_some_and(|node| node.ledger().may_act(&self.names[host.index()], partition, epoch, time(now)))
    }
}

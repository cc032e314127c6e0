//! Managers that run on the hosts themselves and fail with them: how Snooze (Feller, Rilling, Morin, CCGrid 2012) keeps its
//! hierarchy together, with its heartbeats each 3 s and its time-out of 10 s.
//!
//! A manager runs on the first host of its group. It and its hosts tell each other that they are there. A host that has not
//! heard of its manager for the time-out asks whoever leads for another one: that with the fewest hosts. A manager forgets a host
//! that it has not heard of for as long. Managers tell the directory that they are there (in Snooze `ZooKeeper`, and the entry
//! point, which are replicated: here it does not fail); the one that has been there longest leads, so that when it is not heard of
//! any more the next one does. A manager whose host is up again is the youngest, and has no hosts until some join.
//!
//! Ours: who leads has a group, too; a new leader lets those that join wait until managers have told how many hosts they have; a
//! host that is told of by a manager that it has left says so; managers are processes of their own beside the agents of their
//! hosts, which can fail alone. Without heartbeats groups stay as they are, and a manager goes on
//! with its hosts when it is up again: so is the one of the centralised strategy.

#[cfg(test)]
mod tests;

use super::manager::{Management, Trigger, decide};
use crate::simulator::decision::Decision;
use crate::simulator::engine::{Context, Outcome, Strategy, View};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::{Verdict, bytes_of};
use std::collections::BTreeMap;

/// What hosts, managers and the directory tell each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A host to its manager: more is asked of me than I have.
    Overloaded,
    /// A host to its manager: I am there, and yours.
    Beat,
    /// A manager to its host: I am there.
    Here,
    /// A host to a manager: I am not yours.
    Leave,
    /// A manager to the directory: I am there.
    Session,
    /// The directory to a manager: this one leads.
    Leads(u32),
    /// A manager to the leader: I have so many hosts.
    Summary(u32),
    /// A host wants a manager.
    Join(HostId),
    /// The leader to a host: this is your manager.
    Assign(u32),
}

/// The strategy.
#[derive(Debug, Clone)]
pub struct Snooze {
    how: Management,
    /// Who was not heard of for so many seconds is gone.
    silence_s: f64,
    /// Manager `k` runs on host `k`.
    managers: Vec<Manager>,
    /// Of each host, what it knows of its manager.
    members: Vec<Member>,
    /// Of the directory: managers that are there, the oldest first, and when each was heard.
    order: Vec<u32>,
    heard: Vec<f64>,
}

#[derive(Debug, Clone, Default)]
struct Manager {
    /// Its hosts, and when each was heard.
    hosts: BTreeMap<HostId, f64>,
    leader: Option<u32>,
    /// If it leads: since when, and how many hosts managers have told to have, and when.
    leads_since: f64,
    counts: BTreeMap<u32, (u32, f64)>,
    /// Of its rounds, only the one with this number holds.
    round: u32,
    began: f64,
    applied: f64,
    busy: bool,
    runs: bool,
    /// How often it has begun.
    life: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Member {
    manager: Option<u32>,
    heard: f64,
    /// How often the agent has begun anew alone.
    life: u32,
}

const ROUND: u32 = 0;
const POLL: u32 = 1;
const HOST_BEAT: u32 = 2;
const MANAGER_BEAT: u32 = 3;
const CHECK: u32 = 4;
/// What a timer is for is in its last bits; above is in which life it was set.
const KINDS: u32 = 8;
/// How often the directory looks who is gone, seconds.
const CHECK_S: f64 = 1.0;
/// Bytes of each of these messages besides the header.
const WORD_BYTES: u64 = 24;

impl Snooze {
    /// Managers that work like this; who was not heard of for `silence_s` is gone.
    #[must_use]
    pub fn new(how: Management, silence_s: f64) -> Self {
        let (managers, members) = (Vec::new(), Vec::new());
        Self { how, silence_s, managers, members, order: Vec::new(), heard: Vec::new() }
    }

    /// Which manager runs at an agent.
    fn at(&self, agent: Agent) -> Option<usize> {
        (agent.index() < self.managers.len()).then_some(agent.index())
    }

    /// The manager that runs at an agent.
    fn running(&self, agent: Agent) -> Option<usize> {
        self.at(agent).filter(|k| self.managers[*k].runs)
    }

    /// Wakes a manager, unless it fails.
    fn manager_timer(&self, k: usize, seconds: f64, kind: u32, context: &mut Context<Word>) {
        context.timer(Agent(k as u32), seconds, kind + KINDS * self.managers[k].life);
    }

    /// The next time that a host tells its manager that it is there.
    fn host_timer(&self, host: HostId, seconds: f64, context: &mut Context<Word>) {
        context.timer(host.agent(), seconds, HOST_BEAT + KINDS * self.members[host.index()].life);
    }

    /// The agent of a host begins: it has no manager yet.
    fn join(&mut self, host: HostId, context: &mut Context<Word>) {
        if let Some(beat_s) = self.how.heartbeat_s {
            let member = &mut self.members[host.index()];
            *member = Member { manager: None, heard: f64::NEG_INFINITY, life: member.life + 1 };
            // A manager there is known again by then.
            self.host_timer(host, 2.0 * beat_s, context);
        }
    }

    /// Says something; what an agent says to itself is no message.
    fn say(&mut self, from: Agent, to: Agent, word: Word, context: &mut Context<Word>) {
        if from == to {
            self.message(to, from, word, context);
        } else {
            context.send(from, to, word, WORD_BYTES);
        }
    }

    /// A manager begins, for the first time or again.
    fn begin_life(&mut self, k: usize, context: &mut Context<Word>) {
        let (round, life) = (self.managers[k].round + 1, self.managers[k].life + 1);
        let (began, leads_since) = (f64::NEG_INFINITY, f64::INFINITY);
        self.managers[k] = Manager { leads_since, round, began, runs: true, life, ..Manager::default() };
        let agent = Agent(k as u32);
        if let Trigger::Periodic { period_s } = self.how.trigger {
            self.manager_timer(k, period_s, ROUND, context);
        }
        match self.how.heartbeat_s {
            Some(beat_s) => {
                let phase = context.random(agent).fraction() * beat_s;
                self.manager_timer(k, phase, MANAGER_BEAT, context);
            }
            None => self.take_group(k, context.now()),
        }
    }

    /// A manager has the hosts that it has at the start.
    fn take_group(&mut self, k: usize, now: f64) {
        let hosts = (k..self.members.len()).step_by(self.managers.len());
        self.managers[k].hosts = hosts.map(|host| (HostId(host as u32), now)).collect();
    }

    fn begin(&mut self, k: usize, context: &mut Context<Word>) {
        let manager = &mut self.managers[k];
        manager.began = context.now();
        if manager.hosts.is_empty() {
            self.end(k, context);
            return;
        }
        manager.busy = true;
        context.collect(Agent(k as u32), manager.round, manager.hosts.keys().copied().collect());
    }

    fn end(&mut self, k: usize, context: &mut Context<Word>) {
        let manager = &mut self.managers[k];
        manager.busy = false;
        manager.round += 1;
        if let Trigger::Periodic { period_s } = self.how.trigger {
            let passed = context.now() - manager.began;
            self.manager_timer(k, (period_s - passed).max(0.0), ROUND, context);
        }
    }

    /// A host tells its manager that it is there, or looks for another one.
    fn host_beat(&mut self, host: HostId, context: &mut Context<Word>) {
        let (agent, member) = (host.agent(), self.members[host.index()]);
        let there = member.manager.filter(|_| context.now() - member.heard <= self.silence_s);
        if let Some(manager) = there {
            self.say(agent, Agent(manager), Word::Beat, context);
        } else {
            self.members[host.index()].manager = None;
            self.say(agent, context.service(0), Word::Join(host), context);
        }
    }

    /// A manager tells its hosts, the directory and the leader that it is there, and forgets who is not.
    fn manager_beat(&mut self, k: usize, context: &mut Context<Word>) {
        let (now, silence_s, agent) = (context.now(), self.silence_s, Agent(k as u32));
        let manager = &mut self.managers[k];
        manager.hosts.retain(|_, heard| now - *heard <= silence_s);
        let (count, leader) = (manager.hosts.len() as u32, manager.leader);
        let hosts: Vec<HostId> = manager.hosts.keys().copied().collect();
        for host in hosts {
            self.say(agent, host.agent(), Word::Here, context);
        }
        self.say(agent, context.service(0), Word::Session, context);
        if let Some(leader) = leader {
            self.say(agent, Agent(leader), Word::Summary(count), context);
        }
    }

    /// A leader gives a host a manager.
    fn assign(&mut self, k: usize, host: HostId, context: &mut Context<Word>) {
        let (now, silence_s) = (context.now(), self.silence_s);
        let wait_s = 2.0 * self.how.heartbeat_s.unwrap_or(0.0);
        let manager = &mut self.managers[k];
        if now - manager.leads_since < wait_s {
            // It asks again.
            return;
        }
        manager.counts.retain(|_, (_, heard)| now - *heard <= silence_s);
        let Some((chosen, (count, _))) =
            manager.counts.iter_mut().min_by_key(|(k, (count, _))| (*count, **k))
        else {
            return;
        };
        *count += 1;
        let chosen = *chosen;
        self.say(Agent(k as u32), host.agent(), Word::Assign(chosen), context);
    }

    /// The directory is told that a manager is there.
    fn session(&mut self, from: Agent, context: &mut Context<Word>) {
        let Some(k) = self.at(from) else { return };
        self.heard[k] = context.now();
        if !self.order.contains(&from.0) {
            self.order.push(from.0);
        }
        let leader = self.order[0];
        self.say(context.service(0), from, Word::Leads(leader), context);
    }

    fn manager_told(&mut self, k: usize, from: Agent, word: Word, context: &mut Context<Word>) {
        let now = context.now();
        let manager = &mut self.managers[k];
        match word {
            Word::Overloaded => {
                let Trigger::Reactive { pause_s, .. } = self.how.trigger else { return };
                // A busy manager drops it; it is told again as long as it is so.
                let knows = manager.hosts.contains_key(&HostId(from.0));
                if knows && !manager.busy && now - manager.began >= pause_s {
                    self.begin(k, context);
                }
            }
            Word::Beat => _ = manager.hosts.insert(HostId(from.0), now),
            Word::Leave => _ = manager.hosts.remove(&HostId(from.0)),
            Word::Leads(leader) => {
                let is_new = manager.leader.replace(leader) != Some(leader);
                if is_new {
                    manager.leads_since = now;
                    manager.counts.clear();
                    let count = manager.hosts.len() as u32;
                    self.say(Agent(k as u32), Agent(leader), Word::Summary(count), context);
                }
            }
            Word::Summary(count) => _ = manager.counts.insert(from.0, (count, now)),
            Word::Join(host) if manager.leader == Some(k as u32) => self.assign(k, host, context),
            _ => {}
        }
    }
}

impl Strategy for Snooze {
    type Message = Word;

    fn services(&self, _: usize) -> usize {
        1
    }

    fn monitor_period(&self) -> Option<f64> {
        match self.how.trigger {
            Trigger::Periodic { .. } => None,
            Trigger::Reactive { report_s, .. } => Some(report_s),
        }
    }

    fn state_bytes(&self, agent: Agent) -> u64 {
        let Some(member) = self.members.get(agent.index()) else {
            return bytes_of::<(u32, f64)>(self.order.len());
        };
        let manager = self.at(agent).map(|k| &self.managers[k]).map_or(0, |manager| {
            bytes_of::<Manager>(1)
                + bytes_of::<(HostId, f64)>(manager.hosts.len())
                + bytes_of::<(u32, u32, f64)>(manager.counts.len())
        });
        size_of_val(member) as u64 + manager
    }

    fn start(&mut self, context: &mut Context<Word>) {
        let hosts = context.host_count();
        let count = self.how.group.map_or(1, |size| hosts.div_ceil(size.max(1) as usize)).max(1);
        self.members = (0..hosts)
            .map(|host| Member { manager: Some((host % count) as u32), ..Member::default() })
            .collect();
        self.managers = vec![Manager::default(); count];
        (self.order, self.heard) = ((0..count as u32).collect(), vec![0.0; count]);
        for k in 0..count {
            self.begin_life(k, context);
            self.take_group(k, 0.0);
            self.managers[k].leader = Some(0);
        }
        let have = |k: usize| (k as u32, (self.managers[k].hosts.len() as u32, 0.0));
        self.managers[0].counts = (0..count).map(have).collect();
        self.managers[0].leads_since = f64::NEG_INFINITY;
        if let Some(beat_s) = self.how.heartbeat_s {
            context.timer(context.service(0), CHECK_S, CHECK);
            for host in (0..hosts as u32).map(HostId) {
                let phase = context.random(host.agent()).fraction() * beat_s;
                self.host_timer(host, phase, context);
            }
        }
    }

    fn timer(&mut self, agent: Agent, timer: u32, context: &mut Context<Word>) {
        let beat_s = self.how.heartbeat_s.unwrap_or(f64::INFINITY);
        let (kind, life) = (timer % KINDS, timer / KINDS);
        let manager = self.running(agent).filter(|k| self.managers[*k].life == life);
        match (kind, manager) {
            (CHECK, _) => {
                let (now, silence_s, heard) = (context.now(), self.silence_s, &self.heard);
                self.order.retain(|k| now - heard[*k as usize] <= silence_s);
                context.timer(agent, CHECK_S, CHECK);
            }
            (HOST_BEAT, _) => {
                let host = HostId(agent.0);
                if self.members[host.index()].life == life && context.agent_runs(host) {
                    self.host_timer(host, beat_s, context);
                    self.host_beat(host, context);
                }
            }
            (MANAGER_BEAT, Some(k)) => {
                self.manager_timer(k, beat_s, MANAGER_BEAT, context);
                self.manager_beat(k, context);
            }
            (ROUND, Some(k)) => self.begin(k, context),
            (POLL, Some(k)) => self.end(k, context),
            _ => {}
        }
    }

    fn overloaded(&mut self, host: HostId, context: &mut Context<Word>) {
        if let Some(manager) = self.members[host.index()].manager {
            self.say(host.agent(), Agent(manager), Word::Overloaded, context);
        }
    }

    fn message(&mut self, to: Agent, from: Agent, word: Word, context: &mut Context<Word>) {
        match word {
            Word::Session => self.session(from, context),
            Word::Join(host) if to == context.service(0) => {
                if let Some(leader) = self.order.first().copied() {
                    self.say(to, Agent(leader), Word::Join(host), context);
                }
            }
            Word::Here | Word::Assign(_) if !context.agent_runs(HostId(to.0)) => {}
            Word::Here => {
                let member = &mut self.members[to.index()];
                if member.manager == Some(from.0) {
                    member.heard = context.now();
                } else {
                    self.say(to, from, Word::Leave, context);
                }
            }
            Word::Assign(manager) => {
                let member = &mut self.members[to.index()];
                (member.manager, member.heard) = (Some(manager), context.now());
                self.say(to, Agent(manager), Word::Beat, context);
            }
            _ => {
                if let Some(k) = self.running(to) {
                    self.manager_told(k, from, word, context);
                }
            }
        }
    }

    fn collected(&mut self, agent: Agent, tag: u32, view: View, context: &mut Context<Word>) {
        if self.running(agent).is_some_and(|k| self.managers[k].round == tag) {
            let rule = self.how.rule;
            context.compute(agent, tag, view.hosts.len(), || decide(&view, rule));
        }
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<Word>) {
        // Of a life before it knows nothing.
        let Some(k) = self.running(agent).filter(|k| self.managers[*k].round == tag) else { return };
        if decision.verdict == Verdict::Plan {
            self.managers[k].applied = context.now();
            context.execute(agent, tag, decision.moves, self.how.ordering);
        } else {
            self.end(k, context);
        }
    }

    fn executed(&mut self, agent: Agent, tag: u32, _: Outcome, context: &mut Context<Word>) {
        let Some(k) = self.running(agent).filter(|k| self.managers[*k].round == tag) else { return };
        let passed = context.now() - self.managers[k].applied;
        if self.how.poll_s > 0.0 {
            let polled = (passed / self.how.poll_s).ceil() * self.how.poll_s;
            self.manager_timer(k, polled - passed, POLL, context);
        } else {
            self.end(k, context);
        }
    }

    fn came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        if let Some(k) = self.at(host.agent()) {
            self.begin_life(k, context);
        }
        self.join(host, context);
    }

    fn agent_came_up(&mut self, host: HostId, context: &mut Context<Word>) {
        self.join(host, context);
    }

    fn coordinators(&self, _: &Context<Word>) -> Vec<Agent> {
        (0..self.managers.len() as u32).map(Agent).collect()
    }

    fn coordinator_went_down(&mut self, number: u32, _: &mut Context<Word>) {
        self.managers[number as usize].runs = false;
    }

    fn coordinator_came_up(&mut self, number: u32, context: &mut Context<Word>) {
        self.begin_life(number as usize, context);
    }
}

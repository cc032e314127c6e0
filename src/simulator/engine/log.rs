//! Everything that happens, one by one, for those who look closely at a moment of a run. Nothing is noted unless it is wanted.

use super::context::Context;
use super::{Simulation, Strategy};
use crate::simulator::ids::{Agent, HostId};
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Seconds.
    pub time_s: f64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// A migration of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Who.
    pub vm: u32,
    /// From where.
    pub from: u32,
    /// Where to.
    pub to: u32,
}

/// What happened. Hosts and VMs are numbers; an agent below the number of hosts is that of the host, others are services.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Happening {
    /// A VM needs so many milli-cores from now on.
    Demand { vm: u32, host: Option<u32>, before: u32, now: u32 },
    /// A VM comes, to a host where there is one for it.
    Arrival { vm: u32, host: Option<u32> },
    /// A VM leaves.
    Departure { vm: u32 },
    /// A host fails.
    HostDown { host: u32 },
    /// A host runs.
    HostUp { host: u32 },
    /// The agent of a host fails; the host goes on.
    AgentDown { host: u32 },
    /// It runs again.
    AgentUp { host: u32 },
    /// The link of a host fails.
    LinkDown { host: u32 },
    /// It carries again.
    LinkUp { host: u32 },
    /// The link of a site to others fails.
    SiteDown { site: u16 },
    /// It carries again.
    SiteUp { site: u16 },
    /// A coordinator fails; where it runs at the agent of a host, the host goes on.
    CoordinatorDown { coordinator: u32, agent: u32 },
    /// It runs again.
    CoordinatorUp { coordinator: u32, agent: u32 },
    /// A host is switched off.
    HostOff { host: u32 },
    /// A host is switched on, and will run later.
    HostWakes { host: u32 },
    /// More is asked of a host than it has; violations are numbered from 1.
    Over { violation: usize, host: u32, demand: u32, cpu: u32 },
    /// That has ended.
    Relieved { violation: usize, host: u32, lasted_s: f64 },
    /// A strategy knows of it for the first time.
    Known { violation: usize, host: u32, after_s: f64 },
    /// An agent sends a message; one that is lost never arrives.
    Message { from: u32, to: u32, bytes: u64, arrives_s: Option<f64>, says: String },
    /// A message arrives where nobody runs any more, or a link has failed.
    Undelivered { from: u32, to: u32, says: String },
    /// A message that changes nothing but that it is sent.
    Heartbeat { from: u32, to: u32, bytes: u64 },
    /// An agent asks hosts how they are.
    Asks { agent: u32, hosts: Vec<u32> },
    /// The answers are there.
    Answers { agent: u32, hosts: usize, vms: usize },
    /// An agent begins to compute.
    Computes { agent: u32, tag: u32, hosts: usize, took_s: f64 },
    /// An agent has decided.
    Decides { agent: u32, tag: u32, verdict: &'static str, moves: Vec<Step> },
    /// A plan is carried out.
    Plan { agent: u32, tag: u32, moves: Vec<Step> },
    /// A plan has ended.
    PlanEnds { agent: u32, tag: u32, done: u32, failed: u32, not_begun: u32 },
    /// A migration begins.
    Migration { vm: u32, from: u32, to: u32 },
    /// A migration ends, well or without effect.
    MigrationEnds { vm: u32, from: u32, to: u32, well: bool, took_s: f64 },
}

/// What is noted, and what is to be seen in the world by comparing.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// Violations that last, by number from 0, and whether one is known.
    open: Vec<(usize, bool)>,
    seen: usize,
}

impl<M> Context<M> {
    /// Notes something, where that is wanted.
    pub(super) fn note(&mut self, what: impl FnOnce(&Self) -> Happening) {
        if self.log.is_some() {
            let entry = Entry { time_s: self.now(), what: what(self) };
            if let Some(log) = &mut self.log {
                log.entries.push(entry);
            }
        }
    }

    /// Notes violations that have begun, became known or have ended.
    pub(super) fn note_violations(&mut self) {
        let Some(log) = &mut self.log else { return };
        let (now, all) = (self.world.now(), self.world.violations.log());
        let mut told = Vec::new();
        for (at, it) in all.iter().enumerate().skip(log.seen) {
            let host = self.world.host(it.host);
            told.push(Happening::Over {
                violation: at + 1,
                host: it.host.0,
                demand: host.demand,
                cpu: host.cpu,
            });
            log.open.push((at, false));
        }
        log.seen = all.len();
        log.open.retain_mut(|(at, known)| {
            let (violation, it) = (*at + 1, &all[*at]);
            if !*known && !it.detected.is_nan() {
                *known = true;
                let after_s = it.detected - it.began;
                told.push(Happening::Known { violation, host: it.host.0, after_s });
            }
            if !it.ended.is_nan() {
                told.push(Happening::Relieved { violation, host: it.host.0, lasted_s: it.lasted(now) });
            }
            it.ended.is_nan()
        });
        log.entries.extend(told.into_iter().map(|what| Entry { time_s: now, what }));
    }

    pub(super) fn note_moves(
        &mut self,
        moves: &[crate::simulator::decision::Move],
        what: impl FnOnce(Vec<Step>) -> Happening,
    ) {
        let step = |it: &crate::simulator::decision::Move| Step { vm: it.vm.0, from: it.from.0, to: it.to.0 };
        self.note(|_| what(moves.iter().map(step).collect()));
    }

    pub(super) fn note_message(
        &mut self,
        from: Agent,
        to: Agent,
        bytes: u64,
        arrives_s: Option<f64>,
        message: &M,
    ) {
        self.note(|it| {
            let says = (it.tell)(message);
            Happening::Message { from: from.0, to: to.0, bytes, arrives_s, says }
        });
    }
}

impl<S: Strategy> Simulation<S> {
    /// Begins to note everything, or ceases to.
    pub fn note(&mut self, wanted: bool) {
        if wanted == self.context.log.is_some() {
            return;
        }
        let all = self.context.world.violations.log();
        let lasts = |at: &usize| all[*at].ended.is_nan();
        let open = (0..all.len()).filter(lasts).map(|at| (at, !all[at].detected.is_nan())).collect();
        let log = Log { entries: Vec::new(), open, seen: all.len() };
        self.context.log = wanted.then_some(log);
    }

    /// What was noted since it was asked last.
    pub fn noted(&mut self) -> Vec<Entry> {
        self.context.log.as_mut().map(|log| std::mem::take(&mut log.entries)).unwrap_or_default()
    }
}

/// A host, or none for a VM that is nowhere.
pub(super) fn somewhere(host: HostId) -> Option<u32> {
    (host != HostId::NOWHERE).then_some(host.0)
}

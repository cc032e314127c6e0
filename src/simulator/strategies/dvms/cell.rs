//! Troubles are answered with hosts of the cell first, without a word to anyone; and what is done with what the solver has
//! found.

use super::Dvms;
use super::coordinator::{Answers, Ask, Care, Job, touched};
use super::picture;
use super::words::Word;
use crate::partition::{Kind, rest};
use crate::simulator::decision::{Decision, consolidate, repair_or_lack};
use crate::simulator::engine::{Context, Ordering, Outcome, View, ViewHost};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::Verdict;
use std::collections::BTreeSet;
use std::time::Duration;

/// The same hosts with one VM only that may be looked at: the others stay.
fn only_with(view: &View, vm: VmId) -> View {
    let mut narrow = View::default();
    for host in &view.hosts {
        let vms = view.vms_of(host).iter().filter(|it| it.id == vm);
        let mut host = ViewHost { first_vm: narrow.vms.len() as u32, ..*host };
        narrow.vms.extend(vms);
        host.now.vms = narrow.vms.len() as u32 - host.first_vm;
        narrow.hosts.push(host);
    }
    narrow
}

impl Dvms {
    /// Makes plans for what is due, as many as there are solvers.
    pub(super) fn answer(&mut self, k: usize, context: &mut Context<Word>) {
        loop {
            let it = &self.coordinators[k];
            let room = it.solving.len() < self.how.concurrent as usize && it.line.is_empty();
            let now = context.now();
            let due: Vec<HostId> =
                it.over.iter().copied().filter(|host| it.is_due(Kind::Overload, *host, now)).collect();
            if it.node.is_none() || !room || due.is_empty() {
                return;
            }
            let Some(ask) = it.ask(&due, 0, None, (&self.names, &self.how, now)) else { return };
            // What would fill the hosts of the cell goes to others at once.
            if ask.short && self.coordinators.len() > 1 {
                for host in ask.troubles {
                    self.raise(k, Kind::Overload, host, context);
                }
            } else {
                self.begin(k, ask, context);
            }
        }
    }

    fn names_of(&self, hosts: &BTreeSet<HostId>) -> BTreeSet<String> {
        hosts.iter().map(|host| self.names[host.index()].to_string()).collect()
    }

    /// Begins a plan of the cell.
    pub(super) fn begin(&mut self, k: usize, ask: Ask, context: &mut Context<Word>) {
        let tag = self.fresh();
        let Ask { kind, hosts, troubles, whole, only, .. } = ask;
        let names = self.names_of(&hosts);
        let it = &mut self.coordinators[k];
        it.table.reserve_ahead(&tag.to_string(), &names).expect("none of the hosts is busy");
        for host in &troubles {
            it.kept_mut(*host).trouble_mut(kind).care = Care::Cell;
        }
        let answers = Answers::Cell { kind, hosts: hosts.clone(), troubles, wider: 0, whole };
        it.jobs.insert(tag, Job { answers, lack: None, best: None, moves: Vec::new(), acts: false });
        let mut view = self.view_for(k, kind, hosts.iter().copied(), context.now());
        if let Some(vm) = only {
            view = only_with(&view, vm);
        }
        for host in &hosts {
            self.mind(k, *host, context);
        }
        self.search(k, tag, view, context);
    }

    /// What the solver is told of hosts.
    pub(super) fn view_for(
        &self,
        k: usize,
        kind: Kind,
        hosts: impl Iterator<Item = HostId>,
        now: f64,
    ) -> View {
        let pictures = self.coordinators[k].pictures(hosts);
        if kind.is_thrift() && self.how.usual_s > 0.0 {
            picture::usual_view(&pictures, now, self.how.usual_s)
        } else {
            picture::view(&pictures)
        }
    }

    /// Puts a job in line for a solver.
    pub(super) fn search(&mut self, k: usize, tag: u32, view: View, context: &mut Context<Word>) {
        self.coordinators[k].line.push_back((tag, view));
        self.next_in_line(k, context);
    }

    /// Begins what may be solved.
    pub(super) fn next_in_line(&mut self, k: usize, context: &mut Context<Word>) {
        let (how, packing) = (self.how.repair(), self.how.consolidation());
        let (cell, count) = (self.size as u32, self.coordinators.len() as u32);
        let it = &mut self.coordinators[k];
        while it.solving.len() < self.how.concurrent as usize {
            let Some((tag, view)) = it.line.pop_front() else { return };
            let Some(job) = it.jobs.get_mut(&tag) else { continue };
            it.solving.insert(tag);
            if job.answers.kind().is_thrift() {
                // Coordinators run on their hosts whatever is moved.
                let kept: Vec<HostId> = (0..count).map(|k| HostId(k * cell)).collect();
                context.compute(it.agent, tag, view.hosts.len(), || consolidate(&view, packing, &kept));
                continue;
            }
            context.compute(it.agent, tag, view.hosts.len(), || {
                let (decision, lack) = repair_or_lack(&view, how);
                job.lack = lack;
                decision
            });
        }
    }

    /// A solver has returned.
    pub(super) fn judge(&mut self, k: usize, tag: u32, decision: Decision, context: &mut Context<Word>) {
        let strained = !self.coordinators[k].over.is_empty();
        let Some(job) = self.coordinators[k].jobs.get_mut(&tag) else { return };
        let lack = job.lack;
        if decision.verdict == Verdict::Plan {
            match lack {
                None => job.moves = decision.moves,
                Some(lack) => {
                    let left = lack.room[0];
                    if job.best.as_ref().is_none_or(|(best, _)| left < *best) {
                        job.best = Some((left, decision.moves));
                    }
                }
            }
        }
        match &job.answers {
            Answers::Ring { .. } => self.found(k, tag, decision.verdict, context),
            // Hosts are not emptied while others starve.
            Answers::Cell { kind, .. } if kind.is_thrift() && strained => {
                self.end(k, tag, true, context);
            }
            Answers::Cell { kind, .. } if kind.is_thrift() && job.moves.is_empty() => {
                self.ask_others(k, tag, context);
            }
            Answers::Cell { .. } if decision.verdict == Verdict::Nothing => {
                self.end(k, tag, true, context);
            }
            Answers::Cell { .. } if !job.moves.is_empty() => self.carry_out(k, tag, context),
            Answers::Cell { .. } => {
                if self.try_wider(k, tag, context) {
                    return;
                }
                let job = self.coordinators[k].jobs.get_mut(&tag);
                if let Some((job, (_, best))) = job.and_then(|job| job.best.take().map(|best| (job, best))) {
                    job.moves = best;
                    return self.carry_out(k, tag, context);
                }
                self.ask_others(k, tag, context);
            }
        }
    }

    /// Tries a plan's troubles with more hosts. False where there are none.
    fn try_wider(&mut self, k: usize, tag: u32, context: &mut Context<Word>) -> bool {
        let it = &mut self.coordinators[k];
        let Some(Job { answers: Answers::Cell { kind, hosts, troubles, wider, whole }, .. }) =
            it.jobs.get(&tag)
        else {
            return false;
        };
        let due: Vec<HostId> = troubles.iter().copied().filter(|host| it.over.contains(host)).collect();
        let (mut wider, name) = (*wider, tag.to_string());
        if *whole {
            return false;
        }
        let ask = loop {
            wider += 1;
            match it.ask(&due, wider, Some(&name), (&self.names, &self.how, context.now())) {
                Some(ask) if !ask.hosts.is_subset(hosts) => break ask,
                Some(ask) if !ask.whole => {}
                _ => return false,
            }
        };
        let more = hosts.union(&ask.hosts).copied().collect::<BTreeSet<_>>();
        let names = ask.hosts.iter().map(|host| self.names[host.index()].to_string()).collect();
        if it.table.grow_ahead(&name, &names).is_err() {
            return false;
        }
        let kind = *kind;
        if let Some(Job { answers: Answers::Cell { hosts, wider: before, whole, .. }, .. }) =
            it.jobs.get_mut(&tag)
        {
            (*hosts, *before, *whole) = (more, wider, ask.whole);
        }
        for host in &ask.hosts {
            self.mind(k, *host, context);
        }
        let hosts = self.coordinators[k].jobs.get(&tag).map(|job| job.answers.hosts()).unwrap_or_default();
        let view = self.view_for(k, kind, hosts.into_iter(), context.now());
        self.search(k, tag, view, context);
        true
    }

    /// The hosts of the cell have no plan: others are asked, where there are some.
    fn ask_others(&mut self, k: usize, tag: u32, context: &mut Context<Word>) {
        let Some(Job { answers: Answers::Cell { kind, troubles, .. }, .. }) =
            self.coordinators[k].jobs.get(&tag)
        else {
            return;
        };
        let (kind, mut troubles) = (*kind, troubles.clone());
        self.end(k, tag, false, context);
        troubles.retain(|host| self.stands(k, kind, *host, context.now()));
        for host in troubles {
            if self.coordinators.len() > 1 {
                self.raise(k, kind, host, context);
            } else if !kind.is_thrift() {
                self.wake_for(k, host, context);
            }
        }
    }

    /// Begins to carry a plan out; of the cell's hosts those that it does not touch are free again.
    fn carry_out(&mut self, k: usize, tag: u32, context: &mut Context<Word>) {
        let it = &self.coordinators[k];
        let Some(job) = it.jobs.get(&tag) else { return };
        let (moves, agent) = (job.moves.clone(), it.agent);
        // Agents take orders of their own coordinator only.
        if touched(&moves).iter().any(|host| self.owner(*host) != k) {
            return self.end(k, tag, false, context);
        }
        let Some(job) = self.coordinators[k].jobs.get_mut(&tag) else { return };
        job.acts = true;
        if let Answers::Cell { hosts, .. } = &mut job.answers {
            let kept = touched(&moves);
            let leaving: BTreeSet<HostId> = hosts.difference(&kept).copied().collect();
            *hosts = kept;
            let names = self.names_of(&leaving);
            self.coordinators[k].table.shrink(&tag.to_string(), &names);
            for host in leaving {
                self.mind(k, host, context);
            }
        }
        self.execute(agent, tag, moves, context);
    }

    /// Migrations begin.
    pub(super) fn execute(
        &self,
        agent: crate::simulator::ids::Agent,
        tag: u32,
        moves: Vec<crate::simulator::decision::Move>,
        context: &mut Context<Word>,
    ) {
        let ordering = if self.how.planned { Ordering::Planned } else { Ordering::AtOnce };
        context.execute(agent, tag, moves, ordering);
    }

    /// All migrations of a plan have ended.
    pub(super) fn carried_out(&mut self, k: usize, tag: u32, outcome: Outcome, context: &mut Context<Word>) {
        let Some(job) = self.coordinators[k].jobs.get_mut(&tag) else { return };
        job.acts = false;
        let well = outcome.failed == 0 && outcome.not_begun == 0;
        let hosts = touched(&job.moves);
        self.progress(k, hosts.into_iter(), context);
        match self.coordinators[k].jobs.get(&tag).map(|job| &job.answers) {
            Some(Answers::Cell { .. }) => self.end(k, tag, well, context),
            Some(Answers::Ring { .. }) => self.ring_carried_out(k, tag, well, context),
            None => {}
        }
        self.answer(k, context);
    }

    /// A plan of the cell has ended; whether it did what it was for.
    fn end(&mut self, k: usize, tag: u32, helped: bool, context: &mut Context<Word>) {
        let it = &mut self.coordinators[k];
        let Some(Job { answers: Answers::Cell { kind, hosts, troubles, .. }, .. }) = it.jobs.remove(&tag)
        else {
            return;
        };
        it.table.release(&tag.to_string());
        for host in troubles {
            self.rest(k, kind, host, helped, context.now());
        }
        for host in hosts {
            self.mind(k, host, context);
        }
    }

    /// Nobody has a trouble in hand any more, and it rests.
    pub(super) fn rest(&mut self, k: usize, kind: Kind, host: HostId, helped: bool, now: f64) {
        let seconds = if kind.is_thrift() { self.how.under_cool_down_s } else { self.how.cool_down_s };
        let cool_down = Duration::from_secs_f64(seconds);
        let trouble = self.coordinators[k].kept_mut(host).trouble_mut(kind);
        trouble.misses = if helped { 0 } else { (trouble.misses + 1).min(crate::partition::MOST_DOUBLINGS) };
        trouble.rests_until = now + rest(cool_down, trouble.misses).as_secs_f64();
        trouble.care = Care::Nobody;
    }
}

//! Carries plans out: the same for all strategies.

use super::context::Context;
use super::events::Event;
use super::log::Happening;
use crate::simulator::decision::Move;
use crate::simulator::ids::{Agent, HostId, VmId};
use crate::simulator::world::{Ended, Migration};

/// In which order the moves of a plan begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// As the plan says: each after those that it waits for.
    Planned,
    /// All at once, as `VMPlaceS` applies plans: it loses the order.
    AtOnce,
}

/// What a plan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Moves that ended well.
    pub done: u32,
    /// Moves that ended badly.
    pub failed: u32,
    /// Moves that could not be begun, or were not, as others before them failed.
    pub not_begun: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    agent: Agent,
    /// In which life it decided: who has begun anew since is not told of the end.
    life: u32,
    tag: u32,
    began: f64,
    moves: Vec<Move>,
    /// How many moves each still waits for; `u32::MAX` = it has begun.
    waiting: Vec<u32>,
    under_way: u32,
    outcome: Outcome,
}

impl Running {
    fn halt(&mut self) {
        for waiting in self.waiting.iter_mut().filter(|waiting| **waiting != BEGUN) {
            *waiting = BEGUN;
            self.outcome.not_begun += 1;
        }
    }
}

const BEGUN: u32 = u32::MAX;
/// Of slots that no plan has begun.
const NO_PLAN: u32 = u32::MAX;

impl<M> Context<M> {
    /// Carries a plan out; [`super::Strategy::executed`] tells its end, also where there was nothing to do.
    pub fn execute(&mut self, agent: Agent, tag: u32, moves: Vec<Move>, ordering: Ordering) {
        self.note_moves(&moves, |moves| Happening::Plan { agent: agent.0, tag, moves });
        let waits = |step: &Move| match ordering {
            Ordering::Planned => step.after.len() as u32,
            Ordering::AtOnce => 0,
        };
        let waiting = moves.iter().map(waits).collect();
        let (began, life) = (self.now(), self.life(agent));
        let running =
            Running { agent, life, tag, began, moves, waiting, under_way: 0, outcome: Outcome::default() };
        let plan = self.plans.put(running);
        if self.begin_ready(plan) {
            // Told by an event of its own: the strategy is still in the call.
            self.queue.push(began, Event::Empty { plan });
        }
    }

    /// Compares what is kept of plans with the migrations that are under way.
    ///
    /// # Panics
    /// They differ, or who is not there has something begun.
    #[cfg(test)]
    pub(in crate::simulator) fn check(&self) {
        let mut under_way: std::collections::BTreeMap<u32, u32> = std::collections::BTreeMap::new();
        for (plan, _) in self.owners.iter().filter(|(plan, _)| *plan != NO_PLAN) {
            *under_way.entry(*plan).or_default() += 1;
        }
        let all: u32 = self.plans.iter().map(|plan| plan.under_way).sum();
        assert_eq!(under_way.values().sum::<u32>(), all);
        assert_eq!(self.world.moves.under_way, all, "each migration is of a plan");
        for plan in self.plans.iter() {
            let waits = plan.waiting.iter().any(|waiting| *waiting != BEGUN);
            assert!(!waits || self.is_up(plan.agent), "who is not there begins nothing: {plan:?}");
        }
    }

    /// The hosts of each plan that is carried out.
    pub(in crate::simulator) fn groups(&self) -> Vec<Vec<HostId>> {
        let hosts = |plan: &Running| plan.moves.iter().flat_map(|step| [step.from, step.to]).collect();
        self.plans.iter().map(hosts).collect()
    }

    /// Moves one VM; its end is told as that of a plan.
    pub fn migrate(&mut self, agent: Agent, tag: u32, vm: VmId, to: HostId) {
        let from = self.world.vm(vm).host;
        self.execute(agent, tag, vec![Move { vm, from, to, after: Vec::new() }], Ordering::AtOnce);
    }

    /// Begins nothing more of a plan; what is under way goes on, and the plan ends with it.
    pub fn halt(&mut self, agent: Agent, tag: u32) {
        let those = self.plans.iter_mut().filter(|plan| (plan.agent, plan.tag) == (agent, tag));
        those.for_each(Running::halt);
    }

    /// The same of all plans of an agent.
    pub(super) fn halt_all(&mut self, agent: Agent) {
        self.plans.iter_mut().filter(|plan| plan.agent == agent).for_each(Running::halt);
    }

    /// Whether an agent can have a migration begin: it runs, and reaches the agents at both ends.
    fn reach(&self, agent: Agent, from: HostId, to: HostId) -> bool {
        self.is_up(agent) && self.reaches(agent, from) && self.reaches(agent, to)
    }

    /// Begins what waits for nothing. Whether nothing of the plan is left.
    fn begin_ready(&mut self, plan: u32) -> bool {
        let Some(running) = self.plans.get_mut(plan) else { return false };
        let (agent, mut ready) = (running.agent, Vec::new());
        for (index, (waiting, step)) in running.waiting.iter_mut().zip(&running.moves).enumerate() {
            if *waiting == 0 {
                *waiting = BEGUN;
                ready.push((index as u32, step.vm, step.from, step.to));
            }
        }
        let (mut under_way, mut not_begun) = (0, 0);
        for (index, vm, from, to) in ready {
            let can_begin = self.world.vm(vm).host == from && self.reach(agent, from, to);
            let Some(slot) = can_begin.then(|| self.world.migrate(vm, to).ok()).flatten() else {
                not_begun += 1;
                continue;
            };
            under_way += 1;
            if self.owners.len() <= slot as usize {
                self.owners.resize(slot as usize + 1, (NO_PLAN, 0));
            }
            self.owners[slot as usize] = (plan, index);
            self.note(|_| Happening::Migration { vm: vm.0, from: from.0, to: to.0 });
        }
        let Some(running) = self.plans.get_mut(plan) else { return false };
        running.under_way += under_way;
        running.outcome.not_begun += not_begun;
        let ended = running.under_way == 0;
        if ended {
            // What still waits, waits for something that did not come about.
            running.halt();
        }
        ended
    }

    /// A migration has ended. The plan that this was the last one of.
    pub(super) fn step_ended(&mut self, ended: &Ended) -> Option<u32> {
        let Migration { vm, from, to, began } = ended.migration;
        self.note(|it| Happening::MigrationEnds {
            vm: vm.0,
            from: from.0,
            to: to.0,
            well: ended.well,
            took_s: it.now() - began,
        });
        let owner = self.owners.get_mut(ended.slot as usize)?;
        let (plan, index) = std::mem::replace(owner, (NO_PLAN, 0));
        let running = self.plans.get_mut(plan)?;
        running.under_way -= 1;
        if ended.well {
            running.outcome.done += 1;
            for (step, waiting) in running.moves.iter().zip(&mut running.waiting) {
                if *waiting != BEGUN && step.after.contains(&index) {
                    *waiting -= 1;
                }
            }
        } else {
            running.outcome.failed += 1;
        }
        self.begin_ready(plan).then_some(plan)
    }

    /// Takes a plan off the books.
    pub(super) fn close(&mut self, plan: u32) -> Option<(Agent, u32, Outcome)> {
        let Running { agent, life, tag, began, outcome, .. } = self.plans.take(plan)?;
        self.rounds.applied(self.now() - began, outcome.not_begun);
        let Outcome { done, failed, not_begun } = outcome;
        self.note(|_| Happening::PlanEnds { agent: agent.0, tag, done, failed, not_begun });
        self.goes_on(agent, life).then_some((agent, tag, outcome))
    }
}

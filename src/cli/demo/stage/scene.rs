//! What is to be seen: the state that changes build up. Pure.

use super::news::{self, News};
use crate::coordinator::Change;
use crate::record::{ActionState, HostRecord, PlanRecord};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// News that are kept for the screen.
const NEWS_KEPT: usize = 100;

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// How many of what there are.
    pub(super) inventory: String,
    /// Where it is served.
    pub(super) address: String,
    /// Present act, with its number of how many.
    pub(super) act: String,
    /// From this share of its cpu on a host is overloaded.
    pub(super) overload: f64,
    /// Since the beginning.
    pub(super) time: Duration,
    pub(super) hosts: BTreeMap<String, Arc<HostRecord>>,
    /// By id, which sorts by time.
    pub(super) plans: BTreeMap<String, Arc<PlanRecord>>,
    /// Ids of plans in the order in which they were first seen.
    pub(super) numbers: Vec<String>,
    /// What has happened and when, oldest first.
    pub(super) news: VecDeque<(Duration, News)>,
}

/// How many moves of a plan stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) done: usize,
    pub(super) moving: usize,
    pub(super) waiting: usize,
    pub(super) failed: usize,
}

impl Scene {
    /// Takes a change; what is new.
    pub(super) fn take(&mut self, change: &Change) -> Vec<News> {
        let news = match change {
            Change::Host(host) => {
                self.hosts.insert(host.name.clone(), Arc::clone(host));
                Vec::new()
            }
            Change::HostGone(name) => {
                self.hosts.remove(name);
                Vec::new()
            }
            Change::Vm(_) | Change::VmGone(_) => Vec::new(),
            Change::Event(event) => news::of_event(event).into_iter().collect(),
            Change::Plan(plan) => {
                let before = self.plans.insert(plan.id.clone(), Arc::clone(plan));
                if before.is_none() {
                    self.numbers.push(plan.id.clone());
                }
                news::of_plan(self.number(&plan.id), before.as_deref(), plan)
            }
        };
        for one in &news {
            self.tell(one.clone());
        }
        news
    }

    /// Adds to what has happened.
    pub(super) fn tell(&mut self, news: News) {
        self.news.push_back((self.time, news));
        while self.news.len() > NEWS_KEPT {
            self.news.pop_front();
        }
    }

    /// The number of a plan, from 1.
    pub(super) fn number(&self, id: &str) -> usize {
        self.numbers.iter().position(|known| known == id).map_or(0, |at| at + 1)
    }

    /// The plan to be shown: the one under way, of several the newest; else the last one with actions.
    pub(super) fn plan(&self) -> Option<&Arc<PlanRecord>> {
        let acting = |plan: &&Arc<PlanRecord>| !plan.actions.is_empty();
        let under_way = self.plans.values().rev().filter(acting).find(|plan| !plan.state.is_terminal());
        under_way.or_else(|| self.plans.values().rev().find(acting))
    }
}

/// How the moves of a plan stand.
pub(super) fn tally(plan: &PlanRecord) -> Tally {
    let mut tally = Tally::default();
    for action in &plan.actions {
        match action.state {
            ActionState::Waiting => tally.waiting += 1,
            ActionState::Sent | ActionState::Running | ActionState::Uncertain => tally.moving += 1,
            ActionState::Done => tally.done += 1,
            ActionState::Failed | ActionState::Skipped => tally.failed += 1,
        }
    }
    tally
}

/// How far a move is, from 0 to 1.
pub(super) fn share_done(status: &crate::record::ActionStatus) -> f64 {
    match (status.state, &status.progress) {
        (ActionState::Done, _) => 1.0,
        (_, Some(progress)) => {
            let all = progress.bytes_processed + progress.bytes_remaining;
            if all == 0 { 0.0 } else { progress.bytes_processed as f64 / all as f64 }
        }
        (_, None) => 0.0,
    }
}

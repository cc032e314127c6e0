//! Rounds of a strategy: look, compute, apply.

use super::histogram::{Bucket, Histogram};
use super::stats::{Spread, Tally};
use crate::simulator::ids::Agent;
use serde::{Deserialize, Serialize};

/// What a computation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing needs doing.
    Nothing,
    /// There is a plan.
    Plan,
    /// Something needs doing, and no plan was found.
    NoPlan,
}

impl Verdict {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Plan => "plan",
            Self::NoPlan => "no-plan",
        }
    }
}

/// All rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounds {
    nothing: Tally,
    plan: Tally,
    no_plan: Tally,
    looked: Tally,
    applied: Tally,
    sizes: Tally,
    plan_times: Histogram,
    size_counts: Histogram,
    /// Seconds that each agent has computed.
    by_agent: Vec<f64>,
    wasted: u64,
}

/// What is told of them. Seconds are those of the solver, without monitoring and applying.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Computations with nothing to do.
    pub nothing: Spread,
    /// Computations with a plan.
    pub plan: Spread,
    /// Computations without one, where one was needed.
    pub no_plan: Spread,
    /// From the request of states to when they are there, seconds.
    pub monitor: Spread,
    /// From a plan to the end of its last migration, seconds.
    pub apply: Spread,
    /// Hosts that were looked at for each plan.
    pub partition: Spread,
    /// How the seconds of [`Self::plan`] are distributed.
    pub plan_times: Vec<Bucket>,
    /// How the hosts of [`Self::partition`] are distributed.
    pub partition_sizes: Vec<Bucket>,
    /// Seconds that all agents have computed.
    pub compute_s: f64,
    /// Seconds of whoever has computed most.
    pub busiest_compute_s: f64,
    /// Planned migrations that were not to be made any more when they were due.
    pub wasted: u64,
}

impl Rounds {
    /// How many computations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.nothing.count() + self.plan.count() + self.no_plan.count()
    }

    /// None yet.
    #[must_use]
    pub fn new(agents: usize) -> Self {
        let none = Tally::default();
        Self {
            nothing: none,
            plan: none,
            no_plan: none,
            looked: none,
            applied: none,
            sizes: none,
            plan_times: Histogram::default(),
            size_counts: Histogram::default(),
            by_agent: vec![0.0; agents],
            wasted: 0,
        }
    }

    pub(in crate::simulator) fn looked(&mut self, seconds: f64) {
        self.looked.add(seconds);
    }

    pub(in crate::simulator) fn computed(
        &mut self,
        agent: Agent,
        verdict: Verdict,
        seconds: f64,
        hosts: usize,
    ) {
        self.by_agent[agent.index()] += seconds;
        match verdict {
            Verdict::Nothing => self.nothing.add(seconds),
            Verdict::Plan => {
                self.plan.add(seconds);
                self.sizes.add(hosts as f64);
                self.plan_times.add(seconds);
                self.size_counts.add(hosts as f64);
            }
            Verdict::NoPlan => self.no_plan.add(seconds),
        }
    }

    pub(in crate::simulator) fn applied(&mut self, seconds: f64, wasted: u32) {
        self.applied.add(seconds);
        self.wasted += u64::from(wasted);
    }

    /// What is told of them.
    #[must_use]
    pub fn report(&self) -> RoundReport {
        RoundReport {
            nothing: self.nothing.spread(),
            plan: self.plan.spread(),
            no_plan: self.no_plan.spread(),
            monitor: self.looked.spread(),
            apply: self.applied.spread(),
            partition: self.sizes.spread(),
            plan_times: self.plan_times.buckets(),
            partition_sizes: self.size_counts.buckets(),
            compute_s: self.by_agent.iter().sum(),
            busiest_compute_s: self.by_agent.iter().copied().fold(0.0, f64::max),
            wasted: self.wasted,
        }
    }
}

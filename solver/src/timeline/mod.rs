//! A plan over time: when each action runs, what hosts and links then carry, which chain of actions makes it as long
//! as it is, and what no plan to the same end can be faster than.
//!
//! Times are those of the plan; where it is carried out, what really happened stands beside them. It is for being
//! looked at, not a judge: what a plan says is drawn, whether the checker lets it pass or not.

mod bounds;
mod chain;
mod curve;
mod read;
mod sweep;
#[cfg(test)]
mod tests;

pub use bounds::{Bound, What};
pub use chain::{Chain, Critical, Reason};
pub use curve::Curve;

use crate::file::{Action, Plan};
use crate::model::{Problem, Rejected, Site};
use serde::Serialize;

/// Two instants closer than this are the same, in seconds.
const EPSILON_S: f64 = 1e-6;

/// What really happens to a plan that is carried out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Run {
    /// Of the actions that anything is known of.
    pub actions: Vec<Real>,
    /// The time of the last look, in seconds from the start of the plan: what has begun and not ended lasts until then.
    pub now_s: f64,
}

/// How an action really went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Real {
    /// Of the action.
    pub id: u64,
    /// Where it stands: `RUNNING`, `DONE` …
    pub state: String,
    /// Seconds from the start of the plan; `None` = it has not begun.
    pub start_s: Option<f64>,
    /// Seconds from the start of the plan; `None` = it has not ended.
    pub end_s: Option<f64>,
}

/// An action over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// What is done, when, after what and why.
    #[serde(flatten)]
    pub action: Action,
    /// Position of the host that the VM leaves, or that is shut down.
    #[serde(skip)]
    pub source: Option<usize>,
    /// Position of the host that the VM enters, or that is booted.
    #[serde(skip)]
    pub destination: Option<usize>,
    /// MiB/s that a migration has all along; 0 where nothing is sent.
    pub rate_mib_s: f64,
    /// Whether it is one of those that make the plan as long as it is.
    pub critical: bool,
    /// How it really went, where it is carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real: Option<Real>,
}

impl Bar {
    /// Position of the host whose row it stands in: the one that it leaves, else the one that it enters.
    #[must_use]
    pub fn lane(&self) -> Option<usize> {
        self.source.or(self.destination)
    }
}

/// What is used of one resource of a host, or of one of its NUMA nodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Use {
    /// Its name.
    pub resource: String,
    /// Of which NUMA node; `None` = of the whole host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<usize>,
    /// What may be used.
    pub usable: i64,
    /// What is used; a VM on its way counts at both ends.
    pub steps: Curve<i64>,
    /// What is used after the plan, when VMs have been resized.
    pub finally: i64,
}

/// A host over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostTrack {
    /// Its name.
    pub name: String,
    /// `ONLINE`, `OFFLINE`, `DRAINING`, `CORDONED` or `FAILED`; while it is switched `BOOTING` or `STOPPING`.
    pub states: Curve<&'static str>,
    /// In the order of the problem's resources; those that NUMA nodes bound, node by node.
    pub uses: Vec<Use>,
    /// Whether an action leaves or enters it.
    pub touched: bool,
}

/// What transfers share, over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// What is shared.
    pub what: What,
    /// MiB/s, or how many migrations at once.
    pub capacity: f64,
    /// What is taken of it.
    pub steps: Curve<f64>,
    /// Seconds of the whole of it that are taken.
    pub busy_s: f64,
}

/// One instant at which something changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Seconds from the start of the plan.
    pub at_s: f64,
    /// Ids of the actions that end.
    pub ends: Vec<u64>,
    /// Ids of the actions that begin.
    pub begins: Vec<u64>,
    /// Hosts of which something else is used than before.
    pub changes: Vec<Change>,
}

/// What an instant changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Name of the host.
    pub host: String,
    /// Name of the resource.
    pub resource: String,
    /// The NUMA node; `None` = the whole host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<usize>,
    /// Used before.
    pub before: i64,
    /// Used from then on.
    pub after: i64,
    /// What may be used.
    pub usable: i64,
}

/// A plan over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeline {
    /// When the last action ends, in seconds, as planned.
    pub makespan_s: f64,
    /// When the last one has really ended, or the time of the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_s: Option<f64>,
    /// What any plan to the same end must wait for, the longest first: one of each kind.
    pub bounds: Vec<Bound>,
    /// The longest chain of actions that wait for each other, each at its best speed: no execution of this plan ends
    /// before.
    pub chain: Chain,
    /// The actions that make this plan as long as it is, in their order.
    pub critical: Vec<Critical>,
    /// One for each action, in the order of the plan.
    pub actions: Vec<Bar>,
    /// In the order of the problem.
    pub hosts: Vec<HostTrack>,
    /// The busiest first; without those that nothing goes through.
    pub loads: Vec<Load>,
    /// In the order of time.
    pub steps: Vec<Step>,
}

impl Timeline {
    /// Of a plan for a problem, and of what is known of its execution.
    ///
    /// # Errors
    /// Names that the problem does not have, ids that are given twice, times that are none, actions that wait for each
    /// other in a circle: everything that cannot be drawn, with its place in the plan.
    pub fn new(problem: &Problem, plan: &Plan, run: Option<&Run>) -> Result<Self, Rejected> {
        let moves = read::moves(problem, plan)?;
        let swept = sweep::sweep(problem, &moves);
        let critical = chain::critical(problem, &moves);
        let mut actions: Vec<Bar> = (moves.iter().zip(&plan.actions))
            .map(|(step, action)| Bar {
                action: action.clone(),
                source: step.from.map(Site::index),
                destination: step.to.map(Site::index),
                rate_mib_s: step.rate,
                critical: false,
                real: None,
            })
            .collect();
        for link in &critical {
            actions[link.at].critical = true;
        }
        let end = |times: &mut dyn Iterator<Item = f64>| times.fold(0.0, f64::max);
        if let Some(run) = run {
            for real in &run.actions {
                let same = actions.iter_mut().filter(|bar| bar.action.id == real.id);
                same.for_each(|bar| bar.real = Some(real.clone()));
            }
        }
        let real_s = run.map(|run| {
            let open = run.actions.iter().any(|real| real.start_s.is_some() && real.end_s.is_none());
            let ended = end(&mut run.actions.iter().filter_map(|real| real.end_s.or(real.start_s)));
            if open { ended.max(run.now_s) } else { ended }
        });
        Ok(Self {
            makespan_s: end(&mut plan.actions.iter().map(|action| action.end_s)),
            real_s,
            bounds: bounds::bounds(problem, &moves),
            chain: chain::longest(problem, &moves),
            critical,
            actions,
            hosts: swept.hosts,
            loads: swept.loads,
            steps: swept.steps,
        })
    }

    /// The last instant that there is anything to draw at, in seconds.
    #[must_use]
    pub fn until_s(&self) -> f64 {
        self.makespan_s.max(self.real_s.unwrap_or(0.0))
    }

    /// The action of an id.
    #[must_use]
    pub fn action(&self, id: u64) -> Option<&Bar> {
        // Ids mostly are numbers from 1.
        let near = (id as usize).checked_sub(1).and_then(|at| self.actions.get(at));
        near.filter(|bar| bar.action.id == id).or_else(|| self.actions.iter().find(|bar| bar.action.id == id))
    }

    /// Actions that have not begun after a step, each with the ids of those that it waits for.
    #[must_use]
    pub fn waiting(&self, step: usize) -> Vec<(u64, Vec<u64>)> {
        let past = || self.steps.iter().take(step + 1);
        let begun: std::collections::BTreeSet<u64> = past().flat_map(|step| &step.begins).copied().collect();
        let ended: std::collections::BTreeSet<u64> = past().flat_map(|step| &step.ends).copied().collect();
        let left = self.actions.iter().filter(|bar| !begun.contains(&bar.action.id));
        left.map(|bar| {
            let open = bar.action.after.iter().filter(|id| !ended.contains(id));
            (bar.action.id, open.copied().collect())
        })
        .collect()
    }

    /// What the plan cannot end before, whatever order it takes, and why; `None` for a plan without actions.
    #[must_use]
    pub fn bound(&self) -> Option<&Bound> {
        self.bounds.first()
    }
}

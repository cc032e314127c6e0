//! Which strategy a run has, and its settings.

use super::rivals;
use super::sections::{Wrong, within};
use crate::simulator::decision::{Algorithm, Colony, Compute, Packing, Repair};
use crate::simulator::engine::Ordering;
use crate::simulator::strategies::balancer::Balancing;
use crate::simulator::strategies::drs::Evening;
use crate::simulator::strategies::dvms::Ringed;
use crate::simulator::strategies::dvms_classic::Classic;
use crate::simulator::strategies::ecocloud::Trials;
use crate::simulator::strategies::gossip::Gossiping;
use crate::simulator::strategies::manager::{Management, Rule, Trigger};
use crate::simulator::strategies::mcda::Weighing;
use crate::simulator::strategies::p2p::Neighbourhoods;
use crate::simulator::strategies::scouts::Scouting;
use serde::{Deserialize, Serialize};

/// One run of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Unique in the experiment.
    pub name: String,
    /// What decides.
    #[serde(flatten)]
    pub choice: Choice,
    /// What computing takes, if it is another than in the other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute: Option<Compute>,
}

/// A strategy with its settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "strategy", rename_all = "kebab-case")]
pub enum Choice {
    /// Does nothing.
    None,
    /// One manager for all.
    Centralised(Centralised),
    /// A manager for each group.
    Hierarchical(Hierarchical),
    /// The protocol of production.
    Dvms(Ringed),
    /// The published ring protocol.
    DvmsClassic(Classic),
    /// Evens the load out.
    Drs(Evening),
    /// Packs by gossip.
    Gossip(Gossiping),
    /// Packs by chance.
    Ecocloud(Trials),
    /// Packs random neighbourhoods.
    P2p(Neighbourhoods),
    /// Sends scouts.
    Scouts(Scouting),
    /// Weighs criteria.
    Mcda(Weighing),
    /// Balances with a few others.
    Balancer(Balancing),
}

/// Names of all strategies.
pub(super) const NAMES: &str =
    "none, centralised, hierarchical, dvms, dvms-classic, drs, gossip, ecocloud, p2p, scouts, mcda, balancer";

/// How a manager decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// The solver of production.
    Solver,
    /// The rule of Snooze.
    Greedy,
    /// Onto fewer hosts, first fit decreasing.
    Ffd,
    /// Onto fewer hosts, Sercon.
    Sercon,
    /// Onto fewer hosts, an ant colony.
    Aco,
}

/// In which order migrations begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// All at once, as VMPlaceS does.
    AtOnce,
    /// As the plan says.
    Planned,
}

/// Where managers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On machines of their own, which do not fail.
    Apart,
    /// On hosts, with which they fail.
    OnHosts,
}

/// Settings of the centralised strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Centralised {
    /// Seconds between the begins of two rounds.
    pub period_s: f64,
    /// It looks each so many seconds whether a plan has ended; 0 = it is told.
    pub poll_s: f64,
    /// How it decides.
    pub decide: Decider,
    /// Units of work of the solver.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
    /// In which order migrations begin.
    pub order: Order,
    /// Where its manager runs.
    pub managers: Place,
}

impl Default for Centralised {
    fn default() -> Self {
        let repair = Repair::default();
        Self {
            period_s: 30.0,
            poll_s: 1.0,
            decide: Decider::Solver,
            work_limit: repair.work_limit,
            fill: repair.fill,
            order: Order::AtOnce,
            managers: Place::Apart,
        }
    }
}

/// When a group manager begins a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When it is told of an overload.
    Reactive,
    /// Periodically.
    Periodic,
}

/// Settings of the hierarchical strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hierarchical {
    /// Hosts of a group.
    pub group: u32,
    /// When a manager begins a round.
    pub when: When,
    /// Seconds between the begins of two rounds, where they are periodic.
    pub period_s: f64,
    /// How often hosts look whether they are overloaded, where managers are told.
    pub report_s: f64,
    /// Seconds between two rounds at least, where managers are told.
    pub pause_s: f64,
    /// A manager looks each so many seconds whether a plan has ended; 0 = it is told.
    pub poll_s: f64,
    /// Seconds between two heartbeats; 0 = there are none.
    pub heartbeat_s: f64,
    /// How a manager decides.
    pub decide: Decider,
    /// Units of work of the solver.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
    /// In which order migrations begin.
    pub order: Order,
    /// Where managers run.
    pub managers: Place,
    /// Who was not heard of for so many seconds is gone, where managers fail.
    pub silence_s: f64,
}

impl Default for Hierarchical {
    fn default() -> Self {
        let repair = Repair::default();
        Self {
            group: 32,
            when: When::Reactive,
            period_s: 30.0,
            report_s: 1.0,
            pause_s: 1.0,
            poll_s: 1.0,
            heartbeat_s: 3.0,
            decide: Decider::Solver,
            work_limit: repair.work_limit,
            fill: repair.fill,
            order: Order::AtOnce,
            managers: Place::Apart,
            silence_s: 10.0,
        }
    }
}

fn rule(decide: Decider, work_limit: u64, fill: f64) -> Rule {
    match decide {
        Decider::Solver => Rule::Repair(Repair { work_limit, fill, ..Repair::default() }),
        Decider::Greedy => Rule::Greedy { fill },
        Decider::Ffd => Rule::Pack(Packing { algorithm: Algorithm::Ffd, fill }),
        Decider::Sercon => Rule::Pack(Packing { algorithm: Algorithm::Sercon, fill }),
        Decider::Aco => Rule::Pack(Packing { algorithm: Algorithm::Aco(Colony::default()), fill }),
    }
}

impl From<Order> for Ordering {
    fn from(order: Order) -> Self {
        match order {
            Order::AtOnce => Self::AtOnce,
            Order::Planned => Self::Planned,
        }
    }
}

impl From<&Centralised> for Management {
    fn from(it: &Centralised) -> Self {
        Self {
            group: None,
            trigger: Trigger::Periodic { period_s: it.period_s },
            rule: rule(it.decide, it.work_limit, it.fill),
            ordering: it.order.into(),
            poll_s: it.poll_s,
            heartbeat_s: None,
        }
    }
}

impl From<&Hierarchical> for Management {
    fn from(it: &Hierarchical) -> Self {
        let trigger = match it.when {
            When::Reactive => Trigger::Reactive { report_s: it.report_s, pause_s: it.pause_s },
            When::Periodic => Trigger::Periodic { period_s: it.period_s },
        };
        Self {
            group: Some(it.group),
            trigger,
            rule: rule(it.decide, it.work_limit, it.fill),
            ordering: it.order.into(),
            poll_s: it.poll_s,
            heartbeat_s: (it.heartbeat_s > 0.0).then_some(it.heartbeat_s),
        }
    }
}

/// What managers have in common.
fn managed(period_s: f64, poll_s: f64, work_limit: u64, fill: f64, path: &str, wrong: &mut Wrong) {
    within(period_s, 0.01, 1e6, &format!("{path}.period_s"), wrong);
    within(poll_s, 0.0, 1e4, &format!("{path}.poll_s"), wrong);
    within(work_limit as f64, 1.0, 1e12, &format!("{path}.work_limit"), wrong);
    within(fill, 0.01, 1.0, &format!("{path}.fill"), wrong);
}

impl Choice {
    pub(super) fn faults(&self, path: &str, wrong: &mut Wrong) {
        let at = |name: &str| format!("{path}.{name}");
        match self {
            Self::None => {}
            Self::Centralised(it) => managed(it.period_s, it.poll_s, it.work_limit, it.fill, path, wrong),
            Self::Hierarchical(it) => {
                managed(it.period_s, it.poll_s, it.work_limit, it.fill, path, wrong);
                within(f64::from(it.group), 1.0, 1e6, &at("group"), wrong);
                within(it.report_s, 0.001, 1e5, &at("report_s"), wrong);
                within(it.pause_s, 0.0, 1e5, &at("pause_s"), wrong);
                within(it.heartbeat_s, 0.0, 1e5, &at("heartbeat_s"), wrong);
                within(it.silence_s, it.heartbeat_s, 1e6, &at("silence_s"), wrong);
            }
            Self::Dvms(it) => it.faults(path, wrong),
            Self::DvmsClassic(it) => {
                within(it.monitor_s, 0.001, 1e5, &at("monitor_s"), wrong);
                within(f64::from(it.least), 1.0, 1e6, &at("least"), wrong);
                within(it.timeout_s, 0.001, 1e5, &at("timeout_s"), wrong);
                within(it.check_s, 0.001, it.timeout_s, &at("check_s"), wrong);
                within(it.work_limit as f64, 1.0, 1e12, &at("work_limit"), wrong);
                within(it.fill, 0.01, 1.0, &at("fill"), wrong);
            }
            Self::Drs(it) => {
                within(it.period_s, 0.01, 1e6, &at("period_s"), wrong);
                within(it.target, 0.0, 1.0, &at("target"), wrong);
                within(it.least_gain, 0.0, 1.0, &at("least_gain"), wrong);
            }
            Self::Gossip(it) => {
                within(it.period_s, 0.01, 1e6, &at("period_s"), wrong);
                within(f64::from(it.neighbours), 1.0, 1e4, &at("neighbours"), wrong);
                within(it.fill, 0.01, 1.0, &at("fill"), wrong);
            }
            Self::Ecocloud(it) => {
                within(it.period_s, 0.01, 1e6, &at("period_s"), wrong);
                within(it.accept, 0.01, 1.0, &at("accept"), wrong);
                within(it.shape, 0.01, 100.0, &at("shape"), wrong);
                within(it.low, 0.0, it.high, &at("low"), wrong);
                within(it.high, 0.0, 0.999, &at("high"), wrong);
                within(it.alpha, 0.0, 100.0, &at("alpha"), wrong);
                within(it.beta, 0.0, 100.0, &at("beta"), wrong);
            }
            Self::P2p(it) => rivals::p2p(it, path, wrong),
            Self::Scouts(it) => rivals::scouts(it, path, wrong),
            Self::Mcda(it) => rivals::mcda(it, path, wrong),
            Self::Balancer(it) => rivals::balancer(it, path, wrong),
        }
    }
}

//! What keeps actions from being begun that could be: an operator's pause, limits on what is under way at once,
//! windows and black-outs. Only migrations are held back; VMs that are down are started at any time.

use super::Core;
use crate::coordinator::calendar;
use crate::coordinator::inventory::{Flight, Now};
use crate::record::{Pace, PlanRecord};
use dvms_solver::file::{Action, ActionKind, Plan, Problem};

/// Rates that are made of a plan's times may be too high by this part.
const ROUNDED: f64 = 0.01;

impl Core {
    /// Why no VM is moved now for plans with this trigger; `None` = VMs may be moved.
    pub(super) fn closed(&self, trigger: &str, now: Now) -> Option<String> {
        let execution = &self.settings.execution;
        calendar::closed(&execution.windows, &execution.blackouts, trigger, now.wall)
    }

    /// The same for a plan: VMs that are down need not wait until others may be moved.
    pub(super) fn closed_for(&self, trigger: &str, plan: &Plan, now: Now) -> Option<String> {
        let starts = plan.actions.iter().any(|action| action.kind == ActionKind::Start);
        if starts { None } else { self.closed(trigger, now) }
    }

    /// Why a migration has to wait for others: the plan has times for bandwidth, and times are not kept. One that
    /// would be alone may always go.
    pub(super) fn no_bandwidth(&self, problem: Option<&Problem>, action: &Action) -> Option<String> {
        if action.kind != ActionKind::Migrate {
            return None;
        }
        let rate = self.rate(problem, action);
        // What the plan was made with; an agent may have less by now.
        let bandwidth = |host: &str| {
            let planned = problem.and_then(|problem| problem.hosts.iter().find(|known| known.name == host));
            let planned = planned.and_then(|host| host.migration_bandwidth).unwrap_or(f64::MAX);
            self.nominal(host).min(planned)
        };
        let within = |flight: &Flight| {
            problem.is_some_and(|problem| problem.hosts.iter().any(|host| host.name == flight.source))
        };
        let out = self.cell.traffic(|flight| flight.source == action.source);
        let into = self.cell.traffic(|flight| flight.destination == action.destination);
        let backbone = problem.and_then(|problem| problem.limits.as_ref()?.backbone_bandwidth);
        let shared = backbone.map_or(0.0, |_| self.cell.traffic(within));
        let links = [
            (format!("out of {}", action.source), out, bandwidth(&action.source)),
            (format!("into {}", action.destination), into, bandwidth(&action.destination)),
            ("of the backbone".to_owned(), shared, backbone.unwrap_or(f64::MAX)),
        ];
        links.iter().find_map(|(link, used, most)| crowded(link, *used, *most, rate))
    }

    /// Which limit a migration has to wait for.
    pub(super) fn limit_reached(&self, record: &PlanRecord, action: &Action) -> Option<String> {
        if action.kind != ActionKind::Migrate {
            return None;
        }
        let rate = self.rate(record.problem.as_deref(), action);
        let own = |flight: &Flight| flight.key.plan_id == record.id;
        self.full("of this plan", record.pace, own, rate)
            .or_else(|| self.full("of all plans", self.settings.execution.pace(), |_| true, rate))
            .or_else(|| self.uplink_full(action, rate))
    }

    fn uplink_full(&self, action: &Action, rate: f64) -> Option<String> {
        self.settings.execution.uplinks.iter().find_map(|uplink| {
            let value = |host: &str| self.cell.hosts.get(host)?.hello.labels.get(&uplink.label);
            let (from, to) = (value(&action.source), value(&action.destination));
            if from == to {
                return None;
            }
            [from, to].into_iter().flatten().find_map(|end| {
                let crosses =
                    |f: &Flight| (value(&f.source) == Some(end)) != (value(&f.destination) == Some(end));
                let what = format!("in and out of {}={end}", uplink.label);
                let most = Pace { max_concurrent: uplink.max_concurrent, bandwidth_mib_s: None };
                let goes = from == Some(end);
                let way = |f: &Flight| crosses(f) && (value(&f.source) == Some(end)) == goes;
                let rates = Pace { max_concurrent: None, bandwidth_mib_s: uplink.bandwidth_mib_s };
                self.full(&what, most, crosses, rate).or_else(|| {
                    let what = format!("{} {}={end}", if goes { "out of" } else { "into" }, uplink.label);
                    self.full(&what, rates, way, rate)
                })
            })
        })
    }

    /// Whether a limit on some migrations is reached. One of which nobody tells how it ended keeps no other from its
    /// turn.
    fn full(&self, what: &str, pace: Pace, of: impl Fn(&Flight) -> bool, rate: f64) -> Option<String> {
        if pace == Pace::default() {
            return None;
        }
        let flights = self.cell.flights().map(|(_, flight)| flight);
        let rates = flights.filter(|f| f.migrates && self.is_waited_for(&f.key) && of(f)).map(|f| f.rate);
        let rates: Vec<f64> = rates.collect();
        if let Some(most) = pace.max_concurrent.filter(|most| rates.len() >= *most as usize) {
            return Some(format!("{} of at most {most} migrations {what} are under way", rates.len()));
        }
        crowded(what, rates.iter().sum(), pace.bandwidth_mib_s?, rate)
    }

    /// Tells readers why actions of a plan wait, if that has changed.
    pub(super) fn tell_wait(&mut self, id: &str, why: &str) {
        if self.plans.get(id).is_some_and(|record| record.waits_for != why) {
            self.change(id, |record| why.clone_into(&mut record.waits_for));
        }
    }
}

/// Whether so many MiB/s more are too many. One that would be alone may always go.
fn crowded(what: &str, used: f64, most: f64, rate: f64) -> Option<String> {
    (used > 0.0 && used + rate > most * (1.0 + ROUNDED))
        .then(|| format!("{used:.0} of {most:.0} MiB/s {what} are used, and it needs {rate:.0}"))
}

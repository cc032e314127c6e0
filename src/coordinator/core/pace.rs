//! What keeps actions from being begun that could be: an operator's pause, limits on what is under way at once,
//! windows and black-outs. Only migrations are held back; VMs that are down are started at any time.

use super::Core;
use crate::coordinator::calendar;
use crate::coordinator::inventory::{Flight, Now};
use crate::record::{Pace, PlanRecord};
use dvms_solver::file::{Action, ActionKind, Plan};

/// Rates that are made of a plan's times may be too high by this part.
const ROUNDED: f64 = 0.01;

/// What is under way of some kind.
struct Traffic {
    count: u32,
    rate: f64,
}

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

    /// Which limit a migration has to wait for.
    pub(super) fn limit_reached(&self, record: &PlanRecord, action: &Action) -> Option<String> {
        if action.kind != ActionKind::Migrate {
            return None;
        }
        let rate = self.rate(record.problem.as_deref(), action);
        let own = |flight: &Flight| flight.key.plan_id == record.id;
        full("of this plan", record.pace, &self.under_way(own), rate)
            .or_else(|| full("of all plans", self.settings.execution.pace(), &self.under_way(|_| true), rate))
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
                let all = self.under_way(crosses);
                let what = format!("in and out of {}={end}", uplink.label);
                let pace = Pace { max_concurrent: uplink.max_concurrent, bandwidth_mib_s: None };
                let goes = from == Some(end);
                let way = |f: &Flight| crosses(f) && (value(&f.source) == Some(end)) == goes;
                let rates = Pace { max_concurrent: None, bandwidth_mib_s: uplink.bandwidth_mib_s };
                full(&what, pace, &all, rate).or_else(|| {
                    let what = format!("{} {}={end}", if goes { "out of" } else { "into" }, uplink.label);
                    full(&what, rates, &self.under_way(way), rate)
                })
            })
        })
    }

    /// What is waited for: one of which nobody tells how it ended keeps no other from its turn.
    fn under_way(&self, of: impl Fn(&Flight) -> bool) -> Traffic {
        let flights = || self.cell.flights().map(|(_, flight)| flight);
        let these = || flights().filter(|f| f.migrates && self.is_waited_for(&f.key) && of(f));
        Traffic { count: these().count() as u32, rate: these().map(|flight| flight.rate).sum() }
    }

    /// Tells readers why actions of a plan wait, if that has changed.
    pub(super) fn tell_wait(&mut self, id: &str, why: &str) {
        if self.plans.get(id).is_some_and(|record| record.waits_for != why) {
            self.change(id, |record| why.clone_into(&mut record.waits_for));
        }
    }
}

fn full(what: &str, pace: Pace, now: &Traffic, rate: f64) -> Option<String> {
    if let Some(most) = pace.max_concurrent.filter(|most| now.count >= *most) {
        return Some(format!("{} of at most {most} migrations {what} are under way", now.count));
    }
    let most =
        pace.bandwidth_mib_s.filter(|most| now.count > 0 && now.rate + rate > most * (1.0 + ROUNDED))?;
    Some(format!("{:.0} of {most:.0} MiB/s {what} are used, and it needs {rate:.0}", now.rate))
}

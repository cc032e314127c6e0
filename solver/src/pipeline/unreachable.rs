//! That nothing can be done though the rules leave placements: no order of moves leads to any of them.

use super::stages::Stages;
use crate::answer;
use crate::backend::Exact;
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::file::{Plan, Status};
use crate::milp::{self, Verdict};
use crate::model::{Problem, VmId};
use crate::objective;
use crate::schedule;
use std::collections::BTreeSet;

/// Placements that are looked at; each is searched for a way to it.
const MOST_PLACEMENTS: usize = 64;

/// What stands in each other's way.
#[derive(Default)]
struct Found {
    placements: usize,
    vms: BTreeSet<VmId>,
}

impl Stages<'_> {
    /// Proves that no placement can be reached, if so; makes a plan of one that can.
    pub(super) fn prove_unreachable(&mut self, by: &dyn Exact) -> Option<Plan> {
        let (problem, rules, budget) = (self.space.problem, self.space.rules, self.budget);
        let mut found = Found::default();
        let all =
            milp::exhaust(problem, rules, by, budget, MOST_PLACEMENTS, &mut |to| match schedule::schedule(
                problem, rules, to, budget,
            ) {
                Err(stuck) if stuck.proved => {
                    found.placements += 1;
                    let verdict = dismissal(problem, &stuck.vms);
                    found.vms.extend(stuck.vms);
                    verdict
                }
                Err(_) => Verdict::Open,
                Ok(_) => {
                    self.offer(to);
                    Verdict::Open
                }
            });
        (all && found.placements > 0).then(|| self.tell(&found, by))
    }

    fn tell(&self, found: &Found, by: &dyn Exact) -> Plan {
        let problem = self.space.problem;
        let rules = self.space.rules;
        let budget = self.budget;
        let conflict = milp::few(problem, rules, &|part| is_unreachable(part, by, budget), budget);
        let placements = match found.placements {
            1 => "the only placement".to_owned(),
            count => format!("any of the {count} placements"),
        };
        let limit = match problem.limits.max_migrations {
            Some(most) => format!(" with {most} migrations at most (limits.max_migrations)"),
            None => String::new(),
        };
        let vms: Vec<&str> = found.vms.iter().map(|vm| problem.vm(*vm).name.as_str()).collect();
        let listed = vms[..vms.len().min(5)].join(", ");
        let more = if vms.len() > 5 { format!(" and {} more", vms.len() - 5) } else { String::new() };
        let reason = format!(
            "proved: no order of moves leads to {placements} that the rules allow{limit}, whatever steps aside on the \
             way; {listed}{more} are in each other's way"
        );
        answer::without(Status::Infeasible, reason, Some(conflict))
    }
}

/// What is said of a placement to which these VMs do not come. What is started is never in anybody's way: it can be
/// started last.
fn dismissal(problem: &Problem, stuck: &BTreeSet<VmId>) -> Verdict {
    let run = stuck.iter().all(|vm| problem.running_on(*vm).is_some());
    if run { Verdict::WhoeverStarts } else { Verdict::Dismissed }
}

/// Whether no placement of a problem can be reached, or there is none.
fn is_unreachable(problem: &Problem, by: &dyn Exact, budget: &Budget) -> bool {
    let rules = Rules::new(problem);
    if objective::fault(problem, &rules, &problem.initial()).is_none() {
        return false;
    }
    milp::exhaust(problem, &rules, by, budget, MOST_PLACEMENTS, &mut |to| match schedule::schedule(
        problem, &rules, to, budget,
    ) {
        Err(stuck) if stuck.proved => dismissal(problem, &stuck.vms),
        _ => Verdict::Open,
    })
}

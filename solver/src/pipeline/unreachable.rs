//! That nothing can be done though the rules leave placements: no order of moves leads to any of them.

use super::stages::Stages;
use crate::answer;
use crate::backend::Exact;
use crate::file::{Conflict, Plan, Status};
use crate::milp::{self, Verdict};
use crate::model::{HostId, VmId};
use crate::schedule;
use std::collections::BTreeSet;

/// Placements that are looked at; each is searched for a way to it.
const MOST_PLACEMENTS: usize = 64;

/// What stands in each other's way.
#[derive(Default)]
struct Found {
    placements: usize,
    vms: BTreeSet<VmId>,
    hosts: BTreeSet<HostId>,
}

impl Stages<'_> {
    /// Proves that no placement can be reached, if so; makes a plan of one that can.
    pub(super) fn prove_unreachable(&mut self, by: &dyn Exact) -> Option<Plan> {
        let (space, budget) = (self.space, self.budget);
        let (problem, rules) = (space.problem, space.rules);
        let mut found = Found::default();
        let all =
            milp::exhaust(problem, rules, by, budget, MOST_PLACEMENTS, &mut |to| match schedule::schedule(
                problem, rules, to, budget,
            ) {
                Err(stuck) if stuck.proved => {
                    found.placements += 1;
                    let ends = |vm: &VmId| [space.home[vm.index()], to[vm.index()]];
                    found.hosts.extend(stuck.vms.iter().flat_map(ends).flatten());
                    // What is started is never in anybody's way: it can be started last.
                    let run = stuck.vms.iter().all(|vm| space.home[vm.index()].is_some());
                    found.vms.extend(stuck.vms);
                    if run { Verdict::WhoeverStarts } else { Verdict::Dismissed }
                }
                Err(_) => Verdict::Open,
                Ok(_) => {
                    self.offer(to);
                    Verdict::Open
                }
            });
        (all && found.placements > 0).then(|| self.tell(&found))
    }

    fn tell(&self, found: &Found) -> Plan {
        let problem = self.space.problem;
        let rules = self.space.rules;
        // All that could be stepped aside to, and all rules: none of them lets anybody pass.
        let open = problem.host_ids().filter(|host| problem.takes_vms(*host));
        let hosts: BTreeSet<HostId> = found.hosts.iter().copied().chain(open).collect();
        let hard = rules.list.iter().filter(|kept| kept.hard());
        let conflict = Conflict {
            hosts: hosts.iter().map(|host| problem.host(*host).name.clone()).collect(),
            vms: found.vms.iter().map(|vm| problem.vm(*vm).name.clone()).collect(),
            constraints: hard.map(|kept| kept.constraint.name.clone()).collect(),
        };
        let placements = match found.placements {
            1 => "the only placement".to_owned(),
            count => format!("any of the {count} placements"),
        };
        let limit = match problem.limits.max_migrations {
            Some(most) => format!(" with {most} migrations at most (limits.max_migrations)"),
            None => String::new(),
        };
        let vms = &conflict.vms;
        let listed = vms[..vms.len().min(5)].join(", ");
        let more = if vms.len() > 5 { format!(" and {} more", vms.len() - 5) } else { String::new() };
        let reason = format!(
            "proved: no order of moves leads to {placements} that the rules allow{limit}, whatever steps aside on the \
             way; {listed}{more} are in each other's way"
        );
        answer::without(Status::Infeasible, reason, Some(conflict))
    }
}

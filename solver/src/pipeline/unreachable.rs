//! That nothing can be done though the rules leave placements: no order of moves leads to any of them.

use super::stages::Stages;
use crate::answer;
use crate::backend::Exact;
use crate::constraints::Kept;
use crate::file::{Conflict, Plan, Status};
use crate::milp;
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
                    found.vms.extend(stuck.vms);
                    true
                }
                Err(_) => false,
                Ok(_) => {
                    self.offer(to);
                    false
                }
            });
        (all && found.placements > 0).then(|| self.tell(&found))
    }

    fn tell(&self, found: &Found) -> Plan {
        let problem = self.space.problem;
        let rules = self.space.rules;
        let names: BTreeSet<&str> = (found.vms.iter())
            .flat_map(|vm| rules.of(*vm).filter(|kept| Kept::hard(kept)))
            .map(|kept| kept.constraint.name.as_str())
            .collect();
        let conflict = Conflict {
            hosts: found.hosts.iter().map(|host| problem.host(*host).name.clone()).collect(),
            vms: found.vms.iter().map(|vm| problem.vm(*vm).name.clone()).collect(),
            constraints: names.into_iter().map(str::to_owned).collect(),
        };
        let placements = match found.placements {
            1 => "the only placement".to_owned(),
            count => format!("any of the {count} placements"),
        };
        let vms = &conflict.vms;
        let listed = vms[..vms.len().min(5)].join(", ");
        let more = if vms.len() > 5 { format!(" and {} more", vms.len() - 5) } else { String::new() };
        let reason = format!(
            "proved: no order of moves leads to {placements} that the rules allow, whatever steps aside on the way; \
             {listed}{more} are in each other's way"
        );
        answer::without(Status::Infeasible, reason, Some(conflict))
    }
}

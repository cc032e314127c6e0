//! Brings VMs together on fewer hosts with as little as possible moved, by the solver of production and with the levels of its
//! `CONSOLIDATE`. As in production no host is filled beyond a share of it that has not that much already, and a plan can have to
//! pay: so much may be moved for each host that it empties.

use super::repair::{FAR, amounts, moves_of, name, share, work_of};
use super::{Decision, Effort};
use crate::simulator::engine::View;
use crate::simulator::ids::HostId;
use crate::simulator::measures::Verdict;
use dvms_solver::file::{Host, Problem, Vm};
use dvms_solver::{Backend, Cancel, Options, solve};

/// Beyond so many decisions (VMs × hosts) only heuristics are asked.
const EXACT_UP_TO: u64 = 2_000;

/// How to consolidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consolidation {
    /// Units of the solver's work.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
    /// MiB that may be moved for each host that is emptied; 0 = however much.
    pub price_mib: f64,
}

/// Decides for the hosts of a view. `kept` = hosts that are in use whatever is moved.
#[must_use]
pub fn consolidate(view: &View, how: Consolidation, kept: &[HostId]) -> Decision {
    let levels = ["VIOLATIONS", "ACTIVE_HOSTS", "MIGRATION_COST"];
    let mut problem = Problem { objectives: levels.map(str::to_owned).into(), ..Problem::default() };
    for host in &view.hosts {
        let (mut own, mut held) = (0, 0);
        for vm in view.vms_of(host).iter().filter(|vm| !vm.migrating) {
            own += vm.demand;
            held += vm.memory;
            problem.vms.push(Vm {
                name: format!("v{}", vm.id.0),
                host: name(host.id),
                demand: amounts(vm.demand, vm.memory),
                ..Vm::default()
            });
        }
        // What is on its way is not there for others, and cannot leave.
        let (others, memory) =
            (host.now.expected - own.min(host.now.expected), host.now.held - held.min(host.now.held));
        if kept.contains(&host.id) || others > 0 || memory > 0 {
            let stays = format!("k{}", host.id.0);
            problem.vms.push(Vm { name: stays, host: name(host.id), pinned: true, ..Vm::default() });
        }
        let usable = share(host.now.cpu, how.fill).saturating_sub(others).max(own);
        let left = amounts(usable, host.now.memory.saturating_sub(memory).max(held));
        problem.hosts.push(Host { name: name(host.id), capacity: left, ..Host::default() });
    }
    let (hosts, vms) = (problem.hosts.len() as u64, problem.vms.len() as u64);
    let exact = hosts * vms <= EXACT_UP_TO;
    let options = Options {
        time_limit: FAR,
        threads: 1,
        seed: 0,
        backend: if exact { Backend::Auto } else { Backend::Heuristic },
        work_limit: Some(how.work_limit),
        migration_price: (how.price_mib > 0.0).then_some(how.price_mib),
    };
    let plan = solve(&problem, &options, &Cancel::default(), &mut |_| {});
    let work = plan.as_ref().ok().and_then(work_of);
    let found = plan.as_ref().is_ok_and(|plan| plan.status.has_plan());
    let moves = plan.map(|plan| moves_of(&plan)).unwrap_or_default();
    let verdict = match (moves.is_empty(), found) {
        (false, _) => Verdict::Plan,
        (true, true) => Verdict::Nothing,
        (true, false) => Verdict::NoPlan,
    };
    Decision { verdict, moves, effort: Effort { hosts, vms, work: work.unwrap_or(how.work_limit) } }
}

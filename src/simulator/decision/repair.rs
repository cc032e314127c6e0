//! Ends overloads with as little as possible moved, by the solver of production.
//!
//! As Entropy does in its repair mode, only VMs of overloaded hosts may move; of all other hosts the solver is told what is
//! free. That keeps a problem of ten thousand hosts as small as its troubles. The solver runs under a limit of work, never of
//! time: the same view gives the same plan.

use super::{Decision, Effort, Move};
use crate::simulator::engine::{View, ViewHost};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::Verdict;
use dvms_solver::file::{ActionKind, Amounts, Host, Plan, Problem, Statistic, Vm};
use dvms_solver::lack::{Lack, lack};
use dvms_solver::{Backend, Cancel, Options, solve};
use std::collections::BTreeMap;
use std::time::Duration;

/// Beyond so many decisions (VMs × hosts) only heuristics are asked.
const EXACT_UP_TO: u64 = 20_000;
/// How often each host can be tried for each overloaded one at least.
const TRIES: u64 = 4;
/// Under a limit of work the clock decides nothing; this one is for what goes wrong.
pub(super) const FAR: Duration = Duration::from_hours(1);

/// How to repair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repair {
    /// Units of the solver's work; as many more as it takes to try each host for each overloaded one some times.
    pub work_limit: u64,
    /// Share of a host's CPU up to which VMs are put there.
    pub fill: f64,
    /// Share of its CPU to which an overloaded host is brought.
    pub relief: f64,
    /// Whether among plans that move as little, one is preferred that spreads the load.
    pub spread: bool,
}

impl Default for Repair {
    fn default() -> Self {
        Self { work_limit: 20_000, fill: 1.0, relief: 1.0, spread: false }
    }
}

/// Decides for the hosts of a view, on what is expected of them once all migrations under way have ended.
#[must_use]
pub fn repair(view: &View, how: Repair) -> Decision {
    repair_or_lack(view, how).0
}

/// The same; and what the plan leaves undone, if anything and if that is known.
#[must_use]
pub fn repair_or_lack(view: &View, how: Repair) -> (Decision, Option<Lack>) {
    let is_over = |host: &&ViewHost| host.now.expected > host.now.cpu;
    let over: Vec<&ViewHost> = view.hosts.iter().filter(is_over).collect();
    if over.is_empty() {
        let nothing = Decision { verdict: Verdict::Nothing, moves: Vec::new(), effort: Effort::default() };
        return (nothing, None);
    }
    let mut problem = Problem { objectives: objectives(how), ..Problem::default() };
    for host in &over {
        // What is on its way from here is not here any more, what is coming is.
        let (mut own, mut held) = (0, 0);
        for vm in view.vms_of(host).iter().filter(|vm| !vm.migrating) {
            let demand = amounts(vm.demand, vm.memory);
            own += vm.demand;
            held += vm.memory;
            problem.vms.push(Vm {
                name: format!("v{}", vm.id.0),
                host: name(host.id),
                demand,
                ..Vm::default()
            });
        }
        let (others, memory) =
            (host.now.expected - own.min(host.now.expected), host.now.held - held.min(host.now.held));
        let usable = share(host.now.cpu, how.relief);
        let left = amounts(usable.saturating_sub(others), host.now.memory.saturating_sub(memory));
        problem.hosts.push(Host { name: name(host.id), capacity: left, ..Host::default() });
    }
    let smallest =
        problem.vms.iter().filter_map(|vm| vm.demand.get("cpu").copied()).filter(|cpu| *cpu > 0).min();
    for host in view.hosts.iter().filter(|host| !is_over(host)) {
        let usable = share(host.now.cpu, how.fill);
        let free = usable.saturating_sub(host.now.expected);
        if smallest.is_some_and(|smallest| i64::from(free) >= smallest) {
            let memory = host.now.memory.saturating_sub(host.now.held);
            problem.hosts.push(Host {
                name: name(host.id),
                capacity: amounts(free, memory),
                ..Host::default()
            });
        }
    }
    let (hosts, vms) = (problem.hosts.len() as u64, problem.vms.len() as u64);
    let exact = hosts * vms <= EXACT_UP_TO;
    let work_limit = how.work_limit.max(over.len() as u64 * hosts * TRIES);
    let options = Options {
        time_limit: FAR,
        threads: 1,
        seed: 0,
        backend: if exact { Backend::Auto } else { Backend::Heuristic },
        work_limit: Some(work_limit),
        migration_price: None,
    };
    let plan = solve(&problem, &options, &Cancel::default(), &mut |_| {});
    let work = plan.as_ref().ok().and_then(work_of);
    let lacking = plan.as_ref().ok().and_then(|plan| lack(&problem, plan));
    let moves = plan.map(|plan| moves_of(&plan)).unwrap_or_default();
    let verdict = if moves.is_empty() { Verdict::NoPlan } else { Verdict::Plan };
    let effort = Effort { hosts, vms, work: work.unwrap_or(work_limit) };
    (Decision { verdict, moves, effort }, lacking)
}

/// Units of work that a plan has taken.
pub(super) fn work_of(plan: &Plan) -> Option<u64> {
    match plan.statistics.get("work") {
        Some(Statistic::Number(work)) => Some(*work as u64),
        _ => None,
    }
}

pub(super) fn share(cpu: u32, share: f64) -> u32 {
    (f64::from(cpu) * share + 1e-6).floor() as u32
}

fn objectives(how: Repair) -> Vec<String> {
    let spread = how.spread.then_some("IMBALANCE");
    ["VIOLATIONS", "MIGRATION_COST"].into_iter().chain(spread).map(str::to_owned).collect()
}

pub(super) fn name(host: HostId) -> String {
    format!("h{}", host.0)
}

pub(super) fn amounts(cpu: u32, memory: u32) -> Amounts {
    [("cpu".to_owned(), i64::from(cpu)), ("memory".to_owned(), i64::from(memory))].into()
}

pub(super) fn moves_of(plan: &Plan) -> Vec<Move> {
    let number = |name: &str| name.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX);
    let migrations = || plan.actions.iter().filter(|action| action.kind == ActionKind::Migrate);
    let place: BTreeMap<u64, u32> = migrations().zip(0..).map(|(action, at)| (action.id, at)).collect();
    let read = |action: &dvms_solver::file::Action| Move {
        vm: VmId(number(&action.vm)),
        from: HostId(number(&action.source)),
        to: HostId(number(&action.destination)),
        after: action.after.iter().filter_map(|id| place.get(id).copied()).collect(),
    };
    migrations().map(read).collect()
}

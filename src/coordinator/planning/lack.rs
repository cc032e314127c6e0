//! What a plan leaves undone, as room that is lacking on other hosts.

use crate::coordinator::load::{Pair, RESOURCES, add};
use dvms_solver::file::{Amounts, Plan, Problem};
use std::collections::BTreeMap;

/// Cpu and memory that hosts of a problem have to give away beyond what a plan does, and that VMs need that it leaves
/// down; and the least of the VMs that this is about, in each resource that is lacking. `None` where the plan says nothing
/// of it: there is none, or nothing is lacking.
///
/// The hosts that the plan was made for cannot do better, as far as its solver knows: so much room is needed on others at
/// least.
pub(crate) fn lack(problem: &Problem, plan: &Plan) -> Option<(Pair, Pair)> {
    if !plan.status.has_plan() {
        return None;
    }
    let mut lack = [0, 0];
    let mut concerned = Vec::new();
    let mut there: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for vm in &problem.vms {
        if let Some(host) = plan.placement.get(&vm.name) {
            there.entry(host).or_default().push(pair(&vm.demand));
        } else {
            add(&mut lack, pair(&vm.demand));
            concerned.push(pair(&vm.demand));
        }
    }
    for host in &problem.hosts {
        let vms = there.remove(host.name.as_str()).unwrap_or_default();
        let mut used = [0, 0];
        for vm in &vms {
            add(&mut used, *vm);
        }
        let capacity = pair(&host.capacity);
        let over = [0, 1].map(|r| used[r].saturating_sub(capacity[r]).max(0));
        if over != [0, 0] {
            add(&mut lack, over);
            concerned.extend(vms);
        }
    }
    let least = concerned.into_iter().reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1])])?;
    Some((lack, [0, 1].map(|r| if lack[r] > 0 { least[r] } else { 0 })))
}

fn pair(amounts: &Amounts) -> Pair {
    RESOURCES.map(|name| amounts.get(name).copied().unwrap_or(0).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_solver::file::{Host, Status, Vm};

    fn amounts(cpu: i64, memory: i64) -> Amounts {
        [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into()
    }

    #[test]
    fn what_is_over_and_what_is_down_is_lacking() {
        let host = |name: &str| Host { name: name.to_owned(), capacity: amounts(10, 100), ..Host::default() };
        let vm = |name: &str, cpu| Vm { name: name.to_owned(), demand: amounts(cpu, 10), ..Vm::default() };
        let problem = Problem {
            hosts: vec![host("a"), host("b")],
            vms: vec![vm("v", 8), vm("w", 5), vm("x", 9)],
            ..Problem::default()
        };
        let placed = |pairs: &[(&str, &str)]| Plan {
            status: Status::Feasible,
            placement: pairs.iter().map(|(vm, host)| ((*vm).to_owned(), (*host).to_owned())).collect(),
            ..Plan::default()
        };
        let plan = placed(&[("v", "a"), ("w", "a"), ("x", "b")]);
        assert_eq!(lack(&problem, &plan), Some(([3, 0], [5, 0])));
        let plan = placed(&[("v", "a"), ("x", "b")]);
        assert_eq!(lack(&problem, &plan), Some(([5, 10], [5, 10])), "one is down");
        assert_eq!(lack(&problem, &Plan { status: Status::Infeasible, ..plan }), None);
        let problem = Problem { vms: vec![vm("v", 8)], ..problem };
        assert_eq!(lack(&problem, &placed(&[("v", "a")])), None);
    }
}

//! What a plan leaves undone, as room that is lacking on other hosts.

use crate::file::{Amounts, Plan, Problem};
use std::collections::BTreeMap;

/// What this is about, in the order of [`Lack`]: thousandths of a processor, and MiB.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// What is lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lack {
    /// Room for what hosts have to give away beyond what the plan does, and for VMs that it leaves down.
    pub room: [i64; 2],
    /// The least of the VMs that this is about, in each resource that is lacking.
    pub least: [i64; 2],
}

/// What a plan lacks of `cpu` and `memory`. `None` where the plan says nothing of it: there is none, or nothing is lacking.
///
/// The hosts that the plan was made for cannot do better, as far as its solver knows: so much room is needed on others at
/// least.
#[must_use]
pub fn lack(problem: &Problem, plan: &Plan) -> Option<Lack> {
    if !plan.status.has_plan() {
        return None;
    }
    let mut room = [0, 0];
    let mut concerned = Vec::new();
    let mut there: BTreeMap<&str, Vec<[i64; 2]>> = BTreeMap::new();
    for vm in &problem.vms {
        if let Some(host) = plan.placement.get(&vm.name) {
            there.entry(host).or_default().push(pair(&vm.demand));
        } else {
            add(&mut room, pair(&vm.demand));
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
            add(&mut room, over);
            concerned.extend(vms);
        }
    }
    let least = concerned.into_iter().reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1])])?;
    Some(Lack { room, least: [0, 1].map(|r| if room[r] > 0 { least[r] } else { 0 }) })
}

fn pair(amounts: &Amounts) -> [i64; 2] {
    RESOURCES.map(|name| amounts.get(name).copied().unwrap_or(0).max(0))
}

fn add(sum: &mut [i64; 2], amounts: [i64; 2]) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Host, Status, Vm};

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
        assert_eq!(lack(&problem, &plan), Some(Lack { room: [3, 0], least: [5, 0] }));
        let plan = placed(&[("v", "a"), ("x", "b")]);
        assert_eq!(lack(&problem, &plan), Some(Lack { room: [5, 10], least: [5, 10] }), "one is down");
        assert_eq!(lack(&problem, &Plan { status: Status::Infeasible, ..plan }), None);
        let problem = Problem { vms: vec![vm("v", 8)], ..problem };
        assert_eq!(lack(&problem, &placed(&[("v", "a")])), None);
    }
}

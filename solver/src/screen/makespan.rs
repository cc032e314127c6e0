//! What no plan can end before: what leaves a host together needs the bandwidth and the slots of its port.

use super::facts::Facts;
use super::space::Space;
use crate::model::{Amount, HostId, Site, VmId};
use crate::schedule::{self, Holds, Parcel, SWITCH_S, least_s};
use std::collections::BTreeMap;

/// Of more hosts that are over, only what must leave each is looked at, not who.
const MOST_WANTING: usize = 32;

/// Seconds. `beyond` is how many MiB a plan moves at most beyond what must leave the hosts that are over and those that
/// VMs have to leave; `None` = hosts may stay over, so that only the VMs are certain that have to leave.
pub(super) fn bound_s(space: &Space<'_>, facts: &Facts, beyond: Option<f64>) -> f64 {
    let problem = space.problem;
    let mut leaving = facts.leaving.clone();
    if beyond.is_some() {
        facts.relief.iter().for_each(|(host, relief)| *leaving.entry(*host).or_default() += relief.cost);
    }
    let backbone = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    // All of the last one's pause comes after the rest.
    let at_once = |memory: Amount, rate: f64| if rate > 0.0 { memory as f64 / rate + SWITCH_S } else { 0.0 };
    let mut bound = if leaving.is_empty() { 0.0 } else { at_once(leaving.values().sum(), backbone) };
    let mut forced: BTreeMap<HostId, Vec<VmId>> = BTreeMap::new();
    for &vm in &facts.forced {
        if let Some(home) = space.home[vm.index()] {
            forced.entry(home).or_default().push(vm);
        }
    }
    for (host, memory) in &leaving {
        let certain = forced.get(host).map_or(&[][..], Vec::as_slice);
        let rate = problem.host(*host).migration_bandwidth.min(backbone);
        let known = at_once(*memory, rate).max(out_of_s(space, *host, certain));
        let most =
            beyond.map(|beyond| beyond + facts.relief.get(host).map_or(0.0, |relief| relief.cost as f64));
        bound = bound.max(match (facts.wants.get(host), most) {
            (Some(want), Some(most)) if most.is_finite() && facts.wants.len() <= MOST_WANTING => {
                let mut least = f64::INFINITY;
                let all = want.each(most as Amount, &mut |vms| {
                    let vms: Vec<VmId> = certain.iter().chain(vms).copied().collect();
                    // The bandwidth alone may tell that it is no faster.
                    let memory = vms.iter().map(|vm| space.memory(*vm)).sum();
                    let quickest = at_once(memory, rate);
                    if quickest < least {
                        least = least.min(out_of_s(space, *host, &vms).max(quickest));
                    }
                });
                if all && least.is_finite() { known.max(least) } else { known }
            }
            _ => known,
        });
    }
    bound
}

/// Seconds that moving so many MiB takes at least, or so many moves, whoever moves, if no more than so many hosts run
/// VMs at the end. What is not known is infinite.
pub(super) fn in_all_s(space: &Space<'_>, moved_mib: f64, moves: f64, active: f64) -> f64 {
    let problem = space.problem;
    let backbone = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    let pause = if moves.is_finite() && moves >= 1.0 { SWITCH_S } else { 0.0 };
    if !(moved_mib.is_finite() && moved_mib > 0.0) {
        return pause;
    }
    // All of it comes to hosts that run VMs at the end.
    let mut ports: Vec<f64> = problem.hosts.iter().map(|host| host.migration_bandwidth).collect();
    ports.sort_by(|a, b| b.total_cmp(a));
    let receivers = if active.is_finite() { active.max(0.0) as usize } else { ports.len() };
    let rate = ports.iter().take(receivers).sum::<f64>().min(backbone);
    // One VM at least moves.
    let alone =
        problem.vm_ids().filter(|vm| !space.fixed[vm.index()] && space.memory(*vm) > 0).filter_map(|vm| {
            let rate = problem.host(space.home[vm.index()]?).migration_bandwidth.min(backbone);
            (rate > 0.0).then(|| space.memory(vm) as f64 / rate + SWITCH_S)
        });
    let shortest = alone.fold(f64::INFINITY, f64::min);
    let all = if rate > 0.0 { moved_mib / rate } else { 0.0 };
    let shortest = if shortest.is_finite() { shortest } else { 0.0 };
    // What is called a bound is none the greater for rounding.
    pause.max(all * (1.0 - 1e-12)).max(shortest * (1.0 - 1e-12))
}

/// More pairs of VMs and hosts than this are not looked at.
const MOST_PAIRS: usize = 5_000_000;

/// Seconds that VMs which must leave take, if they have one host only to go to. What boots of hosts take that rules ask
/// for is not among them: which hosts these are is a choice.
pub(super) fn certain_s(space: &Space<'_>, forced: &[VmId]) -> f64 {
    let problem = space.problem;
    let mut to = problem.initial();
    if forced.len().saturating_mul(space.open.len()) > MOST_PAIRS {
        return 0.0;
    }
    for &vm in forced {
        let mut hosts = space.open.iter().filter(|host| may_end(space, vm, **host));
        if let (Some(host), None) = (hosts.next(), hosts.next())
            && problem.host(*host).numa.count() == 0
        {
            to.put(vm.index(), Some(Site::plain(*host)));
        }
    }
    if to == problem.initial() {
        return 0.0;
    }
    let parts = schedule::bounds(problem, space.rules, &to).into_iter();
    let parts = parts.filter(|(holds, seconds)| !matches!(holds, Holds::Boot(_)) && seconds.is_finite());
    // What is called a bound is none the greater for rounding.
    parts.map(|(_, seconds)| seconds * (1.0 - 1e-12)).fold(0.0, f64::max)
}

/// Whether a VM may end on a host that is not its home, as far as it alone goes.
fn may_end(space: &Space<'_>, vm: VmId, host: HostId) -> bool {
    space.home[vm.index()] != Some(host)
        && space.may_go(vm, host)
        && space.forbidding(vm, host).next().is_none()
}

/// Seconds before which not all of some VMs can have left their host.
pub(crate) fn out_of_s(space: &Space<'_>, host: HostId, vms: &[VmId]) -> f64 {
    let problem = space.problem;
    // Paths are too many to be looked at; what is faster than any is no wrong bound.
    let others = space.open.iter().filter(|other| **other != host && problem.topology.is_empty());
    let fastest = others.map(|other| problem.rate_limit(host, *other)).fold(0.0, f64::max);
    let fastest = if problem.topology.is_empty() { fastest } else { problem.rate_limit(host, host) };
    let parcels: Vec<Parcel> = (vms.iter())
        .map(|vm| Parcel {
            memory: space.memory(*vm) as f64,
            dirty: problem.vm(*vm).memory_dirty_rate,
            fastest,
        })
        .collect();
    least_s(&parcels, problem.rate_limit(host, host), problem.host(host).max_migrations)
}

#[cfg(test)]
mod tests {
    use crate::budget::{Budget, Cancel};
    use crate::constraints::Rules;
    use crate::file;
    use crate::model::{HostId, Problem, Site};
    use crate::objective;
    use crate::schedule::schedule;
    use crate::schedule::tests::random_way_s;
    use crate::screen::{Facts, Space, bounds};
    use crate::search::Random;
    use proptest::prelude::*;
    use std::time::Duration;

    /// A host that is over or to be left with some VMs (cpu, memory, dirty rate), and two with room.
    fn problem(vms: &[(i64, i64, f64)], cpu: i64, state: &str, slots: u32) -> Problem {
        let host = |name: &str, cpu: i64, state: &str| {
            format!(
                r#"{{"name": "{name}", "capacity": {{"cpu": {cpu}, "memory": 99000}}, "state": "{state}", "max_migrations": {slots}}}"#
            )
        };
        let vms: Vec<String> = (vms.iter().enumerate())
            .map(|(i, (cpu, memory, dirty))| {
                format!(
                    r#"{{"name": "v{i}", "host": "a", "demand": {{"cpu": {cpu}, "memory": {memory}}}, "memory_dirty_rate": {dirty}}}"#
                )
            })
            .collect();
        let hosts = [host("a", cpu, state), host("b", 40, "ONLINE"), host("c", 40, "ONLINE")].join(", ");
        let json = format!(r#"{{"hosts": [{hosts}], "vms": [{}]}}"#, vms.join(", "));
        Problem::new(&file::Problem::from_json(&json).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn no_plan_of_the_same_values_takes_less(
            vms in prop::collection::vec(
                (1_i64..5, prop_oneof![Just(1000_i64), 500_i64..9000], prop_oneof![3 => Just(0.0), 1 => 20.0..300.0_f64]),
                1..5,
            ),
            cpu in 2_i64..10,
            drains in prop::bool::weighted(0.2),
            slots in 1_u32..4,
        ) {
            let problem = problem(&vms, cpu, if drains { "DRAINING" } else { "ONLINE" }, slots);
            let rules = Rules::new(&problem);
            let space = Space::new(&problem, &rules);
            let facts = Facts::new(&space);
            let budget = Budget::new(Duration::from_hours(1), Some(1_000_000), &Cancel::default());
            for number in 0..3_usize.pow(vms.len() as u32) {
                let mut to = problem.initial();
                for i in 0..vms.len() {
                    let host = HostId::from(number / 3_usize.pow(i as u32) % 3);
                    to.put(i, Some(Site::plain(host)));
                }
                if objective::fault(&problem, &rules, &to).is_some() {
                    continue;
                }
                let Ok(timed) = schedule(&problem, &rules, &to, &budget) else { continue };
                let values = objective::values(&problem, &rules, &to, timed.way);
                let bounds = bounds(&space, &facts, &values);
                for (bound, value) in bounds.iter().zip(&values) {
                    prop_assert!(*bound <= value + 1e-6, "{bounds:?} for {values:?}");
                }
                prop_assert!(timed.makespan_bound <= timed.way.makespan_s + 1e-6);
            }
        }
    }

    /// VMs that have to go to one host each, over others if they like; some hosts are still to be booted.
    fn fenced(seed: u64) -> Problem {
        let mut random = Random::new(seed);
        let mut below = |most: usize| random.below(most);
        let hosts: Vec<String> = (0..5)
            .map(|i| {
                let state = ["ONLINE", "ONLINE", "ONLINE", "OFFLINE", "DRAINING"][if i == 0 { 0 } else { below(5) }];
                let (port, slots, boot) = ([100, 400, 1000][below(3)], 1 + below(3), 5 * below(4));
                format!(
                    r#"{{"name": "h{i}", "capacity": {{"cpu": 6, "memory": 99000}}, "state": "{state}", "boot_s": {boot}, "migration_bandwidth": {port}, "max_migrations": {slots}}}"#
                )
            })
            .collect();
        let is_off = |host: usize| hosts[host].contains("OFFLINE");
        let (mut vms, mut rules) = (Vec::new(), Vec::new());
        for i in 0..2 + below(4) {
            let (home, end, cpu) = (below(5), below(5), 1 + below(4));
            let (memory, dirty) = (1000 * (1 + below(9)), 10 * below(3));
            if is_off(home) {
                continue;
            }
            vms.push(format!(
                r#"{{"name": "v{i}", "host": "h{home}", "demand": {{"cpu": {cpu}, "memory": {memory}}}, "memory_dirty_rate": {dirty}}}"#
            ));
            rules.push(format!(r#"{{"name": "f{i}", "fence": {{"vms": ["v{i}"], "hosts": ["h{end}"]}}}}"#));
        }
        let network = match seed % 3 {
            0 => String::new(),
            one => {
                let near = |i: usize| if i < 3 { "s" } else { "t" };
                let links: Vec<String> = (0..5)
                    .map(|i| {
                        format!(r#"{{"name": "l{i}", "a": "h{i}", "b": "{}", "bandwidth": 1000}}"#, near(i))
                    })
                    .collect();
                let half = one == 2;
                format!(
                    r#", "network": {{"switches": [{{"name": "s"}}, {{"name": "t"}}], "links": [{}, {{"name": "x", "a": "s", "b": "t", "bandwidth": 300, "half_duplex": {half}}}]}}"#,
                    links.join(", ")
                )
            }
        };
        let json = format!(
            r#"{{"hosts": [{}], "vms": [{}], "constraints": [{}], "limits": {{"power_actions": true}}{network}}}"#,
            hosts.join(", "),
            vms.join(", "),
            rules.join(", ")
        );
        Problem::new(&file::Problem::from_json(&json).unwrap_or_else(|error| panic!("{error}: {json}")))
            .unwrap()
    }

    #[test]
    fn what_is_certain_takes_no_longer_than_any_row_of_hops() {
        let (mut done, mut met) = (0, 0);
        for seed in 0..4000 {
            let problem = fenced(seed);
            let rules = Rules::new(&problem);
            let space = Space::new(&problem, &rules);
            let facts = Facts::new(&space);
            let mut to = problem.initial();
            for kept in &rules.list {
                for vm in &kept.vms {
                    let end = problem.host_ids().find(|host| space.forbidding(*vm, *host).next().is_none());
                    to.put(vm.index(), end.map(Site::plain));
                }
            }
            if objective::fault(&problem, &rules, &to).is_some() {
                continue;
            }
            let Some((_, end)) = random_way_s(&problem, &rules, &to, seed) else { continue };
            let certain = facts.certain_s(&space);
            assert!(certain <= end * (1.0 + 1e-9), "seed {seed}: {certain} > {end}");
            done += 1;
            met += usize::from(end > 0.0 && certain >= 0.999 * end);
        }
        assert!(done > 300 && met > 30, "{done} done, {met} of them met the bound");
    }
}

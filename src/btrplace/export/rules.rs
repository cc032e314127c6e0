//! Rules, states and limits as constraints of the catalogue.

use super::super::format::Constraint as Theirs;
use super::super::gaps::Collector;
use super::numbers::Numbers;
use dvms_solver::file::{Body, Constraint, Host, Hosts, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// All that must hold.
pub(super) fn constraints(problem: &Problem, numbers: &Numbers<'_>, gaps: &mut Collector<'_>) -> Vec<Theirs> {
    let mut list = states(problem, numbers);
    for (i, rule) in problem.constraints.iter().enumerate() {
        let mut writer = Writer { problem, numbers, gaps, at: format!("constraints[{i}]"), list: &mut list };
        writer.rule(rule);
    }
    if problem.limits.as_ref().is_some_and(|limits| limits.max_migrations.is_some()) {
        gaps.cannot("max-migrations", "limits.max_migrations", "no limit of migrations is known there");
    }
    list
}

/// What follows from the states of hosts and VMs.
fn states(problem: &Problem, numbers: &Numbers<'_>) -> Vec<Theirs> {
    let power = problem.limits.as_ref().is_some_and(|limits| limits.power_actions);
    let mut list = Vec::new();
    // Hosts that VMs must leave, and those that none may enter.
    let (mut draining, mut closed) = (Vec::new(), BTreeSet::new());
    for host in &problem.hosts {
        let Some(node) = numbers.host(&host.name) else { continue };
        match host.state.as_str() {
            "FAILED" => list.push(Theirs::Offline { node }),
            "OFFLINE" if !power => list.push(Theirs::Offline { node }),
            "OFFLINE" => {}
            state => {
                if !power || matches!(state, "DRAINING" | "CORDONED") {
                    list.push(Theirs::Online { node });
                }
                if state == "DRAINING" {
                    draining.push(node);
                }
                if matches!(state, "DRAINING" | "CORDONED") {
                    closed.insert(node);
                }
            }
        }
    }
    let hosts: BTreeMap<&str, &Host> = problem.hosts.iter().map(|host| (host.name.as_str(), host)).collect();
    for vm in &problem.vms {
        let Some(id) = numbers.vm(&vm.name) else { continue };
        let home = hosts.get(vm.host.as_str());
        // One that is pinned to a failed host stays down.
        if home.is_none_or(|host| host.state == "FAILED" && !vm.pinned) {
            list.push(Theirs::Running { vm: id });
        }
        for (rc, amount) in &vm.arrival_demand {
            list.push(Theirs::Preserve { vm: id, rc: rc.clone(), amount: *amount });
        }
        if vm.pinned && home.is_some_and(|host| host.state != "FAILED") {
            list.push(Theirs::Root { vm: id });
        }
        // A host that none may enter keeps those that are there.
        let stays = home.and_then(|host| numbers.host(&host.name)).filter(|node| !draining.contains(node));
        let nodes: Vec<i64> = closed.iter().filter(|node| Some(**node) != stays).copied().collect();
        if !nodes.is_empty() {
            list.push(Theirs::Ban { vm: id, nodes, continuous: false });
        }
    }
    list
}

struct Writer<'a, 'n, 'g, 'l> {
    problem: &'a Problem,
    numbers: &'a Numbers<'n>,
    gaps: &'a mut Collector<'g>,
    at: String,
    list: &'l mut Vec<Theirs>,
}

impl Writer<'_, '_, '_, '_> {
    fn cannot(&mut self, feature: &str, message: impl Into<String>) {
        self.gaps.cannot(feature, self.at.clone(), message);
    }

    fn rule(&mut self, rule: &Constraint) {
        if rule.soft_weight.is_some() {
            return self.cannot("soft-rules", format!("{} may be broken at a price", rule.name));
        }
        let Some(body) = &rule.body else { return };
        let numbers = self.numbers;
        let continuous = rule.continuous;
        let new = match body {
            Body::Spread { vms, scope, max } => {
                if max.unwrap_or(1) != 1 || scope.as_deref().is_some_and(|scope| scope != "host") {
                    return self.cannot("spread", "a spread there is over hosts, with one VM on each");
                }
                Theirs::Spread { vms: numbers.vms(vms), continuous }
            }
            Body::Gather { vms, scope } => {
                let vms = numbers.vms(vms);
                match scope.as_deref() {
                    None | Some("host") => Theirs::Gather { vms, continuous },
                    Some(scope) => Theirs::Among { vms, parts: self.values(scope), continuous },
                }
            }
            Body::Fence { vms, hosts } => {
                let nodes = numbers.hosts(hosts);
                let each = |vm| Theirs::Fence { vm, nodes: nodes.clone(), continuous };
                return self.list.extend(numbers.vms(vms).into_iter().map(each));
            }
            Body::Ban { vms, hosts } => {
                let nodes = numbers.hosts(hosts);
                let each = |vm| Theirs::Ban { vm, nodes: nodes.clone(), continuous };
                return self.list.extend(numbers.vms(vms).into_iter().map(each));
            }
            Body::Lonely { vms } => Theirs::Lonely { vms: numbers.vms(vms), continuous },
            Body::Split { groups } => {
                Theirs::Split { parts: groups.iter().map(|group| numbers.vms(group)).collect(), continuous }
            }
            Body::Among { vms, host_groups } => {
                let Some(parts) = self.parts(host_groups) else { return };
                Theirs::Among { vms: numbers.vms(vms), parts, continuous }
            }
            Body::SplitAmong { groups, host_groups } => {
                let Some(p_parts) = self.parts(host_groups) else { return };
                let v_parts = groups.iter().map(|group| numbers.vms(group)).collect();
                Theirs::SplitAmong { v_parts, p_parts, continuous }
            }
            Body::Root { vms } => {
                let each = |vm| Theirs::Root { vm };
                return self.list.extend(numbers.vms(vms).into_iter().map(each));
            }
            Body::Quarantine { hosts } => {
                let each = |node| Theirs::Quarantine { node };
                return self.list.extend(numbers.hosts(hosts).into_iter().map(each));
            }
            Body::MaxOnline { hosts, max } => {
                Theirs::MaxOnline { nodes: numbers.hosts(hosts), amount: max.unwrap_or(0), continuous }
            }
            Body::RunningCapacity { hosts, max } => {
                Theirs::RunningCapacity { nodes: numbers.hosts(hosts), amount: max.unwrap_or(0), continuous }
            }
            Body::ResourceCapacity { hosts, resource, max } => Theirs::ResourceCapacity {
                nodes: numbers.hosts(hosts),
                rc: resource.clone(),
                amount: max.unwrap_or(0),
                continuous,
            },
            Body::Before { first, second } => {
                let (first, second) = (numbers.vms(first), numbers.vms(second));
                for vm1 in first {
                    self.list.extend(second.iter().map(|vm2| Theirs::Precedence { vm1, vm2: *vm2 }));
                }
                return;
            }
            Body::Sync { vms } => Theirs::Sync { vms: numbers.vms(vms) },
            Body::Headroom { .. } | Body::SpareHosts { .. } => {
                let what = body.kind().replace('_', "-");
                return self.cannot(&what, format!("no such constraint is known there ({})", rule.name));
            }
        };
        self.list.push(new);
    }

    /// The hosts by their value of a label; each without it is alone.
    fn values(&self, scope: &str) -> Vec<Vec<i64>> {
        let mut parts: BTreeMap<(bool, &str), Vec<i64>> = BTreeMap::new();
        for host in &self.problem.hosts {
            let value = host.labels.get(scope);
            let key = (value.is_none(), value.map_or(host.name.as_str(), String::as_str));
            parts.entry(key).or_default().extend(self.numbers.host(&host.name));
        }
        parts.into_values().collect()
    }

    /// Groups of hosts, which must not share any there.
    fn parts(&mut self, groups: &[Hosts]) -> Option<Vec<Vec<i64>>> {
        let parts: Vec<Vec<i64>> = groups.iter().map(|group| self.numbers.hosts(group)).collect();
        let mut seen = BTreeSet::new();
        if parts.iter().flatten().any(|node| !seen.insert(*node)) {
            self.cannot("overlapping-groups", "groups of hosts share some, which they must not there");
            return None;
        }
        Some(parts)
    }
}

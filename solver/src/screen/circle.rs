//! VMs that have to move, each before the next, in a circle.

use super::facts::Facts;
use super::space::Space;
use crate::constraints::{self, Impossible};
use crate::model::VmId;
use std::collections::BTreeMap;

/// Hard rules that want each of some VMs, all of which have to migrate, to move before the next and the last
/// before the first.
pub(super) fn circle(space: &Space<'_>, facts: &Facts) -> Option<Impossible> {
    // Nodes are the VMs, then the rules: a VM leads to the rules that want it first, a rule to those after it.
    let mut node: BTreeMap<VmId, usize> = BTreeMap::new();
    for vm in &facts.forced {
        let next = node.len();
        node.insert(*vm, next);
    }
    let vms = node.len();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); vms];
    let mut rules = Vec::new();
    for kept in space.rules.list.iter().filter(|kept| kept.hard()) {
        let Some((first, second)) = kept.rule.orders() else { continue };
        for vm in first.iter().filter_map(|vm| node.get(vm)) {
            edges[*vm].push(vms + rules.len());
        }
        edges.push(second.iter().filter_map(|vm| node.get(vm).copied()).collect());
        rules.push(kept);
    }
    let found = cycle(&edges)?;
    let vm_of = |at: usize| facts.forced[at];
    let name = |at: usize| space.problem.vm(vm_of(at)).name.as_str();
    // From the first of its VMs on.
    let begin = found.iter().position(|at| *at < vms)?;
    let round: Vec<usize> = found[begin..].iter().chain(&found[..begin]).copied().collect();
    let members: Vec<usize> = round.iter().copied().filter(|at| *at < vms).collect();
    let said: Vec<String> = (round.chunks(2).enumerate())
        .map(|(i, pair)| {
            let next = members[(i + 1) % members.len()];
            format!(
                "{} wants {} to move before {}",
                rules[pair[1] - vms].constraint.name,
                name(pair[0]),
                name(next)
            )
        })
        .collect();
    let names: Vec<&str> = members.iter().map(|at| name(*at)).collect();
    let verb = if names.len() == 1 { "has to leave its host" } else { "have to leave their hosts" };
    let reason = format!("{} {verb}, but {}", names.join(", "), said.join(", "));
    let hosts = members.iter().filter_map(|at| space.home[vm_of(*at).index()]);
    let orders = round.iter().filter(|at| **at >= vms).map(|at| rules[*at - vms].constraint.name.as_str());
    let vms: Vec<VmId> = members.iter().map(|at| vm_of(*at)).collect();
    let rules = orders.chain(super::impossible::expelling(space, &vms));
    let conflict = constraints::conflict(space.problem, hosts, vms.iter().copied(), rules);
    Some((reason, conflict))
}

/// Nodes of a circle, in its order.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut done = vec![false; edges.len()];
    let mut place: Vec<Option<usize>> = vec![None; edges.len()];
    for start in 0..edges.len() {
        // The path from the start, with how many edges of each node have been followed.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if !done[start] {
            place[start] = Some(0);
            path.push((start, 0));
        }
        while let Some((at, followed)) = path.last_mut() {
            let Some(&next) = edges[*at].get(*followed) else {
                (done[*at], place[*at]) = (true, None);
                path.pop();
                continue;
            };
            *followed += 1;
            if let Some(begin) = place[next] {
                return Some(path[begin..].iter().map(|(node, _)| *node).collect());
            }
            if !done[next] {
                place[next] = Some(path.len());
                path.push((next, 0));
            }
        }
    }
    None
}

//! Arrivals counted by host and by groups of VMs: between the full model, which has a column for each class and host, and the
//! pooled one, which has none.
//!
//! A VM of a group counts with the least that any of the group demands, so the model allows more than the problem,
//! and what is proved of it is true. But each arrival must find room on one host, beside what stays there: unlike the
//! pooled model it knows that VMs make room for others, and what the cheapest way to that is. Groups are made so
//! that little of the demands is lost.

use super::linear::{Column, Term};
use super::model::Model;
use crate::model::{Amount, Amounts, HostId, Problem, Site, Vm, VmId};
use std::collections::BTreeMap;

/// So many groups: measured at 64 hosts, the model of 4 proves more in the same time than those of 8, 16 and 31, which are
/// solved more slowly.
const GROUPS: usize = 4;
/// Hosts that VMs may enter; with more of them the model is too large to come to anything in seconds.
const MOST_HOSTS: usize = 500;

/// Classes of VMs that arrive as one kind.
#[derive(Debug)]
pub(super) struct Group {
    /// Positions in the classes of the model.
    pub(super) classes: Vec<usize>,
    /// What each of them demands at least at the end, and takes at least while the plan runs.
    pub(super) demand: Vec<Amount>,
    pub(super) present: Vec<Amount>,
    /// How many come to each host.
    pub(super) comes: BTreeMap<HostId, Column>,
}

impl Group {
    fn new(model: &Model<'_>, classes: Vec<usize>) -> Self {
        let least = |takes: fn(&Vm) -> &Amounts| -> Vec<Amount> {
            let amounts = |r: usize| classes.iter().map(move |c| takes(one(model, *c))[r]);
            (0..model.problem.resources.len()).map(|r| amounts(r).min().unwrap_or(0)).collect()
        };
        let (demand, present) = (least(|vm| &vm.demand), least(|vm| &vm.present));
        Self { classes, demand, present, comes: BTreeMap::new() }
    }
}

fn one<'a>(model: &'a Model<'_>, class: usize) -> &'a Vm {
    model.problem.vm(model.parts.classes[class].one())
}

/// How many groups there should be; `None` where the problem is too large for them.
pub(super) fn number(problem: &Problem) -> Option<usize> {
    let hosts = problem.host_ids().filter(|host| problem.takes_vms(*host)).count();
    (hosts <= MOST_HOSTS).then_some(GROUPS)
}

/// Adds the columns of arrivals of at most so many groups.
pub(super) fn add(model: &mut Model<'_>, most: usize) {
    let hosts: Vec<HostId> = model.problem.host_ids().filter(|host| model.problem.takes_vms(*host)).collect();
    let movable = |c: &usize| !model.each[*c] && model.ends.may_move(model.parts.classes[*c].one());
    let classes: Vec<usize> = (0..model.parts.classes.len()).filter(movable).collect();
    for classes in groups(model, classes, most) {
        let mut group = Group::new(model, classes);
        for host in &hosts {
            let able = |c: &&usize| model.ends.may_enter(model.parts.classes[**c].one(), *host);
            let coming: i64 =
                group.classes.iter().filter(able).map(|c| model.arrivals(*c, Site::plain(*host))).sum();
            if coming > 0 {
                group.comes.insert(*host, model.linear.column(coming));
            }
        }
        model.groups.push(group);
    }
}

/// Each VM of a group ends somewhere.
pub(super) fn assign(model: &mut Model<'_>) {
    for group in &model.groups {
        let mut terms: Vec<Term> = group.comes.values().map(|column| (*column, 1)).collect();
        let mut size = 0;
        for c in &group.classes {
            terms.extend(model.cells[model.of_class[*c].clone()].iter().map(|cell| (cell.column, 1)));
            terms.extend(model.down[*c].map(|column| (column, 1)));
            size += model.parts.classes[*c].size();
        }
        model.linear.equal(terms, size);
    }
}

/// Splits the classes where most is won, until there are so many groups or all in each demand the same.
fn groups(model: &Model<'_>, classes: Vec<usize>, most: usize) -> Vec<Vec<usize>> {
    let problem = model.problem;
    // Amounts of each resource count as parts of what all VMs demand.
    let total: Vec<f64> = (0..problem.resources.len())
        .map(|r| problem.vms.iter().map(|vm| vm.demand[r] as f64).sum::<f64>().max(1.0))
        .collect();
    let cut = |group: Vec<usize>| {
        let cut = best_cut(model, &group, &total);
        (group, cut)
    };
    let mut groups = if classes.is_empty() { Vec::new() } else { vec![cut(classes)] };
    while groups.len() < most {
        let best = groups.iter().enumerate().filter_map(|(i, (_, cut))| Some((i, cut.as_ref()?)));
        let Some((i, _)) = best.max_by(|a, b| a.1.gain.total_cmp(&b.1.gain).then(b.0.cmp(&a.0))) else {
            break;
        };
        let (group, chosen) = groups.swap_remove(i);
        let Some(Cut { resource, from, .. }) = chosen else { break };
        let (high, low) = group.into_iter().partition(|c| one(model, *c).demand[resource] >= from);
        groups.push(cut(low));
        groups.push(cut(high));
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

/// Classes that demand at least so much of a resource become a group of their own.
struct Cut {
    resource: usize,
    from: Amount,
    gain: f64,
}

/// The cut by which the least demands grow most; `None` where all demand the same.
fn best_cut(model: &Model<'_>, group: &[usize], total: &[f64]) -> Option<Cut> {
    let mut best: Option<Cut> = None;
    for (resource, total) in total.iter().enumerate() {
        let mut demands: Vec<(Amount, i64)> =
            group.iter().map(|c| (one(model, *c).demand[resource], model.parts.classes[*c].size())).collect();
        demands.sort_unstable();
        let least = demands.first().map_or(0, |(amount, _)| *amount);
        let mut above: i64 = demands.iter().map(|(_, size)| size).sum();
        for (amount, size) in demands {
            let gain = (amount - least) as f64 * above as f64 / total;
            if amount > least && best.as_ref().is_none_or(|best| gain > best.gain) {
                best = Some(Cut { resource, from: amount, gain });
            }
            above -= size;
        }
    }
    best
}

/// Counts VMs of a class at a host where they have no cell. `None`: they cannot come there.
pub(super) fn count_in(
    model: &Model<'_>,
    class: usize,
    host: HostId,
    coming: i64,
    point: &mut [i64],
) -> Option<()> {
    let group = model.groups.iter().find(|group| group.classes.contains(&class))?;
    point[*group.comes.get(&host)? as usize] += coming;
    Some(())
}

/// VMs of classes of which a point lets some leave.
pub(super) fn leavers(model: &Model<'_>, point: &[i64]) -> Vec<VmId> {
    let leaves = |c: &usize| {
        let cells = model.cells[model.of_class[*c].clone()].iter().filter(|cell| cell.stays);
        let stay: i64 = cells.map(|cell| point[cell.column as usize]).sum();
        stay + model.down[*c].map_or(0, |column| point[column as usize]) < model.parts.classes[*c].size()
    };
    let classes = (0..model.parts.classes.len()).filter(leaves);
    classes.flat_map(|c| model.parts.classes[c].members.iter().copied()).collect()
}

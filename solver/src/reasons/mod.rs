//! Why each action is done, in one line for an operator: what triggered it, or what requires it.

mod phrases;

use crate::constraints::{Body, Rules, Tally};
use crate::file::{Action, ActionKind};
use crate::model::{Amount, Bound, HostId, HostState, Objective, Placement, Problem, VmId};
use crate::objective::{self, Way};
use crate::objectives::{Gauges, Scene, energy, imbalance};
use std::collections::BTreeMap;

/// How far a chain "makes room for …, which makes room for …" is told.
const LONGEST_CHAIN: usize = 3;
/// Moves whose absence is tried out to find what they are for.
const MOST_TRIED: usize = 64;

/// Writes the reason of every action that leads to a placement.
pub(crate) fn explain(problem: &Problem, rules: &Rules<'_>, to: &Placement, actions: &mut [Action]) {
    let names: BTreeMap<&str, VmId> = problem.vm_ids().map(|vm| (problem.vm(vm).name.as_str(), vm)).collect();
    let mut reasons = Reasons::new(problem, rules, to);
    for action in actions {
        action.because = match names.get(action.vm.as_str()) {
            Some(&vm) => reasons.of(vm, action),
            None => reasons.power(action),
        };
    }
}

struct Reasons<'a> {
    problem: &'a Problem,
    rules: &'a Rules<'a>,
    home: Placement,
    to: &'a Placement,
    used_before: Vec<Amount>,
    used_after: Vec<Amount>,
    tally_before: Tally,
    tally_after: Tally,
    /// VMs that each host runs before and after.
    count_before: Vec<u32>,
    count_after: Vec<u32>,
    /// VMs that come to each host.
    coming: Vec<Vec<VmId>>,
    /// What all moves together are for, where nothing else is found.
    common: Option<String>,
    tried: usize,
    /// How loaded hosts are before and after, if that counts.
    loads: Option<(imbalance::Gauge, imbalance::Gauge)>,
}

impl<'a> Reasons<'a> {
    fn new(problem: &'a Problem, rules: &'a Rules<'a>, to: &'a Placement) -> Self {
        let home = problem.initial();
        let count = |at: &Placement| {
            let mut count = vec![0; problem.hosts.len()];
            at.iter().flatten().for_each(|host| count[host.index()] += 1);
            count
        };
        let mut coming = vec![Vec::new(); problem.hosts.len()];
        for vm in problem.vm_ids() {
            if let Some(site) = to.site(vm.index()).filter(|site| home.site(vm.index()) != Some(*site)) {
                coming[site.index()].push(vm);
            }
        }
        Self {
            used_before: objective::usage(problem, &home),
            used_after: objective::usage(problem, to),
            tally_before: rules.tally(&home),
            tally_after: rules.tally(to),
            count_before: count(&home),
            count_after: count(to),
            coming,
            common: None,
            tried: 0,
            loads: loads(problem, rules, to),
            problem,
            rules,
            home,
            to,
        }
    }

    fn of(&mut self, vm: VmId, action: &Action) -> String {
        if action.kind != ActionKind::Migrate {
            return self.start(vm);
        }
        let host = |id: Option<HostId>| id.map_or("", |id| self.problem.host(id).name.as_str());
        let (first, last) = (host(self.home[vm.index()]).to_owned(), host(self.to[vm.index()]).to_owned());
        let home = self.home.site(vm.index());
        if first == last && home == self.to.site(vm.index()) {
            let nodes = home.map_or_else(Vec::new, |home| self.problem.node_list(vm, home));
            let back = action.destination == last && action.numa == nodes;
            if action.source == action.destination {
                return if back {
                    "returns to its NUMA nodes after stepping aside for other VMs".to_owned()
                } else {
                    "steps aside to other NUMA nodes, as other VMs have to pass through its own".to_owned()
                };
            }
            return if action.source == first {
                format!("steps aside, as other VMs have to pass through {first}")
            } else {
                format!("returns to {last} after stepping aside for other VMs")
            };
        }
        let why = self.main(vm).or_else(|| self.room(vm, LONGEST_CHAIN)).unwrap_or_else(|| self.needed(vm));
        if action.destination != last {
            return format!(
                "goes by way of {}, as the way to {last} is not free yet; {why}",
                action.destination
            );
        }
        why
    }

    /// Why a host is booted or shut down.
    fn power(&mut self, action: &Action) -> String {
        let problem = self.problem;
        let host = |name: &str| problem.host_ids().find(|host| problem.host(*host).name == *name);
        if let Some(host) = host(&action.source) {
            let known = problem.host(host);
            if known.state == HostState::Offline {
                return phrases::was_passed(&known.name);
            }
            let limit = self.rule_about(host, |body| match body {
                Body::MaxOnline(rule) => Some((rule.hosts.as_slice(), rule.max)),
                _ => None,
            });
            return match limit.filter(|_| !problem.shuts(host)) {
                Some((rule, max)) => phrases::most_online(&known.name, rule, max),
                None => phrases::shuts(&known.name, known.watts.idle, known.watts.off),
            };
        }
        let booted = host(&action.destination);
        let coming = booted.and_then(|host| self.coming[host.index()].first().copied());
        let Some(vm) = coming else {
            let spare = booted.and_then(|host| {
                self.rule_about(host, |body| match body {
                    Body::SpareHosts(rule) => Some((rule.hosts.as_slice(), rule.min)),
                    _ => None,
                })
            });
            return spare.map_or_else(
                || phrases::is_passed(&action.destination),
                |(rule, min)| phrases::spare(rule, min),
            );
        };
        let name = &problem.vm(vm).name;
        if self.home[vm.index()].is_none() {
            return format!("{name} is to run there: {}", self.start(vm));
        }
        let why = self.main(vm).or_else(|| self.room(vm, LONGEST_CHAIN)).unwrap_or_else(|| self.needed(vm));
        format!("{name} is to run there: {why}")
    }

    /// The rule of a kind that counts a host and holds at the end, and the number that it asks for.
    fn rule_about(
        &self,
        host: HostId,
        kind: impl Fn(&Body) -> Option<(&[HostId], u32)>,
    ) -> Option<(&str, u32)> {
        self.rules.list.iter().filter(|kept| kept.holds(&self.tally_after)).find_map(|kept| {
            let (hosts, asked) = kind(&kept.constraint.body)?;
            hosts.binary_search(&host).is_ok().then_some((kept.name(), asked))
        })
    }

    fn start(&self, vm: VmId) -> String {
        match self.problem.vm(vm).host {
            Some(host) => format!("{} has failed", self.problem.host(host).name),
            None => format!("{} waits to be placed", self.problem.vm(vm).name),
        }
    }

    /// What is wrong with the VM where it is.
    fn main(&self, vm: VmId) -> Option<String> {
        let problem = self.problem;
        let home = self.home[vm.index()]?;
        let host = problem.host(home);
        if host.state == HostState::Draining {
            return Some(format!("{} is draining", host.name));
        }
        if self.to[vm.index()] == Some(home) {
            return self.overload(vm, home).or_else(|| self.whole(vm, home));
        }
        let at_fault = |hard: bool| {
            self.rules.at(&self.tally_before, vm, home).find(|kept| {
                kept.hard() == hard
                    && !kept.holds(&self.tally_before)
                    && kept.at_fault(&self.tally_before, vm, home)
                    && kept.holds(&self.tally_after)
            })
        };
        let broken = |hard: bool| {
            at_fault(hard).map(|kept| {
                let why = kept.why(problem, &self.tally_before, vm, home);
                format!("the rule {} does not hold: {why}", kept.constraint.name)
            })
        };
        broken(true)
            .or_else(|| self.overload(vm, home))
            .or_else(|| broken(false))
            .or_else(|| {
                let empties = self.count_after[home.index()] == 0
                    && problem.objectives.contains(&Objective::ActiveHosts);
                empties.then(|| phrases::empties(&host.name, self.count_before[home.index()]))
            })
            .or_else(|| self.weighs(vm, home))
    }

    /// What the objectives that weigh hosts make of its leaving.
    fn weighs(&self, vm: VmId, home: HostId) -> Option<String> {
        let (problem, to) = (self.problem, self.to[vm.index()]?);
        let name = &problem.host(home).name;
        problem.objectives.iter().find_map(|level| match level {
            Objective::Imbalance => {
                let (r, load, mean) = self.uneven(vm, home)?;
                Some(phrases::uneven(name, &problem.resources[r], load, mean))
            }
            Objective::Energy if problem.cpu().is_some_and(|cpu| problem.vm(vm).demand[cpu] > 0) => {
                let (here, there) = (energy::rate(problem, home), energy::rate(problem, to));
                let core = |rate: f64| rate * 1000.0;
                let gains = there < here;
                gains.then(|| phrases::watts(&problem.host(to).name, core(there), name, core(here)))
            }
            Objective::Fragments => self.whole(vm, home),
            _ => None,
        })
    }

    /// What it leaves with more whole units free: its host, or a NUMA node.
    fn whole(&self, vm: VmId, home: HostId) -> Option<String> {
        let problem = self.problem;
        let fragment = problem.fragment.filter(|_| problem.objectives.contains(&Objective::Fragments))?;
        let r = fragment.resource?;
        let mut bounds = problem.bounds_for(home, r);
        bounds.find_map(|bound| {
            let units = |used: &[Amount]| (bound.usable - used[bound.cell]).max(0) / fragment.unit;
            let (before, after) = (units(&self.used_before), units(&self.used_after));
            let load = |at: &Placement| problem.load(&problem.vm(vm).demand, at.site(vm.index()), bound.cell);
            let gains = after > before && load(&self.home) > load(self.to);
            let place = problem.place_name(home, bound.node);
            gains.then(|| phrases::whole(&place, after, fragment.unit, &problem.resources[r]))
        })
    }

    /// The resource of which its host has more in use than any has at the end, with its load and the mean.
    fn uneven(&self, vm: VmId, home: HostId) -> Option<(usize, f64, f64)> {
        let (before, after) = self.loads.as_ref()?;
        let demand = &self.problem.vm(vm).demand;
        let above = |r: usize| {
            let load = before.load(r, home)?;
            (demand[r] > 0 && load > after.highest(r) + 1e-9).then_some((r, load, before.mean(r)))
        };
        let found = (0..demand.len()).filter_map(above);
        found.max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2)))
    }

    /// The resource of which the host, or its NUMA nodes, have the most too much in use, of those they are
    /// relieved of.
    fn overload(&self, vm: VmId, home: HostId) -> Option<String> {
        let problem = self.problem;
        let takes = &problem.vm(vm).demand;
        let load = |at: &Placement, bound: &Bound| problem.load(takes, at.site(vm.index()), bound.cell);
        let excess = |bound: &Bound| self.used_before[bound.cell] - bound.usable;
        let helped = |bound: &Bound| {
            let relieved = self.used_after[bound.cell] <= bound.usable;
            excess(bound) > 0 && load(&self.home, bound) > load(self.to, bound) && relieved
        };
        let share = |bound: &Bound| excess(bound) as f64 / bound.usable.max(1) as f64;
        let worst = problem.bounds_of(home).filter(helped).max_by(|a, b| share(a).total_cmp(&share(b)))?;
        let resource = &problem.resources[worst.resource];
        let place = problem.place_name(home, worst.node);
        match self.grower(vm, &worst) {
            Some(grower) => {
                let (name, to) = (&problem.vm(grower).name, problem.vm(grower).demand[worst.resource]);
                Some(phrases::grows(name, &place, resource, to, excess(&worst)))
            }
            None => Some(phrases::over(&place, resource, excess(&worst))),
        }
    }

    /// The VM whose growing puts a host or node over that is not so yet: this one, else the one that grows most.
    fn grower(&self, vm: VmId, bound: &Bound) -> Option<VmId> {
        let problem = self.problem;
        let growth = |vm: VmId| {
            let load = |takes: &[Amount]| problem.load(takes, self.home.site(vm.index()), bound.cell);
            load(&problem.vm(vm).demand) - load(&problem.vm(vm).present)
        };
        let here = |vm: &VmId| self.home[vm.index()] == Some(bound.host) && growth(*vm) > 0;
        let growing: Vec<VmId> = problem.vm_ids().filter(here).collect();
        let all: Amount = growing.iter().map(|vm| growth(*vm)).sum();
        if self.used_before[bound.cell] - all > bound.usable {
            return None;
        }
        if growing.contains(&vm) {
            return Some(vm);
        }
        growing.into_iter().max_by_key(|vm| (growth(*vm), std::cmp::Reverse(*vm)))
    }

    /// Whom it makes room for, or goes along with, and why that one comes.
    fn room(&self, vm: VmId, chain: usize) -> Option<String> {
        if chain == 0 {
            return None;
        }
        let home = self.home[vm.index()]?;
        let because = |other: VmId, longer: bool| {
            let problem = self.problem;
            let Some(from) = self.home[other.index()] else {
                return Some(match problem.vm(other).host {
                    Some(host) => format!("was on {}, which has failed", problem.host(host).name),
                    None => "waits to be placed".to_owned(),
                });
            };
            let why = self.main(other).or_else(|| if longer { self.room(other, chain - 1) } else { None })?;
            let stays = self.to[other.index()] == Some(from);
            let what = if stays { "leaves its NUMA nodes of" } else { "leaves" };
            Some(format!("{what} {}: {why}", problem.host(from).name))
        };
        let name = |vm: VmId| self.problem.vm(vm).name.as_str();
        for longer in [false, true] {
            for &other in self.coming[home.index()].iter().filter(|other| self.blocks(vm, home, **other)) {
                if let Some(why) = because(other, longer) {
                    let host = &self.problem.host(home).name;
                    return Some(format!("makes room on {host} for {}, which {why}", name(other)));
                }
            }
        }
        let flocks =
            self.rules.of(vm).flat_map(|kept| kept.rule.flocks().into_iter().map(move |f| (kept, f)));
        for (kept, flock) in flocks.filter(|(_, flock)| flock.vms.binary_search(&vm).is_ok()) {
            let moved = |other: &&VmId| {
                **other != vm
                    && self.to[other.index()].is_some()
                    && self.to[other.index()] != self.home[other.index()]
            };
            for other in flock.vms.iter().filter(moved) {
                if let Some(why) = because(*other, false) {
                    let rule = &kept.constraint.name;
                    return Some(format!("the rule {rule} keeps it with {}, which {why}", name(*other)));
                }
            }
        }
        None
    }

    /// Whether another VM could not be on the host if this one had stayed there.
    fn blocks(&self, vm: VmId, home: HostId, other: VmId) -> bool {
        let problem = self.problem;
        let load = |vm: VmId, at: &Placement, bound: &Bound| {
            problem.load(&problem.vm(vm).demand, at.site(vm.index()), bound.cell)
        };
        let too_full = problem.bounds_of(home).any(|bound| {
            // What it would take besides what it takes there still.
            let mine = load(vm, &self.home, &bound) - load(vm, self.to, &bound);
            let full = self.used_after[bound.cell] + mine > bound.usable;
            mine > 0 && load(other, self.to, &bound) > 0 && full
        });
        too_full || {
            let mut tally = self.tally_after.clone();
            if let Some(at) = self.to[vm.index()] {
                self.rules.leave(&mut tally, vm, at);
            }
            self.rules.enter(&mut tally, vm, home);
            self.rules.at(&tally, vm, home).any(|kept| {
                let both = kept.vms.binary_search(&other).is_ok() || !kept.rule.hosts().is_empty();
                let both = both || kept.guards(&tally, home);
                both && !kept.holds(&tally) && kept.holds(&self.tally_after)
            })
        }
    }

    /// What would be wrong or worse without the move, found by leaving it out.
    fn needed(&mut self, vm: VmId) -> String {
        let before = self.home.site(vm.index());
        if self.tried < MOST_TRIED {
            self.tried += 1;
            let mut without = self.to.clone();
            without.put(vm.index(), before);
            if let Some(fault) = objective::fault(self.problem, self.rules, &without) {
                return format!("needed by the other moves: without it, {fault}");
            }
            let values = |to: &Placement| objective::values(self.problem, self.rules, to, Way::default());
            let (with, without) = (values(self.to), values(&without));
            let levels = self.problem.objectives.iter().zip(with).zip(without);
            for ((level, with), without) in levels {
                if (with - without).abs() > objective::tolerance(*level, with) {
                    return format!("makes {} {with} instead of {without}", level.name());
                }
            }
        }
        self.common.get_or_insert_with(|| common(self.problem, self.rules, self.to)).clone()
    }
}

/// How loaded hosts are before and after, if that is an objective.
fn loads(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
) -> Option<(imbalance::Gauge, imbalance::Gauge)> {
    let gauge = |scene: Scene| Gauges::of(problem, &scene).imbalance().cloned();
    Some((gauge(Scene::before(problem))?, gauge(Scene::after(problem, rules, to))?))
}

/// The first level that all moves together make better.
fn common(problem: &Problem, rules: &Rules<'_>, to: &Placement) -> String {
    let before = objective::values_before(problem, rules);
    let after = objective::values(problem, rules, to, Way::default());
    let mut levels = problem.objectives.iter().zip(before).zip(after);
    match levels.find(|((level, before), after)| before - after > objective::tolerance(**level, *before)) {
        Some(((level, before), after)) => {
            format!("one of the moves that together bring {} from {before} to {after}", level.name())
        }
        None => "one of the moves that together bring every VM to a host where it may run".to_owned(),
    }
}

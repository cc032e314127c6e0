//! Which empty hosts are up at the end, where rules ask for it.
//!
//! With power actions a host that runs nothing at the end may be up or off. Where no rule asks, its state follows
//! from what it is and from the objectives ([`Problem::state_at_end`]). `max_online` and `spare_hosts` ask: one
//! that hosts are off, the other that hosts are up. So the states at the end are a function of the hosts that run
//! VMs: of all states of the empty ones that the rules allow, those that cost the least by the levels of the
//! objective ([`choice`]). Rules that share hosts are one *group* and are weighed together.
//!
//! If a group allows the states for some running hosts, it allows them for fewer as well: a host that is emptied
//! can be left up. That is what makes these rules as monotone as the others.

mod asked;
mod choice;
#[cfg(test)]
mod tests;

pub(super) use asked::{AboutStates, Asked};

use super::{Body, Tally};
use crate::model::{HostId, HostState, Objective, Problem};
use crate::objectives;
use choice::{Choice, Demand, Price};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// One of the rules, among all of the problem.
#[derive(Debug)]
struct Demanding {
    /// Its position among the constraints.
    number: usize,
    demand: Demand,
}

/// Hosts that count for the same rules. Which of them are up does not matter to these, only how many.
#[derive(Debug)]
struct Class {
    /// Those that are best left up first.
    hosts: Vec<HostId>,
    /// Positions in [`Group::rules`] of those that limit how many are up.
    most: Vec<usize>,
    /// Of those that ask for spare hosts. None if its hosts cannot be spare.
    least: Vec<usize>,
}

/// Rules that share hosts, directly or through others.
#[derive(Debug)]
struct Group {
    rules: Vec<Demanding>,
    classes: Vec<Class>,
    /// Classes of the groups before it.
    first: u32,
}

/// What is known of a host that counts for a rule.
#[derive(Debug, Clone, Copy)]
struct Facts {
    group: u32,
    class: u32,
    /// Position of its class among those of all groups.
    number: u32,
    /// Whether it is up when it is empty and no rule asks.
    stays_up: bool,
    /// What it costs that it is not as it would be if no rule asked.
    price: Price,
}

/// The rules of a problem that ask for states of empty hosts.
#[derive(Debug)]
pub(crate) struct Switching {
    groups: Vec<Group>,
    /// `None` = no rule asks for its state.
    facts: Vec<Option<Facts>>,
    /// The position of the soft weights among the levels of a price.
    violations: usize,
}

/// The states of empty hosts for one placement.
#[derive(Debug, Clone)]
pub(crate) struct States {
    /// By host, whether it is up; it means nothing for hosts that no rule asks for.
    up: Vec<bool>,
    /// For each constraint that asks: how many of its hosts count for it, and whether it does not hold.
    counts: Vec<(i64, bool)>,
    /// Hosts that the last change has switched.
    changed: Vec<HostId>,
    /// For each class, whether hard rules let one of its empty hosts run a VM that is off, or up, as far as that has been
    /// asked: it is the same for all of them, as hard rules come before all that tells these apart.
    admits: Vec<[OnceLock<bool>; 2]>,
}

impl PartialEq for States {
    fn eq(&self, other: &Self) -> bool {
        (&self.up, &self.counts) == (&other.up, &other.counts)
    }
}

/// How many of its hosts a rule wants up, or up and empty.
fn demand(problem: &Problem, number: usize) -> Option<(&[HostId], Demand)> {
    let rule = &problem.constraints[number];
    let weight = rule.soft_weight;
    match &rule.body {
        Body::MaxOnline(body) => {
            Some((&body.hosts, Demand { bound: i64::from(body.max), at_most: true, weight }))
        }
        Body::SpareHosts(body) => {
            Some((&body.hosts, Demand { bound: i64::from(body.min), at_most: false, weight }))
        }
        _ => None,
    }
}

/// Whether a host can be up at the end of a plan at all.
fn may_be_up(problem: &Problem, host: HostId) -> bool {
    problem.host(host).state != HostState::Failed
}

/// Whether a host can be up and empty, and such that VMs may come to it.
pub(crate) fn may_be_spare(problem: &Problem, host: HostId) -> bool {
    problem.takes_vms(host)
}

/// Some hosts, and all that count for rules which share hosts with them, directly or through others. Sorted.
fn linked(problem: &Problem, hosts: &[HostId]) -> Vec<HostId> {
    let able = |hosts: &[HostId]| -> BTreeSet<HostId> {
        hosts.iter().copied().filter(|host| may_be_up(problem, *host)).collect()
    };
    let mut all = able(hosts);
    let mut rest: Vec<BTreeSet<HostId>> = (0..problem.constraints.len())
        .filter_map(|number| demand(problem, number))
        .map(|(hosts, _)| able(hosts))
        .collect();
    loop {
        let (near, far): (Vec<_>, Vec<_>) = rest.into_iter().partition(|hosts| !hosts.is_disjoint(&all));
        if near.is_empty() {
            return all.into_iter().collect();
        }
        all.extend(near.into_iter().flatten());
        rest = far;
    }
}

impl Switching {
    /// `None` if no rule asks for the states of empty hosts, or if these cannot change.
    pub(super) fn new(problem: &Problem) -> Option<Self> {
        if !problem.limits.power_actions {
            return None;
        }
        let asking = (0..problem.constraints.len()).filter(|number| demand(problem, *number).is_some());
        let asking: Vec<usize> = asking.collect();
        if asking.is_empty() {
            return None;
        }
        let violations = choice::levels(problem).position(|level| level == Objective::Violations);
        let mut switching = Self {
            groups: Vec::new(),
            facts: vec![None; problem.hosts.len()],
            violations: violations.unwrap_or(choice::LEVELS - 1),
        };
        let mut left = asking;
        while let Some(&first) = left.first() {
            let hosts = demand(problem, first).map_or_else(Vec::new, |(hosts, _)| linked(problem, hosts));
            let near = |number: &usize| {
                *number == first
                    || demand(problem, *number)
                        .is_some_and(|(own, _)| own.iter().any(|host| hosts.binary_search(host).is_ok()))
            };
            let (mine, others): (Vec<usize>, Vec<usize>) = left.iter().copied().partition(near);
            switching.add_group(problem, &mine, &hosts);
            left = others;
        }
        Some(switching)
    }

    fn add_group(&mut self, problem: &Problem, numbers: &[usize], hosts: &[HostId]) {
        let demands: Vec<(usize, &[HostId], Demand)> = (numbers.iter())
            .filter_map(|number| demand(problem, *number).map(|(hosts, demand)| (*number, hosts, demand)))
            .collect();
        let mut classes: Vec<Class> = Vec::new();
        for host in hosts {
            let about = |at_most: bool| -> Vec<usize> {
                let mine = demands.iter().enumerate().filter(|(_, (_, hosts, demand))| {
                    demand.at_most == at_most && hosts.binary_search(host).is_ok()
                });
                mine.map(|(i, _)| i).collect()
            };
            let most = about(true);
            let least = if may_be_spare(problem, *host) { about(false) } else { Vec::new() };
            let same = classes.iter_mut().find(|class| class.most == most && class.least == least);
            match same {
                Some(class) => class.hosts.push(*host),
                None => classes.push(Class { hosts: vec![*host], most, least }),
            }
        }
        let before = self.groups.last();
        let first = before.map_or(0, |group| group.first + group.classes.len() as u32);
        let always = |number: usize| problem.constraints[number].continuous;
        for (c, class) in classes.iter_mut().enumerate() {
            // Where one rule may let no host be off too soon and another none be up too soon, the fewer change the
            // better: there may be no order in which they do.
            let bound = |list: &[usize]| list.iter().any(|i| always(demands[*i].0));
            let still = bound(&class.most) && bound(&class.least);
            let mut ranked: Vec<(Rank, HostId)> =
                class.hosts.iter().map(|host| (Rank::new(problem, *host, still), *host)).collect();
            ranked.sort_by(|a, b| a.0.compare(&b.0).then(a.1.cmp(&b.1)));
            for (rank, host) in &ranked {
                self.facts[host.index()] = Some(Facts {
                    group: self.groups.len() as u32,
                    class: c as u32,
                    number: first + c as u32,
                    stays_up: !rank.goes_off,
                    price: rank.price(),
                });
            }
            class.hosts = ranked.into_iter().map(|(_, host)| host).collect();
        }
        let rules = demands.into_iter().map(|(number, _, demand)| Demanding { number, demand }).collect();
        self.groups.push(Group { rules, classes, first });
    }

    /// States of all hosts where nothing runs yet.
    pub(super) fn states(&self) -> States {
        let up = self.facts.iter().map(|facts| facts.is_some_and(|facts| facts.stays_up)).collect();
        let rules = self.rules().max().map_or(0, |last| last + 1);
        let classes = self.groups.iter().map(|group| group.classes.len()).sum();
        let admits = std::iter::repeat_with(Default::default).take(classes).collect();
        States { up, counts: vec![(0, false); rules], changed: Vec::new(), admits }
    }

    /// Positions of its rules among the constraints.
    pub(super) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().flat_map(|group| group.rules.iter().map(|rule| rule.number))
    }

    /// Whether rules ask for the state of a host.
    pub(crate) fn asks(&self, host: HostId) -> bool {
        self.facts[host.index()].is_some()
    }

    /// Chooses all states anew.
    pub(super) fn settle_all(&self, states: &mut States, runs: impl Fn(HostId) -> bool) {
        self.groups.iter().for_each(|group| self.settle(group, states, &runs));
    }

    /// Chooses the states anew that may depend on whether a host runs VMs.
    pub(super) fn settle_at(&self, host: HostId, states: &mut States, runs: impl Fn(HostId) -> bool) {
        if let Some(facts) = self.facts[host.index()] {
            self.settle(&self.groups[facts.group as usize], states, &runs);
        }
    }

    fn settle(&self, group: &Group, states: &mut States, runs: &impl Fn(HostId) -> bool) {
        let solved = self.choice(group, runs).solve();
        states.admits[group.first as usize..][..group.classes.len()].fill_with(Default::default);
        for (class, up) in group.classes.iter().zip(&solved.up) {
            let mut left = *up;
            for host in &class.hosts {
                let runs = runs(*host);
                let up = runs || left > 0;
                left -= usize::from(up && !runs);
                if std::mem::replace(&mut states.up[host.index()], up) != up {
                    states.changed.push(*host);
                }
            }
        }
        for (rule, count) in group.rules.iter().zip(solved.counts) {
            states.counts[rule.number] = (count, !rule.demand.allows(count));
        }
    }

    /// What there is to choose in a group.
    fn choice<'g>(&self, group: &'g Group, runs: &impl Fn(HostId) -> bool) -> Choice<'g> {
        let mut choice = Choice::new(group.rules.iter().map(|rule| rule.demand).collect(), self.violations);
        for class in &group.classes {
            let mut empty = Vec::new();
            for host in &class.hosts {
                if runs(*host) {
                    choice.count(&class.most);
                } else if let Some(facts) = &self.facts[host.index()] {
                    empty.push((facts.stays_up, facts.price));
                }
            }
            choice.add(&class.most, &class.least, &empty);
        }
        choice
    }

    /// Positions of the constraints of its group that would not hold if an empty host ran a VM; of the soft ones that
    /// do not hold as it is perhaps not all.
    fn broken_with(&self, tally: &Tally, host: HostId) -> Vec<usize> {
        let Some((facts, states)) = self.facts[host.index()].zip(tally.states.as_deref()) else {
            return Vec::new();
        };
        let group = &self.groups[facts.group as usize];
        let class = &group.classes[facts.class as usize];
        // Mostly nothing else has to change.
        let up = i64::from(states.up[host.index()]);
        let fine = group.rules.iter().enumerate().all(|(i, rule)| {
            let (count, broken) = states.counts[rule.number];
            let more = if class.most.contains(&i) { 1 - up } else { 0 };
            let less = if class.least.contains(&i) { up } else { 0 };
            if broken { rule.demand.weight.is_some() } else { rule.demand.allows(count + more - less) }
        });
        if fine {
            return Vec::new();
        }
        let runs = |other: HostId| other == host || tally.runs(other);
        let solved = self.choice(group, &runs).solve();
        let all = group.rules.iter().zip(solved.counts);
        all.filter(|(rule, count)| !rule.demand.allows(*count)).map(|(rule, _)| rule.number).collect()
    }

    /// Whether hard rules let an empty host run a VM; a host that runs one already may run more.
    pub(super) fn admits(&self, tally: &Tally, host: HostId, hard: impl Fn(usize) -> bool) -> bool {
        let Some((facts, states)) = self.facts[host.index()].zip(tally.states.as_deref()) else {
            return true;
        };
        let known = || &states.admits[facts.number as usize][usize::from(states.up[host.index()])];
        tally.runs(host) || *known().get_or_init(|| !self.broken_with(tally, host).into_iter().any(hard))
    }

    /// Positions of the constraints that do not hold once an empty host runs a VM.
    pub(super) fn breaks(&self, tally: &Tally, host: HostId) -> Vec<usize> {
        if tally.runs(host) { Vec::new() } else { self.broken_with(tally, host) }
    }

    /// Whether a certain rule lets it.
    pub(super) fn is_kept(&self, tally: &Tally, host: HostId, number: usize) -> bool {
        tally.runs(host) || !self.broken_with(tally, host).contains(&number)
    }

    /// The state at the end of a host that runs nothing then.
    pub(super) fn state_of_empty(&self, problem: &Problem, states: &States, host: HostId) -> HostState {
        match (self.asks(host), states.up[host.index()], problem.host(host).state) {
            (false, _, _) => problem.state_at_end(host, false),
            (true, true, HostState::Offline) => HostState::Online,
            (true, true, state) => state,
            (true, false, _) => HostState::Offline,
        }
    }
}

impl States {
    /// How many hosts count for a constraint, and whether it does not hold.
    pub(super) fn of_rule(&self, number: usize) -> (i64, bool) {
        self.counts[number]
    }

    /// Nothing has changed yet.
    pub(super) fn forget(&mut self) {
        self.changed.clear();
    }

    /// Hosts that the last change of the placement has switched, the one that it filled or emptied perhaps among them.
    pub(super) fn changed(&self) -> &[HostId] {
        &self.changed
    }
}

/// What speaks for or against leaving a host up that is empty.
struct Rank {
    /// If no rule asks, it is off.
    goes_off: bool,
    /// It is off now, and should not be switched.
    rests: bool,
    /// What it adds to each of the levels when it is up, less what it adds when it is off.
    adds: [f64; choice::LEVELS],
    boots: bool,
    boot_s: f64,
}

impl Rank {
    fn new(problem: &Problem, host: HostId, still: bool) -> Self {
        let off = |state: HostState| matches!(state, HostState::Offline);
        let known = problem.host(host);
        let mut adds = [0.0; choice::LEVELS];
        for (add, level) in adds.iter_mut().zip(choice::levels(problem)) {
            if level != Objective::Violations {
                *add = objectives::standing(problem, host, level);
            }
        }
        Self {
            goes_off: off(problem.state_at_end(host, false)),
            rests: still && off(known.state),
            adds,
            boots: off(known.state),
            boot_s: known.boot_s,
        }
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let adds = self.adds.iter().zip(&other.adds).map(|(a, b)| a.total_cmp(b));
        (self.goes_off.cmp(&other.goes_off))
            .then(self.rests.cmp(&other.rests))
            .then(adds.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then))
            .then(self.boots.cmp(&other.boots))
            .then(self.boot_s.total_cmp(&other.boot_s))
    }

    /// That it is up though it would be off, or off though it would be up.
    fn price(&self) -> Price {
        let sign = if self.goes_off { 1.0 } else { -1.0 };
        let adds = self.adds.map(|add| (sign * add).max(0.0));
        let boots = if self.goes_off && self.boots { 1.0 + self.boot_s } else { 0.0 };
        // Of two ways that cost the same, the one that switches less.
        Price::new(adds, 1.0 + boots)
    }
}

//! The operator's rules, said of the VMs and hosts of a problem only: such that what holds there holds in the
//! whole cell, whatever VMs of the rules are elsewhere.

use super::capacity::Place;
use super::snapshot::Draft;
use crate::coordinator::detect::Key;
use crate::coordinator::inventory::Cell;
use crate::coordinator::rules;
use crate::record::EventKind;
use dvms_solver::file::{Body, Constraint, Hosts, Vms};
use std::collections::{BTreeMap, BTreeSet};

/// Weight of a rule that is broken and that the plan is not for: as much as a resource that is over.
const BROKEN_WEIGHT: f64 = 1000.0;
const LONGEST_NAME: usize = 253;

/// The rules of a problem. `bound` = waiting VMs that only some hosts may start.
///
/// VMs that stay where they are whatever the plan does cannot be what breaks a hard rule: it is said of the
/// others, with room left for those.
pub(super) fn restricted(
    cell: &Cell,
    places: &[Place<'_>],
    drafts: &[Draft<'_>],
    bound: &BTreeMap<&str, Vec<&str>>,
    answers: &[Key],
    constraints: &[Constraint],
) -> Vec<Constraint> {
    let movable = drafts.iter().filter(|draft| !draft.fixed).map(|draft| draft.name).collect();
    let near = rules::about(cell, constraints, &movable);
    let broken = rules::broken(cell, &near, &rules::places(cell, &near));
    let taken = constraints.iter().map(|rule| rule.name.clone()).collect();
    let mut writer = Writer { cell, places, drafts, rules: Vec::new(), taken };
    for rule in constraints {
        let meant = answers.is_empty() || answers.contains(&(EventKind::RuleBroken, rule.name.clone()));
        // Softened when it does not hold now and another plan is to mend it.
        let spared = broken.contains_key(&rule.name) && !meant;
        writer.rule(rule, spared);
    }
    let mut groups: BTreeMap<&[&str], Vec<String>> = BTreeMap::new();
    for (vm, hosts) in bound {
        groups.entry(hosts).or_default().push((*vm).to_owned());
    }
    for (hosts, vms) in groups {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let name = writer.name("defined", &hosts);
        writer.rules.push(Constraint {
            name,
            body: Some(Body::Fence { vms: listed(vms), hosts: these(hosts) }),
            ..Constraint::default()
        });
    }
    writer.rules
}

struct Writer<'a> {
    cell: &'a Cell,
    places: &'a [Place<'a>],
    drafts: &'a [Draft<'a>],
    rules: Vec<Constraint>,
    taken: BTreeSet<String>,
}

fn listed(vms: Vec<String>) -> Vms {
    Vms { vms, ..Vms::default() }
}

fn these(hosts: BTreeSet<String>) -> Hosts {
    Hosts { hosts: hosts.into_iter().collect(), ..Hosts::default() }
}

fn names<'a>(drafts: impl Iterator<Item = &'a &'a Draft<'a>>) -> Vec<String> {
    drafts.map(|draft| draft.name.to_owned()).collect()
}

impl<'a> Writer<'a> {
    fn rule(&mut self, rule: &Constraint, spared: bool) {
        if let Some(Body::Before { first, second }) = &rule.body {
            return self.before(rule, first, second);
        }
        let Some(set) = rules::vms(rule) else {
            // The solver refuses by name what it does not plan with.
            self.rules.push(rule.clone());
            return;
        };
        let inside: Vec<&Draft<'a>> = self.drafts.iter().filter(|draft| belongs(set, draft)).collect();
        if inside.iter().all(|draft| draft.fixed) {
            // Nothing that a plan does can change whether it holds.
            return;
        }
        match &rule.body {
            Some(Body::Fence { hosts, .. }) => {
                let allowed = self.hosts(hosts);
                let closed = self.all().difference(&allowed).cloned().collect();
                self.barred(rule, spared, &inside, &closed);
            }
            Some(Body::Ban { hosts, .. }) => {
                let closed = self.hosts(hosts);
                self.barred(rule, spared, &inside, &closed);
            }
            Some(Body::Spread { scope, max, .. }) => {
                self.spread(rule, spared, set, &inside, scope.as_deref(), max.unwrap_or(1));
            }
            Some(Body::Gather { scope, .. }) => self.gather(rule, spared, set, &inside, scope.as_deref()),
            _ => {}
        }
    }

    /// Of VMs that may move those of one set before those of another. One of both, as selectors may have it, is of the first:
    /// it could never be moved otherwise.
    fn before(&mut self, rule: &Constraint, first: &Vms, second: &Vms) {
        let movable = |chosen: &dyn Fn(&Draft<'_>) -> bool| {
            let inside = self.drafts.iter().filter(|draft| !draft.fixed && chosen(draft));
            listed(inside.map(|draft| draft.name.to_owned()).collect())
        };
        let second = movable(&|draft| belongs(second, draft) && !belongs(first, draft));
        let first = movable(&|draft| belongs(first, draft));
        if !first.vms.is_empty() && !second.vms.is_empty() {
            self.rules.push(Constraint { body: Some(Body::Before { first, second }), ..rule.clone() });
        }
    }

    /// Fence and ban: some hosts are closed to the VMs.
    fn barred(&mut self, rule: &Constraint, spared: bool, inside: &[&Draft<'a>], closed: &BTreeSet<String>) {
        if rule.soft_weight.is_some() {
            self.close(rule, &rule.name.clone(), names(inside.iter()), closed);
            return;
        }
        let movable = inside.iter().filter(|draft| !draft.fixed);
        let (strayed, loyal): (Vec<_>, Vec<_>) =
            movable.partition(|draft| spared && !draft.down && closed.contains(draft.host));
        self.close(rule, &rule.name.clone(), names(loyal.into_iter()), closed);
        if !strayed.is_empty() {
            let name = self.name(&rule.name, &BTreeSet::from(["astray".to_owned()]));
            let soft = Constraint { soft_weight: Some(BROKEN_WEIGHT), ..rule.clone() };
            self.close(&soft, &name, names(strayed.into_iter()), closed);
        }
    }

    /// Closes hosts to VMs, as a rule of this name.
    fn close(&mut self, like: &Constraint, name: &str, vms: Vec<String>, closed: &BTreeSet<String>) {
        if vms.is_empty() || closed.is_empty() {
            return;
        }
        let open: BTreeSet<String> = self.all().difference(closed).cloned().collect();
        let fence = matches!(like.body, Some(Body::Fence { .. })) && !open.is_empty();
        let body = if fence {
            Body::Fence { vms: listed(vms), hosts: these(open) }
        } else {
            Body::Ban { vms: listed(vms), hosts: these(closed.clone()) }
        };
        self.rules.push(Constraint { name: name.to_owned(), body: Some(body), ..like.clone() });
    }

    fn spread(
        &mut self,
        rule: &Constraint,
        spared: bool,
        set: &Vms,
        inside: &[&Draft<'a>],
        scope: Option<&str>,
        max: i64,
    ) {
        let scope = self.scope(scope);
        let body =
            |vms| Some(Body::Spread { vms: listed(vms), scope: scope.map(str::to_owned), max: Some(max) });
        if rule.soft_weight.is_some() || spared {
            let soft_weight = rule.soft_weight.or(Some(BROKEN_WEIGHT));
            let body = body(names(inside.iter()));
            self.rules.push(Constraint { soft_weight, body, ..rule.clone() });
            if rule.soft_weight.is_none() {
                self.spread_no_worse(rule, set, inside, scope, max);
            }
            return;
        }
        let outside = self.outside(set, scope, inside);
        let mut fixed = outside.clone();
        for draft in inside.iter().filter(|draft| draft.fixed && !draft.down) {
            *fixed.entry(rules::value(self.cell, scope, draft.host)).or_default() += 1;
        }
        let full = |value: &(bool, &str)| fixed.get(value).is_some_and(|count| *count >= max);
        // Where those that stay are enough, no other may be; where some are elsewhere in the same value, none may
        // come.
        let mut closed = Vec::new();
        for at in fixed.keys().filter(|at| full(at) || outside.contains_key(*at)) {
            let hosts: BTreeSet<String> = self.with_value(scope, *at);
            let kept_out = inside.iter().filter(|draft| {
                let there = !draft.down && hosts.contains(draft.host);
                !draft.fixed && (full(at) || !there)
            });
            closed.push((names(kept_out), hosts));
        }
        let counted =
            inside.iter().filter(|draft| !draft.fixed || (!draft.down && !full(&self.value(scope, draft))));
        let counted = names(counted);
        for (vms, hosts) in closed {
            let name = self.name(&rule.name, &hosts);
            self.close(rule, &name, vms, &hosts);
        }
        if counted.len() > usize::try_from(max).unwrap_or(0) {
            self.rules.push(Constraint { body: body(counted), ..rule.clone() });
        }
    }

    /// A spread that is broken already costs nothing more: where there are as many as may be, or more, no others
    /// come, and those that are within the rule stay so.
    fn spread_no_worse(
        &mut self,
        rule: &Constraint,
        set: &Vms,
        inside: &[&Draft<'a>],
        scope: Option<&str>,
        max: i64,
    ) {
        let mut counts = self.outside(set, scope, inside);
        for draft in inside.iter().filter(|draft| !draft.down) {
            *counts.entry(self.value(scope, draft)).or_default() += 1;
        }
        let within = inside.iter().filter(|draft| {
            let count = counts.get(&rules::value(self.cell, scope, draft.host));
            if draft.down { !draft.fixed } else { count.is_none_or(|count| *count <= max) }
        });
        let within = names(within);
        for at in counts.iter().filter(|(_, count)| **count >= max).map(|(at, _)| *at) {
            let hosts = self.with_value(scope, at);
            let others = inside.iter().filter(|d| !d.fixed && (d.down || !hosts.contains(d.host)));
            let others = names(others);
            let name = self.name(&rule.name, &hosts);
            self.close(rule, &name, others, &hosts);
        }
        if within.len() > usize::try_from(max).unwrap_or(0) {
            let name = self.name(&rule.name, &BTreeSet::from(["within".to_owned()]));
            let scope = scope.map(str::to_owned);
            let body = Some(Body::Spread { vms: listed(within), scope, max: Some(max) });
            self.rules.push(Constraint { name, body, ..rule.clone() });
        }
    }

    fn gather(
        &mut self,
        rule: &Constraint,
        spared: bool,
        set: &Vms,
        inside: &[&Draft<'a>],
        scope: Option<&str>,
    ) {
        let scope = self.scope(scope);
        let counted = inside.iter().filter(|draft| !(draft.fixed && draft.down));
        let body = Some(Body::Gather { vms: listed(names(counted)), scope: scope.map(str::to_owned) });
        if rule.soft_weight.is_some() || spared {
            let soft_weight = rule.soft_weight.or(Some(BROKEN_WEIGHT));
            self.rules.push(Constraint { soft_weight, body, ..rule.clone() });
            if rule.soft_weight.is_none() {
                // None come to where none is yet.
                let mut values = self.outside_everywhere(set, scope, inside);
                values.extend(inside.iter().filter(|d| !d.down).map(|draft| (self.value(scope, draft), 1)));
                let open = values.keys().flat_map(|at| self.with_value(scope, *at)).collect();
                let closed: BTreeSet<String> = self.all().difference(&open).cloned().collect();
                let name = self.name(&rule.name, &closed);
                let movable = names(inside.iter().filter(|draft| !draft.fixed));
                self.close(rule, &name, movable, &closed);
            }
            return;
        }
        let outside = self.outside_everywhere(set, scope, inside);
        // With those elsewhere in one value that is where the others must be; in two they cannot.
        let mut values = outside.keys();
        if let Some(at) = values.next() {
            let open = if values.next().is_none() { self.with_value(scope, *at) } else { BTreeSet::new() };
            let closed: BTreeSet<String> = self.all().difference(&open).cloned().collect();
            let name = self.name(&rule.name, &closed);
            let movable = names(inside.iter().filter(|draft| !draft.fixed));
            self.close(rule, &name, movable, &closed);
        }
        self.rules.push(Constraint { body, ..rule.clone() });
    }

    fn all(&self) -> BTreeSet<String> {
        self.places.iter().map(|place| place.name.to_owned()).collect()
    }

    /// Those of a set that are in the problem.
    fn hosts(&self, set: &Hosts) -> BTreeSet<String> {
        let found = rules::hosts(self.cell, set);
        self.all().intersection(&found).cloned().collect()
    }

    fn value(&self, scope: Option<&str>, draft: &Draft<'a>) -> (bool, &'a str) {
        rules::value(self.cell, scope, draft.host)
    }

    fn with_value(&self, scope: Option<&str>, at: (bool, &str)) -> BTreeSet<String> {
        let here = self.places.iter().filter(|place| rules::value(self.cell, scope, place.name) == at);
        here.map(|place| place.name.to_owned()).collect()
    }

    /// The scope as the problem may name it: without a host that has the label, each host is a value of its own.
    fn scope<'s>(&self, scope: Option<&'s str>) -> Option<&'s str> {
        scope.filter(|scope| {
            *scope != "host" && self.places.iter().any(|place| place.host.hello.labels.contains_key(*scope))
        })
    }

    /// VMs of a set that run and are not in the problem, by value of the scope.
    fn outside_everywhere(
        &self,
        set: &Vms,
        scope: Option<&str>,
        inside: &[&Draft<'a>],
    ) -> BTreeMap<(bool, &'a str), i64> {
        let known: BTreeSet<&str> = inside.iter().map(|draft| draft.name).collect();
        let mut counts = BTreeMap::new();
        for vm in rules::members(self.cell, set).keys().filter(|vm| !known.contains(vm.as_str())) {
            if let Some(host) = rules::place(self.cell, vm) {
                *counts.entry(rules::value(self.cell, scope, host)).or_default() += 1;
            }
        }
        counts
    }

    /// The same, in values that hosts of the problem have.
    fn outside(
        &self,
        set: &Vms,
        scope: Option<&str>,
        inside: &[&Draft<'a>],
    ) -> BTreeMap<(bool, &'a str), i64> {
        let mut counts = self.outside_everywhere(set, scope, inside);
        let here: BTreeSet<_> =
            self.places.iter().map(|place| rules::value(self.cell, scope, place.name)).collect();
        counts.retain(|value, _| here.contains(value));
        counts
    }

    /// A name that no rule has: that of the rule it stems from, and the first of some words.
    fn name(&mut self, rule: &str, words: &BTreeSet<String>) -> String {
        let word = words.first().map_or("", String::as_str);
        let mut name = format!("{rule}@{word}");
        name.truncate(LONGEST_NAME - 8);
        let mut count = 1;
        let mut unique = name.clone();
        while !self.taken.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}@{count}");
        }
        unique
    }
}

fn belongs(set: &Vms, draft: &Draft<'_>) -> bool {
    rules::chosen(set, draft.name, &draft.entry.report.labels)
}

//! Reading of rules from the file form: names, selectors and scopes resolved.

use super::Body;
use crate::file;
use crate::model::build::Faults;
use crate::model::{Constraint, HostId, Scope, ScopeId, VmId};
use std::collections::BTreeMap;

/// More places in rules are refused, so that what they name fits in memory; each costs four bytes and more.
const MOST_NAMED: usize = 1 << 27;

/// Position of every host and VM by name; the resources, sorted.
pub(crate) struct Names<'a> {
    pub(crate) hosts: &'a BTreeMap<String, usize>,
    pub(crate) vms: &'a BTreeMap<String, usize>,
    pub(crate) resources: &'a [String],
}

pub(crate) fn build(
    file: &file::Problem,
    names: &Names<'_>,
    scopes: &mut Vec<Scope>,
    faults: &mut Faults,
) -> Vec<Constraint> {
    let hosts = Labelled::new(file.hosts.iter().map(|host| &host.labels));
    let vms = Labelled::new(file.vms.iter().map(|vm| &vm.labels));
    let left = MOST_NAMED;
    let mut reader = Reader { file, names, scopes, faults, at: String::new(), hosts, vms, left };
    file.constraints.iter().enumerate().filter_map(|(i, rule)| reader.constraint(i, rule)).collect()
}

/// Reads one body after the other and notes what is wrong.
pub(crate) struct Reader<'a> {
    file: &'a file::Problem,
    names: &'a Names<'a>,
    scopes: &'a mut Vec<Scope>,
    faults: &'a mut Faults,
    /// Path of the body.
    at: String,
    hosts: Labelled<'a>,
    vms: Labelled<'a>,
    /// So many places more may be named.
    left: usize,
}

/// Where each label is, each list sorted.
struct Labelled<'a>(BTreeMap<&'a str, BTreeMap<&'a str, Vec<usize>>>);

impl<'a> Labelled<'a> {
    fn new(all: impl Iterator<Item = &'a file::Labels>) -> Self {
        let mut places: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        for (i, labels) in all.enumerate() {
            for (key, value) in labels {
                places.entry(key).or_default().entry(value).or_default().push(i);
            }
        }
        Self(places)
    }

    /// Positions that have all of these labels; begins with the rarest.
    fn find(&self, selector: &file::Labels) -> Vec<usize> {
        let with = |(key, value): (&String, &String)| self.0.get(key.as_str())?.get(value.as_str());
        let lists: Option<Vec<&Vec<usize>>> = selector.iter().map(with).collect();
        let Some(mut lists) = lists else { return Vec::new() };
        lists.sort_by_key(|list| list.len());
        let Some((rarest, others)) = lists.split_first() else { return Vec::new() };
        let all = |i: &usize| others.iter().all(|list| list.binary_search(i).is_ok());
        rarest.iter().copied().filter(all).collect()
    }
}

impl Reader<'_> {
    fn constraint(&mut self, i: usize, rule: &file::Constraint) -> Option<Constraint> {
        let path = format!("constraints[{i}]");
        if let Some(weight) = rule.soft_weight
            && !(weight.is_finite() && weight > 0.0 && weight <= 1e12)
        {
            self.faults.wrong(
                format!("{path}.soft_weight"),
                format!("must be above 0 and at most 1e12, is {weight}; leave it out for a hard rule"),
            );
        }
        let Some(body) = &rule.body else {
            self.faults.wrong(path, "a constraint needs a body: spread, gather, fence, ban …");
            return None;
        };
        self.at = format!("{path}.{}", body.kind());
        Some(Constraint {
            name: rule.name.clone(),
            body: Body::read(self, body)?,
            soft_weight: rule.soft_weight,
            continuous: rule.continuous,
        })
    }

    pub(super) fn vms(&mut self, set: &file::Vms) -> Vec<VmId> {
        self.vms_at("", set)
    }

    pub(super) fn hosts(&mut self, set: &file::Hosts) -> Vec<HostId> {
        self.hosts_at("", set)
    }

    pub(super) fn groups(&mut self, groups: &[file::Vms]) -> Vec<Vec<VmId>> {
        groups.iter().enumerate().map(|(i, set)| self.vms_at(&format!(".groups[{i}]"), set)).collect()
    }

    pub(super) fn host_groups(&mut self, groups: &[file::Hosts]) -> Vec<Vec<HostId>> {
        groups.iter().enumerate().map(|(i, set)| self.hosts_at(&format!(".host_groups[{i}]"), set)).collect()
    }

    /// The VMs of a set, sorted; `part` is where in the body it is.
    pub(super) fn vms_at(&mut self, part: &str, set: &file::Vms) -> Vec<VmId> {
        let (names, labels) = (self.names.vms, &self.vms);
        let found = resolve(&self.at, part, "vm", (&set.vms, &set.vm_selector), names, labels, self.faults);
        self.counted(part, found).into_iter().map(VmId::from).collect()
    }

    fn hosts_at(&mut self, part: &str, set: &file::Hosts) -> Vec<HostId> {
        let (names, labels) = (self.names.hosts, &self.hosts);
        let found =
            resolve(&self.at, part, "host", (&set.hosts, &set.host_selector), names, labels, self.faults);
        self.counted(part, found).into_iter().map(HostId::from).collect()
    }

    /// What is found, if it is not too much by now.
    fn counted(&mut self, part: &str, found: Vec<usize>) -> Vec<usize> {
        if let Some(left) = self.left.checked_sub(found.len()) {
            self.left = left;
            return found;
        }
        if self.left > 0 {
            let message = format!("here the rules name more than {MOST_NAMED} VMs and hosts in all");
            self.faults.wrong(format!("{}{part}", self.at), message);
        }
        self.left = 0;
        Vec::new()
    }

    /// A number of things within 0..2^32.
    pub(super) fn count(&mut self, field: &str, value: i64) -> u32 {
        u32::try_from(value).unwrap_or_else(|_| {
            self.faults.wrong(format!("{}.{field}", self.at), "must be within 0..2^32");
            0
        })
    }

    /// A number that must be given.
    pub(super) fn needed(&mut self, field: &str, value: Option<i64>) -> i64 {
        value.unwrap_or_else(|| {
            self.faults.wrong(format!("{}.{field}", self.at), "must be given");
            0
        })
    }

    /// An amount of a resource, which must be given.
    pub(super) fn amount(&mut self, field: &str, value: Option<i64>) -> i64 {
        let value = self.needed(field, value);
        if value < 0 {
            self.faults.wrong(format!("{}.{field}", self.at), format!("must not be negative, is {value}"));
        }
        // Beyond what all VMs and hosts can have together there is no difference.
        value.clamp(0, 1 << 60)
    }

    /// A resource by name; `None` for one that matters to nobody, or that is unknown.
    pub(super) fn resource(&mut self, name: &str) -> Option<usize> {
        let found = self.names.resources.iter().position(|known| known == name);
        if found.is_none() && !crate::model::build::STANDARD_RESOURCES.contains(&name) {
            let message = format!("unknown resource {name:?}: no host has a capacity of it");
            self.faults.wrong(format!("{}.resource", self.at), message);
        }
        found
    }

    pub(super) fn scope(&mut self, name: Option<&str>) -> Option<ScopeId> {
        let name = name.unwrap_or("host");
        if let Some(known) = self.scopes.iter().position(|scope| scope.name == name) {
            return Some(ScopeId::from(known));
        }
        if !self.file.hosts.iter().any(|host| host.labels.contains_key(name)) {
            let message = format!("unknown scope {name:?}: no host has that label");
            self.faults.wrong(format!("{}.scope", self.at), message);
            return None;
        }
        let mut values = BTreeMap::new();
        let value_of = (self.file.hosts.iter())
            .map(|host| {
                // A host without the label is a value of its own.
                let value = host.labels.get(name).map_or((1, &host.name), |value| (0, value));
                let next = values.len() as u32;
                *values.entry(value).or_insert(next)
            })
            .collect();
        let values = values.len() as u32;
        self.scopes.push(Scope { name: name.to_owned(), value_of, values });
        Some(ScopeId::from(self.scopes.len() - 1))
    }
}

/// Positions named by a list or by a selector, sorted, each once.
fn resolve(
    at: &str,
    part: &str,
    kind: &str,
    (list, selector): (&[String], &file::Labels),
    names: &BTreeMap<String, usize>,
    labels: &Labelled<'_>,
    faults: &mut Faults,
) -> Vec<usize> {
    if list.is_empty() == selector.is_empty() {
        faults.wrong(
            format!("{at}{part}"),
            format!("give either {kind}s or {kind}_selector, and not an empty one"),
        );
        return Vec::new();
    }
    let mut result = Vec::with_capacity(list.len());
    for (i, name) in list.iter().enumerate() {
        match names.get(name) {
            Some(&found) => result.push(found),
            None => faults.wrong(format!("{at}{part}.{kind}s[{i}]"), format!("unknown {kind} {name:?}")),
        }
    }
    result.sort_unstable();
    result.dedup();
    result.extend(labels.find(selector));
    result
}

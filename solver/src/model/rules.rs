//! Validation of rules: names, selectors and scopes resolved.

use super::build::Faults;
use super::{Body, Constraint, HostId, Scope, ScopeId, VmId};
use crate::file;
use std::collections::{BTreeMap, BTreeSet};

/// Position of every host and VM by name.
pub(super) struct Names<'a> {
    pub(super) hosts: &'a BTreeMap<String, usize>,
    pub(super) vms: &'a BTreeMap<String, usize>,
}

pub(super) fn build(
    file: &file::Problem,
    names: &Names<'_>,
    scopes: &mut Vec<Scope>,
    faults: &mut Faults,
) -> Vec<Constraint> {
    let mut reader = Reader { file, names, scopes, faults };
    file.constraints.iter().enumerate().filter_map(|(i, rule)| reader.constraint(i, rule)).collect()
}

struct Reader<'a> {
    file: &'a file::Problem,
    names: &'a Names<'a>,
    scopes: &'a mut Vec<Scope>,
    faults: &'a mut Faults,
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
        let at = format!("{path}.{}", body.kind());
        let body = match body {
            file::Body::Spread { vms, scope, max } => {
                let max = u32::try_from(max.unwrap_or(1)).unwrap_or_else(|_| {
                    self.faults.wrong(format!("{at}.max"), "must be within 0..2^32");
                    0
                });
                Body::Spread { vms: self.vms(&at, vms), scope: self.scope(&at, scope.as_deref())?, max }
            }
            file::Body::Gather { vms, scope } => {
                Body::Gather { vms: self.vms(&at, vms), scope: self.scope(&at, scope.as_deref())? }
            }
            file::Body::Fence { vms, hosts } => {
                Body::Fence { vms: self.vms(&at, vms), hosts: self.hosts(&at, hosts) }
            }
            file::Body::Ban { vms, hosts } => {
                Body::Ban { vms: self.vms(&at, vms), hosts: self.hosts(&at, hosts) }
            }
            other => {
                self.faults.unsupported(at, &format!("the rule `{}`", other.kind()));
                return None;
            }
        };
        Some(Constraint {
            name: rule.name.clone(),
            body,
            soft_weight: rule.soft_weight,
            continuous: rule.continuous,
        })
    }

    fn vms(&mut self, at: &str, set: &file::Vms) -> Vec<VmId> {
        let all: Vec<_> = self.file.vms.iter().map(|vm| &vm.labels).collect();
        let found = resolve(at, "vm", &set.vms, &set.vm_selector, self.names.vms, &all, self.faults);
        found.into_iter().map(VmId::from).collect()
    }

    fn hosts(&mut self, at: &str, set: &file::Hosts) -> Vec<HostId> {
        let all: Vec<_> = self.file.hosts.iter().map(|host| &host.labels).collect();
        let found = resolve(at, "host", &set.hosts, &set.host_selector, self.names.hosts, &all, self.faults);
        found.into_iter().map(HostId::from).collect()
    }

    fn scope(&mut self, at: &str, name: Option<&str>) -> Option<ScopeId> {
        let name = name.unwrap_or("host");
        if let Some(known) = self.scopes.iter().position(|scope| scope.name == name) {
            return Some(ScopeId::from(known));
        }
        if !self.file.hosts.iter().any(|host| host.labels.contains_key(name)) {
            self.faults
                .wrong(format!("{at}.scope"), format!("unknown scope {name:?}: no host has that label"));
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
    kind: &str,
    list: &[String],
    selector: &file::Labels,
    names: &BTreeMap<String, usize>,
    labels: &[&file::Labels],
    faults: &mut Faults,
) -> BTreeSet<usize> {
    if list.is_empty() == selector.is_empty() {
        faults.wrong(at, format!("give either {kind}s or {kind}_selector, and not an empty one"));
        return BTreeSet::new();
    }
    let mut result = BTreeSet::new();
    for (i, name) in list.iter().enumerate() {
        match names.get(name) {
            Some(&found) => _ = result.insert(found),
            None => faults.wrong(format!("{at}.{kind}s[{i}]"), format!("unknown {kind} {name:?}")),
        }
    }
    if !selector.is_empty() {
        let matches =
            |labels: &file::Labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        result.extend((0..labels.len()).filter(|&i| matches(labels[i])));
    }
    result
}

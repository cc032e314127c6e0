//! Resources and their units. An instance does not say what its units are; sets of names that public instances
//! use are known, others are taken as they are.

use super::super::format::{ResourceView, View};
use super::super::gaps::Collector;
use dvms_solver::file::Amounts;
use std::collections::{BTreeMap, BTreeSet};

/// What a resource is called here, and how much one unit of the instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// A name of the contract: `cpu` in milli-cores, `memory` in MiB, or any other.
    pub name: String,
    /// An amount of the instance times this is an amount here.
    pub factor: i64,
}

/// Sets of names and what they mean: (name there, name here, factor).
type Meaning = &'static [(&'static str, &'static str, i64)];

/// The workload generator of BtrPlace (memory in 10 MB, tenths of a core), its instances for migration
/// scheduling (GB), and two of its regression instances (GB).
const KNOWN: [Meaning; 3] = [
    &[("memory", "memory", 10), ("uCpu", "cpu", 100)],
    &[("mem", "memory", 1000), ("cpu", "cpu", 1000)],
    &[
        ("mem", "memory", 1024),
        ("cpu", "cpu", 1000),
        ("storage-cpu", "storage-cpu", 1),
        ("storage-cache", "storage-cache", 1),
    ],
];

/// The resources of an instance.
#[derive(Debug)]
pub(super) struct Resources {
    views: BTreeMap<String, (ResourceView, Unit)>,
}

impl Resources {
    pub(super) fn new(
        views: &[(String, View)],
        units: &BTreeMap<String, Unit>,
        gaps: &mut Collector<'_>,
    ) -> Self {
        let list = || {
            views.iter().filter_map(|(path, view)| match view {
                View::Resource(view) => Some((path, view)),
                _ => None,
            })
        };
        let present: BTreeSet<&str> = list().map(|(_, view)| view.rc_id.as_str()).collect();
        let known = KNOWN.iter().find(|known| {
            known.len() == present.len() && known.iter().all(|(name, ..)| present.contains(name))
        });
        let unit = |name: &str| -> Unit {
            if let Some(unit) = units.get(name) {
                return unit.clone();
            }
            let meant = known.and_then(|known| known.iter().find(|(there, ..)| *there == name));
            let (here, factor) = match (meant, name) {
                (Some((_, here, factor)), _) => (*here, *factor),
                (None, "mem") => ("memory", 1024),
                (None, other) => (other, 1),
            };
            Unit { name: here.to_owned(), factor }
        };
        let mut names = BTreeSet::new();
        let mut found = BTreeMap::new();
        for (path, view) in list() {
            let unit = unit(&view.rc_id);
            if !names.insert(unit.name.clone()) {
                let message = format!("two resources would be called {}; give one another unit", unit.name);
                gaps.cannot("resource-names", path, message);
            }
            found.insert(view.rc_id.clone(), (view.clone(), unit));
        }
        for name in units.keys().filter(|name| !present.contains(name.as_str())) {
            gaps.cannot(
                "units",
                "model.views",
                format!("a unit is given for {name:?}, which is no resource there"),
            );
        }
        Self { views: found }
    }

    /// Whether there is a resource of that name here.
    pub(super) fn has(&self, name: &str) -> bool {
        self.views.values().any(|(_, unit)| unit.name == name)
    }

    /// The name here of a resource there.
    pub(super) fn name(&self, rc: &str) -> Option<&str> {
        self.views.get(rc).map(|(_, unit)| unit.name.as_str())
    }

    /// An amount of a resource there, here.
    pub(super) fn amount(&self, rc: &str, amount: i64) -> Option<i64> {
        self.views.get(rc).map(|(_, unit)| amount.saturating_mul(unit.factor))
    }

    /// What a node has.
    pub(super) fn capacity(&self, node: i64) -> Amounts {
        let of = |(view, unit): &(ResourceView, Unit)| {
            let amount = view.nodes.get(&node).copied().unwrap_or(view.def_capacity);
            (unit.name.clone(), amount.saturating_mul(unit.factor))
        };
        self.views.values().map(of).collect()
    }

    /// What a VM takes; `instead` of what the view says, by the name of the resource there.
    pub(super) fn consumption(&self, vm: i64, instead: impl Fn(&str) -> Option<i64>) -> Amounts {
        let of = |(rc, (view, unit)): (&String, &(ResourceView, Unit))| {
            let amount = instead(rc).or_else(|| view.vms.get(&vm).copied()).unwrap_or(view.def_consumption);
            (unit.name.clone(), amount.saturating_mul(unit.factor))
        };
        self.views.iter().map(of).collect()
    }
}

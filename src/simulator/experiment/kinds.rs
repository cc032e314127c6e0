//! Hosts and VMs of several kinds.

use super::sections::{Wrong, within};
use crate::simulator::world::{Machine, Power};
use serde::{Deserialize, Serialize};

/// A kind of hosts. What it does not say is as the section `[hosts]` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostKind {
    /// How many.
    pub count: u32,
    /// Milli-cores of each.
    pub cpu: u32,
    /// MiB of each.
    pub memory: u32,
    /// A machine whose watts were measured.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// Watts at 0, 10, …, 100 % of its CPU.
    #[serde(default)]
    pub watts: Option<[f64; 11]>,
}

/// A kind of VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmKind {
    /// Milli-cores of each.
    pub cpu: u32,
    /// MiB of each.
    pub memory: u32,
}

/// Where VMs are at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// As VMPlaceS puts them: hosts are filled with as many each, one after the other, in the order of Java's maps.
    Vmplaces,
    /// One after the other, each on the next host that has memory.
    Spread,
    /// Each on the first host that has memory and CPU for all that its kind has; else on the first that has memory.
    FirstFit,
}

impl HostKind {
    pub(super) fn faults(&self, path: &str, wrong: &mut Wrong) {
        within(f64::from(self.count), 1.0, 1e6, &format!("{path}.count"), wrong);
        within(f64::from(self.cpu), 1.0, 1e8, &format!("{path}.cpu"), wrong);
        within(f64::from(self.memory), 1.0, 1e9, &format!("{path}.memory"), wrong);
        watts_faults(self.machine, self.watts.as_ref(), path, wrong);
    }

    /// What it draws, where it says.
    pub(super) fn power(&self, off_w: f64) -> Option<Power> {
        power(self.machine, self.watts, off_w)
    }
}

impl VmKind {
    pub(super) fn faults(self, path: &str, wrong: &mut Wrong) {
        within(f64::from(self.cpu), 1.0, 1e7, &format!("{path}.cpu"), wrong);
        within(f64::from(self.memory), 1.0, 1e8, &format!("{path}.memory"), wrong);
    }
}

pub(super) fn power(machine: Option<Machine>, watts: Option<[f64; 11]>, off_w: f64) -> Option<Power> {
    let table = watts.map(|watts| Power::table(watts, off_w));
    table.or_else(|| machine.map(|machine| Power::measured(machine, off_w)))
}

pub(super) fn watts_faults(
    machine: Option<Machine>,
    watts: Option<&[f64; 11]>,
    path: &str,
    wrong: &mut Wrong,
) {
    if machine.is_some() && watts.is_some() {
        wrong(&format!("{path}.watts"), "are said already by `machine`".to_owned());
    }
    for watts in watts.into_iter().flatten() {
        within(*watts, 0.0, 1e5, &format!("{path}.watts"), wrong);
    }
}

/// Of each host its kind, so that all kinds are spread evenly over the numbers.
pub(super) fn deal(counts: &[u32]) -> Vec<u16> {
    let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let mut dealt = vec![0_u64; counts.len()];
    let mut deal = |number: u64| {
        // The one that is furthest behind its share; the first of these.
        let behind = |kind: usize| {
            let (count, dealt) = (u64::from(counts[kind]), dealt[kind]);
            i128::from(count) * i128::from(number + 1) - i128::from(dealt) * i128::from(total)
        };
        let open = (0..counts.len()).filter(|kind| dealt[*kind] < u64::from(counts[*kind]));
        let kind = open.rev().max_by_key(|kind| behind(*kind)).unwrap_or(0);
        dealt[kind] += 1;
        kind as u16
    };
    (0..total).map(&mut deal).collect()
}

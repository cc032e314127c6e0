//! Rules about what a plan does, whatever its end.

use super::EPSILON_S;
use super::tables::{Rule, Step, Tables};
use crate::file::Body;
use std::collections::BTreeMap;

/// Why the actions of a plan break a rule, if they do.
pub(super) fn broken(tables: &Tables<'_>, rule: &Rule<'_>) -> Option<String> {
    let mine = |step: &&Step<'_>| rule.vms.contains(step.vm);
    match rule.constraint.body.as_ref()? {
        Body::Root { .. } => {
            let moved = tables.steps.iter().find(|step| step.migrate && mine(step))?;
            Some(format!("{} moves", moved.vm))
        }
        Body::Quarantine { .. } => {
            let crosses =
                |step: &&Step<'_>| rule.hosts.contains(step.source) || rule.hosts.contains(step.destination);
            // Hosts may be switched.
            let step = tables.steps.iter().filter(|step| step.power.is_none()).find(crosses)?;
            Some(format!("{} goes from {:?} to {}", step.vm, step.source, step.destination))
        }
        Body::Before { .. } => {
            let of = |i: usize| tables.steps.iter().filter(move |step| rule.groups[i].contains(step.vm));
            let last = of(0).map(|step| step.end_s).fold(f64::NEG_INFINITY, f64::max);
            let next = of(1).map(|step| step.start_s).fold(f64::INFINITY, f64::min);
            (last > next + EPSILON_S)
                .then(|| format!("`second` begins at {next:.3} s, `first` ends at {last:.3} s"))
        }
        Body::Sync { .. } => {
            let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
            for step in tables.steps.iter().filter(|step| step.migrate && mine(step)) {
                let end = ends.entry(step.vm).or_default();
                *end = end.max(step.end_s);
            }
            let last = ends.values().copied().fold(f64::NEG_INFINITY, f64::max);
            let first = ends.values().copied().fold(f64::INFINITY, f64::min);
            (last - first > 1.0 + EPSILON_S)
                .then(|| format!("the migrations end between {first:.3} s and {last:.3} s"))
        }
        _ => None,
    }
}

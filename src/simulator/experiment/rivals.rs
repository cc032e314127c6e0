//! Settings of the strategies that decide among a few hosts, or on what agents know of all, and what they must be within.

use super::sections::{Wrong, within};
use crate::simulator::strategies::balancer::Balancing;
use crate::simulator::strategies::mcda::Weighing;
use crate::simulator::strategies::p2p::Neighbourhoods;
use crate::simulator::strategies::scouts::Scouting;

/// A setting, its value and what it must be within.
type Bound = (&'static str, f64, f64, f64);

fn all(bounds: &[Bound], path: &str, wrong: &mut Wrong) {
    for (name, value, low, high) in bounds {
        within(*value, *low, *high, &format!("{path}.{name}"), wrong);
    }
}

pub(super) fn p2p(it: &Neighbourhoods, path: &str, wrong: &mut Wrong) {
    let bounds = [
        ("neighbours", f64::from(it.neighbours), 1.0, 1e6),
        ("shuffle", f64::from(it.shuffle), 1.0, f64::from(it.neighbours.max(1))),
        ("shuffle_s", it.shuffle_s, 0.01, 1e6),
        ("period_s", it.period_s, 0.01, 1e6),
        ("lease_s", it.lease_s, 1.0, 1e6),
        ("monitor_s", it.monitor_s, 0.001, 1e5),
        ("fill", it.fill, 0.01, 1.0),
        ("repair_fill", it.repair_fill, 0.01, 1.0),
        ("work_limit", it.work_limit as f64, 1.0, 1e12),
    ];
    all(&bounds, path, wrong);
}

pub(super) fn scouts(it: &Scouting, path: &str, wrong: &mut Wrong) {
    let bounds = [
        ("period_s", it.period_s, 0.01, 1e6),
        ("steps", f64::from(it.steps), 1.0, 1e4),
        ("stale_s", it.stale_s, 0.0, 1e6),
        ("fill", it.fill, 0.01, 1.0),
        ("monitor_s", it.monitor_s, 0.001, 1e5),
        ("neighbours", f64::from(it.neighbours), 1.0, 1e4),
        ("shuffle_s", it.shuffle_s, 0.01, 1e6),
    ];
    all(&bounds, path, wrong);
}

pub(super) fn mcda(it: &Weighing, path: &str, wrong: &mut Wrong) {
    let bounds = [
        ("period_s", it.period_s, 0.01, 1e6),
        ("monitor_s", it.monitor_s, 0.001, 1e5),
        ("under", it.under, 0.0, 1.0),
        ("candidates", f64::from(it.candidates), 1.0, 1e6),
        ("fill", it.fill, 0.01, 1.0),
        ("pack_fill", it.pack_fill, 0.01, 1.0),
    ];
    all(&bounds, path, wrong);
}

pub(super) fn balancer(it: &Balancing, path: &str, wrong: &mut Wrong) {
    let bounds = [
        ("monitor_s", it.monitor_s, 0.001, 1e5),
        ("samples", f64::from(it.samples), 1.0, 1e4),
        ("asked", f64::from(it.asked), 1.0, 1e6),
        ("quota_part", it.quota_part, 0.0, 1.0),
        ("memory_part", it.memory_part, 0.0, 1.0),
        ("quota", f64::from(it.quota), 0.0, 1e8),
        ("gain", it.gain, 0.0, 100.0),
        ("fill", it.fill, 0.01, 1.0),
    ];
    all(&bounds, path, wrong);
}

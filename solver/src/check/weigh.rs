//! Values of the objectives that weigh how much of each host is in use.

use super::tables::Tables;
use super::world::World;

/// Whether a host is online at the end.
fn online<'a>(tables: &'a Tables<'_>, world: &'a World<'_>) -> impl Iterator<Item = &'a str> {
    tables.hosts.keys().copied().filter(|host| world.state(tables, host) == "ONLINE")
}

/// Hosts draw between idle and peak watts by the share of their cpu that is in use, or what they draw when off.
pub(super) fn watts(tables: &Tables<'_>, world: &World<'_>) -> f64 {
    let cpu = tables.resources.iter().position(|name| *name == "cpu");
    let of = |(name, host): (&&str, &&crate::file::Host)| {
        if matches!(world.state(tables, name), "OFFLINE" | "FAILED") {
            return host.off_watts.unwrap_or(10.0);
        }
        let capacity = host.capacity.get("cpu").copied().unwrap_or(0) as f64;
        let used = cpu.map_or(0, |cpu| world.used[name][cpu]) as f64;
        let share = if capacity > 0.0 { (used / capacity).min(1.0) } else { 0.0 };
        let (idle, peak) = (host.idle_watts.unwrap_or(100.0), host.peak_watts.unwrap_or(200.0));
        idle + share * (peak - idle)
    };
    tables.hosts.iter().map(of).sum()
}

/// For each resource the highest utilisation of an online host less the mean, in thousandths, half rounded up.
pub(super) fn imbalance(tables: &Tables<'_>, world: &World<'_>) -> f64 {
    let mut sum = 0.0;
    for r in 0..tables.resources.len() {
        let shares: Vec<f64> = online(tables, world)
            .filter(|host| tables.usable[host][r] > 0)
            .map(|host| world.used[host][r] as f64 / tables.usable[host][r] as f64)
            .collect();
        if !shares.is_empty() {
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            sum += shares.iter().fold(0.0, |highest: f64, share| highest.max(*share)) - mean;
        }
    }
    (sum * 1000.0 + 0.5 + 1e-7).floor()
}

/// What is left of the free amount of each online host, or of its NUMA nodes, once whole units are taken off.
pub(super) fn fragments(tables: &Tables<'_>, world: &World<'_>) -> f64 {
    let Some(wanted) = &tables.problem.fragment else { return 0.0 };
    let Some(r) = tables.resources.iter().position(|name| *name == wanted.resource) else { return 0.0 };
    let rest = |host: &'_ str| -> i64 {
        let limits = tables.limits[host].iter().filter(|limit| limit.resource == r);
        limits.map(|limit| (limit.usable - world.total(host, limit)).max(0) % wanted.unit.max(1)).sum()
    };
    online(tables, world).map(rest).sum::<i64>() as f64
}

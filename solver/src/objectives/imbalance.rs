//! `IMBALANCE`: over all resources the sum of (highest − mean) utilisation of online hosts, in 1/1000.
//!
//! The value is whole (half is rounded up). Loads are kept in fixed point, so that sums do not drift, and the
//! highest of each resource in a tree of pairs.

use super::evenness::{Evenness, Least};
use crate::milp::{Column, Level, Model, Term, count};
use crate::model::{Amount, HostId, HostState, Problem, VmId};
use crate::screen::{Space, lonely_sets};
use std::collections::BTreeMap;

/// A utilisation of 1.
const ONE: f64 = (1_u64 << 40) as f64;
/// Nearer than this to a half counts as half: the arithmetic is not exact.
const ROUNDING: f64 = 1e-7;
/// A host that does not count.
const NONE: i64 = -1;

/// The loads of all hosts.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    resources: Vec<Loads>,
}

#[derive(Debug, Clone)]
struct Loads {
    /// A tree of pairs: the highest of all at 1, the children of `i` at `2 i` and `2 i + 1`, hosts at the end.
    tree: Vec<i64>,
    leaves: usize,
    sum: i128,
    count: u32,
}

impl Loads {
    fn set(&mut self, host: usize, load: i64) {
        let mut at = self.leaves + host;
        let old = std::mem::replace(&mut self.tree[at], load);
        if old == load {
            return;
        }
        self.sum += i128::from(load.max(0)) - i128::from(old.max(0));
        self.count += u32::from(load != NONE);
        self.count -= u32::from(old != NONE);
        while at > 1 {
            at /= 2;
            let highest = self.tree[2 * at].max(self.tree[2 * at + 1]);
            if std::mem::replace(&mut self.tree[at], highest) == highest {
                break;
            }
        }
    }

    fn highest(&self) -> i64 {
        self.tree[1].max(0)
    }

    /// Highest less mean.
    fn gap(&self) -> f64 {
        let count = i128::from(self.count);
        if count == 0 {
            0.0
        } else {
            (i128::from(self.highest()) * count - self.sum) as f64 / count as f64 / ONE
        }
    }
}

/// Utilisation in fixed point.
fn load(used: Amount, usable: Amount) -> i64 {
    ((used as f64 / usable as f64) * ONE).min((1_u64 << 62) as f64) as i64
}

impl Gauge {
    pub(super) fn new(problem: &Problem) -> Self {
        let leaves = problem.hosts.len().next_power_of_two();
        let empty = Loads { tree: vec![NONE; 2 * leaves], leaves, sum: 0, count: 0 };
        Self { resources: vec![empty; problem.resources.len()] }
    }

    pub(super) fn set(&mut self, problem: &Problem, host: HostId, online: bool, used: &[Amount]) {
        let usable = &problem.host(host).usable;
        for ((loads, used), usable) in self.resources.iter_mut().zip(used).zip(usable) {
            let counts = online && *usable > 0;
            loads.set(host.index(), if counts { load(*used, *usable) } else { NONE });
        }
    }

    pub(super) fn value(&self) -> f64 {
        let sum: f64 = self.resources.iter().map(Loads::gap).sum();
        rounded(1000.0 * sum)
    }

    /// The highest utilisation of a resource.
    pub(crate) fn highest(&self, resource: usize) -> f64 {
        self.resources[resource].highest() as f64 / ONE
    }

    /// The utilisation of a resource on a host, if that counts.
    pub(crate) fn load(&self, resource: usize, host: HostId) -> Option<f64> {
        let loads = &self.resources[resource];
        let load = loads.tree[loads.leaves + host.index()];
        (load != NONE).then_some(load as f64 / ONE)
    }

    /// The mean utilisation of a resource.
    pub(crate) fn mean(&self, resource: usize) -> f64 {
        let loads = &self.resources[resource];
        loads.sum as f64 / f64::from(loads.count.max(1)) / ONE
    }
}

/// Half is rounded up.
fn rounded(value: f64) -> f64 {
    (value + 0.5 + ROUNDING).floor()
}

/// Whether a host is online at the end of every plan. With power actions that is not known.
fn counts(problem: &Problem, host: HostId, resource: usize) -> bool {
    let known = problem.host(host);
    known.state == HostState::Online && known.usable[resource] > 0
}

/// What the highest utilisation of a resource is at least, whatever is done.
pub(crate) fn least_highest(space: &Space<'_>, resource: usize) -> f64 {
    least(space, resource).highest
}

/// Bounds of the highest utilisation of a resource, and of how far it is above the mean, whatever is done.
fn least(space: &Space<'_>, resource: usize) -> Least {
    let problem = space.problem;
    let hosts: Vec<HostId> = problem.host_ids().filter(|host| counts(problem, *host, resource)).collect();
    let usable = |host: HostId| problem.host(host).usable[resource];
    let Some(largest) = hosts.iter().map(|host| usable(*host)).max() else {
        return Least { highest: 0.0, gap: 0.0 };
    };
    let mut sizes = BTreeMap::new();
    for host in &hosts {
        *sizes.entry(usable(*host)).or_default() += 1;
    }
    let mut stays = vec![0; problem.hosts.len()];
    let mut movable: Vec<Vec<Amount>> = vec![Vec::new(); problem.hosts.len()];
    let mut certain: Vec<Amount> = Vec::new();
    for vm in problem.vm_ids() {
        let (Some(home), need) = (space.home[vm.index()], space.demand(vm)[resource]) else { continue };
        if need == 0 {
            continue;
        }
        if space.fixed[vm.index()] {
            stays[home.index()] += need;
        } else {
            movable[home.index()].push(need);
        }
        if is_certain(problem, home, resource) {
            certain.push(need);
        }
    }
    let most = usize::try_from(space.most_moves).unwrap_or(usize::MAX);
    let mut least: f64 = 0.0;
    for host in &hosts {
        // No more leave it than may move at all.
        let leaving = &mut movable[host.index()];
        leaving.sort_unstable_by(|a, b| b.cmp(a));
        let left: Amount = stays[host.index()] + leaving.iter().skip(most).sum::<Amount>();
        least = least.max(left as f64 / usable(*host) as f64);
    }
    certain.sort_unstable_by(|a, b| b.cmp(a));
    let room: i128 = hosts.iter().map(|host| i128::from(usable(*host))).sum();
    let all: i128 = certain.iter().map(|need| i128::from(*need)).sum();
    least = least.max(all as f64 / room as f64);
    // Of the k n + 1 largest VMs on n hosts k + 1 share one, which takes at least the k + 1 smallest of them.
    let mut k = 0;
    while k * hosts.len() < certain.len() {
        let end = k * hosts.len();
        let together: Amount = certain[end - k..=end].iter().sum();
        least = least.max(together as f64 / largest as f64);
        k += 1;
    }
    let demands = || problem.vm_ids().map(|vm| space.demand(vm)[resource]);
    let unit = demands().fold(0, crate::milp::gcd);
    let total = (certain.iter().sum(), demands().sum());
    let lonely = lonely_sets(space).into_iter().filter(|vms| {
        let runs = |vm: &VmId| space.home[vm.index()].is_some_and(|home| is_certain(problem, home, resource));
        vms.iter().any(|vm| space.demand(*vm)[resource] > 0 && runs(vm))
    });
    let want = |vms: &[VmId]| vms.iter().map(|vm| space.demand(*vm)[resource]).sum();
    Evenness { sizes, unit, total, lonely: lonely.map(want).collect() }.least(least)
}

/// Whether a VM that runs there now, and wants some of the resource, counts on one host or another at the end: on an
/// online host without any of the resource it may stay, and counts nowhere.
fn is_certain(problem: &Problem, home: HostId, resource: usize) -> bool {
    counts(problem, home, resource) || problem.host(home).state == HostState::Draining
}

/// What the mean utilisation of a resource is at most.
fn most_mean(space: &Space<'_>, resource: usize) -> f64 {
    let problem = space.problem;
    let hosts = || problem.host_ids().filter(|host| counts(problem, *host, resource));
    let mut sizes: Vec<Amount> = hosts().map(|host| problem.host(host).usable[resource]).collect();
    sizes.sort_unstable();
    let most = |vm: VmId| {
        let need = space.demand(vm)[resource];
        let home = space.home[vm.index()].filter(|home| counts(problem, *home, resource));
        let at_home = home.map_or(0.0, |home| need as f64 / problem.host(home).usable[resource] as f64);
        if need == 0 || space.fixed[vm.index()] {
            return at_home;
        }
        // It enters only hosts that can take it.
        let smallest = sizes.get(sizes.partition_point(|size| *size < need));
        smallest.map_or(at_home, |size| at_home.max(need as f64 / *size as f64))
    };
    problem.vm_ids().map(most).sum::<f64>() / sizes.len().max(1) as f64
}

/// A lower bound of the value.
pub(crate) fn bound(space: &Space<'_>) -> f64 {
    if space.problem.limits.power_actions {
        return 0.0;
    }
    let gap = |r: usize| {
        let (least, mean) = (least(space, r), most_mean(space, r));
        (least.highest - mean).max(least.gap) - 1e-9 * least.highest
    };
    let sum: f64 = (0..space.width).map(|r| gap(r).max(0.0)).sum();
    (1000.0 * sum + 0.5).floor()
}

/// The most that any host uses of a resource, in parts of `scale` of what it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    column: Column,
    scale: i64,
}

/// A common multiple up to this is small enough to be exact with.
const LARGEST_SCALE: i64 = 1 << 31;
/// Used where there is none.
const SCALE: i64 = 1 << 28;

/// Adds the columns and rows.
pub(crate) fn add(model: &mut Model<'_>) {
    let problem = model.problem();
    let width = problem.resources.len();
    let mut peaks = vec![None; width];
    if !problem.limits.power_actions && !model.is_pooled() {
        for (r, peak) in peaks.iter_mut().enumerate() {
            *peak = add_peak(model, r);
        }
    }
    model.gauges.peaks = peaks;
}

fn add_peak(model: &mut Model<'_>, r: usize) -> Option<Peak> {
    let problem = model.problem();
    let hosts: Vec<HostId> = problem.host_ids().filter(|host| counts(problem, *host, r)).collect();
    let usable = |host: HostId| problem.host(host).usable[r];
    let scale = hosts.iter().try_fold(1, |scale, host| common_multiple(scale, usable(*host), LARGEST_SCALE));
    let scale = scale.unwrap_or(SCALE);
    let total: Amount = problem.vms.iter().map(|vm| vm.demand[r]).sum();
    if hosts.is_empty() || total == 0 || i128::from(total) * i128::from(scale) > 1 << 60 {
        return None;
    }
    let smallest = hosts.iter().map(|host| usable(*host)).min().unwrap_or(1);
    let most = i128::from(total) * i128::from(scale) / i128::from(smallest) + 1;
    let column = model.new_column(i64::try_from(most).ok().filter(|most| *most < 1 << 60)?);
    for host in hosts {
        // peak >= floor(scale * used / usable)
        let common = crate::milp::gcd(scale, usable(host));
        let (times, by) = (scale / common, usable(host) / common);
        let (mut terms, fixed) = model.use_of(&problem.whole(host, r));
        for (_, amount) in &mut terms {
            *amount *= times;
        }
        terms.push((column, -by));
        model.new_row(terms, by - 1 - fixed * times);
    }
    Some(Peak { column, scale })
}

/// Least common multiple, if it is not too large.
pub(super) fn common_multiple(a: i64, b: i64, largest: i64) -> Option<i64> {
    let product = i128::from(a / crate::milp::gcd(a, b).max(1)) * i128::from(b);
    i64::try_from(product).ok().filter(|product| *product <= largest)
}

/// The finest unit of the level is one of so many of its value.
const LARGEST_UNITS: i64 = 1 << 32;

pub(crate) fn level(model: &Model<'_>) -> Option<Level> {
    let problem = model.problem();
    if problem.limits.power_actions || model.is_pooled() {
        return None;
    }
    let resources =
        || (0..problem.resources.len()).filter(|r| problem.vms.iter().any(|vm| vm.demand[*r] > 0));
    let hosts = |r: usize| count(problem.host_ids().filter(|host| counts(problem, *host, r)).count());
    let peaks = &model.gauges.peaks;
    let known = |r: usize| hosts(r) == 0 || peaks.get(r).copied().flatten().is_some();
    if !resources().all(known) {
        return None;
    }
    let scales = resources().filter_map(|r| Some((peaks[r]?, r)));
    // Parts in which all is whole: each mean has the denominator scale * hosts.
    let exact = scales.clone().try_fold(1, |units, (peak, r)| {
        common_multiple(units, peak.scale.checked_mul(hosts(r))?, LARGEST_UNITS)
    });
    let units = exact.unwrap_or(LARGEST_UNITS);
    let mut terms: Vec<Term> = Vec::new();
    let mut means = vec![0_i64; model.columns()];
    let mut constant: i64 = 0;
    for (peak, r) in scales {
        // Rounded so that the sum is not above the value.
        terms.push((peak.column, units / peak.scale));
        let count = hosts(r);
        for host in problem.host_ids().filter(|host| counts(problem, *host, r)) {
            let part = |amount: Amount| {
                let divisor = i128::from(problem.host(host).usable[r]) * i128::from(count);
                let part = (i128::from(amount) * i128::from(units) + divisor - 1) / divisor;
                i64::try_from(part).ok().filter(|part| *part < 1 << 50)
            };
            let (cells, fixed) = model.use_of(&problem.whole(host, r));
            constant = constant.checked_sub(part(fixed)?)?;
            for (column, amount) in cells {
                means[column as usize] -= part(amount)?;
            }
        }
    }
    let (cells, shifted) = model.weigh_cells(&means);
    terms.extend(cells);
    Some(Level::stepped(terms, constant + shifted, 1000.0 / units as f64, 1.0))
}

/// The columns of a placement.
pub(crate) fn point(model: &Model<'_>, used: &[Amount], point: &mut [i64]) {
    let problem = model.problem();
    let width = problem.resources.len();
    for (r, peak) in model.gauges.peaks.iter().enumerate() {
        let Some(Peak { column, scale }) = *peak else { continue };
        let of = |host: HostId| {
            let used = i128::from(used[host.index() * width + r]);
            used * i128::from(scale) / i128::from(problem.host(host).usable[r])
        };
        let hosts = problem.host_ids().filter(|host| counts(problem, *host, r));
        point[column as usize] = hosts.map(of).max().and_then(|peak| i64::try_from(peak).ok()).unwrap_or(0);
    }
}

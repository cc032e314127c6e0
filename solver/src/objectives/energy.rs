//! `ENERGY`: watts of all hosts, linear in the cpu in use over what there is (at most all of it); those that
//! are off or have failed draw `off_watts`.
//!
//! The value is a sum in fixed point. Two values count as the same if they are in the same tenth of a watt: a
//! plan is not made for less.

use super::imbalance::common_multiple;
use crate::milp::{Column, Level, Model, Term};
use crate::model::{Amount, Host, HostId, HostState, Problem};
use crate::screen::Space;

/// Parts of a watt.
const ONE: f64 = (1_u64 << 30) as f64;
/// What is compared.
const STEP: f64 = 0.1;
/// Steps do not begin at round numbers, as sums in floating point fall on either side of these.
const OFFSET: f64 = 0.012_345_678_9;

/// The value of a sum of [`of_host`].
pub(super) fn watts(total: i128) -> f64 {
    total as f64 / ONE
}

/// The step that a value belongs to; lower is better.
pub(crate) fn step(watts: f64) -> f64 {
    ((watts + OFFSET) / STEP).floor()
}

/// What a host draws, in parts of a watt.
pub(super) fn of_host(
    problem: &Problem,
    host: HostId,
    state: HostState,
    cpu: Option<(usize, Amount)>,
) -> i64 {
    let known = problem.host(host);
    let watts = known.watts;
    if matches!(state, HostState::Offline | HostState::Failed) {
        return (watts.off * ONE).round() as i64;
    }
    let share = |(cpu, used): (usize, Amount)| {
        let capacity = known.capacity[cpu];
        if capacity > 0 { (used as f64 / capacity as f64).min(1.0) } else { 0.0 }
    };
    let busy = cpu.map_or(0.0, share);
    ((watts.idle + (watts.peak - watts.idle) * busy) * ONE).round() as i64
}

/// Watts for each unit of cpu in use, as long as there is some left.
fn slope(problem: &Problem, host: &Host) -> f64 {
    let capacity = problem.cpu().map_or(0, |cpu| host.capacity[cpu]);
    if capacity > 0 { (host.watts.peak - host.watts.idle) / capacity as f64 } else { 0.0 }
}

/// What hosts draw that run nothing more than they must, and what each more costs at least.
struct Floor {
    base: f64,
    rates: Vec<Rate>,
}

/// A host that may run something beside what cannot leave it.
struct Rate {
    host: HostId,
    /// Watts more as soon as it runs something.
    on: f64,
    /// Watts for each unit of cpu.
    slope: f64,
}

/// A lower bound of the value, if at least `active` hosts run a VM.
pub(crate) fn bound(space: &Space<'_>, active: usize) -> f64 {
    let problem = space.problem;
    let mut fixed = vec![0; space.usable.len()];
    let mut holds = vec![false; problem.hosts.len()];
    let mut rest = vec![0; space.width];
    for vm in problem.vm_ids() {
        let Some(home) = space.home[vm.index()] else { continue };
        if space.fixed[vm.index()] {
            holds[home.index()] = true;
            crate::model::add(&mut fixed[home.index() * space.width..][..space.width], space.demand(vm));
        } else {
            crate::model::add(&mut rest, space.demand(vm));
        }
    }
    let floor = floor(space, &fixed, &holds);
    let room = |rate: &Rate, r: usize| space.most(rate.host, r) - fixed[rate.host.index() * space.width + r];
    // The cheapest way to have room for the rest, in parts of hosts.
    let fill = |r: usize, price: &dyn Fn(&Rate) -> f64| {
        let mut parts: Vec<(f64, Amount)> = (floor.rates.iter())
            .map(|rate| (price(rate), room(rate, r)))
            .filter(|(_, room)| *room > 0)
            .collect();
        parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut left, mut sum) = (rest[r], 0.0);
        for (price, room) in parts {
            let part = room.min(left);
            sum += price * part as f64;
            left -= part;
        }
        sum
    };
    let on = |r: usize| move |rate: &Rate| rate.on / room(rate, r) as f64;
    let cpu = problem.cpu();
    let slopes = cpu.map_or(0.0, |cpu| fill(cpu, &|rate| rate.slope));
    let both = cpu.map_or(0.0, |cpu| fill(cpu, &|rate| on(cpu)(rate) + rate.slope));
    let opened = (0..space.width).map(|r| fill(r, &on(r))).fold(0.0, f64::max);
    let mut cheapest: Vec<f64> =
        floor.rates.iter().filter(|rate| rate.on > 0.0).map(|rate| rate.on).collect();
    cheapest.sort_by(f64::total_cmp);
    let free = floor.rates.len() - cheapest.len() + holds.iter().filter(|holds| **holds).count();
    let counted: f64 = cheapest.iter().take(active.saturating_sub(free)).sum();
    let bound = floor.base + both.max(slopes + opened.max(counted));
    // Waiting VMs may use cpu on hosts that draw less for it.
    let gains = problem.hosts.iter().any(|host| host.watts.peak < host.watts.idle);
    if gains { 0.0 } else { (bound - 1e-6 - 1e-9 * bound).max(0.0) }
}

fn floor(space: &Space<'_>, fixed: &[Amount], holds: &[bool]) -> Floor {
    let problem = space.problem;
    let mut floor = Floor { base: 0.0, rates: Vec::new() };
    for host in problem.host_ids() {
        let (known, i) = (problem.host(host), host.index());
        let here = problem.cpu().map(|cpu| (cpu, fixed[i * space.width + cpu]));
        let state = problem.state_at_end(host, holds[i]);
        let alone = watts(i128::from(of_host(problem, host, state, here)));
        let may_run = match known.state {
            HostState::Online => true,
            HostState::Offline => problem.takes_vms(host),
            HostState::Cordoned => space.home_count[i] > 0,
            HostState::Draining | HostState::Failed => false,
        };
        let may_be_off = !holds[i] && (problem.shuts(host) || problem.boots(host));
        floor.base += if may_be_off { known.watts.off.min(known.watts.idle) } else { alone };
        if may_run {
            let on = if may_be_off { (known.watts.idle - known.watts.off).max(0.0) } else { 0.0 };
            // Where more may be in use than there is, each unit counts in part only.
            let cpu = problem.cpu().map(|cpu| (cpu, i * space.width + cpu));
            let beyond = cpu.map_or(1.0, |(cpu, cell)| {
                let most = space.most(host, cpu) - fixed[cell];
                let left = (known.capacity[cpu] - fixed[cell]).max(0);
                if most > 0 { (left as f64 / most as f64).min(1.0) } else { 1.0 }
            });
            floor.rates.push(Rate { host, on, slope: slope(problem, known) * beyond });
        }
    }
    floor
}

/// Cpu in use of a host of which more may be in use than there is: the smaller of both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    amount: Column,
    /// All of it is in use.
    full: Option<Column>,
}

/// The most that can be in use of a host's cpu.
fn most_used(model: &Model<'_>, host: HostId, cpu: usize) -> Amount {
    let known = model.problem().host(host);
    let total: Amount = model.problem().vms.iter().map(|vm| vm.demand[cpu]).sum();
    let (usable, was) = (known.usable[cpu], model.used_at_start(host, cpu));
    // Where one NUMA node is over, another one may be filled.
    let most = if known.numa.bounds(cpu) { usable.saturating_add(was) } else { usable.max(was) };
    most.min(total)
}

/// Whether a host draws by its use.
fn is_up(problem: &Problem, host: HostId) -> bool {
    let state = problem.host(host).state;
    problem.takes_vms(host) || matches!(state, HostState::Draining | HostState::Cordoned)
}

/// Adds the columns and rows.
pub(crate) fn add(model: &mut Model<'_>) {
    let problem = model.problem();
    let Some(cpu) = problem.cpu() else { return };
    if model.is_pooled() {
        return;
    }
    for host in problem.host_ids().filter(|host| is_up(problem, *host)) {
        let known = problem.host(host);
        let (capacity, most) = (known.capacity[cpu], most_used(model, host, cpu));
        let slope = known.watts.peak - known.watts.idle;
        if capacity == 0 || most <= capacity || slope == 0.0 {
            continue;
        }
        let amount = model.new_column(capacity);
        let (terms, fixed) = model.use_of(&problem.whole(host, cpu));
        let full = (slope > 0.0).then(|| model.new_column(1));
        if let Some(full) = full {
            // It is used, unless all is: amount >= used - (most - capacity) full, amount >= capacity full.
            let mut at_least = terms;
            at_least.extend([(amount, -1), (full, capacity - most)]);
            model.new_row(at_least, -fixed);
            model.new_row(vec![(full, capacity), (amount, -1)], 0);
        } else {
            let mut at_most: Vec<Term> =
                terms.into_iter().map(|(column, amount)| (column, -amount)).collect();
            at_most.push((amount, 1));
            model.new_row(at_most, fixed);
        }
        model.gauges.busy.insert(host, Busy { amount, full });
    }
}

/// Units of a watt beyond which factors become too large.
const LARGEST_UNITS: i64 = 1 << 34;

/// Where nothing is exact.
const UNITS: i64 = 1 << 24;

pub(crate) fn level(model: &Model<'_>) -> Option<Level> {
    let problem = model.problem();
    if model.is_pooled() {
        return None;
    }
    let hosts = || problem.host_ids().filter(|host| is_up(problem, *host));
    let largest = problem.hosts.iter().flat_map(|host| [host.watts.idle, host.watts.peak, host.watts.off]);
    if largest.fold(0.0, f64::max) > 1e6 {
        return None;
    }
    // Whole parts in which all is exact, if watts are told in thousandths at most.
    let parts = |watts: f64| (watts * 1000.0).round();
    let told = problem.hosts.iter().flat_map(|host| [host.watts.idle, host.watts.peak, host.watts.off]);
    let in_thousandths = told.into_iter().all(|watts| (parts(watts) - watts * 1000.0).abs() < 1e-9);
    let capacity = |host: HostId| problem.cpu().map_or(0, |cpu| problem.host(host).capacity[cpu]);
    let exact = hosts().map(capacity).filter(|capacity| *capacity > 0);
    let exact = exact.into_iter().try_fold(1000, |all, one| {
        // Thousandths of a watt, in parts of each capacity.
        common_multiple(all, one.checked_mul(1000)?, LARGEST_UNITS)
    });
    let units = if in_thousandths { exact.unwrap_or(UNITS) } else { UNITS };
    // Never more than it is.
    let whole = |watts: f64| {
        let units = watts * units as f64;
        if (units - units.round()).abs() < 1e-9 * units.abs().max(1.0) {
            units.round() as i64
        } else {
            units.floor() as i64
        }
    };
    let mut terms: Vec<Term> = Vec::new();
    let mut weights = vec![0_i64; model.columns()];
    let mut constant: i64 = 0;
    for host in problem.host_ids() {
        let known = problem.host(host);
        if !is_up(problem, host) {
            constant += whole(known.watts.off);
            continue;
        }
        let may_be_off = problem.shuts(host) || problem.boots(host);
        match (model.is_on(host), model.is_up(host)) {
            (_, Some(up)) => {
                constant += whole(known.watts.off);
                terms.push((up, whole(known.watts.idle) - whole(known.watts.off)));
            }
            (Some(on), None) if may_be_off => {
                let off = known.watts.off.min(known.watts.idle);
                constant += whole(off);
                terms.push((on, whole(known.watts.idle) - whole(off)));
            }
            (None, None) if may_be_off && !model.is_always_on(host) => {
                constant += whole(known.watts.off.min(known.watts.idle));
            }
            _ => constant += whole(known.watts.idle),
        }
        let (Some(cpu), slope) = (problem.cpu(), slope(problem, known)) else { continue };
        let rate = |amount: Amount| whole(slope * amount as f64);
        if let Some(busy) = model.gauges.busy.get(&host) {
            // The amount is a single column, so that its factor may be small.
            terms.push((busy.amount, rate(1)));
        } else if slope != 0.0 {
            let (cells, fixed) = model.use_of(&problem.whole(host, cpu));
            constant += rate(fixed);
            for (column, amount) in cells {
                weights[column as usize] += rate(amount);
            }
        }
    }
    let (cells, shifted) = model.weigh_cells(&weights);
    terms.extend(cells);
    Some(Level::told(terms, constant + shifted, 1.0 / units as f64))
}

/// The columns of a placement.
pub(crate) fn point(model: &Model<'_>, used: &[Amount], point: &mut [i64]) {
    let problem = model.problem();
    let Some(cpu) = problem.cpu() else { return };
    for (host, busy) in &model.gauges.busy {
        let (used, capacity) =
            (used[host.index() * problem.resources.len() + cpu], problem.host(*host).capacity[cpu]);
        point[busy.amount as usize] = used.min(capacity);
        if let Some(full) = busy.full {
            point[full as usize] = i64::from(used > capacity);
        }
    }
}

/// Watts for each unit of cpu on a host.
pub(crate) fn rate(problem: &Problem, host: HostId) -> f64 {
    slope(problem, problem.host(host))
}

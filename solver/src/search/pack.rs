//! Placing many VMs at once into few hosts: the largest first, each where the least is left free, in proportion
//! ("residual" best fit, reference/solver.md 4.1). Flat tables instead of the rules for the first look.

use super::insert::{Fit, Means};
use super::state::State;
use crate::constraints::Kept;
use crate::model::{Amount, HostId, VmId};
use crate::screen::bulk;

/// VMs in a row for which no other could be made to go elsewhere, after which there is no room for any.
const MOST_FAILURES: usize = 12;

/// Where a VM is put that fits in several hosts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Where the least is left.
    Tight {
        /// How much more a scarce resource counts: the power that its use is raised to.
        scarcity: i32,
        /// How much it counts that what is left free is in proportion.
        proportion: f64,
    },
    /// Where what it takes costs the least, if the price of a resource of a host grows by this power of e until it is
    /// full: all hosts fill at the same pace and in proportion, and the smallest VMs, which come last, close the gaps.
    Even(f64),
}

/// Free amounts of the open hosts.
struct Rooms {
    hosts: Vec<HostId>,
    free: Vec<Amount>,
    /// What hosts would have free if they were empty.
    whole: Vec<Amount>,
    width: usize,
    scale: Vec<f64>,
    /// One over the mean free amount of each resource.
    even: Vec<f64>,
    /// What a mean host's whole of a resource costs at each host, if prices grow.
    prices: Vec<f64>,
    way: Way,
}

impl Rooms {
    fn new(state: &State<'_>, vms: &[VmId], way: Way) -> Self {
        let space = state.space;
        let hosts = space.open.clone();
        let free = free(state, &hosts);
        let (mut need, mut all) = (vec![0; space.width], vec![0; space.width]);
        for vm in vms {
            crate::model::add(&mut need, space.demand(*vm));
        }
        free.chunks_exact(space.width).for_each(|free| crate::model::add(&mut all, free));
        let scarcity = match way {
            Way::Tight { scarcity, .. } => scarcity,
            Way::Even(_) => 1,
        };
        let scarce = |r: usize| if all[r] > 0 { (need[r] as f64 / all[r] as f64).min(1.0) } else { 0.0 };
        let most = (0..space.width).map(scarce).fold(0.0, f64::max);
        let weight = |r: usize| if most > 0.0 { (scarce(r) / most).powi(scarcity) } else { 1.0 };
        let scale = (0..space.width).map(|r| space.scale[r] * weight(r)).collect();
        let even =
            all.iter().map(|all| if *all > 0 { hosts.len() as f64 / *all as f64 } else { 0.0 }).collect();
        let whole = hosts.iter().flat_map(|host| state.usable(*host)).copied().collect();
        let mut rooms = Self { free, whole, hosts, width: space.width, scale, even, prices: Vec::new(), way };
        rooms.set_prices();
        rooms
    }

    fn set_prices(&mut self) {
        if let Way::Even(power) = self.way {
            let cells = self.free.iter().zip(&self.whole).zip(self.scale.iter().cycle());
            self.prices = cells.map(|((free, whole), scale)| price(*free, *whole, power) * scale).collect();
        }
    }

    /// The position of the best host of those that have room and take the VM.
    fn best(&self, demand: &[Amount], takes: impl Fn(HostId) -> bool) -> Option<usize> {
        match self.way {
            Way::Tight { proportion, .. } => self.tightest(demand, proportion, takes),
            Way::Even(power) => self.cheapest(demand, power, takes),
        }
    }

    /// The one that is left with the least.
    fn tightest(&self, demand: &[Amount], proportion: f64, takes: impl Fn(HostId) -> bool) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (i, free) in self.free.chunks_exact(self.width).enumerate() {
            let (mut sum, mut least, mut most) = (0.0, f64::INFINITY, 0.0_f64);
            let mut fits = true;
            for (((free, need), scale), even) in free.iter().zip(demand).zip(&self.scale).zip(&self.even) {
                let left = free - need;
                fits &= left >= 0 || *need == 0;
                sum += left as f64 * scale;
                let share = left as f64 * even;
                least = least.min(share);
                most = most.max(share);
            }
            let key = sum + proportion * (most - least);
            if fits && best.is_none_or(|(least, _)| key < least) && takes(self.hosts[i]) {
                best = Some((key, i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// The one where it costs the least.
    fn cheapest(&self, demand: &[Amount], power: f64, takes: impl Fn(HostId) -> bool) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        let cells = self.free.chunks_exact(self.width).zip(self.whole.chunks_exact(self.width));
        for (i, ((free, whole), prices)) in cells.zip(self.prices.chunks_exact(self.width)).enumerate() {
            let (mut key, mut fits) = (0.0, true);
            for (((free, whole), price), need) in free.iter().zip(whole).zip(prices).zip(demand) {
                fits &= need <= free || *need == 0;
                // Prices grow on the way.
                let own = 1.0 + 0.5 * power * *need as f64 / (*whole).max(1) as f64;
                key += *need as f64 * price * own;
            }
            if fits && best.is_none_or(|(least, _)| key < least) && takes(self.hosts[i]) {
                best = Some((key, i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// How much of what is scarce a VM needs.
    fn size(&self, demand: &[Amount]) -> f64 {
        bulk(demand, &self.scale)
    }

    /// Sees what is free now.
    fn look(&mut self, state: &State<'_>) {
        self.free = free(state, &self.hosts);
        self.set_prices();
    }

    fn take(&mut self, i: usize, demand: &[Amount]) {
        for (r, need) in demand.iter().enumerate() {
            let cell = i * self.width + r;
            self.free[cell] -= need;
            if let Way::Even(power) = self.way {
                self.prices[cell] = price(self.free[cell], self.whole[cell], power) * self.scale[r];
            }
        }
    }
}

/// 1 while nothing is free, less the more is.
fn price(free: Amount, whole: Amount, power: f64) -> f64 {
    (-power * free as f64 / whole.max(1) as f64).exp()
}

/// What hosts have free, `host * width + resource`.
fn free(state: &State<'_>, hosts: &[HostId]) -> Vec<Amount> {
    let of = |host: &HostId| {
        let (used, usable) = (state.used(*host), state.usable(*host));
        usable.iter().zip(used).map(|(usable, used)| usable - used)
    };
    hosts.iter().flat_map(of).collect()
}

impl State<'_> {
    /// Places VMs that are nowhere, of a problem with resources; returns those that found no place.
    pub(super) fn pack(&mut self, mut vms: Vec<VmId>, way: Way, means: Means<'_>) -> Vec<VmId> {
        let space = self.space;
        let mut rooms = Rooms::new(self, &vms, way);
        // First what rules leave few hosts, as long as there is room there: what must be together, then others.
        let rank = |vm: &VmId| match space.flocks_of(*vm).next() {
            Some(_) => 0,
            None => 1 + u8::from(!space.rules.of(*vm).any(Kept::hard)),
        };
        let size = |vm: &VmId| rooms.size(space.demand(*vm));
        vms.sort_by(|a, b| rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a))).then(a.cmp(b)));
        let direct = Means { fit: Fit::Tight, depth: 0, ..means };
        let flocks = vms.partition_point(|vm| rank(vm) == 0);
        for vm in &vms[..flocks] {
            if self.at(*vm).is_none() && !means.budget.expired() {
                self.insert(*vm, None, direct);
            }
        }
        rooms.look(self);
        for vm in &vms[flocks..] {
            if means.budget.expired() {
                break;
            }
            means.budget.spend(rooms.hosts.len() as u64 / 8);
            self.put_best(*vm, &mut rooms);
        }
        let mut left = vms;
        left.retain(|vm| self.at(*vm).is_none());
        // Some find room by ejection.
        let mut failures = 0;
        left.retain(|vm| {
            if failures < MOST_FAILURES && !means.budget.expired() && self.at(*vm).is_none() {
                failures = if self.insert(*vm, None, means) { 0 } else { failures + 1 };
            }
            self.at(*vm).is_none()
        });
        left
    }

    fn put_best(&mut self, vm: VmId, rooms: &mut Rooms) {
        let demand = self.space.demand(vm);
        if let Some(i) = rooms.best(demand, |host| self.may_enter(vm, host)) {
            self.set(vm, Some(rooms.hosts[i]));
            rooms.take(i, demand);
        }
    }
}

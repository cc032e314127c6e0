//! Placing many VMs at once into few hosts: the largest first, each where the least is left free, in proportion
//! ("residual" best fit, reference/solver.md 4.1). Flat tables instead of the rules for the first look.

use super::insert::{Fit, Means};
use super::state::State;
use crate::constraints::Kept;
use crate::model::{Amount, HostId, VmId};
use crate::screen::bulk;

/// VMs in a row for which no other could be made to go elsewhere, after which there is no room for any.
const MOST_FAILURES: usize = 12;

/// What counts as tight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// How much more a scarce resource counts: the power that its use is raised to.
    pub(super) scarcity: i32,
    /// How much it counts that what is left free is in proportion.
    pub(super) proportion: f64,
}

/// Free amounts of the open hosts.
struct Rooms {
    hosts: Vec<HostId>,
    free: Vec<Amount>,
    width: usize,
    scale: Vec<f64>,
    /// One over the mean free amount of each resource.
    even: Vec<f64>,
    proportion: f64,
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
        let scarce = |r: usize| if all[r] > 0 { (need[r] as f64 / all[r] as f64).min(1.0) } else { 0.0 };
        let most = (0..space.width).map(scarce).fold(0.0, f64::max);
        let weight = |r: usize| if most > 0.0 { (scarce(r) / most).powi(way.scarcity) } else { 1.0 };
        let scale = (0..space.width).map(|r| space.scale[r] * weight(r)).collect();
        let even =
            all.iter().map(|all| if *all > 0 { hosts.len() as f64 / *all as f64 } else { 0.0 }).collect();
        Self { free, hosts, width: space.width, scale, even, proportion: way.proportion }
    }

    /// The position of the host that is left with the least, of those that have room and take the VM.
    fn tightest(&self, demand: &[Amount], takes: impl Fn(HostId) -> bool) -> Option<usize> {
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
            let key = sum + self.proportion * (most - least);
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
    }

    fn take(&mut self, i: usize, demand: &[Amount]) {
        let free = &mut self.free[i * self.width..][..self.width];
        free.iter_mut().zip(demand).for_each(|(free, need)| *free -= need);
    }
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
            self.put_tightly(*vm, &mut rooms);
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

    fn put_tightly(&mut self, vm: VmId, rooms: &mut Rooms) {
        let demand = self.space.demand(vm);
        if let Some(i) = rooms.tightest(demand, |host| self.may_enter(vm, host)) {
            self.set(vm, Some(rooms.hosts[i]));
            rooms.take(i, demand);
        }
    }
}

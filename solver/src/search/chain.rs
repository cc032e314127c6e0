//! The cheapest way to a place for a VM: others make room for it, others again for those, as far as that pays.

use super::insert::Means;
use super::numa::Pick;
use super::state::State;
use crate::model::{Amount, HostId, VmId};

/// VMs that make room on one host at once.
const MOST_EJECTED: usize = 3;
/// Ways that are followed, by how many VMs have made room one for the other before.
const WIDTHS: [usize; 4] = [48, 16, 8, 4];
/// Of the hosts that can take a VM as it is, so many are followed.
const DIRECT: usize = 2;
/// VMs that are under way at once.
const MOST_PENDING: usize = 6;
/// Hosts on which VMs may make room for one.
const MOST_HOSTS: usize = 96;

/// What a chain may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    /// MiB of the VMs that make room, at most.
    pub(super) most: Amount,
    /// MiB of any VM that moves, at least.
    pub(super) cheapest: Amount,
    /// VMs for which a place is looked for.
    pub(super) nodes: u32,
}

/// A host for a VM, and those that leave it for that.
struct Way {
    /// MiB that those cost, and with what must make room for them at least.
    cost: Amount,
    least: Amount,
    /// Room that is left, in shares of a host.
    left: f64,
    host: HostId,
    out: Vec<VmId>,
}

/// A search in depth, bounded by the best that it has found.
struct Chain<'s, 'a> {
    state: &'s mut State<'a>,
    price: Price,
    means: Means<'s>,
    avoid: Option<HostId>,
    /// VMs to be placed, with how many made room one for the other before; the next at the end.
    pending: Vec<(VmId, usize)>,
    /// VMs that have a place.
    done: Vec<VmId>,
    /// The best so far.
    places: Option<Vec<(VmId, Option<HostId>)>>,
}

impl State<'_> {
    /// What moving a VM costs at least, in MiB.
    pub(super) fn cheapest(&self) -> Amount {
        let free = self.space.problem.vm_ids().filter(|vm| !self.space.fixed[vm.index()]);
        free.map(|vm| self.space.memory(vm)).min().unwrap_or(0)
    }

    /// Places a VM that is nowhere, but not on the host to `avoid`, so that others which make room for it cost as
    /// little as can be. If it cannot be at the price, nothing is done.
    pub(super) fn insert_by_chain(
        &mut self,
        vm: VmId,
        avoid: Option<HostId>,
        price: Price,
        means: Means<'_>,
    ) -> bool {
        let mut chain = Chain {
            state: self,
            price: Price { most: price.most.saturating_add(1), ..price },
            means,
            avoid,
            pending: vec![(vm, 0)],
            done: Vec::new(),
            places: None,
        };
        chain.follow(0);
        let Some(places) = chain.places else { return false };
        let mark = self.mark();
        for (vm, _) in &places {
            self.set(*vm, None);
        }
        let all = places.into_iter().all(|(vm, host)| {
            let host = host.filter(|host| self.may_enter(vm, *host));
            host.inspect(|host| self.set(vm, Some(*host))).is_some()
        });
        if !all {
            self.undo(mark);
        }
        all
    }

    /// Whether some other host has room for a VM, as far as its resources tell.
    fn fits_elsewhere(&self, vm: VmId, but: HostId) -> bool {
        let demand = self.space.demand(vm);
        let fits = |host: HostId| {
            let mut pairs = demand.iter().zip(self.used(host).iter().zip(self.usable(host)));
            pairs.all(|(need, (used, usable))| used + need <= *usable)
        };
        self.space.open.iter().any(|host| *host != but && fits(*host))
    }

    /// Amounts in shares of a host, together; what is lacking counts below 0.
    fn shares_left(&self, lacking: &[Amount]) -> f64 {
        lacking.iter().zip(&self.space.scale).map(|(lack, scale)| -*lack as f64 * scale).sum()
    }
}

impl Chain<'_, '_> {
    /// Places all that is pending, in every way that may be better than the best.
    fn follow(&mut self, spent: Amount) {
        let Some((vm, depth)) = self.pending.pop() else {
            if spent < self.price.most {
                self.price.most = spent;
                self.places = Some(self.done.iter().map(|vm| (*vm, self.state.at(*vm))).collect());
            }
            return;
        };
        if self.price.nodes > 0 && !self.means.budget.expired() {
            self.price.nodes -= 1;
            self.means.budget.spend(1);
            for way in self.ways(vm, depth, self.price.most - spent) {
                if spent + way.least >= self.price.most {
                    break;
                }
                self.take(vm, depth, spent, &way);
            }
        }
        self.pending.push((vm, depth));
    }

    fn take(&mut self, vm: VmId, depth: usize, spent: Amount, way: &Way) {
        let (mark, count) = (self.state.mark(), self.pending.len());
        if count + way.out.len() > MOST_PENDING {
            return;
        }
        way.out.iter().for_each(|other| self.state.set(*other, None));
        if self.state.may_enter(vm, way.host) {
            self.state.set(vm, Some(way.host));
            self.done.push(vm);
            self.pending.extend(way.out.iter().map(|other| (*other, depth + 1)));
            self.follow(spent + way.cost);
            self.pending.truncate(count);
            self.done.pop();
        }
        self.state.undo(mark);
    }

    /// Where a VM can go for less than `most`, the cheapest first.
    fn ways(&self, vm: VmId, depth: usize, most: Amount) -> Vec<Way> {
        let (state, space) = (&*self.state, self.state.space);
        let (demand, home) = (space.demand(vm), space.home[vm.index()]);
        let avoid = self.avoid.filter(|_| depth == 0);
        let (mut direct, mut full) = (Vec::new(), Vec::new());
        for &host in &space.open {
            let goes = avoid != Some(host) && (home == Some(host) || space.may_go(vm, host));
            if !goes || space.forbidding(vm, host).next().is_some() {
                continue;
            }
            let lacking: Vec<Amount> = (state.used(host).iter().zip(demand).zip(state.usable(host)))
                .map(|((used, need), usable)| if *need > 0 { used + need - usable } else { 0 })
                .collect();
            if lacking.iter().all(|lack| *lack <= 0) && state.may_enter(vm, host) {
                direct.push(Way {
                    cost: 0,
                    least: 0,
                    left: state.shares_left(&lacking),
                    host,
                    out: Vec::new(),
                });
            } else {
                let short: Vec<Amount> = lacking.iter().map(|lack| (*lack).max(0)).collect();
                full.push((state.shares_left(&short), host, lacking));
            }
        }
        if !direct.is_empty() {
            direct.sort_by(|a, b| a.left.total_cmp(&b.left).then(a.host.cmp(&b.host)));
            direct.truncate(DIRECT);
            return direct;
        }
        let Some(width) = WIDTHS.get(depth) else { return direct };
        // Where least is lacking.
        full.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        full.truncate(MOST_HOSTS);
        let mut ways: Vec<Way> = Vec::new();
        for (_, host, lacking) in full {
            self.make_room(vm, host, &lacking, most, &mut ways);
        }
        ways.sort_by(|a, b| {
            let by_cost = (a.least, a.cost, a.out.len()).cmp(&(b.least, b.cost, b.out.len()));
            by_cost.then(a.left.total_cmp(&b.left)).then_with(|| (a.host, &a.out).cmp(&(b.host, &b.out)))
        });
        ways.truncate(*width);
        ways
    }

    /// Sets of VMs whose leaving gives a host what it lacks for a VM.
    fn make_room(&self, vm: VmId, host: HostId, lacking: &[Amount], most: Amount, ways: &mut Vec<Way>) {
        let (state, space) = (&*self.state, self.state.space);
        let cost = |vm: VmId| if state.has_moved(vm) { 0 } else { space.memory(vm) };
        let may_leave = |vm: &VmId| {
            state.may_take(*vm) && !self.done.contains(vm) && space.flocks_of(*vm).next().is_none()
        };
        let mut leavers: Vec<Leaver> = (state.on(host).iter().copied().filter(may_leave))
            .map(|vm| Leaver { cost: cost(vm), least: cost(vm), vm })
            .filter(|leaver| leaver.cost < most)
            .collect();
        leavers.sort_unstable_by_key(|leaver| (leaver.cost, leaver.vm));
        for leaver in &mut leavers {
            // One that fits nowhere has others move for it.
            leaver.least += if state.fits_elsewhere(leaver.vm, host) { 0 } else { self.price.cheapest };
        }
        if space.problem.host(host).numa.count() > 0 {
            let enough = |leaver: &&Leaver| {
                state.pick(vm, host, Pick { without: Some(leaver.vm), ..Pick::default() }).is_some()
            };
            let left = state.shares_left(lacking);
            ways.extend(leavers.iter().filter(enough).filter(|leaver| leaver.least < most).map(|leaver| {
                Way { cost: leaver.cost, least: leaver.least, left, host, out: vec![leaver.vm] }
            }));
            return;
        }
        let mut sets = Sets { state, host, leavers: &leavers, most, chosen: Vec::new(), ways };
        sets.extend(0, &mut lacking.to_vec(), 0, 0);
    }
}

/// A VM that may make room, with what it costs, and at least with those that make room for it.
struct Leaver {
    cost: Amount,
    least: Amount,
    vm: VmId,
}

/// Few VMs of one host that give it what it lacks.
struct Sets<'c, 'a> {
    state: &'c State<'a>,
    host: HostId,
    /// Cheap ones first.
    leavers: &'c [Leaver],
    most: Amount,
    chosen: Vec<VmId>,
    ways: &'c mut Vec<Way>,
}

impl Sets<'_, '_> {
    fn extend(&mut self, from: usize, lacking: &mut [Amount], cost: Amount, least: Amount) {
        for (i, leaver) in self.leavers.iter().enumerate().skip(from) {
            if cost + leaver.cost >= self.most {
                break;
            }
            let given = self.state.space.demand(leaver.vm);
            let helps = lacking.iter().zip(given).any(|(lack, given)| *lack > 0 && *given > 0);
            if !helps || least + leaver.least >= self.most {
                continue;
            }
            lacking.iter_mut().zip(given).for_each(|(lack, given)| *lack -= given);
            self.chosen.push(leaver.vm);
            let (cost, least) = (cost + leaver.cost, least + leaver.least);
            if lacking.iter().all(|lack| *lack <= 0) {
                let (left, out) = (self.state.shares_left(lacking), self.chosen.clone());
                self.ways.push(Way { cost, least, left, host: self.host, out });
            } else if self.chosen.len() < MOST_EJECTED {
                self.extend(i + 1, lacking, cost, least);
            }
            self.chosen.pop();
            lacking.iter_mut().zip(given).for_each(|(lack, given)| *lack += given);
        }
    }
}

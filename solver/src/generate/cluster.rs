//! Hosts and VMs by number, and who is where.

use super::draws;
use super::{Fleet, Recipe, Scenario};
use crate::search::Random;

/// Cores, GiB, share of the VMs.
const CLASSES: [(i64, i64, u32); 7] =
    [(1, 2, 25), (2, 4, 22), (2, 8, 16), (4, 8, 14), (4, 16, 12), (8, 16, 6), (8, 32, 5)];
/// Cpu, memory, share of the hosts.
const SHAPES: [(f64, f64, u32); 3] = [(1.0, 1.0, 30), (1.5, 2.0, 50), (2.0, 3.0, 20)];
const MIXED: [(f64, f64, u32); 3] = [(1.0, 1.0, 50), (2.0, 2.0, 30), (4.0, 4.0, 20)];
/// No VM is larger than this share of a small host.
const LARGEST: f64 = 0.6;
/// Hosts that are tried by lot before all are.
const LOTS: usize = 12;
const CPU: usize = 0;
const MEMORY: usize = 1;

/// Amounts of cpu and memory.
pub(super) type Pair = [i64; 2];

pub(super) struct Cluster<'r> {
    pub(super) recipe: &'r Recipe,
    pub(super) need: Vec<Pair>,
    pub(super) room: Vec<Pair>,
    /// NUMA nodes that each VM takes; 0 = there are none.
    pub(super) count: Vec<usize>,
    pub(super) free: Vec<Pair>,
    node_free: Vec<[Pair; 2]>,
    pub(super) nodes: Vec<Vec<usize>>,
    pub(super) at: Vec<Option<usize>>,
    pub(super) on: Vec<Vec<usize>>,
    pub(super) rack: Vec<usize>,
    pub(super) racks: Vec<Vec<usize>>,
    pub(super) zone: Vec<&'static str>,
    /// Hosts that are kept for the VMs on them.
    pub(super) closed: Vec<bool>,
    /// Each host as often as it is likely.
    lottery: Vec<usize>,
    /// VMs that no rule is about.
    pub(super) todo: Vec<usize>,
}

impl<'r> Cluster<'r> {
    pub(super) fn new(recipe: &'r Recipe, random: &mut Random) -> Self {
        let (hosts, vms) = (recipe.hosts, recipe.vms);
        let (need, room, count) = sizes(recipe, random);
        let racks = hosts.div_ceil(16).max(4);
        let rack: Vec<usize> = (0..hosts).map(|host| host * racks / hosts).collect();
        let mut in_rack = vec![Vec::new(); racks];
        rack.iter().enumerate().for_each(|(host, rack)| in_rack[*rack].push(host));
        // Where balance is to be wanted, every other host draws three times as many VMs.
        let lots = |host: &usize| if recipe.scenario == Scenario::Balance && host % 2 == 1 { 3 } else { 1 };
        let mut todo: Vec<usize> = (0..vms).collect();
        random.shuffle(&mut todo);
        Self {
            recipe,
            free: room.clone(),
            node_free: room.iter().map(|room| [room.map(|x| x / 2); 2]).collect(),
            nodes: vec![Vec::new(); vms],
            at: vec![None; vms],
            on: vec![Vec::new(); hosts],
            zone: rack.iter().map(|rack| ["a", "b", "c"][rack * 3 / racks]).collect(),
            racks: in_rack,
            closed: vec![false; hosts],
            lottery: (0..hosts).flat_map(|host| std::iter::repeat_n(host, lots(&host))).collect(),
            need,
            room,
            count,
            rack,
            todo,
        }
    }

    /// What a VM takes of each of some nodes; the first one has the remainder.
    fn part(&self, vm: usize, nodes: &[usize], node: usize) -> Pair {
        let share = |amount: i64| {
            let count = if nodes.len() == 2 { 2 } else { 1 };
            amount / count + if nodes[0] == node { amount % count } else { 0 }
        };
        self.need[vm].map(share)
    }

    /// Nodes for VMs that come to a host together.
    fn pick(&self, host: usize, vms: &[usize], random: &mut Random) -> Option<Vec<Vec<usize>>> {
        if !self.recipe.has_numa() {
            return Some(vec![Vec::new(); vms.len()]);
        }
        let (mut free, mut picked) = (self.node_free[host], Vec::new());
        for vm in vms {
            let first = random.below(2);
            let ways =
                if self.count[*vm] == 2 { vec![vec![0, 1]] } else { vec![vec![first], vec![1 - first]] };
            let fits = |nodes: &Vec<usize>| {
                let fits = |node: &usize| fits(self.part(*vm, nodes, *node), free[*node]);
                nodes.iter().all(fits)
            };
            let nodes = ways.into_iter().find(fits)?;
            for node in &nodes {
                let part = self.part(*vm, &nodes, *node);
                free[*node] = [free[*node][CPU] - part[CPU], free[*node][MEMORY] - part[MEMORY]];
            }
            picked.push(nodes);
        }
        Some(picked)
    }

    /// Puts VMs on a host together, if they fit there.
    fn put(&mut self, host: usize, vms: &[usize], random: &mut Random) -> bool {
        let sum = |r: usize| vms.iter().map(|vm| self.need[*vm][r]).sum::<i64>();
        if self.closed[host] || !fits([sum(CPU), sum(MEMORY)], self.free[host]) {
            return false;
        }
        let Some(picked) = self.pick(host, vms, random) else { return false };
        for (vm, nodes) in vms.iter().zip(picked) {
            (self.at[*vm], self.nodes[*vm]) = (Some(host), nodes);
            self.on[host].push(*vm);
            self.account(*vm, host, -1);
        }
        true
    }

    /// Takes a VM from its host.
    pub(super) fn remove(&mut self, vm: usize) {
        if let Some(host) = self.at[vm] {
            self.account(vm, host, 1);
            self.on[host].retain(|other| *other != vm);
            self.at[vm] = None;
            self.nodes[vm].clear();
        }
    }

    fn account(&mut self, vm: usize, host: usize, sign: i64) {
        for r in [CPU, MEMORY] {
            self.free[host][r] += sign * self.need[vm][r];
        }
        for node in self.nodes[vm].clone() {
            let part = self.part(vm, &self.nodes[vm], node);
            for r in [CPU, MEMORY] {
                self.node_free[host][node][r] += sign * part[r];
            }
        }
    }

    /// Puts VMs together on one of some hosts (`None` = of all) with room for them, by lot; not on one to avoid.
    pub(super) fn place(
        &mut self,
        vms: &[usize],
        among: Option<&[usize]>,
        avoid: &[usize],
        random: &mut Random,
    ) -> Option<usize> {
        let pool = among.map_or_else(|| std::mem::take(&mut self.lottery), <[usize]>::to_vec);
        let mut tried = |host: usize, random: &mut Random| {
            (!avoid.contains(&host) && self.put(host, vms, random)).then_some(host)
        };
        let by_lot = (0..LOTS).find_map(|_| tried(*random.pick(&pool)?, random));
        let from = random.below(pool.len().max(1));
        let host = by_lot.or_else(|| {
            let all = pool[from..].iter().chain(&pool[..from]);
            all.copied().find_map(|host| tried(host, random))
        });
        if among.is_none() {
            self.lottery = pool;
        }
        host
    }

    /// Places the VMs that are under no rule, large ones first.
    pub(super) fn fill(&mut self, random: &mut Random) -> Option<()> {
        let scarce = if self.recipe.scenario == Scenario::Defragment { CPU } else { MEMORY };
        let mut todo = std::mem::take(&mut self.todo);
        todo.sort_by_key(|vm| std::cmp::Reverse(self.need[*vm][scarce]));
        todo.into_iter().try_for_each(|vm| self.place(&[vm], None, &[], random).map(drop))
    }

    /// The part of an amount for one host that a VM may have: one on one node has half.
    pub(super) fn top(&self, amount: f64, vm: usize) -> i64 {
        top(amount, self.count[vm])
    }

    /// The largest amount of a resource that a VM may grow to.
    pub(super) fn most(&self, resource: usize, vm: usize) -> i64 {
        let smallest = self.room.iter().map(|room| room[resource]).min().unwrap_or(0);
        match (self.recipe.fleet, resource) {
            (Fleet::Identical, CPU) => 1000,
            (Fleet::Identical, _) => smallest,
            _ => self.top(LARGEST * smallest as f64, vm),
        }
    }
}

fn fits(amounts: Pair, free: Pair) -> bool {
    amounts[CPU] <= free[CPU] && amounts[MEMORY] <= free[MEMORY]
}

fn top(amount: f64, count: usize) -> i64 {
    (if count == 1 { amount / 2.0 } else { amount }) as i64
}

/// Demands, capacities and numbers of NUMA nodes.
fn sizes(recipe: &Recipe, random: &mut Random) -> (Vec<Pair>, Vec<Pair>, Vec<usize>) {
    let whole_cores = recipe.scenario == Scenario::Defragment;
    let mean = recipe.load * 8000.0 * recipe.hosts as f64 / recipe.vms as f64;
    let draw = |random: &mut Random| {
        if recipe.fleet == Fleet::Identical {
            let cpu = draws::normal(random, mean, 200.0).round() as i64;
            return [cpu.clamp(10, 1000), 1024];
        }
        let (cores, gib, _) = *draws::weighted(random, &CLASSES, |class| class.2);
        let active = if whole_cores { 1.0 } else { draws::beta(random, 1.5, 3.0) };
        [((cores as f64 * 1000.0 * active).round() as i64).max(10), gib * 1024]
    };
    let mut need: Vec<Pair> = (0..recipe.vms).map(|_| draw(random)).collect();
    let mut count = vec![usize::from(recipe.has_numa()); recipe.vms];
    if recipe.has_numa() {
        // The fifth with the most memory takes both nodes.
        let mut largest: Vec<usize> = (0..recipe.vms).collect();
        random.shuffle(&mut largest);
        largest.sort_by_key(|vm| std::cmp::Reverse((need[*vm][MEMORY], need[*vm][CPU])));
        largest.iter().take((recipe.vms as f64 * 0.2).round() as usize).for_each(|vm| count[*vm] = 2);
    }
    if recipe.fleet == Fleet::Identical {
        return (need, vec![[8000, 32768]; recipe.hosts], count);
    }
    let shapes = if recipe.fleet == Fleet::Mixed { MIXED } else { SHAPES };
    let shapes: Vec<[f64; 2]> = (0..recipe.hosts)
        .map(|_| *draws::weighted(random, &shapes, |shape| shape.2))
        .map(|(cpu, memory, _)| [cpu, memory])
        .collect();
    let mut room = vec![[0; 2]; recipe.hosts];
    for r in [CPU, MEMORY] {
        let load = if whole_cores && r == MEMORY { 0.8 * recipe.load } else { recipe.load };
        let cores = whole_cores && r == CPU;
        let unit = unit(&mut need, &count, r, load, shapes.iter().map(|shape| shape[r]).sum(), cores);
        // Hosts have a pretty size; where cores are whole, an even number of them.
        let step = [if cores { 2000.0 } else { 100.0 }, if whole_cores { 512.0 } else { 256.0 }][r];
        for (room, shape) in room.iter_mut().zip(&shapes) {
            room[r] = ((unit * shape[r] / step).round() * step).max(step) as i64;
        }
    }
    (need, room, count)
}

/// The size of a small host at which the load is met; VMs that are too large for one are cut, which lowers the
/// sum, until that settles.
fn unit(need: &mut [Pair], count: &[usize], r: usize, load: f64, shapes: f64, whole: bool) -> f64 {
    let mut unit = 0.0;
    for _ in 0..20 {
        unit = need.iter().map(|need| need[r]).sum::<i64>() as f64 / load / shapes;
        let top = |count: &usize| {
            let top = top(LARGEST * unit, *count);
            if whole { top / 1000 * 1000 } else { top }
        };
        let tops: Vec<i64> = count.iter().map(top).collect();
        if tops.iter().any(|top| *top <= 0) || need.iter().zip(&tops).all(|(need, top)| need[r] <= *top) {
            break;
        }
        need.iter_mut().zip(&tops).for_each(|(need, top)| need[r] = need[r].min(*top));
    }
    unit
}

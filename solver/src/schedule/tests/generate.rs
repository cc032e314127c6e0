//! Small problems and placements to come to, from a seed.

use super::Case;
use crate::constraints::Rules;
use crate::file;
use crate::model::{Placement, Site, VmId};
use crate::objective;
use crate::testing::{self, KINDS};

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Sizes of what is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) hosts: usize,
    pub(super) vms: usize,
    /// Hosts in other states, rules, odd bandwidths and limits.
    pub(super) odd: bool,
    /// Half of the hosts have two NUMA nodes each.
    pub(super) numa: bool,
}

/// A problem and a placement that a plan may end in; `None` if the seed gives none.
pub(super) fn case(size: Size, seed: u64) -> Option<(Case, Placement)> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut file = hosts(size, &mut random);
    vms(&mut file, size, &mut random);
    if size.odd {
        rules(&mut file, &mut random);
    }
    let case = Case::of(file);
    let to = placement(&case, &mut random)?;
    Some((case, to))
}

fn amounts(cpu: usize, memory: usize) -> file::Amounts {
    [("cpu".to_owned(), cpu as i64), ("memory".to_owned(), memory as i64)].into()
}

fn hosts(size: Size, random: &mut Random) -> file::Problem {
    let mut problem = file::Problem::default();
    for i in 0..size.hosts {
        let state = match random.below(14) {
            0 if size.odd => "DRAINING",
            1 if size.odd => "CORDONED",
            2 if size.odd => "FAILED",
            _ => "",
        };
        problem.hosts.push(file::Host {
            name: format!("h{i}"),
            capacity: amounts(8 + random.below(5), 4000 + 500 * random.below(5)),
            state: state.to_owned(),
            labels: [("rack".to_owned(), format!("r{}", i % 3))].into(),
            migration_bandwidth: size.odd.then(|| [125.0, 500.0, 1000.0][random.below(3)]),
            max_migrations: size.odd.then(|| 1 + random.below(4) as i64),
            ..file::Host::default()
        });
        if size.numa && random.one_in(2) {
            let (host, cpu) = (&mut problem.hosts[i], 4 + random.below(3) as i64);
            let capacity: file::Amounts = [("cpu".to_owned(), cpu)].into();
            host.capacity.insert("cpu".to_owned(), 2 * cpu);
            host.numa_nodes = vec![file::NumaNode { capacity }; 2];
        }
    }
    if size.odd && random.one_in(3) {
        let limits = file::Limits { backbone_bandwidth: Some(600.0), ..file::Limits::default() };
        problem.limits = Some(limits);
    }
    if size.odd && random.one_in(3) {
        problem.network = Some(network(&problem, random));
    }
    problem
}

/// Two switches and a narrow link between them; perhaps one of them blocks, too.
fn network(problem: &file::Problem, random: &mut Random) -> file::Network {
    let switch = |name: &str, bandwidth| file::Switch { name: name.to_owned(), bandwidth };
    let link = |name: String, a: &str, b: &str, bandwidth| file::Link {
        name,
        a: a.to_owned(),
        b: b.to_owned(),
        bandwidth: Some(bandwidth),
        ..file::Link::default()
    };
    let blocking = random.one_in(2).then_some(800.0);
    let mut links = vec![link("up".to_owned(), "left", "right", 400.0)];
    links[0].half_duplex = random.one_in(2);
    for (i, host) in problem.hosts.iter().enumerate() {
        let side = if i % 2 == 0 { "left" } else { "right" };
        links.push(link(format!("l{i}"), &host.name, side, 700.0));
    }
    file::Network {
        switches: vec![switch("left", None), switch("right", blocking)],
        links,
        ..file::Network::default()
    }
}

fn vms(problem: &mut file::Problem, size: Size, random: &mut Random) {
    let mut used = vec![(0, 0, [0, 0]); size.hosts];
    for i in 0..size.vms {
        let (cpu, memory) = (random.below(6), 200 * random.below(8));
        let host = random.below(size.hosts);
        let (c, m) = (used[host].0 + cpu as i64, used[host].1 + memory as i64);
        let capacity = &problem.hosts[host].capacity;
        let mut fits = c <= capacity["cpu"] && m <= capacity["memory"];
        let numa = !problem.hosts[host].numa_nodes.is_empty();
        let count = if size.numa { 1 + random.below(4) as i64 / 3 } else { 1 };
        let mut nodes = vec![random.below(2) as i64; usize::from(numa)];
        let mut on = used[host].2;
        if numa && count == 2 {
            nodes.push(1 - nodes[0]);
        }
        for (j, node) in nodes.iter().enumerate() {
            let rest = if j == 0 { cpu as i64 % count } else { 0 };
            on[*node as usize] += cpu as i64 / count + rest;
            fits &= 2 * on[*node as usize] <= capacity["cpu"];
        }
        // A host is over now and then.
        let placed = fits || (size.odd && random.one_in(8));
        if placed {
            used[host] = (c, m, on);
        } else {
            nodes.clear();
        }
        problem.vms.push(file::Vm {
            name: format!("v{i}"),
            host: if placed { format!("h{host}") } else { String::new() },
            demand: amounts(cpu, memory),
            numa: Some(file::VmNuma { count: Some(count), nodes }),
            arrival_demand: if size.odd && random.one_in(8) {
                amounts(random.below(6), 200 * random.below(8))
            } else {
                file::Amounts::new()
            },
            pinned: size.odd && random.one_in(12),
            memory_dirty_rate: (size.odd && random.one_in(3)).then(|| [20.0, 60.0, 90.0][random.below(3)]),
            ..file::Vm::default()
        });
    }
}

fn rules(problem: &mut file::Problem, random: &mut Random) {
    testing::label(problem, random.below(1 << 30) as u64);
    for i in 0..random.below(4) {
        let (kind, seed) = (random.below(usize::from(KINDS)) as u8, random.below(1 << 30) as u64);
        let soft = random.one_in(4).then_some(5.0);
        let rule = testing::constraint(format!("c{i}"), kind, seed, soft, !random.one_in(4), problem);
        problem.constraints.push(rule);
    }
}

/// Some VMs are taken off their hosts and put where there is room at the end.
fn placement(case: &Case, random: &mut Random) -> Option<Placement> {
    let problem = &case.problem;
    let rules = Rules::new(problem);
    for _ in 0..20 {
        let mut to = problem.initial();
        let share = 2 + random.below(3);
        let moved: Vec<usize> = (0..to.len()).filter(|_| !random.one_in(share)).collect();
        for vm in &moved {
            to.put(*vm, None);
        }
        for vm in moved {
            let start = problem.initial().site(vm);
            let used = objective::usage(problem, &to);
            let demand = &problem.vms[vm].demand;
            let fits = |site: &Site| {
                problem.bounds_of(site.host).all(|bound| {
                    used[bound.cell] + problem.load(demand, Some(*site), bound.cell) <= bound.usable
                })
            };
            let sites: Vec<Site> = (problem.host_ids())
                .flat_map(|host| {
                    let ways = problem.ways(VmId::from(vm), host).0;
                    ways.into_iter().map(move |nodes| Site { host, nodes })
                })
                .filter(fits)
                .collect();
            let site = if sites.is_empty() || problem.vms[vm].pinned {
                start
            } else {
                Some(sites[random.below(sites.len())])
            };
            to.put(vm, site);
        }
        let changed = to != problem.initial();
        if changed && objective::fault(problem, &rules, &to).is_none() {
            return Some(to);
        }
    }
    None
}

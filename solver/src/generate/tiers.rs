//! Applications of three tiers on hosts behind leaf switches, after the workload of Hermenier, Lawall and Muller,
//! "`BtrPlace`: a flexible consolidation manager for highly available applications" (2013): the published
//! constants, drawn and placed by our own hand.

use super::draws;
use super::write::{amounts, host_name, vm_name};
use super::{Recipe, Scenario};
use crate::file::{Body, Constraint, Host, Labels, Problem, Vm, Vms};
use crate::search::Random;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts behind a leaf switch.
const LEAF: usize = 250;
const HOST_CPU: i64 = 20_000;
const HOST_MEMORY: i64 = 16_000;
/// Milli-cores at most, MiB.
const TEMPLATES: [(i64, i64); 11] = [
    (3000, 1000),
    (3000, 2000),
    (3000, 3000),
    (4000, 1000),
    (4000, 2000),
    (4000, 3000),
    (5000, 1000),
    (5000, 2000),
    (5000, 3000),
    (6000, 1000),
    (6000, 2000),
];

struct App {
    /// First VM and number of VMs of each tier, and what is drawn for it.
    tiers: [(usize, usize, (i64, i64)); 3],
    /// Share of its most that each VM uses, and will use.
    ratio: f64,
    grown: f64,
}

pub(super) fn draw(recipe: &Recipe, random: &mut Random) -> Option<Problem> {
    let mut apps = apps(recipe.vms, random);
    if recipe.scenario == Scenario::LoadIncrease {
        for _ in 0..apps.len() / 10 {
            let at = random.below(apps.len());
            apps[at].grown = if apps[at].grown >= 0.8 { 1.0 } else { apps[at].grown + 0.3 };
        }
    }
    let mut free = vec![(HOST_CPU, HOST_MEMORY); recipe.hosts];
    let mut at = vec![usize::MAX; recipe.vms];
    let ruled = (recipe.constraints * apps.len() as f64).round() as usize;
    let mut constraints = Vec::new();
    for (number, app) in apps.iter().enumerate() {
        let leaf = random.below(recipe.hosts.div_ceil(LEAF));
        for (tier, (first, size, (cpu, memory))) in app.tiers.into_iter().enumerate() {
            let need = ((cpu as f64 * app.ratio) as i64, memory);
            let mut used = BTreeSet::new();
            for place in &mut at[first..first + size] {
                // In an application under rules, a tier is apart, and the last one behind one switch.
                let ruled = number < ruled;
                let pool = if ruled && tier == 2 {
                    leaf * LEAF..((leaf + 1) * LEAF).min(recipe.hosts)
                } else {
                    0..recipe.hosts
                };
                let fits = |host: &usize| {
                    free[*host].0 >= need.0 && free[*host].1 >= need.1 && !(ruled && used.contains(host))
                };
                let by_lot = (0..40).map(|_| pool.start + random.below(pool.len())).find(fits);
                let host = by_lot.or_else(|| pool.clone().find(fits))?;
                free[host] = (free[host].0 - need.0, free[host].1 - need.1);
                used.insert(host);
                *place = host;
            }
            if number < ruled {
                let vms = || Vms { vms: (first..first + size).map(vm_name).collect(), ..Vms::default() };
                let mut add = |name: String, body: Body| {
                    constraints.push(Constraint {
                        name,
                        continuous: true,
                        body: Some(body),
                        soft_weight: None,
                    });
                };
                let spread = Body::Spread { vms: vms(), scope: None, max: Some(1) };
                add(format!("app{}-tier{}", number + 1, tier + 1), spread);
                if tier == 2 {
                    let gather = Body::Gather { vms: vms(), scope: Some("leaf".to_owned()) };
                    add(format!("app{}-leaf", number + 1), gather);
                }
            }
        }
    }
    Some(write(recipe, &apps, &at, constraints, random))
}

fn apps(vms: usize, random: &mut Random) -> Vec<App> {
    let mut apps = Vec::new();
    let mut first = 0;
    while first < vms {
        let left = vms - first;
        let mut size = draws::whole(random, 6, 29).min(left);
        if left - size < 6 {
            size = left;
        }
        // Two VMs at least in each tier; of fewer than six VMs some tiers are empty.
        let one = if size >= 7 { draws::whole(random, 2, size - 5) } else { size.min(2) };
        let rest = size - one;
        let two = if rest >= 5 { draws::whole(random, 2, rest - 3) } else { rest.min(2) };
        let template = |random: &mut Random| TEMPLATES[random.below(TEMPLATES.len())];
        let ratio = draws::uniform(random, 0.2, 0.9);
        apps.push(App {
            tiers: [
                (first, one, template(random)),
                (first + one, two, template(random)),
                (first + one + two, rest - two, template(random)),
            ],
            ratio,
            grown: ratio,
        });
        first += size;
    }
    apps
}

fn write(
    recipe: &Recipe,
    apps: &[App],
    at: &[usize],
    constraints: Vec<Constraint>,
    random: &mut Random,
) -> Problem {
    let released: BTreeSet<usize> = match recipe.scenario {
        Scenario::NodeRelease => draws::some(random, recipe.hosts, recipe.hosts / 20).into_iter().collect(),
        _ => BTreeSet::new(),
    };
    let host = |host: usize| Host {
        name: host_name(host),
        capacity: amounts(HOST_CPU, HOST_MEMORY),
        state: if released.contains(&host) { "OFFLINE" } else { "" }.to_owned(),
        labels: Labels::from([("leaf".to_owned(), format!("s{}", host / LEAF + 1))]),
        ..Host::default()
    };
    let mut vms = Vec::with_capacity(at.len());
    for app in apps {
        for (first, size, (cpu, memory)) in app.tiers {
            let (now, then) = ((cpu as f64 * app.ratio) as i64, (cpu as f64 * app.grown) as i64);
            for (vm, at) in (first..first + size).zip(&at[first..]) {
                let waits = released.contains(at);
                let grown = BTreeMap::from([("cpu".to_owned(), then)]);
                vms.push(Vm {
                    name: vm_name(vm),
                    host: if waits { String::new() } else { host_name(*at) },
                    demand: amounts(now, memory),
                    arrival_demand: if then == now { BTreeMap::new() } else { grown },
                    ..Vm::default()
                });
            }
        }
    }
    Problem {
        name: format!("{}-{}-{}-{}", recipe.scenario.name(), recipe.hosts, recipe.vms, recipe.seed),
        hosts: (0..recipe.hosts).map(host).collect(),
        vms,
        constraints,
        objective: "REPAIR".to_owned(),
        ..Problem::default()
    }
}

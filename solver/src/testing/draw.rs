//! Rules of all kinds from a seed, about the VMs and hosts of a small problem.

use crate::file::{Body, Constraint, Hosts, Labels, Problem, Vms};

/// How many kinds there are; the first so many are numbers of kinds.
pub(crate) const KINDS: u8 = 17;

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }

    fn some(&mut self, names: &[String]) -> Vec<String> {
        let share = 2 + self.below(2);
        let mut some: Vec<String> = names.iter().filter(|_| self.below(share) == 0).cloned().collect();
        if some.is_empty() {
            some.push(names[self.below(names.len())].clone());
        }
        some
    }

    /// Groups that mostly share nothing.
    fn groups(&mut self, names: &[String]) -> Vec<Vec<String>> {
        let count = 1 + self.below(3);
        let mut groups = vec![Vec::new(); count];
        for name in names {
            let group = self.below(count + 1);
            if let Some(group) = groups.get_mut(group) {
                group.push(name.clone());
            }
            if self.below(8) == 0 {
                groups[self.below(count)].push(name.clone());
            }
        }
        groups.retain(|group| !group.is_empty());
        if groups.is_empty() { vec![self.some(names)] } else { groups }
    }
}

/// Gives most VMs and hosts labels that rules can choose them by, and takes its rack from a host in four but the first.
pub(crate) fn label(problem: &mut Problem, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for vm in &mut problem.vms {
        if random.below(3) > 0 {
            vm.labels.insert("tier".to_owned(), ["web", "db"][random.below(2)].to_owned());
        }
    }
    for (i, host) in problem.hosts.iter_mut().enumerate() {
        // One keeps it, as a scope must be known.
        if random.below(4) == 0 && i > 0 {
            host.labels.remove("rack");
        }
        if random.below(3) > 0 {
            host.labels.insert("kind".to_owned(), ["old", "new"][random.below(2)].to_owned());
        }
    }
}

/// Labels that one of these has.
fn selector<'a>(random: &mut Random, labels: impl Iterator<Item = &'a Labels>) -> Option<Labels> {
    let labels: Vec<&Labels> = labels.filter(|labels| !labels.is_empty()).collect();
    let labels = labels.get(random.below(labels.len()))?;
    let all = random.below(2) == 0;
    let one = random.below(labels.len());
    let chosen = labels.iter().enumerate().filter(|(i, _)| all || *i == one);
    Some(chosen.map(|(_, (name, value))| (name.clone(), value.clone())).collect())
}

/// Makes some of the first two of some drafts of rules such that they are about which hosts are online; `parts` gives the
/// kind and the seed of one.
pub(crate) fn about_states<D>(mut drafts: Vec<D>, parts: impl Fn(&mut D) -> (&mut u8, u64)) -> Vec<D> {
    for draft in drafts.iter_mut().take(2) {
        let (kind, seed) = parts(draft);
        match seed % 5 {
            0 => *kind = 9,
            1 => *kind = 14,
            _ => {}
        }
    }
    drafts
}

/// A rule of a kind about a problem that has a host and a VM.
pub(crate) fn constraint(
    name: String,
    kind: u8,
    seed: u64,
    soft_weight: Option<f64>,
    continuous: bool,
    problem: &Problem,
) -> Constraint {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(kind));
    Constraint { name, soft_weight, continuous, body: Some(body(kind, &mut random, problem)) }
}

fn body(kind: u8, random: &mut Random, problem: &Problem) -> Body {
    let vm_names: Vec<String> = problem.vms.iter().map(|vm| vm.name.clone()).collect();
    let host_names: Vec<String> = problem.hosts.iter().map(|host| host.name.clone()).collect();
    // By labels in one case of three.
    let chosen_vms = |random: &mut Random| {
        let labels = problem.vms.iter().map(|vm| &vm.labels);
        let selector = if random.below(3) == 0 { selector(random, labels) } else { None };
        selector.map(|vm_selector| Vms { vm_selector, ..Vms::default() })
    };
    let chosen_hosts = |random: &mut Random| {
        let labels = problem.hosts.iter().map(|host| &host.labels);
        let selector = if random.below(3) == 0 { selector(random, labels) } else { None };
        selector.map(|host_selector| Hosts { host_selector, ..Hosts::default() })
    };
    let vms = |random: &mut Random| {
        chosen_vms(random).unwrap_or_else(|| Vms { vms: random.some(&vm_names), ..Vms::default() })
    };
    let hosts = |random: &mut Random| {
        chosen_hosts(random).unwrap_or_else(|| Hosts { hosts: random.some(&host_names), ..Hosts::default() })
    };
    let groups = |random: &mut Random| -> Vec<Vms> {
        let groups = random.groups(&vm_names).into_iter().map(|vms| Vms { vms, ..Vms::default() });
        groups.map(|group| chosen_vms(random).unwrap_or(group)).collect()
    };
    let host_groups = |random: &mut Random| -> Vec<Hosts> {
        let groups = random.groups(&host_names).into_iter().map(|hosts| Hosts { hosts, ..Hosts::default() });
        groups.map(|group| chosen_hosts(random).unwrap_or(group)).collect()
    };
    let racks = problem.hosts.iter().any(|host| host.labels.contains_key("rack"));
    let scope = (racks && random.below(2) == 0).then(|| "rack".to_owned());
    let resource = ["cpu", "memory"][random.below(2)].to_owned();
    let total = |resource: &str| -> i64 {
        problem.vms.iter().map(|vm| vm.demand.get(resource).copied().unwrap_or(0)).sum()
    };
    let largest = |resource: &str| -> i64 {
        problem.hosts.iter().map(|host| host.capacity.get(resource).copied().unwrap_or(0)).max().unwrap_or(0)
    };
    match kind {
        0 => Body::Spread { vms: vms(random), scope, max: [None, Some(2), Some(0), None][random.below(4)] },
        1 => Body::Gather { vms: vms(random), scope },
        2 => Body::Fence { vms: vms(random), hosts: hosts(random) },
        3 => Body::Ban { vms: vms(random), hosts: hosts(random) },
        4 => Body::Lonely { vms: vms(random) },
        5 => Body::Split { groups: groups(random) },
        6 => Body::Among { vms: vms(random), host_groups: host_groups(random) },
        7 => Body::SplitAmong { groups: groups(random), host_groups: host_groups(random) },
        8 => Body::Root { vms: vms(random) },
        9 => Body::MaxOnline { hosts: hosts(random), max: Some(random.below(4) as i64) },
        10 => Body::RunningCapacity { hosts: hosts(random), max: Some(random.below(5) as i64) },
        11 => Body::ResourceCapacity {
            hosts: hosts(random),
            max: Some(total(&resource) * random.below(5) as i64 / 5),
            resource,
        },
        12 => Body::Quarantine { hosts: hosts(random) },
        13 => Body::Headroom {
            hosts: hosts(random),
            min: Some(largest(&resource) * random.below(5) as i64 / 6),
            resource,
        },
        14 => Body::SpareHosts { hosts: hosts(random), min: Some(random.below(3) as i64) },
        15 => Body::Before { first: vms(random), second: vms(random) },
        _ => Body::Sync { vms: vms(random) },
    }
}

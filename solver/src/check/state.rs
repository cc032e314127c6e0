//! Rules about hosts and groups at one instant.

use super::tables::{Rule, Tables};
use super::world::World;
use crate::file::Body;
use std::collections::{BTreeMap, BTreeSet};

/// Why a rule does not hold now, if so.
pub(super) fn broken(
    tables: &Tables<'_>,
    world: &World<'_>,
    rule: &Rule<'_>,
    near: Option<&str>,
) -> Option<String> {
    match rule.constraint.body.as_ref()? {
        Body::Lonely { .. } => lonely(world, rule),
        Body::Split { .. } => split(world, rule),
        Body::Among { .. } => among(world, rule),
        Body::SplitAmong { .. } => split_among(world, rule),
        Body::MaxOnline { max, .. } => {
            // One that is being shut down counts until it is off, one that is booted from when it is up.
            let down = |host: &&&str| matches!(world.state(tables, host), "OFFLINE" | "FAILED" | "BOOTING");
            let online = rule.hosts.len() - rule.hosts.iter().filter(down).count();
            over(number(online), max.unwrap_or(0), "hosts are online")
        }
        Body::RunningCapacity { max, .. } => {
            let vms: BTreeSet<&str> = rule.hosts.iter().flat_map(|host| &world.on[host]).copied().collect();
            over(number(vms.len()), max.unwrap_or(0), "VMs run on the hosts")
        }
        Body::ResourceCapacity { resource, max, .. } => {
            let used = rule.hosts.iter().map(|host| tables.of_resource(&world.used[host], resource));
            over(used.fold(0, i64::saturating_add), max.unwrap_or(0), &format!("{resource} are in use"))
        }
        Body::Headroom { resource, min, .. } => rule.hosts.iter().find_map(|host| {
            if near.is_some_and(|near| near != *host) {
                return None;
            }
            let usable = tables.of_resource(&tables.usable[host], resource);
            let free = usable.saturating_sub(tables.of_resource(&world.used[host], resource));
            let short = !world.on[host].is_empty() && free < min.unwrap_or(0);
            short.then(|| format!("{host} has {free} {resource} free of at least {}", min.unwrap_or(0)))
        }),
        Body::SpareHosts { min, .. } => {
            let is_spare =
                |host: &&&str| world.state(tables, host) == "ONLINE" && world.on[**host].is_empty();
            let spare = number(rule.hosts.iter().filter(is_spare).count());
            (spare < min.unwrap_or(0)).then(|| format!("{spare} hosts are spare, not {}", min.unwrap_or(0)))
        }
        // These are about plans.
        Body::Root { .. } | Body::Quarantine { .. } | Body::Before { .. } | Body::Sync { .. } => None,
        _ => Some("this checker cannot judge it".to_owned()),
    }
}

/// A number of things.
pub(super) fn number(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

fn over(count: i64, max: i64, what: &str) -> Option<String> {
    (count > max).then(|| format!("{count} {what}, at most {max} may be"))
}

/// Hosts on which some VMs run.
fn hosts_of<'a>(world: &World<'a>, vms: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    vms.iter().flat_map(|vm| world.hosts_of(vm)).copied().collect()
}

fn lonely(world: &World<'_>, rule: &Rule<'_>) -> Option<String> {
    hosts_of(world, &rule.vms).into_iter().find_map(|host| {
        let stranger = world.on[host].difference(&rule.vms).next()?;
        Some(format!("{host} also runs {stranger}"))
    })
}

fn split(world: &World<'_>, rule: &Rule<'_>) -> Option<String> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, group) in rule.groups.iter().enumerate() {
        for host in hosts_of(world, group) {
            let other = *first.entry(host).or_insert(i);
            if other != i {
                return Some(format!("{host} runs VMs of the groups {other} and {i}"));
            }
        }
    }
    None
}

fn among(world: &World<'_>, rule: &Rule<'_>) -> Option<String> {
    let hosts = hosts_of(world, &rule.vms);
    let held = rule.host_groups.iter().any(|group| hosts.is_subset(group));
    (!held).then(|| "no group of hosts holds all of the VMs".to_owned())
}

fn split_among(world: &World<'_>, rule: &Rule<'_>) -> Option<String> {
    let places: Vec<BTreeSet<&str>> = rule.groups.iter().map(|group| hosts_of(world, group)).collect();
    (!have_places(&places, &rule.host_groups))
        .then(|| "the groups of VMs have no places of their own".to_owned())
}

/// Whether each set of hosts that is not empty lies in a group of its own.
pub(super) fn have_places(sets: &[BTreeSet<&str>], groups: &[BTreeSet<&str>]) -> bool {
    let options: Vec<Vec<usize>> = (sets.iter().filter(|set| !set.is_empty()))
        .map(|set| (0..groups.len()).filter(|g| set.is_subset(&groups[*g])).collect())
        .collect();
    matched(&options) == options.len()
}

/// How many can be given one of their options, each option to one.
pub(super) fn matched(options: &[Vec<usize>]) -> usize {
    fn find(
        who: usize,
        options: &[Vec<usize>],
        taken: &mut BTreeMap<usize, usize>,
        seen: &mut BTreeSet<usize>,
    ) -> bool {
        options[who].iter().any(|option| {
            seen.insert(*option) && {
                let holder = taken.get(option).copied();
                let free = holder.is_none_or(|holder| find(holder, options, taken, seen));
                if free {
                    taken.insert(*option, who);
                }
                free
            }
        })
    }
    let mut taken = BTreeMap::new();
    (0..options.len()).filter(|who| find(*who, options, &mut taken, &mut BTreeSet::new())).count()
}

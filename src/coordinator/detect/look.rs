//! What is wrong at this moment.

use super::{Seen, Trouble};
use crate::coordinator::inventory::{Cell, HostEntry};
use crate::coordinator::load::{self, Levels, Load, RESOURCES, UNITS, exceeds, part, parts, usable};
use crate::coordinator::rules;
use crate::coordinator::settings::{Settings, seconds};
use crate::partition::thrift;
use crate::record::{AdminState, Connection, EventKind, Severity};
use std::collections::BTreeMap;
use std::time::Duration;

/// All that is wrong, or not yet right again.
pub(super) fn look(cell: &Cell, settings: &Settings) -> Vec<Seen> {
    let loads = load::loads(cell);
    let mut seen = Vec::new();
    seen.extend(cell.hosts.iter().filter_map(|(name, host)| failed(cell, name, host)));
    seen.extend(overloads(cell, &loads, settings));
    seen.extend(cell.hosts.iter().filter_map(|(name, host)| drain(name, host)));
    seen.extend(waiting(cell, settings));
    seen.extend(rules(cell, settings));
    let strained = seen.iter().any(|seen| seen.trouble.kind == EventKind::Overload && seen.begins);
    if settings.detection.underload > 0.0 {
        seen.extend(underloads(cell, &loads, settings, strained));
    }
    seen
}

fn of_host(kind: EventKind, host: &str, severity: Severity, message: String) -> Trouble {
    Trouble {
        kind,
        subject: host.to_owned(),
        host: host.to_owned(),
        vm: String::new(),
        constraint: String::new(),
        severity,
        message,
    }
}

/// VMs that were on a failed host and are nowhere else.
fn failed(cell: &Cell, name: &str, host: &HostEntry) -> Option<Seen> {
    if host.connection != Connection::Failed {
        return None;
    }
    let missing = host.living().filter(|(vm, _)| rules::place_here(cell, vm).is_none()).count();
    let message = format!("{name} has not been heard of for too long; {} there", count_vms(missing, "was"));
    let trouble = of_host(EventKind::HostFailed, name, Severity::Error, message);
    (missing > 0).then_some(Seen { trouble, begins: true, hold: Duration::ZERO })
}

fn overloads(cell: &Cell, loads: &BTreeMap<&str, Load>, settings: &Settings) -> Vec<Seen> {
    let levels = Levels::new(&settings.detection);
    let mut seen = Vec::new();
    for (name, host) in cell.hosts.iter().filter(|(_, host)| host.is_known()) {
        let used = loads.get(name.as_str()).copied().unwrap_or_default().later;
        let usable = usable(host, &settings.inventory);
        let begins = exceeds(used, parts(usable, levels.overload));
        if !begins && !exceeds(used, parts(usable, levels.calm())) {
            continue;
        }
        let limit = if begins { levels.overload } else { levels.calm() };
        let over = (0..2).filter(|&r| used[r] > part(usable[r], limit[r]));
        let figures: Vec<_> = over.map(|r| figure(used, usable, r, levels.overload[r])).collect();
        let message = format!("{name} is expected to use {}", figures.join(" and "));
        let trouble = of_host(EventKind::Overload, name, Severity::Warning, message);
        seen.push(Seen { trouble, begins, hold: seconds(settings.detection.hold_s) });
    }
    seen
}

/// `7600 of 8000 millicores of cpu (95 %, limit 90 %)`
fn figure(used: [i64; 2], usable: [i64; 2], r: usize, limit: f64) -> String {
    let (used, usable) = (used[r], usable[r]);
    let percent = if usable == 0 { "all".to_owned() } else { percent(used as f64 / usable as f64) };
    let limit = self::percent(limit);
    format!("{used} of {usable} {} of {} ({percent}, limit {limit})", UNITS[r], RESOURCES[r])
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn drain(name: &str, host: &HostEntry) -> Option<Seen> {
    let left = host.living().count();
    if host.admin != AdminState::Draining || !host.is_known() || left == 0 {
        return None;
    }
    let message = format!("{name} is to be drained; {} still there", count_vms(left, "is"));
    let trouble = of_host(EventKind::Drain, name, Severity::Info, message);
    Some(Seen { trouble, begins: true, hold: Duration::ZERO })
}

/// VMs that ran on a host when it went down. Those that are off for any other reason stay off: an operator, or
/// the guest itself, has shut them down. What libvirt starts by itself at boot has the hold time to come up.
fn waiting(cell: &Cell, settings: &Settings) -> Vec<Seen> {
    let hold = seconds(settings.detection.hold_s);
    let seen = |vm: &String| {
        let message = format!("{vm} ran on a host that was restarted, and runs nowhere now");
        let trouble = Trouble {
            kind: EventKind::VmWaiting,
            subject: vm.clone(),
            host: String::new(),
            vm: vm.clone(),
            constraint: String::new(),
            severity: Severity::Warning,
            message,
        };
        Seen { trouble, begins: true, hold }
    };
    cell.waiting.keys().map(seen).collect()
}

fn rules(cell: &Cell, settings: &Settings) -> Vec<Seen> {
    let hold = seconds(settings.detection.hold_s);
    // One that is about VMs of other cells alone is theirs to tell.
    let ours = rules::with_vms_here(cell, &settings.constraints);
    let broken = rules::broken(cell, &ours, &rules::places(cell, &ours));
    let soft = |name: &String| {
        settings.constraints.iter().any(|rule| rule.name == *name && rule.soft_weight.is_some())
    };
    let seen = |(name, why): (String, String)| {
        let (kind, severity) =
            if soft(&name) { ("soft rule", Severity::Info) } else { ("rule", Severity::Warning) };
        let trouble = Trouble {
            kind: EventKind::RuleBroken,
            subject: name.clone(),
            host: String::new(),
            vm: String::new(),
            constraint: name.clone(),
            severity,
            message: format!("the {kind} {name} does not hold: {why}"),
        };
        Seen { trouble, begins: true, hold }
    };
    broken.into_iter().map(seen).collect()
}

/// Hosts of which so little is used that their VMs could share others: where there is one other host that runs
/// VMs at least. An empty host is not underloaded.
fn underloads(cell: &Cell, loads: &BTreeMap<&str, Load>, settings: &Settings, strained: bool) -> Vec<Seen> {
    let share = settings.detection.underload;
    let takes_part = |(name, host): &(&String, &HostEntry)| {
        let runs = loads.get(name.as_str()).is_some_and(|load| load.vms > 0);
        host.is_known() && host.admin == AdminState::Online && runs
    };
    let hosts: Vec<_> = cell.hosts.iter().filter(takes_part).collect();
    let mut seen = Vec::new();
    for (name, host) in hosts.iter().filter(|_| hosts.len() > 1) {
        let usable = usable(host, &settings.inventory);
        let used = loads.get(name.as_str()).copied().unwrap_or_default().later;
        let below = |share: f64| thrift::is_below(used, usable, share);
        if !below(share * thrift::ENDS_AT) {
            continue;
        }
        let figures = [0, 1].map(|r| format!("{} of {} {}", used[r], usable[r], UNITS[r]));
        let message = format!(
            "{name} is expected to use {} only, less than {} of each",
            figures.join(" and "),
            percent(share)
        );
        let trouble = of_host(EventKind::Underload, name, Severity::Info, message);
        let hold = seconds(settings.detection.underload_hold_s);
        seen.push(Seen { trouble, begins: below(share) && !strained, hold });
    }
    seen
}

pub(super) fn count_vms(count: usize, singular: &str) -> String {
    let plural = if singular == "is" { "are" } else { "were" };
    if count == 1 { format!("1 VM {singular}") } else { format!("{count} VMs {plural}") }
}

//! How a trouble ended, in one line.

use super::Trouble;
use super::look::percent;
use crate::coordinator::inventory::Cell;
use crate::coordinator::load::{RESOURCES, loads, usable};
use crate::coordinator::rules;
use crate::coordinator::settings::Settings;
use crate::record::{AdminState, Connection, EventKind};

pub(super) fn message(cell: &Cell, settings: &Settings, trouble: &Trouble) -> String {
    let subject = &trouble.subject;
    match trouble.kind {
        EventKind::VmWaiting => match rules::place(cell, subject) {
            Some(host) => format!("{subject} runs on {host}"),
            None => format!("{subject} is not waiting any more"),
        },
        EventKind::RuleBroken => format!("the rule {subject} holds"),
        _ => of_host(cell, settings, trouble),
    }
}

fn of_host(cell: &Cell, settings: &Settings, trouble: &Trouble) -> String {
    let name = &trouble.subject;
    let Some(host) = cell.hosts.get(name) else { return format!("{name} is not known any more") };
    let connected = host.connection == Connection::Connected;
    if trouble.kind == EventKind::HostFailed {
        return if connected {
            format!("{name} is connected again")
        } else {
            format!("no VM of {name} is missing any more")
        };
    }
    if !host.is_known() {
        return format!("{name} is out of reach, its load is not known");
    }
    if host.living().next().is_none() {
        return format!("{name} is empty");
    }
    match (trouble.kind, host.admin) {
        (EventKind::Drain, _) => format!("{name} is not to be drained any more"),
        (EventKind::Underload, AdminState::Draining) => format!("{name} is to be drained"),
        (EventKind::Underload, AdminState::Cordoned) => format!("{name} is cordoned"),
        _ => {
            let used = loads(cell).get(name.as_str()).copied().unwrap_or_default().later;
            let usable = usable(host, &settings.inventory);
            let of = |r: usize| used[r] as f64 / usable[r].max(1) as f64;
            let figures = [0, 1].map(|r| format!("{} of its {}", percent(of(r)), RESOURCES[r]));
            format!("{name} is expected to use {}", figures.join(" and "))
        }
    }
}

//! How far a plan may fill hosts, and what counts as too full.

use crate::coordinator::inventory::HostEntry;
use crate::coordinator::load::{Levels, Load, Pair, add, exceeds, parts, usable};
use crate::coordinator::settings::Settings;
use crate::record::{AdminState, Connection};

/// What a plan is to do with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Gives and takes.
    Online,
    /// Is emptied.
    Draining,
    /// Takes nothing.
    Cordoned,
    /// Nothing is known of it now: all stays as it is.
    Silent,
    /// Its VMs are down.
    Failed,
}

impl Role {
    /// `drains` = whether this plan is to empty it if an operator wants that.
    pub(super) fn of(host: &HostEntry, drains: bool) -> Self {
        match (host.connection, host.admin) {
            (Connection::Failed, _) => Self::Failed,
            _ if !host.is_known() => Self::Silent,
            (_, AdminState::Online) => Self::Online,
            (_, AdminState::Draining) if drains => Self::Draining,
            (_, AdminState::Draining | AdminState::Cordoned) => Self::Cordoned,
        }
    }

    /// As a problem says it.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Draining => "DRAINING",
            Self::Cordoned | Self::Silent => "CORDONED",
            Self::Failed => "FAILED",
        }
    }
}

/// A host of the problem.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) host: &'a HostEntry,
    pub(super) role: Role,
    pub(super) load: Load,
    /// It must be brought to its target; otherwise it must only not come above.
    pub(super) strained: bool,
}

impl<'a> Place<'a> {
    /// `stands` = whether an overload of it stands that this plan is to end.
    pub(super) fn new(
        name: &'a str,
        host: &'a HostEntry,
        role: Role,
        load: Load,
        stands: bool,
        settings: &Settings,
    ) -> Self {
        let levels = Levels::new(&settings.detection);
        let usable = usable(host, &settings.inventory);
        let level = if stands { levels.target } else { levels.overload };
        let reachable = !matches!(role, Role::Silent | Role::Failed);
        let strained = reachable && exceeds(load.later, parts(usable, level));
        Self { name, host, role, load, strained }
    }

    /// What the host may carry. One that must be brought down has its target, and what is leaving already does
    /// not count. Any other one may always keep what it has: between target and overload it is full, not over.
    pub(super) fn ceiling(&self, level: [f64; 2], settings: &Settings) -> Pair {
        let levels = Levels::new(&settings.detection);
        let usable = usable(self.host, &settings.inventory);
        let (target, level) = (parts(usable, levels.target), parts(usable, level));
        let load = self.load;
        [0, 1].map(|r| {
            if self.strained && load.later[r] > target[r] {
                target[r].saturating_add((load.now[r].saturating_sub(load.later[r])).max(0))
            } else if self.role == Role::Online {
                level[r].max(load.now[r])
            } else {
                usable[r].max(load.now[r])
            }
        })
    }
}

/// The level to which receivers may be filled: the target. Where that cannot be enough for what must find a place
/// (`homeless`: VMs of hosts that are drained or have failed, and that wait), up to where an overload counts as
/// ended: better a full host than a VM that is down or cannot leave.
pub(super) fn level(places: &[Place<'_>], homeless: Pair, settings: &Settings) -> [f64; 2] {
    let levels = Levels::new(&settings.detection);
    let (mut need, mut free): (Pair, Pair) = (homeless, [0, 0]);
    for place in places {
        let target = parts(usable(place.host, &settings.inventory), levels.target);
        for r in 0..2 {
            let rest = target[r].saturating_sub(place.load.now[r]);
            if place.role == Role::Online && rest > 0 {
                free[r] = free[r].saturating_add(rest);
            }
            if place.strained {
                let over = place.load.later[r].saturating_sub(target[r]).max(0);
                let mut more = [0, 0];
                more[r] = over;
                add(&mut need, more);
            }
        }
    }
    if exceeds(need, free) { levels.calm() } else { levels.target }
}

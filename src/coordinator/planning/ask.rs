//! Which hosts a trouble needs: those that are in trouble, and of the others as few as can do.

use super::linked;
use crate::coordinator::detect::{Key, Trouble};
use crate::coordinator::inventory::{Cell, HostEntry, VmEntry};
use crate::coordinator::load::{
    Levels, Load, Pair, add, demand, exceeds, loads, parts, share, subtract, usable,
};
use crate::coordinator::rules::is_about;
use crate::coordinator::settings::Settings;
use crate::partition::relief::{End, relieve};
use crate::partition::sizing::{self, FEWEST, Receiver, Size};
use crate::partition::thrift;
use crate::record::{AdminState, Connection, EventKind, VmState};
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of a cell, and of others, that are asked for by name as rules make them the likely ones.
const NAMED: usize = 4;

/// A partition to be reserved, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Hosts that are needed; none of them is busy.
    pub(crate) hosts: BTreeSet<String>,
    /// `REPAIR` or `CONSOLIDATE`.
    pub(crate) objective: String,
    /// One line: what for.
    pub(crate) purpose: String,
    /// Troubles that are answered together, the first one first.
    pub(crate) keys: Vec<Key>,
    /// These are all the hosts that could help now: a wider try has the same ones. Others may be busy.
    pub(crate) whole: bool,
    /// The VM that is to leave, where one is enough: the others stay.
    pub(crate) only: Option<String>,
    /// All hosts that could help have less room up to their targets than is needed, with slack.
    pub(crate) short: bool,
}

/// What to reserve for the first of the troubles that can be worked on; `due` is in the order of priority. Others
/// that concern the same hosts only are answered with it.
///
/// `busy` = reserved by others. A trouble waits while the host that it is about is busy, and while no host that
/// could help is free; then the next one is looked at. `wider` = 0 at the first try, one more after each that
/// had no solution: each takes in several times more hosts, until [`Ask::whole`].
pub(crate) fn ask(
    cell: &Cell,
    due: &[Trouble],
    busy: &dyn Fn(&str) -> bool,
    settings: &Settings,
    wider: u32,
) -> Option<Ask> {
    let levels = Levels::new(&settings.detection);
    let scene = Scene { cell, due, busy, settings, levels, loads: loads(cell) };
    due.iter().find_map(|trouble| match trouble.kind {
        EventKind::Underload => scene.consolidate(trouble),
        _ => scene.repair(trouble, wider),
    })
}

/// What a trouble needs that the hosts of its cell do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Hosts of the cell that a plan for it must have.
    pub(crate) hosts: BTreeSet<String>,
    /// Cpu and memory that have to find a place elsewhere, with slack.
    pub(crate) need: Pair,
    /// The least of what may have to find a place.
    pub(crate) least: Pair,
    /// Hosts that rules make the likely ones.
    pub(crate) likely: BTreeSet<String>,
}

/// What a trouble needs; `None` when nothing can be done about it at this moment.
pub(crate) fn wish(cell: &Cell, trouble: &Trouble, settings: &Settings) -> Option<Wish> {
    let levels = Levels::new(&settings.detection);
    let due = std::slice::from_ref(trouble);
    let scene = Scene { cell, due, busy: &|_| false, settings, levels, loads: loads(cell) };
    let core = scene.core(trouble)?;
    let least = scene.least(&core);
    let likely = scene.likeliest(&core, &trouble.subject);
    let Core { hosts, need, place, .. } = core;
    // An underload is answered only where little is enough.
    let need = if trouble.kind == EventKind::Underload { need } else { sizing::wanted(need, place) };
    Some(Wish { hosts, need, least, likely })
}

/// For each host, what it may take before it comes to its target, and whether it takes VMs at all.
pub(crate) fn rooms<'a>(cell: &'a Cell, settings: &Settings) -> BTreeMap<&'a str, (Pair, bool)> {
    let levels = Levels::new(&settings.detection);
    let scene = Scene { cell, due: &[], busy: &|_| false, settings, levels, loads: loads(cell) };
    let room = |(name, host): (&'a String, &HostEntry)| {
        let takes = takes_vms(host);
        let free = if takes { scene.free(name, host) } else { [0, 0] };
        (name.as_str(), (free, takes))
    };
    cell.hosts.iter().map(room).collect()
}

struct Scene<'a> {
    cell: &'a Cell,
    due: &'a [Trouble],
    busy: &'a dyn Fn(&str) -> bool,
    settings: &'a Settings,
    levels: Levels,
    loads: BTreeMap<&'a str, Load>,
}

/// What a trouble is about: the hosts that it needs for certain, what has to find a place elsewhere, and hosts
/// that rules make the likely ones.
#[derive(Default)]
struct Core {
    hosts: BTreeSet<String>,
    need: Pair,
    /// The least VM that has to leave, where it is one.
    place: Pair,
    likely: BTreeSet<String>,
}

impl Scene<'_> {
    fn load(&self, host: &str) -> Load {
        self.loads.get(host).copied().unwrap_or_default()
    }

    fn usable(&self, host: &HostEntry) -> Pair {
        usable(host, &self.settings.inventory)
    }

    /// What a host may take before it comes to its target.
    fn free(&self, name: &str, host: &HostEntry) -> Pair {
        let mut free = parts(self.usable(host), self.levels.target);
        subtract(&mut free, self.load(name).now);
        free.map(|amount| amount.max(0))
    }

    fn repair(&self, trouble: &Trouble, wider: u32) -> Option<Ask> {
        let mut core = self.core(trouble)?;
        if core.hosts.iter().any(|host| (self.busy)(host)) {
            return None;
        }
        if trouble.kind == EventKind::VmWaiting {
            core.need = self.waiting_need(&core.hosts);
        }
        let (receivers, waits) = self.receivers(&core);
        if receivers.is_empty() && (waits || core.hosts.is_empty()) {
            return None;
        }
        if wider == 0
            && let Some(ask) = self.relieve(trouble, &core, &receivers)
        {
            return Some(ask);
        }
        // A VM that waits for hosts with room needs no others at first.
        let alone = wider == 0 && trouble.kind == EventKind::VmWaiting && core.need == [0, 0];
        let fewest = if alone { 0 } else { FEWEST };
        let least = self.least(&core);
        let Size { count, whole, short } =
            sizing::size(&receivers, sizing::wanted(core.need, core.place), least, fewest, wider);
        let mut hosts = core.hosts;
        hosts.extend(receivers.iter().take(count).map(|receiver| receiver.host.clone()));
        if whole {
            hosts.extend(self.others());
        }
        let keys = self.together(trouble, &hosts);
        let purpose = purpose(trouble, &keys);
        Some(Ask { hosts, objective: "REPAIR".into(), purpose, keys, whole, only: None, short })
    }

    /// An overload that one VM can end by its move, with most room left at both ends. Rules are for the solver.
    fn relieve(&self, trouble: &Trouble, core: &Core, receivers: &[Receiver<&String>]) -> Option<Ask> {
        let rules = &self.settings.constraints;
        let host = self.cell.hosts.get(&trouble.subject)?;
        if !self.settings.planning.roomy
            || trouble.kind != EventKind::Overload
            || core.hosts.len() != 1
            || !core.likely.is_empty()
        {
            return None;
        }
        let movable = |(name, vm): &(&String, &VmEntry)| {
            vm.report.state == VmState::Running
                && self.cell.flight(name).is_none()
                && !rules.iter().any(|rule| is_about(self.cell, rule, name))
        };
        let vms: Vec<_> = host.living().filter(movable).map(|(name, vm)| (name, demand(vm))).collect();
        let end = |host, entry: &HostEntry, used| {
            let usable = self.usable(entry);
            End { host, used, limit: parts(usable, self.levels.target), usable }
        };
        let from = end(&trouble.subject, host, self.load(&trouble.subject).later);
        let to = receivers.iter().filter(|receiver| !receiver.troubled).filter_map(|receiver| {
            let entry = self.cell.hosts.get(receiver.host)?;
            let [cpu, memory] = self.load(receiver.host).now;
            Some(end(receiver.host, entry, [cpu.max(self.usual_cpu(entry)), memory]))
        });
        let (vm, to) = relieve(&vms, &from, &to.collect::<Vec<_>>())?;
        let hosts = BTreeSet::from([trouble.subject.clone(), to.clone()]);
        let keys = vec![trouble.key()];
        let (purpose, only) = (purpose(trouble, &keys), Some(vm.clone()));
        Some(Ask { hosts, objective: "REPAIR".into(), purpose, keys, whole: false, only, short: false })
    }

    /// Millicores that the VMs of a host usually use.
    fn usual_cpu(&self, host: &HostEntry) -> i64 {
        let inventory = &self.settings.inventory;
        if inventory.usual_s > 0.0 {
            host.living().map(|(_, vm)| vm.usual_cpu(self.cell.now(), inventory)).sum::<f64>() as i64
        } else {
            0
        }
    }

    /// Of the hosts that rules make the likely ones those of the cell with most room, and some of other cells, not the same
    /// ones for all.
    fn likeliest(&self, core: &Core, subject: &str) -> BTreeSet<String> {
        let (receivers, _) = self.receivers(core);
        let here = receivers.iter().map(|receiver| receiver.host).filter(|name| core.likely.contains(*name));
        let there: Vec<&String> =
            core.likely.iter().filter(|name| !self.cell.hosts.contains_key(*name)).collect();
        let first = subject.bytes().fold(0, |sum, byte| sum + usize::from(byte)) % there.len().max(1);
        let there = there.iter().cycle().skip(first).take(NAMED.min(there.len())).copied();
        here.take(NAMED).chain(there).cloned().collect()
    }

    /// `None` when there is nothing to be done about it at this moment.
    fn core(&self, trouble: &Trouble) -> Option<Core> {
        let subject = &trouble.subject;
        let mut core = Core::default();
        match trouble.kind {
            EventKind::VmWaiting => {
                let vm = self.cell.waiting.get(subject)?;
                if self.cell.flight(subject).is_some() {
                    return None;
                }
                core.need = demand(vm);
                // Where it is defined it is started, and nowhere else.
                if let Some(defined) = linked::defined_at(self.cell, subject) {
                    let ready = |host: &&str| self.cell.hosts.get(*host).is_some_and(takes_vms);
                    core.hosts = defined.into_iter().filter(ready).map(str::to_owned).collect();
                    if core.hosts.is_empty() {
                        return None;
                    }
                }
            }
            EventKind::RuleBroken => {
                let rule = self.settings.constraints.iter().find(|rule| rule.name == *subject)?;
                for (vm, host) in linked::culprits(self.cell, rule) {
                    if let Some((_, entry)) = self.cell.vm(&vm) {
                        add(&mut core.need, demand(entry));
                    }
                    core.hosts.insert(host);
                }
                core.hosts.retain(|host| self.cell.hosts.get(host).is_some_and(HostEntry::is_known));
                if core.hosts.is_empty() {
                    return None;
                }
            }
            _ => {
                let host = self.cell.hosts.get(subject)?;
                let failed = trouble.kind == EventKind::HostFailed;
                if !(host.is_known() || failed && host.connection == Connection::Failed) {
                    return None;
                }
                core.hosts.insert(subject.clone());
                core.need = self.load(subject).later;
                if trouble.kind == EventKind::Overload {
                    subtract(&mut core.need, parts(self.usable(host), self.levels.target));
                    core.need = core.need.map(|amount| amount.max(0));
                    core.place = sizing::place(host.living().map(|(_, vm)| demand(vm)), core.need);
                }
            }
        }
        core.likely = linked::likely(self.cell, &self.settings.constraints, &core.hosts, subject);
        Some(core)
    }

    /// The least of what is on the hosts of a trouble, in each resource that is needed: smaller rooms are no help.
    fn least(&self, core: &Core) -> Pair {
        let hosts = core.hosts.iter().filter_map(|host| self.cell.hosts.get(host));
        sizing::least(hosts.flat_map(HostEntry::living).map(|(_, vm)| demand(vm)), core.need)
    }

    /// Hosts that may take VMs, the most helpful ones first; and whether there are more that are busy.
    fn receivers(&self, core: &Core) -> (Vec<Receiver<&String>>, bool) {
        let troubled: BTreeSet<&str> = (self.due.iter())
            .filter(|trouble| trouble.kind != EventKind::Underload)
            .map(|trouble| trouble.host.as_str())
            .collect();
        let candidates =
            self.cell.hosts.iter().filter(|(name, host)| takes_vms(host) && !core.hosts.contains(*name));
        let (busy, ready): (Vec<_>, Vec<_>) = candidates.partition(|(name, _)| (self.busy)(name));
        let ready = ready.into_iter().map(|(host, entry)| Receiver {
            host,
            free: self.free(host, entry),
            troubled: troubled.contains(String::as_str(host)),
            likely: core.likely.contains(host),
        });
        let mut ready: Vec<_> = ready.collect();
        sizing::rank(&mut ready, core.need);
        (ready, !busy.is_empty())
    }

    /// What all due VMs that wait for these hosts, or with none for any, need beyond what is free there.
    fn waiting_need(&self, hosts: &BTreeSet<String>) -> Pair {
        let mut need = [0, 0];
        for trouble in self.due.iter().filter(|trouble| trouble.kind == EventKind::VmWaiting) {
            if let Some(core) = self.core(trouble).filter(|core| core.hosts == *hosts) {
                add(&mut need, core.need);
            }
        }
        for (name, host) in hosts.iter().filter_map(|name| self.cell.hosts.get_key_value(name)) {
            subtract(&mut need, self.free(name, host));
        }
        need.map(|amount| amount.max(0))
    }

    /// What takes no VMs may still have some that are in the way.
    fn others(&self) -> impl Iterator<Item = String> {
        let known = self.cell.hosts.iter().filter(|(name, host)| host.is_known() && !(self.busy)(name));
        known.map(|(name, _)| name.clone())
    }

    /// The troubles that a plan for these hosts answers.
    fn together(&self, first: &Trouble, hosts: &BTreeSet<String>) -> Vec<Key> {
        let anywhere = |trouble: &Trouble| self.core(trouble).is_some_and(|core| core.hosts.is_empty());
        let free = anywhere(first);
        let concerns = |trouble: &&Trouble| {
            *trouble != first
                && may_join(first.kind, trouble.kind)
                && anywhere(trouble) == free
                && self.core(trouble).is_some_and(|core| core.hosts.is_subset(hosts))
        };
        std::iter::once(first).chain(self.due.iter().filter(concerns)).map(Trouble::key).collect()
    }

    /// The emptiest hosts: they are those that can be emptied, and those that have room.
    fn consolidate(&self, trouble: &Trouble) -> Option<Ask> {
        let runs = |(name, host): &(&String, &HostEntry)| {
            let load = self.load(name);
            let calm = !exceeds(load.now, parts(self.usable(host), self.levels.overload));
            takes_vms(host) && !(self.busy)(name) && load.vms > 0 && calm
        };
        let found = self.cell.hosts.iter().filter(runs);
        let found = found.map(|(name, host)| (name, share(self.load(name).now, self.usable(host))));
        let most = self.settings.planning.consolidate_hosts;
        let hosts = thrift::emptiest(found.collect(), &&trouble.subject, most)?;
        let hosts: BTreeSet<String> = hosts.into_iter().cloned().collect();
        let others = self.due.iter().filter(|other| *other != trouble && other.kind == trouble.kind);
        let others = others.filter(|other| hosts.contains(&other.subject));
        let keys: Vec<_> = std::iter::once(trouble).chain(others).map(Trouble::key).collect();
        let purpose = purpose(trouble, &keys);
        Some(Ask {
            hosts,
            objective: "CONSOLIDATE".into(),
            purpose,
            keys,
            whole: true,
            only: None,
            short: false,
        })
    }
}

/// Only troubles whose plan always exists are answered with others: one that cannot be solved (a drain without
/// room, a rule that nothing fulfils) must not be in the way of the rest, nor one that waits for approval (VMs
/// of a failed host).
fn may_join(first: EventKind, other: EventKind) -> bool {
    first == other && matches!(first, EventKind::Overload | EventKind::VmWaiting)
}

fn takes_vms(host: &HostEntry) -> bool {
    host.is_known() && host.admin == AdminState::Online
}

fn purpose(trouble: &Trouble, keys: &[Key]) -> String {
    match keys.len() - 1 {
        0 => trouble.message.clone(),
        more => format!("{} (and {more} more)", trouble.message),
    }
}

//! Hosts, their VMs, and what they are expected to carry.

use super::afar::Afar;
use super::settle::Homes;
use crate::coordinator::settings;
use crate::partition::Usual;
use crate::record::{ActionKey, AdminState, Connection, Hello, Usage, VmReport, VmState};
use dvms_solver::file::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// How long it is remembered that a VM has left. It must be longer than the answers of other coordinators are waited for,
/// and than a host takes to tell of a VM that has come.
const LATELY: Duration = Duration::from_secs(20);

/// Amount per resource.
pub(crate) type Amounts = BTreeMap<String, i64>;

/// The hosts of a coordinator and their VMs.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub(crate) hosts: BTreeMap<String, HostEntry>,
    /// Actions that agents have, by VM.
    pub(super) flights: BTreeMap<String, Flight>,
    /// VMs under way that their source does not have any more, as it had them.
    pub(super) departed: BTreeMap<String, VmEntry>,
    /// Where each VM lives and lived.
    pub(super) homes: Homes,
    /// VMs that run nowhere and should, as last seen.
    pub(crate) waiting: BTreeMap<String, VmEntry>,
    /// When VMs were last here that have left since, for a while.
    left: BTreeMap<String, Left>,
    /// The time of the last input.
    pub(super) at: Duration,
    /// VMs that only the store tells of: what an agent says of them counts alone.
    pub(super) revived: BTreeSet<String>,
    /// Share of its bandwidth that migrations from a host were seen to reach; all of it where nothing is known.
    pub(crate) reached: BTreeMap<String, f64>,
    /// What other cells have, as far as rules are about it.
    pub(crate) afar: Afar,
    /// Names whose records have changed since they were last asked for.
    pub(super) changed_hosts: BTreeSet<String>,
    pub(super) changed_vms: BTreeSet<String>,
}

/// A VM that was here.
#[derive(Debug)]
pub(crate) struct Left {
    at: Duration,
    /// Where it has gone, as far as is known; the host that it was on, where that has left with it.
    pub(crate) host: String,
    pub(crate) labels: Labels,
}

/// A hypervisor.
#[derive(Debug, Clone)]
pub(crate) struct HostEntry {
    pub(crate) hello: Hello,
    pub(crate) admin: AdminState,
    pub(crate) connection: Connection,
    /// Fencing number of its last session.
    pub(crate) epoch: u64,
    /// Whether its session stands; a host that is only silent is LOST, not FAILED.
    pub(crate) session: bool,
    /// Whether the session has sent its inventory: before it nothing is known.
    pub(crate) inventoried: bool,
    /// Last report, or the end of the session.
    pub(crate) seen: Duration,
    pub(crate) seen_wall: SystemTime,
    pub(crate) usage: Usage,
    pub(crate) vms: BTreeMap<String, VmEntry>,
    /// VMs that ran here when it was restarted; those of them that still wait are what matters.
    pub(crate) dropped: BTreeSet<String>,
}

/// A VM as its host reports it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VmEntry {
    /// Its definition is kept when a delta leaves it out.
    pub(crate) report: VmReport,
    /// Smoothed use in millicores.
    pub(super) cpu: f64,
    pub(super) cpu_at: Duration,
    /// What it has used so far.
    usual: Usual,
}

/// An action that an agent has: its VM counts at both ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flight {
    pub(crate) key: ActionKey,
    /// Empty for the start of a VM that waits; a failed host for one that is restarted.
    pub(crate) source: String,
    pub(crate) destination: String,
    /// A live migration; otherwise a start.
    pub(crate) migrates: bool,
    /// MiB/s that it may use.
    pub(crate) rate: f64,
}

impl VmEntry {
    /// A VM as first seen.
    pub(crate) fn new(report: VmReport, now: Duration) -> Self {
        let cpu = report.cpu_millicores.max(0) as f64;
        Self { cpu, cpu_at: now, usual: Usual::new(cpu, now), report }
    }

    /// Takes a new report; cpu use is smoothed with a time constant in seconds.
    pub(super) fn update(&mut self, mut report: VmReport, now: Duration, settings: &settings::Inventory) {
        self.approach(report.cpu_millicores, now, settings);
        if report.definition.is_empty() {
            report.definition = std::mem::take(&mut self.report.definition);
        }
        self.report = report;
    }

    /// Its host has spoken and said nothing of it: it uses what it used, and agents tell only what has changed.
    pub(super) fn goes_on(&mut self, now: Duration, settings: &settings::Inventory) {
        if self.report.state == VmState::Running {
            self.approach(self.report.cpu_millicores, now, settings);
        }
    }

    fn approach(&mut self, cpu_millicores: i64, now: Duration, settings: &settings::Inventory) {
        let used = cpu_millicores.max(0) as f64;
        self.usual.tell(used, now, settings.usual());
        let passed = now.saturating_sub(self.cpu_at).as_secs_f64();
        let smoothing_s = settings.smoothing_s;
        let weight = if smoothing_s > 0.0 { 1.0 - (-passed / smoothing_s).exp() } else { 1.0 };
        let difference = used - self.cpu;
        // The rest is less than what is told.
        self.cpu += if difference.abs() < 1.0 { difference } else { weight * difference };
        self.cpu_at = now;
    }

    /// It goes on using what it used elsewhere: a shell that receives a VM says nothing about it.
    pub(super) fn carry(&mut self, before: &Self) {
        (self.cpu, self.cpu_at, self.usual) = (before.cpu, before.cpu_at, before.usual);
    }

    /// What is kept of it, with smoothed use.
    pub(crate) fn kept(&self) -> VmReport {
        let cpu = self.demand().get("cpu").copied().unwrap_or(0);
        VmReport { cpu_millicores: cpu, ..self.report.clone() }
    }

    /// Millicores that are planned with.
    pub(super) fn planned_cpu(&self) -> i64 {
        (self.cpu / 10.0).ceil().max(0.0) as i64 * 10
    }

    /// Millicores that it usually uses.
    pub(crate) fn usual_cpu(&self, now: Duration, settings: &settings::Inventory) -> f64 {
        self.usual.mean(now, settings.usual())
    }

    /// What is planned with. Cpu is rounded up to 10 millicores: finer is noise, and makes VMs that are alike
    /// look different.
    pub(crate) fn demand(&self) -> Amounts {
        named(self.planned())
    }

    /// The same: millicores and MiB.
    pub(crate) fn planned(&self) -> [i64; 2] {
        [self.planned_cpu(), self.report.memory_mib.max(0)]
    }
}

/// Amounts by the names that problems have for them.
fn named([cpu, memory]: [i64; 2]) -> Amounts {
    [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into()
}

impl HostEntry {
    /// What VMs may use: capacity with overcommit, less the reserve.
    pub(crate) fn usable(&self, settings: &settings::Inventory) -> Amounts {
        named(self.usable_pair(settings))
    }

    /// The same: millicores and MiB.
    pub(crate) fn usable_pair(&self, settings: &settings::Inventory) -> [i64; 2] {
        let part = |amount: i64, overcommit: f64, reserve: f64| {
            ((amount.max(0) as f64) * overcommit * (1.0 - reserve) + 1e-6).floor() as i64
        };
        let capacity = &self.hello.capacity;
        let cpu = part(capacity.cpu_millicores, settings.cpu_overcommit, settings.cpu_reserve);
        let memory = part(capacity.memory_mib, settings.memory_overcommit, settings.memory_reserve);
        [cpu, memory]
    }

    /// VMs that live here.
    pub(crate) fn living(&self) -> impl Iterator<Item = (&String, &VmEntry)> {
        self.vms.iter().filter(|(_, vm)| vm.report.state.lives_here())
    }

    /// Whether it may be planned with: connected, and known.
    pub(crate) fn is_known(&self) -> bool {
        self.connection == Connection::Connected && self.inventoried
    }

    /// Migrations that may touch it at once.
    pub(crate) fn max_migrations(&self, settings: &settings::Inventory) -> u32 {
        match self.hello.capacity.max_migrations {
            0 => settings.max_migrations,
            own => own,
        }
    }

    /// MiB/s that migrations may use in each direction.
    pub(crate) fn migration_bandwidth(&self, settings: &settings::Inventory) -> f64 {
        let own = self.hello.capacity.migration_bandwidth_mib_s;
        if own > 0.0 { own } else { settings.migration_bandwidth_mib_s }
    }
}

impl Cell {
    /// The time of the last input.
    pub(crate) fn now(&self) -> Duration {
        self.at
    }

    /// Where a VM lives, if it does on exactly one host.
    pub(crate) fn home(&self, vm: &str) -> Option<&str> {
        self.homes.only(vm)
    }

    /// All hosts where a VM lives.
    pub(crate) fn homes(&self, vm: &str) -> impl Iterator<Item = &str> {
        self.homes.all(vm)
    }

    /// A VM and where it lives; of two hosts the first by name.
    pub(crate) fn vm(&self, name: &str) -> Option<(&str, &VmEntry)> {
        let host = self.homes.all(name).next()?;
        Some((host, self.hosts.get(host)?.vms.get(name)?))
    }

    /// MiB/s that a host is planned with: of what it has, what migrations from it were seen to reach.
    pub(crate) fn planned_bandwidth(&self, host: &HostEntry, settings: &settings::Inventory) -> f64 {
        let reached = self.reached.get(&host.hello.host).copied().unwrap_or(1.0);
        host.migration_bandwidth(settings) * reached
    }

    /// The action that an agent has for a VM.
    pub(crate) fn flight(&self, vm: &str) -> Option<&Flight> {
        self.flights.get(vm)
    }

    /// All actions that agents have, by VM.
    pub(crate) fn flights(&self) -> impl Iterator<Item = (&String, &Flight)> {
        self.flights.iter()
    }

    /// Migrations that touch a host now.
    pub(crate) fn migrations(&self, host: &str) -> u32 {
        let touching = self.flights.values().filter(|flight| flight.migrates);
        touching.filter(|f| f.source == host || f.destination == host).count() as u32
    }

    /// MiB/s that some of the migrations may use together.
    pub(crate) fn traffic(&self, of: impl Fn(&Flight) -> bool) -> f64 {
        self.flights.values().filter(|flight| flight.migrates && of(flight)).map(|flight| flight.rate).sum()
    }

    /// What VMs are expected to use on a host: those that live there, and those on their way.
    pub(crate) fn expected(&self, host: &str) -> Amounts {
        let mut sum = Amounts::from([("cpu".to_owned(), 0), ("memory".to_owned(), 0)]);
        let mut add = |demand: Amounts| {
            for (resource, amount) in demand {
                *sum.entry(resource).or_default() += amount;
            }
        };
        if let Some(entry) = self.hosts.get(host) {
            entry.living().for_each(|(_, vm)| add(vm.demand()));
        }
        for (vm, flight) in &self.flights {
            if flight.destination == host && !self.homes.lives(vm, host) {
                add(self.arriving(vm).map(VmEntry::demand).unwrap_or_default());
            }
        }
        sum
    }

    /// What is known of a VM that is on its way: from where it is, waits, or was.
    pub(crate) fn arriving(&self, vm: &str) -> Option<&VmEntry> {
        let there = self.vm(vm).map(|(_, entry)| entry);
        there.or_else(|| self.departed.get(vm)).or_else(|| self.waiting.get(vm))
    }

    /// An agent has an action now.
    pub(crate) fn take_off(&mut self, vm: &str, flight: Flight) {
        self.touch_flight(vm, &flight);
        self.departed.remove(vm);
        self.flights.insert(vm.to_owned(), flight);
    }

    /// An action has ended. When it is `done`, its VM lives at the destination from now on, whatever reports
    /// follow later.
    pub(crate) fn land(&mut self, vm: &str, done: bool) {
        let Some(flight) = self.flights.remove(vm) else { return };
        self.touch_flight(vm, &flight);
        let departed = self.departed.remove(vm);
        if !done {
            // It does not leave any more, whatever its host said last.
            let stays = self.hosts.get_mut(&flight.source).and_then(|source| source.vms.get_mut(vm));
            if let Some(entry) = stays.filter(|entry| entry.report.state == VmState::MigratingOut) {
                entry.report.state = VmState::Running;
            }
            return;
        }
        // Wherever it goes to may not have told of it yet.
        let labels = self.arriving(vm).or(departed.as_ref()).map(|entry| entry.report.labels.clone());
        self.note_left(vm, &flight.destination, labels.unwrap_or_default());
        let left = self.hosts.get_mut(&flight.source).and_then(|source| source.vms.remove(vm));
        let waited = self.waiting.remove(vm);
        let before = departed.or(left).or(waited);
        let Some(destination) = self.hosts.get_mut(&flight.destination) else {
            // It has left the cell.
            return self.homes.leave(vm, &flight.source);
        };
        if let Some(there) = destination.vms.get_mut(vm) {
            // One that was seen to run there has brought it already.
            if let Some(before) = before.filter(|_| !there.report.state.lives_here()) {
                there.carry(&before);
            }
            there.report.state = VmState::Running;
        } else if let Some(mut entry) = before {
            entry.report.state = VmState::Running;
            destination.vms.insert(vm.to_owned(), entry);
        } else {
            // Nothing is known of it but its name: its host tells.
            return self.homes.leave(vm, &flight.source);
        }
        self.homes.moved_by_us(vm, &flight.source, &flight.destination);
    }

    fn touch_flight(&mut self, vm: &str, flight: &Flight) {
        self.changed_vms.insert(vm.to_owned());
        for host in [&flight.source, &flight.destination] {
            self.changed_hosts.insert(host.clone());
        }
    }

    /// Nothing is known of a host any more, nor of the VMs that were only there or wait since it failed.
    pub(crate) fn forget(&mut self, host: &str) {
        let Some(entry) = self.hosts.remove(host) else { return };
        self.reached.remove(host);
        let down = entry.dropped.iter().filter(|vm| self.waiting.remove(*vm).is_some());
        let mut gone: BTreeSet<String> = down.cloned().collect();
        for (vm, was) in entry.vms {
            if was.report.state.lives_here() {
                self.note_left(&vm, host, was.report.labels.clone());
            }
            self.homes.leave(&vm, host);
            gone.insert(vm);
        }
        self.revived.retain(|vm| !gone.contains(vm));
        self.changed_vms.append(&mut gone);
        self.changed_hosts.insert(host.to_owned());
    }

    /// A VM that was here may be somewhere else from now on.
    pub(super) fn note_left(&mut self, vm: &str, host: &str, labels: Labels) {
        self.left.insert(vm.to_owned(), Left { at: self.at, host: host.to_owned(), labels });
    }

    /// VMs that were here until lately.
    pub(crate) fn left_lately(&self) -> impl Iterator<Item = (&String, &Left)> {
        self.left.iter().filter(|(vm, _)| self.was_here_lately(vm))
    }

    /// Whether a VM was here until lately: wherever it is now may not have been told yet.
    pub(crate) fn was_here_lately(&self, vm: &str) -> bool {
        self.left.get(vm).is_some_and(|left| self.at < left.at + LATELY)
    }

    /// Forgets VMs that left a while ago.
    pub(super) fn forget_left(&mut self) {
        let now = self.at;
        self.left.retain(|_, left| now < left.at + LATELY);
    }

    /// VMs that are down, as far as is known here: they wait, or were on a host that has failed and are on no other.
    pub(crate) fn are_down(&self) -> BTreeSet<String> {
        let failed = self.hosts.values().filter(|host| host.connection == Connection::Failed);
        let missing = failed.flat_map(HostEntry::living).map(|(vm, _)| vm);
        let missing = missing.filter(|vm| self.is_down(vm)).chain(self.waiting.keys());
        missing.filter(|vm| !self.flights.contains_key(*vm)).cloned().collect()
    }

    /// Whether a VM was on hosts that have failed, and is on no other.
    pub(crate) fn is_down(&self, vm: &str) -> bool {
        let failed =
            |host: &str| self.hosts.get(host).is_some_and(|host| host.connection == Connection::Failed);
        self.homes.all(vm).all(failed)
    }

    /// A VM that is down here is for others to start.
    pub(crate) fn give_up(&mut self, vm: &str) {
        self.waiting.remove(vm);
        let homes: Vec<String> = self.homes.all(vm).map(str::to_owned).collect();
        for home in homes {
            if let Some(entry) = self.hosts.get_mut(&home) {
                entry.vms.remove(vm);
            }
            self.homes.leave(vm, &home);
            self.touch(&home);
        }
        self.changed_vms.insert(vm.to_owned());
    }

    /// A VM that ran on a host before it was restarted waits for a place, unless it has one.
    pub(crate) fn waits_since(&mut self, host: &str, vm: VmEntry) {
        let name = vm.report.name.clone();
        if self.homes.all(&name).next().is_some() || self.waiting.contains_key(&name) {
            return;
        }
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.dropped.insert(name.clone());
            self.changed_vms.insert(name.clone());
            self.waiting.insert(name, vm);
        }
    }

    /// Takes in a host of another cell for a while, see [`give_back`](Self::give_back).
    pub(crate) fn lend(&mut self, host: &str, entry: HostEntry) {
        for (vm, _) in entry.living() {
            self.homes.place(vm, host);
        }
        self.hosts.insert(host.to_owned(), entry);
    }

    /// Takes a host out that was lent, as it has become.
    pub(crate) fn give_back(&mut self, host: &str) -> Option<HostEntry> {
        let entry = self.hosts.remove(host)?;
        for vm in entry.vms.keys() {
            self.homes.leave(vm, host);
        }
        Some(entry)
    }

    /// A VM is expected from a host that is not of this cell.
    pub(crate) fn expect(&mut self, vm: VmEntry, flight: Flight) {
        let name = vm.report.name.clone();
        self.take_off(&name, flight);
        self.departed.insert(name, vm);
    }

    /// Marks a host's record as changed.
    pub(crate) fn touch(&mut self, host: &str) {
        self.changed_hosts.insert(host.to_owned());
    }

    /// The same of all VMs: what is said of them depends on the rules.
    pub(crate) fn touch_all_vms(&mut self) {
        let all = self.hosts.values().flat_map(|host| host.vms.keys()).chain(self.waiting.keys());
        let all: Vec<String> = all.cloned().collect();
        self.changed_vms.extend(all);
    }

    /// Names whose records have changed since the last call: hosts, VMs.
    pub(crate) fn take_changes(&mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        (std::mem::take(&mut self.changed_hosts), std::mem::take(&mut self.changed_vms))
    }
}

//! The state of all simulated hosts, and how it goes on with time.

use super::history::{History, Resident, Step, StepKind};
use super::load::Load;
use super::migration::Migration;
use crate::hypervisor::{End, Failure, Finished, Job, NumaCell, Reason, VmState};
use std::collections::{BTreeMap, BTreeSet};

/// Outcomes of migrations that are remembered for whoever asks late.
const REMEMBERED: usize = 10_000;

/// A host to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSpec {
    /// Unique name.
    pub name: String,
    /// All cores, 1000 each.
    pub cpu_millicores: i64,
    /// Memory.
    pub memory_mib: i64,
    /// For migrations, in each direction, shared by all of them.
    pub migration_bandwidth_mib_s: f64,
    /// NUMA cells; shown only.
    pub numa_cells: Vec<NumaCell>,
}

/// A VM to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct VmSpec {
    /// Unique name.
    pub name: String,
    /// Bounds what it gets of the CPU.
    pub vcpus: i64,
    /// Memory, all of it held on the host.
    pub memory_mib: i64,
    /// What it does.
    pub load: Load,
    /// Memory it writes.
    pub dirty_mib_s: f64,
    /// Free key/value.
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) spec: VmSpec,
    pub(super) state: VmState,
}

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) spec: HostSpec,
    pub(super) vms: BTreeMap<String, Instance>,
    /// The daemon answers nobody.
    pub(super) hanging: bool,
    stalled: bool,
}

/// How a migration ended.
pub(super) type Outcome = Result<Finished, Failure>;

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct State {
    now_s: f64,
    pub(super) hosts: BTreeMap<String, Host>,
    migrations: Vec<Migration>,
    outcomes: BTreeMap<u64, Outcome>,
    next_id: u64,
    failures: BTreeMap<String, f64>,
    history: History,
    touched: BTreeSet<String>,
}

/// A UUID made of the name, so that a VM has the same one everywhere and in every run.
pub(super) fn uuid_of(name: &str) -> String {
    let step = |hash: u128, byte: u8| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    };
    let hash = name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
    let hex = format!("{hash:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

impl State {
    pub(super) fn add_host(&mut self, spec: HostSpec) {
        let name = spec.name.clone();
        self.touched.insert(name.clone());
        self.hosts.insert(name, Host { spec, vms: BTreeMap::new(), hanging: false, stalled: false });
    }

    pub(super) fn add_vm(&mut self, host: &str, spec: VmSpec) {
        self.touched.insert(host.to_owned());
        let there = self.hosts.get_mut(host).unwrap_or_else(|| panic!("there is no simulated host {host:?}"));
        there.vms.insert(spec.name.clone(), Instance { spec, state: VmState::Running });
    }

    pub(super) fn has_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }

    fn instances_of<'s>(&'s mut self, vm: &'s str) -> impl Iterator<Item = &'s mut Instance> {
        self.hosts.values_mut().filter_map(move |host| host.vms.get_mut(vm))
    }

    pub(super) fn set_load(&mut self, vm: &str, load: Load) {
        self.instances_of(vm).for_each(|instance| instance.spec.load = load);
    }

    pub(super) fn demand_millicores(&mut self, vm: &str) -> Option<i64> {
        let now_s = self.now_s;
        self.instances_of(vm).find(|i| i.runs()).map(|instance| instance.wanted(now_s) as i64)
    }

    pub(super) fn vms_on(&self, host: &str) -> Vec<String> {
        let vms = self.hosts.get(host).map(|host| &host.vms);
        let running = vms.into_iter().flatten().filter(|(_, instance)| instance.runs());
        running.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn cpu_millicores(&self, host: &str) -> i64 {
        self.hosts.get(host).map_or(0, |host| host.spec.cpu_millicores)
    }

    pub(super) fn split_brains(&self) -> Vec<String> {
        let mut count: BTreeMap<&String, usize> = BTreeMap::new();
        for (name, instance) in self.hosts.values().flat_map(|host| &host.vms) {
            *count.entry(name).or_default() += usize::from(instance.runs());
        }
        count.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn residents(&self) -> Vec<Resident> {
        let of_host = |(host, there): (&String, &Host)| -> Vec<Resident> {
            let resident = |(vm, instance): (&String, &Instance)| Resident {
                vm: vm.clone(),
                host: host.clone(),
                runs: instance.runs(),
                wanted_millicores: instance.wanted(self.now_s) as i64,
                memory_mib: instance.held_mib(),
            };
            there.vms.iter().map(resident).collect()
        };
        self.hosts.iter().flat_map(of_host).collect()
    }

    pub(super) fn steps_after(&self, number: u64) -> Vec<Step> {
        self.history.after(number)
    }

    pub(super) fn set_hanging(&mut self, host: &str, hanging: bool) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.hanging = hanging;
        }
    }

    pub(super) fn set_stalled(&mut self, host: &str, stalled: bool) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.stalled = stalled;
        }
        self.share_links();
    }

    pub(super) fn fail_next_migration(&mut self, vm: &str, at_share: f64) {
        self.failures.insert(vm.to_owned(), at_share.clamp(0.0, 1.0));
    }

    pub(super) fn crash_host(&mut self, host: &str) {
        let ids: Vec<u64> = self.touching(host).map(|migration| migration.id).collect();
        for id in ids {
            self.end(id, Err(Failure::new(Reason::HypervisorError, format!("host {host} has lost power"))));
        }
        if let Some(there) = self.hosts.get_mut(host) {
            there.vms.clear();
            there.hanging = true;
        }
    }

    pub(super) fn destroy_vm(&mut self, vm: &str) {
        let id = self.migrations.iter().find(|migration| migration.vm == vm).map(|migration| migration.id);
        if let Some(id) = id {
            self.end(id, Err(Failure::new(Reason::VmEnded, format!("VM {vm} was destroyed on its way"))));
        }
        for (name, host) in &mut self.hosts {
            if host.vms.remove(vm).is_some() {
                self.touched.insert(name.clone());
            }
        }
    }

    pub(super) fn move_vm(&mut self, vm: &str, destination: &str) {
        let instance = self.instances_of(vm).find(|instance| instance.runs()).map(|i| i.spec.clone());
        let Some(spec) = instance else { return };
        self.destroy_vm(vm);
        self.add_vm(destination, spec);
    }

    /// Begins a migration; the source and destination were looked at before.
    pub(super) fn begin(
        &mut self,
        vm: &str,
        source: &str,
        destination: &str,
        limit_mib_s: f64,
        auto_converge: bool,
    ) -> Result<u64, Failure> {
        self.may_migrate(vm, source, destination)?;
        let there = self.hosts.get_mut(source).and_then(|host| host.vms.get_mut(vm));
        let Some(instance) = there else {
            return Err(Failure::new(Reason::VmNotHere, format!("VM {vm} is not on host {source}")));
        };
        instance.state = VmState::MigratingOut;
        let spec = instance.spec.clone();
        let memory_mib = spec.memory_mib as f64;
        let dirty_mib_s = spec.dirty_mib_s;
        if let Some(host) = self.hosts.get_mut(destination) {
            host.vms.insert(vm.to_owned(), Instance { spec, state: VmState::MigratingIn });
        }
        self.history.add(self.now_s, vm, source, destination, StepKind::Begun);
        self.next_id += 1;
        self.migrations.push(Migration {
            id: self.next_id,
            vm: vm.to_owned(),
            source: source.to_owned(),
            destination: destination.to_owned(),
            memory_mib,
            dirty_mib_s,
            limit_mib_s,
            auto_converge,
            post_copy: false,
            begun_s: self.now_s,
            sent_mib: 0.0,
            left_mib: memory_mib,
            throttle_percent: 0,
            rate_mib_s: 0.0,
            fails_at_mib: self.failures.remove(vm).map(|share| share * memory_mib),
        });
        self.touched.extend([source.to_owned(), destination.to_owned()]);
        self.share_links();
        Ok(self.next_id)
    }

    /// Refuses a migration that cannot succeed.
    pub(super) fn may_migrate(&self, vm: &str, source: &str, destination: &str) -> Result<(), Failure> {
        let refuse = |reason, message: String| Err(Failure::new(reason, message));
        let instance = self.hosts.get(source).and_then(|host| host.vms.get(vm));
        let instance = match instance {
            Some(instance) if matches!(instance.state, VmState::Running | VmState::Paused) => instance,
            Some(instance) if matches!(instance.state, VmState::MigratingOut | VmState::MigratingIn) => {
                return refuse(Reason::VmBusy, format!("VM {vm} is being migrated already"));
            }
            _ => return refuse(Reason::VmNotHere, format!("VM {vm} does not run on host {source}")),
        };
        let Some(there) = self.hosts.get(destination).filter(|host| !host.hanging) else {
            let message = format!("the hypervisor of host {destination} does not answer");
            return refuse(Reason::DestinationUnreachable, message);
        };
        if there.vms.contains_key(vm) {
            return refuse(Reason::NameClash, format!("host {destination} has a VM {vm} already"));
        }
        let free = there.free_memory_mib();
        if free < instance.spec.memory_mib {
            let wanted = instance.spec.memory_mib;
            let message = format!("host {destination} has {free} MiB free, VM {vm} needs {wanted} MiB");
            return refuse(Reason::Limit, message);
        }
        Ok(())
    }

    /// Present speed of each migration: the limit it was given, and its share of both hosts' links.
    fn share_links(&mut self) {
        let mut on: BTreeMap<String, f64> = BTreeMap::new();
        for migration in &self.migrations {
            for host in [&migration.source, &migration.destination] {
                *on.entry(host.clone()).or_default() += 1.0;
            }
        }
        for migration in &mut self.migrations {
            let share = |name: &String| {
                let host = self.hosts.get(name).filter(|host| !host.stalled && !host.hanging);
                host.map_or(0.0, |host| {
                    host.spec.migration_bandwidth_mib_s / on.get(name).copied().unwrap_or(1.0)
                })
            };
            migration.rate_mib_s =
                migration.limit_mib_s.min(share(&migration.source)).min(share(&migration.destination));
        }
    }

    /// Goes on to a time, through everything that happens on the way.
    pub(super) fn advance(&mut self, to_s: f64) {
        self.share_links();
        while self.now_s < to_s {
            let next =
                self.migrations.iter().map(|m| m.seconds_to_event(self.now_s)).fold(f64::INFINITY, f64::min);
            // A step has a length, so that rounding cannot hold the clock.
            let step = next.max(1e-6).min(to_s - self.now_s);
            self.now_s += step;
            for migration in &mut self.migrations {
                migration.advance(step, self.now_s);
            }
            self.end_what_ended();
        }
    }

    fn end_what_ended(&mut self) {
        let ended: Vec<u64> =
            self.migrations.iter().filter(|m| m.has_failed() || m.is_complete()).map(|m| m.id).collect();
        for id in ended {
            let Some(migration) = self.migrations.iter().find(|m| m.id == id) else { continue };
            let outcome = if migration.has_failed() {
                let message = format!("the stream of VM {} broke", migration.vm);
                Err(Failure::new(Reason::HypervisorError, message))
            } else {
                let seconds = (self.now_s - migration.begun_s).max(1e-3);
                Ok(Finished {
                    downtime_ms: Some((super::migration::DOWNTIME_S * 1000.0) as u32),
                    bytes_processed: Some(migration.sent_bytes()),
                    bandwidth_mib_s: Some(migration.sent_mib / seconds),
                })
            };
            self.end(id, outcome);
        }
        if !self.migrations.is_empty() {
            self.share_links();
        }
    }

    fn end(&mut self, id: u64, outcome: Outcome) {
        let Some(index) = self.migrations.iter().position(|migration| migration.id == id) else { return };
        let Migration { vm, source, destination, .. } = self.migrations.remove(index);
        let (from, to) = if outcome.is_ok() { (&source, &destination) } else { (&destination, &source) };
        if let Some(host) = self.hosts.get_mut(from) {
            host.vms.remove(&vm);
        }
        if let Some(instance) = self.hosts.get_mut(to).and_then(|host| host.vms.get_mut(&vm)) {
            instance.state = VmState::Running;
        }
        let kind = if outcome.is_ok() { StepKind::Arrived } else { StepKind::Failed };
        self.history.add(self.now_s, &vm, &source, &destination, kind);
        self.touched.extend([source, destination]);
        self.outcomes.insert(id, outcome);
        while self.outcomes.len() > REMEMBERED {
            self.outcomes.pop_first();
        }
        self.share_links();
    }

    /// How a migration ended; `None` = it has not.
    pub(super) fn outcome(&self, id: u64) -> Option<Outcome> {
        if self.migrations.iter().any(|migration| migration.id == id) {
            return None;
        }
        let forgotten = || Err(Failure::new(Reason::HypervisorError, "the migration is not known any more"));
        Some(self.outcomes.get(&id).cloned().unwrap_or_else(forgotten))
    }

    /// Seconds until a migration may have ended, by the present speed.
    pub(super) fn seconds_left(&self, id: u64) -> f64 {
        let migration = self.migrations.iter().find(|migration| migration.id == id);
        migration.map_or(0.0, |migration| migration.seconds_to_event(self.now_s))
    }

    /// What is missing of a VM is fetched from now on, and what it writes is not sent again.
    pub(super) fn post_copy(&mut self, vm: &str, source: &str) {
        for migration in self.migrations.iter_mut().filter(|m| m.vm == vm && m.source == source) {
            migration.post_copy = true;
        }
    }

    /// Ends a migration; not one that goes on at its destination already.
    pub(super) fn abort(&mut self, vm: &str, source: &str) {
        let of = |m: &&Migration| m.vm == vm && m.source == source && !m.post_copy;
        let found = self.migrations.iter().find(of).map(|m| m.id);
        if let Some(id) = found {
            let message = format!("the migration of VM {vm} was aborted");
            self.end(id, Err(Failure::new(Reason::Cancelled, message)));
        }
    }

    pub(super) fn job(&self, vm: &str, source: &str) -> Option<Job> {
        let migration = self.migrations.iter().find(|m| m.vm == vm && m.source == source)?;
        let elapsed_s = (self.now_s - migration.begun_s).max(0.0);
        Some(Job {
            bytes_processed: migration.sent_bytes(),
            bytes_remaining: migration.left_bytes(),
            bytes_total: migration.total_bytes(),
            iteration: 1 + (migration.sent_mib / migration.memory_mib.max(1.0)) as u64,
            bandwidth_mib_s: migration.rate_mib_s,
            throttle_percent: migration.throttle_percent,
            elapsed: std::time::Duration::from_secs_f64(elapsed_s),
        })
    }

    fn touching<'s>(&'s self, host: &'s str) -> impl Iterator<Item = &'s Migration> {
        self.migrations.iter().filter(move |m| m.source == host || m.destination == host)
    }

    /// A VM as a host's daemon shows it.
    pub(super) fn end_at(&self, vm: &str, host: &str) -> End {
        let Some(there) = self.hosts.get(host).filter(|there| !there.hanging) else {
            return End::Unreachable(format!("the hypervisor of host {host} does not answer"));
        };
        match there.vms.get(vm).map(|instance| instance.state) {
            None => End::Absent,
            Some(VmState::Running | VmState::MigratingOut) => End::Running,
            Some(VmState::Paused) => End::Paused,
            Some(VmState::Off) => End::Off,
            Some(VmState::Crashed) => End::Crashed,
            Some(VmState::MigratingIn) => End::PausedForMigration,
        }
    }

    /// Milli-cores that each VM of a host gets now.
    pub(super) fn shares(&self, host: &Host) -> BTreeMap<String, f64> {
        let running = host.vms.iter().filter(|(_, instance)| instance.runs());
        let wanted: BTreeMap<_, _> = running.map(|(name, i)| (name.clone(), i.wanted(self.now_s))).collect();
        let sum: f64 = wanted.values().sum();
        let has = host.spec.cpu_millicores as f64;
        let factor = if sum > has { has / sum } else { 1.0 };
        wanted.into_iter().map(|(name, wanted)| (name, wanted * factor)).collect()
    }
}

impl Host {
    fn free_memory_mib(&self) -> i64 {
        self.spec.memory_mib - self.vms.values().map(Instance::held_mib).sum::<i64>()
    }
}

impl Instance {
    /// Whether its vCPUs go.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, VmState::Running | VmState::MigratingOut)
    }

    /// Memory on its host; a migration to it has all of it reserved.
    pub(super) fn held_mib(&self) -> i64 {
        match self.state {
            VmState::Off | VmState::Crashed => 0,
            _ => self.spec.memory_mib,
        }
    }

    fn wanted(&self, now_s: f64) -> f64 {
        self.spec.load.at(now_s).min(self.spec.vcpus as f64 * 1000.0)
    }
}

//! The section `[start]`: a problem file is what there is at the start, its hosts, its VMs and where they are.

use super::Experiment;
use super::kinds::power;
use super::sections::Wrong;
use crate::simulator::ids::HostId;
use crate::simulator::world::{HostSetup, Power, VmSetup};
use dvms_solver::file::{Amounts, Host, Problem};
use dvms_solver::{Fault, Rejected};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What there is at the start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Start {
    /// The problem file; whoever reads the experiment gives it to [`Experiment::begin_with`].
    pub problem: String,
    /// Label of hosts whose values are the sites; absent = all are at one.
    pub site: Option<String>,
    /// What the file says and the simulator cannot mean, for people.
    #[serde(skip_deserializing)]
    pub ignored: Vec<String>,
    /// What was read.
    #[serde(skip)]
    given: Option<Arc<Given>>,
}

/// A problem as the simulator means it. Numbers are places in the file.
#[derive(Debug, PartialEq)]
pub(super) struct Given {
    pub(super) hosts: Vec<HostSetup>,
    pub(super) powers: Vec<Power>,
    /// Those that wait are nowhere.
    pub(super) vms: Vec<VmSetup>,
    /// Switched off.
    pub(super) off: Vec<HostId>,
    /// They stay down.
    pub(super) failed: Vec<HostId>,
}

/// Settings that the problem takes the place of.
pub(super) const SAID: [&str; 7] =
    ["hosts.count", "hosts.cpu", "hosts.memory", "hosts.kind", "hosts.sites", "vms.count", "vms.place"];
const MOST_SITES: usize = 1000;

impl Start {
    pub(super) fn faults(&self, it: &Experiment, wrong: &mut Wrong) {
        if self.problem.is_empty() {
            wrong("start.problem", "must say which file it is".to_owned());
        }
        if it.load.brings_vms() {
            let message = "brings its own VMs, but [start] has them already; take another load".to_owned();
            wrong("load.kind", message);
        }
    }

    pub(super) fn given(&self) -> Option<&Given> {
        self.given.as_deref()
    }
}

impl Experiment {
    /// Takes the problem that it starts with; where it wants none, there is nothing to take. What cannot be meant is listed in
    /// [`Start::ignored`].
    ///
    /// # Errors
    /// What would not be the same thing here, each with its path in the problem.
    pub fn begin_with(&mut self, problem: &Problem) -> Result<(), Rejected> {
        let Some(start) = &self.start else { return Ok(()) };
        let mut reading = Reading { it: self, site: start.site.as_deref(), problem, faults: Vec::new() };
        let given = reading.all();
        if !reading.faults.is_empty() {
            return Err(Rejected { faults: reading.faults });
        }
        self.hosts.count = given.hosts.len() as u32;
        self.hosts.sites = given.hosts.iter().map(|host| host.site + 1).max().unwrap_or(1);
        self.vms.count = given.vms.len() as u32;
        if let Some(start) = &mut self.start {
            (start.given, start.ignored) = (Some(Arc::new(given)), ignored(problem));
        }
        Ok(())
    }
}

struct Reading<'p> {
    it: &'p Experiment,
    site: Option<&'p str>,
    problem: &'p Problem,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn wrong(&mut self, path: String, message: String) {
        self.faults.push(Fault { path, message, unsupported: true });
    }

    fn all(&mut self) -> Given {
        let sites = self.sites();
        let mut powers = Powers::default();
        let mut given = Given {
            hosts: Vec::new(),
            powers: Vec::new(),
            vms: Vec::new(),
            off: Vec::new(),
            failed: Vec::new(),
        };
        if !(1..=1_000_000).contains(&self.problem.hosts.len()) {
            self.wrong("hosts".to_owned(), "there must be one at least, and a million at most".to_owned());
        }
        if !(1..=20_000_000).contains(&self.problem.vms.len()) {
            self.wrong("vms".to_owned(), "there must be one at least, and 20 million at most".to_owned());
        }
        for (i, host) in self.problem.hosts.iter().enumerate() {
            let path = format!("hosts[{i}].capacity");
            let mut usable = |resource: &str, most: u32| {
                let ratio = host.overcommit.get(resource).copied().unwrap_or(1.0);
                let amount = amount(&host.capacity, resource) as f64 * ratio + 1e-6;
                if !(1.0..=f64::from(most)).contains(&amount) {
                    let message = format!(
                        "{resource} must be between 1 and {most}, with overcommit, not {}",
                        amount.floor()
                    );
                    self.wrong(path.clone(), message);
                }
                amount as u32
            };
            let (cpu, memory) = (usable("cpu", 100_000_000), usable("memory", 1_000_000_000));
            let site = self.site_of(i, host, &sites);
            let power = powers.of(self.it, host);
            given.hosts.push(HostSetup { cpu, memory, power, site });
            match host.state.as_str() {
                "OFFLINE" => given.off.push(HostId(i as u32)),
                "FAILED" => given.failed.push(HostId(i as u32)),
                _ => {}
            }
        }
        given.powers = powers.all;
        self.vms(&mut given);
        given
    }

    fn vms(&mut self, given: &mut Given) {
        let numbers: BTreeMap<&str, u32> =
            (0..).zip(&self.problem.hosts).map(|(number, host)| (host.name.as_str(), number)).collect();
        let mut held = vec![(0_u64, 0_u64); given.hosts.len()];
        for (i, vm) in self.problem.vms.iter().enumerate() {
            let path = format!("vms[{i}].demand");
            let (cpu, memory) = (amount(&vm.demand, "cpu"), amount(&vm.demand, "memory"));
            if !(0..=10_000_000).contains(&cpu) {
                self.wrong(path.clone(), format!("cpu must be 10000000 at most, not {cpu}"));
            }
            if !(1..=100_000_000).contains(&memory) {
                let message = format!(
                    "memory must be between 1 and 100000000, not {memory}: a migration takes its time by it"
                );
                self.wrong(path, message);
            }
            let host = numbers.get(vm.host.as_str()).map_or(HostId::NOWHERE, |number| HostId(*number));
            if let Some((of_cpu, of_memory)) = held.get_mut(host.index()) {
                (*of_cpu, *of_memory) = (*of_cpu + cpu as u64, *of_memory + memory as u64);
            }
            let dirty = vm.memory_dirty_rate.unwrap_or(0.0) / self.it.network.migration_mib_s;
            given.vms.push(VmSetup { host, cpu: cpu as u32, memory: memory as u32, dirty });
        }
        for (i, (cpu, memory)) in held.into_iter().enumerate() {
            let have = given.hosts[i].memory;
            if memory > u64::from(have) {
                let message = format!(
                    "its VMs hold {memory} MiB of memory, but it has {have}: no host holds more here"
                );
                self.wrong(format!("hosts[{i}].capacity"), message);
            }
            if cpu > u64::from(u32::MAX / 2) {
                self.wrong(
                    format!("hosts[{i}]"),
                    format!("its VMs need {cpu} milli-cores, which is too much"),
                );
            }
            if memory > 0 && given.off.contains(&HostId(i as u32)) {
                self.wrong(format!("hosts[{i}].state"), "is OFFLINE, but has VMs".to_owned());
            }
        }
    }

    /// The values of the label that names sites, in order.
    fn sites(&mut self) -> BTreeMap<String, u16> {
        let Some(label) = self.site else { return BTreeMap::new() };
        let values = self.problem.hosts.iter().filter_map(|host| host.labels.get(label)).cloned();
        let values: std::collections::BTreeSet<String> = values.collect();
        if values.len() > MOST_SITES {
            let message = format!(
                "{label} has {} values, which would be as many sites; {MOST_SITES} at most",
                values.len()
            );
            self.wrong("hosts".to_owned(), message);
        }
        values.into_iter().zip(0..).collect()
    }

    fn site_of(&mut self, i: usize, host: &Host, sites: &BTreeMap<String, u16>) -> u16 {
        let Some(label) = self.site else { return 0 };
        let site = host.labels.get(label).and_then(|value| sites.get(value)).copied();
        if site.is_none() {
            self.wrong(
                format!("hosts[{i}]"),
                format!("has no label {label}, which start.site takes for its site"),
            );
        }
        site.unwrap_or(0)
    }
}

/// Power models without those that are equal.
#[derive(Default)]
struct Powers {
    known: BTreeMap<[u64; 3], u16>,
    all: Vec<Power>,
}

impl Powers {
    fn of(&mut self, it: &Experiment, host: &Host) -> u16 {
        let hosts = &it.hosts;
        let watts = [
            host.idle_watts.unwrap_or(100.0),
            host.peak_watts.unwrap_or(200.0),
            host.off_watts.unwrap_or(10.0),
        ];
        // Of more kinds of hosts than fit, the others draw what the last one does.
        let next = self.all.len().min(usize::from(u16::MAX)) as u16;
        let number = *self.known.entry(watts.map(f64::to_bits)).or_insert(next);
        if usize::from(number) == self.all.len() {
            let [idle, peak, off] = watts;
            let own = power(hosts.machine, hosts.watts, hosts.off_w);
            self.all.push(own.unwrap_or_else(|| Power::linear(idle, peak, off)).and_empty(hosts.empty_w));
        }
        number
    }
}

fn amount(amounts: &Amounts, resource: &str) -> i64 {
    amounts.get(resource).copied().unwrap_or(0)
}

/// What the file says and the simulator does not mean.
fn ignored(problem: &Problem) -> Vec<String> {
    let (hosts, vms) = (&problem.hosts, &problem.vms);
    let hosts_that = |is: &dyn Fn(&Host) -> bool| hosts.iter().filter(|host| is(host)).count();
    let vms_that = |is: &dyn Fn(&dvms_solver::file::Vm) -> bool| vms.iter().filter(|vm| is(vm)).count();
    let amounts = hosts.iter().map(|host| &host.capacity).chain(vms.iter().map(|vm| &vm.demand));
    let others: std::collections::BTreeSet<&str> = amounts
        .flat_map(|amounts| amounts.keys().map(String::as_str))
        .filter(|name| !["cpu", "memory"].contains(name))
        .collect();
    let limits = problem
        .limits
        .as_ref()
        .is_some_and(|it| it.max_migrations.is_some() || it.backbone_bandwidth.is_some() || it.power_actions);
    let links = hosts_that(&|host| host.migration_bandwidth.is_some() || host.max_migrations.is_some());
    let mut told = Vec::new();
    let mut tell = |count: usize, what: &str| {
        if count > 0 {
            told.push(what.replace("{}", &count.to_string()));
        }
    };
    tell(problem.constraints.len(), "{} constraints: no strategy keeps them here");
    tell(others.len(), &format!("resources but cpu and memory: {}", Vec::from_iter(others).join(", ")));
    tell(
        hosts_that(&|host| matches!(host.state.as_str(), "DRAINING" | "CORDONED")),
        "state of {} hosts that are DRAINING or CORDONED: they are as ONLINE ones",
    );
    tell(hosts_that(&|host| !host.numa_nodes.is_empty()), "NUMA nodes of {} hosts");
    tell(vms_that(&|vm| vm.pinned), "pinned of {} VMs: they may be moved");
    tell(vms_that(&|vm| !vm.arrival_demand.is_empty()), "arrival_demand of {} VMs");
    tell(vms_that(&|vm| vm.priority.is_some()), "priority of {} VMs");
    tell(links, "migration_bandwidth and max_migrations of {} hosts: [network] says how migrations go");
    tell(
        usize::from(problem.network.is_some()),
        "network: [network] of the experiment says what links carry",
    );
    tell(usize::from(limits), "limits: strategies have settings of their own");
    tell(
        hosts_that(&|host| host.boot_s.is_some()),
        "boot_s of {} hosts: hosts.boot_s says how long booting takes",
    );
    told
}

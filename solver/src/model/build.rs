//! From the file form to the validated model: every fault is found, each with its JSON path.

use super::{
    Amount, Amounts, Fragment, Host, HostId, HostState, Limits, Objective, Problem, Scope, Topology, Vm,
    Watts, build_numa as numa,
};
use crate::constraints;
use crate::file;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Amounts up to 2⁵³ are exact in every JSON reader.
const LARGEST_AMOUNT: Amount = 1 << 53;
/// Sums over all hosts stay exact in fixed point.
const MOST_WATTS: f64 = 1e9;
/// Seconds that a boot may take: some thirty years.
const MOST_SECONDS: f64 = 1e9;
/// MiB/s of the slowest and the fastest transfers.
const SLOWEST: f64 = 1e-6;
const FASTEST: f64 = 1e18;
pub(crate) const STANDARD_RESOURCES: [&str; 4] = ["cpu", "memory", "network", "disk"];

/// A problem that was refused: every fault found, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejected {
    /// Never empty.
    pub faults: Vec<Fault>,
}

/// One thing wrong with a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in the notation of JSON paths: `vms[3].demand.cpu`.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub message: String,
    /// The construct belongs to the contract but this version of the solver does not plan with it.
    pub unsupported: bool,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", fault.path, fault.message)?;
        }
        Ok(())
    }
}

/// So many faults are told of one problem; of more, how many there are.
const MOST_FAULTS: usize = 1000;

/// Collects faults while a problem is read.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    /// How many more there are, and whether some of them is wrong rather than unsupported.
    more: usize,
    more_wrong: bool,
}

impl Faults {
    pub(crate) fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Fault { path: path.into(), message: message.into(), unsupported: false });
    }

    fn add(&mut self, fault: Fault) {
        if self.list.len() < MOST_FAULTS {
            self.list.push(fault);
        } else {
            self.more += 1;
            self.more_wrong |= !fault.unsupported;
        }
    }

    fn all(mut self) -> Vec<Fault> {
        if self.more > 0 {
            let message = format!("{} faults more, which are not told", self.more);
            self.list.push(Fault { path: ".".to_owned(), message, unsupported: !self.more_wrong });
        }
        self.list
    }

    pub(super) fn unsupported(&mut self, path: impl Into<String>, what: &str) {
        let message = format!("{what} is part of the contract but this version does not plan with it");
        self.add(Fault { path: path.into(), message, unsupported: true });
    }

    pub(super) fn name(&mut self, path: &str, name: &str) {
        if !is_name(name) {
            self.wrong(path, format!("{name:?} is not a name: 1 to 253 characters of A-Z a-z 0-9 _ . : @ -"));
        }
    }

    /// A number that must be finite and at least 0.
    pub(super) fn at_least_0(&mut self, path: String, value: Option<f64>) {
        if let Some(value) = value
            && !(value.is_finite() && value >= 0.0)
        {
            self.wrong(path, format!("must be a finite number of at least 0, is {value}"));
        }
    }

    /// A number that must be within 0 and `most`.
    pub(super) fn at_most(&mut self, path: String, value: Option<f64>, most: f64) {
        match value {
            Some(value) if value.is_finite() && value > most => {
                self.wrong(path, format!("must be at most {most:e}, is {value:e}"));
            }
            value => self.at_least_0(path, value),
        }
    }

    /// A rate in MiB/s: 0, or one with which sums and quotients of any amounts stay exact enough.
    pub(super) fn rate(&mut self, path: String, value: Option<f64>) {
        match value {
            Some(value) if value > 0.0 && value < SLOWEST => {
                let hint = "use 0 where nothing can be transferred";
                self.wrong(path, format!("must be 0 or at least {SLOWEST:e} MiB/s, is {value:e}: {hint}"));
            }
            value => self.at_most(path, value, FASTEST),
        }
    }
}

/// Whether a text can name a host, VM, resource or rule.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:@-".contains(c);
    (1..=253).contains(&text.len()) && text.chars().all(allowed)
}

impl Problem {
    /// Validates a problem and resolves its names and selectors.
    ///
    /// # Errors
    /// Every fault of the problem, those that this version merely does not support among them.
    pub fn new(file: &file::Problem) -> Result<Self, Rejected> {
        let mut faults = Faults::default();
        let problem = build(file, &mut faults);
        let faults = faults.all();
        if faults.is_empty() { Ok(problem) } else { Err(Rejected { faults }) }
    }
}

fn build(file: &file::Problem, faults: &mut Faults) -> Problem {
    let resources = resources(file);
    let host_ids = index("hosts", file.hosts.iter().map(|host| &host.name), faults);
    let vm_ids = index("vms", file.vms.iter().map(|vm| &vm.name), faults);
    index("constraints", file.constraints.iter().map(|rule| &rule.name), faults);
    let mut hosts: Vec<_> =
        file.hosts.iter().enumerate().map(|(i, host)| build_host(i, host, &resources, faults)).collect();
    super::numa::number_cells(&mut hosts, resources.len());
    let vms: Vec<_> = (file.vms.iter().enumerate())
        .map(|(i, vm)| build_vm(i, vm, &resources, &host_ids, &hosts, faults))
        .collect();
    refuse_overflow(&hosts, &vms, &resources, faults);
    let mut scopes = vec![host_scope(hosts.len())];
    let names = constraints::Names { hosts: &host_ids, vms: &vm_ids, resources: &resources };
    let constraints = constraints::build(file, &names, &mut scopes, faults);
    let fragment = file.fragment.as_ref().map(|fragment| build_fragment(fragment, &resources, faults));
    let mut problem = Problem {
        name: file.name.clone(),
        fragment,
        resources,
        hosts,
        vms,
        constraints,
        scopes,
        objectives: objectives(file, faults),
        limits: limits(file.limits.as_ref(), faults),
        topology: Topology::new(file.network.as_ref(), file.hosts.len(), &host_ids, faults),
    };
    hot_sets(file, &vm_ids, faults);
    problem.settle_nodes();
    problem
}

/// Judges what counts in forecasts only.
fn hot_sets(file: &file::Problem, vms: &BTreeMap<String, usize>, faults: &mut Faults) {
    let sets = file.network.iter().flat_map(|network| &network.hot_sets).enumerate();
    let mut seen = BTreeSet::new();
    for (i, set) in sets {
        let path = |field: &str| format!("network.hot_sets[{i}].{field}");
        if !vms.contains_key(&set.vm) {
            faults.wrong(path("vm"), format!("unknown VM {:?}", set.vm));
        } else if !seen.insert(&set.vm) {
            faults.wrong(path("vm"), format!("{:?} has a hot set already", set.vm));
        }
        faults.at_most(path("size"), set.size, FASTEST);
        faults.at_most(path("within_s"), set.within_s, FASTEST);
    }
}

/// Standard resources and those of which some host has a capacity, if anything names them.
fn resources(file: &file::Problem) -> Vec<String> {
    let of_hosts = file.hosts.iter().flat_map(|host| host.capacity.keys());
    let of_vms = file.vms.iter().flat_map(|vm| vm.demand.keys().chain(vm.arrival_demand.keys()));
    let of_nodes = file.hosts.iter().flat_map(|host| &host.numa_nodes).flat_map(|node| node.capacity.keys());
    let standard = of_vms.chain(of_nodes).filter(|name| STANDARD_RESOURCES.contains(&name.as_str()));
    of_hosts.chain(standard).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Numbers by name; names of no form and those used twice are faults.
pub(super) fn index<'a>(
    kind: &str,
    names: impl Iterator<Item = &'a String>,
    faults: &mut Faults,
) -> BTreeMap<String, usize> {
    let mut result = BTreeMap::new();
    for (i, name) in names.enumerate() {
        let path = format!("{kind}[{i}].name");
        faults.name(&path, name);
        if let Some(first) = result.insert(name.clone(), i) {
            faults.wrong(path, format!("the name {name:?} is already used by {kind}[{first}]"));
            result.insert(name.clone(), first);
        }
    }
    result
}

/// Dense amounts of a map; unknown resources and amounts out of range are faults.
pub(super) fn dense(
    path: &str,
    amounts: &file::Amounts,
    resources: &[String],
    faults: &mut Faults,
) -> Amounts {
    let mut result = vec![0; resources.len()].into_boxed_slice();
    for (name, &amount) in amounts {
        let path = format!("{path}.{name}");
        if !(0..=LARGEST_AMOUNT).contains(&amount) {
            faults.wrong(path, format!("must be within 0..2^53, is {amount}"));
        } else if let Ok(r) = resources.binary_search(name) {
            result[r] = amount;
        } else {
            faults.wrong(path, format!("unknown resource {name:?}: no host has a capacity of it"));
        }
    }
    result
}

fn build_host(i: usize, host: &file::Host, resources: &[String], faults: &mut Faults) -> Host {
    let path = |field: &str| format!("hosts[{i}].{field}");
    for name in host.capacity.keys() {
        faults.name(&path(&format!("capacity.{name}")), name);
    }
    let capacity = dense(&path("capacity"), &host.capacity, resources, faults);
    let usable = usable(&capacity, host, resources);
    for (name, &ratio) in &host.overcommit {
        let path = path(&format!("overcommit.{name}"));
        if !(ratio.is_finite() && (0.0..=1e6).contains(&ratio)) {
            faults.wrong(path, format!("must be a ratio within 0..1000000, is {ratio}"));
        } else if let Ok(r) = resources.binary_search(name) {
            if usable[r] > LARGEST_AMOUNT {
                faults.wrong(path, "capacity times overcommit is beyond 2^53");
            }
        } else if !STANDARD_RESOURCES.contains(&name.as_str()) {
            faults.wrong(path, format!("unknown resource {name:?}: no host has a capacity of it"));
        }
    }
    for (field, value) in
        [("idle_watts", host.idle_watts), ("peak_watts", host.peak_watts), ("off_watts", host.off_watts)]
    {
        faults.at_most(path(field), value, MOST_WATTS);
    }
    faults.rate(path("migration_bandwidth"), host.migration_bandwidth);
    faults.at_most(path("boot_s"), host.boot_s, MOST_SECONDS);
    Host {
        name: host.name.clone(),
        usable,
        capacity,
        state: host_state(&host.state).unwrap_or_else(|| {
            let states = "ONLINE, OFFLINE, DRAINING, CORDONED or FAILED";
            faults.wrong(path("state"), format!("must be {states}, is {:?}", host.state));
            HostState::Online
        }),
        migration_bandwidth: host.migration_bandwidth.unwrap_or(1000.0),
        max_migrations: u32::try_from(host.max_migrations.unwrap_or(2)).unwrap_or_else(|_| {
            faults.wrong(path("max_migrations"), "must be within 0..2^32");
            0
        }),
        watts: Watts {
            idle: host.idle_watts.unwrap_or(100.0),
            peak: host.peak_watts.unwrap_or(200.0),
            off: host.off_watts.unwrap_or(10.0),
        },
        boot_s: host.boot_s.unwrap_or(120.0),
        numa: numa::host(i, host, resources, faults),
    }
}

/// floor(capacity × overcommit + 10⁻⁶).
pub(super) fn usable(capacity: &[Amount], host: &file::Host, resources: &[String]) -> Amounts {
    let ratio = |r: usize| host.overcommit.get(&resources[r]).copied();
    let usable = |(r, amount): (usize, &Amount)| match ratio(r) {
        Some(ratio) => (*amount as f64 * ratio + 1e-6).floor() as Amount,
        None => *amount,
    };
    capacity.iter().enumerate().map(usable).collect()
}

fn host_state(text: &str) -> Option<HostState> {
    Some(match text {
        "" | "ONLINE" => HostState::Online,
        "OFFLINE" => HostState::Offline,
        "DRAINING" => HostState::Draining,
        "CORDONED" => HostState::Cordoned,
        "FAILED" => HostState::Failed,
        _ => return None,
    })
}

fn build_vm(
    i: usize,
    vm: &file::Vm,
    resources: &[String],
    host_ids: &BTreeMap<String, usize>,
    hosts: &[Host],
    faults: &mut Faults,
) -> Vm {
    let path = |field: &str| format!("vms[{i}].{field}");
    let host = match host_ids.get(&vm.host) {
        _ if vm.host.is_empty() => None,
        Some(&host) if hosts[host].state == HostState::Offline => {
            faults.wrong(path("host"), format!("{} is OFFLINE and cannot hold a VM", vm.host));
            None
        }
        Some(&host) => Some(HostId::from(host)),
        None => {
            faults.wrong(path("host"), format!("unknown host {:?}", vm.host));
            None
        }
    };
    let present = dense(&path("demand"), &vm.demand, resources, faults);
    let arrival = dense(&path("arrival_demand"), &vm.arrival_demand, resources, faults);
    let demand = (resources.iter().enumerate())
        .map(|(r, name)| if vm.arrival_demand.contains_key(name) { arrival[r] } else { present[r] })
        .collect();
    let (numa_count, nodes) = numa::vm(i, vm, host.map(|host| &hosts[host.index()]), faults);
    faults.at_most(path("memory_dirty_rate"), vm.memory_dirty_rate, FASTEST);
    let priority = vm.priority.unwrap_or(100);
    if !(0..=1000).contains(&priority) {
        faults.wrong(path("priority"), format!("must be within 0..1000, is {priority}"));
    }
    Vm {
        name: vm.name.clone(),
        host,
        demand,
        present,
        pinned: vm.pinned,
        memory_dirty_rate: vm.memory_dirty_rate.unwrap_or(0.0),
        priority: priority.clamp(0, 1000) as u32,
        numa_count,
        nodes,
        node_list: vm.numa.as_ref().map_or_else(Vec::new, |numa| numa.nodes.clone()),
    }
}

fn build_fragment(fragment: &file::Fragment, resources: &[String], faults: &mut Faults) -> Fragment {
    let name = &fragment.resource;
    if !resources.contains(name) && !STANDARD_RESOURCES.contains(&name.as_str()) {
        faults.wrong("fragment.resource", format!("unknown resource {name:?}: no host has a capacity of it"));
    }
    if fragment.unit < 1 {
        faults.wrong("fragment.unit", format!("must be at least 1, is {}", fragment.unit));
    }
    Fragment { resource: resources.binary_search(name).ok(), unit: fragment.unit.max(1) }
}

/// Sums over all VMs stay exact in floating point, sums over all hosts within 64 bits.
fn refuse_overflow(hosts: &[Host], vms: &[Vm], resources: &[String], faults: &mut Faults) {
    for (r, name) in resources.iter().enumerate() {
        let total: i128 = hosts.iter().map(|host| i128::from(host.usable[r].max(host.capacity[r]))).sum();
        if total > i128::from(Amount::MAX / 2) {
            faults.wrong("hosts", format!("the hosts have {total} {name} together, which is beyond 2^62"));
        }
        let total: i128 = vms.iter().map(|vm| i128::from(vm.demand[r].max(vm.present[r]))).sum();
        if total > i128::from(LARGEST_AMOUNT) {
            faults.wrong("vms", format!("the VMs demand {total} {name} together, which is beyond 2^53"));
        }
    }
}

fn objectives(file: &file::Problem, faults: &mut Faults) -> Vec<Objective> {
    use Objective::{
        ActiveHosts, Energy, Fragments, Imbalance, Makespan, MigrationCost, Migrations, Violations,
    };
    if !file.objective.is_empty() && !file.objectives.is_empty() {
        faults.wrong("objective", "give objective or objectives, not both");
    }
    if file.objectives.is_empty() {
        return match file.objective.as_str() {
            "" | "REPAIR" => vec![Violations, MigrationCost, Makespan],
            "CONSOLIDATE" => vec![Violations, ActiveHosts, MigrationCost, Makespan],
            "BALANCE" => vec![Violations, Imbalance, MigrationCost, Makespan],
            "POWER" => vec![Violations, Energy, MigrationCost, Makespan],
            other => {
                let names = "REPAIR, CONSOLIDATE, BALANCE or POWER";
                faults.wrong("objective", format!("must be {names}, is {other:?}"));
                vec![Violations]
            }
        };
    }
    let mut result = Vec::new();
    for (i, name) in file.objectives.iter().enumerate() {
        let path = format!("objectives[{i}]");
        let level = match name.as_str() {
            "VIOLATIONS" => Violations,
            "ACTIVE_HOSTS" => ActiveHosts,
            "MIGRATIONS" => Migrations,
            "MIGRATION_COST" => MigrationCost,
            "MAKESPAN" => Makespan,
            "ENERGY" => Energy,
            "IMBALANCE" => Imbalance,
            "FRAGMENTS" => {
                if file.fragment.is_none() {
                    faults.wrong("fragment", "is missing, but the objective FRAGMENTS needs it");
                }
                Fragments
            }
            other => {
                faults.wrong(path, format!("unknown objective {other:?}"));
                continue;
            }
        };
        if result.contains(&level) {
            faults.wrong(path, format!("{name} is named twice"));
        } else {
            result.push(level);
        }
    }
    result
}

fn limits(file: Option<&file::Limits>, faults: &mut Faults) -> Limits {
    let Some(file) = file else { return Limits::default() };
    faults.at_least_0("limits.time_limit_s".into(), file.time_limit_s);
    faults.rate("limits.backbone_bandwidth".into(), file.backbone_bandwidth);
    let max_migrations = file.max_migrations.map(|most| {
        u64::try_from(most).unwrap_or_else(|_| {
            faults.wrong("limits.max_migrations", format!("must not be negative, is {most}"));
            0
        })
    });
    Limits {
        max_migrations,
        time_limit_s: file.time_limit_s,
        backbone_bandwidth: file.backbone_bandwidth,
        power_actions: file.power_actions,
    }
}

fn host_scope(hosts: usize) -> Scope {
    let value_of: Vec<u32> = (0..hosts as u32).collect();
    Scope { name: "host".into(), values: value_of.len() as u32, value_of }
}

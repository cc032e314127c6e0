//! The hosts and VMs as they are, seen past dvms, and what is wrong with them.

use dvms_solver::check;
use dvms_solver::file::{Body, Constraint, Host, Labels, ObjectiveValue, Plan, Problem, Status, Vm};
use std::collections::{BTreeMap, BTreeSet};

/// All hosts and VMs at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Truth {
    pub(super) hosts: BTreeMap<String, TrueHost>,
    pub(super) vms: BTreeMap<String, TrueVm>,
}

/// A host and what VMs may use of it before that is called trouble.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TrueHost {
    /// Milli-cores.
    pub(super) cpu_limit: i64,
    /// MiB.
    pub(super) memory_limit: i64,
    pub(super) labels: Labels,
    /// An operator wants it empty.
    pub(super) draining: bool,
}

/// A VM.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TrueVm {
    /// The hosts on which it runs: one, if all is well.
    pub(super) hosts: BTreeSet<String>,
    /// Milli-cores that it wants.
    pub(super) cpu: i64,
    /// MiB.
    pub(super) memory: i64,
    pub(super) labels: Labels,
}

impl Truth {
    /// Names of the VMs that run on a host.
    pub(super) fn vms_on<'t>(&'t self, host: &'t str) -> impl Iterator<Item = (&'t String, &'t TrueVm)> {
        self.vms.iter().filter(move |(_, vm)| vm.hosts.contains(host))
    }

    /// Hosts that run a VM.
    pub(super) fn hosts_in_use(&self) -> usize {
        self.hosts.keys().filter(|host| self.vms_on(host).next().is_some()).count()
    }

    /// Milli-cores that the VMs of a host want, as a share of its limit.
    pub(super) fn cpu_share(&self, host: &str) -> f64 {
        let limit = self.hosts.get(host).map_or(0, |host| host.cpu_limit);
        self.vms_on(host).map(|(_, vm)| vm.cpu).sum::<i64>() as f64 / limit.max(1) as f64
    }

    /// Hosts that are needed at the least: no fewer have the memory and the processors for all VMs, or let every
    /// rule that keeps VMs on different hosts hold.
    pub(super) fn least_hosts(&self, rules: &[Constraint]) -> usize {
        let fewest = |limit: fn(&TrueHost) -> i64, wanted: i64| {
            let open = self.hosts.values().filter(|host| !host.draining);
            let mut limits: Vec<i64> = open.map(limit).collect();
            limits.sort_unstable_by(|a, b| b.cmp(a));
            let mut held = 0;
            limits.iter().take_while(|limit| (held < wanted).then(|| held += **limit).is_some()).count()
        };
        let memory = fewest(|host| host.memory_limit, self.vms.values().map(|vm| vm.memory).sum());
        let cpu = fewest(|host| host.cpu_limit, self.vms.values().map(|vm| vm.cpu).sum());
        let apart = apart(rules, self.vms.iter().map(|(name, vm)| (name, &vm.labels)));
        memory.max(cpu).max(apart.values().map(BTreeSet::len).max().unwrap_or(0))
    }

    /// Everything that is wrong now, one line each: VMs that do not run on exactly one host, VMs on hosts that
    /// are to be empty, hosts over their limits, broken rules. Rules are judged by the solver's independent
    /// checker.
    pub(super) fn faults(&self, rules: &[Constraint]) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, vm) in &self.vms {
            match vm.hosts.len() {
                1 => {}
                0 => faults.push(format!("{name} runs nowhere")),
                _ => faults.push(format!("{name} runs on {}", listing(&vm.hosts))),
            }
        }
        for (name, host) in &self.hosts {
            if host.draining {
                faults
                    .extend(self.vms_on(name).map(|(vm, _)| format!("{vm} is on {name}, which is drained")));
            }
            let used = |amount: fn(&TrueVm) -> i64| self.vms_on(name).map(|(_, vm)| amount(vm)).sum::<i64>();
            let (cpu, memory) = (used(|vm| vm.cpu), used(|vm| vm.memory));
            if cpu > host.cpu_limit {
                let limit = host.cpu_limit;
                faults.push(format!("the VMs of {name} want {cpu} milli-cores, its limit is {limit}"));
            }
            if memory > host.memory_limit {
                let limit = host.memory_limit;
                faults.push(format!("the VMs of {name} hold {memory} MiB, its limit is {limit}"));
            }
        }
        faults.extend(self.broken_rules(rules));
        faults
    }

    /// What the checker says of a plan that leaves everything as it is.
    fn broken_rules(&self, rules: &[Constraint]) -> Vec<String> {
        let amount = |cpu, memory| BTreeMap::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]);
        let hosts = self.hosts.iter().map(|(name, host)| Host {
            name: name.clone(),
            capacity: amount(host.cpu_limit, host.memory_limit),
            labels: host.labels.clone(),
            ..Host::default()
        });
        let home = |vm: &TrueVm| vm.hosts.first().cloned().unwrap_or_default();
        let vms = self.vms.iter().map(|(name, vm)| Vm {
            name: name.clone(),
            host: home(vm),
            demand: amount(vm.cpu, vm.memory),
            labels: vm.labels.clone(),
            ..Vm::default()
        });
        let problem = Problem {
            hosts: hosts.collect(),
            vms: vms.collect(),
            constraints: rules.to_vec(),
            ..Problem::default()
        };
        if let Err(rejected) = dvms_solver::Problem::new(&problem) {
            return rejected
                .faults
                .iter()
                .map(|fault| format!("{}: {}", fault.path, fault.message))
                .collect();
        }
        let (down, up): (Vec<_>, Vec<_>) = self.vms.iter().partition(|(_, vm)| vm.hosts.is_empty());
        let stay = Plan {
            status: Status::NoChange,
            placement: up.into_iter().map(|(name, vm)| (name.clone(), home(vm))).collect(),
            unplaced: down.into_iter().map(|(name, _)| name.clone()).collect(),
            ..Plan::default()
        };
        // What it claims of its objectives is not the point here, and must not hide what is.
        let levels = check::check(&problem, &stay).levels;
        let objectives = levels.into_iter().map(|(name, before, value)| ObjectiveValue {
            name,
            before,
            value,
            bound: None,
        });
        let stay = Plan { objectives: objectives.collect(), ..stay };
        let judged = check::check(&problem, &stay);
        judged.violations.into_iter().map(|v| format!("{}: {}", v.subject, v.message)).collect()
    }
}

/// The rules by which no host runs two of a set of VMs, and the sets, by the rules' names.
pub(super) fn apart<'v>(
    rules: &[Constraint],
    vms: impl IntoIterator<Item = (&'v String, &'v Labels)>,
) -> BTreeMap<String, BTreeSet<String>> {
    let vms: Vec<_> = vms.into_iter().collect();
    let mut sets = BTreeMap::new();
    for rule in rules {
        let Some(Body::Spread { vms: chosen, scope: None, max: None | Some(1) }) = &rule.body else {
            continue;
        };
        let chosen_by_label =
            |labels: &Labels| chosen.vm_selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let is_chosen = |name: &String, labels: &Labels| {
            if chosen.vms.is_empty() { chosen_by_label(labels) } else { chosen.vms.contains(name) }
        };
        let set =
            vms.iter().filter(|(name, labels)| is_chosen(name, labels)).map(|(name, _)| (*name).clone());
        sets.insert(rule.name.clone(), set.collect());
    }
    sets
}

/// Names in a sentence.
pub(super) fn listing<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::rules;

    fn truth() -> Truth {
        let host = TrueHost { cpu_limit: 1000, memory_limit: 100, ..TrueHost::default() };
        let web = |host: &str| TrueVm {
            hosts: BTreeSet::from([host.to_owned()]),
            cpu: 400,
            memory: 40,
            labels: Labels::from([("app".to_owned(), "web".to_owned())]),
        };
        Truth {
            hosts: ["a", "b", "c"].map(|name| (name.to_owned(), host.clone())).into(),
            vms: [("v".to_owned(), web("a")), ("w".to_owned(), web("b"))].into(),
        }
    }

    fn apart_rule() -> Vec<Constraint> {
        vec![rules::apart("web-apart", rules::of_app("web"))]
    }

    #[test]
    fn nothing_is_wrong_when_all_is_well() {
        assert_eq!(truth().faults(&apart_rule()), Vec::<String>::new());
        assert_eq!((truth().hosts_in_use(), truth().least_hosts(&[])), (2, 1));
        assert_eq!(truth().least_hosts(&apart_rule()), 2, "the two are kept apart");
        assert!((truth().cpu_share("a") - 0.4).abs() < 1e-9);
    }

    #[test]
    fn each_kind_of_fault_is_found() {
        let fault = |change: &dyn Fn(&mut Truth), expected: &[&str]| {
            let mut truth = truth();
            change(&mut truth);
            let faults = truth.faults(&apart_rule());
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for part in expected {
                assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
            }
        };
        fault(&|t| t.vms.get_mut("v").unwrap().hosts.clear(), &["v runs nowhere"]);
        let second = |t: &mut Truth| _ = t.vms.get_mut("v").unwrap().hosts.insert("c".into());
        fault(&second, &["v runs on a, c"]);
        fault(&|t| t.hosts.get_mut("a").unwrap().draining = true, &["v is on a, which is drained"]);
        fault(&|t| t.vms.get_mut("v").unwrap().cpu = 1001, &["a want 1001 milli-cores, its limit is 1000"]);
        fault(&|t| t.vms.get_mut("w").unwrap().memory = 101, &["b hold 101 MiB"]);
        let together = |t: &mut Truth| t.vms.get_mut("v").unwrap().hosts = BTreeSet::from(["b".to_owned()]);
        fault(&together, &["web-apart"]);
    }

    #[test]
    fn the_least_hosts_follow_the_scarcer_resource_and_the_larger_hosts() {
        let mut truth = truth();
        truth.vms.get_mut("v").unwrap().memory = 100;
        assert_eq!(truth.least_hosts(&[]), 2, "140 MiB");
        truth.hosts.get_mut("c").unwrap().memory_limit = 140;
        assert_eq!(truth.least_hosts(&[]), 1);
        truth.hosts.get_mut("c").unwrap().draining = true;
        assert_eq!(truth.least_hosts(&[]), 2);
    }
}

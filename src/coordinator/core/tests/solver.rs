//! A solver for stories: moves what is too much to where there is room, one after the other. Every plan of it has
//! to pass the independent checker.

use crate::solving::{Backend, Engine, Order, Solver as _, Stop};
use dvms_solver::check::check;
use dvms_solver::file::{Action, ActionKind, Conflict, Host, ObjectiveValue, Plan, Problem, Status, Vm};
use std::collections::BTreeMap;
use std::time::Duration;

type Amounts = BTreeMap<String, i64>;

struct Search<'a> {
    problem: &'a Problem,
    used: BTreeMap<&'a str, Amounts>,
    place: BTreeMap<&'a str, &'a str>,
    actions: Vec<Action>,
    clock: f64,
}

pub(in crate::coordinator) fn solve(problem: &Problem) -> Plan {
    let plan = if problem.constraints.is_empty() { quickly(problem) } else { with_rules(problem) };
    let judgement = check(problem, &plan);
    if plan.status.has_plan() {
        assert_eq!(judgement.violations, [], "of {plan:#?} for {problem:#?}");
    }
    plan
}

/// The product's solver, within a limit of work, so that it always says the same.
fn with_rules(problem: &Problem) -> Plan {
    let order = Order {
        time_limit: Duration::from_mins(1),
        patience: None,
        threads: 1,
        seed: 0,
        work_limit: Some(20_000),
        migration_price: None,
        backend: Backend::Auto,
    };
    Engine.solve(problem, &order, &Stop::default(), &mut |_| {}).expect("the coordinator makes good problems")
}

fn quickly(problem: &Problem) -> Plan {
    let mut search = Search {
        problem,
        used: problem.hosts.iter().map(|host| (host.name.as_str(), Amounts::new())).collect(),
        place: BTreeMap::new(),
        actions: Vec::new(),
        clock: 0.0,
    };
    for vm in problem.vms.iter().filter(|vm| !vm.host.is_empty()) {
        if search.state(&vm.host) != "FAILED" {
            search.put(vm, &vm.host);
        }
    }
    let before = search.violations();
    search.run(before)
}

impl<'a> Search<'a> {
    fn run(mut self, before: f64) -> Plan {
        if let Some(stuck) = self.drain() {
            let conflict = Conflict { vms: vec![stuck.clone()], ..Conflict::default() };
            let reason = format!("{stuck} has to leave and fits nowhere");
            return Plan { status: Status::Infeasible, reason, conflict: Some(conflict), ..Plan::default() };
        }
        self.start();
        self.relieve();
        if self.problem.objective == "CONSOLIDATE" {
            self.empty_one();
        }
        let value = self.violations();
        let status = match (self.actions.is_empty(), value > 0.0) {
            (true, _) => Status::NoChange,
            (false, true) => Status::Feasible,
            (false, false) => Status::Optimal,
        };
        let placement: BTreeMap<_, _> =
            self.place.iter().map(|(vm, host)| ((*vm).to_owned(), (*host).to_owned())).collect();
        let unplaced: Vec<String> = (self.problem.vms.iter())
            .filter(|vm| !placement.contains_key(&vm.name))
            .map(|vm| vm.name.clone())
            .collect();
        let mut plan = Plan { status, actions: self.actions, placement, unplaced, ..Plan::default() };
        // What the levels come to is the checker's to say.
        let levels = check(self.problem, &plan).levels;
        let level = |(name, before, value): (String, f64, f64)| ObjectiveValue {
            name,
            before,
            value,
            bound: Some(if status == Status::Optimal { value } else { 0.0 }),
        };
        plan.objectives = levels.into_iter().map(level).collect();
        assert!(value <= before);
        plan
    }

    fn host(&self, name: &str) -> &'a Host {
        self.problem.hosts.iter().find(|host| host.name == name).expect("a host of the problem")
    }

    fn state(&self, name: &str) -> &'a str {
        let state = self.host(name).state.as_str();
        if state.is_empty() { "ONLINE" } else { state }
    }

    fn put(&mut self, vm: &'a Vm, host: &'a str) {
        for (resource, amount) in &vm.demand {
            *self.used.get_mut(host).unwrap().entry(resource.clone()).or_default() += amount;
        }
        self.place.insert(&vm.name, host);
    }

    fn take(&mut self, vm: &'a Vm) {
        let Some(host) = self.place.remove(vm.name.as_str()) else { return };
        for (resource, amount) in &vm.demand {
            *self.used.get_mut(host).unwrap().entry(resource.clone()).or_default() -= amount;
        }
    }

    fn over(&self, host: &str) -> f64 {
        let capacity = &self.host(host).capacity;
        let used = &self.used[host];
        used.iter().map(|(r, used)| (used - capacity.get(r).copied().unwrap_or(0)).max(0) as f64).sum()
    }

    fn fits(&self, vm: &Vm, host: &Host) -> bool {
        let used = &self.used[host.name.as_str()];
        self.state(&host.name) == "ONLINE"
            && vm.demand.iter().all(|(r, amount)| {
                used.get(r).copied().unwrap_or(0) + amount <= host.capacity.get(r).copied().unwrap_or(0)
            })
    }

    /// The fullest host that has room: what is empty stays empty.
    fn room(&self, vm: &Vm, not: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let hosts = self.problem.hosts.iter().filter(|host| !not(&host.name) && self.fits(vm, host));
        let slots = |host: &&Host| host.max_migrations.unwrap_or(2) > 0;
        hosts
            .filter(slots)
            .max_by_key(|host| self.used[host.name.as_str()].values().sum::<i64>())
            .map(|host| host.name.as_str())
    }

    fn go(&mut self, vm: &'a Vm, destination: &'a str, because: &str) {
        let source = self.place.get(vm.name.as_str()).copied().unwrap_or("");
        let (kind, lasts) = if source.is_empty() {
            (ActionKind::Start, 0.0)
        } else {
            let bandwidth = |host: &str| self.host(host).migration_bandwidth.unwrap_or(1000.0);
            // Such that two may share a link.
            let rate = bandwidth(source).min(bandwidth(destination)) / 2.0;
            (ActionKind::Migrate, vm.demand["memory"] as f64 / rate + 0.03)
        };
        self.take(vm);
        self.put(vm, destination);
        // What leaves the destination makes room first; a VM moves once.
        let makes_room = self.actions.iter().filter(|action| action.source == destination);
        let after = makes_room.map(|action| action.id).collect();
        let source = if source.is_empty() { vm.host.as_str() } else { source };
        self.actions.push(Action {
            id: self.actions.len() as u64 + 1,
            kind,
            vm: vm.name.clone(),
            source: source.to_owned(),
            destination: destination.to_owned(),
            start_s: self.clock,
            end_s: self.clock + lasts,
            after,
            because: because.to_owned(),
            numa: Vec::new(),
        });
        self.clock += lasts;
    }

    fn vms_on(&self, host: &str) -> Vec<&'a Vm> {
        let mut vms: Vec<_> = (self.problem.vms.iter())
            .filter(|vm| self.place.get(vm.name.as_str()) == Some(&host) && !vm.pinned)
            .collect();
        vms.sort_by_key(|vm| (std::cmp::Reverse(vm.demand["cpu"]), &vm.name));
        vms
    }

    fn can_leave(&self, host: &str) -> bool {
        self.host(host).max_migrations.unwrap_or(2) > 0
    }

    fn drain(&mut self) -> Option<String> {
        for host in self.problem.hosts.iter().filter(|host| host.state == "DRAINING") {
            for vm in self.vms_on(&host.name) {
                let Some(to) = self.room(vm, &|_| false).filter(|_| self.can_leave(&host.name)) else {
                    return Some(vm.name.clone());
                };
                self.go(vm, to, "its host is drained");
            }
        }
        None
    }

    fn start(&mut self) {
        for vm in self.problem.vms.iter().filter(|vm| !vm.pinned) {
            if !self.place.contains_key(vm.name.as_str())
                && let Some(to) = self.room(vm, &|_| false)
            {
                self.go(vm, to, "it is down");
            }
        }
    }

    fn relieve(&mut self) {
        for host in &self.problem.hosts {
            for vm in self.vms_on(&host.name) {
                if !self.can_leave(&host.name) || self.over(&host.name) <= 0.0 {
                    break;
                }
                if let Some(to) = self.room(vm, &|to| to == host.name) {
                    self.go(vm, to, "its host is over its capacity");
                }
            }
        }
    }

    /// Empties the host with the fewest VMs, if all of them fit elsewhere among those that run something.
    fn empty_one(&mut self) {
        let mut hosts: Vec<_> = (self.problem.hosts.iter())
            .map(|host| (self.vms_on(&host.name).len(), host.name.as_str()))
            .filter(|(count, host)| *count > 0 && self.can_leave(host))
            .collect();
        hosts.sort_unstable();
        let Some((_, host)) = hosts.first().copied() else { return };
        let occupied: Vec<&str> = self.place.values().copied().collect();
        let kept = (self.place.clone(), self.used.clone(), self.actions.clone(), self.clock);
        for vm in self.vms_on(host) {
            match self.room(vm, &|to| to == host || !occupied.contains(&to)) {
                Some(to) => self.go(vm, to, "its host can be emptied"),
                None => return (self.place, self.used, self.actions, self.clock) = kept,
            }
        }
    }

    fn violations(&self) -> f64 {
        let down = self.problem.vms.iter().filter(|vm| !self.place.contains_key(vm.name.as_str())).count();
        self.problem.hosts.iter().map(|host| self.over(&host.name)).sum::<f64>() + down as f64
    }
}

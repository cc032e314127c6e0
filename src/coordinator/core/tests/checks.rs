//! What must hold after each step.

use super::world::World;
use crate::coordinator::core::plans::{Stage, member_of};
use crate::coordinator::core::ring::{Shared, is_of_ring};
use crate::coordinator::load;
use crate::record::{ActionState, Order, OrderKind, PlanState};
use dvms_solver::file::{Body, Vms};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After which smoothed use is the real one.
const STEADY: Duration = Duration::from_mins(1);

impl World {
    /// What is said to agents is in the store before.
    pub(super) fn judge_order(&self, order: &Order) {
        let status = |plan: &str, action: u64| {
            let record = self.store_of(plan).plan(plan).unwrap()?;
            let status = record.actions.iter().find(|status| status.action_id == action)?.state;
            Some((record.state, status))
        };
        match order {
            Order::Execute { key, .. } => {
                let (plan, action) = status(&key.plan_id, key.action_id).expect("what is begun is stored");
                assert_eq!(plan, PlanState::Executing, "{key:?}");
                assert!(action.in_flight(), "{key:?} is {action:?}");
            }
            Order::Acknowledge(keys) => {
                for key in keys {
                    // Whoever leads it cannot be asked, and looks at the VM when it is back.
                    if member_of(&key.plan_id).is_some_and(|leader| !self.can_ask(leader)) {
                        continue;
                    }
                    // Of plans that are not known nothing is kept but an event.
                    if let Some((_, action)) = status(&key.plan_id, key.action_id) {
                        let over = [ActionState::Done, ActionState::Failed, ActionState::Skipped];
                        assert!(over.contains(&action), "{key:?} is let go while it is stored as {action:?}");
                    }
                }
            }
            Order::Cancel(_) | Order::Resync(_) | Order::GoAway { .. } => {}
        }
    }

    /// What is begun fills no host beyond its levels: not as the coordinator knows it, and not really where what it
    /// knows has had time to become true.
    pub(super) fn judge_begin(&self, vm: &str) {
        let (cell, settings) = (&self.core.cell, &self.settings);
        let Some(flight) = cell.flight(vm) else { return };
        let to = flight.destination.as_str();
        // One of another member is not seen here.
        let Some(host) = cell.hosts.get(to) else { return };
        let usable = load::usable(host, &settings.inventory);
        let most = load::parts(usable, load::Levels::new(&settings.detection).overload);
        let now = load::loads(cell)[to].now;
        let more = cell.arriving(vm).map(load::demand).unwrap_or_default();
        let text = || format!("{now:?} of {most:?} on {to} with {vm}\n{}", self.events_text());
        for r in 0..2 {
            assert!(more[r] == 0 || now[r] <= most[r], "{}", text());
        }
        if self.at < self.steady_since + STEADY {
            return;
        }
        let lives = |name: &String| host.living().any(|(living, _)| living == name);
        let comes = |name: &String| cell.flight(name).is_some_and(|flight| flight.destination == to);
        let really = self.vms.iter().filter(|(name, _)| lives(name) || comes(name));
        let cpu: i64 = really.map(|(_, vm)| vm.cpu).sum();
        let most = most[0] + usable[0] / 50;
        assert!(cpu <= most, "really {cpu} of {most} millicores; {}", text());
    }

    pub(super) fn check(&self) {
        // VMs are in one action at a time, and hosts carry what they can, counted at both ends.
        let mut moving = BTreeSet::new();
        let mut load: BTreeMap<&str, i64> = BTreeMap::new();
        for vm in self.vms.values() {
            *load.entry(vm.host.as_deref().unwrap_or("")).or_default() += vm.memory;
        }
        for host in self.hosts.values() {
            for (key, act) in host.running() {
                assert!(moving.insert(&act.vm), "{} is in two actions, one of them {key:?}", act.vm);
                let to = match &act.kind {
                    OrderKind::Migrate { destination, .. } => destination,
                    OrderKind::Start { .. } => &host.name,
                };
                *load.entry(to).or_default() += self.vms[&act.vm].memory;
            }
        }
        for host in self.hosts.values() {
            let used = load.get(host.name.as_str()).copied().unwrap_or(0);
            assert!(
                used <= host.capacity.memory_mib,
                "{} carries {used} MiB\n{}",
                host.name,
                self.events_text()
            );
        }
        // What is carried out holds its hosts, and nothing else does.
        for (id, life) in &self.core.lives {
            let record = &self.core.plans[id];
            match (&life.stage, record.state) {
                (Stage::Queued, PlanState::Queued) | (Stage::Proposed(_), PlanState::Proposed) => {
                    assert_eq!(self.core.partitions.hosts(id), None);
                }
                (Stage::Solving(_), PlanState::Solving) | (Stage::Executing(_), PlanState::Executing) => {
                    let shared = self.core.shared(id).map(Shared::hosts);
                    let held =
                        shared.or_else(|| self.core.partitions.hosts(id).cloned()).expect("it holds hosts");
                    for key in self.core.flying(id) {
                        let flight =
                            self.core.cell.flight(&self.core.aloft[key].vm).expect("it is in flight");
                        for end in [&flight.source, &flight.destination] {
                            assert!(end.is_empty() || held.contains(end), "{id} has not reserved {end}");
                        }
                    }
                }
                (stage, other) => panic!("{id} is {other:?} in {stage:?}"),
            }
        }
        for (id, hosts) in self.core.partitions.partitions() {
            let aloft = self.core.aloft.keys().any(|key| key.plan_id == id);
            assert!(
                hosts.is_empty() || self.core.lives.contains_key(id) || aloft || is_of_ring(id),
                "{id} holds {hosts:?} for nothing"
            );
        }
        // Readers see what is.
        for (id, record) in &self.core.plans {
            assert_eq!(self.view.plans.get(id).map(|shown| shown.revision), Some(record.revision));
            assert_eq!(record.state.is_terminal(), !self.core.lives.contains_key(id));
            assert_eq!(record.state.is_terminal(), record.ended.is_some());
        }
        self.check_ring();
        self.check_spreads();
        self.check_turns();
        // No host has more migrations than it may.
        for host in self.core.cell.hosts.keys() {
            assert!(
                self.core.cell.migrations(host) <= 2 || self.life > 1 || !self.seats.is_empty(),
                "{host}"
            );
        }
    }

    /// VMs that are to be in different racks at each instant are, those on their way at both ends.
    fn check_spreads(&self) {
        for rule in self.settings.constraints.iter().filter(|rule| rule.continuous) {
            let Some(Body::Spread { vms, scope: Some(scope), .. }) = &rule.body else { continue };
            let mut there: BTreeMap<&str, &str> = BTreeMap::new();
            let mut put = |vm: &'_ String, host: &str| {
                let vm = vms.vms.iter().find(|name| *name == vm);
                let Some((vm, rack)) = vm.zip(self.hosts[host].labels.get(scope)) else { return };
                let other = there.insert(rack, vm).filter(|other| other != vm);
                assert!(other.is_none(), "{vm} and {other:?} are in {rack}\n{}", self.story());
            };
            for (vm, host) in self.vms.iter().filter_map(|(vm, at)| Some((vm, at.host.as_ref()?))) {
                put(vm, host);
            }
            for host in self.hosts.values() {
                for (_, act) in host.running() {
                    match &act.kind {
                        OrderKind::Migrate { destination, .. } => put(&act.vm, destination),
                        OrderKind::Start { .. } => put(&act.vm, &host.name),
                    }
                }
            }
        }
    }

    /// Of VMs of which some are to be moved or started before others none is on its way while one of the others is.
    fn check_turns(&self) {
        for rule in &self.settings.constraints {
            let Some(Body::Before { first, second }) = &rule.body else { continue };
            let running = || self.hosts.values().flat_map(|host| host.running().map(|(_, act)| &act.vm));
            let of = |set: &Vms| running().find(|vm| set.vms.contains(vm)).cloned();
            if let (Some(one), Some(other)) = (of(first), of(second)) {
                panic!("{one} and {other} are on their way at once\n{}", self.story());
            }
        }
    }

    /// After a while in which nothing goes wrong: everything has ended.
    pub(super) fn check_rest(&self) {
        let open: Vec<_> = self.core.lives.keys().collect();
        assert!(open.is_empty(), "{open:?} have not ended:\n{}", self.events_text());
        assert!(self.core.aloft.is_empty(), "{:?}\n{}", self.core.aloft, self.events_text());
        assert_eq!(self.core.cell.flights().count(), 0);
        assert_eq!(self.core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).count(), 0);
        assert!(self.hosts.values().all(|host| host.journal.is_empty()), "outcomes are not acknowledged");
        for (name, vm) in &self.vms {
            let shown = self.view.vms.get(name).map(|vm| vm.host.as_str());
            assert_eq!(shown.unwrap_or(""), vm.host.as_deref().unwrap_or(""), "{name}");
        }
    }
}

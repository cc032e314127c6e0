//! What readers see: records made of the state, where they have changed.

use super::Core;
use crate::coordinator::handle::Change;
use crate::coordinator::inventory::VmEntry;
use crate::coordinator::view::{EVENTS_KEPT, View};
use crate::record::{Connection, HostRecord, VmRecord};
use dvms_solver::file::{Body, Constraint, Vms};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Core {
    /// Brings the view up to date; returns what has changed, with revisions.
    pub(in crate::coordinator) fn publish(&mut self, view: &mut View) -> Vec<(u64, Change)> {
        let mut changes = Vec::new();
        let (hosts, vms) = self.cell.take_changes();
        for name in hosts {
            match self.host_record(&name) {
                Some(record) if view.hosts.get(&name).is_none_or(|shown| **shown != record) => {
                    let record = Arc::new(record);
                    view.hosts.insert(name, record.clone());
                    changes.push(Change::Host(record));
                }
                None if view.hosts.remove(&name).is_some() => changes.push(Change::HostGone(name)),
                Some(_) | None => {}
            }
        }
        for name in vms {
            match self.vm_record(&name) {
                Some(record) if view.vms.get(&name).is_none_or(|shown| **shown != record) => {
                    let record = Arc::new(record);
                    view.vms.insert(name, record.clone());
                    changes.push(Change::Vm(record));
                }
                None if view.vms.remove(&name).is_some() => changes.push(Change::VmGone(name)),
                Some(_) | None => {}
            }
        }
        for event in std::mem::take(&mut self.journal.fresh) {
            if view.events.len() >= EVENTS_KEPT {
                view.events.pop_front();
            }
            view.events.push_back(event.clone());
            changes.push(Change::Event(event));
        }
        for id in std::mem::take(&mut self.shown) {
            match self.plans.get(&id) {
                Some(record) => {
                    view.plans.insert(id, record.clone());
                    changes.push(Change::Plan(record.clone()));
                }
                None => _ = view.plans.remove(&id),
            }
        }
        view.figures.clone_from(&self.figures);
        view.ring = self.ring.shown();
        view.policies = self.policies.clone();
        let numbered = changes.into_iter().map(|change| {
            view.revision += 1;
            (view.revision, change)
        });
        numbered.collect()
    }

    /// Counts what figures say of the present.
    pub(super) fn count(&mut self) {
        let figures = &mut self.figures;
        figures.hosts = BTreeMap::from([("connected", 0), ("lost", 0), ("failed", 0)]);
        let mut vms = 0;
        for host in self.cell.hosts.values() {
            let word = match host.connection {
                Connection::Connected => "connected",
                Connection::Lost => "lost",
                Connection::Failed => "failed",
            };
            *figures.hosts.entry(word).or_default() += 1;
            vms += host.living().count() as u64;
        }
        figures.vms = vms;
        figures.vms_waiting = self.cell.waiting.len() as u64;
        figures.conditions.values_mut().for_each(|count| *count = 0);
        for trouble in self.detector.standing() {
            *figures.conditions.entry(trouble.kind.name()).or_default() += 1;
        }
        figures.actions_in_flight = self.cell.flights().count() as u64;
        figures.partitions = self
            .partitions
            .partitions()
            .filter(|(id, hosts)| !hosts.is_empty() && !super::ring::is_unsettled(id))
            .count() as u64;
    }

    pub(super) fn host_record(&self, name: &str) -> Option<HostRecord> {
        let entry = self.cell.hosts.get(name)?;
        Some(HostRecord {
            name: name.to_owned(),
            state: entry.admin,
            connection: entry.connection,
            capacity: entry.hello.capacity.clone(),
            usage: entry.usage.clone(),
            expected: self.cell.expected(name),
            usable: entry.usable(&self.settings.inventory),
            labels: entry.hello.labels.clone(),
            vm_count: entry.vms.len() as u32,
            agent_version: entry.hello.agent_version.clone(),
            driver: entry.hello.driver.clone(),
            last_report: Some(entry.seen_wall),
            epoch: entry.epoch,
            partition: self.partitions.holder(name).unwrap_or_default().to_owned(),
            migrations: self.cell.migrations(name),
            conditions: self.detector.conditions(name),
            migration: self.migration_record(name),
        })
    }

    fn vm_record(&self, name: &str) -> Option<VmRecord> {
        let (host, entry): (&str, &VmEntry) =
            self.cell.vm(name).or_else(|| self.cell.waiting.get(name).map(|entry| ("", entry)))?;
        let flight = self.cell.flight(name);
        let report = &entry.report;
        let applies = |rule: &&Constraint| concerns(rule, name, &report.labels);
        Some(VmRecord {
            name: name.to_owned(),
            uuid: report.uuid.clone(),
            host: host.to_owned(),
            state: report.state,
            demand: entry.demand(),
            cpu_millicores: report.cpu_millicores,
            memory_mib: report.memory_mib,
            labels: report.labels.clone(),
            migrating_to: flight.map(|flight| flight.destination.clone()).unwrap_or_default(),
            plan_id: flight.map(|flight| flight.key.plan_id.clone()).unwrap_or_default(),
            constraints: self
                .settings
                .constraints
                .iter()
                .filter(applies)
                .map(|rule| rule.name.clone())
                .collect(),
        })
    }
}

/// Whether a rule names a VM.
fn concerns(rule: &Constraint, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let has = |vms: &Vms| {
        vms.vms.iter().any(|vm| vm == name)
            || !vms.vm_selector.is_empty()
                && vms.vm_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    match &rule.body {
        Some(
            Body::Spread { vms, .. }
            | Body::Gather { vms, .. }
            | Body::Fence { vms, .. }
            | Body::Ban { vms, .. }
            | Body::Lonely { vms }
            | Body::Among { vms, .. }
            | Body::Root { vms }
            | Body::Sync { vms },
        ) => has(vms),
        Some(Body::Split { groups } | Body::SplitAmong { groups, .. }) => groups.iter().any(has),
        Some(Body::Before { first, second }) => has(first) || has(second),
        _ => false,
    }
}

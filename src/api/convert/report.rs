//! What agents say. Their reports have no other judge, so values are judged here too: amounts that a host
//! cannot have and names that clash end at the edge.

use super::Faults;
use crate::api::error::Violation;
use crate::record::{
    ActionKey, ActionProgress, Capacity, Delta, FailureReason, Hello, Inventory, NumaCell, ProgressState,
    Report, Usage, VmReport, VmState,
};
use dvms_proto::v1 as pb;
use std::collections::BTreeSet;

/// As in the contract of problems.
const LARGEST_AMOUNT: i64 = 1 << 53;
/// Longest name of anything, in bytes.
const LONGEST_NAME: usize = 253;

/// The first message of a session.
///
/// # Errors
/// A violation for each field that cannot be used.
pub fn hello_from_wire(hello: pb::Hello) -> Result<Hello, Vec<Violation>> {
    let mut judge = Judge::default();
    if !is_name(&hello.host) {
        let message = format!("{:?} is not a name: 1 to 253 characters of A-Z a-z 0-9 _ . : @ -", hello.host);
        judge.fault("hello.host", message);
    }
    let capacity = if let Some(capacity) = hello.capacity {
        judge.capacity("hello.capacity", capacity)
    } else {
        judge.fault("hello.capacity", "must be given");
        Capacity::default()
    };
    judge.done(Hello {
        host: hello.host,
        boot_id: hello.boot_id,
        agent_version: hello.agent_version,
        epoch: hello.epoch,
        labels: hello.labels,
        capacity,
        migration_uri: hello.migration_uri,
        driver: hello.driver,
    })
}

/// Everything on a host.
///
/// # Errors
/// A violation for each field that cannot be used.
pub fn inventory_from_wire(inventory: pb::HostInventory) -> Result<Report, Vec<Violation>> {
    let mut judge = Judge::default();
    let usage = judge.usage("inventory.usage", inventory.usage.unwrap_or_default());
    let vms = judge.vms("inventory.vms", inventory.vms);
    let progress = |(i, action)| judge.progress(&format!("inventory.actions[{i}]"), action);
    let actions = inventory.actions.into_iter().enumerate().map(progress).collect();
    judge.done(Report::Inventory(Inventory { usage, vms, actions }))
}

/// What has changed on a host.
///
/// # Errors
/// A violation for each field that cannot be used.
pub fn delta_from_wire(delta: pb::HostDelta) -> Result<Report, Vec<Violation>> {
    let mut judge = Judge::default();
    let usage = delta.usage.map(|usage| judge.usage("delta.usage", usage));
    let changed = judge.vms("delta.changed", delta.changed);
    for (i, name) in delta.gone.iter().enumerate() {
        judge.name(&format!("delta.gone[{i}]"), name);
    }
    let capacity = delta.capacity.map(|capacity| judge.capacity("delta.capacity", capacity));
    judge.done(Report::Delta(Delta { usage, changed, gone: delta.gone, capacity }))
}

/// How an action stands.
///
/// # Errors
/// A violation for each field that cannot be used.
pub fn progress_from_wire(progress: pb::ActionProgress) -> Result<Report, Vec<Violation>> {
    let mut judge = Judge::default();
    let progress = judge.progress("action_progress", progress);
    judge.done(Report::Progress(progress))
}

/// Whether it is a name by the contract of problems.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:@-".contains(c);
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(allowed)
}

#[derive(Default)]
struct Judge {
    faults: Faults,
}

impl Judge {
    fn done<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Violation::new(path, message));
    }

    /// Hypervisors allow more in names than the contract of problems does.
    fn name(&mut self, path: &str, name: &str) {
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            let message = format!("must have 1 to {LONGEST_NAME} bytes and no control characters");
            self.fault(path, message);
        }
    }

    fn amount(&mut self, path: &str, field: &str, amount: i64) -> i64 {
        if !(0..=LARGEST_AMOUNT).contains(&amount) {
            self.fault(&format!("{path}.{field}"), format!("must be within 0..2^53, is {amount}"));
        }
        amount
    }

    fn real(&mut self, path: &str, field: &str, value: f64) -> f64 {
        if !(value.is_finite() && value >= 0.0) {
            self.fault(&format!("{path}.{field}"), format!("must be a number ≥ 0, is {value}"));
        }
        value
    }

    fn capacity(&mut self, path: &str, capacity: pb::HostCapacity) -> Capacity {
        let mut cells = Vec::with_capacity(capacity.numa_cells.len());
        for (i, cell) in capacity.numa_cells.into_iter().enumerate() {
            let path = format!("{path}.numa_cells[{i}]");
            cells.push(NumaCell {
                id: cell.id,
                cpu_millicores: self.amount(&path, "cpu_millicores", cell.cpu_millicores),
                memory_mib: self.amount(&path, "memory_mib", cell.memory_mib),
            });
        }
        let bandwidth = capacity.migration_bandwidth_mib_s;
        Capacity {
            cpu_millicores: self.amount(path, "cpu_millicores", capacity.cpu_millicores),
            memory_mib: self.amount(path, "memory_mib", capacity.memory_mib),
            network_mbits: self.amount(path, "network_mbits", capacity.network_mbits),
            migration_bandwidth_mib_s: self.real(path, "migration_bandwidth_mib_s", bandwidth),
            max_migrations: capacity.max_migrations,
            numa_cells: cells,
        }
    }

    fn usage(&mut self, path: &str, usage: pb::HostUsage) -> Usage {
        Usage {
            cpu_millicores: self.amount(path, "cpu_millicores", usage.cpu_millicores),
            memory_mib: self.amount(path, "memory_mib", usage.memory_mib),
            network_mbits: self.amount(path, "network_mbits", usage.network_mbits),
            cpu_pressure_permille: usage.cpu_pressure_permille,
            memory_pressure_permille: usage.memory_pressure_permille,
        }
    }

    fn vms(&mut self, path: &str, reports: Vec<pb::VmReport>) -> Vec<VmReport> {
        let mut names = BTreeSet::new();
        let mut vms = Vec::with_capacity(reports.len());
        for (i, report) in reports.into_iter().enumerate() {
            let path = format!("{path}[{i}]");
            let vm = self.vm(&path, report);
            if !names.insert(vm.name.clone()) {
                self.fault(&format!("{path}.name"), format!("{:?} is named twice", vm.name));
            }
            vms.push(vm);
        }
        vms
    }

    fn vm(&mut self, path: &str, vm: pb::VmReport) -> VmReport {
        use pb::vm_report::State as Wire;
        self.name(&format!("{path}.name"), &vm.name);
        let state = match Wire::try_from(vm.state) {
            Ok(Wire::Running) => VmState::Running,
            Ok(Wire::Paused) => VmState::Paused,
            Ok(Wire::Off) => VmState::Off,
            Ok(Wire::MigratingOut) => VmState::MigratingOut,
            Ok(Wire::MigratingIn) => VmState::MigratingIn,
            Ok(Wire::Crashed) => VmState::Crashed,
            Ok(Wire::Unspecified) | Err(_) => {
                self.fault(&format!("{path}.state"), "must be one of the named values");
                VmState::default()
            }
        };
        let dirty_rate_mib_s = vm.dirty_rate_mib_s.map(|rate| self.real(path, "dirty_rate_mib_s", rate));
        VmReport {
            state,
            vcpus: self.amount(path, "vcpus", vm.vcpus),
            memory_max_mib: self.amount(path, "memory_max_mib", vm.memory_max_mib),
            cpu_millicores: self.amount(path, "cpu_millicores", vm.cpu_millicores),
            memory_mib: self.amount(path, "memory_mib", vm.memory_mib),
            network_mbits: self.amount(path, "network_mbits", vm.network_mbits),
            dirty_rate_mib_s,
            name: vm.name,
            uuid: vm.uuid,
            labels: vm.labels,
            persistent: vm.persistent,
            definition: vm.definition,
        }
    }

    fn progress(&mut self, path: &str, progress: pb::ActionProgress) -> ActionProgress {
        use pb::action_progress::State as Wire;
        let state = match Wire::try_from(progress.state) {
            Ok(Wire::Accepted) => ProgressState::Accepted,
            Ok(Wire::Running) => ProgressState::Running,
            Ok(Wire::Done) => ProgressState::Done,
            Ok(Wire::Failed) => ProgressState::Failed,
            Ok(Wire::Refused) => ProgressState::Refused,
            Ok(Wire::Uncertain) => ProgressState::Uncertain,
            Ok(Wire::Unspecified) | Err(_) => {
                self.fault(&format!("{path}.state"), "must be one of the named values");
                ProgressState::default()
            }
        };
        let reason = if let Ok(reason) = pb::action_progress::Reason::try_from(progress.reason) {
            failure_from_wire(reason)
        } else {
            self.fault(&format!("{path}.reason"), "must be one of the named values");
            None
        };
        if progress.plan_id.is_empty() {
            self.fault(&format!("{path}.plan_id"), "must be given");
        }
        ActionProgress {
            key: ActionKey { plan_id: progress.plan_id, action_id: progress.action_id },
            state,
            vm: progress.vm,
            message: progress.message,
            reason,
            bytes_processed: progress.bytes_processed,
            bytes_remaining: progress.bytes_remaining,
            elapsed_s: self.real(path, "elapsed_s", progress.elapsed_s),
            downtime_ms: progress.downtime_ms,
            bandwidth_mib_s: self.real(path, "bandwidth_mib_s", progress.bandwidth_mib_s),
        }
    }
}

pub(super) fn failure_from_wire(reason: pb::action_progress::Reason) -> Option<FailureReason> {
    use pb::action_progress::Reason as Wire;
    Some(match reason {
        Wire::Unspecified => return None,
        Wire::StaleEpoch => FailureReason::StaleEpoch,
        Wire::VmNotHere => FailureReason::VmNotHere,
        Wire::VmBusy => FailureReason::VmBusy,
        Wire::DestinationUnreachable => FailureReason::DestinationUnreachable,
        Wire::NameClash => FailureReason::NameClash,
        Wire::Stalled => FailureReason::Stalled,
        Wire::Deadline => FailureReason::Deadline,
        Wire::Cancelled => FailureReason::Cancelled,
        Wire::HypervisorError => FailureReason::HypervisorError,
        Wire::NotSupported => FailureReason::NotSupported,
        Wire::VmEnded => FailureReason::VmEnded,
        Wire::Alarm => FailureReason::Alarm,
        Wire::Limit => FailureReason::Limit,
    })
}

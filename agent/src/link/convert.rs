//! Between what the agent works with and the messages of the API.

use crate::action::{ActionKey, Order, Progress, State, Work};
use crate::agent::Identity;
use crate::hypervisor::{Capacity, HostDescription, HostUsage, Reason, Sample, VmState, VmStatus};
use crate::report::{Definition, Delta};
use dvms_proto::v1 as pb;
use std::time::{Duration, SystemTime};

/// Where an order names no limit.
const DEFAULT_DEADLINE: Duration = Duration::from_mins(10);
const DEFAULT_STALL: Duration = Duration::from_secs(30);

pub(super) fn hello(
    identity: &Identity,
    host: &str,
    driver: &str,
    description: &HostDescription,
    epoch: u64,
    spoken: std::ops::RangeInclusive<u32>,
) -> pb::Hello {
    let migration_uri = match identity.migration_uri.as_str() {
        "" if driver == "libvirt" => format!("qemu+tcp://{host}/system"),
        uri => uri.to_owned(),
    };
    pb::Hello {
        host: host.to_owned(),
        boot_id: identity.boot_id.clone().unwrap_or_else(kernel_boot_id),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol_version: *spoken.start(),
        newest_protocol_version: *spoken.end(),
        epoch,
        labels: identity.labels.clone(),
        capacity: Some(capacity(identity, description)),
        migration_uri,
        driver: driver.to_owned(),
    }
}

fn kernel_boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

pub(super) fn capacity(identity: &Identity, description: &HostDescription) -> pb::HostCapacity {
    let Capacity { cpu_millicores, memory_mib, network_mbits, ref numa_cells } = description.capacity;
    let cell = |cell: &crate::hypervisor::NumaCell| pb::host_capacity::NumaCell {
        id: cell.id,
        cpu_millicores: cell.cpu_millicores,
        memory_mib: cell.memory_mib,
    };
    pb::HostCapacity {
        cpu_millicores,
        memory_mib,
        network_mbits,
        migration_bandwidth_mib_s: identity.migration_bandwidth_mib_s,
        max_migrations: identity.max_migrations,
        numa_cells: numa_cells.iter().map(cell).collect(),
    }
}

pub(super) fn inventory(host: &str, sample: &Sample, actions: &[(Order, Progress)]) -> pb::HostInventory {
    pb::HostInventory {
        host: host.to_owned(),
        time: Some(SystemTime::now().into()),
        usage: Some(usage(sample.usage)),
        vms: sample.vms.values().map(|vm| report(vm, Definition::Send)).collect(),
        actions: actions.iter().map(|(order, action)| progress(order, action)).collect(),
    }
}

pub(super) fn delta(host: &str, delta: &Delta) -> pb::HostDelta {
    pb::HostDelta {
        host: host.to_owned(),
        time: Some(SystemTime::now().into()),
        usage: delta.usage.map(usage),
        changed: delta.changed.iter().map(|(vm, definition)| report(vm, *definition)).collect(),
        gone: delta.gone.clone(),
        capacity: None,
    }
}

fn usage(usage: HostUsage) -> pb::HostUsage {
    pb::HostUsage {
        cpu_millicores: usage.cpu_millicores,
        memory_mib: usage.memory_mib,
        network_mbits: usage.network_mbits,
        cpu_pressure_permille: usage.cpu_pressure_permille,
        memory_pressure_permille: usage.memory_pressure_permille,
    }
}

fn report(vm: &VmStatus, definition: Definition) -> pb::VmReport {
    use pb::vm_report::State as Wire;
    let state = match vm.state {
        VmState::Running => Wire::Running,
        VmState::Paused => Wire::Paused,
        VmState::Off => Wire::Off,
        VmState::MigratingOut => Wire::MigratingOut,
        VmState::MigratingIn => Wire::MigratingIn,
        VmState::Crashed => Wire::Crashed,
    };
    pb::VmReport {
        name: vm.key.name.clone(),
        uuid: vm.key.uuid.clone(),
        state: state.into(),
        vcpus: vm.vcpus,
        memory_max_mib: vm.memory_max_mib,
        cpu_millicores: vm.cpu_millicores,
        memory_mib: vm.memory_mib,
        network_mbits: vm.network_mbits,
        dirty_rate_mib_s: vm.dirty_rate_mib_s,
        labels: vm.labels.as_ref().clone(),
        persistent: vm.persistent,
        definition: match definition {
            Definition::Send => vm.definition.as_ref().to_owned(),
            Definition::Known => String::new(),
        },
    }
}

pub(super) fn progress(order: &Order, progress: &Progress) -> pb::ActionProgress {
    use pb::action_progress::State as Wire;
    let state = match progress.state {
        State::Accepted => Wire::Accepted,
        State::Running => Wire::Running,
        State::Done => Wire::Done,
        State::Failed => Wire::Failed,
        State::Refused => Wire::Refused,
        State::Uncertain => Wire::Uncertain,
    };
    pb::ActionProgress {
        plan_id: order.key.plan_id.clone(),
        action_id: order.key.action_id,
        state: state.into(),
        vm: order.vm.clone(),
        message: progress.message.clone(),
        reason: progress.reason.map_or(pb::action_progress::Reason::Unspecified, reason).into(),
        bytes_processed: progress.bytes_processed,
        bytes_remaining: progress.bytes_remaining,
        elapsed_s: progress.elapsed.as_secs_f64(),
        downtime_ms: progress.downtime_ms,
        bandwidth_mib_s: progress.bandwidth_mib_s,
    }
}

fn reason(reason: Reason) -> pb::action_progress::Reason {
    use pb::action_progress::Reason as Wire;
    match reason {
        Reason::StaleEpoch => Wire::StaleEpoch,
        Reason::VmNotHere => Wire::VmNotHere,
        Reason::VmBusy => Wire::VmBusy,
        Reason::DestinationUnreachable => Wire::DestinationUnreachable,
        Reason::NameClash => Wire::NameClash,
        Reason::Stalled => Wire::Stalled,
        Reason::Deadline => Wire::Deadline,
        Reason::Cancelled => Wire::Cancelled,
        Reason::HypervisorError => Wire::HypervisorError,
        Reason::NotSupported => Wire::NotSupported,
        Reason::VmEnded => Wire::VmEnded,
        Reason::Alarm => Wire::Alarm,
        Reason::Limit => Wire::Limit,
    }
}

/// An order of the coordinator. What is missing or makes no sense is refused later, so that there is an answer.
pub(super) fn order(execute: pb::ExecuteAction) -> Order {
    use pb::execute_action::Action;
    let work = match execute.action {
        Some(Action::Migrate(migrate)) => Work::Migrate {
            destination: migrate.destination,
            destination_uri: migrate.destination_uri,
            bandwidth_mib_s: migrate.bandwidth_mib_s.round().max(1.0) as u64,
            auto_converge: migrate.auto_converge,
            post_copy: migrate.post_copy,
        },
        Some(Action::Start(start)) => {
            Work::Start { definition: Some(start.definition).filter(|definition| !definition.is_empty()) }
        }
        None => Work::Unknown,
    };
    Order {
        key: ActionKey { plan_id: execute.plan_id, action_id: execute.action_id },
        epoch: execute.epoch,
        vm: execute.vm,
        vm_uuid: execute.vm_uuid.to_ascii_lowercase(),
        deadline: seconds(execute.deadline_s, DEFAULT_DEADLINE),
        stall: seconds(execute.stall_s, DEFAULT_STALL),
        work,
    }
}

fn seconds(seconds: f64, default: Duration) -> Duration {
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX) } else { default }
}

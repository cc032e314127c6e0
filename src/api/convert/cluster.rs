//! Hosts, VMs and events for whoever looks at them.

use crate::record::{
    AdminState, Capacity, Connection, Event, EventKind, HostRecord, Severity, Usage, VmRecord, VmState,
};
use dvms_proto::v1 as pb;

/// The wire form of a host.
#[must_use]
pub fn host_to_wire(host: &HostRecord) -> pb::Host {
    let state = match host.state {
        AdminState::Online => pb::host::AdminState::Online,
        AdminState::Draining => pb::host::AdminState::Draining,
        AdminState::Cordoned => pb::host::AdminState::Cordoned,
    };
    let connection = match host.connection {
        Connection::Connected => pb::host::Connection::Connected,
        Connection::Lost => pb::host::Connection::Lost,
        Connection::Failed => pb::host::Connection::Failed,
    };
    pb::Host {
        name: host.name.clone(),
        state: state.into(),
        connection: connection.into(),
        capacity: Some(capacity_to_wire(&host.capacity)),
        usage: Some(usage_to_wire(&host.usage)),
        expected: host.expected.clone(),
        usable: host.usable.clone(),
        labels: host.labels.clone(),
        vm_count: host.vm_count,
        agent_version: host.agent_version.clone(),
        driver: host.driver.clone(),
        last_report: host.last_report.map(Into::into),
        epoch: host.epoch,
        partition: host.partition.clone(),
        migrations: host.migrations,
        conditions: host.conditions.clone(),
        migration: host.migration.as_ref().map(super::forecast::estimate_to_wire),
    }
}

/// What an operator can want of a host; `None` for a number that is no such wish.
#[must_use]
pub fn admin_state_from_wire(number: i32) -> Option<AdminState> {
    match pb::host::AdminState::try_from(number) {
        Ok(pb::host::AdminState::Online) => Some(AdminState::Online),
        Ok(pb::host::AdminState::Draining) => Some(AdminState::Draining),
        Ok(pb::host::AdminState::Cordoned) => Some(AdminState::Cordoned),
        Ok(pb::host::AdminState::Unspecified) | Err(_) => None,
    }
}

fn capacity_to_wire(capacity: &Capacity) -> pb::HostCapacity {
    let cell = |cell: &crate::record::NumaCell| pb::host_capacity::NumaCell {
        id: cell.id,
        cpu_millicores: cell.cpu_millicores,
        memory_mib: cell.memory_mib,
    };
    pb::HostCapacity {
        cpu_millicores: capacity.cpu_millicores,
        memory_mib: capacity.memory_mib,
        network_mbits: capacity.network_mbits,
        migration_bandwidth_mib_s: capacity.migration_bandwidth_mib_s,
        max_migrations: capacity.max_migrations,
        numa_cells: capacity.numa_cells.iter().map(cell).collect(),
    }
}

fn usage_to_wire(usage: &Usage) -> pb::HostUsage {
    pb::HostUsage {
        cpu_millicores: usage.cpu_millicores,
        memory_mib: usage.memory_mib,
        network_mbits: usage.network_mbits,
        cpu_pressure_permille: usage.cpu_pressure_permille,
        memory_pressure_permille: usage.memory_pressure_permille,
    }
}

/// The wire form of a VM.
#[must_use]
pub fn vm_to_wire(vm: &VmRecord) -> pb::Vm {
    use pb::vm_report::State as Wire;
    let state = match vm.state {
        VmState::Running => Wire::Running,
        VmState::Paused => Wire::Paused,
        VmState::Off => Wire::Off,
        VmState::MigratingOut => Wire::MigratingOut,
        VmState::MigratingIn => Wire::MigratingIn,
        VmState::Crashed => Wire::Crashed,
    };
    pb::Vm {
        name: vm.name.clone(),
        uuid: vm.uuid.clone(),
        host: vm.host.clone(),
        state: state.into(),
        demand: vm.demand.clone(),
        cpu_millicores: vm.cpu_millicores,
        memory_mib: vm.memory_mib,
        labels: vm.labels.clone(),
        migrating_to: vm.migrating_to.clone(),
        plan_id: vm.plan_id.clone(),
        constraints: vm.constraints.clone(),
    }
}

/// The wire form of an event that this coordinator has recorded.
#[must_use]
pub fn event_to_wire(event: &Event, coordinator: &str) -> pb::Event {
    let severity = match event.severity {
        Severity::Info => pb::event::Severity::Info,
        Severity::Warning => pb::event::Severity::Warning,
        Severity::Error => pb::event::Severity::Error,
    };
    pb::Event {
        id: event.id,
        time: Some(event.time.into()),
        kind: kind_to_wire(event.kind).into(),
        severity: severity.into(),
        host: event.host.clone(),
        vm: event.vm.clone(),
        constraint: event.constraint.clone(),
        plan_id: event.plan_id.clone(),
        action_id: event.action_id,
        message: event.message.clone(),
        coordinator: coordinator.to_owned(),
    }
}

pub(super) fn kind_to_wire(kind: EventKind) -> pb::event::Kind {
    use pb::event::Kind as Wire;
    match kind {
        EventKind::Overload => Wire::Overload,
        EventKind::Underload => Wire::Underload,
        EventKind::Drain => Wire::Drain,
        EventKind::HostFailed => Wire::HostFailed,
        EventKind::VmWaiting => Wire::VmWaiting,
        EventKind::RuleBroken => Wire::RuleBroken,
        EventKind::Resolved => Wire::Resolved,
        EventKind::HostConnected => Wire::HostConnected,
        EventKind::HostLost => Wire::HostLost,
        EventKind::PlanCreated => Wire::PlanCreated,
        EventKind::PlanStarted => Wire::PlanStarted,
        EventKind::PlanEnded => Wire::PlanEnded,
        EventKind::ActionStarted => Wire::ActionStarted,
        EventKind::ActionEnded => Wire::ActionEnded,
        EventKind::Blocked => Wire::Blocked,
        EventKind::ForeignChange => Wire::ForeignChange,
        EventKind::Operator => Wire::Operator,
        EventKind::Alarm => Wire::Alarm,
    }
}

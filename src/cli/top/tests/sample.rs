//! Three coordinators, one of them silent; six hosts; a plan under way and one that has ended.

use super::Answer;
use dvms_proto::v1::action_status::State as Sent;
use dvms_proto::v1::event::{Kind, Severity};
use dvms_proto::v1::host::{AdminState, Connection};
use dvms_proto::v1::partition::{Lack, Step};
use dvms_proto::v1::plan::action::Type;
use dvms_proto::v1::plan_record::State;
use dvms_proto::v1::{
    ActionProgress, ActionStatus, Event, Host, Partition, PartitionHost, Plan, PlanRecord, Ring, RingMember,
    plan,
};
use std::time::{Duration, SystemTime};

/// 2023-11-14 22:13:20.
pub(super) const NOW: u64 = 1_700_000_000;

pub(super) fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn stamp(second: u64) -> prost_types::Timestamp {
    at(second).into()
}

fn host(name: &str, rack: &str, cpu: i64, memory: i64, vms: u32) -> Host {
    let amounts = |cpu, memory| [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into();
    Host {
        name: name.into(),
        state: AdminState::Online.into(),
        connection: Connection::Connected.into(),
        expected: amounts(cpu, memory),
        usable: amounts(1000, 1000),
        labels: [("rack".to_owned(), rack.to_owned())].into(),
        vm_count: vms,
        ..Host::default()
    }
}

fn hosts() -> Vec<Host> {
    let mut hosts = vec![
        host("web-01", "a", 1080, 640, 12),
        host("web-02", "b", 850, 400, 9),
        host("web-03", "a", 0, 0, 4),
        host("web-04", "a", 610, 930, 23),
        host("db-01", "b", 90, 110, 1),
        host("db-02", "b", 420, 300, 6),
    ];
    hosts[0].conditions = vec!["OVERLOAD".into()];
    hosts[0].migrations = 1;
    hosts[1].migrations = 1;
    hosts[2].connection = Connection::Lost.into();
    hosts[4].conditions = vec!["UNDERLOAD".into()];
    hosts[5].state = AdminState::Draining.into();
    hosts[5].conditions = vec!["DRAIN".into()];
    hosts
}

fn ring() -> Ring {
    let step = |second, why: &str, with: &[&str], hosts, members| Step {
        time: Some(stamp(NOW - second)),
        why: why.into(),
        with: with.iter().map(|name| (*name).to_owned()).collect(),
        hosts,
        members,
        events: 1,
        times: 1,
    };
    let host = |i: usize| PartitionHost { name: format!("web-0{i}"), owner: "east".into() };
    let partition = Partition {
        id: "7.east.1".into(),
        stage: "GATHERING".into(),
        with: "north".into(),
        kind: "OVERLOAD".into(),
        hosts: (1..=3).map(host).collect(),
        host_count: 12,
        events: vec!["OVERLOAD:web-01@east".into()],
        plan_id: String::new(),
        version: 2,
        began: Some(stamp(NOW - 9)),
        since: Some(stamp(NOW - 2)),
        lacking: Some(Lack { cpu_millicores: 1500, memory_mib: 2048, hosts: 0 }),
        steps: vec![
            step(9, "BEGAN", &["east"], 2, 1),
            step(8, "ASKED", &["north"], 5, 2),
            step(6, "BLOCKED", &[], 5, 2),
            step(2, "MERGED", &["9.north.4"], 12, 2),
        ],
        steps_left_out: 0,
    };
    let member = |name: &str, site: &str, hosts| RingMember {
        name: name.into(),
        address: format!("{name}:7600"),
        site: site.into(),
        reachable: true,
        version: "0.1.0".into(),
        hosts,
        free_hosts: hosts - 1,
        vms: hosts * 9,
        ..RingMember::default()
    };
    let east = RingMember {
        partitions: vec![partition],
        events: vec!["OVERLOAD:web-01".into()],
        ..member("east", "paris", 4)
    };
    let north = RingMember { round_trip_ms: Some(1.27), ..member("north", "paris", 2) };
    let west = RingMember { reachable: false, ..member("west", "lyon", 1) };
    Ring { name: "east".into(), members: vec![east, north, west], departed: vec![] }
}

fn plans() -> Vec<PlanRecord> {
    let action = |id, vm: &str, to: &str| plan::Action {
        id,
        r#type: Type::Migrate.into(),
        vm: vm.into(),
        source: "web-01".into(),
        destination: to.into(),
        because: "web-01 is 80 milli-cores over its cpu target".into(),
        ..plan::Action::default()
    };
    let status = |action_id, state: Sent, sent: u64| ActionStatus {
        action_id,
        state: state.into(),
        progress: Some(ActionProgress {
            bytes_processed: sent << 20,
            bytes_remaining: (2048 - sent) << 20,
            elapsed_s: 4.2,
            ..ActionProgress::default()
        }),
        ..ActionStatus::default()
    };
    let executing = PlanRecord {
        id: "0190a1-000002-east".into(),
        state: State::Executing.into(),
        trigger: "OVERLOAD".into(),
        purpose: "repair the overload of web-01".into(),
        plan: Some(Plan {
            actions: vec![action(1, "shop-7", "web-02"), action(2, "shop-9", "web-02")],
            ..Plan::default()
        }),
        actions: vec![status(1, Sent::Done, 2048), status(2, Sent::Running, 921)],
        created: Some(stamp(NOW - 8)),
        waits_for: String::new(),
        ..PlanRecord::default()
    };
    let blocked = PlanRecord {
        id: "0190a1-000003-north".into(),
        state: State::Blocked.into(),
        trigger: "DRAIN".into(),
        purpose: "drain db-02".into(),
        message: "no host has room for pg-1".into(),
        created: Some(stamp(NOW - 700)),
        ..PlanRecord::default()
    };
    // Doubled, as answers overlap.
    vec![blocked, executing.clone(), executing]
}

fn events() -> Vec<Event> {
    let event = |id, second, coordinator: &str, kind: Kind, severity: Severity, message: &str| Event {
        id,
        time: Some(stamp(second)),
        kind: kind.into(),
        severity: severity.into(),
        coordinator: coordinator.into(),
        message: message.into(),
        ..Event::default()
    };
    let (info, warning) = (Severity::Info, Severity::Warning);
    vec![
        event(41, NOW - 3, "east", Kind::ActionStarted, info, "shop-9 moves from web-01 to web-02"),
        event(
            17,
            NOW - 9,
            "north",
            Kind::Overload,
            warning,
            "web-01 is expected to use 1080 of 1000 milli-cores",
        ),
        event(40, NOW - 90, "east", Kind::HostLost, Severity::Error, "the agent of web-03 is gone\u{1b}[2J"),
    ]
}

pub(super) fn answer() -> Answer {
    let silent = vec!["west".to_owned(), "west".to_owned()];
    Answer { ring: ring(), hosts: hosts(), vms: 55, plans: plans(), events: events(), silent }
}

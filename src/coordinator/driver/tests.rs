use crate::coordinator::{AttachError, Change, Coordinator, OperateError, Settings};
use crate::record::{
    AdminState, Capacity, Connection, Delta, EventKind, Hello, Inventory, Order, Report, VmReport, VmState,
};
use crate::solving::Engine;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn hello(host: &str, epoch: u64) -> Hello {
    let capacity = Capacity { cpu_millicores: 8000, memory_mib: 16_000, ..Capacity::default() };
    Hello { host: host.into(), boot_id: "1".into(), epoch, capacity, ..Hello::default() }
}

fn running(vm: &str) -> VmReport {
    let state = VmState::Running;
    VmReport { name: vm.into(), state, cpu_millicores: 1000, memory_mib: 512, ..VmReport::default() }
}

fn start(store: Store) -> Coordinator {
    Coordinator::start("test", Settings::default(), store, Arc::new(Engine)).unwrap()
}

/// Waits until something is so; panics with what was waited for.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[tokio::test]
async fn sessions_fill_the_view_and_a_newer_one_shuts_the_old_one_out() {
    let coordinator = start(Store::open_in_memory().unwrap());
    let mut watched = coordinator.subscribe().changes;
    let mut first = coordinator.attach(hello("a", 41)).await.unwrap();
    assert!(first.epoch > 41);
    let inventory = Inventory { vms: vec![running("v")], ..Inventory::default() };
    first.reports.send(Report::Inventory(inventory)).await.unwrap();
    until("the VM is seen", || coordinator.vm("v").is_some_and(|vm| vm.host == "a")).await;
    assert_eq!(coordinator.host("a").unwrap().expected["cpu"], 1000);

    let second = coordinator.attach(hello("a", first.epoch)).await.unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(within("the old session to end", first.orders.recv()).await, None);
    // The old session says goodbye and more; the new one stands.
    let late = Delta { gone: vec!["v".into()], ..Delta::default() };
    first.reports.send(Report::Delta(late)).await.unwrap();
    drop(first);
    second
        .reports
        .send(Report::Inventory(Inventory { vms: vec![running("v")], ..Inventory::default() }))
        .await
        .unwrap();
    let state = coordinator.set_host_state("a", AdminState::Cordoned, "test").await.unwrap();
    assert_eq!(
        (state.state, state.connection, state.epoch),
        (AdminState::Cordoned, Connection::Connected, second.epoch)
    );
    assert!(coordinator.vm("v").is_some());

    drop(second);
    until("the host is lost", || coordinator.host("a").unwrap().connection == Connection::Lost).await;
    let kinds: Vec<_> = coordinator.events().iter().rev().map(|event| event.kind).collect();
    let expected =
        [EventKind::HostConnected, EventKind::HostConnected, EventKind::Operator, EventKind::HostLost];
    assert_eq!(kinds, expected);
    coordinator.shutdown().await;
    // Watchers have seen every event in order, with rising revisions, and then the end.
    let (mut revision, mut seen) = (0, Vec::new());
    while let Ok((next, change)) = watched.recv().await {
        assert!(next > revision);
        revision = next;
        if let Change::Event(event) = change {
            seen.push(event.kind);
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_operators_want_outlives_a_restart_and_agents_are_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = start(Store::open(folder.path()).unwrap());
    let mut session = coordinator.attach(hello("a", 0)).await.unwrap();
    assert_eq!(
        coordinator.set_host_state("b", AdminState::Draining, "").await,
        Err(OperateError::NotFound { kind: "host", name: "b".into() })
    );
    coordinator.set_host_state("a", AdminState::Draining, "new memory").await.unwrap();
    within("the stop", coordinator.shutdown()).await;
    assert!(matches!(session.orders.recv().await, Some(Order::GoAway { .. })));
    assert_eq!(session.orders.recv().await, None);
    assert_eq!(coordinator.attach(hello("a", 0)).await.err(), Some(AttachError::Stopping));
    assert_eq!(coordinator.set_host_state("a", AdminState::Online, "").await, Err(OperateError::Stopping));
    within("a second stop", coordinator.shutdown()).await;

    let again = start(Store::open(folder.path()).unwrap());
    let host = again.host("a").expect("it is known from before");
    assert_eq!((host.state, host.connection), (AdminState::Draining, Connection::Lost));
    assert_eq!(again.events().len(), 2);
    let later = again.attach(hello("a", 0)).await.unwrap();
    assert!(later.epoch > session.epoch, "epochs rise over restarts");
    until("it is back", || again.host("a").unwrap().connection == Connection::Connected).await;
    assert_eq!(again.host("a").unwrap().state, AdminState::Draining);
    assert!(again.events()[0].message.contains("connected again"), "{}", again.events()[0].message);
}

#[tokio::test]
async fn a_host_without_a_usable_name_is_refused() {
    let coordinator = start(Store::open_in_memory().unwrap());
    let refused = coordinator.attach(hello("no spaces", 0)).await.err();
    assert!(matches!(refused, Some(AttachError::Invalid { field, .. }) if field == "host"));
}

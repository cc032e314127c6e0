use crate::coordinator::{AgentSession, AttachError, Change, Coordinator, OperateError, Settings};
use crate::record::{
    ActionProgress, AdminState, Capacity, Connection, Delta, EventKind, Hello, Inventory, Order, OrderKind,
    PlanRequest, PlanState, ProgressState, Report, VmReport, VmState,
};
use crate::solving::{self, Engine, Solver, Stop};
use crate::store::Store;
use dvms_solver::Rejected;
use dvms_solver::file::{Plan, Problem, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// A solver that does what a test says.
struct Scripted(fn(&Problem, &Stop) -> Plan);

impl Solver for Scripted {
    fn solve(
        &self,
        problem: &Problem,
        _: &solving::Order,
        stop: &Stop,
        _: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected> {
        Ok((self.0)(problem, stop))
    }
}

/// Two hosts; the first one has three VMs too many for its cpu.
async fn overloaded(solver: Arc<dyn Solver>) -> (Coordinator, AgentSession, AgentSession) {
    let mut settings = Settings::default();
    settings.detection.hold_s = 0.0;
    // These agents speak once.
    (settings.inventory.lost_after_s, settings.inventory.failed_after_s) = (600.0, 6000.0);
    let coordinator = Coordinator::start("test", settings, Store::open_in_memory().unwrap(), solver).unwrap();
    let free = coordinator.attach(hello("b", 0)).await.unwrap();
    free.reports.send(Report::Inventory(Inventory::default())).await.unwrap();
    let full = coordinator.attach(hello("a", 0)).await.unwrap();
    let heavy = |name: &str| VmReport { cpu_millicores: 2600, ..running(name) };
    let vms = vec![heavy("v1"), heavy("v2"), heavy("v3")];
    full.reports.send(Report::Inventory(Inventory { vms, ..Inventory::default() })).await.unwrap();
    (coordinator, full, free)
}

#[tokio::test]
async fn an_overload_is_solved_and_the_plan_is_carried_out_by_the_agent() {
    let (coordinator, mut full, _free) = overloaded(Arc::new(Engine)).await;
    until("it is carried out, or blocked", || {
        coordinator.plans().first().is_some_and(|plan| plan.started.is_some() || plan.ended.is_some())
    })
    .await;
    assert_eq!(coordinator.plans()[0].message, "");
    let order = within("an order", full.orders.recv()).await.unwrap();
    let Order::Execute { key, vm, kind, .. } = order else { panic!("{order:?}") };
    let OrderKind::Migrate { destination, bandwidth_mib_s, .. } = kind else { panic!("{kind:?}") };
    assert_eq!(destination, "b");
    assert!((1.0..=100.0).contains(&bandwidth_mib_s), "{bandwidth_mib_s}");
    until("it moves", || coordinator.vm(&vm).unwrap().migrating_to == "b").await;
    assert_eq!(coordinator.host("b").unwrap().partition, key.plan_id);
    let plan = coordinator.plan(&key.plan_id).unwrap();
    the_independent_script_agrees(plan.problem.as_ref().unwrap(), plan.plan.as_ref().unwrap());
    let done =
        ActionProgress { key: key.clone(), state: ProgressState::Done, vm: vm.clone(), ..Default::default() };
    full.reports.send(Report::Progress(done)).await.unwrap();
    assert_eq!(within("its end", full.orders.recv()).await, Some(Order::Acknowledge(vec![key.clone()])));
    until("the plan has ended", || coordinator.plan(&key.plan_id).unwrap().state == PlanState::Succeeded)
        .await;
    assert_eq!(coordinator.vm(&vm).unwrap().host, "b");
    assert_eq!(coordinator.figures().actions["done"], 1);
    within("the stop", coordinator.shutdown()).await;
}

fn the_independent_script_agrees(problem: &Problem, plan: &Plan) {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/check_plan.py");
    if !script.is_file() {
        eprintln!("SKIPPED: {} is not there", script.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (problem_file, plan_file) = (folder.path().join("problem.json"), folder.path().join("plan.json"));
    std::fs::write(&problem_file, serde_json::to_vec(problem).unwrap()).unwrap();
    std::fs::write(&plan_file, serde_json::to_vec(plan).unwrap()).unwrap();
    let verdict =
        std::process::Command::new("python3").args([&script, &problem_file, &plan_file]).output().unwrap();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));
}

#[tokio::test]
async fn a_solver_that_panics_or_lies_ends_in_a_blocked_plan_and_nothing_else() {
    let panics: fn(&Problem, &Stop) -> Plan = |_, _| panic!("of fear");
    let lies: fn(&Problem, &Stop) -> Plan = |_, _| Plan { status: Status::Optimal, ..Plan::default() };
    for (solver, word) in [(panics, "of fear"), (lies, "does not pass the checker")] {
        let (coordinator, _full, _free) = overloaded(Arc::new(Scripted(solver))).await;
        until("a plan is blocked", || {
            coordinator.plans().first().is_some_and(|plan| plan.state == PlanState::Blocked)
        })
        .await;
        let message = coordinator.plans()[0].message.clone();
        assert!(message.contains(word), "{message}");
        coordinator.set_host_state("a", AdminState::Cordoned, "").await.unwrap();
        within("the stop", coordinator.shutdown()).await;
    }
}

#[tokio::test]
async fn a_slow_solver_is_waited_for_by_nobody_and_is_asked_to_stop() {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let slow: fn(&Problem, &Stop) -> Plan = |_, stop| {
        while !stop.is_asked() {
            std::thread::sleep(Duration::from_millis(5));
        }
        STOPPED.store(true, Ordering::Relaxed);
        Plan::default()
    };
    let (coordinator, _full, _free) = overloaded(Arc::new(Scripted(slow))).await;
    until("it is being solved", || {
        coordinator.plans().first().is_some_and(|plan| plan.state == PlanState::Solving)
    })
    .await;
    let id = coordinator.plans()[0].id.clone();
    let request = PlanRequest { request_id: "once".into(), ..PlanRequest::default() };
    let waits = coordinator.create_plan(request.clone()).await.unwrap();
    assert_eq!(waits.state, PlanState::Queued);
    assert_eq!(coordinator.create_plan(request).await.unwrap().id, waits.id);
    assert_eq!(coordinator.cancel_plan(&id, false, "").await.unwrap().state, PlanState::Cancelled);
    until("it is asked to stop", || STOPPED.load(Ordering::Relaxed)).await;
    until("the next one is solved", || coordinator.plan(&waits.id).unwrap().state == PlanState::Solving)
        .await;
    within("the stop", coordinator.shutdown()).await;
}

#[tokio::test]
async fn hopeless_orders_are_answered_as_such() {
    let coordinator = start(Store::open_in_memory().unwrap());
    let missing = OperateError::NotFound { kind: "plan", name: "p-1".into() };
    assert_eq!(coordinator.approve_plan("p-1").await, Err(missing.clone()));
    assert_eq!(coordinator.cancel_plan("p-1", true, "").await, Err(missing));
}

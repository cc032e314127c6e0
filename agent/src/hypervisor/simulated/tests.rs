use super::{HostSpec, Load, SimulatedWorld, StepKind, VmSpec};
use crate::hypervisor::{
    End, Hypervisor, MigrationOrder, Reason, StartOrder, Verdict, VmKey, VmState, verdict,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn host(name: &str) -> HostSpec {
    HostSpec {
        name: name.into(),
        cpu_millicores: 4000,
        memory_mib: 4096,
        migration_bandwidth_mib_s: 1000.0,
        numa_cells: Vec::new(),
    }
}

fn vm(name: &str, memory_mib: i64, millicores: f64) -> VmSpec {
    VmSpec {
        name: name.into(),
        vcpus: 2,
        memory_mib,
        load: Load::constant(millicores),
        dirty_mib_s: 0.0,
        labels: BTreeMap::from([("app".to_owned(), "web=1".to_owned())]),
    }
}

fn world(speed: f64) -> SimulatedWorld {
    let world = SimulatedWorld::new(speed);
    world.add_host(host("h1"));
    world.add_host(host("h2"));
    world
}

fn order(world: &SimulatedWorld, vm: &str, bandwidth_mib_s: u64) -> MigrationOrder {
    let _ = world;
    MigrationOrder {
        vm: VmKey { name: vm.into(), uuid: super::state::uuid_of(vm) },
        destination: "h2".into(),
        destination_uri: SimulatedWorld::migration_uri("h2"),
        bandwidth_mib_s,
        auto_converge: true,
        post_copy: false,
        autostart: false,
    }
}

#[tokio::test]
async fn a_migration_takes_memory_over_bandwidth_and_ends_at_the_destination() {
    let world = world(50.0);
    world.add_vm("h1", vm("a", 1000, 500.0));
    let source = world.hypervisor("h1");
    source.preflight(order(&world, "a", 100)).await.unwrap();
    let begun = Instant::now();
    let finished = source.migrate(order(&world, "a", 100)).await.unwrap();
    // 10 s of the world are 0.2 s.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(180), "{took:?}");
    assert!(finished.bandwidth_mib_s.unwrap() > 90.0);
    assert_eq!(verdict(&source.look(order(&world, "a", 100)).await), Verdict::Done);
    assert_eq!((world.vms_on("h1").len(), world.vms_on("h2").len()), (0, 1));
}

#[tokio::test]
async fn under_way_the_vm_is_at_both_ends_and_runs_at_one() {
    let world = world(1.0);
    world.add_vm("h1", vm("a", 1000, 500.0));
    let (source, destination) = (world.hypervisor("h1"), world.hypervisor("h2"));
    let migrating = source.migrate(order(&world, "a", 1));
    assert_eq!(source.sample().await.unwrap().vms["a"].state, VmState::MigratingOut);
    let there = destination.sample().await.unwrap();
    assert_eq!((there.vms["a"].state, there.vms["a"].memory_mib), (VmState::MigratingIn, 1000));
    assert_eq!(verdict(&source.look(order(&world, "a", 1)).await), Verdict::Going);
    assert!(source.job(order(&world, "a", 1).vm).await.unwrap().is_some());
    let busy = source.preflight(order(&world, "a", 1)).await.unwrap_err();
    assert_eq!(busy.reason, Reason::VmBusy);

    source.abort(order(&world, "a", 1).vm).await.unwrap();
    assert_eq!(migrating.await.unwrap_err().reason, Reason::Cancelled);
    assert_eq!(verdict(&source.look(order(&world, "a", 1)).await), Verdict::Failed);
    assert!(world.split_brains().is_empty());
}

#[tokio::test]
async fn migrations_share_the_link() {
    let world = world(1.0);
    world.add_vm("h1", vm("a", 1000, 0.0));
    world.add_vm("h1", vm("b", 1000, 0.0));
    let source = world.hypervisor("h1");
    let _first = source.migrate(order(&world, "a", 10_000));
    let rate = |job: Option<crate::hypervisor::Job>| job.unwrap().bandwidth_mib_s;
    assert!((rate(source.job(order(&world, "a", 1).vm).await.unwrap()) - 1000.0).abs() < 1e-6);
    let _second = source.migrate(order(&world, "b", 10_000));
    assert!((rate(source.job(order(&world, "b", 1).vm).await.unwrap()) - 500.0).abs() < 1e-6);
}

#[tokio::test]
async fn a_guest_that_writes_faster_than_can_be_sent_is_slowed_down() {
    let world = world(100.0);
    world.add_vm("h1", VmSpec { dirty_mib_s: 200.0, ..vm("a", 500, 500.0) });
    let source = world.hypervisor("h1");
    let migrating = source.migrate(order(&world, "a", 100));
    tokio::time::timeout(Duration::from_secs(5), migrating).await.unwrap().unwrap();
    // Without that it never ends.
    let world = self::world(100.0);
    world.add_vm("h1", VmSpec { dirty_mib_s: 200.0, ..vm("a", 500, 500.0) });
    let mut order = order(&world, "a", 100);
    order.auto_converge = false;
    let migrating = world.hypervisor("h1").migrate(order);
    assert!(tokio::time::timeout(Duration::from_millis(300), migrating).await.is_err());
}

#[tokio::test]
async fn by_post_copy_what_is_written_is_not_sent_again() {
    let world = world(100.0);
    world.add_vm("h1", VmSpec { dirty_mib_s: 200.0, ..vm("a", 500, 500.0) });
    let order = MigrationOrder { post_copy: true, ..order(&world, "a", 100) };
    let source = world.hypervisor("h1");
    let mut migrating = source.migrate(order.clone());
    assert!(
        tokio::time::timeout(Duration::from_millis(150), &mut migrating).await.is_err(),
        "it is not slowed down"
    );
    source.post_copy(order.vm.clone()).await.unwrap();
    source.abort(order.vm.clone()).await.unwrap();
    let finished = tokio::time::timeout(Duration::from_secs(5), migrating).await.unwrap().unwrap();
    assert!(finished.bytes_processed.unwrap() > 500 << 20, "{finished:?}");
    assert_eq!(verdict(&source.look(order).await), Verdict::Done);
}

#[tokio::test]
async fn a_host_gives_no_more_cpu_than_it_has() {
    let world = world(1.0);
    for name in ["a", "b", "c"] {
        world.add_vm("h1", vm(name, 100, 5000.0));
    }
    let sample = world.hypervisor("h1").sample().await.unwrap();
    assert_eq!(sample.usage.cpu_millicores, 4000);
    assert_eq!(sample.vms["a"].cpu_millicores, 1333);
    world.set_load("a", Load::constant(100.0));
    let sample = world.hypervisor("h1").sample().await.unwrap();
    assert!(sample.vms["b"].cpu_millicores >= 1950, "{sample:?}");
}

#[tokio::test]
async fn what_cannot_succeed_is_refused_by_preflight() {
    let world = world(1.0);
    world.add_vm("h1", vm("a", 1000, 0.0));
    world.add_vm("h2", vm("big", 3500, 0.0));
    let source = world.hypervisor("h1");
    let refused = |order| {
        let answer = source.preflight(order);
        async move { answer.await.unwrap_err().reason }
    };
    assert_eq!(refused(order(&world, "a", 1)).await, Reason::Limit);
    assert_eq!(refused(order(&world, "ghost", 1)).await, Reason::VmNotHere);
    let elsewhere =
        MigrationOrder { destination_uri: "qemu+tcp://h2/system".into(), ..order(&world, "a", 1) };
    assert_eq!(refused(elsewhere).await, Reason::DestinationUnreachable);
    world.set_hanging("h2", true);
    assert_eq!(refused(order(&world, "a", 1)).await, Reason::DestinationUnreachable);
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let world = world(50.0);
    world.add_vm("h1", vm("a", 1000, 0.0));
    let source = world.hypervisor("h1");
    world.fail_next_migration("a", 0.5);
    let failure = source.migrate(order(&world, "a", 1000)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::HypervisorError);
    assert_eq!(world.vms_on("h1"), ["a"]);

    world.set_stalled("h2", true);
    let stalled = source.migrate(order(&world, "a", 1000));
    assert!(tokio::time::timeout(Duration::from_millis(150), stalled).await.is_err());
    assert!(source.job(order(&world, "a", 1).vm).await.unwrap().unwrap().bandwidth_mib_s < 1e-9);
    source.abort(order(&world, "a", 1).vm).await.unwrap();

    world.set_hanging("h2", true);
    let ends = source.look(order(&world, "a", 1)).await;
    assert!(matches!(ends.destination, End::Unreachable(_)));
    assert!(world.hypervisor("h2").sample().await.is_err());
    world.crash_host("h1");
    assert!(source.sample().await.is_err());
}

#[tokio::test]
async fn a_vm_of_a_dead_host_starts_elsewhere_from_its_definition() {
    let world = world(1.0);
    world.add_vm("h1", vm("a", 1000, 700.0));
    let definition = world.hypervisor("h1").sample().await.unwrap().vms["a"].definition.to_string();
    world.crash_host("h1");
    let key = VmKey { name: "a".into(), uuid: String::new() };
    let start = StartOrder { vm: key.clone(), definition: Some(definition) };
    let there = world.hypervisor("h2");
    there.start(start.clone()).await.unwrap();
    there.start(start).await.unwrap();
    let vm = there.sample().await.unwrap().vms["a"].clone();
    assert_eq!((vm.cpu_millicores, vm.memory_mib), (700, 1000));
    assert_eq!(vm.labels["app"], "web=1");
    let unknown = StartOrder { vm: VmKey { name: "b".into(), uuid: String::new() }, definition: None };
    assert_eq!(there.start(unknown).await.unwrap_err().reason, Reason::VmNotHere);
}

#[tokio::test]
async fn changes_wake_who_waits_for_them() {
    let world = world(1.0);
    let hypervisor = world.hypervisor("h1");
    // What happened before the first wait counts once.
    hypervisor.changed().await;
    let waiting = hypervisor.changed();
    world.add_vm("h1", vm("a", 100, 0.0));
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
    world.move_vm("a", "h2");
    tokio::time::timeout(Duration::from_secs(5), hypervisor.changed()).await.unwrap();
    assert_eq!(world.vms_on("h2"), ["a"]);
}

#[tokio::test]
async fn the_history_has_every_step_of_a_migration_in_order() {
    let world = world(50.0);
    world.add_vm("h1", vm("a", 1000, 500.0));
    world.add_vm("h1", vm("b", 1000, 500.0));
    let source = world.hypervisor("h1");
    world.fail_next_migration("b", 0.5);
    let moving = source.migrate(order(&world, "a", 100));
    let both: Vec<_> = world
        .residents()
        .into_iter()
        .filter(|r| r.vm == "a")
        .map(|r| (r.host, r.runs, r.memory_mib))
        .collect();
    assert_eq!(both, [("h1".to_owned(), true, 1000), ("h2".to_owned(), false, 1000)]);
    moving.await.unwrap();
    source.migrate(order(&world, "b", 100)).await.unwrap_err();
    let steps: Vec<_> = world.steps_after(0).into_iter().map(|s| (s.number, s.vm, s.kind)).collect();
    let step = |number, vm: &str, kind| (number, vm.to_owned(), kind);
    assert_eq!(
        steps,
        [
            step(1, "a", StepKind::Begun),
            step(2, "a", StepKind::Arrived),
            step(3, "b", StepKind::Begun),
            step(4, "b", StepKind::Failed)
        ]
    );
    assert_eq!(world.steps_after(3).len(), 1);
    let homes: Vec<_> = world.residents().into_iter().map(|r| (r.vm, r.host)).collect();
    assert_eq!(homes, [("b".to_owned(), "h1".to_owned()), ("a".to_owned(), "h2".to_owned())]);
}

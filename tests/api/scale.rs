//! How long it takes from an overload to a plan, by the size of the infrastructure: coordinators that speak gRPC on
//! loopback, with hosts and agents within this process. `cargo test -p dvms --test api time_to_a_plan -- --ignored
//! --nocapture`; `DVMS_SCALE=64x128` says how many coordinators and how many hosts each has, and
//! `DVMS_SCALE_SLOW=0.5` of which plans everything is told, by the seconds that they took.

use crate::ring::Members;
use dvms::coordinator::{AgentSession, Coordinator};
use dvms::record::{
    ActionProgress, Capacity, Delta, EventKind, Hello, Inventory, Order, OrderKind, PlanState, ProgressState,
    Report, VmReport, VmState,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

const VMS: usize = 10;
const CPU: i64 = 8000;
const MEMORY: i64 = 32_768;
/// After which VMs want as little as before.
const CALM_AFTER: Duration = Duration::from_secs(8);
/// How long a migration takes.
const MIGRATION: Duration = Duration::from_millis(300);

struct Host {
    name: String,
    /// VM → millicores.
    vms: Mutex<BTreeMap<String, i64>>,
    changed: Notify,
}

type World = Arc<BTreeMap<String, Arc<Host>>>;

fn report(name: &str, cpu: i64) -> VmReport {
    VmReport {
        name: name.to_owned(),
        uuid: name.to_owned(),
        state: VmState::Running,
        vcpus: 4,
        memory_max_mib: 1024,
        cpu_millicores: cpu,
        memory_mib: 1024,
        ..VmReport::default()
    }
}

/// An agent, as agents behave.
async fn agent(coordinator: Coordinator, world: World, host: Arc<Host>) {
    let capacity = Capacity {
        cpu_millicores: CPU,
        memory_mib: MEMORY,
        migration_bandwidth_mib_s: 1000.0,
        ..Capacity::default()
    };
    let hello = Hello {
        host: host.name.clone(),
        boot_id: "1".to_owned(),
        capacity,
        migration_uri: format!("sim://{}", host.name),
        ..Hello::default()
    };
    let session = coordinator.attach(hello).await.unwrap();
    let AgentSession { mut orders, reports, report_interval, .. } = session;
    let present = |host: &Host| {
        let vms = host.vms.lock().unwrap();
        vms.iter().map(|(name, cpu)| (name.clone(), report(name, *cpu))).collect::<BTreeMap<_, _>>()
    };
    let mut told = present(&host);
    let inventory = Inventory { vms: told.values().cloned().collect(), ..Inventory::default() };
    reports.send(Report::Inventory(inventory)).await.unwrap();
    let (said, mut saying) = tokio::sync::mpsc::unbounded_channel::<ActionProgress>();
    let mut beats = tokio::time::interval(report_interval);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Execute { key, vm, kind: OrderKind::Migrate { destination, .. }, .. }) => {
                    let (world, host, said) = (world.clone(), host.clone(), said.clone());
                    let running = ActionProgress { key, vm: vm.clone(), state: ProgressState::Running, ..Default::default() };
                    let _ = said.send(running.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(MIGRATION).await;
                        let to = world[&destination].clone();
                        if let Some(cpu) = host.vms.lock().unwrap().remove(&vm) {
                            to.vms.lock().unwrap().insert(vm.clone(), cpu);
                        }
                        host.changed.notify_one();
                        to.changed.notify_one();
                        let _ = said.send(ActionProgress { state: ProgressState::Done, elapsed_s: 0.3, ..running });
                    });
                }
                Some(_) => {}
                None => return,
            },
            Some(progress) = saying.recv() => {
                if reports.send(Report::Progress(progress)).await.is_err() { return; }
                continue;
            }
            () = host.changed.notified() => {}
            _ = beats.tick() => {}
        }
        let now = present(&host);
        let gone = told.keys().filter(|vm| !now.contains_key(*vm)).cloned().collect();
        let changed = now
            .iter()
            .filter(|(vm, report)| told.get(*vm) != Some(report))
            .map(|(_, vm)| vm.clone())
            .collect();
        told = now;
        if reports.send(Report::Delta(Delta { changed, gone, ..Delta::default() })).await.is_err() {
            return;
        }
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn time_to_a_plan() {
    let size = std::env::var("DVMS_SCALE").unwrap_or_else(|_| "4x32".to_owned());
    let (count, per_cell) =
        size.split_once('x').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap();
    let (count, per_cell): (usize, usize) = (count, per_cell);
    // Seconds to a plan of which it is told why it took so long.
    let slow = std::env::var("DVMS_SCALE_SLOW").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let names: Vec<String> = (0..count).map(|i| format!("c{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let members = Members::of_names(&names, None, |settings| {
        settings.inventory.report_interval_s = 5.0;
        settings.inventory.lost_after_s = 30.0;
        settings.inventory.failed_after_s = 300.0;
        settings.inventory.memory_reserve = 0.0;
        settings.detection.hold_s = 0.0;
        // Some hosts are hit twice.
        settings.detection.cool_down_s = 1.0;
        settings.ring.lease_s = 10.0;
    })
    .await;
    let mut random = StdRng::seed_from_u64(7);
    let mut world = BTreeMap::new();
    let mut homes: Vec<(usize, String)> = Vec::new();
    for cell in 0..count {
        // One in sixteen cells has no room: what is too much there goes to others.
        let range = if cell % 16 == 3 { 0.81..0.88 } else { 0.70..0.88 };
        for h in 0..per_cell {
            let name = format!("h{cell:02}-{h:03}");
            let share = random.random_range(range.clone());
            let mut vms = BTreeMap::new();
            let parts: Vec<f64> = (0..VMS).map(|_| random.random_range(0.5..1.5)).collect();
            let sum: f64 = parts.iter().sum();
            for (v, part) in parts.iter().enumerate() {
                let cpu = (CPU as f64 * share * part / sum / 10.0) as i64 * 10;
                vms.insert(format!("{name}-v{v}"), cpu);
            }
            let host = Host { name: name.clone(), vms: Mutex::new(vms), changed: Notify::new() };
            world.insert(name.clone(), Arc::new(host));
            homes.push((cell, name));
        }
    }
    let world: World = Arc::new(world);
    for (cell, name) in &homes {
        let coordinator = members.of(names[*cell]).clone();
        tokio::spawn(agent(coordinator, world.clone(), world[name].clone()));
    }
    let linked = async || {
        names.iter().all(|name| {
            let coordinator = members.of(name);
            coordinator.ring().others.iter().all(|other| other.up) && coordinator.hosts().len() == per_cell
        })
    };
    let begun = std::time::Instant::now();
    while !linked().await {
        assert!(begun.elapsed() < Duration::from_mins(5), "the ring does not stand");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!(
        "{size}: {} hosts, {} VMs, ready after {:.1} s",
        homes.len(),
        homes.len() * VMS,
        begun.elapsed().as_secs_f64()
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before: Vec<_> = names.iter().map(|name| members.of(name).figures()).collect();
    let idle_from = std::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle: u64 = names
        .iter()
        .zip(&before)
        .map(|(name, before)| members.of(name).figures().peer_bytes - before.peer_bytes)
        .sum();
    let idle = idle as f64 / idle_from.elapsed().as_secs_f64();

    // One overload each 0.25 s.
    let before: Vec<_> = names.iter().map(|name| members.of(name).figures()).collect();
    let overloads = 200;
    let start = SystemTime::now();
    for i in 0..overloads {
        // Every fourth in a cell without room.
        let full = i % 4 == 0 && count > 3;
        let pick = loop {
            let (cell, name) = &homes[random.random_range(0..homes.len())];
            if (cell % 16 == 3) == full || count <= 3 {
                break name.clone();
            }
        };
        // All its VMs want more for a while.
        let host = &world[&pick];
        let grown: Vec<(String, i64)> = {
            let mut vms = host.vms.lock().unwrap();
            let sum: i64 = vms.values().sum();
            let wanted = CPU * random.random_range(92..99) / 100;
            let more = |cpu: i64| cpu * (wanted - sum).max(0) / sum.max(1);
            let grown = vms.iter().map(|(vm, cpu)| (vm.clone(), more(*cpu))).collect();
            vms.values_mut().for_each(|cpu| *cpu += more(*cpu));
            grown
        };
        let everywhere = world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CALM_AFTER).await;
            for host in everywhere.values() {
                let mut vms = host.vms.lock().unwrap();
                for (vm, more) in &grown {
                    if let Some(cpu) = vms.get_mut(vm) {
                        *cpu -= more;
                        host.changed.notify_one();
                    }
                }
            }
        });
        host.changed.notify_one();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(Duration::from_secs(15)).await;

    let (mut waits, mut sizes, mut shared, mut open) = (Vec::new(), Vec::new(), 0, 0);
    let mut told = 0;
    for name in &names {
        let coordinator = members.of(name);
        let plans = coordinator.plans();
        for event in coordinator
            .events()
            .iter()
            .filter(|event| event.kind == EventKind::Overload && event.time >= start)
        {
            told += 1;
            let mut answers: Vec<_> = plans
                .iter()
                .filter(|plan| plan.event_ids.contains(&event.id) && plan.started.is_some())
                .collect();
            answers.sort_by_key(|plan| plan.started);
            let Some(first) = answers.first() else {
                open += 1;
                continue;
            };
            let wait = first.started.unwrap().duration_since(event.time).unwrap_or_default().as_secs_f64();
            waits.push(wait);
            if wait > slow {
                println!("{wait:.3} s: {}", event.message);
                for plan in plans.iter().filter(|plan| plan.event_ids.contains(&event.id)) {
                    let since = |time: Option<SystemTime>| {
                        time.and_then(|time| time.duration_since(event.time).ok())
                            .unwrap_or_default()
                            .as_secs_f64()
                    };
                    println!(
                        "  {} {:?}: made {:.3}, began {:.3}, ended {:.3} s after it, of {} hosts: {}",
                        plan.id,
                        plan.state,
                        since(Some(plan.created)),
                        since(plan.started),
                        since(plan.ended),
                        plan.hosts.len(),
                        plan.message
                    );
                    for said in coordinator.events().iter().filter(|said| said.plan_id == plan.id) {
                        println!("    {:.3} {}", since(Some(said.time)), said.message);
                    }
                }
            }
            sizes.push(first.problem.as_ref().map_or(0, |problem| problem.hosts.len()) as f64);
            let cells: std::collections::BTreeSet<&str> =
                first.hosts.iter().map(|host| host.split('-').next().unwrap_or_default()).collect();
            shared += usize::from(cells.len() > 1);
            assert!(first.state != PlanState::Proposed);
        }
    }
    waits.sort_by(f64::total_cmp);
    sizes.sort_by(f64::total_cmp);
    let spent: Vec<_> = names
        .iter()
        .zip(&before)
        .map(|(name, before)| {
            let now = members.of(name).figures();
            (
                now.frames.get("protocol").copied().unwrap_or(0)
                    - before.frames.get("protocol").copied().unwrap_or(0),
                now.peer_bytes - before.peer_bytes,
            )
        })
        .collect();
    let messages: u64 = spent.iter().map(|(messages, _)| messages).sum();
    println!(
        "{size}: {told} overloads, {} answered ({shared} over several cells), {open} not; from overload to the start of \
         its plan {:.3} s (median), {:.3} s (99 %); hosts of a partition {:.0} (median), {:.0} (most); {:.1} protocol messages per \
         overload; {:.1} bytes per host and second between coordinators at rest",
        waits.len(),
        quantile(&waits, 0.5),
        quantile(&waits, 0.99),
        quantile(&sizes, 0.5),
        sizes.last().copied().unwrap_or(0.0),
        messages as f64 / f64::from(told.max(1)),
        idle / homes.len() as f64
    );
}

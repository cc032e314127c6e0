//! Limits that must hold, whatever the figures are.

use super::Nothing;
use super::centralised::{self, centralised};
use super::drs::{Drs, Evening};
use super::ecocloud::{EcoCloud, Trials};
use super::gossip::{Gossiping, VMan};
use super::hierarchical::{self, hierarchical};
use super::manager::{Management, Rule, Trigger};
use crate::simulator::engine::tests::{checked, vmplaces_run};
use crate::simulator::engine::{Conditions, Demand, Failing, Simulation, Story, Strategy, ViewHost, ViewVm};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::{Crashes, Loads, Outages};
use crate::simulator::measures::bytes_of;
use crate::simulator::vmplaces;
use crate::simulator::world::Setup;

fn violation_time<S: Strategy>(simulation: &Simulation<S>) -> f64 {
    simulation.world().usage.report(simulation.world().now()).over_host_s
}

/// All that is measured, as text.
fn told<S: Strategy>(simulation: &Simulation<S>) -> String {
    let (world, context) = (simulation.world(), simulation.context());
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        world.violations.log(),
        world.moves.report(),
        world.usage,
        context.rounds.report(),
        context.traffic.report(world.host_count(), world.now()),
        simulation.series(),
    )
}

#[test]
fn the_centralised_strategy_repairs_and_keeps_the_invariants() {
    let nothing = violation_time(&checked(32, 1800.0, Loads::default(), 680, Nothing));
    let simulation = checked(32, 1800.0, Loads::default(), 680, centralised(centralised::vmplaces()));
    let repaired = violation_time(&simulation);
    assert!(repaired < nothing / 2.0, "{repaired} of {nothing} host-seconds");
    let report = simulation.world().violations.report(1800.0);
    assert!(report.detected.count > 10 && report.to_detect.max <= 30.0 + 20.0, "{report:?}");
    let rounds = simulation.context().rounds.report();
    assert_eq!(rounds.partition.mean, 32.0);
    assert!(rounds.plan.count > 5 && rounds.apply.count == rounds.plan.count);
    // Plans are polled for each second.
    assert_eq!(simulation.world().moves.report().failed, 0);
}

#[test]
fn a_hierarchy_of_one_group_is_the_centralised_strategy() {
    let how = Management { heartbeat_s: None, ..centralised::vmplaces() };
    let one = Management { group: Some(64), ..how };
    let run = |how: Management, one: bool| {
        let strategy = if one { hierarchical(how) } else { centralised(how) };
        let mut simulation = vmplaces_run(48, 1200.0, Loads::default(), 660, strategy);
        simulation.run(&mut |_| true);
        told(&simulation)
    };
    assert_eq!(run(one, true), run(how, false));
    let several = Management { group: Some(16), ..how };
    assert_ne!(run(several, true), run(how, false));
}

#[test]
fn a_group_that_is_told_repairs_sooner_than_one_that_looks_each_half_minute() {
    let run = |trigger| {
        let how = Management { trigger, ..hierarchical::vmplaces() };
        checked(64, 900.0, Loads::default(), 680, hierarchical(how))
    };
    let told = run(Trigger::Reactive { report_s: 1.0, pause_s: 1.0 });
    let periodic = run(Trigger::Periodic { period_s: 30.0 });
    assert!(told.world().violations.report(900.0).to_detect.mean < 1.5);
    assert!(violation_time(&told) < violation_time(&periodic));
    assert_eq!(told.context().rounds.report().partition.mean, 32.0);
    assert!(told.context().traffic.report(64, 900.0).messages > 64 * 2 * 299);
}

#[test]
fn the_rule_of_snooze_repairs_as_well() {
    let how = Management { rule: Rule::Greedy { fill: 1.0 }, ..hierarchical::vmplaces() };
    let nothing = violation_time(&checked(64, 900.0, Loads::default(), 680, Nothing));
    let greedy = checked(64, 900.0, Loads::default(), 680, hierarchical(how));
    assert!(violation_time(&greedy) < nothing / 2.0);
}

/// All that can fail fails now and then.
pub(super) fn failing(seed: u64) -> Failing {
    let outages = |kind: u64, period_s: f64| {
        Some(Outages { period_s, down_s: 40.0, seed: seed.wrapping_add(kind << 20) })
    };
    Failing {
        agents: outages(1, 6000.0),
        links: outages(2, 6000.0),
        sites: outages(3, 1000.0),
        coordinators: outages(4, 2000.0),
    }
}

/// Two sites; hosts, agents, links and coordinators that fail, messages that are lost, and no load in the last hundred seconds;
/// `look` after every event.
pub(super) fn rough<S: Strategy>(
    seed: u64,
    strategy: S,
    look: &mut dyn FnMut(&Simulation<S>),
) -> Simulation<S> {
    let mut setup = vmplaces::setup(24, 240, 640, 23).unwrap();
    setup.hosts[12..].iter_mut().for_each(|host| host.site = 1);
    let mut story = vmplaces::story(240, 900.0, Loads { seed, ..Loads::default() }).unwrap();
    story.failing = failing(seed);
    story.faults = Box::new(Crashes::new(24, 900.0, Outages { period_s: 3000.0, down_s: 60.0, seed }));
    story.spare_migrating = false;
    let calm = (0..240).map(|vm| Demand { time: 900.0, vm: VmId(vm), cpu: 0 });
    story.demands = Box::new(story.demands.chain(calm));
    let conditions = Conditions { seed, loss: 0.05, jitter: 0.3, ..Conditions::default() };
    let mut simulation = Simulation::new(&setup, conditions, story, strategy, 1000.0, 10.0);
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
        look(&simulation);
    }
    assert!(simulation.world().moves.report().done.count > 5);
    simulation
}

/// Hosts of one size with VMs of one size, spread at random, that never change.
pub(super) fn still<S: Strategy>(
    hosts: u32,
    vms: u32,
    each: u32,
    seconds: f64,
    strategy: S,
) -> Simulation<S> {
    let mut setup = vmplaces::setup(hosts, vms, 1000, 5).unwrap();
    let mut random = crate::simulator::random::Random::new(9, 9);
    for vm in &mut setup.vms {
        vm.cpu = each;
        vm.memory = 256;
        vm.host = HostId(random.below(hosts));
    }
    let story = Story {
        demands: Box::new(std::iter::empty::<Demand>()),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    };
    Simulation::new(&setup, Conditions::default(), story, strategy, seconds, 10.0)
}

#[test]
fn gossip_ends_at_the_bound_of_packing_and_empties_hosts_only() {
    let how = Gossiping { period_s: 60.0, neighbours: 20, fill: 1.0 };
    // Ten VMs of a core fill a host: 97 need 10 hosts.
    let mut simulation = still(40, 97, 1000, 3000.0, VMan::new(how));
    let mut active = simulation.world().usage.active;
    assert!(active > 30);
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
        let now = simulation.world().usage.active;
        assert!(now <= active, "a host that was empty is in use again");
        active = now;
    }
    assert_eq!(active, 10);
    assert_eq!(simulation.world().usage.over, 0);
    assert!(simulation.context().traffic.report(40, 3000.0).messages > 1000);
}

#[test]
fn functions_of_ecocloud_have_their_published_points() {
    let how = Trials::default();
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    near(how.acceptance(0.0, 0.9), 0.0);
    near(how.acceptance(0.9, 0.9), 0.0);
    // The maximum is 1, at pT ÷ (p + 1).
    near(how.acceptance(0.675, 0.9), 1.0);
    assert!(how.acceptance(0.67, 0.9) < 1.0 && how.acceptance(0.68, 0.9) < 1.0);
    near(how.acceptance(0.91, 0.9), 0.0);
    near(how.leaving_low(0.0), 1.0);
    near(how.leaving_low(0.5), 0.0);
    near(how.leaving_high(0.95), 0.0);
    near(how.leaving_high(1.0), 1.0);
    near(how.leaving_high(1.3), 1.0);
}

#[test]
fn ecocloud_empties_hosts_and_puts_them_to_sleep() {
    let mut simulation = still(40, 97, 1000, 20_000.0, EcoCloud::new(Trials::default()));
    let before = simulation.world().usage.active;
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
    }
    let usage = simulation.world().usage;
    assert!(usage.active < before * 2 / 3 && usage.over == 0, "{} of {before}", usage.active);
    assert!(usage.on < 40 && usage.on >= usage.active);
    // Nobody is filled above nine tenths.
    let fullest = simulation.world().host_ids().map(|host| simulation.world().host(host).vms).max();
    assert_eq!(fullest, Some(9));
}

/// Of three hosts one goes to sleep, and is woken when the load has risen.
pub(super) fn sleeps_and_is_woken<S: Strategy>(setup: &Setup, demands: Vec<Demand>, strategy: S) {
    let story = Story {
        demands: Box::new(demands.into_iter()),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    };
    let mut simulation = Simulation::new(setup, Conditions::default(), story, strategy, 4000.0, 10.0);
    let mut least = 3;
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
        least = least.min(simulation.world().usage.on);
    }
    assert_eq!(least, 2, "an empty host sleeps");
    let now = simulation.world();
    assert!(now.usage.over == 0 && now.usage.on == 3, "{:?}", now.usage);
}

#[test]
fn ecocloud_wakes_a_host_where_nobody_takes_what_is_too_much() {
    let mut setup = vmplaces::setup(3, 18, 1000, 5).unwrap();
    for (i, vm) in setup.vms.iter_mut().enumerate() {
        vm.cpu = 1000;
        vm.memory = 256;
        vm.host = HostId(i as u32 / 9);
    }
    // The third host is empty; then the load of the first one rises.
    let demands: Vec<Demand> = (0..9).map(|vm| Demand { time: 2000.0, vm: VmId(vm), cpu: 1100 }).collect();
    sleeps_and_is_woken(&setup, demands, EcoCloud::new(Trials::default()));
}

#[test]
fn drs_evens_out_and_stops_at_its_target() {
    let spread = |simulation: &Simulation<Drs>| {
        let world = simulation.world();
        let loads: Vec<f64> =
            world.host_ids().map(|host| f64::from(world.host(host).demand) / 10_000.0).collect();
        let mean = loads.iter().sum::<f64>() / loads.len() as f64;
        (loads.iter().map(|load| (load - mean).powi(2)).sum::<f64>() / loads.len() as f64).sqrt()
    };
    let mut simulation = still(30, 150, 1000, 900.0, Drs::new(Evening::default()));
    let before = spread(&simulation);
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
    }
    assert!(before > 0.15 && spread(&simulation) <= 0.05, "{before} {}", spread(&simulation));
    let moved = simulation.world().moves.report();
    // Half of what hosts have above the mean has to go at least.
    assert!(moved.done.count > 20 && moved.ping_pong == 0, "{moved:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let run = |seed: u64| {
        let setup = vmplaces::setup(24, 240, 700, 23).unwrap();
        let story = vmplaces::story(240, 900.0, Loads::default()).unwrap();
        let conditions = Conditions { seed, loss: 0.05, jitter: 0.5, ..Conditions::default() };
        let strategy = VMan::new(Gossiping::default());
        let mut simulation = Simulation::new(&setup, conditions, story, strategy, 900.0, 60.0);
        while simulation.step() {
            simulation.world().check().unwrap();
            simulation.context().check();
        }
        (told(&simulation), simulation.context().traffic.report(24, 900.0).lost)
    };
    let (first, lost) = run(1);
    assert!(lost > 10);
    assert_eq!(first, run(1).0);
    assert_ne!(first, run(2).0);
}

#[test]
fn who_decides_on_more_hosts_keeps_more() {
    let memory = |how: Management| {
        let mut simulation = vmplaces_run(32, 900.0, Loads::default(), 680, hierarchical(how));
        simulation.run(&mut |_| true);
        simulation.context().memory.report()
    };
    let all = memory(centralised::vmplaces());
    let groups = memory(Management { group: Some(8), ..centralised::vmplaces() });
    // 32 hosts and 320 VMs of a view, and the numbers of the hosts.
    let view = bytes_of::<ViewHost>(32) + bytes_of::<ViewVm>(320) + bytes_of::<HostId>(32);
    assert!((view..view + 100).contains(&all.busiest_bytes), "{all:?} {view}");
    assert_eq!(all.mean_bytes, all.busiest_bytes as f64 / 33.0);
    let ratio = all.busiest_bytes as f64 / groups.busiest_bytes as f64;
    assert!((3.0..4.2).contains(&ratio), "{ratio}");
}

/// Of one whose manager is a service; those of others are with the strategies.
#[test]
fn whatever_fails_managers_go_on() {
    for seed in 1..4 {
        let over = |simulation: u32| assert_eq!(simulation, 0, "seed {seed}");
        let groups = Management { group: Some(8), ..hierarchical::vmplaces() };
        over(rough(seed, hierarchical(groups), &mut |_| {}).world().usage.over);
        over(rough(seed, centralised(centralised::vmplaces()), &mut |_| {}).world().usage.over);
        over(
            rough(seed, Drs::new(Evening { period_s: 60.0, ..Evening::default() }), &mut |_| {})
                .world()
                .usage
                .over,
        );
        over(rough(seed, EcoCloud::new(Trials::default()), &mut |_| {}).world().usage.over);
        over(rough(seed, VMan::new(Gossiping::default()), &mut |_| {}).world().usage.over);
    }
}

/// A manager that is a service begins its rounds anew, and an answer to the one before is not taken.
#[test]
fn a_manager_alone_fails_and_plans_again_when_it_is_back() {
    let outages = |down_s: f64| Outages { period_s: 700.0, down_s, seed: 5 };
    let run = |down_s: Option<f64>| {
        let setup = vmplaces::setup(32, 320, 660, 23).unwrap();
        let mut story = vmplaces::story(320, 3000.0, Loads::default()).unwrap();
        story.failing = Failing { coordinators: down_s.map(outages), ..Failing::default() };
        let strategy = centralised(centralised::vmplaces());
        let mut simulation = Simulation::new(&setup, Conditions::default(), story, strategy, 3000.0, 60.0);
        while simulation.step() {
            simulation.world().check().unwrap();
            simulation.context().check();
        }
        (simulation.context().rounds.report().plan.count, violation_time(&simulation))
    };
    let (well, short, long) = (run(None), run(Some(0.001)), run(Some(300.0)));
    assert!(short.0 > well.0 / 2 && long.0 > 0 && long.0 < short.0, "{well:?} {short:?} {long:?}");
    assert!(long.1 > 1.2 * well.1, "{well:?} {long:?}");
}

//! Scores, choices and what they bring about.

use super::super::tests::rough;
use super::{Balancer, Balancing};
use crate::simulator::engine::tests::checked;
use crate::simulator::engine::{Conditions, Demand, Simulation, Story, ViewVm};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::Loads;
use crate::simulator::strategies::Nothing;
use crate::simulator::vmplaces;
use crate::simulator::world::{HostNow, HostState};
use std::collections::BTreeMap;

fn host(expected: u32, vms: u32) -> HostNow {
    HostNow {
        state: HostState::On,
        cpu: 8000,
        memory: 16_000,
        demand: expected,
        expected,
        held: vms * 1000,
        vms,
        migrating: false,
        site: 0,
    }
}

fn vm(id: u32, demand: u32, memory: u32) -> ViewVm {
    ViewVm { id: VmId(id), demand, memory, migrating: false }
}

#[test]
fn a_score_is_of_quota_and_use_half_and_half() {
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    let how = Balancing::default();
    // 4 cores of 8 are reserved, 2 are used.
    near(how.own(&host(2000, 4)), 0.5 * 0.5 + 0.5 * 0.25);
    near(how.own(&host(0, 0)), 0.0);
    near(how.own(&host(8000, 8)), 1.0);
    let how = Balancing { quota_part: 0.0, memory_part: 0.25, ..how };
    near(how.own(&host(2000, 4)), 0.75 * 0.25 + 0.25 * 0.25);
}

#[test]
fn the_vm_that_brings_the_host_nearest_to_the_mean_leaves_for_the_lowest_score() {
    let how = Balancing { quota_part: 0.0, ..Balancing::default() };
    let own = host(9000, 4);
    let vms = [vm(1, 4000, 1000), vm(2, 3000, 1000), vm(3, 1000, 2000), vm(4, 1000, 1000)];
    // 9000 less 3000 are 6000 of 8000.
    assert_eq!(how.leaving(&own, &vms, 0.75).map(|vm| vm.id.0), Some(2));
    // Of two alike, the one with the least memory.
    assert_eq!(how.leaving(&own, &vms, 1.0).map(|vm| vm.id.0), Some(4));
    assert_eq!(how.leaving(&own, &[ViewVm { migrating: true, ..vms[0] }], 1.0), None);
    let busy = HostNow { migrating: true, ..host(0, 0) };
    let answers: BTreeMap<HostId, HostNow> =
        [(5, host(5500, 4)), (6, host(4000, 4)), (7, host(4500, 4)), (8, busy)]
            .map(|(id, now)| (HostId(id), now))
            .into();
    assert_eq!(how.destination(&own, &vms[1], &answers), Some(HostId(6)));
    // With the VM, 7000 of 8000 is 0.25 lower than 9000.
    let strict = |gain| Balancing { gain, ..how }.destination(&own, &vms[1], &answers);
    assert_eq!((strict(0.24), strict(0.26)), (Some(HostId(6)), None));
    assert_eq!(how.destination(&own, &vm(9, 4500, 0), &answers), None, "nobody has room");
}

#[test]
fn agents_that_balance_end_overloads() {
    let nothing = checked(48, 900.0, Loads::default(), 680, Nothing);
    let balanced = checked(48, 900.0, Loads::default(), 680, Balancer::new(Balancing::default()));
    let over = |world: &crate::simulator::world::World| world.usage.report(900.0).over_host_s;
    assert!(over(balanced.world()) < over(nothing.world()) / 2.0, "{}", over(balanced.world()));
    let report = balanced.world().violations.report(900.0);
    assert!(report.to_detect.mean < 1.5, "{report:?}");
}

/// One host is overloaded, and one of many has room.
fn lonely(hosts: u32, samples: u32) -> Simulation<Balancer> {
    let mut setup = vmplaces::setup(hosts, hosts * 2, 200, 5).unwrap();
    for (i, vm) in setup.vms.iter_mut().enumerate() {
        vm.host = HostId(i as u32 / 2);
        vm.cpu = if vm.host.0 == hosts - 1 { 100 } else { 950 };
    }
    let demands = [Demand { time: 10.5, vm: VmId(0), cpu: 1200 }];
    let story = Story {
        demands: Box::new(demands.into_iter()),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    };
    let strategy = Balancer::new(Balancing { samples, quota_part: 0.0, ..Balancing::default() });
    Simulation::new(&setup, Conditions::default(), story, strategy, 100.0, 10.0)
}

#[test]
fn twice_as_many_are_asked_until_somebody_will_do() {
    let mut simulation = lonely(100, 3);
    let mut began = None;
    while simulation.step() {
        simulation.world().check().unwrap();
        if simulation.world().moves.under_way > 0 {
            began.get_or_insert(simulation.world().now());
        }
    }
    let world = simulation.world();
    assert_eq!((world.usage.over, world.moves.report().done.count), (0, 1));
    assert_eq!(world.vm(VmId(0)).host.0.min(world.vm(VmId(1)).host.0), 0);
    assert!(world.vms_of(HostId(99)).count() == 3);
    // Three looks, the first within a second.
    let began = began.unwrap();
    assert!((12.5..13.6).contains(&began), "{began}");
    // 8, 16, 32, 64 and 99 at most, a question and an answer each, and three for the reservation.
    let messages = simulation.context().traffic.report(100, 100.0).messages;
    let possible = [8, 24, 56, 120, 219].map(|asked| 2 * asked + 3);
    assert!(possible.contains(&messages), "{messages}");
}

#[test]
fn crashes_and_lost_messages_keep_nobody_engaged_for_ever() {
    let how = Balancing::default();
    let simulation = rough(6, Balancer::new(how), &mut |_| {});
    let runs = |host: &HostId| simulation.world().host(*host).state == HostState::On;
    let engaged: Vec<HostId> =
        simulation.strategy().searches.keys().map(|agent| HostId(agent.0)).filter(runs).collect();
    assert!(engaged.is_empty(), "{engaged:?}");
}

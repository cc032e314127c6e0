//! What the protocol of production promises, in the world of the simulator; and limits that must hold.

use super::coordinator::{Answers, touched};
use super::*;
use crate::simulator::engine::tests::{checked, vmplaces_run};
use crate::simulator::engine::{Conditions, Demand, Simulation, Story};
use crate::simulator::ids::VmId;
use crate::simulator::injector::{Crashes, Loads, Outages};
use crate::simulator::strategies::Nothing;
use crate::simulator::strategies::centralised::{self, centralised};
use crate::simulator::strategies::tests::failing;
use crate::simulator::vmplaces;
use std::collections::BTreeSet;

/// What was seen in a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Plans that were carried out at the same time.
    together: usize,
    /// Members whose hosts one plan had.
    pub(super) members: usize,
    /// Hosts of a partition of the protocol.
    hosts: usize,
}

/// Nobody is of two plans, and who is reserved by the cell's own plans is not reserved by the protocol.
pub(super) fn look_at(strategy: &Dvms, seen: &mut Seen) {
    let (mut busy, mut plans) = (BTreeSet::new(), 0);
    for it in &strategy.coordinators {
        for job in it.jobs.values() {
            if let Answers::Ring { hosts, .. } = &job.answers {
                seen.hosts = seen.hosts.max(hosts.len());
            }
            if !job.acts {
                continue;
            }
            plans += 1;
            let hosts = touched(&job.moves);
            let owners: BTreeSet<usize> = hosts.iter().map(|host| strategy.owner(*host)).collect();
            seen.members = seen.members.max(owners.len());
            for host in hosts {
                assert!(busy.insert(host), "host {} is of two plans", host.0);
            }
        }
        for (host, held) in it.node.iter().flat_map(|node| node.ledger().held()) {
            let own = it.table.holder(host.as_str());
            assert_eq!(own, None, "{host} is also held for {}", held.partition);
        }
    }
    seen.together = seen.together.max(plans);
}

/// Lets everything happen, and looks after every event.
pub(super) fn watched(simulation: &mut Simulation<Dvms>) -> Seen {
    let mut seen = Seen::default();
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
        look_at(simulation.strategy(), &mut seen);
    }
    seen
}

/// How many hosts are reserved, by whomever.
pub(super) fn reserved(strategy: &Dvms) -> usize {
    let of = |it: &Coordinator| {
        let lent = it.node.as_ref().map_or(0, |node| node.ledger().held().count());
        lent + it.table.partitions().map(|(_, hosts)| hosts.len()).sum::<usize>()
    };
    strategy.coordinators.iter().map(of).sum()
}

pub(super) fn total<S: Strategy>(simulation: &Simulation<S>) -> f64 {
    simulation.world().violations.report(simulation.world().now()).all.total
}

/// Hosts of ten cores with ten VMs each; demands change as told.
pub(super) fn told<S: Strategy>(
    hosts: u32,
    seconds: f64,
    each: impl Fn(VmId) -> u32,
    demands: Vec<Demand>,
    strategy: S,
) -> Simulation<S> {
    let mut setup = vmplaces::setup(hosts, hosts * 10, 1000, 23).unwrap();
    for (number, vm) in setup.vms.iter_mut().enumerate() {
        vm.host = HostId(number as u32 / 10);
        vm.cpu = each(VmId(number as u32));
    }
    let story = Story {
        demands: Box::new(demands.into_iter()),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    };
    Simulation::new(&setup, Conditions::default(), story, strategy, seconds, 10.0)
}

/// With one coordinator whose partitions have all hosts the plans are those of the centralised strategy: one overload at a
/// time, each host and VM of another load, the same VMs go to the same hosts.
#[test]
fn one_coordinator_with_all_hosts_decides_as_the_centralised_strategy() {
    let mut random = crate::simulator::random::Random::new(4, 0);
    let loads: Vec<u32> = (0..160).map(|_| 700 + random.below(250)).collect();
    // Every two minutes another host is over.
    let rise = |k: u32| {
        (0..10).map(move |vm| Demand { time: 5.0 + 120.0 * f64::from(k), vm: VmId(k * 30 + vm), cpu: 1040 })
    };
    let demands: Vec<Demand> = (0..5).flat_map(rise).collect();
    let each = |vm: VmId| loads[vm.index()];
    let places = |world: &crate::simulator::world::World| {
        (0..160).map(|vm| world.vm(VmId(vm)).host).collect::<Vec<_>>()
    };
    let mut central = told(16, 620.0, each, demands.clone(), centralised(centralised::vmplaces()));
    central.run(&mut |_| true);
    let how = Ringed { coordinators: 1, fewest: 16, roomy: false, ..Ringed::default() };
    let mut ring = told(16, 620.0, each, demands, Dvms::new(how));
    let seen = watched(&mut ring);
    assert!(central.world().moves.count() >= 5);
    assert_eq!(places(central.world()), places(ring.world()));
    assert_eq!(central.world().moves.count(), ring.world().moves.count());
    assert_eq!(ring.context().rounds.report().partition.mean, 16.0);
    // It is sooner, as it is told.
    assert!(total(&ring) < total(&central));
    assert_eq!((seen.hosts, seen.members), (0, 1), "no partition of the protocol");
}

/// With one coordinator nothing is said but reports, and partitions of its cell are answered at the same time.
#[test]
fn one_coordinator_has_partitions_side_by_side_and_nobody_to_talk_to() {
    let how = Ringed { coordinators: 1, ..Ringed::default() };
    let mut simulation = vmplaces_run(64, 900.0, Loads::default(), 660, Dvms::new(how));
    let seen = watched(&mut simulation);
    assert!(seen.together > 1 && seen.hosts == 0, "{seen:?}");
    let rounds = simulation.context().rounds.report();
    assert!(rounds.plan.count > 10 && rounds.partition.mean < 5.0, "{rounds:?}");
    // Its own host's agent has no need of the network.
    let reports = 63 * 900;
    let ends = 2 * u64::from(simulation.world().moves.report().done.count as u32);
    let messages = simulation.context().traffic.count();
    assert!(messages >= reports - 63 && messages <= reports + 63 + ends, "{messages}");
    let central = checked(64, 900.0, Loads::default(), 660, centralised(centralised::vmplaces()));
    assert!(total(&simulation) < total(&central));
    assert!(simulation.world().violations.report(900.0).to_detect.mean < 1.1);
}

#[test]
fn cells_of_one_host_form_partitions_over_several_members() {
    let how = Ringed { hosts_per_cell: 1, ..Ringed::default() };
    let mut simulation = vmplaces_run(48, 900.0, Loads::default(), 660, Dvms::new(how));
    let seen = watched(&mut simulation);
    assert!(seen.members >= 2 && seen.hosts >= 2 && seen.together > 1, "{seen:?}");
    let rounds = simulation.context().rounds.report();
    assert!(rounds.plan.count > 10 && rounds.partition.mean < 10.0, "{rounds:?}");
    let nothing = checked(48, 900.0, Loads::default(), 660, Nothing);
    assert!(total(&simulation) < total(&nothing) / 2.0);
    // Agents are beside their coordinators; what is said is the protocol, with the bytes of its frames.
    let traffic = simulation.context().traffic.report(48, 900.0);
    assert!(traffic.messages > 50 && traffic.bytes / traffic.messages > 150, "{traffic:?}");
}

#[test]
fn what_no_cell_can_absorb_all_together_do() {
    // Three are over by five cores together; the last host of the ring has room for that.
    let each = |vm: VmId| match vm.0 / 10 {
        0 | 2 | 4 => 1150,
        5 => 300,
        _ => 1000,
    };
    for hosts_per_cell in [1, 2, 3] {
        let how = Ringed { hosts_per_cell, ..Ringed::default() };
        let mut simulation = told(6, 300.0, each, Vec::new(), Dvms::new(how));
        let seen = watched(&mut simulation);
        assert_eq!(simulation.world().usage.over, 0, "cells of {hosts_per_cell}");
        assert!(seen.members >= 2);
        assert_eq!(reserved(simulation.strategy()), 0);
    }
}

#[test]
fn where_nobody_has_room_all_hosts_are_tried_and_nobody_is_kept() {
    // Half of the hosts are over, the others have no room for a VM.
    let each = |vm: VmId| if (vm.0 / 10).is_multiple_of(2) { 1050 } else { 1000 };
    let calm: Vec<Demand> = (0..80).map(|vm| Demand { time: 60.0, vm: VmId(vm), cpu: 0 }).collect();
    let how = Ringed { hosts_per_cell: 1, ..Ringed::default() };
    let mut simulation = told(8, 90.0, each, calm, Dvms::new(how));
    let seen = watched(&mut simulation);
    assert_eq!(seen.hosts, 8, "the last attempt is with all hosts");
    assert_eq!(simulation.world().moves.count(), 0);
    assert_eq!(reserved(simulation.strategy()), 0, "when the load is gone all are free");
}

#[test]
fn whatever_is_lost_or_dies_nobody_is_of_two_plans_and_overloads_end() {
    for (seed, hosts_per_cell) in [(1, 1), (2, 3), (3, 8)] {
        let loads = Loads { seed, ..Loads::default() };
        let story = || {
            let mut story = vmplaces::story(240, 900.0, loads).unwrap();
            let outages = Outages { period_s: 3000.0, down_s: 60.0, seed };
            story.faults = Box::new(Crashes::new(24, 900.0, outages));
            story.spare_migrating = false;
            story.failing = failing(seed);
            let calm = (0..240).map(|vm| Demand { time: 900.0, vm: VmId(vm), cpu: 0 });
            story.demands = Box::new(story.demands.chain(calm));
            story
        };
        let mut setup = vmplaces::setup(24, 240, 640, 23).unwrap();
        setup.hosts[12..].iter_mut().for_each(|host| host.site = 1);
        let conditions = Conditions { seed, loss: 0.05, jitter: 0.5, ..Conditions::default() };
        let how = Ringed { hosts_per_cell, ..Ringed::default() };
        let mut simulation = Simulation::new(&setup, conditions, story(), Dvms::new(how), 1000.0, 10.0);
        watched(&mut simulation);
        assert!(simulation.strategy().coordinators.iter().any(|it| it.life > 1), "some have died");
        assert!(simulation.context().rounds.report().plan.count > 5);
        assert_eq!(reserved(simulation.strategy()), 0, "seed {seed}");
        let mut nothing = Simulation::new(&setup, conditions, story(), Nothing, 1000.0, 10.0);
        nothing.run(&mut |_| true);
        assert!(total(&simulation) < total(&nothing) / 2.0, "{} {}", total(&simulation), total(&nothing));
    }
}

/// The host of an overload, and where its VM may go: one is full, one usually is, one is not.
#[test]
fn a_vm_goes_where_most_room_is_left_now_and_usually() {
    let each = |vm: VmId| [800, 950, 900, 500][vm.index() / 10];
    let demands = || -> Vec<Demand> {
        // The third has a quiet moment when the first gets too full.
        let quiet = (20..30).map(|vm| Demand { time: 300.0, vm: VmId(vm), cpu: 300 });
        let rise = (0..10).map(|vm| Demand { time: 301.5, vm: VmId(vm), cpu: 1040 });
        quiet.chain(rise).collect()
    };
    for (usual_s, place) in [(0.0, 2), (600.0, 3)] {
        let how = Ringed { usual_s, ..Ringed::default() };
        let mut simulation = told(4, 320.0, each, demands(), Dvms::new(how));
        watched(&mut simulation);
        let world = simulation.world();
        assert_eq!((world.moves.count(), world.usage.over), (1, 0));
        assert_eq!(world.host(HostId(place)).vms, 11, "usual_s {usual_s}");
        assert_eq!(simulation.context().rounds.report().partition.mean, 2.0);
    }
}

/// Where one VM is not enough the solver decides alone; and so it does where it is told to.
#[test]
fn several_vms_leave_where_one_is_not_enough() {
    let each = |vm: VmId| if vm.0 < 10 { 1200 } else { 600 };
    for roomy in [true, false] {
        let how = Ringed { roomy, ..Ringed::default() };
        let mut simulation = told(4, 60.0, each, Vec::new(), Dvms::new(how));
        watched(&mut simulation);
        assert_eq!((simulation.world().moves.count(), simulation.world().usage.over), (2, 0));
    }
}

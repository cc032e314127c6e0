//! What the protocol promises.

use super::*;
use crate::simulator::engine::tests::{checked, vmplaces_run};
use crate::simulator::engine::{Conditions, Demand, Simulation, Story};
use crate::simulator::ids::VmId;
use crate::simulator::injector::Loads;
use crate::simulator::strategies::centralised::{self, centralised};
use crate::simulator::strategies::tests::rough;
use crate::simulator::vmplaces;

/// Lets everything happen; no host is of two partitions that solve or are carried out.
fn disjoint(simulation: &mut Simulation<DvmsClassic>) -> usize {
    let mut together = 0;
    while simulation.step() {
        simulation.world().check().unwrap();
        let (mut seen, mut count) = (BTreeSet::new(), 0);
        for hosts in simulation.strategy().at_work() {
            count += 1;
            for host in hosts {
                assert!(seen.insert(*host), "host {} is of two at {}", host.0, simulation.world().now());
            }
        }
        together = together.max(count);
    }
    together
}

#[test]
fn partitions_are_disjoint_small_and_quicker_than_one_manager() {
    let mut simulation = vmplaces_run(64, 900.0, Loads::default(), 660, DvmsClassic::new(Classic::default()));
    let together = disjoint(&mut simulation);
    assert!(together > 1, "some are at work at the same time");
    let central = checked(64, 900.0, Loads::default(), 660, centralised(centralised::vmplaces()));
    let total = |report: crate::simulator::measures::ViolationReport| report.all.total;
    let ring = simulation.world().violations.report(900.0);
    assert!(ring.to_detect.mean < 1.1);
    assert!(total(ring) < total(central.world().violations.report(900.0)));
    let rounds = simulation.context().rounds.report();
    assert!(rounds.plan.count > 10 && rounds.partition.mean < 10.0, "{rounds:?}");
}

/// Hosts of ten cores with ten VMs each that need so much until it is calm, and nothing later.
fn full(hosts: u32, calm: f64, each: impl Fn(u32) -> u32) -> Simulation<DvmsClassic> {
    let mut setup = vmplaces::setup(hosts, hosts * 10, 1000, 23).unwrap();
    for (number, vm) in setup.vms.iter_mut().enumerate() {
        vm.host = HostId(number as u32 / 10);
        vm.cpu = each(vm.host.0);
    }
    let silence = (0..hosts * 10).map(move |vm| Demand { time: calm, vm: VmId(vm), cpu: 0 });
    let story = Story {
        demands: Box::new(silence),
        faults: Box::new(std::iter::empty()),
        spare_migrating: true,
        ..Story::default()
    };
    let strategy = DvmsClassic::new(Classic::default());
    Simulation::new(&setup, Conditions::default(), story, strategy, calm + 30.0, 10.0)
}

#[test]
fn where_nobody_has_room_partitions_are_merged_and_dissolved_and_nobody_is_kept() {
    // Half of the hosts are over, the others have no room for a VM.
    let mut simulation = full(8, 30.0, |host| if host % 2 == 0 { 1050 } else { 1000 });
    let mut largest = 0;
    while simulation.step() {
        simulation.world().check().unwrap();
        largest = simulation.strategy().at_work().map(<[_]>::len).max().unwrap_or(0).max(largest);
    }
    assert_eq!(largest, 8, "blocked partitions are merged until all are one");
    assert_eq!(simulation.context().rounds.report().plan.count, 0);
    assert_eq!(simulation.strategy().reserved(), 0, "when the load is gone all are free");
}

#[test]
fn what_only_all_together_can_solve_is_solved() {
    // Three are over by five cores together; the last host of the ring has room for that.
    let mut simulation = full(6, 300.0, |host| match host {
        0 | 2 | 4 => 1150,
        5 => 300,
        _ => 1000,
    });
    while simulation.world().now() < 299.0 && simulation.step() {
        simulation.world().check().unwrap();
    }
    assert_eq!(simulation.world().usage.over, 0);
}

#[test]
fn crashes_and_lost_messages_keep_nobody_reserved_for_ever() {
    for seed in 1..=3 {
        let simulation = rough(seed, DvmsClassic::new(Classic::default()), &mut |_| {});
        assert!(simulation.context().rounds.report().plan.count > 5);
        assert_eq!(simulation.strategy().reserved(), 0, "seed {seed}");
    }
}

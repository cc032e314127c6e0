//! What agents choose, and what comes of it.

use super::super::tests::{rough, still};
use super::choice::{Leaver, evacuation, relief};
use super::{Criteria, Known, Mcda, Weighing};
use crate::simulator::engine::ViewVm;
use crate::simulator::engine::tests::checked;
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::Loads;
use crate::simulator::strategies::Nothing;
use crate::simulator::world::{HostNow, HostState};

fn known(id: u32, expected: u32, vms: u32) -> Known {
    let now = HostNow {
        state: HostState::On,
        cpu: 10_000,
        memory: 20_000,
        demand: expected,
        expected,
        held: vms * 1000,
        vms,
        migrating: false,
        site: 0,
    };
    Known { host: HostId(id), now, variance: 0.0, at: 0.0 }
}

fn vm(id: u32, demand: u32) -> ViewVm {
    ViewVm { id: VmId(id), demand, memory: 1000, migrating: false }
}

#[test]
fn an_overloaded_host_gives_the_vm_nearest_to_what_is_too_much_to_the_host_with_most_room() {
    let how = Criteria::of(&Weighing::default(), false);
    let leaver = |id, demand| Leaver { vm: vm(id, demand), variance: 0.0, stayed: 600.0 };
    let leavers = [leaver(1, 100), leaver(2, 900), leaver(3, 3000)];
    let others =
        [known(1, 9000, 9), known(2, 4000, 4), known(3, 6000, 6), known(4, 9500, 9), known(5, 5000, 5)];
    let mut work = 0;
    let moves = relief(HostId(0), 850, &leavers, &others, &how, &mut work);
    assert!(moves.iter().all(|step| step.vm == VmId(2) && step.from == HostId(0)));
    // The three best, the best first; who has no room is not among them.
    assert_eq!(moves.iter().map(|step| step.to.0).collect::<Vec<_>>(), [2, 5, 3]);
    assert!(work > 0);
    // A VM that nobody has room for is passed over; for the next one, 200 are better than 100.
    let full = [known(1, 9900, 9), known(2, 9800, 9)];
    let moves = relief(HostId(0), 850, &leavers, &full, &how, &mut work);
    assert_eq!(moves.first().map(|step| (step.vm.0, step.to.0)), Some((1, 2)));
    // One that has just come, and swings, stays where another is as near.
    let mut alike = [leaver(1, 900), leaver(2, 900)];
    (alike[0].variance, alike[0].stayed) = (50.0, 10.0);
    assert_eq!(relief(HostId(0), 850, &alike, &others, &how, &mut work)[0].vm, VmId(2));
}

#[test]
fn a_host_that_is_used_little_gives_all_or_nothing_to_the_fullest() {
    let how = Criteria::of(&Weighing::default(), true);
    let others = vec![known(1, 7000, 7), known(2, 4000, 4), known(3, 0, 0)];
    let vms = vec![vm(1, 500), vm(2, 1000)];
    let mut work = 0;
    let moves = evacuation(HostId(0), vms.clone(), others.clone(), &how, &mut work);
    assert_eq!(moves.iter().map(|step| (step.vm.0, step.to.0)).collect::<Vec<_>>(), [(2, 1), (1, 1)]);
    // A host that is empty takes none: there is no place for the second one.
    let moves = evacuation(HostId(0), vms, vec![known(1, 7500, 7), known(3, 0, 0)], &how, &mut work);
    assert!(moves.is_empty(), "{moves:?}");
}

#[test]
fn agents_that_weigh_end_overloads_with_few_migrations() {
    let nothing = checked(48, 900.0, Loads::default(), 680, Nothing);
    let how = Weighing { under: 0.0, ..Weighing::default() };
    let weighed = checked(48, 900.0, Loads::default(), 680, Mcda::new(how));
    let over = |world: &crate::simulator::world::World| world.usage.report(900.0).over_host_s;
    assert!(over(weighed.world()) < over(nothing.world()) / 2.0, "{}", over(weighed.world()));
    let moved = weighed.world().moves.report();
    let violations = weighed.world().violations.report(900.0).all.count;
    assert!(moved.done.count > 3 && moved.done.count <= violations + 5, "{moved:?} {violations}");
    // All tell the store each three seconds.
    assert!(weighed.context().traffic.report(48, 900.0).messages >= 48 * 299);
}

#[test]
fn hosts_that_are_used_little_are_emptied_wholly() {
    // A core of ten and 256 MiB each: hosts with one or two VMs are used little.
    let mut simulation = still(40, 97, 1000, 3000.0, Mcda::new(Weighing::default()));
    let before = simulation.world().usage.active;
    while simulation.step() {
        simulation.world().check().unwrap();
    }
    let world = simulation.world();
    assert!(world.usage.active < before * 3 / 4, "{} of {before}", world.usage.active);
    assert_eq!(world.usage.over, 0);
    let counts: Vec<u32> = world.host_ids().map(|host| world.host(host).vms).collect();
    assert!(counts.iter().all(|vms| *vms == 0 || (3..=8).contains(vms)), "{counts:?}");
}

#[test]
fn crashes_and_lost_messages_keep_nobody_engaged_for_ever() {
    let how = Weighing { under: 0.0, ..Weighing::default() };
    let simulation = rough(6, Mcda::new(how), &mut |_| {});
    let runs = |host: &HostId| simulation.world().host(*host).state == HostState::On;
    let of = |host: &HostId| simulation.strategy().nodes[host.index()].engaged != 0;
    let engaged: Vec<HostId> = simulation.world().host_ids().filter(runs).filter(of).collect();
    assert!(engaged.is_empty(), "{engaged:?}");
}

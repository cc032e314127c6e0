//! What scouts bring about.

use super::super::tests::{rough, sleeps_and_is_woken, still};
use super::{Scouting, Scouts, is_fuller};
use crate::simulator::engine::Demand;
use crate::simulator::engine::tests::checked;
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::Loads;
use crate::simulator::strategies::Nothing;
use crate::simulator::vmplaces;
use crate::simulator::world::HostState;

#[test]
fn scouts_empty_hosts_towards_fuller_ones_up_to_their_limit_and_put_them_to_sleep() {
    // Nine VMs of a core fill a host to its limit: 97 need 11 hosts.
    let mut simulation = still(40, 97, 1000, 3000.0, Scouts::new(Scouting::default()));
    let before = simulation.world().usage.active;
    while simulation.step() {
        simulation.world().check().unwrap();
        let world = simulation.world();
        assert!(world.host_ids().all(|host| {
            let now = world.host(host);
            now.expected <= 9000 || !now.migrating
        }));
    }
    let usage = simulation.world().usage;
    assert!(before > 30 && (11..=14).contains(&usage.active), "{} of {before}", usage.active);
    assert_eq!((usage.on, usage.over), (usage.active, 0), "who is empty sleeps");
    // A scout is a message a step and one home; nobody decides for others.
    assert!(simulation.context().traffic.report(40, 3000.0).messages > 11 * 11 * 99);
    let vms: u32 = simulation.world().host_ids().map(|host| simulation.world().host(host).vms).sum();
    assert_eq!(vms, 97);
}

#[test]
fn of_two_hosts_one_is_the_fuller_so_that_nothing_goes_round() {
    for (one, other) in [((5, 1), (4, 2)), ((4, 1), (4, 2)), ((4, 2), (3, 1))] {
        let of = |(load, host)| (load, HostId(host));
        assert!(is_fuller(of(one), of(other)) && !is_fuller(of(other), of(one)));
        assert!(!is_fuller(of(one), of(one)));
    }
}

#[test]
fn scouts_that_only_relieve_end_overloads() {
    let nothing = checked(48, 900.0, Loads::default(), 680, Nothing);
    let how = Scouting { consolidate: false, ..Scouting::default() };
    let relieved = checked(48, 900.0, Loads::default(), 680, Scouts::new(how));
    let over = |world: &crate::simulator::world::World| world.usage.report(900.0).over_host_s;
    assert!(over(relieved.world()) < over(nothing.world()) / 2.0, "{}", over(relieved.world()));
    assert_eq!(relieved.world().usage.on, 48, "nobody sleeps");
}

#[test]
fn a_sleeper_is_woken_where_nobody_has_room() {
    let mut setup = vmplaces::setup(3, 18, 1000, 5).unwrap();
    for (i, vm) in setup.vms.iter_mut().enumerate() {
        vm.cpu = 900;
        vm.memory = 256;
        // The third host has one VM, which goes to the others; the load of all rises later.
        vm.host = HostId(if i == 0 { 2 } else { (i as u32 - 1) / 9 });
    }
    setup.vms[17].cpu = 100;
    let demands: Vec<Demand> = (0..18).map(|vm| Demand { time: 2000.0, vm: VmId(vm), cpu: 1150 }).collect();
    sleeps_and_is_woken(&setup, demands, Scouts::new(Scouting::default()));
}

#[test]
fn crashes_and_lost_messages_keep_nobody_engaged_for_ever() {
    let how = Scouting { consolidate: false, ..Scouting::default() };
    let simulation = rough(6, Scouts::new(how), &mut |_| {});
    let runs = |host: &HostId| simulation.world().host(*host).state == HostState::On;
    let of = |host: &HostId| simulation.strategy().colonies[host.index()].engaged != 0;
    let engaged: Vec<HostId> = simulation.world().host_ids().filter(runs).filter(of).collect();
    assert!(engaged.is_empty(), "{engaged:?}");
}

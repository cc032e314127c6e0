//! Hosts are emptied, sleep and are woken; and nobody pays for it.

use super::super::settings::Ringed;
use super::super::tests::{reserved, told, total, watched};
use super::*;
use crate::simulator::engine::{Conditions, Demand, Simulation};
use crate::simulator::ids::VmId;
use crate::simulator::injector::{Crashes, Loads, Outages};
use crate::simulator::strategies::tests::failing;
use crate::simulator::vmplaces;
use std::collections::BTreeSet;

fn thrifty(hosts_per_cell: u32) -> Ringed {
    Ringed { hosts_per_cell, under: 0.5, under_hold_s: 20.0, ..Ringed::default() }
}

/// VMs of one size, 31 of which fit on a host by their memory: 160 of them need six hosts.
#[test]
fn hosts_are_emptied_down_to_the_bound_of_packing_and_sleep() {
    let mut simulation = told(16, 1500.0, |_| 200, Vec::new(), Dvms::new(thrifty(16)));
    watched(&mut simulation);
    let usage = &simulation.world().usage;
    assert_eq!((usage.active, usage.on, usage.over), (6, 6, 0));
    assert_eq!(total(&simulation), 0.0);
    assert_eq!(reserved(simulation.strategy()), 0);
    let moved = simulation.world().moves.count();
    assert!(moved <= 100, "no more than the VMs of ten hosts: {moved}");
}

/// Cells of two. The first host of each is full, or has room; the second of the first cell has little to do, and no place for
/// its VMs but in the other cell.
#[test]
fn what_a_cell_cannot_empty_into_itself_goes_to_others() {
    let each = |vm: VmId| [950, 200, 300, 950][vm.index() / 10];
    let how = Ringed { under: 0.35, ..thrifty(2) };
    let mut simulation = told(4, 900.0, each, Vec::new(), Dvms::new(how));
    let seen = watched(&mut simulation);
    let world = simulation.world();
    assert!(seen.members >= 2, "{seen:?}");
    assert_eq!((world.host(HostId(1)).vms, world.host(HostId(2)).vms), (0, 20));
    assert_eq!((world.usage.on, world.usage.over), (3, 0));
    assert_eq!(total(&simulation), 0.0);
    assert_eq!(reserved(simulation.strategy()), 0);
}

#[test]
fn hosts_are_woken_when_nobody_has_room() {
    // All want nine tenths of what there is, when five hosts have been brought down to two or three.
    for hosts_per_cell in [5, 3] {
        let rise = (0..50).map(|vm| Demand { time: 600.0, vm: VmId(vm), cpu: 900 });
        let how = thrifty(hosts_per_cell);
        let mut simulation = told(5, 2400.0, |_| 200, rise.collect(), Dvms::new(how));
        let mut fewest = 5;
        while simulation.step() {
            simulation.world().check().unwrap();
            if simulation.world().now() < 600.0 {
                fewest = fewest.min(simulation.world().usage.on);
                assert_eq!(simulation.world().usage.over, 0);
            }
        }
        assert!(fewest <= 3, "{fewest} hosts were on at least");
        let usage = &simulation.world().usage;
        assert_eq!((usage.on, usage.over), (5, 0), "cells of {hosts_per_cell}");
    }
}

/// Whatever is lost or dies: nobody is of two plans, hosts are emptied, and overloads end.
#[test]
fn hosts_are_emptied_under_faults_too() {
    for (seed, hosts_per_cell) in [(1, 6), (2, 24)] {
        let loads = Loads { mean: 30.0, seed, ..Loads::default() };
        let mut story = vmplaces::story(240, 1500.0, loads).unwrap();
        let outages = Outages { period_s: 3000.0, down_s: 60.0, seed };
        story.faults = Box::new(Crashes::new(24, 1500.0, outages));
        story.spare_migrating = false;
        story.failing = failing(seed);
        let calm = (0..240).map(|vm| Demand { time: 1500.0, vm: VmId(vm), cpu: 100 });
        story.demands = Box::new(story.demands.chain(calm));
        let setup = vmplaces::setup(24, 240, 1000, 23).unwrap();
        let conditions = Conditions { seed, loss: 0.05, jitter: 0.5, ..Conditions::default() };
        let strategy = Dvms::new(thrifty(hosts_per_cell));
        let mut simulation = Simulation::new(&setup, conditions, story, strategy, 1800.0, 10.0);
        watched(&mut simulation);
        let usage = &simulation.world().usage;
        assert!(usage.report(1800.0).lost_vm_s > 0.0, "some have died");
        assert!(usage.active <= 16, "{} in use", usage.active);
        assert_eq!(usage.over, 0);
    }
}

#[test]
fn nothing_is_emptied_that_is_not_worth_it_or_not_wanted() {
    let dear = Ringed { pack_price_mib: 1024.0, ..thrifty(16) };
    let off = Ringed { under: 0.0, ..thrifty(16) };
    for how in [dear, off] {
        let mut simulation = told(16, 600.0, |_| 200, Vec::new(), Dvms::new(how));
        watched(&mut simulation);
        assert_eq!((simulation.world().moves.count(), simulation.world().usage.on), (0, 16));
    }
    // Who may not sleep stays on.
    let awake = Ringed { sleep: false, ..thrifty(16) };
    let mut simulation = told(16, 1500.0, |_| 200, Vec::new(), Dvms::new(awake));
    watched(&mut simulation);
    assert_eq!((simulation.world().usage.active, simulation.world().usage.on), (6, 16));
    let used: BTreeSet<u32> = (0..160).map(|vm| simulation.world().vm(VmId(vm)).host.0).collect();
    assert!(used.contains(&0), "the coordinator's own host stays in use: {used:?}");
}

//! Migration times against the closed form: memory ÷ (rate − written) and the moment of the switch.

use super::super::*;
use crate::simulator::vmplaces;

fn setup(hosts: u32) -> Setup {
    let mut setup = vmplaces::setup(hosts, hosts * 10, 700, 23).unwrap();
    setup.vms.iter_mut().for_each(|vm| vm.cpu = 100);
    setup
}

/// Runs all migrations; what each took, by number of the VM.
fn run(world: &mut World, moves: &[(u32, u32)]) -> Vec<f64> {
    let mut due = crate::simulator::queue::Queue::default();
    for (vm, to) in moves {
        world.migrate(VmId(*vm), HostId(*to)).unwrap();
    }
    let mut took = vec![f64::NAN; moves.len()];
    loop {
        for (slot, generation, time) in world.due.drain(..) {
            due.push(time, (slot, generation));
        }
        world.check().unwrap();
        let Some((time, (slot, generation))) = due.pop() else { return took };
        world.advance(time);
        if let Some(ended) = world.due(slot, generation) {
            let at = moves.iter().position(|(vm, _)| *vm == ended.migration.vm.0).unwrap();
            took[at] = time - ended.migration.began;
        }
    }
}

fn vms_at(world: &World, host: u32) -> Vec<u32> {
    world.vms_of(HostId(host)).map(|vm| vm.0).collect()
}

#[test]
fn a_migration_takes_what_the_closed_form_says() {
    let setup = setup(4);
    for vm in 0..40 {
        let mut world = World::new(&setup);
        let to = (world.vm(VmId(vm)).host.0 + 1) % 4;
        let took = run(&mut world, &[(vm, to)])[0];
        let expected = (1024.0 / 112.0) / (1.0 - setup.vms[vm as usize].dirty / 10.0) + 0.03;
        assert!((took - expected).abs() < 0.05, "{took} {expected}");
        assert!((9.17..10.0).contains(&took));
    }
}

#[test]
fn those_that_leave_together_share_the_link() {
    let setup = setup(4);
    for together in 2..=4_u32 {
        let mut world = World::new(&setup);
        let vms = vms_at(&world, 0);
        let moves: Vec<(u32, u32)> = (0..together).map(|i| (vms[i as usize], 1 + i % 3)).collect();
        let took = run(&mut world, &moves);
        let rate = (0.97 * 125e6 / f64::from(together)).min(112.0 * MIB);
        let written = |vm: u32| 112.0 * MIB * setup.vms[vm as usize].dirty / 10.0;
        let closed = |vm: u32| 1024.0 * MIB / (rate - written(vm)) + 0.03;
        let first = took.iter().copied().fold(f64::INFINITY, f64::min);
        let expected = moves.iter().map(|(vm, _)| closed(*vm)).fold(f64::INFINITY, f64::min);
        assert!((first - expected).abs() < 0.05, "{together}: {first} {expected}");
    }
}

#[test]
fn who_writes_faster_than_is_sent_is_slowed_down_and_ends() {
    let mut setup = setup(2);
    setup.migration.shared_core = false;
    setup.vms.iter_mut().for_each(|vm| vm.dirty = 2.0);
    let mut world = World::new(&setup);
    let vm = vms_at(&world, 0)[0];
    let took = run(&mut world, &[(vm, 1)])[0];
    assert!((took - 1024.0 / 11.2 - 0.036).abs() < 1e-6, "{took}");
}

#[test]
fn sites_share_their_links() {
    let mut setup = setup(4);
    setup.hosts[2].site = 1;
    setup.hosts[3].site = 1;
    setup.links.site = 20.0 * MIB;
    setup.vms.iter_mut().for_each(|vm| vm.dirty = 0.0);
    let mut world = World::new(&setup);
    let (a, b) = (vms_at(&world, 0)[0], vms_at(&world, 1)[0]);
    let took = run(&mut world, &[(a, 2), (b, 3)]);
    assert!(took.iter().all(|took| (took - 102.436).abs() < 1e-3), "{took:?}");
    let (a, b) = (vms_at(&world, 0)[0], vms_at(&world, 2)[0]);
    let took = run(&mut world, &[(a, 1), (b, 3)]);
    assert!(took.iter().all(|took| (took - 9.178_857).abs() < 1e-3), "within a site: {took:?}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut setup = setup(3);
    setup.hosts[1].memory = 10 * 1024;
    let mut world = World::new(&setup);
    let vm = VmId(vms_at(&world, 0)[0]);
    assert_eq!(world.migrate(vm, HostId(0)), Err(Refusal::There));
    assert_eq!(world.migrate(vm, HostId(1)), Err(Refusal::Memory));
    world.fail(HostId(2));
    assert_eq!(world.migrate(vm, HostId(2)), Err(Refusal::HostDown));
    world.recover(HostId(2));
    world.migrate(vm, HostId(2)).unwrap();
    assert_eq!(world.migrate(vm, HostId(2)), Err(Refusal::Migrating));
    assert_eq!((world.moves.report().refused, world.moves.under_way), (4, 1));
    world.check().unwrap();
}

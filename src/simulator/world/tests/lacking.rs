//! What VMs lack, worked out by hand.

use super::super::*;
use crate::simulator::vmplaces;

#[test]
fn what_vms_lack_is_as_worked_out_by_hand() {
    let mut setup = vmplaces::setup(2, 3, 100, 5).unwrap();
    for (vm, host) in setup.vms.iter_mut().zip([0, 0, 1]) {
        vm.host = HostId(host);
    }
    let mut world = World::new(&setup);
    let lack = |world: &World| [0, 1, 2].map(|vm| world.vm_lacked(VmId(vm)).round());
    world.set_demand(VmId(2), 500);
    world.advance(5.0);
    // 1,500 of 1,000 milli-cores: each VM lacks a third of what it asks for, for ten seconds.
    world.set_demand(VmId(0), 900);
    world.set_demand(VmId(1), 600);
    assert!((world.load_fairness() - 4.0 / (2.0 * 2.5)).abs() < 1e-12, "1.5 and 0.5");
    world.advance(15.0);
    assert_eq!(lack(&world), [3000.0, 2000.0, 0.0]);
    let told = world.fairness(&[]);
    assert!((told.vms_lack - 25.0 / (3.0 * 13.0)).abs() < 1e-9 && (told.lack_core_s - 5.0).abs() < 1e-9);
    // Half as much too much for four seconds: 250 of 1,250, a fifth of 900 and of 350.
    world.set_demand(VmId(1), 350);
    world.advance(19.0);
    assert_eq!(lack(&world), [3720.0, 2280.0, 0.0]);
    // One moves: it lacks as before until it is there, the other nothing from then on; at its new host it lacks nothing.
    world.migrate(VmId(1), HostId(1)).unwrap();
    let took = loop {
        let (slot, generation, time) = world.due.remove(0);
        world.advance(time);
        if let Some(ended) = world.due(slot, generation) {
            break time - ended.migration.began;
        }
    };
    let there = [3720.0 + 180.0 * took, 2280.0 + 70.0 * took, 0.0].map(f64::round);
    assert_eq!(lack(&world), there);
    world.advance(100.0);
    assert_eq!(lack(&world), there);
    // A host that is down is not asked for anything.
    world.set_demand(VmId(0), 2000);
    world.advance(101.0);
    world.fail(HostId(0));
    world.advance(200.0);
    assert_eq!(lack(&world)[0], (3720.0 + 180.0 * took + 1000.0).round());
    world.check().unwrap();
}

//! Nothing is sent to a host of another member that this one does not keep for it, whatever an order waits for.

use super::super::world::World;
use super::{ended, full_cell, load, settles};
use crate::record::{Order, PlanState};

/// Lets time pass until an action is decided on whose order is not out yet.
fn until_an_order_waits(world: &mut World) {
    let waits = |world: &World| world.core_of("east").aloft.values().any(|aloft| !aloft.told);
    for _ in 0..6000 {
        if waits(world) {
            return;
        }
        world.run(0.005);
    }
    panic!("no order waits\n{}", world.story());
}

fn orders(world: &World) -> usize {
    world.told.iter().filter(|(_, order)| matches!(order, Order::Execute { .. })).count()
}

#[test]
fn an_order_that_waits_for_a_full_disk_does_not_go_out_when_its_hosts_are_not_reserved_any_more() {
    for seed in 0..20 {
        let mut world = full_cell(seed);
        until_an_order_waits(&mut world);
        world.disk_full = true;
        for other in ["north", "west"] {
            world.cut("east", other, true);
        }
        let before = orders(&world);
        world.run(20.0);
        world.disk_full = false;
        world.run(20.0);
        assert_eq!(orders(&world), before, "{}", world.story());
        assert_eq!(ended(&world, PlanState::Executing), 0, "{}", world.story());
        for other in ["north", "west"] {
            world.cut("east", other, false);
        }
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
}

#[test]
fn a_vm_is_sent_only_when_the_owner_of_its_destination_expects_it() {
    let mut refused = 0;
    for seed in 0..20 {
        let mut world = full_cell(seed);
        // This one gives its hosts to others sooner than its leader believes.
        world.sit("west");
        world.settings.ring.lease_s = 0.3;
        world.revive_member("west");
        until_an_order_waits(&mut world);
        world.cut("east", "west", true);
        let before = orders(&world);
        world.run(1.0);
        assert_eq!(orders(&world), before, "{}", world.story());
        world.cut("east", "west", false);
        world.run(3.0);
        world.sit("east");
        let told = world.events_text();
        let why = ["is not reserved for its plan any more", "its agent was not told any more"];
        refused += usize::from(why.iter().any(|why| told.contains(why)));
        world.sit("west");
        world.settings.ring.lease_s = 3.0;
        world.kill("west", Some(0.5));
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
    assert!(refused > 0, "all were sent");
}

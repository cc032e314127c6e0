//! Whatever happens, what was kept up is what is counted anew.

use super::super::*;
use crate::simulator::queue::Queue;
use crate::simulator::random::Random;
use crate::simulator::vmplaces;

#[test]
fn after_every_event_all_is_as_counted_anew() {
    for seed in 0..20 {
        let mut random = Random::new(seed, 0);
        let mut setup = vmplaces::setup(12, 96, 700, seed).unwrap();
        // Memory is scarce, so that some is refused; links of sites and a backbone are narrow.
        for (i, host) in setup.hosts.iter_mut().enumerate() {
            host.memory = 10_240;
            host.site = (i % 3) as u16;
        }
        setup.links.site = 60e6;
        setup.links.backbone = 150e6;
        let mut world = World::new(&setup);
        let mut due: Queue<(u32, u32)> = Queue::default();
        let (mut ended, mut failed) = (0, 0);
        for _ in 0..1500 {
            let next = world.now() + 3.0 * random.fraction();
            while due.next_time().is_some_and(|time| time <= next) {
                let (time, (slot, generation)) = due.pop().unwrap();
                world.advance(time);
                ended += usize::from(world.due(slot, generation).is_some());
                due_again(&mut world, &mut due);
            }
            world.advance(next);
            let host = HostId(random.below(12));
            match random.below(36) {
                0 => failed += world.fail(host).map_or(0, |(_, ended)| ended.len()),
                1..=3 => _ = world.recover(host),
                4 => _ = world.switch_off(host),
                5 => _ = world.switch_on(host) && world.booted(host),
                6..=10 | 30..=35 => _ = world.migrate(VmId(random.below(96)), host),
                24 => failed += world.cut(host).map_or(0, |ended| ended.len()),
                25 | 26 => _ = world.mend(host),
                27 => failed += world.cut_site(random.below(3) as u16).map_or(0, |ended| ended.len()),
                28 | 29 => _ = world.mend_site(random.below(3) as u16),
                20 | 21 => {
                    let vm = VmId(random.below(96));
                    failed += if world.is_there(vm) { usize::from(world.leave(vm).is_some()) } else { 0 };
                }
                22 | 23 => {
                    let vm = VmId(random.below(96));
                    let seat = if world.is_there(vm) { Seat::None } else { world.seat(vm) };
                    match seat {
                        Seat::On(host) => world.come(vm, host),
                        Seat::Wake(host) => _ = world.switch_on(host),
                        Seat::None => {}
                    }
                }
                _ => world.set_demand(VmId(random.below(96)), random.below(11) * 100),
            }
            due_again(&mut world, &mut due);
        }
        assert!(ended > 20 && failed > 0, "{ended} ended, {failed} failed");
        let report = world.violations.report(world.now());
        let usage = world.usage.report(world.now());
        assert!((report.all.total - usage.over_host_s).abs() < 1e-6, "{report:?} {usage:?}");
        assert_eq!(world.moves.report().done.count, ended as u64);
        assert_eq!(world.moves.report().failed, failed as u64);
    }
}

fn due_again(world: &mut World, due: &mut Queue<(u32, u32)>) {
    for (slot, generation, time) in world.due.drain(..) {
        due.push(time, (slot, generation));
    }
    world.check().unwrap();
}

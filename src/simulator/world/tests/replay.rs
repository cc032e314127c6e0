//! The migrations of a public VMPlaceS trace (`events.json` of BeyondTheClouds/VMPlaceS at 9a99128: 64 hosts, 640 VMs,
//! 1800 s), replayed over the injector's load.

use super::super::*;
use crate::simulator::engine::Demand;
use crate::simulator::injector::Loads;
use crate::simulator::vmplaces;

/// End (s), VM, source, destination, duration (s).
const MIGRATIONS: [(f64, u32, u32, u32, f64); 35] = [
    (549.471581, 59, 47, 4, 9.266581),
    (700.073488, 296, 1, 4, 9.978488),
    (879.832811, 509, 28, 39, 9.766811),
    (909.655061, 206, 14, 4, 9.555061),
    (969.482911, 605, 38, 2, 9.360911),
    (1029.628061, 558, 33, 1, 9.555061),
    (1029.855781, 296, 4, 25, 9.782781),
    (1090.374581, 588, 36, 26, 9.266581),
    (1090.663061, 558, 1, 3, 9.555061),
    (1120.377096, 588, 26, 1, 9.258096),
    (1120.576071, 143, 11, 0, 9.457071),
    (1121.097488, 276, 19, 34, 9.978488),
    (1150.495911, 639, 41, 22, 9.360911),
    (1159.168211, 59, 4, 24, 18.033211),
    (1159.476514, 308, 4, 39, 18.341514),
    (1180.438911, 629, 40, 28, 9.360911),
    (1180.486762, 308, 39, 38, 9.408762),
    (1210.983487, 462, 24, 19, 9.900487),
    (1270.818811, 603, 38, 40, 9.766811),
    (1330.548664, 321, 2, 3, 9.430664),
    (1390.657282, 445, 22, 39, 9.609282),
    (1480.640571, 445, 39, 2, 9.571571),
    (1540.320096, 320, 2, 13, 9.258096),
    (1540.470762, 321, 3, 48, 9.408762),
    (1540.519071, 369, 6, 19, 9.457071),
    (1600.926542, 248, 16, 4, 9.871542),
    (1630.830811, 408, 62, 2, 9.766811),
    (1660.704061, 358, 9, 10, 9.555061),
    (1690.491122, 589, 36, 34, 9.382122),
    (1690.628216, 63, 48, 8, 9.519216),
    (1759.919833, 619, 39, 36, 18.864833),
    (1760.570956, 135, 54, 39, 19.515956),
    (1760.668391, 509, 39, 38, 19.613391),
    (1780.514664, 479, 25, 39, 9.430664),
    (1810.294275, 334, 3, 10, 9.166275),
];

/// What `VMPlaceS` recorded for a host with two VMs leaving and one coming is not explained by shared links; the last one
/// ended after the load had stopped, and with it what VMs write.
const UNEXPLAINED: [usize; 4] = [30, 31, 32, 34];

/// Lets the injector's load happen until `time`.
struct Load {
    demands: Box<dyn Iterator<Item = Demand>>,
    next: Option<Demand>,
}

impl Load {
    fn new() -> Self {
        let mut demands = vmplaces::story(640, 1800.0, Loads::default()).unwrap().demands;
        let next = demands.next();
        Self { demands, next }
    }

    fn until(&mut self, time: f64, world: &mut World) {
        while let Some(demand) = self.next.filter(|demand| demand.time <= time) {
            world.advance(demand.time);
            world.set_demand(demand.vm, demand.cpu);
            self.next = self.demands.next();
        }
        world.advance(time);
    }
}

#[test]
fn a_recorded_run_has_the_violations_that_were_recorded() {
    let mut setup = vmplaces::setup(64, 640, 700, 23).unwrap();
    // Migrations are over when they were over.
    setup.migration = MigrationModel { limit: 1e18, switch_s: 0.0, ..setup.migration };
    setup.links.nic = 1e18;
    let mut world = World::new(&setup);
    let mut load = Load::new();
    // The last one ends after the load has stopped; the recording goes on until then.
    for (end, vm, from, to, _) in MIGRATIONS {
        load.until(end, &mut world);
        assert_eq!(world.vm(VmId(vm)).host, HostId(from), "VM {vm} at {end}");
        let mut done = None;
        world.migrate(VmId(vm), HostId(to)).unwrap();
        while let Some((slot, generation, time)) = world.due.pop() {
            world.advance(time);
            done = world.due(slot, generation).or(done);
        }
        assert!(done.is_some_and(|ended| ended.well));
        world.check().unwrap();
    }
    let report = world.violations.report(world.now());
    assert_eq!((report.by_load.count, report.by_arrival.count, report.open), (37, 2, 0));
    assert!((report.by_load.total - 903.4).abs() < 0.1, "{report:?}");
    let close = |a: f64, b: f64| (a - b).abs() < 0.01;
    assert!(close(report.by_load.mean, 24.42) && close(report.by_load.sd, 10.03), "{report:?}");
    let arrivals: Vec<_> = world.violations.log().iter().filter(|it| it.cause == Cause::Arrival).collect();
    let told: Vec<_> = arrivals.iter().map(|it| (it.host.0, it.began, it.lasted(1800.0))).collect();
    for ((host, began, lasted), expected) in told.iter().zip([(39, 1159.477, 21.010), (34, 1690.491, 10.136)])
    {
        assert!(*host == expected.0 && close(*began, expected.1) && close(*lasted, expected.2), "{told:?}");
    }
    let mut loads: Vec<_> = world.violations.log().iter().filter(|it| it.cause == Cause::Load).collect();
    loads.sort_by(|a, b| a.ended.total_cmp(&b.ended));
    let first: Vec<_> = loads.iter().take(6).map(|it| it.host.0).collect();
    assert_eq!(first, [47, 1, 28, 14, 38, 33]);
}

#[test]
fn recorded_migrations_take_what_they_took() {
    let mut world = World::new(&vmplaces::setup(64, 640, 700, 23).unwrap());
    let mut load = Load::new();
    let mut begins: Vec<usize> = (0..MIGRATIONS.len()).collect();
    let began = |i: usize| MIGRATIONS[i].0 - MIGRATIONS[i].4;
    begins.sort_by(|a, b| began(*a).total_cmp(&began(*b)));
    let mut due = crate::simulator::queue::Queue::default();
    let mut worst: f64 = 0.0;
    let mut told = 0;
    let mut happen =
        |world: &mut World, due: &mut crate::simulator::queue::Queue<(u32, u32)>, slot, generation| {
            if let Some(ended) = world.due(slot, generation) {
                let took = world.now() - ended.migration.began;
                let vm = ended.migration.vm.0;
                let of =
                    |i: &usize| MIGRATIONS[*i].1 == vm && (began(*i) - ended.migration.began).abs() < 1e-6;
                let at = (0..MIGRATIONS.len()).find(of).unwrap();
                if !UNEXPLAINED.contains(&at) {
                    worst = worst.max((took - MIGRATIONS[at].4).abs());
                    told += 1;
                }
            }
            for (slot, generation, time) in world.due.drain(..) {
                due.push(time, (slot, generation));
            }
        };
    for i in begins {
        while due.next_time().is_some_and(|time| time <= began(i)) {
            let (time, (slot, generation)) = due.pop().unwrap();
            load.until(time, &mut world);
            happen(&mut world, &mut due, slot, generation);
        }
        load.until(began(i), &mut world);
        world.migrate(VmId(MIGRATIONS[i].1), HostId(MIGRATIONS[i].3)).unwrap();
        happen(&mut world, &mut due, 0, u32::MAX);
        world.check().unwrap();
    }
    while let Some((time, (slot, generation))) = due.pop() {
        load.until(time, &mut world);
        happen(&mut world, &mut due, slot, generation);
    }
    assert_eq!(told, 31);
    // 0.05 s are asked for.
    assert!(worst < 0.006, "{worst}");
}

//! Without any strategy.

use super::{checked, vmplaces_run};
use crate::simulator::injector::Loads;
use crate::simulator::strategies::Nothing;

/// Hosts, seconds, mean and deviation of the load, capacity; violations, open at the end, total, mean, deviation.
type Row = (u32, f64, f64, f64, u32, u64, u64, f64, f64, f64);

const KNOWN: [Row; 10] = [
    (64, 1800.0, 60.0, 20.0, 700, 32, 2, 2495.19, 77.97, 69.43),
    (64, 3600.0, 60.0, 20.0, 700, 91, 3, 7587.36, 83.38, 85.83),
    (128, 3600.0, 60.0, 20.0, 700, 200, 6, 15558.33, 77.79, 88.79),
    (256, 3600.0, 60.0, 20.0, 700, 393, 9, 29960.49, 76.24, 89.75),
    (512, 3600.0, 60.0, 20.0, 700, 801, 26, 63555.29, 79.34, 92.08),
    (1024, 3600.0, 60.0, 20.0, 700, 1614, 39, 129095.67, 79.98, 91.68),
    (128, 3600.0, 70.0, 30.0, 800, 245, 7, 18257.22, 74.52, 88.55),
    (256, 3600.0, 70.0, 30.0, 800, 495, 12, 37451.35, 75.66, 86.14),
    (512, 3600.0, 70.0, 30.0, 800, 934, 25, 76169.22, 81.55, 95.61),
    (1024, 3600.0, 70.0, 30.0, 800, 1950, 49, 154270.05, 79.11, 91.44),
];

#[test]
fn the_load_alone_has_the_violations_that_are_known() {
    for (hosts, seconds, mean, sd, capacity, count, open, total, average, deviation) in KNOWN {
        let loads = Loads { mean, sd, ..Loads::default() };
        let mut simulation = vmplaces_run(hosts, seconds, loads, capacity, Nothing);
        assert!(simulation.run(&mut |_| true));
        let report = simulation.world().violations.report(seconds);
        assert_eq!((report.all.count, report.open), (count, open), "{hosts} hosts");
        let near = |a: f64, b: f64| (a - b).abs() < 0.006;
        let all = report.all;
        assert!(
            near(all.total, total) && near(all.mean, average) && near(all.sd, deviation),
            "{hosts}: {all:?}"
        );
    }
}

#[test]
fn invariants_hold_after_every_event_of_the_load() {
    let simulation = checked(16, 900.0, Loads::default(), 600, Nothing);
    assert!(simulation.world().violations.log().len() > 3 && simulation.events() > 400);
    assert_eq!(simulation.series().len(), 15);
}

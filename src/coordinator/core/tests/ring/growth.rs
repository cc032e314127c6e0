//! Readers see how a partition has become what it is.

use super::full_cell;
use crate::coordinator::view::Why;

#[test]
fn readers_see_how_a_partition_has_grown() {
    let mut world = full_cell(1);
    let leads = |world: &super::World| {
        let ring = &world.core_of("east").ring;
        let shown = ring.shown();
        shown.partitions.iter().any(|partition| partition.stage == "EXECUTING")
    };
    world.until("east carries out what it leads", 60.0, leads);
    world.sit("east");
    let shown = world.core.ring.shown();
    let partition = &shown.partitions[0];
    let steps: Vec<_> = partition.growth.steps.iter().collect();
    assert_eq!(steps[0].why, Why::Began);
    assert_eq!(steps[0].with, ["east"]);
    let asked = steps.iter().find(|step| step.why == Why::Asked).unwrap();
    assert_eq!(asked.with, ["west"], "north has no room: {steps:?}");
    assert!(asked.members == 2 && asked.hosts > steps[0].hosts, "{steps:?}");
    let last = steps.last().unwrap();
    assert_eq!((last.hosts as usize, last.members), (partition.hosts.len(), 2), "{steps:?}");
    let times: Vec<_> = steps.iter().map(|step| step.time).collect();
    assert!(times.is_sorted() && partition.growth.began == Some(times[0]), "{times:?}");
    assert!(partition.growth.since >= partition.growth.began);
    // What has ended leaves nothing behind.
    world.run(120.0);
    world.sit("east");
    assert!(world.core.ring.shown().partitions.is_empty());
    assert_eq!(world.core.ring.growths(), 0);
}

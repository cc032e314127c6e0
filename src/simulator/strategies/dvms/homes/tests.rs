//! Agents whose coordinator fails, or cannot be reached.

use super::super::tests::{Seen, look_at, told};
use super::super::{Ringed, picture};
use super::*;
use crate::simulator::engine::{Conditions, Demand, Part, Simulation, Story};
use crate::simulator::ids::VmId;
use crate::simulator::vmplaces;

/// Twelve hosts in three cells.
fn three_cells(demands: Vec<Demand>, changes: &[(f64, Part, bool)]) -> Simulation<Dvms> {
    let how = Ringed { hosts_per_cell: 4, ..Ringed::default() };
    told(12, 120.0, |_| 500, demands, Dvms::new(how)).with_changes(changes)
}

/// Of each coordinator how many hosts report to it.
fn shares(it: &Dvms) -> Vec<usize> {
    (0..3).map(|k| it.owners.iter().filter(|owner| **owner == k).count()).collect()
}

/// Ten VMs of one host need more than it has, from then on.
fn rise(host: u32, time: f64) -> Vec<Demand> {
    (0..10).map(|vm| Demand { time, vm: VmId(host * 10 + vm), cpu: 1040 }).collect()
}

fn play(simulation: &mut Simulation<Dvms>, look: &mut dyn FnMut(f64, &Dvms)) {
    let mut seen = Seen::default();
    while simulation.step() {
        simulation.world().check().unwrap();
        simulation.context().check();
        look_at(simulation.strategy(), &mut seen);
        look(simulation.world().now(), simulation.strategy());
    }
}

#[test]
fn hosts_of_a_coordinator_that_fails_alone_go_to_the_others_at_once_and_stay() {
    let one = Part::Coordinator(1);
    let mut simulation = three_cells(rise(5, 40.3), &[(20.2, one, false), (80.2, one, true)]);
    play(&mut simulation, &mut |now, it| {
        let shares = shares(it);
        if now < 20.2 {
            assert_eq!(shares, [4, 4, 4]);
        } else if now > 21.5 {
            assert_eq!(shares, [6, 0, 6], "at {now}");
        }
    });
    // Nobody could say that the hosts are free: 6.5 s, and no longer.
    let it = simulation.strategy();
    for k in [0, 2] {
        let it = &it.coordinators[k];
        let node = it.node.as_ref().unwrap();
        assert!(it.cell.keys().all(|host| node.ledger().unsettled(&picture::name_of(*host)).is_none()));
    }
    let violation = simulation.world().violations.log()[0];
    assert_eq!((violation.host, simulation.world().usage.over), (HostId(5), 0));
    assert!(violation.ended - violation.began < 15.0, "the new coordinator answers: {violation:?}");
    // The one that is back is told, and has no hosts.
    assert!(it.coordinators[1].cell.is_empty() && it.coordinators.iter().all(|it| it.claims.is_empty()));
}

#[test]
fn behind_a_link_that_has_failed_agents_wait_a_little_and_the_old_coordinator_lets_go() {
    let link = Part::Link(HostId(4));
    let mut simulation = three_cells(rise(6, 30.3), &[(20.2, link, false), (60.2, link, true)]);
    let mut settled = f64::INFINITY;
    play(&mut simulation, &mut |now, it| {
        let shares = shares(it);
        if now < 25.2 {
            assert_eq!(shares, [4, 4, 4], "at {now}");
        } else if now > 26.5 {
            // The coordinator and the agent beside it are still together.
            assert_eq!((shares[1], shares[0] + shares[2]), (1, 11), "at {now}");
        }
        let settles = |k: usize| it.coordinators[k].claims.is_empty();
        if now > 26.5 && settles(0) && settles(2) {
            settled = settled.min(now);
        }
    });
    assert!((60.2..62.5).contains(&settled), "as soon as it is heard: {settled}");
    let it = simulation.strategy();
    assert_eq!(it.coordinators[1].cell.keys().copied().collect::<Vec<_>>(), [HostId(4)]);
    assert_eq!(simulation.world().usage.over, 0);
    let violation = simulation.world().violations.log()[0];
    assert!(violation.ended - violation.began < 15.0, "{violation:?}");
}

#[test]
fn agents_take_another_coordinator_of_their_site_while_there_is_one() {
    let mut setup = vmplaces::setup(16, 160, 1000, 23).unwrap();
    setup.hosts[8..].iter_mut().for_each(|host| host.site = 1);
    let how = Ringed { hosts_per_cell: 4, ..Ringed::default() };
    let strategy = Dvms::new(how);
    let conditions = Conditions::default();
    let simulation = Simulation::new(&setup, conditions, Story::default(), strategy, 60.0, 10.0);
    let coordinators = [(10.2, Part::Coordinator(2), false), (30.2, Part::Coordinator(3), false)];
    let mut simulation = simulation.with_changes(&coordinators);
    play(&mut simulation, &mut |now, it| {
        let shares: Vec<_> = (0..4).map(|k| it.owners.iter().filter(|owner| **owner == k).count()).collect();
        if (11.5..30.0).contains(&now) {
            assert_eq!(shares, [4, 4, 0, 8], "at {now}");
        } else if now > 31.5 {
            assert!(
                shares[2..] == [0, 0] && shares[..2].iter().all(|share| *share > 4),
                "at {now}: {shares:?}"
            );
        }
    });
}

/// Of a coordinator that lives the new one hears that a host is free, and need not wait until it must be.
#[test]
fn who_goes_over_from_a_coordinator_that_lives_is_settled_at_once() {
    let host = HostId(5);
    let how = Ringed { hosts_per_cell: 4, ..Ringed::default() };
    let mut simulation = told(12, 40.0, |_| 500, Vec::new(), Dvms::new(how));
    let mut unsettled = Vec::new();
    let mut moved = false;
    while simulation.step() {
        let now = simulation.world().now();
        if now > 20.0 && !moved {
            moved = true;
            simulation.with_strategy(|it, context| it.go_over(host, 2, context));
        }
        let it = &simulation.strategy().coordinators[2];
        let name = picture::name_of(host);
        if it.node.as_ref().unwrap().ledger().unsettled(&name).is_some() {
            unsettled.push(now);
        }
    }
    let (first, last) = (unsettled[0], unsettled[unsettled.len() - 1]);
    assert!(first > 20.0 && last < 22.5, "{first} to {last}");
    assert!(!simulation.strategy().coordinators[1].has(host));
}

/// A host that goes on before the one that had it first has answered: that one is asked, too, and nobody says that it is free.
#[test]
fn who_goes_on_at_once_is_free_only_when_all_who_had_it_have_said_so() {
    let host = HostId(1);
    let first = Part::Coordinator(0);
    let how = Ringed { hosts_per_cell: 4, ..Ringed::default() };
    let simulation = told(12, 60.0, |_| 500, Vec::new(), Dvms::new(how));
    let mut simulation = simulation.with_changes(&[(10.2, first, false), (40.2, first, true)]);
    let (mut moved, mut claimed) = (false, Vec::new());
    while simulation.step() {
        let now = simulation.world().now();
        let it = simulation.strategy();
        if now > 13.0 && !moved {
            moved = true;
            assert_eq!(it.coordinators[it.owner(host)].claims.get(&host), Some(&0));
            let other = if it.owner(host) == 1 { 2 } else { 1 };
            simulation.with_strategy(|it, context| it.go_over(host, other, context));
        } else if now > 16.0 {
            claimed.push((now, it.coordinators[it.owner(host)].claims.get(&host).copied()));
        }
    }
    // The one in between had no word from the first, which is asked until it is back.
    assert!(claimed.iter().all(|(now, of)| if *now < 40.0 {
        *of == Some(0)
    } else {
        *now < 43.0 || of.is_none()
    }));
    let it = simulation.strategy();
    assert!(!it.coordinators[0].has(host) && it.coordinators.iter().all(|it| it.claims.is_empty()));
}

/// A coordinator that has taken hosts over and begins anew still tells whose they were.
#[test]
fn whose_hosts_were_is_told_after_a_restart_too() {
    let (first, second, third) = (Part::Coordinator(0), Part::Coordinator(1), Part::Coordinator(2));
    let changes = [
        (10.2, first, false),
        (20.2, second, false),
        (20.4, second, true),
        (20.6, third, false),
        (20.8, third, true),
        (40.2, first, true),
    ];
    let mut simulation = three_cells(Vec::new(), &changes);
    play(&mut simulation, &mut |_, _| {});
    let it = simulation.strategy();
    assert!(it.owners.iter().all(|owner| *owner != 0), "{:?}", it.owners);
    assert!(it.coordinators[0].cell.is_empty(), "it was told of all: {:?}", it.coordinators[0].cell.keys());
    assert!(it.coordinators.iter().all(|it| it.claims.is_empty()));
}

//! Managers that fail.

use super::*;
use crate::simulator::engine::tests::checked;
use crate::simulator::engine::{Conditions, Simulation};
use crate::simulator::injector::{Fault, Loads};
use crate::simulator::strategies::manager::Managers;
use crate::simulator::strategies::tests::rough;
use crate::simulator::strategies::{centralised, hierarchical};
use crate::simulator::vmplaces;

fn groups_of_8() -> Snooze {
    Snooze::new(Management { group: Some(8), ..hierarchical::vmplaces() }, 10.0)
}

/// 32 hosts in four groups, of which some fail and come up; `look` after every event.
fn faulty(
    faults: &[(f64, u32, bool)],
    until: f64,
    strategy: Snooze,
    look: &mut dyn FnMut(&Simulation<Snooze>),
) -> Simulation<Snooze> {
    let setup = vmplaces::setup(32, 320, 660, 23).unwrap();
    let mut story = vmplaces::story(320, until, Loads::default()).unwrap();
    let faults: Vec<Fault> =
        faults.iter().map(|(time, host, up)| Fault { time: *time, host: *host, up: *up }).collect();
    story.faults = Box::new(faults.into_iter());
    story.spare_migrating = false;
    let mut simulation = Simulation::new(&setup, Conditions::default(), story, strategy, until, 60.0);
    while simulation.step() {
        simulation.world().check().unwrap();
        look(&simulation);
    }
    simulation
}

/// How many hosts think that each manager is theirs, and how many think that they have none.
fn shares(it: &Snooze) -> Vec<usize> {
    let of = |manager: Option<u32>| it.members.iter().filter(|member| member.manager == manager).count();
    (0..it.managers.len() as u32).map(Some).chain([None]).map(of).collect()
}

#[test]
fn managers_whose_hosts_stay_up_decide_as_those_apart() {
    let how = Management { group: Some(16), ..hierarchical::vmplaces() };
    let (apart, on_hosts) = (
        checked(64, 900.0, Loads::default(), 680, Managers::new(how)),
        checked(64, 900.0, Loads::default(), 680, Snooze::new(how, 10.0)),
    );
    assert_eq!(shares(on_hosts.strategy()), [16, 16, 16, 16, 0]);
    let near = |it: f64, other: f64, share: f64| assert!((it - other).abs() < share * it, "{it} {other}");
    let (one, other) = (apart.world().violations.report(900.0), on_hosts.world().violations.report(900.0));
    assert!(one.all.count > 3);
    near(one.all.total, other.all.total, 0.03);
    let (one, other) =
        (apart.context().traffic.report(64, 900.0), on_hosts.context().traffic.report(64, 900.0));
    // What a manager says to its own host is no message; the directory is told of managers.
    near(one.messages as f64, other.messages as f64, 0.1);
}

#[test]
fn hosts_of_a_manager_that_fails_join_others_and_it_begins_anew() {
    let (mut orphaned, mut joined) = (f64::INFINITY, f64::INFINITY);
    let simulation =
        faulty(&[(100.0, 2, false), (400.0, 2, true)], 900.0, groups_of_8(), &mut |simulation| {
            let (now, shares) = (simulation.world().now(), shares(simulation.strategy()));
            if now < 100.0 || (105.0..106.0).contains(&now) {
                assert_eq!(shares, [8, 8, 8, 8, 0], "until the time-out nobody knows");
            }
            if now > 100.0 && shares[4] > 0 {
                orphaned = orphaned.min(now);
            }
            // Its own host is down, and does not look for another one.
            if now > 100.0 && shares[2] + shares[4] <= 1 {
                joined = joined.min(now);
            }
        });
    // 10 s after the last heartbeat, and up to 3 s until they notice.
    assert!((107.0..114.0).contains(&orphaned) && (orphaned..117.0).contains(&joined), "{orphaned} {joined}");
    // Its own host is its only one: others have a manager.
    let it = simulation.strategy();
    assert_eq!(shares(it), [11, 10, 1, 10, 0]);
    for (k, manager) in it.managers.iter().enumerate() {
        assert_eq!(manager.hosts.len(), shares(it)[k], "managers know whom they have");
        assert_eq!(manager.leader, Some(0));
    }
    assert_eq!(it.order, [0, 1, 3, 2], "it is the youngest");
}

#[test]
fn when_the_leader_fails_the_next_one_leads() {
    let mut elected = f64::INFINITY;
    let simulation =
        faulty(&[(100.0, 0, false), (800.0, 0, true)], 700.0, groups_of_8(), &mut |simulation| {
            if simulation.strategy().order[0] == 1 {
                elected = elected.min(simulation.world().now());
            }
        });
    assert!((107.0..112.0).contains(&elected), "{elected}");
    let it = simulation.strategy();
    assert_eq!(it.order, [1, 2, 3]);
    assert!(it.managers[1..].iter().all(|manager| manager.leader == Some(1)));
    // All but the host that is down have found another manager.
    let shares = shares(it);
    assert_eq!((shares[0] + shares[4], shares[1..4].iter().sum::<usize>()), (1, 31), "{shares:?}");
    let last = simulation.world().violations.report(700.0);
    assert!(last.all.count > 0 && last.all.total > 0.0);
}

#[test]
fn a_centralised_manager_goes_on_when_its_host_is_up_again() {
    let how = centralised::vmplaces();
    let run = |faults: &[(f64, u32, bool)]| faulty(faults, 1500.0, Snooze::new(how, 10.0), &mut |_| {});
    let (well, failed) = (run(&[]), run(&[(310.0, 0, false), (1200.0, 0, true)]));
    let of = |it: &Simulation<Snooze>| it.world().violations.report(1500.0);
    assert!(of(&failed).all.total > 1.5 * of(&well).all.total, "{:?} {:?}", of(&failed), of(&well));
    let plans = |it: &Simulation<Snooze>| it.context().rounds.report().plan.count;
    assert!(plans(&failed) > 0 && plans(&failed) < plans(&well));
    // Nobody plans while it is down; the first look after it is a period after it is up.
    let known = |it: &crate::simulator::measures::Violation| (310.0..1230.0).contains(&it.detected);
    assert!(!failed.world().violations.log().iter().any(known));
    assert!(failed.world().violations.log().iter().any(|it| it.detected >= 1230.0));
}

#[test]
fn whatever_fails_or_is_lost_every_host_finds_a_manager_and_overloads_end() {
    let mut checked = 0;
    for seed in 1..9 {
        let simulation = rough(seed, groups_of_8(), &mut |_| {});
        let it = simulation.strategy();
        let world = simulation.world();
        for (host, member) in it.members.iter().enumerate() {
            let since = world.now() - member.heard;
            let up = world.host(HostId(host as u32)).state == crate::simulator::world::HostState::On;
            assert!(!up || member.manager.is_none() || since < 20.0, "{host}: {member:?}");
        }
        assert_eq!(world.usage.over, 0);
        // Who has just been cut off from managers looks for another one.
        if world.violations.faults().last().is_some_and(|fault| fault + 20.0 > world.now()) {
            continue;
        }
        checked += 1;
        let reached = |host: &u32| simulation.context().connected(Agent(*host), Agent(24));
        let alone = (0..24_u32).filter(reached).filter(|host| it.members[*host as usize].manager.is_none());
        assert!(alone.count() <= 6, "seed {seed}: {:?}", shares(it));
    }
    assert!(checked > 2, "{checked} seeds");
}

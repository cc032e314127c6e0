//! Random neighbourhoods against one manager, and what they come to.

use super::super::centralised;
use super::super::manager::{Management, Managers, Rule as Decider, Trigger};
use super::super::tests::{rough, still};
use super::{Neighbourhoods, P2p, Rule, When};
use crate::simulator::decision::Packing;
use crate::simulator::engine::tests::{checked, vmplaces_run};
use crate::simulator::engine::{Simulation, Strategy};
use crate::simulator::ids::HostId;
use crate::simulator::injector::Loads;
use crate::simulator::strategies::Nothing;
use crate::simulator::world::{HostState, World};

const HOSTS: u32 = 40;
const RULES: [Rule; 3] = [Rule::Ffd, Rule::Sercon, Rule::Aco];

fn places(world: &World) -> Vec<u32> {
    (0..world.vm_count() as u32).map(|vm| world.vm(crate::simulator::ids::VmId(vm)).host.0).collect()
}

/// Where all VMs are after the first plan; how many hosts it looked at, how many it moved, how many plans there were.
fn after_first_plan<S: Strategy>(mut simulation: Simulation<S>) -> (Vec<u32>, f64, u64, u64) {
    while simulation.context().rounds.report().apply.count == 0 {
        assert!(simulation.step(), "there is a plan");
        simulation.world().check().unwrap();
    }
    let rounds = simulation.context().rounds.report();
    let world = simulation.world();
    (places(world), rounds.partition.mean, world.moves.report().done.count, rounds.plan.count)
}

#[test]
fn a_neighbourhood_of_all_is_the_centralised_strategy_with_the_same_rule() {
    for rule in RULES {
        let all = Neighbourhoods { decide: rule, neighbours: HOSTS - 1, ..Neighbourhoods::default() };
        let packing = Packing { algorithm: rule.algorithm(), fill: all.fill };
        let one = Management {
            trigger: Trigger::Periodic { period_s: 30.0 },
            rule: Decider::Pack(packing),
            ..centralised::vmplaces()
        };
        let by_one = after_first_plan(still(HOSTS, 197, 500, 3000.0, Managers::new(one)));
        let by_all = after_first_plan(still(HOSTS, 197, 500, 3000.0, P2p::new(all)));
        assert_eq!(by_all, by_one, "{rule:?}");
        assert!(by_all.1 == f64::from(HOSTS) && by_all.2 > 10 && by_all.3 == 1, "{rule:?}");
        // A few see less.
        let few = Neighbourhoods { neighbours: 8, ..all };
        let by_few = after_first_plan(still(HOSTS, 197, 500, 3000.0, P2p::new(few)));
        assert!(by_few.1 <= 9.0 && by_few.0 != by_one.0, "{rule:?}");
    }
}

#[test]
fn neighbourhoods_come_near_to_the_packing_of_one_and_nobody_is_filled_above_the_limit() {
    for rule in RULES {
        let how = Neighbourhoods { decide: rule, neighbours: 8, ..Neighbourhoods::default() };
        let mut simulation = still(HOSTS, 97, 1000, 3000.0, P2p::new(how));
        while simulation.step() {
            simulation.world().check().unwrap();
        }
        let world = simulation.world();
        // Eight VMs of a core are 80 % of a host, nine are more than 85 %: 97 need 13 hosts.
        let most = world.host_ids().map(|host| world.host(host).vms).max();
        assert!((13..=14).contains(&world.usage.active), "{rule:?}: {}", world.usage.active);
        assert_eq!((most, world.usage.over), (Some(8), 0), "{rule:?}");
        // All locks have ended with their rounds.
        assert!(simulation.strategy().rounds.is_empty());
        assert!(simulation.strategy().locked.iter().all(|locked| *locked == 0));
    }
}

#[test]
fn rounds_that_are_under_way_have_no_host_in_common() {
    let how = Neighbourhoods { period_s: 20.0, neighbours: 6, ..Neighbourhoods::default() };
    let mut simulation = vmplaces_run(48, 900.0, Loads::default(), 700, P2p::new(how));
    let mut most = 0;
    while simulation.step() {
        simulation.world().check().unwrap();
        let strategy = simulation.strategy();
        let mut members: Vec<HostId> =
            strategy.rounds.values().flat_map(|round| round.answers.keys().copied()).collect();
        let count = members.len();
        members.sort();
        members.dedup();
        assert_eq!(members.len(), count, "a host is in two rounds");
        most = most.max(strategy.rounds.len());
    }
    assert!(most > 1, "there were several at a time");
}

#[test]
fn a_lock_ends_by_itself_where_the_one_that_locked_has_failed() {
    use crate::simulator::engine::{Conditions, Story};
    use crate::simulator::injector::Fault;
    let setup = crate::simulator::vmplaces::setup(8, 80, 700, 23).unwrap();
    // One that leads a round falls in its midst: all messages take a tenth of a second.
    let conditions = Conditions { latency_s: 0.1, ..Conditions::default() };
    let how = Neighbourhoods { neighbours: 7, lease_s: 30.0, ..Neighbourhoods::default() };
    let run = |fault: Option<Fault>| {
        let story = Story {
            demands: Box::new(std::iter::empty()),
            faults: Box::new(fault.into_iter()),
            spare_migrating: true,
            ..Story::default()
        };
        Simulation::new(&setup, conditions, story, P2p::new(how), 900.0, 10.0)
    };
    let mut simulation = run(None);
    while simulation.strategy().rounds.values().all(|round| round.answers.is_empty()) {
        assert!(simulation.step());
    }
    let (leader, at) = (*simulation.strategy().rounds.keys().next().unwrap(), simulation.world().now());
    let mut simulation = run(Some(Fault { time: at, host: leader.0, up: false }));
    while simulation.world().now() <= at {
        assert!(simulation.step());
    }
    let locked = |simulation: &Simulation<P2p>| {
        let others = simulation.strategy().locked.iter().enumerate();
        others.filter(|(host, round)| *host != leader.index() && **round != 0).count()
    };
    assert!(locked(&simulation) >= 6);
    while simulation.world().now() < at + 30.0 {
        assert!(simulation.step());
    }
    assert_eq!(locked(&simulation), 0);
}

#[test]
fn crashes_and_lost_messages_keep_no_host_locked_beyond_its_lease() {
    let how = Neighbourhoods { when: When::Both, period_s: 60.0, neighbours: 6, ..Neighbourhoods::default() };
    rough(5, P2p::new(how), &mut |simulation| {
        let (strategy, world) = (simulation.strategy(), simulation.world());
        let runs = |host: &HostId| world.host(*host).state == HostState::On;
        for host in world.host_ids().filter(runs) {
            let locked = strategy.locked[host.index()];
            let leads = strategy.rounds.get(&host.agent()).is_some_and(|round| round.number == locked);
            let held = world.now() <= strategy.lease[host.index()] + 1e-6;
            assert!(locked == 0 || leads || held, "{host:?} at {}", world.now());
        }
    });
}

#[test]
fn a_neighbourhood_that_is_locked_because_of_an_overload_repairs_it() {
    let how = Neighbourhoods { when: When::Overload, ..Neighbourhoods::default() };
    let nothing = checked(48, 900.0, Loads::default(), 680, Nothing);
    let repaired = checked(48, 900.0, Loads::default(), 680, P2p::new(how));
    let over = |world: &World| world.usage.report(900.0).over_host_s;
    assert!(over(repaired.world()) < over(nothing.world()) / 2.0, "{}", over(repaired.world()));
    let rounds = repaired.context().rounds.report();
    assert!(rounds.partition.mean > 10.0 && rounds.partition.mean <= 17.0, "{rounds:?}");
    assert!(repaired.world().violations.report(900.0).to_detect.mean < 1.5);
}

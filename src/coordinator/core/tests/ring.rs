//! Coordinators that serve one infrastructure together.

use super::world::World;
use crate::coordinator::core::Input;
use crate::record::{EventKind, Mode, Order, OrderKind, PlanState};
use std::time::Duration;

/// A ring of three; only the third has room.
fn full_cell(seed: u64) -> World {
    let mut world = World::ring(&World::quick(), &["east", "north", "west"], seed);
    world.host_of("east", "e1", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host_of("east", "e2", &[("v4", 7800)]);
    world.host_of("north", "n1", &[("v5", 7900)]);
    world.host_of("west", "w1", &[("v6", 1000)]);
    world.host_of("west", "w2", &[]);
    world
}

fn ended(world: &World, state: PlanState) -> usize {
    let all = world.members().into_iter().flat_map(|member| world.core_of(&member).plans.values());
    all.filter(|plan| plan.state == state).count()
}

#[test]
fn an_overload_that_its_cell_cannot_absorb_is_repaired_with_a_host_of_another() {
    let mut world = full_cell(1);
    world.until("the overload is gone", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.run(5.0);
    world.sit("east");
    let plan = world.only(PlanState::Succeeded);
    assert!(plan.hosts.contains(&"e1".to_owned()), "{plan:?}");
    assert!(plan.hosts.iter().any(|host| host.starts_with('w')), "{plan:?}");
    assert_eq!(plan.event_ids, [world.events(EventKind::Overload)[0].id]);
    let east: i64 = world.vms.values().filter(|vm| vm.host.as_deref() == Some("e1")).map(|vm| vm.cpu).sum();
    assert!(east <= 9000, "{}", world.story());
    world.run(120.0);
    for member in world.members() {
        world.sit(&member);
        let bad = world.events(EventKind::Alarm).len() + world.events(EventKind::ForeignChange).len();
        assert_eq!(bad, 0, "{}", world.story());
        let held = world.core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).count();
        assert_eq!((held, world.core.aloft.len()), (0, 0), "{}", world.story());
    }
    assert!(world.hosts.values().all(|host| host.journal.is_empty()), "outcomes are not acknowledged");
}

#[test]
fn a_cell_without_room_goes_to_its_neighbours_at_once_and_to_those_with_room_alone() {
    let mut world = full_cell(2);
    world.until("the overload is gone", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.sit("east");
    let plans = world.plans();
    assert_eq!(plans.len(), 1, "the own hosts are tried in vain\n{}", world.story());
    let problem = plans[0].problem.clone().unwrap();
    let hosts: Vec<&str> = problem.hosts.iter().map(|host| host.name.as_str()).collect();
    // The other two have less room than the smallest VM of e1 needs.
    assert!(hosts.iter().all(|host| *host != "e2" && *host != "n1"), "{hosts:?}");
}

#[test]
fn only_distances_that_differ_by_far_change_the_order_of_the_ring() {
    let mut world = full_cell(3);
    world.sit("east");
    let near = |world: &mut World, member: &str, millis: u64| {
        for _ in 0..40 {
            let round_trip = Duration::from_millis(millis);
            world.feed(Input::PeerNear { member: member.to_owned(), round_trip });
        }
        world.run(6.0);
        world.sit("east");
        world.core.ring.order()
    };
    world.run(6.0);
    assert_eq!(near(&mut world, "north", 4), ["east", "north", "west"], "as near as the rest");
    assert_eq!(near(&mut world, "north", 40), ["east", "west", "north"]);
    assert_eq!(near(&mut world, "west", 50), ["east", "north", "west"]);
}

#[test]
fn a_host_with_little_to_do_is_emptied_into_another_cell() {
    for seed in 0..10 {
        let mut settings = World::quick();
        (settings.detection.underload, settings.detection.underload_hold_s) = (0.2, 10.0);
        let mut world = World::ring(&settings, &["east", "north", "west"], seed);
        // Alone in its cell each; that of the north is full, that of the west is not.
        world.host_of("east", "e1", &[("v1", 1000)]);
        world.host_of("north", "n1", &[("v2", 7800)]);
        world.host_of("west", "w1", &[("v3", 4000)]);
        world.host_of("west", "w2", &[]);
        world.run(60.0);
        assert_eq!(load(&world, "e1"), 1000, "with one host that runs VMs in its cell it is not underloaded");
        world.host_of("east", "e2", &[("v4", 7700)]);
        world.until("it is empty", 120.0, |world| load(world, "e1") == 0);
        assert_eq!(load(&world, "w1"), 5000, "not to the empty one\n{}", world.story());
        settles(&mut world, 60.0);
    }
}

/// Lets what was begun end, and judges what is left.
fn settles(world: &mut World, seconds: f64) {
    world.run(seconds);
    for member in world.members() {
        world.sit(&member);
        let core = &world.core;
        let held: Vec<_> = core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).collect();
        assert!(held.is_empty(), "{member} holds {held:?}\n{}", world.story());
        assert!(core.aloft.is_empty(), "{member}: {:?}\n{}", core.aloft, world.story());
        assert_eq!(core.cell.flights().count(), 0, "{member}\n{}", world.story());
        assert!(core.lives.is_empty(), "{member}: {:?}\n{}", core.lives, world.story());
        assert!(
            core.cell.are_down().is_empty(),
            "{:?} are not started\n{}",
            core.cell.are_down(),
            world.story()
        );
        assert!(core.ring.handing.is_over(), "{member} hands over\n{}", world.story());
        assert_eq!(core.ring.led(), 0, "{member} leads\n{}", world.story());
    }
    let owed: Vec<_> = world.hosts.values().filter(|host| !host.journal.is_empty()).collect();
    assert!(owed.is_empty(), "{owed:?} are not acknowledged\n{}", world.story());
    // Every host is in one cell, and every VM where it is seen.
    for host in world.hosts.values().filter(|host| host.session.is_some()) {
        let having = world.members();
        let having = having.iter().filter(|member| world.core_of(member).cell.hosts.contains_key(&host.name));
        assert_eq!(having.collect::<Vec<_>>(), [&host.member], "have {}\n{}", host.name, world.story());
    }
    for (name, vm) in &world.vms {
        let members = world.members();
        let seen = members.iter().filter_map(|member| world.core_of(member).cell.home(name));
        assert_eq!(
            seen.collect::<Vec<_>>(),
            vm.host.as_deref().into_iter().collect::<Vec<_>>(),
            "{name}\n{}",
            world.story()
        );
    }
}

fn load(world: &World, host: &str) -> i64 {
    world.vms.values().filter(|vm| vm.host.as_deref() == Some(host)).map(|vm| vm.cpu).sum()
}

fn until_executing(world: &mut World) {
    let executing = |world: &World| {
        let members = world.members();
        members.iter().any(|member| {
            let core = world.core_of(member);
            core.lives.keys().any(|id| core.is_shared(id) && core.flying(id).next().is_some())
        })
    };
    world.until("a shared plan is carried out", 60.0, executing);
    // The agent has it.
    world.run(0.5);
}

#[test]
fn the_leader_is_killed_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for back_after in [None, Some(3.0), Some(30.0)] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.kill("east", back_after);
            settles_but(&mut world, "east", back_after.is_none());
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

fn settles_but(world: &mut World, member: &str, dead: bool) {
    if dead {
        world.run(100.0);
        // It is not there to be judged.
        world.sit(member);
        world.revive_member(member);
    }
    settles(world, 150.0);
}

#[test]
fn an_owner_is_killed_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for back_after in [Some(2.0), Some(40.0)] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.kill("west", back_after);
            settles(&mut world, 200.0);
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

#[test]
fn a_link_is_cut_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for seconds in [2.0, 20.0, 90.0] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.cut("east", "west", true);
            world.run(seconds);
            world.cut("east", "west", false);
            settles(&mut world, 150.0);
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

#[test]
fn frames_are_lost() {
    for seed in 0..30 {
        let mut world = full_cell(seed);
        world.losing = 0.2;
        world.run(120.0);
        world.losing = 0.0;
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
}

#[test]
fn an_agent_changes_its_coordinator_while_its_host_is_sought() {
    for seed in 0..20 {
        let mut world = full_cell(seed);
        world.run(2.0 + seed as f64 * 0.05);
        world.lose_session("w2");
        world.hosts.get_mut("w2").unwrap().member = "north".to_owned();
        world.reconnect("w2", 0.2);
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
}

/// As `full_cell`, where an operator is asked first.
fn asked_first(seed: u64) -> World {
    let settings = World::mode(World::quick(), Mode::Approve);
    let mut world = World::ring(&settings, &["east", "north", "west"], seed);
    world.host_of("east", "e1", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host_of("east", "e2", &[("v4", 7800)]);
    world.host_of("west", "w1", &[("v6", 1000)]);
    world
}

#[test]
fn a_plan_over_several_cells_waits_for_approval_without_holding_any_host() {
    for seed in 0..10 {
        let mut world = asked_first(seed);
        world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
        world.run(30.0);
        assert_eq!(ended(&world, PlanState::Proposed), 1, "{}", world.story());
        for member in world.members() {
            world.sit(&member);
            let held = world.core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).count();
            assert_eq!((held, world.core.ring.led()), (0, 0), "{}", world.story());
        }
        world.sit("east");
        let plan = world.only(PlanState::Proposed);
        assert!(plan.hosts.contains(&"w1".to_owned()), "{plan:?}");
        let id = plan.id.clone();
        world.ask(|ticket| Input::ApprovePlan { id, ticket });
        world.until("it is done", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
        settles(&mut world, 60.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
        // No second plan was made for it.
        world.sit("east");
        let made = world.plans().iter().filter(|plan| plan.hosts.len() > 1 && plan.started.is_some()).count();
        assert_eq!(made, 1, "{}", world.story());
    }
}

#[test]
fn an_approved_plan_whose_hosts_are_not_to_be_had_waits_for_its_operator_again() {
    let mut world = asked_first(3);
    world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
    // w1 stays where it is, and cannot be asked for.
    world.cut("east", "west", true);
    world.sit("east");
    let id = world.only(PlanState::Proposed).id.clone();
    let asked = id.clone();
    world.ask(|ticket| Input::ApprovePlan { id: asked, ticket });
    world.run(90.0);
    world.sit("east");
    let plan = world.view.plans[&id].clone();
    assert_eq!(plan.state, PlanState::Proposed, "{}", world.story());
    assert!(plan.message.contains("approve it again"), "{plan:?}");
    assert_eq!(world.core.ring.led(), 0, "nothing is asked for any more\n{}", world.story());
    // When they are there again it can be.
    world.cut("east", "west", false);
    world.run(5.0);
    world.sit("east");
    world.ask(|ticket| Input::ApprovePlan { id, ticket });
    world.until("it is done", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    settles(&mut world, 60.0);
}

mod bound;
mod starts;

mod chaos {
    //! Everything at once, as in the chaos of one coordinator.
    use super::*;
    use rand::Rng as _;
    use std::collections::BTreeSet;

    const MEMBERS: [&str; 4] = ["east", "north", "south", "west"];

    fn storm(seed: u64) -> World {
        let mut settings = World::quick();
        settings.inventory.failed_after_s = 20.0;
        settings.detection.cool_down_s = 5.0;
        settings.execution.restart_failed = true;
        settings.ring.lease_s = if seed.is_multiple_of(2) { 2.0 } else { 10.0 };
        // VMs of three cells, four racks.
        if seed.is_multiple_of(3) {
            settings.constraints = vec![bound::spread(&["v000", "v100", "v200"])];
        }
        let mut world = World::ring(&settings, &MEMBERS, seed);
        world.memory = 7000;
        for (m, member) in MEMBERS.into_iter().enumerate() {
            for h in 0..2 {
                let names: Vec<String> = (0..4).map(|v| format!("v{m}{h}{v}")).collect();
                let vms: Vec<(String, i64)> =
                    names.into_iter().map(|name| (name, world.rng.random_range(100..2500))).collect();
                let vms: Vec<(&str, i64)> = vms.iter().map(|(name, cpu)| (name.as_str(), *cpu)).collect();
                world.host_of(member, &format!("h{m}{h}"), &vms);
                bound::rack(&mut world, &format!("h{m}{h}"), &format!("r{}", (m + h) % 4));
            }
        }
        world.slow = Duration::from_millis(world.rng.random_range(1..400));
        world.migration = Duration::from_secs(world.rng.random_range(1..20));
        world.failing = 0.1;
        world.losing = [0.0, 0.0, 0.05, 0.2][world.rng.random_range(0..4)];
        world
    }

    fn something(world: &mut World) {
        let member = MEMBERS[world.rng.random_range(0..MEMBERS.len())];
        let other = MEMBERS[world.rng.random_range(0..MEMBERS.len())];
        let host = format!("h{}{}", world.rng.random_range(0..4), world.rng.random_range(0..2));
        match world.rng.random_range(0..100) {
            0..50 => {
                let vm: String =
                    world.vms.keys().nth(world.rng.random_range(0..world.vms.len())).unwrap().clone();
                let cpu = world.rng.random_range(100..4500);
                world.vms.get_mut(&vm).unwrap().cpu = cpu;
                world.steady_since = world.at;
            }
            50..65 => {
                let seconds = world.rng.random_range(0.1..8.0);
                world.reconnect(&host, seconds);
            }
            65..75 => {
                if world.dead.is_empty() {
                    let back = world.rng.random_range(0.5..40.0);
                    world.kill(member, Some(back));
                }
            }
            75..83 if member != other => world.cut(member, other, true),
            // Two sites cannot reach each other.
            83..85 => {
                for (here, there) in
                    [("east", "south"), ("east", "west"), ("north", "south"), ("north", "west")]
                {
                    world.cut(here, there, true);
                }
            }
            85..89 => {
                if world.hosts.values().all(|host| host.session.is_some()) {
                    let back = world.rng.random_range(1.0..60.0);
                    world.crash(&host, Some(back));
                }
            }
            89..93 => {
                for (a, b) in world.cut.clone() {
                    world.cut(&a, &b, false);
                }
            }
            _ => {
                world.lose_session(&host);
                world.hosts.get_mut(&host).unwrap().member = member.to_owned();
                world.reconnect(&host, 0.5);
            }
        }
    }

    /// What a storm came to.
    struct Storm {
        plans: usize,
        /// Plans over several cells that were done.
        shared: usize,
        /// Starts of VMs whose hosts had crashed.
        starts: usize,
        /// VMs of hosts that crashed while nobody was there to know them, and that are down at the end.
        forgotten: usize,
        /// From the end of all faults until no host was overloaded.
        calm_after: Duration,
    }

    fn overloaded(world: &World) -> bool {
        world.hosts.keys().any(|host| load(world, host) > 9000)
    }

    fn play(seed: u64) -> Storm {
        let mut world = storm(seed);
        world.run(3.0);
        for _ in 0..40 {
            something(&mut world);
            let pause = world.rng.random_range(0.05..8.0);
            world.run(pause);
        }
        world.losing = 0.0;
        world.failing = 0.0;
        for (a, b) in world.cut.clone() {
            world.cut(&a, &b, false);
        }
        // Who was killed or has crashed comes back first.
        let back =
            |world: &World| world.dead.is_empty() && world.hosts.values().all(|host| host.session.is_some());
        world.until("everyone is back", 120.0, back);
        // What takes time is to be what is decided, not what is moved.
        world.migration = Duration::from_secs(1);
        // What there is can be carried; two hosts are overloaded by it for certain.
        for vm in world.vms.values_mut() {
            vm.cpu = vm.cpu.min(1000);
        }
        for host in ["h00", "h30"] {
            for vm in world.vms.values_mut().filter(|vm| vm.host.as_deref() == Some(host)) {
                vm.cpu = 2700;
            }
        }
        let healed = world.at;
        while overloaded(&world) {
            assert!(world.at < healed + Duration::from_mins(1), "it is not solved\n{}", world.story());
            world.run(0.25);
        }
        let calm_after = world.at.saturating_sub(healed);
        world.run(60.0);
        settles(&mut world, 240.0);
        let forgotten = world.vms.values().filter(|vm| vm.host.is_none()).count();
        let all = || {
            world
                .members()
                .into_iter()
                .flat_map(|m| world.core_of(&m).plans.values().cloned().collect::<Vec<_>>())
        };
        let shared = all().filter(|plan| {
            let cells: BTreeSet<_> = plan.hosts.iter().map(|host| host.as_bytes()[1]).collect();
            cells.len() > 1
        });
        let done = shared.filter(|plan| plan.state == PlanState::Succeeded).count();
        let begun = world.told.iter().filter_map(|(_, order)| match order {
            Order::Execute { kind: OrderKind::Start { .. }, key, .. } => Some(key),
            _ => None,
        });
        let starts = begun.collect::<BTreeSet<_>>().len();
        Storm { plans: all().count(), shared: done, starts, forgotten, calm_after }
    }

    /// The share of these below which so many of them are.
    fn quantile(sorted: &[Duration], share: f64) -> f64 {
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len() - 1);
        sorted[at].as_secs_f64()
    }

    fn told(storms: &[Storm]) -> String {
        let mut calm: Vec<Duration> = storms.iter().map(|storm| storm.calm_after).collect();
        calm.sort();
        let sum = |of: fn(&Storm) -> usize| storms.iter().map(of).sum::<usize>();
        let (plans, shared) = (sum(|storm| storm.plans), sum(|storm| storm.shared));
        let (starts, forgotten) = (sum(|storm| storm.starts), sum(|storm| storm.forgotten));
        format!(
            "{} storms: {plans} plans, {shared} done over several cells, {starts} VMs started again, {forgotten} forgotten, \
             nothing broken; overloads over after {:.1} s (median), {:.1} s (99 %) from the end of all faults",
            storms.len(),
            quantile(&calm, 0.5),
            quantile(&calm, 0.99)
        )
    }

    /// `make soak MINUTES=n`: storms for as long, each with a seed of its own.
    #[test]
    #[ignore = "runs as long as it is told"]
    fn soak() {
        let minutes: f64 = std::env::var("DVMS_SOAK_MINUTES").map_or(1.0, |text| text.parse().unwrap());
        let begun = std::time::Instant::now();
        let first = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut storms = Vec::new();
        while begun.elapsed().as_secs_f64() < minutes * 60.0 {
            let seed = first + storms.len() as u64;
            println!(
                "storm {seed} (again: DVMS_CHAOS_FIRST={seed} DVMS_CHAOS_SEEDS=1, test whatever_happens)"
            );
            storms.push(play(seed));
        }
        println!("soak: {}", told(&storms));
    }

    #[test]
    fn whatever_happens_no_host_has_two_masters_and_all_comes_to_rest() {
        let seeds = std::env::var("DVMS_CHAOS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
        let mut storms = Vec::new();
        let first = std::env::var("DVMS_CHAOS_FIRST").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
        for seed in first..first + seeds {
            println!("storm {seed}");
            storms.push(play(seed));
        }
        println!("{}", told(&storms));
        // A storm is one: plans are made, and some go over several cells.
        let some = |of: fn(&Storm) -> usize| storms.iter().any(|storm| of(storm) > 0);
        assert!(
            storms.iter().all(|storm| storm.plans > 0)
                && some(|storm| storm.shared)
                && some(|storm| storm.starts)
        );
    }
}

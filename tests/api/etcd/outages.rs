//! Servers of etcd die, a minority and then the majority, and are there again.

use super::{Etcd, all_have, all_know_each_other, apply, delete, is_silence, names, revisions, spread};
use crate::ring::{Members, add_host, run_agent};
use crate::support::until;
use dvms_agent::hypervisor::simulated::{Load, SimulatedWorld};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A VM that goes from one cell to the other and back, each time that its host has too much to do.
struct Walker {
    world: SimulatedWorld,
    /// How long each way took, from the overload to the arrival.
    took: Vec<f64>,
}

impl Walker {
    fn new() -> Self {
        let world = SimulatedWorld::new(1.0);
        add_host(&world, "e1", &[("a", 3000.0), ("m", 2000.0)]);
        add_host(&world, "w1", &[("b", 3000.0)]);
        add_host(&world, "n1", &[("c", 6000.0)]);
        Self { world, took: Vec::new() }
    }

    async fn goes_over(&mut self) {
        let at_east = self.world.vms_on("e1").contains(&"m".to_owned());
        let (neighbour, to) = if at_east { ("a", "w1") } else { ("b", "e1") };
        self.world.set_load(neighbour, Load::constant(5800.0));
        let begun = Instant::now();
        let world = self.world.clone();
        until("the overload is solved with the other cell", async || {
            world.vms_on(to).contains(&"m".to_owned())
        })
        .await;
        self.took.push(begun.elapsed().as_secs_f64());
        self.world.set_load(neighbour, Load::constant(3000.0));
        // What is reported is what is there.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
}

async fn play(down: Duration) {
    let Some(mut etcd) = Etcd::start(3) else { return };
    let (mut walker, stop) = (Walker::new(), CancellationToken::new());
    let mut members = Members::told_by(Some(etcd.endpoints())).await;
    until("all know each other", async || all_know_each_other(&members)).await;
    for (host, member) in [("e1", "east"), ("n1", "north"), ("w1", "west")] {
        run_agent(&walker.world, &members, host, member, &stop);
    }
    let first = apply(&members, "east", &spread("first", &["a", "b"])).await.unwrap().revision;
    until("all have it in force", async || all_have(&members, first)).await;

    // A minority is missed by nobody: it is the server that all members speak with first.
    etcd.stop(0);
    let until_when = Instant::now() + down;
    let mut rounds = 0;
    loop {
        for at in ["east", "north", "west"] {
            let rule = spread(&format!("of-{at}-{rounds}"), &["a", "b"]);
            let changed = apply_again(&members, at, &rule).await;
            until("all have it in force", async || all_have(&members, changed)).await;
            delete(&members, at, &rule.name).await.unwrap();
        }
        members.stop("north").await;
        until("it has left", async || members.of("east").ring().others.len() == 1).await;
        members.start_again("north").await;
        until("it has joined", async || all_know_each_other(&members)).await;
        rounds += 1;
        if Instant::now() > until_when {
            break;
        }
        walker.goes_over().await;
    }

    // Without the majority only changes of rules and members wait.
    etcd.stop(1);
    let before = members.of("east").policies().in_force();
    let until_when = Instant::now() + down;
    loop {
        walker.goes_over().await;
        for at in ["east", "north", "west"] {
            let refused = apply(&members, at, &spread("late", &["a", "b"])).await.unwrap_err();
            assert!(is_silence(&refused), "{refused:?}");
        }
        if Instant::now() > until_when {
            break;
        }
    }
    // Also one that begins meanwhile has the rules and the others.
    members.stop("north").await;
    members.start_again("north").await;
    until("it takes part", async || names(&members, "north") == ["east", "west"]).await;
    assert_eq!(members.of("north").policies().in_force(), before);
    assert_eq!(members.of("east").ring().others.len(), 2);
    let ring = members.get_ring("east").await;
    assert!(ring.members.iter().all(|member| !member.etcd_silent.is_empty()), "{ring:?}");

    // When it is there again all goes on.
    etcd.run(0);
    etcd.run(1);
    let last = apply_again(&members, "north", &spread("late", &["a", "b"])).await;
    until("all have it in force", async || all_have(&members, last)).await;
    members.stop("north").await;
    until("it has left", async || members.of("east").ring().others.len() == 1).await;
    walker.goes_over().await;
    assert!(walker.world.split_brains().is_empty());
    stop.cancel();
    walker.took.sort_by(f64::total_cmp);
    println!(
        "etcd was down twice for {down:?}: {rounds} rounds of changes without a minority; {} overloads solved across cells, \
         from the overload to the arrival {:.1} s (median), {:.1} s (most)",
        walker.took.len(),
        walker.took[walker.took.len() / 2],
        walker.took.last().unwrap()
    );
}

/// A change while a server dies may not be answered; it is made again, as people do.
async fn apply_again(members: &Members, at: &str, rule: &dvms_solver::file::Constraint) -> u64 {
    let begun = Instant::now();
    loop {
        match apply(members, at, rule).await {
            Ok(policies) => return policies.revision,
            Err(refused) => {
                assert!(is_silence(&refused), "{refused:?}");
                assert!(begun.elapsed() < Duration::from_secs(20), "{refused:?}, {:?}", revisions(members));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_changes_of_rules_and_members_wait_for_a_majority_of_etcd() {
    play(Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes twice as long as it is told: DVMS_ETCD_DOWN_S, ten minutes else"]
async fn etcd_is_down_for_ten_minutes() {
    let seconds = std::env::var("DVMS_ETCD_DOWN_S").map_or(600, |text| text.parse().unwrap());
    play(Duration::from_secs(seconds)).await;
}

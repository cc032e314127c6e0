//! Starts: what ran is done, what surely does not has failed, and the rest is looked at again.

use super::*;
use crate::hypervisor::Presence;

fn start(id: u64) -> Order {
    Order { vm: "new".into(), work: Work::Start { definition: None }, ..order(id) }
}

fn here(end: End) -> Presence {
    Presence { end, starting: false }
}

fn lost() -> Failure {
    Failure::new(Reason::HypervisorError, "no answer within 60 s").lost()
}

#[tokio::test(start_paused = true)]
async fn a_start_is_done_or_fails() {
    let scene = Scene::new();
    scene.actions.take(start(1));
    assert_eq!(scene.outcome(1).await.state, State::Done);
    scene.fake.facts().start = Err(Failure::new(Reason::HypervisorError, "cannot allocate memory"));
    scene.actions.take(start(2));
    let begun = tokio::time::Instant::now();
    let failed = scene.outcome(2).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::HypervisorError)));
    assert!(failed.message.contains("allocate") && begun.elapsed() < Duration::from_secs(1), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_uncertain_while_it_may_come() {
    let scene = Scene::new();
    {
        let mut facts = scene.fake.facts();
        facts.start = Err(lost());
        facts.here = Presence { end: End::Off, starting: true };
    }
    scene.actions.take(start(1));
    scene.until(1, |progress| progress.state == State::Uncertain).await;
    for here in [
        Presence { end: End::Absent, starting: true },
        here(End::PausedForMigration),
        here(End::Unreachable("no answer in 4 s".into())),
    ] {
        scene.fake.facts().here = here;
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(scene.progress(1).state, State::Uncertain);
    }
    scene.fake.facts().here = here(End::Running);
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_fails_only_after_several_looks() {
    let scene = Scene::new();
    scene.fake.facts().start = Err(lost());
    scene.actions.take(start(1));
    tokio::time::sleep(Duration::from_millis(1900)).await;
    assert_eq!(scene.progress(1).state, State::Uncertain);
    let failed = scene.outcome(1).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::HypervisorError)));
    assert!(failed.message.contains("no answer within 60 s"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_start_does_not_hide_a_vm_that_runs() {
    let scene = Scene::new();
    {
        let mut facts = scene.fake.facts();
        facts.start = Err(Failure::new(Reason::HypervisorError, "domain is already running"));
        facts.here = here(End::Running);
    }
    scene.actions.take(start(1));
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_daemon_was_not_asked_for_fails_although_it_is_silent() {
    let scene = Scene::new();
    let silent = Failure::new(Reason::HypervisorError, "cannot connect");
    {
        let mut facts = scene.fake.facts();
        facts.start = Err(silent.clone().unasked());
        facts.here = here(End::Unreachable("cannot connect".into()));
    }
    scene.actions.take(start(1));
    assert_eq!(scene.outcome(1).await.state, State::Failed);

    scene.fake.facts().start = Err(silent);
    scene.actions.take(start(2));
    scene.until(2, |progress| progress.state == State::Uncertain).await;
    scene.fake.facts().here = here(End::Off);
    assert_eq!(scene.outcome(2).await.state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn another_vm_of_that_name_is_no_success() {
    let scene = Scene::new();
    {
        let mut facts = scene.fake.facts();
        facts.start = Err(Failure::new(Reason::NameClash, "another VM here has its name"));
        facts.here = here(End::Running);
    }
    scene.actions.take(start(1));
    assert_eq!(with_reason(&scene.outcome(1).await), (State::Failed, Some(Reason::NameClash)));
}

#[tokio::test(start_paused = true)]
async fn an_adopted_start_is_waited_for() {
    for (end, state) in [(End::Running, State::Done), (End::Off, State::Failed)] {
        let scene = Scene::new();
        {
            let mut facts = scene.fake.facts();
            facts.start = Err(lost());
            facts.here = here(End::PausedForMigration);
        }
        scene.actions.take(start(1));
        let (fake, folder) = restart(scene).await;
        let scene = Scene::on(fake, folder);
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert_eq!(scene.progress(1).state, State::Uncertain, "QEMU is still coming up");
        scene.fake.facts().here = here(end);
        assert_eq!(scene.outcome(1).await.state, state);
    }
}

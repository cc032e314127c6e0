//! Guests that go on at their destination before their memory is there.

use super::*;
use crate::hypervisor::Job;

fn fetched(id: u64) -> Order {
    let Order {
        work: Work::Migrate { destination, destination_uri, bandwidth_mib_s, auto_converge, .. },
        ..
    } = order(id)
    else {
        unreachable!()
    };
    let work =
        Work::Migrate { destination, destination_uri, bandwidth_mib_s, auto_converge, post_copy: true };
    Order { deadline: Duration::from_secs(30), work, ..order(id) }
}

/// The migration gets on, in some pass over the memory.
fn pass(scene: &Scene, iteration: u64, bytes_processed: u64) {
    let job = Job { bytes_processed, bytes_remaining: 100, iteration, ..Job::default() };
    scene.fake.facts().job = Some(job);
}

#[tokio::test(start_paused = true)]
async fn post_copy_begins_after_the_first_pass_and_is_not_aborted() {
    let scene = Scene::new();
    scene.actions.take(fetched(1));
    scene.running(1).await;
    pass(&scene, 1, 500);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.fake.facts().post_copies, 0, "the first pass is not over");
    pass(&scene, 2, 1000);
    tokio::time::sleep(Duration::from_mins(1)).await;
    {
        let facts = scene.fake.facts();
        assert_eq!(
            (facts.post_copies, facts.aborts),
            (1, 0),
            "the deadline has passed, and it can only go on"
        );
    }
    scene.fake.succeed();
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_begin_post_copy_says_so() {
    let scene = Scene::new();
    scene.fake.facts().post_copy = Err(Failure::new(Reason::NotSupported, "the kernel has no userfaultfd"));
    scene.actions.take(fetched(1));
    scene.running(1).await;
    pass(&scene, 2, 1000);
    let failed = scene.outcome(1).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::Stalled)));
    assert!(
        failed.message.contains("post-copy was to end it, but the kernel has no userfaultfd"),
        "{}",
        failed.message
    );
    assert!(scene.fake.facts().post_copies > 1, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn without_leave_there_is_no_post_copy() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    pass(&scene, 9, 1000);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.fake.facts().post_copies, 0);
    scene.fake.succeed();
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_post_copy_that_breaks_is_told_until_it_is_mended() {
    let scene = Scene::new();
    scene.actions.take(fetched(1));
    scene.running(1).await;
    pass(&scene, 2, 1000);
    tokio::time::sleep(Duration::from_secs(5)).await;
    {
        let mut facts = scene.fake.facts();
        (facts.source, facts.destination) = (End::PausedPostcopy, End::PausedPostcopy);
        facts.job = None;
    }
    scene.fake.end_call(Err(Failure::new(Reason::HypervisorError, "the connection was reset")));
    let broken = scene.until(1, |progress| progress.state == State::Uncertain).await;
    assert_eq!(broken.reason, Some(Reason::Stalled));
    assert!(broken.message.contains("--postcopy-resume"), "{}", broken.message);
    assert_eq!(scene.fake.facts().aborts, 0);
    {
        let mut facts = scene.fake.facts();
        (facts.source, facts.destination) = (End::Absent, End::Running);
    }
    assert_eq!(scene.outcome(1).await.state, State::Done, "somebody has mended it");
}

#[tokio::test(start_paused = true)]
async fn post_copy_that_had_begun_before_is_not_aborted() {
    let scene = Scene::new();
    scene.actions.take(fetched(1));
    scene.running(1).await;
    {
        let mut facts = scene.fake.facts();
        facts.post_copy = Err(Failure::new(Reason::HypervisorError, "it is in post-copy already"));
        (facts.source, facts.destination) = (End::PausedPostcopy, End::RunningPostcopy);
    }
    pass(&scene, 2, 1000);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let facts = scene.fake.facts();
    assert_eq!((facts.aborts, facts.post_copies), (0, 1));
}

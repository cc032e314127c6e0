//! Actions on a hypervisor that does what the test says, in time that passes by itself.

mod fake;
mod fetched;
mod starts;

use super::*;
use crate::hypervisor::{End, Finished, Job, Preflight, Sample};
use crate::journal::Journal;
use fake::Fake;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct Scene {
    fake: Arc<Fake>,
    actions: Actions,
    _seen: watch::Sender<Option<Arc<Sample>>>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Scene {
    fn new() -> Self {
        Self::on(Fake::new(), tempfile::tempdir().unwrap())
    }

    fn on(fake: Arc<Fake>, folder: tempfile::TempDir) -> Self {
        let (sender, seen) = watch::channel(Some(Arc::new(fake::seen())));
        let journal = Journal::open(folder.path()).unwrap();
        let stop = CancellationToken::new();
        let actions = Actions::start(fake.clone(), journal, Limits { concurrent: 2 }, seen, stop.clone());
        actions.raise_epoch(7).unwrap();
        Self { fake, actions, _seen: sender, folder, stop }
    }

    fn progress(&self, id: u64) -> Progress {
        let (all, _) = self.actions.since(0);
        let found = all.into_iter().find(|(order, _)| order.key.action_id == id);
        found.unwrap_or_else(|| panic!("no action {id}")).1
    }

    async fn until(&self, id: u64, done: impl Fn(&Progress) -> bool) -> Progress {
        for _ in 0..20_000 {
            let progress = self.progress(id);
            if done(&progress) {
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("action {id} stays {:?}", self.progress(id));
    }

    async fn outcome(&self, id: u64) -> Progress {
        self.until(id, |progress| progress.state.is_terminal()).await
    }

    async fn running(&self, id: u64) {
        self.until(id, |progress| progress.state == State::Running && progress.bytes_processed > 0).await;
    }
}

fn order(id: u64) -> Order {
    Order {
        key: ActionKey { plan_id: "p".into(), action_id: id },
        epoch: 7,
        vm: "vm1".into(),
        vm_uuid: String::new(),
        deadline: Duration::from_mins(1),
        stall: Duration::from_secs(20),
        work: Work::Migrate {
            destination: "h2".into(),
            destination_uri: "fake://h2".into(),
            bandwidth_mib_s: 100,
            auto_converge: true,
            post_copy: false,
        },
    }
}

fn key(id: u64) -> ActionKey {
    order(id).key
}

fn with_reason(progress: &Progress) -> (State, Option<Reason>) {
    (progress.state, progress.reason)
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_done_when_both_ends_say_so() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    assert_eq!(scene.progress(1).state, State::Accepted);
    scene.running(1).await;
    scene.fake.succeed();
    let done = scene.outcome(1).await;
    assert_eq!(with_reason(&done), (State::Done, None));
    assert_eq!((done.downtime_ms, done.bytes_processed, done.bytes_remaining), (Some(25), 900, 0));
    assert_eq!(scene.fake.facts().settled, 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_call_does_not_hide_a_vm_that_has_moved() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    {
        let mut facts = scene.fake.facts();
        (facts.source, facts.destination) = (End::Absent, End::Running);
    }
    scene.fake.end_call(Err(Failure::new(Reason::HypervisorError, "client socket is closed")));
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn success_of_the_call_does_not_hide_a_vm_that_has_not_moved() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.fake.end_call(Ok(Finished::default()));
    assert_eq!(with_reason(&scene.outcome(1).await), (State::Failed, Some(Reason::HypervisorError)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_its_reason() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.fake.end_call(Err(Failure::new(Reason::DestinationUnreachable, "no route to host")));
    let failed = scene.outcome(1).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::DestinationUnreachable)));
    assert!(failed.message.contains("no route"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn a_lost_call_is_no_failed_migration() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    let lost = || Failure::new(Reason::HypervisorError, "client socket is closed").lost();
    scene.fake.end_call(Err(lost()));
    tokio::time::sleep(Duration::from_millis(1900)).await;
    assert_eq!(scene.progress(1).state, State::Running, "the daemon may still be connecting");
    scene.fake.facts().job = Some(Job { bytes_processed: 5, ..Job::default() });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.progress(1).state, State::Running, "it has begun");
    scene.fake.succeed();
    assert_eq!(scene.outcome(1).await.state, State::Done);

    scene.actions.take(order(2));
    scene.running(2).await;
    {
        let mut facts = scene.fake.facts();
        (facts.source, facts.destination) = (End::Running, End::Absent);
    }
    scene.fake.end_call(Err(lost()));
    let failed = scene.outcome(2).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::HypervisorError)));
}

#[tokio::test(start_paused = true)]
async fn a_migration_without_a_job_to_see_is_looked_at_with_pauses() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.fake.facts().hidden_job = true;
    scene.fake.end_call(Ok(Finished::default()));
    tokio::time::sleep(Duration::from_secs(15)).await;
    let looks = scene.fake.facts().looks;
    assert!((10..=60).contains(&looks), "{looks} looks in 15 s");
    scene.fake.succeed();
    scene.fake.facts().hidden_job = false;
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn a_preflight_that_fails_is_a_refusal_and_nothing_is_begun() {
    let scene = Scene::new();
    scene.fake.facts().preflight = Err(Failure::new(Reason::NameClash, "there is a vm1"));
    scene.actions.take(order(1));
    assert_eq!(with_reason(&scene.outcome(1).await), (State::Refused, Some(Reason::NameClash)));
    assert_eq!(scene.fake.facts().migrations, 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_once_however_often_it_comes() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    let (_, revision) = scene.actions.since(0);
    scene.actions.take(order(1));
    let (again, _) = scene.actions.since(revision);
    assert_eq!(again.len(), 1, "its progress is reported again");
    scene.fake.succeed();
    scene.outcome(1).await;
    scene.actions.take(order(1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.progress(1).state, State::Done);
    assert_eq!(scene.fake.facts().migrations, 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_say_why() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    let mut stale = order(2);
    stale.epoch = 6;
    scene.actions.take(stale);
    assert_eq!(with_reason(&scene.progress(2)), (State::Refused, Some(Reason::StaleEpoch)));
    scene.actions.take(order(3));
    assert_eq!(with_reason(&scene.progress(3)), (State::Refused, Some(Reason::VmBusy)));
    let mut unknown = order(4);
    unknown.vm = "vm9".into();
    scene.actions.take(unknown);
    assert_eq!(with_reason(&scene.progress(4)), (State::Refused, Some(Reason::VmNotHere)));
    let mut other = order(5);
    other.vm = "vm1x".into();
    other.vm_uuid = "u".into();
    scene.actions.take(other.clone());
    assert!(!scene.progress(5).state.is_terminal());
    (other.key.action_id, other.vm) = (6, "vm1y".into());
    scene.actions.take(other);
    assert_eq!(with_reason(&scene.progress(6)), (State::Refused, Some(Reason::Limit)));
    let mut strange = order(7);
    strange.work = Work::Unknown;
    scene.actions.take(strange);
    assert_eq!(with_reason(&scene.progress(7)), (State::Refused, Some(Reason::NotSupported)));
}

#[tokio::test(start_paused = true)]
async fn an_order_about_another_vm_of_that_name_is_refused() {
    let scene = Scene::new();
    let mut wrong = order(1);
    wrong.vm_uuid = "another".into();
    scene.actions.take(wrong);
    assert_eq!(with_reason(&scene.progress(1)), (State::Refused, Some(Reason::VmNotHere)));
}

#[tokio::test(start_paused = true)]
async fn without_progress_it_is_aborted() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    assert_eq!(with_reason(&scene.outcome(1).await), (State::Failed, Some(Reason::Stalled)));
    assert_eq!(scene.fake.facts().aborts, 1);
}

#[tokio::test(start_paused = true)]
async fn progress_is_no_stall_but_the_deadline_holds() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    for processed in 2..2000 {
        if scene.progress(1).state.is_terminal() {
            break;
        }
        let job = Job { bytes_processed: processed, bytes_remaining: 100, ..Job::default() };
        if scene.fake.facts().job.is_some() {
            scene.fake.facts().job = Some(job);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let failed = scene.outcome(1).await;
    assert_eq!(with_reason(&failed), (State::Failed, Some(Reason::Deadline)));
    assert!(
        failed.elapsed >= Duration::from_mins(1) && failed.elapsed < Duration::from_secs(63),
        "{failed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_migration_fails_as_cancelled() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.actions.cancel(&key(1), 6);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.progress(1).state, State::Running, "a stale cancel has no effect");
    scene.actions.cancel(&key(1), 7);
    assert_eq!(with_reason(&scene.outcome(1).await), (State::Failed, Some(Reason::Cancelled)));
}

#[tokio::test(start_paused = true)]
async fn an_abort_without_effect_leaves_it_uncertain_until_it_ends() {
    let scene = Scene::new();
    scene.fake.facts().abort_works = false;
    scene.actions.take(order(1));
    let stuck = scene.until(1, |progress| progress.state == State::Uncertain).await;
    assert_eq!(stuck.reason, Some(Reason::Stalled));
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(scene.progress(1).state, State::Uncertain, "it is not given up");
    assert!(scene.fake.facts().aborts > 10);
    scene.fake.succeed();
    assert_eq!(scene.outcome(1).await.state, State::Done, "the forgotten migration went ahead");
}

#[tokio::test(start_paused = true)]
async fn a_silent_destination_leaves_it_uncertain_until_it_speaks() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.fake.facts().destination = End::Unreachable("no answer in 3 s".into());
    scene.fake.end_call(Err(Failure::new(Reason::HypervisorError, "client socket is closed")));
    let uncertain = scene.until(1, |progress| progress.state == State::Uncertain).await;
    assert!(uncertain.message.contains("no answer in 3 s"), "{}", uncertain.message);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(scene.progress(1).state, State::Uncertain);
    scene.fake.facts().destination = End::Absent;
    assert_eq!(scene.outcome(1).await.state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_vm_on_neither_host_or_on_both_is_an_alarm() {
    for (source, destination) in [(End::Absent, End::Absent), (End::Running, End::Running)] {
        let scene = Scene::new();
        scene.actions.take(order(1));
        scene.running(1).await;
        {
            let mut facts = scene.fake.facts();
            (facts.source, facts.destination) = (source, destination);
        }
        scene.fake.end_call(Ok(Finished::default()));
        assert_eq!(with_reason(&scene.outcome(1).await), (State::Failed, Some(Reason::Alarm)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_adopts_a_migration_that_goes_on() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    let (fake, folder) = restart(scene).await;
    let scene = Scene::on(fake, folder);
    assert_eq!(scene.progress(1).state, State::Running);
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.fake.succeed();
    assert_eq!(scene.outcome(1).await.state, State::Done);
    assert_eq!(scene.fake.facts().migrations, 1, "no second one was begun");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_starts_with_its_host_does_so_at_its_destination_over_restarts() {
    for (autostart, restarted) in [(true, false), (true, true), (false, true)] {
        let mut scene = Scene::new();
        scene.fake.facts().preflight = Ok(Preflight { autostart });
        scene.actions.take(order(1));
        scene.running(1).await;
        if restarted {
            let (fake, folder) = restart(scene).await;
            scene = Scene::on(fake, folder);
        }
        scene.fake.succeed();
        assert_eq!(scene.outcome(1).await.state, State::Done);
        assert_eq!(scene.fake.facts().settled_autostart, autostart, "restarted: {restarted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_finds_what_ended_meanwhile() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    let (fake, folder) = restart(scene).await;
    fake.succeed();
    let scene = Scene::on(fake, folder);
    assert_eq!(scene.outcome(1).await.state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_kept_over_restarts_until_it_is_acknowledged() {
    let scene = Scene::new();
    scene.actions.take(order(1));
    scene.running(1).await;
    scene.actions.acknowledge(&[key(1)]);
    assert_eq!(scene.progress(1).state, State::Running, "what is not over is not forgotten");
    scene.fake.succeed();
    let done = scene.outcome(1).await;
    let (fake, folder) = restart(scene).await;
    let scene = Scene::on(fake, folder);
    assert_eq!(scene.progress(1), done);
    scene.actions.acknowledge(&[key(1)]);
    assert!(scene.actions.since(0).0.is_empty());
    let (fake, folder) = restart(scene).await;
    assert!(Scene::on(fake, folder).actions.since(0).0.is_empty());
}

/// The agent ends, its hypervisor lives on.
async fn restart(scene: Scene) -> (Arc<Fake>, tempfile::TempDir) {
    let Scene { fake, actions, _seen, folder, stop } = scene;
    stop.cancel();
    drop(actions);
    // The tasks let go of the journal.
    tokio::time::sleep(Duration::from_secs(1)).await;
    (fake, folder)
}

//! The task of a migration: preflight, call, watch, abort when due, look at both ends, settle.

use super::State;
use super::table::{Begin, Task};
use crate::hypervisor::{Ends, Failure, Finished, Job, Later, MigrationOrder, Reason, Verdict, verdict};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two looks at a running migration.
const POLL: Duration = Duration::from_millis(500);
/// Between two tries to abort: an abort that is answered may yet have no effect.
const ABORT_AGAIN: Duration = Duration::from_secs(2);
/// An aborted migration that has not ended after this is uncertain.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);
/// Passes over the memory before a guest goes on by post-copy.
const PASSES_BEFORE_FETCHING: u64 = 1;
/// Between two tries to begin it.
const FETCH_AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at both ends; doubled up to the latter.
const LOOK: Duration = Duration::from_millis(300);
const LOOK_MOST: Duration = Duration::from_secs(5);
/// Looks that must agree that a VM is on neither host, or runs on both, before it is called so.
const ALARM_LOOKS: u32 = 5;
/// Looks that must agree that a migration which nobody saw fail has failed. A source that is still connecting has no
/// job yet: until then it is at its source like one that has failed.
const UNSEEN_LOOKS: u32 = 4;

type Call = Later<Result<Finished, Failure>>;

pub(super) async fn run(mut task: Task, mut order: MigrationOrder) {
    let mut call = None;
    if task.begin == Begin::Fresh {
        match task.hypervisor.preflight(order.clone()).await {
            Ok(preflight) => order.autostart = preflight.autostart,
            Err(failure) => return task.end(State::Refused, Some(failure)),
        }
        if *task.cancelled.borrow() {
            let failure = Failure::new(Reason::Cancelled, "cancelled before it was begun");
            return task.end(State::Refused, Some(failure));
        }
        // Before it leaves: the agent may die meanwhile, and then nobody here knows it.
        if order.autostart
            && let Err(failure) = task.note_autostart()
        {
            return task.end(State::Refused, Some(failure));
        }
        tracing::info!(vm = %order.vm, to = order.destination, bandwidth_mib_s = order.bandwidth_mib_s, "migrating");
        task.update(|progress| progress.state = State::Running);
        call = Some(task.hypervisor.migrate(order.clone()));
    }
    let mut watch =
        Watch { order, last: None, moved: Instant::now(), abort: None, fetched: None, not_fetched: None };
    loop {
        let ended = watch.until_it_ends(&mut task, call.take()).await;
        if watch.conclude(&mut task, ended).await {
            return;
        }
        // Both ends say that it goes on; its job may yet not be seen, and then the watch returns at once.
        tokio::time::sleep(LOOK).await;
    }
}

struct Watch {
    order: MigrationOrder,
    last: Option<Job>,
    /// When it last got on.
    moved: Instant,
    abort: Option<Abort>,
    /// When it was last asked to go on by post-copy.
    fetched: Option<Instant>,
    /// Why it could not.
    not_fetched: Option<Failure>,
}

/// A migration that is to end.
struct Abort {
    why: Failure,
    since: Instant,
    asked: Option<Instant>,
}

impl Watch {
    /// Watches until the call has ended, or, where the call is not ours, the job is gone.
    async fn until_it_ends(
        &mut self,
        task: &mut Task,
        mut call: Option<Call>,
    ) -> Option<Result<Finished, Failure>> {
        let mut tick = tokio::time::interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match &mut call {
                Some(call) => tokio::select! {
                    ended = call => return Some(ended),
                    _ = tick.tick() => {}
                },
                None => {
                    tick.tick().await;
                }
            }
            match task.hypervisor.job(self.order.vm.clone()).await {
                Ok(Some(job)) => {
                    self.note(task, job);
                    self.fetch_when_due(task, job).await;
                }
                Ok(None) if call.is_none() => return None,
                // Not begun yet, just over, or the hypervisor is slow to answer: the call will say.
                Ok(None) => {}
                Err(error) => tracing::debug!(vm = %self.order.vm, %error, "the job cannot be looked at"),
            }
            self.abort_when_due(task).await;
        }
    }

    fn note(&mut self, task: &Task, job: Job) {
        let moved = self.last.is_none_or(|last| {
            job.bytes_processed > last.bytes_processed
                || job.iteration > last.iteration
                || job.bytes_remaining < last.bytes_remaining
        });
        if moved {
            self.moved = Instant::now();
        }
        self.last = Some(job);
        if self.abort.as_ref().is_none_or(|abort| abort.since.elapsed() < ABORT_PATIENCE) {
            task.update(|progress| {
                progress.state = State::Running;
                progress.bytes_processed = job.bytes_processed;
                progress.bytes_remaining = job.bytes_remaining;
                progress.bandwidth_mib_s = job.bandwidth_mib_s;
            });
        }
    }

    /// Has the guest go on at the destination, where it was ordered so, when all of its memory was sent once and it is
    /// still not over. What was sent by then need not be fetched while it waits.
    async fn fetch_when_due(&mut self, task: &Task, job: Job) {
        let asked = self.fetched.is_some_and(|at| at.elapsed() < FETCH_AGAIN || self.not_fetched.is_none());
        if !self.order.post_copy || job.iteration <= PASSES_BEFORE_FETCHING || asked || self.abort.is_some() {
            return;
        }
        self.fetched = Some(Instant::now());
        let refused = task.hypervisor.post_copy(self.order.vm.clone()).await.err();
        // It may have begun all the same: a call whose answer was lost, or an agent before this one.
        let begun = refused.is_some()
            && verdict(&task.hypervisor.look(self.order.clone()).await) == Verdict::Postcopy;
        self.not_fetched = refused.filter(|_| !begun);
        match &self.not_fetched {
            None => tracing::info!(vm = %self.order.vm, "goes on at its destination, by post-copy"),
            Some(error) => tracing::warn!(vm = %self.order.vm, %error, "post-copy cannot be begun"),
        }
    }

    /// Why it should end now, if it should.
    fn reason_to_abort(&self, task: &Task) -> Option<Failure> {
        // Half of it is at the destination: it can only go on.
        if self.fetched.is_some() && self.not_fetched.is_none() {
            return None;
        }
        let unfetched = self.not_fetched.as_ref();
        let because =
            unfetched.map(|why| format!("; post-copy was to end it, but {why}")).unwrap_or_default();
        let vm = &self.order.vm.name;
        let to = &self.order.destination;
        if *task.cancelled.borrow() {
            return Some(Failure::new(Reason::Cancelled, format!("migration of {vm} to {to} was cancelled")));
        }
        if Instant::now() >= task.deadline {
            let message = format!("migration of {vm} to {to} was not done by its deadline{because}");
            return Some(Failure::new(Reason::Deadline, message));
        }
        let idle = self.moved.elapsed();
        (idle >= task.stall).then(|| {
            let message = format!(
                "migration of {vm} to {to} made no progress for {:.0} s{because}",
                idle.as_secs_f64()
            );
            Failure::new(Reason::Stalled, message)
        })
    }

    async fn abort_when_due(&mut self, task: &Task) {
        if self.abort.is_none() {
            let since = Instant::now();
            self.abort = self.reason_to_abort(task).map(|why| Abort { why, since, asked: None });
        }
        let Some(abort) = &mut self.abort else { return };
        if abort.asked.is_none_or(|asked| asked.elapsed() >= ABORT_AGAIN) {
            if abort.asked.is_none() {
                tracing::warn!(vm = %self.order.vm, reason = ?abort.why.reason, "aborting: {}", abort.why);
            }
            abort.asked = Some(Instant::now());
            if let Err(error) = task.hypervisor.abort(self.order.vm.clone()).await {
                tracing::debug!(vm = %self.order.vm, %error, "the abort was not taken");
            }
        }
        if abort.since.elapsed() >= ABORT_PATIENCE {
            task.uncertain(
                abort.why.reason,
                format!("{}, and does not end although it was aborted", abort.why),
            );
        }
    }

    /// Looks at both ends until they say where the VM is. False: the migration goes on, watch it further.
    async fn conclude(&mut self, task: &mut Task, ended: Option<Result<Finished, Failure>>) -> bool {
        let mut pause = LOOK;
        let (mut last, mut agreed) = (None, 0);
        loop {
            let ends = task.hypervisor.look(self.order.clone()).await;
            let verdict = verdict(&ends);
            agreed = if last == Some(verdict) { agreed + 1 } else { 1 };
            last = Some(verdict);
            let seen_to_fail = matches!(&ended, Some(Err(failure)) if !failure.is_lost());
            match verdict {
                Verdict::Done => {
                    self.settle(task).await;
                    let finished = ended.and_then(Result::ok).unwrap_or_default();
                    task.update(|progress| {
                        progress.downtime_ms = finished.downtime_ms.or(progress.downtime_ms);
                        progress.bytes_processed =
                            finished.bytes_processed.unwrap_or(progress.bytes_processed);
                        progress.bytes_remaining = 0;
                        progress.bandwidth_mib_s =
                            finished.bandwidth_mib_s.unwrap_or(progress.bandwidth_mib_s);
                    });
                    task.end(State::Done, None);
                    return true;
                }
                Verdict::Failed | Verdict::FailedShellLeft if seen_to_fail || agreed >= UNSEEN_LOOKS => {
                    task.end(State::Failed, Some(self.why_it_failed(ended, verdict)));
                    return true;
                }
                Verdict::Ended if agreed >= UNSEEN_LOOKS => {
                    let message = format!("VM {} was shut down or has crashed meanwhile", self.order.vm.name);
                    task.end(State::Failed, Some(Failure::new(Reason::VmEnded, message)));
                    return true;
                }
                Verdict::Lost | Verdict::SplitBrain if agreed >= ALARM_LOOKS => {
                    task.end(State::Failed, Some(self.alarm(verdict)));
                    return true;
                }
                // The call is not ours (any more), the work goes on in the hypervisor.
                Verdict::Going if ends.source_job => return false,
                Verdict::Postcopy if agreed >= ALARM_LOOKS && !ends.source_job => {
                    let (vm, to) = (&self.order.vm.name, &self.order.destination);
                    let message = format!(
                        "{vm} has a part of its memory here and the other one at {to}, and nothing is sent any more: \
                         mend what is between the hosts, then have libvirt go on here (virsh migrate \
                         --postcopy-resume); if that cannot be, the VM has to be started anew"
                    );
                    task.uncertain(Reason::Stalled, message);
                }
                Verdict::Uncertain => {
                    let message = format!(
                        "where {} is cannot be told: {}",
                        self.order.vm.name,
                        silent_end(&ends, &self.order)
                    );
                    task.uncertain(Reason::DestinationUnreachable, message);
                }
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_MOST);
        }
    }

    /// Leaves nothing behind. What remains undone does no harm and is in the log.
    async fn settle(&self, task: &Task) {
        for _ in 0..3 {
            match task.hypervisor.settle(self.order.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(vm = %self.order.vm, %error, "the migrated VM is not put in order yet");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn why_it_failed(&mut self, ended: Option<Result<Finished, Failure>>, verdict: Verdict) -> Failure {
        let vm = &self.order.vm.name;
        let to = &self.order.destination;
        let mut failure = match (self.abort.take(), ended) {
            (Some(abort), _) => abort.why,
            (None, Some(Err(failure))) => failure,
            (None, Some(Ok(_))) => {
                let message = format!(
                    "{vm} is still at its source although its migration to {to} ended without an error"
                );
                Failure::new(Reason::HypervisorError, message)
            }
            (None, None) => {
                let message = format!(
                    "{vm} is still at its source; its migration to {to} ended while the agent was away, or was never begun"
                );
                Failure::new(Reason::HypervisorError, message)
            }
        };
        if verdict == Verdict::FailedShellLeft {
            failure
                .message
                .push_str("; an empty shell of it is left there until that hypervisor answers again");
        }
        failure
    }

    fn alarm(&self, verdict: Verdict) -> Failure {
        let vm = &self.order.vm.name;
        let to = &self.order.destination;
        let message = if verdict == Verdict::Lost {
            format!("VM {vm} is neither on this host nor on {to}")
        } else {
            format!("VM {vm} runs on this host and on {to}; stop one of the two before its disks are spoiled")
        };
        Failure::new(Reason::Alarm, message)
    }
}

fn silent_end(ends: &Ends, order: &MigrationOrder) -> String {
    use crate::hypervisor::End;
    match (&ends.source, &ends.destination) {
        (End::Unreachable(why), _) => format!("this host's hypervisor: {why}"),
        (_, End::Unreachable(why)) => format!("{}: {why}", order.destination),
        _ => "both ends answer again".into(),
    }
}

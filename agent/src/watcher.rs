//! Looks at the host at an even pace, and at once when a VM comes, goes or changes its state.

use crate::hypervisor::{Failure, HostDescription, Hypervisor, Sample, VmState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Least time between two looks, however much happens.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at what the host has, which changes hardly ever.
const DESCRIBE_EACH: Duration = Duration::from_mins(1);
/// Between two tries of a hypervisor that does not answer.
const RETRY: Duration = Duration::from_secs(2);
/// How long the writing of a VM is measured.
const DIRTY_RATE_PERIOD: Duration = Duration::from_secs(1);

/// What the host is and does, as seen last.
pub(crate) struct Watched {
    /// What it is and has.
    pub(crate) description: watch::Receiver<Arc<HostDescription>>,
    /// What it does. Set anew by each look; none comes while the hypervisor does not answer.
    pub(crate) sample: watch::Receiver<Option<Arc<Sample>>>,
    /// Time between two looks; may be changed.
    pub(crate) pace: watch::Sender<Duration>,
}

/// Begins to watch. Waits until the hypervisor answers for the first time, or `stop`.
pub(crate) async fn start(hypervisor: Arc<dyn Hypervisor>, stop: CancellationToken) -> Option<Watched> {
    let first = stop.run_until_cancelled(describe(hypervisor.as_ref())).await?;
    let (description_out, description) = watch::channel(Arc::new(first));
    let (sample_out, sample) = watch::channel(None);
    let (pace, pace_in) = watch::channel(Duration::from_secs(1));
    let task = Watcher { hypervisor, description: description_out, sample: sample_out, pace: pace_in };
    tokio::spawn(async move { stop.run_until_cancelled(task.run()).await });
    Some(Watched { description, sample, pace })
}

async fn describe(hypervisor: &dyn Hypervisor) -> HostDescription {
    let mut told = false;
    loop {
        match hypervisor.describe().await {
            Ok(description) => return description,
            Err(error) if !told => {
                tracing::warn!(%error, "the hypervisor does not answer; trying on");
                told = true;
            }
            Err(error) => tracing::debug!(%error, "the hypervisor does not answer yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

struct Watcher {
    hypervisor: Arc<dyn Hypervisor>,
    description: watch::Sender<Arc<HostDescription>>,
    sample: watch::Sender<Option<Arc<Sample>>>,
    pace: watch::Receiver<Duration>,
}

impl Watcher {
    async fn run(mut self) {
        let mut described = Instant::now();
        let mut silent: Option<Failure> = None;
        let mut changed = self.hypervisor.changed();
        loop {
            let mut tick = tokio::time::interval(*self.pace.borrow_and_update());
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !self.pace.has_changed().unwrap_or(false) {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = &mut changed => {
                        changed = self.hypervisor.changed();
                        tokio::time::sleep(LEAST_PAUSE).await;
                    }
                    _ = self.pace.changed() => break,
                }
                match self.hypervisor.sample().await {
                    Ok(sample) => {
                        if silent.take().is_some() {
                            tracing::info!("the hypervisor answers again");
                        }
                        self.sample.send_replace(Some(Arc::new(sample)));
                    }
                    Err(error) => {
                        if silent.is_none() {
                            tracing::warn!(%error, "the hypervisor does not answer; the host is not reported until it does");
                        }
                        silent = Some(error);
                    }
                }
                if described.elapsed() >= DESCRIBE_EACH {
                    described = Instant::now();
                    if let Ok(new) = self.hypervisor.describe().await {
                        self.description.send_if_modified(|old| {
                            let differs = **old != new;
                            if differs {
                                *old = Arc::new(new);
                            }
                            differs
                        });
                    }
                }
            }
        }
    }
}

/// Measures how fast the running VMs write their memory, one after the other, each once per `each`. What is
/// measured comes with the samples.
pub(crate) async fn measure_dirty_rates(
    hypervisor: Arc<dyn Hypervisor>,
    mut sample: watch::Receiver<Option<Arc<Sample>>>,
    each: Duration,
) {
    if sample.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let mut round = tokio::time::interval(each);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        let Some(now) = sample.borrow().clone() else { continue };
        for vm in now.vms.values().filter(|vm| vm.state == VmState::Running) {
            let measured = hypervisor.measure_dirty_rate(vm.key.clone(), DIRTY_RATE_PERIOD).await;
            if let Err(error) = measured {
                tracing::debug!(vm = %vm.key, %error, "its dirty rate is not measured");
                // One that cannot be measured answers at once; do not ask in a hurry.
                tokio::time::sleep(LEAST_PAUSE).await;
            }
        }
    }
}

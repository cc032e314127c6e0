//! A hypervisor that does what a test tells it.

use crate::hypervisor::{
    End, Ends, Failure, Finished, HostDescription, Hypervisor, Job, Later, MigrationOrder, Preflight,
    Presence, Reason, Sample, StartOrder, VmKey, VmState, VmStatus,
};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

pub(super) type CallResult = Result<Finished, Failure>;

pub(super) struct Fake(Mutex<Facts>);

/// What is so, and what was asked for.
pub(super) struct Facts {
    pub(super) preflight: Result<Preflight, Failure>,
    pub(super) job: Option<Job>,
    pub(super) source: End,
    pub(super) destination: End,
    pub(super) start: Result<(), Failure>,
    /// A VM that is to be started.
    pub(super) here: Presence,
    /// Whether an abort ends the migration.
    pub(super) abort_works: bool,
    pub(super) migrations: u32,
    pub(super) aborts: u32,
    /// What comes of a switch to post-copy, and how often it was asked for.
    pub(super) post_copy: Result<(), Failure>,
    pub(super) post_copies: u32,
    pub(super) settled: u32,
    /// Whether it was settled as one that starts with its host.
    pub(super) settled_autostart: bool,
    pub(super) looks: u32,
    /// The source says that it migrates the VM, and shows no job.
    pub(super) hidden_job: bool,
    call: Option<oneshot::Sender<CallResult>>,
}

impl Fake {
    /// The VM runs at its source; a migration is under way as soon as it is asked for.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Facts {
            preflight: Ok(Preflight::default()),
            job: None,
            source: End::Running,
            destination: End::Absent,
            start: Ok(()),
            here: Presence { end: End::Off, starting: false },
            abort_works: true,
            migrations: 0,
            aborts: 0,
            post_copy: Ok(()),
            post_copies: 0,
            settled: 0,
            settled_autostart: false,
            looks: 0,
            hidden_job: false,
            call: None,
        })))
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap()
    }

    /// The migration's call ends with this; the ends are as they are.
    pub(super) fn end_call(&self, result: CallResult) {
        let mut facts = self.facts();
        facts.job = None;
        if let Some(call) = facts.call.take() {
            let _ = call.send(result);
        }
    }

    /// The VM has moved and the call says so.
    pub(super) fn succeed(&self) {
        {
            let mut facts = self.facts();
            facts.source = End::Absent;
            facts.destination = End::Running;
        }
        self.end_call(Ok(Finished {
            downtime_ms: Some(25),
            bytes_processed: Some(900),
            bandwidth_mib_s: Some(80.0),
        }));
    }
}

pub(super) fn key() -> VmKey {
    VmKey { name: "vm1".into(), uuid: "uuid-vm1".into() }
}

/// What the agent has seen: vm1 runs here.
pub(super) fn seen() -> Sample {
    let vm = VmStatus {
        key: key(),
        state: VmState::Running,
        vcpus: 1,
        memory_max_mib: 64,
        cpu_millicores: 10,
        memory_mib: 64,
        memory_used_mib: None,
        network_mbits: 0,
        dirty_rate_mib_s: None,
        labels: Arc::default(),
        persistent: true,
        definition: "definition".into(),
    };
    Sample { vms: [("vm1".to_owned(), vm)].into(), ..Sample::default() }
}

fn now<T: Send + 'static>(value: T) -> Later<T> {
    Box::pin(std::future::ready(value))
}

impl Hypervisor for Fake {
    fn driver(&self) -> &'static str {
        "fake"
    }

    fn describe(&self) -> Later<Result<HostDescription, Failure>> {
        now(Ok(HostDescription {
            name: "h1".into(),
            uuid: "uuid-h1".into(),
            capacity: crate::hypervisor::Capacity::default(),
            version: "fake".into(),
        }))
    }

    fn sample(&self) -> Later<Result<Sample, Failure>> {
        now(Ok(seen()))
    }

    fn changed(&self) -> Later<()> {
        Box::pin(std::future::pending())
    }

    fn measure_dirty_rate(&self, _: VmKey, _: Duration) -> Later<Result<f64, Failure>> {
        now(Ok(1.0))
    }

    fn preflight(&self, _: MigrationOrder) -> Later<Result<Preflight, Failure>> {
        now(self.facts().preflight.clone())
    }

    fn migrate(&self, _: MigrationOrder) -> Later<CallResult> {
        let (call, ended) = oneshot::channel();
        let mut facts = self.facts();
        facts.migrations += 1;
        facts.job = Some(Job { bytes_processed: 1, bytes_remaining: 100, ..Job::default() });
        facts.call = Some(call);
        Box::pin(async move {
            ended.await.unwrap_or_else(|_| Err(Failure::new(Reason::HypervisorError, "the fake was dropped")))
        })
    }

    fn job(&self, _: VmKey) -> Later<Result<Option<Job>, Failure>> {
        now(Ok(self.facts().job))
    }

    fn abort(&self, _: VmKey) -> Later<Result<(), Failure>> {
        let works = {
            let mut facts = self.facts();
            facts.aborts += 1;
            facts.abort_works
        };
        if works {
            self.end_call(Err(Failure::new(Reason::Cancelled, "operation aborted by client")));
        }
        now(Ok(()))
    }

    fn post_copy(&self, _: VmKey) -> Later<Result<(), Failure>> {
        let mut facts = self.facts();
        facts.post_copies += 1;
        now(facts.post_copy.clone())
    }

    fn look(&self, _: MigrationOrder) -> Later<Ends> {
        let mut facts = self.facts();
        facts.looks += 1;
        assert!(facts.looks < 100_000, "looks without a pause");
        now(Ends {
            source: facts.source.clone(),
            destination: facts.destination.clone(),
            source_job: facts.job.is_some() || facts.hidden_job,
        })
    }

    fn settle(&self, order: MigrationOrder) -> Later<Result<(), Failure>> {
        let mut facts = self.facts();
        facts.settled += 1;
        facts.settled_autostart = order.autostart;
        now(Ok(()))
    }

    fn look_here(&self, _: VmKey) -> Later<Presence> {
        now(self.facts().here.clone())
    }

    fn start(&self, _: StartOrder) -> Later<Result<(), Failure>> {
        now(self.facts().start.clone())
    }
}

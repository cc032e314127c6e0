//! How others speak with the coordinator: a handle that sends commands to the one task that decides, and reads
//! the view which that task publishes.

mod link;
mod policies;

pub use link::Link;
pub(in crate::coordinator) use policies::Etcd;

use super::peers::{Frame, KeptHost};
use super::policies::Policies;
use super::settings::RingMember;
use super::view::{Figures, RingView, View};
use crate::record::{
    AdminState, Event, Hello, HostRecord, Order, Pace, PlanRecord, PlanRequest, Report, VmRecord,
};
use dvms_solver::file::Constraint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Changes that a slow reader may be behind before it is cut off.
pub(in crate::coordinator) const CHANGES_KEPT: usize = 8192;

/// A running coordinator; clones are the same one.
#[derive(Clone)]
pub struct Coordinator {
    pub(in crate::coordinator) shared: Arc<Shared>,
}

pub(in crate::coordinator) struct Shared {
    pub(in crate::coordinator) name: String,
    /// Another one in each life.
    pub(in crate::coordinator) instance: String,
    pub(in crate::coordinator) view: RwLock<View>,
    /// The driver has the sender: when it has stopped, readers hear that nothing follows.
    pub(in crate::coordinator) changes: broadcast::WeakSender<(u64, Change)>,
    pub(in crate::coordinator) commands: mpsc::Sender<Command>,
    /// Set when the coordinator has stopped.
    pub(in crate::coordinator) stopped: watch::Receiver<bool>,
    /// Bytes that were sent to other coordinators.
    pub(in crate::coordinator) peer_bytes: AtomicU64,
    /// Messages that were passed over, by who sent them.
    pub(in crate::coordinator) passed_over: [AtomicU64; 2],
    /// Where changes of what is shared go.
    pub(in crate::coordinator) etcd: Etcd,
}

/// Who sends messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// An agent.
    Agent,
    /// Another coordinator.
    Coordinator,
}

/// What the deciding task is asked.
pub(in crate::coordinator) enum Command {
    Attach(Box<Hello>, oneshot::Sender<Result<AgentSession, AttachError>>),
    Detach { host: String, epoch: u64 },
    Report { host: String, epoch: u64, report: Report },
    SetHostState(String, AdminState, String, Reply<HostRecord>),
    ForgetHost { host: String, with_vms: bool, reason: String, reply: Reply<HostRecord> },
    ForgetMember { member: String, reason: String, reply: Reply<()> },
    CreatePlan(Box<PlanRequest>, Reply<PlanRecord>),
    ApprovePlan(String, Reply<PlanRecord>),
    CancelPlan { id: String, finish_running: bool, reason: String, reply: Reply<PlanRecord> },
    PausePlan { id: String, reason: String, reply: Reply<PlanRecord> },
    ResumePlan(String, Reply<PlanRecord>),
    LimitPlan { id: String, pace: Pace, reply: Reply<PlanRecord> },
    Members(Vec<RingMember>, BTreeSet<String>),
    Rules { revision: u64, rules: BTreeMap<String, String> },
    ChangeRules(BTreeMap<String, Option<Constraint>>, Reply<Policies>),
    HostsKept { all: bool, hosts: BTreeMap<String, Option<KeptHost>> },
    PeerUp { member: String, link: u64, frames: mpsc::Sender<Frame> },
    PeerDown { member: String, link: u64 },
    PeerNear { member: String, round_trip: Duration },
    Alarm(String),
    Peer { from: String, frame: Box<Frame> },
    Shutdown { at_once: bool },
}

pub(in crate::coordinator) type Reply<T> = oneshot::Sender<Result<Arc<T>, OperateError>>;

/// An agent's session. Dropping it ends the session.
pub struct AgentSession {
    /// Fencing number.
    pub epoch: u64,
    /// How often the agent is to report.
    pub report_interval: Duration,
    /// What the agent is told, in this order. When it ends without [`Order::GoAway`], a newer session of the
    /// same host has begun.
    pub orders: mpsc::Receiver<Order>,
    /// Where the agent's reports go.
    pub reports: Reports,
}

/// Where an agent's reports go. Dropping it ends the session.
pub struct Reports {
    pub(in crate::coordinator) host: String,
    pub(in crate::coordinator) epoch: u64,
    pub(in crate::coordinator) commands: mpsc::Sender<Command>,
}

impl Reports {
    /// Hands over a report; waits while the coordinator is behind.
    ///
    /// # Errors
    /// The coordinator has stopped.
    pub async fn send(&self, report: Report) -> Result<(), AttachError> {
        let command = Command::Report { host: self.host.clone(), epoch: self.epoch, report };
        self.commands.send(command).await.map_err(|_| AttachError::Stopping)
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        let command = Command::Detach { host: std::mem::take(&mut self.host), epoch: self.epoch };
        send_at_the_end(&self.commands, command);
    }
}

/// Sends a command from where nothing can be waited for.
fn send_at_the_end(commands: &mpsc::Sender<Command>, command: Command) {
    if let Err(mpsc::error::TrySendError::Full(command)) = commands.try_send(command) {
        let commands = commands.clone();
        // The queue is full: wait elsewhere. Without a runtime the process is ending anyway.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { commands.send(command).await });
        }
    }
}

/// Why an agent is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The coordinator is being stopped.
    #[error("the coordinator is being stopped")]
    Stopping,
    /// The hello cannot be used.
    #[error("{field}: {message}")]
    Invalid {
        /// Field of the hello.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The state directory cannot be written to: no fencing number can be given.
    #[error("{0}")]
    Store(String),
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperateError {
    /// There is no such thing.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// host, plan …
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Not in a state in which this can be done.
    #[error("{0}")]
    WrongState(String),
    /// The infrastructure has changed since the plan was solved.
    #[error("{0}")]
    Stale(String),
    /// The request's id was used with other parameters.
    #[error("request_id {0:?} was used before with other parameters")]
    RequestIdReused(String),
    /// A field of the request cannot be used.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: String,
        /// Why.
        message: String,
    },
    /// Too much is asked for at once.
    #[error("{message}")]
    Busy {
        /// What there is too much of.
        message: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// What several coordinators share cannot be changed now.
    #[error("{0}")]
    EtcdSilent(String),
    /// The coordinator is being stopped.
    #[error("the coordinator is being stopped")]
    Stopping,
}

/// A change of the present state.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A host came or changed.
    Host(Arc<HostRecord>),
    /// A VM came or changed.
    Vm(Arc<VmRecord>),
    /// Something happened.
    Event(Arc<Event>),
    /// A host was removed.
    HostGone(String),
    /// A VM is nowhere any more.
    VmGone(String),
    /// A plan came or changed.
    Plan(Arc<PlanRecord>),
}

/// The present state and what follows it, without a gap.
pub struct Subscription {
    /// Revision of the present state.
    pub revision: u64,
    /// Hosts by name.
    pub hosts: Vec<Arc<HostRecord>>,
    /// VMs by name.
    pub vms: Vec<Arc<VmRecord>>,
    /// Changes with their revisions. `Lagged` = the reader was too slow; `Closed` = the coordinator has stopped.
    pub changes: broadcast::Receiver<(u64, Change)>,
}

fn closed() -> broadcast::Receiver<(u64, Change)> {
    broadcast::channel(1).1
}

impl Coordinator {
    /// Its name, as agents are told.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        // A writer that panicked has at worst published half of a change; readers go on.
        self.shared.view.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<Arc<T>, OperateError> {
        let (reply, answer) = oneshot::channel();
        self.shared.commands.send(command(reply)).await.map_err(|_| OperateError::Stopping)?;
        answer.await.map_err(|_| OperateError::Stopping)?
    }

    /// Begins the session of an agent; an older one of the same host ends.
    ///
    /// # Errors
    /// Why the agent is not served.
    pub async fn attach(&self, hello: Hello) -> Result<AgentSession, AttachError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Attach(Box::new(hello), reply);
        self.shared.commands.send(command).await.map_err(|_| AttachError::Stopping)?;
        answer.await.map_err(|_| AttachError::Stopping)?
    }

    /// The ring as this coordinator sees it; without others when it is alone.
    #[must_use]
    pub fn ring(&self) -> Arc<RingView> {
        self.view().ring.clone()
    }

    /// Hosts by name.
    #[must_use]
    pub fn hosts(&self) -> Vec<Arc<HostRecord>> {
        self.view().hosts.values().cloned().collect()
    }

    /// One host.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<Arc<HostRecord>> {
        self.view().hosts.get(name).cloned()
    }

    /// VMs by name.
    #[must_use]
    pub fn vms(&self) -> Vec<Arc<VmRecord>> {
        self.view().vms.values().cloned().collect()
    }

    /// One VM.
    #[must_use]
    pub fn vm(&self, name: &str) -> Option<Arc<VmRecord>> {
        self.view().vms.get(name).cloned()
    }

    /// Events that are kept, newest first.
    #[must_use]
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.view().events.iter().rev().cloned().collect()
    }

    /// One event.
    #[must_use]
    pub fn event(&self, id: u64) -> Option<Arc<Event>> {
        let view = self.view();
        let found = view.events.binary_search_by_key(&id, |event| event.id).ok()?;
        view.events.get(found).cloned()
    }

    /// Plans that are kept, newest first.
    #[must_use]
    pub fn plans(&self) -> Vec<Arc<PlanRecord>> {
        self.view().plans.values().rev().cloned().collect()
    }

    /// One plan.
    #[must_use]
    pub fn plan(&self, id: &str) -> Option<Arc<PlanRecord>> {
        self.view().plans.get(id).cloned()
    }

    /// The present state and what follows.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let view = self.view();
        Subscription {
            revision: view.revision,
            hosts: view.hosts.values().cloned().collect(),
            vms: view.vms.values().cloned().collect(),
            // Under the lock of the view: what is published next has a greater revision.
            changes: self.shared.changes.upgrade().map_or_else(closed, |changes| changes.subscribe()),
        }
    }

    /// Sets what the operator wants of a host; kept over restarts.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn set_host_state(
        &self,
        host: &str,
        state: AdminState,
        reason: &str,
    ) -> Result<Arc<HostRecord>, OperateError> {
        self.ask(|reply| Command::SetHostState(host.into(), state, reason.into(), reply)).await
    }

    /// Forgets a host that will not come back; with `with_vms` also the VMs that count there or wait since it failed.
    /// The answer is what was known of it.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn forget_host(
        &self,
        host: &str,
        with_vms: bool,
        reason: &str,
    ) -> Result<Arc<HostRecord>, OperateError> {
        let (host, reason) = (host.into(), reason.into());
        self.ask(|reply| Command::ForgetHost { host, with_vms, reason, reply }).await
    }

    /// Forgets a coordinator that has left the ring without a word and will not come back: its VMs are not asked for any more.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn forget_member(&self, member: &str, reason: &str) -> Result<(), OperateError> {
        let (member, reason) = (member.into(), reason.into());
        self.ask(|reply| Command::ForgetMember { member, reason, reply }).await.map(|_| ())
    }

    /// Asks for a plan. Returns at once, with the record QUEUED or SOLVING; with `validate_only` when it is
    /// solved.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn create_plan(&self, request: PlanRequest) -> Result<Arc<PlanRecord>, OperateError> {
        self.ask(|reply| Command::CreatePlan(Box::new(request), reply)).await
    }

    /// Lets a proposed plan be executed.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn approve_plan(&self, id: &str) -> Result<Arc<PlanRecord>, OperateError> {
        self.ask(|reply| Command::ApprovePlan(id.into(), reply)).await
    }

    /// Ends a plan; running migrations are aborted, or end by themselves with `finish_running`.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn cancel_plan(
        &self,
        id: &str,
        finish_running: bool,
        reason: &str,
    ) -> Result<Arc<PlanRecord>, OperateError> {
        let (id, reason) = (id.into(), reason.into());
        self.ask(|reply| Command::CancelPlan { id, finish_running, reason, reply }).await
    }

    /// Lets a plan that is executed begin nothing more until it is resumed; what runs ends.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn pause_plan(&self, id: &str, reason: &str) -> Result<Arc<PlanRecord>, OperateError> {
        let (id, reason) = (id.into(), reason.into());
        self.ask(|reply| Command::PausePlan { id, reason, reply }).await
    }

    /// Lets a paused plan go on.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn resume_plan(&self, id: &str) -> Result<Arc<PlanRecord>, OperateError> {
        self.ask(|reply| Command::ResumePlan(id.into(), reply)).await
    }

    /// Changes what a plan that has not ended may use at once.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn limit_plan(&self, id: &str, pace: Pace) -> Result<Arc<PlanRecord>, OperateError> {
        self.ask(|reply| Command::LimitPlan { id: id.into(), pace, reply }).await
    }

    /// Figures for monitoring.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let peer_bytes = self.shared.peer_bytes.load(Ordering::Relaxed);
        let count = |teller: Teller| self.shared.passed_over[teller as usize].load(Ordering::Relaxed);
        let passed_over =
            [("agent", count(Teller::Agent)), ("coordinator", count(Teller::Coordinator))].into();
        let policies = self.policies();
        Figures {
            peer_bytes,
            passed_over,
            rules_revision: policies.kept.revision,
            rules_refused: policies.refused.len() as u64,
            etcd_silent: self.etcd_silent().is_some(),
            ..self.view().figures.clone()
        }
    }

    /// A message that is not known here was passed over.
    pub fn passed_over(&self, teller: Teller) {
        self.shared.passed_over[teller as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Stops in good order. Where other members serve on, plans that are carried out go on to their end before, within
    /// `execution.finish_within_s`, and agents go to the others. Otherwise no action is begun any more, and running ones
    /// are left to their agents. Then sessions end and the state is saved. Returns when that is done.
    pub async fn shutdown(&self) {
        self.shut_down(false).await;
    }

    /// Stops without waiting for anything that is carried out. Returns when the state is saved.
    pub async fn stop_at_once(&self) {
        self.shut_down(true).await;
    }

    async fn shut_down(&self, at_once: bool) {
        // Refused only when it has stopped already.
        let _ = self.shared.commands.send(Command::Shutdown { at_once }).await;
        let mut stopped = self.shared.stopped.clone();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

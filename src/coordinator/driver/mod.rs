//! The one task that feeds the core and does what it says: tells agents, writes through a thread, answers callers,
//! publishes.

mod keeper;
pub mod registry;
mod solves;
#[cfg(test)]
mod tests;

use super::core::{Answer, Core, Effect, Input, Restored, Ticket};
use super::handle::{
    AgentSession, AttachError, CHANGES_KEPT, Change, Command, Coordinator, Etcd, Reply, Reports, Shared,
};
use super::inventory::Now;
use super::peers::Frame;
use super::policies::Policies;
use super::settings::{Settings, seconds};
use super::view::{EVENTS_KEPT, PLANS_KEPT};
use crate::record::{Hello, HostRecord, Order, PlanRecord};
use crate::solving::Solver;
use crate::store::{Store, StoreError};
use keeper::{Ask, Said};
use solves::{Solved, Solves};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

/// Commands that may wait before their senders do.
const COMMANDS_WAITING: usize = 1024;
/// Commands that are taken before readers see what has come of them.
const COMMANDS_AT_ONCE: usize = 256;
/// Orders that may wait for an agent's stream; an agent that is further behind has to begin a new session.
const ORDERS_WAITING: usize = 256;
/// How long a stop waits for the disk.
const STOP_WITHIN: Duration = Duration::from_secs(5);

impl Coordinator {
    /// Starts a coordinator with what the store holds. It runs until [`Coordinator::shutdown`]. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// The store cannot be read, or there is no thread for it.
    pub fn start(
        name: &str,
        settings: Settings,
        mut store: Store,
        solver: Arc<dyn Solver>,
    ) -> Result<Self, StoreError> {
        let began = Instant::now();
        let mut restored = Restored::read(&store)?;
        if !settings.ring.name.is_empty() {
            // One that has lost its store is newer than all its lives before too.
            let since_1970 = SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            restored.incarnation = store.next_epoch(since_1970.map_or(0, |since| since.as_secs()))?;
        }
        let report_interval = seconds(settings.inventory.report_interval_s);
        let (core, view) = Core::new(settings, restored, now(began));
        let (say, said) = mpsc::unbounded_channel();
        let (ask, keeper) = keeper::start(store, say).map_err(|source| StoreError::Thread { source })?;
        let (returned, outcomes) = mpsc::unbounded_channel();
        let (commands, inbox) = mpsc::channel(COMMANDS_WAITING);
        let (ended, stopped) = watch::channel(false);
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            instance: Uuid::new_v4().simple().to_string(),
            view: RwLock::new(view),
            changes: changes.downgrade(),
            commands,
            stopped,
            peer_bytes: AtomicU64::new(0),
            passed_over: Default::default(),
            etcd: Etcd::default(),
        });
        let driver = Driver {
            core,
            began,
            report_interval,
            shared: shared.clone(),
            changes,
            ask,
            solves: Solves::new(solver, returned),
            sessions: BTreeMap::new(),
            attaching: BTreeMap::new(),
            callers: BTreeMap::new(),
            peers: BTreeMap::new(),
            last_ticket: 0,
            over: false,
        };
        let task = async move {
            driver.run(inbox, said, outcomes, keeper).await;
            ended.send_replace(true);
        };
        tokio::spawn(task.instrument(tracing::info_span!("coordinator", name)));
        Ok(Self { shared })
    }
}

fn now(began: Instant) -> Now {
    Now { at: began.elapsed(), wall: SystemTime::now() }
}

struct Driver {
    core: Core,
    began: Instant,
    report_interval: Duration,
    shared: Arc<Shared>,
    changes: broadcast::Sender<(u64, Change)>,
    ask: std::sync::mpsc::Sender<Ask>,
    solves: Solves,
    /// The session of each host: its epoch and where its orders go.
    sessions: BTreeMap<String, (u64, mpsc::Sender<Order>)>,
    /// Agents that wait for their epoch.
    attaching: BTreeMap<Ticket, (Box<Hello>, Attached)>,
    callers: BTreeMap<Ticket, Caller>,
    /// Links to other members of the ring: the number of each, and where frames go.
    peers: BTreeMap<String, (u64, mpsc::Sender<Frame>)>,
    last_ticket: Ticket,
    /// The core has said so.
    over: bool,
}

/// Where an agent's session goes.
type Attached = oneshot::Sender<Result<AgentSession, AttachError>>;

/// Who waits for an answer.
enum Caller {
    Host(Reply<HostRecord>),
    Plan(Reply<PlanRecord>),
    Policies(Reply<Policies>),
    Done(Reply<()>),
}

impl Caller {
    fn is_gone(&self) -> bool {
        match self {
            Self::Host(reply) => reply.is_closed(),
            Self::Plan(reply) => reply.is_closed(),
            Self::Policies(reply) => reply.is_closed(),
            Self::Done(reply) => reply.is_closed(),
        }
    }
}

impl Driver {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut said: mpsc::UnboundedReceiver<Said>,
        mut outcomes: mpsc::UnboundedReceiver<Solved>,
        keeper: JoinHandle<()>,
    ) {
        let mut commands = Vec::with_capacity(COMMANDS_AT_ONCE);
        loop {
            let due = self.began + self.core.next();
            tokio::select! {
                _ = inbox.recv_many(&mut commands, COMMANDS_AT_ONCE) => {}
                Some(said) = said.recv() => self.hear(said),
                Some(Solved { solve, outcome, took }) = outcomes.recv() => {
                    self.solves.ended(solve);
                    self.feed(Input::Solved { solve, outcome, took });
                }
                () = tokio::time::sleep_until(due) => self.feed(Input::Tick),
            }
            for command in commands.drain(..) {
                self.command(command);
            }
            self.leave_callers();
            self.publish();
            if self.over {
                break;
            }
        }
        // Who asks from now on is told that it is too late.
        drop(inbox);
        self.end(keeper).await;
    }

    /// Waits, within bounds, until all is saved.
    async fn end(mut self, keeper: JoinHandle<()>) {
        self.attaching.clear();
        self.sessions.clear();
        // Refused only when the thread has ended.
        let _ = self.ask.send(Ask::Stop);
        let joined = tokio::task::spawn_blocking(move || keeper.join().is_ok());
        match tokio::time::timeout(STOP_WITHIN, joined).await {
            Ok(Ok(true)) => tracing::info!("the coordinator has stopped"),
            Ok(_) => tracing::error!("the thread that writes to the state directory has panicked"),
            Err(_) => tracing::error!("the state directory takes nothing; stopped without saving the last"),
        }
    }

    fn feed(&mut self, input: Input) {
        let now = now(self.began);
        for effect in self.core.handle(input, now) {
            self.carry_out(effect);
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Stored { seq } => self.feed(Input::Stored { seq }),
            Said::NotStored { message } => self.feed(Input::NotStored { message }),
            Said::Epoch { ticket, epoch } => {
                let Some((hello, reply)) = self.attaching.remove(&ticket) else { return };
                match epoch {
                    Ok(epoch) => self.begin_session(hello, epoch, reply),
                    // The agent tries again by itself.
                    Err(error) => _ = reply.send(Err(AttachError::Store(error))),
                }
            }
        }
    }

    fn begin_session(&mut self, hello: Box<Hello>, epoch: u64, reply: Attached) {
        let host = hello.host.clone();
        let (sender, orders) = mpsc::channel(ORDERS_WAITING);
        let commands = self.shared.commands.clone();
        let reports = Reports { host: host.clone(), epoch, commands };
        let session = AgentSession { epoch, report_interval: self.report_interval, orders, reports };
        // The sender of an older session ends with it.
        self.sessions.insert(host, (epoch, sender));
        self.feed(Input::Attach { hello, epoch });
        // An agent that has gone meanwhile drops its session, which is then detached.
        let _ = reply.send(Ok(session));
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Attach(hello, reply) => {
                if let Err(error) = acceptable(&hello) {
                    let _ = reply.send(Err(error));
                    return;
                }
                if !self.core.welcomes(&hello.host) {
                    let _ = reply.send(Err(AttachError::Stopping));
                    return;
                }
                let (ticket, at_least) = (self.ticket(), hello.epoch);
                self.attaching.insert(ticket, (hello, reply));
                self.ask(Ask::Epoch { ticket, at_least });
            }
            Command::Detach { host, epoch } => {
                if self.sessions.get(&host).is_some_and(|(session, _)| *session == epoch) {
                    self.sessions.remove(&host);
                }
                self.feed(Input::Detach { host, epoch });
            }
            Command::Report { host, epoch, report } => self.feed(Input::Report { host, epoch, report }),
            Command::SetHostState(host, state, reason, reply) => {
                let ticket = self.caller(Caller::Host(reply));
                self.feed(Input::SetHostState { host, state, reason, ticket });
            }
            Command::ForgetHost { host, with_vms, reason, reply } => {
                let ticket = self.caller(Caller::Host(reply));
                self.feed(Input::ForgetHost { host, with_vms, reason, ticket });
            }
            Command::ForgetMember { member, reason, reply } => {
                let ticket = self.caller(Caller::Done(reply));
                self.feed(Input::ForgetMember { member, reason, ticket });
            }
            Command::CreatePlan(request, reply) => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::CreatePlan { request, ticket });
            }
            Command::ApprovePlan(id, reply) => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::ApprovePlan { id, ticket });
            }
            Command::CancelPlan { id, finish_running, reason, reply } => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::CancelPlan { id, finish_running, reason, ticket });
            }
            Command::PausePlan { id, reason, reply } => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::PausePlan { id, reason, ticket });
            }
            Command::ResumePlan(id, reply) => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::ResumePlan { id, ticket });
            }
            Command::LimitPlan { id, pace, reply } => {
                let ticket = self.caller(Caller::Plan(reply));
                self.feed(Input::LimitPlan { id, pace, ticket });
            }
            Command::Members(members, held) => self.feed(Input::Members { members, held }),
            Command::Rules { revision, rules } => self.feed(Input::Rules { revision, rules }),
            Command::ChangeRules(change, reply) => {
                let ticket = self.caller(Caller::Policies(reply));
                self.feed(Input::ChangeRules { change, ticket });
            }
            Command::HostsKept { all, hosts } => self.feed(Input::HostsKept { all, hosts }),
            Command::PeerUp { member, link, frames } => {
                self.peers.insert(member.clone(), (link, frames));
                self.feed(Input::PeerUp { member });
            }
            Command::PeerDown { member, link } => {
                if self.peers.get(&member).is_some_and(|(present, _)| *present == link) {
                    self.peers.remove(&member);
                    self.feed(Input::PeerDown { member });
                }
            }
            Command::PeerNear { member, round_trip } => self.feed(Input::PeerNear { member, round_trip }),
            Command::Alarm(message) => self.feed(Input::Alarm { message }),
            Command::Peer { from, frame } => self.feed(Input::Peer { from, frame }),
            Command::Shutdown { at_once } => self.feed(Input::Shutdown { at_once }),
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    fn caller(&mut self, caller: Caller) -> Ticket {
        let ticket = self.ticket();
        self.callers.insert(ticket, caller);
        ticket
    }

    /// What callers do not wait for any more is not solved for them.
    fn leave_callers(&mut self) {
        let gone = self.callers.extract_if(.., |_, caller| caller.is_gone());
        let gone: Vec<Ticket> = gone.map(|(ticket, _)| ticket).collect();
        for ticket in gone {
            self.feed(Input::CallerGone { ticket });
        }
    }

    fn ask(&mut self, ask: Ask) {
        if self.ask.send(ask).is_err() {
            // It ends only when it is told to, or by a defect: as bad as a disk that takes nothing.
            let message = "the thread that writes to the state directory has ended".to_owned();
            self.attaching.clear();
            self.feed(Input::NotStored { message });
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Tell { host, epoch, order } => {
                let session = self.sessions.get(&host).filter(|(session, _)| *session == epoch);
                if let Some((_, orders)) = session
                    && let Err(mpsc::error::TrySendError::Full(_)) = orders.try_send(order)
                {
                    tracing::warn!(host, "the agent reads no orders; it has to begin a new session");
                    self.sessions.remove(&host);
                }
            }
            // What does not get through is said again by whoever needs it.
            Effect::Peer { to, frame } => {
                if let Some((_, frames)) = self.peers.get(&to)
                    && frames.try_send(frame).is_err()
                {
                    tracing::debug!(member = to, "a frame to another coordinator is lost");
                }
            }
            Effect::EndSession { host, epoch } => {
                if self.sessions.get(&host).is_some_and(|(session, _)| *session == epoch) {
                    self.sessions.remove(&host);
                }
            }
            Effect::Write { seq, changes } => self.ask(Ask::Write { seq, changes }),
            Effect::Solve { solve, problem, order } => self.solves.start(solve, problem, order),
            Effect::StopSolve(solve) => self.solves.stop(solve),
            Effect::Stopped => self.over = true,
            Effect::Prune => self.ask(Ask::Prune { plans: PLANS_KEPT, events: EVENTS_KEPT }),
            Effect::Answer { ticket, answer } => {
                // A caller who has gone needs no answer.
                match (self.callers.remove(&ticket), answer) {
                    (Some(Caller::Host(reply)), Answer::Host(host)) => _ = reply.send(Ok(host)),
                    (Some(Caller::Plan(reply)), Answer::Plan(plan)) => _ = reply.send(Ok(plan)),
                    (Some(Caller::Policies(reply)), Answer::Policies(rules)) => _ = reply.send(Ok(rules)),
                    (Some(Caller::Done(reply)), Answer::Done) => _ = reply.send(Ok(Arc::new(()))),
                    (Some(Caller::Done(reply)), Answer::Refused(error)) => _ = reply.send(Err(error)),
                    (Some(Caller::Policies(reply)), Answer::Refused(error)) => _ = reply.send(Err(error)),
                    (Some(Caller::Host(reply)), Answer::Refused(error)) => _ = reply.send(Err(error)),
                    (Some(Caller::Plan(reply)), Answer::Refused(error)) => _ = reply.send(Err(error)),
                    _ => {}
                }
            }
        }
    }

    fn publish(&mut self) {
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        for change in self.core.publish(&mut view) {
            // Refused only when nobody watches.
            let _ = self.changes.send(change);
        }
    }
}

/// Whether an agent can be served.
fn acceptable(hello: &Hello) -> Result<(), AttachError> {
    let invalid = |field: &str, message: &str| {
        Err(AttachError::Invalid { field: field.to_owned(), message: message.to_owned() })
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:@-".contains(c);
    if hello.host.is_empty() || hello.host.len() > 253 || !hello.host.chars().all(allowed) {
        return invalid("host", "must be 1 to 253 letters, digits or any of _ . : @ -");
    }
    if hello.capacity.cpu_millicores < 0 || hello.capacity.memory_mib < 0 {
        return invalid("capacity", "must not be negative");
    }
    Ok(())
}

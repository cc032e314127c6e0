//! All actions of this host: takes orders once, bounds them, remembers outcomes.

use super::{ActionKey, Order, Progress, State, Work, migrate, start};
use crate::hypervisor::{Failure, Hypervisor, MigrationOrder, Reason, Sample, StartOrder, VmKey};
use crate::journal::{Journal, JournalError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest time that a deadline or stall limit of an order may be.
const LONGEST: Duration = Duration::from_hours(24);

/// Actions that are remembered, most of them outcomes that wait for their acknowledgement.
const MOST_RECORDS: usize = 1000;

/// Bounds that this host sets, whatever it is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Actions at once.
    pub concurrent: usize,
}

/// What was seen last on this host; `None` before the first time.
pub(crate) type Seen = watch::Receiver<Option<Arc<Sample>>>;

/// The actions of a host. Clones are the same table.
#[derive(Clone)]
pub struct Actions(Arc<Inner>);

struct Inner {
    hypervisor: Arc<dyn Hypervisor>,
    limits: Limits,
    seen: Seen,
    stop: CancellationToken,
    table: Mutex<Table>,
    /// Says that some record has changed; its value is the table's revision.
    changed: watch::Sender<u64>,
}

struct Table {
    journal: Journal,
    records: BTreeMap<ActionKey, Record>,
    revision: u64,
}

struct Record {
    order: Order,
    accepted: Instant,
    progress: Progress,
    /// Of the table, when this record changed last.
    revision: u64,
    /// The VM starts with its host, as the journal has it.
    autostart: bool,
    cancelled: watch::Sender<bool>,
}

impl Table {
    /// A coordinator acknowledges outcomes; one that never does must not fill the memory.
    fn drop_oldest_outcome_if_full(&mut self) {
        if self.records.len() < MOST_RECORDS {
            return;
        }
        let over = self.records.values().filter(|record| record.progress.state.is_terminal());
        let Some(oldest) = over.min_by_key(|record| record.revision) else { return };
        let key = oldest.order.key.clone();
        tracing::warn!(
            plan = key.plan_id,
            action = key.action_id,
            "an outcome that was never acknowledged is dropped"
        );
        self.records.remove(&key);
        if let Err(error) = self.journal.forget(&key) {
            tracing::warn!(%error, "it stays in the journal");
        }
    }

    fn running(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| !record.progress.state.is_terminal())
    }
}

impl Actions {
    /// Takes up what the journal says is unfinished. Nothing is watched any more after `stop`. Needs to be called
    /// within a tokio runtime.
    pub(crate) fn start(
        hypervisor: Arc<dyn Hypervisor>,
        journal: Journal,
        limits: Limits,
        seen: Seen,
        stop: CancellationToken,
    ) -> Self {
        let mut records = BTreeMap::new();
        for (key, entry) in journal.entries() {
            let age = SystemTime::now().duration_since(entry.accepted).unwrap_or_default();
            let progress = entry.ended.clone().unwrap_or_else(|| Progress::new(State::Running));
            let record = Record {
                order: entry.order.clone(),
                accepted: Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
                progress,
                revision: 1,
                autostart: entry.autostart,
                cancelled: watch::Sender::new(false),
            };
            records.insert(key.clone(), record);
        }
        let unfinished: Vec<_> = records
            .values()
            .filter(|record| !record.progress.state.is_terminal())
            .map(|record| record.order.key.clone())
            .collect();
        let table = Mutex::new(Table { journal, records, revision: 1 });
        let changed = watch::Sender::new(1);
        let actions = Self(Arc::new(Inner { hypervisor, limits, seen, stop, table, changed }));
        for key in unfinished {
            tracing::info!(
                plan = key.plan_id,
                action = key.action_id,
                "adopting an action of before the restart"
            );
            actions.spawn(&key, Begin::Adopted);
        }
        actions
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().expect("no holder of this lock panics")
    }

    /// The greatest epoch seen.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.table().journal.epoch()
    }

    /// Notes a greater epoch, durably.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn raise_epoch(&self, epoch: u64) -> Result<(), JournalError> {
        self.table().journal.raise_epoch(epoch)
    }

    /// Takes an order: begins it, refuses it, or, when it is known, lets its progress be reported again. What
    /// comes of it is in the table.
    pub fn take(&self, mut order: Order) {
        let key = order.key.clone();
        let mut table = self.table();
        if table.records.contains_key(&key) {
            self.touch(&mut table, &key);
            return;
        }
        let refusal = self.refusal(&table, &order).or_else(|| match identify(&order, &self.0.seen) {
            // Journalled, so that after a restart it is still known which VM it was.
            Ok(uuid) => {
                order.vm_uuid = uuid;
                None
            }
            Err(failure) => Some(failure),
        });
        let refusal = refusal.or_else(|| {
            let noted = table.journal.accept(&order, SystemTime::now());
            noted.err().map(|error| {
                tracing::error!(%error, "an order is refused because it cannot be journalled");
                Failure::new(
                    Reason::HypervisorError,
                    format!("not begun, as it cannot be journalled: {error}"),
                )
            })
        });
        let accepted = Progress::new(State::Accepted);
        let progress = match &refusal {
            Some(failure) => accepted.ended(State::Refused, Some(failure.clone())),
            None => accepted,
        };
        let record = Record {
            order,
            accepted: Instant::now(),
            progress,
            revision: 0,
            autostart: false,
            cancelled: watch::Sender::new(false),
        };
        table.drop_oldest_outcome_if_full();
        table.records.insert(key.clone(), record);
        self.touch(&mut table, &key);
        drop(table);
        match refusal {
            Some(failure) => {
                tracing::warn!(plan = key.plan_id, action = key.action_id, reason = ?failure.reason, "refused: {failure}");
            }
            None => self.spawn(&key, Begin::Fresh),
        }
    }

    /// Why an order is refused at once.
    fn refusal(&self, table: &Table, order: &Order) -> Option<Failure> {
        let refuse = |reason, why: String| Some(Failure::new(reason, why));
        if order.work == Work::Unknown {
            let why =
                "the order is neither a migration nor a start; is this agent older than its coordinator?";
            return refuse(Reason::NotSupported, why.to_owned());
        }
        let seen = table.journal.epoch();
        if order.epoch < seen {
            return refuse(
                Reason::StaleEpoch,
                format!(
                    "the order has epoch {}, this host has seen {seen}: a newer session rules",
                    order.epoch
                ),
            );
        }
        if let Some(busy) = table.running().find(|record| record.order.vm == order.vm) {
            return refuse(Reason::VmBusy, format!("VM {} is taken by {}", order.vm, busy.order.key));
        }
        let running = table.running().count();
        if running >= self.0.limits.concurrent {
            return refuse(
                Reason::Limit,
                format!("{running} actions run on this host, at most {} may", self.0.limits.concurrent),
            );
        }
        None
    }

    /// Asks for the end of an action. One that is over or not known stays as it is.
    pub fn cancel(&self, key: &ActionKey, epoch: u64) {
        let mut table = self.table();
        let seen = table.journal.epoch();
        if epoch < seen {
            tracing::warn!(
                plan = key.plan_id,
                action = key.action_id,
                epoch,
                seen,
                "a stale cancel is left aside"
            );
            return;
        }
        if let Some(record) = table.records.get(key) {
            record.cancelled.send_replace(true);
            self.touch(&mut table, key);
        }
    }

    /// Forgets actions whose outcome the coordinator has.
    pub fn acknowledge(&self, keys: &[ActionKey]) {
        let mut table = self.table();
        for key in keys {
            if table.records.get(key).is_some_and(|record| record.progress.state.is_terminal()) {
                table.records.remove(key);
                if let Err(error) = table.journal.forget(key) {
                    tracing::warn!(%error, "an outcome will be reported again after a restart");
                }
            }
        }
    }

    /// Everything that changed after a revision (0 = everything), and the present revision.
    #[must_use]
    pub fn since(&self, revision: u64) -> (Vec<(Order, Progress)>, u64) {
        let table = self.table();
        let changed = table.records.values().filter(|record| record.revision > revision);
        let changed = changed.map(|record| {
            let mut progress = record.progress.clone();
            if !progress.state.is_terminal() {
                progress.elapsed = record.accepted.elapsed();
            }
            (record.order.clone(), progress)
        });
        (changed.collect(), table.revision)
    }

    /// Follows the table's revision.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn touch(&self, table: &mut Table, key: &ActionKey) {
        table.revision += 1;
        let revision = table.revision;
        if let Some(record) = table.records.get_mut(key) {
            record.revision = revision;
        }
        self.0.changed.send_replace(revision);
    }

    fn spawn(&self, key: &ActionKey, begin: Begin) {
        let table = self.table();
        let Some(record) = table.records.get(key) else { return };
        let task = Task {
            hypervisor: self.0.hypervisor.clone(),
            actions: self.clone(),
            key: key.clone(),
            begin,
            deadline: record.accepted + record.order.deadline.min(LONGEST),
            autostart: record.autostart,
            stall: record.order.stall.min(LONGEST),
            cancelled: record.cancelled.subscribe(),
        };
        let order = record.order.clone();
        drop(table);
        let stop = self.0.stop.clone();
        // What was begun goes on in the hypervisor; only its supervision ends here.
        tokio::spawn(async move { stop.run_until_cancelled(run(task, order)).await });
    }

    fn update(&self, key: &ActionKey, change: impl FnOnce(&mut Progress)) {
        let mut table = self.table();
        let Some(record) = table.records.get_mut(key) else { return };
        let before = record.progress.clone();
        change(&mut record.progress);
        if record.progress == before {
            return;
        }
        record.progress.elapsed = record.accepted.elapsed();
        let progress = record.progress.clone();
        if progress.state.is_terminal()
            && let Err(error) = table.journal.end(key, &progress)
        {
            tracing::error!(%error, "after a restart the outcome will be looked for again");
        }
        self.touch(&mut table, key);
    }
}

/// How an action comes to its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Nothing has been done yet.
    Fresh,
    /// The agent was restarted: it may have been begun, be under way, or be over.
    Adopted,
}

/// What the task of an action works with.
pub(super) struct Task {
    pub(super) hypervisor: Arc<dyn Hypervisor>,
    pub(super) begin: Begin,
    pub(super) deadline: Instant,
    pub(super) stall: Duration,
    /// The VM starts with its host, as was noted before a restart.
    pub(super) autostart: bool,
    pub(super) cancelled: watch::Receiver<bool>,
    key: ActionKey,
    actions: Actions,
}

impl Task {
    /// Changes what is known, and lets it be reported.
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.actions.update(&self.key, change);
    }

    /// Notes, durably, that the VM starts with its host.
    pub(super) fn note_autostart(&self) -> Result<(), Failure> {
        self.actions.table().journal.note_autostart(&self.key).map_err(|error| {
            let message = format!("not begun, as what its VM is to keep cannot be journalled: {error}");
            Failure::new(Reason::HypervisorError, message)
        })
    }

    /// Ends the action.
    pub(super) fn end(&self, state: State, failure: Option<Failure>) {
        let (plan, action) = (&self.key.plan_id, self.key.action_id);
        match &failure {
            Some(failure) if failure.reason == Reason::Alarm => {
                tracing::error!(plan, action, "an operator must look: {failure}");
            }
            Some(failure) => tracing::warn!(plan, action, ?state, reason = ?failure.reason, "{failure}"),
            None => tracing::info!(plan, action, ?state, "action ended"),
        }
        self.update(|progress| *progress = progress.ended(state, failure));
    }

    /// Nothing is certain for now, and it is tried further.
    pub(super) fn uncertain(&self, reason: Reason, message: String) {
        self.update(|progress| {
            *progress = progress.ended(State::Uncertain, Some(Failure::new(reason, message)));
        });
    }
}

async fn run(task: Task, order: Order) {
    let vm = VmKey { name: order.vm, uuid: order.vm_uuid };
    match order.work {
        Work::Migrate { destination, destination_uri, bandwidth_mib_s, auto_converge, post_copy } => {
            let bandwidth_mib_s = bandwidth_mib_s.max(1);
            let autostart = task.autostart;
            let order = MigrationOrder {
                vm,
                destination,
                destination_uri,
                bandwidth_mib_s,
                auto_converge,
                post_copy,
                autostart,
            };
            migrate::run(task, order).await;
        }
        Work::Start { definition } => start::run(task, StartOrder { vm, definition }).await,
        // Refused when it came.
        Work::Unknown => {}
    }
}

/// The UUID of an order's VM. Without one in the order it is that of the VM seen here; a start may do without.
fn identify(order: &Order, seen: &Seen) -> Result<String, Failure> {
    let seen = seen.borrow().clone();
    let here = seen.as_ref().and_then(|sample| sample.vms.get(&order.vm));
    let not_here = |why: String| Err(Failure::new(Reason::VmNotHere, why));
    match here {
        Some(vm) if !order.vm_uuid.is_empty() && vm.key.uuid != order.vm_uuid => not_here(format!(
            "VM {} has UUID {} on this host, the order is about {}",
            order.vm, vm.key.uuid, order.vm_uuid
        )),
        Some(vm) => Ok(vm.key.uuid.clone()),
        None if order.vm_uuid.is_empty() && matches!(order.work, Work::Migrate { .. }) => {
            not_here(format!("VM {} is not on this host", order.vm))
        }
        // It may have come since the last look; the hypervisor will say.
        None => Ok(order.vm_uuid.clone()),
    }
}

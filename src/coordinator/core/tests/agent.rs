//! A hypervisor and its agent, as agents behave: what is ordered is written down first and done once, outcomes are
//! told until they are acknowledged, older epochs are refused.

use crate::record::{
    ActionKey, ActionProgress, Capacity, FailureReason, Hello, Order, OrderKind, ProgressState, VmReport,
    VmState,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A VM as it really is.
#[derive(Debug, Clone)]
pub(super) struct SimVm {
    pub(super) cpu: i64,
    pub(super) memory: i64,
    /// `None` = down.
    pub(super) host: Option<String>,
}

/// An action at its agent.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) vm: String,
    pub(super) kind: OrderKind,
    pub(super) progress: ActionProgress,
    /// It will fail.
    pub(super) fails: bool,
}

#[derive(Debug)]
pub(super) struct SimHost {
    pub(super) name: String,
    pub(super) capacity: Capacity,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) boot: u32,
    pub(super) up: bool,
    /// Its session stands, and it reports nothing by itself.
    pub(super) silent: bool,
    /// Epoch of the session.
    pub(super) session: Option<u64>,
    pub(super) seen_epoch: u64,
    /// The coordinator that it has a session with, or tries first.
    pub(super) member: String,
    /// It knows no other one.
    pub(super) faithful: bool,
    pub(super) journal: BTreeMap<ActionKey, Act>,
    /// What the coordinator was told of VMs in this session.
    pub(super) told: BTreeMap<String, VmReport>,
    /// When its next order and its next report arrive at the earliest: a stream keeps its order.
    pub(super) orders_at: Duration,
    pub(super) reports_at: Duration,
}

impl SimHost {
    pub(super) fn new(name: &str, cpu: i64, memory: i64) -> Self {
        let capacity = Capacity { cpu_millicores: cpu, memory_mib: memory, ..Capacity::default() };
        Self {
            name: name.to_owned(),
            capacity,
            labels: BTreeMap::new(),
            boot: 1,
            up: true,
            silent: false,
            session: None,
            seen_epoch: 0,
            member: String::new(),
            faithful: false,
            journal: BTreeMap::new(),
            told: BTreeMap::new(),
            orders_at: Duration::ZERO,
            reports_at: Duration::ZERO,
        }
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            host: self.name.clone(),
            boot_id: self.boot.to_string(),
            epoch: self.seen_epoch,
            capacity: self.capacity.clone(),
            labels: self.labels.clone(),
            migration_uri: format!("sim://{}", self.name),
            ..Hello::default()
        }
    }

    pub(super) fn running(&self) -> impl Iterator<Item = (&ActionKey, &Act)> {
        self.journal.iter().filter(|(_, act)| !act.progress.state.is_terminal())
    }
}

/// An order arrives; the progress to be told, if any.
pub(super) fn take(
    host: &mut SimHost,
    vms: &BTreeMap<String, SimVm>,
    epoch: u64,
    order: Order,
    fails: bool,
) -> Option<ActionProgress> {
    match order {
        Order::Execute { key, vm, kind, .. } => {
            if let Some(act) = host.journal.get(&key) {
                return Some(act.progress.clone());
            }
            let refusal = if epoch < host.seen_epoch {
                Some(FailureReason::StaleEpoch)
            } else if host.running().any(|(_, act)| act.vm == vm) {
                Some(FailureReason::VmBusy)
            } else if matches!(kind, OrderKind::Migrate { .. })
                && vms.get(&vm).and_then(|vm| vm.host.as_deref()) != Some(&host.name)
            {
                Some(FailureReason::VmNotHere)
            } else {
                None
            };
            let state = if refusal.is_some() { ProgressState::Refused } else { ProgressState::Running };
            let message = if refusal.is_some() { "refused" } else { "" }.to_owned();
            let progress = ActionProgress {
                key: key.clone(),
                state,
                vm: vm.clone(),
                reason: refusal,
                message,
                ..Default::default()
            };
            let act = Act { vm, kind, progress: progress.clone(), fails };
            host.journal.insert(key, act);
            Some(progress)
        }
        Order::Cancel(key) => {
            let act = host.journal.get_mut(&key).filter(|act| !act.progress.state.is_terminal())?;
            end(act, ProgressState::Failed, Some(FailureReason::Cancelled));
            Some(act.progress.clone())
        }
        Order::Acknowledge(keys) => {
            for key in keys {
                if host.journal.get(&key).is_some_and(|act| act.progress.state.is_terminal()) {
                    host.journal.remove(&key);
                }
            }
            None
        }
        Order::Resync(_) | Order::GoAway { .. } => None,
    }
}

pub(super) fn end(act: &mut Act, state: ProgressState, reason: Option<FailureReason>) {
    (act.progress.state, act.progress.reason) = (state, reason);
    act.progress.message = reason.map(|reason| format!("it ended with {reason:?}")).unwrap_or_default();
}

pub(super) fn report(name: &str, vm: &SimVm, state: VmState) -> VmReport {
    VmReport {
        name: name.to_owned(),
        uuid: format!("uuid-{name}"),
        state,
        vcpus: 1,
        cpu_millicores: if state == VmState::MigratingIn { 0 } else { vm.cpu },
        memory_mib: vm.memory,
        memory_max_mib: vm.memory,
        definition: "<domain/>".to_owned(),
        ..VmReport::default()
    }
}

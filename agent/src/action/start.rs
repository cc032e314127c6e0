//! The task of a start.

use super::State;
use super::table::{Begin, Task};
use crate::hypervisor::{Failure, Reason, StartOrder, VmState};
use std::time::Duration;

/// Time for the hypervisor to say what is on the host, after a restart of the agent.
const FIRST_LOOK: Duration = Duration::from_mins(1);

pub(super) async fn run(task: Task, order: StartOrder) {
    if task.begin == Begin::Adopted {
        return adopt(&task, &order).await;
    }
    if *task.cancelled.borrow() {
        let failure = Failure::new(Reason::Cancelled, "cancelled before it was begun");
        return task.end(State::Refused, Some(failure));
    }
    tracing::info!(vm = order.vm.name, "starting");
    task.update(|progress| progress.state = State::Running);
    match task.hypervisor.start(order).await {
        Ok(()) => task.end(State::Done, None),
        Err(failure) => task.end(State::Failed, Some(failure)),
    }
}

/// A start is never repeated by itself: meanwhile the VM may have been started elsewhere.
async fn adopt(task: &Task, order: &StartOrder) {
    let mut seen = task.seen.clone();
    let first = tokio::time::timeout(FIRST_LOOK, seen.wait_for(Option::is_some)).await;
    let sample = first.ok().and_then(Result::ok).and_then(|sample| sample.clone());
    let running = sample.is_some_and(|sample| {
        let vm = sample.vms.get(&order.vm.name);
        vm.is_some_and(|vm| matches!(vm.state, VmState::Running | VmState::Paused | VmState::MigratingOut))
    });
    if running {
        return task.end(State::Done, None);
    }
    let message = format!("the agent was restarted, and VM {} does not run here", order.vm.name);
    task.end(State::Failed, Some(Failure::new(Reason::HypervisorError, message)));
}

//! The task of a start: call, look where the VM is, settle.

use super::State;
use super::table::{Begin, Task};
use crate::hypervisor::{Effect, End, Failure, Reason, StartOrder, VmKey};
use std::time::Duration;

/// Between two looks; doubled up to the latter.
const LOOK: Duration = Duration::from_millis(300);
const LOOK_MOST: Duration = Duration::from_secs(5);
/// Looks, over more than 2 s, that must agree that a VM is off whose start nobody saw fail: a daemon shows it
/// as off until its QEMU is begun.
const UNSEEN_LOOKS: u32 = 4;

pub(super) async fn run(task: Task, order: StartOrder) {
    let vm = order.vm.clone();
    // A start is never repeated by itself: meanwhile the VM may have been started elsewhere.
    if task.begin == Begin::Adopted {
        let message = format!("the agent was restarted, and VM {} does not run here", vm.name);
        let failure = Failure::new(Reason::HypervisorError, message).lost();
        return conclude(&task, &vm, failure).await;
    }
    if *task.cancelled.borrow() {
        let failure = Failure::new(Reason::Cancelled, "cancelled before it was begun");
        return task.end(State::Refused, Some(failure));
    }
    tracing::info!(vm = vm.name, "starting");
    task.update(|progress| progress.state = State::Running);
    match task.hypervisor.start(order).await {
        Ok(()) => task.end(State::Done, None),
        Err(failure) if nothing_came_of(&failure) => task.end(State::Failed, Some(failure)),
        Err(failure) => conclude(&task, &vm, failure).await,
    }
}

/// Nothing was asked for, or it was refused before: then what runs here may be another VM.
fn nothing_came_of(failure: &Failure) -> bool {
    let refused = matches!(failure.reason, Reason::NameClash | Reason::VmNotHere | Reason::Limit);
    failure.effect == Effect::Unasked || (refused && !failure.is_lost())
}

/// Looks until the VM runs here, or surely does not: one that is called failed is started elsewhere.
async fn conclude(task: &Task, vm: &VmKey, failure: Failure) {
    let needed = if failure.is_lost() { UNSEEN_LOOKS } else { 1 };
    let (mut pause, mut agreed) = (LOOK, 0);
    loop {
        let here = task.hypervisor.look_here(vm.clone()).await;
        let off = matches!(here.end, End::Absent | End::Off | End::Crashed) && !here.starting;
        agreed = if off { agreed + 1 } else { 0 };
        match here.end {
            End::Running | End::RunningPostcopy => return task.end(State::Done, None),
            End::Paused | End::PausedPostcopy if failure.is_lost() => return task.end(State::Done, None),
            // It was refused because it is here like that.
            End::Paused | End::PausedPostcopy => return task.end(State::Failed, Some(failure)),
            _ if agreed >= needed => return task.end(State::Failed, Some(failure)),
            _ => {}
        }
        let why = match here.end {
            End::Unreachable(why) => format!("this host's hypervisor: {why}"),
            _ if off => failure.message.clone(),
            _ => "its start is under way".to_owned(),
        };
        let message = format!("whether {} comes to run here cannot be told yet: {why}", vm.name);
        task.uncertain(Reason::HypervisorError, message);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MOST);
    }
}

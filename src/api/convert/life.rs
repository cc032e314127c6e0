//! Plans with their lives, and requests for them.

use super::forecast::{forecast_to_wire, outcome_to_wire, plan_forecast_to_wire};
use super::{Faults, goal_from_wire, limits_from_wire, plan_to_wire, problem_to_wire};
use crate::api::error::{ApiError, Violation};
use crate::record::{
    ActionProgress, ActionState, ActionStatus, FailureReason, Mode, Pace, PlanRecord, PlanRequest, PlanState,
    ProgressState,
};
use dvms_proto::v1 as pb;

/// How much of a plan's record is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All but the problem.
    Basic,
    /// With the problem that was solved.
    Full,
}

/// The wire form of a plan's record.
///
/// # Errors
/// INTERNAL: the problem that was solved has no wire form.
pub fn record_to_wire(record: &PlanRecord, detail: Detail) -> Result<pb::PlanRecord, ApiError> {
    let problem = match &record.problem {
        Some(problem) if detail == Detail::Full => Some(problem_to_wire(problem).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(|v| format!("{}: {}", v.field, v.message)).collect();
            ApiError::internal(format!(
                "plan {}: its problem has no wire form: {}",
                record.id,
                faults.join("; ")
            ))
        })?),
        _ => None,
    };
    let mode = match record.mode {
        Mode::Observe => pb::plan_record::Mode::Observe,
        Mode::Recommend => pb::plan_record::Mode::Recommend,
        Mode::Approve => pb::plan_record::Mode::Approve,
        Mode::Auto => pb::plan_record::Mode::Auto,
    };
    Ok(pb::PlanRecord {
        id: record.id.clone(),
        state: state_to_wire(record.state).into(),
        mode: mode.into(),
        trigger: record.trigger.clone(),
        purpose: record.purpose.clone(),
        event_ids: record.event_ids.clone(),
        hosts: record.hosts.clone(),
        problem,
        plan: record.plan.as_deref().map(plan_to_wire),
        actions: record.actions.iter().map(|status| status_to_wire(status, &record.id)).collect(),
        created: Some(record.created.into()),
        solved: record.solved.map(Into::into),
        started: record.started.map(Into::into),
        ended: record.ended.map(Into::into),
        message: record.message.clone(),
        successor: record.successor.clone(),
        revision: record.revision,
        forecast: plan_forecast_to_wire(record),
        paused: record.paused.clone(),
        scheduled: record.scheduled,
        waits_for: record.waits_for.clone(),
        pace: pace_to_wire(record.pace),
    })
}

pub(super) fn state_to_wire(state: PlanState) -> pb::plan_record::State {
    use pb::plan_record::State as Wire;
    match state {
        PlanState::Queued => Wire::Queued,
        PlanState::Solving => Wire::Solving,
        PlanState::Proposed => Wire::Proposed,
        PlanState::Executing => Wire::Executing,
        PlanState::Succeeded => Wire::Succeeded,
        PlanState::Failed => Wire::Failed,
        PlanState::Cancelled => Wire::Cancelled,
        PlanState::Blocked => Wire::Blocked,
    }
}

pub(super) fn status_to_wire(status: &ActionStatus, plan_id: &str) -> pb::ActionStatus {
    use pb::action_status::State as Wire;
    let state = match status.state {
        ActionState::Waiting => Wire::Waiting,
        ActionState::Sent => Wire::Sent,
        ActionState::Running => Wire::Running,
        ActionState::Done => Wire::Done,
        ActionState::Failed => Wire::Failed,
        ActionState::Skipped => Wire::Skipped,
        ActionState::Uncertain => Wire::Uncertain,
    };
    pb::ActionStatus {
        action_id: status.action_id,
        state: state.into(),
        progress: status.progress.as_ref().map(|progress| progress_to_wire(progress, plan_id)),
        started: status.started.map(Into::into),
        ended: status.ended.map(Into::into),
        message: status.message.clone(),
        forecast: status.forecast.as_ref().map(forecast_to_wire),
        outcome: outcome_to_wire(status),
    }
}

fn progress_to_wire(progress: &ActionProgress, plan_id: &str) -> pb::ActionProgress {
    use pb::action_progress::State as Wire;
    let state = match progress.state {
        ProgressState::Accepted => Wire::Accepted,
        ProgressState::Running => Wire::Running,
        ProgressState::Done => Wire::Done,
        ProgressState::Failed => Wire::Failed,
        ProgressState::Refused => Wire::Refused,
        ProgressState::Uncertain => Wire::Uncertain,
    };
    let plan_id = if progress.key.plan_id.is_empty() { plan_id } else { &progress.key.plan_id };
    pb::ActionProgress {
        plan_id: plan_id.to_owned(),
        action_id: progress.key.action_id,
        state: state.into(),
        vm: progress.vm.clone(),
        message: progress.message.clone(),
        reason: progress.reason.map_or(pb::action_progress::Reason::Unspecified, failure_to_wire).into(),
        bytes_processed: progress.bytes_processed,
        bytes_remaining: progress.bytes_remaining,
        elapsed_s: progress.elapsed_s,
        downtime_ms: progress.downtime_ms,
        bandwidth_mib_s: progress.bandwidth_mib_s,
    }
}

pub(super) fn failure_to_wire(reason: FailureReason) -> pb::action_progress::Reason {
    use pb::action_progress::Reason as Wire;
    match reason {
        FailureReason::StaleEpoch => Wire::StaleEpoch,
        FailureReason::VmNotHere => Wire::VmNotHere,
        FailureReason::VmBusy => Wire::VmBusy,
        FailureReason::DestinationUnreachable => Wire::DestinationUnreachable,
        FailureReason::NameClash => Wire::NameClash,
        FailureReason::Stalled => Wire::Stalled,
        FailureReason::Deadline => Wire::Deadline,
        FailureReason::Cancelled => Wire::Cancelled,
        FailureReason::HypervisorError => Wire::HypervisorError,
        FailureReason::NotSupported => Wire::NotSupported,
        FailureReason::VmEnded => Wire::VmEnded,
        FailureReason::Alarm => Wire::Alarm,
        FailureReason::Limit => Wire::Limit,
    }
}

/// A request for a plan.
///
/// # Errors
/// A violation for each field that cannot be used. What goal and limits may be
/// is judged by the solver, whether the hosts exist by the coordinator.
pub fn request_from_wire(request: pb::CreatePlanRequest) -> Result<PlanRequest, Vec<Violation>> {
    let mut faults = Faults::new();
    let objective = goal_from_wire(request.objective, "objective").unwrap_or_else(|found| {
        faults.extend(found);
        String::new()
    });
    let mode = mode_from_wire(request.mode).unwrap_or_else(|| {
        faults.push(Violation::new("mode", "must be one of the named values"));
        None
    });
    for (i, host) in request.hosts.iter().enumerate() {
        if host.is_empty() {
            faults.push(Violation::new(format!("hosts[{i}]"), "must not be empty"));
        } else if request.hosts[..i].contains(host) {
            faults.push(Violation::new(format!("hosts[{i}]"), format!("{host:?} is named twice")));
        }
    }
    let pace = read_pace(request.pace.unwrap_or_default(), &mut faults);
    let result = PlanRequest {
        request_id: request.request_id,
        objective,
        hosts: request.hosts,
        mode,
        limits: request.limits.map(limits_from_wire),
        pace,
        validate_only: request.validate_only,
    };
    if faults.is_empty() { Ok(result) } else { Err(faults) }
}

/// What a plan may use at once.
///
/// # Errors
/// Each limit that is none.
pub fn pace_from_wire(pace: Option<pb::Pace>) -> Result<Pace, Vec<Violation>> {
    let mut faults = Faults::new();
    let pace = read_pace(pace.unwrap_or_default(), &mut faults);
    if faults.is_empty() { Ok(pace) } else { Err(faults) }
}

fn read_pace(pace: pb::Pace, faults: &mut Faults) -> Pace {
    let max_concurrent = pace.max_concurrent.map(|most| u32::try_from(most).unwrap_or(0));
    if max_concurrent == Some(0) {
        faults.push(Violation::new("pace.max_concurrent", "must be at least 1; leave it out for no limit"));
    }
    if pace.bandwidth_mib_s.is_some_and(|rate| !(1.0..=1e9).contains(&rate)) {
        faults
            .push(Violation::new("pace.bandwidth_mib_s", "must be from 1 to 1e9; leave it out for no limit"));
    }
    Pace { max_concurrent, bandwidth_mib_s: pace.bandwidth_mib_s }
}

fn pace_to_wire(pace: Pace) -> Option<pb::Pace> {
    let max_concurrent = pace.max_concurrent.map(|most| i32::try_from(most).unwrap_or(i32::MAX));
    (pace != Pace::default()).then_some(pb::Pace { max_concurrent, bandwidth_mib_s: pace.bandwidth_mib_s })
}

/// The outer `None` = the number has no name, the inner one = not given.
#[allow(clippy::option_option, reason = "two different absences")]
pub(super) fn mode_from_wire(number: i32) -> Option<Option<Mode>> {
    use pb::plan_record::Mode as Wire;
    Some(match Wire::try_from(number).ok()? {
        Wire::Unspecified => None,
        Wire::Observe => Some(Mode::Observe),
        Wire::Recommend => Some(Mode::Recommend),
        Wire::Approve => Some(Mode::Approve),
        Wire::Auto => Some(Mode::Auto),
    })
}

//! `dvms plans create`.

use super::{Create, told, watch};
use crate::cli::client::{Server, call};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::solve::Goal;
use dvms_proto::v1::plan_record::Mode as WireMode;
use dvms_proto::v1::problem::{Goal as WireGoal, Limits};
use dvms_proto::v1::{CreatePlanRequest, Pace, PlanRecord};
use std::time::Duration;
use tonic::Request;

/// For a solve whose limit is the server's: longer than any that may be set there.
const LONGEST_SOLVE: Duration = Duration::from_secs(700);

/// What happens to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mode {
    /// Solve and record; never executed
    Observe,
    /// Shown as a recommendation that can be approved
    Recommend,
    /// Waits for approval
    Approve,
    /// Executed at once
    Auto,
}

pub(super) async fn create(server: &Server, create: &Create, output: Output) -> Result<Exit, Failure> {
    let request = request(create);
    let request = if create.dry_run {
        // Answered when it is solved.
        let solve = create.time_limit.and_then(|limit| Duration::try_from_secs_f64(limit).ok());
        let mut request = Request::new(request);
        request.set_timeout(solve.map_or(LONGEST_SOLVE, |solve| solve + Duration::from_secs(30)));
        request
    } else {
        call(request)
    };
    let answer = server.plans().create_plan(request).await.map_err(|status| server.failure(&status))?;
    let record = answer.into_inner();
    if create.dry_run {
        super::show(&record, output)?;
        return super::follow::outcome(&record);
    }
    if create.wait {
        return watch(server, &record.id, output, true).await;
    }
    told(&record, output)?;
    if !output.is_json() && record.plan.is_none() {
        output.line(&format!("Follow it with: dvms plans watch {}", record.id))?;
    }
    Ok(Exit::Success)
}

fn request(create: &Create) -> CreatePlanRequest {
    let goal = match create.objective {
        Goal::Repair => WireGoal::Repair,
        Goal::Consolidate => WireGoal::Consolidate,
        Goal::Balance => WireGoal::Balance,
        Goal::Power => WireGoal::Power,
    };
    let mode = create.mode.map_or(WireMode::Unspecified, |mode| match mode {
        Mode::Observe => WireMode::Observe,
        Mode::Recommend => WireMode::Recommend,
        Mode::Approve => WireMode::Approve,
        Mode::Auto => WireMode::Auto,
    });
    let limited = create.time_limit.is_some() || create.max_migrations.is_some();
    let limits = Limits {
        time_limit_s: create.time_limit,
        max_migrations: create.max_migrations,
        ..Limits::default()
    };
    let paced = create.max_concurrent.is_some() || create.bandwidth.is_some();
    let pace = Pace { max_concurrent: create.max_concurrent, bandwidth_mib_s: create.bandwidth };
    CreatePlanRequest {
        pace: paced.then_some(pace),
        request_id: create.request_id.clone(),
        objective: goal.into(),
        hosts: create.hosts.clone(),
        mode: mode.into(),
        limits: limited.then_some(limits),
        validate_only: create.dry_run,
    }
}

/// The plan of a record in its file form.
pub(super) fn plan_of(record: &PlanRecord) -> Result<Option<dvms_solver::file::Plan>, Failure> {
    let Some(plan) = record.plan.clone() else { return Ok(None) };
    crate::api::convert::plan_from_wire(plan).map(Some).map_err(|faults| {
        let fault = faults.first().map(|fault| format!("{}: {}", fault.field, fault.message));
        Failure::new(format!(
            "the server sent a plan that this version cannot read: {}. Use --output json, or the dvms of the \
             server's version",
            fault.unwrap_or_default()
        ))
    })
}

//! Plans over time, and what their migrations take: no solve.

use super::questions::given;
use super::{judged, rejected};
use crate::api::convert::{forecasts_to_wire, plan_from_wire, timeline_to_wire};
use crate::api::error::{ApiError, Violation};
use crate::solving::usual;
use dvms_proto::v1 as pb;
use dvms_solver::file::{self, Plan};
use dvms_solver::migration::course::{steps, totals};
use dvms_solver::migration::{Calibration, Policy, forecast};
use dvms_solver::timeline::Timeline;
use tonic::Request;

pub(super) async fn timeline(
    request: Request<pb::TimelineRequest>,
) -> Result<pb::TimelineResponse, ApiError> {
    let pb::TimelineRequest { problem, plan } = request.into_inner();
    judged(move || Ok(timeline_to_wire(&drawn(problem, plan)?.2))).await
}

pub(super) async fn forecasts(
    request: Request<pb::ForecastRequest>,
) -> Result<pb::ForecastResponse, ApiError> {
    let request = request.into_inner();
    let (policy, calibration) = known(&request)?;
    judged(move || {
        let (problem, plan, _) = drawn(request.problem, request.plan)?;
        let steps =
            steps(&problem, &plan, |_, workload, path| forecast(workload, path, &policy, &calibration));
        let totals = totals(&plan, steps.iter().map(|step| (step.id, &step.forecast)));
        Ok(forecasts_to_wire(&steps, &totals))
    })
    .await
}

/// A problem and a plan that can be drawn for it.
fn drawn(
    problem: Option<pb::Problem>,
    plan: Option<pb::Plan>,
) -> Result<(file::Problem, Plan, Timeline), ApiError> {
    let problem = given(problem)?;
    let model = dvms_solver::Problem::new(&problem).map_err(|found| rejected(found).below("problem"))?;
    let plan = plan.ok_or_else(|| ApiError::invalid_field("plan", "must be given"))?;
    let below = |found: Vec<Violation>| found.into_iter().map(|fault| fault.below("plan")).collect();
    let plan = plan_from_wire(plan).map_err(|found| ApiError::invalid(below(found)))?;
    let timeline = Timeline::new(&model, &plan, None).map_err(|found| rejected(found).below("plan"))?;
    Ok((problem, plan, timeline))
}

/// What a request says of migrations; the rest is as usual.
fn known(request: &pb::ForecastRequest) -> Result<(Policy, Calibration), ApiError> {
    let mut faults = Vec::new();
    let mut within = |name: &str, value: Option<f64>, usual: f64, least: f64, most: f64| {
        let value = value.unwrap_or(usual);
        if !(least..=most).contains(&value) {
            faults.push(Violation::new(name, format!("must be from {least} to {most}, is {value}")));
        }
        value
    };
    let kvm = Calibration::KVM;
    let efficiency = within("efficiency", request.efficiency, kvm.efficiency, 1e-6, 10.0);
    let setup_s = within("setup_s", request.setup_s, kvm.setup_s, 0.0, 3600.0);
    let usual = usual();
    let downtime_limit_s =
        within("downtime_limit_s", request.downtime_limit_s, usual.downtime_limit_s, 0.0, 3600.0);
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    let policy =
        Policy { auto_converge: !request.no_auto_converge, post_copy: request.post_copy, downtime_limit_s };
    Ok((policy, Calibration { efficiency, setup_s, ..kvm }))
}

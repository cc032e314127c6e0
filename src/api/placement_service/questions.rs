//! Why, what if, how many more: answers about a problem that is not solved as it is, or not only.

use super::wishes::Wishes;
use super::{Placement, judged, rejected};
use crate::api::convert::{
    edits_from_wire, explanation_to_wire, fit_to_wire, plan_from_wire, plan_to_wire, problem_from_wire,
    problem_to_wire, vm_from_wire,
};
use crate::api::deadline::Deadline;
use crate::api::error::{ApiError, Violation};
use dvms_proto::v1 as pb;
use dvms_solver::Rejected;
use dvms_solver::check;
use dvms_solver::explain::{Unexplained, explain, solved};
use dvms_solver::file;
use dvms_solver::fit::{Unfit, Wish, fit};
use dvms_solver::whatif::{self, Differing, Edit, differing, edit};
use tonic::Request;

/// Solves of a what-if: before and after.
const BEFORE_AND_AFTER: u32 = 2;
/// Solves of an explanation: as it is, and with the VM where it is asked for.
const AS_IT_IS_AND_AS_ASKED: u32 = 2;
/// Solves of one count of what fits.
const EACH_FIT: u32 = 2;
/// VMs and hosts that one question adds.
const MOST_ADDED: u64 = 100_000;

pub(super) async fn explained(
    service: &Placement,
    request: Request<pb::ExplainRequest>,
) -> Result<pb::ExplainResponse, ApiError> {
    let deadline = Deadline::of(&request);
    let wishes = Wishes::of(request.metadata())?;
    let pb::ExplainRequest { problem, vm, host, solve } = request.into_inner();
    let (problem, explanation) = judged(move || {
        let problem = given(problem)?;
        let to = Some(host.as_str()).filter(|host| !host.is_empty());
        let explanation = explain(&problem, &vm, to).map_err(unexplained)?;
        Ok((problem, explanation))
    })
    .await?;
    if !solve {
        return Ok(explanation_to_wire(explanation));
    }
    let permit = service.permit()?;
    let most = if explanation.changes.is_some() { AS_IT_IS_AND_AS_ASKED } else { 1 };
    let solves = service.solves(&problem, wishes, deadline, most);
    let answer = solves.answer(service.stopping.clone(), permit, move |solve| {
        let found = solved(&problem, &explanation, &mut |problem, _| solve(problem))?;
        Ok((explanation, found))
    });
    let (explanation, found) = answer.await?.map_err(unexplained)?;
    let asked = found.asked.map(|asked| pb::explain_response::Asked {
        rule: asked.rule,
        changed: asked.changed,
        plan: Some(plan_to_wire(&asked.plan)),
    });
    let plan = Some(plan_to_wire(&found.plan));
    Ok(pb::ExplainResponse { plan, asked, ..explanation_to_wire(explanation) })
}

fn unexplained(error: Unexplained) -> ApiError {
    match error {
        Unexplained::Rejected(found) => rejected(found).below("problem"),
        Unexplained::NoVm(_) => ApiError::invalid_field("vm", error.to_string()),
        Unexplained::NoHost(_) => ApiError::invalid_field("host", error.to_string()),
    }
}

pub(super) async fn compared(
    service: &Placement,
    request: Request<pb::WhatIfRequest>,
) -> Result<pb::WhatIfResponse, ApiError> {
    let deadline = Deadline::of(&request);
    let wishes = Wishes::of(request.metadata())?;
    let pb::WhatIfRequest { problem, edits, plan, with } = request.into_inner();
    let (problem, compared, with, edited, wire) = judged(move || {
        let problem = valid(problem)?;
        if edits.is_empty() && plan.is_none() {
            return Err(ApiError::invalid_field("edits", "there must be one at least, or a plan"));
        }
        let edits = edits_from_wire(edits).map_err(ApiError::invalid)?;
        if with.is_some() && (plan.is_none() || !edits.is_empty()) {
            let message = "is compared with `plan`, both of the problem as it is: give that, and no edits";
            return Err(ApiError::invalid_field("with", message));
        }
        let compared = plan.map(|plan| given_plan(&problem, plan, "plan")).transpose()?;
        let with = with.map(|plan| given_plan(&problem, plan, "with")).transpose()?;
        let edited = edited(&problem, &edits)?;
        // It was read from the wire, so that it has no name that the wire does not know.
        let wire = problem_to_wire(&edited).map_err(ApiError::invalid)?;
        Ok((problem, compared, with, edited, wire))
    })
    .await?;
    if let (Some(before), Some(after)) = (&compared, &with) {
        return Ok(side_by_side(wire, before, after));
    }
    let permit = service.permit()?;
    let most = if compared.is_some() { 1 } else { BEFORE_AND_AFTER };
    let solves = service.solves(&problem, wishes, deadline, most);
    let both = solves.answer(service.stopping.clone(), permit, move |solve| {
        let before = compared.map_or_else(|| solve(&problem), Ok)?;
        Ok::<_, Rejected>((before, solve(&edited)?))
    });
    let (before, after) = both.await?.map_err(rejected)?;
    Ok(side_by_side(wire, &before, &after))
}

fn side_by_side(problem: pb::Problem, before: &file::Plan, after: &file::Plan) -> pb::WhatIfResponse {
    let told = |differing: Differing| pb::what_if_response::Differing {
        vm: differing.vm,
        before: differing.before.unwrap_or_default(),
        after: differing.after.unwrap_or_default(),
    };
    pb::WhatIfResponse {
        problem: Some(problem),
        differing: differing(before, after).into_iter().map(told).collect(),
        before: Some(plan_to_wire(before)),
        after: Some(plan_to_wire(after)),
    }
}

pub(super) async fn fitted(
    service: &Placement,
    request: Request<pb::FitRequest>,
) -> Result<pb::FitResponse, ApiError> {
    let deadline = Deadline::of(&request);
    let wishes = Wishes::of(request.metadata())?;
    let pb::FitRequest { problem, vm, spread, hosts, moves } = request.into_inner();
    let problem = judged(move || valid(problem)).await?;
    let vm = vm.map(vm_from_wire).ok_or_else(|| ApiError::invalid_field("vm", "must be given"))?;
    let wish = Wish { vm, spread: spread.map(|spread| (spread.scope, spread.max)), hosts };
    let permit = service.permit()?;
    let most = if moves.is_some() { 2 * EACH_FIT } else { EACH_FIT };
    let solves = service.solves(&problem, wishes, deadline, most);
    let vms = problem.vms.len();
    let answer = solves.answer(service.stopping.clone(), permit, move |solve| {
        fit(&problem, &wish, moves.map(u64::from), solve)
    });
    answer.await?.map(fit_to_wire).map_err(|error| unfit(&error, vms))
}

/// A problem of a request, in its form only.
pub(super) fn given(problem: Option<pb::Problem>) -> Result<file::Problem, ApiError> {
    let problem = problem.ok_or_else(|| ApiError::invalid_field("problem", "must be given"))?;
    let below = |found: Vec<Violation>| found.into_iter().map(|fault| fault.below("problem")).collect();
    problem_from_wire(problem).map_err(|found| ApiError::invalid(below(found)))
}

fn valid(problem: Option<pb::Problem>) -> Result<file::Problem, ApiError> {
    let problem = given(problem)?;
    dvms_solver::Problem::new(&problem).map_err(|found| rejected(found).below("problem"))?;
    Ok(problem)
}

/// A plan of a request, judged; `field` is where it stands.
fn given_plan(problem: &file::Problem, plan: pb::Plan, field: &str) -> Result<file::Plan, ApiError> {
    let below = |found: Vec<Violation>| found.into_iter().map(|fault| fault.below(field)).collect();
    let plan = plan_from_wire(plan).map_err(|found| ApiError::invalid(below(found)))?;
    whatif::given(problem, &plan).map_err(|found| {
        let fault = |violation: check::Violation| Violation::new(violation.subject, violation.message);
        ApiError::invalid(below(found.into_iter().map(fault).collect()))
    })
}

/// The problem with all edits made.
fn edited(problem: &file::Problem, edits: &[Edit]) -> Result<file::Problem, ApiError> {
    let place = |i: usize| format!("edits[{i}]");
    let mut added = 0;
    let mut edited = problem.clone();
    for (i, change) in edits.iter().enumerate() {
        if let Edit::AddHosts { count, .. } | Edit::AddVms { count, .. } = change {
            added += u64::from(*count);
            if added > MOST_ADDED {
                let message = format!("all edits together add at most {MOST_ADDED} hosts and VMs");
                return Err(ApiError::invalid_field(place(i), message));
            }
        }
        edit(&mut edited, change)
            .map_err(|refused| ApiError::invalid_field(place(i), refused.to_string()))?;
    }
    if dvms_solver::Problem::new(&edited).is_ok() {
        return Ok(edited);
    }
    // The first after which it is no problem is to blame.
    let mut edited = problem.clone();
    for (i, change) in edits.iter().enumerate() {
        let _ = edit(&mut edited, change);
        let Err(found) = dvms_solver::Problem::new(&edited) else { continue };
        let unsupported = found.faults.iter().all(|fault| fault.unsupported);
        let mut faults: Vec<Violation> = Vec::new();
        for fault in found.faults {
            let fault = Violation::new(place(i), format!("{}: {}", fault.path, fault.message));
            faults.push(fault);
        }
        // Of many that are alike the first tells enough.
        faults.truncate(10);
        return Err(if unsupported { ApiError::unsupported(faults) } else { ApiError::invalid(faults) });
    }
    Ok(edited)
}

/// What is wrong with the question; the problem itself was found valid.
fn unfit(error: &Unfit, vms: usize) -> ApiError {
    let Unfit::Rejected(found) = error else { return ApiError::invalid_field("vm", error.to_string()) };
    let new_vm = format!("vms[{vms}]");
    let place = |path: &str| {
        if let Some(rest) = path.strip_prefix(&new_vm) {
            return format!("vm{rest}");
        }
        for (part, field) in [("spread", "spread"), ("fence", "hosts")] {
            if path.contains(part) {
                return field.to_owned();
            }
        }
        format!("problem.{path}")
    };
    let moved =
        found.faults.iter().map(|fault| dvms_solver::Fault { path: place(&fault.path), ..fault.clone() });
    rejected(Rejected { faults: moved.collect() })
}

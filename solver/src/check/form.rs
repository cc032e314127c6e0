//! What can be said of a plan without looking at the infrastructure.

use super::tables::Tables;
use super::{EPSILON_S, Report};
use crate::file::{Plan, Status};

/// INFEASIBLE and UNKNOWN carry nothing to execute; INFEASIBLE says why.
pub(super) fn without_plan(plan: &Plan, report: &mut Report) {
    if !plan.actions.is_empty() || !plan.placement.is_empty() {
        let status = plan.status.name();
        report.add(0, "status", format!("a plan that is {status} has no actions and no placement"));
    }
    let named = plan.conflict.as_ref().is_some_and(|conflict| {
        !(conflict.hosts.is_empty() && conflict.vms.is_empty() && conflict.constraints.is_empty())
    });
    if plan.status == Status::Infeasible && (plan.reason.is_empty() || !named) {
        report.add(0, "conflict", "a plan that is INFEASIBLE gives its reason and a conflict");
    }
}

pub(super) fn actions(tables: &Tables<'_>, plan: &Plan, report: &mut Report) {
    if plan.status == Status::NoChange && !plan.actions.is_empty() {
        report.add(0, "status", "a plan that is NO_CHANGE has no actions");
    }
    for (i, action) in plan.actions.iter().enumerate() {
        let subject = format!("actions[{i}]");
        if action.because.trim().is_empty() || action.because.contains('\n') {
            report.add(8, &subject, "does not give its reason in one line");
        }
        let finite = action.start_s.is_finite() && action.end_s.is_finite() && action.start_s >= 0.0;
        if !finite || action.end_s < action.start_s {
            report.add(4, &subject, format!("has impossible times {} to {}", action.start_s, action.end_s));
        }
    }
    for step in tables.steps.iter().filter(|step| step.migrate) {
        if step.end_s - step.start_s < 0.03 - EPSILON_S {
            report.add(3, format!("actions[id={}]", step.id), "lasts less than the 0.03 s of any migration");
        }
    }
    for step in tables.steps.iter().filter(|step| step.power == Some(true)) {
        let least = tables.hosts[step.destination].boot_s.unwrap_or(120.0);
        if step.end_s - step.start_s < least - EPSILON_S {
            let message = format!("boots {} in less than {least} s", step.destination);
            report.add(6, format!("actions[id={}]", step.id), message);
        }
    }
    let migrations = tables.steps.iter().filter(|step| step.migrate).count();
    let most = tables.problem.limits.as_ref().and_then(|limits| limits.max_migrations);
    if let Some(most) = most
        && i64::try_from(migrations).is_ok_and(|count| count > most)
    {
        report.add(
            3,
            "limits.max_migrations",
            format!("the plan has {migrations} migrations, at most {most} may be"),
        );
    }
}

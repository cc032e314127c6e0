//! What is to be read from the coordinator's records: when things happened, how plans stand, and whether every
//! plan holds before the independent checker.

use super::outcome::{Goal, Times};
use crate::coordinator::Coordinator;
use crate::record::{EventKind, PlanRecord, PlanState};
use dvms_solver::check;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Whether nothing is planned or under way.
pub(super) fn all_ended(coordinator: &Coordinator) -> bool {
    coordinator.figures().actions_in_flight == 0
        && coordinator.plans().iter().all(|plan| plan.state.is_terminal())
}

/// The plans that were asked for since a time, in one sentence.
pub(super) fn standing(coordinator: &Coordinator, since: SystemTime) -> String {
    let plans: Vec<_> = coordinator
        .plans()
        .iter()
        .filter(|plan| plan.created >= since)
        .map(|plan| {
            let why = if plan.message.is_empty() { String::new() } else { format!(", {}", plan.message) };
            format!("{} is {}{why}", plan.purpose, plan.state.name())
        })
        .collect();
    if plans.is_empty() { "dvms has planned nothing".to_owned() } else { plans.join("; ") }
}

/// When dvms noticed, planned and began to move, from a time on.
pub(super) fn times(
    coordinator: &Coordinator,
    since: SystemTime,
    last_event: u64,
    (kind, host): &(EventKind, Option<String>),
) -> Times {
    let after = |time: SystemTime| time.duration_since(since).unwrap_or(Duration::ZERO);
    let events = coordinator.events();
    let noticed = events.iter().filter(|event| {
        event.id > last_event && event.kind == *kind && host.as_ref().is_none_or(|host| event.host == *host)
    });
    let plans = coordinator.plans();
    // A clock of the coordinator may be a little behind that of the story.
    let plans = || plans.iter().filter(|plan| plan.created + Duration::from_millis(5) >= since);
    Times {
        noticed: noticed.map(|event| after(event.time)).min(),
        planned: plans().filter_map(|plan| plan.solved).map(after).min(),
        moving: plans().flat_map(|plan| &plan.actions).filter_map(|a| a.started).map(after).min(),
    }
}

/// Whether every plan passes the checker and was carried out.
pub(super) fn judge(plans: &[Arc<PlanRecord>]) -> Vec<Goal> {
    let mut actions = 0;
    let mut invalid = Vec::new();
    let mut checked = 0;
    for record in plans {
        let (Some(problem), Some(plan)) = (&record.problem, &record.plan) else { continue };
        checked += 1;
        actions += plan.actions.len();
        let violations = check::check(problem, plan).violations;
        invalid.extend(violations.first().map(|violation| format!("plan {}: {violation}", record.id)));
    }
    let undone: Vec<_> = plans
        .iter()
        .filter(|plan| !matches!(plan.state, PlanState::Succeeded | PlanState::Cancelled))
        .map(|plan| format!("plan {} is {}: {}", plan.id, plan.state.name(), plan.message))
        .collect();
    vec![
        Goal {
            what: format!("every plan passed the independent checker ({checked} plans, {actions} actions)"),
            met: invalid.is_empty() && checked > 0,
            seen: if checked == 0 { "there was none".to_owned() } else { invalid.join("; ") },
        },
        Goal {
            what: "every plan was carried out to its end".to_owned(),
            met: undone.is_empty(),
            seen: undone.join("; "),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_solver::file::{Plan, Problem};

    fn record(plan: &str, state: PlanState) -> Arc<PlanRecord> {
        let problem = r#"{"hosts": [{"name": "a", "capacity": {"memory": 10}}, {"name": "b", "capacity": {"memory": 10}}],
            "vms": [{"name": "v", "host": "a", "demand": {"memory": 5}}]}"#;
        Arc::new(PlanRecord {
            id: "p1".into(),
            state,
            mode: crate::record::Mode::Auto,
            trigger: "request".into(),
            purpose: String::new(),
            event_ids: Vec::new(),
            hosts: Vec::new(),
            problem: Some(Arc::new(Problem::from_json(problem).unwrap())),
            plan: Some(Arc::new(Plan::from_json(plan).unwrap())),
            actions: Vec::new(),
            created: SystemTime::UNIX_EPOCH,
            solved: None,
            started: None,
            ended: None,
            message: "why".into(),
            successor: String::new(),
            revision: 1,
            paused: None,
            kept: None,
            scheduled: false,
            waits_for: String::new(),
            pace: crate::record::Pace::default(),
            request_id: String::new(),
            request: String::new(),
        })
    }

    fn stay(host: &str) -> String {
        format!(
            r#"{{"status": "NO_CHANGE", "placement": {{"v": "{host}"}}, "objectives": [
                {{"name": "VIOLATIONS"}}, {{"name": "MIGRATION_COST"}}, {{"name": "MAKESPAN"}}]}}"#
        )
    }

    #[test]
    fn valid_plans_that_succeeded_meet_the_goals() {
        let goals = judge(&[record(&stay("a"), PlanState::Succeeded)]);
        assert!(goals.iter().all(|goal| goal.met), "{goals:?}");
        assert!(goals[0].what.contains("1 plans, 0 actions"));
    }

    #[test]
    fn an_invalid_plan_no_plan_and_a_failed_one_do_not() {
        let goals = judge(&[record(&stay("b"), PlanState::Succeeded)]);
        assert!(!goals[0].met && goals[0].seen.contains("plan p1: rule 4"), "{goals:?}");
        assert!(!judge(&[])[0].met);
        let goals = judge(&[record(&stay("a"), PlanState::Failed)]);
        assert!(goals[0].met && !goals[1].met && goals[1].seen == "plan p1 is FAILED: why", "{goals:?}");
    }
}

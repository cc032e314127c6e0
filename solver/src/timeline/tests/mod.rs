mod golden;
mod random;

use super::Timeline;
use crate::check::check;
use crate::file::{Plan, Problem};

/// The timeline of a plan that the checker lets pass.
#[track_caller]
fn timeline(problem: &str, actions: &str, placement: &str) -> Timeline {
    let problem = Problem::from_json(problem).unwrap();
    let text = format!(r#"{{"status": "FEASIBLE", "actions": {actions}, "placement": {placement}}}"#);
    let mut plan = Plan::from_json(&text).unwrap();
    plan.actions.iter_mut().for_each(|action| action.because = "a test wants it".to_owned());
    let rules: Vec<_> = check(&problem, &plan).violations.into_iter().filter(|v| v.rule > 0).collect();
    assert_eq!(rules, []);
    Timeline::new(&crate::Problem::new(&problem).unwrap(), &plan, None).unwrap()
}

/// What is used of a host's resource from each second on.
fn used(timeline: &Timeline, host: &str, resource: &str) -> Vec<(f64, i64)> {
    let host = timeline.hosts.iter().find(|known| known.name == host).unwrap();
    host.uses.iter().find(|known| known.resource == resource).unwrap().steps.steps().collect()
}

/// What something carries from each second on.
fn carried(timeline: &Timeline, what: &str) -> Vec<(f64, f64)> {
    let load = timeline.loads.iter().find(|load| load.what.to_string() == what);
    let load = load.unwrap_or_else(|| panic!("{what} is none of {:?}", timeline.loads));
    load.steps.steps().map(|(at, rate)| (at, rate.round())).collect()
}

/// Ids and reasons of the chain that the end waits for.
fn chain(timeline: &Timeline) -> Vec<String> {
    let reason = |reason: &super::Reason| match reason {
        super::Reason::Nothing => "first".to_owned(),
        super::Reason::After { other } => format!("after {other}"),
        super::Reason::Shares { other, what } => format!("shares {what} with {other}"),
    };
    timeline.critical.iter().map(|link| format!("{} {}", link.id, reason(&link.reason))).collect()
}

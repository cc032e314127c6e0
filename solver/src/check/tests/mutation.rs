//! Valid schedules that something has happened to: each is found out.

use crate::check::check;
use crate::file::{Action, ActionKind, Plan, Problem};
use crate::schedule::tests::planned;

/// A pause that every migration has, in seconds.
const PAUSE_S: f64 = 0.03;

fn is_caught(problem: &Problem, plan: &Plan) -> bool {
    !check(problem, plan).violations.is_empty()
}

/// What can happen to an action, if it applies there; each must be caught.
fn mutants(problem: &Problem, plan: &Plan, at: usize) -> Vec<(&'static str, Plan)> {
    let action = &plan.actions[at];
    let with = |change: &dyn Fn(&mut Action)| {
        let mut plan = plan.clone();
        change(&mut plan.actions[at]);
        plan
    };
    let migrates = action.kind == ActionKind::Migrate;
    let lasts = action.end_s - action.start_s;
    let mut mutants = Vec::new();
    let mut without = plan.clone();
    without.actions.remove(at);
    mutants.push(("left out", without));
    let mut twice = plan.clone();
    twice.actions.push(Action { id: plan.actions.len() as u64 + 1, ..action.clone() });
    mutants.push(("done twice", twice));
    if let Some(other) = problem.hosts.iter().find(|host| host.name != action.destination) {
        mutants.push(("sent elsewhere", with(&|action| action.destination.clone_from(&other.name))));
    }
    if migrates && lasts > 10.0 * PAUSE_S && action.source != action.destination {
        mutants
            .push(("done in the time of its pause", with(&|action| action.end_s = action.start_s + PAUSE_S)));
    }
    if let Some(before) = action.after.first().and_then(|id| plan.actions.iter().find(|a| a.id == *id))
        && before.end_s > before.start_s
    {
        let early = f64::midpoint(before.start_s, before.end_s);
        mutants.push(("begun before what it comes after has ended", with(&|action| action.start_s = early)));
    }
    mutants.push(("after one that is not there", with(&|action| action.after.push(9_999_999))));
    mutants.push(("ended before it begins", with(&|action| action.end_s = action.start_s - 1.0)));
    mutants
}

#[test]
fn whatever_happens_to_a_schedule_is_caught() {
    let (mut looked, mut dependent) = (0, 0);
    for seed in 0..160 {
        let Some((problem, plan, _)) = planned(3 + seed as usize % 4, 4 + seed as usize % 12, true, seed)
        else {
            continue;
        };
        assert!(!is_caught(&problem, &plan), "seed {seed}");
        for at in 0..plan.actions.len() {
            for (what, mutant) in mutants(&problem, &plan, at) {
                let json = || format!("{}\n{}", problem.to_json(), mutant.to_json());
                assert!(is_caught(&problem, &mutant), "seed {seed}: action {at} {what}: {}", json());
                looked += 1;
                dependent += usize::from(what.starts_with("begun before"));
            }
        }
    }
    assert!(looked > 500 && dependent > 20, "{looked}, {dependent}");
}

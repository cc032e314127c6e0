//! What must hold of any input, however wrong: no panic, no hang, a place for every fault, and plans that the checker
//! lets pass. The targets of the crate in `fuzz/` call these, and tests do over a corpus and over what is nearly it.

use crate::budget::Cancel;
use crate::check::check;
use crate::explain::explain;
use crate::file::{Plan, Problem, Status};
use crate::{Backend, Options, solve};
use std::time::Duration;

/// Units of work of a solve: enough for every stage to begin.
const WORK: u64 = 3_000;
/// A solve that needs as long hangs.
const LONG: Duration = Duration::from_secs(20);

/// Bytes as a problem's JSON: read, written and read again, solved for a little while.
///
/// # Panics
/// When something does not hold.
pub fn problem(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Problem::from_json(text) {
        Err(error) => assert!(!error.message.is_empty() && !error.path.is_empty(), "{error:?}"),
        Ok(read) => {
            let again = Problem::from_json(&read.to_json());
            assert_eq!(again.as_ref(), Ok(&read), "it is read as it was written");
            solved(&read);
        }
    }
}

/// A problem of any content, solved for a little while by a back-end that its size chooses.
///
/// # Panics
/// When something does not hold.
pub fn solved(problem: &Problem) {
    let salt = problem.vms.len() + 3 * problem.hosts.len() + 5 * problem.constraints.len();
    let backend = [Backend::Auto, Backend::Heuristic, Backend::Cp, Backend::Highs][salt % 4];
    let options = Options {
        time_limit: LONG,
        threads: 1 + salt % 2,
        seed: salt as u64,
        backend,
        work_limit: Some(WORK),
        migration_price: None,
    };
    let mut last = None;
    let plan = solve(problem, &options, &Cancel::default(), &mut |better| last = Some(better.clone()));
    let plan = match plan {
        Err(rejected) => {
            assert!(!rejected.faults.is_empty());
            assert!(rejected.faults.iter().all(|fault| !fault.path.is_empty() && !fault.message.is_empty()));
            return;
        }
        Ok(plan) => plan,
    };
    for plan in last.iter().chain([&plan]) {
        judge(problem, plan);
    }
    if let Some(last) = last {
        assert_eq!(last.placement, plan.placement, "the last of the better plans is the one that comes back");
    }
    if let Some(vm) = problem.vms.first() {
        explain(problem, &vm.name, None).expect("what can be solved can be explained");
    }
}

fn judge(problem: &Problem, plan: &Plan) {
    let violations = check(problem, plan).violations;
    assert!(violations.is_empty(), "{violations:?} of {plan:?}");
    assert_eq!(Plan::from_json(&plan.to_json()).as_ref(), Ok(plan), "a plan is read as it was written");
    for level in &plan.objectives {
        assert!(level.value.is_finite() && level.value >= 0.0, "{level:?}");
        assert!(level.bound.is_none_or(|bound| (0.0..=level.value).contains(&bound)), "{level:?}");
    }
    match plan.status {
        Status::Infeasible => assert!(plan.conflict.is_some() && !plan.reason.is_empty(), "{plan:?}"),
        Status::Unknown => assert!(!plan.reason.is_empty(), "{plan:?}"),
        Status::NoChange => assert!(plan.actions.is_empty(), "{plan:?}"),
        Status::Optimal | Status::Feasible => {}
    }
}

/// Bytes as a plan's JSON, judged beside each of some problems.
///
/// # Panics
/// When something does not hold.
pub fn plan(bytes: &[u8], problems: &[Problem]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Plan::from_json(text) {
        Err(error) => assert!(!error.message.is_empty() && !error.path.is_empty(), "{error:?}"),
        Ok(read) => {
            assert_eq!(Plan::from_json(&read.to_json()).as_ref(), Ok(&read), "it is read as it was written");
            for problem in problems {
                for violation in check(problem, &read).violations {
                    assert!(!violation.subject.is_empty() && !violation.message.is_empty(), "{violation:?}");
                }
            }
        }
    }
}

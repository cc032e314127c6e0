//! A plan of the server over time, with how it really went.

use super::ask::plan_of;
use super::view;
use crate::cli::failure::{Failure, Fault};
use crate::cli::format::system_time;
use crate::cli::gantt::{Files, Subject, View};
use crate::cli::output::Output;
use crate::cli::paint::Paint;
use dvms_proto::v1::PlanRecord;
use dvms_solver::timeline::{Real, Run};
use prost_types::Timestamp;
use std::time::SystemTime;

/// Shows a record, which has its problem, over time.
///
/// # Errors
/// It has no plan yet, or one that this version cannot read or draw.
pub(super) fn show(view: &View, files: Files, mut record: PlanRecord, output: Output) -> Result<(), Failure> {
    let none =
        |what: &str| Failure::new(format!("the plan {} has no {what}: there is nothing to draw", record.id));
    let plan = plan_of(&record)?.ok_or_else(|| none("actions yet"))?;
    let problem = record.problem.take().ok_or_else(|| none("problem any more"))?;
    let problem = crate::api::convert::problem_from_wire(problem).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| Fault {
            path: fault.field,
            message: fault.message,
            ..Fault::default()
        });
        Failure::new("the server sent a problem that this version cannot read:").faults(faults.collect())
    })?;
    let headline = view::headline(Paint::PLAIN, &record);
    let run = run(&record, SystemTime::now());
    let title = format!("plan {}", record.id);
    let subject = Subject { problem: &problem, plan: &plan, run: run.as_ref(), title, headline };
    if !output.is_json() {
        output.line(&view::headline(output.look.paint, &record))?;
    }
    view.show(files, &subject, output)
}

/// What has really happened, in seconds from the release of the first action; `None` before that.
fn run(record: &PlanRecord, now: SystemTime) -> Option<Run> {
    let begun = record.started.and_then(system_time)?;
    let since = |time: SystemTime| time.duration_since(begun).map_or(0.0, |passed| passed.as_secs_f64());
    let at = |time: Option<Timestamp>| time.and_then(system_time).map(since);
    let real = |status: &dvms_proto::v1::ActionStatus| Real {
        id: status.action_id,
        state: status.state().as_str_name().to_owned(),
        start_s: at(status.started),
        end_s: at(status.ended),
    };
    let now_s = since(record.ended.and_then(system_time).unwrap_or(now));
    Some(Run { actions: record.actions.iter().map(real).collect(), now_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_proto::v1::ActionStatus;
    use dvms_proto::v1::action_status::State;
    use std::time::Duration;

    #[test]
    fn times_are_from_the_release_of_the_first_action() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 500_000_000 });
        let status = |action_id, state: State, started, ended| ActionStatus {
            action_id,
            state: state.into(),
            started,
            ended,
            ..ActionStatus::default()
        };
        let actions = vec![
            status(1, State::Done, at(100), at(103)),
            status(2, State::Running, at(104), None),
            status(3, State::Waiting, None, None),
        ];
        let mut record = PlanRecord { actions, ..PlanRecord::default() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(110_500);
        assert_eq!(run(&record, now), None);
        record.started = at(100);
        let known = run(&record, now).unwrap();
        let times: Vec<_> = known.actions.iter().map(|real| (real.start_s, real.end_s)).collect();
        assert_eq!(times, [(Some(0.0), Some(3.0)), (Some(4.0), None), (None, None)]);
        assert_eq!((known.now_s, known.actions[1].state.as_str()), (10.0, "RUNNING"));
    }
}

//! Following a plan to its end.

use super::view;
use crate::cli::client::Server;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use dvms_proto::v1::PlanRecord;
use dvms_proto::v1::plan::Status;
use dvms_proto::v1::plan_record::State;
use tonic::Streaming;

/// Shows each change of a plan until it has ended, or waits for approval where that is what is asked.
pub(super) async fn to_the_end(
    server: &Server,
    mut records: Streaming<PlanRecord>,
    output: Output,
    until_proposed: bool,
) -> Result<Exit, Failure> {
    let mut last: Option<PlanRecord> = None;
    while let Some(record) = records.message().await.map_err(|status| server.failure(&status))? {
        if output.is_json() {
            output.message_line(&record)?;
        } else {
            for line in view::changes(output.look.paint, last.as_ref(), &record) {
                output.line(&line)?;
            }
        }
        let waits = until_proposed && record.state() == State::Proposed;
        last = Some(record);
        if waits {
            break;
        }
    }
    let Some(record) = last else {
        return Err(Failure::new("the server has ended before it told anything of the plan"));
    };
    if record.state() == State::Proposed && !output.is_json() {
        output.text(&format!("\n{}", view::actions(output.look, &record)?))?;
        output.line(&format!("Let it be executed with: dvms plans approve {}", record.id))?;
    }
    outcome(&record)
}

/// The exit status of a plan that was followed. One whose stream ended early has not ended.
pub(super) fn outcome(record: &PlanRecord) -> Result<Exit, Failure> {
    let status = record.plan.as_ref().map_or(Status::Unspecified, dvms_proto::v1::Plan::status);
    match record.state() {
        State::Succeeded | State::Proposed => Ok(Exit::Success),
        State::Failed | State::Cancelled => Ok(Exit::Failure),
        State::Blocked if status == Status::Infeasible => Ok(Exit::Infeasible),
        State::Blocked => Ok(Exit::Unknown),
        State::Queued | State::Solving | State::Executing | State::Unspecified => {
            let state = record.state().as_str_name();
            Err(Failure::new(format!("the server has ended while the plan was {state}"))
                .hint("Its agents carry on with what they have begun; watch again when the server runs."))
        }
    }
}

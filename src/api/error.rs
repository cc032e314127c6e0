//! Errors of the API: a gRPC code chosen by the caller's next action, and `google.rpc` details with the
//! reason (`ErrorInfo`), the faulty fields (`BadRequest`) and when to come back (`RetryInfo`).

use crate::coordinator::OperateError;
use dvms_proto::v1::ErrorReason;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "dvms";

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, `vms[3].demand.cpu`.
    pub field: String,
    /// What is wrong there, and what would be right.
    pub message: String,
}

impl Violation {
    /// A fault of a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same fault of a message that is a field of another.
    #[must_use]
    pub fn below(self, field: &str) -> Self {
        Self { field: format!("{field}.{}", self.field), ..self }
    }
}

/// An error on its way to the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: Code,
    reason: ErrorReason,
    message: String,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
}

impl ApiError {
    fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), violations: Vec::new(), retry_after: None }
    }

    /// `INVALID_ARGUMENT` with all the faults; there must be one at least.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            [first, rest @ ..] => {
                format!("{}: {} (and {} more faults)", first.field, first.message, rest.len())
            }
            [] => "the request is not valid".to_owned(),
        };
        Self { violations, ..Self::new(Code::InvalidArgument, ErrorReason::InvalidField, message) }
    }

    /// `INVALID_ARGUMENT` with one fault.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![Violation::new(field, message)])
    }

    /// UNIMPLEMENTED: the contract has it, this version does not plan with it.
    #[must_use]
    pub fn unsupported(violations: Vec<Violation>) -> Self {
        Self { code: Code::Unimplemented, reason: ErrorReason::Unsupported, ..Self::invalid(violations) }
    }

    /// `NOT_FOUND`.
    #[must_use]
    pub fn not_found(kind: &str, name: &str) -> Self {
        Self::new(Code::NotFound, ErrorReason::NotFound, format!("there is no {kind} {name:?}"))
    }

    /// `FAILED_PRECONDITION`: not in a state in which this can be done.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, ErrorReason::WrongState, message)
    }

    /// `FAILED_PRECONDITION`: the infrastructure has changed since the plan was solved.
    pub fn stale_plan(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, ErrorReason::StalePlan, message)
    }

    /// `ALREADY_EXISTS`: the `request_id` was used with other parameters.
    #[must_use]
    pub fn request_id_reused(request_id: &str) -> Self {
        let message = format!("request_id {request_id:?} was used before with other parameters");
        Self::new(Code::AlreadyExists, ErrorReason::RequestIdReused, message)
    }

    /// `RESOURCE_EXHAUSTED`: come back later.
    pub fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        let error = Self::new(Code::ResourceExhausted, ErrorReason::Busy, message);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// `RESOURCE_EXHAUSTED`: the client of a watch reads too slowly.
    #[must_use]
    pub fn slow_watcher() -> Self {
        let message = "changes came faster than they were read; watch again to get the present state";
        let error = Self::new(Code::ResourceExhausted, ErrorReason::SlowWatcher, message);
        Self { retry_after: Some(Duration::from_secs(1)), ..error }
    }

    /// `UNAVAILABLE`: a thing is not known here, and who may know it does not answer.
    #[must_use]
    pub fn members_silent(kind: &str, name: &str, silent: &[String]) -> Self {
        let silent = silent.join(", ");
        let message = format!(
            "{kind} {name:?} is not known to the coordinators that answer, and {silent} cannot be asked; try again later"
        );
        let error = Self::new(Code::Unavailable, ErrorReason::MemberSilent, message);
        Self { retry_after: Some(Duration::from_secs(2)), ..error }
    }

    /// `UNAVAILABLE`: what several coordinators share cannot be changed while etcd does not answer.
    pub fn etcd_silent(message: impl Into<String>) -> Self {
        let error = Self::new(Code::Unavailable, ErrorReason::EtcdSilent, message);
        Self { retry_after: Some(Duration::from_secs(5)), ..error }
    }

    /// `UNAVAILABLE`: a stream of what all coordinators have ends, as there are others now.
    #[must_use]
    pub fn members_changed() -> Self {
        let message = "the coordinators are others now; watch again to get the present state";
        let error = Self::new(Code::Unavailable, ErrorReason::MemberSilent, message);
        Self { retry_after: Some(Duration::from_secs(1)), ..error }
    }

    /// `PERMISSION_DENIED`: an agent spoke about a host that is not its own.
    pub fn foreign_host(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, ErrorReason::ForeignHost, message)
    }

    /// `PERMISSION_DENIED`: a coordinator that is none of the ring has called.
    pub fn foreign_member(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, ErrorReason::ForeignMember, message)
    }

    /// `ALREADY_EXISTS`: another coordinator of the caller's name is alive.
    pub fn name_taken(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, ErrorReason::NameTaken, message)
    }

    /// `FAILED_PRECONDITION`: the caller's protocol cannot be served.
    pub fn protocol_version(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, ErrorReason::ProtocolVersion, message)
    }

    /// ABORTED: a newer session of the same host has begun.
    #[must_use]
    pub fn superseded(host: &str) -> Self {
        let message = format!("a newer session of host {host:?} has begun");
        Self::new(Code::Aborted, ErrorReason::Superseded, message)
    }

    /// UNAVAILABLE: the coordinator is being stopped.
    #[must_use]
    pub fn shutting_down() -> Self {
        let error =
            Self::new(Code::Unavailable, ErrorReason::ShuttingDown, "the coordinator is being stopped");
        Self { retry_after: Some(Duration::from_secs(5)), ..error }
    }

    /// `DEADLINE_EXCEEDED` before anything could be done.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(Code::DeadlineExceeded, ErrorReason::Busy, message)
    }

    /// INTERNAL: a defect of ours. Logged here, because the caller cannot do anything about it.
    pub fn internal(what: impl Into<String>) -> Self {
        let what = what.into();
        tracing::error!(error = %what, "internal error");
        Self::new(Code::Internal, ErrorReason::Internal, what)
    }

    /// An error that the transport made before or after us, in our form: what a caller sent and could not be
    /// read is the caller's fault, not ours.
    #[must_use]
    pub fn of_transport(status: &Status) -> Self {
        let message = status.message();
        let unreadable = ["failed to decode", "Missing request message", "protocol error", "Unexpected EOF"];
        match status.code() {
            Code::Internal if unreadable.iter().any(|start| message.starts_with(start)) => {
                let message = format!("the request cannot be read: {message}");
                Self::new(Code::InvalidArgument, ErrorReason::InvalidField, message)
            }
            Code::OutOfRange if message.contains("message length too large") => {
                Self::new(Code::InvalidArgument, ErrorReason::InvalidField, message)
            }
            Code::Unimplemented if message.is_empty() => {
                let message = "this server has no such method";
                Self::new(Code::Unimplemented, ErrorReason::Unsupported, message)
            }
            Code::Unimplemented => Self::new(Code::Unimplemented, ErrorReason::Unsupported, message),
            Code::NotFound => Self::new(Code::NotFound, ErrorReason::NotFound, message),
            Code::InvalidArgument => Self::new(Code::InvalidArgument, ErrorReason::InvalidField, message),
            code => Self::new(code, ErrorReason::Internal, message),
        }
    }

    /// The same error about a message that is a field of the request.
    #[must_use]
    pub fn below(self, field: &str) -> Self {
        let violations = self.violations.into_iter().map(|violation| violation.below(field)).collect();
        match self.code {
            Code::Unimplemented => Self::unsupported(violations),
            _ => Self::invalid(violations),
        }
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The faults, if it is about the request.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<OperateError> for ApiError {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::NotFound { kind, name } => Self::not_found(kind, &name),
            OperateError::WrongState(message) => Self::wrong_state(message),
            OperateError::Stale(message) => Self::stale_plan(message),
            OperateError::RequestIdReused(id) => Self::request_id_reused(&id),
            OperateError::Invalid { field, message } => Self::invalid_field(field, message),
            OperateError::Busy { message, retry_after } => Self::busy(message, retry_after),
            OperateError::EtcdSilent(message) => Self::etcd_silent(message),
            OperateError::Stopping => Self::shutting_down(),
        }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut details = ErrorDetails::new();
        let reason = error.reason.as_str_name().trim_start_matches("ERROR_REASON_");
        details.set_error_info(reason, DOMAIN, HashMap::new());
        for violation in error.violations {
            details.add_bad_request_violation(violation.field, violation.message);
        }
        if let Some(delay) = error.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(error.code, error.message, details)
    }
}

/// An error with what it comes from: those of the transport say too little by themselves.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_reason_faults_and_retry() {
        let status: Status = ApiError::invalid(vec![
            Violation::new("vms[0].name", "is empty"),
            Violation::new("vms[1].name", "is empty"),
        ])
        .into();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "vms[0].name: is empty (and 1 more faults)");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_FIELD", "dvms"));
        assert_eq!(details.bad_request().unwrap().field_violations[1].field, "vms[1].name");

        let busy = OperateError::Busy {
            message: "64 requests wait".to_owned(),
            retry_after: Duration::from_secs(2),
        };
        let status: Status = ApiError::from(busy).into();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
    }
}

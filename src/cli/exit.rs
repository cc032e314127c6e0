//! Exit statuses: the same meaning in every command.

use std::process::ExitCode;

/// What a command came to, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done. Of `solve`: a plan, or nothing needs doing.
    Success = 0,
    /// Anything that has no number of its own. Of `check`: the plan is not valid.
    Failure = 1,
    /// What was given cannot be used: arguments, files, fields of a request.
    BadInput = 2,
    /// Proved: there is no plan.
    Infeasible = 3,
    /// No plan was found in time.
    Unknown = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

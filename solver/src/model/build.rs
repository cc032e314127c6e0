//! From the file form to the validated model.

use std::fmt;

/// A problem that was refused: every fault found, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejected {
    /// Never empty.
    pub faults: Vec<Fault>,
}

/// One thing wrong with a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in the notation of JSON paths: `vms[3].demand.cpu`.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub message: String,
    /// The construct belongs to the contract but this version of the solver does not plan with it.
    pub unsupported: bool,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", fault.path, fault.message)?;
        }
        Ok(())
    }
}

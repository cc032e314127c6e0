//! What the story plays on: hosts and VMs, simulated or real, past dvms.

use super::truth::Truth;
use dvms_solver::file::Constraint;
use std::time::Duration;

/// What the VMs are busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hour {
    /// One host has far more to do than the others.
    Rush,
    /// Little happens anywhere.
    Night,
}

/// Hosts and VMs.
pub(super) trait Site {
    /// The host that is overloaded.
    fn hot_host(&self) -> &str;

    /// The host that an operator empties.
    fn leaving_host(&self) -> &str;

    /// The rules in force.
    fn rules(&self) -> &[Constraint];

    /// How long an act may take.
    fn patience(&self) -> Duration;

    /// Between two looks.
    fn pace(&self) -> Duration;

    /// Changes what the VMs do.
    ///
    /// # Errors
    /// Real guests may not listen.
    async fn turn(&mut self, hour: Hour) -> anyhow::Result<()>;

    /// Looks at all hosts and VMs.
    ///
    /// # Errors
    /// Real hosts may not answer.
    async fn look(&mut self) -> anyhow::Result<Truth>;

    /// Migrations that were seen to arrive so far.
    fn arrived(&self) -> usize;

    /// Looks back at everything that has happened.
    ///
    /// # Errors
    /// As [`Site::look`].
    async fn testimony(&mut self) -> anyhow::Result<Testimony>;
}

/// What was seen of everything that has happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Testimony {
    /// What is known not to have happened, by which means: each a goal.
    pub(super) watched: Vec<String>,
    /// What must never happen and did.
    pub(super) harm: Vec<String>,
    /// Migrations that were seen to arrive.
    pub(super) arrived: usize,
    /// Migrations that were seen to fail; `None` = that cannot be seen.
    pub(super) failed: Option<usize>,
}

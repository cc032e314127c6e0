//! What solves say of a VM: the problem as it is, and with the VM held to the host that was asked for.

use super::{ChangeKind, Explanation, Unexplained, changed, requiring};
use crate::file::{Plan, Problem};
use crate::model::Rejected;

/// What solves say of a VM.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// The plan for the problem as it is.
    pub plan: Plan,
    /// With the VM held to the host that was asked for, where it is not there.
    pub asked: Option<Asked>,
}

/// A solve that holds the VM to the host that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The rule that holds it: a name that the problem does not have.
    pub rule: String,
    /// What only an operator can change was changed, as the explanation says.
    pub changed: bool,
    /// What was found.
    pub plan: Plan,
}

/// What solves a problem: as it is, or changed and with the VM held to this host.
pub type Solve<'s> = dyn FnMut(&Problem, Option<&str>) -> Result<Plan, Rejected> + 's;

/// Solves, by `solve`, the problem as it is (`None`) and, where a host was asked for that the VM is not on, with what an
/// operator would have to change and the VM held to that host (`Some` of it).
///
/// # Errors
/// The problem is not one.
pub fn solved(
    problem: &Problem,
    explanation: &Explanation,
    solve: &mut Solve<'_>,
) -> Result<Solved, Unexplained> {
    let plan = solve(problem, None)?;
    let vm = &explanation.vm;
    let elsewhere = explanation.changes.as_ref().filter(|to| explanation.host.as_ref() != Some(&to.host));
    let asked = elsewhere.map(|to| -> Result<Asked, Unexplained> {
        let changed_by_operators = to.least.iter().any(|change| change.kind != ChangeKind::Leave);
        let (asked, rule) = requiring(&changed(problem, vm, &to.host, &to.least)?, vm, &to.host);
        Ok(Asked { rule, changed: changed_by_operators, plan: solve(&asked, Some(&to.host))? })
    });
    Ok(Solved { plan, asked: asked.transpose()? })
}

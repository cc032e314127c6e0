//! Who proves, one after the other.

use crate::Backend;
use crate::backend::Exact;
use crate::budget::Budget;
use crate::cp::Cp;
use crate::milp::Highs;
use crate::model::Problem;

/// Decisions and conflicts of the CP solver before `HiGHS` has its turn.
const CP_STEPS: u64 = 100_000;

/// VMs times hosts up to which it has a turn at all: where it was measured to be ahead. On larger models one of its steps
/// can take long.
const CP_CELLS: usize = 2_000;

/// The share of the time that it may take for them.
const CP_SHARE: f64 = 0.25;

/// A back-end, and what it may spend.
pub(super) struct Prover {
    pub(super) by: &'static dyn Exact,
    share: f64,
    pub(super) most_work: Option<u64>,
}

impl Prover {
    fn whole(by: &'static dyn Exact) -> Self {
        Self { by, share: 1.0, most_work: None }
    }

    pub(super) fn budget(&self, budget: &Budget) -> Budget {
        if self.share < 1.0 { budget.slice(self.share) } else { budget.clone() }
    }
}

/// Where rules decide, the CP solver has proved what can be in a fraction of the time that `HiGHS` takes to begin;
/// where many amounts must be weighed it comes to no end. So it goes first on small problems, and not for long.
pub(super) fn provers(backend: Backend, problem: &Problem) -> Vec<Prover> {
    let small = problem.vms.len() * problem.hosts.len() <= CP_CELLS;
    match backend {
        Backend::Heuristic => Vec::new(),
        Backend::Cp => vec![Prover::whole(&Cp)],
        Backend::Auto if small => {
            vec![Prover { by: &Cp, share: CP_SHARE, most_work: Some(CP_STEPS) }, Prover::whole(&Highs)]
        }
        Backend::Highs | Backend::Auto => vec![Prover::whole(&Highs)],
    }
}

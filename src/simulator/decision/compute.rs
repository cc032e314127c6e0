//! What computing takes in virtual time.

use super::Decision;
use crate::simulator::measures::Verdict;
use serde::{Deserialize, Serialize};

/// How much there was to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Hosts that the solver was given; 0 where it was not asked.
    pub hosts: u64,
    /// VMs that it was given.
    pub vms: u64,
    /// Things tried: units of the solver's work, or steps of a simple rule.
    pub work: u64,
}

/// How long computing takes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Compute {
    /// By what there is to compute, with rates that were measured: the same on every machine.
    #[default]
    Calibrated,
    /// As long as it takes here and now: no two runs are the same.
    Measured,
    /// As long as is said.
    Fixed {
        /// Seconds where there is something to do.
        plan_s: f64,
        /// Seconds where there is nothing to do.
        nothing_s: f64,
    },
}

// Measured as docs/EXPERIMENTS.md says.
const CALL_S: f64 = 0.0003;
const HOST_S: f64 = 7.0e-6;
const VM_S: f64 = 12.0e-6;
const WORK_S: f64 = 80.0e-9;

impl Compute {
    /// Seconds of a decision that took `measured` seconds here.
    #[must_use]
    pub fn seconds(self, decision: &Decision, measured: f64) -> f64 {
        match self {
            Self::Measured => measured,
            Self::Calibrated => decision.effort.seconds(),
            Self::Fixed { nothing_s, .. } if decision.verdict == Verdict::Nothing => nothing_s,
            Self::Fixed { plan_s, .. } => plan_s,
        }
    }
}

impl Effort {
    /// Seconds that it takes by the calibrated model.
    #[must_use]
    pub fn seconds(self) -> f64 {
        CALL_S + self.hosts as f64 * HOST_S + self.vms as f64 * VM_S + self.work as f64 * WORK_S
    }
}

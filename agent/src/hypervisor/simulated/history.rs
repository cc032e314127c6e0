//! What has happened to VMs, step by step, for those who judge afterwards: a look now and then could miss it.

use std::collections::VecDeque;

/// Steps that are kept.
const KEPT: usize = 10_000;

/// A step of a migration.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// From 1, without gaps, in the order in which steps were made.
    pub number: u64,
    /// Seconds of the world's clock.
    pub at_s: f64,
    /// Which VM.
    pub vm: String,
    /// Where it comes from.
    pub source: String,
    /// Where it is to go.
    pub destination: String,
    /// What happened.
    pub kind: StepKind,
}

/// What happened to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A migration began: from here on the VM has a place on both hosts.
    Begun,
    /// It runs at the destination and is gone from the source.
    Arrived,
    /// It stays at the source and is gone from the destination.
    Failed,
}

/// The last steps.
#[derive(Debug, Default)]
pub(super) struct History {
    last: u64,
    steps: VecDeque<Step>,
}

impl History {
    pub(super) fn add(&mut self, at_s: f64, vm: &str, source: &str, destination: &str, kind: StepKind) {
        self.last += 1;
        self.steps.push_back(Step {
            number: self.last,
            at_s,
            vm: vm.to_owned(),
            source: source.to_owned(),
            destination: destination.to_owned(),
            kind,
        });
        if self.steps.len() > KEPT {
            self.steps.pop_front();
        }
    }

    pub(super) fn after(&self, number: u64) -> Vec<Step> {
        let newer = self.steps.iter().skip_while(|step| step.number <= number);
        newer.cloned().collect()
    }
}

/// A VM on a host, as one look at the whole world shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resident {
    /// Which VM.
    pub vm: String,
    /// Where.
    pub host: String,
    /// It runs here; otherwise it is on its way to here.
    pub runs: bool,
    /// Milli-cores that it wants now, whatever it gets.
    pub wanted_millicores: i64,
    /// Memory that it holds here.
    pub memory_mib: i64,
}

//! A rule about states of hosts, where these are chosen for it: what all such rules share.

use super::linked;
use crate::constraints::{Course, Draft, HostSet, Impossible, Known, Rule, Seat};
use crate::model::{HostId, Problem, VmId};
use std::fmt::Debug;

/// What is a rule's own.
pub(in crate::constraints) trait AboutStates: Debug + Send + Sync {
    /// One line that says what is wrong; `count` is how many hosts it counts.
    fn why(&self, count: i64) -> String;

    /// As [`Rule::ever`]; it does not matter which VM it is.
    fn ever(&self, host: HostId) -> bool;

    /// As [`Rule::rows`].
    fn rows(&self, draft: &mut dyn Draft);

    /// As [`Rule::course`].
    fn course(&self, course: &mut Course<'_>);

    /// As [`Rule::impossible`].
    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible>;
}

/// Two counters: how many hosts the rule counts, and whether it does not hold. What they are is told by
/// [`super::Switching`].
#[derive(Debug)]
pub(in crate::constraints) struct Asked<R> {
    rule: R,
    /// All hosts that matter: its own, and those of rules that share some with it.
    about: Vec<HostId>,
    near: HostSet,
    /// It holds before anything is done.
    held: bool,
}

impl<R: AboutStates> Asked<R> {
    /// `hosts` are the rule's own.
    pub(in crate::constraints) fn new(problem: &Problem, hosts: &[HostId], rule: R, held: bool) -> Self {
        let about = linked(problem, hosts);
        Self { rule, near: HostSet::new(&about), about, held }
    }
}

impl<R: AboutStates> Rule for Asked<R> {
    fn cells(&self) -> usize {
        2
    }

    fn enter(&self, _: &mut [i64], _: Seat) {}

    fn leave(&self, _: &mut [i64], _: Seat) {}

    fn admits(&self, _: &[i64], _: Seat) -> bool {
        true
    }

    fn holds(&self, cells: &[i64]) -> bool {
        cells[1] == 0
    }

    fn at_fault(&self, cells: &[i64], at: Seat) -> bool {
        !self.holds(cells) && self.near.contains(at.host)
    }

    fn why(&self, _: &Problem, cells: &[i64], _: Seat) -> String {
        self.rule.why(cells[0])
    }

    fn hosts(&self) -> &[HostId] {
        &self.about
    }

    fn empties_hosts(&self) -> bool {
        true
    }

    fn ever(&self, _: VmId, host: HostId) -> bool {
        self.rule.ever(host)
    }

    fn holds_at_start(&self, _: &[i64]) -> bool {
        self.held
    }

    fn holds_now(&self) -> Option<bool> {
        Some(self.held)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        self.rule.rows(draft);
    }

    fn course(&self, course: &mut Course<'_>) {
        self.rule.course(course);
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        self.rule.impossible(known, name)
    }
}

//! `sync {vms}`: the VMs' migrations end together, within 1 s. Where a VM moves twice its last one counts.

use super::read::Reader;
use super::rule::{Part, all_named};
use super::{Act, Course, Draft, Meaning, Rule, Seat};
use crate::file;
use crate::model::{Problem, VmId};
use std::collections::BTreeMap;

/// How far the ends may be apart, in seconds.
const TOGETHER_S: f64 = 1.0 + 1e-6;

/// The VMs' migrations end together, within 1 s.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sync {
    /// Sorted.
    pub vms: Vec<VmId>,
}

impl Sync {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Sync { vms } = body else { return None };
        Some(Self { vms: reader.vms(vms) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms) }
    }
}

impl Meaning for Sync {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, _: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Together { vms: &self.vms })
    }
}

/// No counters: it is for the schedule.
#[derive(Debug)]
struct Together<'a> {
    vms: &'a [VmId],
}

impl Rule for Together<'_> {
    fn cells(&self) -> usize {
        0
    }

    fn enter(&self, _: &mut [i64], _: Seat) {}

    fn leave(&self, _: &mut [i64], _: Seat) {}

    fn admits(&self, _: &[i64], _: Seat) -> bool {
        true
    }

    fn holds(&self, _: &[i64]) -> bool {
        true
    }

    fn at_fault(&self, _: &[i64], _: Seat) -> bool {
        false
    }

    fn why(&self, _: &Problem, _: &[i64], _: Seat) -> String {
        "its migrations do not end together".to_owned()
    }

    fn rows(&self, _: &mut dyn Draft) {}

    fn is_of_plans(&self) -> bool {
        true
    }

    fn course(&self, course: &mut Course<'_>) {
        let migrates = |vm: &VmId| course.moves(*vm) && course.start[vm.index()].is_some();
        let movers: Vec<VmId> = self.vms.iter().copied().filter(migrates).collect();
        course.narrow = true;
        // Nobody else of them moves, and who has come stays.
        course.gate(self.vms, |pass| pass.from.is_none() || pass.start != pass.end && pass.from != pass.end);
        if movers.len() > 1 {
            course.together.push(movers);
        }
    }

    fn broken_by(&self, acts: &[Act]) -> bool {
        let mut ends: BTreeMap<VmId, f64> = BTreeMap::new();
        for act in acts.iter().filter(|act| act.from.is_some() && self.vms.binary_search(&act.vm).is_ok()) {
            let end = ends.entry(act.vm).or_insert(act.end_s);
            *end = end.max(act.end_s);
        }
        let first = ends.values().copied().fold(f64::INFINITY, f64::min);
        let last = ends.values().copied().fold(f64::NEG_INFINITY, f64::max);
        last - first > TOGETHER_S
    }
}

//! `before {first, second}`: every action on a VM of `first` ends before any on a VM of `second` starts.

use super::read::Reader;
use super::rule::Part;
use super::unary::{self, Unary};
use super::{Act, Course, Draft, Latch, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Problem, VmId};
use std::collections::BTreeMap;

/// Two instants closer than this are the same, in seconds.
const SAME_S: f64 = 1e-6;

/// Every action on a VM of `first` ends before any on a VM of `second` starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Before {
    /// Sorted.
    pub first: Vec<VmId>,
    /// Sorted.
    pub second: Vec<VmId>,
}

impl Before {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Before { first, second } = body else { return None };
        Some(Self { first: reader.vms_at(".first", first), second: reader.vms_at(".second", second) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { first: part.vms(&self.first), second: part.vms(&self.second) }
    }
}

impl Meaning for Before {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        let mut parts: BTreeMap<VmId, u32> = self.first.iter().map(|vm| (*vm, 1)).collect();
        self.second.iter().for_each(|vm| *parts.entry(*vm).or_default() += 2);
        parts.into_iter().collect()
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let both = self.first.iter().filter(|vm| self.second.binary_search(vm).is_ok());
        Box::new(Ordered { before: self, problem, both: both.copied().collect() })
    }
}

/// A VM on both sides would have to have moved before it moves. The rest is for the schedule.
#[derive(Debug)]
struct Ordered<'a> {
    before: &'a Before,
    problem: &'a Problem,
    both: Vec<VmId>,
}

impl Unary for Ordered<'_> {
    fn allows(&self, vm: VmId, host: HostId) -> bool {
        self.both.binary_search(&vm).is_err() || self.problem.running_on(vm).is_none_or(|home| home == host)
    }
}

impl Rule for Ordered<'_> {
    unary::unary!();

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        format!("{} would have to move before it moves", problem.vm(at.vm).name)
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        self.allows(vm, host)
    }

    fn moors(&self, vm: VmId) -> bool {
        self.both.binary_search(&vm).is_ok() && self.problem.running_on(vm).is_some()
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let ended = draft.members(&self.both).ended;
        if ended.iter().any(|(vm, host)| !self.allows(*vm, *host)) {
            draft.fails();
        }
        draft.all_stay(&self.both);
    }

    fn orders(&self) -> Option<(&[VmId], &[VmId])> {
        Some((&self.before.first, &self.before.second))
    }

    fn is_of_plans(&self) -> bool {
        true
    }

    fn course(&self, course: &mut Course<'_>) {
        let moves =
            |vms: &[VmId]| -> Vec<VmId> { vms.iter().copied().filter(|vm| course.moves(*vm)).collect() };
        let (first, second) = (moves(&self.before.first), moves(&self.before.second));
        // Who need not move leaves the order alone, and who has come stays.
        course.narrow = true;
        let mut all = self.before.first.clone();
        all.extend(&self.before.second);
        all.sort_unstable();
        all.dedup();
        course.gate(&all, |pass| pass.start != pass.end && pass.from != pass.end);
        // A VM that is started may be on both sides, if it is the only one.
        let both: Vec<VmId> = self.both.iter().copied().filter(|vm| course.moves(*vm)).collect();
        let mut latch = |arrive: Vec<VmId>, vms: Vec<VmId>| {
            if !arrive.is_empty() && !vms.is_empty() {
                course.latches.push(Latch { arrive, vms, ..Latch::default() });
            }
        };
        match both.as_slice() {
            [] => latch(first, second),
            [vm] => {
                latch(first.iter().copied().filter(|other| other != vm).collect(), vec![*vm]);
                latch(first, second.iter().copied().filter(|other| other != vm).collect());
            }
            _ => course.blocked.extend(both),
        }
    }

    fn broken_by(&self, acts: &[Act]) -> bool {
        let of = |vms: &[VmId], act: &&Act| vms.binary_search(&act.vm).is_ok();
        let last = acts.iter().filter(|act| of(&self.before.first, act)).map(|act| act.end_s);
        let next = acts.iter().filter(|act| of(&self.before.second, act)).map(|act| act.start_s);
        last.fold(f64::NEG_INFINITY, f64::max) > next.fold(f64::INFINITY, f64::min) + SAME_S
    }
}

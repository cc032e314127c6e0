//! `root {vms}`: the VMs do not move while the plan runs. A VM that is down may be started.

use super::read::Reader;
use super::rule::{Part, all_named};
use super::unary::{self, Unary};
use super::{Act, Course, Draft, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Problem, VmId};

/// The VMs do not move while the plan runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Sorted.
    pub vms: Vec<VmId>,
}

impl Root {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Root { vms } = body else { return None };
        Some(Self { vms: reader.vms(vms) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms) }
    }
}

impl Meaning for Root {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Rooted { root: self, problem })
    }
}

#[derive(Debug)]
struct Rooted<'a> {
    root: &'a Root,
    problem: &'a Problem,
}

impl Unary for Rooted<'_> {
    fn allows(&self, vm: VmId, host: HostId) -> bool {
        self.problem.running_on(vm).is_none_or(|home| home == host)
    }
}

impl Rule for Rooted<'_> {
    unary::unary!();

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        format!("{} has moved to {}", problem.vm(at.vm).name, problem.host(at.host).name)
    }

    fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        self.allows(vm, host)
    }

    fn moors(&self, vm: VmId) -> bool {
        self.problem.running_on(vm).is_some()
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let ended = draft.members(&self.root.vms).ended;
        if ended.iter().any(|(vm, host)| !self.allows(*vm, *host)) {
            draft.fails();
        }
        draft.all_stay(&self.root.vms);
    }

    fn is_of_plans(&self) -> bool {
        true
    }

    fn course(&self, course: &mut Course<'_>) {
        course.gate(&self.root.vms, |pass| pass.from.is_none());
    }

    fn broken_by(&self, acts: &[Act]) -> bool {
        acts.iter().any(|act| act.from.is_some() && self.root.vms.binary_search(&act.vm).is_ok())
    }
}

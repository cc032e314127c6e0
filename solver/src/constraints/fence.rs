//! `fence {vms, hosts}`: every VM of the set runs on one of the hosts.

use super::known::conflict;
use super::read::Reader;
use super::rule::{Part, all_named};
use super::unary::{self, Unary};
use super::{Course, Draft, HostSet, Impossible, Known, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Problem, VmId};
use std::sync::Arc;

/// Every VM runs on one of the hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence {
    /// Sorted.
    pub vms: Vec<VmId>,
    /// Sorted.
    pub hosts: Vec<HostId>,
}

impl Fence {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Fence { vms, hosts } = body else { return None };
        Some(Self { vms: reader.vms(vms), hosts: reader.hosts(hosts) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms), hosts: self.hosts.clone() }
    }
}

impl Meaning for Fence {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, _: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Fenced { fence: self, inside: Arc::new(HostSet::new(&self.hosts)) })
    }
}

#[derive(Debug)]
struct Fenced<'a> {
    fence: &'a Fence,
    inside: Arc<HostSet>,
}

impl Unary for Fenced<'_> {
    fn allows(&self, _: VmId, host: HostId) -> bool {
        self.inside.contains(host)
    }
}

impl Rule for Fenced<'_> {
    unary::unary!();

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        format!("{} is outside the fence", problem.host(at.host).name)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        unary::rows(draft, &self.fence.vms, |host| !self.inside.contains(host));
    }

    fn course(&self, course: &mut Course<'_>) {
        let inside = Arc::clone(&self.inside);
        course.gate(&self.fence.vms, move |pass| inside.contains(pass.to.host));
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let vms: Vec<VmId> = self.fence.vms.iter().copied().filter(|vm| known.home(*vm).is_some()).collect();
        let (what, need, room) = known.shortage(&vms, &self.fence.hosts)?;
        let reason = format!(
            "the running VMs of {name} need {need} {what}, its hosts that take or keep VMs have {room}"
        );
        Some((reason, conflict(known.problem(), self.fence.hosts.iter().copied(), vms, [name])))
    }
}

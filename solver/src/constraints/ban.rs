//! `ban {vms, hosts}`: no VM of the set runs on any of the hosts.

use super::read::Reader;
use super::rule::{Part, all_named};
use super::unary::{self, Unary};
use super::{Course, Draft, HostSet, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, Problem, VmId};
use std::sync::Arc;

/// No VM runs on any of the hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ban {
    /// Sorted.
    pub vms: Vec<VmId>,
    /// Sorted.
    pub hosts: Vec<HostId>,
}

impl Ban {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::Ban { vms, hosts } = body else { return None };
        Some(Self { vms: reader.vms(vms), hosts: reader.hosts(hosts) })
    }

    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        Self { vms: part.vms(&self.vms), hosts: self.hosts.clone() }
    }
}

impl Meaning for Ban {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        all_named(&self.vms)
    }

    fn rule<'a>(&'a self, _: &'a Problem) -> Box<dyn Rule + 'a> {
        Box::new(Banned { ban: self, inside: Arc::new(HostSet::new(&self.hosts)) })
    }
}

#[derive(Debug)]
struct Banned<'a> {
    ban: &'a Ban,
    inside: Arc<HostSet>,
}

impl Unary for Banned<'_> {
    fn allows(&self, _: VmId, host: HostId) -> bool {
        !self.inside.contains(host)
    }
}

impl Rule for Banned<'_> {
    unary::unary!();

    fn why(&self, problem: &Problem, _: &[i64], at: Seat) -> String {
        format!("{} is banned", problem.host(at.host).name)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        unary::rows(draft, &self.ban.vms, |host| self.inside.contains(host));
    }

    fn course(&self, course: &mut Course<'_>) {
        let inside = Arc::clone(&self.inside);
        course.gate(&self.ban.vms, move |pass| !inside.contains(pass.to.host));
    }
}

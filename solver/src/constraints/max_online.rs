//! `max_online {hosts, max}`: at most `max` of the hosts are online.
//!
//! Without power actions that is a fact of the hosts' states, whatever is placed where.

use super::known::conflict;
use super::read::Reader;
use super::rule::Part;
use super::{Draft, Impossible, Known, Meaning, Rule, Seat};
use crate::file;
use crate::model::{HostId, HostState, Problem, VmId};

/// At most `max` of the hosts are online.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxOnline {
    /// Sorted.
    pub hosts: Vec<HostId>,
    /// Most of them.
    pub max: u32,
}

impl MaxOnline {
    pub(super) fn read(reader: &mut Reader<'_>, body: &file::Body) -> Option<Self> {
        let file::Body::MaxOnline { hosts, max } = body else { return None };
        let max = reader.needed("max", *max);
        Some(Self { hosts: reader.hosts(hosts), max: reader.count("max", max) })
    }

    /// A host that is left out may be in any state.
    pub(super) fn part(&self, part: &Part<'_>) -> Self {
        let hosts = self.hosts.iter().copied().filter(|host| (part.host)(*host)).collect();
        Self { hosts, max: self.max }
    }
}

impl Meaning for MaxOnline {
    fn named(&self, _: &Problem) -> Vec<(VmId, u32)> {
        Vec::new()
    }

    fn rule<'a>(&'a self, problem: &'a Problem) -> Box<dyn Rule + 'a> {
        let on = |host: &HostId| !matches!(problem.host(*host).state, HostState::Offline | HostState::Failed);
        let online = self.hosts.iter().copied().filter(on).collect();
        Box::new(Online { online, max: self.max })
    }
}

/// No counters.
#[derive(Debug)]
struct Online {
    online: Vec<HostId>,
    max: u32,
}

impl Rule for Online {
    fn cells(&self) -> usize {
        0
    }

    fn enter(&self, _: &mut [i64], _: Seat) {}

    fn leave(&self, _: &mut [i64], _: Seat) {}

    fn admits(&self, _: &[i64], _: Seat) -> bool {
        true
    }

    fn holds(&self, _: &[i64]) -> bool {
        self.online.len() as u64 <= u64::from(self.max)
    }

    fn at_fault(&self, _: &[i64], _: Seat) -> bool {
        false
    }

    fn why(&self, _: &Problem, _: &[i64], _: Seat) -> String {
        format!("{} of its hosts are online, at most {} may be", self.online.len(), self.max)
    }

    fn rows(&self, draft: &mut dyn Draft) {
        if !self.holds(&[]) {
            draft.fails();
        }
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        (!self.holds(&[])).then(|| {
            let (online, max) = (self.online.len(), self.max);
            let reason = format!(
                "{online} of the hosts of {name} are online, at most {max} may be, and hosts are not shut down here"
            );
            let hosts = self.online.iter().copied().take(max as usize + 1);
            (reason, conflict(known.problem(), hosts, [], [name]))
        })
    }
}

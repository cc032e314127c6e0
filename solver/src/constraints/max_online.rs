//! `max_online {hosts, max}`: at most `max` of the hosts are online.
//!
//! Without power actions that is a fact of the hosts' states, whatever is placed where. With them a host that runs
//! nothing may be shut down, so that no more than `max` of them may run VMs, less those that others want up
//! ([`super::switching`]).

use super::counts::number;
use super::draft::sum;
use super::known::{conflict, held_by_fixed};
use super::read::Reader;
use super::rule::Part;
use super::switching::{AboutStates, Asked};
use super::{Body, Course, Draft, Impossible, Known, Meaning, Relay, Rule, Seat};
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
        let online: Vec<HostId> = self.hosts.iter().copied().filter(|host| is_up(problem, *host)).collect();
        if problem.limits.power_actions {
            let held = online.len() as u64 <= u64::from(self.max);
            return Box::new(Asked::new(problem, &self.hosts, Switched { rule: self, online }, held));
        }
        Box::new(Online { online, max: self.max })
    }
}

/// Whether a host counts as online before anything is done.
fn is_up(problem: &Problem, host: HostId) -> bool {
    !matches!(problem.host(host).state, HostState::Offline | HostState::Failed)
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

/// Where hosts are switched.
#[derive(Debug)]
struct Switched<'a> {
    rule: &'a MaxOnline,
    /// Those of its hosts that are online before anything is done.
    online: Vec<HostId>,
}

impl AboutStates for Switched<'_> {
    fn why(&self, count: i64) -> String {
        format!("{count} of its hosts are online, at most {} may be", self.rule.max)
    }

    fn ever(&self, host: HostId) -> bool {
        self.rule.max > 0 || self.rule.hosts.binary_search(&host).is_err()
    }

    fn rows(&self, draft: &mut dyn Draft) {
        let (terms, sure) = sum(self.rule.hosts.iter().map(|host| (draft.up(*host), 1)));
        let max = i64::from(self.rule.max);
        let slack = number(terms.len()) + sure - max;
        draft.at_most(terms, max - sure, slack);
    }

    /// Hosts are booted once as many others have been shut down as there would be too many. Nobody passes through
    /// those on which others wait so. Hosts that are up only on the way wait for nobody, nor anybody for them.
    fn course(&self, course: &mut Course<'_>) {
        let problem = course.problem;
        let hosts = || self.rule.hosts.iter().copied();
        let is_up_then =
            |host: &HostId| !matches!(course.states[host.index()], HostState::Offline | HostState::Failed);
        let runs = |host: HostId, start: bool| {
            let at = if start { course.start } else { course.to };
            at.iter().flatten().any(|other| *other == host)
        };
        let mut boots: Vec<HostId> = hosts().filter(|h| !is_up(problem, *h) && is_up_then(h)).collect();
        let mut offs: Vec<HostId> = hosts().filter(|h| is_up(problem, *h) && !is_up_then(h)).collect();
        let passing = hosts().filter(|host| course.passing.contains(host)).count();
        let beyond = (self.online.len() + boots.len() + passing).saturating_sub(self.rule.max as usize);
        if beyond == 0 {
            return;
        }
        if passing > 0 && beyond > boots.len().min(offs.len()) {
            course.block_all();
            return;
        }
        // Those wait that nobody is to run on, and for those that are empty already.
        boots.sort_by_key(|host| (runs(*host, false), *host));
        offs.sort_by_key(|host| (runs(*host, true), *host));
        offs.truncate(beyond);
        course.narrow = true;
        course.relays.extend(boots.into_iter().zip(&offs).map(|(boot, off)| Relay { boot, off: *off }));
        course.gate_hosts(offs, |_| false);
    }

    fn impossible(&self, known: &dyn Known, name: &str) -> Option<Impossible> {
        let problem = known.problem();
        let mine = |host: &HostId| self.rule.hosts.binary_search(host).is_ok();
        let held = held_by_fixed(known, mine);
        let max = self.rule.max as usize;
        if held.len() > max {
            let reason = format!(
                "{} of the hosts of {name} run VMs that cannot move, and at most {max} of them may be online",
                held.len()
            );
            let held: Vec<(HostId, VmId)> = held.into_iter().take(max + 1).collect();
            let (hosts, vms) = (held.iter().map(|(host, _)| *host), held.iter().map(|(_, vm)| *vm));
            return Some((reason, conflict(problem, hosts, vms, [name])));
        }
        // Spare hosts, all of them within its own, beside those that must be online anyway.
        let hard = problem.constraints.iter().filter(|other| other.soft_weight.is_none());
        let wants = hard.filter_map(|other| match &other.body {
            Body::SpareHosts(spare) if spare.hosts.iter().all(mine) => Some((spare.min as usize, other)),
            _ => None,
        });
        let (min, other) = wants.max_by_key(|(min, _)| *min)?;
        (held.len() + min > max).then(|| {
            let other = other.name.as_str();
            let beside = if held.is_empty() {
                String::new()
            } else {
                format!(", beside {} that run VMs which cannot move", held.len())
            };
            let reason = format!("{other} wants {min} of the hosts online and empty{beside}, and {name} lets only {max} be online");
            (reason, conflict(problem, held.keys().copied(), held.values().copied(), [name, other]))
        })
    }
}

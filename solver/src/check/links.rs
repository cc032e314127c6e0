//! Rule 3 for a network: what each link and switch on the paths of transfers carries.
//!
//! The path has the fewest links; of several, the one whose names of links, in order, come first. It is found
//! from its end: first how far everything is from there, then step by step nearer by the first name.

use crate::file::Problem;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Links by the ends that they leave: end → link → the other end.
type Ways<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

/// What is shared: a direction of a link, a half-duplex link, or a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line<'a> {
    Link(&'a str, Option<&'a str>),
    Switch(&'a str),
}

/// The links and switches of a problem.
pub(crate) struct Links<'a> {
    /// Links between switches.
    between: Ways<'a>,
    /// Links of hosts.
    of_host: Ways<'a>,
    limits: BTreeMap<Line<'a>, f64>,
    half_duplex: BTreeSet<&'a str>,
}

impl<'a> Links<'a> {
    /// Of a problem that has a network.
    pub(crate) fn of(problem: &'a Problem) -> Option<Self> {
        // One without anything is none.
        let network = problem.network.as_ref().filter(|network| !network.binds_nothing())?;
        let mut links = Self {
            between: Ways::new(),
            of_host: Ways::new(),
            limits: BTreeMap::new(),
            half_duplex: BTreeSet::new(),
        };
        for switch in &network.switches {
            if let Some(bandwidth) = switch.bandwidth {
                links.limits.insert(Line::Switch(&switch.name), bandwidth);
            }
        }
        let hosts: BTreeSet<&str> = problem.hosts.iter().map(|host| host.name.as_str()).collect();
        let is_host = |name: &str| hosts.contains(name);
        for link in &network.links {
            let joins_switches = !is_host(&link.a) && !is_host(&link.b);
            for (from, to) in [(&link.a, &link.b), (&link.b, &link.a)] {
                if joins_switches {
                    links.between.entry(from).or_default().insert(&link.name, to);
                } else if is_host(from) {
                    links.of_host.entry(from).or_default().insert(&link.name, to);
                }
            }
            if link.half_duplex {
                links.half_duplex.insert(&link.name);
            }
            for from in [&link.a, &link.b] {
                let line = links.line(&link.name, from);
                links.limits.extend(link.bandwidth.map(|bandwidth| (line, bandwidth)));
            }
        }
        Some(links)
    }

    fn line(&self, link: &'a str, from: &'a str) -> Line<'a> {
        let both = self.half_duplex.contains(link);
        Line::Link(link, (!both).then_some(from))
    }

    /// How many links each switch is from a host.
    fn distances(&self, to: &str) -> BTreeMap<&'a str, usize> {
        let mut far = BTreeMap::new();
        let mut todo = VecDeque::new();
        for near in self.of_host.get(to).into_iter().flat_map(BTreeMap::values) {
            if far.insert(*near, 1).is_none() {
                todo.push_back(*near);
            }
        }
        while let Some(at) = todo.pop_front() {
            let steps = far[at] + 1;
            for next in self.between.get(at).into_iter().flat_map(BTreeMap::values) {
                if !far.contains_key(next) {
                    far.insert(next, steps);
                    todo.push_back(next);
                }
            }
        }
        far
    }

    /// What a transfer uses; `None` if no links lead there.
    pub(crate) fn lines(&self, from: &'a str, to: &'a str) -> Option<Vec<Line<'a>>> {
        let (mine, its) = (self.of_host.get(from)?, self.of_host.get(to)?);
        // The first by name of the links that go straight there.
        let straight = mine.iter().find(|(_, next)| **next == to).map(|(link, _)| *link);
        let mut lines = Vec::new();
        if let Some(link) = straight {
            lines.push(self.line(link, from));
        } else {
            let far = self.distances(to);
            // Hosts that are joined to it by a cable forward nothing.
            let switches = mine.iter().filter(|(_, next)| !self.of_host.contains_key(**next));
            let reached = switches.filter_map(|(link, next)| Some((*far.get(next)?, *link, *next)));
            let (mut left, link, mut at) = reached.min()?;
            lines.push(self.line(link, from));
            while left > 1 {
                lines.push(Line::Switch(at));
                left -= 1;
                let nearer = |next: &&str| far.get(*next) == Some(&left);
                let (link, next) = self.between.get(at)?.iter().find(|(_, next)| nearer(next))?;
                lines.push(self.line(link, at));
                at = next;
            }
            lines.push(Line::Switch(at));
            let (link, _) = its.iter().find(|(_, end)| **end == at)?;
            lines.push(self.line(link, at));
        }
        lines.retain(|line| self.limits.contains_key(line));
        Some(lines)
    }

    /// MiB/s of all transfers on a line together.
    pub(super) fn limit(&self, line: &Line<'a>) -> f64 {
        self.limits[line]
    }
}

impl Line<'_> {
    /// The name of the link or switch, and the end that it leads away from.
    #[cfg(test)]
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Link(name, Some(from)) => format!("{name} from {from}"),
            Self::Link(name, None) | Self::Switch(name) => (*name).to_owned(),
        }
    }

    /// As people call it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Link(name, None) => format!("through link {name}"),
            Self::Link(name, Some(from)) => format!("through link {name} from {from}"),
            Self::Switch(name) => format!("through switch {name}"),
        }
    }
}

//! Which links and switches a transfer uses.
//!
//! A transfer goes over the path with the fewest links; of several with as few, over the one whose names of
//! links, in order, come first. Hosts forward nothing: between its ends a path has switches only. What is
//! shared on it is a *channel*: one direction of a link, both of a half-duplex one, or a switch.

#[cfg(test)]
mod tests;

use super::build::Faults;
use super::ids::HostId;
use crate::file;
use std::collections::{BTreeMap, VecDeque};

/// What transfers share, in MiB/s.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The name of the link or switch.
    pub name: String,
    /// The end that it leads away from, of one direction of a link.
    pub from: Option<String>,
    /// All transfers together, in MiB/s.
    pub bandwidth: f64,
}

/// Switches and links; of a problem without them, nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topology {
    /// What is shared.
    pub channels: Vec<Channel>,
    /// By name of the link, so that the number of a link is its rank among names.
    links: Vec<Link>,
    /// Links of each host to switches and other hosts, in order.
    of_host: Vec<Vec<u32>>,
    /// The channel of each switch that may block.
    of_switch: Vec<Option<u32>>,
    /// From each switch the link that leads to each other one at the end of the best path, and how long that is.
    arrivals: Vec<Vec<Option<(u32, u32)>>>,
    /// Hosts with the same number are joined by links.
    islands: Vec<u32>,
    /// Links that every way between what they join goes over; some of them may be missing.
    bridges: Vec<bool>,
}

/// What a TCP connection has under way at most, in MiB: the largest send buffer that Linux gives by itself
/// (`net.ipv4.tcp_wmem`).
const WINDOW_MIB: f64 = 4.0;

/// A table of paths grows with the square of their number.
pub const MOST_SWITCHES: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Host(HostId),
    Switch(usize),
}

#[derive(Debug, Clone, PartialEq)]
struct Link {
    ends: [End; 2],
    /// From the first end to the second, and back; `None` = does not block.
    channels: [Option<u32>; 2],
    /// Of one direction, in seconds.
    latency_s: f64,
}

/// One step of a path: a link, and the end that it leads to.
type Hop = (u32, End);

impl Topology {
    pub(super) fn new(
        network: Option<&file::Network>,
        count: usize,
        hosts: &BTreeMap<String, usize>,
        faults: &mut Faults,
    ) -> Self {
        // One without anything is none.
        let Some(network) = network.filter(|network| !network.binds_nothing()) else {
            return Self::default();
        };
        let switches =
            super::build::index("network.switches", network.switches.iter().map(|s| &s.name), faults);
        super::build::index("network.links", network.links.iter().map(|link| &link.name), faults);
        if network.switches.len() > MOST_SWITCHES {
            let message =
                format!("are {}; more than {MOST_SWITCHES} are not planned with", network.switches.len());
            faults.wrong("network.switches", message);
            return Self::default();
        }
        let mut topology = Self { of_host: vec![Vec::new(); count], ..Self::default() };
        for (i, switch) in network.switches.iter().enumerate() {
            let path = |field: &str| format!("network.switches[{i}].{field}");
            if hosts.contains_key(&switch.name) {
                faults.wrong(
                    path("name"),
                    format!("{:?} is a host, too; links could not tell them apart", switch.name),
                );
            }
            faults.rate(path("bandwidth"), switch.bandwidth);
            let channel = topology.channel(&switch.name, None, switch.bandwidth);
            topology.of_switch.push(channel);
        }
        let mut order: Vec<usize> = (0..network.links.len()).collect();
        order.sort_by(|a, b| network.links[*a].name.cmp(&network.links[*b].name));
        for i in order {
            topology.add_link(i, &network.links[i], hosts, &switches, faults);
        }
        topology.arrivals = (0..topology.of_switch.len()).map(|from| topology.paths_from(from)).collect();
        topology.islands = topology.joined();
        topology.bridges = topology.leaves();
        topology
    }

    fn channel(&mut self, name: &str, from: Option<&str>, bandwidth: Option<f64>) -> Option<u32> {
        let bandwidth = bandwidth?;
        self.channels.push(Channel { name: name.to_owned(), from: from.map(str::to_owned), bandwidth });
        Some(self.channels.len() as u32 - 1)
    }

    fn add_link(
        &mut self,
        i: usize,
        link: &file::Link,
        hosts: &BTreeMap<String, usize>,
        switches: &BTreeMap<String, usize>,
        faults: &mut Faults,
    ) {
        let path = |field: &str| format!("network.links[{i}].{field}");
        faults.rate(path("bandwidth"), link.bandwidth);
        faults.at_least_0(path("latency_ms"), link.latency_ms);
        let mut end = |field: &str, name: &str| {
            let host = hosts.get(name).map(|host| End::Host(HostId::from(*host)));
            let end = host.or_else(|| switches.get(name).map(|switch| End::Switch(*switch)));
            if end.is_none() {
                faults.wrong(path(field), format!("there is no host and no switch {name:?}"));
            }
            end
        };
        let (Some(a), Some(b)) = (end("a", &link.a), end("b", &link.b)) else { return };
        if a == b {
            faults.wrong(path("b"), format!("is {:?}, as is the other end", link.b));
            return;
        }
        let channels = if link.half_duplex {
            [self.channel(&link.name, None, link.bandwidth); 2]
        } else {
            [&link.a, &link.b].map(|from| self.channel(&link.name, Some(from), link.bandwidth))
        };
        let number = self.links.len() as u32;
        for end in [a, b] {
            if let End::Host(host) = end {
                self.of_host[host.index()].push(number);
            }
        }
        let latency_s = link.latency_ms.unwrap_or(0.0) / 1000.0;
        self.links.push(Link { ends: [a, b], channels, latency_s });
    }

    /// Whether there are links at all; without, all hosts reach each other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.of_host.is_empty()
    }

    /// Whether links join two hosts.
    #[must_use]
    pub fn joins(&self, a: HostId, b: HostId) -> bool {
        a == b || self.is_empty() || self.islands[a.index()] == self.islands[b.index()]
    }

    /// The other end of a link.
    fn other(&self, link: u32, end: End) -> End {
        let [a, b] = self.links[link as usize].ends;
        if a == end { b } else { a }
    }

    /// Breadth first, the best of the earlier ones first: whoever comes first to a switch comes on the best path.
    fn paths_from(&self, from: usize) -> Vec<Option<(u32, u32)>> {
        let mut of_switch: Vec<Vec<u32>> = vec![Vec::new(); self.of_switch.len()];
        for (number, link) in self.links.iter().enumerate() {
            if let [End::Switch(a), End::Switch(b)] = link.ends {
                of_switch[a].push(number as u32);
                of_switch[b].push(number as u32);
            }
        }
        let mut found = vec![None; self.of_switch.len()];
        let mut todo = VecDeque::from([(from, 0)]);
        while let Some((at, length)) = todo.pop_front() {
            for link in &of_switch[at] {
                let End::Switch(next) = self.other(*link, End::Switch(at)) else { continue };
                if next != from && found[next].is_none() {
                    found[next] = Some((*link, length + 1));
                    todo.push_back((next, length + 1));
                }
            }
        }
        found
    }

    /// The number of the island of each host.
    fn joined(&self) -> Vec<u32> {
        let hosts = self.of_host.len();
        // Hosts, then switches; each points at one of its island with a smaller number, the least at itself.
        let mut least: Vec<usize> = (0..hosts + self.of_switch.len()).collect();
        let root = |least: &[usize], mut at: usize| {
            while least[at] != at {
                at = least[at];
            }
            at
        };
        let number = |end: End| match end {
            End::Host(host) => host.index(),
            End::Switch(switch) => hosts + switch,
        };
        // Hosts forward nothing: those joined to a host by cables alone are joined to it, not through it. To say
        // that they are is to promise more than there is, never less.
        for link in &self.links {
            let [a, b] = link.ends.map(|end| root(&least, number(end)));
            least[a.max(b)] = a.min(b);
        }
        (0..hosts).map(|host| root(&least, host) as u32).collect()
    }

    /// Links that hang on by one end, then those that do so without them, and so on: of a tree, all.
    fn leaves(&self) -> Vec<bool> {
        let number = |end: End| match end {
            End::Host(host) => host.index(),
            End::Switch(switch) => self.of_host.len() + switch,
        };
        let mut at: Vec<Vec<usize>> = vec![Vec::new(); self.of_host.len() + self.of_switch.len()];
        for (i, link) in self.links.iter().enumerate() {
            link.ends.iter().for_each(|end| at[number(*end)].push(i));
        }
        let mut left: Vec<usize> = at.iter().map(Vec::len).collect();
        let mut found = vec![false; self.links.len()];
        let mut todo: Vec<usize> = (0..at.len()).filter(|end| left[*end] == 1).collect();
        while let Some(end) = todo.pop() {
            for link in
                at[end].iter().filter(|link| left[end] == 1 && !found[**link]).copied().collect::<Vec<_>>()
            {
                found[link] = true;
                for other in self.links[link].ends.map(number) {
                    left[other] -= 1;
                    if left[other] == 1 {
                        todo.push(other);
                    }
                }
            }
        }
        found
    }

    /// The path between two switches, from the end to the start.
    fn between(&self, from: usize, to: usize) -> Option<Vec<Hop>> {
        let mut path = Vec::new();
        let mut at = to;
        while at != from {
            let (link, _) = self.arrivals[from][at]?;
            path.push((link, End::Switch(at)));
            let End::Switch(before) = self.other(link, End::Switch(at)) else { return None };
            at = before;
        }
        path.reverse();
        Some(path)
    }

    /// The path of a transfer; empty within a host, `None` where there is no path.
    fn path(&self, from: HostId, to: HostId) -> Option<Vec<Hop>> {
        if from == to || self.is_empty() {
            return Some(Vec::new());
        }
        let mut best: Option<Vec<Hop>> = None;
        let mut keep = |path: Vec<Hop>| {
            let names = |path: &[Hop]| path.iter().map(|(link, _)| *link).collect::<Vec<u32>>();
            let better = |best: &Vec<Hop>| (path.len(), names(&path)) < (best.len(), names(best));
            if best.as_ref().is_none_or(better) {
                best = Some(path);
            }
        };
        for first in &self.of_host[from.index()] {
            let near = self.other(*first, End::Host(from));
            match near {
                End::Host(host) if host == to => keep(vec![(*first, near)]),
                End::Host(_) => {}
                End::Switch(near_switch) => {
                    for last in &self.of_host[to.index()] {
                        let End::Switch(far) = self.other(*last, End::Host(to)) else { continue };
                        let Some(between) = self.between(near_switch, far) else { continue };
                        let mut path = vec![(*first, near)];
                        path.extend(between);
                        path.push((*last, End::Host(to)));
                        keep(path);
                    }
                }
            }
        }
        best
    }

    /// The channels that a transfer between two hosts uses, each once; `None` where there is no path.
    #[must_use]
    pub fn channels_between(&self, from: HostId, to: HostId) -> Option<Vec<u32>> {
        let path = self.path(from, to)?;
        Some(self.channels_of(&path, |_| true))
    }

    /// The channels that a VM surely goes through on its way from one host to another, whatever hosts it goes over;
    /// there may be more.
    #[must_use]
    pub fn surely_between(&self, from: HostId, to: HostId) -> Vec<u32> {
        let path = self.path(from, to).unwrap_or_default();
        self.channels_of(&path, |link| self.bridges[link as usize])
    }

    /// The hosts at which a VM is that has gone through a channel and not come back, if all ways to them go through it:
    /// one direction of a link without which its ends are not joined. `None` for all else.
    #[must_use]
    pub fn beyond(&self, channel: u32) -> Option<Vec<HostId>> {
        let number = self.links.iter().position(|link| link.channels.contains(&Some(channel)))?;
        let Link { ends, channels, .. } = &self.links[number];
        if !self.bridges[number] || channels[0] == channels[1] {
            return None;
        }
        let begin = ends[usize::from(channels[0] == Some(channel))];
        let (mut hosts, mut switches) = (vec![false; self.of_host.len()], vec![false; self.of_switch.len()]);
        let mut todo = vec![begin];
        while let Some(end) = todo.pop() {
            let seen = match end {
                End::Host(host) => &mut hosts[host.index()],
                End::Switch(switch) => &mut switches[switch],
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            let others =
                (0..).zip(&self.links).filter(|(other, link)| *other != number && link.ends.contains(&end));
            todo.extend(others.map(|(other, _)| self.other(other as u32, end)));
        }
        Some((0..hosts.len()).filter(|host| hosts[*host]).map(HostId::from).collect())
    }

    /// The channels of some links of a path and of the switches at their ends.
    fn channels_of(&self, path: &[Hop], counts: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut channels = Vec::with_capacity(2 * path.len());
        for (i, (link, end)) in path.iter().enumerate() {
            let Link { ends, channels: ways, .. } = &self.links[*link as usize];
            let entered = counts(*link);
            if entered {
                channels.extend(ways[usize::from(ends[0] == *end)]);
            }
            let leaves = path.get(i + 1).is_some_and(|(next, _)| counts(*next));
            if let End::Switch(switch) = end
                && (entered || leaves)
            {
                channels.extend(self.of_switch[*switch]);
            }
        }
        channels
    }

    /// The rate that one transfer between two hosts reaches at most, in MiB/s, whatever the bandwidth: a sender has
    /// 4 MiB under way and waits for them to be acknowledged, which takes a round trip over all links between.
    /// Without latency there is no such limit. The contract knows none: no bound is made of it.
    #[must_use]
    pub fn window_rate(&self, from: HostId, to: HostId) -> f64 {
        let path = self.path(from, to).unwrap_or_default();
        let one_way_s: f64 = path.iter().map(|(link, _)| self.links[*link as usize].latency_s).sum();
        // A sum of nothing is a negative zero.
        if one_way_s > 0.0 { WINDOW_MIB / (2.0 * one_way_s) } else { f64::INFINITY }
    }

    /// The least bandwidth on the way between two hosts, in MiB/s: 0 where there is none.
    #[must_use]
    pub fn rate_limit(&self, from: HostId, to: HostId) -> f64 {
        if self.is_empty() {
            return f64::INFINITY;
        }
        let Some(channels) = self.channels_between(from, to) else { return 0.0 };
        channels
            .iter()
            .map(|channel| self.channels[*channel as usize].bandwidth)
            .fold(f64::INFINITY, f64::min)
    }
}

//! Problems made up for benchmarks: clusters of a given size and load, in which something is wrong.
//!
//! The same [`Recipe`] gives the same problem on every machine. A cluster (`cluster`) is filled so that all is
//! within capacity and every rule (`rules`) holds; then the scenario breaks what it breaks (`disturb`). The two
//! scenarios about tiered applications have a generator of their own (`tiers`).

mod cluster;
mod disturb;
mod draws;
mod rules;
#[cfg(test)]
mod tests;
mod tiers;
mod write;

use crate::file::Problem;
use crate::search::Random;

/// How often a cluster is drawn anew when its VMs found no room.
const DRAWS: usize = 30;

/// What is wrong in a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One host in ten is over its capacity: most in cpu (by 5 to 30 %), one in five in memory.
    Repair,
    /// 3 % of the hosts have failed.
    Failure,
    /// 5 % of the hosts are to be emptied.
    Drain,
    /// 5 % of the VMs wait for a host.
    Pending,
    /// Nothing, but VMs are spread over all hosts, which is wasteful.
    Consolidate,
    /// Nothing, but half of the hosts are much fuller than the others.
    Balance,
    /// Nothing, but free cores lie in small pieces; 50 migrations may gather them. Implies NUMA nodes.
    Defragment,
    /// Applications of three tiers, 250 hosts a leaf switch; one application in ten asks for more.
    LoadIncrease,
    /// The same applications; one host in twenty is off, and its VMs wait.
    NodeRelease,
}

/// The hosts of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fleet {
    /// Three sizes, 1 : 1, 1.5 : 2 and 2 : 3 (cpu : memory), and VMs of seven classes.
    #[default]
    Classes,
    /// Hosts of 8 cores and 32 GiB; VMs of one core and 1 GiB whose use differs.
    Identical,
    /// Sizes 1, 2 and 4, for 50, 30 and 20 % of the hosts; VMs of the same classes.
    Mixed,
}

/// What kind of problem is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// What is wrong.
    pub scenario: Scenario,
    /// At least 4.
    pub hosts: usize,
    /// At least 1.
    pub vms: usize,
    /// Other seeds give other problems.
    pub seed: u64,
    /// Mean use of cpu and memory, within 0 and 1. [`Scenario::LoadIncrease`] and [`Scenario::NodeRelease`] have their own.
    pub load: f64,
    /// Share of the VMs that are under a rule.
    pub constraints: f64,
    /// Sizes of hosts.
    pub fleet: Fleet,
    /// Every host has two NUMA nodes.
    pub numa: bool,
}

impl Recipe {
    /// A cluster of hosts of three sizes, with ten VMs each (of tiered applications six), 30 % of them under a rule.
    #[must_use]
    pub fn new(scenario: Scenario, hosts: usize) -> Self {
        let load = if scenario == Scenario::Defragment { 0.9 } else { 0.7 };
        let vms = if scenario.is_tiered() { 6 } else { 10 } * hosts;
        Self { scenario, hosts, vms, seed: 1, load, constraints: 0.3, fleet: Fleet::Classes, numa: false }
    }

    /// The problem; `None` if the VMs find no room under their rules in any of several draws.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let mut random = Random::new(self.seed);
        (0..DRAWS).find_map(|_| {
            let mut random = random.fork();
            if self.scenario.is_tiered() { tiers::draw(self, &mut random) } else { self.draw(&mut random) }
        })
    }

    fn draw(&self, random: &mut Random) -> Option<Problem> {
        let mut cluster = cluster::Cluster::new(self, random);
        let rules = rules::draw(&mut cluster, self.constraints, random);
        cluster.fill(random)?;
        let trouble = disturb::disturb(&mut cluster, random);
        Some(write::problem(&cluster, rules, &trouble, random))
    }

    /// Whether hosts have NUMA nodes.
    fn has_numa(&self) -> bool {
        self.numa || self.scenario == Scenario::Defragment
    }
}

impl Scenario {
    /// Whether VMs are those of tiered applications.
    fn is_tiered(self) -> bool {
        matches!(self, Self::LoadIncrease | Self::NodeRelease)
    }

    /// Its name in the names of problems.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Failure => "failure",
            Self::Drain => "drain",
            Self::Pending => "pending",
            Self::Consolidate => "consolidate",
            Self::Balance => "balance",
            Self::Defragment => "defragment",
            Self::LoadIncrease => "load-increase",
            Self::NodeRelease => "node-release",
        }
    }
}

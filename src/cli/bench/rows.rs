//! What is measured: each row is a kind of problems with the limit and the number of seeds it is measured with.

use dvms_solver::file::Problem;
use dvms_solver::generate::{Fleet, Recipe, Scenario};

/// Problems of `--quick` have at most so many hosts.
const QUICK_HOSTS: usize = 24;

/// A kind of generated problems.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    scenario: Scenario,
    hosts: usize,
    fleet: Fleet,
    numa: bool,
    /// Lowest and highest load; each seed has one of its own.
    load: (f64, f64),
    /// Shares of the VMs under a rule, taken in turn.
    constraints: &'static [f64],
    pub(super) seeds: u64,
    pub(super) limit_s: f64,
    /// What is to be reached.
    pub(super) goal: &'static str,
}

/// Most rows are like this one.
const LIKE: Row = Row {
    name: "",
    scenario: Scenario::Repair,
    hosts: 64,
    fleet: Fleet::Classes,
    numa: false,
    load: (0.70, 0.80),
    constraints: &[0.3],
    seeds: 10,
    limit_s: 2.0,
    goal: "",
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "repair-64",
        seeds: 20,
        goal: "first plan in 5 ms; proved in 100 ms for 95 % of the seeds",
        ..LIKE
    },
    Row {
        name: "repair-64-equal",
        fleet: Fleet::Identical,
        goal: "as repair-64, equal hosts and VMs",
        ..LIKE
    },
    Row { name: "repair-64-numa", numa: true, goal: "as repair-64, NUMA nodes", ..LIKE },
    Row {
        name: "repair-64-tight",
        load: (0.85, 0.90),
        seeds: 20,
        limit_s: 5.0,
        goal: "first plan in 100 ms; proved in 2 s (median)",
        ..LIKE
    },
    Row { name: "failure-64", scenario: Scenario::Failure, goal: "every VM restarted, proved", ..LIKE },
    Row { name: "drain-64", scenario: Scenario::Drain, goal: "hosts emptied, proved", ..LIKE },
    Row { name: "pending-64", scenario: Scenario::Pending, goal: "every VM started, proved", ..LIKE },
    Row {
        name: "repair-1000",
        hosts: 1000,
        load: (0.85, 0.85),
        seeds: 5,
        goal: "first plan in 150 ms; every VM placed, within 2 % of the bound in 2 s",
        ..LIKE
    },
    Row {
        name: "btrplace",
        scenario: Scenario::LoadIncrease,
        hosts: 5000,
        constraints: &[0.0, 0.33, 1.0],
        seeds: 3,
        limit_s: 5.0,
        goal: "30,000 VMs of tiered applications ask for more: proved in 1 s",
        ..LIKE
    },
    Row {
        name: "node-release",
        scenario: Scenario::NodeRelease,
        hosts: 5000,
        constraints: &[0.0, 0.33, 1.0],
        seeds: 3,
        limit_s: 5.0,
        goal: "VMs of 250 hosts placed anew: proved in 5 s",
        ..LIKE
    },
    Row {
        name: "consolidate-64",
        scenario: Scenario::Consolidate,
        load: (0.35, 0.50),
        limit_s: 5.0,
        goal: "least hosts and then least cost, proved in 3 s",
        ..LIKE
    },
    Row {
        name: "consolidate-64-equal",
        scenario: Scenario::Consolidate,
        fleet: Fleet::Identical,
        load: (0.35, 0.50),
        limit_s: 5.0,
        goal: "as consolidate-64, equal hosts and VMs",
        ..LIKE
    },
    Row {
        name: "consolidate-1000",
        scenario: Scenario::Consolidate,
        hosts: 1000,
        fleet: Fleet::Identical,
        load: (0.35, 0.50),
        seeds: 3,
        limit_s: 30.0,
        goal: "hosts within 1 % in 1 s, 0.5 % in 5 s; cost within 8 % in 30 s",
        ..LIKE
    },
    Row {
        name: "consolidate-mixed",
        scenario: Scenario::Consolidate,
        hosts: 1000,
        fleet: Fleet::Mixed,
        load: (0.35, 0.45),
        seeds: 3,
        limit_s: 30.0,
        goal: "hosts of sizes 1, 2 and 4: within 3 % in 30 s",
        ..LIKE
    },
    Row {
        name: "consolidate-10000",
        scenario: Scenario::Consolidate,
        hosts: 10_000,
        fleet: Fleet::Identical,
        load: (0.35, 0.50),
        seeds: 1,
        limit_s: 30.0,
        goal: "first plan in 5 s, within 1.5 % in 30 s, under 4 GiB",
        ..LIKE
    },
    Row {
        name: "balance-64",
        scenario: Scenario::Balance,
        load: (0.50, 0.70),
        goal: "as balance-256, small",
        ..LIKE
    },
    Row {
        name: "balance-256",
        scenario: Scenario::Balance,
        hosts: 256,
        load: (0.50, 0.70),
        seeds: 5,
        goal: "within 1 % of the bound in 2 s",
        ..LIKE
    },
    Row {
        name: "defragment-64",
        scenario: Scenario::Defragment,
        numa: true,
        load: (0.90, 0.90),
        seeds: 5,
        limit_s: 5.0,
        goal: "free cores gathered with at most 50 moves",
        ..LIKE
    },
];

impl Row {
    /// How the problem of a seed is made.
    pub(super) fn recipe(&self, seed: u64, quick: bool) -> Recipe {
        let hosts = if quick { self.hosts.min(QUICK_HOSTS) } else { self.hosts };
        // Eleven loads, from the lowest to the highest, in a mixed order.
        let step = (seed * 7 % 11) as f64 / 10.0;
        let at = (seed as usize).wrapping_sub(1) % self.constraints.len();
        let full = Recipe::new(self.scenario, hosts);
        // Tiered applications are kept apart on more hosts than a small cluster has.
        let tiered = matches!(self.scenario, Scenario::LoadIncrease | Scenario::NodeRelease);
        Recipe {
            vms: if quick && tiered { 2 * hosts } else { full.vms },
            seed,
            load: self.load.0 + step * (self.load.1 - self.load.0),
            constraints: self.constraints[at],
            fleet: self.fleet,
            numa: self.numa,
            ..full
        }
    }

    /// The problem of a seed; `None` where a cluster of that load cannot be filled.
    pub(super) fn problem(&self, seed: u64, quick: bool) -> Option<Problem> {
        self.recipe(seed, quick).problem()
    }

    /// Hosts and VMs, for people.
    pub(super) fn size(&self) -> String {
        let recipe = self.recipe(1, false);
        format!("{}/{}", recipe.hosts, recipe.vms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_have_names_of_their_own_and_a_goal() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        assert!(ROWS.iter().all(|row| !row.goal.is_empty() && row.seeds > 0 && row.limit_s > 0.0));
    }

    #[test]
    fn loads_stay_within_their_range_and_differ() {
        let row = &ROWS[0];
        let loads: Vec<f64> = (1..=11).map(|seed| row.recipe(seed, false).load).collect();
        assert!(loads.iter().all(|load| (0.7 - 1e-9..=0.8 + 1e-9).contains(load)), "{loads:?}");
        let distinct: BTreeSet<u64> = loads.iter().map(|load| load.to_bits()).collect();
        assert_eq!(distinct.len(), 11);
    }

    #[test]
    fn quick_problems_are_small_and_there_is_one_of_each() {
        for row in ROWS {
            let problem = row.problem(1, true).unwrap_or_else(|| panic!("{} has no room", row.name));
            assert!(problem.hosts.len() <= QUICK_HOSTS && problem.vms.len() <= 10 * QUICK_HOSTS);
        }
    }
}

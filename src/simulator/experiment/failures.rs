//! What fails in an experiment, and how often.

use super::sections::{Wrong, within};
use crate::simulator::engine::Failing;
use crate::simulator::injector::Outages;
use crate::simulator::random::Random;
use serde::{Deserialize, Serialize};

/// What fails, and is there again some time later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Mean seconds between two crashes of one host; 0 = none crashes.
    pub crash_period_s: f64,
    /// Seconds until it is up again.
    pub down_s: f64,
    /// Whether a host with a migration does not crash, as in VMPlaceS.
    pub spare_migrating: bool,
    /// Absent = that of the experiment.
    pub seed: Option<u64>,
    /// Agents that fail while their hosts go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Failures>,
    /// Links of hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Failures>,
    /// Links of sites to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_links: Option<Failures>,
    /// Coordinators, of strategies that have some, while their hosts go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinators: Option<Failures>,
}

/// How often parts of one kind fail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// Mean seconds between two failures of one.
    pub period_s: f64,
    /// Seconds until it is there again.
    #[serde(default = "a_minute")]
    pub down_s: f64,
}

fn a_minute() -> f64 {
    60.0
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            crash_period_s: 1_661_000.0,
            down_s: 300.0,
            spare_migrating: true,
            seed: None,
            agents: None,
            links: None,
            site_links: None,
            coordinators: None,
        }
    }
}

impl Faults {
    pub(super) fn faults(&self, wrong: &mut Wrong) {
        if self.crash_period_s != 0.0 {
            within(self.crash_period_s, 1.0, 1e12, "faults.crash_period_s", wrong);
        }
        within(self.down_s, 0.0, 1e9, "faults.down_s", wrong);
        for (name, failures) in [
            ("agents", self.agents),
            ("links", self.links),
            ("site_links", self.site_links),
            ("coordinators", self.coordinators),
        ] {
            if let Some(Failures { period_s, down_s }) = failures {
                within(period_s, 1.0, 1e12, &format!("faults.{name}.period_s"), wrong);
                within(down_s, 0.0, 1e9, &format!("faults.{name}.down_s"), wrong);
            }
        }
    }

    /// Crashes of hosts; `seed` is that of the experiment.
    pub(super) fn crashes(&self, seed: u64) -> Option<Outages> {
        let seed = self.seed.unwrap_or(seed);
        let crash = Outages { period_s: self.crash_period_s, down_s: self.down_s, seed };
        (self.crash_period_s > 0.0).then_some(crash)
    }

    /// What else fails. Each kind has a seed of its own, drawn, as those of Java give nearly the same first numbers for numbers
    /// that are near each other.
    pub(super) fn failing(&self, seed: u64) -> Failing {
        let seed = self.seed.unwrap_or(seed);
        let outages = |kind: u64, failures: Option<Failures>| {
            let seed = Random::new(seed, kind).bits();
            failures.map(|Failures { period_s, down_s }| Outages { period_s, down_s, seed })
        };
        Failing {
            agents: outages(1, self.agents),
            links: outages(2, self.links),
            sites: outages(3, self.site_links),
            coordinators: outages(4, self.coordinators),
        }
    }
}

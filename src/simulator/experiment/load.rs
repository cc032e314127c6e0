//! The section `[load]`: which load, and its settings.

use super::sections::{Wrong, within};
use crate::simulator::load::{Arrivals, Azure, Constant, Crowd, Day, Gaussian, Poisson, Trace};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What VMs need.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Load {
    /// Absent = that of the experiment.
    pub seed: Option<u64>,
    /// Which load, with its settings.
    #[serde(flatten)]
    pub what: What,
}

/// A load with its settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// That of VMPlaceS, event for event.
    Vmplaces(Injected),
    /// Gaussian steps.
    Gaussian(Gaussian),
    /// Poisson steps.
    Poisson(Poisson),
    /// Days and nights.
    DayNight(Day),
    /// A crowd comes at once.
    FlashCrowd(Crowd),
    /// Nothing changes.
    Constant(Constant),
    /// VMs come and go.
    Arrivals(Arrivals),
    /// A day of `PlanetLab`.
    Planetlab(Recorded),
    /// VMs of Bitbrains.
    Bitbrains(Recorded),
    /// VMs of Azure come and go.
    Azure(Azure),
}

/// Names of all loads.
pub(super) const KINDS: &str =
    "vmplaces, gaussian, poisson, day-night, flash-crowd, constant, arrivals, planetlab, bitbrains, azure";

impl Default for What {
    fn default() -> Self {
        Self::Vmplaces(Injected::default())
    }
}

/// The injector of VMPlaceS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Injected {
    /// Percent of a VM's CPU.
    pub mean: f64,
    /// Percent of a VM's CPU.
    pub sd: f64,
    /// Mean seconds between two changes of one VM.
    pub period_s: f64,
}

impl Default for Injected {
    fn default() -> Self {
        Self { mean: 60.0, sd: 20.0, period_s: 300.0 }
    }
}

/// A load that was recorded; whoever reads the experiment gives its files to [`super::Experiment::give`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorded {
    /// Where its files are.
    pub folder: String,
    /// Of these, the folder or file (then with `.csv`) that is called so; empty = all.
    pub day: String,
    /// What was read.
    #[serde(skip)]
    pub trace: Arc<Trace>,
}

impl Load {
    pub(super) fn faults(&self, wrong: &mut Wrong) {
        let mut steps = |mean: f64, sd: f64, period_s: f64| {
            within(mean, 0.0, 100.0, "load.mean", wrong);
            within(sd, 0.0, 1000.0, "load.sd", wrong);
            within(period_s, 1e-3, 1e9, "load.period_s", wrong);
        };
        match &self.what {
            What::Vmplaces(it) => steps(it.mean, it.sd, it.period_s),
            What::Gaussian(it) => steps(it.mean, it.sd, it.period_s),
            What::Poisson(it) => {
                steps(it.mean, 0.0, it.period_s);
                // More clients than 500 would take long to draw.
                within(it.client, it.mean / 500.0, 100.0, "load.client", wrong);
                if it.client <= 0.0 {
                    wrong("load.client", "must be above 0".to_owned());
                }
            }
            What::DayNight(it) => {
                steps(it.low, it.sd, it.period_s);
                within(it.low, 0.0, 100.0, "load.low", wrong);
                within(it.high, it.low, 100.0, "load.high", wrong);
                within(it.day_s, 1.0, 1e9, "load.day_s", wrong);
                within(it.peak_s, 0.0, 1e9, "load.peak_s", wrong);
                within(it.spread_s, 0.0, 1e9, "load.spread_s", wrong);
            }
            What::FlashCrowd(it) => {
                steps(it.mean, it.sd, it.period_s);
                within(it.peak, 0.0, 100.0, "load.peak", wrong);
                within(it.part, 0.0, 1.0, "load.part", wrong);
                for (name, seconds) in
                    [("at_s", it.at_s), ("rise_s", it.rise_s), ("hold_s", it.hold_s), ("fall_s", it.fall_s)]
                {
                    within(seconds, 0.0, 1e9, &format!("load.{name}"), wrong);
                }
            }
            What::Constant(it) => within(it.percent, 0.0, 100.0, "load.percent", wrong),
            What::Arrivals(it) => {
                steps(it.mean, it.sd, it.period_s);
                within(it.life_s, 1e-3, 1e9, "load.life_s", wrong);
                within(it.gap_s.unwrap_or(1.0), 1e-3, 1e9, "load.gap_s", wrong);
            }
            What::Azure(it) => {
                steps(it.mean, it.sd, it.period_s);
                within(it.from_s, 0.0, 1e9, "load.from_s", wrong);
                within(it.part, 0.0, 1.0, "load.part", wrong);
            }
            What::Planetlab(_) | What::Bitbrains(_) => {}
        }
        if self.recorded().is_some_and(|it| it.folder.is_empty()) {
            wrong("load.folder", "must say where the files are".to_owned());
        }
    }

    /// The recorded load, where it is one.
    #[must_use]
    pub fn recorded(&self) -> Option<Recorded> {
        match &self.what {
            What::Planetlab(it) | What::Bitbrains(it) => Some(it.clone()),
            // All its files are in one folder.
            What::Azure(Azure { folder, trace, .. }) => {
                Some(Recorded { folder: folder.clone(), day: String::new(), trace: trace.clone() })
            }
            _ => None,
        }
    }

    pub(super) fn take(&mut self, read: Trace) {
        match &mut self.what {
            What::Planetlab(Recorded { trace, .. })
            | What::Bitbrains(Recorded { trace, .. })
            | What::Azure(Azure { trace, .. }) => *trace = Arc::new(read),
            _ => {}
        }
    }

    /// What it is, but for the load of VMPlaceS, which is told in its own words.
    pub(super) fn load(&self) -> Option<&dyn crate::simulator::load::Load> {
        match &self.what {
            What::Vmplaces(_) => None,
            What::Gaussian(it) => Some(it),
            What::Poisson(it) => Some(it),
            What::DayNight(it) => Some(it),
            What::FlashCrowd(it) => Some(it),
            What::Constant(it) => Some(it),
            What::Arrivals(it) => Some(it),
            What::Azure(it) => Some(it),
            What::Planetlab(it) | What::Bitbrains(it) => Some(&*it.trace),
        }
    }

    /// Whether it says which VMs there are, and when.
    pub(super) fn brings_vms(&self) -> bool {
        matches!(self.what, What::Bitbrains(_) | What::Azure(_))
    }

    /// Who comes and goes.
    pub(super) fn lives(&self, vms: u32, until: f64, seed: u64) -> Vec<crate::simulator::engine::Life> {
        self.load().map(|load| load.lives(vms, until, seed)).unwrap_or_default()
    }
}

impl Recorded {
    pub(super) fn cpu(&self, vm: usize) -> Option<u32> {
        self.trace.rows.get(vm)?.cpu
    }

    pub(super) fn memory(&self, vm: usize) -> Option<u32> {
        self.trace.rows.get(vm)?.memory
    }
}

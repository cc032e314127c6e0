//! VMs that come and go: those that come do so as a Poisson process, and each stays for a time of the exponential distribution.

use super::{Gaussian, Load, Need, Needs, STREAM};
use crate::simulator::engine::Life;
use crate::simulator::ids::VmId;
use crate::simulator::random::Random;
use serde::{Deserialize, Serialize};

/// Arrivals and departures over Gaussian steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arrivals {
    /// Percent, before it is cut.
    pub mean: f64,
    /// Percent.
    pub sd: f64,
    /// Seconds between two steps of a VM.
    pub period_s: f64,
    /// Mean seconds that a VM stays; of those that are there at the start, from then on.
    pub life_s: f64,
    /// Mean seconds between two that come; absent = as many come as go, on average.
    pub gap_s: Option<f64>,
}

impl Default for Arrivals {
    fn default() -> Self {
        let Gaussian { mean, sd, period_s } = Gaussian::default();
        Self { mean, sd, period_s, life_s: 3600.0, gap_s: None }
    }
}

impl Arrivals {
    /// When each VM comes and goes.
    fn stays(&self, vms: u32, until: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed, 2 * STREAM);
        let mut stays: Vec<_> = (0..vms).map(|_| (0.0, random.exponential(self.life_s))).collect();
        let gap = self.gap_s.unwrap_or(self.life_s / f64::from(vms.max(1)));
        let mut comes = random.exponential(gap);
        while comes < until {
            stays.push((comes, comes + random.exponential(self.life_s)));
            comes += random.exponential(gap);
        }
        stays
    }
}

impl Load for Arrivals {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let stays = self.stays(vms, until, seed);
        let steps = Gaussian { mean: self.mean, sd: self.sd, period_s: self.period_s };
        // What it needs before it comes is what it comes with.
        let stays_yet = move |need: &Need| need.time < stays[need.vm as usize].1;
        let all = self.stays(vms, until, seed).len() as u32;
        Box::new(steps.needs(all, until, seed).filter(stays_yet))
    }

    fn lives(&self, vms: u32, until: f64, seed: u64) -> Vec<Life> {
        let mut lives = Vec::new();
        for (number, (comes, goes)) in (0..).zip(self.stays(vms, until, seed)) {
            let life = |time: f64, comes: bool| Life { time, vm: VmId(number), comes };
            lives.extend((comes > 0.0).then(|| life(comes, true)));
            lives.extend((goes < until).then(|| life(goes, false)));
        }
        lives.sort_by(|a, b| a.time.total_cmp(&b.time).then(a.vm.cmp(&b.vm)));
        lives
    }
}

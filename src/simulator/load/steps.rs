//! Needs that change at regular times, a time of its own for each VM: a value of the normal distribution about a mean, which
//! stays the same, goes up and down with the day, or rises when a crowd comes.

use super::{Load, Need, Needs, STREAM};
use crate::simulator::queue::Queue;
use crate::simulator::random::Random;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Gaussian steps: a new value each period, cut at 0 and 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gaussian {
    /// Percent, before it is cut.
    pub mean: f64,
    /// Percent.
    pub sd: f64,
    /// Seconds between two steps of a VM.
    pub period_s: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Self { mean: 60.0, sd: 20.0, period_s: 300.0 }
    }
}

/// Days and nights: the mean is a cosine of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Day {
    /// Percent at the deepest point of the night.
    pub low: f64,
    /// Percent at the height of the day.
    pub high: f64,
    /// Deviation, percent.
    pub sd: f64,
    /// Seconds between two steps of a VM.
    pub period_s: f64,
    /// Seconds of a day.
    pub day_s: f64,
    /// When the day is at its height first.
    pub peak_s: f64,
    /// The heights of VMs are spread over so many seconds, evenly, about `peak_s`.
    pub spread_s: f64,
}

impl Default for Day {
    fn default() -> Self {
        Self {
            low: 20.0,
            high: 80.0,
            sd: 10.0,
            period_s: 300.0,
            day_s: 86_400.0,
            peak_s: 50_400.0,
            spread_s: 0.0,
        }
    }
}

/// A flash crowd: Gaussian steps, but for a time all want something from some VMs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crowd {
    /// Percent, without the crowd.
    pub mean: f64,
    /// Deviation, percent.
    pub sd: f64,
    /// Seconds between two steps of a VM.
    pub period_s: f64,
    /// Mean of the VMs that the crowd wants something from, percent.
    pub peak: f64,
    /// Which share of the VMs that is; drawn.
    pub part: f64,
    /// When the crowd begins to come.
    pub at_s: f64,
    /// Seconds until all of it is there.
    pub rise_s: f64,
    /// Seconds that all of it stays.
    pub hold_s: f64,
    /// Seconds until all of it has left.
    pub fall_s: f64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            mean: 40.0,
            sd: 10.0,
            period_s: 60.0,
            peak: 95.0,
            part: 0.2,
            at_s: 600.0,
            rise_s: 120.0,
            hold_s: 600.0,
            fall_s: 600.0,
        }
    }
}

impl Day {
    /// The mean at a time, for a VM whose height is so many seconds later than `peak_s`.
    fn mean(&self, time: f64, later: f64) -> f64 {
        let angle = TAU * (time - self.peak_s - later) / self.day_s;
        self.low + (self.high - self.low) * (1.0 + angle.cos()) / 2.0
    }
}

impl Crowd {
    /// How much of the crowd is there, 0 to 1.
    fn there(&self, time: f64) -> f64 {
        let since = time - self.at_s;
        let left = since - self.rise_s - self.hold_s;
        let part = |passed: f64, whole: f64| if whole > 0.0 { passed / whole } else { 1.0 };
        if since < 0.0 {
            0.0
        } else if since < self.rise_s {
            part(since, self.rise_s)
        } else if left < 0.0 {
            1.0
        } else {
            1.0 - part(left, self.fall_s).min(1.0)
        }
    }
}

impl Load for Gaussian {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let (mean, sd) = (self.mean, self.sd);
        Box::new(Steps::new(
            vms,
            until,
            seed,
            self.period_s,
            sd,
            move |_, _, (): &()| mean,
            |_: &mut Random| {},
        ))
    }
}

impl Load for Day {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let (day, spread) = (self.clone(), self.spread_s);
        let later = move |random: &mut Random| (random.fraction() - 0.5) * spread;
        let mean = move |time: f64, _: u32, later: &f64| day.mean(time, *later);
        Box::new(Steps::new(vms, until, seed, self.period_s, self.sd, mean, later))
    }
}

impl Load for Crowd {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let (crowd, part) = (self.clone(), self.part);
        let wanted = move |random: &mut Random| random.happens(part);
        let mean = move |time: f64, _: u32, wanted: &bool| {
            crowd.mean + if *wanted { (crowd.peak - crowd.mean) * crowd.there(time) } else { 0.0 }
        };
        Box::new(Steps::new(vms, until, seed, self.period_s, self.sd, mean, wanted))
    }
}

/// The steps of all VMs. All have a value at the start; the first period of each is cut, so that not all change at once.
struct Steps<P, M> {
    queue: Queue<u32>,
    vms: Vec<(Random, P)>,
    until: f64,
    period: f64,
    sd: f64,
    mean: M,
}

impl<P, M: Fn(f64, u32, &P) -> f64> Steps<P, M> {
    fn new(
        vms: u32,
        until: f64,
        seed: u64,
        period: f64,
        sd: f64,
        mean: M,
        property: impl Fn(&mut Random) -> P,
    ) -> Self {
        let mut queue = Queue::default();
        let vm = |vm: u32| {
            queue.push(0.0, vm);
            let mut random = Random::new(seed, STREAM + u64::from(vm));
            let property = property(&mut random);
            (random, property)
        };
        let vms = (0..vms).map(vm).collect();
        Self { queue, vms, until, period, sd, mean }
    }
}

impl<P, M: Fn(f64, u32, &P) -> f64> Iterator for Steps<P, M> {
    type Item = Need;

    fn next(&mut self) -> Option<Need> {
        let (time, vm) = self.queue.pop()?;
        if time >= self.until {
            return None;
        }
        let (random, property) = &mut self.vms[vm as usize];
        let first = time <= 0.0;
        let gap = self.period * if first { random.fraction() } else { 1.0 };
        // Never at the start again.
        self.queue.push(time + gap.max(1e-3), vm);
        let percent = (self.mean)(time, vm, property) + self.sd * random.gaussian();
        Some(Need { time, vm, percent: percent.clamp(0.0, 100.0) })
    }
}

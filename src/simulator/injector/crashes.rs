//! Which hosts crash and come back.

use crate::simulator::java::JavaRandom;
use std::collections::VecDeque;

/// How often hosts crash.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outages {
    /// Mean seconds between two crashes of one host.
    pub period_s: f64,
    /// Seconds until a host that has crashed is up again.
    pub down_s: f64,
    /// Of both streams.
    pub seed: u64,
}

impl Default for Outages {
    fn default() -> Self {
        Self { period_s: 1_661_000.0, down_s: 300.0, seed: 23 }
    }
}

/// A host goes down or comes up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Seconds.
    pub time: f64,
    /// Number of the host.
    pub host: u32,
    /// Whether it comes up.
    pub up: bool,
}

/// The faults, in order of time. A host that crashes while it is down stays down for the whole time from then on.
#[derive(Debug, Clone)]
pub struct Crashes {
    outages: Outages,
    rate: f64,
    until: f64,
    next: f64,
    gaps: JavaRandom,
    choice: JavaRandom,
    /// When the host is up again, of those that are down.
    up_at: Vec<f64>,
    /// In order of time, as all are down for as long.
    ups: VecDeque<(f64, u32)>,
}

impl Crashes {
    /// The faults of so many hosts before `until` (seconds).
    #[must_use]
    pub fn new(hosts: u32, until: f64, outages: Outages) -> Self {
        let mut gaps = JavaRandom::new(outages.seed);
        let rate = (1.0 / outages.period_s) * f64::from(hosts);
        let next = if hosts == 0 { f64::INFINITY } else { gaps.exponential(rate) };
        let up_at = vec![f64::NAN; hosts as usize];
        Self {
            outages,
            rate,
            until,
            next,
            gaps,
            choice: JavaRandom::new(outages.seed),
            up_at,
            ups: VecDeque::new(),
        }
    }
}

impl Iterator for Crashes {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        while let Some((time, host)) = self.ups.front().copied() {
            if time > self.next {
                break;
            }
            self.ups.pop_front();
            // Another crash may have put it off.
            if self.up_at[host as usize].total_cmp(&time).is_eq() {
                return (time < self.until).then_some(Fault { time, host, up: true });
            }
        }
        let time = self.next;
        if time.partial_cmp(&self.until) != Some(std::cmp::Ordering::Less) {
            // No more crashes; who is down still comes up in time.
            self.next = f64::INFINITY;
            return if self.ups.is_empty() { None } else { self.next() };
        }
        let host = self.choice.below(self.up_at.len() as u32);
        let up = time + self.outages.down_s;
        self.up_at[host as usize] = up;
        self.ups.push_back((up, host));
        self.next += self.gaps.exponential(self.rate);
        Some(Fault { time, host, up: false })
    }
}

//! Hosts of which more is asked than they have: from when to when, why, and when a strategy first knew.

use super::settling::settling;
use super::stats::{Spread, Tally};
use crate::simulator::ids::HostId;
use serde::{Deserialize, Serialize};

/// What brought a host over its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// VMs there need more.
    Load,
    /// A VM has come.
    Arrival,
    /// The host is up again, with all its VMs.
    Recovery,
}

/// One violation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Violation {
    /// Where.
    pub host: HostId,
    /// Seconds.
    pub began: f64,
    /// Seconds; not a number while it lasts.
    pub ended: f64,
    /// When a strategy first knew of it; not a number if none did.
    pub detected: f64,
    /// Why.
    pub cause: Cause,
}

impl Violation {
    /// Seconds until it ended, or until `now`.
    #[must_use]
    pub fn lasted(&self, now: f64) -> f64 {
        if self.ended.is_nan() { now - self.began } else { self.ended - self.began }
    }
}

const NONE: u32 = u32::MAX;

/// All violations.
#[derive(Debug, Clone)]
pub struct Violations {
    log: Vec<Violation>,
    /// Of each host, its violation that lasts.
    open: Vec<u32>,
    /// When hosts have failed and were up again.
    faults: Vec<f64>,
}

/// What is told of them. Those that last at the end are cut there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViolationReport {
    /// Durations of all, seconds; `total` is in host-seconds.
    pub all: Spread,
    /// Half of them last no longer, seconds.
    pub median_s: f64,
    /// Caused by load, as `VMPlaceS` counts `violation`.
    pub by_load: Spread,
    /// Caused by VMs that have come, as `VMPlaceS` counts `violation-out`.
    pub by_arrival: Spread,
    /// Caused by hosts that have come up again.
    pub by_recovery: Spread,
    /// That a strategy knew of: from when it knew to the end, seconds.
    pub detected: Spread,
    /// That a strategy knew of: until it knew, seconds.
    pub to_detect: Spread,
    /// After faults, until none was late any more: see [`settling`].
    pub settling: Spread,
    /// That last at the end.
    pub open: u64,
}

impl Violations {
    /// None yet.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self { log: Vec::new(), open: vec![NONE; hosts], faults: Vec::new() }
    }

    pub(in crate::simulator) fn begin(&mut self, host: HostId, now: f64, cause: Cause) {
        self.open[host.index()] = self.log.len() as u32;
        self.log.push(Violation { host, began: now, ended: f64::NAN, detected: f64::NAN, cause });
    }

    pub(in crate::simulator) fn end(&mut self, host: HostId, now: f64) {
        let at = std::mem::replace(&mut self.open[host.index()], NONE);
        if let Some(violation) = self.log.get_mut(at as usize) {
            violation.ended = now;
        }
    }

    /// A strategy looks at the host.
    pub(in crate::simulator) fn detect(&mut self, host: HostId, now: f64) {
        let at = self.open[host.index()];
        if let Some(violation) = self.log.get_mut(at as usize).filter(|it| it.detected.is_nan()) {
            violation.detected = now;
        }
    }

    /// When something failed or was there again.
    #[cfg(test)]
    pub(in crate::simulator) fn faults(&self) -> &[f64] {
        &self.faults
    }

    /// Something has failed, or is there again.
    pub(in crate::simulator) fn fault(&mut self, now: f64) {
        self.faults.push(now);
    }

    /// All of them, in the order in which they began.
    #[must_use]
    pub fn log(&self) -> &[Violation] {
        &self.log
    }

    /// What is told of them at `now`.
    #[must_use]
    pub fn report(&self, now: f64) -> ViolationReport {
        let of = |cause: Option<Cause>| {
            let those = self.log.iter().filter(|it| cause.is_none_or(|cause| it.cause == cause));
            those.map(|it| it.lasted(now)).collect::<Tally>().spread()
        };
        let known = || self.log.iter().filter(|it| !it.detected.is_nan());
        let after = |it: &Violation| if it.ended.is_nan() { now } else { it.ended } - it.detected;
        let mut durations: Vec<f64> = self.log.iter().map(|it| it.lasted(now)).collect();
        durations.sort_by(f64::total_cmp);
        ViolationReport {
            all: of(None),
            median_s: durations.get(durations.len() / 2).copied().unwrap_or(0.0),
            by_load: of(Some(Cause::Load)),
            by_arrival: of(Some(Cause::Arrival)),
            by_recovery: of(Some(Cause::Recovery)),
            detected: known().map(after).collect::<Tally>().spread(),
            to_detect: known().map(|it| it.detected - it.began).collect::<Tally>().spread(),
            settling: settling(&self.faults, &self.log, now),
            open: self.open.iter().filter(|at| **at != NONE).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_apart_by_cause_and_cut_at_the_end() {
        let mut all = Violations::new(3);
        all.begin(HostId(1), 10.0, Cause::Load);
        all.detect(HostId(1), 12.0);
        all.detect(HostId(1), 13.0);
        all.detect(HostId(2), 13.0);
        all.begin(HostId(2), 14.0, Cause::Arrival);
        all.end(HostId(1), 20.0);
        all.begin(HostId(1), 25.0, Cause::Load);
        let report = all.report(30.0);
        assert_eq!((report.all.count, report.all.total, report.open), (3, 31.0, 2));
        assert_eq!((report.by_load.total, report.by_arrival.total, report.median_s), (15.0, 16.0, 10.0));
        assert_eq!((report.detected.count, report.detected.total, report.to_detect.mean), (1, 8.0, 2.0));
    }
}
